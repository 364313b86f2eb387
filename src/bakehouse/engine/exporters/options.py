"""Exporter attributes as typed options (engine.md §17.1). Every error names the attribute and what it takes."""

from __future__ import annotations

from collections.abc import Mapping

from bakehouse.engine.exporters.annotations import AnnotationGroup, parse_annotations
from bakehouse.errors import DefinitionError, NotBuiltYetError
from bakehouse.go.values import parse_bool as go_bool
from bakehouse.snapshots import Compression
from bakehouse.values import dataclass

_LEVELS = {"gzip": range(10), "zstd": range(23), "uncompressed": range(1)}
# Options of BuildKit that Bakehouse does not have; refused by name rather than ignored.
_UNSUPPORTED_COMPRESSIONS = frozenset({"estargz", "nydus"})


def _invalid(message: str) -> DefinitionError:
    return DefinitionError(message, code="invalid-exporter-option")


def parse_bool(key: str, value: str, *, empty: bool | None = None) -> bool:
    """A boolean attribute as Go reads one; `empty` is what an empty value means (None: an error)."""
    if value == "" and empty is not None:
        return empty
    try:
        return go_bool(value)
    except ValueError:
        raise _invalid(f'non-bool value specified for {key}: "{value}" (expected true or false)') from None


class Attributes:
    """The attributes of one exporter, taken one by one; what nobody takes is ignored, as BuildKit does."""

    def __init__(self, attrs: Mapping[str, str]) -> None:
        self._attrs = dict(attrs)

    def text(self, key: str, default: str = "") -> str:
        return self._attrs.get(key, default)

    def flag(self, key: str, default: bool, *, empty: bool | None = None) -> bool:
        value = self._attrs.get(key)
        return default if value is None else parse_bool(key, value, empty=empty)

    def optional_flag(self, key: str) -> bool | None:
        value = self._attrs.get(key)
        return None if value is None else parse_bool(key, value)

    def epoch_s(self) -> tuple[bool, int | None]:
        """`source-date-epoch`: (whether it is given, its seconds; empty switches a build's epoch off)."""
        value = self._attrs.get("source-date-epoch")
        if value is None:
            return False, None
        if value == "":
            return True, None
        digits = value[1:] if value[0] in "+-" else value
        if not (digits.isascii() and digits.isdigit() and len(digits) < 13):
            raise _invalid(f'invalid source-date-epoch: "{value}" is not an integer number of seconds')
        return True, int(value)

    def compression(self) -> Compression:
        """`compression`, `compression-level` and `force-compression`."""
        kind = self.text("compression", "gzip")
        if kind in _UNSUPPORTED_COMPRESSIONS:
            raise NotBuiltYetError(
                f"compression={kind} is not supported", hint="Use gzip, zstd or uncompressed."
            )
        if kind not in _LEVELS:
            raise _invalid(f"unsupported compression type {kind} (expected gzip, zstd or uncompressed)")
        level: int | None = None
        text = self._attrs.get("compression-level")
        if text is not None:
            try:
                level = int(text)
            except ValueError:
                raise _invalid(f"non-integer value {text} specified for compression-level") from None
            allowed = _LEVELS[kind]
            if kind != "uncompressed" and level not in allowed:
                raise _invalid(
                    f"compression-level {level} is out of range for {kind} ({allowed[0]} to {allowed[-1]})"
                )
        force = self.flag("force-compression", False, empty=True)
        return Compression(kind, level, force)


@dataclass(frozen=True, slots=True)
class ImageOptions:
    """What image, oci and docker exporters share. `oci_artifact` says which form attestation manifests have,
    `inline_attestations` whether a single image carries those that are for images only."""

    names: tuple[str, ...]
    compression: Compression
    annotations: AnnotationGroup
    oci_types: bool
    rewrite_timestamp: bool
    prefer_nondist_layers: bool
    epoch_given: bool
    epoch_s: int | None
    oci_artifact: bool = True
    inline_attestations: bool = False

    def epoch_for(self, build_epoch_s: int | None) -> int | None:
        """The epoch that applies: the attribute wins over what the build knew."""
        return self.epoch_s if self.epoch_given else build_epoch_s


def parse_image_options(
    attrs: Mapping[str, str], *, inline_attestations: bool = False
) -> tuple[ImageOptions, Attributes]:
    """The shared options, and the attributes for the exporter's own; `inline_attestations` is the default of that
    attribute. Raises `DefinitionError`."""
    annotations, rest = parse_annotations(attrs)
    attributes = Attributes(rest)
    oci_types = attributes.optional_flag("oci-mediatypes")
    artifact = attributes.optional_flag("oci-artifact")
    if artifact and oci_types is False:
        raise _invalid('exporter option "oci-artifact=true" conflicts with "oci-mediatypes=false"')
    epoch_given, epoch_s = attributes.epoch_s()
    options = ImageOptions(
        names=tuple(name for name in attributes.text("name").split(",") if name),
        compression=attributes.compression(),
        annotations=annotations,
        oci_types=oci_types is not False,
        rewrite_timestamp=attributes.flag("rewrite-timestamp", False),
        prefer_nondist_layers=attributes.flag("prefer-nondist-layers", False),
        epoch_given=epoch_given,
        epoch_s=epoch_s,
        oci_artifact=artifact is not False,
        inline_attestations=attributes.flag("attestation-inline", inline_attestations),
    )
    return options, attributes
