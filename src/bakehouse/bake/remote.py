"""What is remote: the files behind the URL of a remote definition (reference bake.md §21), and which texts name such.

Fetching belongs to the engine, and what a URL is made of to whoever lends a `RemoteTree`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

#: What a context that stands for the caller's own files begins with, on the command line and in definitions.
LOCAL_PREFIX = "cwd://"


def is_remote_url(text: str) -> bool:
    """Whether `text` is an HTTP(S) URL or a git reference, as `giturl` decides it."""
    if not _could_be_remote(text):
        return False
    from bakehouse.giturl import is_remote_url as decide

    return decide(text)


def is_git_ssh(text: str) -> bool:
    """Whether `text` is a git reference fetched over SSH, as `giturl` decides it."""
    if not _could_be_remote(text):
        return False
    from bakehouse.giturl import is_git_ssh as decide

    return decide(text)


def _could_be_remote(text: str) -> bool:
    """Most contexts are plain paths: for those the reader of URLs is not worth its start."""
    return "://" in text or "@" in text or text.startswith("github.com/")


class RemoteTree:
    """What the URL of a remote definition stands for, fetched.

    `url` is the argument as given. `is_directory` tells a repository or an archive, whose directories become contexts,
    from a single definition file, whose contexts stay local. Implementations belong to those who can fetch.
    """

    __slots__ = ("is_directory", "url")

    def __init__(self, url: str, *, is_directory: bool) -> None:
        self.url = url
        self.is_directory = is_directory

    def read(self, names: Sequence[str]) -> dict[str, bytes]:
        """The files of these names, resolved beneath the root whatever links and `..` say; absent ones are left out. A
        tree that is no directory answers with its file to every name.

        Raises `DefinitionError` for what is no regular file, or too large for a definition."""
        raise NotImplementedError

    def context_url(self, path: str) -> str:
        """The address of the directory `path` (clean, not `.`) of the tree, as a context is written."""
        raise NotImplementedError
