"""Our values in the form in which the peer program `dockerfilesyntax` prints BuildKit's, and the reading of the
recorded answers.

Recorded answers (`*.json`) are BuildKit's own, never ours: `record.py` asks the peer for them again.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from bakehouse.diagnostics import DiagnosticsError
from bakehouse.dockerfile import instructions as typed
from bakehouse.dockerfile.document import parse_dockerfile
from bakehouse.dockerfile.ignore import read_ignore_file
from bakehouse.dockerfile.mounts import Mount
from bakehouse.dockerfile.patterns import MatchState, PatternMatcher
from bakehouse.dockerfile.positions import DockerfileError, LineRange
from bakehouse.dockerfile.words import ShellLexer
from bakehouse.go.globs import BadPatternError, match_file_path
from bakehouse.go.text import replace_invalid

#: Rules that BuildKit runs in a later phase than the one that the peer program runs.
LATER_RULES = ("ConsistentInstructionCasing", "DuplicateStageName", "ReservedStageName")


def recorded(name: str) -> list[tuple[dict[str, Any], Any]]:
    """(request, BuildKit's answer) pairs."""
    text = (Path(__file__).parent / f"{name}.json").read_text(encoding="utf-8")
    return [(entry["request"], entry["answer"]) for entry in json.loads(text)]


def answer(request: dict[str, Any]) -> Any:
    """Our answer to a request, in the peer's form."""
    return _as_printed(_answer(request))


def _answer(request: dict[str, Any]) -> Any:
    match request["Op"]:
        case "parse":
            return _parse(base64.b64decode(request["Text"]))
        case "word":
            return _word(request)
        case "patterns":
            return _patterns(request)
        case "match":
            return [_match(request["Patterns"][0], path) for path in request["Paths"]]
        case "ignore":
            return read_ignore_file(base64.b64decode(request["Text"]))
    raise AssertionError(request["Op"])


def _as_printed(value: Any) -> Any:
    """Go's JSON encoder shows bytes that are not UTF-8 as U+FFFD."""
    if isinstance(value, str):
        return replace_invalid(value)
    if isinstance(value, list):
        return [_as_printed(item) for item in value]
    if isinstance(value, dict):
        return {key: _as_printed(item) for key, item in value.items()}
    return value


def _word(request: dict[str, Any]) -> dict[str, Any]:
    lexer = ShellLexer(
        request["Escape"], request["RawQ"], request["RawE"], request["SkipQ"], request["SkipU"]
    )
    env = dict(pair.split("=", 1) for pair in request["Env"])
    try:
        result = lexer.process_word(_text(request["Text"]), env)
    except DockerfileError as error:
        return {"error": str(error)}
    return {
        "result": result.text,
        "words": list(result.words),
        "matched": sorted(result.matched),
        "unmatched": sorted(result.unmatched),
    }


def _text(encoded: str) -> str:
    return base64.b64decode(encoded).decode("utf-8", "surrogateescape")


def requested(request: dict[str, Any], name: str) -> list[str]:
    """A member of a request that may come as text or as bytes."""
    return request.get(name, []) + [_text(each) for each in request.get("Raw" + name, [])]


def _patterns(request: dict[str, Any]) -> dict[str, Any]:
    paths = requested(request, "Paths")
    try:
        matcher = PatternMatcher(requested(request, "Patterns"))
    except DockerfileError as error:
        return {"error": str(error)}
    states: dict[str, MatchState] = {}
    walked = []
    for path in paths:
        matched, states[path] = matcher.match_with_parent(path, states.get(path.rpartition("/")[0]))
        walked.append(matched)
    return {
        "a": [matcher.matches_or_parent_matches(path) for path in paths],
        "b": walked,
        "exclusions": matcher.exclusions,
    }


def _match(pattern: str, path: str) -> str:
    try:
        return str(match_file_path(pattern, path)).lower()
    except BadPatternError as error:
        return str(error)


def _parse(data: bytes) -> dict[str, Any]:
    try:
        parsed = parse_dockerfile(data)
    except DiagnosticsError as error:
        return {"error": str(error)}
    warnings = [
        {
            "rule": warning.rule,
            "desc": warning.description,
            "url": warning.url,
            "msg": warning.message,
            "lines": _lines(warning.location),
        }
        for warning in parsed.warnings
        if warning.rule not in LATER_RULES
    ]
    return {
        "escape": parsed.escape_token,
        "warnings": warnings,
        "meta": [_command(command) for command in parsed.meta_args],
        "stages": [_stage(stage) for stage in parsed.stages],
    }


def _lines(location: LineRange | None) -> list[int]:
    return list(location or ())


def _stage(stage: typed.Stage) -> dict[str, Any]:
    return {
        "name": stage.name,
        "orig": stage.orig_cmd,
        "base": stage.base_name,
        "platform": stage.platform,
        "doc": stage.doc_comment,
        "code": stage.source_code,
        "lines": _lines(stage.location),
        "comments": list(stage.comments),
        "commands": [_command(command) for command in stage.commands],
    }


def _command(command: typed.Command) -> dict[str, Any]:
    out: dict[str, Any] = {
        "type": f"*instructions.{type(command).__name__}",
        "code": str(command),
        "name": command.name,
        "comments": list(command.comments),
        "lines": _lines(command.location),
        "v": _fields(command),
    }
    if isinstance(command, typed.RunCommand):
        out["mounts"] = [_mount(mount) for mount in command.mounts]
        out["network"], out["security"] = command.network, command.security
        out["devices"] = [{"Name": device.name, "Required": device.required} for device in command.devices]
        try:
            out["mounts2"] = [_mount(mount) for mount in command.expand(str).mounts]
        except DockerfileError as error:
            out["expanderr"] = str(error)
    return out


def _mount(mount: Mount) -> dict[str, Any]:
    return {
        "Type": mount.type,
        "From": mount.from_,
        "Source": mount.source,
        "Target": mount.target,
        "ReadOnly": mount.read_only,
        "SizeLimit": mount.size_limit,
        "CacheID": mount.cache_id,
        "CacheSharing": mount.cache_sharing,
        "Required": mount.required,
        "Env": mount.env,
        "Mode": mount.mode,
        "UID": mount.uid,
        "GID": mount.gid,
    }


def _pairs(pairs: tuple[typed.KeyValue, ...]) -> list[dict[str, Any]]:
    return [{"Key": pair.key, "Value": pair.value, "NoDelim": pair.no_delim} for pair in pairs]


def _command_line(line: typed.ShellDependantCmdLine) -> dict[str, Any]:
    files = [{"Name": file.name, "Data": file.data, "Chomp": file.chomp} for file in line.files]
    return {"CmdLine": list(line.cmd_line), "Files": files, "PrependShell": line.prepend_shell}


def _sources(command: typed.SourcesAndDest) -> dict[str, Any]:
    return {
        "DestPath": command.dest_path,
        "SourcePaths": list(command.source_paths),
        "SourceContents": [
            {"Path": content.path, "Data": content.data, "Expand": content.expand}
            for content in command.source_contents
        ],
        "Chown": command.chown,
        "Chmod": command.chmod,
        "Link": command.link,
        "ExcludePatterns": list(command.exclude_patterns),
    }


def _health(health: typed.HealthConfig) -> dict[str, Any]:
    values = {
        "Interval": health.interval_ns,
        "Timeout": health.timeout_ns,
        "StartPeriod": health.start_period_ns,
        "StartInterval": health.start_interval_ns,
        "Retries": health.retries,
    }
    return {"Test": list(health.test), **{name: value for name, value in values.items() if value}}


def _fields(command: typed.Command) -> dict[str, Any]:
    match command:
        case typed.ArgCommand():
            return {
                "Args": [
                    {"Key": arg.key, "Value": arg.value, "DocComment": arg.doc_comment}
                    for arg in command.args
                ]
            }
        case typed.EnvCommand():
            return {"Env": _pairs(command.env)}
        case typed.LabelCommand():
            return {"Labels": _pairs(command.labels)}
        case typed.MaintainerCommand():
            return {"Maintainer": command.maintainer}
        case typed.RunCommand():
            return {**_command_line(command.cmdline), "FlagsUsed": list(command.flags_used)}
        case typed.CmdCommand() | typed.EntrypointCommand():
            return _command_line(command.cmdline)
        case typed.CopyCommand():
            return {**_sources(command), "From": command.from_, "Parents": command.parents}
        case typed.AddCommand():
            own = {"KeepGitDir": command.keep_git_dir, "Checksum": command.checksum, "Unpack": command.unpack}
            return {**_sources(command), **own}
        case typed.WorkdirCommand():
            return {"Path": command.path}
        case typed.UserCommand():
            return {"User": command.user}
        case typed.ExposeCommand():
            return {"Ports": list(command.ports)}
        case typed.VolumeCommand():
            return {"Volumes": list(command.volumes)}
        case typed.ShellCommand():
            return {"Shell": list(command.shell)}
        case typed.StopSignalCommand():
            return {"Signal": command.signal}
        case typed.OnbuildCommand():
            return {"Expression": command.expression}
        case typed.HealthCheckCommand():
            return {"Health": _health(command.health)}
    raise AssertionError(command)


def without_nulls(value: Any) -> Any:
    """`value` with empty lists for the nulls that Go prints for nil slices, in the places where they mean the
    same."""
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    if isinstance(value, dict):
        return {
            key: [] if item is None and key not in _OPTIONAL else without_nulls(item)
            for key, item in value.items()
        }
    return value


_OPTIONAL = ("Value", "Env", "Mode", "UID", "GID", "KeepGitDir", "Unpack")
