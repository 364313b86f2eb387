"""What a test needs of the machine. For a developer without it the test is skipped, naming what is missing; in
continuous integration (`CI` is set) every component must be there, so nothing is skipped and the test fails instead."""

from __future__ import annotations

import os
import shutil

import pytest

IN_CI = bool(os.environ.get("CI"))


def need(condition: bool, what: str) -> None:
    """Goes on when `condition` holds. `what` is worded as in "needs root"."""
    if condition:
        return
    if IN_CI:
        pytest.fail(f"needs {what}, and in continuous integration nothing is skipped")
    pytest.skip(f"needs {what}")


def need_command(name: str) -> str:
    """The path of a program; see `need`."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    need(found is not None, name)
    assert found is not None
    return found


needs_root = pytest.mark.skipif(os.geteuid() != 0 and not IN_CI, reason="needs root")
