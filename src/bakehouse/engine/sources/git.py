"""`git://` sources: a commit's files as a tree (engine.md §2, dockerfile.md §13.3).

Role: references to commits, the shared repository of a remote, checkouts with submodules. Running the git program is
`git_command`. Specification of keys: engine.md §2 and §8.2.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bakehouse.engine.answers import question
from bakehouse.engine.layer_tree import LayerTree
from bakehouse.engine.sources.git_command import Git, GitAccess, git_access
from bakehouse.engine.tree import EngineContext
from bakehouse.errors import DefinitionError, IntegrityError, NotBuiltYetError, NotFoundError
from bakehouse.giturl import without_passwords
from bakehouse.go.paths import rooted_path
from bakehouse.lazy import regex
from bakehouse.llb.ops import SourceOp, Vertex
from bakehouse.solver.model import CacheMap, RunContext
from bakehouse.values import dataclass, replace

if TYPE_CHECKING:
    from bakehouse.engine.tree import Tree

_SPACE = "git-checkout.v1"
_COMMIT = regex(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_HEX = regex(r"[0-9a-fA-F]+")
_DEFAULT_BRANCH = regex(r"^ref: (\S+)\s+HEAD", re.MULTILINE)
_NOT_BUILT = ("git.bundle", "git.checkoutbundle", "git.sig.")


@dataclass(frozen=True, slots=True)
class GitReference:
    """What a git vertex names."""

    remote: str
    ref: str
    subdir: str
    checksum: str
    keep_git_dir: bool
    skip_submodules: bool
    mtime: str
    fetch_by_commit: bool

    @classmethod
    def of(cls, op: SourceOp) -> GitReference:
        """Reads identifier and attributes. Raises `NotBuiltYetError`."""
        for name in op.attrs:
            if name.startswith(_NOT_BUILT):
                raise NotBuiltYetError(f"{name}: git bundles and signature checks are not supported")
        address, _, fragment = op.identifier.removeprefix("git://").partition("#")
        ref, _, subdir = fragment.partition(":")
        remote = op.attrs.get("git.fullurl") or address
        if "://" not in remote and not re.match(r"[^/]+@[^/]+:", remote):
            remote = "https://" + remote
        checksum = op.attrs.get("git.checksum", "")
        return cls(
            remote,
            ref,
            rooted_path(subdir)[1:],
            checksum,
            op.attrs.get("git.keepgitdir") == "true",
            op.attrs.get("git.skipsubmodules") == "true",
            op.attrs.get("git.mtime", ""),
            op.attrs.get("git.fetchbycommit") == "true",
        )

    def check(self) -> None:
        """Raises `DefinitionError` for a checksum that is none, and for what git would take for an option."""
        if self.checksum and not _HEX.fullmatch(self.checksum):
            raise DefinitionError(
                f"invalid checksum {self.checksum} for Git URL, expected hex commit hash",
                code="invalid-git-checksum",
            )
        if self.ref.startswith("-") or self.remote.startswith("-"):
            raise DefinitionError(
                f"invalid git reference {self.ref or self.remote!r}", code="invalid-git-reference"
            )

    def key(self, commit: str, ref: str) -> str:
        """The text that names this checkout of `commit` in BuildKit's cache keys."""
        key = commit
        if self.keep_git_dir:
            key += ".git" + (f"#{ref}" if ref else "")
        if self.subdir:
            key += f":{self.subdir}"
        if self.skip_submodules:
            key += "(skip-submodules)"
        if self.mtime not in ("", "checkout"):
            key += f"(mtime={self.mtime})"
        return key


@dataclass(frozen=True, slots=True)
class _Commit:
    """A resolved reference: the full name `ref` on the remote, the object it names, the commit behind a tag."""

    ref: str
    object: str
    commit: str


