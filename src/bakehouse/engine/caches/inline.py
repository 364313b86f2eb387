"""The cache that an image carries in its config: the records of what its own layers are (engine.md §19.2).

Layers are numbered as in the image. A result is written by its top layer when it is made of the image's lowest ones,
else as a list.
"""

from __future__ import annotations

from collections.abc import Sequence

from bakehouse.engine.caches.chains import chains_of, config_of
from bakehouse.engine.caches.config import CacheConfig, ConfigRecord, ConfigResult, encode_records
from bakehouse.engine.caches.gathering import Gathered
from bakehouse.oci.digest import Digest
from bakehouse.values import replace


def inline_records(gathered: Gathered, layers: Sequence[Digest]) -> bytes | None:
    """The records for an image of these layer blobs, as JSON; None when no result is made of them."""
    present = {digest: gathered.layers[digest] for digest in layers if digest in gathered.layers}
    config = config_of(chains_of(config_of(gathered.chains), present))
    if not config.layers:
        return None
    records = tuple(_renumbered(record, config, layers) for record in config.records)
    return encode_records(replace(config, records=records))


def _renumbered(record: ConfigRecord, config: CacheConfig, layers: Sequence[Digest]) -> ConfigRecord:
    stacked, chained = [], []
    for result in record.results:
        blobs = _blobs(config, result.layers[-1])
        if list(layers[: len(blobs)]) == blobs:
            stacked.append(ConfigResult((len(blobs) - 1,), result.created_ns))
        else:
            # Of a blob that the image has twice, either does.
            numbers = tuple(layers.index(blob) for blob in blobs)
            chained.append(ConfigResult(numbers, result.created_ns))
    return replace(record, results=tuple(stacked), chained=tuple(chained))


def _blobs(config: CacheConfig, top: int) -> list[Digest]:
    """The blobs below and at layer number `top`, lowest first."""
    blobs = []
    while top != -1:
        blobs.append(config.layers[top].blob)
        top = config.layers[top].parent
    return blobs[::-1]
