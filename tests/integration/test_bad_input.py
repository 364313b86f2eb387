"""Wrong input and a lacking machine: one clear error each, an exit code, nothing half-written in the store."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.command import Bakehouse
from tests.support.services import Registry, free_port


def context_of(tmp_path: Path, dockerfile: str, **files: str) -> Path:
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").write_text(dockerfile)
    for name, text in files.items():
        (context / name.replace("_", ".")).write_text(text)
    return context


def failure(result: subprocess.CompletedProcess[str], code: int = 1) -> str:
    """The standard error of a run that failed as it should: with `code`, one ERROR line, no traceback."""
    assert result.returncode == code, result.stderr
    assert sum(line.startswith("ERROR: ") for line in result.stderr.splitlines()) == 1, result.stderr
    assert "Traceback" not in result.stderr
    return result.stderr


def assert_store_is_clean(bakehouse: Bakehouse) -> None:
    """Nothing of an unfinished step is left: no temporary files of dead processes, no unfinished layers, no mounts,
    and every blob is its digest."""
    store = bakehouse.home / "store"
    assert str(store) not in Path("/proc/self/mounts").read_text()
    if not store.exists():
        return
    leftovers = [
        path for path in (store / "tmp").rglob("*") if path.is_file() and not path.name.endswith("lock")
    ]
    assert leftovers == []
    import hashlib

    for blob in (store / "blobs" / "sha256").glob("*"):
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name


def test_unknown_target(offline: Bakehouse, tmp_path: Path) -> None:
    context = context_of(tmp_path, "FROM scratch\n", docker_bake_hcl="")
    (context / "docker-bake.hcl").write_text('target "webapp" {}\n')
    text = failure(offline.run("bake", "webap", cwd=context, check=False))
    assert "failed to find target webap" in text
    assert "webapp" in text.split("hint:")[1]
    assert_store_is_clean(offline)


def test_syntax_error_points_at_file_line_and_columns(offline: Bakehouse, tmp_path: Path) -> None:
    context = context_of(tmp_path, "FROM scratch\n")
    (context / "docker-bake.hcl").write_text('target "a" {\n  tags = ["x"\n}\n')
    text = failure(offline.run("bake", cwd=context, check=False))
    assert "ERROR: docker-bake.hcl:3,1-2: Missing item separator; Expected a comma" in text
    assert "   3 | >>> }" in text


def test_missing_definition_file(offline: Bakehouse, tmp_path: Path) -> None:
    text = failure(offline.run("bake", "-f", "nosuch.hcl", cwd=tmp_path, check=False))
    assert "nosuch.hcl" in text
    text = failure(offline.run("bake", cwd=tmp_path, check=False))
    assert "couldn't find a bake definition" in text


def test_missing_dockerfile_and_context(offline: Bakehouse, tmp_path: Path) -> None:
    text = failure(offline.run("build", ".", cwd=tmp_path, check=False))
    assert "failed to read dockerfile: open Dockerfile: no such file or directory" in text
    text = failure(offline.run("build", "nowhere", cwd=tmp_path, check=False))
    assert 'nowhere" not found' in text


def test_cycles(offline: Bakehouse, tmp_path: Path) -> None:
    context = context_of(tmp_path, "FROM scratch\n")
    (context / "docker-bake.hcl").write_text(
        'variable "A" { default = B }\nvariable "B" { default = A }\ntarget "default" { args = { A = A } }\n'
    )
    assert "cycle" in failure(offline.run("bake", cwd=context, check=False))
    (context / "docker-bake.hcl").write_text(
        'target "a" { contexts = { b = "target:b" } }\ntarget "b" { contexts = { a = "target:a" } }\n'
    )
    assert "infinite loop from" in failure(offline.run("bake", "a", cwd=context, check=False))
    (context / "Dockerfile").write_text("FROM scratch AS a\nCOPY --from=a /x /y\n")
    failure(offline.run("build", ".", cwd=context, check=False))


def test_unknown_stage(offline: Bakehouse, tmp_path: Path) -> None:
    context = context_of(tmp_path, "FROM scratch AS build\nFROM scratch\n")
    text = failure(offline.run("build", "--target", "bulid", ".", cwd=context, check=False))
    assert 'target stage "bulid" could not be found (did you mean build?)' in text


@pytest.mark.privileged
def test_failing_run_shows_its_last_lines_and_where(bakehouse: Bakehouse, tmp_path: Path) -> None:
    context = context_of(
        tmp_path,
        "FROM busybox\nRUN true\nRUN for n in $(seq 1 50); do echo line $n; done; echo oops >&2; exit 7\n",
    )
    text = failure(bakehouse.run("build", "-t", "never", ".", cwd=context, check=False))
    assert "oops" in text.split("------")[1]
    assert "line 50" in text.split("------")[1]
    assert "Dockerfile:3" in text
    assert ">>> RUN for n" in text
    assert "did not complete successfully: exit code: 7" in text
    assert "never" not in bakehouse.run("images").stdout
    assert_store_is_clean(bakehouse)


def test_copy_of_a_missing_file_names_it_and_the_line(offline: Bakehouse, tmp_path: Path) -> None:
    """C9: two lines either side, nothing exported."""
    context = context_of(tmp_path, "FROM scratch\nENV A=1\nCOPY nope /x\nENV B=1\n")
    out = tmp_path / "out.tar"
    text = failure(offline.run("build", "-o", f"type=oci,dest={out}", ".", cwd=context, check=False))
    assert '"/nope": not found' in text
    assert "   1 |     FROM scratch" in text
    assert "   3 | >>> COPY nope /x" in text
    assert not out.exists()
    assert_store_is_clean(offline)


@pytest.mark.privileged
def test_missing_secret(bakehouse: Bakehouse, tmp_path: Path) -> None:
    context = context_of(
        tmp_path, "FROM busybox\nRUN --mount=type=secret,id=token,required cat /run/secrets/token\n"
    )
    text = failure(bakehouse.run("build", ".", cwd=context, check=False))
    assert "secret token: not found" in text
    text = failure(bakehouse.run("build", "--secret", "id=token,src=nofile", ".", cwd=context, check=False))
    assert "nofile" in text


def test_unreachable_registry(offline: Bakehouse, tmp_path: Path) -> None:
    port = free_port()
    context = context_of(tmp_path, f"FROM 127.0.0.1:{port}/base\n")
    started = time.monotonic()
    text = failure(offline.run("build", ".", cwd=context, check=False))
    assert f"127.0.0.1:{port}" in text
    assert time.monotonic() - started < 60
    assert_store_is_clean(offline)


def test_image_that_does_not_exist(bakehouse: Bakehouse, registry: Registry, tmp_path: Path) -> None:
    context = context_of(tmp_path, f"FROM {registry.host}/library/nosuch:1\n")
    text = failure(bakehouse.run("build", ".", cwd=context, check=False))
    assert f"{registry.host}/library/nosuch:1" in text
    assert "not found" in text


def test_wrong_digest_from_the_registry_is_refused(
    bakehouse: Bakehouse, registry: Registry, tmp_path: Path
) -> None:
    """A layer whose bytes were changed behind the registry's back."""
    from tests.support import bases

    base = next(item for item in bases.IMAGES if item.key == "busybox")
    registry.push_layout(bases.layout(base), "corrupt/base:1")
    manifest = json.loads(
        registry.get("corrupt/base/manifests/1", "application/vnd.oci.image.manifest.v1+json")
    )
    digest = manifest["layers"][0]["digest"].partition(":")[2]
    blob = registry.root / f"data/docker/registry/v2/blobs/sha256/{digest[:2]}/{digest}/data"
    good = blob.read_bytes()
    try:
        blob.write_bytes(good[:1000] + bytes([good[1000] ^ 1]) + good[1001:])
        context = context_of(tmp_path, f"FROM {registry.host}/corrupt/base:1\nCOPY Dockerfile /d\n")
        text = failure(bakehouse.run("build", "-o", "type=local,dest=out", ".", cwd=context, check=False))
    finally:
        blob.write_bytes(good)
    assert f"expected sha256:{digest}, got sha256:" in text
    assert_store_is_clean(bakehouse)


