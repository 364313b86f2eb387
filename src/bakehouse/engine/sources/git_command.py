"""Running git: a clean environment, credentials that never show in process lists, cancellation.

Role: one `Git` value a repository; what to run is decided in `git`.
"""

from __future__ import annotations

import base64
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from bakehouse.engine.sources.http_client import ask_once
from bakehouse.errors import CancelledError, DefinitionError, DeniedError, EnvironmentFault, NotFoundError
from bakehouse.giturl import without_passwords
from bakehouse.lazy import regex
from bakehouse.progress.events import STDERR
from bakehouse.session import Session
from bakehouse.solver.model import RunContext
from bakehouse.values import dataclass, field, replace

_PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")
_GITHUB = ("https://github.com/", "https://www.github.com/")
_REDIRECTED = regex(r"requested URL returned error: 30[1278]")
_INFO = "/info/refs?service=git-upload-pack"
_MAX_REDIRECTIONS = 5


@dataclass(frozen=True, slots=True)
class GitAccess:
    """How to get at a remote: `authorization` is an HTTP header value for addresses below `scope`. `moved_to` is where
    the server said that the repository is now."""

    remote: str
    scope: str
    authorization: str = field(default="", repr=False)
    ssh_agent: str = ""
    known_hosts: str = ""
    moved_to: str = ""


@contextmanager
def git_access(attrs: Mapping[str, str], remote: str, session: Session) -> Iterator[GitAccess]:
    """Access to `remote` with what `session` lends: secrets in BuildKit's order, an SSH agent, known hosts."""
    scope = next((prefix for prefix in _GITHUB if remote.startswith(prefix)), remote)
    agent = ""
    wanted = attrs.get("git.mountsshsock")
    if wanted:
        path = session.ssh.get(wanted)
        if path is None:
            raise NotFoundError(f'no SSH key "{wanted}" forwarded from the client', code="ssh-not-forwarded")
        agent = str(path)
    with tempfile.NamedTemporaryFile("w", prefix="known-hosts-") as file:
        hosts = attrs.get("git.knownsshhosts", "")
        file.write(hosts)
        file.flush()
        authorization = _authorization(attrs, remote, session)
        yield GitAccess(remote, scope, authorization, agent, file.name if hosts else "")


def _authorization(attrs: Mapping[str, str], remote: str, session: Session) -> str:
    if not remote.startswith(("http://", "https://")):
        return ""
    host = urlsplit(remote).netloc.rpartition("@")[2]
    header = attrs.get("git.authheadersecret", "")
    token = attrs.get("git.authtokensecret", "")
    for name, suffix, is_token in (
        (header, f".{host}", False),
        (token, f".{host}", True),
        (header, "", False),
        (token, "", True),
    ):
        value = session.secret(name + suffix) if name else None
        if value is None:
            continue
        if is_token:
            return "basic " + base64.b64encode(b"x-access-token:" + value).decode("ascii")
        return value.decode("latin-1").strip()
    return ""


