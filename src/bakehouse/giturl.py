"""Git URLs and git references of BuildKit (dockerfile.md §13.3): `git://`, `ssh://`, `http(s)://`, `user@host:path`;
and which texts name something remote at all (bake.md §18).

Only text is looked at here; nothing is fetched. Definition files are full of texts that are ordinary paths: telling
those costs no import.
"""

from __future__ import annotations

from bakehouse.errors import DefinitionError
from bakehouse.go.paths import rooted_path
from bakehouse.go.text import quote
from bakehouse.go.values import FALSE, TRUE
from bakehouse.lazy import regex
from bakehouse.values import dataclass, field, replace

_PROTOCOL = regex(r"[a-zA-Z0-9]+://")
_SUPPORTED = ("http", "https", "ssh", "git")
_SCP_STYLE = regex(r"([a-zA-Z0-9_-]+)@([a-zA-Z0-9.-]+):(.*?)(?:\?(.*?))?(?:#(.*))?\Z")
_ESCAPED_PATH = regex(r"(?:[A-Za-z0-9$&+,/:;=@!'()*~._\[\]-]|%[0-9A-Fa-f]{2})*")
_BAD_ESCAPE = regex(r"%(?![0-9A-Fa-f]{2})")
# The characters of Go's URLs; a host may hold escapes of bytes beyond ASCII only.
_USERINFO = regex(r"[A-Za-z0-9._:~!$&'()*+,;=%@-]*\Z")
_HOST = regex(r"""(?:[A-Za-z0-9._~!$&'()*+,;=:\[\]<>"-]|[^\x00-\x7f]|%[89A-Fa-f][0-9A-Fa-f])*\Z""")
# What Go's url.URL writes unescaped in a user name, in a host, and in a path.
_USER_SAFE = "$&+,;=-._~"
_HOST_SAFE = "!$&'()*+,;=:[]<>\"~-._"
_PATH_SAFE = "$&+,/:;=@!'()*~-._"
_FLAGS = ("submodules", "keep-git-dir", "fetch-by-commit")


_PASSWORD = regex(r"(://[^/?#@:\s]*:)[^/?#@\s]*@")
_WITHOUT_SCHEME = "github.com/"


def is_remote_url(text: str) -> bool:
    """Whether `text` is an HTTP(S) URL or a git reference, a faulty one included: buildx's test for contexts."""
    if text.startswith(("http://", "https://")):
        return True
    if not (text.startswith(_WITHOUT_SCHEME) or "://" in text or "@" in text):
        return False
    try:
        return parse_git_ref(text) is not None
    except DefinitionError:
        return True


def is_git_ssh(text: str) -> bool:
    """Whether `text` is a git reference that is fetched over SSH."""
    if not ("://" in text or "@" in text):
        return False
    try:
        return parse_git_url(text).scheme == "ssh"
    except ValueError:
        return False


def without_passwords(text: str) -> str:
    """`text` with the passwords of all URLs in it made unreadable, as Go prints URLs."""
    return _PASSWORD.sub(r"\1xxxxx@", text) if "://" in text else text


class UnknownProtocol(ValueError):
    """The text is no git URL: it has neither a scheme nor the form `user@host:path`."""


@dataclass(frozen=True, slots=True)
class GitUrl:
    """A remote repository. `remote` is what git is given: the URL without query and fragment. `ref` and `sub_dir`
    come from the fragment; `query` holds (key, value) pairs in order."""

    scheme: str
    host: str
    path: str
    remote: str
    ref: str = ""
    sub_dir: str = ""
    query: tuple[tuple[str, str], ...] = ()


def parse_git_url(text: str) -> GitUrl:
    """Reads `text`. Raises `UnknownProtocol`, or another `ValueError` when the scheme is not git's or the URL is
    malformed."""
    protocol = _PROTOCOL.match(text)
    if protocol is not None:
        scheme = protocol[0][:-3].lower()
        if scheme not in _SUPPORTED:
            raise ValueError(f"{scheme}: invalid protocol")
        return _parse_url(text)
    match = _SCP_STYLE.match(text)
    if match is None:
        raise UnknownProtocol("unknown protocol")
    user, host, path, query, fragment = match.groups()
    ref, sub_dir = _split_fragment(fragment or "")
    return GitUrl("ssh", host, path, f"{user}@{host}:{path}", ref, sub_dir, parse_query(query or ""))


def _parse_url(text: str) -> GitUrl:
    """What Go's `net/url` makes of an absolute URL, as far as git needs it. Raises `ValueError`."""
    if any(ord(char) < 0x20 or char == "\x7f" for char in text):
        raise ValueError("invalid control character in URL")
    rest, _, fragment = text.partition("#")
    rest, question, query = rest.partition("?")
    scheme, _, after = rest.partition("://")
    authority, slash, raw_path = after.partition("/")
    path = _unescape(slash + raw_path)
    userinfo, at, host = authority.rpartition("@")
    if not _USERINFO.match(userinfo):
        raise ValueError("net/url: invalid userinfo")
    if not _HOST.match(host) or host.rfind("[") > 0:
        raise ValueError("invalid character in host name")
    userinfo = ":".join(_percent_encoded(_unescape(part), _USER_SAFE) for part in userinfo.split(":", 1))
    _check_port(host)
    # Go leaves the slashes out where nothing follows them.
    slashes = "//" if after else ""
    host = _unescape(host)
    written = _percent_encoded(host, _HOST_SAFE)
    remote = f"{scheme.lower()}:{slashes}{userinfo}{at}{written}{_escaped_path(slash + raw_path, path)}"
    if question and not query:
        # Go keeps a bare question mark.
        remote += "?"
    ref, sub_dir = _split_fragment(_unescape(fragment))
    return GitUrl(scheme.lower(), host, path, remote, ref, sub_dir, parse_query(query))


