"""Whole builds by a plain user: with ranges of subordinate ids, and with none. Needs root to make the users.

The judge is root's own build: with a source date epoch both must give the same image, to the last byte of its config.
"""

from __future__ import annotations

import io
import os
import pwd
import shlex
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.command import Bakehouse
from tests.support.gitrepos import commit
from tests.support.images import Image, read_image
from tests.support.needs import need_command, needs_root
from tests.support.paths import ROOT
from tests.support.services import Registry
from tests.support.sshserver import running_sshd
from tests.support.web import running_web_server

pytestmark = [
    pytest.mark.privileged,
    needs_root,
]

EPOCH = ("--build-arg", "SOURCE_DATE_EPOCH=1600000000", "--output")
#: Owners, set-id bits, deletions, replaced directories and links, in every way by which files get into a layer.
MANY_OWNERS = """\
FROM debian:stable-slim
COPY --chown=1234:5678 --chmod=2755 tree /copied
RUN touch /made && chown 33:42 /made && chmod 4755 /made && ln /made /hard && ln -s made /soft
RUN rm /etc/motd && rm -r /var/cache && mkdir -p /var/cache/new && id -u > /id && cat tree/file 2>/dev/null || true
COPY --from=debian:stable-slim /etc/shadow /etc/gshadow /taken/
USER nobody
RUN touch /tmp/by-nobody && id -un > /tmp/name
"""
ONE_OWNER = """\
FROM busybox
COPY tree /copied
RUN touch /made && chmod 4755 /made && ln /made /hard && rm -r /home /var && mkdir -p /var/new && id -u > /id
COPY --from=busybox /etc/passwd /taken/
"""


@dataclass(frozen=True)
class User:
    """A user made for a test; `home` is his own, `context` below it holds what is built."""

    name: str
    home: Path
    registry: Registry

    @property
    def context(self) -> Path:
        return self.home / "context"

    @property
    def store(self) -> Path:
        return self.home / ".local" / "share" / "bakehouse"

    def run(
        self,
        *arguments: str,
        before: str = "",
        check: bool = True,
        stdin: Path | None = None,
        **environ: str,
    ) -> subprocess.CompletedProcess[str]:
        """Runs the command as this user in `context`. `before` is shell text that root runs in a mount namespace of
        the command's own, `stdin` what standard input is."""
        script = "\n".join(
            ["set -e", *reachable(self.home / "prefix"), before, f'exec setpriv {self._identity()} -- "$@"']
        )
        command = [sys.executable, "-m", "bakehouse", *arguments]
        done = subprocess.run(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", *command],
            cwd=self.context,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.home),
                "PYTHONPATH": str(ROOT / "src"),
                "PYTHONDONTWRITEBYTECODE": "1",
                **environ,
            },
            input=stdin.read_bytes().decode("latin-1") if stdin else "",
            capture_output=True,
            encoding="latin-1",
            timeout=300,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def _identity(self) -> str:
        found = pwd.getpwnam(self.name)
        return f"--reuid={found.pw_uid} --regid={found.pw_gid} --clear-groups"

    def image(self, name: str, *options: str, **environ: str) -> Image:
        self.run("build", *options, *EPOCH, f"type=oci,rewrite-timestamp=true,dest={name}", ".", **environ)
        assert (self.context / name).stat().st_uid == pwd.getpwnam(self.name).pw_uid
        return read_image(self.context / name)


def reachable(scratch: Path) -> list[str]:
    """Shell lines that show this interpreter to everybody, where a private home hides it: for one mount namespace."""
    prefix = Path(os.path.realpath(sys.base_prefix))
    hidden = [
        path for path in reversed(prefix.parents) if not stat.S_IMODE(path.stat().st_mode) & stat.S_IXOTH
    ]
    if not hidden:
        return []
    where, behind, top = (shlex.quote(str(path)) for path in (prefix, scratch, hidden[0]))
    return [
        f"mkdir -p {behind}",
        f"mount --bind {where} {behind}",
        f"mount -t tmpfs -o mode=755 tmpfs {top}",
        f"mkdir -p {where}",
        f"mount --bind {behind} {where}",
    ]


