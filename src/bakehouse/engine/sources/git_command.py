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
from urllib.parse import unquote, urljoin, urlsplit

from bakehouse.engine.sources.http_client import ask_once
from bakehouse.errors import CancelledError, DefinitionError, DeniedError, EnvironmentFault, NotFoundError
from bakehouse.giturl import without_passwords
from bakehouse.lazy import regex
from bakehouse.progress.events import STDERR, STDOUT
from bakehouse.session import Session
from bakehouse.solver.model import RunContext
from bakehouse.values import dataclass, field, replace

_PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")
_GITHUB = ("https://github.com/", "https://www.github.com/")
_REDIRECTED = regex(r"requested URL returned error: 30[1278]")
_INFO = "/info/refs?service=git-upload-pack"
_MAX_REDIRECTIONS = 5
_SHALLOW = "--depth=1"
#: How servers that hand out nothing but files refuse to leave out a repository's history.
_NOT_SHALLOW = ("--depth", "shallow")
#: A credential helper as git runs it, by a shell: what it says comes from the environment alone.
_HELPER = (
    '!answer() { [ "$1" != get ] || printf "username=%s\\npassword=%s\\n" '
    '"$LOGIN_USERNAME" "$LOGIN_PASSWORD"; }; answer'
)


@dataclass(frozen=True, slots=True)
class GitAccess:
    """How to get at a remote: `authorization` is an HTTP header value for addresses below `scope`, `login` the user's
    name and password of its server, which were part of the address. `moved_to` is where the server said that the
    repository is now. With `advice` git tells people what they could do."""

    remote: str
    scope: str
    authorization: str = field(default="", repr=False)
    login: tuple[str, str] | None = field(default=None, repr=False)
    ssh_agent: str = ""
    known_hosts: str = ""
    moved_to: str = ""
    advice: bool = False


@contextmanager
def git_access(attrs: Mapping[str, str], remote: str, session: Session) -> Iterator[GitAccess]:
    """Access to `remote` with what `session` lends: secrets in BuildKit's order, an SSH agent, known hosts.

    Raises `DefinitionError` (`invalid-git-reference`), `NotFoundError` (`ssh-not-forwarded`)."""
    authorization = _authorization(attrs, remote, session)
    remote, login = _without_login(remote)
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
        yield GitAccess(
            remote,
            scope,
            authorization,
            login,
            agent,
            file.name if hosts else "",
            advice=attrs.get("git.advice") == "true",
        )


def _without_login(remote: str) -> tuple[str, tuple[str, str] | None]:
    """A web address without the user and the password in it, and these. Git would be given them as an argument."""
    parts = urlsplit(remote)
    if parts.scheme not in ("http", "https") or "@" not in parts.netloc:
        return remote, None
    login = unquote(parts.username or ""), unquote(parts.password or "")
    if any(character in word for word in login for character in "\n\r\0"):
        raise DefinitionError(
            "the user or the password in the address of the git repository holds a line break",
            code="invalid-git-reference",
        )
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl(), login


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

    @property
    def remote(self) -> str:
        """The address to call the remote by, without any credential."""
        return self._access.remote

    def run(self, *args: str) -> str:
        """Runs one command; its standard output. What it prints goes to the vertex's log.

        A server that cannot leave out history is asked for all of it."""
        code, output, messages = self._execute(args)
        hops = 0
        while code:
            if self._access.authorization and _REDIRECTED.search(messages) and hops < _MAX_REDIRECTIONS:
                self._access = _followed(self._access)
                hops += 1
            elif _SHALLOW in args and any(text in messages for text in _NOT_SHALLOW):
                args = tuple(word for word in args if word != _SHALLOW)
            else:
                break
            code, output, messages = self._execute(args)
        if code:
            raise DefinitionError(
                f"git stderr:\n{messages.strip()}\n: exit status {code}",
                code="git-failed",
                hint="Check the address. Private repositories take a token (secret GIT_AUTH_TOKEN) or an SSH agent "
                "(ssh default).",
            )
        for stream, text in ((STDOUT, output), (STDERR, messages)):
            if text:
                self._context.reporter.log(stream, text.encode("utf-8", "replace"))
        return output

    def succeeds(self, *args: str) -> bool:
        return self._execute(args)[0] == 0

    def _execute(self, args: tuple[str, ...]) -> tuple[int, str, str]:
        self._context.cancel.check()
        command = ["git", "-c", "protocol.file.allow=user"]
        if not self._access.advice:
            command += ["-c", "advice.detachedHead=false"]
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
            "GIT_ADVICE": "1" if access.advice else "0",
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
        if access.login is not None:
            environment["LOGIN_USERNAME"], environment["LOGIN_PASSWORD"] = access.login
        settings = _authorized(access)
        environment["GIT_CONFIG_COUNT"] = str(len(settings))
        for number, (name, value) in enumerate(settings):
            environment[f"GIT_CONFIG_KEY_{number}"] = name
            environment[f"GIT_CONFIG_VALUE_{number}"] = value
        return environment


def _authorized(access: GitAccess) -> list[tuple[str, str]]:
    """Git's settings for the credential. With a header redirections are not left to git: it would send it along to
    whatever host it was sent to. A login it gives to its own server alone."""
    settings: list[tuple[str, str]] = []
    if access.login is not None:
        parts = urlsplit(access.remote)
        settings.append((f"credential.{parts.scheme}://{parts.netloc}.helper", _HELPER))
    if not access.authorization:
        return settings
    header = f"Authorization: {access.authorization}"
    settings += [(f"http.{access.scope}.extraheader", header), ("http.followRedirects", "false")]
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
