"""Remote Bake definitions (bake.md §21): the tree behind a URL, fetched by the engine's own git and HTTP sources, and
what targets of such a definition are lent and built from.

A fetched tree stays in the store, so that a second run, and a target whose context it is, find it there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from bakehouse.bake import Resolved, SecretEntry, SshEntry, Target
from bakehouse.bake.checks import effective_ssh
from bakehouse.bake.contexts import tree_path
from bakehouse.bake.merge_rules import merge_by_id
from bakehouse.bake.remote import RemoteTree
from bakehouse.builders.definition_tree import HTTP_FILE, DefinitionTree, http_file
from bakehouse.builders.display import solving
from bakehouse.builders.embedded import host_keys, open_engine
from bakehouse.builders.lending import Lender
from bakehouse.builders.settings import Settings
from bakehouse.engine.engine import Engine
from bakehouse.engine.ops.file_archive import begins_archive, check_archive
from bakehouse.engine.tree import Tree
from bakehouse.errors import BakehouseError, DefinitionError
from bakehouse.giturl import GitRef, is_git_ssh, is_remote_url, parse_git_ref, parse_git_url, parse_query
from bakehouse.go.paths import clean_path, join_path
from bakehouse.llb.ops import Edge
from bakehouse.progress.events import Reporter
from bakehouse.session import Session
from bakehouse.snapshots.tarreader import TarLimits
from bakehouse.solver.model import Cancellation
from bakehouse.values import dataclass

if TYPE_CHECKING:
    from pathlib import Path

#: What buildx means to read of a single file, and how it says so.
MAX_FILE_BYTES = 2 << 20
_MAX_FILE_TEXT = "2.097MB"
#: A definition that lies in a tree may be as large as a local one.
MAX_TREE_FILE_BYTES = 64 << 20
#: How much an archive may hold when nothing but its address is known.
ARCHIVE_LIMITS = TarLimits(entries=1_000_000, bytes=4 << 30)

_HEAD_BYTES = 1024
_TOKEN = ("GIT_AUTH_TOKEN", "BUILDX_BAKE_GIT_AUTH_TOKEN")
_HEADER = ("GIT_AUTH_HEADER", "BUILDX_BAKE_GIT_AUTH_HEADER")


@dataclass(frozen=True, slots=True)
class FetchedDefinition:
    """A remote definition, fetched. `files` is what the bake room reads of it; `tree` what contexts are made of (None
    for a single file). A build that is to see the same commit as the definition uses the same `engine`."""

    files: RemoteTree
    tree: DefinitionTree | None
    engine: Engine


@contextmanager
def fetched_definition(
    url: str,
    cwd: Path,
    settings: Settings,
    environ: Mapping[str, str],
    reporter: Reporter,
    cancel: Cancellation,
) -> Iterator[FetchedDefinition]:
    """What is behind `url`, usable inside the block.

    Raises `DefinitionError` for a malformed git reference, and what the sources raise: `NotFoundError` (repository,
    reference, status of the server), `TransientError`, `IntegrityError` (checksum, archive), `CancelledError`.
    """
    # What is malformed in a URL is told as it is, not as a failed solve.
    reference = parse_git_ref(url)
    with Lender(environ, cwd) as lender, open_engine(settings, environ) as engine:
        fetching = _Fetching(engine, _session(url, lender, environ), reporter, cancel)
        if reference is None and not fetching.finds_archive(url):
            yield FetchedDefinition(_FetchedFile(url, fetching), None, engine)
            return
        tree = DefinitionTree(url, is_archive=reference is None, known_hosts=host_keys())
        # At once: what is wrong with the source is not that a file is not in it.
        fetching.read(tree.root(), [], 0)
        yield FetchedDefinition(_FetchedTree(url, fetching, tree, reference), tree, engine)


class _Fetching:
    """One engine at work on one URL, with what the URL's host may be told."""

    def __init__(self, engine: Engine, session: Session, reporter: Reporter, cancel: Cancellation) -> None:
        self._engine = engine
        self._session = session
        self._reporter = reporter
        self._cancel = cancel

    def read(self, edge: Edge, names: Sequence[str], limit: int) -> dict[str, bytes]:
        with solving():
            return self._engine.read_files(
                edge, names, self._session, self._reporter, self._cancel, limit=limit
            )

    def finds_archive(self, url: str) -> bool:
        """Whether the file at `url` is an archive. Raises `IntegrityError` when it is a larger one than may be."""
        edge = http_file(url)
        if not begins_archive(self.read(edge, [HTTP_FILE], _HEAD_BYTES).get(HTTP_FILE, b"")):
            return False

        def check(tree: Tree) -> None:
            check_archive(tree, HTTP_FILE, ARCHIVE_LIMITS, self._cancel.check)

        with solving():
            self._engine.visit(edge, check, self._session, self._reporter, self._cancel)
        return True


class _FetchedFile(RemoteTree):
    """A definition that is one file on a web server."""

    __slots__ = ("_fetching",)

    def __init__(self, url: str, fetching: _Fetching) -> None:
        super().__init__(url, is_directory=False)
        self._fetching = fetching

    def read(self, names: Sequence[str]) -> dict[str, bytes]:
        data = self._fetching.read(http_file(self.url), [HTTP_FILE], MAX_FILE_BYTES + 1).get(HTTP_FILE, b"")
        if len(data) > MAX_FILE_BYTES:
            raise DefinitionError(
                f"non-archive definition URL bigger than maximum allowed size ({_MAX_FILE_TEXT})",
                code="definition-too-large",
                hint="Is it a definition? A larger one can be read from a repository or an archive.",
            )
        return dict.fromkeys(names, data)

    def context_url(self, path: str) -> str:
        return path


