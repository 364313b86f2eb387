"""BuildKit's golden digests (reference engine.md §27.2), and the rules of §9 that they do not reach."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from tests.unit.engine_files.trees import make_tree

from bakehouse.engine.contenthash import ContentHasher, combined_checksum
from bakehouse.engine.sources.context_walk import ContextDirectory
from bakehouse.engine.tree import Selection
from bakehouse.errors import NotFoundError

EMPTY = "sha256:" + hashlib.sha256(b"").hexdigest()
RECORD_A = "sha256:09eefdc91e8894bc767daae7daa5a4e8cbf396610f10ae20604d9086c76d4a93"
CONTENTS_SUB = "sha256:452a5b7911fd0aead65737c1ace42ad523054b97aa4eb26b3ab583a86c67d67f"


@pytest.fixture
def golden(tmp_path: Path) -> ContentHasher:
    make_tree(tmp_path, {"a.txt": "hello\n", "lnk": ("link", "a.txt"), "sub/b.txt": "x\n"})
    return ContentHasher(ContextDirectory(tmp_path))


@pytest.mark.parametrize(
    ("selection", "digest"),
    [
        (Selection("/a.txt"), RECORD_A.removeprefix("sha256:")),
        (Selection("/sub/b.txt"), "9482d408b62f5c19332e1a7a0773ce76bc50f2c7b0afb4a5a45655b703c85b03"),
        (Selection("/lnk"), "653b232d38441e60f35673ca781dca8fd169229d6500fa11cd461a7e10e02789"),
        (Selection("/sub"), CONTENTS_SUB.removeprefix("sha256:")),
        (Selection("/"), "f8aaa70d2bab8d3ba7cff78171d8a7d80997ba916152d5de49f330a3190518fb"),
        (
            Selection("/", include_patterns=("sub/**",)),
            "dbd10b52e09206eb81834c972c25bf5debd01d6397f7184acb94a09557e87035",
        ),
        (
            Selection("/", exclude_patterns=("*.txt",)),
            "a96bdb63771cdc9fc6ad5111d6ea36b43c86d52f747dea7d825864587463e86a",
        ),
        (
            Selection("/*.txt", wildcard=True),
            "5327aa97082cb09c666f18605295403e91a43812c875a76f5853b3436acb04b7",
        ),
    ],
)
def test_golden_digests(golden: ContentHasher, selection: Selection, digest: str) -> None:
    assert golden.checksum(selection) == f"sha256:{digest}"


def test_content_function_hashes_again_even_for_one_path(golden: ContentHasher) -> None:
    expected = "sha256:f4c1b8c93f16151660ddefa6e7e27842486b1a5746948a48695d282faa56a183"
    assert combined_checksum(golden, ()) == expected
    assert combined_checksum(golden, (Selection("/"),)) == expected


def test_followed_symlink_has_the_digest_of_its_target(golden: ContentHasher) -> None:
    assert golden.checksum(Selection("/lnk", follow_symlink=True)) == RECORD_A


def test_wildcard_that_matches_one_file_uses_the_list_form(golden: ContentHasher) -> None:
    pre_image = b"\0a.txt" + RECORD_A.encode()
    expected = "sha256:" + hashlib.sha256(pre_image).hexdigest()
    assert golden.checksum(Selection("/a*", wildcard=True)) == expected


def test_wildcard_that_matches_nothing_is_the_digest_of_nothing(golden: ContentHasher) -> None:
    assert golden.checksum(Selection("/*.zip", wildcard=True)) == EMPTY


def test_followed_symlinks_of_a_wildcard_use_the_target(golden: ContentHasher) -> None:
    pre_image = b"\0lnk" + RECORD_A.encode()
    expected = "sha256:" + hashlib.sha256(pre_image).hexdigest()
    assert golden.checksum(Selection("/ln*", wildcard=True, follow_symlink=True)) == expected


def test_absent_literal_path(golden: ContentHasher) -> None:
    with pytest.raises(NotFoundError, match=r'^"/nope": not found$'):
        golden.checksum(Selection("/nope"))


def test_required_path_must_be_included(golden: ContentHasher) -> None:
    selection = Selection("/", include_patterns=("sub/nope",), required_paths=("/sub/nope",))
    with pytest.raises(NotFoundError, match=r'^"/sub/nope": not found$'):
        golden.checksum(selection)
    found = Selection("/", include_patterns=("sub/b.txt",), required_paths=("/sub/b.txt",))
    assert golden.checksum(found) == golden.checksum(Selection("/", include_patterns=("sub/**",)))


def test_root_of_a_layer_tree_has_a_header_of_its_own(tmp_path: Path) -> None:
    make_tree(tmp_path, {"a.txt": "hello\n"})
    os.chmod(tmp_path, 0o755)
    owner = os.lstat(tmp_path)
    header = hashlib.sha256(
        f"namemode493uid{owner.st_uid}gid{owner.st_gid}size0typeflag5linknameunamegnamedevmajor0devminor0".encode()
    )
    text = b"\0" + f"sha256:{header.hexdigest()}".encode() + b"\0a.txt" + RECORD_A.encode()
    with ContentHasher.of_directory(tmp_path) as hasher:
        assert hasher.checksum(Selection("/")) == "sha256:" + hashlib.sha256(text).hexdigest()


def test_scratch_has_a_root_and_nothing_else() -> None:
    hasher = ContentHasher.of_nothing()
    assert hasher.checksum(Selection("/")) == EMPTY
    with pytest.raises(NotFoundError, match="/x: no such file or directory"):
        hasher.checksum(Selection("/x"))


def test_symlinked_parents_are_followed_inside_the_root_only(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/b.txt").write_text("secret")
    root = make_tree(
        tmp_path / "root",
        {
            "sub/b.txt": "x\n",
            "up": ("link", "../../sub"),
            "abs": ("link", "/sub"),
            "out": ("link", "../outside"),
        },
    )
    hasher = ContentHasher(ContextDirectory(root))
    expected = hasher.checksum(Selection("/sub/b.txt"))
    assert hasher.checksum(Selection("/up/b.txt")) == expected
    assert hasher.checksum(Selection("/abs/b.txt")) == expected
    with pytest.raises(NotFoundError):
        hasher.checksum(Selection("/out/b.txt"))


def test_symlink_loop_is_an_error(tmp_path: Path) -> None:
    make_tree(tmp_path, {"a": ("link", "b"), "b": ("link", "a")})
    with pytest.raises(NotFoundError, match="too many links"):
        ContentHasher(ContextDirectory(tmp_path)).checksum(Selection("/a/x"))


def test_time_and_owner_do_not_count_but_mode_does(tmp_path: Path) -> None:
    make_tree(tmp_path, {"f": "x"})
    before = ContentHasher(ContextDirectory(tmp_path)).checksum(Selection("/"))
    os.utime(tmp_path / "f", ns=(1, 1))
    assert ContentHasher(ContextDirectory(tmp_path)).checksum(Selection("/")) == before
    os.chmod(tmp_path / "f", 0o600)
    assert ContentHasher(ContextDirectory(tmp_path)).checksum(Selection("/")) != before


def test_names_beginning_with_ff_below_a_directory_count_twice(tmp_path: Path) -> None:
    """BuildKit's iterator meets such an entry again after its directory; the key must say the same."""
    make_tree(tmp_path, {"d/a": ""})
    (tmp_path / os.fsdecode(b"d/\xffz")).write_bytes(b"")
    os.chmod(tmp_path / os.fsdecode(b"d/\xffz"), 0o644)
    hasher = ContentHasher(ContextDirectory(tmp_path))
    contents, late = hasher.checksum(Selection("/d")), hasher.checksum(Selection(os.fsdecode(b"/d/\xffz")))
    text = b"\0" + EMPTY.encode() + b"\0d" + contents.encode() + b"\0d\0\xffz" + late.encode()
    assert hasher.checksum(Selection("/")) == "sha256:" + hashlib.sha256(text).hexdigest()
