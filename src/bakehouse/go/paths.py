"""Slash-separated paths by their text alone: Go's `path`.

Nothing is looked up on a disk, and a NUL is a character like any other. Wildcards are in `globs`.
"""

from __future__ import annotations


def clean_path(path: str) -> str:
    """The shortest equivalent path (`path.Clean`); `.` for the empty one."""
    rooted = path.startswith("/")
    parts: list[str] = []
    for part in path.split("/"):
        if part in ("", "."):
            continue
        if part != "..":
            parts.append(part)
        elif parts and parts[-1] != "..":
            parts.pop()
        elif not rooted:
            parts.append(part)
    return ("/" if rooted else "") + "/".join(parts) or "."


def join_path(*parts: str) -> str:
    """Non-empty parts joined by slashes and cleaned (`path.Join`); empty when all are empty."""
    joined = "/".join([part for part in parts if part])
    return clean_path(joined) if joined else ""


def rooted_path(path: str) -> str:
    """`path` below the root, cleaned (`path.Join("/", path)`): `..` never leads out."""
    return clean_path("/" + path)


def base_name(path: str) -> str:
    """The last element (`path.Base`); `.` for the empty path, `/` for one of slashes only."""
    if not path:
        return "."
    return path.rstrip("/").rpartition("/")[2] or "/"


def parent_path(path: str) -> str:
    """All but the last element, cleaned (`path.Dir`)."""
    return clean_path(path[: path.rfind("/") + 1])
