"""Docker's config.json and helper programs (a shell stub that speaks the helper protocol)."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from bakehouse.errors import BakehouseError, DefinitionError, DeniedError, EnvironmentFault
from bakehouse.registry import DockerCredentials

AUTH = base64.b64encode(b"me:pa:ss").decode()


def write(folder: Path, value: object) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(value))
    return folder


def pair(source: DockerCredentials, host: str) -> tuple[str, str, str] | None:
    found = source.credential(host)
    return None if found is None else (found.username, found.password, found.identity_token)


def test_no_file_is_anonymous(tmp_path: Path) -> None:
    assert DockerCredentials(tmp_path).credential("docker.io") is None


@pytest.mark.parametrize(
    ("key", "host"),
    [
        ("https://index.docker.io/v1/", "docker.io"),
        ("docker.io", "docker.io"),
        ("ghcr.io", "ghcr.io"),
        ("https://ghcr.io", "ghcr.io"),
        ("https://registry.example.com/v1/", "registry.example.com"),
        ("localhost:5000", "localhost:5000"),
    ],
)
def test_auths(tmp_path: Path, key: str, host: str) -> None:
    source = DockerCredentials(write(tmp_path, {"auths": {key: {"auth": AUTH}}}))
    assert pair(source, host) == ("me", "pa:ss", "")
    assert source.credential("elsewhere.example.com") is None


def test_identity_token(tmp_path: Path) -> None:
    auths = {"r.io": {"auth": base64.b64encode(b"00000000:").decode(), "identitytoken": "refresh"}}
    assert pair(DockerCredentials(write(tmp_path, {"auths": auths})), "r.io") == ("00000000", "", "refresh")


def test_empty_entry_is_anonymous(tmp_path: Path) -> None:
    assert DockerCredentials(write(tmp_path, {"auths": {"r.io": {}}})).credential("r.io") is None


@pytest.mark.parametrize("text", ["{", "[]", '{"auths":{"r.io":{"auth":"%%%"}}}'])
def test_broken_files_keep_their_secrets(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text + "hunter2" if text == "{" else text)
    with pytest.raises(DefinitionError) as caught:
        DockerCredentials(tmp_path).credential("r.io")
    assert caught.value.code == "invalid-docker-config"
    assert "hunter2" not in str(caught.value)


def helper(folder: Path, script: str) -> dict[str, str]:
    """A helper program `docker-credential-stub`; returns the environment that finds it."""
    folder.mkdir(exist_ok=True)
    program = folder / "docker-credential-stub"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin"}


STUB = """
read host
case "$host" in
  https://index.docker.io/v1/) echo '{"Username":"hub","Secret":"s1"}' ;;
  token.io) echo '{"Username":"<token>","Secret":"t1"}' ;;
  broken.io) echo "secret leak" ; exit 1 ;;
  *) echo "credentials not found in native keychain" ; exit 1 ;;
esac
"""


@pytest.mark.parametrize(
    "config", [{"credsStore": "stub"}, {"credHelpers": {"https://index.docker.io/v1/": "stub"}}]
)
def test_helper_is_asked(tmp_path: Path, config: dict[str, object]) -> None:
    environ = helper(tmp_path / "bin", STUB)
    source = DockerCredentials(write(tmp_path / "config", config), environ)
    assert pair(source, "docker.io") == ("hub", "s1", "")


def test_helper_tokens_misses_and_failures(tmp_path: Path) -> None:
    environ = helper(tmp_path / "bin", STUB)
    config = {"credsStore": "stub", "auths": {"file.io": {"auth": AUTH}}}
    source = DockerCredentials(write(tmp_path / "config", config), environ)
    assert pair(source, "token.io") == ("", "", "t1")
    assert source.credential("unknown.io") is None
    assert pair(source, "file.io") == ("me", "pa:ss", "")
    with pytest.raises(DeniedError) as caught:
        source.credential("broken.io")
    assert "leak" not in str(caught.value)


def test_missing_helper(tmp_path: Path) -> None:
    source = DockerCredentials(write(tmp_path, {"credsStore": "nowhere"}), {"PATH": "/usr/bin"})
    with pytest.raises(EnvironmentFault) as caught:
        source.credential("r.io")
    assert caught.value.code == "credential-helper"


def test_helper_names_cannot_be_paths(tmp_path: Path) -> None:
    source = DockerCredentials(write(tmp_path, {"credsStore": "/../../bin/true"}), {"PATH": "/usr/bin"})
    with pytest.raises(BakehouseError, match="not on PATH"):
        source.credential("r.io")
