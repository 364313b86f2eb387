"""Several processes on one store: work is shared, nothing that is in use disappears, nobody sees half of anything."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
import threading
import time
from pathlib import Path

import pytest

from tests.support.command import Bakehouse
from tests.support.images import decompress, read_image

pytestmark = pytest.mark.privileged


def context(folder: Path, dockerfile: str, **files: str) -> Path:
    folder.mkdir()
    (folder / "Dockerfile").write_text(dockerfile)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def finished(process: subprocess.Popen[bytes], timeout_s: float = 120) -> tuple[int, str]:
    """Exit code and standard error."""
    _, errors = process.communicate(timeout=timeout_s)
    return process.returncode, errors.decode("utf-8", "replace")


def succeed(*processes: subprocess.Popen[bytes]) -> list[str]:
    answers = [finished(process) for process in processes]
    assert [code for code, _ in answers] == [0] * len(answers), "\n".join(text for _, text in answers)
    return [text for _, text in answers]


def file_in(image: Path, name: str) -> bytes:
    """The bytes of file `name` in an OCI tar: of the topmost layer that has it."""
    with tarfile.open(image) as archive:

        def blob(digest: str) -> bytes:
            file = archive.extractfile("blobs/" + digest.replace(":", "/"))
            assert file is not None
            return file.read()

        index = archive.extractfile("index.json")
        assert index is not None
        manifest = json.loads(blob(json.load(index)["manifests"][0]["digest"]))
        for layer in reversed(manifest["layers"]):
            with tarfile.open(fileobj=io.BytesIO(decompress(blob(layer["digest"])))) as tar:
                if name in tar.getnames():
                    file = tar.extractfile(name)
                    assert file is not None
                    return file.read()
    raise AssertionError(f"{name} is not in {image}")


def ran(progress: str, step: str) -> bool:
    """Whether the step, named by a part, ran in a rawjson stream (rather than being cached)."""
    last: dict[str, bool] = {}
    for line in progress.splitlines():
        if line.startswith("{"):
            for vertex in json.loads(line).get("vertexes") or ():
                if step in vertex["name"] and vertex.get("completed"):
                    last[vertex["digest"]] = not vertex.get("cached", False)
    assert last, f"no step {step} in\n{progress}"
    return any(last.values())


def test_one_step_of_five_builds_runs_once(tmp_path: Path, bakehouse: Bakehouse) -> None:
    folder = context(
        tmp_path / "context",
        "FROM busybox\nRUN --mount=type=cache,target=/log sleep 0.7; echo run >>/log/runs; cp /log/runs /runs\n",
    )
    images = [tmp_path / f"{number}.tar" for number in range(5)]
    outputs = succeed(
        *(
            bakehouse.start("build", "--progress=rawjson", "-o", f"type=oci,dest={image}", ".", cwd=folder)
            for image in images
        )
    )
    assert {file_in(image, "runs") for image in images} == {b"run\n"}
    assert len({read_image(image).config_digest for image in images}) == 1
    assert [ran(output, "sleep 0.7") for output in outputs].count(True) == 1


def test_a_step_whose_process_is_killed_is_taken_over(tmp_path: Path, bakehouse: Bakehouse) -> None:
    folder = context(
        tmp_path / "context",
        "FROM busybox\nRUN --mount=type=cache,target=/log echo run >>/log/runs; "
        "[ $(wc -l </log/runs) -gt 1 ] || sleep 300; cp /log/runs /runs\n",
    )
    first = bakehouse.start("build", ".", cwd=folder)
    runs = bakehouse.home / "store" / "mounts"
    deadline = time.monotonic() + 60
    while not any(path.read_text() for path in runs.rglob("runs")):
        assert time.monotonic() < deadline and first.poll() is None
        time.sleep(0.02)
    image = tmp_path / "image.tar"
    second = bakehouse.start("build", "-o", f"type=oci,dest={image}", ".", cwd=folder)
    time.sleep(1)
    assert second.poll() is None, "it should wait for the first"
    first.kill()
    finished(first)
    succeed(second)
    assert file_in(image, "runs") == b"run\nrun\n"


def test_a_waiting_build_stops_at_once_when_it_is_told_to(tmp_path: Path, bakehouse: Bakehouse) -> None:
    folder = context(tmp_path / "context", "FROM busybox\nRUN sleep 300\n")
    first = bakehouse.start("build", "--progress=rawjson", ".", cwd=folder)
    try:
        assert first.stderr is not None
        while b"[2/2] RUN" not in (line := first.stderr.readline()) or b"started" not in line:
            assert line
        second = bakehouse.start("build", ".", cwd=folder)
        time.sleep(1)
        second.terminate()
        started = time.monotonic()
        code, _ = finished(second, 30)
        assert code == 130
        assert time.monotonic() - started < 5
    finally:
        first.terminate()
        first.communicate(timeout=30)


def test_different_targets_run_at_the_same_time(tmp_path: Path, bakehouse: Bakehouse) -> None:
    # Every one of them waits until it sees all others.
    wait = "until [ $(ls /meet | wc -l) -ge 4 ]; do sleep 0.05; done"
    dockerfile = "".join(
        f"FROM busybox AS t{number}\n"
        f"RUN --mount=type=cache,sharing=shared,target=/meet touch /meet/{number}; {wait}\n"
        for number in range(4)
    )
    folder = context(tmp_path / "context", dockerfile)
    succeed(*(bakehouse.start("build", "--target", f"t{number}", ".", cwd=folder) for number in range(4)))


def test_builds_beside_endless_pruning(tmp_path: Path, bakehouse: Bakehouse) -> None:
    folder = context(
        tmp_path / "context",
        "FROM busybox AS one\nARG N\nRUN echo $N >/made\nFROM busybox\nARG N\nCOPY text /copied\n"
        "COPY --from=one /made /made\nRUN cat /made /copied >/both\n",
        text="copied\n",
    )
    stop = threading.Event()
    pruned: list[subprocess.CompletedProcess[str]] = []

    def prune() -> None:
        while not stop.is_set():
            pruned.append(bakehouse.run("prune", "--all", "--force", check=False))

    pruner = threading.Thread(target=prune)
    pruner.start()
    try:
        built = 0
        for number in range(8):
            image = tmp_path / "image.tar"
            done = bakehouse.run(
                "build",
                "--build-arg",
                f"N={number // 2}",
                "-o",
                f"type=oci,dest={image}",
                ".",
                cwd=folder,
                check=False,
            )
            if done.returncode == 0:
                built += 1
                assert file_in(image, "both") == f"{number // 2}\ncopied\n".encode()
                read_image(image)
                image.unlink()
            else:
                assert "again" in done.stderr.rpartition("ERROR")[2], done.stderr
                assert "internal" not in done.stderr.rpartition("ERROR")[2]
    finally:
        stop.set()
        pruner.join()
    assert built >= 6
    assert len(pruned) >= 2
    assert [done.stderr for done in pruned if done.returncode] == []


def test_import_beside_build(tmp_path: Path, bakehouse: Bakehouse) -> None:
    root = tmp_path / "root.tar"
    with tarfile.open(root, "w") as tar:
        for number in range(300):
            info = tarfile.TarInfo(f"file{number}")
            info.size = 1000
            tar.addfile(info, io.BytesIO(bytes([number % 256]) * 1000))
    folder = context(tmp_path / "context", "FROM local/base\nCOPY text /\n", text="x")
    bakehouse.run("import", str(root), "local/base")
    images = [tmp_path / f"{number}.tar" for number in range(4)]
    processes = []
    for image in images:
        processes.append(bakehouse.start("import", str(root), "local/base"))
        processes.append(bakehouse.start("build", "-o", f"type=oci,dest={image}", ".", cwd=folder))
    succeed(*processes)
    for image in images:
        assert file_in(image, "file299") == bytes([299 % 256]) * 1000
        assert file_in(image, "text") == b"x"


def test_two_exports_to_one_file_leave_one_whole_image(tmp_path: Path, bakehouse: Bakehouse) -> None:
    image = tmp_path / "image.tar"
    folders = [
        context(tmp_path / f"context{number}", "FROM busybox\nCOPY text /text\n", text=str(number) * 100_000)
        for number in range(4)
    ]
    for _ in range(3):
        succeed(
            *(bakehouse.start("build", "-o", f"type=oci,dest={image}", ".", cwd=folder) for folder in folders)
        )
        read_image(image)
        assert file_in(image, "text") in {str(number).encode() * 100_000 for number in range(4)}
        assert [path.name for path in tmp_path.iterdir() if "image" in path.name] == ["image.tar"]


def test_builds_of_one_name_leave_one_of_the_images(tmp_path: Path, bakehouse: Bakehouse) -> None:
    folders = [
        context(tmp_path / f"context{number}", "FROM busybox\nCOPY text /text\n", text=f"{number}")
        for number in range(4)
    ]
    succeed(*(bakehouse.start("build", "-t", "local/name", ".", cwd=folder) for folder in folders))
    shown = bakehouse.run("run", "local/name", "cat", "/text").stdout
    assert shown in {"0", "1", "2", "3"}


def test_builds_that_need_one_image_download_it_once(tmp_path: Path, bakehouse: Bakehouse) -> None:
    folder = context(tmp_path / "context", "FROM busybox\nARG N\nRUN echo $N >/n\n")
    outputs = succeed(
        *(
            bakehouse.start("build", "--progress=rawjson", "--build-arg", f"N={number}", ".", cwd=folder)
            for number in range(4)
        )
    )
    downloads = [
        status["id"]
        for output in outputs
        for line in output.splitlines()
        for status in json.loads(line).get("statuses") or ()
        if status["id"].startswith("sha256:") and status.get("completed") and status.get("total")
    ]
    assert len(downloads) == 1


def test_processes_that_open_a_new_store_at_the_same_moment(tmp_path: Path, offline: Bakehouse) -> None:
    folder = context(tmp_path / "context", "FROM scratch\nCOPY text /\n", text="x")
    succeed(*(offline.start("build", "--progress=plain", ".", cwd=folder) for _ in range(6)))
    left = [path.name for path in (offline.home / "store" / "tmp").iterdir()]
    assert left == []
