"""Display names of steps: `[linux/amd64->arm64 stage 2/3] ONBUILD RUN …` (dockerfile.md §17.2)."""

from __future__ import annotations

import math

from bakehouse.dockerfile.lowering.stages import StageState
from bakehouse.dockerfile.positions import DockerfileError
from bakehouse.dockerfile.words import EnvGetter, ShellLexer
from bakehouse.errors import DefinitionError
from bakehouse.go.text import SPACES, upper
from bakehouse.oci.platform import Platform
from bakehouse.values import replace

_TARGET_PARTS = {"TARGETOS": "os", "TARGETARCH": "architecture", "TARGETVARIANT": "variant"}


def step_name(stage: StageState, text: str, platform: Platform | None, env: EnvGetter) -> str:
    """`text` with the prefix of the stage's next step, which this call counts. `platform` None: no platform is shown
    (also what callers pass unless several platforms are built)."""
    if stage.command_total == 0:
        return text
    out = "["
    if platform is not None:
        out += platform.format_all() + _cross_target(platform, _target_of(env)) + " "
    if stage.name:
        out += stage.name + " "
    stage.command_index += 1
    total = stage.command_total
    width = int(1 + math.log10(total))
    out += f"{stage.command_index:>{width}}/{total}] "
    if stage.in_onbuild:
        out += "ONBUILD "
    return out + text


def shown_command(lexer: ShellLexer, text: str, env: EnvGetter) -> str:
    """The instruction `text` with its variables expanded where that works, its keyword in upper case."""
    try:
        text = lexer.process_word(text, env).text
    except DockerfileError:
        pass
    keyword, blank, rest = text.partition(" ")
    return upper(keyword) + blank + rest


def heredoc_summary(body: str) -> str:
    """The first line of a here-document, with an ellipsis when there are more."""
    lines = body.strip(SPACES).replace("\r\n", "\n").split("\n")
    return lines[0] + ("..." if len(lines) > 1 else "")


def _target_of(env: EnvGetter) -> Platform | None:
    """The platform that TARGETPLATFORM, or else the other TARGET variables, state in the stage's environment."""
    parts: dict[str, str] = {}
    names = env.keys()
    for key in names:
        if key == "TARGETPLATFORM":
            try:
                return Platform.parse_exact(env.get(key) or "")
            except DefinitionError:
                continue
        if key in _TARGET_PARTS:
            parts[_TARGET_PARTS[key]] = env.get(key) or ""
    if not parts:
        return None
    return Platform(parts.get("os", ""), parts.get("architecture", ""), parts.get("variant", ""))


def _cross_target(base: Platform, target: Platform | None) -> str:
    """`->ARCH` when the step builds for another platform than it runs on."""
    if target is None:
        return ""
    target = replace(
        target, os=target.os or base.os, architecture=target.architecture or base.architecture
    ).normalized()
    if target.os != base.os:
        return "->" + target.format_all()
    if target.architecture != base.architecture:
        return "->" + "/".join(part for part in (target.architecture, target.variant) if part)
    return ""
