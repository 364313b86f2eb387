"""The documentation holds together: links lead somewhere, command lines parse, generated tables are current."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bakehouse.cli.flags import BOOL, Flag, parse
from bakehouse.cli.main import COMMANDS, UNBUILT
from bakehouse.cli.options import BAKE, BUILD
from bakehouse.errors import BakehouseError
from bakehouse.store.schema import prepare_schema
from tests.support.paths import CASES, ROOT

DOCS = ROOT / "docs"
SOURCE = ROOT / "src" / "bakehouse"
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^(```+|~~~+)[^\n]*\n.*?^\1$", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"`(bakehouse [^`]+)`")
_VARIABLE = re.compile(
    r"(BAKEHOUSE|BUILDX|BUILDKIT|BAKE|EXPERIMENTAL|PROGRESS|TTY_DISPLAY|XDG)_[A-Z_]+|[A-Z]+_PROXY|NO_COLOR"
    r"|SOURCE_DATE_EPOCH|SSH_AUTH_SOCK|DOCKER_CONFIG|DOCKER_DEFAULT_PLATFORM"
)
_FRAGMENT_KINDS = ("added", "changed", "fixed", "removed", "security")


def pages() -> list[Path]:
    """Every Markdown page of the repository that a reader may open."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    found = [ROOT / name for name in listing.decode().split("\0") if name]
    return sorted(path for path in found if path.is_file() and "cases" not in path.parts)


PAGES = pages()


def _id(page: Path) -> str:
    return str(page.relative_to(ROOT))


