"""Reads an OCI image tar with nothing but the standard library, and compares two images entry by entry.

This is the judge between our images and BuildKit's, so it shares no code with the product.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import io
import json
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backports import zstd


@dataclass(frozen=True)
class Entry:
    """One file of a root file system. `mtime` is whole seconds; `digest` that of a regular file's bytes."""

    kind: str
    mode: int
    uid: int
    gid: int
    size: int
    digest: str
    link: str
    xattrs: tuple[tuple[str, str], ...]
    device: tuple[int, int]
    mtime: int


@dataclass
class Image:
    """A parsed image: its config JSON, its layers' diff IDs and media types, and its merged files. `index` is the
    layout's own list, `root` the document that it names: the image's manifest, or an index of several."""

    config: dict[str, Any]
    config_digest: str
    manifest: dict[str, Any]
    diff_ids: list[str]
    files: dict[str, Entry]
    layer_names: list[list[str]] = field(default_factory=list)
    index: dict[str, Any] = field(default_factory=dict)
    root: dict[str, Any] = field(default_factory=dict)


def read_image(path: Path, platform: str | None = None) -> Image:
    """The image in an OCI tar or layout directory; of an index, the one for `platform` (`os/arch[/variant]`)."""
    blobs = _Blobs(path)
    index = json.loads(blobs.read("index.json"))
    root = document = json.loads(blobs.blob(index["manifests"][0]["digest"]))
    if "manifests" in document:
        for item in document["manifests"]:
            named = item["platform"]
            name = "/".join(named[key] for key in ("os", "architecture", "variant") if key in named)
            if platform is None or name == platform:
                document = json.loads(blobs.blob(item["digest"]))
                break
    config_bytes = blobs.blob(document["config"]["digest"])
    files: dict[str, Entry] = {}
    diff_ids, names = [], []
    for number, layer in enumerate(document["layers"] or []):
        blob = blobs.blob(layer["digest"])
        if number == 0:
            diff_id, first_names, first_files = _first_layer(blob)
            diff_ids.append(diff_id)
            names.append(first_names)
            files = dict(first_files)
            continue
        data = decompress(blob)
        diff_ids.append("sha256:" + hashlib.sha256(data).hexdigest())
        names.append(apply_layer(files, data))
    config = json.loads(config_bytes)
    assert (config["rootfs"]["diff_ids"] or []) == diff_ids, (
        "diff IDs of the config are not those of the layers"
    )
    digest = "sha256:" + hashlib.sha256(config_bytes).hexdigest()
    assert digest == document["config"]["digest"]
    return Image(config, digest, document, diff_ids, files, names, index, root)


