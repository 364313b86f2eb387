"""What all answers have in common."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Protocol

from bakehouse.go.jsontext import indented_json

VERSION = "1.0.0"


class Answer(Protocol):
    """The answer to one question. `version` is that of its JSON."""

    @property
    def version(self) -> str: ...

    def as_json(self) -> object:
        """The answer as `go.jsontext` takes it, members in BuildKit's order."""
        ...

    def as_text(self) -> str:
        """The answer for people."""
        ...


def json_text(answer: Answer) -> str:
    """The answer's JSON as BuildKit writes it, without a final newline."""
    return indented_json(answer.as_json())


def metadata_of(answer: Answer) -> dict[str, object]:
    """The answer as the members of a metadata file, in order."""
    from bakehouse.dockerfile.requests.convertllb import ConvertedGraph
    from bakehouse.dockerfile.requests.lint import LintResult

    if isinstance(answer, ConvertedGraph):
        return {"result.json": answer.as_json(), "version": answer.version}
    members = {"result.json": answer.as_json(), "result.txt": answer.as_text()}
    if isinstance(answer, LintResult):
        members = {"result.json": members["result.json"], "result.statuscode": str(answer.status), **members}
    return {**members, "version": answer.version}


def location_as_json(lines: Iterable[int]) -> dict[str, object]:
    """pb.Location: one range a line. What is zero is left out."""
    ranges = [{"start": _position(line), "end": _position(line)} for line in lines]
    return {"ranges": ranges} if ranges else {}


def _position(line: int) -> dict[str, int]:
    return {"line": line} if line else {}


def base64_text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
