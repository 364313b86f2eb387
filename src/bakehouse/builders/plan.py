"""Targets to LLB: reads each target's Dockerfile, wires its named contexts, lowers it, linked targets first.

The frontend options that buildx would send for a target are the fields of the `LowerRequest` made here. Nothing is
built; image configs are looked up through the resolver that the engine lends.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from bakehouse.bake import Target
from bakehouse.builders.context import DockerfileText, context_identity, read_dockerfile, require_directory
from bakehouse.builders.limits import step_limits
from bakehouse.builders.syntax import require_known_syntax
from bakehouse.dockerfile.ignore import read_ignore_file
from bakehouse.dockerfile.lowering import InputContext, Lowered, LowerRequest, MetaResolver, lower
from bakehouse.errors import BakehouseError, DefinitionError, NotBuiltYetError, NotFoundError
from bakehouse.go.units import parse_ram_bytes as parse_size
from bakehouse.lazy import regex
from bakehouse.llb.ops import NETWORK_HOST, NETWORK_NONE, NETWORK_SANDBOX, Ulimit
from bakehouse.oci.platform import Platform
from bakehouse.progress.events import Reporter, VertexReporter, WarningEvent
from bakehouse.values import dataclass, field

_GIT = regex(r"^(git://|ssh://|git@|github\.com/|[^/@\s]+@[^/:\s]+:)|^https?://[^#?]+\.git([#?]|$)")
#: What ends a transfer: BuildKit counts it, so that a file that is not there shows as `2B`.
_END_MARK_BYTES = 2
_NETWORKS = {"": NETWORK_SANDBOX, "default": NETWORK_SANDBOX, "none": NETWORK_NONE, "host": NETWORK_HOST}


@dataclass(frozen=True, slots=True)
class BuildDirectories:
    """What relative paths of a target mean: `cwd` for contexts and absolute forms; `stdin_dockerfile` is the text
    given on standard input for `-f -`, which then counts for every target. `cgroup_parent` is that of all RUN steps."""

    cwd: Path
    stdin_dockerfile: bytes | None = None
    cgroup_parent: str = ""


@dataclass(frozen=True, slots=True)
class PlannedTarget:
    """A lowered target. `local_dirs` maps `SESSION:NAME` of its local sources to directories."""

    target: Target
    lowered: Lowered
    local_dirs: Mapping[str, Path] = field(default_factory=dict)
    oci_layouts: Mapping[str, Path] = field(default_factory=dict)


@dataclass(slots=True)
class _Wiring:
    """Named contexts of one target, as `LowerRequest` takes them."""

    specifiers: dict[str, str] = field(default_factory=dict)
    inputs: dict[str, InputContext] = field(default_factory=dict)
    sessions: dict[str, str] = field(default_factory=dict)
    local_dirs: dict[str, Path] = field(default_factory=dict)
    oci_layouts: dict[str, Path] = field(default_factory=dict)


class Planner:
    """Lowers targets of one build. Each target is lowered once, however many others link to it."""

    def __init__(
        self,
        targets: Mapping[str, Target],
        directories: BuildDirectories,
        resolver: MetaResolver,
        reporter: Reporter,
        build_platforms: Sequence[Platform],
        check_cancelled: Callable[[], None] = lambda: None,
        oci_layouts: dict[str, Path] | None = None,
    ) -> None:
        """`oci_layouts` is told of every OCI layout met, before the resolver is asked for its images."""
        self._targets = targets
        self._oci_layouts = {} if oci_layouts is None else oci_layouts
        self._directories = directories
        self._resolver = resolver
        self._reporter = reporter
        self._build_platforms = tuple(build_platforms)
        self._check_cancelled = check_cancelled
        self._planned: dict[str, PlannedTarget] = {}
        self._contexts: dict[str, DockerfileText] = {}

    def plan(self) -> dict[str, PlannedTarget]:
        """All targets, lowered, in the order given. The first error names its target when there are several."""
        for name in self._targets:
            self._plan(name)
        return {name: self._planned[name] for name in self._targets}

    def _plan(self, name: str) -> PlannedTarget:
        planned = self._planned.get(name)
        if planned is None:
            self._check_cancelled()
            target = self._targets[name]
            for value in (target.contexts or {}).values():
                if value.startswith("target:"):
                    self._plan(value.removeprefix("target:"))
            try:
                planned = self._lower(target)
            except BakehouseError as error:
                if error.target is None and len(self._targets) > 1:
                    error.target = name
                raise
            self._planned[name] = planned
        return planned

    def _lower(self, target: Target) -> PlannedTarget:
        context = self._context_directory(target)
        wiring = self._wire(target)
        with solving():
            text, loading = self._load(target, context)
        session = context_identity(context, text.ignore)
        wiring.local_dirs[f"{session}:context"] = context
        ignore = tuple(read_ignore_file(text.ignore))
        require_known_syntax(text, target.args or {})
        request = self._request(target, text, ignore, session, wiring)
        with solving():
            lowered = lower(request, self._resolver)
        self._show_ignore_file(target, text)
        for warning in lowered.warnings:
            where = warning.location
            loading.warn(
                WarningEvent(
                    loading.digest,
                    warning.short,
                    (warning.description,),
                    warning.url,
                    filename=text.name,
                    source=text.data,
                    first_line=where.first if where else 0,
                    last_line=where.last if where else 0,
                )
            )
        return PlannedTarget(target, lowered, wiring.local_dirs, wiring.oci_layouts)

    def _load(self, target: Target, context: Path) -> tuple[DockerfileText, VertexReporter]:
        """Reads the Dockerfile, as a vertex of the display; warnings are shown on it."""
        name = (
            Path(target.dockerfile or "Dockerfile").name if target.dockerfile_inline is None else "Dockerfile"
        )
        loading = self._vertex(target, f"[internal] load build definition from {name}")
        loading.start()
        try:
            text = self._dockerfile(target, context)
        except NotFoundError:
            # As in BuildKit: reading the directory went well, only the file is not in it.
            with loading.status("transferring dockerfile:") as status:
                status.advance(_END_MARK_BYTES)
            loading.done()
            raise
        except BakehouseError as error:
            loading.fail(error.message)
            raise
        with loading.status("transferring dockerfile:") as status:
            status.advance(len(text.data) + _END_MARK_BYTES)
        loading.done()
        return text, loading

    def _show_ignore_file(self, target: Target, text: DockerfileText) -> None:
        """Shows the ignore file as a vertex of its own, behind what lowering looked up, as BuildKit does."""
        ignoring = self._vertex(target, "[internal] load .dockerignore")
        ignoring.start()
        with ignoring.status("transferring context:") as status:
            status.advance(len(text.ignore) + _END_MARK_BYTES)
        ignoring.done()

    def _vertex(self, target: Target, name: str) -> VertexReporter:
        digest = f"sha256:{_hex('internal', target.name, name)}"
        shown = prefixed(target.name, name) if len(self._targets) > 1 else name
        return self._reporter.vertex(digest, shown)

    def _request(
        self, target: Target, text: DockerfileText, ignore: tuple[str, ...], session: str, wiring: _Wiring
    ) -> LowerRequest:
        args = dict(target.args or {})
        platforms = tuple(Platform.parse(item) for item in _platforms(target))
        no_cache: tuple[str, ...] | None = None
        if target.no_cache:
            no_cache = ()
        elif target.no_cache_filter:
            no_cache = tuple(target.no_cache_filter)
        return LowerRequest(
            dockerfile=text.data,
            filename=text.name,
            target=target.target or "",
            build_args=args,
            labels=dict(target.labels or {}),
            platforms=platforms,
            build_platforms=self._build_platforms,
            multi_platform=len(platforms) > 1 or args.get("BUILDKIT_MULTI_PLATFORM", "") in ("1", "true"),
            no_cache=no_cache,
            image_resolve_mode="pull" if target.pull else "default",
            network=_network(target),
            cgroup_parent=self._directories.cgroup_parent,
            hostname=args.get("BUILDKIT_SANDBOX_HOSTNAME", ""),
            extra_hosts=extra_hosts(target),
            shm_size=parse_size(target.shm_size) if target.shm_size else 0,
            ulimits=tuple(_ulimit(item) for item in target.ulimits or ()),
            resources=step_limits(target),
            cache_mount_namespace=args.get("BUILDKIT_CACHE_MOUNT_NS", ""),
            lint_control=args.get("BUILDKIT_DOCKERFILE_CHECK"),
            named_contexts=wiring.specifiers,
            inputs=wiring.inputs,
            read_local=lambda name, path: _read_below(wiring.local_dirs, wiring.sessions, name, path),
            dockerignore=ignore,
            session_id=session,
            local_session_ids=wiring.sessions,
        )

    def _context_directory(self, target: Target) -> Path:
        context = target.context or "."
        if is_remote(context):
            raise NotBuiltYetError(
                f"the context {_redacted(context)} is remote: git and HTTP contexts are not supported yet",
                hint="check it out, and give the directory",
            )
        if context.startswith("cwd://"):
            context = context.removeprefix("cwd://") or "."
        return require_directory(self._directories.cwd, context, "the context")

    def _dockerfile(self, target: Target, context: Path) -> DockerfileText:
        if target.dockerfile_inline is not None:
            text = ignore_file_of(context)
            return DockerfileText("Dockerfile", target.dockerfile_inline.encode(), *text)
        if self._directories.stdin_dockerfile is not None:
            return DockerfileText("Dockerfile", self._directories.stdin_dockerfile, *ignore_file_of(context))
        name = target.dockerfile or "Dockerfile"
        if is_remote(name):
            raise NotBuiltYetError(f"a remote Dockerfile ({_redacted(name)}) is not supported yet")
        if name.startswith("cwd://"):
            return read_dockerfile(context, self._directories.cwd / name.removeprefix("cwd://"))
        return read_dockerfile(context, Path(name))

    def _wire(self, target: Target) -> _Wiring:
        wiring = _Wiring()
        for name, value in sorted((target.contexts or {}).items()):
            key = _context_key(name)
            if value.startswith("target:"):
                self._link(wiring, key, self._planned[value.removeprefix("target:")])
            elif value.startswith("docker-image://"):
                wiring.specifiers[key] = value
            elif value.startswith("oci-layout://"):
                self._layout(wiring, key, value)
            elif is_remote(value):
                wiring.specifiers[key] = value
            else:
                self._directory(wiring, key, value)
        return wiring

    def _link(self, wiring: _Wiring, key: str, linked: PlannedTarget) -> None:
        platforms = linked.lowered.platforms
        for item in platforms:
            source = InputContext(item.edge, item.config)
            names = [f"{key}::{item.id}"] if len(platforms) > 1 else [key]
            for name in names:
                wiring.specifiers[name] = f"input:{name}"
                wiring.inputs[name] = source
        wiring.local_dirs |= linked.local_dirs
        wiring.oci_layouts |= linked.oci_layouts

    def _directory(self, wiring: _Wiring, key: str, value: str) -> None:
        path = value.removeprefix("cwd://") if value.startswith("cwd://") else value
        directory = require_directory(self._directories.cwd, path or ".", f"the named context {key}")
        _, ignore = ignore_file_of(directory)
        session = context_identity(directory, ignore)
        wiring.specifiers[key] = f"local:{key}"
        wiring.sessions[key] = session
        wiring.local_dirs[f"{session}:{key}"] = directory

    def _layout(self, wiring: _Wiring, key: str, value: str) -> None:
        from bakehouse.registry.layout import OciLayout

        path, separator, digest = value.removeprefix("oci-layout://").partition("@")
        path, _, tag = path.partition(":") if not separator else (path, "", "")
        directory = require_directory(self._directories.cwd, path, f"the named context {key}")
        if not digest:
            digest = str(OciLayout(directory).resolve(tag or "latest").digest)
        store = f"layout-{_hex('layout', str(directory))[:24]}"
        wiring.oci_layouts[store] = self._oci_layouts[store] = directory
        wiring.specifiers[key] = f"oci-layout://{store}@{digest}"


@contextmanager
def solving() -> Iterator[None]:
    """Marks errors of the block as ones that arose while a build was solved, which is how clients introduce them."""
    try:
        yield
    except BakehouseError as error:
        error.during = error.during or "failed to solve: "
        raise


def prefixed(target: str, name: str) -> str:
    """The display name of a vertex of `target` among several: `[app internal] load …`, `[app] exporting …`."""
    return f"[{target} {name[1:]}" if name.startswith("[") else f"[{target}] {name}"


def is_remote(value: str) -> bool:
    """buildx's test for a URL (bake.md §18): http, https, or a git reference; never with `./` or `../` in front."""
    if value.startswith(("./", "../")):
        return False
    return value.startswith(("http://", "https://")) or _GIT.search(value) is not None


