"""A real store, real layers and a real runtime, used from a thread as the engine uses them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.support.engine_thread import in_engine_thread
from tests.support.needs import need, need_command

from bakehouse.engine.layer_tree import LayerTree
from bakehouse.engine.ops.exec import ExecOperation, ExecOptions
from bakehouse.engine.tree import EngineContext, Tree
from bakehouse.llb.ops import Edge, ExecOp, Meta, Metadata, Mount, SourceOp, Vertex
from bakehouse.progress.events import Event, LogEvent, Reporter
from bakehouse.runtime import OciRuntime
from bakehouse.session import Session
from bakehouse.snapshots import LayerChain, LayerStore
from bakehouse.solver.model import Cancellation, RunContext
from bakehouse.store import Store

APPLETS = (
    "sh",
    "true",
    "cat",
    "ls",
    "stat",
    "touch",
    "mkdir",
    "rm",
    "sleep",
    "nc",
    "env",
    "id",
    "seq",
    "rmdir",
)


class Builder:
    """Runs steps on a busybox tree. Every call happens in one thread with private mounts."""

    def __init__(self, root: Path, session: Session) -> None:
        self.events: list[Event] = []
        self.store = Store.open(root / "store")
        self.layers = LayerStore(self.store)
        self.context = EngineContext(self.store, self.layers, session, Reporter(self.events.append))
        self.options = ExecOptions()
        self._root = root
        self._runtime: OciRuntime | None = None

    def runtime(self) -> OciRuntime:
        if self._runtime is None:
            self._runtime = OciRuntime.discover(os.environ, self._root / "runtime")
        return self._runtime

    def close(self) -> None:
        if self._runtime is not None:
            self._runtime.close()
        self.layers.close()
        self.store.close()

    def base(self) -> LayerTree:
        """One layer with busybox."""
        busybox = need_command("busybox")
        return self.tree(lambda root: _install(root, busybox))

    def tree(self, fill: Callable[[Path], None], below: LayerChain | None = None) -> LayerTree:
        chain = below or LayerChain(())
        with self.layers.prepare(chain) as active:
            fill(active.root)
            layer = active.commit()
        return LayerTree(chain.then(layer), self.context)

    def run(
        self,
        script: str,
        mounts: Sequence[Mount] = (),
        inputs: Sequence[Tree] = (),
        *,
        cancel: Cancellation | None = None,
        ignore_cache: bool = False,
        op: dict[str, Any] | None = None,
        **meta: Any,
    ) -> list[Tree]:
        """`script` in the shell of input 0, mounted at `/` with an output."""
        meta.setdefault("env", ("PATH=/bin",))
        meta.setdefault("remove_mount_stubs_recursive", True)
        meta.setdefault("args", ("/bin/sh", "-c", script))
        exec_op = ExecOp(Meta(**meta), (Mount("/", input=0), *mounts), **{"network": 2, **(op or {})})
        sources = tuple(Edge(Vertex(SourceOp(f"docker-image://i{n}"))) for n in range(len(inputs)))
        vertex = Vertex(exec_op, sources, metadata=Metadata(ignore_cache=ignore_cache))
        operation = ExecOperation(vertex, self.context, self.runtime, self.options)
        reporter = self.context.reporter.vertex(vertex.digest, "step")
        return operation.run(RunContext(reporter, cancel or Cancellation()), inputs)

    def log(self) -> str:
        return b"".join(e.data for e in self.events if isinstance(e, LogEvent)).decode()

    def entries(self, tree: Tree) -> list[str]:
        """Everything the topmost layer of `tree` holds, whiteouts with a leading `-`."""
        chain = tree.chain()
        import tarfile

        from bakehouse.snapshots import Compression

        blob = self.layers.blob(chain, len(chain.layers) - 1, Compression("uncompressed"))
        with tarfile.open(self.store.blobs.path(blob.descriptor.digest)) as tar:
            return sorted(member.name for member in tar)


def _install(root: Path, busybox: str) -> None:
    (root / "bin").mkdir()
    shutil.copy(busybox, root / "bin/busybox")
    for name in APPLETS:
        os.symlink("busybox", root / "bin" / name)
    (root / "etc").mkdir()
    for name in ("dev", "proc", "sys", "tmp"):
        (root / name).mkdir()


#: Runs a test's body with a `Builder` in an engine thread.
BuildTest = Callable[[Callable[[Builder], None]], None]


@pytest.fixture
def building(tmp_path: Path) -> Iterator[Callable[..., None]]:
    """`building(body, session)` runs `body(builder)`."""
    need(os.geteuid() == 0, "root")

    def run(body: Callable[[Builder], None], session: Session | None = None) -> None:
        def whole() -> None:
            builder = Builder(tmp_path, session or Session())
            try:
                body(builder)
            finally:
                builder.close()

        in_engine_thread(whole)

    yield run