class GitSource:
    """The operation of a git vertex. Branches and tags are looked up on the remote in `cache_map`."""

    def __init__(self, vertex: Vertex, context: EngineContext) -> None:
        assert isinstance(vertex.op, SourceOp)
        self._reference = GitReference.of(vertex.op)
        self._attrs = vertex.op.attrs
        self._context = context
        self._name = without_passwords(vertex.name)
        self._question = question(vertex.op)

    def cache_map(self, context: RunContext) -> CacheMap:
        key = self._key(self._resolved(context))
        return CacheMap("sha256:" + hashlib.sha256(f"buildkit.source.v0:{key}".encode()).hexdigest())

    def run(self, context: RunContext, inputs: Sequence[Tree]) -> list[Tree]:
        from bakehouse.snapshots import LayerChain

        found = self._resolved(context)
        key = self._key(found)
        with self._context.store.locks.locked(f"git-checkout-{self._reference.remote}-{key}"):
            memory = hashlib.sha256(f"{self._reference.remote}\0{key}".encode()).hexdigest()
            known = self._context.store.kv.get(_SPACE, memory)
            if known is not None:
                chain = LayerChain((known.decode("ascii"),))
                if self._context.layers.exists(chain):
                    return [LayerTree(chain, self._context)]
            layer = self._fetched(context, found)
            self._context.store.kv.put(_SPACE, memory, layer.encode("ascii"))
        return [LayerTree(LayerChain((layer,)), self._context)]

    def _key(self, found: _Commit) -> str:
        shown = found.object if self._reference.keep_git_dir else found.commit
        return self._reference.key(shown, found.ref)

    # -- resolving ------------------------------------------------------------------------------------------------

    def _resolved(self, context: RunContext) -> _Commit:
        return self._context.answers.once(self._question, lambda: self._resolve(context))

    def _resolve(self, context: RunContext) -> _Commit:
        reference = self._reference
        reference.check()
        if _COMMIT.fullmatch(reference.ref):
            _check_commit(reference.checksum, reference.ref)
            return _Commit(reference.ref, reference.ref, reference.ref)
        if reference.fetch_by_commit:
            return self._pinned()
        with git_access(self._attrs, reference.remote, self._context.session) as access:
            git = Git(context, access)
            return self._asked(git)

    def _pinned(self) -> _Commit:
        reference = self._reference
        if not _COMMIT.fullmatch(reference.checksum):
            raise DefinitionError(
                "fetch-by-commit requires a full commit SHA as checksum or ref", code="invalid-git-checksum"
            )
        ref = reference.ref
        if ref and not ref.startswith("refs/"):
            ref = "refs/heads/" + ref
        return _Commit(ref or reference.checksum, reference.checksum, reference.checksum)

    def _asked(self, git: Git) -> _Commit:
        ref = self._reference.ref or _default_branch(git)
        output = git.run("ls-remote", "--", git.remote, ref, ref + "^{}")
        lines = [line.partition("\t") for line in output.splitlines()]
        offered = {name: object_name for object_name, tab, name in lines if tab}
        tag = "refs/tags/" + ref.removeprefix("refs/tags/")
        branch = "refs/heads/" + ref.removeprefix("refs/heads/")
        for name in ("refs/" + ref.removeprefix("refs/"), branch, tag):
            if name in offered:
                break
        else:
            raise NotFoundError(
                f'repository does not contain ref {ref}, output: "{output.strip()}"', code="git-ref-not-found"
            )
        found = offered[name]
        if not _COMMIT.fullmatch(found):
            raise IntegrityError(f"invalid commit sha {found[:80]!r}", code="git-invalid-answer")
        peeled = offered.get(name + "^{}", "") if name == tag else ""
        _check_commit(self._reference.checksum, found, peeled)
        return _Commit(name, found, peeled or found)

    # -- fetching -------------------------------------------------------------------------------------------------

    def commit_time(self, context: RunContext) -> int:
        """When the commit was made, in seconds since the epoch."""
        found = self._resolved(context)
        with self._repository(context, found) as (git, _, _):
            return _commit_time(git, found)

    def names(self, context: RunContext) -> tuple[str, str, str]:
        """What the reference stands for: its full name on the remote, the object of that name, the commit behind it."""
        found = self._resolved(context)
        return found.ref, found.object, found.commit

    def objects(self, context: RunContext) -> tuple[bytes, bytes | None]:
        """The commit as git keeps it, and the tag object that leads to it, if one does; both are fetched."""
        found = self._resolved(context)
        with self._repository(context, found) as (git, _, _):
            commit = git.run("rev-parse", found.object + "^{commit}").strip()
            kinds = ("commit",) if commit == found.object else ("commit", "tag")
            raw = [
                git.run("cat-file", kind, name).encode("utf-8", "surrogateescape")
                for kind, name in zip(kinds, (commit, found.object), strict=False)
            ]
            return raw[0], raw[1] if len(raw) > 1 else None

    def _fetched(self, context: RunContext, found: _Commit) -> str:
        """Fetches `found`, checks it out and commits the layer."""
        from bakehouse.snapshots import LayerChain

        with (
            self._repository(context, found) as (_, repository, access),
            self._context.layers.prepare(LayerChain(())) as active,
        ):
            self._check_out(context, access, repository, found, active.root)
            return active.commit(description=self._name, record_type="source.git.checkout")

    @contextmanager
    def _repository(self, context: RunContext, found: _Commit) -> Iterator[tuple[Git, Path, GitAccess]]:
        """The shared repository of the remote, `found` fetched into it, for this block alone."""
        remote = self._reference.remote
        name = hashlib.sha256(remote.encode()).hexdigest()[:40]
        with (
            self._context.store.locks.locked(f"git-{remote}"),
            git_access(self._attrs, remote, self._context.session) as access,
        ):
            repository = self._context.store.mounts.open(
                name,
                record_type="source.git.checkout",
                description=f"shared git repo for {without_passwords(remote)}",
                place=f"git/{name}",
            )
            git = Git(context, access, git_dir=repository)
            self._fetch(git, repository, found)
            yield git, repository, access

    def _fetch(self, git: Git, repository: Path, found: _Commit) -> None:
        if not (repository / "HEAD").exists():
            shutil.rmtree(repository, ignore_errors=True)
            repository.mkdir(parents=True)
            form = ["--object-format=sha256"] if len(found.object) == 64 else []
            git.run("-c", "init.defaultBranch=master", "init", "--quiet", "--bare", *form)
        if git.succeeds("cat-file", "-e", found.object + "^{commit}"):
            self._verify(git, found)
            return
        (repository / "shallow.lock").unlink(missing_ok=True)
        target = f"refs/bakehouse/{found.object}"
        try:
            git.run(
                "fetch", "--depth=1", "--no-tags", "--force", "--", git.remote, f"{found.object}:{target}"
            )
        except DefinitionError:
            self._fetch_by_name(git, repository, found, target)
        self._verify(git, found)

    def _fetch_by_name(self, git: Git, repository: Path, found: _Commit, target: str) -> None:
        """For servers that hand out only what they advertise."""
        if found.ref != found.object:
            git.run("fetch", "--depth=1", "--no-tags", "--force", "--", git.remote, f"{found.ref}:{target}")
            if git.succeeds("cat-file", "-e", found.object):
                return
        deepen = ["--unshallow"] if (repository / "shallow").exists() else []
        git.run(
            "fetch", "--force", "--tags", *deepen, "--", git.remote, "+refs/heads/*:refs/bakehouse/heads/*"
        )
        if not git.succeeds("cat-file", "-e", found.object):
            raise NotFoundError(
                f"fetched ref {found.ref} does not match expected commit {found.object} and commit can not be found "
                "in the repository",
                code="git-commit-not-found",
            )

    def _verify(self, git: Git, found: _Commit) -> None:
        if self._reference.checksum:
            peeled = git.run("rev-parse", found.object + "^{commit}").strip()
            _check_commit(self._reference.checksum, found.object, peeled)

    def _check_out(
        self, context: RunContext, access: GitAccess, repository: Path, found: _Commit, root: Path
    ) -> None:
        reference = self._reference
        with tempfile.TemporaryDirectory(dir=root, prefix=".checkout-") as scratch:
            work = Path(scratch) if reference.subdir else root
            if reference.keep_git_dir and not reference.subdir:
                repository = self._clone(context, access, repository, found, root)
            else:
                git = Git(context, access, git_dir=repository, work_tree=work)
                git.run("checkout", "--force", "--no-overlay", found.object, "--", ".")
            git = Git(context, access, git_dir=repository, work_tree=work)
            if not reference.skip_submodules and (work / ".gitmodules").exists():
                _update_submodules(git)
                if not reference.keep_git_dir:
                    _forget_repository(work)
            if reference.subdir:
                _move_up(work, reference.subdir, root)
        if reference.mtime == "commit":
            _set_times(root, _commit_time(git, found) * 1_000_000_000)

    def _clone(
        self, context: RunContext, access: GitAccess, repository: Path, found: _Commit, root: Path
    ) -> Path:
        """A repository of its own in the checkout, with the one commit and the remote's address."""
        own = root / ".git"
        git = Git(context, replace(access, authorization="", login=None), git_dir=own, work_tree=root)
        form = ["--object-format=sha256"] if len(found.object) == 64 else []
        git.run("-c", "init.defaultBranch=master", "init", "--quiet", *form)
        git.run("remote", "add", "origin", f"file://{repository}")
        shared = Git(context, access, git_dir=repository)
        shared.run("update-ref", f"refs/bakehouse/{found.object}", found.object)
        name = f"refs/bakehouse/{found.object}"
        wanted = [f"{name}:{ref}" for ref in _names_in_clone(self._reference.ref, found)] or [name]
        git.run("fetch", "-u", "--depth=1", "--", "origin", *wanted)
        git.run("checkout", "FETCH_HEAD")
        git.run("remote", "set-url", "origin", without_passwords(self._reference.remote))
        git.run("reflog", "expire", "--all", "--expire=now")
        (own / "FETCH_HEAD").unlink(missing_ok=True)
        return own


