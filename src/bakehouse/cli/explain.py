"""`bakehouse explain`: where each value of a target comes from, as a tree or as JSON."""

from __future__ import annotations

import json
import os
import sys

from bakehouse.cli import options
from bakehouse.cli.flags import LIST, Flag, UsageError, parse, render_help
from bakehouse.cli.stdout import can_show, show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bakehouse.bake.explain.answers import Answer, Named
    from bakehouse.bake.explain.names import Origin
    from bakehouse.bake.explain.provenance import Explained
    from bakehouse.cli.flags import Parsed
    from bakehouse.diagnostics import SourceRange

FLAGS = (
    Flag("file", LIST, "Build definition file", short="f"),
    Flag("set", LIST, 'Override target values ("targetpattern.key=value")'),
    Flag("var", LIST, 'Set a variable value ("name=value")'),
    Flag("format", help='"text" or "json"', default="text"),
    options.NO_CACHE,
    options.PULL,
    options.PUSH,
    options.LOAD,
    options.PROVENANCE,
    options.SBOM,
    options.CALL,
    options.CHECK,
    options.POLICY,
)

_BOLD = "\x1b[1m"
_FAINT = "\x1b[2m"
_RESET = "\x1b[0m"
#: Below this a tree of many levels would be one word a line.
_LEAST_TEXT_COLUMNS = 24
#: What leads to a branch, to the last one, and what passes by.
_LINES = ("├─ ", "└─ ", "│  ")
_PLAIN_LINES = ("|- ", "`- ", "|  ")


def help_text() -> str:
    return render_help(
        "bakehouse explain [OPTIONS] [TARGET[.FIELD[.KEY]]]",
        "Show where the values of a target come from.",
        FLAGS,
    )


def command(argv: Sequence[str], *, debug: bool = False) -> int:
    # As with --print, flags whose rooms are missing still show in what they do to the definition.
    parsed = parse(FLAGS, argv, refuse=False)
    if parsed.text("format") not in ("text", "json"):
        raise UsageError(f"unknown format {parsed.text('format')!r}", hint="text or json")
    if len(parsed.arguments) > 1:
        raise UsageError("`bakehouse explain` takes one target, field or member at a time")
    answer = _answer(parsed)
    if parsed.text("format") == "json":
        show(json.dumps(answer.as_json(), indent=2, ensure_ascii=not can_show("…")) + "\n")
        return 0
    terminal = sys.stdout.isatty()
    columns = os.get_terminal_size(1).columns if terminal else 0
    colours = terminal and not os.environ.get("NO_COLOR")
    marks = _LINES if can_show("".join(_LINES)) else _PLAIN_LINES
    show(render(answer, columns, colours=colours, marks=marks))
    return 0


def _answer(parsed: Parsed) -> Answer:
    from bakehouse.bake import (
        Explainer,
        LoadOptions,
        Recorder,
        flag_of_override,
        flag_overrides,
        load,
        parse_address,
        parse_call,
        parse_vars,
    )

    address = parse_address(parsed.arguments[0]) if parsed.arguments else None
    sets = parsed.texts("set")
    extra, disable_policies = flag_overrides(
        push=parsed.on("push"),
        load=parsed.on("load"),
        call=parse_call("check" if parsed.on("check") else parsed.text("call")),
        no_cache=parsed.tristate("no-cache"),
        pull=parsed.tristate("pull"),
        sbom=parsed.text("sbom"),
        provenance=parsed.text("provenance"),
        policies=parsed.texts("policy"),
    )
    record = Recorder()
    definition = load(
        LoadOptions(
            cwd=os.getcwd(),
            environ=os.environ,
            files=parsed.texts("file"),
            variables=parse_vars(parsed.texts("var")),
            stdin=lambda: sys.stdin.buffer.read(),
            stdout_is_terminal=sys.stdout.isatty(),
            recorder=record,
        )
    )
    flags = {len(sets) + number: flag_of_override(text) for number, text in enumerate(extra)}
    explainer = Explainer(definition, record, [*sets, *extra], disable_policies=disable_policies, flags=flags)
    return explainer.answer(address)


