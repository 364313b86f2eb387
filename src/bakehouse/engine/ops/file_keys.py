"""The cache key of a file operation, byte for byte BuildKit's (engine.md §8.2, §8.3).

Role: the JSON pre-image of the op digest, the selectors, and which selections the content functions hash. Running the
actions does not belong here.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from bakehouse.engine.tree import Selection, Tree
from bakehouse.errors import DefinitionError, NotFoundError
from bakehouse.go.globs import has_wildcard
from bakehouse.go.jsontext import compact_json
from bakehouse.go.paths import base_name
from bakehouse.llb.ops import Action, Chown, Copy, FileOp, MkDir, MkFile, Rm, User
from bakehouse.solver.model import CacheMap, InputKey


def file_cache_map(op: FileOp, input_count: int) -> CacheMap:
    """The cache map of `op` over `input_count` inputs. Raises `DefinitionError` for a user looked up nowhere."""
    selections: dict[int, list[Selection]] = {}
    modified: set[int] = set()
    actions = []
    for step in op.actions:
        action = step.action
        if step.input != -1:
            modified.add(step.input)
        for selected, path in _user_files(action):
            selections.setdefault(selected, []).append(Selection(path, follow_symlink=True))
        if isinstance(action, Copy) and 0 <= step.secondary_input < input_count:
            selections.setdefault(step.secondary_input, []).append(_selection(action))
            fields = action_json(action) | {"src": base_name(action.src)}
        else:
            fields = action_json(action)
        actions.append(base64.b64encode(compact_json(fields).encode()).decode("ascii"))
    value: dict[str, Any] = {"Type": "buildkit.file.v0", "Actions": actions}
    indexes = [[step.input, step.secondary_input, step.output] for step in op.actions]
    if not _default_indexes(indexes):
        value["indexes"] = indexes
    digest = _sha256(compact_json(value).encode())
    inputs = [
        InputKey() if number in modified or number not in selections else _input_key(selections[number])
        for number in range(input_count)
    ]
    for number in selections:
        if number >= input_count:
            raise DefinitionError(
                f"invalid input index {number} in file op with {input_count} inputs", code="invalid-file-op"
            )
    return CacheMap(digest, tuple(inputs))


def action_json(action: Action) -> dict[str, Any]:
    """The fields of an action as Go marshals the message: field order, zero values left out."""
    if isinstance(action, Copy):
        fields: list[tuple[str, Any]] = [
            ("src", action.src),
            ("dest", action.dest),
            ("owner", _owner_json(action.owner)),
            ("mode", action.mode),
            ("followSymlink", action.follow_symlink),
            ("dirCopyContents", action.dir_copy_contents),
            ("attemptUnpackDockerCompatibility", action.attempt_unpack),
            ("createDestPath", action.create_dest_path),
            ("allowWildcard", action.allow_wildcard),
            ("allowEmptyWildcard", action.allow_empty_wildcard),
            ("timestamp", action.timestamp),
            ("include_patterns", list(action.include_patterns)),
            ("exclude_patterns", list(action.exclude_patterns)),
            ("alwaysReplaceExistingDestPaths", action.always_replace),
            ("modeStr", action.mode_str),
            ("required_paths", list(action.required_paths)),
        ]
    elif isinstance(action, MkFile):
        fields = [
            ("path", action.path),
            ("mode", action.mode),
            ("data", base64.b64encode(action.data).decode("ascii")),
            ("owner", _owner_json(action.owner)),
            ("timestamp", action.timestamp),
        ]
    elif isinstance(action, MkDir):
        fields = [
            ("path", action.path),
            ("mode", action.mode),
            ("makeParents", action.make_parents),
            ("owner", _owner_json(action.owner)),
            ("timestamp", action.timestamp),
        ]
    elif isinstance(action, Rm):
        fields = [
            ("path", action.path),
            ("allowNotFound", action.allow_not_found),
            ("allowWildcard", action.allow_wildcard),
        ]
    else:
        fields = [
            ("oldpath", action.oldpath),
            ("newpath", action.newpath),
            ("owner", _owner_json(action.owner)),
            ("timestamp", action.timestamp),
        ]
    # Only an owner may be an empty object: Go leaves out a nil pointer, not a message without fields.
    return {name: value for name, value in fields if value or isinstance(value, dict)}


def _owner_json(owner: Chown | None) -> dict[str, Any] | None:
    if owner is None:
        return None
    found = {}
    for name, user in (("user", owner.user), ("group", owner.group)):
        if user is not None:
            found[name] = _user_json(user)
    return found


def _user_json(user: User) -> dict[str, Any]:
    if user.name is None:
        return {"User": {"byId": user.id} if user.id else {}}
    return {"User": {"byName": {k: v for k, v in (("name", user.name), ("input", user.input)) if v}}}


def owner_of(action: Action) -> Chown | None:
    return None if isinstance(action, Rm) else action.owner


def _user_files(action: Action) -> Iterable[tuple[int, str]]:
    """(input, path) of the user databases that the owner of `action` is looked up in."""
    owner = owner_of(action)
    if owner is None:
        return
    for user, path in ((owner.user, "/etc/passwd"), (owner.group, "/etc/group")):
        if user is not None and user.name is not None:
            if user.input < 0:
                raise invalid_user_index(user.input)
            yield user.input, path


def invalid_user_index(index: int) -> DefinitionError:
    return DefinitionError(
        f"invalid user index {index}",
        code="invalid-user-index",
        hint="A user or group name needs an image to look it up in: give a number, or leave out --link.",
    )


def _selection(action: Copy) -> Selection:
    return Selection(
        action.src,
        action.allow_wildcard and has_wildcard(action.src),
        action.follow_symlink,
        action.include_patterns,
        action.exclude_patterns,
        action.required_paths,
    )


def _default_indexes(indexes: Sequence[Sequence[int]]) -> bool:
    """The plain chain, whose indexes BuildKit leaves out of the digest."""
    last = len(indexes) - 1
    for position, (main, secondary, output) in enumerate(indexes):
        if main != (0 if position == 0 else len(indexes) + position - 1):
            return False
        if secondary not in (-1, 1) or output != (0 if position == last else -1):
            return False
    return bool(indexes)


def _input_key(selections: list[Selection]) -> InputKey:
    paths = sorted(
        (selection.path.encode("utf-8", "surrogateescape") for selection in selections), reverse=True
    )
    return InputKey(_sha256(b"\0".join(paths)), content_function(_without_covered(selections)))


def content_function(selections: Sequence[Selection]) -> Callable[[Tree], str]:
    """Hashes `selections` of a finished input; failures are worded as BuildKit's."""

    def content(tree: Tree) -> str:
        try:
            return tree.checksum(selections)
        except (NotFoundError, DefinitionError) as error:
            if error.code not in ("path-not-found", "bad-pattern"):
                raise
            raise type(error)(
                f"failed to calculate checksum of ref {_reference(tree)}: {error.message}",
                code=error.code,
                hint="Check the path against the build context and .dockerignore, or the stage it is taken from.",
            ) from error

    return content


def _reference(tree: Tree) -> str:
    """A name for a tree in messages: a context's directory, or the key of a chain of layers."""
    return str(getattr(tree, "reference", type(tree).__name__))


def _without_covered(selections: list[Selection]) -> list[Selection]:
    """Drops plain paths below other plain paths and repeats; sorts by path."""
    plain = {False: set[str](), True: set[str]()}
    kept = []
    for selection in selections:
        if selection.wildcard or selection.include_patterns or selection.exclude_patterns:
            kept.append(selection)
        else:
            plain[selection.follow_symlink].add(selection.path)
    uncovered = [
        Selection(path, follow_symlink=follow)
        for follow, paths in plain.items()
        for path in sorted(paths)
        if not any(
            path != other and path.startswith(other if other.endswith("/") else other + "/")
            for other in paths
        )
    ]
    return sorted(uncovered + kept, key=lambda selection: selection.path.encode("utf-8", "surrogateescape"))


def _sha256(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()
