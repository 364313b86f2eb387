"""Lends an SSH agent to a step: a socket of the step's own in front of the agent's.

The proxy exists so that the socket has the owner and mode that the mount asks for, without touching the agent's own;
and so that a step may use the keys, but neither add nor remove any, nor lock the agent.
"""

from __future__ import annotations

import os
import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CHUNK = 64 * 1024
_BACKLOG = 16
#: The agent's protocol: a message is its length in four bytes, a byte that says what it is, and the rest.
_LIST_KEYS, _SIGN = 11, 13
_FAILURE = b"\0\0\0\x01\x05"
_MAX_MESSAGE = 256 * 1024


@contextmanager
def agent_proxy(agent: Path, path: Path, *, mode: int, uid: int, gid: int) -> Iterator[Path]:
    """Listens at `path` and passes every connection on to the agent socket `agent`, until the context ends."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        _bind(listener, path)
        os.chown(path, uid, gid)
        path.chmod(mode & 0o777)
        listener.listen(_BACKLOG)
        proxy = _Proxy(agent, listener)
        thread = threading.Thread(target=proxy.serve, name="bakehouse-ssh-agent", daemon=True)
        thread.start()
        try:
            yield path
        finally:
            proxy.stop()
            thread.join()
    finally:
        listener.close()
        path.unlink(missing_ok=True)


def _bind(listener: socket.socket, path: Path) -> None:
    """Binds to `path` however long it is: the kernel takes 107 bytes, so its directory goes in by descriptor."""
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        listener.bind(f"/proc/self/fd/{directory}/{path.name}")
    finally:
        os.close(directory)


class _Proxy:
    """One thread that moves bytes between steps and the agent. Agent messages are small and answered one by one, so
    blocking writes are good enough."""

    def __init__(self, agent: Path, listener: socket.socket) -> None:
        self._agent = agent
        self._listener = listener
        self._stop_read, self._stop_write = os.pipe()
        self._selector = selectors.DefaultSelector()
        self._peers: dict[socket.socket, socket.socket] = {}
        self._requests: dict[socket.socket, bytearray] = {}

    def stop(self) -> None:
        os.close(self._stop_write)

    def serve(self) -> None:
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._stop_read, selectors.EVENT_READ)
        try:
            while self._turn():
                pass
        finally:
            for connection in list(self._peers):
                connection.close()
            self._selector.close()
            os.close(self._stop_read)

    def _turn(self) -> bool:
        for key, _ in self._selector.select():
            if key.fileobj == self._stop_read:
                return False
            if key.fileobj is self._listener:
                self._accept()
            elif isinstance(key.fileobj, socket.socket) and key.fileobj in self._peers:
                self._move(key.fileobj)
        return True

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            server.connect(os.fspath(self._agent))
        except OSError:
            # The agent is gone: the step sees a connection that ends at once, as it would without a proxy.
            server.close()
            client.close()
            return
        self._requests[client] = bytearray()
        for end, other in ((client, server), (server, client)):
            self._peers[end] = other
            self._selector.register(end, selectors.EVENT_READ)

    def _move(self, source: socket.socket) -> None:
        target = self._peers[source]
        try:
            data = source.recv(_CHUNK)
            if data:
                if source not in self._requests:
                    target.sendall(data)
                    return
                if self._ask(source, target, data):
                    return
        except OSError:
            pass
        for end in (source, target):
            self._selector.unregister(end)
            del self._peers[end]
            self._requests.pop(end, None)
            end.close()

    def _ask(self, client: socket.socket, agent: socket.socket, data: bytes) -> bool:
        """Passes on requests for keys and signatures, and refuses all others. False when this is no agent's client."""
        pending = self._requests[client]
        pending += data
        while len(pending) >= 4:
            size = int.from_bytes(pending[:4], "big")
            if not 0 < size <= _MAX_MESSAGE:
                return False
            if len(pending) < 4 + size:
                break
            message = bytes(pending[: 4 + size])
            del pending[: 4 + size]
            if message[4] in (_LIST_KEYS, _SIGN):
                agent.sendall(message)
            else:
                client.sendall(_FAILURE)
        return True
