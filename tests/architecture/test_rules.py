"""The house rules, as tests: import directions, types, style, what may not stand in a committed file."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.paths import ROOT

SOURCES = sorted((ROOT / "src" / "bakehouse").rglob("*.py"))
PYTHON = Path(sys.executable)


def run(*argv: str) -> None:
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(argv)}\n{done.stdout}\n{done.stderr}"


def committed() -> list[Path]:
    """Every file that git knows or would add."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    return [ROOT / name for name in listing.decode().split("\0") if name and (ROOT / name).is_file()]


def test_rooms_import_only_lower_floors() -> None:
    run(str(PYTHON.with_name("lint-imports")), "--no-cache")


def test_types_are_strict() -> None:
    run(str(PYTHON), "-m", "mypy", "--cache-dir", str(ROOT / ".cache" / "mypy"), "src/bakehouse")


def test_style() -> None:
    run(str(PYTHON), "-m", "ruff", "check", "--no-cache", ".")
    run(str(PYTHON), "-m", "ruff", "format", "--no-cache", "--check", ".")


def test_every_room_has_a_floor() -> None:
    layers = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0][
        "layers"
    ]
    named = {name.strip().removeprefix("bakehouse.") for layer in layers for name in layer.split("|")}
    rooms = {path.stem if path.is_file() else path.name for path in (ROOT / "src/bakehouse").iterdir()}
    assert rooms - named - {"__init__", "__main__", "__pycache__", "py", "version"} == set()


def test_constraints_are_plain_pins() -> None:
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!_-]+", line), line


@pytest.mark.parametrize(
    "pattern",
    [
        # Hosts of package registries: where packages come from is the machine's business.
        r"pypi\.org|pythonhosted|deb\.debian\.org|security\.debian|proxy\.golang\.org|registry\.npmjs|crates\.io",
        # Paths of a developer's machine.
        r"/work/(main|shared)|/root/\.pyenv|/home/[a-z]+/(src|work|projects)",
    ],
)
def test_no_committed_file_names(pattern: str) -> None:
    found = []
    for path in committed():
        if path == Path(__file__) or path.name == "go.sum":
            continue
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
        found += [
            f"{path.relative_to(ROOT)}: {line.strip()[:100]}"
            for line in text.splitlines()
            if re.search(pattern, line)
        ]
    assert found == []


def test_no_unfinished_marks_and_no_prints() -> None:
    found = []
    for path in SOURCES:
        tree = ast.parse(path.read_text())
        # A documented method of a base class whose whole body is the refusal is an abstract one.
        abstract = {
            method.body[-1]
            for parent in ast.walk(tree)
            if isinstance(parent, ast.ClassDef)
            for method in parent.body
            if isinstance(method, ast.FunctionDef)
            and len(method.body) == (2 if ast.get_docstring(method) else 1)
        }
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Raise)
                and "NotImplementedError" in ast.dump(node)
                and node not in abstract
            ):
                found.append(f"{path}:{node.lineno} raises NotImplementedError")
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                found.append(f"{path}:{node.lineno} prints")
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if re.search(r"\b(TODO|FIXME|XXX|HACK)\b", line):
                found.append(f"{path}:{number} {line.strip()}")
    assert found == []


def test_tests_do_not_skip() -> None:
    """A missing component is a failure; nothing is skipped or expected to fail.

    Tests of privileged parts may skip for a plain user, whom the same suite serves; continuous integration is root."""
    found = []
    for path in (ROOT / "tests").rglob("*.py"):
        if path in (Path(__file__), ROOT / "tests/support/needs.py"):
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if re.search(r"pytest\.skip\(|mark\.skip|mark\.xfail|skipif|importorskip", line):
                found.append(f"{path.relative_to(ROOT)}:{number}")
    assert found == []


def test_public_functions_and_classes_are_documented() -> None:
    """Every module and nearly every public class and function of the product says what it guarantees."""
    missing, public = [], 0
    for path in SOURCES:
        tree = ast.parse(path.read_text())
        assert ast.get_docstring(tree), f"{path} has no module docstring"
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                public += 1
                if ast.get_docstring(node) is None:
                    missing.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}")
    assert len(missing) < public * 0.12, missing


def test_printing_a_definition_imports_no_engine() -> None:
    """Start-up is a feature: the modules that `--print` loads are few, and none is heavy."""
    code = (
        "import sys; from bakehouse.cli.main import main; main(['bake', '--print', '-f', sys.argv[1]]);"
        "bad = [n for n in sys.modules if n.split('.')[0] in ('dataclasses', 'asyncio', 'urllib3', 'sqlite3',"
        " 'subprocess', 'inspect', 'logging', 'yaml') or n.startswith(('bakehouse.engine', 'bakehouse.builders',"
        " 'bakehouse.store', 'bakehouse.registry', 'bakehouse.bake.field_texts', 'bakehouse.bake.recorder',"
        " 'bakehouse.bake.explain'))]; sys.exit(' '.join(bad) if bad else 0)"
    )
    run(
        str(PYTHON),
        "-S",
        "-c",
        "import sys; sys.path.insert(0, 'src');" + code,
        "examples/demo/docker-bake.hcl",
    )
