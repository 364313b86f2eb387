"""Remote sources on loopback for whole builds: files over HTTP, a git repository, an SSH agent. All have settled times
and names, so that two builders can be compared."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.support.services import free_port, stop, wait_until

DATE = 1_500_000_000
_GIT_ENVIRON = {
    "PATH": os.environ["PATH"],
    "HOME": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    **{
        f"GIT_{who}_{what}": value
        for who in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "a"), ("EMAIL", "a@example.org"), ("DATE", f"{DATE} +0000"))
    },
}
_AGENT_SUCCESS = b"\0\0\0\5\x0c\0\0\0\0"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        return


@contextmanager
def serving_files(root: Path) -> Iterator[str]:
    """Serves `root` with `Last-Modified` headers; the value is `http://127.0.0.1:PORT`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(root)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def make_files(root: Path) -> None:
    """`file`, `tool` and the archives `tree.tar`, `tree.tar.gz`, all dated."""
    root.mkdir(parents=True)
    (root / "file").write_text("served\n")
    (root / "tool").write_text("#!/bin/sh\necho tool\n")
    for name, mode in (("tree.tar", "w"), ("tree.tar.gz", "w:gz")):
        with tarfile.open(root / name, mode) as tar:  # type: ignore[call-overload]
            for member, uid in (("in/one", 0), ("in/deep/two", 12)):
                info = tarfile.TarInfo(member)
                info.size, info.mtime, info.uid, info.mode = 4, DATE, uid, 0o640
                tar.addfile(info, io.BytesIO(b"data"))
    for path in root.iterdir():
        os.utime(path, (DATE, DATE))


@contextmanager
def serving_repository(root: Path) -> Iterator[str]:
    """A repository with a branch `main`, an older tag `v1`, a directory `sub` and a link; its `git://` URL."""

    def git(*arguments: str) -> None:
        command = ["git", "-c", "init.defaultBranch=main", *arguments]
        subprocess.run(command, cwd=work, env=_GIT_ENVIRON, check=True, capture_output=True)

    work = root / "repo.git"
    work.mkdir(parents=True)
    git("init")
    (work / "f").write_text("one\n")
    (work / "run.sh").write_text("#!/bin/sh\n")
    (work / "run.sh").chmod(0o755)
    (work / "sub" / "deep").mkdir(parents=True)
    (work / "sub" / "deep" / "g").write_text("g\n")
    os.symlink("sub", work / "link")
    git("add", ".")
    git("commit", "-m", "1")
    git("tag", "v1")
    (work / "f").write_text("two\n")
    git("commit", "-a", "-m", "2")
    port = free_port()
    log = root / "log"
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [
                "git",
                "daemon",
                "--reuseaddr",
                "--export-all",
                "--listen=127.0.0.1",
                f"--port={port}",
                f"--base-path={root}",
                str(root),
            ],
            stdout=output,
            stderr=output,
            env=_GIT_ENVIRON,
            start_new_session=True,
        )
    try:
        wait_until(lambda: socket.create_connection(("127.0.0.1", port), 1).close() is None, process, log)
        yield f"git://127.0.0.1:{port}/repo.git"
    finally:
        stop(process)


@contextmanager
def serving_agent() -> Iterator[str]:
    """An SSH agent without keys; the value is its socket."""
    with (
        tempfile.TemporaryDirectory(prefix="bkh-agent-") as folder,
        socket.socket(socket.AF_UNIX) as listener,
    ):
        path = os.path.join(folder, "s")
        listener.bind(path)
        listener.listen()

        def answer(connection: socket.socket) -> None:
            with connection:
                while connection.recv(4096):
                    connection.sendall(_AGENT_SUCCESS)

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield path
        finally:
            listener.shutdown(socket.SHUT_RDWR)
