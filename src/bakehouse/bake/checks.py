"""Checks of resolved targets, made before building and before printing (reference bake.md §19).

The only part of resolution that looks at the disk: sources of secrets and SSH keys, destinations of outputs. Texts are
buildx's. `check_targets` also completes what buildx completes there: the printed context, `dest` of tar outputs.
"""

from __future__ import annotations

import errno
import os
import stat

from bakehouse.bake.annotations import parse_annotations
from bakehouse.bake.contexts import mapped_context, printed_context, tree_path
from bakehouse.bake.entries import SshEntry
from bakehouse.bake.remote import LOCAL_PREFIX, is_git_ssh, is_remote_url
from bakehouse.errors import DefinitionError, NotFoundError
from bakehouse.go.paths import clean_path, join_path
from bakehouse.go.text import os_error_text, plain_list
from bakehouse.go.values import parse_bool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bakehouse.bake.entries import Output, SecretEntry
    from bakehouse.bake.remote import RemoteTree
    from bakehouse.bake.target import Target

MAX_SECRET_BYTES = 500 * 1024
_MAX_KEY_BYTES = 100 * 1024


class Surroundings:
    """What checks may look at: the working directory, the environment, whether standard output is a terminal, and the
    tree that the definition came from (None, or a single file: contexts are local)."""

    __slots__ = ("cwd", "environ", "stdout_is_terminal", "tree")

    def __init__(
        self,
        cwd: str,
        environ: Mapping[str, str],
        stdout_is_terminal: bool,
        tree: RemoteTree | None = None,
    ) -> None:
        self.cwd = cwd
        self.environ = environ
        self.stdout_is_terminal = stdout_is_terminal
        self.tree = tree if tree is not None and tree.is_directory else None

    def stat(self, path: str) -> os.stat_result:
        """What is at a path. Raises OSError, also for what can be no path."""
        if "\0" in path:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return os.stat(os.path.join(self.cwd, path))


def _error(message: str, code: str, hint: str | None = None) -> DefinitionError:
    return DefinitionError(message, code=code, hint=hint)


def check_targets(targets: Iterable[Target], around: Surroundings) -> None:
    """Checks and completes every target. Raises `DefinitionError` or `NotFoundError` for the first fault. The message
    does not name the target, as in buildx; the hint does."""
    for target in targets:
        try:
            _check_target(target, around)
        except (DefinitionError, NotFoundError) as error:
            about = f"This is about target {target.name}."
            error.hint = f"{about} {error.hint}" if error.hint else about
            raise


def _check_target(target: Target, around: Surroundings) -> None:
    assert target.context is not None
    if target.context == "-":
        raise _error("context from stdin not allowed in bake", "context-from-stdin")
    if target.dockerfile == "-":
        raise _error("dockerfile from stdin not allowed in bake", "dockerfile-from-stdin")
    if around.tree is None:
        target.context = printed_context(target.context)
    else:
        _check_dockerfile_place(target, around)
        target.tree_path = tree_path(target.context)
        target.context = mapped_context(target.context, around.tree)
    if target.shm_size is not None:
        _check_shm_size(target.shm_size)
    _check_platforms(target.platforms or ())
    check_secrets(target.secret or (), around)
    check_ssh(effective_ssh(target, around.tree), around)
    target.output = check_outputs(target.output or (), around)
    parse_annotations(target.annotations or ())
    _check_source_policy(around)
    if target.ulimits or target.resources is not None:
        _check_limits(target)


def effective_ssh(target: Target, tree: RemoteTree | None) -> list[SshEntry]:
    """The agents that a target is lent: its own, or `default` when its context comes over SSH; `default` alone when
    the definition itself did. The context must be in its printed form."""
    if (tree is not None and is_git_ssh(tree.url)) or (not target.ssh and is_git_ssh(target.context or "")):
        return [SshEntry("default")]
    return target.ssh or []


def _check_dockerfile_place(target: Target, around: Surroundings) -> None:
    """A remote definition whose context is the caller's cannot mean a Dockerfile of its own; one of that name in the
    caller's directory is refused, so that it is not taken by mistake."""
    context = target.context or "."
    dockerfile = target.dockerfile or "Dockerfile"
    if (
        not context.startswith(LOCAL_PREFIX)
        or dockerfile.startswith(LOCAL_PREFIX)
        or is_remote_url(dockerfile)
    ):
        return
    try:
        around.stat(join_path(clean_path(context.removeprefix(LOCAL_PREFIX)), dockerfile))
    except OSError:
        return
    raise _error(
        "reading a dockerfile for a remote build invocation is currently not supported",
        "remote-dockerfile",
        f'Write dockerfile = "cwd://{dockerfile}" for the one of your directory, or use dockerfile-inline.',
    )


def _check_limits(target: Target) -> None:
    from bakehouse.bake.limits import parse_resources, parse_ulimit

    for ulimit in target.ulimits or ():
        parse_ulimit(ulimit)
    if target.resources is not None:
        parse_resources(target.resources)


def _check_shm_size(text: str) -> None:
    from bakehouse.go.units import parse_ram_bytes

    try:
        parse_ram_bytes(text)
    except ValueError:
        raise _error(
            f"invalid value {text} for membytes key shm-size", "invalid-size", "Write a size such as 128m."
        ) from None


def _check_platforms(texts: Iterable[str]) -> None:
    wanted = [part for text in texts for part in text.split(",") if part.lower() != "local"]
    if not wanted:
        return
    # Platforms are costly to import and most definitions name none.
    from bakehouse.oci.platform import Platform

    for part in wanted:
        Platform.parse_exact(part)


