"""The policies of targets: those that `policy` names, the one beside a Dockerfile, and the rules of the environment.

As in buildx, a policy file is one of the build context, wherever that is, or `cwd://FILE` in the working directory;
what it reads and imports lies there too.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from bakehouse.bake import PolicyEntry, Target
from bakehouse.builders.display import prefixed, solving
from bakehouse.builders.fetching import Fetcher
from bakehouse.builders.main_context import BuildDirectories
from bakehouse.builders.policies import Rules, TargetPolicy
from bakehouse.dockerfile.lowering import LowerRequest, main_context_root
from bakehouse.errors import BakehouseError, DefinitionError, NotBuiltYetError, NotFoundError
from bakehouse.giturl import is_remote_url
from bakehouse.go.paths import clean_path, rooted_path
from bakehouse.go.text import os_error_text
from bakehouse.go.values import parse_bool
from bakehouse.llb.ops import Edge
from bakehouse.oci.platform import Platform
from bakehouse.progress.events import Reporter, VertexReporter
from bakehouse.session import UPLOAD_HOST
from bakehouse.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bakehouse.engine.policy.decisions import PolicyText, RegoPolicy
    from bakehouse.engine.policy.metadata import MetadataSource

_DEFAULT_NAME = "Dockerfile"
_CWD = "cwd://"
_MAX_BYTES = 4 * 1024 * 1024
#: Asks for a policy of buildx's own, about images that Bakehouse does not use.
_DEFAULT_POLICY = "BUILDX_DEFAULT_POLICY"


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the policy files of a target are: a directory of this machine, the tree `edge`, or nowhere. `default` is
    the name of the policy beside the Dockerfile, `path` the file of it when it is on this machine."""

    directory: Path | None = None
    edge: Edge | None = None
    default: str = ""
    path: Path | None = None


@dataclass(slots=True)
class _Option:
    """Files that make one policy."""

    files: tuple[str, ...]
    level: str | None = None
    is_default: bool = False


