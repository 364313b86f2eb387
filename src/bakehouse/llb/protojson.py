"""Encoded LLB messages as JSON, in the two forms that BuildKit writes: protobuf's own mapping (64-bit numbers as text,
enums by name, bytes as base64), and that of Go's `encoding/json` (plain numbers), which provenance has.

A message is a table of its fields in their order; what the table does not know is left out. Reading only.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from bakehouse.llb.decode import Fields
from bakehouse.values import dataclass

_SIGN = 1 << 63


@dataclass(frozen=True, slots=True)
class _Field:
    """One field. `kind` is `text`, `bytes`, `int` (32 bits), `long` (64 bits), `bool`, a tuple of enum names, or the
    name of a message; a `map` has text keys and values of `kind`."""

    number: int
    name: str
    kind: str | tuple[str, ...] = "text"
    repeated: bool = False
    map: bool = False


def _fields(*rows: tuple[Any, ...]) -> tuple[_Field, ...]:
    return tuple(_Field(*row) for row in rows)


_OWNER_AND_TIME = (("owner", "ChownOpt"), ("timestamp", "long"))
_SECRET = _fields(
    (1, "ID"), (2, "uid", "int"), (3, "gid", "int"), (4, "mode", "int"), (5, "optional", "bool")
)
_INPUT = _fields((1, "input", "long"))

_MESSAGES: Mapping[str, tuple[_Field, ...]] = {
    "Op": _fields(
        (1, "inputs", "Input", True),
        (2, "exec", "ExecOp"),
        (3, "source", "SourceOp"),
        (4, "file", "FileOp"),
        (6, "merge", "MergeOp"),
        (7, "diff", "DiffOp"),
        (10, "platform", "Platform"),
        (11, "constraints", "WorkerConstraints"),
    ),
    "Platform": _fields(
        (1, "Architecture"), (2, "OS"), (3, "Variant"), (4, "OSVersion"), (5, "OSFeatures", "text", True)
    ),
    "Input": _fields((1, "digest"), (2, "index", "long")),
    "WorkerConstraints": _fields((1, "filter", "text", True)),
    "SourceOp": _fields((1, "identifier"), (2, "attrs", "text", False, True)),
    "ExecOp": _fields(
        (1, "meta", "Meta"),
        (2, "mounts", "Mount", True),
        (3, "network", ("UNSET", "HOST", "NONE")),
        (4, "security", ("SANDBOX", "INSECURE")),
        (5, "secretenv", "SecretEnv", True),
        (6, "cdiDevices", "CDIDevice", True),
    ),
    "Meta": _fields(
        (1, "args", "text", True),
        (2, "env", "text", True),
        (3, "cwd"),
        (4, "user"),
        (5, "proxyEnv", "ProxyEnv"),
        (6, "extraHosts", "HostIP", True),
        (7, "hostname"),
        (9, "ulimit", "Ulimit", True),
        (10, "cgroupParent"),
        (11, "removeMountStubsRecursive", "bool"),
        (12, "validExitCodes", "numbers"),
    ),
    "ProxyEnv": _fields(
        (1, "httpProxy"), (2, "httpsProxy"), (3, "ftpProxy"), (4, "noProxy"), (5, "allProxy")
    ),
    "HostIP": _fields((1, "Host"), (2, "IP")),
    "Ulimit": _fields((1, "Name"), (2, "Soft", "long"), (3, "Hard", "long")),
    "SecretEnv": _fields((1, "ID"), (2, "name"), (3, "optional", "bool")),
    "CDIDevice": _fields((1, "name"), (2, "optional", "bool")),
    "Mount": _fields(
        (1, "input", "long"),
        (2, "selector"),
        (3, "dest"),
        (4, "output", "long"),
        (5, "readonly", "bool"),
        (6, "mountType", ("BIND", "SECRET", "SSH", "CACHE", "TMPFS")),
        (19, "TmpfsOpt", "TmpfsOpt"),
        (20, "cacheOpt", "CacheOpt"),
        (21, "secretOpt", "SecretOpt"),
        (22, "SSHOpt", "SecretOpt"),
        (23, "resultID"),
        (24, "contentCache", ("DEFAULT", "ON", "OFF")),
    ),
    "TmpfsOpt": _fields((1, "size", "long")),
    "CacheOpt": _fields((1, "ID"), (2, "sharing", ("SHARED", "PRIVATE", "LOCKED"))),
    "SecretOpt": _SECRET,
    "FileOp": _fields((2, "actions", "FileAction", True)),
    "FileAction": _fields(
        (1, "input", "long"),
        (2, "secondaryInput", "long"),
        (3, "output", "long"),
        (4, "copy", "FileActionCopy"),
        (5, "mkfile", "FileActionMkFile"),
        (6, "mkdir", "FileActionMkDir"),
        (7, "rm", "FileActionRm"),
        (8, "symlink", "FileActionSymlink"),
    ),
    "FileActionCopy": _fields(
        (1, "src"),
        (2, "dest"),
        (3, "owner", "ChownOpt"),
        (4, "mode", "int"),
        (5, "followSymlink", "bool"),
        (6, "dirCopyContents", "bool"),
        (7, "attemptUnpackDockerCompatibility", "bool"),
        (8, "createDestPath", "bool"),
        (9, "allowWildcard", "bool"),
        (10, "allowEmptyWildcard", "bool"),
        (11, "timestamp", "long"),
        (12, "includePatterns", "text", True),
        (13, "excludePatterns", "text", True),
        (14, "alwaysReplaceExistingDestPaths", "bool"),
        (15, "modeStr"),
        (16, "requiredPaths", "text", True),
    ),
    "FileActionMkFile": _fields(
        (1, "path"),
        (2, "mode", "int"),
        (3, "data", "bytes"),
        (4, *_OWNER_AND_TIME[0]),
        (5, *_OWNER_AND_TIME[1]),
    ),
    "FileActionMkDir": _fields(
        (1, "path"),
        (2, "mode", "int"),
        (3, "makeParents", "bool"),
        (4, *_OWNER_AND_TIME[0]),
        (5, *_OWNER_AND_TIME[1]),
    ),
    "FileActionRm": _fields((1, "path"), (2, "allowNotFound", "bool"), (3, "allowWildcard", "bool")),
    "FileActionSymlink": _fields(
        (1, "oldpath"), (2, "newpath"), (3, *_OWNER_AND_TIME[0]), (4, *_OWNER_AND_TIME[1])
    ),
    "ChownOpt": _fields((1, "user", "UserOpt"), (2, "group", "UserOpt")),
    "UserOpt": _fields((1, "byName", "NamedUserOpt"), (2, "byID", "int")),
    "NamedUserOpt": _fields((1, "name"), (2, "input", "long")),
    "MergeOp": _fields((1, "inputs", "MergeInput", True)),
    "MergeInput": _INPUT,
    "DiffOp": _fields((1, "lower", "DiffInput"), (2, "upper", "DiffInput")),
    "DiffInput": _INPUT,
    "Definition": _fields(
        (1, "def", "bytes", True), (2, "metadata", "OpMetadata", False, True), (3, "Source", "Source")
    ),
    "OpMetadata": _fields(
        (1, "ignoreCache", "bool"),
        (2, "description", "text", False, True),
        (4, "exportCache", "ExportCache"),
        (5, "caps", "bool", False, True),
        (6, "progressGroup", "ProgressGroup"),
    ),
    "ExportCache": _fields((1, "Value", "bool")),
    "ProgressGroup": _fields((1, "id"), (2, "name"), (3, "weak", "bool")),
    "Source": _fields((1, "locations", "Locations", False, True), (2, "infos", "SourceInfo", True)),
    "Locations": _fields((1, "locations", "Location", True)),
    "Location": _fields((1, "sourceIndex", "int"), (2, "ranges", "Range", True)),
    "Range": _fields((1, "start", "Position"), (2, "end", "Position")),
    "Position": _fields((1, "line", "int"), (2, "character", "int")),
    "SourceInfo": _fields(
        (1, "filename"), (2, "data", "bytes"), (3, "definition", "Definition"), (4, "language")
    ),
}


def message_as_json(kind: str, data: bytes) -> dict[str, Any]:
    """The message `data` of the type `kind` (`Op`, `Source`, `Definition`, …) as `go.jsontext` takes it. Raises
    `IntegrityError` when it is no message."""
    return _message(kind, data, in_go=False)


def message_in_go(kind: str, data: bytes) -> dict[str, Any]:
    """As `message_as_json`, in the form of Go's `encoding/json`."""
    return _message(kind, data, in_go=True)


