"""mkdir, mkfile, rm, symlink and the frame around copy, on any `Destination` (engine.md §4).

Role: one function an action, with BuildKit's rules for what exists already. The copy algorithm itself is `file_copy`.
"""

from __future__ import annotations

import errno
import posixpath
import stat
from collections.abc import Callable

from bakehouse.engine.nodes import FileTree, TreeReader
from bakehouse.engine.ops.file_copy import Copier, Owner, clean_path, created_metadata, sources_of
from bakehouse.engine.ops.file_destination import (
    Content,
    D,
    Destination,
    Metadata,
    failure,
    make_directories,
    mode_at,
    open_directory,
    resolve_in,
)
from bakehouse.errors import DefinitionError
from bakehouse.go.paths import rooted_path
from bakehouse.llb.ops import Copy, MkDir, MkFile, Rm, Symlink

#: Unpacks the archive at a source path into the destination; False when the file is no archive.
Unpack = Callable[[str], bool]


def make_file(destination: Destination[D], action: MkFile, owner: Owner | None) -> None:
    """Makes or replaces a file; a symlink that is named is followed, anything but a directory is replaced."""
    path = resolve_in(destination, action.path)
    if not path:
        raise failure("mkfile", "/", errno.EISDIR)
    with open_directory(destination, path[:-1]) as above:
        if above is None:
            missing = mode_at(destination, path[:-1]) is None
            raise failure("open", path, errno.ENOENT if missing else errno.ENOTDIR)
        present = destination.mode(above, path[-1])
        if present is not None and stat.S_ISDIR(present):
            raise failure("rename", path, errno.EEXIST)
        destination.remove(above, path[-1])
        destination.make_file(above, path[-1], Content(action.data))
        metadata = _metadata(owner, action.timestamp, action.mode & 0o777)
        destination.apply(above, path[-1], metadata)


def make_directory(destination: Destination[D], action: MkDir, owner: Owner | None) -> None:
    """Makes a directory, with its parents when asked. One that exists is left as it is."""
    path = resolve_in(destination, action.path)
    mode = action.mode & 0o777
    if action.make_parents:
        time = None if action.timestamp == -1 else action.timestamp
        make_directories(destination, path, mode, created_metadata(owner, time))
        return
    if not path:
        return
    with open_directory(destination, path[:-1]) as above:
        if above is None:
            missing = mode_at(destination, path[:-1]) is None
            raise failure("mkdir", path, errno.ENOENT if missing else errno.ENOTDIR)
        if destination.mode(above, path[-1]) is not None:
            return
        destination.make_directory(above, path[-1], mode)
        destination.apply(above, path[-1], _metadata(owner, action.timestamp, mode))


def make_symlink(destination: Destination[D], action: Symlink, owner: Owner | None) -> None:
    """Makes a symlink; its target is taken as it stands."""
    path = resolve_in(destination, action.newpath)
    if not path:
        raise failure(f"symlink {action.oldpath}", "/", errno.EEXIST)
    with open_directory(destination, path[:-1]) as above:
        if above is None:
            raise failure(f"symlink {action.oldpath}", path, errno.ENOENT)
        if destination.mode(above, path[-1]) is not None:
            raise failure(f"symlink {action.oldpath}", path, errno.EEXIST)
        destination.make_symlink(above, path[-1], action.oldpath)
        destination.apply(above, path[-1], _metadata(owner, action.timestamp, None))


def remove(destination: Destination[D], action: Rm, matches: Callable[[str], list[str]]) -> None:
    """Removes a path, or all that its wildcards match; never through a symlink in the last component."""
    paths = matches(clean_path(action.path)) if action.allow_wildcard else [action.path]
    for path in paths:
        cleaned = rooted_path(path)[1:]
        if not cleaned:
            raise DefinitionError("rmPath: invalid empty path", code="remove-root")
        head, name = posixpath.split("/" + cleaned)
        with open_directory(destination, resolve_in(destination, head)) as above:
            present = None if above is None else destination.mode(above, name)
            if present is None and not action.allow_not_found:
                raise failure("stat", "/" + cleaned, errno.ENOENT)
            if above is not None:
                destination.remove(above, name)


def copy(
    destination: Destination[D],
    action: Copy,
    owner: Owner | None,
    source: FileTree,
    reader: TreeReader | None,
    unpack: Unpack,
    check: Callable[[], None],
) -> None:
    """Copies all sources of `action`; `unpack` is tried first when archives are to be unpacked."""
    if not action.create_dest_path:
        _require_parent(destination, action)
    copier = Copier(source, destination, reader, action, owner, check)
    for path in sources_of(source, action):
        check()
        if action.attempt_unpack and unpack(path):
            continue
        copier.copy(path)


def _require_parent(destination: Destination[D], action: Copy) -> None:
    path = resolve_in(destination, rooted_path(action.dest))
    if mode_at(destination, path[:-1]) is None:
        raise failure(f"failed to stat {action.dest}: lstat", path[:-1], errno.ENOENT)


def _metadata(owner: Owner | None, timestamp: int, mode: int | None) -> Metadata:
    metadata = created_metadata(owner, None if timestamp == -1 else timestamp)
    metadata.mode = mode
    return metadata