def _anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    text = _FENCE.sub("", page.read_text("utf-8"))
    titles = re.findall(r"^#+ +(.+?) *$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=_id)
def test_relative_links_resolve(page: Path) -> None:
    broken = []
    for target in _LINK.findall(_FENCE.sub("", page.read_text("utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path) if path else page
        if not file.exists() or (anchor and anchor not in _anchors(file)):
            broken.append(target)
    assert broken == []


@dataclass(frozen=True)
class Example:
    """A command line of a page, and whether the page shows that it fails."""

    page: Path
    line: str
    fails: bool


def _examples(page: Path) -> Iterator[Example]:
    """Lines that begin with a prompt, or stand in a shell block, with their continuations."""
    for block in _FENCE.finditer(page.read_text("utf-8")):
        head, *lines = block.group().replace("\\\n", " ").splitlines()
        kind = head.strip("`~ ")
        for number, line in enumerate(lines[:-1]):
            if kind == "console" and line.startswith(("$ ", "# ")):
                following = lines[number + 1 : -1]
                output = next((text for text in following if text.startswith(("$ ", "# ", "ERROR:"))), "")
                yield Example(page, line[2:], output.startswith("ERROR:"))
            elif kind in ("sh", "bash"):
                yield Example(page, line, False)


def _commands(line: str) -> Iterator[list[str]]:
    """The argument vectors of `bakehouse` in a shell line."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>()")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if re.fullmatch(r"[|&;()]+", word):
            while words and re.match(r"[A-Za-z_][A-Za-z0-9_]*=", words[0]):
                words.pop(0)
            if words and words[0].removeprefix("docker ") == "bakehouse":
                yield _without_redirections(words[1:])
            words = []
        else:
            words.append(word)


def _without_redirections(words: list[str]) -> list[str]:
    kept: list[str] = []
    rest = iter(words)
    for word in rest:
        if re.fullmatch(r"[<>]+&?", word):
            if kept and kept[-1].isdigit():
                kept.pop()
            next(rest, None)
        else:
            kept.append(word)
    return kept


def _flags(command: str) -> tuple[Flag, ...]:
    shared = {"bake": BAKE, "build": BUILD}.get(command)
    if shared is not None:
        return shared
    return tuple(getattr(importlib.import_module(f"bakehouse.cli.{COMMANDS[command][0]}"), "FLAGS", ()))


def _own_words(command: str, words: list[str]) -> list[str]:
    """What the command's own parser sees: `run` stops at the image."""
    if command != "run":
        return words
    valued = {f"--{flag.name}" for flag in _flags(command) if flag.kind != BOOL}
    valued |= {f"-{flag.short}" for flag in _flags(command) if flag.short and flag.kind != BOOL}
    index = 0
    while index < len(words) and words[index].startswith("-"):
        index += 2 if words[index] in valued else 1
    return words[: index + 1]


EXAMPLES = [example for page in PAGES for example in _examples(page)]
COMMAND_LINES = [(example, words) for example in EXAMPLES for words in _commands(example.line)]


def _parse(words: list[str]) -> None:
    words = [word for word in words if word not in ("-D", "--debug")]
    if not words or words[0] in ("--help", "--version"):
        return
    command = {"f": "bake", "b": "build"}.get(words[0], words[0])
    if command in COMMANDS and not {"--help", "-h"} & set(words):
        parse(_flags(command), _own_words(command, words[1:]))
    assert command in COMMANDS, f"no command {command}"


def test_every_command_line_parses() -> None:
    wrong = []
    for example, words in COMMAND_LINES:
        try:
            _parse(words)
        except (BakehouseError, AssertionError) as error:
            if not example.fails:
                wrong.append(f"{_id(example.page)}: {example.line}: {error}")
    assert wrong == []


def test_command_lines_are_found() -> None:
    assert len(COMMAND_LINES) > 50
    assert {words[0] for _, words in COMMAND_LINES if words} >= set(COMMANDS) - {"version"}
    assert [*_commands("A=1 bakehouse run -e X=y img ls --all 2>&1 | head; bakehouse du >x")] == [
        ["run", "-e", "X=y", "img", "ls", "--all"],
        ["du"],
    ]


@pytest.mark.parametrize("page", PAGES, ids=_id)
def test_commands_in_the_text_exist(page: Path) -> None:
    unknown = []
    for span in _INLINE.findall(_FENCE.sub("", page.read_text("utf-8"))):
        _, command, *words = span.split()
        if command.isupper() or command.startswith("-"):
            continue
        command = {"f": "bake", "b": "build"}.get(command, command)
        if command in UNBUILT:
            continue
        names = {f"--{flag.name}" for flag in _flags(command)} | {"--help"} if command in COMMANDS else set()
        if not names or any(word.startswith("--") and word.partition("=")[0] not in names for word in words):
            unknown.append(span)
    assert unknown == []


def test_generated_pages_are_current() -> None:
    done = subprocess.run(
        [sys.executable, str(DOCS / "generate.py"), "--check"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_every_environment_variable_has_a_row() -> None:
    read = set()
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and _VARIABLE.fullmatch(node.value)
            ):
                read.add(node.value)
    # Names of symbols that are loaded lazily look like variables of Docker's.
    documented = set(re.findall(r"`([A-Z][A-Z_]+)`", (DOCS / "reference" / "settings.md").read_text("utf-8")))
    assert read - documented == set()


def test_the_store_page_names_every_table_and_column() -> None:
    database = sqlite3.connect(":memory:", isolation_level=None)
    prepare_schema(database)
    page = (DOCS / "reference" / "store-format.md").read_text("utf-8")
    tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type='table'")]
    rows = {table: re.search(rf"^\| `{table}` \|.*$", page, re.MULTILINE) for table in tables}
    missing = [
        f"{table}.{column[1]}"
        for table, row in rows.items()
        for column in database.execute(f"PRAGMA table_info({table})")
        if row is None or f"`{column[1]}`" not in row[0]
    ]
    version = database.execute("PRAGMA user_version").fetchone()[0]
    database.close()
    assert tables
    assert missing == []
    assert f"format version {version} " in page


def test_differences_name_tests_that_exist() -> None:
    page = (DOCS / "differences.md").read_text("utf-8")
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    named = re.findall(r"`(test_[a-z0-9_]+)`", page)
    assert named
    assert [name for name in named if f"def {name}(" not in sources] == []
    cases = re.findall(r"cases? `([a-z0-9/*-]+)`", page)
    assert cases
    builds = {f"{path.parent.name}/{path.stem}" for path in (CASES / "build").glob("*/*.Dockerfile")}
    assert [case for case in cases if case not in builds and not any((CASES / "bake").glob(case))] == []
    paths = re.findall(r"`(tests/[a-z0-9_/.]+)`", page)
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_every_case_that_differs_is_listed() -> None:
    page = (DOCS / "differences.md").read_text("utf-8")
    differing = [path.parent for path in (CASES / "bake").rglob("difference*")]
    assert differing
    assert [case for case in differing if f"`{case.parent.name}/{case.name}`" not in page] == []
    builds = [
        path for path in (CASES / "build").glob("*/*.Dockerfile") if "#: differs " in path.read_text("utf-8")
    ]
    assert [path for path in builds if f"`{path.parent.name}/{path.stem}`" not in page] == []


@pytest.mark.parametrize("page", [page for page in PAGES if page.is_relative_to(DOCS)], ids=_id)
def test_lines_are_short(page: Path) -> None:
    """Tables and program output cannot be wrapped; everything else is."""
    text = _FENCE.sub("", page.read_text("utf-8"))
    assert [line for line in text.splitlines() if len(line) > 120 and not line.startswith("|")] == []


def test_every_page_is_in_the_index() -> None:
    """A page that no other page leads to is never read."""
    linked = set()
    for page in PAGES:
        for target in _LINK.findall(_FENCE.sub("", page.read_text("utf-8"))):
            path = target.partition("#")[0]
            if path and not re.match(r"[a-z]+:", path):
                linked.add((page.parent / path).resolve())
    fragments = set((DOCS / "changelog").glob("[0-9]*.md"))
    lost = [page for page in PAGES if page.is_relative_to(DOCS) and page not in linked | fragments]
    assert [_id(page) for page in lost if page != DOCS / "README.md"] == []


def test_changelog_fragments_follow_the_rules() -> None:
    fragments = sorted((DOCS / "changelog").glob("*.md"))
    numbers = []
    for fragment in fragments:
        if fragment.name == "README.md":
            continue
        named = re.fullmatch(r"([0-9]{4})-[a-z0-9]+(-[a-z0-9]+)*\.md", fragment.name)
        assert named is not None, f"{fragment.name}: expected NNNN-words-of-the-change.md"
        numbers.append(named[1])
        head, blank, *body = fragment.read_text("utf-8").splitlines()
        assert head in {f"kind: {kind}" for kind in _FRAGMENT_KINDS}, f"{fragment.name}: {head}"
        assert blank == ""
        assert body and body[0]
    assert numbers
    assert len(numbers) == len(set(numbers))


def test_decision_records_are_short_and_whole() -> None:
    records = sorted((DOCS / "decisions").glob("[0-9]*.md"))
    assert records
    numbers = [record.name.partition("-")[0] for record in records]
    assert len(numbers) == len(set(numbers))
    for record in records:
        text = record.read_text("utf-8")
        assert all(f"\n## {part}\n" in text for part in ("Context", "Decision", "Consequences")), record.name
        assert len(text.splitlines()) <= 40, record.name
