"""Turns the mounts of an ExecOp into directories on the host, and the writable ones into outputs (engine.md §3).

Everything prepared is taken back when the `ExitStack` that it was entered into ends. The table of what each kind of
mount yields is BuildKit's:

    bind, output            writable layer on the input; committed, its tree is the output
    bind, output, readonly  the input itself is the output (the root gets a layer all the same)
    bind, no output         readonly: the input as it is; else a layer that is thrown away
    cache                   persistent directory; with an output, the input passes through
    tmpfs, secret, ssh      never an output
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from bakehouse.engine.layer_tree import LayerTree
from bakehouse.engine.ops.cachemounts import CacheMounts, CacheRequest
from bakehouse.engine.ops.exec_agent import agent_proxy
from bakehouse.engine.tree import EngineContext, Tree
from bakehouse.errors import DefinitionError, NotFoundError
from bakehouse.go.paths import rooted_path
from bakehouse.go.text import quote
from bakehouse.llb.ops import MOUNT_BIND, MOUNT_CACHE, MOUNT_SECRET, MOUNT_SSH, MOUNT_TMPFS, ExecOp, Mount
from bakehouse.runtime.rootpath import resolve_in_root
from bakehouse.runtime.scratch import Scratch
from bakehouse.runtime.step import StepMount
from bakehouse.snapshots import LayerChain
from bakehouse.solver.model import Cancellation
from bakehouse.values import dataclass

if TYPE_CHECKING:
    from bakehouse.snapshots import Active

_EXECUTABLE_BITS = 0o111
_NOT_ON_LINUX = "not a mount type of Linux steps"


@dataclass(slots=True)
class PreparedMounts:
    """`root` is the step's `/`. `outputs` make the result trees, in the order of the mounts; call them only after
    the step has succeeded and before the stack ends."""

    root: Path
    readonly_root: bool
    mounts: tuple[StepMount, ...]
    outputs: list[Callable[[], Tree]]


class MountPreparer:
    """Prepares the mounts of one run of `op`. For one thread."""

    def __init__(
        self,
        op: ExecOp,
        inputs: Sequence[Tree],
        context: EngineContext,
        scratch: Scratch,
        cancel: Cancellation,
        stack: ExitStack,
    ) -> None:
        self._op = op
        self._inputs = inputs
        self._context = context
        self._scratch = scratch
        self._cancel = cancel
        self._stack = stack
        self._command = " ".join(op.meta.args)
        self._caches: dict[str, Path] = {}
        self._outputs: list[Callable[[], Tree]] = []

    def prepare(self) -> PreparedMounts:
        """Raises `NotFoundError` for missing secrets, agents and selected paths, `DefinitionError` `invalid-mount`."""
        root: tuple[Path, bool] | None = None
        mounts: list[StepMount] = []
        for mount in self._op.mounts:
            if mount.dest == "/":
                root = (self._root(mount), mount.readonly)
                continue
            prepared = self._mounted(mount)
            if prepared is not None:
                mounts.append(prepared)
        if root is None:
            raise DefinitionError("the step has no root mount", code="invalid-mount")
        # Parents before what is mounted inside them.
        mounts.sort(key=lambda mount: os.fsencode(mount.dest))
        return PreparedMounts(root[0], root[1], tuple(mounts), self._outputs)

    def _root(self, mount: Mount) -> Path:
        """The root is always a layer of its own: even a readonly one needs mount points."""
        if mount.mount_type != MOUNT_BIND:
            raise DefinitionError("only a bind mount can be the root of a step", code="invalid-mount")
        tree = self._input(mount)
        active = self._writable(tree)
        if mount.output != -1:
            self._outputs.append(lambda: self._committed(active, tree, mount))
        return active.root

    def _mounted(self, mount: Mount) -> StepMount | None:
        kind = mount.mount_type
        if kind == MOUNT_BIND:
            return self._bind(mount)
        if kind == MOUNT_CACHE:
            return self._cache(mount)
        if kind == MOUNT_TMPFS:
            options = ["nosuid", *(["ro"] if mount.readonly else [])]
            if mount.tmpfs_size:
                options.append(f"size={mount.tmpfs_size}")
            return StepMount("tmpfs", None, self._dest(mount), tuple(options))
        if kind == MOUNT_SECRET:
            return self._secret(mount)
        if kind == MOUNT_SSH:
            return self._agent(mount)
        raise DefinitionError(f"mount {mount.dest}: type {kind} is {_NOT_ON_LINUX}", code="invalid-mount")

    def _dest(self, mount: Mount) -> str:
        """A relative destination is below the working directory."""
        dest = mount.dest if mount.dest.startswith("/") else f"{self._op.meta.cwd}/{mount.dest}"
        return rooted_path(dest)

    def _input(self, mount: Mount) -> Tree | None:
        if mount.input == -1:
            return None
        if not 0 <= mount.input < len(self._inputs):
            raise DefinitionError(
                f"mount {mount.dest}: input {mount.input} does not exist", code="invalid-mount"
            )
        return self._inputs[mount.input]

    def _writable(self, tree: Tree | None) -> Active:
        chain = LayerChain(()) if tree is None else tree.chain()
        return self._stack.enter_context(self._context.layers.prepare(chain))

    def _committed(self, active: Active, below: Tree | None, mount: Mount) -> Tree:
        layer = active.commit(description=f"mount {mount.dest} from exec {self._command}")
        chain = LayerChain(()) if below is None else below.chain()
        return LayerTree(chain.then(layer), self._context)

    def _bind(self, mount: Mount) -> StepMount:
        tree = self._input(mount)
        if mount.readonly and tree is not None:
            path = self._stack.enter_context(tree.mounted())
            if mount.output != -1:
                self._outputs.append(lambda: tree)
        else:
            active = self._writable(tree)
            path = active.root
            if mount.output != -1:
                self._outputs.append(lambda: self._committed(active, tree, mount))
        source = self._selected(path, mount)
        return StepMount("bind", source, self._dest(mount), ("bind", "ro" if mount.readonly else "rw"))

    def _selected(self, path: Path, mount: Mount) -> Path:
        """The mounted part of a tree; links in the selector never lead out of it."""
        root = os.path.realpath(path)
        source = resolve_in_root(root, mount.selector)
        if not os.path.lexists(source):
            raise NotFoundError(
                f"process {quote(self._command)} did not complete successfully: open {mount.selector}: "
                "no such file or directory",
                code="mount-source-missing",
                hint=f"check the source of the mount {mount.dest} against what it is taken from",
            )
        return Path(source)

    def _cache(self, mount: Mount) -> StepMount:
        if mount.cache is None:
            raise DefinitionError(f"mount {mount.dest}: cache options are missing", code="invalid-mount")
        tree = self._input(mount)
        request = CacheRequest(
            id=mount.cache.id,
            sharing=mount.cache.sharing,
            description=self._cache_description(mount),
            seed_id=tree.chain().key if tree is not None else "",
            seed=_seeder(tree) if tree is not None else None,
        )
        # Two mounts of one cache in one step are the same directory; asking twice would wait for ourselves.
        path = self._caches.get(request.key)
        if path is None:
            path = self._stack.enter_context(CacheMounts(self._context.store).held(request, self._cancel))
            self._caches[request.key] = path
        if mount.output != -1 and tree is not None:
            self._outputs.append(lambda: tree)
        source = self._selected(path, mount)
        return StepMount("bind", source, self._dest(mount), ("bind", "ro" if mount.readonly else "rw"))

    def _cache_description(self, mount: Mount) -> str:
        assert mount.cache is not None
        text = f"cached mount {mount.dest} from exec {self._command}"
        return text if mount.cache.id == mount.dest else f'{text} with id "{mount.cache.id}"'

    def _secret(self, mount: Mount) -> StepMount | None:
        if mount.secret is None or not mount.secret.id:
            raise DefinitionError(f"mount {mount.dest}: secret id is missing", code="invalid-mount")
        data = self._context.session.secret(mount.secret.id)
        if data is None:
            if mount.secret.optional:
                return None
            raise secret_not_found(mount.secret.id)
        options = ["bind", "ro", "nodev", "nosuid"]
        if not mount.secret.mode & _EXECUTABLE_BITS:
            options.append("noexec")
        path = self._scratch.new_file(
            data, mode=mount.secret.mode & 0o777, uid=mount.secret.uid, gid=mount.secret.gid
        )
        self._stack.callback(path.unlink, missing_ok=True)
        return StepMount("bind", path, self._dest(mount), tuple(options))

    def _agent(self, mount: Mount) -> StepMount | None:
        if mount.ssh is None:
            raise DefinitionError(f"mount {mount.dest}: ssh options are missing", code="invalid-mount")
        agent = self._context.session.ssh.get(mount.ssh.id or "default")
        if agent is None:
            if mount.ssh.optional:
                return None
            raise NotFoundError(
                f'no SSH key "{mount.ssh.id}" forwarded from the client',
                code="ssh-agent-missing",
                hint="forward an agent with --ssh, or drop `required` from the mount",
            )
        path = self._stack.enter_context(
            agent_proxy(
                agent,
                self._scratch.new_name(),
                mode=mount.ssh.mode,
                uid=mount.ssh.uid,
                gid=mount.ssh.gid,
            )
        )
        return StepMount("bind", path, self._dest(mount), ("bind",))


def secret_not_found(id: str) -> NotFoundError:
    return NotFoundError(
        f"secret {id}: not found",
        code="secret-not-found",
        hint=f"give it with --secret id={id},src=FILE or id={id},env=VARIABLE",
    )


def _seeder(tree: Tree) -> Callable[[Path], None]:
    """Copies `tree` into a new cache directory, the attributes of its root included."""
    import shutil

    def seed(directory: Path) -> None:
        from bakehouse.snapshots import copy_tree

        with tree.mounted() as source:
            copy_tree(source, directory)
            status = os.stat(source)
            os.chown(directory, status.st_uid, status.st_gid)
            shutil.copystat(source, directory)

    return seed