class _FetchedTree(RemoteTree):
    """A checkout or an unpacked archive. `reference` is None for an archive."""

    __slots__ = ("_fetching", "_reference", "_tree")

    def __init__(self, url: str, fetching: _Fetching, tree: DefinitionTree, reference: GitRef | None) -> None:
        super().__init__(url, is_directory=True)
        self._fetching = fetching
        self._tree = tree
        self._reference = reference

    def read(self, names: Sequence[str]) -> dict[str, bytes]:
        found = self._fetching.read(self._tree.root(), names, MAX_TREE_FILE_BYTES + 1)
        for name, data in found.items():
            if len(data) > MAX_TREE_FILE_BYTES:
                raise DefinitionError(
                    f"{name} is larger than {MAX_TREE_FILE_BYTES >> 20} MiB", code="definition-too-large"
                )
        return found

    def context_url(self, path: str) -> str:
        return context_url(self.url, path, self._reference)


def context_url(url: str, path: str, reference: GitRef | None) -> str:
    """The address of the directory `path` in the tree of `url`. The way in which the URL names its reference is kept: a
    query that has a `subdir` gets the longer one, else the fragment does. An archive's is named as a repository's."""
    if reference is not None and reference.sub_dir:
        path = clean_path(join_path(reference.sub_dir, path))
    head, hash_mark, fragment = url.partition("#")
    if not hash_mark and "://" in url:
        base, _, query = head.partition("?")
        pairs = dict(parse_query(query))
        if "subdir" in pairs:
            return f"{base}?{urlencode(sorted({**pairs, 'subdir': path}.items()))}"
    return f"{head}#{fragment.partition(':')[0]}:{path}"


# -- credentials ------------------------------------------------------------------------------------------------------


def _session(url: str, lender: Lender, environ: Mapping[str, str]) -> Session:
    """What fetching `url` is lent: the credentials of its own host, and for SSH an agent."""
    borrower = Target("definition")
    borrower.secret = git_credentials(url, environ)
    if is_git_ssh(url):
        paths = environ.get("BUILDX_BAKE_GIT_SSH", "")
        borrower.ssh = [SshEntry("default", tuple(paths.split(",")) if paths else ())]
    try:
        return lender.session(borrower)
    except BakehouseError as error:
        if error.code != "ssh-agent-missing":
            raise
        # What then fails is the source, with the name of what it lacks.
        return Session(secrets=lender.lent(_without_ssh(borrower)).secrets)


def _without_ssh(borrower: Target) -> Target:
    other = Target(f"{borrower.name} without ssh")
    other.secret = borrower.secret
    return other


def git_credentials(url: str, environ: Mapping[str, str]) -> list[SecretEntry]:
    """Secrets that git sources of the host of `url`, and of no other, are lent. Variables' names count in any case."""
    host = _git_host(url)
    if not host:
        return []
    out = []
    for id, variable in (_TOKEN, _HEADER):
        found = next((name for name in environ if name.upper() == variable), None)
        if found is not None:
            out.append(SecretEntry(f"{id}.{host}", env=found))
    return out


def _git_host(url: str) -> str:
    try:
        return parse_git_url(url).host
    except ValueError:
        return ""


# -- what is built ----------------------------------------------------------------------------------------------------


def built_targets(
    resolved: Resolved, files: RemoteTree | None, environ: Mapping[str, str]
) -> dict[str, Target]:
    """The targets as they are built, which differs from how they are printed: agents for contexts that come over SSH,
    and with a remote definition its directories as named contexts and the credentials of its host."""
    tree = files if files is not None and files.is_directory else None
    out = {}
    for name, target in resolved.targets.items():
        built = target.copy()
        built.ssh = effective_ssh(target, tree)
        if tree is not None:
            built.tree_paths = _paths_in_tree(target)
            built.contexts = _mapped_contexts(target.contexts or {}, tree)
            built.secret = _with_credentials(target, tree.url, environ)
        out[name] = built
    return out


def _paths_in_tree(target: Target) -> dict[str, str]:
    """The named contexts of `target` that are directories below the root of the definition's tree."""
    paths = {name: tree_path(value) for name, value in (target.contexts or {}).items()}
    return {name: path for name, path in paths.items() if path not in (None, ".")}


def _mapped_contexts(contexts: Mapping[str, str], tree: RemoteTree) -> dict[str, str]:
    """Named contexts as addresses, whatever they are built from."""
    out = {}
    for name, value in contexts.items():
        path = tree_path(value)
        if path is not None:
            value = tree.url if path == "." else tree.context_url(path)
        out[name] = value
    return out


def _with_credentials(target: Target, url: str, environ: Mapping[str, str]) -> list[SecretEntry]:
    """The target's secrets, and the host's credentials when its context comes from the host of `url` too."""
    secrets = list(target.secret or ())
    context = target.context or "."
    if not is_remote_url(context) or _git_host(context).lower() != _git_host(url).lower():
        return secrets
    return merge_by_id([*secrets, *git_credentials(url, environ)])
