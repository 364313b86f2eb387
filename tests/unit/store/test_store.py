"""The store: blobs, tables, processes that die, full disks, collection."""

from __future__ import annotations

import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.needs import needs_root

from bakehouse.errors import DefinitionError, EnvironmentFault, IntegrityError, NotFoundError
from bakehouse.linux import mounts, namespaces
from bakehouse.oci.digest import Digest
from bakehouse.oci.image import Descriptor
from bakehouse.store import PrunePolicy, Store, UsageRecord
from bakehouse.store.gc import matches
from bakehouse.store.layers import BlobRow, DirectoryRow, LayerRow
from bakehouse.store.recovery import recover

HELLO = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store") as opened:
        yield opened


def child(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True)


# Blobs ---------------------------------------------------------------------------------------------------------


def test_blob_round_trip(store: Store) -> None:
    digest = store.blobs.put(b"hello")
    assert digest == HELLO
    assert store.blobs.has(HELLO)
    assert store.blobs.size(HELLO) == 5
    assert store.blobs.read(HELLO, 5) == b"hello"
    assert store.blobs.path(HELLO) == store.root / "blobs" / "sha256" / HELLO[7:]
    with pytest.raises(IntegrityError) as caught:
        store.blobs.read(HELLO, 4)
    assert caught.value.code == "blob-too-large"


def test_missing_blob(store: Store) -> None:
    with pytest.raises(NotFoundError) as caught:
        store.blobs.open(HELLO)
    assert caught.value.code == "blob-missing"
    assert not store.blobs.has(HELLO)


@pytest.mark.parametrize("damage", [b"hellO", b"hell", b"hello!", b""])
def test_damaged_blob_is_noticed_and_set_aside(store: Store, damage: bytes) -> None:
    store.blobs.put(b"hello")
    path = store.blobs.path(HELLO)
    path.write_bytes(damage)
    with pytest.raises(IntegrityError) as caught, store.blobs.open(HELLO, 5) as reader:
        while reader.read(2):
            pass
    assert caught.value.code == "blob-corrupt"
    assert not store.blobs.has(HELLO)
    assert (store.root / "quarantine" / HELLO[7:]).exists()


def test_writer_checks_expectations_and_discards(store: Store) -> None:
    with store.blobs.writer() as writer:
        writer.write(b"other")
        with pytest.raises(IntegrityError) as caught:
            writer.commit(HELLO)
    assert caught.value.code == "digest-mismatch"
    with store.blobs.writer() as writer:
        writer.write(b"hello")
        with pytest.raises(IntegrityError) as caught:
            writer.commit(HELLO, 6)
    assert caught.value.code == "size-mismatch"
    with store.blobs.writer() as writer:
        writer.write(b"hello")
    assert list(store.blobs) == []
    assert [name for name in os.listdir(store.owner.directory) if name != "mounts"] == []


def test_sha512_blob(store: Store) -> None:
    with store.blobs.writer("sha512") as writer:
        writer.write(b"hello")
        digest, size = writer.commit()
    assert digest == "sha512:" + hashlib.sha512(b"hello").hexdigest()
    assert size == 5
    assert store.blobs.read(digest, 10) == b"hello"


def test_copy_is_independent(store: Store, tmp_path: Path) -> None:
    store.blobs.put(b"hello")
    store.blobs.link_or_copy(HELLO, tmp_path / "out")
    (tmp_path / "out").write_bytes(b"changed")
    assert store.blobs.read(HELLO, 5) == b"hello"


@needs_root
def test_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    seen: list[str | BaseException] = []

    def work() -> None:
        try:
            namespaces.unshare(namespaces.CLONE_NEWNS)
            mounts.make_private()
            mounts.mount("tmpfs", tmp_path, "tmpfs", 0, "size=2m")
            with Store.open(tmp_path / "store") as store:
                try:
                    with store.blobs.writer() as writer:
                        for _ in range(64):
                            writer.write(os.urandom(1 << 16))
                        writer.commit()
                except EnvironmentFault as error:
                    seen.append(error.code)
                seen.append(str(list(store.blobs)))
                seen.append(str(os.listdir(store.owner.directory)))
                store.blobs.put(b"hello")
                seen.append(store.blobs.read(HELLO, 5).decode())
        except BaseException as error:
            seen.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == ["disk-full", "[]", "['mounts']", "hello"]


