"""Docker's credential files and helpers, read the way Docker reads them.

Credentials are found by `credHelpers`, then `credsStore`, then `auths` of `config.json` in the given directory.
Secrets stay in memory and never enter an error. Docker config file and docker-credential-helpers protocol.
"""

from __future__ import annotations

import base64
import binascii
import json
import threading
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from bakehouse.errors import DefinitionError, DeniedError, EnvironmentFault

if TYPE_CHECKING:
    import subprocess

    from bakehouse.session import BasicCredential

#: The key under which Docker keeps Docker Hub's credentials.
DOCKER_HUB_KEY = "https://index.docker.io/v1/"
_HUB_HOSTS = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})
_TOKEN_USER = "<token>"
_HELPER_TIMEOUT_S = 60
# What helpers print (on stdout, with exit status 1) when they hold nothing for a host.
_NOT_FOUND = "credentials not found in native keychain"


def config_key(host: str) -> str:
    """The key of `host` in Docker's config file."""
    return DOCKER_HUB_KEY if host in _HUB_HOSTS else host


class DockerCredentials:
    """A `CredentialSource` over Docker's `config.json` in `config_dir`; a missing file means anonymous access.

    The file is read once, at first use; helpers are run once a host. Thread-safe. `environ`, when given, is the
    environment of helpers (their PATH too).
    """

    def __init__(self, config_dir: Path, environ: Mapping[str, str] | None = None) -> None:
        self._path = config_dir / "config.json"
        self._environ = None if environ is None else dict(environ)
        self._lock = threading.Lock()
        self._config: Mapping[str, object] | None = None
        self._known: dict[str, BasicCredential | None] = {}

    def credential(self, host: str) -> BasicCredential | None:
        """The credential for registry `host` (`docker.io` for Docker Hub), None for anonymous access.

        Raises `DefinitionError` (code `invalid-docker-config`) for a broken file, `EnvironmentFault` (code
        `credential-helper`) for a missing helper and `DeniedError` for one that fails.
        """
        with self._lock:
            if host not in self._known:
                self._known[host] = self._find(host)
            return self._known[host]

    def _find(self, host: str) -> BasicCredential | None:
        config = self._load()
        key = config_key(host)
        helpers = config.get("credHelpers")
        helper = helpers.get(key) or helpers.get(host) if isinstance(helpers, dict) else None
        helper = helper or config.get("credsStore")
        if isinstance(helper, str) and helper:
            found = self._ask_helper(helper, key)
            if found is not None:
                return found
        return self._from_auths(config, host)

    def _load(self) -> Mapping[str, object]:
        if self._config is None:
            try:
                value = json.loads(self._path.read_bytes())
            except FileNotFoundError:
                value = {}
            except OSError as error:
                raise DefinitionError(
                    f"cannot read {self._path}: {error.strerror}", code="invalid-docker-config"
                ) from error
            except ValueError:
                # The parser's message quotes the file, which holds secrets.
                raise DefinitionError(
                    f"{self._path} is not valid JSON", code="invalid-docker-config"
                ) from None
            if not isinstance(value, dict):
                raise DefinitionError(f"{self._path}: expected a JSON object", code="invalid-docker-config")
            self._config = MappingProxyType(value)
        return self._config

    def _from_auths(self, config: Mapping[str, object], host: str) -> BasicCredential | None:
        auths = config.get("auths")
        if not isinstance(auths, dict):
            return None
        wanted = {host, config_key(host)} | (_HUB_HOSTS if host in _HUB_HOSTS else set())
        for key in (config_key(host), host):
            if isinstance(auths.get(key), dict):
                return self._of_entry(auths[key])
        for key, entry in auths.items():
            if isinstance(entry, dict) and _bare_host(key) in wanted:
                return self._of_entry(entry)
        return None

    def _of_entry(self, entry: Mapping[str, object]) -> BasicCredential | None:
        username, password = _text(entry, "username"), _text(entry, "password")
        encoded, token = _text(entry, "auth"), _text(entry, "identitytoken")
        if encoded:
            try:
                username, _, password = (
                    base64.b64decode(encoded, validate=True).decode().rstrip("\0").partition(":")
                )
            except (binascii.Error, UnicodeDecodeError):
                raise DefinitionError(
                    f"{self._path}: an auth member is not base64", code="invalid-docker-config"
                ) from None
        if not (username or password or token):
            return None
        return _made(username, password, token)

    def _ask_helper(self, helper: str, key: str) -> BasicCredential | None:
        import shutil
        import subprocess

        program = f"docker-credential-{helper}"
        path = None if self._environ is None else self._environ.get("PATH", "")
        found = shutil.which(program, path=path) if "/" not in helper else None
        if found is None:
            raise EnvironmentFault(
                f"credential helper {program} is not on PATH",
                code="credential-helper",
                hint=f"Install {program}, or remove it from {self._path}.",
            )
        try:
            done = subprocess.run(
                [found, "get"],
                input=key.encode(),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=self._environ,
                timeout=_HELPER_TIMEOUT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise EnvironmentFault(
                f"credential helper {program} did not run: {type(error).__name__}", code="credential-helper"
            ) from None
        return self._helper_answer(program, key, done)

    def _helper_answer(
        self, program: str, key: str, done: subprocess.CompletedProcess[bytes]
    ) -> BasicCredential | None:
        if done.returncode != 0:
            if done.stdout.decode(errors="replace").strip() == _NOT_FOUND:
                return None
            raise DeniedError(
                f"credential helper {program} failed for {key} (exit code {done.returncode})",
                code="credential-helper",
            )
        try:
            answer = json.loads(done.stdout)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise DeniedError(f"credential helper {program} gave no JSON object", code="credential-helper")
        username, secret = _text(answer, "Username"), _text(answer, "Secret")
        if username == _TOKEN_USER:
            return _made("", "", secret)
        return _made(username, secret) if username or secret else None


def _made(username: str, password: str, identity_token: str = "") -> BasicCredential:
    from bakehouse.session import BasicCredential  # anonymous pulls never load it

    return BasicCredential(username, password, identity_token)


def _text(value: Mapping[str, object], key: str) -> str:
    found = value.get(key)
    return found if isinstance(found, str) else ""


def _bare_host(key: object) -> str:
    """The host of a key such as `https://registry.example.com/v1/`."""
    text = str(key)
    return text.removeprefix("https://").removeprefix("http://").partition("/")[0]