@pytest.mark.privileged
def test_no_oci_runtime(bakehouse: Bakehouse, tmp_path: Path) -> None:
    """Told at the first RUN, with the way out; a build without RUN needs none."""
    empty = tmp_path / "bin"
    empty.mkdir()
    context = context_of(tmp_path, "FROM busybox\nRUN true\n")
    hide = f'mount --bind {empty} /usr/sbin && export PATH={empty} && exec "$@"'
    hidden = ["unshare", "--mount", "/bin/sh", "-c", hide, "sh"]
    text = failure(bakehouse.run("build", ".", cwd=context, check=False, prefix=hidden))
    assert "crun" in text
    assert "runc" in text
    assert "hint:" in text
    (context / "Dockerfile").write_text("FROM busybox\nCOPY Dockerfile /d\n")
    bakehouse.run("build", ".", cwd=context, prefix=hidden)


@pytest.mark.privileged
def test_no_permission_for_namespaces(bakehouse: Bakehouse, tmp_path: Path) -> None:
    """Root without the capability for mounts, as in an unprivileged container."""
    context = context_of(tmp_path, "FROM busybox\nRUN true\n")
    less = ["setpriv", "--bounding-set", "-sys_admin"]
    text = failure(bakehouse.run("build", ".", cwd=context, check=False, prefix=less))
    assert "namespace" in text
    assert "hint:" in text
    assert_store_is_clean(bakehouse)
    (context / "Dockerfile").write_text("FROM busybox\nCOPY Dockerfile /d\n")
    bakehouse.run("build", ".", cwd=context, prefix=less)


