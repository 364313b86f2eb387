"""COPY and ADD forms that both BuildKit and this engine build from the context of `make_context`.

Each value is what follows `FROM scratch`. Forms of dockerfile.md §7.3 to §7.10 and of its traps.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
from pathlib import Path

_TIME_NS = 1_600_000_000_250_000_000


def _write(path: Path, data: str | bytes, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    os.chmod(path, mode)


def make_context(root: Path) -> Path:
    """The context: files of several modes, links of every kind, a FIFO, archives, awkward names."""
    for name, data, mode in (
        ("f", "file f\n", 0o644),
        ("ff", "ff", 0o644),
        ("a1", "1", 0o600),
        ("a2.txt", "22", 0o4755),
        ("run.sh", "#!", 0o755),
        ("dir/x", "x", 0o644),
        ("dir/sub/y", "y", 0o644),
        ("dir/sub/deep/z", "z", 0o400),
        ("dir/in/q", "q", 0o644),
        ("dir2/x", "other x", 0o644),
        ("dir2/w", "w", 0o644),
        ("a/b/c/f1", "f1", 0o644),
        ("a/b/f2", "f2", 0o644),
        ("a/k.txt", "k", 0o644),
        ("sp ace/é ü", "u", 0o644),
        ("brack[1].txt", "b", 0o644),
        ("empty", "", 0o644),
        ("rep/sub", "a file called sub", 0o644),
        ("rep2/x/inner", "x as a directory", 0o644),
    ):
        _write(root / name, data, mode)
    os.chmod(root / "dir/in", 0o700)
    for name, target in (
        ("ldir", "dir"),
        ("lf", "f"),
        ("labs", "/dir/x"),
        ("dang/ling", "nowhere"),
        ("dir/rel", "../f"),
        ("dir/lsub", "sub"),
        ("rep/lnk", "sub"),
    ):
        (root / name).parent.mkdir(exist_ok=True)
        os.symlink(target, root / name)
    os.link(root / "dir/x", root / "dir/xhard")
    os.link(root / "dir/x", root / "dir/sub/xhard2")
    os.mkfifo(root / "dir/fifo")
    os.chmod(root / "dir/fifo", 0o640)
    (root / "emptydir").mkdir()
    os.chmod(root / "emptydir", 0o2775)
    _archives(root)
    for directory, _, _, descriptor in os.fwalk(root, topdown=False):
        for name in os.listdir(descriptor):
            os.utime(name, ns=(_TIME_NS, _TIME_NS), dir_fd=descriptor, follow_symlinks=False)
        os.utime(directory, ns=(_TIME_NS, _TIME_NS))
    return root


def _archives(root: Path) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        _member(archive, "in", tarfile.DIRTYPE, mode=0o711)
        _member(archive, "in/one", data=b"one", mode=0o640)
        _member(archive, "two", data=b"two", mode=0o4755)
        _member(archive, "three", tarfile.SYMTYPE, link="two")
        _member(archive, "four", tarfile.LNKTYPE, link="two")
        _member(archive, "implied/deep/file", data=b"hi")
    data = stream.getvalue()
    _write(root / "t.tar", data)
    _write(root / "t.tgz", gzip.compress(data, mtime=0))
    _write(root / "trunc.tgz", gzip.compress(data, mtime=0)[:-40])
    _write(root / "t.tbz", bz2.compress(data))
    _write(root / "t.txz", lzma.compress(data))
    _write(root / "gz.gz", gzip.compress(b"no archive" * 100, mtime=0))


def _member(
    archive: tarfile.TarFile,
    name: str,
    kind: bytes = tarfile.REGTYPE,
    *,
    data: bytes = b"",
    link: str = "",
    mode: int = 0o644,
) -> None:
    member = tarfile.TarInfo(name)
    member.type, member.size, member.linkname, member.mode = kind, len(data), link, mode
    member.uid, member.gid, member.mtime = 5, 6, 1_500_000_000
    archive.addfile(member, io.BytesIO(data))


CASES: dict[str, str] = {
    "file-abs": "COPY f /x",
    "file-slash": "COPY f /x/",
    "file-existdir": "COPY dir /x\nCOPY f /x",
    "file-existfile": "COPY f /x\nCOPY ff /x",
    "file-notdir": "COPY f /x\nCOPY f /x/",
    "file-over-dir": "COPY dir /d\nCOPY rep2 /e\nCOPY rep2/x/inner /d/\nCOPY f /e/x/",
    "file-dirname": "COPY a /d\nCOPY a/b/f2 /d/b",
    "file-replaces-dir-err": "COPY dir2 /d/sub\nCOPY rep/sub /d/",
    "link-replaced": "COPY dir /d\nCOPY f /d/rel/",
    "link-in-dir": "COPY rep /d\nCOPY rep /d",
    "several": "COPY f ff a1 /m",
    "several-slash": "COPY f ff a1 /m/",
    "dir-absent": "COPY dir /new",
    "dir-existfile": "COPY f /new\nCOPY dir /new",
    "dir-symlink-meet": "COPY dir /d\nCOPY rep2 /d2\nCOPY a/b /d/lsub/",
    "dir-overlap": "COPY dir /d\nCOPY dir2 /d",
    "dir-over-symlink": "COPY dir /d\nCOPY dir2 /q/lsub/\nCOPY q* /d/",
    "dir-meets-file": "COPY rep /d\nCOPY dir /d",
    "all": "COPY . /",
    "all-sub": "COPY . /sub/",
    "glob": "COPY a* /g/",
    "glob-none": "COPY *.zip /d/",
    "glob-mix": "COPY a1 nope.zip /d/",
    "glob-dirs": "COPY d* /flat/",
    "glob-q": "COPY ?? /q/",
    "glob-class": "COPY [a-b]* /c/",
    "glob-esc": "COPY brack[[]1].txt /b/",
    "glob-deep": "COPY a/*/* /deep/",
    "glob-neg": "COPY [^a]* /n/",
    "absent": "COPY nope /x",
    "sym-dir": "COPY ldir /t/",
    "sym-file": "COPY lf /t/",
    "sym-abs": "COPY labs /t/x",
    "sym-dang": "COPY dang/ling /t/",
    "sym-glob": "COPY l* /t/",
    "dest-symlink": "COPY rep /r\nCOPY f /r/lnk",
    "dest-dir-symlink": "COPY dir /d\nCOPY f /d/lsub/",
    "dest-dangling": "COPY dang /d\nCOPY f /d/ling",
    "chown": "COPY --chown=5:6 dir /o/p/q",
    "chown1": "COPY --chown=5 f /o/",
    "chown-name": "COPY --chown=bob f /x",
    "chown-link-name": "COPY f /y\nCOPY --chown=bob f /x",
    "chown-ghost": "COPY f /etc/passwd\nCOPY --chown=ghost:ghost dir /x",
    "chmod": "COPY --chmod=640 dir /c/d",
    "chmod-file": "COPY --chmod=4755 f /c/d/",
    "chmod-sym": "COPY --chmod=u=rwX,go=rX dir /c/d",
    "chmod-sym2": "COPY --chmod=+w,o-r,g=u f dir /c/",
    "chmod-t": "COPY --chmod=+t,u+s,g-w dir /c/",
    "chmod-bad": "COPY --chmod=u!x f /c/",
    "link": "COPY --link f /a/b/c",
    "link-dir": "COPY --link dir /a/",
    "link-over": "COPY dir /d\nCOPY --link dir2 /d/sub/",
    "link-over2": "COPY dir /d\nCOPY --link f /d/lsub/f",
    "link-chown": "COPY --link --chown=4:5 f q/",
    "parents": "COPY --parents a/b/c/f1 dir/sub /d/",
    "parents-pivot": "COPY --parents a/./b/c/f1 /d/",
    "parents-glob": "COPY --parents **/x /d/",
    "parents-none": "COPY --parents **/zip /d/",
    "parents-miss": "COPY --parents a/nope /d/",
    "parents-dirmode": "COPY --parents dir/in/q emptydir /d/",
    "exclude": "COPY --exclude=sub dir /d/",
    "exclude-deep": "COPY --exclude=**/x* dir /d/",
    "exclude-neg": "COPY --exclude=* --exclude=!sub/y dir /d/",
    "exclude-glob": "COPY --exclude=*.txt a* /m/",
    "exclude-dot": "COPY --exclude=*.txt --exclude=dir* . /m/",
    "add-tar": "ADD t.tar /t",
    "add-tgz": "ADD t.tgz /t/",
    "add-bz": "ADD t.tbz /t",
    "add-xz": "ADD t.txz /t",
    "add-glob": "ADD t.t?? /t/",
    "add-nounpack": "ADD --unpack=false t.tgz /t/",
    "add-gz": "ADD gz.gz /t/",
    "add-empty": "ADD empty /t/",
    "add-onfile": "COPY f /1\nADD t.tar /1",
    "add-chown": "ADD --chown=9:8 t.tgz /t/u",
    "add-chmod": "ADD --chmod=0600 t.tgz /t/u",
    "add-over": "COPY dir /t/in\nCOPY dir /t/two\nADD t.tar /t",
    "add-dir": "ADD dir /t/",
    "add-trunc": "ADD trunc.tgz /t/",
    "workdir": "WORKDIR /w/v\nCOPY f .\nWORKDIR sub\nCOPY dir2 .",
    "heredoc": "COPY <<A <<B /h/\nhello\nA\nworld\nB",
    "heredoc-chmod": "COPY --chmod=700 --chown=3:4 <<A /h/i\nhello\nA",
    "stage": "COPY dir /s/d\nCOPY --chown=3:4 f /s/o\nFROM scratch\nCOPY --from=0 /s /x/\nCOPY --from=0 /s/o /y/",
    "stage-wild": "COPY dir /s/d\nFROM scratch\nCOPY --from=0 /s/*/sub /x/",
    "stage-link": "COPY dir /s/d\nFROM scratch\nCOPY --link --from=0 /s /x/",
    "space": 'COPY ["sp ace","/sp ace/"]',
    "space-file": 'COPY ["sp ace/é ü","/z"]',
    "multi-layers": "COPY f /a\nCOPY f /a\nCOPY f /b\nCOPY dir /dir\nCOPY dir /dir\nCOPY dir2 /dir",
    "setgid-parent": "COPY emptydir /e/\nCOPY --parents emptydir /p/\nCOPY f /p/emptydir/sub/",
    "dest-dang-dir": "COPY dang /d\nCOPY f /d/ling/",
    "glob-sym-dang": "COPY dang/l* /t/",
    "mkdir-dest-sym": "COPY dir /d\nCOPY dir2 /d/lsub/new/",
    "root-file": "COPY f /",
    "dot-dest": "COPY f .",
    "dotdot": "COPY ../f /../../x",
    "trailing": "COPY dir/ /t",
    "trailing-dot": "COPY dir/. /t/.",
}
