"""`RUN --mount=…` and `RUN --device=…`: comma-separated options to typed values (dockerfile.md §8.2, §8.3).

Which default a missing option gets when the step is made (cache ids, secret paths) is the lowering's
business.
"""

from __future__ import annotations

from collections.abc import Callable

from bakehouse.dockerfile.positions import DockerfileError
from bakehouse.dockerfile.suggestions import did_you_mean
from bakehouse.go.csvline import split_csv
from bakehouse.go.text import lower, quote
from bakehouse.go.units import parse_ram_bytes
from bakehouse.go.values import parse_bool, parse_uint
from bakehouse.values import dataclass, replace

BIND = "bind"
CACHE = "cache"
TMPFS = "tmpfs"
SECRET = "secret"
SSH = "ssh"

SHARED = "shared"
PRIVATE = "private"
LOCKED = "locked"

_TYPES = (BIND, CACHE, SECRET, SSH, TMPFS)
_SHARING = (LOCKED, PRIVATE, SHARED)
_KEYS = (
    "type",
    "from",
    "source",
    "target",
    "readonly",
    "id",
    "sharing",
    "required",
    "size",
    "mode",
    "uid",
    "gid",
    "src",
    "dst",
    "destination",
    "ro",
    "rw",
    "readwrite",
    "env",
)
_ALIASES = {"src": "source", "dst": "target", "destination": "target"}
_OWNED_TYPES = (SECRET, SSH, CACHE)


@dataclass(frozen=True, slots=True)
class Mount:
    """One `--mount`. `env` is None when the key was not given; `mode`, `uid`, `gid` are None when not given;
    `size_limit` is bytes, 0 for none; `cache_sharing` is empty when not given."""

    type: str = BIND
    from_: str = ""
    source: str = ""
    target: str = ""
    read_only: bool = False
    size_limit: int = 0
    cache_id: str = ""
    cache_sharing: str = ""
    required: bool = False
    env: str | None = None
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """One `--device`: a CDI device name."""

    name: str
    required: bool = False


def parse_mount(text: str, expander: Callable[[str], str] | None) -> Mount:
    """Reads the value of one `--mount` flag; `expander` expands every value.

    Without an expander only `from` is read, which may not hold variables: that is all that is known before
    the environment is. Raises `DockerfileError`.
    """
    fields = _fields(text, "mounts")
    if expander is None:
        return _early_mount(fields)
    mount = Mount()
    read_only: bool | None = None
    for field in fields:
        key, separator, value = field.partition("=")
        key = lower(key)
        if key in ("readonly", "ro", "readwrite", "rw"):
            flag = _bool(key, expander(value)) if separator else True
            read_only = flag if key in ("readonly", "ro") else not flag
        elif separator:
            mount = _with_option(mount, key, expander(value), field)
        elif key == "required":
            _require_type(mount, key, (SECRET, SSH))
            mount = replace(mount, required=True)
        else:
            raise _error(f"invalid field '{field}' must be a key=value pair")
    if read_only is None:
        read_only = mount.type not in (CACHE, TMPFS)
    mount = replace(mount, read_only=read_only)
    _validate(mount)
    return mount


def _early_mount(fields: list[str]) -> Mount:
    mount = Mount(read_only=True)
    for field in fields:
        key, separator, value = field.partition("=")
        if separator and lower(key) == "from":
            dollar = value.find("$")
            if dollar not in (-1, len(value) - 1):
                raise _error(
                    f"'{lower(key)}' doesn't support variable expansion, define alias stage instead",
                    code="mount-from-variable",
                )
            mount = replace(mount, from_=value)
    return mount


def _with_option(mount: Mount, key: str, value: str, field: str) -> Mount:
    match _ALIASES.get(key, key):
        case "type":
            kind = lower(value)
            if kind not in _TYPES:
                raise _error(did_you_mean(f"unsupported mount type {quote(value)}", value, _TYPES))
            return replace(mount, type=kind)
        case "from":
            return replace(mount, from_=value)
        case "source":
            return replace(mount, source=value)
        case "target":
            return replace(mount, target=value)
        case "required":
            _require_type(mount, key, (SECRET, SSH))
            return replace(mount, required=_bool(key, value))
        case "size":
            _require_type(mount, key, (TMPFS,))
            return replace(mount, size_limit=_size(key, value))
        case "id":
            return replace(mount, cache_id=value)
        case "sharing":
            sharing = lower(value)
            if sharing not in _SHARING:
                raise _error(did_you_mean(f"unsupported sharing value {quote(value)}", value, _SHARING))
            return replace(mount, cache_sharing=sharing)
        case "mode":
            return replace(mount, mode=_number(key, value, 8))
        case "uid":
            return replace(mount, uid=_number(key, value, 10))
        case "gid":
            return replace(mount, gid=_number(key, value, 10))
        case "env":
            return replace(mount, env=value)
    raise _error(did_you_mean(f"unexpected key '{key}' in '{field}'", key, _KEYS))


def _validate(mount: Mount) -> None:
    if mount.type not in _OWNED_TYPES:
        for name, value in (("mode", mount.mode), ("uid", mount.uid), ("gid", mount.gid)):
            if value is not None:
                raise _error(f"{name} not allowed for {quote(mount.type)} type mounts")
    if mount.type == SECRET:
        if mount.from_:
            raise _error("secret mount should not have a from")
        if mount.cache_sharing:
            raise _error("secret mount should not define sharing")
        if not (mount.source or mount.target or mount.cache_id):
            raise _error("invalid secret mount. one of source, target required")
        if mount.source and mount.cache_id:
            raise _error("both source and id can't be set")
    if mount.cache_sharing and mount.type != CACHE:
        raise _error(f"invalid cache sharing set for {mount.type} mount")


def parse_device(text: str) -> Device:
    """Reads the value of one `--device` flag: `name[,required]`. Raises `DockerfileError`."""
    device = Device("")
    for field in _fields(text, "devices"):
        key, separator, value = field.partition("=")
        key = lower(key)
        if key == "required":
            device = replace(device, required=_bool(key, value) if separator else True)
        elif key == "name" and separator:
            if device.name:
                raise _error(f"device name already set to {device.name}")
            device = replace(device, name=value)
        elif not device.name:
            device = replace(device, name=field)
        elif not separator:
            raise _error(f"invalid field '{field}' must be a key=value pair")
        else:
            raise _error(did_you_mean(f"unexpected key '{key}' in '{field}'", key, ("name", "required")))
    return device


def _fields(text: str, what: str) -> list[str]:
    try:
        return split_csv(text)
    except ValueError as error:
        raise _error(f"failed to parse csv {what}: {error}") from None


def _require_type(mount: Mount, key: str, types: tuple[str, ...]) -> None:
    """Type-dependent options must come after `type`."""
    if mount.type not in types:
        raise _error(f"unexpected key '{key}' for mount type '{mount.type}'")


def _bool(key: str, value: str) -> bool:
    try:
        return parse_bool(value)
    except ValueError:
        raise _error(f"invalid value for {key}: {value}") from None


def _size(key: str, value: str) -> int:
    try:
        return parse_ram_bytes(value)
    except ValueError:
        raise _error(f"invalid value for {key}: {value}") from None


def _number(key: str, value: str, base: int) -> int:
    try:
        return parse_uint(value, base, 32)
    except ValueError:
        raise _error(f"invalid value {value} for {key}") from None


def _error(message: str, *, code: str = "invalid-run-option") -> DockerfileError:
    return DockerfileError(message, code=code)