class Git:
    """The git program on one repository (or none). Raises `DefinitionError` (`git-failed`) when it fails."""

    def __init__(
        self,
        context: RunContext,
        access: GitAccess,
        *,
        git_dir: Path | None = None,
        work_tree: Path | None = None,
    ) -> None:
        self._context = context
        self._access = access
        self._git_dir = git_dir
        self._work_tree = work_tree

    def run(self, *args: str) -> str:
        """Runs one command; its standard output. Messages go to the vertex's log."""
        code, output, messages = self._execute(args)
        hops = 0
        while (
            code and self._access.authorization and _REDIRECTED.search(messages) and hops < _MAX_REDIRECTIONS
        ):
            self._access = _followed(self._access)
            code, output, messages = self._execute(args)
            hops += 1
        if code:
            raise DefinitionError(
                f"git stderr:\n{messages.strip()}\n: exit status {code}",
                code="git-failed",
                hint="Check the address. Private repositories take a token (secret GIT_AUTH_TOKEN) or an SSH agent "
                "(ssh default).",
            )
        if messages:
            self._context.reporter.log(STDERR, messages.encode("utf-8", "replace"))
        return output

    def succeeds(self, *args: str) -> bool:
        return self._execute(args)[0] == 0

    def _execute(self, args: tuple[str, ...]) -> tuple[int, str, str]:
        self._context.cancel.check()
        command = ["git", "-c", "protocol.file.allow=user", "-c", "advice.detachedHead=false"]
        if self._work_tree is not None:
            command += ["--work-tree", str(self._work_tree)]
        if self._git_dir is not None:
            command += ["--git-dir", str(self._git_dir)]
        try:
            process = subprocess.Popen(
                [*command, *args],
                cwd=self._work_tree,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                umask=0o022,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise EnvironmentFault(
                "git is not installed", code="no-git", hint="Install git to build from git repositories."
            ) from error
        forget = self._context.cancel.on_cancel(process.kill)
        try:
            output, messages = process.communicate()
        finally:
            forget()
        if self._context.cancel.cancelled:
            raise CancelledError
        return (
            process.returncode,
            output.decode("utf-8", "surrogateescape"),
            messages.decode("utf-8", "replace"),
        )

    def _environment(self) -> dict[str, str]:
        access = self._access
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "LC_ALL": "C",
            "HOME": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_TERMINAL_PROMPT": "0",
        }
        ssh = f"ssh -F {os.devnull}"
        if access.known_hosts:
            ssh += f" -o UserKnownHostsFile={access.known_hosts}"
        else:
            ssh += " -o StrictHostKeyChecking=no"
        environment["GIT_SSH_COMMAND"] = ssh
        if access.ssh_agent:
            environment["SSH_AUTH_SOCK"] = access.ssh_agent
        for name in (*_PROXY_VARIABLES, *(name.lower() for name in _PROXY_VARIABLES)):
            if name in os.environ:
                environment[name] = os.environ[name]
        # By the environment: an argument could be read by every user of the machine.
        settings = _authorized(access)
        environment["GIT_CONFIG_COUNT"] = str(len(settings))
        for number, (name, value) in enumerate(settings):
            environment[f"GIT_CONFIG_KEY_{number}"] = name
            environment[f"GIT_CONFIG_VALUE_{number}"] = value
        return environment


def _authorized(access: GitAccess) -> list[tuple[str, str]]:
    """Git's settings for the credential. Redirections are not left to git then: it would send the header along to
    whatever host it was sent to."""
    if not access.authorization:
        return []
    header = f"Authorization: {access.authorization}"
    settings = [(f"http.{access.scope}.extraheader", header), ("http.followRedirects", "false")]
    if access.moved_to:
        settings.append((f"url.{access.moved_to}.insteadOf", access.remote))
        if not access.moved_to.startswith(access.scope):
            settings.append((f"http.{access.moved_to}.extraheader", header))
    return settings


def _followed(access: GitAccess) -> GitAccess:
    """Access to where the server sends us, when that is a place of its own. Raises `DeniedError` when it is not."""
    known = access.moved_to or access.remote
    target = urljoin(known, ask_once(known.rstrip("/") + _INFO, {"Authorization": access.authorization}))
    moved_to = target.partition("/info/refs")[0]
    if not _same_place(known, moved_to):
        raise DeniedError(
            f"{without_passwords(access.remote)} redirects to {urlsplit(moved_to).netloc.rpartition('@')[2]}, "
            "which the credential is not for",
            code="git-redirected",
            hint=f"Name it by its own address, {without_passwords(moved_to)}, and give that host's credential.",
        )
    return replace(access, moved_to=moved_to)


def _same_place(known: str, offered: str) -> bool:
    """Whether both addresses are of one server; https may take the place of http."""
    before, after = urlsplit(known), urlsplit(offered)
    if (before.scheme, after.scheme) == ("http", "https") and not (before.port or after.port):
        return before.hostname == after.hostname
    return (before.scheme, before.hostname, before.port) == (after.scheme, after.hostname, after.port)
