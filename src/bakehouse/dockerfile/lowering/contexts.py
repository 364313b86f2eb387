"""Where files come from besides images: the main context and named contexts (dockerfile.md §13).

Local sources are made late: which paths the build reads of them (`local.followpaths`) is known only when every stage
has been lowered.
"""

from __future__ import annotations

import json
import posixpath
from base64 import b64decode
from collections.abc import Callable, Iterable

from bakehouse.dockerfile.lowering.image import Image, parse_image
from bakehouse.dockerfile.lowering.request import InputContext, LowerRequest, MetaResolver
from bakehouse.dockerfile.positions import DockerfileError
from bakehouse.errors import DefinitionError
from bakehouse.giturl import parse_git_ref
from bakehouse.go.paths import join_path
from bakehouse.go.text import quote
from bakehouse.lazy import regex
from bakehouse.llb import sources, state
from bakehouse.llb.draft import Constraints, Output, SealDefaults
from bakehouse.llb.encode import SourceInfo, encode_definition
from bakehouse.llb.env import split_entry
from bakehouse.llb.ops import Copy, Edge
from bakehouse.llb.platforms import local_platform, to_llb
from bakehouse.llb.sources import GitOptions
from bakehouse.llb.state import State
from bakehouse.oci.platform import Platform
from bakehouse.oci.reference import Reference, split_bare
from bakehouse.values import dataclass, replace

DEFAULT_CONTEXT = "context"
DEFAULT_DOCKERFILE = "dockerfile"
_DOCKERFILE_NAME = "Dockerfile"
_IGNORE_FILE = ".dockerignore"
_HTTP_FILE = "context"
_HTTP_URL = regex(r"https?://")
_RESERVED = ("scratch", "context")


def follow_paths(paths: Iterable[str]) -> tuple[str, ...]:
    """`local.followpaths` for absolute `paths`: relative and sorted; empty when the whole tree is wanted."""
    wanted = set(paths)
    if "/" in wanted:
        return ()
    return tuple(
        sorted((join_path(".", path) for path in wanted), key=lambda path: path.encode("utf-8", "replace"))
    )


def internal(name: str) -> Constraints:
    """The constraints of a step of BuildKit's own."""
    return Constraints().named("[internal] " + name)


def git_context(
    request: LowerRequest, url: str, *, keep_git_dir: bool = False, mtime: str = ""
) -> State | None:
    """The checkout that `url` names, or None when it is no git reference. Raises `DockerfileError`."""
    try:
        ref = parse_git_ref(url)
    except DefinitionError as error:
        raise DockerfileError(error.message, code=error.code) from None
    if ref is None:
        return None
    options = GitOptions(
        ref=ref.ref,
        sub_dir=ref.sub_dir,
        keep_git_dir=bool(ref.keep_git_dir) or keep_git_dir,
        checksum=ref.checksum,
        skip_submodules=ref.submodules is False,
        mtime=ref.mtime or mtime,
        advice=request.git_advice,
        fetch_by_commit=ref.fetch_by_commit,
    )
    return state.git(
        ref.remote,
        options,
        known_hosts=request.known_hosts,
        constraints=internal("load git source " + url),
    )


def remote_context(request: LowerRequest) -> State | None:
    """The main context when it is not a directory of the client, narrowed to its sub-directory."""
    root = _remote_root(request)
    if root is None or not request.context_sub_dir:
        return root
    narrowed = Copy(request.context_sub_dir, "/", dir_copy_contents=True)
    return state.scratch().files([root.copy_from(narrowed)])


def main_context_root(request: LowerRequest) -> Edge | None:
    """The graph of a main context that is no directory of the client, before it is narrowed: its Dockerfile is read
    from it. None for a directory. Needs no Dockerfile; while `context_is_archive` is not set, an http context is the
    file as it was downloaded. Raises `DockerfileError`."""
    root = _remote_root(request)
    return None if root is None else root.seal(SealDefaults(local_platform(), request.local_unique_id))


def _remote_root(request: LowerRequest) -> State | None:
    if request.main_context is not None:
        mtime = "commit" if request.build_args.get("SOURCE_DATE_EPOCH") else ""
        found = git_context(
            request, request.main_context, keep_git_dir=request.context_keep_git_dir, mtime=mtime
        )
        if found is not None:
            return found
        if _HTTP_URL.match(request.main_context):
            name = internal("load remote build context")
            file = state.http(request.main_context, filename=_HTTP_FILE, constraints=name)
            if not request.context_is_archive:
                return file
            unpack = Copy("/" + _HTTP_FILE, "/", attempt_unpack=True)
            return state.scratch().files([file.copy_from(unpack)])
    if request.context_input is not None:
        return _input_state(request.context_input)
    return None


