"""Paths of contexts: `cwd://`, cleaning, and rebasing onto the defining file's directory (reference bake.md §18).

Lexical only; nothing here looks at the disk.
"""

from __future__ import annotations

from bakehouse.bake.remote import LOCAL_PREFIX, is_remote_url
from bakehouse.bake.target import ContextBase, Target
from bakehouse.go.paths import clean_path, join_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from bakehouse.bake.remote import RemoteTree

TARGET_PREFIX = "target:"
_SPECIAL_PREFIXES = (LOCAL_PREFIX, TARGET_PREFIX, "docker-image:", "oci-layout://")


def printed_context(context: str) -> str:
    """A context as `--print` shows it and a build uses it: local paths cleaned, `cwd://` taken off."""
    if context.startswith(LOCAL_PREFIX):
        return clean_path(context[len(LOCAL_PREFIX) :])
    return context if is_remote_url(context) else clean_path(context)


def tree_path(context: str) -> str | None:
    """The clean path in a remote definition's tree that a context of it means; None for what lies elsewhere: `cwd://`,
    a URL, an image, a target."""
    if context.startswith((LOCAL_PREFIX, TARGET_PREFIX, "docker-image:")) or is_remote_url(context):
        return None
    return clean_path(context)


def mapped_context(context: str, tree: RemoteTree) -> str:
    """The main context of a target of a remote definition, as `--print` shows it (bake.md §21)."""
    if context.startswith(LOCAL_PREFIX) or is_remote_url(context):
        return printed_context(context)
    path = clean_path(context)
    return tree.url if path == "." else tree.context_url(path)


def local_path(context: str) -> str | None:
    """The path of a local context (of an OCI layout too), None for anything remote, linked or an image."""
    if context.startswith("oci-layout://"):
        return _layout_path(context[len("oci-layout://") :])
    if context.startswith((TARGET_PREFIX, "docker-image:")) or is_remote_url(context):
        return None
    return context.removeprefix(LOCAL_PREFIX)


def _layout_path(reference: str) -> str:
    """The directory of `path[:tag][@digest]`."""
    head, at, digest = reference.rpartition("@")
    if at and ":" in digest and "/" not in digest:
        reference = head
    head, colon, tag = reference.rpartition(":")
    if colon and tag and "/" not in tag and tag[0] not in ".-":
        reference = head
    return reference


def file_directory(filename: str) -> str:
    """The directory that relative contexts of the file `filename` start from; "" when there is none."""
    if filename in ("", "-") or is_remote_url(filename):
        return ""
    head, slash, _ = filename.rpartition("/")
    return clean_path(head + slash)


def rebase(base: str, path: str) -> str:
    """`path` as seen from the working directory when it was written relative to `base`."""
    if base == "" or path == "" or path.startswith(("/", *_SPECIAL_PREFIXES)) or is_remote_url(path):
        return path
    return join_path(base, path)


def rebase_targets(targets: Iterable[Target]) -> None:
    """Rebases every context value of freshly evaluated targets in place, each onto the directory of the file that set
    it. Targets without a context keep their directory in `base.default` for `Definition.resolve`."""
    by_name = {target.name: target for target in targets}
    # A copied context keeps the base of the target that it came from, even one rebased a moment ago.
    bases = {name: _effective_base(target, by_name) for name, target in by_name.items()}
    for name, target in by_name.items():
        base = target.base
        if base is None:
            continue
        effective = bases[name]
        if target.context is not None and effective is not None:
            target.context = rebase(effective, target.context)
        if target.contexts:
            target.contexts = {
                key: rebase(base.contexts[key], value) if key in base.contexts else value
                for key, value in target.contexts.items()
            }


def _effective_base(target: Target, by_name: dict[str, Target]) -> str | None:
    base = target.base
    if base is None:
        return None
    seen: set[str] = set()
    while base.reference and base.reference in by_name and base.reference not in seen:
        seen.add(base.reference)
        other = by_name[base.reference].base
        if other is None:
            break
        if other.context is None:
            return other.default
        base = other
    return base.context


def merge_bases(old: ContextBase | None, new: ContextBase | None, changed: Target) -> ContextBase | None:
    """The bases of a target after `changed` (with bases `new`) was merged over one with bases `old`."""
    if new is None:
        return old
    if old is None:
        return new.copy()
    merged = old.copy()
    if new.default is not None:
        merged.default = new.default
    if changed.context is not None:
        merged.context, merged.reference = new.context, new.reference
    for key in changed.contexts or ():
        if key in new.contexts:
            merged.contexts[key] = new.contexts[key]
        else:
            merged.contexts.pop(key, None)
    return merged