def make_user(name: str, registry: Registry, *options: str) -> Iterator[User]:
    need_command("useradd")
    home = Path(tempfile.mkdtemp(prefix=name))
    subprocess.run(
        ["useradd", "--no-create-home", "--home-dir", str(home), *options, name],
        check=True,
        capture_output=True,
    )
    try:
        (home / ".config" / "bakehouse").mkdir(parents=True)
        (home / ".config" / "bakehouse" / "config.toml").write_text(
            f'[registry."docker.io"]\nmirrors = ["{registry.host}"]\n'
        )
        (home / "context" / "tree" / "sub").mkdir(parents=True)
        (home / "context" / "tree" / "file").write_text("file\n")
        (home / "context" / "tree" / "sub" / "link").symlink_to("../file")
        (home / "context" / ".dockerignore").write_text("*\n!tree\n")
        subprocess.run(["chown", "-R", f"{name}:", str(home)], check=True)
        os.chmod(home, 0o700)
        yield User(name, home, registry)
    finally:
        # A shell of root's: the store may hold files of subordinate ids.
        subprocess.run(["rm", "-rf", str(home)], check=True)
        subprocess.run(["userdel", name], check=True, capture_output=True)


@pytest.fixture
def user(registry: Registry) -> Iterator[User]:
    """A user with ranges in /etc/subuid and /etc/subgid."""
    yield from make_user(f"bkhmany{os.getpid()}", registry)


@pytest.fixture
def lone_user(registry: Registry) -> Iterator[User]:
    """A user without ranges: only one id can be mapped."""
    yield from make_user(f"bkhlone{os.getpid()}", registry, "-K", "SUB_UID_COUNT=0", "-K", "SUB_GID_COUNT=0")


def by_root(bakehouse: Bakehouse, user: User, dockerfile: str) -> Image:
    """What root's build makes of the same context."""
    (user.context / "Dockerfile").write_text(dockerfile)
    output = user.home / "root.tar"
    bakehouse.run("build", *EPOCH, f"type=oci,rewrite-timestamp=true,dest={output}", ".", cwd=user.context)
    return read_image(output)


def test_contexts_from_elsewhere(user: User, tmp_path: Path) -> None:
    """An archive on standard input, a repository over SSH with a key file: all that is started is the user's own."""
    packed = tmp_path / "context.tar"
    with tarfile.open(packed, "w") as tar:
        for name, text in (("Dockerfile", b"FROM scratch\nCOPY f /\n"), ("f", b"file")):
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text))
    user.run("build", "-o", "type=local,dest=out", "-", stdin=packed)
    assert (user.context / "out/f").read_text() == "file"
    with running_sshd(tmp_path / "sshd") as server:
        repository = tmp_path / "repository.git"
        commit(repository, {"Dockerfile": "FROM scratch\nCOPY g /\n", "g": "from git"})
        shutil.copy(server.key, user.context / "key")
        os.chown(user.context / "key", *pwd.getpwnam(user.name)[2:4])
        url = server.url(repository)
        user.run("build", "--ssh", "default=key", "-o", "type=local,dest=out", url)
    assert (user.context / "out/g").read_text() == "from git"


@pytest.mark.parametrize("snapshotter", ["auto", "copy"])
def test_many_owners(user: User, bakehouse: Bakehouse, snapshotter: str) -> None:
    wanted = by_root(bakehouse, user, MANY_OWNERS)
    image = user.image("image.tar", BAKEHOUSE_SNAPSHOTTER=snapshotter)
    made = image.files["made"]
    assert (made.uid, made.gid, made.mode & 0o7777) == (33, 42, 0o4755)
    assert (image.files["copied/file"].uid, image.files["copied/file"].gid) == (1234, 5678)
    assert image.files["tmp/by-nobody"].uid == 65534
    assert image.files["taken/shadow"].gid == 42
    assert image.diff_ids == wanted.diff_ids
    assert image.config_digest == wanted.config_digest
    assert (user.store / "bakehouse.db").stat().st_uid == pwd.getpwnam(user.name).pw_uid
    again = user.run("build", *EPOCH, "type=oci,dest=again.tar", ".", BAKEHOUSE_SNAPSHOTTER=snapshotter)
    assert again.stderr.count("CACHED") >= 5


