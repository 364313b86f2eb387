"""The entry of the package: loads a definition and asks every rule."""

from __future__ import annotations

from bakehouse.bake.definition import LoadOptions, load
from bakehouse.bake.recorder import Recorder
from bakehouse.errors import NotFoundError
from bakehouse.insight.lint import files, names
from bakehouse.insight.lint.builds import Builds
from bakehouse.insight.lint.comments import Silenced
from bakehouse.insight.lint.graph import Graph
from bakehouse.insight.lint.report import Report
from bakehouse.insight.lint.subject import Subject

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


class LintRequest:
    """`options` as for `bake.load` (a recorder of its own is used); `names` of targets and groups to look closely at
    (none: all that can be built); `skipped` are ids of rules; Dockerfiles are read below the working directory and
    below the paths `readable` (`*`: anywhere)."""

    __slots__ = ("names", "options", "readable", "skipped")

    def __init__(
        self,
        options: LoadOptions,
        names: Sequence[str] = (),
        skipped: Collection[str] = frozenset(),
        readable: Sequence[str] = (),
    ) -> None:
        self.readable = readable
        self.options = options
        self.names = names
        self.skipped = skipped


def lint(request: LintRequest) -> Report:
    """All findings that are not silenced. Raises what `bake.load` raises for a definition that is wrong, and
    `NotFoundError` for a name that it does not have."""
    record = Recorder()
    request.options.recorder = record
    definition = load(request.options)
    subject = Subject(definition, record, request.options.cwd, request.options.environ)
    graph = Graph(subject)
    found = [*files.look(subject), *names.look(subject), *graph.look()]
    found += Builds(subject, _wanted(request, subject, graph), request.readable).look()
    silenced = Silenced(subject.evaluator.sources)
    found += silenced.findings
    kept = [
        finding for finding in found if finding.rule.id not in request.skipped and not silenced.hides(finding)
    ]
    return Report(kept, subject.evaluator.sources, definition.file_names)


def _wanted(request: LintRequest, subject: Subject, graph: Graph) -> list[str]:
    """The targets to resolve: those that the names mean, or all that can be built, as far as they are complete."""
    definition = subject.definition
    if not request.names:
        return [name for name in graph.buildable() if graph.complete(name) and name not in definition.groups]
    from bakehouse.bake.selection import select
    from bakehouse.bake.suggestions import suggestion

    known = [*definition.groups, *definition.targets]
    for name in request.names:
        plain = name.replace(".", "_")
        if plain not in known and not set("*?[]") & set(plain):
            raise NotFoundError(
                f"failed to find target {name}", code="unknown-target", hint=suggestion(plain, known)
            )
    selected = select(request.names, definition.groups, definition.targets).targets
    return [name for name in selected if graph.complete(name)]