def _names_in_clone(asked: str, found: _Commit) -> list[str]:
    """What the checkout's own repository calls the commit: its name on the remote, and for a short name of a tag
    without an object of its own a branch besides, which is what git makes of a fetch by that name."""
    if found.ref == found.object:
        return []
    if found.object == found.commit and found.ref == f"refs/tags/{asked}":
        return [f"refs/heads/{asked}", found.ref]
    return [found.ref]


def _update_submodules(git: Git) -> None:
    """Fetches submodules. Relative addresses start from the origin's."""
    git.run("config", "remote.origin.url", git.remote)
    git.run("submodule", "update", "--init", "--recursive", "--depth=1")


def _commit_time(git: Git, found: _Commit) -> int:
    return int(git.run("log", "-1", "--format=%ct", found.object + "^{commit}").strip())


def _check_commit(wanted: str, *found: str) -> None:
    """Raises unless one of the object names begins with the checksum `wanted` ("" accepts all)."""
    names = [name for name in dict.fromkeys(found) if name]
    if wanted and not any(name.startswith(wanted.lower()) for name in names):
        raise IntegrityError(
            f"expected checksum to match {wanted}, got {' or '.join(names)}", code="git-checksum-mismatch"
        )


def _default_branch(git: Git) -> str:
    try:
        output = git.run("ls-remote", "--symref", "--", git.remote, "HEAD")
    except DefinitionError as error:
        error.message = f"error fetching default branch for repository {git.remote}: {error.message}"
        raise
    found = _DEFAULT_BRANCH.search(output)
    if found is None:
        raise NotFoundError(
            f"could not find default branch for repository: {git.remote}",
            code="git-ref-not-found",
        )
    return found[1]


