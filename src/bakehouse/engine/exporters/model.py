"""What an exporter is handed and what it answers (engine.md §17): plain values and one protocol."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from bakehouse.oci.platform import Platform
from bakehouse.registry.config import RegistryConfig
from bakehouse.values import dataclass, field

if TYPE_CHECKING:
    from bakehouse.engine.attest.model import Attestation, AttestationBundle
    from bakehouse.engine.tree import EngineContext
    from bakehouse.oci.digest import Digest
    from bakehouse.progress.events import Reporter, VertexReporter
    from bakehouse.snapshots import Compression, LayerChain
    from bakehouse.solver.model import Cancellation


class InlineCache(Protocol):
    """The records of a build cache for an image whose layer blobs are `layers`; None when none of them is of use."""

    def __call__(self, layers: Sequence[Digest], compression: Compression) -> bytes | None: ...


@dataclass(frozen=True, slots=True)
class ExportPlatform:
    """One platform of a result: its layers, and the frontend's image config (JSON without layers; empty means the
    default config). `epoch_s` is SOURCE_DATE_EPOCH as the build knew it; `base_config` is the config of the base
    image, whose history keeps its times under an epoch. `attestations` is what is to be said of it, and `inline_cache`
    makes the cache that the image carries."""

    platform: Platform
    chain: LayerChain
    config: bytes = b""
    epoch_s: int | None = None
    base_config: bytes = b""
    attestations: tuple[Attestation | AttestationBundle, ...] = ()
    inline_cache: InlineCache | None = None


@dataclass(frozen=True, slots=True)
class ExportResult:
    """The result of one target. `multi_platform` asks for an index (a platform map) even around one platform.
    `annotations` are what the frontend set, keyed like exporter attributes (`annotation-index.KEY`)."""

    platforms: tuple[ExportPlatform, ...]
    multi_platform: bool = False
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ExportSpec:
    """One `--output`: its type and attributes (without `type` and `dest`), and where it goes on this machine.

    `dest` is the file or directory; `stdout`, when given, is a binary stream that takes the output instead (`-`); it
    stays open. `id` tells exports of one command apart in progress events.
    """

    type: str
    attrs: Mapping[str, str] = field(default_factory=dict)
    dest: Path | None = None
    stdout: BinaryIO | None = field(default=None, repr=False)
    id: str = ""
    registries: RegistryConfig = field(default_factory=RegistryConfig)


class Exporter(Protocol):
    """One output of a target. Made before the build, so that bad attributes are told before any work is done."""

    @property
    def name(self) -> str:
        """The display name of its vertex: `exporting to image`."""
        ...

    @property
    def reads_files(self) -> bool:
        """Whether it reads the files of the result rather than layer blobs."""
        ...

    @property
    def takes_blobs(self) -> bool:
        """Whether it needs every layer blob on this machine."""
        ...

    def export(self, result: ExportResult, context: EngineContext, cancel: Cancellation) -> dict[str, str]:
        """Writes the output and returns its response keys (§17.5). Nothing half-written is left on error."""
        ...


def export_digest(id: str, name: str) -> str:
    """What identifies the vertex called `name` of the export `id` in progress events."""
    return "sha256:" + hashlib.sha256(f"{id}-export-{name}".encode()).hexdigest()


def start_vertex(reporter: Reporter, spec: ExportSpec, name: str) -> VertexReporter:
    """Announces and starts the vertex of one export."""
    vertex = reporter.vertex(export_digest(spec.id, name), name)
    vertex.start()
    return vertex
