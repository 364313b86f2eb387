"""Remote Bake definitions (bake.md §21): the tree behind a URL, fetched by the engine's own git and HTTP sources, and
what targets of such a definition are lent and built from.

A fetched tree stays in the store, so that a second run, and a target whose context it is, find it there.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlencode

from bakehouse.bake import Resolved, SecretEntry, SshEntry, Target
from bakehouse.bake.checks import effective_ssh
from bakehouse.bake.contexts import tree_path
from bakehouse.bake.merge_rules import merge_by_id
from bakehouse.bake.remote import RemoteTree, is_git_ssh, is_remote_url
from bakehouse.builders.embedded import open_engine
from bakehouse.builders.plan import solving
from bakehouse.builders.sessions import target_agents, target_secrets
from bakehouse.builders.settings import Settings
from bakehouse.dockerfile.lowering.contexts import git_context, internal
from bakehouse.dockerfile.lowering.request import LowerRequest
from bakehouse.engine.engine import Engine, Job, JobPlatform
from bakehouse.engine.exporters.model import ExportResult
from bakehouse.errors import DefinitionError
from bakehouse.go.paths import clean_path, join_path
from bakehouse.linux.files import open_in_root
from bakehouse.llb import state
from bakehouse.llb.giturl import GitRef, parse_git_ref, parse_git_url, parse_query
from bakehouse.llb.ops import Copy, Edge
from bakehouse.llb.state import State
from bakehouse.oci.platform import Platform
from bakehouse.progress.events import Reporter
from bakehouse.session import Session
from bakehouse.snapshots.compression import DecompressingReader
from bakehouse.snapshots.tarreader import TarLimits, TarReader
from bakehouse.solver.model import Cancellation

if TYPE_CHECKING:
    from pathlib import Path

    from bakehouse.engine.tree import EngineContext
    from bakehouse.snapshots import LayerChain

T = TypeVar("T")

#: What buildx means to read of a single file, in its words.
MAX_FILE_BYTES = 2 << 20
_MAX_FILE_TEXT = "2.097MB"
#: A definition that lies in a tree may be as large as a local one.
MAX_TREE_FILE_BYTES = 64 << 20
#: How much an archive may hold when nothing but its address is known.
ARCHIVE_LIMITS = TarLimits(entries=1_000_000, bytes=4 << 30)

_HTTP_FILE = "context"
_MAGICS = (b"\x1f\x8b\x08", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd")
_TOKEN = ("GIT_AUTH_TOKEN", "BUILDX_BAKE_GIT_AUTH_TOKEN")
_HEADER = ("GIT_AUTH_HEADER", "BUILDX_BAKE_GIT_AUTH_HEADER")


@contextmanager
def fetched_tree(
    url: str,
    cwd: Path,
    settings: Settings,
    environ: Mapping[str, str],
    reporter: Reporter,
    cancel: Cancellation,
) -> Iterator[RemoteTree]:
    """The tree behind `url`, readable inside the block.

    Raises `DefinitionError` for a malformed git reference, and what the sources raise: `NotFoundError` (repository,
    reference, status of the server), `TransientError`, `IntegrityError` (checksum, archive), `CancelledError`.
    """
    # What is malformed in a URL is told as it is, not as a failed solve.
    reference = parse_git_ref(url)
    with open_engine(settings, environ) as engine:
        fetching = _Fetching(engine, _session(url, cwd, environ), reporter, cancel)
        if reference is not None:
            yield _FetchedTree(url, fetching, fetching.tree(source_state(url)), reference)
            return
        file = fetching.tree(_http_state(url))
        if not fetching.holds_archive(file):
            yield _FetchedFile(url, fetching, file)
            return
        fetching.check_archive(file)
        yield _FetchedTree(url, fetching, fetching.tree(source_state(url, archive=True)), None)


def source_state(url: str, *, archive: bool = False) -> State:
    """The graph that fetches the tree of `url`: a checkout, or an unpacked archive."""
    if archive:
        unpack = Copy("/" + _HTTP_FILE, "/", attempt_unpack=True)
        return state.scratch().files([_http_state(url).copy_from(unpack)])
    found = git_context(LowerRequest(b""), url)
    assert found is not None
    return found


def _http_state(url: str) -> State:
    return state.http(url, filename=_HTTP_FILE, constraints=internal("load remote build context"))


class _Fetching:
    """One engine at work on one URL. Trees are layer chains of its store."""

    def __init__(self, engine: Engine, session: Session, reporter: Reporter, cancel: Cancellation) -> None:
        self._engine = engine
        self._session = session
        self._reporter = reporter
        self._cancel = cancel

    def tree(self, wanted: State) -> LayerChain:
        edge: Edge | None = wanted.seal()
        taking = _Taking()
        job = Job("definition", (JobPlatform(Platform.local(), edge, b""),), (taking,))
        with solving():
            self._engine.solve([job], self._session, self._reporter, self._cancel)
        assert taking.chain is not None
        return taking.chain

    def read(self, chain: LayerChain, name: str, limit: int) -> bytes | None:
        """The file `name`, at most one byte more than `limit` of it; None when it is not there."""
        return self._with_root(chain, lambda root: _read_in_root(root, name, limit))

    def holds_archive(self, chain: LayerChain) -> bool:
        head = self._with_root(chain, lambda root: _read_in_root(root, _HTTP_FILE, 511)) or b""
        return head.startswith(_MAGICS) or _is_tar_header(head)

    def check_archive(self, chain: LayerChain) -> None:
        """Raises `IntegrityError` before anything is unpacked that is larger than a definition's archive may be."""
        self._with_root(chain, self._walk_archive)

    def _walk_archive(self, root: int) -> None:
        with os.fdopen(os.open(_HTTP_FILE, os.O_RDONLY | os.O_CLOEXEC, dir_fd=root), "rb") as file:
            reader = DecompressingReader(file, max_bytes=ARCHIVE_LIMITS.bytes * 2)
            for _ in TarReader(reader, ARCHIVE_LIMITS):
                self._cancel.check()

    def _with_root(self, chain: LayerChain, function: Callable[[int], T]) -> T:
        def opened() -> T:
            with self._engine.layers.view(chain) as path:
                root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                try:
                    return function(root)
                finally:
                    os.close(root)

        with solving():
            # In a worker: views may be mounts, which are the workers' own.
            return self._engine.call(opened, self._cancel)


