"""Where the files of a target come from, and its Dockerfile: a directory, a git repository, a file on the web
(dockerfile.md §13.1, §13.2)."""

from __future__ import annotations

import hashlib
import os
import posixpath
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bakehouse.bake import Target
from bakehouse.bake.remote import LOCAL_PREFIX
from bakehouse.builders.context import (
    MAX_DOCKERFILE_BYTES,
    DockerfileText,
    checked_size,
    context_identity,
    ignore_file_of,
    missing_dockerfile,
    read_dockerfile,
    require_directory,
)
from bakehouse.builders.definition_tree import HTTP_FILE, DefinitionTree
from bakehouse.builders.display import prefixed, solving
from bakehouse.builders.fetching import Fetcher
from bakehouse.builders.policies import TargetPolicy
from bakehouse.dockerfile.ignore import read_ignore_file
from bakehouse.dockerfile.lowering import InputContext, LowerRequest, main_context_root
from bakehouse.engine.graph import source_scheme
from bakehouse.engine.policy.sources import apply_to_graph
from bakehouse.errors import BakehouseError, CancelledError, DefinitionError, NotFoundError
from bakehouse.giturl import is_remote_url, without_passwords
from bakehouse.llb import state
from bakehouse.llb.draft import Constraints
from bakehouse.llb.ops import Edge
from bakehouse.llb.state import State
from bakehouse.progress.events import Reporter, VertexReporter
from bakehouse.session import UPLOAD_HOST
from bakehouse.values import dataclass, field, replace

_DEFAULT_NAME = "Dockerfile"
#: As much of a download as BuildKit looks at to see whether it is an archive.
_HEAD_BYTES = 1024
#: What ends a transfer: BuildKit counts it, so that a file that is not there shows as `2B`.
_END_MARK_BYTES = 2
#: buildx's limit for a Dockerfile from the web.
_MAX_DOWNLOAD_BYTES = 2 * 1024 * 1024
_LOCAL_DOCKERFILE = "dockerfile"


@dataclass(frozen=True, slots=True)
class BuildDirectories:
    """What relative paths of a target mean: `cwd` for contexts and absolute forms. `context`, when given, is the one of
    every target, whatever it says itself: a directory or a URL; and `dockerfile` the text of its Dockerfile.
    `cgroup_parent` is that of all RUN steps; `tree` that of a remote definition, which paths in the tree mean."""

    cwd: Path
    dockerfile: bytes | None = None
    context: str | None = None
    cgroup_parent: str = ""
    tree: DefinitionTree | None = None


@dataclass(frozen=True, slots=True)
class MainContext:
    """A main context with the Dockerfile that goes with it.

    `request` is the target's, completed by both. `warnings_at` is the digest of the vertex by which the Dockerfile was
    read. `local_dirs` maps `SESSION:NAME` to directories of this machine. `dockerfile_dir` is the one in which the
    Dockerfile lies, and `named_dockerfile` says that it came apart from the context, as no file of a directory that the
    user named or beside a remote context.
    """

    text: DockerfileText
    request: LowerRequest
    warnings_at: str
    local_dirs: dict[str, Path] = field(default_factory=dict)
    dockerfile_dir: Path | None = None
    named_dockerfile: bool = False


