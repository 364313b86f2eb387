"""The build checks as data: name, description, address and message of every rule (dockerfile.md §15)."""

from __future__ import annotations

from collections.abc import Callable

from bakehouse.go.text import quote
from bakehouse.values import dataclass

_URL = "https://docs.docker.com/go/dockerfile/rule/"


@dataclass(frozen=True, slots=True)
class Rule:
    """One check. `format` makes the message of a finding from the rule's own arguments."""

    name: str
    description: str
    url: str
    format: Callable[..., str]
    experimental: bool = False


def _stage_name_casing(stage_name: str) -> str:
    return f"Stage name '{stage_name}' should be lowercase"


def _from_as_casing(from_keyword: str, as_keyword: str) -> str:
    return f"'{as_keyword}' and '{from_keyword}' keywords' casing do not match"


def _no_empty_continuation() -> str:
    return "Empty continuation line"


def _consistent_instruction_casing(command: str, casing: str) -> str:
    return f"Command '{command}' should match the case of the command majority ({casing})"


def _duplicate_stage_name(stage_name: str) -> str:
    return f"Duplicate stage name {quote(stage_name)}, stage names should be unique"


def _reserved_stage_name(stage_name: str) -> str:
    return f"Stage name should not use the same name as reserved stage {quote(stage_name)}"


def _json_args_recommended(instruction: str) -> str:
    return (
        f"JSON arguments recommended for {instruction} to prevent unintended behavior related to OS signals"
    )


def _maintainer_deprecated() -> str:
    return "Maintainer instruction is deprecated in favor of using label"


def _undefined_arg_in_from(name: str, similar: str = "") -> str:
    return f"FROM argument '{name}' is not declared" + (f" (did you mean {similar}?)" if similar else "")


def _workdir_relative_path(path: str) -> str:
    return f"Relative workdir {quote(path)} can have unexpected results if the base image changes"


def _undefined_var(name: str, similar: str = "") -> str:
    return f"Usage of undefined variable '${name}'" + (f" (did you mean ${similar}?)" if similar else "")


def _multiple_instructions(instruction: str) -> str:
    return (
        f"Multiple {instruction} instructions should not be used in the same stage because only the last one "
        "will be used"
    )


def _legacy_key_value_format(command: str) -> str:
    return f'"{command} key=value" should be used instead of legacy "{command} key value" format'


def _invalid_base_image_platform(image: str, expected: str, actual: str) -> str:
    return (
        f"Base image {image} was pulled with platform {quote(actual)}, expected {quote(expected)} "
        "for current build"
    )


def _redundant_target_platform(variable: str) -> str:
    return f"Setting platform to predefined {variable} in FROM is redundant as this is the default behavior"


def _secrets_used(instruction: str, key: str) -> str:
    return f"Do not use ARG or ENV instructions for sensitive data ({instruction} {quote(key)})"


def _invalid_default_arg_in_from(base_name: str) -> str:
    return f"Default value for ARG {base_name} results in empty or invalid base image name"


def _from_platform_const(platform: str) -> str:
    return f"FROM --platform flag should not use constant value {quote(platform)}"


def _copy_ignored_file(command: str, path: str) -> str:
    return f"Attempting to {command} file {quote(path)} that is excluded by .dockerignore"


def _invalid_definition_description(instruction: str, name: str) -> str:
    return f"Comment for {instruction} should follow the format: `# {name} <description>`"


def _expose_proto_casing(port: str) -> str:
    return f"Defined protocol '{port}' in EXPOSE instruction should be lowercase"


def _expose_invalid_format(port: str) -> str:
    return f"EXPOSE instruction should not define an IP address or host-port mapping, found '{port}'"


