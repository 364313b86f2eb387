"""The image config of a result: the frontend's config with layers, history and times filled in.

Pure. Follows dockerfile.md §10.3-10.4 and engine.md §17.2, so that equal builds have equal config digests.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence

from bakehouse.errors import DefinitionError
from bakehouse.go.timestamps import format_time_ns
from bakehouse.oci.digest import Digest
from bakehouse.oci.image import MAX_CONFIG_BYTES, encode_config, load_object
from bakehouse.oci.platform import Platform
from bakehouse.oci.timestamps import normal_time, parse_time_ns
from bakehouse.values import dataclass

_DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_COMMENT = "buildkit.exporter.image.v0"
#: The member of an image config that holds the image's own cache records.
INLINE_CACHE_MEMBER = "moby.buildkit.cache.v0"
Entry = dict[str, object]


@dataclass(frozen=True, slots=True)
class LayerFacts:
    """What a config needs to know of one layer; `created_ns` None when nobody knows."""

    diff_id: Digest
    created_ns: int | None = None
    description: str = ""


def default_config(platform: Platform) -> dict[str, object]:
    """The config of a result whose frontend gave none."""
    config: dict[str, object] = dict(platform.normalized().as_json())
    settings: dict[str, object] = {"WorkingDir": "/"}
    if platform.os != "windows":
        settings["Env"] = [_DEFAULT_PATH]
    config["config"] = settings
    return config


def build_config(
    config: bytes,
    platform: Platform,
    layers: Sequence[LayerFacts],
    *,
    epoch_s: int | None = None,
    base_config: bytes = b"",
    inline_cache: bytes | None = None,
) -> bytes:
    """The final config bytes; with `inline_cache` they carry a build cache.

    Raises `DefinitionError` (code `invalid-image-config`) for a config without `os` or `architecture`,
    `IntegrityError` for bytes that are no config at all."""
    value = load_object(config, "image config", MAX_CONFIG_BYTES) if config else default_config(platform)
    for member in ("os", "architecture"):
        if not value.get(member):
            raise DefinitionError(
                f"invalid image config for export: missing {member}", code="invalid-image-config"
            )
    history = _dated(_accounted(_history_of(value), layers), layers)
    if epoch_s is not None:
        base = (
            _history_of(load_object(base_config, "base image config", MAX_CONFIG_BYTES))
            if base_config
            else []
        )
        _clamp(history, base, epoch_s)
    value["rootfs"] = {"type": "layers", "diff_ids": [str(layer.diff_id) for layer in layers] or None}
    value["history"] = history or None
    value["created"] = _created(value, history, epoch_s)
    if inline_cache is not None:
        value[INLINE_CACHE_MEMBER] = base64.b64encode(inline_cache).decode("ascii")
    return encode_config(value)


def _history_of(config: Mapping[str, object]) -> list[Entry]:
    """The history with normal times; what is not an object is dropped."""
    found = config.get("history")
    entries = [dict(entry) for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []
    for entry in entries:
        if isinstance(entry.get("created"), str):
            entry["created"] = normal_time(str(entry["created"]))
        else:
            entry.pop("created", None)
    return entries


def _accounted(history: list[Entry], layers: Sequence[LayerFacts]) -> list[Entry]:
    """History with exactly one non-empty entry a layer: surplus entries become empty, missing ones are added."""
    counted = 0
    for entry in history:
        if not entry.get("empty_layer"):
            if counted >= len(layers):
                entry["empty_layer"] = True
            else:
                counted += 1
    for layer in layers[counted:]:
        entry = {"created_by": layer.description or "created by buildkit", "comment": _COMMENT}
        if layer.created_ns is not None:
            entry["created"] = format_time_ns(layer.created_ns)
        history.append(entry)
    return history


def _dated(history: list[Entry], layers: Sequence[LayerFacts]) -> list[Entry]:
    """Fills in times: a layer's own, then for metadata entries that of the new layer before them, or of the first
    new layer when none is before."""
    facts = iter(layers)
    for entry in history:
        if entry.get("empty_layer"):
            continue
        created_ns = next(facts).created_ns
        if "created" not in entry and created_ns is not None:
            entry["created"] = format_time_ns(created_ns)
    created = _first_new_time(history)
    seen_gap = False
    for entry in history:
        if "created" in entry:
            if seen_gap:
                created = entry["created"]
        else:
            seen_gap = True
            if created is not None:
                entry["created"] = created
    return history


def _first_new_time(history: Sequence[Entry]) -> object:
    """The time of the first dated entry after an undated one; else the last time there is."""
    created: object = None
    seen_gap = False
    for entry in history:
        if "created" in entry:
            created = entry["created"]
            if seen_gap:
                break
        else:
            seen_gap = True
    return created


def _clamp(history: list[Entry], base: Sequence[Entry], epoch_s: int) -> None:
    """Lowers times to the epoch, except those of entries inherited from the base image."""
    epoch_ns = epoch_s * 1_000_000_000
    diverged = False
    for index, entry in enumerate(history):
        if not diverged and index < len(base) and entry == base[index]:
            continue
        diverged = True
        if "created" not in entry or parse_time_ns(str(entry["created"])) > epoch_ns:
            entry["created"] = format_time_ns(epoch_ns)


def _created(value: Mapping[str, object], history: Sequence[Entry], epoch_s: int | None) -> object:
    """The image's own time: as the frontend said (not after the epoch), else the last time of the history."""
    stated = value.get("created")
    if isinstance(stated, str):
        if epoch_s is not None and parse_time_ns(stated) > epoch_s * 1_000_000_000:
            return format_time_ns(epoch_s * 1_000_000_000)
        return stated
    times = [entry["created"] for entry in history if "created" in entry]
    return times[-1] if times else None
