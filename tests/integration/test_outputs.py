"""G1: every kind of output, opened with tools that others wrote: a registry, skopeo, umoci, tar, zstd. F1, F2 too."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import stat
import subprocess
import tarfile
import urllib.error
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Bakehouse
from tests.support.images import read_image
from tests.support.services import Registry

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A Dockerfile without RUN: one stage, two layers, some configuration."""
    root = tmp_path / "context"
    (root / "files").mkdir(parents=True)
    (root / "Dockerfile").write_text(
        "FROM busybox\nCOPY files /app\nCOPY --chmod=755 tool /bin/tool\nENV GREETING=hello\n"
        'LABEL kind=test\nWORKDIR /app\nCMD ["tool"]\n'
    )
    (root / "files" / "a.txt").write_text("a\n")
    (root / "files" / "b.txt").write_text("b\n")
    (root / "tool").write_text('#!/bin/sh\necho "$GREETING from $(cat a.txt)"\n')
    return root


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """A context whose image holds two files and nothing else."""
    root = tmp_path / "scratch"
    root.mkdir()
    (root / "Dockerfile").write_text("FROM scratch\nCOPY one /\nCOPY sub /sub\n")
    (root / "one").write_text("1\n")
    (root / "sub").mkdir()
    (root / "sub" / "two").write_text("2\n")
    return root


