"""Base images for tests, made on the spot from Debian's packages and kept as OCI layouts in the cache folder.

Each carries the name that Dockerfiles in the wild use. They are not the images of those names: `alpine` and `busybox`
are Debian's static busybox, `python:3.12-slim` has Debian's Python. The layouts are written here without any code of
the product, so that a fault of ours can't hide in the images we compare with.

    python -m tests.support.bases      makes the ones that are missing
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.paths import BASES

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
EPOCH = 1_700_000_000
CREATED = "2023-11-14T22:13:20Z"


@dataclass(frozen=True)
class Base:
    """One image: the names it is served under, how its root tar is made, and its config."""

    key: str
    names: tuple[str, ...]
    make: Callable[[Path], None]
    env: tuple[str, ...] = (PATH,)
    cmd: tuple[str, ...] = ("/bin/sh",)
    extra: dict[str, object] = field(default_factory=dict)


def _tar(path: Path, entries: list[tuple[str, int, bytes | str | None]]) -> None:
    """Writes a root tar: (path, mode, bytes = file, str = link target, None = directory)."""
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        for name, mode, content in entries:
            info = tarfile.TarInfo(name)
            info.mode, info.mtime = mode, EPOCH
            if content is None:
                info.type = tarfile.DIRTYPE
                tar.addfile(info)
            elif isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))


def busybox_entries() -> list[tuple[str, int, bytes | str | None]]:
    """Debian's static busybox with a link for each applet, and the files that a small system has."""
    binary = shutil.which("busybox") or "/bin/busybox"
    applets = subprocess.run([binary, "--list"], check=True, capture_output=True, text=True).stdout.split()
    entries: list[tuple[str, int, bytes | str | None]] = [
        (name, 0o755, None)
        for name in ("bin", "dev", "etc", "home", "proc", "root", "sys", "usr", "usr/bin", "var")
    ]
    entries += [("tmp", 0o1777, None), ("bin/busybox", 0o755, Path(binary).read_bytes())]
    entries += [(f"bin/{name}", 0o777, "busybox") for name in sorted(set(applets) - {"busybox"})]
    entries += [
        ("etc/passwd", 0o644, b"root:x:0:0:root:/root:/bin/sh\nbob:x:1000:1000:bob:/home/bob:/bin/sh\n"),
        ("etc/group", 0o644, b"root:x:0:\nstaff:x:50:bob\nbob:x:1000:\n"),
        ("usr/bin/env", 0o777, "/bin/busybox"),
    ]
    return entries


def make_busybox(path: Path) -> None:
    _tar(path, busybox_entries())


def make_alpine(path: Path) -> None:
    _tar(path, busybox_entries() + [("etc/alpine-release", 0o644, b"3.13.0\n")])


def make_nginx(path: Path) -> None:
    conf = b"events {}\nhttp { server { listen 80; } }\n"
    _tar(
        path,
        busybox_entries() + [("etc/nginx", 0o755, None), ("etc/nginx/nginx.conf", 0o644, conf)],
    )


def debian_suite() -> str:
    """The machine's own suite when it is Debian, else Debian's current stable."""
    values = dict(
        line.split("=", 1) for line in Path("/etc/os-release").read_text("utf-8").splitlines() if "=" in line
    )
    if values.get("ID", "").strip('"') == "debian":
        return values.get("VERSION_CODENAME", "stable").strip('"')
    return "stable"


def _debootstrap(path: Path, *packages: str) -> None:
    scratch = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=scratch) as temporary:
        subprocess.run(
            [
                "mmdebstrap",
                "--quiet",
                "--variant=minbase",
                f"--include={','.join(('ca-certificates', *packages))}",
                # The images trust whom the machine trusts: it may reach package registries through a proxy.
                f"--customize-hook=upload {CA_BUNDLE} {CA_BUNDLE}",
                "--dpkgopt=path-exclude=/usr/share/man/*",
                "--dpkgopt=path-exclude=/usr/share/doc/*",
                "--dpkgopt=path-exclude=/usr/share/locale/*",
                debian_suite(),
                str(path),
            ],
            check=True,
            env=os.environ | {"TMPDIR": temporary, "SOURCE_DATE_EPOCH": str(EPOCH)},
        )


def make_debian(path: Path) -> None:
    _debootstrap(path)