def local_context(request: LowerRequest, paths: Iterable[str]) -> State:
    """The client's context directory, as far as `paths` (absolute) are read of it."""
    name = request.context_local_name
    return state.local(
        name,
        session_id=session_of(request, name),
        exclude_patterns=request.dockerignore,
        shared_key_hint=name,
        follow_paths=follow_paths(paths),
        constraints=internal("load build context"),
    )


def session_of(request: LowerRequest, name: str) -> str:
    """The session that holds the client directory `name`."""
    return request.local_session_ids.get(name, request.session_id)


def dockerfile_source(request: LowerRequest) -> SourceInfo:
    """The Dockerfile for the source map, with the graph that BuildKit's frontend would read it by."""
    remote = None
    if request.dockerfile_local_name is None:
        # A sub-directory narrows the context, not where the Dockerfile is looked for.
        remote = _remote_root(request) if request.context_input is None else None
        if remote is None and DEFAULT_DOCKERFILE in request.inputs:
            remote = _input_state(request.inputs[DEFAULT_DOCKERFILE])
    if remote is None:
        name = request.dockerfile_local_name or DEFAULT_DOCKERFILE
        remote = state.local(
            name,
            session_id=session_of(request, name),
            follow_paths=_dockerfile_names(request.filename),
            shared_key_hint=name,
            differ="none",
            constraints=internal("load build definition from " + request.filename),
        )
    edge = remote.seal(SealDefaults(local_platform(), request.local_unique_id))
    return SourceInfo(request.filename, request.dockerfile, definition=encode_definition(edge))


def _dockerfile_names(filename: str) -> list[str]:
    names = [filename, filename + _IGNORE_FILE]
    if posixpath.basename(filename) == _DOCKERFILE_NAME:
        names.append(join_path(posixpath.dirname(filename), _DOCKERFILE_NAME.lower()))
    return names


def _input_state(context: InputContext) -> State:
    return State.of(None if context.edge is None else Output.of_edge(context.edge))


def with_image_settings(tree: State, image: Image) -> State:
    """`tree` with the environment, directory and platform that `image` states."""
    for entry in image.env:
        key, value = split_entry(entry)
        if key:
            tree = tree.with_env(key, value)
    tree = tree.with_directory(image.working_dir)
    if image.platform.architecture and image.platform.os:
        tree = tree.with_platform(to_llb(image.platform))
    return tree


@dataclass(frozen=True, slots=True)
class LoadedContext:
    """A named context ready for use; `image` is None when it has no config."""

    state: State
    image: Image | None = None


