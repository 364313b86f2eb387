"""User strings resolve as BuildKit resolves them (dockerfile.md §8.1, BuildKit's GetUser)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bakehouse.errors import ExecutionError
from bakehouse.runtime.users import MAX_USER_FILE_BYTES, StepUser, resolve_user

PASSWD = "root:x:0:0:root:/root:/bin/sh\n\napp:x:1000:1001:App:/home/app:/bin/sh\nshort:x:7\n"
GROUP = "# comment\nroot:x:0:\napp:x:1001:\nextra:x:1002:app,other\nmore:x:1003:app\n"


@pytest.fixture
def root(tmp_path: Path) -> str:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text(PASSWD)
    (tmp_path / "etc/group").write_text(GROUP)
    return os.fspath(tmp_path)


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("", StepUser(0, 0, (0,), "/root")),
        ("root", StepUser(0, 0, (0,), "/root")),
        ("app", StepUser(1000, 1001, (1001, 1002, 1003), "/home/app")),
        ("1000", StepUser(1000, 1001, (1001, 1002, 1003), "/home/app")),
        ("app:extra", StepUser(1000, 1002, (1002,), "/home/app")),
        ("app:4242", StepUser(1000, 4242, (4242,), "/home/app")),
        ("1000:1003", StepUser(1000, 1003, (1003,), "/home/app")),
        ("root:root", StepUser(0, 0, (0,), "/root")),
        ("1234", StepUser(1234, 0, (0,), None)),
        ("1234:app", StepUser(1234, 1001, (1001,), None)),
        ("4294967295:5", StepUser(4294967295, 5, (5,), None)),
        ("short", StepUser(7, 0, (0,), "")),
    ],
)
def test_a_user_resolves_to_ids_groups_and_home(root: str, user: str, expected: StepUser) -> None:
    assert resolve_user(root, user) == expected


@pytest.mark.parametrize(
    ("user", "message"),
    [
        ("nosuch", "unable to find user nosuch: no matching entries in passwd file"),
        ("app:nosuch", "unable to find group nosuch: no matching entries in group file"),
        ("-1", "uids and gids must be in range 0-2147483647"),
        ("2147483648", "uids and gids must be in range 0-2147483647"),
    ],
)
def test_unknown_names_fail_with_buildkits_text(root: str, user: str, message: str) -> None:
    with pytest.raises(ExecutionError) as caught:
        resolve_user(root, user)
    assert (str(caught.value), caught.value.code) == (message, "unknown-user")


def test_an_empty_root_still_has_user_root(tmp_path: Path) -> None:
    assert resolve_user(os.fspath(tmp_path), "") == StepUser(0, 0, (0,), None)
    with pytest.raises(ExecutionError, match="unable to find user app"):
        resolve_user(os.fspath(tmp_path), "app")


def test_links_in_user_files_stay_inside_the_root(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("evil:x:666:666::/:/bin/sh\n")
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    os.symlink("../../outside", root / "etc/passwd")
    with pytest.raises(ExecutionError, match="unable to find user evil"):
        resolve_user(os.fspath(root), "evil")


def test_a_fifo_as_passwd_does_not_hang(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    os.mkfifo(tmp_path / "etc/passwd")
    assert resolve_user(os.fspath(tmp_path), "12:13") == StepUser(12, 13, (13,), None)


def test_an_oversized_user_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    with open(tmp_path / "etc/passwd", "wb") as file:
        file.truncate(MAX_USER_FILE_BYTES + 1)
    with pytest.raises(ExecutionError) as caught:
        resolve_user(os.fspath(tmp_path), "app")
    assert caught.value.code == "user-file-too-large"
