"""Cache digests, selectors and content functions of exec ops (engine.md §8.2, §8.3, §27.3)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import pytest

from bakehouse.engine.ops.exec_key import exec_cache_map, exec_preimage
from bakehouse.engine.tree import Selection
from bakehouse.errors import DefinitionError
from bakehouse.llb.ops import (
    CACHE_LOCKED,
    CONTENT_CACHE_OFF,
    CONTENT_CACHE_ON,
    MOUNT_CACHE,
    MOUNT_SECRET,
    MOUNT_TMPFS,
    CacheOpt,
    ExecOp,
    LlbPlatform,
    Meta,
    Mount,
    ProxyEnv,
    SecretOpt,
    Ulimit,
)

AMD64 = LlbPlatform("linux", "amd64")
ROOT = Mount("/", input=0)
WHOLE = "sha256:8a5edab282632443219e051e4ade2d1d5bbc671c781051bf1437897cbdfea0f1"


class Recorder:
    """Stands for a tree; keeps what it is asked to hash."""

    def __init__(self) -> None:
        self.asked: Sequence[Selection] = ()

    def checksum(self, selections: Sequence[Selection]) -> str:
        self.asked = selections
        return "sha256:0"


def test_the_golden_step_of_the_reference() -> None:
    op = ExecOp(Meta(("/bin/sh", "-c", "echo out; echo err >&2; exit 7")), (ROOT,))
    assert exec_preimage(op, AMD64) == (
        b'{"Type":"buildkit.exec.v0","Exec":{"meta":{"args":["/bin/sh","-c",'
        b'"echo out; echo err \\u003e\\u00262; exit 7"],"cwd":"/"}},"OS":"linux","Arch":"amd64"}'
    )
    keys = exec_cache_map(op, AMD64, 1)
    assert keys.digest == "sha256:a1ba3801c954d60026114890b286aafb989eacd6678c6065b82a29fabd5bdd29"
    assert (keys.inputs[0].selector, keys.inputs[0].content) == (WHOLE, None)


def preimage(op: ExecOp, platform: LlbPlatform = AMD64) -> Any:
    return json.loads(exec_preimage(op, platform))


def test_proxies_addresses_and_selectors_stay_out() -> None:
    meta = Meta(("x",), proxy_env=ProxyEnv("http://p"), extra_hosts=(("db", "10.0.0.1"),))
    value = preimage(ExecOp(meta, (ROOT, Mount("/m", input=1, selector="/sub", readonly=True, output=-1))))
    assert value["Exec"]["meta"] == {"args": ["x"], "cwd": "/", "extraHosts": [{"Host": "db"}]}
    assert value["Exec"]["mounts"] == [
        {"dest": "/"},
        {"input": 1, "dest": "/m", "output": -1, "readonly": True},
    ]


def test_every_other_field_has_its_place() -> None:
    op = ExecOp(
        Meta(
            ("x",),
            env=("A=1",),
            cwd="/w",
            user="u",
            hostname="h",
            ulimits=(Ulimit("nofile", 1, 2),),
            cgroup_parent="/p",
            remove_mount_stubs_recursive=True,
            valid_exit_codes=(0, 3),
        ),
        (ROOT,),
        network=2,
        security=1,
    )
    platform = LlbPlatform("linux", "arm", "v7", "1", ("f",))
    assert exec_preimage(op, platform).decode() == (
        '{"Type":"buildkit.exec.v0","Exec":{"meta":{"args":["x"],"env":["A=1"],"cwd":"/w","user":"u","hostname":"h",'
        '"ulimit":[{"Name":"nofile","Soft":1,"Hard":2}],"cgroupParent":"/p","removeMountStubsRecursive":true,'
        '"validExitCodes":[0,3]},"network":2,"security":1},'
        '"OS":"linux","Arch":"arm","Variant":"v7","OSVersion":"1","OSFeatures":["f"]}'
    )


@pytest.mark.parametrize(
    ("cache", "kept"),
    [
        (CacheOpt("//c"), True),
        (CacheOpt("/c"), True),
        (CacheOpt("ns//c"), True),
        (CacheOpt("other"), False),
        (CacheOpt("/c", CACHE_LOCKED), False),
    ],
)
def test_only_default_cache_ids_enter_the_key(cache: CacheOpt, kept: bool) -> None:
    """`/c` is the destination itself, `//c` and `ns//c` the frontend's `NAMESPACE/DEST`."""
    mount = Mount("/c", input=-1, output=-1, mount_type=MOUNT_CACHE, cache=cache)
    value = preimage(ExecOp(Meta(("x",)), (ROOT, mount)))["Exec"]["mounts"][1]
    assert value["cacheOpt"] == ({"ID": cache.id} if kept else {})


