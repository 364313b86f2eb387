"""The kept part of a model as typed services and secrets, with the environment of each service resolved.

Texts that stand for booleans and sizes are read here; what cannot be read is told as the peer's decoder tells it, all
faults at once.
"""

from __future__ import annotations

from bakehouse.bake.compose.env_files import read_env_file
from bakehouse.bake.compose.interpolation import to_boolean
from bakehouse.bake.compose.nodes import (
    ComposeFailure,
    Node,
    Timestamp,
    go_text,
    items_of,
    joined,
    mapping_of,
    type_name,
)
from bakehouse.go.text import SPACES, quote
from bakehouse.go.units import parse_ram_bytes
from bakehouse.go.values import parse_int

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bakehouse.bake.compose.model import Loading
    from bakehouse.bake.compose.template import Lookup

_HOST_SEPARATORS = "=:"


class Secret:
    """A top-level secret: where its value comes from."""

    __slots__ = ("environment", "external", "file", "name", "node")

    def __init__(self, node: Node, name: str, file: str, environment: str, external: bool) -> None:
        self.node = node
        self.name = name
        self.file = file
        self.environment = environment
        self.external = external


class Build:
    """The `build` of a service, decoded. `node` is its mapping, whose members say where each value stands."""

    __slots__ = (
        "additional_contexts",
        "args",
        "extra_hosts",
        "flags",
        "labels",
        "limits",
        "lists",
        "node",
        "secrets",
        "shm_size",
        "ssh",
        "texts",
    )

    def __init__(self, node: Node) -> None:
        self.node = node
        self.texts: dict[str, str] = {}
        self.flags: dict[str, bool] = {}
        self.lists: dict[str, list[str]] = {}
        self.args: dict[str, str | None] = {}
        self.labels: dict[str, str] = {}
        self.additional_contexts: dict[str, str] = {}
        self.extra_hosts: dict[str, list[str]] = {}
        self.ssh: dict[str, str] = {}
        self.secrets: list[str] = []
        self.limits: dict[str, tuple[int, int]] = {}
        self.shm_size = 0


class Service:
    """A service: `environment` is what its list or mapping says, env files included once they are resolved."""

    __slots__ = ("build", "env_files", "environment", "image", "name", "node")

    def __init__(self, name: str, node: Node) -> None:
        self.name = name
        self.node = node
        self.image = ""
        self.build: Build | None = None
        self.environment: dict[str, str | None] = {}
        self.env_files: list[Node] = []


class Decoded:
    """All services and secrets by name, in the order of the files."""

    __slots__ = ("secrets", "services")

    def __init__(self, services: dict[str, Service], secrets: dict[str, Secret]) -> None:
        self.services = services
        self.secrets = secrets


def decode(model: Node, loading: Loading) -> Decoded:
    """The services and secrets of a checked model. Raises `ComposeFailure` with every fault."""
    decoder = _Decoder(loading)
    services = {name: decoder.service(name, node) for name, node in mapping_of(model.get("services")).items()}
    secrets = {name: decoder.secret(name, node) for name, node in mapping_of(model.get("secrets")).items()}
    if decoder.failures:
        failure = joined(decoder.failures)
        failure.message = f"decoding failed due to the following error(s):\n\n{failure.message}"
        raise failure
    return Decoded(services, secrets)


def resolve_environment(decoded: Decoded, environment: dict[str, str], loading: Loading) -> None:
    """Fills each service's environment from its env files, under what the service says itself, and names without a
    value from `environment`. Raises `ComposeFailure`."""
    for service in decoded.services.values():
        own = {
            name: environment.get(name) if value is None else value
            for name, value in service.environment.items()
        }
        # Files add to what the service says, which then wins again; but a later file sees the earlier ones.
        found = {name: value for name, value in own.items() if value is not None}

        def lookup(name: str, own: dict[str, str | None] = own) -> str | None:
            value = environment.get(name)
            return own.get(name) if value is None else value

        for file in service.env_files:
            _add_env_file(file, found, lookup, loading)
        service.environment = {**found, **own}


