"""Files to one model: every document is interpolated, gets what it includes and extends, and joins the earlier ones.

The order of these steps is what decides which fault of a file is found first.
"""

from __future__ import annotations

from bakehouse.bake.compose.canonical import canonical, with_defaults
from bakehouse.bake.compose.extends import Bases, apply_extends
from bakehouse.bake.compose.include import apply_include
from bakehouse.bake.compose.interpolation import interpolate
from bakehouse.bake.compose.local_paths import PathRebaser
from bakehouse.bake.compose.merging import merge
from bakehouse.bake.compose.nodes import ComposeFailure, Node, Source
from bakehouse.bake.compose.reader import YamlFile, decoded
from bakehouse.bake.compose.resets import without
from bakehouse.bake.compose.resolving import check_keys, resolve_document
from bakehouse.bake.compose.unique import enforce_unique

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bakehouse.bake.compose.nodes import Path
    from bakehouse.bake.compose.reading import Disk


class Loading:
    """What all files of one load share: the disk, the caller's home, who is told of warnings, every source read (for
    excerpts), and the models of included files."""

    def __init__(self, disk: Disk, home: str | None, warn: Callable[[str], None]) -> None:
        self.disk = disk
        self.home = home
        self.warn = warn
        self.sources: list[Source] = []
        self.included: dict[tuple[object, ...], Node | None] = {}

    def read(self, path: str, place: Node | None) -> YamlFile:
        """A file that another one names."""
        return self.opened(path, self.disk.read(path, place), path)

    def opened(self, name: str, data: bytes, peer_name: str) -> YamlFile:
        """A file that was read, known to the peer's messages as `peer_name`."""
        source = Source(name, decoded(data), peer_name)
        self.sources.append(source)
        return YamlFile(source, data)


class Project:
    """One set of files that form a model of their own: the main ones, or those of an `include`.

    `directory` is where its relative paths start, seen from the working directory; `prefix` the same seen from the
    project that includes it. `environment` are its variables.
    """

    def __init__(self, loading: Loading, directory: str, prefix: str, environment: dict[str, str]) -> None:
        self.loading = loading
        self.directory = directory
        self.prefix = prefix
        self.environment = environment
        self.bases = Bases()

    def included(self, directory: str, prefix: str, environment: dict[str, str]) -> Project:
        """A project that this one includes."""
        return Project(self.loading, directory, prefix, environment)

    def load(self, files: Sequence[YamlFile], included: Sequence[str]) -> Node | None:
        """The model of these files, None if they hold no document. `included` are the files that led here. Raises
        `ComposeFailure`."""
        model: Node | None = None
        for file in files:
            model, _ = self.load_file(file, model, included)
        if model is None:
            return None
        model = with_defaults(model)
        model = PathRebaser(self.prefix, self.loading.home).rebased(model)
        return _with_environment(model, self.environment)

    def load_file(
        self, file: YamlFile, model: Node | None, included: Sequence[str] | None
    ) -> tuple[Node | None, list[Path]]:
        """`model` with the documents of a file on top, and the resets of the last document. Without `included` the
        file serves `extends`, and its own `include` and `extends` are left alone."""
        resets: list[Path] = []
        source = file.source
        for raw in file.documents():
            document = resolve_document(raw)
            resets = document.resets
            if not raw.raw.is_plain:
                check_keys(document.root)
            root = document.root
            if not isinstance(root.value, dict):
                raise ComposeFailure("top-level object must be a mapping", root, hint=_TOP_HINT)
            root = interpolate(root, self.environment.get, self.loading.warn)
            if included is not None:
                included = [*included, source.peer_name]
                root = apply_include(self, root, included, resets)
            if model is not None and resets:
                model = without(model, resets)
            if included is not None:
                root = apply_extends(self, root, source, resets)
            model = root if model is None else merge(model, root)
            model = enforce_unique(canonical(enforce_unique(model), self.loading.warn))
        return model, resets


_TOP_HINT = "A Compose file begins with keys such as `services:`."


def _with_environment(model: Node, environment: dict[str, str]) -> Node:
    """The model with names in `environment` lists replaced by `name=value` where the variable is set."""
    services = model.get("services")
    if services is None or not isinstance(services.value, dict):
        return model
    out = {}
    for name, service in services.value.items():
        out[name] = service
        listed = service.get("environment")
        if listed is not None and isinstance(listed.value, list) and isinstance(service.value, dict):
            items = listed.like(_filled(listed.value, environment))
            out[name] = service.like({**service.value, "environment": items})
    return model.like({**model.value, "services": services.like(out)})  # type: ignore[dict-item]


def _filled(items: Iterable[Node], environment: dict[str, str]) -> list[Node]:
    out = []
    for item in items:
        if isinstance(item.value, str):
            value = environment.get(item.value)
            out.append(item if value is None else item.like(f"{item.value}={value}"))
    return out