def make_python(path: Path, *packages: str) -> None:
    """Debian's Python with the names that the official image gives it. As there, pip installs outside a venv."""
    _debootstrap(path, "python3", "python3-pip", "python3-venv", *packages)
    with tarfile.open(path, "a") as tar:
        for name, target in (
            ("python", "/usr/bin/python3"),
            ("python3", "/usr/bin/python3"),
            ("pip", "/usr/bin/pip3"),
        ):
            info = tarfile.TarInfo(f"./usr/local/bin/{name}")
            info.type, info.linkname, info.mtime, info.mode = tarfile.SYMTYPE, target, EPOCH, 0o777
            tar.addfile(info)


def make_full_python(path: Path) -> None:
    """The image without `-slim` brings tools and libraries that packages expect."""
    make_python(path, "git", "libpq5")


PYTHON_ENV = (
    PATH,
    "LANG=C.UTF-8",
    "PIP_BREAK_SYSTEM_PACKAGES=1",
    f"PIP_CERT={CA_BUNDLE}",
    f"SSL_CERT_FILE={CA_BUNDLE}",
)

IMAGES = (
    Base("busybox", ("busybox:latest", "busybox:1.35", "busybox:stable"), make_busybox, cmd=("sh",)),
    Base("alpine", ("alpine:latest", "alpine:3.13", "alpine:3.19", "alpine:3"), make_alpine),
    Base(
        "nginx",
        ("nginx:latest",),
        make_nginx,
        cmd=("nginx", "-g", "daemon off;"),
        extra={"ExposedPorts": {"80/tcp": {}}, "StopSignal": "SIGQUIT"},
    ),
    Base(
        "debian",
        ("debian:bookworm-slim", "debian:bookworm", "debian:latest", "debian:stable-slim", "ubuntu:22.04"),
        make_debian,
        cmd=("bash",),
    ),
    Base(
        "python-slim",
        ("python:3.12-slim", "python:3.11-slim", "python:3.14-slim", "python:3-slim"),
        make_python,
        env=PYTHON_ENV,
        cmd=("python3",),
    ),
    Base(
        "python",
        ("python:3.12", "python:3.14", "python:3", "python:latest"),
        make_full_python,
        env=PYTHON_ENV,
        cmd=("python3",),
    ),
)


def layout(base: Base) -> Path:
    """The OCI layout of `base`, made when it is missing or when this file has changed."""
    version = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    final = BASES / f"{base.key}-{version}"
    if (final / "index.json").exists():
        return final
    for old in BASES.glob(f"{base.key}-*"):
        # Not `python-slim-…` when it is `python`'s turn: what follows the key is a version.
        if re.fullmatch(r"[0-9a-f]{12}", old.name.removeprefix(f"{base.key}-")):
            shutil.rmtree(old)
    BASES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BASES) as temporary:
        root = Path(temporary)
        base.make(root / "root.tar")
        out = root / "layout"
        _write_layout(base, root / "root.tar", out)
        try:
            os.replace(out, final)
        except OSError:
            # Another process has just made the same one.
            if not (final / "index.json").exists():
                raise
    return final


def _write_layout(base: Base, root_tar: Path, out: Path) -> None:
    blobs = out / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def put(data: bytes) -> tuple[str, int]:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return f"sha256:{digest}", len(data)

    data = root_tar.read_bytes()
    diff_id = f"sha256:{hashlib.sha256(data).hexdigest()}"
    layer, layer_size = put(gzip.compress(data, 1, mtime=0))
    config = {
        "created": CREATED,
        "architecture": _architecture(),
        "os": "linux",
        "config": {"Env": list(base.env), "Cmd": list(base.cmd), **base.extra},
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        "history": [{"created": CREATED, "created_by": f"base {base.key}"}],
    }
    config_digest, config_size = put(json.dumps(config).encode())
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": config_digest,
            "size": config_size,
        },
        "layers": [
            {
                "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                "digest": layer,
                "size": layer_size,
            }
        ],
    }
    digest, size = put(json.dumps(manifest).encode())
    index = {
        "schemaVersion": 2,
        "manifests": [
            {
                "mediaType": manifest["mediaType"],
                "digest": digest,
                "size": size,
                "annotations": {"org.opencontainers.image.ref.name": "latest"},
            }
        ],
    }
    (out / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (out / "index.json").write_text(json.dumps(index))


def _architecture() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)


def main() -> int:
    for base in IMAGES:
        if not list(BASES.glob(f"{base.key}-*/index.json")):
            print(f"setup: making the base image {base.key}", file=sys.stderr)
        layout(base)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
