"""Services to Bake's targets."""

from __future__ import annotations

from bakehouse.bake.compose.nodes import ComposeFailure, Node, items_of, mapping_of
from bakehouse.bake.compose.xbake import apply_extension, linked_context, target_name
from bakehouse.bake.entries import SecretEntry, SshEntry, attest_flag, parse_attests, parse_caches
from bakehouse.bake.target import Target
from bakehouse.errors import DefinitionError
from bakehouse.go.text import quote
from bakehouse.go.units import format_bytes, parse_ulimit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bakehouse.bake.compose.positions import Places
    from bakehouse.bake.compose.services import Build, Decoded, Service

_NAME_CHARS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
#: Keys that mean the same in both languages.
_TEXTS = {
    "context": "context",
    "dockerfile": "dockerfile",
    "dockerfile_inline": "dockerfile-inline",
    "network": "network",
    "target": "target",
}


def make_target(
    service: Service, build: Build, decoded: Decoded, environment: dict[str, str], places: Places
) -> Target:
    """The target of a service that is built. Raises `ComposeFailure`."""
    name = target_name(service.name)
    places.of = name
    if not name or not _NAME_CHARS.issuperset(name):
        raise ComposeFailure(
            f'invalid service name {quote(name)}: only "[a-zA-Z0-9_-]+" are allowed',
            service.node,
            at_key=True,
        )
    target = Target(name)
    places.note("name", service.node)
    try:
        _fill(target, service, build, decoded, environment, places)
        apply_extension(target, build.node, places)
    except DefinitionError as error:
        raise ComposeFailure(
            error.message, build.node, at_key=True, hint=error.hint, code=error.code
        ) from None
    if not target.tags and service.image:
        target.tags = [service.image]
        places.note("tags", service.node.get("image"))
        places.note("tags", service.node.get("image"), 0)
    return target


def _fill(
    target: Target,
    service: Service,
    build: Build,
    decoded: Decoded,
    environment: dict[str, str],
    places: Places,
) -> None:
    node = build.node
    for key, field in _TEXTS.items():
        if build.texts[key]:
            setattr(target, field.replace("-", "_"), build.texts[key])
            places.note(field, node.get(key))
    _fill_lists(target, build, places)
    _fill_mappings(target, build, places)
    target.args = _args(service, build, environment, places) or None
    if build.shm_size > 0:
        target.shm_size = format_bytes(build.shm_size)
        places.note("shm-size", node.get("shm_size"))
    for key, field in (("no_cache", "no_cache"), ("pull", "pull")):
        if build.flags[key]:
            setattr(target, field, True)
            places.note(field.replace("_", "-"), node.get(key))
    _fill_entries(target, build, decoded, places)


def _fill_lists(target: Target, build: Build, places: Places) -> None:
    node = build.node
    for key in ("tags", "platforms"):
        if build.lists[key]:
            setattr(target, key, build.lists[key])
            places.note(key, node.get(key))
            places.note_items(key, items_of(node.get(key)))
    if build.limits:
        target.ulimits = [_limit(name, limits, node) for name, limits in build.limits.items()]
        places.note("ulimits", node.get("ulimits"))
        places.note_items("ulimits", list(mapping_of(node.get("ulimits")).values()))


def _limit(name: str, limits: tuple[int, int], node: Node) -> str:
    text = f"{name}={limits[0]}:{limits[1]}"
    try:
        parse_ulimit(text)
    except ValueError as error:
        limit = mapping_of(node.get("ulimits")).get(name)
        raise ComposeFailure(str(error), limit, at_key=True, code="invalid-ulimit") from None
    return text


def _fill_mappings(target: Target, build: Build, places: Places) -> None:
    node = build.node
    if build.labels:
        target.labels = build.labels
        _note_members("labels", node.get("labels"), places)
    if build.extra_hosts:
        target.extra_hosts = {host: ",".join(addresses) for host, addresses in build.extra_hosts.items()}
        _note_members("extra-hosts", node.get("extra_hosts"), places)
    if build.additional_contexts:
        target.contexts = {name: linked_context(value) for name, value in build.additional_contexts.items()}
        _note_members("contexts", node.get("additional_contexts"), places)


def _note_members(field: str, node: Node | None, places: Places) -> None:
    places.note(field, node)
    for name, member in mapping_of(node).items():
        places.note(field, member, name)
    for item in items_of(node):
        text = str(item.value)
        separator = "=" if "=" in text or field != "extra-hosts" else ":"
        places.note(field, item, text.partition(separator)[0])


def _args(service: Service, build: Build, environment: dict[str, str], places: Places) -> dict[str, str]:
    """Build arguments; one without a value takes the service's variable of its name, then the project's."""
    out = {}
    for name, value in build.args.items():
        if value is None:
            value = service.environment.get(name)
        if value is None:
            value = environment.get(name)
        if value is not None:
            out[name] = value
    if build.args:
        _note_members("args", build.node.get("args"), places)
    return out


def _fill_entries(target: Target, build: Build, decoded: Decoded, places: Places) -> None:
    node = build.node
    if build.ssh:
        entries = [SshEntry(name, [path] if path else []) for name, path in build.ssh.items()]
        target.ssh = sorted(entries, key=lambda entry: (entry.id, entry.paths))
        places.note("ssh", node.get("ssh"))
        by_id = mapping_of(node.get("ssh"))
        places.note_items("ssh", [by_id[entry.id] for entry in target.ssh if entry.id in by_id])
    if build.secrets:
        grants = items_of(node.get("secrets"))
        target.secret = [
            _secret(source, decoded, grant) for source, grant in zip(build.secrets, grants, strict=True)
        ]
        places.note("secret", node.get("secrets"))
        places.note_items("secret", grants)
    for key, field in (("cache_from", "cache-from"), ("cache_to", "cache-to")):
        entries_found = parse_caches(build.lists[key])
        if entries_found:
            setattr(target, key, entries_found)
            places.note(field, node.get(key))
            if len(entries_found) == len(build.lists[key]):
                places.note_items(field, items_of(node.get(key)))
    texts = [attest_flag(kind, build.texts[kind]) for kind in ("sbom", "provenance")]
    attests = parse_attests(texts)
    if attests:
        target.attest = attests
        given = [kind for kind in ("sbom", "provenance") if build.texts[kind]]
        places.note("attest", node.get(given[0]))
        for index, kind in enumerate(given):
            places.note("attest", node.get(kind), index)


def _secret(source: str, decoded: Decoded, grant: Node) -> SecretEntry:
    secret = decoded.secrets.get(source)
    if secret is None:
        return SecretEntry(source)
    if secret.external:
        raise ComposeFailure(
            f"unsupported external secret {secret.name}",
            grant,
            hint="Give the secret a `file` or an `environment`.",
            code="external-secret",
        )
    return SecretEntry(source, secret.file, secret.environment)
