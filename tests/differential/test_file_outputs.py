"""`type=tar` and `type=local` write the files that BuildKit writes: member by member, entry by entry."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import buildcases
from tests.support.command import Bakehouse
from tests.support.services import BuildKit

pytestmark = [pytest.mark.peer, pytest.mark.privileged]

#: Cases of `tests/cases/build` whose files are of every kind.
CASES = ("odd/modes-on-base", "odd/names", "odd/long-names", "odd/times", "odd/hard-links", "odd/sparse-and-large",
         "changes/directory-becomes-file", "changes/deep-delete", "changes/sticky-and-set-id",
         "tree/from-stage-hard-links", "tree/links-inside-directories", "tree/link-over-links", "odd/special-files",
         "add/archive-owners-owned", "add/archive-xattrs")  # fmt: skip


def members(path: Path) -> Iterator[tuple[object, ...]]:
    with tarfile.open(path) as tar:
        for info in tar:
            file = tar.extractfile(info) if info.isreg() else None
            digest = hashlib.sha256(file.read()).hexdigest() if file else ""
            pax = sorted((key, value) for key, value in info.pax_headers.items() if "xattr" in key)
            time_s = int(info.mtime) if info.mtime < buildcases.EPOCH + 10_000_000 else "now"
            yield (info.name, info.type, info.mode, info.uid, info.gid, info.linkname, digest, time_s, pax,
                   (info.devmajor, info.devminor), info.uname, info.gname)  # fmt: skip


def entries(root: Path) -> Iterator[tuple[object, ...]]:
    links: dict[int, str] = {}
    for directory, names, files in os.walk(os.fsencode(root)):
        names.sort()
        for name in sorted(names + files):
            path = os.path.join(directory, name)
            status = os.lstat(path)
            shown = os.path.relpath(path, os.fsencode(root))
            content = b""
            if stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            elif stat.S_ISREG(status.st_mode):
                content = hashlib.sha256(Path(os.fsdecode(path)).read_bytes()).digest()
            time_s = int(status.st_mtime) if status.st_mtime < buildcases.EPOCH + 10_000_000 else "now"
            first = links.setdefault(status.st_ino, repr(shown)) if stat.S_ISREG(status.st_mode) else ""
            yield shown, oct(status.st_mode), status.st_uid, status.st_gid, content, time_s, first


@pytest.mark.xdist_group("file-outputs")
def test_files_are_buildkits(tmp_path: Path, bakehouse: Bakehouse, buildkit: BuildKit) -> None:
    buildkit.prune()
    chosen = [case for case in buildcases.cases() if case.id in CASES]
    assert len(chosen) == len(CASES)
    for builder in ("ours", "theirs"):
        targets = {}
        for case in chosen:
            if builder == "ours":
                buildcases.prepare(case, tmp_path / "contexts" / case.target)
            outputs = [
                f"type=tar,dest={builder}/{case.target}.tar",
                f"type=local,dest={builder}/{case.target}",
            ]
            targets[case.target] = {"context": f"contexts/{case.target}", "output": outputs}
        (tmp_path / builder).mkdir()
        (tmp_path / f"{builder}.json").write_text(json.dumps({"target": targets}))
        arguments = ("bake", "-f", f"{builder}.json", "--allow=fs=*", *targets)
        if builder == "ours":
            bakehouse.run(*arguments, cwd=tmp_path)
        else:
            done = buildkit.buildx(*arguments, "--provenance=false", cwd=tmp_path)
            assert done.returncode == 0, done.stderr
    differences = []
    for case in chosen:
        for read, name in ((members, f"{case.target}.tar"), (entries, case.target)):
            mine, other = list(read(tmp_path / "ours" / name)), list(read(tmp_path / "theirs" / name))
            if mine != other:
                extra = [item for item in mine if item not in other][:4]
                missing = [item for item in other if item not in mine][:4]
                differences.append(f"{name}: {extra or 'order'}\n  BuildKit: {missing or 'order'}")
    assert not differences, "\n".join(differences)
