"""A writable tree under way, and how it becomes a layer."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from bakehouse.linux.files import remove_tree
from bakehouse.snapshots.chain import LayerChain
from bakehouse.snapshots.driver import Driver, has_opaque_marks, normalise_upper
from bakehouse.store.faults import disk_errors
from bakehouse.store.gc import tree_size
from bakehouse.store.layers import LayerRow

#: The diff ID of a layer without entries: 1,024 zero bytes.
EMPTY_DIFF_ID = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"

#: Takes the upper directory, the record to be, and its size in bytes; returns the layer id.
Adopt = Callable[[Path, LayerRow, int], str]
View = Callable[[LayerChain], AbstractContextManager[Path]]


class Active:
    """Made by `LayerStore.prepare`. A context manager: `root` is writable until `commit` or the end of the block,
    and visible in the mount namespace of the thread that entered it. Leaving without commit discards everything.
    """

    def __init__(
        self,
        chain: LayerChain,
        driver: Driver,
        lowers: list[Path],
        area: Path,
        at: Path,
        view: View,
        adopt: Adopt,
    ) -> None:
        self.chain = chain
        self._driver = driver
        self._lowers = lowers
        self._area = area
        self._at = at
        self._view = view
        self._adopt = adopt
        self._root: Path | None = None

    @property
    def root(self) -> Path:
        """The root of the merged tree."""
        if self._root is None:
            raise ValueError("the tree is not open")
        return self._root

    def __enter__(self) -> Active:
        self._area.mkdir(mode=0o700)
        try:
            with disk_errors(self._area):
                self._root = self._driver.prepare(self._lowers, self._area, self._at)
        except BaseException:
            self._discard()
            raise
        return self

    def commit(
        self, *, description: str = "", created_s: float | None = None, record_type: str = "regular"
    ) -> str:
        """Turns what was written into a layer; returns its id. The tree cannot be used any more.

        `created_s` defaults to now; `record_type` is what `du` and `prune` call the layer (engine.md §20). Atomic: a
        process killed at any instant leaves either the whole layer or none. Raises `EnvironmentFault`
        (`disk-full`)."""
        if self._root is None:
            raise ValueError("commit of a tree that is not open")
        with disk_errors(self._area):
            upper, replaced = self._finished_upper()
            empty = not os.listdir(upper)
            row = LayerRow(
                id="",
                diff_id=EMPTY_DIFF_ID if empty else None,
                base=self.chain.layers,
                created_s=time.time() if created_s is None else created_s,
                description=description,
                origin="committed",
                rediff=tuple(os.fsdecode(path) for path in replaced),
                record_type=record_type,
            )
            layer_id = self._adopt(upper, row, 0 if empty else tree_size(upper))
        self._discard()
        return layer_id

    def _finished_upper(self) -> tuple[Path, list[bytes]]:
        if not self._lowers:
            return self._driver.finish(None, self._area, self._at), []
        if self._driver.name == "copy":
            with self._view(self.chain) as lower:
                return self._driver.finish(lower, self._area, self._at), []
        upper = self._driver.finish(self._area, self._area, self._at)
        fd = os.open(upper, os.O_RDONLY | os.O_DIRECTORY)
        try:
            if not has_opaque_marks(fd):
                return upper, []
            with self._view(self.chain) as lower:
                lower_fd = os.open(lower, os.O_RDONLY | os.O_DIRECTORY)
                try:
                    return upper, normalise_upper(fd, lower_fd)
                finally:
                    os.close(lower_fd)
        finally:
            os.close(fd)

    def _discard(self) -> None:
        self._root = None
        self._driver.close(self._at)
        remove_tree(self._area)

    def __exit__(self, *exc: object) -> None:
        if self._root is not None:
            self._discard()
