"""Damaged stores: what is spoilt is refused or made again, and nothing wrong ever comes out.

Every case builds on a healthy store, spoils something of it, and builds again: the second build either gives the same
files, or fails with a message that says so; and the one after that succeeds.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.command import Bakehouse
from tests.support.images import read_image
from tests.support.services import Registry

pytestmark = pytest.mark.privileged

DOCKERFILE = """\
FROM busybox AS stage
COPY data/ /data/
RUN cat /data/* >/sum
FROM busybox
COPY data/ /data/
COPY --from=stage /sum /sum
RUN cat /sum /data/1 >/both
COPY --link data/2 /linked
ARG AGAIN
RUN echo $AGAIN >/again
"""


@dataclass
class Healthy:
    """A home whose store has built the context, and the files of the image."""

    home: Path
    context: Path
    files: dict[str, object]


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Healthy:
    folder = tmp_path_factory.mktemp("healthy")
    context = folder / "context"
    (context / "data").mkdir(parents=True)
    for number in range(4):
        (context / "data" / str(number)).write_bytes(bytes([number]) * 50_000)
    (context / "Dockerfile").write_text(DOCKERFILE)
    image = folder / "image.tar"
    Bakehouse(folder / "home", registry).run(
        "build", "--build-arg=AGAIN=same", f"--output=type=oci,dest={image}", ".", cwd=context
    )
    files = files_of(image)
    del files["again"]
    return Healthy(folder / "home", context, files)


@pytest.fixture
def bakehouse(tmp_path: Path, registry: Registry, healthy: Healthy) -> Bakehouse:
    """The command on a copy of the healthy home."""
    command = Bakehouse(tmp_path / "home", registry)
    subprocess.run(["cp", "-a", f"{healthy.home}/store", tmp_path / "home"], check=True)
    return command


def flip(path: Path, at: float = 0.5) -> None:
    """One bit, at a part of the file's length."""
    data = bytearray(path.read_bytes())
    data[int(len(data) * at)] ^= 1
    mode = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(mode.st_atime_ns, mode.st_mtime_ns))


def layer_blobs(store: Path) -> list[Path]:
    """Blobs that are compressed tars, the largest first."""
    blobs = [
        path
        for path in (store / "blobs" / "sha256").iterdir()
        if path.read_bytes()[:2] == b"\x1f\x8b" or path.read_bytes()[:4] == b"\x28\xb5\x2f\xfd"
    ]
    return sorted(blobs, key=lambda path: -path.stat().st_size)


def documents(store: Path) -> list[Path]:
    """Manifests, indexes and configs."""
    return [path for path in (store / "blobs" / "sha256").iterdir() if path.read_bytes()[:1] == b"{"]


def flip_layers(store: Path) -> None:
    for path in layer_blobs(store):
        flip(path)


def flip_layer_ends(store: Path) -> None:
    for path in layer_blobs(store):
        flip(path, 0.999)


def truncate_layers(store: Path) -> None:
    for path in layer_blobs(store):
        os.truncate(path, path.stat().st_size // 2)


def empty_layers(store: Path) -> None:
    for path in layer_blobs(store):
        os.truncate(path, 0)


def lengthen_layers(store: Path) -> None:
    for path in layer_blobs(store):
        with open(path, "ab") as file:
            file.write(b"\0" * 10)


def delete_layers(store: Path) -> None:
    for path in layer_blobs(store):
        path.unlink()


def swap_layers(store: Path) -> None:
    first, second, *_ = layer_blobs(store)
    first.rename(store / "swap")
    second.rename(first)
    (store / "swap").rename(second)


def flip_documents(store: Path) -> None:
    for path in documents(store):
        flip(path)


def delete_documents(store: Path) -> None:
    for path in documents(store):
        path.unlink()


def delete_some_snapshots(store: Path) -> None:
    for path in sorted((store / "snapshots").iterdir())[::2]:
        shutil.rmtree(path)


def delete_all_snapshots(store: Path) -> None:
    shutil.rmtree(store / "snapshots")


def empty_snapshots(store: Path) -> None:
    """The directories are there, what is in them is not."""
    for path in (store / "snapshots").iterdir():
        for inner in path.iterdir():
            shutil.rmtree(inner)


def delete_database(store: Path) -> None:
    for path in store.glob("bakehouse.db*"):
        path.unlink()


def delete_blobs_and_snapshots(store: Path) -> None:
    shutil.rmtree(store / "blobs")
    shutil.rmtree(store / "snapshots")


def forget_layers(store: Path) -> None:
    """An older database than the files: records of results lead to layers that are unknown."""
    with sqlite3.connect(store / "bakehouse.db") as database:
        database.execute("PRAGMA foreign_keys=ON")
        database.execute("DELETE FROM layers WHERE origin<>'adopted'")
    database.close()


def forget_results(store: Path) -> None:
    with sqlite3.connect(store / "bakehouse.db") as database:
        database.execute("DELETE FROM results")
    database.close()


def spoil_records(store: Path) -> None:
    with sqlite3.connect(store / "bakehouse.db") as database:
        database.execute(
            "UPDATE results SET record='nonsense' || rowid_of.n FROM (SELECT 1 AS n) AS rowid_of"
        )
    database.close()


def files_of(image: Path) -> dict[str, object]:
    return {
        name: (entry.kind, entry.mode, entry.uid, entry.gid, entry.size, entry.digest, entry.link)
        for name, entry in read_image(image).files.items()
    }


#: What is spoilt, and whether the very next build may refuse (with a clear word) instead of succeeding.
DAMAGES: dict[Callable[[Path], None], bool] = {
    flip_layers: True,
    flip_layer_ends: True,
    truncate_layers: True,
    empty_layers: True,
    lengthen_layers: True,
    swap_layers: True,
    delete_layers: True,
    flip_documents: True,
    delete_documents: False,
    delete_some_snapshots: False,
    delete_all_snapshots: False,
    empty_snapshots: False,
    delete_database: False,
    delete_blobs_and_snapshots: False,
    forget_layers: False,
    forget_results: False,
    spoil_records: False,
}


@pytest.mark.parametrize("again", ["same", "changed"])
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_nothing_wrong_comes_out_of_a_damaged_store(
    damage: Callable[[Path], None], again: str, tmp_path: Path, healthy: Healthy, bakehouse: Bakehouse
) -> None:
    image = tmp_path / "image.tar"

    def build() -> str | None:
        """None for a build that succeeded and is right; else what it said."""
        image.unlink(missing_ok=True)
        done = bakehouse.run(
            "build",
            f"--build-arg=AGAIN={again}",
            f"--output=type=oci,dest={image}",
            ".",
            cwd=healthy.context,
            check=False,
        )
        if done.returncode:
            assert not image.exists()
            return done.stderr[done.stderr.rindex("ERROR") :]
        files = files_of(image)
        assert files.pop("again")[4] == len(again) + 1  # type: ignore[index]
        assert files == healthy.files
        return None

    damage(bakehouse.home / "store")
    # Each refusal sets aside what was found; with every layer spoilt it may take as many turns.
    for _ in range(8):
        said = build()
        if said is None:
            return
        assert DAMAGES[damage], said
        assert "internal error" not in said
        assert "build again" in said, said
    raise AssertionError(said)


@pytest.mark.parametrize("kind", ["not-a-database", "scrambled", "cut-short"])
def test_a_spoilt_database_is_refused_with_a_clear_word(
    kind: str, healthy: Healthy, bakehouse: Bakehouse
) -> None:
    database = bakehouse.home / "store" / "bakehouse.db"
    whole = database.read_bytes()
    spoilt = {
        "not-a-database": b"no database" * 1000,
        "scrambled": whole[:200] + b"\xff" * (len(whole) - 200),
        "cut-short": whole[:5000],
    }
    for path in database.parent.glob("bakehouse.db-*"):
        path.unlink()
    database.write_bytes(spoilt[kind])
    done = bakehouse.run("build", ".", cwd=healthy.context, check=False)
    said = done.stderr[done.stderr.rindex("ERROR") :]
    assert f"database {database} is damaged" in said
    assert f"rm {database}*" in said
    for path in database.parent.glob("bakehouse.db*"):
        path.unlink()
    bakehouse.run("build", ".", cwd=healthy.context)
