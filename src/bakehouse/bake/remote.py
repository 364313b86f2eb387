"""Remote sources: which texts name one (reference bake.md §18), and the files behind the URL of a definition (§21).

Only recognises and maps; fetching belongs to the engine, and what a URL is made of to whoever lends a `RemoteTree`.
"""

from __future__ import annotations

_GIT_SCHEMES = ("git", "ssh", "http", "https")
_USER = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
_HOST = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.")
_HEX = frozenset("0123456789abcdefABCDEF")

#: What a context that stands for the caller's own files begins with, on the command line and in definitions.
LOCAL_PREFIX = "cwd://"


class RemoteTree:
    """What the URL of a remote definition stands for, fetched.

    `url` is the argument as given. `is_directory` tells a repository or an archive, whose directories become contexts,
    from a single definition file, whose contexts stay local. Implementations belong to those who can fetch.
    """

    __slots__ = ("is_directory", "url")

    def __init__(self, url: str, *, is_directory: bool) -> None:
        self.url = url
        self.is_directory = is_directory

    def read(self, name: str) -> bytes | None:
        """The file `name` of the tree, resolved beneath its root whatever links and `..` say; None when there is none.

        Raises `DefinitionError` when it is no regular file, or too large for a definition."""
        raise NotImplementedError

    def context_url(self, path: str) -> str:
        """The address of the directory `path` (clean, not `.`) of the tree, as a context is written."""
        raise NotImplementedError


def is_remote_url(text: str) -> bool:
    """Whether `text` is an HTTP(S) URL or a git reference."""
    return text.startswith(("http://", "https://")) or _is_git_reference(text)


def is_git_ssh(text: str) -> bool:
    """Whether `text` is a git reference fetched over SSH."""
    scheme = _scheme(text)
    if scheme:
        return scheme == "ssh" and _parses(text)
    return _is_scp_style(text)


def _is_git_reference(text: str) -> bool:
    if text.startswith(("./", "../")):
        return False
    if text.startswith("github.com/"):
        return _parses(text)
    scheme = _scheme(text)
    if not scheme:
        return _is_scp_style(text)
    if scheme not in _GIT_SCHEMES or not _parses(text):
        return False
    if scheme in ("http", "https"):
        path = text.split("://", 1)[1].split("#", 1)[0].split("?", 1)[0]
        return path.endswith(".git") and "/" in path
    return True


def _scheme(text: str) -> str:
    """The lower-case scheme of a `scheme://` text, else empty."""
    head, separator, _ = text.partition("://")
    if separator and head.isascii() and head.isalnum():
        return head.lower()
    return ""


def _is_scp_style(text: str) -> bool:
    """`user@host:path`, on one line."""
    user, at, rest = text.partition("@")
    host, colon, path = rest.partition(":")
    if not (at and colon and user and host and "\n" not in path):
        return False
    return _USER.issuperset(user) and _HOST.issuperset(host)


def _parses(text: str) -> bool:
    """Whether Go's URL parser would take the text: no control characters, no broken percent escape before the
    query, no blank in the host."""
    if any(ord(char) < 0x20 or ord(char) == 0x7F for char in text):
        return False
    body = text.split("?", 1)[0]
    authority = body.split("://", 1)[-1].split("/", 1)[0] if "://" in body else ""
    if " " in authority:
        return False
    pieces = body.split("%")[1:]
    return all(len(piece) >= 2 and _HEX.issuperset(piece[:2]) for piece in pieces)