# Processes -----------------------------------------------------------------------------------------------------

_HALF_WRITTEN = """
import sys, time
from bakehouse.store import Store
store = Store.open(sys.argv[1])
writer = store.blobs.writer()
writer.write(b"x" * 1000000)
store.owner.lease("layer", ["some-layer"])
with store.db.transaction():
    store.kv.put("space", "key", b"never committed")
    print("ready", flush=True)
    time.sleep(60)
"""


def test_killed_writer_leaves_a_usable_store(tmp_path: Path) -> None:
    with child(_HALF_WRITTEN, str(tmp_path / "store")) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGKILL)
        process.wait()
    owners = {name for name in os.listdir(tmp_path / "store" / "tmp") if not name.endswith(".lock")}
    assert len(owners) == 1
    with Store.open(tmp_path / "store") as store:
        assert not owners & set(os.listdir(tmp_path / "store" / "tmp"))
        assert list(store.blobs) == []
        assert store.kv.get("space", "key") is None
        assert store.owner.leased("layer") == set()
        assert store.blobs.put(b"hello") == HELLO
    assert os.listdir(tmp_path / "store" / "tmp") == []


_WORKER = """
import sys
from bakehouse.store import Store
with Store.open(sys.argv[1]) as store:
    for number in range(60):
        store.kv.put("count", f"{sys.argv[2]}-{number}", b"1")
        with store.cachekeys.batch():
            store.cachekeys.add_link("source", 0, "op", "", 0, f"t{number}")
            store.cachekeys.add_result(f"t{number}", sys.argv[2])
        store.blobs.put(b"blob %d" % number)
        with store.locks.locked("counter"):
            path = store.path("counter")
            value = int(path.read_text()) if path.exists() else 0
            path.write_text(str(value + 1))
"""


def test_processes_share_a_store(tmp_path: Path) -> None:
    workers = [child(_WORKER, str(tmp_path / "store"), str(number)) for number in range(3)]
    for worker in workers:
        worker.communicate()
        assert worker.returncode == 0
    with Store.open(tmp_path / "store") as store:
        assert len(store.kv.get_all("count")) == 180
        assert len(store.cachekeys.query_links("source", 0, "op", "", 0)) == 60
        assert {record for record, _ in store.cachekeys.results("t5")} == {"0", "1", "2"}
        assert len(list(store.blobs)) == 60
        assert store.path("counter").read_text() == "180"


def test_a_new_store_is_opened_by_many_at_once(tmp_path: Path) -> None:
    """The change to WAL mode of a new database waits for nobody by itself."""
    code = "import sys; from bakehouse.store import Store; Store.open(sys.argv[1]).close()"
    for attempt in range(3):
        processes = [child(code, str(tmp_path / str(attempt))) for _ in range(6)]
        for process in processes:
            process.communicate()
        assert [process.returncode for process in processes] == [0] * 6


def test_a_store_of_version_1_is_upgraded(tmp_path: Path) -> None:
    from bakehouse.store import schema

    (tmp_path / "store").mkdir()
    connection = sqlite3.connect(tmp_path / "store" / "bakehouse.db")
    connection.executescript(schema._VERSION_1)
    connection.execute(
        "INSERT INTO layers VALUES ('l', NULL, '[]', 1.0, 'old', 'committed', '[]', 1.0, 1, 'regular')"
    )
    connection.execute("INSERT INTO layer_blobs VALUES ('l', 'gzip', 'type', 'sha256:a', 7, 'sha256:b')")
    connection.execute("PRAGMA user_version=1")
    connection.commit()
    connection.close()
    blob = BlobRow("zstd", "type", "sha256:c", 8, "sha256:b", (("key", "value"),), ("https://host/blob",))
    with Store.open(tmp_path / "store") as store:
        assert store.layers.blobs("l") == [BlobRow("gzip", "type", "sha256:a", 7, "sha256:b")]
        store.layers.add_blob("l", blob)
    with Store.open(tmp_path / "store") as store:
        assert store.layers.blobs("l")[1] == store.layers.all_blobs()["l"][1] == blob
        assert store.db.query_one("PRAGMA user_version") == (2,)