class _Taking:
    """An exporter that keeps the result's layers."""

    name = "definition"
    reads_files = True

    def __init__(self) -> None:
        self.chain: LayerChain | None = None

    def export(self, result: ExportResult, context: EngineContext, cancel: Cancellation) -> dict[str, str]:
        self.chain = result.platforms[0].chain
        return {}


def _read_in_root(root: int, name: str, limit: int) -> bytes | None:
    try:
        descriptor = open_in_root(root, name.lstrip("/") or ".", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return None
        raise _unreadable(name, os.strerror(error.errno or 0)) from None
    except ValueError:
        return None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _unreadable(name, "not a regular file")
    with os.fdopen(descriptor, "rb") as file:
        return file.read(limit + 1)


def _unreadable(name: str, why: str) -> DefinitionError:
    return DefinitionError(f"open {name}: {why}", code="definition-unreadable")


def _is_tar_header(block: bytes) -> bool:
    from bakehouse.engine.ops.file_archive import is_header

    return is_header(block)


class _FetchedFile(RemoteTree):
    """A definition that is one file on a web server."""

    __slots__ = ("_chain", "_fetching")

    def __init__(self, url: str, fetching: _Fetching, chain: LayerChain) -> None:
        super().__init__(url, is_directory=False)
        self._fetching = fetching
        self._chain = chain

    def read(self, name: str) -> bytes | None:
        data = self._fetching.read(self._chain, _HTTP_FILE, MAX_FILE_BYTES)
        if data is not None and len(data) > MAX_FILE_BYTES:
            raise DefinitionError(
                f"non-archive definition URL bigger than maximum allowed size ({_MAX_FILE_TEXT})",
                code="definition-too-large",
                hint="Is it a definition? A larger one can be read from a repository or an archive.",
            )
        return data

    def context_url(self, path: str) -> str:
        return path


class _FetchedTree(RemoteTree):
    """A checkout or an unpacked archive. `reference` is None for an archive."""

    __slots__ = ("_chain", "_fetching", "_reference")

    def __init__(self, url: str, fetching: _Fetching, chain: LayerChain, reference: GitRef | None) -> None:
        super().__init__(url, is_directory=True)
        self._fetching = fetching
        self._chain = chain
        self._reference = reference

    def read(self, name: str) -> bytes | None:
        data = self._fetching.read(self._chain, name, MAX_TREE_FILE_BYTES)
        if data is not None and len(data) > MAX_TREE_FILE_BYTES:
            raise DefinitionError(
                f"{name} is larger than {MAX_TREE_FILE_BYTES >> 20} MiB", code="definition-too-large"
            )
        return data

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


def _session(url: str, cwd: Path, environ: Mapping[str, str]) -> Session:
    """What fetching `url` is lent: the credentials of its own host, and for SSH an agent."""
    borrower = Target("definition")
    borrower.secret = git_credentials(url, environ)
    agents: dict[str, Path] = {}
    if is_git_ssh(url):
        paths = environ.get("BUILDX_BAKE_GIT_SSH", "")
        borrower.ssh = [SshEntry("default", tuple(paths.split(",")) if paths else ())]
        try:
            agents = target_agents(borrower, environ)
        except DefinitionError:
            # No agent at all: what then fails is the source, with the name of what it lacks.
            agents = {}
    return Session(secrets=target_secrets(borrower, environ, cwd), ssh=agents)


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
    resolved: Resolved, tree: RemoteTree | None, environ: Mapping[str, str]
) -> dict[str, Target]:
    """The targets as they are built, which differs from how they are printed: agents for contexts that come over SSH,
    and with the tree of a remote definition its directories as named contexts and the credentials of its host."""
    directory = tree if tree is not None and tree.is_directory else None
    out = {}
    for name, target in resolved.targets.items():
        built = target.copy()
        built.ssh = effective_ssh(target, directory)
        if directory is not None:
            built.contexts = _mapped_contexts(target.contexts or {}, directory)
            built.secret = _with_credentials(target, directory.url, environ)
        out[name] = built
    return out


def _mapped_contexts(contexts: Mapping[str, str], tree: RemoteTree) -> dict[str, str]:
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
