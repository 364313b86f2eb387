"""Texts of the `bake` command's own flags: `--var`, `--call`, `--list`, positional arguments, and the overrides that
flags stand for (reference bake.md §1)."""

from __future__ import annotations

from bakehouse.bake.entries import attest_flag, parse_policy
from bakehouse.bake.remote import is_remote_url
from bakehouse.errors import DefinitionError
from bakehouse.go.csvline import CsvError, split_csv
from bakehouse.go.text import quote
from bakehouse.go.values import parse_bool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def _invalid(message: str, hint: str | None = None) -> DefinitionError:
    return DefinitionError(message, code="invalid-option", hint=hint)


def _fields(text: str) -> list[str]:
    try:
        return split_csv(text)
    except CsvError as error:
        raise _invalid(str(error)) from None


class CallOption:
    """`--call`: the method's name (`lint` for `check`), the output format, and whether its status counts."""

    __slots__ = ("format", "ignore_status", "name")

    def __init__(self, name: str = "", format: str = "", ignore_status: bool = False) -> None:
        self.name = name
        self.format = format
        self.ignore_status = ignore_status


def parse_call(text: str) -> CallOption | None:
    """`--call`'s value; None for an ordinary build."""
    if text == "":
        return None
    call = CallOption()
    for field in _fields(text):
        key, equals, value = field.partition("=")
        if not equals:
            if call.name:
                raise _invalid(f"invalid print value: {text}")
            call.name = field
        elif key == "format":
            call.format = value
        elif key == "ignorestatus":
            try:
                call.ignore_status = parse_bool(value)
            except ValueError as error:
                raise _invalid(f"invalid ignorestatus print value: {value}: {error}") from None
        else:
            raise _invalid(f"invalid print field: {field}")
    if call.name == "check":
        call.name = "lint"
    return None if call.name == "build" else call


class ListOption:
    """`--list`: `type` is targets or variables, `format` table or json."""

    __slots__ = ("format", "type")

    def __init__(self, type: str, format: str) -> None:
        self.type = type
        self.format = format


def parse_list(text: str) -> ListOption:
    fields = _fields(text)
    found = {"type": "", "format": ""}
    if fields == [text] and not text.startswith("type="):
        found["type"] = text
    else:
        for field in fields:
            key, equals, value = field.partition("=")
            key = key.lower().strip()
            if not equals:
                raise _invalid(f"invalid value {field}")
            if key not in found:
                raise _invalid(f"unexpected key '{key}' in '{field}'")
            found[key] = value
    if found["type"] not in ("targets", "variables"):
        raise _invalid(f"invalid list type {quote(found['type'])}", hint="Use targets or variables.")
    if found["format"] not in ("", "table", "json"):
        raise _invalid(f"invalid list format {quote(found['format'])}", hint="Use table or json.")
    return ListOption(found["type"], found["format"] or "table")


def parse_vars(texts: Iterable[str]) -> dict[str, str]:
    """`--var name=value`; the last one of a name counts, empty texts do not."""
    out = {}
    for text in texts:
        if text == "":
            continue
        name, equals, value = text.partition("=")
        if not equals:
            raise _invalid(f"invalid variable {quote(text)}, expected key=value")
        if name == "":
            raise _invalid(f"invalid variable {quote(text)}, key is empty")
        out[name] = value
    return out


class Arguments:
    """Positional arguments: the URL of a remote definition, the command context, the names."""

    __slots__ = ("command_context", "names", "url")

    def __init__(self, url: str, command_context: str, names: list[str]) -> None:
        self.url = url
        self.command_context = command_context
        self.names = names


def split_arguments(arguments: Sequence[str]) -> Arguments:
    names = list(arguments)
    url, context = "", "cwd://"
    if names and is_remote_url(names[0]):
        url = names.pop(0)
        if names and is_remote_url(names[0]):
            context = names.pop(0)
    return Arguments(url, context, names or ["default"])


def flag_overrides(
    *,
    push: bool = False,
    load: bool = False,
    call: CallOption | None = None,
    no_cache: bool | None = None,
    pull: bool | None = None,
    sbom: str = "",
    provenance: str = "",
    policies: Sequence[str] = (),
) -> tuple[list[str], bool]:
    """The `--set` texts that flags stand for, in buildx's order, and whether `--policy disabled=true` replaces all
    policies. Append them to the user's own. Raises `DefinitionError` for a bad `--policy`."""
    out = []
    if push:
        out.append("*.push=true")
    if load:
        out.append("*.load=true")
    if call is not None:
        out.append(f"*.call={call.name}")
    for key, flag in (("no-cache", no_cache), ("pull", pull)):
        if flag is not None:
            out.append(f"*.{key}={'true' if flag else 'false'}")
    for kind, text in (("sbom", sbom), ("provenance", provenance)):
        if text:
            out.append(f"*.attest={attest_flag(kind, text)}")
    policy_overrides, disabled = _policy_overrides(policies)
    return out + policy_overrides, disabled


def flag_of_override(text: str) -> str:
    """The flag that made an override of `flag_overrides`, as one would write it."""
    key, _, value = text.removeprefix("*.").partition("=")
    if key in ("push", "load"):
        return f"--{key}"
    if key == "attest":
        kind, _, value = value.removeprefix("type=").partition(",")
        value = {"disabled=false": "true", "disabled=true": "false"}.get(value, value)
        return f"--{kind}={value}"
    return f"--{key.removesuffix('+')}={value}"


def _policy_overrides(texts: Sequence[str]) -> tuple[list[str], bool]:
    parsed = [parse_policy(text) for text in texts]
    for policy in parsed:
        if policy.files:
            raise _invalid("--policy does not accept filename; define policy files in the bake definition")
        if policy.reset:
            raise _invalid("--policy does not accept reset; define policy composition in the bake definition")
        if policy.disabled:
            if policy.strict is not None or policy.log_level is not None or len(parsed) > 1:
                raise _invalid("disabled policy cannot be combined with other policy flags")
            return [], True
    return [f"*.policy+={text}" for text in texts], False