def render(
    answer: Answer, columns: int = 0, *, colours: bool = False, marks: tuple[str, str, str] = _LINES
) -> str:
    """The answer as text, wrapped to `columns` (0: not at all), with its final newline."""
    tree = _Tree(columns, colours, marks)
    if answer.target:
        below = [_field_lines(field) for field in answer.fields]
        tree.add(_Branch(f"target {answer.target}", "", _where(answer.place), below))
    else:
        for title, named in (("groups", answer.groups), ("targets", answer.targets)):
            if named:
                tree.add(_Branch(title, "", "", [_named_lines(each) for each in named]))
        if not answer.groups and not answer.targets:
            tree.add(_Branch("no targets", "", "", []))
    return "".join(f"{line}\n" for line in tree.lines)


class _Branch:
    """A line of the tree with what hangs below it. `head` is set off from `text`, `place` stands last."""

    __slots__ = ("below", "head", "place", "text")

    def __init__(self, head: str, text: str, place: str, below: list[_Branch]) -> None:
        self.head = head
        self.text = text
        self.place = place
        self.below = below


def _named_lines(named: Named) -> _Branch:
    head = named.name
    text = named.description
    if named.members is not None:
        listed = ", ".join(named.members) or "nothing"
        text = f"{text} ({listed})" if text else listed
    return _Branch(head, text, _where(named.place), [])


def _field_lines(field: Explained) -> _Branch:
    label = str(field.label)
    notes = [_Branch("", note, "", []) for note in field.notes]
    if field.members:
        return _Branch(label, "", "", [*map(_value_lines, field.members), *notes])
    branch = _value_lines(field)
    branch.below += notes
    return branch


def _value_lines(value: Explained) -> _Branch:
    """One value with its origins, and those that it took the place of."""
    below = _origin_lines(value.origins)
    for old in value.replaced:
        below.append(_Branch("", f"instead of {_json(old.value)}", "", _origin_lines(old.origins)))
    return _Branch(str(value.label), "not set" if value.value is None else _json(value.value), "", below)


def _origin_lines(origins: Sequence[Origin]) -> list[_Branch]:
    from bakehouse.bake.explain.names import NOTHING

    out = []
    for origin in origins:
        text = origin.text
        if origin.value is not NOTHING:
            text = f"{text} = {_json(origin.value)}"
        out.append(_Branch("", text, _where(origin.place), _origin_lines(origin.causes)))
    return out


def _where(place: SourceRange | None) -> str:
    return "" if place is None else f"{place.filename}:{place}"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


class _Tree:
    """Collects lines. Every text of a definition is made safe for a terminal."""

    def __init__(self, columns: int, colours: bool, marks: tuple[str, str, str]) -> None:
        self.lines: list[str] = []
        self._branch, self._last, self._passing = marks
        self._columns = columns
        self._colours = colours

    def add(self, branch: _Branch, first: str = "", following: str = "") -> None:
        """A branch whose first line is indented by `first`; what is below it by `following` and its own marks."""
        rest = following + (self._passing if branch.below else "   ")
        words = [(word, _BOLD) for word in _words(branch.head)]
        words += [(word, "") for word in _words(branch.text)]
        words += [(word, _FAINT) for word in _words(f"({branch.place})" if branch.place else "")]
        width = max(self._columns - len(rest), _LEAST_TEXT_COLUMNS) if self._columns else 0
        for number, line in enumerate(_wrapped(words, width)):
            painted = " ".join(self._painted(word, style) for word, style in line)
            self.lines.append((rest if number else first) + painted)
        for number, inner in enumerate(branch.below):
            if number == len(branch.below) - 1:
                self.add(inner, following + self._last, following + "   ")
            else:
                self.add(inner, following + self._branch, following + self._passing)

    def _painted(self, word: str, style: str) -> str:
        return f"{style}{word}{_RESET}" if style and self._colours else word


def _words(text: str) -> Iterator[str]:
    from bakehouse.progress.ansi import sanitized

    yield from sanitized(text).split(" ") if text else ()


def _wrapped(words: Sequence[tuple[str, str]], width: int) -> Iterator[list[tuple[str, str]]]:
    """Words filled into lines of `width` cells (0: one line); a word that is wider is cut into pieces."""
    from bakehouse.progress import ansi

    line: list[tuple[str, str]] = []
    used = 0
    for word, style in words:
        while True:
            size = ansi.width(word)
            if not width or used + bool(line) + size <= width:
                used += size + bool(line)
                line.append((word, style))
                break
            if line:
                yield line
                line, used = [], 0
                continue
            piece = ansi.truncated(word, width)
            yield [(piece, style)]
            word = word[len(piece) :]
    if line:
        yield line