def _escaped_path(raw: str, path: str) -> str:
    """The path as Go prints it: the writer's own escaping when it is a valid one, else Go's."""
    if _ESCAPED_PATH.fullmatch(raw):
        return raw
    return _percent_encoded(path, _PATH_SAFE)


def _percent_encoded(text: str, safe: str) -> str:
    if text.isascii() and text.replace(".", "").replace("-", "").isalnum():
        # The library is not worth its start for what needs no encoding.
        return text
    from urllib.parse import quote as percent_encode

    return percent_encode(text, safe=safe, errors="surrogateescape")


def _check_port(host: str) -> None:
    after_address = host.rpartition("]")[2] if host.startswith("[") else host
    _, colon, port = after_address.partition(":")
    if colon and port and not (port.isascii() and port.isdigit()):
        raise ValueError(f'invalid port ":{port}" after host')


def _unescape(text: str) -> str:
    if _BAD_ESCAPE.search(text):
        raise ValueError("invalid URL escape")
    if "%" not in text:
        return text
    from urllib.parse import unquote

    return unquote(text, errors="surrogateescape")


def parse_query(query: str) -> tuple[tuple[str, str], ...]:
    """The pairs of a query string; those that Go's parser rejects (bad escapes, semicolons) are dropped."""
    out = []
    for part in query.split("&") if query else ():
        if not part or ";" in part:
            continue
        key, _, value = part.partition("=")
        try:
            out.append((_unescape(key.replace("+", " ")), _unescape(value.replace("+", " "))))
        except ValueError:
            continue
    return tuple(out)


def _split_fragment(fragment: str) -> tuple[str, str]:
    ref, _, sub_dir = fragment.partition(":")
    return ref, rooted_path(sub_dir)[1:] if fragment else ""


@dataclass(frozen=True, slots=True)
class GitRef:
    """A git reference as contexts and ADD accept it. `looks_local` marks `github.com/o/r`, which could also be a
    path. None flags were not given."""

    remote: str
    ref: str = ""
    checksum: str = ""
    sub_dir: str = ""
    looks_local: bool = False
    unencrypted: bool = False
    keep_git_dir: bool | None = None
    submodules: bool | None = None
    mtime: str = ""
    fetch_by_commit: bool = False
    short_name: str = field(default="", compare=False)


def parse_git_ref(text: str) -> GitRef | None:
    """The git reference that `text` is, or None when it is something else (a path, an ordinary URL).

    Raises `DefinitionError` (code `invalid-git-reference`) when it is one, but its query is wrong.
    """
    if text.startswith(("./", "../")):
        return None
    looks_local = text.startswith(_WITHOUT_SCHEME)
    try:
        url = parse_git_url("https://" + text if looks_local else text)
    except ValueError:
        return None
    if not looks_local and url.scheme in ("http", "https") and not url.path.endswith(".git"):
        return None
    remote = url.remote.partition("://")[2] if looks_local else url.remote
    return _with_query(
        GitRef(
            remote=remote,
            ref=url.ref,
            sub_dir=url.sub_dir,
            looks_local=looks_local,
            unencrypted=not looks_local and url.scheme in ("http", "git"),
            short_name=remote.rpartition("/")[2].removesuffix(".git"),
        ),
        url.query,
    )


def _invalid(message: str) -> DefinitionError:
    return DefinitionError(message, code="invalid-git-reference")


def _with_query(git_ref: GitRef, query: tuple[tuple[str, str], ...]) -> GitRef:
    values: dict[str, str] = {}
    for key, value in query:
        if key in values:
            raise _invalid(f"query {quote(key)} has multiple values")
        if not value and key not in _FLAGS:
            raise _invalid(f"query {quote(key)} has no value")
        values[key] = value
    changes: dict[str, object] = {}
    ref = _agreeing("ref", git_ref.ref, values.get("ref"))
    sub_dir = _agreeing("subdir", git_ref.sub_dir, values.get("subdir"))
    for key, value in values.items():
        if key in ("checksum", "commit"):
            changes["checksum"] = value
        elif key in _FLAGS:
            changes[key.replace("-", "_")] = _flag(key, value)
        elif key == "mtime":
            if value not in ("checkout", "commit"):
                raise _invalid(f'invalid mtime value: {quote(value)} (must be "checkout" or "commit")')
            changes["mtime"] = value
        elif key not in ("ref", "subdir", "tag", "branch"):
            raise _invalid(f"unexpected query {quote(key)}")
    tag, branch = values.get("tag", ""), values.get("branch", "")
    if tag:
        ref = _agreeing("ref", ref, "refs/tags/" + tag.removeprefix("refs/tags/"))
    if branch:
        if tag:
            raise _invalid("branch conflicts with tag")
        ref = _agreeing("ref", ref, "refs/heads/" + branch.removeprefix("refs/heads/"))
    return _replace(git_ref, ref=ref, sub_dir=sub_dir, **changes)


def _replace(git_ref: GitRef, **changes: object) -> GitRef:
    return replace(git_ref, **changes)  # type: ignore[arg-type]  # the keys above are field names


def _agreeing(what: str, first: str, second: str | None) -> str:
    if second is None:
        return first
    if first and first != second:
        raise _invalid(f"{what} conflicts: {quote(first)} vs {quote(second)}")
    return second


def _flag(key: str, value: str) -> bool:
    if value in TRUE or not value:
        return True
    if value in FALSE:
        return False
    raise _invalid(f"invalid {key} value: {quote(value)}")


def url_path(text: str) -> str | None:
    """The decoded path of an absolute URL; None when Go's parser would refuse the URL."""
    try:
        return _parse_url(text).path
    except ValueError:
        return None
