"""Sources of ADD that come over the network: git references and http files (dockerfile.md §7.5, §13.3)."""

from __future__ import annotations

from bakehouse.dockerfile.instructions import AddCommand
from bakehouse.dockerfile.lowering.conversion import COMMAND_KEY, Conversion
from bakehouse.dockerfile.positions import DockerfileError
from bakehouse.errors import DefinitionError
from bakehouse.giturl import GitRef, parse_git_ref, url_path
from bakehouse.go.paths import base_name
from bakehouse.go.text import quote
from bakehouse.llb import state
from bakehouse.llb.draft import Constraints
from bakehouse.llb.sources import GitOptions
from bakehouse.llb.state import State
from bakehouse.oci.digest import Digest

_UNNAMED = "__unnamed__"


def git_reference(text: str) -> GitRef | None:
    """The git reference that a source word is, or None. Raises `DockerfileError` for a wrong query."""
    try:
        return parse_git_ref(text)
    except DefinitionError as error:
        raise DockerfileError(error.message, code=error.code) from None


def is_http(text: str) -> bool:
    """Whether a source word is a URL to download, rather than a repository or a path."""
    return text.startswith(("http://", "https://")) and not _is_git(text)


def is_remote(text: str) -> bool:
    """Whether a source word can have a checksum."""
    return is_http(text) or _is_git(text)


def _is_git(text: str) -> bool:
    try:
        return parse_git_ref(text) is not None
    except DefinitionError:
        # Meant as git, but wrong; where it is used the error comes up.
        return False


def git_tree(conversion: Conversion, command: AddCommand, ref: GitRef, name: str) -> State:
    """The checkout of `ref` as the flags of ADD want it. Raises `DockerfileError` when flags and URL disagree."""
    keep = command.keep_git_dir
    if keep is not None and ref.keep_git_dir is not None and keep != ref.keep_git_dir:
        raise DockerfileError("inconsistent keep-git-dir configuration", code="inconsistent-git-options")
    if command.checksum and ref.checksum and command.checksum != ref.checksum:
        raise DockerfileError(
            f"checksum mismatch {quote(command.checksum)} != {quote(ref.checksum)}",
            code="inconsistent-git-options",
        )
    options = GitOptions(
        ref=ref.ref,
        sub_dir=ref.sub_dir,
        keep_git_dir=bool(keep if ref.keep_git_dir is None else ref.keep_git_dir),
        checksum=ref.checksum or command.checksum,
        skip_submodules=ref.submodules is False,
        advice=conversion.request.git_advice,
        fetch_by_commit=ref.fetch_by_commit,
    )
    return state.git(
        ref.remote,
        options,
        known_hosts=conversion.request.known_hosts,
        constraints=Constraints().named(name),
    )


def http_tree(url: str, checksum: str, name: str) -> tuple[State, str]:
    """The download of `url` and the name of its file. Raises `DockerfileError` for a malformed checksum."""
    filename = http_filename(url)
    constraints = Constraints().named(name).described(COMMAND_KEY, "")
    tree = state.http(url, filename=filename, checksum=checked_digest(checksum), constraints=constraints)
    return tree, filename


def http_filename(url: str) -> str:
    """The last element of the URL's path."""
    path = url_path(url)
    name = _UNNAMED if path is None else base_name(path)
    return _UNNAMED if name in (".", "/") else name


def checked_digest(text: str) -> str:
    """`text` if it is a digest or empty. Raises `DockerfileError` (code `invalid-digest`)."""
    if not text:
        return ""
    try:
        return str(Digest(text))
    except DefinitionError as error:
        raise DockerfileError(error.message, code=error.code) from None
