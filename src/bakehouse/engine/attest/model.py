"""The values that attestations are made of and travel as (engine.md §18)."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from bakehouse.oci.platform import Platform
from bakehouse.values import dataclass, field

if TYPE_CHECKING:
    from bakehouse.engine.attest.options import AttestOptions
    from bakehouse.llb.ops import SourceOp
    from bakehouse.snapshots import LayerChain

_ID_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Attestation:
    """One statement about a result, but for its subjects: they are known when it is exported.

    `path` names its file in file outputs; `predicate(layers_exported)` gives the JSON value, when the export is under
    way (whether it made blobs of the result's layers); `subjects` are those that the statement brought itself, as
    (name, digests); without any it is about the result. An `inline_only` one
    goes into images alone. `is_core` marks the SBOM of the result itself.
    """

    path: str
    predicate_type: str
    predicate: Callable[[bool], Any] = field(repr=False)
    inline_only: bool = False
    subjects: tuple[tuple[str, Mapping[str, str]], ...] = ()
    is_core: bool = False


@dataclass(frozen=True, slots=True)
class AttestationBundle:
    """Statements that a step wrote: every file at the top of the tree `chain` is one, of the type `predicate_type`.
    `core` is the name, up to its first point, of the one about the result itself."""

    chain: LayerChain
    predicate_type: str
    core: str


class BuildRun:
    """One build of one target as provenance names it: an id, and when it began and ended. Thread-safe."""

    def __init__(self, started_ns: int | None = None) -> None:
        self.id = new_id()
        self.started_ns = time.time_ns() if started_ns is None else started_ns
        self._finished_ns = 0
        self._lock = threading.Lock()

    def finished_ns(self) -> int:
        """The end: the moment at which somebody asked for it first."""
        with self._lock:
            self._finished_ns = self._finished_ns or time.time_ns()
            return self._finished_ns


def new_id() -> str:
    """An id as BuildKit gives: 25 digits of base 36."""
    return "".join(secrets.choice(_ID_DIGITS) for _ in range(25))


@dataclass(frozen=True, slots=True)
class ImageMaterial:
    """An image that a build stands on: as it was asked for, and the digest of what was found. `local` ones came from
    the client's own layout."""

    ref: str
    platform: Platform | None
    digest: str
    local: bool = False


@dataclass(frozen=True, slots=True)
class FrontendRequest:
    """What a client asked of a frontend. `args` gives its attributes (the function may have to look for them), `inputs`
    are the requests that made the results that it was handed, by name."""

    frontend: str
    args: Callable[[], Mapping[str, str]]
    inputs: Mapping[str, FrontendRequest] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BuildFacts:
    """What is known of one target's build besides its graph.

    `images` are all that were looked up; `read` the sources that were read to make the graph; `definition(number)` the
    encoded graph of platform `number` with its source map; `run` the build itself.
    """

    request: FrontendRequest
    options: AttestOptions
    definition: Callable[[int], bytes] = field(repr=False)
    images: tuple[ImageMaterial, ...] = ()
    read: tuple[SourceOp, ...] = ()
    run: BuildRun = field(default_factory=BuildRun)
