"""Source ops: images, local directories, http files, git repositories, OCI layouts (engine.md §2).

The functions give outputs; `state` wraps them. Attributes and capabilities are those that BuildKit's client writes
for the same options, present only when they differ from the default.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from bakehouse.giturl import GitUrl, UnknownProtocol, parse_git_url
from bakehouse.go.jsontext import compact_json
from bakehouse.go.paths import rooted_path
from bakehouse.llb import caps
from bakehouse.llb.draft import Constraints, Node, Output, SealDefaults, finish
from bakehouse.llb.ops import Edge, SourceOp, Vertex
from bakehouse.values import dataclass

RESOLVE_DEFAULT = "default"
RESOLVE_PULL = "pull"
GIT_AUTH_HEADER = "GIT_AUTH_HEADER"
GIT_AUTH_TOKEN = "GIT_AUTH_TOKEN"
_LOCAL = "local://"
_PLATFORM_SPECIFIC = ("docker-image://", "oci-layout://")


class SourceNode(Node):
    """A source under construction. Only image sources carry a platform."""

    def __init__(self, identifier: str, attrs: Mapping[str, str], constraints: Constraints) -> None:
        self.identifier = identifier
        self.attrs = dict(attrs)
        self.constraints = constraints

    def dependencies(self) -> Sequence[Output]:
        return ()

    def seal(self, edges: Callable[[Output], Edge], defaults: SealDefaults) -> Vertex:
        attrs, constraints = self.attrs, self.constraints
        if self.identifier.startswith(_LOCAL) and "local.session" not in attrs:
            attrs = {**attrs, "local.unique": defaults.local_unique_id}
            constraints = constraints.with_caps(caps.SOURCE_LOCAL_UNIQUE)
        platform = None
        if self.identifier.startswith(_PLATFORM_SPECIFIC):
            platform = constraints.platform or defaults.platform
        return finish(SourceOp(self.identifier, attrs), (), constraints, platform)


def source(identifier: str, attrs: Mapping[str, str], constraints: Constraints) -> Output:
    """A source with just these attributes."""
    return Output(SourceNode(identifier, attrs, constraints), platform=constraints.platform)


def image(ref: str, constraints: Constraints, *, resolve_mode: str = RESOLVE_DEFAULT) -> Output:
    """An image; `ref` is fully normalised. `constraints.platform` chooses the image of an index."""
    attrs = {}
    constraints = constraints.with_caps(caps.SOURCE_IMAGE)
    if resolve_mode != RESOLVE_DEFAULT:
        attrs["image.resolvemode"] = resolve_mode
        if resolve_mode == RESOLVE_PULL:
            constraints = constraints.with_caps(caps.SOURCE_IMAGE_RESOLVE_MODE)
    return source("docker-image://" + ref, attrs, constraints)


def oci_layout(ref: str, constraints: Constraints, *, session_id: str = "", store_id: str = "") -> Output:
    """An image in an OCI layout of the client; `ref` must hold a digest."""
    attrs = {}
    if session_id:
        attrs["oci.session"] = session_id
    if store_id:
        attrs["oci.store"] = store_id
    return source("oci-layout://" + ref, attrs, constraints.with_caps(caps.SOURCE_OCI_LAYOUT))


def local(
    name: str,
    constraints: Constraints,
    *,
    session_id: str = "",
    include_patterns: Sequence[str] = (),
    follow_paths: Sequence[str] = (),
    exclude_patterns: Sequence[str] = (),
    shared_key_hint: str = "",
    differ: str = "",
) -> Output:
    """A directory of the client. Empty options are left out. `differ` is `none` or `metadata`."""
    options = (
        ("local.session", session_id, caps.SOURCE_LOCAL_SESSION_ID),
        ("local.includepattern", _json_list(include_patterns), caps.SOURCE_LOCAL_INCLUDE_PATTERNS),
        ("local.followpaths", _json_list(follow_paths), caps.SOURCE_LOCAL_FOLLOW_PATHS),
        ("local.excludepatterns", _json_list(exclude_patterns), caps.SOURCE_LOCAL_EXCLUDE_PATTERNS),
        ("local.sharedkeyhint", shared_key_hint, caps.SOURCE_LOCAL_SHARED_KEY_HINT),
    )
    attrs = {key: value for key, value, _ in options if value}
    constraints = constraints.with_caps(caps.SOURCE_LOCAL, *(cap for _, value, cap in options if value))
    if differ:
        # Not required of the engine, hence without a capability.
        attrs["local.differ"] = differ
    return source(_LOCAL + name, attrs, constraints)


def http(
    url: str,
    constraints: Constraints,
    *,
    filename: str = "",
    checksum: str = "",
    mode: int = 0,
    uid: int = 0,
    gid: int = 0,
    auth_header_secret: str = "",
) -> Output:
    """A file from the web as a tree with one file. `checksum` is a digest, `mode` permission bits (0: default)."""
    attrs = {}
    if checksum:
        attrs["http.checksum"] = checksum
        constraints = constraints.with_caps(caps.SOURCE_HTTP_CHECKSUM)
    if filename:
        attrs["http.filename"] = filename
    if mode & 0o777:
        attrs["http.perm"] = f"0{mode & 0o777:o}"
        constraints = constraints.with_caps(caps.SOURCE_HTTP_PERM)
    for key, value in (("http.uid", uid), ("http.gid", gid)):
        if value:
            attrs[key] = str(value)
            constraints = constraints.with_caps(caps.SOURCE_HTTP_UID_GID)
    if auth_header_secret:
        attrs["http.authheadersecret"] = auth_header_secret
        constraints = constraints.with_caps(caps.SOURCE_HTTP_AUTH)
    return source(url, attrs, constraints.with_caps(caps.SOURCE_HTTP))


@dataclass(frozen=True, slots=True)
class GitOptions:
    """What to take of a repository. `checksum` is a commit or a prefix of one; `mtime` `checkout` or `commit`."""

    ref: str = ""
    sub_dir: str = ""
    keep_git_dir: bool = False
    checksum: str = ""
    skip_submodules: bool = False
    mtime: str = ""
    advice: bool = False
    fetch_by_commit: bool = False
    mount_ssh_sock: str = "default"


def git(
    url: str,
    constraints: Constraints,
    options: GitOptions,
    *,
    known_hosts: Callable[[str], str] | None = None,
) -> Output:
    """A git repository. For ssh URLs `known_hosts(host)` gives the `known_hosts` lines to trust; when it is None or
    gives nothing the attribute is left out, as BuildKit does when its key scan fails."""
    remote: GitUrl | None
    try:
        try:
            remote = parse_git_url(url)
        except UnknownProtocol:
            url = "https://" + url
            remote = parse_git_url(url)
        url = remote.remote
    except ValueError:
        remote = None
    flags = (
        ("git.keepgitdir", "true" if options.keep_git_dir else "", caps.SOURCE_GIT_KEEP_DIR),
        ("git.fullurl", url, caps.SOURCE_GIT_FULL_URL),
        ("git.checksum", options.checksum, caps.SOURCE_GIT_CHECKSUM),
        (
            "git.skipsubmodules",
            "true" if options.skip_submodules else "",
            caps.SOURCE_GIT_SKIP_SUBMODULES,
        ),
        ("git.mtime", options.mtime, caps.SOURCE_GIT_MTIME),
        (
            "git.fetchbycommit",
            "true" if options.fetch_by_commit else "",
            caps.SOURCE_GIT_FETCH_BY_COMMIT,
        ),
    )
    attrs = {"git.authtokensecret": GIT_AUTH_TOKEN, "git.authheadersecret": GIT_AUTH_HEADER}
    attrs.update((key, value) for key, value, _ in flags if value)
    constraints = constraints.with_caps(caps.SOURCE_GIT, *(cap for _, value, cap in flags if value))
    if options.advice:
        attrs["git.advice"] = "true"
    if remote is not None and remote.scheme == "ssh":
        hosts = known_hosts(remote.host) if known_hosts is not None else ""
        if hosts:
            attrs["git.knownsshhosts"] = hosts
        attrs["git.mountsshsock"] = options.mount_ssh_sock
        constraints = constraints.with_caps(caps.SOURCE_GIT_KNOWN_SSH_HOSTS, caps.SOURCE_GIT_MOUNT_SSH_SOCK)
    return source("git://" + _git_identifier(url, remote, options), attrs, constraints)


def _git_identifier(url: str, remote: GitUrl | None, options: GitOptions) -> str:
    if remote is None:
        return url
    path = rooted_path(remote.path)
    identifier = remote.host + path
    if options.ref or options.sub_dir:
        identifier += "#" + options.ref
        if options.sub_dir:
            identifier += ":" + options.sub_dir
    return identifier


def _json_list(values: Sequence[str]) -> str:
    return compact_json(list(values)) if values else ""