def test_lock_excludes_threads(store: Store) -> None:
    order: list[str] = []

    def other() -> None:
        with store.locks.locked("name"):
            order.append("second")

    with store.locks.locked("name"):
        thread = threading.Thread(target=other)
        thread.start()
        time.sleep(0.05)
        with store.locks.try_locked("name") as got:
            assert not got
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    assert os.listdir(store.root / "locks") == []


def test_newer_store_is_refused(tmp_path: Path) -> None:
    Store.open(tmp_path).close()
    connection = sqlite3.connect(tmp_path / "bakehouse.db")
    connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(EnvironmentFault) as caught:
        Store.open(tmp_path)
    assert caught.value.code == "store-version"


# Tables --------------------------------------------------------------------------------------------------------


def test_transaction_rolls_back_and_nests(store: Store) -> None:
    with pytest.raises(RuntimeError), store.db.transaction():
        store.kv.put("s", "a", b"1")
        with store.db.transaction():
            store.kv.put("s", "b", b"2")
        raise RuntimeError
    assert store.kv.get_all("s") == {}
    store.kv.put_many("s", {"a": b"1", "b": b"2"})
    assert store.kv.get_all("s") == {"a": b"1", "b": b"2"}
    assert store.kv.delete("s", "a")
    assert not store.kv.delete("s", "a")


def test_cache_keys(store: Store) -> None:
    keys = store.cachekeys
    with keys.batch():
        keys.add_link("s", 0, "op", "sel", 1, "t")
        keys.add_link("s", 0, "op", "sel", 1, "t")
        keys.add_result("t", "one", 1.0)
        keys.add_result("t", "two", 2.0)
        keys.add_result("t", "one", 9.0)
    assert keys.query_links("s", 0, "op", "sel", 1) == ["t"]
    assert keys.query_links("s", 0, "op", "", 1) == []
    assert keys.results("t") == [("two", 2.0), ("one", 1.0)]
    keys.drop_result("t", "two")
    assert keys.results("t") == [("one", 1.0)]
    keys.add_link("t", 0, "op2", "", 0, "u")
    keys.add_result("u", "gone")
    assert keys.purge(lambda record: record != "gone") == 1
    assert keys.query_links("t", 0, "op2", "", 0) == []
    assert keys.query_links("s", 0, "op", "sel", 1) == ["t"]
    assert keys.new_id() != keys.new_id()


def image(store: Store, *layers: bytes) -> Descriptor:
    """A minimal OCI image in the store."""
    from bakehouse.oci.image import Manifest

    def stored(media_type: str, data: bytes) -> Descriptor:
        store.blobs.put(data)
        return Descriptor.of(media_type, data)

    manifest = Manifest.build(
        stored("application/vnd.oci.image.config.v1+json", b"{}"),
        [stored("application/vnd.oci.image.layer.v1.tar", layer) for layer in layers],
    )
    return stored("application/vnd.oci.image.manifest.v1+json", manifest.raw)


def test_images_keep_their_blobs(store: Store) -> None:
    descriptor = image(store, b"layer one", b"layer two")
    store.blobs.put(b"unrelated")
    store.images.tag("docker.io/library/x:latest", descriptor)
    assert store.images.get("docker.io/library/x:latest") == descriptor
    assert [name for name, _, _ in store.images.list()] == ["docker.io/library/x:latest"]
    store.prune(PrunePolicy(all=True))
    assert set(store.blobs) == store.images.reachable()
    assert len(store.images.reachable()) == 4
    assert store.images.remove("docker.io/library/x:latest")
    store.prune(PrunePolicy(all=True))
    assert list(store.blobs) == []


# Collection ----------------------------------------------------------------------------------------------------


