"""Symbolic modes, judged by chmod(1) of the machine (with umask 0) and the reference's examples."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from bakehouse.engine.ops.file_modes import ModeChange
from bakehouse.errors import DefinitionError

TEXTS = ["u+x", "go=rX", "u=rwX,go=rX", "g=u", "+w", "a-x", "o=", "g-w,o+r", "u+s", "g+s", "go-rwx"]
MODES = [0o644, 0o755, 0o600, 0o711, 0o000, 0o4755]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("kind", ["file", "dir"])
def test_as_chmod(tmp_path: Path, text: str, kind: str) -> None:
    path = tmp_path / "x"
    if kind == "file":
        path.touch()
    else:
        path.mkdir()
    for mode in MODES:
        if kind == "dir" and mode > 0o777:
            continue  # GNU chmod keeps set-id bits of directories
        os.chmod(path, mode)
        before = os.stat(path).st_mode
        subprocess.run(["chmod", text, str(path)], check=True, umask=0)
        assert oct(ModeChange(text).apply(before)) == oct(stat.S_IMODE(os.stat(path).st_mode)), (
            text,
            oct(mode),
        )


@pytest.mark.parametrize(
    ("text", "before", "after"),
    [
        ("u=g,g=o", 0o4755, 0o4555),
        ("=rw,+X", 0o755, 0o777),  # X asks for the mode as it was at first
        ("u=rg", 0o750, 0o550),
        ("u=gr", 0o750, 0o450),
    ],
)
def test_where_buildkits_library_is_not_gnu(text: str, before: int, after: int) -> None:
    assert oct(ModeChange(text).apply(stat.S_IFREG | before)) == oct(after)


@pytest.mark.parametrize(("text", "mode"), [("640", 0o640), ("4755", 0o4755), ("0", 0)])
def test_octal(text: str, mode: int) -> None:
    assert ModeChange(text).apply(stat.S_IFREG | 0o777) == mode


def test_sticky() -> None:
    assert ModeChange("+t").apply(stat.S_IFDIR | 0o777) == 0o1777


@pytest.mark.parametrize("text", ["", "u", "u!x", "8", "u+z", "rw", "77777", "u+x,", ",u+x", "u+x go"])
def test_invalid(text: str) -> None:
    with pytest.raises(DefinitionError, match="invalid syntax"):
        ModeChange(text)
