"""Owners of file actions: numbers, or names looked up in a tree's user databases (dockerfile.md §7.6)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing

from bakehouse.engine.nodes import FileTree, resolve
from bakehouse.engine.ops.file_copy import Owner
from bakehouse.errors import DefinitionError
from bakehouse.llb.ops import Chown

#: BuildKit's own limit for /etc/passwd and /etc/group.
_MAX_BYTES = 10 << 20

#: Opens the tree that an input index names.
OpenTree = Callable[[int], AbstractContextManager[FileTree]]


def resolve_owner(chown: Chown | None, open_tree: OpenTree) -> Owner | None:
    """The numeric owner of an action; None keeps the owners. A name that is not found means 0."""
    if chown is None:
        return None
    uid = gid = 0
    if chown.user is not None:
        if chown.user.name is None:
            uid = gid = chown.user.id
        else:
            for fields in _records(chown.user.input, "/etc/passwd", open_tree):
                if fields[0] == chown.user.name:
                    uid, gid = _number(fields, 2), _number(fields, 3)
                    break
    if chown.group is not None:
        if chown.group.name is None:
            gid = chown.group.id
        else:
            for fields in _records(chown.group.input, "/etc/group", open_tree):
                if fields[0] == chown.group.name:
                    gid = _number(fields, 2)
                    break
    return Owner(uid, gid)


def _records(index: int, path: str, open_tree: OpenTree) -> Iterator[list[str]]:
    """The colon-separated records of a user database; none when the file is absent or no regular file."""
    with open_tree(index) as tree:
        _, node = resolve(tree, path, True)
        if node is None or not node.is_regular:
            return
        if node.size > _MAX_BYTES:
            raise DefinitionError(f'"{path}" exceeds {_MAX_BYTES} bytes', code="user-database-too-large")
        with closing(tree.reader()) as reader:
            descriptor = reader.open(node)
            with os.fdopen(descriptor, "rb") as file:
                text = file.read(_MAX_BYTES)
    for line in text.decode("utf-8", "surrogateescape").splitlines():
        line = line.strip()
        if line and not line.startswith("#"):
            yield [field.strip() for field in line.split(":")]


def _number(fields: list[str], position: int) -> int:
    if position >= len(fields) or not fields[position].isascii() or not fields[position].isdigit():
        return 0
    return int(fields[position])
