"""What the `local` and `tar` exporters share: their attributes, and directory names of platforms (engine.md §17.4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bakehouse.engine.exporters.model import ExportResult
from bakehouse.engine.exporters.options import Attributes
from bakehouse.errors import DefinitionError
from bakehouse.values import dataclass

if TYPE_CHECKING:
    from bakehouse.oci.platform import Platform

_PATH_CHARS = str.maketrans({"/": "_", "\\": "_", ":": "_"})


@dataclass(frozen=True, slots=True)
class FileOptions:
    """`platform_split` None: by the result; `delete` removes what the result lacks (local only); the names of
    attestation files begin with `attestation_prefix`."""

    platform_split: bool | None
    delete: bool
    epoch_given: bool
    epoch_s: int | None
    attestation_prefix: str = ""

    def epoch_for(self, build_epoch_s: int | None) -> int | None:
        return self.epoch_s if self.epoch_given else build_epoch_s

    def split(self, result: ExportResult) -> bool:
        """Whether each platform gets a directory of its own."""
        return result.multi_platform if self.platform_split is None else self.platform_split


def parse_file_options(attrs: Mapping[str, str]) -> FileOptions:
    """Raises `DefinitionError` (code `invalid-exporter-option`)."""
    attributes = Attributes(attrs)
    mode = attributes.text("mode").strip().lower()
    if mode not in ("", "copy", "delete"):
        raise DefinitionError(
            f'invalid local exporter mode "{attributes.text("mode")}" (expected copy or delete)',
            code="invalid-exporter-option",
        )
    epoch_given, epoch_s = attributes.epoch_s()
    return FileOptions(
        attributes.optional_flag("platform-split"),
        mode == "delete",
        epoch_given,
        epoch_s,
        attributes.text("attestation-prefix"),
    )


def check_platforms(result: ExportResult) -> None:
    """Raises `DefinitionError` (code `invalid-result`) for several platforms without a platform map."""
    if not result.multi_platform and len(result.platforms) > 1:
        raise DefinitionError("unable to export multiple platforms without map", code="invalid-result")


def platform_directory(platform: Platform) -> str:
    """`linux_arm_v7`: one safe path component."""
    name = platform.normalized().format_all().translate(_PATH_CHARS)
    return "_" * len(name) if name in (".", "..") else name
