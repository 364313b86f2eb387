"""Command-line flags with the semantics of buildx's own parser (Go's pflag), declared as one table a command.

Why not argparse: scripts that call buildx rely on pflag's rules (`--x=false` for booleans, `-t a -ta`, flags and
arguments in any order, no abbreviations, its error texts), and building an argparse parser costs more than the whole of
a small `--print`. This module is on the start-up path: no imports but errors.
"""

from __future__ import annotations

from bakehouse.errors import DefinitionError, NotBuiltYetError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BOOL = "bool"
STRING = "string"
LIST = "list"
INT = "int"

_DEFAULT_COLUMNS = 100
#: A narrower column for explanations would be one word a line: they then stand below their flags.
_LEAST_HELP_COLUMNS = 30
_NARROW_INDENT = 10

_TRUE = {"1", "t", "T", "TRUE", "true", "True"}
_FALSE = {"0", "f", "F", "FALSE", "false", "False"}


class Flag:
    """One flag: `--name`, perhaps `-short`. `kind` is BOOL, STRING, INT or LIST (repeatable, values never split).

    `unbuilt` is the sentence that refuses the flag when its room does not exist yet; `accept` tells values that are
    harmless all the same (`--provenance=false`). `metavar` and `help` feed the help text. `split` marks a list whose
    values are split on commas (pflag's string slice). A flag with `writes` sets the flag of that name instead of
    itself, whichever comes last: a string to its own value, a boolean that is on to `value`.
    """

    __slots__ = (
        "accept",
        "default",
        "help",
        "hidden",
        "kind",
        "metavar",
        "name",
        "short",
        "split",
        "unbuilt",
        "value",
        "writes",
    )

    def __init__(
        self,
        name: str,
        kind: str = STRING,
        help: str = "",
        *,
        short: str = "",
        metavar: str = "",
        default: object = None,
        unbuilt: str = "",
        accept: Callable[[str], bool] | None = None,
        hidden: bool = False,
        split: bool = False,
        writes: str = "",
        value: str = "",
    ) -> None:
        self.name = name
        self.kind = kind
        self.help = help
        self.short = short
        self.metavar = metavar
        self.default = default
        self.unbuilt = unbuilt
        self.accept = accept
        self.hidden = hidden
        self.split = split
        self.writes = writes
        self.value = value


class Parsed:
    """The values of one command line. `values` has every flag (its default when not given, `[]` for a list); `given`
    names those that were there; `arguments` are the positional ones in order; `refused` is the error for the first flag
    whose room is not built, when `parse` was asked to put it off."""

    __slots__ = ("arguments", "given", "refused", "values")

    def __init__(self) -> None:
        self.refused: NotBuiltYetError | None = None
        self.values: dict[str, object] = {}
        self.given: set[str] = set()
        self.arguments: list[str] = []

    def text(self, name: str) -> str:
        value = self.values[name]
        return "" if value is None else str(value)

    def texts(self, name: str) -> list[str]:
        value = self.values[name]
        assert isinstance(value, list)
        return value

    def on(self, name: str) -> bool:
        return bool(self.values[name])

    def tristate(self, name: str) -> bool | None:
        """None when the flag was not given."""
        return bool(self.values[name]) if name in self.given else None

    def number(self, name: str) -> int:
        value = self.values[name]
        return value if isinstance(value, int) else 0


class HelpWanted(Exception):
    """`--help` or `-h` was given."""


class UsageError(DefinitionError):
    """The command line itself is wrong."""

    default_code = "usage"


def parse(flags: Sequence[Flag], argv: Sequence[str], *, refuse: bool = True) -> Parsed:
    """Reads `argv` (without the command's name). Raises `UsageError` in pflag's words, `NotBuiltYetError` for a flag
    whose room is not built (with `refuse` off the caller does that, by `Parsed.refused`), `HelpWanted`."""
    by_name = {flag.name: flag for flag in flags}
    by_short = {flag.short: flag for flag in flags if flag.short}
    parsed = Parsed()
    for flag in flags:
        parsed.values[flag.name] = [] if flag.kind == LIST else flag.default
    words = list(argv)
    while words:
        word = words.pop(0)
        if word == "--":
            parsed.arguments += words
            break
        if word.startswith("--"):
            name, separator, value = word[2:].partition("=")
            if name == "help":
                raise HelpWanted
            found = by_name.get(name)
            if found is None:
                raise UsageError(f"unknown flag: --{name}", hint=_suggest(name, by_name))
            _take(parsed, found, value if separator else None, words, f"--{name}")
        elif word.startswith("-") and word != "-":
            _take_shorts(parsed, by_short, word, words)
        else:
            parsed.arguments.append(word)
    if refuse and parsed.refused is not None:
        raise parsed.refused
    return parsed


