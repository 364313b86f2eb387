"""A cache that is too large to be read again says so when it is written."""

from __future__ import annotations

from bakehouse.engine.caches.chains import CachedResult, Chains
from bakehouse.engine.caches.config import MAX_DOCUMENT_BYTES
from bakehouse.engine.caches.gathering import Gathered
from bakehouse.engine.caches.manifest import ManifestForm
from bakehouse.engine.caches.writing import cache_documents
from bakehouse.oci.digest import Digest
from bakehouse.oci.image import Descriptor
from bakehouse.oci.media_types import OCI_LAYER_GZIP
from bakehouse.progress.events import Event, LogEvent, Reporter

LAYER = Descriptor(OCI_LAYER_GZIP, Digest("sha256:" + "a" * 64), 7, {"containerd.io/uncompressed": "x"})


def told(records: int) -> list[str]:
    """What is logged about a cache of so many records."""
    chains = Chains()
    item = chains.add("sha256:" + "0" * 64)
    for number in range(records):
        item = chains.add(f"sha256:{number:064x}", [[(item, "")]], [CachedResult((LAYER,), number)])
    events: list[Event] = []
    vertex = Reporter(events.append).vertex("sha256:v", "exporting")
    assert cache_documents(Gathered(chains, {}, {LAYER.digest: LAYER}), ManifestForm(), vertex) is not None
    return [event.data.decode() for event in events if isinstance(event, LogEvent)]


def test_a_cache_that_cannot_be_read_again() -> None:
    assert told(100) == []
    (line,) = told(9000)
    assert line.startswith("warning: the config has ")
    assert f"more than {MAX_DOCUMENT_BYTES} are not read" in line


def test_an_empty_cache_is_not_written() -> None:
    chains = Chains()
    chains.add("sha256:" + "0" * 64)
    vertex = Reporter(lambda event: None).vertex("sha256:v", "exporting")
    assert cache_documents(Gathered(chains, {}, {}), ManifestForm(), vertex) is None
