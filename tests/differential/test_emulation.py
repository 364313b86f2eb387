"""F3: steps for another processor run under QEMU where BuildKit's emulators are on PATH, and make the same image."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command import Bakehouse
from tests.support.images import compare_config, compare_files, compare_layers, read_image
from tests.support.needs import need_command
from tests.support.services import BuildKit, Registry, running_buildkit

pytestmark = [pytest.mark.peer, pytest.mark.privileged]

_BASE = 0x400000
_HEADERS = 64 + 56


def arm64_program(path: bytes, text: bytes) -> bytes:
    """A static arm64 program that writes `text` to the file `path` and ends with the number of its arguments."""
    code_size = 18 * 4
    data = path + b"\0" + text

    def move(register: int, value: int) -> int:
        return 0xD2800000 | value << 5 | register

    def address(register: int, place: int, offset: int) -> int:
        distance = code_size + offset - place * 4
        return 0x10000000 | (distance & 3) << 29 | (distance >> 2) << 5 | register

    call = 0xD4000001
    code = [
        0xF94003F3,  # ldr x19, [sp]: the number of arguments
        0x92800C60,  # mov x0, -100: AT_FDCWD
        address(1, 2, 0),
        move(2, os.O_WRONLY | os.O_CREAT),
        move(3, 0o644),
        move(8, 56),  # openat
        call,
        address(1, 7, len(path) + 1),
        move(2, len(text)),
        move(8, 64),  # write
        call,
        0xD1000660,  # sub x0, x19, 1
        move(8, 93),  # exit
        call,
    ]
    code += [0xD503201F] * (18 - len(code))  # nop
    body = struct.pack(f"<{len(code)}I", *code) + data
    size = _HEADERS + len(body)
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 2, 183, 1, _BASE + _HEADERS, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x1000)
    return header + segment + body


@pytest.fixture
def emulators(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory, first on PATH, in which QEMU has the name that BuildKit looks for."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "buildkit-qemu-aarch64").symlink_to(need_command("qemu-aarch64-static"))
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return programs


@pytest.fixture
def emulating_buildkit(tmp_path: Path, registry: Registry, emulators: Path) -> Iterator[BuildKit]:
    with running_buildkit(tmp_path / "buildkit", registry) as daemon:
        yield daemon


def context_of(tmp_path: Path, dockerfile: str) -> Path:
    context = tmp_path / "context"
    context.mkdir()
    (context / "program").write_bytes(arm64_program(b"/made", b"by arm64\n"))
    (context / "program").chmod(0o755)
    (context / "Dockerfile").write_text(dockerfile)
    return context


def test_an_emulated_step_makes_buildkits_image(
    tmp_path: Path, registry: Registry, emulating_buildkit: BuildKit
) -> None:
    context = context_of(
        tmp_path, 'FROM scratch\nARG TARGETARCH\nCOPY program /bin/$TARGETARCH\nRUN ["/bin/arm64"]\n'
    )
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    options = ("--platform=linux/arm64", ".")
    built = emulating_buildkit.buildx(
        "build", "--provenance=false", f"--output=type=oci,dest={theirs}", *options, cwd=context
    )
    assert built.returncode == 0, built.stderr
    Bakehouse(tmp_path / "home", registry).run(
        "build", f"--output=type=oci,dest={ours}", *options, cwd=context
    )
    mine, other = read_image(ours), read_image(theirs)
    assert compare_config(mine, other) + compare_layers(mine, other) == []
    assert compare_files(mine, other, time.time()) == []
    assert mine.config["architecture"] == "arm64"
    assert mine.files["made"].size == len("by arm64\n")


def test_an_emulated_step_gets_its_arguments_and_fails_like_any(
    tmp_path: Path, registry: Registry, emulators: Path
) -> None:
    context = context_of(tmp_path, 'FROM scratch\nCOPY program /p\nRUN ["/p", "one", "two"]\n')
    done = Bakehouse(tmp_path / "home", registry).run(
        "build", "--platform=linux/arm64", ".", cwd=context, check=False
    )
    assert done.returncode == 1
    assert 'process "/p one two" did not complete successfully: exit code: 2' in done.stderr
