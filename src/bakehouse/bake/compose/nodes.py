"""The tree that a Compose file is while it is loaded: values that remember where they were written.

A node is a value: nothing changes one after the reader made it, so that trees share branches, and merging, extending
and including copy nothing. A place is kept as the reader's own marks and becomes a `SourceRange` only when asked for.
"""

from __future__ import annotations

from bakehouse.diagnostics import Position, SourceRange
from bakehouse.go.text import quote
from bakehouse.go.values import format_float

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Protocol, TypeAlias

    class Mark(Protocol):
        """A place of the YAML reader: line and column from 0, in characters."""

        line: int
        column: int

    Value: TypeAlias = "bool | int | float | str | Timestamp | list[Node] | dict[str, Node] | None"
    Path: TypeAlias = tuple[str, ...]


class Source:
    """A file as read: `name` as the user wrote it, for excerpts; `peer_name` as the peer's messages call it."""

    __slots__ = ("_lines", "_starts", "name", "peer_name", "text")

    def __init__(self, name: str, text: str, peer_name: str) -> None:
        self.name = name
        self.text = text
        self.peer_name = peer_name
        self._lines: list[str] = []
        self._starts: list[int] = []

    def range(self, start: Mark, end: Mark) -> SourceRange:
        """The range between two marks."""
        return SourceRange(self.name, self._position(start), self._position(end))

    def _position(self, mark: Mark) -> Position:
        if not self._starts:
            self._lines = self.text.split("\n")
            start = 0
            for line in self._lines:
                self._starts.append(start)
                start += len(line.encode("utf-8", "surrogateescape")) + 1
        # The end of a file can be a line beyond its last one.
        index = min(mark.line, len(self._lines) - 1)
        before = self._lines[index][: mark.column].encode("utf-8", "surrogateescape")
        return Position(mark.line + 1, mark.column + 1, self._starts[index] + len(before))


class Timestamp:
    """A YAML timestamp: year to second, nanoseconds, and the offset from UTC in minutes."""

    __slots__ = ("fields", "nanoseconds", "offset_min")

    def __init__(
        self, fields: tuple[int, int, int, int, int, int], nanoseconds: int, offset_min: int
    ) -> None:
        self.fields = fields
        self.nanoseconds = nanoseconds
        self.offset_min = offset_min

    def __str__(self) -> str:
        """The time as Go prints it: `2020-01-01 00:00:00 +0000 UTC`."""
        year, month, day, hour, minute, second = self.fields
        fraction = f".{self.nanoseconds:09d}".rstrip("0") if self.nanoseconds else ""
        sign, minutes = ("-" if self.offset_min < 0 else "+"), abs(self.offset_min)
        zone = f"{sign}{minutes // 60:02d}{minutes % 60:02d}"
        name = zone if self.offset_min else "UTC"
        return (
            f"{year:04d}-{month:02d}-{day:02d} {hour:02d}:{minute:02d}:{second:02d}{fraction} {zone} {name}"
        )

    def rfc3339(self) -> str:
        """The time as YAML writes it: `2020-01-01T00:00:00Z`."""
        date, clock, _, _ = str(self).split(" ")
        minutes = abs(self.offset_min)
        zone = f"{'-' if self.offset_min < 0 else '+'}{minutes // 60:02d}:{minutes % 60:02d}"
        return f"{date}T{clock}{zone if minutes else 'Z'}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Timestamp) and str(self) == str(other)

    __hash__ = None  # type: ignore[assignment]


class Node:
    """A value with its place: `start` and `end` are its own marks, `key_start` and `key_end` those of the key it
    stands under (None in lists and at the top). What was made rather than read has the place of what it was made of."""

    __slots__ = ("end", "key_end", "key_start", "source", "start", "value")

    def __init__(
        self,
        value: Value,
        source: Source,
        start: Mark,
        end: Mark,
        key_start: Mark | None = None,
        key_end: Mark | None = None,
    ) -> None:
        self.value = value
        self.source = source
        self.start = start
        self.end = end
        self.key_start = key_start
        self.key_end = key_end

    def like(self, value: Value) -> Node:
        """A node with another value at the same place."""
        return Node(value, self.source, self.start, self.end, self.key_start, self.key_end)

    @property
    def range(self) -> SourceRange:
        """Where the value stands; a mapping or list in block style is shown by its key."""
        if isinstance(self.value, (dict, list)) and self.key_start is not None and self.key_end is not None:
            return self.source.range(self.key_start, self.key_end)
        return self.source.range(self.start, self.end)

    @property
    def key_range(self) -> SourceRange:
        """Where its key stands; for a value without one, where it stands itself."""
        if self.key_start is None or self.key_end is None:
            return self.range
        return self.source.range(self.key_start, self.key_end)

    def get(self, key: str) -> Node | None:
        """The member `key` of a mapping; None without it and for anything else."""
        return self.value.get(key) if isinstance(self.value, dict) else None

    def __repr__(self) -> str:
        return f"Node({self.value!r})"


