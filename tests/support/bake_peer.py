"""Many small definitions asked of the real buildx and of ours: what both print, or say is wrong and where."""

from __future__ import annotations

import os
import shutil
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bakehouse.errors import BakehouseError
from tests.cases.bake.runner import answer
from tests.support.json_peer import JsonPeer
from tests.support.paths import peer


@dataclass(frozen=True)
class Question:
    """A run of `bake`: definition files by name, the words of the command line, environment, standard input."""

    files: dict[str, bytes]
    words: tuple[str, ...] = ("--print",)
    environment: dict[str, str] = field(default_factory=dict)
    stdin: bytes = b""

    def __str__(self) -> str:
        parts = [
            f"--- {name}\n{data.decode('utf-8', 'backslashreplace')}" for name, data in self.files.items()
        ]
        shown = [*parts, f"--- words {self.words!r}"]
        if self.environment:
            shown.append(f"--- environment {self.environment!r}")
        if self.stdin:
            shown.append(f"--- stdin\n{self.stdin.decode('utf-8', 'backslashreplace')}")
        return "\n".join(shown)


@dataclass(frozen=True)
class Outcome:
    """What a run wrote to standard output, and the message and source excerpt it failed with. A crash is the peer's."""

    output: str
    error: str = ""
    places: str = ""
    crash: bool = False


class BakePeer:
    """Asks both. Questions are answered in folders of their own below `root`."""

    def __init__(self, root: Path, running: JsonPeer) -> None:
        self._root = root
        self._running = running

    def theirs(self, questions: Sequence[Question], repeat: int = 1) -> list[list[Outcome]]:
        """The distinct outcomes of so many runs of each."""
        requests = []
        for number, question in enumerate(questions):
            folder = self._folder(question, number)
            requests.append(
                {
                    "Folder": str(folder),
                    "Env": _environment(question, folder),
                    "Args": question.words,
                    "Stdin": b64encode(question.stdin).decode(),
                    "Repeat": repeat,
                }
            )
        answers = self._running.ask_all(requests)
        return [[Outcome(**one) for one in each] for each in answers]

    def ours(self, question: Question) -> Outcome:
        folder = self._folder(question, 0)
        try:
            text = answer(folder, question.words, _environment(question, folder), lambda: question.stdin)
            return Outcome(text)
        except BakehouseError as error:
            return Outcome("", error.message, f"{error.excerpt}\n" if error.excerpt else "")

    def _folder(self, question: Question, number: int) -> Path:
        folder = self._root / str(number)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name, data in question.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return folder


def _environment(question: Question, folder: Path) -> dict[str, str]:
    return {"HOME": str(folder), **question.environment}


@contextmanager
def bake_peer(root: Path) -> Iterator[BakePeer]:
    with JsonPeer(Path(os.environ.get("BAKEEVAL") or peer("bakeeval"))) as running:
        yield BakePeer(root, running)