#: Go goes by the names of the protocol file, which are not all in one style.
_GO_NAMES = {
    "proxyEnv": "proxy_env",
    "httpProxy": "http_proxy",
    "httpsProxy": "https_proxy",
    "ftpProxy": "ftp_proxy",
    "noProxy": "no_proxy",
    "allProxy": "all_proxy",
    "includePatterns": "include_patterns",
    "excludePatterns": "exclude_patterns",
    "requiredPaths": "required_paths",
    "byID": "byId",
}
#: Messages of which one member counts, and what Go calls that member. What stands beside it is always written.
_GO_UNIONS: Mapping[str, tuple[str, frozenset[str]]] = {
    "Op": ("Op", frozenset({"exec", "source", "file", "merge", "diff"})),
    # Go's writer knows no symlinks: nothing of them is in provenance.
    "FileAction": ("Action", frozenset({"copy", "mkfile", "mkdir", "rm", "symlink"})),
    "UserOpt": ("User", frozenset({"byName", "byId"})),
}


def _message(kind: str, data: bytes, *, in_go: bool) -> dict[str, Any]:
    message = Fields(data)
    out: dict[str, Any] = {}
    for field in _MESSAGES[kind]:
        values = message.all(field.number)
        if not values:
            continue
        name = _GO_NAMES.get(field.name, field.name) if in_go else field.name
        if field.kind == "numbers":
            out[name] = list(message.numbers(field.number))
        elif field.map:
            out[name] = _map(field, values, in_go)
        elif field.repeated:
            out[name] = [_value(field.kind, value, in_go) for value in values]
        else:
            out[name] = _value(field.kind, values[-1], in_go)
    return _in_unions(kind, out) if in_go and kind in _GO_UNIONS else out


