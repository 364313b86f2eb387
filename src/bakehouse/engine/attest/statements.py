"""In-toto statements: a predicate and the things that it is about (engine.md §18.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bakehouse.engine.attest.model import Attestation

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"

#: Name and digests (by algorithm) of something that a statement is about.
Subject = tuple[str, Mapping[str, str]]


def statement(
    attestation: Attestation, subjects: Sequence[Subject], *, layers_exported: bool
) -> dict[str, Any]:
    """The statement about `subjects`, or about those that `attestation` brought itself. `layers_exported`: see
    `Attestation`."""
    about = attestation.subjects or subjects
    return {
        "_type": STATEMENT_TYPE,
        "predicateType": attestation.predicate_type,
        "subject": [
            {"name": name, "digest": {key: digests[key] for key in sorted(digests)}}
            for name, digests in about
        ],
        "predicate": attestation.predicate(layers_exported),
    }