def _add_env_file(file: Node, found: dict[str, str], lookup: Lookup, loading: Loading) -> None:
    path_node, required, form = file.get("path"), file.get("required"), file.get("format")
    path = "" if path_node is None else str(path_node.value)
    if path == "" or not loading.disk.exists(path):
        if required is None or required.value is not False:
            raise ComposeFailure(
                f"env file {path} not found: stat {path}: no such file or directory",
                path_node or file,
                code="env-file-not-found",
                hint="Create the file, or say `required: false`.",
            )
        return
    kind = "" if form is None else str(form.value)
    if kind not in ("", ".env"):
        raise ComposeFailure(f"unsupported env_file format {quote(kind)}", form)
    read_env_file(loading, path, path_node, lookup, found, path)


class _Decoder:
    def __init__(self, loading: Loading) -> None:
        self._warn = loading.warn
        self.failures: list[ComposeFailure] = []

    def _fail(self, where: str, text: str, node: Node) -> None:
        self.failures.append(ComposeFailure(f"'{where}' {text}", node))

    def service(self, name: str, node: Node) -> Service:
        where = f"services[{name}]"
        service = Service(name, node)
        service.image = self._text(node.get("image"), f"{where}.image")
        build = node.get("build")
        if build is not None:
            service.build = self._build(build, f"{where}.build")
        service.environment = self._variables(node.get("environment"), f"{where}.environment")
        for index, file in enumerate(items_of(node.get("env_file"))):
            inside = f"{where}.env_file[{index}]"
            self._text(file.get("path"), f"{inside}.path")
            required = file.get("required")
            if required is not None and isinstance(required.value, str) and isinstance(file.value, dict):
                switch = self._flag(required, f"{inside}.required")
                file = file.like({**file.value, "required": required.like(switch)})
            service.env_files.append(file)
        return service

    def secret(self, name: str, node: Node) -> Secret:
        where = f"secrets[{name}]"
        texts = {key: self._text(node.get(key), f"{where}.{key}") for key in ("name", "file", "environment")}
        external = self._flag(node.get("external"), f"{where}.external")
        return Secret(node, texts["name"], texts["file"], texts["environment"], external)

    def _build(self, node: Node, where: str) -> Build:
        build = Build(node)
        for key in ("context", "dockerfile", "dockerfile_inline", "network", "target", "provenance", "sbom"):
            build.texts[key] = self._text(node.get(key), f"{where}.{key}")
        for key in ("no_cache", "pull", "privileged"):
            build.flags[key] = self._flag(node.get(key), f"{where}.{key}")
        self._text(node.get("isolation"), f"{where}.isolation")
        for key in ("cache_from", "cache_to", "entitlements", "no_cache_filter", "platforms", "tags"):
            build.lists[key] = self._texts(node.get(key), f"{where}.{key}")
        build.args = self._variables(node.get("args"), f"{where}.args")
        build.labels = self._labels(node.get("labels"))
        contexts = mapping_of(node.get("additional_contexts"))
        build.additional_contexts = {key: _shown(member) for key, member in contexts.items()}
        build.ssh = {key: _shown(member) for key, member in mapping_of(node.get("ssh")).items()}
        build.extra_hosts = self._hosts(node.get("extra_hosts"), f"{where}.extra_hosts")
        build.shm_size = self._size(node.get("shm_size"), f"{where}.shm_size")
        for index, grant in enumerate(items_of(node.get("secrets"))):
            build.secrets.append(self._text(grant.get("source"), f"{where}.secrets[{index}].source"))
            self._mode(grant.get("mode"), f"{where}.secrets[{index}].mode")
        for name, limit in mapping_of(node.get("ulimits")).items():
            build.limits[name] = self._limit(limit, f"{where}.ulimits[{name}]")
        return build

    def _text(self, node: Node | None, where: str) -> str:
        if node is None or node.value is None:
            return ""
        if not isinstance(node.value, str):
            self._fail(
                where, f"expected type 'string', got unconvertible type '{type_name(node.value)}'", node
            )
            return ""
        return node.value

    def _texts(self, node: Node | None, where: str) -> list[str]:
        out = []
        if isinstance(node, Node) and isinstance(node.value, Timestamp):
            self._fail(where, f"invalid type {type_name(node.value)} for string list", node)
        for item in items_of(node):
            if not isinstance(item.value, str):
                self._fail(where, "invalid type []interface {} for string list", item)
                return []
            out.append(item.value)
        return out

    def _flag(self, node: Node | None, where: str) -> bool:
        if node is None or node.value is None or isinstance(node.value, bool):
            return node is not None and node.value is True
        if not isinstance(node.value, str):
            self._fail(where, f"expected type 'bool', got unconvertible type '{type_name(node.value)}'", node)
            return False
        try:
            return bool(to_boolean(node.value, self._warn))
        except ValueError as error:
            self._fail(where, str(error), node)
            return False

    def _variables(self, node: Node | None, where: str) -> dict[str, str | None]:
        out: dict[str, str | None] = {}
        for name, member in mapping_of(node).items():
            out[name] = None if member.value is None else go_text(member.value)
        for item in items_of(node):
            name, equals, value = go_text(item.value).partition("=")
            if name and name[-1] in SPACES:
                self._fail(where, f"environment variable {name} is declared with a trailing space", item)
            out[name] = value if equals else None
        return out

    def _labels(self, node: Node | None) -> dict[str, str]:
        out = {name: _shown(member) for name, member in mapping_of(node).items()}
        for item in items_of(node):
            name, _, value = go_text(item.value).partition("=")
            out[name] = value
        return out

    def _hosts(self, node: Node | None, where: str) -> dict[str, list[str]]:
        out: dict[str, list[str]] = {}
        for host, member in mapping_of(node).items():
            out[host] = [go_text(item.value) for item in items_of(member)]
            if not isinstance(member.value, list):
                out[host] = [_shown(member)]
        for item in items_of(node):
            text = go_text(item.value)
            separator = next((mark for mark in _HOST_SEPARATORS if mark in text), "")
            if separator == "":
                self._fail(where, f"invalid additional host, missing IP: {text}", item)
                return {}
            host, _, addresses = text.partition(separator)
            out.setdefault(host, []).extend(addresses.split(","))
        for host in out:
            if host == "" or ":" in host or "=" in host:
                assert node is not None
                self._fail(where, f"bad host name '{host}'", node)
            out[host] = [_unbracketed(address) for address in out[host]]
        return out

    def _size(self, node: Node | None, where: str) -> int:
        if node is None or not isinstance(node.value, (int, str)):
            return 0
        if isinstance(node.value, int):
            return node.value
        try:
            return parse_int(node.value)
        except ValueError:
            pass
        try:
            return parse_ram_bytes(node.value)
        except ValueError as error:
            self._fail(where, str(error), node)
            return 0

    def _mode(self, node: Node | None, where: str) -> None:
        if node is None or not isinstance(node.value, str):
            return
        digits = node.value.removeprefix("-").removeprefix("+")
        if not digits or not set(digits) <= set("01234567"):
            self._fail(where, f'strconv.ParseInt: parsing "{node.value}": invalid syntax', node)

    def _limit(self, node: Node, where: str) -> tuple[int, int]:
        """Soft and hard limit. A single number is both, as Compose documents it."""
        if type(node.value) is int:
            return node.value, node.value
        return self._number(node.get("soft"), where), self._number(node.get("hard"), where)

    def _number(self, node: Node | None, where: str) -> int:
        if node is None:
            return 0
        if isinstance(node.value, float):
            return int(node.value)
        try:
            return parse_int(go_text(node.value))
        except ValueError as error:
            self._fail(where, str(error), node)
            return 0


def _shown(node: Node) -> str:
    return "" if node.value is None else go_text(node.value)


def _unbracketed(address: str) -> str:
    return address[1:-1] if len(address) > 2 and address[0] == "[" and address[-1] == "]" else address
