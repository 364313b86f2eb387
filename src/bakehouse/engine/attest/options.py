"""What a build was asked to attest: the texts of `attest:` options as values (engine.md §18.2, §18.5)."""

from __future__ import annotations

from collections.abc import Mapping

from bakehouse.errors import DefinitionError
from bakehouse.go.csvline import split_csv
from bakehouse.go.values import TRUE, parse_bool
from bakehouse.oci.reference import Reference
from bakehouse.values import dataclass

PROVENANCE, SBOM = "provenance", "sbom"
DEFAULT_GENERATOR = "docker/buildkit-syft-scanner:stable-1"
SLSA_V1, SLSA_V02 = "v1", "v0.2"
_OPTION, _BUILD_ARG = "attest:", "build-arg:BUILDKIT_ATTEST_"
_MODES = {"min": "min", "max": "max", "full": "max"}


@dataclass(frozen=True, slots=True)
class ProvenanceOptions:
    """`detailed` is mode `max`; `filename` is that of file outputs; `inline_only` says that only images carry it."""

    detailed: bool = True
    version: str = SLSA_V1
    builder_id: str = ""
    filename: str = "provenance.json"
    reproducible: bool = False
    inline_only: bool = False
    complete_materials: bool = False
    capture_usage: bool = False


@dataclass(frozen=True, slots=True)
class SbomOptions:
    """`generator` is the scanner's image, a full reference; `parameters` are its own, name and value."""

    generator: str
    parameters: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class AttestOptions:
    """None: not asked for."""

    provenance: ProvenanceOptions | None = None
    sbom: SbomOptions | None = None


def parse_attest_options(options: Mapping[str, str]) -> AttestOptions:
    """What the frontend options `attest:TYPE`, and the build arguments that stand for them, ask for. Raises
    `DefinitionError` (code `invalid-attestation`) with BuildKit's message."""
    texts: dict[str, str] = {}
    for prefix in (_BUILD_ARG, _OPTION):
        texts |= {
            key.removeprefix(prefix).lower(): text for key, text in options.items() if key.startswith(prefix)
        }
    values = {kind: _fields(kind, text) for kind, text in texts.items()}
    for kind in values:
        if kind not in (PROVENANCE, SBOM):
            raise _invalid(f'unknown attestation type "{kind}"', f"{PROVENANCE} or {SBOM}")
    sbom = _sbom(values[SBOM]) if SBOM in values else None
    return AttestOptions(_provenance(values[PROVENANCE]) if PROVENANCE in values else None, sbom)


def _fields(kind: str, text: str) -> dict[str, str]:
    try:
        fields = split_csv(text) if text else []
    except ValueError as error:
        raise _invalid(f"failed to parse {kind}: {error}") from None
    return {key: value for key, _, value in (field.partition("=") for field in fields)}


def _sbom(values: Mapping[str, str]) -> SbomOptions:
    generator = values.get("generator", DEFAULT_GENERATOR)
    if not generator:
        raise _invalid("sbom generator cannot be empty", "generator=IMAGE, or nothing for the default one")
    try:
        ref = str(Reference.parse(generator))
    except DefinitionError as error:
        raise _invalid(f"failed to parse sbom generator {generator}: {error.message}") from error
    return SbomOptions(
        ref, tuple(sorted((key, value) for key, value in values.items() if key != "generator"))
    )


def _provenance(values: Mapping[str, str]) -> ProvenanceOptions:
    version = values.get("version", SLSA_V1)
    if version == "":
        raise _invalid("provenance SLSA version cannot be empty", f"{SLSA_V1} or {SLSA_V02}")
    if version not in (SLSA_V1, SLSA_V02):
        raise _invalid(f"invalid provenance SLSA version: {version}", f"{SLSA_V1} or {SLSA_V02}")
    reproducible = _flag(values, "reproducible")
    mode = values.get("mode", "max")
    if mode not in _MODES:
        raise _invalid(f'invalid mode "{mode}"', "mode=min, or mode=max")
    return ProvenanceOptions(
        detailed=_MODES[mode] == "max",
        version=version,
        builder_id=values.get("builder-id", ""),
        filename=values.get("filename", "provenance.json"),
        reproducible=reproducible,
        # What is no boolean counts as false, as in BuildKit.
        inline_only=values.get("inline-only", "") in TRUE,
        complete_materials=_flag(values, "complete-materials"),
        capture_usage=values.get("capture-usage", "") in TRUE,
    )


def _flag(values: Mapping[str, str], name: str) -> bool:
    text = values.get(name)
    if text is None:
        return False
    try:
        return parse_bool(text)
    except ValueError as error:
        raise _invalid(f'failed to parse {name} flag "{text}": {error}') from None


def _invalid(message: str, expected: str = "") -> DefinitionError:
    hint = f"expected {expected}" if expected else None
    return DefinitionError(message, code="invalid-attestation", hint=hint)


__all__ = [
    "DEFAULT_GENERATOR",
    "PROVENANCE",
    "SBOM",
    "SLSA_V02",
    "SLSA_V1",
    "AttestOptions",
    "ProvenanceOptions",
    "SbomOptions",
    "parse_attest_options",
]