def test_mount_options_are_objects_even_when_empty() -> None:
    mounts = (
        ROOT,
        Mount("/t", output=-1, mount_type=MOUNT_TMPFS, tmpfs_size=0),
        Mount("/s", mount_type=MOUNT_SECRET, secret=SecretOpt("k", mode=0o400, optional=True)),
    )
    value = preimage(ExecOp(Meta(("x",)), mounts))["Exec"]["mounts"]
    assert value[1] == {"input": -1, "dest": "/t", "output": -1, "mountType": 4, "TmpfsOpt": {}}
    assert value[2] == {
        "input": -1,
        "dest": "/s",
        "mountType": 1,
        "secretOpt": {"ID": "k", "mode": 256, "optional": True},
    }


def test_selectors_join_in_mount_order_and_content_is_deduplicated() -> None:
    mounts = (
        ROOT,
        Mount("/b", input=1, selector="b/../b", readonly=True, output=-1),
        Mount("/a", input=1, selector="/a", output=-1),
        Mount("/c", input=1, selector="/a/deep", readonly=True, output=-1),
    )
    key = exec_cache_map(ExecOp(Meta(("x",)), mounts), AMD64, 3).inputs
    assert key[1].selector == "sha256:" + hashlib.sha256(b"/b\0/a\0/a/deep").hexdigest()
    tree = Recorder()
    assert key[1].content is not None and key[1].content(tree) == "sha256:0"
    assert list(tree.asked) == [Selection("/a", follow_symlink=True), Selection("/b", follow_symlink=True)]
    assert (key[2].selector, key[2].content) == ("", None)


def test_a_whole_tree_is_asked_for_as_such() -> None:
    mounts = (ROOT, Mount("/b", input=1, output=1))
    key = exec_cache_map(ExecOp(Meta(("x",)), mounts), AMD64, 2).inputs[1]
    tree = Recorder()
    assert key.selector == WHOLE and key.content is not None
    key.content(tree)
    assert list(tree.asked) == [Selection("/")]


@pytest.mark.parametrize(
    ("mount", "by_content"),
    [
        (Mount("/m", input=0, selector="/s", output=0), False),
        (Mount("/m", input=0, selector="/s", output=-1), True),
        (Mount("/m", input=0, selector="/s", readonly=True), True),
        (Mount("/m", input=0, output=0), True),
        (Mount("/m", input=0, output=-1, content_cache=CONTENT_CACHE_OFF), False),
        (Mount("/", input=0, readonly=True), False),
        (Mount("/", input=0, readonly=True, content_cache=CONTENT_CACHE_ON), True),
    ],
)
def test_when_content_may_be_the_key(mount: Mount, by_content: bool) -> None:
    key = exec_cache_map(ExecOp(Meta(("x",)), (mount,)), AMD64, 1).inputs[0]
    assert (key.content is not None) is by_content


def test_forcing_an_unsafe_content_key_is_an_error() -> None:
    mount = Mount("/m", input=0, selector="/s", output=0, content_cache=CONTENT_CACHE_ON)
    with pytest.raises(DefinitionError) as caught:
        exec_cache_map(ExecOp(Meta(("x",)), (mount,)), AMD64, 1)
    assert caught.value.code == "invalid-mount"


def test_an_input_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(DefinitionError, match="input 5 does not exist"):
        exec_cache_map(ExecOp(Meta(("x",)), (Mount("/", input=5),)), AMD64, 1)