def identities(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """The config digest and the manifest, but for compressed bytes, of each image in an OCI tar or layout directory:
    one, or one a platform in index order."""
    blobs = _Blobs(path)
    document = json.loads(blobs.blob(json.loads(blobs.read("index.json"))["manifests"][0]["digest"]))
    manifests = [json.loads(blobs.blob(item["digest"])) for item in document.get("manifests", ())] or [
        document
    ]
    return [(str(manifest["config"]["digest"]), _without_bytes(manifest)) for manifest in manifests]


@functools.lru_cache(maxsize=8)
def _first_layer(blob: bytes) -> tuple[str, list[str], dict[str, Entry]]:
    """(diff ID, names, files) of a lowest layer: mostly a base image's, which many images have."""
    data = decompress(blob)
    files: dict[str, Entry] = {}
    names = apply_layer(files, data)
    return "sha256:" + hashlib.sha256(data).hexdigest(), names, files


def decompress(data: bytes) -> bytes:
    if data[:2] == b"\x1f\x8b":
        return gzip.decompress(data)
    if data[:4] == b"\x28\xb5\x2f\xfd":
        return zstd.decompress(data)
    return data


class _Blobs:
    """Files of an OCI layout, in a directory or a tar; every blob checked against its digest."""

    def __init__(self, path: Path) -> None:
        self._directory = path if path.is_dir() else None
        self._members: dict[str, bytes] = {}
        if self._directory is None:
            with tarfile.open(path) as tar:
                for member in tar:
                    if member.isfile():
                        file = tar.extractfile(member)
                        assert file is not None
                        self._members[member.name.removeprefix("./")] = file.read()

    def read(self, name: str) -> bytes:
        return (self._directory / name).read_bytes() if self._directory else self._members[name]

    def blob(self, digest: str) -> bytes:
        algorithm, _, encoded = digest.partition(":")
        data = self.read(f"blobs/{algorithm}/{encoded}")
        assert hashlib.new(algorithm, data).hexdigest() == encoded, f"blob {digest} is not its digest"
        return data


_KINDS = {
    tarfile.REGTYPE: "file",
    tarfile.AREGTYPE: "file",
    tarfile.LNKTYPE: "hardlink",
    tarfile.SYMTYPE: "symlink",
    tarfile.DIRTYPE: "dir",
    tarfile.CHRTYPE: "char",
    tarfile.BLKTYPE: "block",
    tarfile.FIFOTYPE: "fifo",
}


def clean(name: str) -> str:
    """A member's path without the `./` and slashes that some writers put around it; empty for the root itself."""
    return name.removeprefix("./").strip("/") if name != "." else ""


def apply_layer(files: dict[str, Entry], data: bytes) -> list[str]:
    """Applies a layer tar onto `files` as the OCI image specification says. Returns the entries' names in order."""
    names = []
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for member in tar:
            name = clean(member.name)
            names.append(name)
            folder, _, base = name.rpartition("/")
            if not name:
                continue
            if base == ".wh..wh..opq":
                _remove(files, folder, keep_self=True)
                continue
            if base.startswith(".wh."):
                _remove(files, f"{folder}/{base[4:]}".strip("/"), keep_self=False)
                continue
            entry = _entry(tar, member)
            if entry.kind == "hardlink":
                entry = files[clean(member.linkname)]
            if entry.kind != "dir":
                _remove(files, name, keep_self=False)
            files[name] = entry
    return names


def _remove(files: dict[str, Entry], path: str, *, keep_self: bool) -> None:
    for name in [n for n in files if n.startswith(path + "/") or (n == path and not keep_self)]:
        del files[name]


def _entry(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Entry:
    kind = _KINDS[member.type]
    digest, size = "", 0
    if kind == "file":
        file = tar.extractfile(member)
        assert file is not None
        data = file.read()
        digest, size = hashlib.sha256(data).hexdigest(), len(data)
    xattrs = tuple(
        sorted(
            (key.removeprefix("SCHILY.xattr."), value)
            for key, value in member.pax_headers.items()
            if key.startswith("SCHILY.xattr.")
        )
    )
    device = (member.devmajor, member.devminor) if kind in ("char", "block") else (0, 0)
    link = member.linkname if kind in ("symlink", "hardlink") else ""
    return Entry(
        kind,
        member.mode,
        member.uid,
        member.gid,
        size,
        digest,
        link,
        xattrs,
        device,
        int(float(member.mtime)),
    )


#: Entries made "now" differ in time between any two builds; everything else must agree.
RECENT_S = 7 * 24 * 3600


def compare_files(ours: Image, theirs: Image, now: float) -> list[str]:
    """Differences of two root file systems, as lines. Times are compared where they are defined: an entry whose time
    is recent in both was made by the build."""
    lines = []
    for name in sorted(set(ours.files) | set(theirs.files)):
        mine, other = ours.files.get(name), theirs.files.get(name)
        if mine is None or other is None:
            lines.append(f"{name}: only in {'BuildKit' if mine is None else 'Bakehouse'}")
            continue
        for attribute in ("kind", "mode", "uid", "gid", "size", "digest", "link", "xattrs", "device"):
            a, b = getattr(mine, attribute), getattr(other, attribute)
            if a != b:
                lines.append(f"{name}: {attribute} {a!r}, BuildKit {b!r}")
        recent = now - mine.mtime < RECENT_S and now - other.mtime < RECENT_S
        if mine.mtime != other.mtime and not recent:
            lines.append(f"{name}: mtime {mine.mtime}, BuildKit {other.mtime}")
    return lines


def compare_layers(ours: Image, theirs: Image) -> list[str]:
    """Differences of the layers' entry lists: same layers with the same entries in the same order."""
    lines = []
    if len(ours.layer_names) != len(theirs.layer_names):
        return [f"{len(ours.layer_names)} layers, BuildKit {len(theirs.layer_names)}"]
    for number, (mine, other) in enumerate(zip(ours.layer_names, theirs.layer_names, strict=True)):
        if mine != other:
            extra = [name for name in mine if name not in other][:5]
            missing = [name for name in other if name not in mine][:5]
            lines.append(f"layer {number}: extra {extra}, missing {missing}, or another order")
    return lines


def compare_manifests(ours: Image, theirs: Image) -> list[str]:
    """Differences of names, media types and annotations in the layout's list, the index and the manifest."""
    lines = []
    for what in ("index", "root", "manifest"):
        a, b = (_without_bytes(getattr(image, what)) for image in (ours, theirs))
        if a != b:
            lines.append(f"{what}: {json.dumps(a)}, BuildKit {json.dumps(b)}")
    return lines


def _without_bytes(value: Any) -> Any:
    """`value` without what follows from compressed bytes and from the time of the build."""
    if isinstance(value, dict):
        left_out = ("digest", "size", "org.opencontainers.image.created")
        return {key: _without_bytes(item) for key, item in value.items() if key not in left_out}
    return [_without_bytes(item) for item in value] if isinstance(value, list) else value


def compare_config(ours: Image, theirs: Image) -> list[str]:
    """Differences of the config JSON, field by field. Times of new history entries and diff IDs of layers whose files
    were made at build time are not comparable; their number and order are."""

    def normal(image: Image) -> dict[str, Any]:
        config = json.loads(json.dumps(image.config))
        if config.get("created"):
            config["created"] = "set"
        for item in config.get("history") or []:
            if "created" in item:
                item["created"] = "set"
        config["rootfs"]["diff_ids"] = len(config["rootfs"]["diff_ids"] or [])
        return dict(config)

    a, b = normal(ours), normal(theirs)
    lines = [
        f"config {key}: {json.dumps(a.get(key))}, BuildKit {json.dumps(b.get(key))}"
        for key in sorted(set(a) | set(b))
        if a.get(key) != b.get(key)
    ]
    if list(a) != list(b):
        lines.append(f"config member order {list(a)}, BuildKit {list(b)}")
    return lines
