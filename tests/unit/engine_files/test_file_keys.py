"""Cache keys of file operations: BuildKit's golden digests (engine.md §27.3) and selectors (§8.3)."""

from __future__ import annotations

import base64
import hashlib

import pytest

from bakehouse.engine.ops.file_keys import file_cache_map
from bakehouse.errors import DefinitionError
from bakehouse.llb.ops import Chown, Copy, FileAction, FileOp, MkDir, MkFile, Rm, User


def sha(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def test_golden_copy_onto_scratch() -> None:
    action = Copy("/", "/", dir_copy_contents=True, create_dest_path=True)
    cache_map = file_cache_map(FileOp((FileAction(action, -1, 0, 0),)), 1)
    assert cache_map.digest == "sha256:3f73d0c3222577bb6cff3a08c490beb6e42e82eff235650475119084fbbf4523"
    assert cache_map.inputs[0].selector == sha(b"/")
    assert cache_map.inputs[0].content is not None


def test_default_indexes_are_left_out_and_copied_sources_are_base_names() -> None:
    op = FileOp(
        (
            FileAction(MkDir("/w", 0o755, make_parents=True), 0, -1, -1),
            FileAction(Copy("/a/b/f", "/w/", follow_symlink=True), 2, 1, 0),
        )
    )
    actions = [
        '{"path":"/w","mode":493,"makeParents":true,"timestamp":-1}',
        '{"src":"f","dest":"/w/","mode":-1,"followSymlink":true,"timestamp":-1}',
    ]
    encoded = ",".join(f'"{base64.b64encode(text.encode()).decode()}"' for text in actions)
    expected = sha(f'{{"Type":"buildkit.file.v0","Actions":[{encoded}]}}'.encode())
    cache_map = file_cache_map(op, 2)
    assert cache_map.digest == expected
    assert cache_map.inputs[0].content is None
    assert cache_map.inputs[0].selector == ""
    assert cache_map.inputs[1].selector == sha(b"/a/b/f")


def test_selectors_join_paths_in_descending_order() -> None:
    op = FileOp(
        (
            FileAction(Copy("/a", "/"), -1, 0, -1),
            FileAction(Copy("/b", "/"), 1, 0, 0),
        )
    )
    assert file_cache_map(op, 1).inputs[0].selector == sha(b"/b\0/a")


def test_owner_by_name_selects_the_user_databases() -> None:
    owner = Chown(User(name="bob", input=0), User(name="staff", input=0))
    op = FileOp((FileAction(Copy("/a", "/", owner=owner), -1, 1, 0),))
    cache_map = file_cache_map(op, 2)
    assert cache_map.inputs[0].selector == sha(b"/etc/passwd\0/etc/group")
    text = (
        '{"src":"a","dest":"/","owner":{"user":{"User":{"byName":{"name":"bob"}}},'
        '"group":{"User":{"byName":{"name":"staff"}}}},"mode":-1,"timestamp":-1}'
    )
    encoded = base64.b64encode(text.encode()).decode()
    expected = f'{{"Type":"buildkit.file.v0","Actions":["{encoded}"],"indexes":[[-1,1,0]]}}'
    assert cache_map.digest == sha(expected.encode())


@pytest.mark.parametrize(("uid", "shown"), [(5, '{"User":{"byId":5}}'), (0, '{"User":{}}')])
def test_owner_by_number(uid: int, shown: str) -> None:
    op = FileOp((FileAction(MkFile("/f", 0o600, b"<&>", Chown(User(uid))), -1, -1, 0),))
    text = (
        f'{{"path":"/f","mode":384,"data":"{base64.b64encode(b"<&>").decode()}","owner":{{"user":{shown}}},'
        '"timestamp":-1}'
    )
    encoded = base64.b64encode(text.encode()).decode()
    expected = f'{{"Type":"buildkit.file.v0","Actions":["{encoded}"],"indexes":[[-1,-1,0]]}}'
    assert file_cache_map(op, 0).digest == sha(expected.encode())


def test_user_of_no_tree_is_refused() -> None:
    owner = Chown(User(name="bob", input=-1))
    op = FileOp((FileAction(Copy("/a", "/", owner=owner), -1, 0, 0),))
    with pytest.raises(DefinitionError, match="invalid user index -1"):
        file_cache_map(op, 1)


def test_modified_inputs_have_neither_selector_nor_content() -> None:
    op = FileOp((FileAction(Rm("/x", allow_wildcard=True), 0, -1, 0),))
    (key,) = file_cache_map(op, 1).inputs
    assert (key.selector, key.content) == ("", None)
