"""What is made at its first use."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from bakehouse.lazy import exports, regex


def test_a_lazy_expression_is_the_expression() -> None:
    lazy, plain = regex(r"(a+)(?P<b>B)", re.IGNORECASE), re.compile(r"(a+)(?P<b>B)", re.IGNORECASE)
    assert lazy.pattern == plain.pattern
    for text in ("aab", "xAAb", "", "b"):
        assert [m.groups() for m in lazy.finditer(text)] == [m.groups() for m in plain.finditer(text)]
        assert bool(lazy.fullmatch(text)) == bool(plain.fullmatch(text))
        assert lazy.sub("-", text) == plain.sub("-", text)
    assert lazy.groupindex == {"b": 2}
    assert lazy.match == lazy.match
    assert regex(rb"[0-9]+").findall(b"1 22") == [b"1", b"22"]


def test_nothing_is_compiled_before_it_is_used() -> None:
    broken = regex("(")
    with pytest.raises(re.error):
        broken.match("x")


def test_names_of_a_package_come_from_their_modules() -> None:
    lookup = exports("bakehouse.oci", {"digest": ("Digest",)})
    from bakehouse.oci.digest import Digest

    assert lookup("Digest") is Digest
    with pytest.raises(AttributeError, match=r"module 'bakehouse.oci' has no attribute 'nothing'"):
        lookup("nothing")


@pytest.mark.parametrize("package", ["registry", "runtime", "snapshots"])
def test_every_name_that_a_lazy_package_promises_is_there(package: str) -> None:
    module = __import__(f"bakehouse.{package}", fromlist=["*"])
    for name in module.__all__:
        assert getattr(module, name) is not None
    listed = [name for names in module._HOMES.values() for name in names]
    assert sorted(listed) == sorted(module.__all__)


def test_a_build_from_the_cache_imports_no_more_than_it_needs() -> None:
    """All modules of such a build, up to the first request to a registry, leave the expensive ones alone."""
    needed = (
        "builders.embedded",
        "cli.session",
        "engine.ops.exec",
        "engine.ops.file",
        "engine.sources.image",
        "engine.sources.local",
        "engine.exporters.cacheonly",
        "registry.client",
    )
    unwanted = (
        *(
            "dataclasses",
            "concurrent.futures",
            "logging",
            "subprocess",
            "tempfile",
            "shutil",
            "uuid",
            "tarfile",
        ),
        *(
            "http.client",
            "email",
            "ssl",
            "urllib3",
            "asyncio",
            "inspect",
            "isal",
            "deflate",
            "backports.zstd",
        ),
        *("bakehouse.runtime.runtime", "bakehouse.snapshots.tarwriter"),
        *("bakehouse.engine.exporters.assemble", "bakehouse.engine.exporters.push"),
    )
    imports = ";".join(f"import bakehouse.{name}" for name in needed)
    code = f"import sys; sys.path[:0] = {[entry for entry in sys.path if entry]!r}; {imports};"
    code += f"print([name for name in {unwanted!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
