"""Annotations that exporter attributes ask for: `annotation[-TYPE][[PLATFORM]].KEY=VALUE` (engine.md §17.3)."""

from __future__ import annotations

from collections.abc import Mapping

from bakehouse.errors import DefinitionError
from bakehouse.lazy import regex
from bakehouse.oci.platform import Platform
from bakehouse.values import dataclass, field

_KEY = regex(r"annotation(?:-([a-z-]+))?(?:\[([A-Za-z0-9_/-]+)\])?\.(\S+)\Z")
_TYPES = ("index", "index-descriptor", "manifest", "manifest-descriptor")


@dataclass(frozen=True, slots=True)
class Annotations:
    """What one platform (or all: the empty key) gets, by the object that carries it."""

    index: dict[str, str] = field(default_factory=dict)
    index_descriptor: dict[str, str] = field(default_factory=dict)
    manifest: dict[str, str] = field(default_factory=dict)
    manifest_descriptor: dict[str, str] = field(default_factory=dict)

    def of_type(self, kind: str) -> dict[str, str]:
        found: dict[str, str] = getattr(self, kind.replace("-", "_"))
        return found


@dataclass(frozen=True, slots=True)
class AnnotationGroup:
    """All annotations of an export, keyed by platform text; the empty key is for every platform."""

    by_platform: Mapping[str, Annotations] = field(default_factory=dict)

    def merged(self, other: AnnotationGroup) -> AnnotationGroup:
        """Both, `other` winning."""
        out: dict[str, Annotations] = {}
        for group in (self, other):
            for platform, values in group.by_platform.items():
                target = out.setdefault(platform, Annotations())
                for kind in _TYPES:
                    target.of_type(kind).update(values.of_type(kind))
        return AnnotationGroup(out)

    def for_platform(self, platform: Platform | None) -> Annotations:
        """What the manifest of `platform` gets; None stands for the result as a whole."""
        out = Annotations()
        for values in self.by_platform.values():
            out.index.update(values.index)
            out.index_descriptor.update(values.index_descriptor)
        for key in ("",) if platform is None else ("", platform.format_all()):
            found = self.by_platform.get(key)
            if found is not None:
                out.manifest.update(found.manifest)
                out.manifest_descriptor.update(found.manifest_descriptor)
        return out

    def check(self, platforms: list[Platform], *, is_map: bool, is_index: bool, oci_types: bool) -> None:
        """Raises `DefinitionError` (code `invalid-annotation`) for what this result cannot carry. A result without a
        platform map (`is_map`) can be an index all the same: for its attestations."""
        known = {platform.format_all() for platform in platforms}
        for key, values in self.by_platform.items():
            if key and is_map and key not in known:
                raise _invalid(f"invalid annotation: no platform {key} found in source")
            extended = values.index or values.index_descriptor or values.manifest_descriptor
            if not oci_types and extended:
                raise _invalid('cannot export annotations with "oci-mediatypes=false"')
        whole = self.for_platform(None)
        if not is_index and (whole.index or whole.index_descriptor):
            raise _invalid("index annotations not supported for single platform export")


def _invalid(message: str) -> DefinitionError:
    return DefinitionError(message, code="invalid-annotation")


def parse_annotations(attrs: Mapping[str, str]) -> tuple[AnnotationGroup, dict[str, str]]:
    """The annotations among `attrs`, and the other attributes. Raises `DefinitionError` (`invalid-annotation`)."""
    groups: dict[str, Annotations] = {}
    rest: dict[str, str] = {}
    for key, value in attrs.items():
        match = _KEY.match(key)
        if match is None:
            if key.startswith("annotation") and key[10:11] in (".", "-", "["):
                raise _invalid(f"invalid annotation key {key}: expected annotation[-TYPE][[PLATFORM]].KEY")
            rest[key] = value
            continue
        kind = match[1] or "manifest"
        if kind not in _TYPES:
            raise _invalid(f"unrecognized annotation type {kind}")
        platform = Platform.parse_exact(match[2]).format_all() if match[2] else ""
        groups.setdefault(platform, Annotations()).of_type(kind)[match[3]] = value
    return AnnotationGroup(groups), rest
