"""Attributes of cache entries as checked values; every error names the attribute and what it takes."""

from __future__ import annotations

from pathlib import Path

from bakehouse.engine.caches.manifest import ManifestForm
from bakehouse.engine.caches.model import CacheSpec, ExportOptions
from bakehouse.engine.exporters.options import Attributes
from bakehouse.errors import DefinitionError
from bakehouse.oci.digest import Digest

_MODES = {"min": False, "max": True}


def invalid(message: str, hint: str | None = None) -> DefinitionError:
    """The error of an attribute that is wrong."""
    return DefinitionError(message, code="invalid-cache-option", hint=hint)


def required(spec: CacheSpec, key: str, role: str) -> str:
    """An attribute that must be there; `role` is `importer` or `exporter`."""
    value = spec.attrs.get(key, "")
    if not value:
        raise invalid(f"{spec.type} cache {role} requires {key}", f"Write type={spec.type},{key}=….")
    return value


def flag(spec: CacheSpec, key: str, default: bool) -> bool:
    """A boolean attribute; an empty one is an error. Raises `DefinitionError`."""
    return Attributes(spec.attrs).flag(key, default)


def export_options(spec: CacheSpec) -> ExportOptions:
    """`mode`, `ignore-error` and the compression."""
    mode = spec.attrs.get("mode") or "min"
    if mode not in _MODES:
        raise invalid(f'invalid cache export mode "{mode}"', "Use mode=min or mode=max.")
    attributes = Attributes(spec.attrs)
    ignore_error = attributes.flag("ignore-error", False)
    return ExportOptions(_MODES[mode], attributes.compression(), ignore_error)


def manifest_form(spec: CacheSpec) -> ManifestForm:
    """`image-manifest` and `oci-mediatypes`: without the latter there is the older form only."""
    oci = flag(spec, "oci-mediatypes", True)
    image = flag(spec, "image-manifest", oci)
    if image and not oci:
        raise invalid(
            "invalid configuration for remote cache, OCI mediatypes are required for image-manifest cache format"
        )
    return ManifestForm(image, oci)


def directory(spec: CacheSpec, text: str) -> Path:
    """A path of an entry, relative to the working directory."""
    return spec.cwd / text


def digest(spec: CacheSpec) -> Digest | None:
    """The `digest` of an entry, if it has one. Raises `DefinitionError`."""
    text = spec.attrs.get("digest", "")
    if not text:
        return None
    try:
        return Digest(text)
    except DefinitionError as error:
        raise invalid(f"invalid digest {text}: {error.message}") from error
