"""Finding a runtime: order, verdicts and their memory, and errors that say what to install."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bakehouse.errors import EnvironmentFault
from bakehouse.runtime import discovery
from bakehouse.runtime.discovery import RuntimeBinary, find_runtime
from bakehouse.runtime.logs import in_the_words_of_runc, last_error, names_missing_permission


@pytest.fixture
def bin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH of one directory; the usual places of real runtimes are not looked at."""
    monkeypatch.setattr(discovery, "_MORE_PATH", ())
    (tmp_path / "bin").mkdir()
    (tmp_path / "state").mkdir()
    return tmp_path / "bin"


def install(bin: Path, name: str, banner: str = "") -> str:
    path = bin / name
    path.write_text(f"#!/bin/sh\necho '{banner or name} version 1'\n")
    path.chmod(0o755)
    return os.fspath(path)


def find(bin: Path, faults: dict[str, str] | None = None, **environ: str) -> tuple[RuntimeBinary, list[str]]:
    """The runtime found, and the names of those that were tried. `faults` by name: what the probe finds wrong."""
    tried: list[str] = []

    def probe(binary: RuntimeBinary) -> str:
        tried.append(os.path.basename(binary.path))
        return (faults or {}).get(tried[-1], "")

    found = find_runtime({"PATH": str(bin), **environ}, bin.parent / "state", probe)
    return found, tried


def test_crun_comes_before_runc_and_the_verdict_is_remembered(bin: Path) -> None:
    crun = install(bin, "crun")
    install(bin, "runc")
    assert find(bin) == (RuntimeBinary(crun, "crun"), ["crun"])
    assert find(bin) == (RuntimeBinary(crun, "crun"), [])
    os.utime(crun, (1, 1))
    assert find(bin)[1] == ["crun"]


def test_what_does_not_work_here_is_passed_over_and_tried_again_later(bin: Path) -> None:
    install(bin, "crun")
    runc = install(bin, "runc")
    faults = {"crun": "it refuses this machine"}
    assert find(bin, faults) == (RuntimeBinary(runc, "runc"), ["crun", "runc"])
    assert find(bin, faults)[1] == ["crun"]
    assert find(bin)[0].kind == "crun"


def test_the_variable_decides_alone(bin: Path) -> None:
    install(bin, "crun")
    mine = install(bin, "mine", "crun")
    assert find(bin, BAKEHOUSE_RUNTIME="mine")[0] == RuntimeBinary(mine, "crun")
    assert find(bin, BAKEHOUSE_RUNTIME=mine)[0] == RuntimeBinary(mine, "crun")
    with pytest.raises(EnvironmentFault, match="BAKEHOUSE_RUNTIME names nope") as caught:
        find(bin, BAKEHOUSE_RUNTIME="nope")
    assert caught.value.code == "no-oci-runtime"


def test_no_runtime_at_all_says_how_to_get_one(bin: Path) -> None:
    with pytest.raises(EnvironmentFault) as caught:
        find(bin)
    assert caught.value.code == "no-oci-runtime"
    assert "apt-get install crun" in (caught.value.hint or "")


def test_none_that_works_lists_why(bin: Path) -> None:
    install(bin, "crun")
    install(bin, "runc")
    with pytest.raises(EnvironmentFault, match=r"crun: broken; .*runc: too old") as caught:
        find(bin, {"crun": "broken", "runc": "too old"})
    assert caught.value.code == "no-oci-runtime"


def test_a_forbidden_sandbox_is_told_apart(bin: Path) -> None:
    install(bin, "crun")
    with pytest.raises(EnvironmentFault) as caught:
        find(bin, {"crun": "unshare: Operation not permitted"})
    assert caught.value.code == "no-namespaces"


def test_a_broken_memory_is_no_obstacle(bin: Path) -> None:
    install(bin, "crun")
    for text in ("", "[]", '{"boot": 1}', "\xff"):
        (bin.parent / "state/runtimes.json").write_text(text, encoding="latin-1")
        assert find(bin)[1] == ["crun"]


@pytest.mark.parametrize(
    ("message", "executable", "expected"),
    [
        (
            "executable file `/x` not found in $PATH: No such file or directory",
            "/x",
            'runc run failed: unable to start container process: exec: "/x": stat /x: no such file or directory',
        ),
        (
            "executable file `x` not found in $PATH: No such file or directory",
            "x",
            'runc run failed: unable to start container process: exec: "x": executable file not found in $PATH',
        ),
        ("exec container process `/x`: Exec format error", "/x", "exec /x: exec format error"),
        (
            "open executable: Permission denied",
            "/x",
            'runc run failed: unable to start container process: exec: "/x": permission denied',
        ),
        ("mount `x` to `y`: Invalid argument", "/x", "mount `x` to `y`: Invalid argument"),
    ],
)
def test_crun_speaks_like_runc(message: str, executable: str, expected: str) -> None:
    """The right side is what runc 1.1.5 prints for the same step."""
    assert in_the_words_of_runc(message, executable) == expected


def test_the_last_error_of_a_log_counts(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(
        '{"level":"warning","msg":"w"}\n{"level":"error","msg":"first"}\nnoise\n{"level":"error","msg":"e"}\n'
    )
    assert last_error(log) == "e"
    assert last_error(tmp_path / "none") == ""


def test_a_step_that_may_not_run_its_program_is_not_a_forbidden_sandbox() -> None:
    assert not names_missing_permission("open executable: Permission denied")
    assert not names_missing_permission('unable to start container process: exec: "/x": permission denied')
    assert names_missing_permission("mount `proc` to `proc`: Operation not permitted")
