"""Finding and reading definition files (reference bake.md §3, §21). The caller lends working directory, environment,
standard input and the tree of a remote definition; nothing is parsed here."""

from __future__ import annotations

import os
import stat

from bakehouse.bake.remote import LOCAL_PREFIX
from bakehouse.errors import DefinitionError, NotFoundError
from bakehouse.go.text import os_error_text, quote
from bakehouse.go.values import parse_bool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bakehouse.bake.remote import RemoteTree

DEFAULT_COMPOSE_NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
DEFAULT_NAMES = (
    *DEFAULT_COMPOSE_NAMES,
    "docker-bake.json",
    "docker-bake.hcl",
    "docker-bake.override.json",
    "docker-bake.override.hcl",
)
#: Larger definitions are refused: no hand or generator writes one, and a special file has no end.
MAX_DEFINITION_BYTES = 64 << 20


class DefinitionFile:
    """A definition as read: `name` as the user gave it; `remote` when it came with the URL of a remote definition."""

    __slots__ = ("data", "name", "remote")

    def __init__(self, name: str, data: bytes, *, remote: bool = False) -> None:
        self.name = name
        self.data = data
        self.remote = remote


def names_from_environment(environ: Mapping[str, str], cwd: str) -> list[str]:
    """The files of `BUILDX_BAKE_FILE`; empty when it names none. Raises `NotFoundError` for a missing file."""
    separator = environ.get("BUILDX_BAKE_PATH_SEPARATOR") or os.pathsep
    names = []
    for part in environ.get("BUILDX_BAKE_FILE", "").split(separator):
        name = part.strip()
        if name == "":
            continue
        if name != "-":
            try:
                os.stat(os.path.join(cwd, name))
            except OSError as error:
                raise _unreadable("stat", name, error) from None
        names.append(name)
    return names


def relative_paths_wanted(environ: Mapping[str, str]) -> bool:
    """`BUILDX_BAKE_FILE_RELATIVE_PATHS`. Raises `DefinitionError` for a value that is no boolean."""
    text = environ.get("BUILDX_BAKE_FILE_RELATIVE_PATHS", "").strip()
    if text == "":
        return False
    try:
        return parse_bool(text)
    except ValueError as error:
        raise DefinitionError(
            f"failed to parse BUILDX_BAKE_FILE_RELATIVE_PATHS value {quote(text)}: {error}",
            code="invalid-option",
        ) from None


def environment_lookup_allowed(environ: Mapping[str, str]) -> bool:
    """Whether variables may take values from the environment (`BUILDX_BAKE_DISABLE_VARS_ENV_LOOKUP`)."""
    try:
        return not parse_bool(environ.get("BUILDX_BAKE_DISABLE_VARS_ENV_LOOKUP", "false"))
    except ValueError:
        return True


def read_definitions(
    names: Sequence[str], cwd: str, stdin: Callable[[], bytes] | None, tree: RemoteTree | None = None
) -> list[DefinitionFile]:
    """The named files in order, or without names all default ones that exist. Empty files are left out.

    With a remote `tree` names are files of it, and come first; those that begin with `cwd://` are local.
    Raises `NotFoundError` for a missing file and when nothing is left.
    """
    if tree is None:
        files = _local_files([name.removeprefix(LOCAL_PREFIX) for name in names], cwd, stdin)
    else:
        files = _remote_files([name for name in names if not name.startswith(LOCAL_PREFIX)], tree)
        local = [name.removeprefix(LOCAL_PREFIX) for name in names if name.startswith(LOCAL_PREFIX)]
        files += _local_files(local, cwd, stdin) if local else []
    if not files:
        raise NotFoundError(
            "couldn't find a bake definition",
            code="no-definition",
            hint="Name a file with -f, or create docker-bake.hcl."
            if tree is None
            else f"{tree.url} holds none of the default files; name one with -f, or give the URL its directory.",
        )
    return files


def _local_files(names: Sequence[str], cwd: str, stdin: Callable[[], bytes] | None) -> list[DefinitionFile]:
    files = []
    for name in names or DEFAULT_NAMES:
        if name == "-":
            if stdin is None:
                raise NotFoundError("standard input is not available", code="definition-unreadable")
            files.append(DefinitionFile(name, stdin()))
            continue
        data = _read(name, cwd, missing_ok=not names)
        if data:
            files.append(DefinitionFile(name, data))
    return files


def _remote_files(names: Sequence[str], tree: RemoteTree) -> list[DefinitionFile]:
    """Files of a remote tree; of a single remote file that file, whatever `names` say. Unlike local ones, empty files
    count."""
    if not tree.is_directory:
        return [DefinitionFile(tree.url, tree.read([tree.url])[tree.url], remote=True)]
    files = []
    wanted = names or DEFAULT_NAMES
    found = tree.read(wanted)
    for name in wanted:
        if name in found:
            files.append(DefinitionFile(name, found[name], remote=True))
        elif names:
            error = NotFoundError(
                f"lstat {name}: no such file or directory",
                code="definition-not-found",
                hint=f"Names are looked up in {tree.url}; write cwd://{name} for a file of yours.",
            )
            error.during = "failed to solve: "
            raise error
    return files


def _read(name: str, cwd: str, missing_ok: bool) -> bytes | None:
    path = os.path.join(cwd, name)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        if missing_ok:
            return None
        raise _unreadable("open", name, error) from None
    except OSError as error:
        raise _unreadable("open", name, error) from None
    try:
        info = os.fstat(descriptor)
        if stat.S_ISDIR(info.st_mode):
            raise DefinitionError(f"read {name}: is a directory", code="definition-unreadable")
        chunks = []
        size = 0
        while chunk := os.read(descriptor, 1 << 20):
            size += len(chunk)
            if size > MAX_DEFINITION_BYTES:
                raise DefinitionError(
                    f"{name} is larger than {MAX_DEFINITION_BYTES >> 20} MiB", code="definition-too-large"
                )
            chunks.append(chunk)
        return b"".join(chunks)
    except OSError as error:
        raise _unreadable("read", name, error) from None
    finally:
        os.close(descriptor)


def _unreadable(verb: str, name: str, error: OSError) -> DefinitionError | NotFoundError:
    message = os_error_text(verb, name, error)
    if isinstance(error, FileNotFoundError):
        return NotFoundError(message, code="definition-not-found")
    return DefinitionError(message, code="definition-unreadable")


def is_compose_name(name: str) -> bool:
    """Whether a file of this name can only be a Compose file."""
    return name.lower().endswith((".yml", ".yaml"))
