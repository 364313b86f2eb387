"""Privileges that targets ask for: computed from resolved targets and the shape of the disk (reference bake.md §23)."""

from __future__ import annotations

from pathlib import Path

import pytest

from bakehouse.bake import (
    LoadOptions,
    Requested,
    filesystem_checks_enabled,
    load,
    missing_privileges,
    parse_allowed,
)
from bakehouse.bake.entitlements import existing_part
from bakehouse.errors import DefinitionError


def _requested(
    cwd: Path, text: str, *, allow: tuple[str, ...] = (), overrides: tuple[str, ...] = ()
) -> Requested:
    cwd.mkdir(exist_ok=True)
    (cwd / "docker-bake.hcl").write_text(text)
    definition = load(LoadOptions(cwd=str(cwd), environ={}))
    resolved = definition.resolve(["*"], overrides)
    return missing_privileges(
        resolved.targets.values(), parse_allowed(allow), resolved.granted, cwd=str(cwd), environ={}
    )


def test_the_working_directory_needs_no_grant(tmp_path: Path) -> None:
    text = 'target "a" {\n context = "sub"\n output = ["out"]\n cache-to = ["type=local,dest=c"]\n}'
    assert not _requested(tmp_path / "w", text)


def test_paths_outside_are_listed_with_the_flags_that_grant_them(tmp_path: Path) -> None:
    text = 'target "a" {\n context = ".."\n output = ["../out"]\n cache-from = ["type=local,src=/usr"]\n}'
    requested = _requested(tmp_path / "w", text)
    assert requested.fs_flags == ["--allow=fs=..", "--allow=fs.read=/usr"]
    assert requested.fs_messages == ["Read and write access to path ..", "Read access to path /usr"]
    assert requested.messages == []


@pytest.mark.parametrize("grant", ["fs=*", "fs=..", "fs=/"])
def test_a_grant_covers_what_lies_below_it(tmp_path: Path, grant: str) -> None:
    assert not _requested(
        tmp_path / "w", 'target "a" { context = "../other" }', allow=(grant.replace("..", str(tmp_path)),)
    )


def test_a_link_out_of_the_working_directory_is_followed(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "link").symlink_to("/usr")
    requested = _requested(tmp_path / "w", 'target "a" { context = "link" }')
    assert requested.fs_flags == ["--allow=fs.read=/usr"]


def test_needs_of_every_target_count(tmp_path: Path) -> None:
    text = 'target "a" { context = "/usr" }\ntarget "b" { context = "/etc" }\ntarget "c" {}'
    requested = _requested(tmp_path / "w", text)
    assert requested.fs_flags == ["--allow=fs.read=/etc", "--allow=fs.read=/usr"]


def test_privileges_of_the_network_and_of_devices(tmp_path: Path) -> None:
    text = 'target "a" {\n network = "host"\n entitlements = ["security.insecure", "device=gpu"]\n}'
    requested = _requested(tmp_path / "w", text)
    assert requested.flags == [
        "--allow=network.host",
        "--allow=security.insecure",
        "--allow=device=gpu",
    ]
    allowed = ("network.host", "security.insecure", "device=gpu")
    assert not _requested(tmp_path / "w", text, allow=allowed)


def test_override_values_grant_themselves_but_contexts_do_not(tmp_path: Path) -> None:
    text = 'target "a" {}'
    granted = ("a.output=../out", "a.entitlements=network.host", "a.cache-from=type=local,src=/usr")
    assert not _requested(tmp_path / "w", text, overrides=granted)
    requested = _requested(tmp_path / "w", text, overrides=("a.context=/usr",))
    assert requested.fs_flags == ["--allow=fs.read=/usr"]


def test_deleting_exporters_ask(tmp_path: Path) -> None:
    text = 'target "a" { output = ["type=local,dest=o,mode=delete"] }'
    assert _requested(tmp_path / "w", text).flags == ["--allow=buildx.local.delete"]
    with pytest.raises(DefinitionError, match='invalid local exporter mode "x"'):
        _requested(tmp_path / "w", text.replace("delete", "x"))


@pytest.mark.parametrize(
    ("text", "message"),
    [("foo", 'unknown entitlement key "foo"'), ("buildx.local.delete=1", "does not accept a value")],
)
def test_bad_allow_flags(text: str, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        parse_allowed([text])


def test_existing_part_of_a_path(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nowhere/below")
    real = str(tmp_path.resolve())
    assert existing_part(f"{tmp_path}/x/y") == (real, "x/y")
    assert existing_part(f"{tmp_path}/dangling/z") == (real, "nowhere/below/z")
    assert existing_part("/") == ("/", "")


def test_checks_can_be_switched_off() -> None:
    assert filesystem_checks_enabled({})
    assert not filesystem_checks_enabled({"BUILDX_BAKE_ENTITLEMENTS_FS": "0"})
    assert not filesystem_checks_enabled({"BAKE_ALLOW_REMOTE_FS_ACCESS": "1"}, remote=True)
    assert filesystem_checks_enabled({"BAKE_ALLOW_REMOTE_FS_ACCESS": "1"})
    with pytest.raises(DefinitionError, match="BUILDX_BAKE_ENTITLEMENTS_FS"):
        filesystem_checks_enabled({"BUILDX_BAKE_ENTITLEMENTS_FS": "maybe"})