def _move_up(work: Path, subdir: str, root: Path) -> None:
    """Moves what `subdir` of the checkout holds to `root`. No component of it may be a symlink."""
    current = work
    for part in subdir.split("/"):
        current = current / part
        try:
            mode = os.lstat(current).st_mode
        except OSError as error:
            raise NotFoundError(
                f'invalid subdir {subdir}: failed to lstat "{subdir}": statat {subdir}: '
                f"{(error.strerror or '').lower()}",
                code="git-subdir-not-found",
            ) from error
        if not stat.S_ISDIR(mode):
            raise DefinitionError(
                f'invalid subdir {subdir}: git subpath "{subdir}" contains non-directory "{part}"',
                code="git-subdir-invalid",
            )
    for name in os.listdir(current):
        os.rename(current / name, root / name)


def _forget_repository(work: Path) -> None:
    """Has the `.git` files of submodules name the place that an ordinary clone has, instead of one of this machine's:
    the same commit gives the same files everywhere."""
    for directory, names, files in os.walk(work):
        link = Path(directory, ".git")
        if ".git" in files and not link.is_symlink():
            _, found, name = link.read_text("utf-8", "surrogateescape").partition("/modules/")
            if found:
                up = "../" * len(Path(directory).relative_to(work).parts)
                link.write_text(f"gitdir: {up}.git/modules/{name}", "utf-8", "surrogateescape")
        if ".git" in names:
            names.remove(".git")


def _set_times(root: Path, time_ns: int) -> None:
    for directory, _, files, descriptor in os.fwalk(root, topdown=False, follow_symlinks=False):
        for name in files:
            os.utime(name, ns=(time_ns, time_ns), dir_fd=descriptor, follow_symlinks=False)
        for name in os.listdir(descriptor):
            os.utime(name, ns=(time_ns, time_ns), dir_fd=descriptor, follow_symlinks=False)
        os.utime(directory, ns=(time_ns, time_ns))
