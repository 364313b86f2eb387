"""The built image equals BuildKit's: config JSON field by field, root file system entry by entry, layer by layer.

A case is a folder of `tests/cases/build`: a context with its Dockerfile, and perhaps `options`, one argument of
`buildx build` a line. An accepted difference stands in `difference` (text to expect in a difference, then its reason).
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from tests.support.command import Bakehouse
from tests.support.images import compare_config, compare_files, compare_layers, read_image
from tests.support.paths import CASES
from tests.support.services import BuildKit

ROOT = CASES / "build"
NAMES = sorted(path.name for path in ROOT.iterdir() if path.is_dir())


def options_of(case: Path) -> list[str]:
    path = case / "options"
    return path.read_text().splitlines() if path.exists() else []


def prepared(case: Path, tmp_path: Path) -> Path:
    """A copy of the case's context with settled times, without the files that are about the case."""
    context = tmp_path / "context"
    shutil.copytree(case, context, symlinks=True)
    for name in ("options", "difference"):
        (context / name).unlink(missing_ok=True)
    return context


@pytest.mark.peer
@pytest.mark.privileged
@pytest.mark.parametrize("name", NAMES)
def test_image_is_buildkits(name: str, tmp_path: Path, bakehouse: Bakehouse, buildkit: BuildKit) -> None:
    case = ROOT / name
    context = prepared(case, tmp_path)
    options = options_of(case)
    ours, theirs = tmp_path / "ours.tar", tmp_path / "theirs.tar"
    built = buildkit.buildx(
        "build", "--provenance=false", "--output", f"type=oci,dest={theirs}", *options, ".", cwd=context
    )
    assert built.returncode == 0, built.stderr
    bakehouse.run("build", "--output", f"type=oci,dest={ours}", *options, ".", cwd=context)
    a, b = read_image(ours), read_image(theirs)
    differences = compare_config(a, b) + compare_layers(a, b) + compare_files(a, b, time.time())
    accepted = case / "difference"
    expected = accepted.read_text().split("\n\n", 1)[0].splitlines() if accepted.exists() else []
    unexpected = [line for line in differences if not any(text in line for text in expected)]
    assert not unexpected, "\n".join(unexpected)
    missing = [text for text in expected if not any(text in line for line in differences)]
    assert not missing, f"accepted differences that are gone: {missing}"