@dataclass(frozen=True, slots=True)
class NamedContext:
    """A named context that the options hold. `key` is its option name, `specifier` its value; `platform` None: not
    asked for. `wanted_paths` tells, when the graph is sealed, which paths are read of it."""

    request: LowerRequest
    name: str
    key: str
    specifier: str
    platform: Platform | None
    wanted_paths: Callable[[], Iterable[str]]

    def load(self, resolver: MetaResolver) -> LoadedContext:
        """Looks up what is needed to use the context. Raises `DockerfileError` and what the resolver raises."""
        scheme, colon, rest = self.specifier.partition(":")
        if not colon:
            raise _bad_context(f"invalid context specifier {self.specifier} for {self.key}")
        if scheme.startswith("git@"):
            scheme = "git"
        if scheme == "docker-image":
            return self._load_image(resolver, rest.removeprefix("//"))
        if scheme == "oci-layout":
            return self._load_layout(resolver, rest.removeprefix("//"))
        if scheme == "local":
            return LoadedContext(self._local(rest))
        if scheme == "input":
            return self._load_input(rest)
        if scheme in ("git", "http", "https"):
            return LoadedContext(self._load_remote(scheme))
        raise _bad_context(f"unsupported context source {scheme} for {self.key}")

    def _named(self, text: str) -> Constraints:
        return Constraints().named(f"[context {self.key}] {text}")

    def _load_image(self, resolver: MetaResolver, text: str) -> LoadedContext:
        if text == "scratch":
            return LoadedContext(state.scratch())
        try:
            wanted = str(Reference.parse(text))
        except DefinitionError as error:
            raise _bad_context(error.message) from None
        ref, _, config = resolver.resolve_image_config(
            wanted,
            self.platform,
            self.request.image_resolve_mode,
            log_name=f"[context {self.key}] load metadata for {text}",
        )
        image = parse_image(config)
        image.created = None
        # The step shows the reference as it was written.
        tree = state.image(
            str(Reference.parse(ref)),
            platform=None if self.platform is None else to_llb(self.platform),
            constraints=self._named(text),
        )
        return LoadedContext(with_image_settings(tree, image), image)

    def _load_layout(self, resolver: MetaResolver, text: str) -> LoadedContext:
        store, digest = _split_layout(text)
        ref = str(Reference.parse_exact(f"{self.name.partition('@')[0]}@{digest}"))
        _, _, config = resolver.resolve_image_config(
            ref,
            self.platform,
            self.request.image_resolve_mode,
            log_name=f"[context {self.key}] load metadata for {ref}",
            oci_store=store,
        )
        image = parse_image(config)
        constraints = self._named("OCI load from client")
        if self.platform is not None:
            constraints = replace(constraints, platform=to_llb(self.platform))
        layout = sources.oci_layout(ref, constraints, session_id=self.request.session_id, store_id=store)
        return LoadedContext(with_image_settings(State.of(layout), image), image)

    def _local(self, name: str) -> State:
        from bakehouse.dockerfile.ignore import read_ignore_file

        excludes: list[str] = []
        if self.request.read_local is not None:
            text = self.request.read_local(name, _IGNORE_FILE)
            if text:
                try:
                    excludes = read_ignore_file(text)
                except DockerfileError as error:
                    # Its line is one of the ignore file, not of the Dockerfile.
                    message = f"failed parsing {_IGNORE_FILE}: {error.message}"
                    raise DockerfileError(message, code=error.code, hint=error.hint) from None

        def target() -> Output:
            return sources.local(
                name,
                self._named("load from client"),
                session_id=session_of(self.request, name),
                shared_key_hint=f"context:{self.key}-{self.request.shared_keys.get(self.key, '')}",
                exclude_patterns=excludes,
                follow_paths=follow_paths(self.wanted_paths()),
            )

        return State.of(Output.deferred(target))

    def _load_remote(self, scheme: str) -> State:
        found = git_context(self.request, self.specifier)
        if found is not None:
            return found
        if scheme == "git":
            raise _bad_context(f"invalid git context {self.specifier}")
        return state.http(self.specifier, filename=_HTTP_FILE, constraints=self._named(self.specifier))

    def _load_input(self, name: str) -> LoadedContext:
        found = self.request.inputs.get(name)
        if found is None:
            raise _bad_context(f"invalid input {name} for {self.key}")
        tree = _input_state(found)
        if found.config is None:
            return LoadedContext(tree)
        image = parse_image(found.config)
        return LoadedContext(with_image_settings(tree, image), image)


def find_named_context(
    request: LowerRequest,
    name: str,
    platform: Platform | None,
    default_platform: Platform,
    wanted_paths: Callable[[], Iterable[str]],
) -> NamedContext | None:
    """The context that replaces the stage, image or source `name`, or None. `NAME::PLATFORM` goes before `NAME`.

    Raises `DockerfileError` when `name` could not name a context.
    """
    if name.lower() in _RESERVED:
        return None
    try:
        familiar = Reference.parse_exact(name).familiar().removesuffix(":latest")
    except DefinitionError as error:
        raise DockerfileError(f"invalid context name {name}: {error.message}", code=error.code) from None
    suffix = (platform or default_platform).normalized().format_all()
    for key in (f"{familiar}::{suffix}", familiar):
        specifier = request.named_contexts.get(key)
        if specifier is not None:
            return NamedContext(request, familiar, key, specifier, platform, wanted_paths)
    return None


def input_config(metadata: str) -> bytes | None:
    """The image config in the JSON text of an `input-metadata:NAME` option. Raises `DockerfileError`."""
    try:
        encoded = json.loads(metadata).get("containerimage.config")
        return None if encoded is None else b64decode(encoded, validate=True)
    except (ValueError, AttributeError, TypeError) as error:
        raise _bad_context(f"failed to parse input metadata {metadata}: {error}") from None


def _split_layout(text: str) -> tuple[str, str]:
    """Store name and digest of `STORE[:TAG]@DIGEST`."""
    try:
        name, _, digest = split_bare(text)
    except DefinitionError as error:
        raise _bad_context(f"could not parse oci-layout reference {quote(text)}: {error.message}") from None
    if digest is None:
        raise _bad_context(f"oci-layout reference {quote(text)} has no digest")
    return name, str(digest)


def _bad_context(message: str) -> DockerfileError:
    return DockerfileError(
        message,
        code="invalid-context",
        hint="A context is docker-image://REF, oci-layout://STORE@DIGEST, local:NAME, input:NAME or a git or http URL.",
    )
