"""The socket that lends an SSH agent to a step."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

from bakehouse.engine.ops.exec_agent import agent_proxy


def _connect(path: Path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(5)
    client.connect(str(path))
    return client


def _message(kind: int, body: bytes = b"") -> bytes:
    return (1 + len(body)).to_bytes(4, "big") + bytes([kind]) + body


def test_a_step_may_use_keys_but_not_change_them(tmp_path: Path) -> None:
    """BuildKit's rule: no adding (17, 25), removing (18, 19), locking (22), no extensions (27)."""
    with socket.socket(socket.AF_UNIX) as agent:
        agent.bind(str(tmp_path / "agent"))
        agent.listen()
        with agent_proxy(
            tmp_path / "agent", tmp_path / "s", mode=0o600, uid=os.getuid(), gid=os.getgid()
        ) as path:
            with _connect(path) as client:
                server, _ = agent.accept()
                with server:
                    for kind in (17, 18, 19, 20, 22, 23, 25, 26, 27):
                        client.sendall(_message(kind, b"body"))
                        assert client.recv(100) == b"\0\0\0\1\5"
                    # In pieces, and two at once.
                    whole = _message(13, b"x" * 1000) + _message(11)
                    client.sendall(whole[:3])
                    client.sendall(whole[3:900])
                    client.sendall(whole[900:])
                    server.settimeout(5)
                    got = b""
                    while len(got) < len(whole):
                        got += server.recv(4096)
                    assert got == whole
                    client.sendall(b"\xff\xff\xff\xff")
                    assert client.recv(1) == b""


def test_bytes_pass_both_ways_for_several_clients_at_once(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as agent:
        agent.bind(str(tmp_path / "agent"))
        agent.listen()

        def serve() -> None:
            connections = [agent.accept()[0] for _ in range(2)]
            for connection in reversed(connections):
                with connection:
                    connection.sendall(b"re: " + connection.recv(100))

        thread = threading.Thread(target=serve)
        thread.start()
        with agent_proxy(
            tmp_path / "agent", tmp_path / "s", mode=0o640, uid=os.getuid(), gid=os.getgid()
        ) as path:
            assert path.stat().st_mode & 0o7777 == 0o640
            with _connect(path) as first, _connect(path) as second:
                first.sendall(_message(11, b"1"))
                second.sendall(_message(13, b"2"))
                answers = {first.recv(100), second.recv(100)}
                assert answers == {b"re: " + _message(11, b"1"), b"re: " + _message(13, b"2")}
                assert (first.recv(1), second.recv(1)) == (b"", b"")
        thread.join()
    assert not (tmp_path / "s").exists()


def test_without_an_agent_the_connection_just_ends(tmp_path: Path) -> None:
    with agent_proxy(tmp_path / "none", tmp_path / "s", mode=0o600, uid=os.getuid(), gid=os.getgid()) as path:
        with _connect(path) as client:
            assert client.recv(1) == b""


def test_open_connections_end_with_the_step(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as agent:
        agent.bind(str(tmp_path / "agent"))
        agent.listen()
        with agent_proxy(
            tmp_path / "agent", tmp_path / "s", mode=0o600, uid=os.getuid(), gid=os.getgid()
        ) as path:
            client = _connect(path)
            server, _ = agent.accept()
        with client, server:
            assert (client.recv(1), server.recv(1)) == (b"", b"")
