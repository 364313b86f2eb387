"""The tree of a remote definition as graphs: its root, and its directories as contexts of targets (bake.md §21)."""

from __future__ import annotations

from collections.abc import Callable

from bakehouse.dockerfile.lowering import LowerRequest, main_context_root
from bakehouse.llb import state
from bakehouse.llb.draft import Constraints, Output
from bakehouse.llb.ops import Copy, Edge
from bakehouse.llb.state import State
from bakehouse.values import dataclass

#: What a file from the web is called in its tree.
HTTP_FILE = "context"


@dataclass(frozen=True, slots=True)
class DefinitionTree:
    """A repository, or an archive on a web server. The graphs are those that a context of the same URL has, so that the
    definition and what is built from it are fetched once, and from one commit. `known_hosts(host)` gives the keys of an
    SSH server."""

    url: str
    is_archive: bool = False
    known_hosts: Callable[[str], str] | None = None

    def root(self) -> Edge:
        """The whole tree."""
        edge = main_context_root(
            LowerRequest(
                b"",
                main_context=self.url,
                context_is_archive=self.is_archive,
                known_hosts=self.known_hosts,
            )
        )
        assert edge is not None, f"{self.url} is not remote"
        return edge

    def directory(self, path: str, name: str = "") -> Edge:
        """What the directory `path` holds, for the named context `name` ("": the main one)."""
        shown = f"set context {name} to {path}" if name else f"set context to {path}"
        root = State.of(Output.of_edge(self.root()))
        copy = root.copy_from(Copy(path, "/", dir_copy_contents=True))
        edge = state.scratch().files([copy], Constraints().named(shown)).seal()
        assert edge is not None
        return edge


def http_file(url: str) -> Edge:
    """The file at `url`, as it is."""
    return DefinitionTree(url).root()
