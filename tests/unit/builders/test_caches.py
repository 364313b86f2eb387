"""Entries of `cache-from` and `cache-to`: what is wrong with one is said before anything is built."""

from __future__ import annotations

from pathlib import Path

import pytest

from bakehouse.bake import Target, parse_caches
from bakehouse.builders.caches import TargetCaches, caches_of
from bakehouse.errors import BakehouseError
from bakehouse.registry.config import RegistryConfig


def caches(
    sources: tuple[str, ...] = (), targets: tuple[str, ...] = (), environ: dict[str, str] | None = None
) -> TargetCaches:
    target = Target("app")
    target.cache_from, target.cache_to = parse_caches(sources), parse_caches(targets)
    return caches_of(target, Path("/nowhere"), environ or {}, RegistryConfig())


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("", "type=local,dest=c,mode=most", 'invalid cache export mode "most"'),
        ("", "type=local", "local cache exporter requires dest"),
        ("type=local", "", "local cache importer requires src"),
        ("type=registry", "", "registry cache importer requires ref"),
        ("type=registry,ref=UPPER", "", "UPPER"),
        ("type=local,src=c,digest=sha256:1", "", "invalid digest sha256:1"),
        ("", "type=local,dest=c,reset=maybe", "non-bool value specified for reset"),
        ("", "type=registry,ref=x/y,registry.insecure=so", "non-bool value specified for registry.insecure"),
        ("", "type=local,dest=c,ignore-error=no!", "non-bool value specified for ignore-error"),
        ("", "type=local,dest=c,compression=lzma", "unsupported compression type lzma"),
        ("", "type=local,dest=c,oci-mediatypes=false,image-manifest=true", "OCI mediatypes are required"),
        ("type=cupboard", "", 'unknown cache importer: "cupboard"'),
        ("type=inline", "", 'unknown cache importer: "inline"'),
        ("", "type=cupboard", 'unknown cache exporter: "cupboard"'),
        ("type=s3", "", "failed to configure s3 cache importer: bucket"),
    ],
)
def test_wrong_attributes(source: str, target: str, message: str) -> None:
    with pytest.raises(BakehouseError) as caught:
        caches((source,), (target,))
    assert caught.value.category == "definition"
    assert message in caught.value.message


def test_two_caches_in_one_place() -> None:
    with pytest.raises(BakehouseError, match=r"duplicate cache exports \[local\]"):
        caches(targets=("type=local,dest=c", "type=local,dest=c"))
    with pytest.raises(BakehouseError, match=r"duplicate cache exports \[registry\]"):
        caches(targets=("x/y", "type=registry,ref=x/y,mode=max"))
    # An image carries one cache, however often it is asked for.
    assert caches(targets=("type=inline", "type=inline")).inline


def test_the_cache_of_actions_is_passed_over_elsewhere() -> None:
    entry = ("type=gha",)
    found = caches(entry, entry)
    assert (found.sources, found.targets) == ((), ())


def test_inline_by_argument() -> None:
    target = Target("app")
    for value, wanted in (("1", True), ("true", True), ("0", False), ("perhaps", False)):
        target.args = {"BUILDKIT_INLINE_CACHE": value}
        assert caches_of(target, Path(), {}, RegistryConfig()).inline == wanted


def test_names_in_the_progress() -> None:
    """Those of BuildKit: a reference as it was written, else a hash of the attributes."""
    digest = "sha256:bdc08cfd8a81d21713797d822c8c25fa2177d114c82a33e7f9c1b4e8ad2f96fe"
    found = caches(("x/y", f"type=local,src=c1,digest={digest}"))
    assert [source.name for source in found.sources] == ["x/y", "local:8174764063561051022"]
    assert found.sources[1].absence == f"local cache import at c1 skipped: digest {digest} unavailable"