def ignore_file_of(context: Path) -> tuple[str, bytes]:
    """(name, content) of the `.dockerignore` at the root of `context`; empty ones when there is none."""
    try:
        return ".dockerignore", (context / ".dockerignore").read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return "", b""


def _platforms(target: Target) -> list[str]:
    """Comma lists split, `local` made the machine's own."""
    names: list[str] = []
    for item in target.platforms or ():
        for part in item.split(","):
            part = part.strip()
            name = str(Platform.local()) if part == "local" else part
            if name and name not in names:
                names.append(name)
    return names


def _network(target: Target) -> int:
    name = target.network or ""
    if name not in _NETWORKS:
        raise DefinitionError(
            f'network mode "{name}" not supported by buildkit',
            code="invalid-network",
            hint="default, none or host",
        )
    return _NETWORKS[name]


def extra_hosts(target: Target) -> tuple[tuple[str, str], ...]:
    """(host, address) pairs; a host may have several addresses, parted by commas, IPv6 ones in brackets.

    Raises `DefinitionError` (code `invalid-host`), `NotBuiltYetError` for `host-gateway`, which is Docker's own.
    """
    pairs = []
    for host, addresses in (target.extra_hosts or {}).items():
        for address in addresses.split(","):
            if address == "host-gateway":
                raise NotBuiltYetError(
                    f"the address host-gateway (of {host}) is not supported: there is no daemon with a gateway",
                    hint="write the address; with network host the machine itself is 127.0.0.1",
                )
            if len(address) > 2 and address[0] == "[" and address[-1] == "]":
                address = address[1:-1]
            if not host or not _is_address(address):
                raise DefinitionError(
                    f"invalid host {host}:{addresses}", code="invalid-host", hint="expected host:ip"
                )
            pairs.append((host.lower(), address))
    return tuple(pairs)


def _is_address(text: str) -> bool:
    import ipaddress

    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _ulimit(text: str) -> Ulimit:
    name, _, values = text.partition("=")
    soft, _, hard = values.partition(":")
    return Ulimit(name, int(soft), int(hard or soft))


def _context_key(name: str) -> str:
    """A context's name as the frontend looks it up (dockerfile.md §13.4): the familiar image name, no `:latest`."""
    return name.removesuffix(":latest")


def _read_below(
    local_dirs: Mapping[str, Path], sessions: Mapping[str, str], name: str, path: str
) -> bytes | None:
    directory = local_dirs.get(f"{sessions.get(name, '')}:{name}")
    if directory is None:
        return None
    try:
        return (directory / path).read_bytes()
    except OSError:
        return None


def _redacted(url: str) -> str:
    """`url` without user info."""
    return re.sub(r"(?<=://)[^/@]*@", "xxxxx@", url)


def _hex(*parts: str) -> str:
    import hashlib

    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()