def test_a_remote_definition(user: User, tmp_path: Path) -> None:
    """What is fetched before anything is known of the targets belongs to the same ids as what is built."""
    definition = 'target "default" {\n  context = "part"\n  output = ["type=oci,dest=out.tar"]\n}\n'
    with running_web_server(tmp_path / "web") as web:
        web.repository("p.git").commit(
            {"docker-bake.hcl": definition, "part/Dockerfile": "FROM scratch\nCOPY --chown=5:6 . /\n"}
        )
        user.run("bake", f"{web.url()}/p.git")
    file = read_image(user.context / "out.tar").files["Dockerfile"]
    assert (file.uid, file.gid) == (5, 6)
    assert (user.context / "out.tar").stat().st_uid == pwd.getpwnam(user.name).pw_uid


def test_prune_removes_files_of_subordinate_ids(user: User) -> None:
    (user.context / "Dockerfile").write_text(MANY_OWNERS)
    user.run("build", ".")
    owners = {os.lstat(path).st_uid for path in user.store.rglob("*")}
    assert len(owners) > 2
    user.run("prune", "--all", "--force")
    assert os.listdir(user.store / "snapshots") == []
    assert os.listdir(user.store / "tmp") == []
    removed = subprocess.run(
        ["setpriv", *shlex.split(user._identity()), "--", "rm", "-r", str(user.store)], capture_output=True
    )
    assert removed.returncode == 0, removed.stderr


@pytest.mark.parametrize("snapshotter", ["auto", "copy"])
def test_one_id(lone_user: User, bakehouse: Bakehouse, snapshotter: str) -> None:
    wanted = by_root(bakehouse, lone_user, ONE_OWNER)
    image = lone_user.image("image.tar", BAKEHOUSE_SNAPSHOTTER=snapshotter)
    assert image.files["made"].mode & 0o7777 == 0o4755
    assert image.diff_ids == wanted.diff_ids
    assert image.config_digest == wanted.config_digest


def test_trees_are_copied_where_overlayfs_is_not_to_be_had(lone_user: User, bakehouse: Bakehouse) -> None:
    """A store on overlayfs itself, as in a container: it can hold no upper directory."""
    wanted = by_root(bakehouse, lone_user, ONE_OWNER)
    home = lone_user.home
    before = (
        f"cd {home} && mkdir lower upper work data && mount -t overlay overlay"
        f" -o lowerdir=lower,upperdir=upper,workdir=work data && chown {lone_user.name}: data && cd context"
    )
    output = "type=oci,rewrite-timestamp=true,dest=image.tar"
    lone_user.run("build", *EPOCH, output, ".", before=before, XDG_DATA_HOME=str(home / "data"))
    assert read_image(lone_user.context / "image.tar").config_digest == wanted.config_digest
    assert (home / "upper" / "bakehouse" / "bakehouse.db").exists()
    (home / "upper").rename(home / "second")
    before = before.replace("mkdir lower upper", "mkdir upper; mkdir -p lower").replace(
        " work data &&", " &&"
    )
    refused = lone_user.run(
        "build",
        *EPOCH,
        output,
        ".",
        before=before,
        check=False,
        XDG_DATA_HOME=str(home / "data"),
        BAKEHOUSE_SNAPSHOTTER="overlay",
    )
    assert refused.returncode != 0
    assert "overlayfs cannot be mounted" in refused.stderr


def test_owners_that_one_id_cannot_have(lone_user: User, bakehouse: Bakehouse) -> None:
    """Where no step needs the files they are only written into tars; where one does, the error says what to do."""
    dockerfile = "FROM debian:stable-slim\nCOPY --link --chown=5:6 tree /copied\n"
    wanted = by_root(bakehouse, lone_user, dockerfile)
    image = lone_user.image("image.tar")
    assert image.files["copied/file"].uid == 5
    assert image.config_digest == wanted.config_digest
    (lone_user.context / "Dockerfile").write_text(dockerfile + "RUN true\n")
    failed = lone_user.run("build", ".", check=False)
    assert failed.returncode != 0
    assert "cannot give" in failed.stderr
    assert "/etc/subuid" in failed.stderr
