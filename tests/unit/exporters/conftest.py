"""A store, an engine context over it, and a result of two layers made by hand."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.support.services import Registry, running_registry

from bakehouse.engine.exporters.make import make_exporter
from bakehouse.engine.exporters.model import ExportPlatform, ExportResult, ExportSpec
from bakehouse.engine.tree import EngineContext
from bakehouse.oci import Descriptor, Digest, Platform
from bakehouse.oci.media_types import OCI_LAYER
from bakehouse.progress.events import Event, Reporter, StatusEvent, VertexEvent
from bakehouse.snapshots import LayerChain, LayerStore
from bakehouse.solver.model import Cancellation
from bakehouse.store import Store

CREATED_S = 1_600_000_000.0
AMD64 = Platform("linux", "amd64")
ARM64 = Platform("linux", "arm64")


def tar_of(files: dict[str, bytes], mtime: int = 1_500_000_000) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime, member.mode = len(data), mtime, 0o640
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


class Anonymous:
    def credential(self, host: str) -> None:
        return None


@dataclass
class Bench:
    """What a test works with; `events` are all progress events so far."""

    store: Store
    context: EngineContext
    events: list[Event] = field(default_factory=list)

    def layer(self, files: dict[str, bytes]) -> str:
        """Adopts a plain tar as a layer; returns its id."""
        raw = tar_of(files)
        self.store.blobs.put(raw)
        descriptor = Descriptor.of(OCI_LAYER, raw)
        return self.context.layers.adopt(
            Digest.of(raw), descriptor, None, created=CREATED_S, description="made by a test"
        )

    def platform(self, *layers: dict[str, bytes], platform: Platform = AMD64, **more: Any) -> ExportPlatform:
        config = json.dumps({"architecture": platform.architecture, "os": "linux", "config": {"Cmd": ["x"]}})
        chain = LayerChain(tuple(self.layer(files) for files in layers))
        return ExportPlatform(platform, chain, config.encode(), **more)

    def export(self, spec: ExportSpec, *platforms: ExportPlatform, multi: bool = False) -> dict[str, str]:
        result = ExportResult(platforms, multi)
        return make_exporter(spec).export(result, self.context, Cancellation())

    @property
    def statuses(self) -> list[str]:
        seen = [event.id for event in self.events if isinstance(event, StatusEvent)]
        return list(dict.fromkeys(seen))

    @property
    def vertices(self) -> list[VertexEvent]:
        return [event for event in self.events if isinstance(event, VertexEvent)]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    events: list[Event] = []
    session: Any = SimpleNamespace(credentials=Anonymous(), oci_layouts={})
    with Store.open(tmp_path / "store") as store, LayerStore(store, driver="copy") as layers:
        yield Bench(store, EngineContext(store, layers, session, Reporter(events.append)), events)


@pytest.fixture(scope="session")
def bare_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with running_registry(tmp_path_factory.mktemp("export-registry")) as service:
        yield service