def add_layer(
    store: Store, id: str, *, size: int, used: float, count: int = 1, base: tuple[str, ...] = ()
) -> None:
    store.layers.insert(
        LayerRow(id, base=base, created_s=used, last_used_s=used, usage_count=count, description=f"step {id}")
    )
    store.layers.add_directory(id, DirectoryRow("", "fs", size))
    (store.root / "snapshots" / id / "fs").mkdir(parents=True)


def pruned(store: Store, policy: PrunePolicy) -> list[str]:
    return [record.id for record in store.prune(policy)]


def test_prune_everything_takes_children_first(store: Store) -> None:
    add_layer(store, "a", size=10, used=1.0)
    add_layer(store, "b", size=10, used=2.0, base=("a",))
    assert pruned(store, PrunePolicy()) == ["b", "a"]
    assert os.listdir(store.root / "snapshots") == []


def test_prune_down_to_a_budget_by_rank(store: Store) -> None:
    """engine.md §20 step 3: the lowest sum of ranks goes; a total equal to the budget still loses one record."""
    add_layer(store, "old-rare", size=100, used=1.0, count=1)
    add_layer(store, "old-often", size=100, used=1.0, count=9)
    add_layer(store, "new-rare", size=100, used=9.0, count=1)
    add_layer(store, "new-often", size=100, used=9.0, count=9)
    assert pruned(store, PrunePolicy(max_used_space=401)) == []
    assert pruned(store, PrunePolicy(max_used_space=400)) == ["old-rare"]
    assert "new-often" not in pruned(store, PrunePolicy(max_used_space=150))


def test_prune_spares_what_is_in_use_young_or_filtered(store: Store, tmp_path: Path) -> None:
    now = time.time()
    add_layer(store, "held", size=1, used=1.0)
    add_layer(store, "young", size=1, used=now)
    add_layer(store, "plain", size=1, used=1.0)
    with Store.open(store.root) as other:
        other.owner.lease("layer", ["held"])
        assert pruned(store, PrunePolicy(keep_duration_s=3600, filters=("id==young",))) == []
        assert pruned(store, PrunePolicy(keep_duration_s=3600)) == ["plain"]
        assert pruned(store, PrunePolicy(all=True)) == ["young"]
    assert pruned(store, PrunePolicy(all=True)) == ["held"]


def test_min_free_space_that_is_satisfied_removes_nothing(store: Store) -> None:
    add_layer(store, "a", size=10, used=1.0)
    assert pruned(store, PrunePolicy(min_free_space=1)) == []


def test_shared_layers_go_only_with_all(store: Store) -> None:
    descriptor = image(store, b"layer data")
    store.images.tag("name", descriptor)
    add_layer(store, "a", size=10, used=1.0)
    digest = Digest.of(b"layer data")
    store.layers.add_blob("a", BlobRow("uncompressed", "t", digest, 10, digest))
    assert [record.shared for record in store.usage()] == [True]
    assert pruned(store, PrunePolicy()) == []
    assert pruned(store, PrunePolicy(all=True)) == ["a"]
    assert store.blobs.has(digest)


def test_cache_mounts_are_records(store: Store) -> None:
    path = store.mounts.open("cache-id", description="go build cache")
    (path / "file").write_bytes(b"x" * 10000)
    (record,) = store.usage()
    assert (record.kind, record.record_type, record.mutable, record.in_use) == (
        "mount",
        "exec.cachemount",
        True,
        True,
    )
    assert record.size >= 10000
    store.owner.release("mount")
    assert pruned(store, PrunePolicy()) == ["cache-id"]
    assert not path.exists()


def context_file(store: Store, name: str, *, age_s: float) -> Path:
    path = store.path("contexts", name)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"x" * 5000)
    os.utime(path, (time.time() - age_s, time.time() - age_s))
    return path


