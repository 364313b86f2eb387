"""Compose files to Bake targets: the steps in their order, and faults as the errors that leave the package.

Each file is first loaded by itself, then all together: that is how the peer finds out which file is at fault, and
the names of files in its messages follow from it.
"""

from __future__ import annotations

from bakehouse.bake.compose.consistency import check_consistency
from bakehouse.bake.compose.dotenv import DotenvError, parse_dotenv
from bakehouse.bake.compose.model import Loading, Project
from bakehouse.bake.compose.nodes import ComposeFailure, Node
from bakehouse.bake.compose.positions import Places
from bakehouse.bake.compose.project_name import project_name
from bakehouse.bake.compose.reading import Disk
from bakehouse.bake.compose.schema import check_schema
from bakehouse.bake.compose.services import decode, resolve_environment
from bakehouse.bake.compose.targets import make_target
from bakehouse.bake.contexts import file_directory
from bakehouse.bake.resolution import merge_block
from bakehouse.bake.target import ContextBase, Group, Target
from bakehouse.diagnostics import Diagnostic, DiagnosticsError
from bakehouse.errors import BakehouseError, DefinitionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import TypeVar

    from bakehouse.bake.compose.nodes import Source
    from bakehouse.bake.compose.positions import PositionKey
    from bakehouse.bake.compose.reader import YamlFile
    from bakehouse.bake.compose.services import Decoded
    from bakehouse.bake.files import DefinitionFile
    from bakehouse.diagnostics import SourceRange

    Result = TypeVar("Result")

_PROJECT_NAME = "COMPOSE_PROJECT_NAME"
_KEPT = ("image", "build", "environment", "env_file")
_PREFIX = "failed to parse compose file: "


