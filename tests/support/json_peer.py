"""A peer program that answers one JSON request a line with one JSON line, kept running for many questions."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any


class JsonPeer:
    """The running program. A context manager; not thread-safe."""

    def __init__(self, binary: Path) -> None:
        self._process = subprocess.Popen([str(binary)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self) -> JsonPeer:
        return self

    def __exit__(self, *exc: object) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def ask(self, request: object) -> Any:
        """The answer to one request."""
        return self.ask_all([request])[0]

    def ask_all(self, requests: Iterable[object]) -> list[Any]:
        """The answers to many requests, which are written while answers are read."""
        lines = [json.dumps(request).encode() + b"\n" for request in requests]
        writer = threading.Thread(target=self._write, args=(lines,))
        writer.start()
        try:
            return [self._answer() for _ in lines]
        finally:
            writer.join()

    def _write(self, lines: list[bytes]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.writelines(lines)
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # the reader reports it

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the peer died"
        return json.loads(line)
