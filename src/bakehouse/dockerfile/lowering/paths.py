"""Image paths as the Dockerfile writes them: joined, cleaned, and for Windows images stripped of drive and backslashes.

Paths in graphs always have forward slashes (dockerfile.md §7.3, §8.5). The rules for Linux leave text alone where they
can: an absolute WORKDIR stays as written.
"""

from __future__ import annotations

from bakehouse.dockerfile.positions import DockerfileError
from bakehouse.go.paths import clean_path, join_path
from bakehouse.go.text import quote

WINDOWS = "windows"
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def to_slash(path: str, os: str) -> str:
    return path.replace("\\", "/") if os == WINDOWS else path


def from_slash(path: str, os: str) -> str:
    return path.replace("/", "\\") if os == WINDOWS else path


def without_drive(path: str, os: str, *, keep_slash: bool = False) -> str:
    """`path` without the system drive, cleaned and with forward slashes; on other systems than Windows as it is.

    Raises `DockerfileError` (code `invalid-windows-path`) for another drive, a bare one, or a UNC path.
    """
    if os != WINDOWS:
        return path
    if len(path) == 2 and path[1] == ":":
        raise _bad_path(f"No relative path specified in {quote(path)}")
    if to_slash(path[:2], os) == "//":
        raise _bad_path("UNC paths are not supported")
    drive, colon, rest = path.partition(":")
    if not colon:
        return _clean_windows(path, keep_slash)
    if drive.lower() != "c":
        raise _bad_path("The specified path is not on the system drive (C:)")
    return _clean_windows(rest, keep_slash)


def _clean_windows(path: str, keep_slash: bool) -> str:
    path = path.replace("\\", "/")
    cleaned = clean_path(path)
    if keep_slash and len(cleaned) > 1 and path.endswith("/"):
        return cleaned + "/"
    return cleaned


def is_absolute(path: str, os: str) -> bool:
    try:
        return without_drive(path, os).startswith("/")
    except DockerfileError:
        return False


def normalize(parent: str, path: str, os: str, *, keep_slash: bool) -> str:
    """`path` made absolute below `parent`. `keep_slash` keeps a final `/` or `/.`. Raises `DockerfileError`."""
    path, parent = to_slash(path, os), to_slash(parent, os)
    original = path
    parent = _drive_removed(parent or "/", os, keep_slash)
    if not parent.startswith("/"):
        parent = join_path("/", parent)
    path = _drive_removed(path or parent, os, keep_slash)
    if not path.startswith("/"):
        path = join_path(parent, path)
    if keep_slash:
        if original.endswith("/") and not path.endswith("/"):
            path += "/"
        elif original.endswith("/."):
            path = (path if path == "/" else path + "/") + "."
    return to_slash(path, os)


def normalize_workdir(current: str, path: str, os: str) -> str:
    """The new working directory in the image's own notation. Raises `DockerfileError`."""
    try:
        return from_slash(normalize(current, path, os, keep_slash=False), os)
    except DockerfileError as error:
        raise DockerfileError(
            f"normalizing workdir: normalizing working directory: {error.message}",
            code=error.code,
            hint=error.hint,
        ) from None


def destination(directory: str, path: str, os: str) -> str:
    """Where COPY and ADD put things, `path` being relative to the working directory. Raises `DockerfileError`."""
    path = _drive_removed(path, os, True)
    if is_absolute(path, os):
        return normalize("/", path, os, keep_slash=True)
    # The empty path means the working directory as a directory, not the root.
    if path in ("", "."):
        path = "./"
    return normalize(directory, path, os, keep_slash=True)


def _drive_removed(path: str, os: str, keep_slash: bool) -> str:
    try:
        return without_drive(path, os, keep_slash=keep_slash)
    except DockerfileError as error:
        message = f"removing drive letter: {error.message}"
        raise DockerfileError(message, code=error.code, hint=error.hint) from None


def _bad_path(message: str) -> DockerfileError:
    return DockerfileError(
        message,
        code="invalid-windows-path",
        hint="Write a path on drive C: or one without a drive letter.",
    )
