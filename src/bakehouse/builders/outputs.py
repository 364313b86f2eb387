"""Outputs of a target as exporters: shorthands unfolded, tags and annotations put where exporters look for them
(engine.md §17, §25.5). Exporters are made before anything is built, so a wrong attribute costs no build."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from bakehouse.bake import Output, Target
from bakehouse.bake.annotations import parse_annotations
from bakehouse.builders.attesting import Attests
from bakehouse.builders.loading import Loads, is_load
from bakehouse.builders.naming import export_id
from bakehouse.engine.exporters.make import make_exporter
from bakehouse.engine.exporters.model import Exporter, ExportSpec
from bakehouse.errors import DefinitionError
from bakehouse.oci.reference import Reference
from bakehouse.registry.config import RegistryConfig

_IMAGE_TYPES = ("image", "oci", "docker")
_KEPT_HERE = {"attestation-inline": "false"}


def exporters_of(
    target: Target,
    cwd: Path,
    registries: RegistryConfig,
    open_stdout: Callable[[], BinaryIO] | None,
    loads: Loads,
    attests: Attests,
) -> tuple[Exporter, ...]:
    """The exporters of `target`. Without any output the image goes to the local image store, under the tags or, when
    there are none, under its digest alone; so does what `--load` asks for where no container engine is there. There
    images bear the attestations that were asked for, but not the default ones: they have not left the machine.

    Raises `DefinitionError` for attributes that do not go together, and for malformed tags."""
    _check_tags(target)
    exporters: list[Exporter] = []
    for number, output in enumerate(target.output or [Output("image", "", dict(_KEPT_HERE))]):
        loading = is_load(output)
        _check_attests(output, attests)
        spec = _spec(target, output, number, cwd, registries, open_stdout, attests)
        exporter = loads.exporter(target.name, number, spec) if loading else None
        if exporter is None and loading:
            attrs = {key: value for key, value in output.attrs.items() if key != "context"}
            stored = Output("image", "", {**_KEPT_HERE, **attrs})
            spec = _spec(target, stored, number, cwd, registries, open_stdout, attests)
        exporters.append(exporter or make_exporter(spec))
    return tuple(exporters)


def _check_attests(output: Output, attests: Attests) -> None:
    """Docker's archive format holds one image and nothing beside it."""
    if output.type == "docker" and attests.asked:
        to_file = "docker exporter does not support exporting manifest lists, use the oci exporter instead"
        to_engine = "docker exporter does not currently support exporting manifest lists"
        raise DefinitionError(
            to_file if output.dest else to_engine,
            code="invalid-output",
            hint="Attestations need an index: use type=oci, or leave them out (--provenance=false).",
        )


def _check_tags(target: Target) -> None:
    for tag in target.tags or ():
        try:
            Reference.parse(tag)
        except DefinitionError as error:
            raise DefinitionError(f'invalid tag "{tag}": {error.message}', code="invalid-tag") from error


def _spec(
    target: Target,
    output: Output,
    number: int,
    cwd: Path,
    registries: RegistryConfig,
    open_stdout: Callable[[], BinaryIO] | None,
    attests: Attests,
) -> ExportSpec:
    kind, attrs = output.type, dict(output.attrs)
    if kind == "registry":
        kind = "image"
        attrs.setdefault("push", "true")
    if kind == "image" and attrs.get("push") == "true":
        # What goes to a registry need not be kept here too: layers of the base are then mounted over, not downloaded.
        attrs.setdefault("store", "false")
    if kind in ("image", "oci") and not attests.as_artifact:
        attrs.setdefault("oci-artifact", "false")
    if kind in _IMAGE_TYPES:
        if target.tags:
            attrs["name"] = ",".join(target.tags)
        attrs |= _annotation_attrs(target)
        if kind == "image" and not attrs.get("name"):
            if attrs.get("push") == "true":
                raise DefinitionError(
                    "tag is needed when pushing to registry",
                    code="push-without-tag",
                    hint="give one with -t or `tags`",
                )
            attrs.setdefault("dangling-name-prefix", "<none>")
    elif target.annotations and kind in ("local", "tar"):
        raise DefinitionError(f"annotations not supported for {kind} exporter", code="invalid-output")
    dest: Path | None = None
    stdout: BinaryIO | None = None
    if output.dest == "-":
        if open_stdout is None:
            raise DefinitionError(f"dest cannot be stdout for {kind} exporter here", code="invalid-output")
        stdout = open_stdout()
    elif output.dest:
        dest = cwd / Path(output.dest).expanduser()
    return ExportSpec(kind, attrs, dest, stdout, export_id(target.name, number), registries)


def _annotation_attrs(target: Target) -> dict[str, str]:
    """Annotations as exporter attributes: `annotation[-TYPE][[PLATFORM]].KEY` (engine.md §17.3)."""
    attrs = {}
    for item in parse_annotations(target.annotations or ()):
        kind = f"-{item.type}" if item.type else ""
        platform = f"[{item.platform}]" if item.platform else ""
        attrs[f"annotation{kind}{platform}.{item.key}"] = item.value
    return attrs
