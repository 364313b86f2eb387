"""The function library: the 106 functions of Bake's HCL, a module a group, loaded when one of the group is
first called.

Semantics and wording follow go-cty 1.17 `function/stdlib`, hashicorp/go-cty-funcs and buildx's own additions.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bakehouse.hcl.function import Function

#: Names by the module that holds them.
FUNCTION_GROUPS = {
    "collection": (
        "chunklist coalescelist compact concat contains distinct element flatten hasindex index indexof keys length "
        "lookup merge range reverselist slice values zipmap"
    ),
    "digests": "bcrypt md5 rsadecrypt sha1 sha256 sha512 uuidv4 uuidv5",
    "encoding": "base64decode base64encode byteslen bytesslice csvdecode jsondecode jsonencode urlencode",
    "formatting": "format formatlist",
    "logic": "and coalesce equal not notequal or",
    "network": "cidrhost cidrnetmask cidrsubnet cidrsubnets",
    "number": (
        "absolute add ceil divide floor greaterthan greaterthanorequalto int lessthan lessthanorequalto log max min "
        "modulo multiply negate parseint pow signum subtract"
    ),
    "paths": "basename dirname homedir sanitize semvercmp",
    "regexes": "regex regex_replace regexall",
    "sets": "sethaselement setintersection setproduct setsubtract setsymmetricdifference setunion",
    "speculation": "can convert try",
    "text": (
        "chomp indent join lower replace reverse sort split strlen substr title trim trimprefix trimspace trimsuffix "
        "upper"
    ),
    "times": "formatdate formattimestamp timeadd timestamp unixtimestampparse",
}


def _load(group: str) -> Mapping[str, Function]:
    from importlib import import_module

    functions: Mapping[str, Function] = import_module(f"bakehouse.hcl.functions.{group}").FUNCTIONS
    return functions


def operator_function(name: str) -> Function:
    """The function behind an operator (`add`, `equal`, …)."""
    if name in ("and", "or", "not", "equal", "notequal"):
        from bakehouse.hcl.functions import logic

        return logic.FUNCTIONS[name]
    from bakehouse.hcl.functions import number

    return number.FUNCTIONS[name]


class Library:
    """A read-only mapping of function names to functions that loads groups on demand."""

    __slots__ = ("_groups", "_home_directory", "_loaded", "_now")

    def __init__(
        self, home_directory: Callable[[], str] | None = None, now: Callable[[], float] | None = None
    ) -> None:
        self._groups = {name: group for group, names in FUNCTION_GROUPS.items() for name in names.split()}
        self._loaded: dict[str, Function] = {}
        self._home_directory = home_directory
        self._now = now

    def __contains__(self, name: object) -> bool:
        return name in self._groups

    def __iter__(self) -> Iterator[str]:
        return iter(self._groups)

    def __len__(self) -> int:
        return len(self._groups)

    def __getitem__(self, name: str) -> Function:
        function = self._loaded.get(name)
        if function is None:
            function = self._loaded[name] = self._make(name)
        return function

    def get(self, name: str, default: Function | None = None) -> Function | None:
        return self[name] if name in self._groups else default

    def keys(self) -> list[str]:
        return list(self._groups)

    def values(self) -> list[Function]:
        return [self[name] for name in self._groups]

    def items(self) -> list[tuple[str, Function]]:
        return [(name, self[name]) for name in self._groups]

    def _make(self, name: str) -> Function:
        group = self._groups[name]
        if name == "homedir":
            from bakehouse.hcl.functions.paths import homedir

            return homedir(self._home_directory)
        if name == "timestamp":
            from bakehouse.hcl.functions.times import timestamp

            return timestamp(self._now)
        return _load(group)[name]


def stdlib(
    *, home_directory: Callable[[], str] | None = None, now: Callable[[], float] | None = None
) -> Mapping[str, Function]:
    """All functions. `home_directory` answers `homedir()` and `now` (seconds since 1970) `timestamp()`;
    without them these two functions fail when called."""
    return Library(home_directory, now)  # type: ignore[return-value]