class PolicyLoader:
    """Finds out once what every target's sources are held against."""

    def __init__(
        self,
        directories: BuildDirectories,
        rules: Rules,
        fetcher: Fetcher,
        metadata: Callable[[Target], MetadataSource],
        reporter: Reporter,
        *,
        environ: dict[str, str],
        known_hosts: Callable[[str], str] | None = None,
        several: bool,
    ) -> None:
        """`several` targets have their names shown."""
        self._directories = directories
        self._rules = rules
        self._fetcher = fetcher
        self._metadata = metadata
        self._reporter = reporter
        self._known_hosts = known_hosts
        self._several = several
        self._found: dict[str, TargetPolicy] = {}
        self._logs: list[_Log] = []
        if _is_on(environ.get(_DEFAULT_POLICY, "")):
            raise NotBuiltYetError(
                f"{_DEFAULT_POLICY} is not supported yet: signatures of images cannot be verified",
                hint="unset it for this run",
            )

    def of(self, target: Target) -> TargetPolicy:
        """Raises what is wrong with a policy, or with where it should be."""
        found = self._found.get(target.name)
        if found is None:
            found = self._found[target.name] = self._load(target)
        return found

    def close(self, error: BakehouseError | None = None) -> None:
        """Ends the vertices in which policies tell what they do, with the error if a policy made it."""
        for log in self._logs:
            log.close(error)

    def _load(self, target: Target) -> TargetPolicy:
        entries = target.policy or []
        if any(entry.disabled for entry in entries):
            _check_disabled(entries)
            return self._rules_only()
        place = self._place(target)
        options = _options(entries, place)
        loaded = [(option, self._texts(target, option, place)) for option in options]
        loaded = [(option, texts) for option, texts in loaded if texts]
        if not loaded:
            return self._rules_only()
        names = ", ".join(text.name for _, texts in loaded for text in texts)
        log = _Log(self._reporter, f"loading policies {names}", target.name if self._several else "")
        self._logs.append(log)
        try:
            policies = [self._policy(target, option, texts, place, log) for option, texts in loaded]
        except BakehouseError as error:
            log.close(error)
            raise
        from bakehouse.engine.policy.decisions import VerifiedSources

        return TargetPolicy(
            VerifiedSources(self._rules.rules, policies, self._metadata(target), Platform.local())
        )

    def _rules_only(self) -> TargetPolicy:
        return TargetPolicy(self._rules if self._rules.given else None)

    def _policy(
        self, target: Target, option: _Option, texts: Sequence[PolicyText], place: _Place, log: _Log
    ) -> RegoPolicy:
        from bakehouse.engine.policy.decisions import LEVELS, RegoPolicy
        from bakehouse.engine.policy.inputs import PolicyEnv

        args = dict(target.args or {})
        labels = dict(target.labels or {})
        base = os.path.basename(os.path.normpath(target.dockerfile or _DEFAULT_NAME))
        env = PolicyEnv(args, labels, base or _DEFAULT_NAME, target.target or "")
        level = LEVELS.index(option.level or "info")
        files = _Files(self._directories.cwd, place, lambda edge, name: self._read_remote(target, edge, name))
        policy = RegoPolicy(
            texts, files, env, lambda line_level, text: log.write(text) if line_level <= level else None
        )
        policy.check_caps()
        return policy

    # -- where ------------------------------------------------------------------------------------------------

    def _place(self, target: Target) -> _Place:
        dockerfile = target.dockerfile or _DEFAULT_NAME
        given = (
            target.dockerfile_inline is not None
            or self._directories.dockerfile is not None
            or dockerfile.startswith(("http://", "https://"))
        )
        tree = self._directories.tree
        if tree is not None and target.tree_path not in (None, "."):
            name = "" if given or dockerfile.startswith(_CWD) else f"{dockerfile}.rego"
            return _Place(edge=tree.directory(target.tree_path or "."), default=name)
        context = (self._directories.context or target.context or ".").removeprefix(_CWD) or "."
        directory = Path(self._directories.cwd, context)
        if directory.is_dir():
            if given:
                return _Place(directory)
            path = Path(dockerfile.removeprefix(_CWD))
            if dockerfile.startswith(_CWD):
                path = self._directories.cwd / path
            shown = os.path.normpath(os.path.join(context, path))
            return self._beside(directory, Path(self._directories.cwd, shown), shown)
        if not is_remote_url(context) or context.startswith(f"http://{UPLOAD_HOST}/"):
            return _Place()
        path = Path(dockerfile.removeprefix(_CWD))
        if dockerfile.startswith(_CWD) or path.is_absolute():
            # Looked for in the remote context all the same, where no such path is.
            return _Place(edge=self._root(context))
        return _Place(edge=self._root(context), default="Dockerfile.rego" if given else f"{dockerfile}.rego")

    def _beside(self, directory: Path, dockerfile: Path, shown: str) -> _Place:
        """The policy beside a Dockerfile of this machine, if it is there."""
        name = dockerfile.name
        lower = name.lower()
        if name == _DEFAULT_NAME and not dockerfile.exists() and dockerfile.with_name(lower).exists():
            shown = shown.removesuffix(name) + lower
            dockerfile = dockerfile.with_name(lower)
        path = dockerfile.with_name(dockerfile.name + ".rego")
        if path.exists():
            return _Place(directory, default=f"{shown}.rego", path=path)
        return _Place(directory)

    def _root(self, context: str) -> Edge | None:
        request = LowerRequest(
            b"", main_context=context, known_hosts=self._known_hosts, context_is_archive=True
        )
        with solving():
            return main_context_root(request)

    # -- reading ----------------------------------------------------------------------------------------------

    def _texts(self, target: Target, option: _Option, place: _Place) -> list[PolicyText]:
        from bakehouse.engine.policy.decisions import PolicyText

        files = _Files(self._directories.cwd, place, lambda edge, name: self._read_remote(target, edge, name))
        out = []
        for name in option.files:
            if option.is_default and place.path is not None:
                data: bytes | None = _read_here(place.path, name)
            else:
                try:
                    data = files.read(name, _MAX_BYTES + 1)
                except BakehouseError as error:
                    if _is_absent(error):
                        data = None
                    else:
                        error.message = f"failed to stat policy file {name}: {error.message}"
                        raise
            if data is not None and len(data) > _MAX_BYTES:
                raise DefinitionError(
                    f"policy file {name} is larger than {_MAX_BYTES} bytes", code="policy-unreadable"
                )
            if data is not None:
                out.append(PolicyText(name, data))
            elif not option.is_default:
                raise NotFoundError(
                    f"policy file {name} not found",
                    code="policy-not-found",
                    hint=f"it is looked for in the build context; {_CWD}{name} is one in the working directory",
                )
        return out

    def _read_remote(self, target: Target, edge: Edge, name: str) -> bytes | None:
        return self._fetcher.read(target, edge, [name], _MAX_BYTES + 1).get(name)


