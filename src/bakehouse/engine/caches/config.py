"""The cache config, version 0: which steps a cache knows, and which layer blobs their results are (engine.md §19.1).

    {"layers":  [{"blob": DIGEST, "parent": INDEX, "annotations": {...}}],
     "records": [{"layers": [{"layer": INDEX, "createdAt": TIME}], "chains": [{"layers": [INDEX], "createdAt": TIME}],
                  "digest": DIGEST, "inputs": [[{"selector": TEXT, "link": INDEX}]]}]}

A record without inputs is a root: a source, or the digest of content. Bytes of strangers come in here: everything is
checked, and what is returned refers to nothing that is not there and has no loops. What the records mean is `chains`'
business.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from bakehouse.errors import DefinitionError, IntegrityError
from bakehouse.go.jsontext import compact_json
from bakehouse.go.timestamps import format_time_ns
from bakehouse.oci.digest import Digest
from bakehouse.oci.timestamps import parse_time_ns
from bakehouse.values import dataclass

CONFIG_TYPE = "application/vnd.buildkit.cacheconfig.v0"
#: BuildKit reads no larger config or manifest from a registry or a directory.
MAX_DOCUMENT_BYTES = 1 << 20
#: What a service's documents may have: these hold more, because no manifest stands beside them.
MAX_STORED_BYTES = 64 << 20
#: Of this many layers no kernel makes a tree.
MAX_CHAIN = 1000
#: What Go writes for a time that was never set.
NO_TIME_NS = -62_135_596_800_000_000_000


@dataclass(frozen=True, slots=True)
class LayerNote:
    """What a config says of a blob when no manifest does: its media type, diff ID, size, and time (ns)."""

    media_type: str
    diff_id: Digest
    size: int
    created_ns: int


@dataclass(frozen=True, slots=True)
class ConfigLayer:
    """A blob on top of layer number `parent` (-1: on nothing)."""

    blob: Digest
    parent: int
    note: LayerNote | None = None


@dataclass(frozen=True, slots=True)
class ConfigResult:
    """A result: layers by number, lowest first, and when it was made (ns since the epoch)."""

    layers: tuple[int, ...]
    created_ns: int


@dataclass(frozen=True, slots=True)
class ConfigRecord:
    """A step (or a root). `results` stand on parents (their number is that of the top layer), `chained` name every
    layer; `inputs` are the alternatives of each input as (selector, number of a record)."""

    digest: str
    inputs: tuple[tuple[tuple[str, int], ...], ...] = ()
    results: tuple[ConfigResult, ...] = ()
    chained: tuple[ConfigResult, ...] = ()


@dataclass(frozen=True, slots=True)
class CacheConfig:
    layers: tuple[ConfigLayer, ...]
    records: tuple[ConfigRecord, ...]


def _broken(problem: str) -> IntegrityError:
    return IntegrityError(f"invalid cache config: {problem}", code="invalid-cache-config")


# -- reading ---------------------------------------------------------------------------------------------------------


def parse_config(raw: bytes, limit: int = MAX_DOCUMENT_BYTES) -> CacheConfig:
    """The config in `raw`, of at most `limit` bytes. Raises `IntegrityError` (code `invalid-cache-config`)."""
    if len(raw) > limit:
        raise _broken(f"{len(raw)} bytes are more than the {limit} that are read")
    value = _json(raw)
    if not isinstance(value, dict):
        raise _broken("expected a JSON object")
    layers = tuple(_layer(item, number) for number, item in enumerate(_list(value, "layers", "the config")))
    _check_parents(layers)
    return CacheConfig(layers, _records(_list(value, "records", "the config"), len(layers)))


def parse_records(raw: bytes, layers: Sequence[Digest]) -> CacheConfig:
    """The config of an image that carries its own records: `layers` are the image's, each upon the one before.
    Raises `IntegrityError` (code `invalid-cache-config`)."""
    value = _json(raw)
    if not isinstance(value, list):
        raise _broken("expected a JSON list of records")
    chain = tuple(ConfigLayer(blob, number - 1) for number, blob in enumerate(layers))
    _check_parents(chain)
    return CacheConfig(chain, _records(value, len(chain)))


def _json(raw: bytes) -> object:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise _broken("not valid JSON") from error


def _list(value: dict[str, object], member: str, what: str) -> list[object]:
    found = value.get(member)
    if found is None:
        return []
    if not isinstance(found, list):
        raise _broken(f"{member} of {what} must be a list")
    return found


def _object(value: object, what: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise _broken(f"{what} must be an object")
    return value


def _number(value: object, what: str, default: int | None = None) -> int:
    if value is None and default is not None:
        return default
    if not isinstance(value, int) or isinstance(value, bool):
        raise _broken(f"{what} must be a whole number")
    return value


def _digest(value: object, what: str) -> Digest:
    try:
        return Digest(value if isinstance(value, str) else "")
    except DefinitionError as error:
        raise _broken(f"{what}: {error.message}") from error


def _time(value: object, what: str) -> int:
    if value is None:
        return NO_TIME_NS
    try:
        return parse_time_ns(value if isinstance(value, str) else "")
    except DefinitionError as error:
        raise _broken(f"{what}: {error.message}") from error


def _layer(item: object, number: int) -> ConfigLayer:
    what = f"layer {number}"
    value = _object(item, what)
    # Go leaves out a zero: a layer without a parent says -1, one without the member stands on layer 0.
    parent = _number(value.get("parent"), f"parent of {what}", 0)
    note = value.get("annotations")
    return ConfigLayer(
        _digest(value.get("blob"), f"blob of {what}"), parent, None if note is None else _note(note, what)
    )


def _note(item: object, what: str) -> LayerNote:
    value = _object(item, f"annotations of {what}")
    media_type = value.get("mediaType")
    if not isinstance(media_type, str):
        raise _broken(f"mediaType of {what} must be a string")
    size = _number(value.get("size"), f"size of {what}", 0)
    if not 0 <= size < 1 << 62:
        raise _broken(f"size of {what} must be a number of bytes")
    diff_id = _digest(value.get("diffID"), f"diffID of {what}")
    return LayerNote(media_type, diff_id, size, _time(value.get("createdAt"), f"createdAt of {what}"))


def _check_parents(layers: Sequence[ConfigLayer]) -> None:
    """Every parent exists, none is its own ancestor, and no chain is deeper than a tree can be."""
    depths: list[int] = [0] * len(layers)
    for start in range(len(layers)):
        path: list[int] = []
        number = start
        while number != -1 and not depths[number]:
            depths[number] = -1
            path.append(number)
            number = layers[number].parent
            if not -1 <= number < len(layers):
                raise _broken(f"invalid layer index {number}")
            if number != -1 and depths[number] == -1:
                raise _broken("invalid looping layer")
        depth = 0 if number == -1 else depths[number]
        for number in reversed(path):
            depth += 1
            depths[number] = depth
        if depth > MAX_CHAIN:
            raise _broken(f"more than {MAX_CHAIN} layers upon each other")


def _records(items: Sequence[object], layer_count: int) -> tuple[ConfigRecord, ...]:
    records = tuple(_record(item, number, layer_count, len(items)) for number, item in enumerate(items))
    record_order(records)
    return records


def _record(item: object, number: int, layer_count: int, record_count: int) -> ConfigRecord:
    what = f"record {number}"
    value = _object(item, what)
    inputs = []
    for alternatives in _list(value, "inputs", what):
        if not isinstance(alternatives, list) or not alternatives:
            raise _broken(f"invalid empty input for {what}")
        inputs.append(tuple(_input(entry, what, record_count) for entry in alternatives))
    results = []
    for entry in _list(value, "layers", what):
        result = _object(entry, f"result of {what}")
        layer = _index(result.get("layer", 0), layer_count, "layer")
        results.append(ConfigResult((layer,), _time(result.get("createdAt"), f"createdAt of {what}")))
    chained = []
    for entry in _list(value, "chains", what):
        result = _object(entry, f"result of {what}")
        layers = tuple(_index(layer, layer_count, "layer") for layer in _list(result, "layers", what))
        if len(layers) > MAX_CHAIN:
            raise _broken(f"more than {MAX_CHAIN} layers upon each other")
        chained.append(ConfigResult(layers, _time(result.get("createdAt"), f"createdAt of {what}")))
    digest = str(_digest(value.get("digest"), f"digest of {what}"))
    return ConfigRecord(digest, tuple(inputs), tuple(results), tuple(chained))


def _input(entry: object, what: str, record_count: int) -> tuple[str, int]:
    value = _object(entry, f"input of {what}")
    selector = value.get("selector", "")
    if not isinstance(selector, str):
        raise _broken(f"selector of {what} must be a string")
    return selector, _index(value.get("link", 0), record_count, "record")


def _index(value: object, count: int, what: str) -> int:
    number = _number(value, f"{what} index")
    if not 0 <= number < count:
        raise _broken(f"invalid {what} index {number}")
    return number


def record_order(records: Sequence[ConfigRecord]) -> list[int]:
    """The numbers of all records, inputs before those that have them. Raises `IntegrityError` for a loop."""
    order: list[int] = []
    state = [0] * len(records)
    for start in range(len(records)):
        stack = [(start, False)]
        while stack:
            number, expanded = stack.pop()
            if expanded:
                state[number] = 2
                order.append(number)
                continue
            if state[number] == 2:
                continue
            if state[number] == 1:
                raise _broken("invalid looping record")
            state[number] = 1
            stack.append((number, True))
            links = dict.fromkeys(link for choices in records[number].inputs for _, link in choices)
            for link in links:
                if state[link] == 1:
                    raise _broken("invalid looping record")
                if not state[link]:
                    stack.append((link, False))
    return order


# -- writing ---------------------------------------------------------------------------------------------------------


def encode_config(config: CacheConfig) -> bytes:
    """The bytes that BuildKit writes for `config`."""
    value: dict[str, object] = {}
    if config.layers:
        value["layers"] = [_layer_json(layer) for layer in config.layers]
    if config.records:
        value["records"] = [_record_json(record) for record in config.records]
    return compact_json(value).encode()


def encode_records(config: CacheConfig) -> bytes:
    """The records alone, for an image that carries its own."""
    return compact_json([_record_json(record) for record in config.records]).encode()


def _layer_json(layer: ConfigLayer) -> dict[str, object]:
    value: dict[str, object] = {"blob": str(layer.blob)}
    if layer.parent:
        value["parent"] = layer.parent
    note = layer.note
    if note is not None:
        value["annotations"] = {
            "mediaType": note.media_type,
            "diffID": str(note.diff_id),
            **({"size": note.size} if note.size else {}),
            "createdAt": format_time_ns(note.created_ns),
        }
    return value


def _record_json(record: ConfigRecord) -> dict[str, object]:
    value: dict[str, object] = {}
    if record.results:
        value["layers"] = [
            {"layer": result.layers[-1], "createdAt": format_time_ns(result.created_ns)}
            for result in record.results
        ]
    if record.chained:
        value["chains"] = [
            {"layers": list(result.layers), "createdAt": format_time_ns(result.created_ns)}
            for result in record.chained
        ]
    value["digest"] = record.digest
    if record.inputs:
        value["inputs"] = [
            [{**({"selector": selector} if selector else {}), "link": link} for selector, link in choices]
            for choices in record.inputs
        ]
    return value
