"""What is shared while the Dockerfile is lowered for one platform, and small services for the instruction modules."""

from __future__ import annotations

from collections.abc import Mapping

from bakehouse.dockerfile.document import Dockerfile
from bakehouse.dockerfile.instructions import Command, Expander
from bakehouse.dockerfile.lint import Linter
from bakehouse.dockerfile.lowering import checks
from bakehouse.dockerfile.lowering.outline import Argument
from bakehouse.dockerfile.lowering.request import LowerRequest
from bakehouse.dockerfile.lowering.stages import StageState, StageTable
from bakehouse.dockerfile.positions import LineRange
from bakehouse.dockerfile.words import ShellLexer, WordError
from bakehouse.llb.draft import Constraints, Output
from bakehouse.llb.env import EnvList
from bakehouse.llb.ops import ProxyEnv
from bakehouse.llb.state import State
from bakehouse.oci.platform import Platform
from bakehouse.values import dataclass, field, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    pass

COMMAND_KEY = "com.docker.dockerfile.v1.command"
#: A location in no line at all, as BuildKit states it for images that only a mount names.
_NOWHERE = (0, -1)


@dataclass(slots=True)
class PlatformChoice:
    """The platform to build for, and the builder's own. `implicit`: nobody asked for a platform."""

    target: Platform
    build_platforms: tuple[Platform, ...]
    implicit: bool

    @property
    def build(self) -> Platform:
        return self.build_platforms[0]


@dataclass(slots=True)
class Conversion:
    """One lowering of one Dockerfile for one platform. `build_args` is this conversion's own copy. `context` is the
    main context; its output is known once all stages are lowered. `ignored` matches what its ignore file leaves out.
    `linter` is the file's, shared by all stages."""

    request: LowerRequest
    file: Dockerfile
    linter: Linter
    lexer: ShellLexer
    platforms: PlatformChoice
    build_args: dict[str, str]
    global_args: EnvList
    declared_args: Mapping[str, Argument]
    context: State
    ignored: checks.IgnoredSources | None = None
    epoch_s: int | None = None
    proxy: ProxyEnv | None = None
    table: StageTable = field(default_factory=StageTable)
    used_contexts: set[str] = field(default_factory=set)

    def supports(self, cap: str) -> bool:
        """Whether the executing engine has the capability."""
        return cap not in self.request.ignored_caps

    def located(self, location: LineRange | None, constraints: Constraints | None = None) -> Constraints:
        """Constraints that point at lines of the Dockerfile."""
        first, last = _NOWHERE if location is None else (location.first, location.last)
        return replace(constraints or Constraints(), locations=((self.file.filename, first, last),))

    def shown_platform(self, platform: Platform | None) -> Platform | None:
        """What step names show of the platform: nothing unless several are built."""
        return platform if self.request.multi_platform else None

    def expander(self, stage: StageState, command: Command, linter: Linter, *, raw: bool = False) -> Expander:
        """Expands words in the stage's present environment; variables that are not set are reported. `raw` keeps
        quotes, for the bodies of here-documents."""
        lexer = ShellLexer(skip_process_quotes=True) if raw else self.lexer
        env = stage.state.env

        def expand(word: str) -> str:
            try:
                result = lexer.process_word(word, env)
            except WordError as error:
                checks.unmatched_variables(linter, command, stage, env, error.unmatched)
                raise
            if result.unmatched:
                checks.unmatched_variables(linter, command, stage, env, result.unmatched)
            return result.text

        return expand


def proxy_from(build_args: Mapping[str, str]) -> ProxyEnv | None:
    """The proxy settings among the build arguments, whatever their case; of two spellings the later in byte order
    wins. None when there are none."""
    names = {"http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy"}
    found = {key.lower(): build_args[key] for key in sorted(build_args) if key.lower() in names}
    return ProxyEnv(**found) if found else None


def deferred_state(outputs: list[Output]) -> State:
    """A state whose output is `outputs[0]`, looked at when the graph is sealed."""
    return State.of(Output.deferred(lambda: outputs[0]))