def skopeo(*arguments: str) -> str:
    done = subprocess.run(["skopeo", "--insecure-policy", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def inspect(name: str, *, config: bool = False, raw: bool = False) -> Any:
    """What skopeo says of an image; JSON."""
    options = [option for option, wanted in (("--config", config), ("--raw", raw)) if wanted]
    if name.startswith("docker://"):
        options.append("--tls-verify=false")
    return json.loads(skopeo("inspect", *options, name))


def names_in(data: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return sorted(tar.getnames())


# -- registry ---------------------------------------------------------------------------------------------------------


def test_push_under_two_tags(bakehouse: Bakehouse, registry: Registry, context: Path, tmp_path: Path) -> None:
    name = f"{registry.host}/out/push"
    metadata = tmp_path / "metadata.json"
    bakehouse.run(
        "build",
        "--push",
        "-t",
        f"{name}:1",
        "-t",
        f"{name}:2",
        "--metadata-file",
        str(metadata),
        ".",
        cwd=context,
    )
    told = json.loads(metadata.read_text())
    for tag in ("1", "2"):
        raw = registry.get(f"out/push/manifests/{tag}", OCI_INDEX)
        assert "sha256:" + hashlib.sha256(raw).hexdigest() == told["containerimage.digest"]
    config = inspect(f"docker://{name}:1", config=True)
    assert config["config"]["Cmd"] == ["tool"]
    assert config["config"]["Labels"] == {"kind": "test"}
    assert "GREETING=hello" in config["config"]["Env"]
    # Every blob is there and is what it says: skopeo verifies digests while it copies.
    skopeo("copy", "--src-tls-verify=false", f"docker://{name}:2", f"oci:{tmp_path}/copy:x")
    assert {"app/a.txt", "app/b.txt", "bin/tool"} <= set(read_image(tmp_path / "copy").files)


def test_registry_output_and_push_by_digest(
    bakehouse: Bakehouse, registry: Registry, context: Path, tmp_path: Path
) -> None:
    name = f"{registry.host}/out/registry"
    bakehouse.run("build", "-o", "type=registry", "-t", f"{name}:x", ".", cwd=context)
    assert inspect(f"docker://{name}:x")["Architecture"] in ("amd64", "arm64")
    metadata = tmp_path / "m"
    output = f"type=image,name={registry.host}/out/digest,push-by-digest=true,push=true"
    bakehouse.run("build", "-o", output, "--metadata-file", str(metadata), ".", cwd=context)
    digest = json.loads(metadata.read_text())["containerimage.digest"]
    assert registry.get(f"out/digest/manifests/{digest}", OCI_INDEX)
    with pytest.raises(urllib.error.HTTPError, match="404"):  # a repository without any tag
        registry.get("out/digest/tags/list")


def test_push_needs_a_tag_and_builds_nothing_without(bakehouse: Bakehouse, context: Path) -> None:
    done = bakehouse.run("build", "--push", ".", cwd=context, check=False)
    assert done.returncode == 1
    assert "ERROR: failed to build: tag is needed when pushing to registry" in done.stderr
    assert "[internal]" not in done.stderr


def test_multi_platform_push_is_one_index(bakehouse: Bakehouse, registry: Registry, tmp_path: Path) -> None:
    """F1: a manifest a platform, digests printed while it exports; a file says which platform it is for."""
    root = tmp_path / "multi"
    root.mkdir()
    (root / "Dockerfile").write_text(
        "FROM scratch\nARG TARGETARCH\nARG TARGETVARIANT\nCOPY bin-$TARGETARCH$TARGETVARIANT /bin\n"
    )
    for name in ("amd64", "arm64", "armv7"):
        (root / f"bin-{name}").write_text(name)
    tag = f"{registry.host}/out/multi:1"
    done = bakehouse.run(
        "build",
        "--platform",
        "linux/amd64,linux/arm64,linux/arm/v7",
        "-t",
        tag,
        "--push",
        "--progress=plain",
        ".",
        cwd=root,
    )
    index = inspect(f"docker://{tag}", raw=True)
    assert index["mediaType"] == OCI_INDEX
    platforms = [
        "/".join(
            item["platform"][key] for key in ("os", "architecture", "variant") if key in item["platform"]
        )
        for item in index["manifests"]
    ]
    assert platforms == ["linux/amd64", "linux/arm64", "linux/arm/v7", *["unknown/unknown"] * 3]
    for item, text in zip(index["manifests"], ("amd64", "arm64", "armv7"), strict=False):
        assert f"exporting manifest {item['digest']} " in done.stderr
        config = inspect(f"docker://{registry.host}/out/multi@{item['digest']}", config=True)
        assert config["architecture"] == item["platform"]["architecture"]
        arch, _, variant = text.partition("v")
        override = ["--override-arch", arch, *(["--override-variant", f"v{variant}"] if variant else [])]
        skopeo(*override, "copy", "--src-tls-verify=false", f"docker://{tag}", f"oci:{tmp_path}/{text}:x")
        assert (
            read_image(tmp_path / text)
            .files["bin"]
            .digest.endswith(hashlib.sha256(text.encode()).hexdigest())
        )
    root_digest = hashlib.sha256(registry.get("out/multi/manifests/1", OCI_INDEX)).hexdigest()
    assert f"exporting manifest list sha256:{root_digest} " in done.stderr


@pytest.mark.privileged
def test_cross_compiling_stage_sees_every_platform(bakehouse: Bakehouse, tmp_path: Path) -> None:
    """F2: the build stage runs on the machine's own platform and is told the target's."""
    root = tmp_path / "cross"
    root.mkdir()
    (root / "Dockerfile").write_text(
        "FROM --platform=$BUILDPLATFORM busybox AS build\nARG TARGETPLATFORM\nARG TARGETOS\nARG TARGETARCH\n"
        "ARG TARGETVARIANT\nARG BUILDPLATFORM\n"
        'RUN echo "$BUILDPLATFORM>$TARGETPLATFORM $TARGETOS $TARGETARCH $TARGETVARIANT" > /told\n'
        "FROM scratch\nCOPY --from=build /told /told\n"
    )
    bakehouse.run("build", "--platform=linux/arm/v7,linux/amd64,linux/s390x", "-o", "out", ".", cwd=root)
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    told = {path.parent.name: path.read_text() for path in (root / "out").glob("*/told")}
    assert told == {
        "linux_arm_v7": f"linux/{machine}>linux/arm/v7 linux arm v7\n",
        "linux_amd64": f"linux/{machine}>linux/amd64 linux amd64 \n",
        "linux_s390x": f"linux/{machine}>linux/s390x linux s390x \n",
    }


# -- archives and layouts ---------------------------------------------------------------------------------------------


def test_oci_archive_opens_with_skopeo(bakehouse: Bakehouse, context: Path, tmp_path: Path) -> None:
    bakehouse.run("build", "-t", "app:7", "-o", "type=oci,dest=app.tar", ".", cwd=context)
    archive = context / "app.tar"
    assert inspect(f"oci-archive:{archive}:7", config=True)["config"]["WorkingDir"] == "/app"
    index = json.loads(_member(archive, "index.json"))
    assert index["manifests"][0]["annotations"]["io.containerd.image.name"] == "docker.io/library/app:7"
    skopeo("copy", f"oci-archive:{archive}:7", f"dir:{tmp_path}/dir")


def _member(archive: Path, name: str) -> bytes:
    with tarfile.open(archive) as tar:
        found = tar.extractfile(name)
        assert found is not None
        return found.read()


def test_layout_directory_opens_with_umoci_and_takes_a_second_image(
    bakehouse: Bakehouse, context: Path, tmp_path: Path
) -> None:
    layout = tmp_path / "layout"
    bakehouse.run("build", "-t", "app:one", "-o", f"type=oci,tar=false,dest={layout}", ".", cwd=context)
    (context / "files" / "a.txt").write_text("changed\n")
    bakehouse.run("build", "-t", "app:two", "-o", f"type=oci,tar=false,dest={layout}", ".", cwd=context)
    listed = subprocess.run(
        ["umoci", "ls", "--layout", str(layout)], check=True, capture_output=True, text=True
    )
    assert sorted(listed.stdout.split()) == ["one", "two"]
    for tag, text in (("one", "a\n"), ("two", "changed\n")):
        bundle = tmp_path / f"bundle-{tag}"
        command = ["umoci", "unpack", "--image", f"{layout}:{tag}", str(bundle)]
        if os.geteuid():
            command.insert(2, "--rootless")
        subprocess.run(command, check=True, capture_output=True)
        assert (bundle / "rootfs/app/a.txt").read_text() == text
        assert stat.S_IMODE((bundle / "rootfs/bin/tool").stat().st_mode) == 0o755


def test_docker_archive_opens_with_skopeo(bakehouse: Bakehouse, context: Path, tmp_path: Path) -> None:
    bakehouse.run(
        "build", "-t", "app:7", "-t", "other/name:8", "-o", "type=docker,dest=app.tar", ".", cwd=context
    )
    (entry,) = json.loads(_member(context / "app.tar", "manifest.json"))
    assert entry["RepoTags"] == ["app:7", "other/name:8"]
    skopeo("copy", f"docker-archive:{context}/app.tar:app:7", f"oci:{tmp_path}/copy:x")
    assert "app/a.txt" in read_image(tmp_path / "copy").files


def test_docker_archive_holds_one_platform(bakehouse: Bakehouse, scratch: Path) -> None:
    done = bakehouse.run(
        "build",
        "--platform=linux/amd64,linux/arm64",
        "-o",
        "type=docker,dest=x.tar",
        ".",
        cwd=scratch,
        check=False,
    )
    assert done.returncode == 1
    assert "docker exporter does not currently support exporting manifest lists" in done.stderr
    assert not (scratch / "x.tar").exists()


@pytest.mark.parametrize(
    ("compression", "media_type", "magic"),
    [
        ("gzip", "application/vnd.oci.image.layer.v1.tar+gzip", b"\x1f\x8b"),
        ("zstd", "application/vnd.oci.image.layer.v1.tar+zstd", b"\x28\xb5\x2f\xfd"),
        ("uncompressed", "application/vnd.oci.image.layer.v1.tar", b"one"),
    ],
)
def test_compression(
    offline: Bakehouse, scratch: Path, tmp_path: Path, compression: str, media_type: str, magic: bytes
) -> None:
    layout = tmp_path / "layout"
    output = f"type=oci,tar=false,dest={layout},compression={compression}"
    offline.run("build", "-t", "c:1", "-o", output, ".", cwd=scratch)
    manifest = inspect(f"oci:{layout}:1", raw=True)
    diff_ids = inspect(f"oci:{layout}:1", config=True)["rootfs"]["diff_ids"]
    for layer, diff_id in zip(manifest["layers"], diff_ids, strict=True):
        assert layer["mediaType"] == media_type
        blob = layout / "blobs/sha256" / layer["digest"].partition(":")[2]
        data = blob.read_bytes()
        tool = {"gzip": ["gzip", "-dc"], "zstd": ["zstd", "-dc"], "uncompressed": ["cat"]}[compression]
        plain = subprocess.run(tool, input=data, check=True, capture_output=True).stdout
        assert "sha256:" + hashlib.sha256(plain).hexdigest() == diff_id
    assert data[: len(magic)] == magic or compression == "uncompressed"


def test_annotations_reach_every_level(offline: Bakehouse, scratch: Path, tmp_path: Path) -> None:
    layout = tmp_path / "layout"
    offline.run(
        "build",
        *("--platform=linux/amd64,linux/arm64", "-t", "a:1", "-o", f"type=oci,tar=false,dest={layout}"),
        "--provenance=false",
        *(
            "--annotation",
            "plain=1",
            "--annotation",
            "index:whole=2",
            "--annotation",
            "index,manifest:both=3",
        ),
        *("--annotation", "manifest[linux/arm64]:arm=4", "--annotation", "manifest-descriptor:desc=5"),
        ".",
        cwd=scratch,
    )
    (root,) = json.loads((layout / "index.json").read_text())["manifests"]
    index = json.loads((layout / "blobs/sha256" / root["digest"].partition(":")[2]).read_text())
    assert index["annotations"] == {"whole": "2", "both": "3"}
    seen = {}
    for item in index["manifests"]:
        assert item["annotations"] == {"desc": "5"}
        manifest = json.loads((layout / "blobs/sha256" / item["digest"].partition(":")[2]).read_text())
        seen[item["platform"]["architecture"]] = manifest["annotations"]
    assert seen == {"amd64": {"plain": "1", "both": "3"}, "arm64": {"plain": "1", "both": "3", "arm": "4"}}


# -- files ------------------------------------------------------------------------------------------------------------


def test_tar_and_local(offline: Bakehouse, scratch: Path) -> None:
    offline.run("build", "-o", "type=tar,dest=out.tar", "-o", "type=local,dest=out", ".", cwd=scratch)
    listed = subprocess.run(
        ["tar", "-tf", "out.tar"], cwd=scratch, check=True, capture_output=True, text=True
    )
    assert sorted(listed.stdout.split()) == ["one", "sub/", "sub/two"]
    assert sorted(str(path.relative_to(scratch / "out")) for path in (scratch / "out").rglob("*")) == [
        "one",
        "sub",
        "sub/two",
    ]
    assert (scratch / "out" / "sub" / "two").read_text() == "2\n"


def test_short_forms_of_output(offline: Bakehouse, scratch: Path) -> None:
    """`-o DIR` is a local directory, `-o -` a tar on standard output."""
    offline.run("build", "-o", "dir", ".", cwd=scratch)
    assert (scratch / "dir" / "one").read_text() == "1\n"
    done = _raw(offline, "build", "-o", "-", ".", cwd=scratch)
    assert names_in(done.stdout) == ["one", "sub", "sub/two"]
    assert b"exporting to client tarball" in done.stderr


def test_local_output_merges_or_deletes(offline: Bakehouse, scratch: Path) -> None:
    out = scratch / "out"
    out.mkdir()
    (out / "kept").write_text("")
    offline.run("build", "-o", "out", ".", cwd=scratch)
    assert sorted(path.name for path in out.iterdir()) == ["kept", "one", "sub"]
    done = offline.run("build", "-o", "type=local,dest=out,mode=delete", ".", cwd=scratch, check=False)
    assert done.returncode == 1
    assert "buildx.local.delete" in done.stderr
    offline.run(
        "build", "--allow=buildx.local.delete", "-o", "type=local,dest=out,mode=delete", ".", cwd=scratch
    )
    assert sorted(path.name for path in out.iterdir()) == ["one", "sub"]


def _raw(
    command: Bakehouse, *arguments: str, cwd: Path, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    done = subprocess.run(
        command.argv(*arguments),
        cwd=cwd,
        env=command.environ | (env or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done


def test_image_archive_through_a_pipe(offline: Bakehouse, scratch: Path, tmp_path: Path) -> None:
    done = _raw(offline, "build", "-t", "piped:1", "-o", "type=oci,dest=-", ".", cwd=scratch)
    (tmp_path / "piped.tar").write_bytes(done.stdout)
    assert inspect(f"oci-archive:{tmp_path}/piped.tar:1", config=True)["os"] == "linux"


def test_only_one_output_to_standard_output(offline: Bakehouse, scratch: Path) -> None:
    done = offline.run("build", "-o", "-", "-o", "type=oci,dest=-", ".", cwd=scratch, check=False)
    assert done.returncode == 1
    assert "ERROR: failed to build: multiple outputs configured to write to stdout" in done.stderr


def test_reader_that_goes_away_ends_the_build_quietly(offline: Bakehouse, scratch: Path) -> None:
    (scratch / "one").write_bytes(os.urandom(8 << 20))
    shell = (
        " ".join(offline.argv("build", "-o", "-", ".")) + " | head -c 100 >/dev/null; exit ${PIPESTATUS[0]}"
    )
    done = subprocess.run(
        ["bash", "-c", shell], cwd=scratch, env=offline.environ, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 141
    assert "Traceback" not in done.stderr
    assert "internal error" not in done.stderr


def test_cacheonly_keeps_results_but_no_image(offline: Bakehouse, scratch: Path) -> None:
    offline.run("build", "-t", "nothing:1", "-o", "type=cacheonly", ".", cwd=scratch)
    assert "nothing" not in offline.run("images").stdout
    again = offline.run(
        "build", "-t", "nothing:1", "-o", "type=cacheonly", "--progress=plain", ".", cwd=scratch
    )
    assert again.stderr.count("CACHED") == 2


def test_several_outputs_of_one_build(bakehouse: Bakehouse, registry: Registry, context: Path) -> None:
    name = f"{registry.host}/out/several:1"
    done = bakehouse.run(
        "build",
        *("-t", name, "-o", "type=registry", "-o", "type=oci,dest=a.tar", "-o", "type=docker,dest=b.tar"),
        *("-o", "type=tar,dest=c.tar", "-o", "type=local,dest=d", "--progress=plain", "--provenance=false"),
        ".",
        cwd=context,
    )
    # The digest is one, wherever the image went.
    pushed = "sha256:" + hashlib.sha256(registry.get("out/several/manifests/1", OCI_MANIFEST)).hexdigest()
    for archive in ("a.tar", "b.tar"):
        (root,) = json.loads(_member(context / archive, "index.json"))["manifests"]
        assert root["digest"] == pushed
    assert (
        "app/a.txt"
        in subprocess.run(["tar", "-tf", "c.tar"], cwd=context, capture_output=True, text=True).stdout
    )
    assert (context / "d/app/b.txt").read_text() == "b\n"
    assert len(set(re.findall(r"^(#\d+) \[.*COPY files /app$", done.stderr, re.MULTILINE))) == 1


def test_a_failing_build_exports_nothing(bakehouse: Bakehouse, context: Path) -> None:
    (context / "Dockerfile").write_text("FROM busybox\nCOPY files /app\nCOPY missing /\n")
    outputs = ("-o", "type=oci,dest=a.tar", "-o", "type=tar,dest=c.tar", "-o", "d", "-o", "type=image")
    done = bakehouse.run("build", "-t", "never:1", *outputs, ".", cwd=context, check=False)
    assert done.returncode == 1
    assert not any((context / name).exists() for name in ("a.tar", "c.tar", "d"))
    assert [path.name for path in context.iterdir() if path.name.startswith(".")] == []
    assert "never" not in bakehouse.run("images").stdout


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("type=local", "dest is required for local exporter"),
        ("type=local,dest=-", "dest cannot be stdout for local exporter"),
        ("type=local,dest=Dockerfile", "destination directory Dockerfile is a file"),
        ("type=oci,dest=files", "destination file files is a directory"),
        ("type=nosuch", "nosuch"),
        ("dest=x,mode=y", "type is required for output"),
        ("type=oci,dest=x,compression=lzma", "unsupported compression type lzma"),
        ("type=oci,dest=x,compression=estargz", "compression=estargz is not supported"),
    ],
)
def test_wrong_outputs(offline: Bakehouse, context: Path, output: str, message: str) -> None:
    """Messages of the first ones: buildx's own."""
    done = offline.run("build", "-o", output, ".", cwd=context, check=False)
    assert done.returncode == 1
    assert message in done.stderr
    assert sum(line.startswith("ERROR: ") for line in done.stderr.splitlines()) == 1


# -- what the command itself tells ------------------------------------------------------------------------------------


def test_metadata_and_id_files(offline: Bakehouse, scratch: Path) -> None:
    offline.run(
        "build",
        "-t",
        "m:1",
        "-o",
        "type=oci,dest=a.tar",
        "--metadata-file=meta.json",
        "--iidfile=id",
        ".",
        cwd=scratch,
    )
    told = json.loads((scratch / "meta.json").read_text())
    (root,) = json.loads(_member(scratch / "a.tar", "index.json"))["manifests"]
    manifest = json.loads(_member(scratch / "a.tar", f"blobs/sha256/{root['digest'].partition(':')[2]}"))
    assert told["containerimage.digest"] == root["digest"]
    assert told["containerimage.config.digest"] == manifest["config"]["digest"]
    assert told["containerimage.descriptor"]["size"] == root["size"]
    assert told["image.name"] == "docker.io/library/m:1"
    assert (scratch / "id").read_text() == manifest["config"]["digest"]
    assert stat.S_IMODE((scratch / "meta.json").stat().st_mode) == 0o644


def test_warnings_in_the_metadata_file(offline: Bakehouse, scratch: Path) -> None:
    (scratch / "Dockerfile").write_text("from scratch\nCOPY one /\n")
    offline.run("build", "--metadata-file=m", ".", cwd=scratch)
    assert "buildx.build.warnings" not in json.loads((scratch / "m").read_text())
    offline.run("build", "--metadata-file=m", ".", cwd=scratch, env={"BUILDX_METADATA_WARNINGS": "1"})
    (warning,) = json.loads((scratch / "m").read_text())["buildx.build.warnings"]
    assert warning["url"].endswith("/consistent-instruction-casing/")
    assert warning["range"] == [{"start": {"line": 1}, "end": {"line": 1}}]


def test_a_failing_build_writes_no_metadata(offline: Bakehouse, scratch: Path) -> None:
    (scratch / "Dockerfile").write_text("FROM scratch\nCOPY nope /\n")
    offline.run("build", "--metadata-file=m", "--iidfile=id", ".", cwd=scratch, check=False)
    assert not (scratch / "m").exists()
    assert not (scratch / "id").exists()


def test_quiet_prints_the_image_id_and_nothing_else(offline: Bakehouse, scratch: Path) -> None:
    done = offline.run("build", "-q", "-t", "quiet:1", "-o", "type=oci,dest=a.tar", ".", cwd=scratch)
    config = inspect(f"oci-archive:{scratch}/a.tar:1", raw=True)["config"]["digest"]
    assert (done.stdout, done.stderr) == (config + "\n", "")
    failed = offline.run("build", "-q", "--target=nosuch", ".", cwd=scratch, check=False)
    assert (failed.stdout, failed.returncode) == ("", 1)
    assert failed.stderr.startswith(
        'ERROR: failed to build: failed to solve: target stage "nosuch" could not be found'
    )


# -- load -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    """A folder for stand-ins of container engines; the machine's own are hidden."""
    folder = tmp_path / "engines"
    folder.mkdir()
    for directory in os.environ["PATH"].split(os.pathsep):
        for program in Path(directory).glob("*") if Path(directory).is_dir() else ():
            if program.name not in ("docker", "podman") and not (folder / program.name).exists():
                (folder / program.name).symlink_to(program)
    return folder


def stand_in(folder: Path, name: str, received: Path, *, running: bool = True, loads: bool = True) -> None:
    """A `docker` or `podman` that answers and keeps what it is told to load."""
    load = f"cat > {received}" if loads else "echo 'no space left in the engine' >&2; exit 125"
    script = f'#!/bin/sh\ncase "$*" in *version*) exit {0 if running else 1};; *load*) {load};; *) exit 64;; esac\n'
    (folder / name).write_text(script)
    (folder / name).chmod(0o755)


def test_load_hands_the_image_to_docker(
    offline: Bakehouse, scratch: Path, engine: Path, tmp_path: Path
) -> None:
    stand_in(engine, "docker", tmp_path / "received.tar")
    stand_in(engine, "podman", tmp_path / "wrong.tar")
    done = offline.run(
        "build", "--load", "-t", "l:1", "--progress=plain", ".", cwd=scratch, env={"PATH": str(engine)}
    )
    assert "importing to docker" in done.stderr
    skopeo("copy", f"docker-archive:{tmp_path}/received.tar:l:1", f"oci:{tmp_path}/copy:x")
    assert sorted(read_image(tmp_path / "copy").files) == ["one", "sub", "sub/two"]
    assert not (tmp_path / "wrong.tar").exists()
    assert "l " not in offline.run("images").stdout


def test_load_hands_the_image_to_podman_when_docker_does_not_run(
    offline: Bakehouse, scratch: Path, engine: Path, tmp_path: Path
) -> None:
    stand_in(engine, "docker", tmp_path / "wrong.tar", running=False)
    stand_in(engine, "podman", tmp_path / "received.tar")
    (scratch / "docker-bake.hcl").write_text('target "default" {\n  tags = ["l:2"]\n}\n')
    offline.run("bake", "--load", cwd=scratch, env={"PATH": str(engine)})
    (entry,) = json.loads(_member(tmp_path / "received.tar", "manifest.json"))
    assert entry["RepoTags"] == ["l:2"]


def test_load_without_an_engine_keeps_the_image_and_says_so(
    offline: Bakehouse, scratch: Path, engine: Path
) -> None:
    done = offline.run("build", "--load", "-t", "l:3", ".", cwd=scratch, env={"PATH": str(engine)})
    assert "note: neither Docker nor Podman is running here" in done.stderr
    assert offline.run("images", "-q", "l:3").stdout


def test_a_load_that_fails_fails_the_build(
    offline: Bakehouse, scratch: Path, engine: Path, tmp_path: Path
) -> None:
    stand_in(engine, "docker", tmp_path / "x", loads=False)
    (scratch / "one").write_bytes(os.urandom(4 << 20))
    done = offline.run(
        "build", "--load", "-t", "l:4", ".", cwd=scratch, env={"PATH": str(engine)}, check=False
    )
    assert done.returncode == 1
    assert "docker could not load the image: no space left in the engine" in done.stderr


def test_a_failing_build_loads_nothing(
    offline: Bakehouse, scratch: Path, engine: Path, tmp_path: Path
) -> None:
    stand_in(engine, "docker", tmp_path / "received.tar")
    (scratch / "Dockerfile").write_text("FROM scratch\nCOPY nope /\n")
    done = offline.run(
        "build", "--load", "-t", "l:5", ".", cwd=scratch, env={"PATH": str(engine)}, check=False
    )
    assert done.returncode == 1
    assert not (tmp_path / "received.tar").exists()