@pytest.mark.privileged
def test_full_disk(bakehouse: Bakehouse, tmp_path: Path) -> None:
    """The store on a small tmpfs: a clear error, and the store works again once there is room."""
    store = bakehouse.home / "store"
    store.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "none", str(store)], check=True)
    try:
        context = context_of(tmp_path, "FROM scratch\nCOPY big /big\n")
        (context / "big").write_bytes(os.urandom(30_000_000))
        out = tmp_path / "out.tar"
        text = failure(bakehouse.run("build", "-o", f"type=oci,dest={out}", ".", cwd=context, check=False))
        assert "no space left" in text
        assert not out.exists()
        assert not [
            path for path in (store / "tmp").rglob("*") if path.is_file() and path.stat().st_size > 4096
        ]
        (context / "big").write_bytes(b"small")
        bakehouse.run("build", "-o", f"type=oci,dest={out}", ".", cwd=context)
        assert out.exists()
    finally:
        subprocess.run(["umount", str(store)], check=True)


def test_flags_without_a_room_are_refused_by_name(offline: Bakehouse, tmp_path: Path) -> None:
    context = context_of(tmp_path, "FROM scratch\nENV A=1\n")
    for flag in ("--squash", "--security-opt=seccomp=unconfined", "--isolation=hyperv"):
        text = failure(offline.run("build", flag, ".", cwd=context, check=False))
        assert flag.partition("=")[0] in text
        assert "not supported yet" in text
    offline.run("build", "--provenance=false", "--sbom=false", ".", cwd=context)
    text = failure(offline.run("build", "--no-chache", ".", cwd=context, check=False))
    assert "unknown flag: --no-chache" in text
    assert "--no-cache" in text


@pytest.mark.privileged
def test_interrupt_leaves_nothing_behind(bakehouse: Bakehouse, tmp_path: Path) -> None:
    """Ctrl-C in the middle of a step: exit 130 soon, no process of the step alive, a store that works."""
    marker = f"{time.time_ns()}"
    context = context_of(tmp_path, f"FROM busybox\nRUN echo started; sleep 300{marker[-6:]}\n")
    process = bakehouse.start("build", "--progress=plain", ".", cwd=context)
    assert process.stderr is not None
    for line in process.stderr:
        if b"started" in line and b"RUN" not in line:
            break
    os.killpg(process.pid, signal.SIGINT)
    started = time.monotonic()
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert time.monotonic() - started < 10
    alive = subprocess.run(["pgrep", "-f", f"sleep 300{marker[-6:]}"], capture_output=True, text=True)
    assert alive.stdout == ""
    assert_store_is_clean(bakehouse)
    (context / "Dockerfile").write_text("FROM busybox\nRUN echo fine\n")
    bakehouse.run("build", ".", cwd=context)


@pytest.mark.privileged
def test_a_killed_build_leaves_a_usable_store(bakehouse: Bakehouse, tmp_path: Path) -> None:
    """kill -9 in the middle of a step: its processes end, and the next build needs no repair."""
    marker = f"{time.time_ns()}"[-6:]
    context = context_of(
        tmp_path, f"FROM busybox\nRUN echo kept > /kept\nRUN echo started; sleep 301{marker}\n"
    )
    process = bakehouse.start("build", "--progress=plain", ".", cwd=context)
    assert process.stderr is not None
    for line in process.stderr:
        if b"started" in line and b"RUN" not in line:
            break
    process.kill()
    process.communicate(timeout=30)
    deadline = time.monotonic() + 10
    while subprocess.run(["pgrep", "-f", f"sleep 301{marker}"], capture_output=True).stdout:
        assert time.monotonic() < deadline, "the step outlived its build"
        time.sleep(0.1)
    (context / "Dockerfile").write_text("FROM busybox\nRUN echo kept > /kept\nRUN cat /kept\n")
    done = bakehouse.run("build", "--progress=plain", ".", cwd=context)
    assert "CACHED" in done.stderr
    assert_store_is_clean(bakehouse)
