"""Caches in one solve: imports run before anything is looked up, results of theirs become trees, exports come last."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING

from bakehouse.engine.caches.gathering import CREATED_ANNOTATION, DIFF_ID_ANNOTATION, Gatherer, SolvedKeys
from bakehouse.engine.caches.keys import CacheIndex, CombinedKeys, Found
from bakehouse.engine.caches.manifest import DESCRIPTION_ANNOTATION
from bakehouse.engine.caches.model import CacheSource, CacheTarget, ImportedCache, import_digest
from bakehouse.engine.exporters.model import export_digest
from bakehouse.engine.layer_fetching import LayerFetcher
from bakehouse.engine.layer_tree import LayerTree
from bakehouse.engine.records import TreeRecords
from bakehouse.engine.sources.image import SOURCES_SPACE
from bakehouse.errors import BakehouseError, CancelledError, DefinitionError
from bakehouse.oci.digest import Digest
from bakehouse.oci.image import Descriptor
from bakehouse.oci.media_types import layer_compression
from bakehouse.oci.timestamps import parse_time_ns
from bakehouse.snapshots import LayerChain

if TYPE_CHECKING:
    from bakehouse.engine.caches.chains import CachedResult
    from bakehouse.engine.tree import EngineContext, Tree
    from bakehouse.progress.events import VertexReporter
    from bakehouse.snapshots import Compression
    from bakehouse.solver.model import Cancellation

_PARALLEL_QUESTIONS = 8


class SolveCaches:
    """The caches that a solve takes results from, and its `solver.model.ResultStore`. Thread-safe."""

    def __init__(self, context: EngineContext, cancel: Cancellation) -> None:
        self.keys = CombinedKeys(context.store.cachekeys)
        self._context = context
        self._cancel = cancel
        self._local = TreeRecords(context)
        self._lock = Lock()
        self._blobs: dict[int, _Blobs] = {}
        self._layer_ids: dict[tuple[Digest, str], str] = {}
        self._spoilt: set[Digest] = set()

    # -- importing -----------------------------------------------------------------------------------------------

    def load_cache(self, source: CacheSource) -> None:
        """Reads the records of `source`, shown as a vertex. A cache that cannot be read is shown, and no more."""
        name = f"importing cache manifest from {source.name}"
        vertex = self._context.reporter.vertex(import_digest(source), name)
        vertex.start()
        try:
            if source.absence is not None:
                raise DefinitionError(source.absence, code="cache-absent")
            self._add(source.load(self._context, vertex, self._cancel), vertex)
        except CancelledError:
            vertex.fail("context canceled")
            raise
        except (BakehouseError, OSError) as error:
            vertex.fail(str(error))
        else:
            vertex.done()

    def _add(self, cache: ImportedCache, vertex: VertexReporter) -> None:
        blobs = _Blobs(cache, vertex)
        for chains in cache.chains:
            index = CacheIndex(chains)
            with self._lock:
                self._blobs[self.keys.add(index)] = blobs

    def close(self) -> None:
        """Ends the connections of all imports. Idempotent."""
        with self._lock:
            blobs, self._blobs = self._blobs, {}
        for item in blobs.values():
            item.blobs.close()

    # -- ResultStore ---------------------------------------------------------------------------------------------

    def save(self, result: Tree) -> str | None:
        return self._local.save(result)

    def load(self, record: str) -> Tree | None:
        found = Found.of_record(record)
        return self._local.load(record) if found is None else self._adopted(found)

    def make_ready(self, result: Tree, *, opened: bool) -> bool:
        if self._local.make_ready(result, opened=opened):
            return True
        self._forget_lost_layers()
        return False

    def _forget_lost_layers(self) -> None:
        """Takes no further result whose layers turned out to be of no use."""
        for (digest, diff_id), layer_id in list(self._layer_ids.items()):
            if not self._context.layers.exists(LayerChain((layer_id,))):
                self._spoilt.add(digest)
                self._layer_ids.pop((digest, diff_id), None)

    def _adopted(self, found: Found) -> Tree | None:
        """An imported result as a tree of layers, which are fetched when somebody needs them; it is a result of the
        local store from then on. None when a layer is gone, or is not described well enough to be used."""
        result = self.keys.result(found)
        if any(layer.digest in self._spoilt for layer in result.layers):
            return None
        blobs = self._blobs[found.cache]
        fetcher = LayerFetcher(blobs.blobs.fetch, result.layers, blobs.vertex, self._cancel)
        try:
            if not blobs.has_all(self._missing(result)):
                return None
            layers = [self._layer(descriptor, fetcher) for descriptor in result.layers]
        except DefinitionError:
            return None
        tree = LayerTree(LayerChain(tuple(layers)), self._context)
        record = self._local.save(tree)
        assert record is not None
        self._remember_origin(result, blobs.origin)
        self.keys.keep(found.key, record, result.created_ns / 1e9)
        return tree

    def _missing(self, result: CachedResult) -> list[Descriptor]:
        return [layer for layer in result.layers if not self._context.store.blobs.has(layer.digest)]

    def _layer(self, descriptor: Descriptor, fetcher: LayerFetcher) -> str:
        """Raises `DefinitionError` for a blob without a diff ID, or of a kind that is not known."""
        diff_id = descriptor.annotations.get(DIFF_ID_ANNOTATION, "")
        kind = layer_compression(descriptor.media_type)
        if kind is None:
            raise DefinitionError(f"unknown layer type {descriptor.media_type}")
        if not diff_id and kind == "uncompressed":
            diff_id = str(descriptor.digest)
        fetch = functools.partial(fetcher.fetch, descriptor)
        # Results share most of their layers.
        known = self._layer_ids.get((descriptor.digest, diff_id))
        if known is not None:
            self._context.layers.lend(known, fetch)
            return known
        created = descriptor.annotations.get(CREATED_ANNOTATION)
        layer_id = self._context.layers.adopt(
            Digest(diff_id),
            descriptor,
            fetch,
            created=parse_time_ns(created) / 1e9 if created else None,
            description=descriptor.annotations.get(DESCRIPTION_ANNOTATION) or f"imported {descriptor.digest}",
        )
        self._layer_ids[descriptor.digest, diff_id] = layer_id
        return layer_id

    def _remember_origin(self, result: CachedResult, origin: str | None) -> None:
        """Notes where later builds can fetch the blobs."""
        if origin is not None:
            known = {str(layer.digest): origin.encode() for layer in self._missing(result)}
            self._context.store.kv.put_many(SOURCES_SPACE, known)

    # -- exporting -----------------------------------------------------------------------------------------------

    def export_cache(self, target: CacheTarget, solved: SolvedKeys) -> dict[str, str]:
        """Writes a cache, shown as a vertex; returns response keys. Raises what went wrong, unless `ignore-error`."""
        vertex = self._context.reporter.vertex(export_digest(target.id, target.title), target.title)
        vertex.start()
        try:
            response = self._write(target, solved, vertex)
        except BaseException as error:
            vertex.fail(str(error))
            cancelled = not isinstance(error, BakehouseError) or error.category == "cancelled"
            if cancelled or not target.options.ignore_error:
                raise
            return {}
        vertex.done()
        return response

    def inline_cache(
        self, solved: SolvedKeys, layers: Sequence[Digest], compression: Compression
    ) -> bytes | None:
        """The cache for an image of these layers to carry; None when there is nothing to say."""
        from bakehouse.engine.caches.inline import inline_records

        gatherer = Gatherer(self.keys, self.load, self._context, compression, self._cancel.check)
        return inline_records(gatherer.gather(solved, all_results=False), layers)

    def _write(self, target: CacheTarget, solved: SolvedKeys, vertex: VertexReporter) -> dict[str, str]:
        options = target.options
        with vertex.status("preparing build cache for export"):
            gatherer = Gatherer(self.keys, self.load, self._context, options.compression, self._cancel.check)
            gathered = gatherer.gather(solved, all_results=options.all_results)
        with vertex.status("sending cache export"):
            return target.write(gathered, self._context, vertex, self._cancel)


class _Blobs:
    """The blobs of one cache, with the vertex of its import, on which fetching is shown."""

    def __init__(self, cache: ImportedCache, vertex: VertexReporter) -> None:
        self.blobs = cache.blobs
        self.vertex = vertex
        self._seen: set[Digest] = set()

    @property
    def origin(self) -> str | None:
        return None if self.blobs.origin is None else self.blobs.origin.name

    def has_all(self, layers: Sequence[Descriptor]) -> bool:
        """Whether every blob can be had; a cache that cannot say has none."""
        asked = [layer for layer in layers if layer.digest not in self._seen]
        if not asked:
            return True
        workers = min(_PARALLEL_QUESTIONS, len(asked))
        try:
            with ThreadPoolExecutor(workers, thread_name_prefix="cache") as pool:
                answers = list(pool.map(self.blobs.has, asked))
        except CancelledError:
            raise
        except BakehouseError:
            return False
        self._seen.update(layer.digest for layer, there in zip(asked, answers, strict=True) if there)
        return all(answers)


__all__ = ["SolveCaches"]
