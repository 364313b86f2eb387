"""Where caches come from and go to: what `builders` makes of a target's fields, and the protocols of backends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from bakehouse.engine.caches.stores.model import TYPES
from bakehouse.engine.exporters.model import export_digest
from bakehouse.registry.config import RegistryConfig
from bakehouse.values import dataclass, field

if TYPE_CHECKING:
    from bakehouse.engine.caches.chains import Chains
    from bakehouse.engine.caches.gathering import Gathered
    from bakehouse.engine.tree import EngineContext
    from bakehouse.oci.image import Descriptor
    from bakehouse.oci.reference import Reference
    from bakehouse.progress.events import VertexReporter
    from bakehouse.snapshots import Compression
    from bakehouse.solver.model import Cancellation

#: Types whose caches lie in some service, behind `engine.caches.stores`.
SERVICES = TYPES
SOURCE_TYPES = ("registry", "local", *SERVICES)
TARGET_TYPES = ("registry", "local", "inline", *SERVICES)

OnBytes = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class CacheSpec:
    """One entry of `cache-from` or `cache-to` as written: its type and attributes. Relative paths start from `cwd`.
    `environ` is where services look for tokens; `id` tells entries of one command apart in progress events."""

    type: str
    attrs: Mapping[str, str] = field(default_factory=dict)
    cwd: Path = Path()
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    registries: RegistryConfig = field(default_factory=RegistryConfig)
    id: str = ""


class CacheBlobs(Protocol):
    """The layer blobs of an imported cache. Thread-safe."""

    @property
    def origin(self) -> Reference | None:
        """The repository from which a later build may fetch them as well."""
        ...

    def has(self, descriptor: Descriptor) -> bool:
        """Whether the blob can be had. Cheap."""
        ...

    def fetch(self, descriptor: Descriptor, on_bytes: OnBytes) -> None:
        """Puts the blob into the store, verified. Idempotent."""
        ...

    def close(self) -> None:
        """Ends connections. Idempotent."""
        ...


@dataclass(frozen=True, slots=True)
class ImportedCache:
    """What an import yields: records (one graph for each image of an image's own caches), and where blobs are."""

    chains: tuple[Chains, ...]
    blobs: CacheBlobs


class CacheSource(Protocol):
    """An entry of `cache-from`, checked. `name` is what its vertex calls it: `importing cache manifest from NAME`."""

    @property
    def name(self) -> str: ...

    @property
    def absence(self) -> str | None:
        """Why the cache is passed over without a try, when it is."""
        ...

    def load(self, context: EngineContext, vertex: VertexReporter, cancel: Cancellation) -> ImportedCache:
        """Reads the records; fetches no layer. Raises what went wrong: the caller carries on without the cache."""
        ...


def import_digest(source: CacheSource) -> str:
    """What identifies the vertex of an import in progress events."""
    return export_digest("import", source.name)


class CacheTarget(Protocol):
    """An entry of `cache-to`, checked, for caches that are written by themselves (all but `inline`)."""

    @property
    def title(self) -> str:
        """The name of its vertex: `exporting cache to registry`."""
        ...

    @property
    def id(self) -> str: ...

    @property
    def options(self) -> ExportOptions: ...

    def write(
        self, gathered: Gathered, context: EngineContext, vertex: VertexReporter, cancel: Cancellation
    ) -> dict[str, str]:
        """Writes the cache and returns response keys. A reader sees the old cache or the new one, never a part."""
        ...


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What every target has: whether the results of all steps are kept, how new blobs are compressed, and whether a
    failure is only shown."""

    all_results: bool
    compression: Compression
    ignore_error: bool