def mapping_of(node: Node | None) -> dict[str, Node]:
    """The members of a mapping; none for anything else."""
    return node.value if node is not None and isinstance(node.value, dict) else {}


def items_of(node: Node | None) -> list[Node]:
    """The elements of a list; none for anything else."""
    return node.value if node is not None and isinstance(node.value, list) else []


def type_name(value: Value) -> str:
    """What Go calls the type of a decoded value (`%T`)."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int" if value < 1 << 63 else "uint64"
    if isinstance(value, float):
        return "float64"
    if isinstance(value, str):
        return "string"
    if isinstance(value, Timestamp):
        return "time.Time"
    return "[]interface {}" if isinstance(value, list) else "map[string]interface {}"


def go_text(value: Value) -> str:
    """A value as Go prints it (`%v`)."""
    if isinstance(value, str):
        return value
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return format_float(value)
    if isinstance(value, list):
        return "[" + " ".join(go_text(item.value) for item in value) + "]"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{go_text(value[key].value)}" for key in sorted(value)) + "]"
    return str(value)


def go_string(value: Value) -> str:
    """A value that should have been text, as Go prints it under `%s`."""
    if isinstance(value, str):
        return value
    if isinstance(value, Timestamp):
        return str(value)
    if value is None:
        return "%!s(<nil>)"
    if isinstance(value, list):
        return "[" + " ".join(_go_member(item, go_string, "<nil>") for item in value) + "]"
    if isinstance(value, dict):
        members = (f"{key}:{_go_member(value[key], go_string, '<nil>')}" for key in sorted(value))
        return "map[" + " ".join(members) + "]"
    return f"%!s({type_name(value)}={go_text(value)})"


def _go_member(node: Node, write: Callable[[Value], str], nothing: str) -> str:
    """A member of a list or mapping; Go shows one that is nothing otherwise than it shows nothing itself."""
    return nothing if node.value is None else write(node.value)


def go_syntax(value: Value) -> str:
    """A value in Go's own syntax (`%#v`), as messages about keys show it."""
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, Timestamp):
        year, month, day, hour, minute, second = value.fields
        name = _MONTHS[month - 1]
        rest = f"{day}, {hour}, {minute}, {second}, {value.nanoseconds}, time.UTC"
        return f"time.Date({year}, time.{name}, {rest})"
    if isinstance(value, list):
        return "[]interface {}{" + ", ".join(_go_member(item, go_syntax, _NIL) for item in value) + "}"
    if isinstance(value, dict):
        inner = ", ".join(f"{quote(key)}:{_go_member(value[key], go_syntax, _NIL)}" for key in sorted(value))
        return "map[string]interface {}{" + inner + "}"
    if isinstance(value, int) and value >= 1 << 63:
        return f"{value:#x}"
    return go_text(value)


_NIL = "interface {}(nil)"
_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]


def dotted(path: Path) -> str:
    """A path as messages show it."""
    return ".".join(path)


class ComposeFailure(Exception):
    """Something in a Compose file is wrong. Never leaves the package: `loading` makes a `DiagnosticsError` of it.

    `message` is the peer's wording, `place` the node it is about (`at_key`: the node's key rather than its value),
    `hint` what to do, `code` the stable code.
    """

    def __init__(
        self,
        message: str,
        place: Node | SourceRange | None = None,
        *,
        at_key: bool = False,
        hint: str | None = None,
        code: str = "invalid-compose",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code
        self.ranges: list[SourceRange] = []
        if isinstance(place, Node):
            self.ranges.append(place.key_range if at_key else place.range)
        elif place is not None:
            self.ranges.append(place)


def joined(failures: Iterable[ComposeFailure]) -> ComposeFailure:
    """Several failures as one, whose message has a line or more for each."""
    found = list(failures)
    first = found[0]
    if len(found) == 1:
        return first
    out = ComposeFailure("\n".join(failure.message for failure in found), hint=first.hint, code=first.code)
    for failure in found:
        out.ranges += failure.ranges
    return out


def walk(node: Node) -> Iterator[Node]:
    """The node and everything below it."""
    yield node
    if isinstance(node.value, dict):
        for child in node.value.values():
            yield from walk(child)
    elif isinstance(node.value, list):
        for child in node.value:
            yield from walk(child)
