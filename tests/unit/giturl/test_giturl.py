"""Git references as dockerfile.md §13.3 and §7.5 state them."""

from __future__ import annotations

import pytest

from bakehouse.errors import DefinitionError
from bakehouse.giturl import (
    GitRef,
    UnknownProtocol,
    is_git_ssh,
    is_remote_url,
    parse_git_ref,
    parse_git_url,
    url_path,
    without_passwords,
)


@pytest.mark.parametrize(
    "text",
    [
        "./x.git",
        "../x",
        "host:path",
        "ftp://h/x.git",
        "https://h/x",
        "https://h/x.git/",
        "a b",
        "dir/file",
        "",
    ],
)
def test_what_is_no_git_reference(text: str) -> None:
    assert parse_git_ref(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://github.com/o/r.git", GitRef("https://github.com/o/r.git")),
        (
            "https://github.com/o/r.git#v1:sub/dir",
            GitRef("https://github.com/o/r.git", "v1", sub_dir="sub/dir"),
        ),
        ("https://github.com/o/r.git#:d/../e", GitRef("https://github.com/o/r.git", sub_dir="e")),
        ("git@h.x:o/r.git#main", GitRef("git@h.x:o/r.git", "main")),
        ("ssh://git@h.x/o/r", GitRef("ssh://git@h.x/o/r")),
        ("git://h.x/r", GitRef("git://h.x/r", unencrypted=True)),
        ("github.com/o/r", GitRef("github.com/o/r", looks_local=True)),
        ("https://h/r.git?tag=v1", GitRef("https://h/r.git", "refs/tags/v1")),
        ("https://h/r.git?branch=b&subdir=s", GitRef("https://h/r.git", "refs/heads/b", sub_dir="s")),
        ("https://h/r.git?commit=ab#x", GitRef("https://h/r.git", "x", "ab")),
        (
            "https://h/r.git?keep-git-dir&submodules=false&mtime=commit",
            GitRef("https://h/r.git", keep_git_dir=True, submodules=False, mtime="commit"),
        ),
    ],
)
def test_git_references(text: str, expected: GitRef) -> None:
    assert parse_git_ref(text) == expected


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("ref=br#main", 'ref conflicts: "main" vs "br"'),
        ("subdir=a#:b", 'subdir conflicts: "b" vs "a"'),
        ("foo=1", 'unexpected query "foo"'),
        ("ref=", 'query "ref" has no value'),
        ("ref=a&ref=b", 'query "ref" has multiple values'),
        ("tag=a&branch=b", "branch conflicts with tag"),
        ("submodules=maybe", 'invalid submodules value: "maybe"'),
        ("mtime=now", 'invalid mtime value: "now" (must be "checkout" or "commit")'),
    ],
)
def test_wrong_queries(query: str, message: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        parse_git_ref("https://h/r.git?" + query)
    assert caught.value.message == message


def test_url_parts() -> None:
    url = parse_git_url("https://user:pw@h.x:8443/a%20b/r.git?ref=x#y:z")
    assert (url.scheme, url.host, url.path) == ("https", "h.x:8443", "/a b/r.git")
    assert url.remote == "https://user:pw@h.x:8443/a%20b/r.git"
    assert url.query == (("ref", "x"),)
    with pytest.raises(UnknownProtocol):
        parse_git_url("plain/path")
    with pytest.raises(ValueError, match="invalid protocol"):
        parse_git_url("ftp://x")


@pytest.mark.parametrize(
    ("text", "path"),
    [("http://h/a%20b?q=/c#d", "/a b"), ("http://h", ""), ("http://h/%zz", None), ("http://h:x/a", None)],
)
def test_url_paths(text: str, path: str | None) -> None:
    assert url_path(text) == path


@pytest.mark.parametrize(
    ("value", "remote"),
    [
        ("https://example.com/x", True),
        ("git@github.com:o/r", True),
        ("git://h/p", True),
        ("github.com/o/r", True),
        ("user@host:path", True),
        ("./github.com/o/r", False),
        ("../git@h:p", False),
        ("../user@host:path", False),
        ("ssh://h/p", True),
        ("https://host/o/r.git?nonsense=1", True),
        ("docker-image://alpine", False),
        ("oci-layout://dir@sha256:0", False),
        ("target:base", False),
        ("cwd://x", False),
        (".", False),
        ("HTTP://x", False),
        ("dir/sub", False),
    ],
)
def test_remote_values(value: str, remote: bool) -> None:
    """bake.md §18."""
    assert is_remote_url(value) is remote


@pytest.mark.parametrize(
    ("value", "ssh"),
    [
        ("ssh://git@h/p", True),
        ("git@h:p", True),
        ("user@host:path", True),
        ("https://h/p.git", False),
        ("git://h/p", False),
        ("github.com/o/r", False),
        ("dir@x", False),
        (".", False),
    ],
)
def test_repositories_that_need_an_agent(value: str, ssh: bool) -> None:
    assert is_git_ssh(value) is ssh


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:secret@h/x.git", "https://me:xxxxx@h/x.git"),
        ("load git source https://me:s3:c@h:8/x#r and ssh://u:p@i/y", None),
        ("https://me@h/x.git", "https://me@h/x.git"),
        ("https://h:8443/a@b", "https://h:8443/a@b"),
        ("https://h/x?q=a:b@c", "https://h/x?q=a:b@c"),
        ("git@h:p", "git@h:p"),
    ],
)
def test_passwords_are_not_shown(text: str, shown: str | None) -> None:
    """As Go's URL.Redacted prints them."""
    if shown is None:
        shown = "load git source https://me:xxxxx@h:8/x#r and ssh://u:xxxxx@i/y"
    assert without_passwords(text) == shown