def test_context_indexes_are_records_that_age(store: Store) -> None:
    day = 24 * 3600.0
    old = context_file(store, "aa.index", age_s=3 * day)
    young = context_file(store, "bb.index", age_s=60)
    left_over = context_file(store, ".index-killed", age_s=day)
    being_written = context_file(store, ".index-now", age_s=1)
    first, second = store.usage(["type==source.local"])
    assert (first.id, second.id, first.kind, first.mutable, first.in_use) == (
        "aa",
        "bb",
        "context",
        True,
        False,
    )
    assert first.size == old.stat().st_blocks * 512 >= 5000
    assert pruned(store, PrunePolicy(keep_duration_s=2 * day, filters=("type==source.local",))) == ["aa"]
    assert not old.exists()
    assert young.exists()
    assert not left_over.exists()
    assert being_written.exists()
    assert pruned(store, PrunePolicy(reserved_space=1)) == ["bb"]


def test_git_repositories_are_records(store: Store) -> None:
    with Store.open(store.root) as build:
        path = build.mounts.open(
            "f00", record_type="source.git.checkout", description="shared git repo for r", place="git/f00"
        )
        assert path == store.root / "git" / "f00"
        (path / "pack").write_bytes(b"x" * 10000)
        (record,) = store.usage()
        assert (record.record_type, record.in_use, record.description) == (
            "source.git.checkout",
            True,
            "shared git repo for r",
        )
        assert record.size >= 10000
        assert pruned(store, PrunePolicy(all=True)) == []
        assert not store.mounts.delete_unused("f00")
        assert (path / "pack").exists()
    assert pruned(store, PrunePolicy(all=True)) == ["f00"]
    assert not path.exists()
    assert store.usage() == []


def test_directories_that_no_record_knows_are_swept(store: Store) -> None:
    known = store.mounts.open("k", place="git/k")
    for name in ("git/older", "snapshots/half"):
        (store.root / name / "below").mkdir(parents=True)
    store.prune(PrunePolicy(filters=("id==nothing",)))
    assert os.listdir(store.root / "git") == ["k"]
    assert os.listdir(store.root / "snapshots") == []
    assert known.is_dir()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("id==a", True),
        ("id!=a", False),
        ("id~=^[ab]$", True),
        ("type==regular,private", True),
        ("shared", False),
        ("!shared", True),
        ("inuse==true", False),
        ("description~=apt", True),
    ],
)
def test_filters(text: str, wanted: bool) -> None:
    record = UsageRecord("a", "layer", 1, description="RUN apt-get update")
    assert matches(record, [text]) is wanted


@pytest.mark.parametrize("text", ["nonsense==1", "id==a;b==c", "~=x", "id~=["])
def test_bad_filters(text: str) -> None:
    if text == "id==a;b==c":
        assert not matches(UsageRecord("a", "layer", 1), [text])
        return
    with pytest.raises(DefinitionError) as caught:
        matches(UsageRecord("a", "layer", 1), [text])
    assert caught.value.code == "invalid-filter"


# Crashes of the machine ------------------------------------------------------------------------------------------


def recovered(store: Store, drop: Callable[..., None], boot: str, now: float) -> list[Digest]:
    return recover(store.db, store.blobs, drop, boot=boot, now_s=now)


def test_reboot_checks_young_blobs_only(store: Store) -> None:
    old, young, broken = (store.blobs.put(data) for data in (b"old", b"young", b"broken"))
    now = time.time() + 500
    dropped: list[str] = []
    store.db.execute("DELETE FROM meta")
    recovered(store, dropped.extend, "boot-1", now)
    for digest in (old, young, broken):
        store.blobs.path(digest).write_bytes(b"spoilt" if digest != young else b"young")
    os.utime(store.blobs.path(old), (1, 1))
    add_layer(store, "settled", size=1, used=1.0)
    add_layer(store, "fresh", size=1, used=now + 10)
    # The change time of the files counts too; push the mark behind it for all but what is touched later.
    store.db.execute("UPDATE meta SET value=? WHERE key='durable_until_s'", (repr(time.time() + 1),))
    for digest in (young, broken):
        os.utime(store.blobs.path(digest), (now, now))
    damaged = recovered(store, dropped.extend, "boot-2", now + 20)
    assert damaged == [broken]
    assert dropped == ["fresh"]
    assert store.blobs.has(young)
    assert store.blobs.path(old).exists()
    assert recovered(store, dropped.extend, "boot-2", now + 30) == []
