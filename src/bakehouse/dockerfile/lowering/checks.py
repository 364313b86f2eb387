"""The lint rules that need more than the text: variables, platforms, secrets, ignored files (dockerfile.md §15)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from bakehouse.dockerfile import lint_rules as rules
from bakehouse.dockerfile.instructions import ArgCommand, Command, Stage
from bakehouse.dockerfile.lint import Linter
from bakehouse.dockerfile.lowering.outline import Argument
from bakehouse.dockerfile.lowering.stages import StageState
from bakehouse.dockerfile.positions import DockerfileError, LineRange
from bakehouse.dockerfile.suggestions import suggestion
from bakehouse.dockerfile.words import EnvGetter, ShellLexer, WordResult
from bakehouse.errors import DefinitionError
from bakehouse.go.paths import clean_path
from bakehouse.lazy import regex
from bakehouse.llb.env import EnvList
from bakehouse.oci.platform import Platform
from bakehouse.oci.reference import Reference

if TYPE_CHECKING:
    from bakehouse.dockerfile.patterns import PatternMatcher

#: Arguments that steer the frontend and never enter a step's environment.
NON_ENV_ARGS = ("BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE")
_SECRET_WORDS = "apikey|auth|credential|credentials|key|password|pword|passwd|secret|token"
_SECRET = regex(rf"(?:_|^)(?:{_SECRET_WORDS})(?:_|$)", re.IGNORECASE)
_HARMLESS = regex(r"(?:_|^)(?:public|file|version)(?:_|$)", re.IGNORECASE)
_IGNORE_ALL = ("*", "**", "**/*")


def unmatched_variables(
    linter: Linter, command: Command, stage: StageState, env: EnvGetter, unmatched: Iterable[str]
) -> None:
    """Variables that nothing defines."""
    declared = {argument.key for argument in stage.build_args}
    for name in sorted(set(unmatched) - declared):
        if name not in NON_ENV_ARGS:
            linter.run(rules.UNDEFINED_VAR, command.location, name, suggestion(name, env.keys()))


def unknown_from_args(
    linter: Linter, location: LineRange, known: Iterable[str], unmatched: Iterable[str]
) -> None:
    """Variables of a FROM that are no global arguments."""
    names = set(known)
    for name in sorted(set(unmatched) - names):
        linter.run(rules.UNDEFINED_ARG_IN_FROM, location, name, suggestion(name, sorted(names)))


def platform_flag(linter: Linter, stage: Stage, expanded: WordResult, global_args: Mapping[str, str]) -> None:
    """`--platform` with a constant, or with what is the default anyway."""
    is_target = expanded.matched == {"TARGETPLATFORM"} and not expanded.unmatched
    if is_target and expanded.text == global_args.get("TARGETPLATFORM", ""):
        linter.run(rules.REDUNDANT_TARGET_PLATFORM, stage.location, stage.platform)
    if expanded.matched or expanded.unmatched:
        return
    try:
        platform = Platform.parse_exact(expanded.text)
    except DefinitionError:
        return
    # A stage that is named after its platform means to be of that platform.
    if platform.os not in stage.name and platform.architecture not in stage.name:
        linter.run(rules.FROM_PLATFORM_FLAG_CONST_DISALLOWED, stage.location, expanded.text)


def base_images_with_defaults(
    linter: Linter,
    stages: Sequence[Stage],
    lexer: ShellLexer,
    args: EnvList,
    meta_args: Sequence[ArgCommand],
) -> None:
    """Base images that are no valid references when no build argument is given."""
    try:
        defaults, _ = global_arguments(args, lexer, meta_args, {})
        for stage in stages:
            text = lexer.process_word(stage.base_name, defaults).text
            try:
                Reference.parse_exact(text)
            except DefinitionError:
                linter.run(rules.INVALID_DEFAULT_ARG_IN_FROM, stage.location, stage.base_name)
    except DockerfileError:
        # The same error stops the build later, with its place.
        return


def global_arguments(
    args: EnvList,
    lexer: ShellLexer,
    meta_args: Sequence[ArgCommand],
    build_args: Mapping[str, str],
) -> tuple[EnvList, dict[str, Argument]]:
    """The global scope after the ARGs before the first FROM, and those ARGs by name. Raises `DockerfileError`."""
    declared: dict[str, Argument] = {}
    for command in meta_args:
        for argument in command.args:
            value = build_args.get(argument.key)
            needs: set[str] = set()
            if value is None and argument.value is not None:
                try:
                    expanded = lexer.process_word(argument.value, args)
                except DockerfileError as error:
                    raise error.at(command.location) from None
                value, needs = expanded.text, set(expanded.matched)
                if argument.key in needs:
                    # A default made of the one before it needs what that one needed.
                    earlier = declared.get(argument.key)
                    needs = needs - {argument.key} | (earlier.needs if earlier is not None else set())
            if value is not None:
                args = args.with_value(argument.key, value)
            declared[argument.key] = Argument(
                argument.key, argument.doc_comment, value or "", command.location, frozenset(needs)
            )
    return args, declared


def base_image_platform(
    linter: Linter, location: LineRange | None, name: str, expected: Platform, actual: Platform
) -> None:
    """An image that is of another platform than it was asked for."""
    if (expected.os, expected.architecture) != (actual.os, actual.architecture):
        linter.run(
            rules.INVALID_BASE_IMAGE_PLATFORM,
            location,
            name,
            expected.normalized().format_all(),
            actual.normalized().format_all(),
        )


def secret_in_name(linter: Linter, instruction: str, key: str, location: LineRange) -> None:
    """Secrets in ARG or ENV, judged by their names."""
    if _SECRET.search(key) and not _HARMLESS.search(key):
        linter.run(rules.SECRETS_USED_IN_ARG_OR_ENV, location, instruction, key)


def used_once(linter: Linter, stage: StageState, command: Command) -> None:
    """CMD, ENTRYPOINT and HEALTHCHECK: the earlier one of two is what has no effect, so it is reported."""
    key = command.name.lower()
    if key in stage.used:
        linter.run(rules.MULTIPLE_INSTRUCTIONS_DISALLOWED, stage.used[key], command.name)
    stage.used[key] = command.location


class IgnoredSources:
    """Finds sources of COPY and ADD that `.dockerignore` leaves out. Nothing is judged when it has exclusions (`!`)."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = patterns
        self._matcher: PatternMatcher | None = None

    def report(self, linter: Linter, location: LineRange, keyword: str, path: str) -> None:
        """Reports `path` when it is left out."""
        path = clean_path(path)
        if path in (".", "/") and not any(clean_path(each) in _IGNORE_ALL for each in self._patterns):
            return
        if self._patterns and self._matches(path):
            linter.run(rules.COPY_IGNORED_FILE, location, keyword, path)

    def _matches(self, path: str) -> bool:
        from bakehouse.dockerfile.patterns import PatternMatcher

        try:
            if self._matcher is None:
                self._matcher = PatternMatcher(self._patterns)
        except DockerfileError:
            # A pattern that is no expression fails when the context is read, if it is.
            self._patterns = ()
            return False
        return not self._matcher.exclusions and self._matcher.matches_or_parent_matches(path)