def _is_absent(error: BakehouseError) -> bool:
    """Whether there is no file since not even its directory is there, which shows when the build needs that. By the
    words, as buildx tells it."""
    return any(words in error.message.lower() for words in ("not found", "no such file"))


class _Files:
    """`engine.policy.decisions.PolicyFiles` of one target."""

    def __init__(self, cwd: Path, place: _Place, remote: Callable[[Edge, str], bytes | None]) -> None:
        self._cwd = cwd
        self._place = place
        self._remote = remote

    def read(self, name: str, limit: int) -> bytes | None:
        """As `PolicyFiles.read`."""
        if name.startswith(_CWD):
            return _read_below(self._cwd, name.removeprefix(_CWD), limit)
        if self._place.edge is not None:
            path = rooted_path(name)[1:]
            return self._remote(self._place.edge, path) if path else None
        directory = self._place.directory
        return None if directory is None else _read_below(directory, name, limit)


def _read_below(directory: Path, name: str, limit: int) -> bytes | None:
    """A file beneath `directory`: no name and no link leads out of it. Raises `DefinitionError`."""
    from bakehouse.linux.files import open_in_root

    if os.path.isabs(name):
        name = os.path.relpath(name, os.path.abspath(directory))
    path = clean_path(name)
    if path == ".." or path.startswith("../"):
        raise _unreadable(name, "path escapes from parent")
    root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        opened = open_in_root(root, path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(name, os_error_text("open", name, error)) from None
    finally:
        os.close(root)
    try:
        with os.fdopen(opened, "rb") as file:
            return file.read(limit)
    except OSError as error:
        raise _unreadable(name, os_error_text("read", name, error)) from None


def _read_here(path: Path, name: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DefinitionError(
            f"failed to read policy file {name}: {os_error_text('open', name, error)}",
            code="policy-unreadable",
        ) from None


def _unreadable(name: str, why: str) -> DefinitionError:
    return DefinitionError(
        why if why.startswith(("open ", "read ")) else f"statat {name}: {why}", code="policy-unreadable"
    )


def _check_disabled(entries: Sequence[PolicyEntry]) -> None:
    """A policy that is disabled stands alone."""
    for entry in entries:
        if entry.disabled and (
            len(entries) > 1
            or entry.reset
            or entry.files
            or entry.strict is not None
            or entry.log_level is not None
        ):
            raise DefinitionError(
                "disabled policy cannot be combined with other policy flags", code="invalid-policy-option"
            )


def _options(entries: Sequence[PolicyEntry], place: _Place) -> list[_Option]:
    """The policies that a target's entries make, the one beside the Dockerfile first."""
    out = [_Option((place.default,), is_default=True)] if place.default else []
    level: str | None = None
    for entry in entries:
        if entry.reset:
            out = []
        if not entry.files:
            # Settings alone belong to the policy before them, or to the next one.
            if not out:
                level = entry.log_level
            elif entry.log_level is not None:
                out[-1].level = entry.log_level
            continue
        out.append(_Option(tuple(entry.files), entry.log_level or level))
    return out


def _is_on(text: str) -> bool:
    try:
        return bool(text) and parse_bool(text)
    except ValueError:
        return False


class _Log:
    """The vertex in which the policies of one target tell what they do; it begins with the first line."""

    def __init__(self, reporter: Reporter, name: str, target: str) -> None:
        digest = "sha256:" + os.urandom(32).hex()
        self._vertex: VertexReporter = reporter.vertex(digest, prefixed(target, name) if target else name)
        self._started = self._closed = False

    def write(self, text: str) -> None:
        if self._closed:
            return
        if not self._started:
            self._started = True
            self._vertex.start()
        self._vertex.log(1, (text + "\n").encode("utf-8", "replace"))

    def close(self, error: BakehouseError | None) -> None:
        """Idempotent."""
        if self._closed:
            return
        self._closed = True
        if not self._started:
            return
        if error is not None and error.code in ("source-denied", "invalid-policy"):
            self._vertex.fail(error.message)
        else:
            self._vertex.done()
