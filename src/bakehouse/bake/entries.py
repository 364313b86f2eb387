"""The entries of list attributes (output, cache-from, cache-to, attest, secret, ssh, policy, resources) and the CSV
grammars of their string forms (reference bake.md §12). The `build` command's flags use the same grammars.

Entries are values: nothing changes one after its birth; `with_…` methods give changed copies. Object forms of HCL
become `fields` mappings before they arrive here, so this module knows nothing of HCL. Errors are `DefinitionError`
with the peers' wording. Whether a source or destination exists is checked elsewhere (`checks`).
"""

from __future__ import annotations

from bakehouse.errors import DefinitionError
from bakehouse.go.csvline import CsvError, split_csv
from bakehouse.go.text import quote
from bakehouse.go.values import parse_bool, parse_int

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Names and spellings of log levels; the key is what is written, the value what is printed.
_LOG_LEVELS = {
    "panic": "panic",
    "fatal": "fatal",
    "error": "error",
    "warn": "warning",
    "warning": "warning",
    "info": "info",
    "debug": "debug",
    "trace": "trace",
}


def _error(message: str) -> DefinitionError:
    return DefinitionError(message, code="invalid-entry")


def _fields(text: str) -> list[str]:
    try:
        return split_csv(text)
    except CsvError as error:
        raise _error(str(error)) from None


def _bool_field(value: str, field: str) -> bool:
    try:
        return parse_bool(value)
    except ValueError as error:
        raise _error(f"invalid value {field}: {error}") from None