def _in_unions(kind: str, members: dict[str, Any]) -> dict[str, Any]:
    """`members` of a message with a union as Go's own code for that message writes them."""
    name, choices = _GO_UNIONS[kind]
    chosen = {
        key: value for key, value in members.items() if key in choices and key != "symlink" and value != 0
    }
    rest = {key: value for key, value in members.items() if key not in choices}
    if kind == "FileAction":
        numbers = {key: rest.get(key, 0) for key in ("input", "secondaryInput", "output")}
        return {**numbers, name: chosen}
    inputs = {"inputs": rest.pop("inputs")} if "inputs" in rest else {}
    return {**inputs, name: chosen, **rest}


def _map(field: _Field, entries: list[int | bytes], in_go: bool) -> dict[str, Any]:
    pairs = {}
    for entry in entries:
        assert isinstance(entry, bytes)
        members = Fields(entry)
        values = members.all(2)
        value = _value(field.kind, values[-1], in_go) if values else _DEFAULTS.get(field.kind, {})
        pairs[members.text(1)] = value
    return {key: pairs[key] for key in sorted(pairs)}


_DEFAULTS: Mapping[object, object] = {"text": "", "bool": False}


def _value(kind: str | tuple[str, ...], value: int | bytes, in_go: bool) -> Any:
    if isinstance(value, int):
        signed = value - (_SIGN << 1) if value & _SIGN else value
        if kind == "bool":
            return bool(signed)
        if isinstance(kind, tuple) and not in_go:
            return kind[signed] if signed < len(kind) else signed
        return str(signed) if kind == "long" and not in_go else signed
    if kind == "text":
        return value.decode("utf-8")
    if kind == "bytes":
        return base64.b64encode(value).decode("ascii")
    return _message(str(kind), value, in_go=in_go)
