"""What goes into a lowering and what comes out of it: values and protocols, no behaviour.

The fields of `LowerRequest` are BuildKit's frontend options (dockerfile.md §14.1) as typed values; `options` reads
the options' text form.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from bakehouse.llb.ops import NETWORK_SANDBOX, Edge, ResourceLimits, SourceOp, Ulimit
from bakehouse.oci.platform import Platform
from bakehouse.values import dataclass, field

if TYPE_CHECKING:
    from bakehouse.dockerfile.lint import LintWarning
    from bakehouse.llb.encode import SourceInfo


def _no_entries() -> Mapping[str, str]:
    # A factory, since a mapping proxy cannot be a dataclass default before Python 3.12.
    return MappingProxyType({})


RESOLVE_DEFAULT = "default"
RESOLVE_PULL = "pull"
RESOLVE_LOCAL = "local"


class MetaResolver(Protocol):
    """Looks up image configs. Called from several threads at once, only for what the build needs."""

    def resolve_image_config(
        self,
        ref: str,
        platform: Platform | None,
        mode: str,
        *,
        log_name: str = "",
        oci_store: str = "",
    ) -> tuple[str, str, bytes]:
        """The reference to use instead of `ref` (`ref` itself, unless a policy redirects it; without a digest that it
        did not have), the digest of the manifest or index that it names, and the config of the image for `platform`
        (None: the builder's own).

        `ref` is fully normalised; `mode` is `default`, `pull` or `local`; `log_name` is the display name of the
        look-up. With `oci_store` the image lies in the client's OCI layout of that name, not in a registry.
        Raises `NotFoundError`, `DeniedError`, `TransientError`, `IntegrityError`.
        """
        ...


class SourceTimeResolver(Protocol):
    """Finds the time of a remote source for `SOURCE_DATE_EPOCH=context|NAME|STAGE` (dockerfile.md §10.4)."""

    def resolve_source_time(self, source: SourceOp, log_name: str) -> int | None:
        """Seconds since the epoch: the commit time of a git source; the Last-Modified of an http source, else the
        newest file in it when it is a tar; None when the source has no time."""
        ...


@dataclass(frozen=True, slots=True)
class InputContext:
    """The result of another build as a named context (`input:NAME`): its tree (None: empty) and image config."""

    edge: Edge | None
    config: bytes | None = None


@dataclass(frozen=True, slots=True)
class LowerRequest:
    """One Dockerfile and everything that decides what it means.

    * `platforms`: the target platforms; `()` means the builder's own, not asked for explicitly (then the image keeps
      the platform of its base). `build_platforms`: what the builder runs, its own first.
    * `no_cache`: None = use the cache, `()` = no stage does, else the names of the stages that do not.
    * `main_context`: None for a directory of the client, else the URL of a git repository or an http file
      (dockerfile.md §13.1); `context_sub_dir` narrows a remote one. `context_input` is a main context that another
      build made. `context_is_archive` says what the http file turned out to be.
    * `named_contexts`: `NAME` or `NAME::PLATFORM` to BuildKit's context specifiers (§13.4); `shared_keys` the
      transfer keys of `local:` ones; `inputs` what `input:` ones name. `read_local(context_name, path)` reads a file
      of a client directory (None: absent), for the `.dockerignore` of named contexts.
    * `dockerfile_local_name`: the client directory that holds the Dockerfile, when it was named; None: the main
      context if that is remote, else `dockerfile`. It matters to the source map only.
    * `dockerignore`: the patterns that apply to a local main context.
    * `session_id` stands in local sources (`local.session`); when empty, `local_unique_id` does, as in BuildKit's
      own client library. `local_session_ids` overrides it a context.
    * `ignored_caps`: capability ids that the executing engine lacks; the lowering then takes BuildKit's older way.
    """

    dockerfile: bytes
    filename: str = "Dockerfile"
    target: str = ""
    build_args: Mapping[str, str] = field(default_factory=_no_entries)
    labels: Mapping[str, str] = field(default_factory=_no_entries)
    platforms: tuple[Platform, ...] = ()
    build_platforms: tuple[Platform, ...] = ()
    multi_platform: bool = False
    no_cache: tuple[str, ...] | None = None
    image_resolve_mode: str = RESOLVE_DEFAULT
    network: int = NETWORK_SANDBOX
    hostname: str = ""
    extra_hosts: tuple[tuple[str, str], ...] = ()
    shm_size: int = 0
    ulimits: tuple[Ulimit, ...] = ()
    cgroup_parent: str = ""
    resources: ResourceLimits = ResourceLimits()
    cache_mount_namespace: str = ""
    git_advice: bool = False
    lint_control: str | None = None
    main_context: str | None = None
    context_local_name: str = "context"
    dockerfile_local_name: str | None = None
    context_sub_dir: str = ""
    context_keep_git_dir: bool = False
    context_input: InputContext | None = None
    context_is_archive: bool = False
    named_contexts: Mapping[str, str] = field(default_factory=_no_entries)
    shared_keys: Mapping[str, str] = field(default_factory=_no_entries)
    inputs: Mapping[str, InputContext] = field(default_factory=lambda: MappingProxyType({}))
    read_local: Callable[[str, str], bytes | None] | None = None
    dockerignore: tuple[str, ...] = ()
    session_id: str = ""
    local_session_ids: Mapping[str, str] = field(default_factory=_no_entries)
    local_unique_id: str = ""
    source_times: SourceTimeResolver | None = None
    known_hosts: Callable[[str], str] | None = None
    ignored_caps: frozenset[str] = frozenset()
    all_stages: bool = False


@dataclass(frozen=True, slots=True)
class LoweredPlatform:
    """The graph and the image of one target platform. `edge` is None for an empty tree. `config` is the image config
    JSON without diff IDs and times of new layers, which the exporter adds; `base_config` that of the base image.
    `epoch_s` is the resolved SOURCE_DATE_EPOCH. `id` is the normalised platform as a key. `scan_targets` are further
    trees that an SBOM scan is to cover (dockerfile.md §5.5): stages by name, and `context`."""

    id: str
    platform: Platform
    edge: Edge | None
    config: bytes
    base_config: bytes | None = None
    epoch_s: int | None = None
    ignore_cache: bool = False
    scan_targets: Mapping[str, Edge | None] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def image_config(self) -> dict[str, Any]:
        """`config` as values, members in their order. A new dict at every call."""
        import json

        decoded: dict[str, Any] = json.loads(self.config)
        return decoded


@dataclass(frozen=True, slots=True)
class Lowered:
    """All platforms of a lowering, in the order of the request. `multi_platform` says that the result is to be an
    index; `warnings` come from the first platform; `used_contexts` are the keys of named contexts that were used."""

    platforms: tuple[LoweredPlatform, ...]
    warnings: "tuple[LintWarning, ...]" = ()
    used_contexts: frozenset[str] = frozenset()
    sources: "tuple[SourceInfo, ...]" = ()
    multi_platform: bool = False

    def definition(self, index: int = 0) -> bytes:
        """The pb.Definition of platform number `index`, with the source map of the Dockerfile."""
        from bakehouse.llb.encode import encode_definition

        return encode_definition(self.platforms[index].edge, self.sources)
