"""What a client lends a build, as plain values: local directories, secrets, SSH agents, registry credentials.

No gRPC here; the BuildKit driver serves the same values over its session.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

from bakehouse.errors import DefinitionError, NotFoundError
from bakehouse.values import dataclass, field

#: BuildKit's own limit for one secret.
MAX_SECRET_BYTES = 500 * 1024
#: The host of http sources that are uploads of the client, as BuildKit names it.
UPLOAD_HOST = "buildkit-session"


@dataclass(frozen=True, slots=True)
class Secret:
    """Where one secret comes from: exactly one of `path`, `env_value` and `value`. Never printed."""

    id: str
    path: Path | None = None
    value: bytes | None = field(default=None, repr=False)

    def read(self) -> bytes:
        """The secret's bytes. Raises `NotFoundError` when the file is gone, `DefinitionError` above 500 KiB."""
        if self.value is not None:
            data = self.value
        else:
            assert self.path is not None
            try:
                with open(self.path, "rb") as file:
                    data = file.read(MAX_SECRET_BYTES + 1)
            except OSError as error:
                raise NotFoundError(
                    f"secret {self.id}: cannot read {self.path}: {error.strerror}", code="secret-unreadable"
                ) from error
        if len(data) > MAX_SECRET_BYTES:
            raise DefinitionError(
                f"secret {self.id}: larger than {MAX_SECRET_BYTES // 1024} KiB", code="secret-too-large"
            )
        return data


@dataclass(frozen=True, slots=True)
class BasicCredential:
    username: str
    password: str = field(repr=False)
    identity_token: str = field(default="", repr=False)


class CredentialSource(Protocol):
    """Finds the credential for a registry host (`docker.io` for Docker Hub), or None for anonymous access."""

    def credential(self, host: str) -> BasicCredential | None: ...


class NoCredentials:
    """Anonymous everywhere."""

    def credential(self, host: str) -> BasicCredential | None:
        return None


class Upload(Protocol):
    """A stream of the client's that a build reads once, such as an archive on standard input."""

    def chunks(self, check_cancelled: Callable[[], None]) -> Iterator[bytes]:
        """The bytes in order. `check_cancelled` is called while the client keeps us waiting, and may raise."""
        ...


@dataclass(frozen=True)
class Session:
    """Everything a build may ask of its client. `local_dirs` maps `local://` names, or `SESSION:NAME`
    where sources of one build bear several session ids, to host directories; `oci_layouts` maps store names to OCI
    layout directories, `ssh` agent ids to socket paths. `uploads` are served at `http://buildkit-session/ID`."""

    local_dirs: Mapping[str, Path] = field(default_factory=dict)
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    ssh: Mapping[str, Path] = field(default_factory=dict)
    oci_layouts: Mapping[str, Path] = field(default_factory=dict)
    credentials: CredentialSource = field(default_factory=NoCredentials)
    uploads: Mapping[str, Upload] = field(default_factory=dict)

    def secret(self, id: str) -> bytes | None:
        """The bytes of secret `id`, or None when the client has none of that id."""
        found = self.secrets.get(id)
        return None if found is None else found.read()
