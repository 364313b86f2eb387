"""Checks that need sockets, keys and terminals, which a case folder cannot hold."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest

from bakehouse.bake.checks import MAX_SECRET_BYTES, Surroundings, check_outputs, check_secrets, check_ssh
from bakehouse.bake.entries import Output, SecretEntry, SshEntry
from bakehouse.errors import DefinitionError


@pytest.fixture
def around(tmp_path: Path) -> Surroundings:
    return Surroundings(str(tmp_path), {}, stdout_is_terminal=False)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An unprotected private key as OpenSSL writes it."""
    path = tmp_path_factory.mktemp("keys") / "key"
    subprocess.run(
        ["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(path)], check=True, capture_output=True
    )
    return path


def _socket(path: Path) -> socket.socket:
    agent = socket.socket(socket.AF_UNIX)
    agent.bind(str(path))
    return agent


def test_an_agent_socket_and_a_private_key_are_accepted(
    around: Surroundings, tmp_path: Path, key: Path
) -> None:
    with _socket(tmp_path / "agent"):
        check_ssh([SshEntry("a", ("agent",)), SshEntry("b", (str(key),))], around)


def test_the_default_agent_comes_from_the_environment(tmp_path: Path) -> None:
    with _socket(tmp_path / "agent"):
        around = Surroundings(str(tmp_path), {"SSH_AUTH_SOCK": "agent"}, stdout_is_terminal=False)
        check_ssh([SshEntry("default")], around)


def test_sockets_and_keys_do_not_mix(around: Surroundings, tmp_path: Path, key: Path) -> None:
    with _socket(tmp_path / "agent"):
        with pytest.raises(DefinitionError, match="invalid combination of keys and sockets"):
            check_ssh([SshEntry("a", (str(key), "agent"))], around)
        with pytest.raises(DefinitionError, match="only single socket allowed"):
            check_ssh([SshEntry("a", ("agent", str(key)))], around)


def test_one_agent_per_id(around: Surroundings, key: Path) -> None:
    with pytest.raises(DefinitionError, match='duplicate agent ID "default"'):
        check_ssh([SshEntry("", (str(key),)), SshEntry("default", (str(key),))], around)


def test_a_protected_key_is_named_as_such(around: Surroundings, tmp_path: Path) -> None:
    path = tmp_path / "protected"
    subprocess.run(
        ["openssl", "genrsa", "-traditional", "-aes128", "-passout", "pass:x", "-out", str(path), "2048"],
        check=True,
        capture_output=True,
    )
    with pytest.raises(DefinitionError, match="passphrase protected"):
        check_ssh([SshEntry("a", (str(path),))], around)


def test_a_secret_has_a_largest_size(around: Surroundings, tmp_path: Path) -> None:
    (tmp_path / "fits").write_bytes(b"x" * MAX_SECRET_BYTES)
    check_secrets([SecretEntry("a", "fits")], around)
    (tmp_path / "large").write_bytes(b"x" * (MAX_SECRET_BYTES + 1))
    with pytest.raises(DefinitionError, match="secret a too big"):
        check_secrets([SecretEntry("a", "large")], around)


def test_a_terminal_gets_no_tar_stream(tmp_path: Path) -> None:
    around = Surroundings(str(tmp_path), {}, stdout_is_terminal=True)
    with pytest.raises(DefinitionError, match="refusing to write to console"):
        check_outputs([Output("oci")], around)
    assert check_outputs([Output("docker")], around) == [Output("docker")]