STAGE_NAME_CASING = Rule(
    "StageNameCasing",
    "Stage names should be lowercase",
    _URL + "stage-name-casing/",
    _stage_name_casing,
)
FROM_AS_CASING = Rule(
    "FromAsCasing",
    "The 'as' keyword should match the case of the 'from' keyword",
    _URL + "from-as-casing/",
    _from_as_casing,
)
NO_EMPTY_CONTINUATION = Rule(
    "NoEmptyContinuation",
    "Empty continuation lines will become errors in a future release",
    _URL + "no-empty-continuation/",
    _no_empty_continuation,
)
CONSISTENT_INSTRUCTION_CASING = Rule(
    "ConsistentInstructionCasing",
    "All commands within the Dockerfile should use the same casing (either upper or lower)",
    _URL + "consistent-instruction-casing/",
    _consistent_instruction_casing,
)
DUPLICATE_STAGE_NAME = Rule(
    "DuplicateStageName",
    "Stage names should be unique",
    _URL + "duplicate-stage-name/",
    _duplicate_stage_name,
)
RESERVED_STAGE_NAME = Rule(
    "ReservedStageName",
    "Reserved words should not be used as stage names",
    _URL + "reserved-stage-name/",
    _reserved_stage_name,
)
JSON_ARGS_RECOMMENDED = Rule(
    "JSONArgsRecommended",
    "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals",
    _URL + "json-args-recommended/",
    _json_args_recommended,
)
MAINTAINER_DEPRECATED = Rule(
    "MaintainerDeprecated",
    "The MAINTAINER instruction is deprecated, use a label instead to define an image author",
    _URL + "maintainer-deprecated/",
    _maintainer_deprecated,
)
UNDEFINED_ARG_IN_FROM = Rule(
    "UndefinedArgInFrom",
    "FROM command must use declared ARGs",
    _URL + "undefined-arg-in-from/",
    _undefined_arg_in_from,
)
WORKDIR_RELATIVE_PATH = Rule(
    "WorkdirRelativePath",
    "Relative workdir without an absolute workdir declared within the build can have unexpected results if the "
    "base image changes",
    _URL + "workdir-relative-path/",
    _workdir_relative_path,
)
UNDEFINED_VAR = Rule(
    "UndefinedVar",
    "Variables should be defined before their use",
    _URL + "undefined-var/",
    _undefined_var,
)
MULTIPLE_INSTRUCTIONS_DISALLOWED = Rule(
    "MultipleInstructionsDisallowed",
    "Multiple instructions of the same type should not be used in the same stage",
    _URL + "multiple-instructions-disallowed/",
    _multiple_instructions,
)
LEGACY_KEY_VALUE_FORMAT = Rule(
    "LegacyKeyValueFormat",
    "Legacy key/value format with whitespace separator should not be used",
    _URL + "legacy-key-value-format/",
    _legacy_key_value_format,
)
INVALID_BASE_IMAGE_PLATFORM = Rule(
    "InvalidBaseImagePlatform",
    "Base image platform does not match expected target platform",
    "",
    _invalid_base_image_platform,
)
REDUNDANT_TARGET_PLATFORM = Rule(
    "RedundantTargetPlatform",
    "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
    _URL + "redundant-target-platform/",
    _redundant_target_platform,
)
SECRETS_USED_IN_ARG_OR_ENV = Rule(
    "SecretsUsedInArgOrEnv",
    "Sensitive data should not be used in the ARG or ENV commands",
    _URL + "secrets-used-in-arg-or-env/",
    _secrets_used,
)
INVALID_DEFAULT_ARG_IN_FROM = Rule(
    "InvalidDefaultArgInFrom",
    "Default value for global ARG results in an empty or invalid base image name",
    _URL + "invalid-default-arg-in-from/",
    _invalid_default_arg_in_from,
)
FROM_PLATFORM_FLAG_CONST_DISALLOWED = Rule(
    "FromPlatformFlagConstDisallowed",
    "FROM --platform flag should not use a constant value",
    _URL + "from-platform-flag-const-disallowed/",
    _from_platform_const,
)
COPY_IGNORED_FILE = Rule(
    "CopyIgnoredFile",
    "Attempting to Copy file that is excluded by .dockerignore",
    _URL + "copy-ignored-file/",
    _copy_ignored_file,
)
INVALID_DEFINITION_DESCRIPTION = Rule(
    "InvalidDefinitionDescription",
    "Comment for build stage or argument should follow the format: `# <arg/stage name> <description>`. If this is "
    "not intended to be a description comment, add an empty line or comment between the instruction and the comment.",
    _URL + "invalid-definition-description/",
    _invalid_definition_description,
    experimental=True,
)
EXPOSE_PROTO_CASING = Rule(
    "ExposeProtoCasing",
    "Protocol in EXPOSE instruction should be lowercase",
    _URL + "expose-proto-casing/",
    _expose_proto_casing,
)
EXPOSE_INVALID_FORMAT = Rule(
    "ExposeInvalidFormat",
    "IP address and host-port mapping should not be used in EXPOSE instruction. This will become an error in a "
    "future release",
    _URL + "expose-invalid-format/",
    _expose_invalid_format,
)

#: All rules, in the order of BuildKit's own list.
RULES = (
    STAGE_NAME_CASING,
    FROM_AS_CASING,
    NO_EMPTY_CONTINUATION,
    CONSISTENT_INSTRUCTION_CASING,
    DUPLICATE_STAGE_NAME,
    RESERVED_STAGE_NAME,
    JSON_ARGS_RECOMMENDED,
    MAINTAINER_DEPRECATED,
    UNDEFINED_ARG_IN_FROM,
    WORKDIR_RELATIVE_PATH,
    UNDEFINED_VAR,
    MULTIPLE_INSTRUCTIONS_DISALLOWED,
    LEGACY_KEY_VALUE_FORMAT,
    INVALID_BASE_IMAGE_PLATFORM,
    REDUNDANT_TARGET_PLATFORM,
    SECRETS_USED_IN_ARG_OR_ENV,
    INVALID_DEFAULT_ARG_IN_FROM,
    FROM_PLATFORM_FLAG_CONST_DISALLOWED,
    COPY_IGNORED_FILE,
    INVALID_DEFINITION_DESCRIPTION,
    EXPOSE_PROTO_CASING,
    EXPOSE_INVALID_FORMAT,
)
