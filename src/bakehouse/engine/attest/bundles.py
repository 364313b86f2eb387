"""Statements that a step wrote as files, taken apart (engine.md §18.5). The files are a stranger's: they are read below
their directory, up to a limit, and what they say is checked."""

from __future__ import annotations

import copy
import json
import os
import posixpath
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bakehouse.engine.attest.model import Attestation, AttestationBundle
from bakehouse.engine.attest.spdx import PREDICATE_SPDX, with_layers
from bakehouse.engine.layer_tree import LayerTree
from bakehouse.engine.reading import read_files
from bakehouse.errors import BakehouseError, DefinitionError
from bakehouse.go.text import quote

if TYPE_CHECKING:
    from bakehouse.engine.tree import EngineContext
    from bakehouse.snapshots import LayerBlob, LayerChain

#: BuildKit's limit for one statement.
_MAX_BYTES = 80 << 20
_MAX_DEPTH = 100
_BLANKS = " \t\r\n"
_PROVENANCE = "https://slsa.dev/provenance/"


def unbundled(
    attestations: Sequence[Attestation | AttestationBundle],
    context: EngineContext,
    blobs: Sequence[LayerBlob] = (),
    chain: LayerChain | None = None,
) -> list[Attestation]:
    """Every statement by itself, that about the result itself first. Into the latter goes which layer each file lies
    in, when the image's `chain` and its `blobs` are given.

    Raises `DefinitionError` (code `invalid-attestation`) for a file that is no statement of the bundle's type."""
    out: list[Attestation] = []
    for each in attestations:
        out += _statements(each, context) if isinstance(each, AttestationBundle) else [each]
    if chain is not None and blobs:
        out = [
            with_layers(each, context, chain, blobs)
            if each.is_core and each.predicate_type == PREDICATE_SPDX
            else each
            for each in out
        ]
    return [each for each in out if each.is_core] + [each for each in out if not each.is_core]


def _statements(bundle: AttestationBundle, context: EngineContext) -> list[Attestation]:
    if not bundle.chain.layers:
        return []
    tree = LayerTree(bundle.chain, context)
    with tree.mounted() as root:
        names = sorted(os.listdir(root))
    return [_statement(name, bundle, tree) for name in names]


def _statement(name: str, bundle: AttestationBundle, tree: LayerTree) -> Attestation:
    try:
        data = read_files(tree, [name], _MAX_BYTES + 1).get(name)
    except BakehouseError as error:
        raise _invalid(f"cannot read in-toto attestation: {error.message}") from error
    if data is None:
        raise _invalid(f"cannot read in-toto attestation: open {name}: no such file or directory")
    if len(data) > _MAX_BYTES:
        raise _invalid(f"{name} exceeds {_MAX_BYTES} bytes")
    value = _decoded(name, data)
    kind = value.get("predicateType")
    if kind != bundle.predicate_type:
        raise _invalid(
            f"bundle entry {kind if isinstance(kind, str) else ''} does not match required predicate type "
            f"{bundle.predicate_type}"
        )
    if kind.startswith(_PROVENANCE):
        raise _invalid("frontend may not bundle provenance attestations")
    predicate = value.get("predicate")
    return Attestation(
        name,
        kind,
        # A copy each time: whoever exports it may write into it.
        lambda _: copy.deepcopy(predicate),
        subjects=tuple(_subject(name, each) for each in _list(name, value.get("subject"))),
        is_core=posixpath.basename(name).partition(".")[0] == bundle.core,
    )


def _decoded(name: str, data: bytes) -> dict[str, Any]:
    text = data.decode("utf-8", "replace").lstrip(_BLANKS)
    try:
        value, end = json.JSONDecoder(parse_constant=_no_constant).raw_decode(text)
    except (ValueError, RecursionError) as error:
        raise _invalid(f"cannot decode in-toto statement: {quote(name)}: {error}") from None
    if text[end:].strip(_BLANKS):
        raise _invalid("in-toto statement is not a single JSON object")
    if not isinstance(value, dict):
        raise _invalid(f"cannot decode in-toto statement: {quote(name)} is not a JSON object")
    decoded: dict[str, Any] = _sorted(value, name)
    return decoded


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


def _list(name: str, value: Any) -> list[Any]:
    if value is not None and not isinstance(value, list):
        raise _invalid(f"cannot decode in-toto statement: the subject of {quote(name)} is not a list")
    return value or []


def _subject(name: str, value: Any) -> tuple[str, dict[str, str]]:
    digests = value.get("digest") if isinstance(value, dict) else None
    called = value.get("name", "") if isinstance(value, dict) else None
    if not isinstance(called, str) or not isinstance(digests or {}, dict):
        raise _invalid(f"cannot decode in-toto statement: a subject of {quote(name)} is malformed")
    return called or "_", {str(key): str(text) for key, text in (digests or {}).items()}


def _sorted(value: Any, name: str, depth: int = 0) -> Any:
    """Objects as BuildKit writes what it has decoded: members sorted."""
    if depth > _MAX_DEPTH:
        raise _invalid(f"cannot decode in-toto statement: {quote(name)} is nested too deeply")
    if isinstance(value, dict):
        return {key: _sorted(value[key], name, depth + 1) for key in sorted(value)}
    if isinstance(value, list):
        return [_sorted(item, name, depth + 1) for item in value]
    return value


def _invalid(message: str) -> DefinitionError:
    return DefinitionError(
        message,
        code="invalid-attestation",
        hint="A scanner writes in-toto statements with SPDX documents, and nothing else, to the directory that "
        "BUILDKIT_SCAN_DESTINATION names.",
    )
