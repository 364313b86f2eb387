"""Lends an SSH agent to a step: a socket of the step's own in front of the agent's.

The proxy exists so that the socket has the owner and mode that the mount asks for, without touching the agent's own.
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
        for end, other in ((client, server), (server, client)):
            self._peers[end] = other
            self._selector.register(end, selectors.EVENT_READ)

    def _move(self, source: socket.socket) -> None:
        target = self._peers[source]
        try:
            data = source.recv(_CHUNK)
            if data:
                target.sendall(data)
                return
        except OSError:
            pass
        for end in (source, target):
            self._selector.unregister(end)
            del self._peers[end]
            end.close()
