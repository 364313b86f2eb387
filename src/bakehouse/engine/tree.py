"""What a vertex of the embedded engine yields: a file tree that other ops read.

Two kinds exist. A `LayerTree` is a chain of layers in the store. A `HostTree` (in `engine.sources.local`) is a context
directory on this machine, read in place and filtered; it is copied only when a step wants it as a mount.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from bakehouse.engine.answers import Answers
from bakehouse.values import dataclass, field

if TYPE_CHECKING:
    from bakehouse.progress.events import Reporter
    from bakehouse.session import Session
    from bakehouse.snapshots import LayerChain, LayerStore
    from bakehouse.solver.model import RunContext
    from bakehouse.store import Store


@dataclass(frozen=True, slots=True)
class Selection:
    """Which part of a tree is read: a path below its root with the copy settings that widen or narrow it.

    The fields are those of `llb.ops.Copy`; the content hash over a list of selections is engine.md §8.3 and §9.
    """

    path: str = "/"
    wildcard: bool = False
    follow_symlink: bool = False
    include_patterns: tuple[str, ...] = ()
    exclude_patterns: tuple[str, ...] = ()
    required_paths: tuple[str, ...] = ()


class Tree(Protocol):
    """An immutable file tree. Thread-safe."""

    def mounted(self) -> AbstractContextManager[Path]:
        """A directory that shows exactly this tree (filtered for a context). It must not be written to."""
        ...

    def checksum(self, selections: Sequence[Selection]) -> str:
        """BuildKit's content digest of what `selections` pick (engine.md §9), as `sha256:<hex>`.

        Raises `NotFoundError` (`"/nope": not found`) for a literal path that is absent."""
        ...

    def chain(self) -> LayerChain:
        """The tree as a chain of layers (a HostTree copies itself into one layer first)."""
        ...


#: How large an input may be when nobody has said otherwise.
INPUT_LIMIT_BYTES = 64 << 30


@dataclass(frozen=True, slots=True)
class InputLimits:
    """How much of the disk one input of a stranger may take: the bytes of a file that is fetched, and of the files that
    an archive unpacks to. What is larger is refused (`download-too-large`, `archive-too-large`)."""

    download: int = INPUT_LIMIT_BYTES
    unpacked: int = INPUT_LIMIT_BYTES


@dataclass(slots=True)
class EngineContext:
    """What every op of one engine shares. Made by the composition root; ops get it in their constructor. `answers` are
    those of remote sources, common to all solves of one command."""

    store: Store
    layers: LayerStore
    session: Session
    reporter: Reporter
    answers: Answers = field(default_factory=Answers)
    limits: InputLimits = InputLimits()


__all__ = ["INPUT_LIMIT_BYTES", "EngineContext", "InputLimits", "RunContext", "Selection", "Tree"]