class _Entry:
    """Equality and representation by slots."""

    __slots__: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and all(
            getattr(self, slot) == getattr(other, slot) for slot in self.__slots__
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{s}={getattr(self, s)!r}' for s in self.__slots__)})"


class Output(_Entry):
    """One exporter: `type` is never empty, `dest` is "" when not given, `attrs` hold every other key."""

    __slots__ = ("attrs", "dest", "type")

    def __init__(self, type: str, dest: str = "", attrs: Mapping[str, str] | None = None) -> None:
        self.type = type
        self.dest = dest
        self.attrs: dict[str, str] = dict(attrs or {})

    @staticmethod
    def from_fields(fields: Mapping[str, str]) -> Output:
        """An entry in object form. Raises `DefinitionError` without a type."""
        attrs = dict(fields)
        kind = attrs.pop("type", "")
        if kind == "":
            raise _error("type is required for output")
        return Output(kind, attrs.pop("dest", ""), attrs)

    def with_attr(self, key: str, value: str) -> Output:
        return Output(self.type, self.dest, {**self.attrs, key: value})

    def with_dest(self, dest: str) -> Output:
        return Output(self.type, dest, self.attrs)

    def as_json(self) -> dict[str, object]:
        out: dict[str, object] = {**self.attrs, "type": self.type}
        if self.dest:
            out["dest"] = self.dest
        return dict(sorted(out.items()))

    def __str__(self) -> str:
        head = {"type": self.type, "dest": self.dest} if self.dest else {"type": self.type}
        return join_csv({**head, **dict(sorted(self.attrs.items()))})


class CacheEntry(_Entry):
    """One cache import or export."""

    __slots__ = ("attrs", "type")

    def __init__(self, type: str, attrs: Mapping[str, str] | None = None) -> None:
        self.type = type
        self.attrs: dict[str, str] = dict(attrs or {})

    def as_json(self) -> dict[str, object]:
        return dict(sorted({**self.attrs, "type": self.type}.items()))

    def __str__(self) -> str:
        if self.type == "registry" and list(self.attrs) == ["ref"]:
            return self.attrs["ref"]
        return join_csv({"type": self.type, **dict(sorted(self.attrs.items()))})


class Attest(_Entry):
    """One attestation. `type` may be empty in object form."""

    __slots__ = ("attrs", "disabled", "type")

    def __init__(self, type: str, disabled: bool = False, attrs: Mapping[str, str] | None = None) -> None:
        self.type = type
        self.disabled = disabled
        self.attrs: dict[str, str] = dict(attrs or {})

    @staticmethod
    def from_fields(fields: Mapping[str, str]) -> Attest:
        """An entry in object form, where `disabled` must be a boolean's text and `type` may be missing."""
        attrs = dict(fields)
        kind = attrs.pop("type", "")
        try:
            disabled = parse_bool(attrs.pop("disabled", "false"))
        except ValueError as error:
            raise _error(str(error)) from None
        return Attest(kind, disabled, attrs)

    def as_json(self) -> dict[str, object]:
        out: dict[str, object] = {**self.attrs, "type": self.type}
        if self.disabled:
            out["disabled"] = True
        return dict(sorted(out.items()))

    def __str__(self) -> str:
        head = {"type": self.type} if self.type else {}
        if self.disabled:
            head["disabled"] = "true"
        return join_csv({**head, **dict(sorted(self.attrs.items()))})


class SecretEntry(_Entry):
    """One secret: from file `src`, or from environment variable `env`; with neither, the id decides (checks)."""

    __slots__ = ("env", "id", "src")

    def __init__(self, id: str = "", src: str = "", env: str = "") -> None:
        self.id = id
        self.src = src
        self.env = env

    def as_json(self) -> dict[str, object]:
        return _without_empty({"id": self.id, "src": self.src, "env": self.env})

    def resolved(self, environ: Mapping[str, str]) -> SecretEntry:
        """The entry with its source decided: a sourceless one comes from the variable named like its id, if there is
        one, else from the file of that name."""
        if self.src or self.env:
            return self
        if self.id in environ:
            return SecretEntry(self.id, "", self.id)
        return SecretEntry(self.id, self.id, "")

    def __str__(self) -> str:
        return join_csv({k: v for k, v in (("id", self.id), ("src", self.src), ("env", self.env)) if v})


class SshEntry(_Entry):
    """One SSH agent or set of keys; no paths means the agent of `SSH_AUTH_SOCK`."""

    __slots__ = ("id", "paths")

    def __init__(self, id: str = "", paths: Iterable[str] = ()) -> None:
        self.id = id
        self.paths: tuple[str, ...] = tuple(paths)

    def as_json(self) -> dict[str, object]:
        return _without_empty({"id": self.id, "paths": list(self.paths)})

    def __str__(self) -> str:
        return f"{self.id}={','.join(self.paths)}" if self.paths else self.id


class PolicyEntry(_Entry):
    """One policy configuration. `strict` and `log_level` are None when not given."""

    __slots__ = ("disabled", "files", "log_level", "reset", "strict")

    def __init__(
        self,
        files: Iterable[str] = (),
        reset: bool = False,
        disabled: bool = False,
        strict: bool | None = None,
        log_level: str | None = None,
    ) -> None:
        self.files: tuple[str, ...] = tuple(files)
        self.reset = reset
        self.disabled = disabled
        self.strict = strict
        self.log_level = log_level

    def as_json(self) -> dict[str, object]:
        files = [{"Filename": name, "Data": None} for name in self.files] or None
        return {
            "Files": files,
            "Reset": self.reset,
            "Disabled": self.disabled,
            "Strict": self.strict,
            "LogLevel": self.log_level,
        }


class Resources(_Entry):
    """Limits of the build's containers, by key of `KEYS`; an unset one is absent."""

    __slots__ = ("limits",)

    #: Keys in print order; True for whole numbers.
    KEYS = {  # noqa: RUF012 - a constant table
        "memory": False,
        "memory-swap": False,
        "cpu-shares": True,
        "cpu-period": True,
        "cpu-quota": True,
        "cpuset-cpus": False,
        "cpuset-mems": False,
    }

    def __init__(self, limits: Mapping[str, str | int] | None = None) -> None:
        self.limits: dict[str, str | int] = dict(limits or {})

    def with_text(self, key: str, text: str) -> Resources:
        """A copy with `key` set from text. Raises `DefinitionError` for an unknown key or a bad number."""
        if key not in self.KEYS:
            raise DefinitionError(f"unknown resources key {key}", code="invalid-override")
        value: str | int = text
        if self.KEYS[key]:
            try:
                value = parse_int(text)
            except ValueError:
                raise DefinitionError(
                    f"invalid value {text} for int64 key resources.{key}", code="invalid-override"
                ) from None
        return Resources({**self.limits, key: value})

    def merged(self, other: Resources) -> Resources:
        return Resources({**self.limits, **other.limits})

    def as_json(self) -> dict[str, object]:
        return {key: self.limits[key] for key in self.KEYS if key in self.limits}


def _without_empty(members: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in members.items() if value}


def parse_output(text: str) -> Output:
    """`-` (tar to standard output), a directory, or CSV `type=…,dest=…,key=value`."""
    fields = _fields(text)
    if fields == [text] and not text.startswith("type="):
        return Output("tar", "-") if text == "-" else Output("local", text)
    attrs: dict[str, str] = {}
    for field in fields:
        key, equals, value = field.partition("=")
        if not equals:
            raise _error(f"invalid value {field}")
        attrs[key.lower().strip()] = value
    return Output.from_fields(attrs)


def parse_outputs(texts: Iterable[str]) -> list[Output]:
    """Every non-empty text parsed by `parse_output`."""
    return [parse_output(text) for text in texts if text]


def parse_cache_entries(text: str) -> list[CacheEntry]:
    """CSV `type=…,key=value` (one entry), or without any `=` a reference per field."""
    if text == "":
        return []
    if "=" not in text:
        return [_cache_ref(field) for field in _fields(text)]
    fields = _fields(text)
    if len(fields) == 1 and "=" not in fields[0]:
        return [CacheEntry("registry", {"ref": fields[0]})]
    attrs: dict[str, str] = {}
    for field in fields:
        key, equals, value = field.partition("=")
        if not equals:
            raise _error(f"invalid value {field}")
        attrs[key.lower()] = value
    kind = attrs.pop("type", "")
    if kind == "":
        raise _error(f"type required for {quote(text)}")
    return [CacheEntry(kind, attrs)]


def _cache_ref(field: str) -> CacheEntry:
    (ref,) = _fields(field) if "," not in field else [field]
    return CacheEntry("registry", {"ref": ref})


def parse_caches(texts: Iterable[str]) -> list[CacheEntry]:
    """The entries of all texts, of which one may hold several. Raises as `parse_cache_entries`."""
    return [entry for text in texts for entry in parse_cache_entries(text)]


def parse_attest(text: str) -> Attest:
    """CSV `type=…,disabled=bool,key=value`; `type` is required."""
    kind = ""
    disabled = False
    attrs: dict[str, str] = {}
    for field in _fields(text):
        key, equals, value = field.partition("=")
        if not equals:
            raise _error(f"invalid value {field}")
        folded = key.lower().strip()
        if folded == "type":
            kind = value
        elif folded == "disabled":
            disabled = _bool_field(value, field)
        else:
            attrs[key] = value
    if kind == "":
        raise _error("attestation type not specified")
    return Attest(kind, disabled, attrs)


def parse_attests(texts: Iterable[str]) -> list[Attest]:
    """Empty texts are skipped. Raises as `parse_attest`."""
    return [parse_attest(text) for text in texts if text]


def attest_flag(kind: str, text: str) -> str:
    """The attestation CSV of a `--sbom` or `--provenance` flag; empty text gives an empty result."""
    if text == "":
        return ""
    try:
        return f"type={kind},disabled={'false' if parse_bool(text) else 'true'}"
    except ValueError:
        return f"type={kind},{text}"


def parse_secret(text: str) -> SecretEntry:
    """CSV `id=…,src=…|env=…[,type=file|env]`."""
    try:
        fields = split_csv(text)
    except CsvError as error:
        raise _error(f"failed to parse csv secret: {error}") from None
    found = {"id": "", "src": "", "env": ""}
    kind = ""
    for field in fields:
        key, equals, value = field.partition("=")
        key = key.lower()
        if not equals:
            raise _error(f"invalid field '{field}' must be a key=value pair")
        if key == "type":
            if value not in ("file", "env"):
                raise _error(f"unsupported secret type {quote(value)}")
            kind = value
        elif key in ("source", "src"):
            found["src"] = value
        elif key in found:
            found[key] = value
        else:
            raise _error(f"unexpected key '{key}' in '{field}'")
    if kind == "env" and found["env"] == "":
        found["env"], found["src"] = found["src"], ""
    return SecretEntry(found["id"], found["src"], found["env"])


def parse_secrets(texts: Iterable[str]) -> list[SecretEntry]:
    return [parse_secret(text) for text in texts if text]


def parse_ssh(text: str) -> SshEntry:
    """`id` or `id=path,path`; no quoting."""
    id, equals, paths = text.partition("=")
    return SshEntry(id, paths.split(",") if equals else ())


def parse_sshs(texts: Iterable[str]) -> list[SshEntry]:
    return [parse_ssh(text) for text in texts if text]


def parse_policy(text: str) -> PolicyEntry:
    """CSV `filename=…,reset=bool,disabled=bool,strict=bool,log-level=…`."""
    return policy_from_fields(_fields(text))


def policy_from_fields(fields: Iterable[str]) -> PolicyEntry:
    """A policy of `key=value` texts."""
    policy = PolicyEntry()
    for field in fields:
        key, equals, value = field.partition("=")
        key = key.lower().strip()
        if not equals:
            raise _error(f"invalid value {field}")
        if key == "filename" and value:
            policy.files += (value,)
        elif key == "reset":
            policy.reset = _bool_field(value, field)
        elif key == "disabled":
            policy.disabled = _bool_field(value, field)
        elif key == "strict":
            policy.strict = _bool_field(value, field)
        elif key == "log-level":
            if value.lower() not in _LOG_LEVELS:
                raise _error(f"invalid value {field}: not a valid logrus Level: {quote(value)}")
            policy.log_level = _LOG_LEVELS[value.lower()]
        else:
            raise _error(f"invalid value {field}")
    return policy


def parse_policies(texts: Iterable[str]) -> list[PolicyEntry]:
    """Raises as `parse_policy`."""
    return [parse_policy(text) for text in texts]


def join_csv(pairs: Mapping[str, str]) -> str:
    """`key=value` fields of `pairs` in their order, a field quoted where it holds a comma or a quote."""
    out = []
    for key, value in pairs.items():
        field = f"{key}={value}"
        if "," in field or '"' in field:
            field = '"' + field.replace('"', '""') + '"'
        out.append(field)
    return ",".join(out)
