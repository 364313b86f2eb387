"""What a remote source of a finished build stood for: a commit, the digest of a file on the web or of an image."""

from __future__ import annotations

from bakehouse.engine.answers import Answers, question
from bakehouse.errors import InternalError
from bakehouse.giturl import without_passwords
from bakehouse.llb.ops import SourceOp


def pin_of(op: SourceOp, answers: Answers) -> str:
    """A commit, or a digest with its algorithm. Every source below a result has been asked for its key."""
    if op.attrs.get("http.checksum"):
        return op.attrs["http.checksum"]
    found = answers.known(question(op))
    if found is None:
        raise InternalError(f"nothing is known of the source {without_passwords(op.identifier)}")
    return str(found.commit if op.identifier.startswith("git://") else found.digest)