def _take_shorts(parsed: Parsed, by_short: dict[str, Flag], word: str, words: list[str]) -> None:
    rest = word[1:]
    while rest:
        letter, rest = rest[0], rest[1:]
        if letter == "h" and "h" not in by_short:
            raise HelpWanted
        flag = by_short.get(letter)
        if flag is None:
            raise UsageError(f"unknown shorthand flag: '{letter}' in {word}")
        if flag.kind == BOOL and not (len(rest) > 1 and rest.startswith("=")):
            _take(parsed, flag, None, words, f"-{letter}")
            continue
        # pflag's rule: `-t=` is the value `=`, `-t=x` the value `x`.
        value = rest[1:] if len(rest) > 1 and rest.startswith("=") else rest
        _take(parsed, flag, value or None, words, f"'{letter}' in {word}")
        return


def _take(parsed: Parsed, flag: Flag, value: str | None, words: list[str], spelled: str) -> None:
    if value is None:
        if flag.kind == BOOL:
            value = "true"
        elif words:
            value = words.pop(0)
        else:
            raise UsageError(f"flag needs an argument: {spelled}")
    if flag.unbuilt and parsed.refused is None and not (flag.accept is not None and flag.accept(value)):
        parsed.refused = NotBuiltYetError(f"--{flag.name} is not supported yet: {flag.unbuilt}")
    parsed.given.add(flag.name)
    if flag.kind == BOOL:
        parsed.values[flag.name] = _boolean(flag, value)
    elif flag.kind == INT:
        parsed.values[flag.name] = _integer(flag, value)
    elif flag.kind == LIST:
        values = parsed.values[flag.name]
        assert isinstance(values, list)
        values += value.split(",") if flag.split else [value]
    else:
        parsed.values[flag.writes or flag.name] = value
    if flag.kind == BOOL and flag.writes and parsed.values[flag.name]:
        parsed.values[flag.writes] = flag.value


def _boolean(flag: Flag, value: str) -> bool:
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise UsageError(
        f'invalid argument "{value}" for "{_spelling(flag)}" flag: '
        f'strconv.ParseBool: parsing "{value}": invalid syntax'
    )


def _integer(flag: Flag, value: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise UsageError(
            f'invalid argument "{value}" for "{_spelling(flag)}" flag: '
            f'strconv.ParseInt: parsing "{value}": invalid syntax'
        ) from None


def _spelling(flag: Flag) -> str:
    return f"-{flag.short}, --{flag.name}" if flag.short else f"--{flag.name}"


def _suggest(name: str, known: dict[str, Flag]) -> str | None:
    import difflib

    close = difflib.get_close_matches(name, [n for n, flag in known.items() if not flag.hidden], 1)
    return f"did you mean --{close[0]}?" if close else None


def is_false(text: str) -> bool:
    """Whether a boolean's text says no, as Go reads one."""
    return text in _FALSE


def render_help(usage: str, summary: str, flags: Sequence[Flag], columns: int | None = None) -> str:
    """The help text of a command: usage line, one sentence, and a table of flags wrapped to `columns` (None: the
    terminal's own)."""
    import textwrap

    columns = columns or terminal_columns()
    rows = []
    for flag in sorted((flag for flag in flags if not flag.hidden), key=lambda flag: flag.name):
        head = f"  -{flag.short}, --{flag.name}" if flag.short else f"      --{flag.name}"
        kind = flag.metavar or {STRING: "string", LIST: "stringArray", INT: "int", BOOL: ""}[flag.kind]
        rows.append((f"{head} {kind}".rstrip(), flag.help + (" (not supported yet)" if flag.unbuilt else "")))
    width = max((len(head) for head, _ in rows), default=0) + 3
    lines = [f"Usage:  {usage}", "", *textwrap.wrap(summary, columns), ""]
    if rows:
        lines.append("Options:")
    narrow = columns - width < _LEAST_HELP_COLUMNS
    indent = _NARROW_INDENT if narrow else width
    for head, text in rows:
        wrapped = textwrap.wrap(text, max(_LEAST_HELP_COLUMNS, columns - indent)) or [""]
        if narrow:
            lines += [head, *(" " * indent + line for line in wrapped)]
        else:
            lines.append(f"{head:<{width}}{wrapped[0]}".rstrip())
            lines += [" " * width + more for more in wrapped[1:]]
    return "\n".join(lines) + "\n"


def terminal_columns() -> int:
    """The width of the terminal behind standard output; 100 when it is none."""
    import os

    try:
        return os.get_terminal_size(1).columns or _DEFAULT_COLUMNS
    except OSError:
        return _DEFAULT_COLUMNS
