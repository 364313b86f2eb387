"""The linter: which rules run, and what they found (dockerfile.md §15, Controls).

Rules that need only the text fire while it is parsed; the lowering runs the others through the same `Linter`.
"""

from __future__ import annotations

from collections.abc import Iterable

from bakehouse.dockerfile.directives import DirectiveReader, directive_value
from bakehouse.dockerfile.lint_rules import Rule
from bakehouse.dockerfile.positions import DockerfileError, LineRange
from bakehouse.go.text import SPACES, quote
from bakehouse.go.values import parse_bool
from bakehouse.values import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class LintWarning:
    """One finding. `message` is the finding itself, `description` says what the rule wants."""

    rule: str
    description: str
    url: str
    message: str
    location: LineRange | None

    @property
    def short(self) -> str:
        """The one-line form of progress output: `Rule: message (line N)`."""
        text = f"{self.rule}: {self.message}"
        if self.location is not None and self.location.first > 0:
            text += f" (line {self.location.first})"
        return text


@dataclass(frozen=True, slots=True)
class LintConfig:
    """Which rules run. Experimental rules run only when asked for, and cannot be skipped."""

    skip: frozenset[str] = frozenset()
    skip_all: bool = False
    experimental: frozenset[str] = frozenset()
    experimental_all: bool = False
    return_as_error: bool = False

    @classmethod
    def parse(cls, options: str) -> "LintConfig":
        """Reads a `check` value such as `skip=A,B;error=true`. Raises `DockerfileError` with BuildKit's
        text."""
        options = options.strip(SPACES)
        config = cls()
        if not options:
            return config
        for part in options.split(";", 2):
            key, separator, value = part.partition("=")
            if not separator:
                raise _bad_option(f"invalid check option {quote(part)}")
            config = config._with_option(key.strip(SPACES), value.strip(SPACES), part)
        return config

    def _with_option(self, key: str, value: str, part: str) -> "LintConfig":
        if key == "skip":
            return replace(self, skip_all=True) if value == "all" else replace(self, skip=_names(value))
        if key == "experimental":
            if value == "all":
                return replace(self, experimental_all=True)
            return replace(self, experimental=_names(value))
        if key == "error":
            try:
                return replace(self, return_as_error=parse_bool(value))
            except ValueError as error:
                raise _bad_option(f"failed to parse check option {quote(part)}: {error}") from None
        raise _bad_option(f"invalid check option {quote(key)}")

    def merged(self, other: "LintConfig") -> "LintConfig":
        """Both configurations' skipped and experimental rules; `return_as_error` stays this one's."""
        return LintConfig(
            skip=self.skip | other.skip,
            skip_all=self.skip_all or other.skip_all,
            experimental=self.experimental | other.experimental,
            experimental_all=self.experimental_all or other.experimental_all,
            return_as_error=self.return_as_error,
        )

    def allows(self, rule: Rule) -> bool:
        if rule.experimental:
            return self.experimental_all or rule.name in self.experimental
        return not (self.skip_all or rule.name in self.skip)


def _names(value: str) -> frozenset[str]:
    return frozenset(name.strip(SPACES) for name in value.split(","))


def _bad_option(message: str) -> DockerfileError:
    return DockerfileError(
        message,
        code="invalid-check-option",
        hint="Write skip=, error= and experimental= separated by semicolons, without blanks.",
    )


@dataclass(frozen=True, slots=True)
class Linter:
    """Runs rules and collects what they find. Linters made from one another with `with_comments` share their
    findings.

    Not thread-safe. A linter with `enabled=False` runs nothing and never fails a build: the second and later
    platforms of a build use one, so that every finding appears once.
    """

    config: LintConfig = LintConfig()
    enabled: bool = True
    warnings: list[LintWarning] = field(default_factory=list)

    def run(self, rule: Rule, location: LineRange | None, *args: str) -> None:
        """Reports `rule` at `location`, unless the configuration leaves it out. `args` are the rule's own."""
        if not self.enabled or not self.config.allows(rule):
            return
        message = rule.format(*args)
        self.warnings.append(LintWarning(rule.name, rule.description, rule.url, message, location))

    def with_comments(self, comments: Iterable[str]) -> "Linter":
        """This linter with the `check=skip=…` of the comments directly above an instruction added to it. Only
        the first such comment counts, and one that cannot be read is ignored."""
        for comment in comments:
            directive = DirectiveReader(marker="").read_quietly(comment)
            if directive is None or directive.name != "check":
                continue
            try:
                added = LintConfig.parse(directive.value.partition(" ")[0])
            except DockerfileError:
                return self
            return Linter(self.config.merged(added), self.enabled, self.warnings)
        return self

    def check(self) -> None:
        """Raises `DockerfileError` when findings are to fail the build and there are any."""
        if self.config.return_as_error and self.warnings:
            names = ", ".join(dict.fromkeys(warning.rule for warning in self.warnings))
            raise DockerfileError(f"lint violation found for rules: {names}", code="lint-violation")


def make_linter(text: str, check_option: str | None = None, *, enabled: bool = True) -> Linter:
    """The linter for a Dockerfile: `check_option` (BUILDKIT_DOCKERFILE_CHECK) replaces the `# check=`
    directive.

    Raises `DockerfileError` when the options cannot be read.
    """
    options, source = check_option, "build-arg:BUILDKIT_DOCKERFILE_CHECK"
    if options is None:
        found = directive_value("check", text)
        options, source = found.first_word if found else "", "check options"
    try:
        return Linter(LintConfig.parse(options), enabled)
    except DockerfileError as error:
        raise DockerfileError(
            f"failed to parse {source}: {error.message}", code=error.code, hint=error.hint
        ) from None