def check_secrets(entries: Iterable[SecretEntry], around: Surroundings) -> None:
    """Every secret has an id, and its file, where it has one, is there and not too large."""
    for entry in entries:
        if entry.id == "":
            raise _error("secret missing ID", "secret-without-id", "Write id=NAME.")
        path = entry.resolved(around.environ).src
        if not path:
            continue
        try:
            size = around.stat(path).st_size
        except OSError as error:
            raise NotFoundError(
                f"failed to stat {path}: {os_error_text('stat', path, error)}", code="secret-unreadable"
            ) from None
        if size > MAX_SECRET_BYTES:
            raise _error(
                f"secret {entry.id} too big. max size {MAX_SECRET_BYTES // 1024}KiB", "secret-too-large"
            )


def check_ssh(entries: Iterable[SshEntry], around: Surroundings) -> None:
    """Every agent has a socket or keys that can be read."""
    seen = set()
    for entry in entries:
        id = entry.id or "default"
        if id in seen:
            raise _error(f'duplicate agent ID "{id}"', "ssh-duplicate")
        seen.add(id)
        prefix = f"failed to convert agent config {{{id} {plain_list(entry.paths)} false}}: "
        paths = entry.paths
        if paths in ((), ("",)):
            paths = (around.environ.get("SSH_AUTH_SOCK", ""),)
        if paths[0] == "":
            raise _error(
                f"{prefix}invalid empty ssh agent socket: make sure SSH_AUTH_SOCK is set",
                "ssh-agent-missing",
                "Start an SSH agent, or name a key or socket with id=PATH.",
            )
        problem = _ssh_problem(paths, around)
        if problem:
            raise _error(f'{prefix}failed to convert agent config for ID: "{id}": {problem}', "ssh-invalid")


def _ssh_problem(paths: Iterable[str], around: Surroundings) -> str | None:
    """What is wrong with the paths of one agent: one socket alone, or private keys."""
    keys = socket = False
    for path in paths:
        if socket:
            return "only single socket allowed"
        try:
            if stat.S_ISSOCK(around.stat(path).st_mode):
                socket = True
                continue
        except OSError as error:
            return os_error_text("stat", path, error)
        try:
            with open(os.path.join(around.cwd, path), "rb") as file:
                data = file.read(_MAX_KEY_BYTES)
        except IsADirectoryError as error:
            return f"failed to read {path}: {os_error_text('read', path, error)}"
        except OSError as error:
            return f"failed to open {path}: {os_error_text('open', path, error)}"
        from bakehouse.bake.ssh_keys import check_private_key

        problem = check_private_key(data)
        if problem:
            return f"failed to parse {path}: {problem}"
        keys = True
    return "invalid combination of keys and sockets" if keys and socket else None


def check_outputs(entries: Iterable[Output], around: Surroundings) -> list[Output]:
    """The outputs with `dest` completed: tar exporters without one write to standard output, at most once."""
    out = []
    stdout_used = False
    for entry in entries:
        if _writes_directory(entry):
            _check_directory(entry, around)
        elif entry.type in ("tar", "oci", "docker"):
            if entry.dest == "" and entry.type != "docker":
                entry = entry.with_dest("-")
            if entry.dest == "-":
                if stdout_used:
                    raise _error("multiple outputs configured to write to stdout", "output-stdout")
                if around.stdout_is_terminal:
                    raise _error(
                        f"dest file is required for {entry.type} exporter. refusing to write to console",
                        "output-stdout",
                    )
                stdout_used = True
            elif entry.dest:
                _check_file(entry, around)
        out.append(entry)
    return out


def _writes_directory(entry: Output) -> bool:
    if entry.type not in ("oci", "docker"):
        return entry.type == "local"
    try:
        return not parse_bool(entry.attrs.get("tar", ""))
    except ValueError:
        return False


def _check_directory(entry: Output, around: Surroundings) -> None:
    if entry.dest == "":
        raise _error(
            f"dest is required for {entry.type} exporter", "output-dest-required", "Write dest=DIRECTORY."
        )
    if entry.dest == "-":
        raise _error(f"dest cannot be stdout for {entry.type} exporter", "output-stdout")
    mode = _mode(entry.dest, "directory", around)
    if mode is not None and not stat.S_ISDIR(mode):
        raise _error(f"destination directory {entry.dest} is a file", "output-dest-invalid")


def _check_file(entry: Output, around: Surroundings) -> None:
    mode = _mode(entry.dest, "file", around)
    if mode is not None and stat.S_ISDIR(mode):
        raise _error(f"destination file {entry.dest} is a directory", "output-dest-invalid")


def _mode(path: str, noun: str, around: Surroundings) -> int | None:
    """The mode of a destination, None when nothing is there."""
    try:
        return around.stat(path).st_mode
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _error(
            f"invalid destination {noun}: {path}: {os_error_text('stat', path, error)}", "output-dest-invalid"
        ) from None


def _check_source_policy(around: Surroundings) -> None:
    path = around.environ.get("EXPERIMENTAL_BUILDKIT_SOURCE_POLICY", "")
    if not path:
        return
    try:
        around.stat(path)
    except OSError as error:
        raise NotFoundError(
            f"failed to read policy file: {os_error_text('open', path, error)}",
            code="source-policy-unreadable",
        ) from None