class ComposeOptions:
    """What the caller lends: the working directory, the variables of the process (empty where their use is not
    allowed), the values of `--var`, the home directory that `~` stands for, whether relative contexts start from the
    directory of the first file, and who is told of each warning, once, as it comes up."""

    __slots__ = ("cwd", "environ", "home", "relative_paths", "variables", "warn")

    def __init__(
        self,
        *,
        cwd: str,
        environ: Mapping[str, str],
        variables: Mapping[str, str] | None = None,
        home: str | None = None,
        relative_paths: bool = False,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        self.cwd = cwd
        self.warn = warn
        self.environ = environ
        self.variables: Mapping[str, str] = variables or {}
        self.home = home
        self.relative_paths = relative_paths


class ComposeDefinition:
    """What Compose files define: `targets` by name in the order of the files, `groups` (`default`, or none where there
    are no services), `warnings`, one line each, to be shown before the result, and `files`, the paths that were read
    because a Compose file names them (`env_file`, `extends`, `include`) or as its `.env`."""

    def __init__(
        self,
        targets: dict[str, Target],
        groups: list[Group],
        warnings: list[str],
        files: list[str],
        places: Places,
    ) -> None:
        self.targets = targets
        self.groups = groups
        self.warnings = warnings
        self.files = files
        self._places = places

    @property
    def positions(self) -> dict[PositionKey, SourceRange]:
        """Where each value was written: (target, Bake field, key or index) → the YAML value that set it.

        The third part is None for the field as a whole, a key for a member of a mapping field (`args`, `labels`,
        `contexts`, `extra-hosts`), an index for an element of a list field, as far as one element of the file became
        one of the field. (target, "name", None) is the service. Values that nobody wrote (the context `.`) stand where
        they came from: at the `build` of the service.
        """
        return self._places.ranges()

    def place(self, target: str, field: str, part: str | int | None = None) -> SourceRange | None:
        """Where a value was written, as `positions` has it; that of the whole field where the part's own is not known,
        and that of the service where nobody wrote the field."""
        return (
            self._places.range(target, field, part)
            or self._places.range(target, field, None)
            or self._places.range(target, "name", None)
        )


class ComposeLoader:
    """Loads Compose files for one definition. The environment, `.env` included, is read once."""

    def __init__(self, options: ComposeOptions) -> None:
        self._options = options
        self._environment: dict[str, str] | None = None
        self._warnings: dict[str, None] = {}
        self._shared = Loading(Disk(options.cwd), options.home, self._warn)
        self._opened: dict[int, YamlFile] = {}
        self._checked: dict[int, Decoded] = {}

    def check(self, file: DefinitionFile) -> None:
        """Loads one file by itself. Raises `DefinitionError` when it is no Compose file, or a faulty one: a
        `DiagnosticsError` where that has a place."""
        decoded = with_places(self._shared, lambda: self._load_model([self._open(file, "")]), "")
        self._checked[id(file)] = decoded

    def load(self, files: Sequence[DefinitionFile]) -> ComposeDefinition:
        """The definition of all files together. Raises `DefinitionError`."""
        return with_places(self._shared, lambda: self._load(files), _PREFIX)

    def _open(self, file: DefinitionFile, peer_name: str) -> YamlFile:
        opened = self._opened.get(id(file))
        if opened is None:
            opened = self._opened[id(file)] = self._shared.opened(file.name, file.data, peer_name)
        opened.source.peer_name = peer_name
        return opened

    def _warn(self, text: str) -> None:
        if text not in self._warnings:
            self._warnings[text] = None
            if self._options.warn is not None:
                self._options.warn(text)

    def environment(self) -> dict[str, str]:
        """The variables of Compose files: the process's, then those of `.env` for names not set, and `--var` over all.
        Raises `DefinitionError` for a faulty `.env`."""
        if self._environment is None:
            found = dict(self._options.environ)
            disk = self._shared.disk
            if disk.is_file(".env"):
                data = with_places(self._shared, lambda: disk.read(disk.absolute(".env"), None), "")
                try:
                    lines = parse_dotenv(data.decode("utf-8", "surrogateescape"), found.get, self._warn)
                except DotenvError as error:
                    hint = "The variables of Compose files come from .env in the working directory."
                    raise DefinitionError(str(error), code="invalid-env-file", hint=hint) from None
                found = {**lines, **found}
            self._environment = {**found, **self._options.variables}
        return dict(self._environment)

    def _project_environment(self, files: Sequence[YamlFile]) -> dict[str, str]:
        environment = self.environment()
        environment[_PROJECT_NAME] = project_name(files, environment, self._warn)
        return environment

    def _load_model(self, files: Sequence[YamlFile], *, consistent: bool = False) -> Decoded:
        environment = self._project_environment(files)
        loaded = Project(self._shared, "", "", environment).load(files, ())
        if loaded is None:
            raise ComposeFailure("empty compose file")
        model = _kept(loaded)
        check_schema(model)
        decoded = decode(model, self._shared)
        if consistent:
            check_consistency(decoded)
        resolve_environment(decoded, environment, self._shared)
        return decoded

    def _decoded(self, files: Sequence[DefinitionFile]) -> Decoded:
        checked = self._checked.get(id(files[0])) if len(files) == 1 else None
        if checked is None:
            return self._load_model([self._open(file, file.name) for file in files], consistent=True)
        # A file that is the only one was loaded when it was checked; what parts demand of each other was left open.
        check_consistency(checked)
        return checked

    def _load(self, files: Sequence[DefinitionFile]) -> ComposeDefinition:
        decoded = self._decoded(files)
        environment = self._project_environment([self._open(file, file.name) for file in files])
        places = Places()
        targets: dict[str, Target] = {}
        group = Group("default", [])
        for service in decoded.services.values():
            if service.build is None:
                continue
            target = make_target(service, service.build, decoded, environment, places)
            if self._options.relative_paths:
                target.base = _base(files, target)
            if target.name in targets:
                merge_block(targets[target.name], target)
            else:
                targets[target.name] = target
        group.targets = list(targets) or None
        groups = [group] if decoded.services else []
        return ComposeDefinition(targets, groups, list(self._warnings), list(self._shared.disk.files), places)


def load_compose(files: Sequence[DefinitionFile], options: ComposeOptions) -> ComposeDefinition:
    """The targets and groups of Compose files, merged in their order.

    Raises `DiagnosticsError` (what the files say is wrong) or `DefinitionError`; the message is the peer's.
    """
    loader = ComposeLoader(options)
    for file in files:
        loader.check(file)
    return loader.load(files)


def _base(files: Sequence[DefinitionFile], target: Target) -> ContextBase | None:
    directory = file_directory(files[0].name)
    if directory == "":
        return None
    base = ContextBase()
    base.default = directory
    if target.context is not None:
        base.context = directory
    base.contexts = dict.fromkeys(target.contexts or (), directory)
    return base


def _kept(model: Node) -> Node:
    """The part of a model that is built: services with four of their keys, and secrets."""
    members: dict[str, Node] = {}
    services = model.get("services")
    if services is not None and isinstance(services.value, dict):
        members["services"] = services.like(
            {
                name: _kept_service(node)
                for name, node in services.value.items()
                if node.value is None or isinstance(node.value, dict)
            }
        )
    secrets = model.get("secrets")
    if secrets is not None:
        members["secrets"] = secrets
    if not members:
        raise ComposeFailure("empty compose file", hint="A Compose file has `services`.")
    return model.like(members)


def _kept_service(service: Node) -> Node:
    members = service.value if isinstance(service.value, dict) else {}
    return service.like({key: members[key] for key in _KEPT if key in members})


def with_places(loading: Loading, step: Callable[[], Result], prefix: str) -> Result:
    """What `step` gives; its `ComposeFailure` as an error with places and excerpts, the message behind `prefix`."""
    try:
        return step()
    except ComposeFailure as failure:
        raise _error(failure, loading.sources, prefix) from None
    except RecursionError:
        hint = "Shorten the chain of values, anchors or files that depend on each other."
        raise DefinitionError(
            "the definition is nested too deeply", code="too-deeply-nested", hint=hint
        ) from None


def _error(failure: ComposeFailure, sources: Sequence[Source], prefix: str) -> BakehouseError:
    message = prefix + failure.message
    if not failure.ranges:
        return DefinitionError(message, code=failure.code, hint=failure.hint)
    summary = failure.message.split("\n")[0]
    texts = {source.name: source.text for source in sources}
    findings = [
        Diagnostic(summary, failure.hint or "", subject=where, code=failure.code) for where in failure.ranges
    ]
    error = DiagnosticsError(findings, texts, message=message, code=failure.code)
    error.hint = failure.hint
    return error