class MainContexts:
    """Finds the main contexts of a build's targets. What it reads, it shows on the display."""

    def __init__(
        self,
        directories: BuildDirectories,
        reporter: Reporter,
        fetcher: Fetcher | None,
        policy_of: Callable[[Target], TargetPolicy],
        *,
        several: bool,
    ) -> None:
        """Without a `fetcher` only directories can be contexts. `policy_of` says what a target's sources are held
        against. `several` targets have their names shown."""
        self._directories = directories
        self._reporter = reporter
        self._fetcher = fetcher
        self._policy_of = policy_of
        self._several = several

    def of(self, target: Target, request: LowerRequest) -> MainContext:
        """The context of `target`, whose other fields `request` holds. Raises `NotFoundError`, `DefinitionError`, and
        what a build of a remote source raises."""
        if self._directories.tree is not None and target.tree_path not in (None, "."):
            return self._in_tree(target, request, self._directories.tree)
        path = self._directories.context or target.context or "."
        directory = Path(self._directories.cwd, path.removeprefix("cwd://"))
        if is_remote_url(path) and not directory.is_dir():
            return self._remote(target, replace(request, main_context=path))
        return self._local(target, request, path.removeprefix("cwd://") or ".")

    def show_ignore_file(self, target: Target, main: MainContext) -> None:
        """Shows the ignore file of a local context, behind what lowering looked up, as BuildKit does."""
        if main.request.main_context is not None or main.request.context_input is not None:
            return
        try:
            self._policy_of(target).check_client_files("context", [".dockerignore"])
        except CancelledError:
            raise
        except BakehouseError:
            # As in BuildKit: a context that may not be read is refused where it is used.
            pass
        ignoring = self._vertex(target, "[internal] load .dockerignore")
        ignoring.start()
        with ignoring.status("transferring context:") as status:
            status.advance(len(main.text.ignore) + _END_MARK_BYTES)
        ignoring.done()

    # -- a directory ----------------------------------------------------------------------------------------------

    def _local(self, target: Target, request: LowerRequest, context: str) -> MainContext:
        directory = require_directory(self._directories.cwd, context)
        given = self._given_text(target)
        if given is None:
            path = self._path(target)
            text, digest = self._loaded(target, path.name, lambda: read_dockerfile(directory, path))
        else:
            text, digest = self._loaded(
                target,
                _DEFAULT_NAME,
                lambda: DockerfileText(_DEFAULT_NAME, given, *ignore_file_of(directory)),
            )
        session = context_identity(directory, text.ignore)
        request = replace(
            request,
            dockerfile=text.data,
            filename=text.name,
            dockerignore=tuple(read_ignore_file(text.ignore)),
            # Of these alone: what else a target uses may be another one's too.
            local_session_ids={**request.local_session_ids, "context": session, _LOCAL_DOCKERFILE: session},
        )
        return MainContext(
            text,
            request,
            digest,
            {f"{session}:context": directory},
            (directory / self._path(target)).parent if given is None else None,
            given is not None,
        )

    # -- a repository, a file on the web --------------------------------------------------------------------------

    def _remote(self, target: Target, request: LowerRequest) -> MainContext:
        is_text = False
        root = _root_of(request)
        if source_scheme(root.vertex) in ("http", "https"):
            from bakehouse.engine.ops.file_archive import begins_archive

            with _prefixed_errors("failed to read downloaded context: "):
                head = self._fetch(target, root, [HTTP_FILE], _HEAD_BYTES).get(HTTP_FILE, b"")
            is_text = not begins_archive(head)
            request = replace(request, context_is_archive=not is_text)
        given, path = self._given_text(target), self._path(target)
        if given is not None:
            text, digest = self._loaded(target, _DEFAULT_NAME, lambda: DockerfileText(_DEFAULT_NAME, given))
        elif path.is_absolute() and not _is_upload(request.main_context or ""):
            text, digest = self._loaded(
                target, path.name, lambda: read_dockerfile(path.parent, path).without_ignore_file()
            )
        else:
            root = _root_of(request)
            name = HTTP_FILE if is_text else os.fspath(path)
            text = self._inside(target, root, name, request.main_context or "")
            request = replace(request, dockerfile=text.data, filename=text.name)
            return MainContext(text, request, root.vertex.digest)
        request = self._read_here(replace(request, dockerfile=text.data, filename=text.name))
        place = path.parent if given is None else None
        return MainContext(text, request, digest, dockerfile_dir=place, named_dockerfile=True)

    def _in_tree(self, target: Target, request: LowerRequest, tree: DefinitionTree) -> MainContext:
        """A directory of the tree of a remote definition: that of the Dockerfile too, unless its text is given."""
        root = tree.directory(target.tree_path or ".")
        request = replace(request, context_input=InputContext(root))
        given = self._given_text(target)
        if given is not None:
            text, digest = self._loaded(target, _DEFAULT_NAME, lambda: DockerfileText(_DEFAULT_NAME, given))
            request = self._read_here(request)
        elif (target.dockerfile or "").startswith(LOCAL_PREFIX):
            path = self._path(target)
            text, digest = self._loaded(
                target, path.name, lambda: read_dockerfile(path.parent, path).without_ignore_file()
            )
            request = self._read_here(request)
        else:
            name, url = target.dockerfile or _DEFAULT_NAME, tree.url
            text, digest = self._inside(target, root, name, url), root.vertex.digest
            request = replace(request, inputs={**request.inputs, _LOCAL_DOCKERFILE: InputContext(root)})
        return MainContext(text, replace(request, dockerfile=text.data, filename=text.name), digest)

    def _read_here(self, request: LowerRequest) -> LowerRequest:
        """`request` with a Dockerfile of this machine beside a context that is not."""
        session = context_identity(self._directories.cwd, b"")
        return replace(
            request,
            dockerfile_local_name=_LOCAL_DOCKERFILE,
            local_session_ids={**request.local_session_ids, _LOCAL_DOCKERFILE: session},
        )

    def _inside(self, target: Target, root: Edge, name: str, url: str) -> DockerfileText:
        """The Dockerfile that a remote context holds. Ignore files in it have no effect, as in BuildKit."""
        other = posixpath.join(posixpath.dirname(name), _DEFAULT_NAME.lower())
        names = [name, other] if posixpath.basename(name) == _DEFAULT_NAME else [name]
        with _prefixed_errors("failed to read dockerfile: "):
            found = self._fetch(target, root, names, MAX_DOCKERFILE_BYTES + 1)
        with solving():
            for candidate in names:
                if candidate in found:
                    return DockerfileText(name, checked_size(found[candidate], candidate))
            raise missing_dockerfile(name, f"looked for {name} in {_shown(url)}")

    # -- Dockerfiles ----------------------------------------------------------------------------------------------

    def _given_text(self, target: Target) -> bytes | None:
        """The text of a Dockerfile that is no file: inline, from standard input, from the web."""
        if target.dockerfile_inline is not None:
            return target.dockerfile_inline.encode()
        if self._directories.dockerfile is not None:
            return self._directories.dockerfile
        if (target.dockerfile or "").startswith(("http://", "https://")):
            return self._downloaded(target, target.dockerfile or "")
        return None

    def _downloaded(self, target: Target, url: str) -> bytes:
        constraints = Constraints().named(f"[internal] load {url}")
        edge = _sealed(state.http(url, filename=_DEFAULT_NAME, constraints=constraints))
        # The client's own doing, before there is a build that policies are about.
        data = self._fetch(target, edge, [_DEFAULT_NAME], _MAX_DOWNLOAD_BYTES + 1, policed=False)[
            _DEFAULT_NAME
        ]
        if len(data) > _MAX_DOWNLOAD_BYTES:
            raise DefinitionError(
                f"Dockerfile {without_passwords(url)} bigger than allowed max size (2.097MB)",
                code="dockerfile-too-large",
            )
        return data

    def _path(self, target: Target) -> Path:
        name = target.dockerfile or _DEFAULT_NAME
        if name.startswith("cwd://"):
            return Path(os.path.abspath(self._directories.cwd / name.removeprefix("cwd://")))
        return Path(name)

    def _fetch(
        self, target: Target, edge: Edge, paths: list[str], limit: int, *, policed: bool = True
    ) -> dict[str, bytes]:
        assert self._fetcher is not None, "remote contexts need a fetcher"
        with solving():
            policy = self._policy_of(target).policy
            if policed and policy is not None:
                edge = apply_to_graph(policy, edge)
            return self._fetcher.read(target, edge, paths, limit)

    # -- the display ----------------------------------------------------------------------------------------------

    def _loaded(
        self, target: Target, name: str, read: Callable[[], DockerfileText]
    ) -> tuple[DockerfileText, str]:
        """Reads the Dockerfile `name` of this machine, as a vertex of the display; its digest too."""
        paths = [name, f"{name}.dockerignore", *([_DEFAULT_NAME.lower()] if name == _DEFAULT_NAME else [])]
        with solving(), _prefixed_errors("failed to read dockerfile: "):
            self._policy_of(target).check_client_files(_LOCAL_DOCKERFILE, paths)
        loading = self._vertex(target, f"[internal] load build definition from {name}")
        loading.start()
        try:
            with solving():
                text = read()
        except NotFoundError:
            # As in BuildKit: reading the directory went well, only the file is not in it.
            with loading.status("transferring dockerfile:") as status:
                status.advance(_END_MARK_BYTES)
            loading.done()
            raise
        except BakehouseError as error:
            loading.fail(error.message)
            raise
        with loading.status("transferring dockerfile:") as status:
            status.advance(len(text.data) + _END_MARK_BYTES)
        loading.done()
        return text, loading.digest

    def _vertex(self, target: Target, name: str) -> VertexReporter:
        text = "\0".join(("internal", target.name, name))
        digest = "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
        return self._reporter.vertex(digest, prefixed(target.name, name) if self._several else name)


@contextmanager
def _prefixed_errors(doing: str) -> Iterator[None]:
    """Says in front of an error's message what was being done, as BuildKit's frontend does."""
    try:
        yield
    except BakehouseError as error:
        error.message = doing + error.message
        raise


def _shown(url: str) -> str:
    """A remote context as messages call it."""
    return "the archive on standard input" if _is_upload(url) else without_passwords(url)


def _is_upload(url: str) -> bool:
    return url.startswith(f"http://{UPLOAD_HOST}/")


def _root_of(request: LowerRequest) -> Edge:
    with solving():
        root = main_context_root(request)
    assert root is not None, f"{request.main_context} is no remote context"
    return root


def _sealed(tree: State) -> Edge:
    edge = tree.seal()
    assert edge is not None
    return edge
