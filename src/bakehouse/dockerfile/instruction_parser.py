"""Nodes to typed instructions, one function an instruction (dockerfile.md §3). Errors carry no prefix and no
location; `document` adds both."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypedDict

from bakehouse.dockerfile import instructions as typed
from bakehouse.dockerfile import lint_rules
from bakehouse.dockerfile.heredoc import chomp_content, parse_heredoc
from bakehouse.dockerfile.instruction_flags import BOOL, STRING, STRINGS, Flags
from bakehouse.dockerfile.lint import Linter
from bakehouse.dockerfile.mounts import parse_device, parse_mount
from bakehouse.dockerfile.positions import DockerfileError, LineRange
from bakehouse.dockerfile.splitting import KEYWORDS, Node
from bakehouse.dockerfile.suggestions import did_you_mean
from bakehouse.go.text import SPACES, lower, quote, upper
from bakehouse.go.units import parse_duration
from bakehouse.go.values import parse_int
from bakehouse.lazy import regex

_STAGE_NAME = regex(r"[a-z][a-z0-9\-_.]*")
_ONBUILD_KEYWORD = regex(r"\A[\t\n\f\r ]*ONBUILD[\t\n\f\r ]*", re.IGNORECASE)
_NETWORKS = (typed.NETWORK_DEFAULT, typed.NETWORK_NONE, typed.NETWORK_HOST)
_SECURITIES = (typed.SECURITY_SANDBOX, typed.SECURITY_INSECURE)
_MIN_INTERVAL_NS = 1_000_000

_RUN_FLAGS = {"device": STRINGS, "mount": STRINGS, "network": STRING, "security": STRING}
_COPY_FLAGS = {
    "chown": STRING,
    "from": STRING,
    "chmod": STRING,
    "link": BOOL,
    "exclude": STRINGS,
    "parents": BOOL,
}
_ADD_FLAGS = {
    "chown": STRING,
    "chmod": STRING,
    "link": BOOL,
    "keep-git-dir": BOOL,
    "checksum": STRING,
    "unpack": BOOL,
    "exclude": STRINGS,
}
_HEALTH_FLAGS = dict.fromkeys(("interval", "timeout", "start-period", "start-interval", "retries"), STRING)


class _Common(TypedDict):
    code: str
    name: str
    location: LineRange
    comments: tuple[str, ...]


class _Sources(TypedDict):
    dest_path: str
    source_paths: tuple[str, ...]
    source_contents: tuple[typed.SourceContent, ...]


def parse_instruction(node: Node, lint: Linter) -> typed.Command | typed.Stage:
    """The typed form of one node, with the lint rules that need nothing but the node. Raises
    `DockerfileError`."""
    lint = lint.with_comments(node.comments)
    if node.command == "from":
        return _from(node, lint)
    if node.command == "maintainer":
        lint.run(lint_rules.MAINTAINER_DEPRECATED, node.location)
    parse = _PARSERS.get(node.command)
    if parse is None:
        raise DockerfileError(
            did_you_mean(
                f"unknown instruction: {node.keyword}", node.keyword, KEYWORDS, case_sensitive=False
            ),
            code="unknown-instruction",
            named=node.keyword,
        )
    command = parse(node)
    if isinstance(command, typed.ArgCommand):
        _check_description("ARG", [arg.key for arg in command.args], node, lint)
    return command


def _common(node: Node) -> _Common:
    return {
        "code": node.original.strip(SPACES),
        "name": node.keyword,
        "location": node.location,
        "comments": node.comments,
    }


def _from(node: Node, lint: Linter) -> typed.Stage:
    args = node.args
    if len(args) == 3 and args[2] != lower(args[2]):
        lint.run(lint_rules.STAGE_NAME_CASING, node.location, args[2])
    if len(args) >= 3 and not _as_matches_from(node.keyword, args[1]):
        lint.run(lint_rules.FROM_AS_CASING, node.location, node.keyword, args[1])
    name = _stage_name(args)
    flags = Flags(node.flags, {"platform": STRING})
    if name:
        _check_description("FROM", [name], node, lint)
    return typed.Stage(
        name=name,
        orig_cmd=node.keyword,
        base_name=args[0],
        platform=flags.string("platform"),
        doc_comment=_doc_comment(node.comments, name),
        source_code=node.original.strip(SPACES),
        location=node.location,
        comments=node.comments,
    )


def _as_matches_from(from_keyword: str, as_keyword: str) -> bool:
    if from_keyword == lower(from_keyword):
        return as_keyword == lower(as_keyword)
    if from_keyword == upper(from_keyword):
        return as_keyword == upper(as_keyword)
    return True  # mixed case: ConsistentInstructionCasing says enough


def _stage_name(args: tuple[str, ...]) -> str:
    if len(args) == 3 and lower(args[1]) == "as":
        name = lower(args[2])
        if not _STAGE_NAME.fullmatch(name):
            raise DockerfileError(
                f"invalid name for build stage: {quote(args[2])}, name can't start with a number or contain symbols",
                code="invalid-stage-name",
            )
        return name
    if len(args) != 1:
        raise DockerfileError("FROM requires either one or three arguments", code="wrong-argument-count")
    return ""


def _doc_comment(comments: tuple[str, ...], name: str) -> str:
    if not name:
        return ""
    prefix = name + " "
    return next((comment[len(prefix) :] for comment in comments if comment.startswith(prefix)), "")


def _check_description(instruction: str, names: list[str], node: Node, lint: Linter) -> None:
    if not node.comments or not names or node.comments[-1].partition(" ")[0] in names:
        return
    shown = names[0] if len(names) == 1 else "<arg_key>"
    lint.run(lint_rules.INVALID_DEFINITION_DESCRIPTION, node.location, instruction, shown)


def _arg(node: Node) -> typed.ArgCommand:
    if not node.args:
        raise _at_least_one("ARG")
    pairs = []
    for word in node.args:
        key, separator, value = word.partition("=")
        if separator and not key:
            raise _blank_name("ARG")
        doc_comment = _doc_comment(node.comments, key)
        pairs.append(typed.KeyValueOptional(key, value if separator else None, doc_comment))
    return typed.ArgCommand(args=tuple(pairs), **_common(node))


def _key_values(node: Node, keyword: str) -> tuple[typed.KeyValue, ...]:
    args = node.args
    if not args:
        raise _at_least_one(keyword)
    pairs = []
    for index in range(0, len(args), 3):
        key, value, separator = args[index : index + 3]
        if not key:
            raise _blank_name(keyword)
        pairs.append(typed.KeyValue(key, value, no_delim=separator == ""))
    return tuple(pairs)


def _env(node: Node) -> typed.EnvCommand:
    Flags(node.flags)
    return typed.EnvCommand(env=_key_values(node, "ENV"), **_common(node))


def _label(node: Node) -> typed.LabelCommand:
    Flags(node.flags)
    return typed.LabelCommand(labels=_key_values(node, "LABEL"), **_common(node))


def _maintainer(node: Node) -> typed.MaintainerCommand:
    return typed.MaintainerCommand(maintainer=_only_argument(node, "MAINTAINER"), **_common(node))


def _workdir(node: Node) -> typed.WorkdirCommand:
    return typed.WorkdirCommand(path=_only_argument(node, "WORKDIR"), **_common(node))


def _user(node: Node) -> typed.UserCommand:
    return typed.UserCommand(user=_only_argument(node, "USER"), **_common(node))


def _stop_signal(node: Node) -> typed.StopSignalCommand:
    if len(node.args) != 1:
        raise _exactly_one("STOPSIGNAL")
    return typed.StopSignalCommand(signal=node.args[0], **_common(node))


def _only_argument(node: Node, keyword: str) -> str:
    if len(node.args) != 1:
        raise _exactly_one(keyword)
    Flags(node.flags)
    return node.args[0]


def _command_line(node: Node) -> typed.ShellDependantCmdLine:
    files = tuple(typed.ShellInlineFile(doc.name, doc.content, doc.chomp) for doc in node.heredocs)
    return typed.ShellDependantCmdLine(_json_or_joined(node.args, node.is_json), files, not node.is_json)


def _json_or_joined(args: tuple[str, ...], is_json: bool) -> tuple[str, ...]:
    return args if is_json or not args else (" ".join(args),)


def _run(node: Node) -> typed.RunCommand:
    flags = Flags(node.flags, _RUN_FLAGS)
    devices = tuple(map(parse_device, flags.strings("device")))
    mount_flags = flags.strings("mount")
    mounts = tuple(parse_mount(text, None) for text in mount_flags)
    network = flags.string("network", typed.NETWORK_DEFAULT)
    if network not in _NETWORKS:
        raise DockerfileError(f"invalid network mode {quote(network)}", code="invalid-run-option")
    security = flags.string("security", typed.SECURITY_SANDBOX)
    if security not in _SECURITIES:
        raise DockerfileError(f"security {quote(security)} is not valid", code="invalid-run-option")
    return typed.RunCommand(
        cmdline=_command_line(node),
        mount_flags=mount_flags,
        mounts=mounts,
        network=network,
        security=security,
        devices=devices,
        flags_used=flags.used,
        **_common(node),
    )


def _cmd(node: Node) -> typed.CmdCommand:
    Flags(node.flags)
    return typed.CmdCommand(cmdline=_command_line(node), **_common(node))


def _entrypoint(node: Node) -> typed.EntrypointCommand:
    Flags(node.flags)
    return typed.EntrypointCommand(cmdline=_command_line(node), **_common(node))


def _shell(node: Node) -> typed.ShellCommand:
    Flags(node.flags)
    if not node.args:
        raise _at_least_one("SHELL")
    if not node.is_json:
        raise DockerfileError("SHELL requires the arguments to be in JSON form", code="shell-not-json")
    return typed.ShellCommand(shell=node.args, **_common(node))


def _sources(node: Node, keyword: str) -> _Sources:
    *sources, dest = node.args
    if parse_heredoc(dest) is not None:
        raise DockerfileError(
            f"{keyword} cannot accept a heredoc as a destination", code="heredoc-as-destination"
        )
    bodies = {doc.name: doc.content for doc in node.heredocs}
    paths: list[str] = []
    contents: list[typed.SourceContent] = []
    for source in sources:
        heredoc = parse_heredoc(source)
        if heredoc is None:
            paths.append(source)
            continue
        body = bodies.get(heredoc.name, "")  # none in JSON form: an empty file
        if heredoc.chomp:
            body = chomp_content(body)
        contents.append(typed.SourceContent(heredoc.name, body, heredoc.expand))
    return {"dest_path": dest, "source_paths": tuple(paths), "source_contents": tuple(contents)}


def _require_destination(node: Node, keyword: str) -> None:
    if len(node.args) < 2:
        raise DockerfileError(
            f"{keyword} requires at least two arguments, but only one was provided. "
            "Destination could not be determined",
            code="wrong-argument-count",
        )


def _copy(node: Node) -> typed.CopyCommand:
    _require_destination(node, "COPY")
    flags = Flags(node.flags, _COPY_FLAGS)
    return typed.CopyCommand(
        from_=flags.string("from"),
        chown=flags.string("chown"),
        chmod=flags.string("chmod"),
        link=bool(flags.boolean("link")),
        parents=bool(flags.boolean("parents")),
        exclude_patterns=flags.strings("exclude"),
        **_sources(node, "COPY"),
        **_common(node),
    )


def _add(node: Node) -> typed.AddCommand:
    _require_destination(node, "ADD")
    flags = Flags(node.flags, _ADD_FLAGS)
    return typed.AddCommand(
        chown=flags.string("chown"),
        chmod=flags.string("chmod"),
        link=bool(flags.boolean("link")),
        keep_git_dir=flags.boolean("keep-git-dir"),
        checksum=flags.string("checksum"),
        unpack=flags.boolean("unpack"),
        exclude_patterns=flags.strings("exclude"),
        **_sources(node, "ADD"),
        **_common(node),
    )


def _expose(node: Node) -> typed.ExposeCommand:
    if not node.args:
        raise _at_least_one("EXPOSE")
    Flags(node.flags)
    # In the order of their bytes, which is that of their code points: Go sorts UTF-8.
    return typed.ExposeCommand(ports=tuple(sorted(node.args)), **_common(node))


def _volume(node: Node) -> typed.VolumeCommand:
    if not node.args:
        raise _at_least_one("VOLUME")
    Flags(node.flags)
    volumes = tuple(word.strip(SPACES) for word in node.args)
    if "" in volumes:
        raise DockerfileError("VOLUME specified can not be an empty string", code="empty-volume")
    return typed.VolumeCommand(volumes=volumes, **_common(node))


def _health_check(node: Node) -> typed.HealthCheckCommand:
    if not node.args:
        raise _at_least_one("HEALTHCHECK")
    kind, args = upper(node.args[0]), node.args[1:]
    if kind == "NONE":
        if args:
            raise DockerfileError("HEALTHCHECK NONE takes no arguments", code="wrong-argument-count")
        return typed.HealthCheckCommand(health=typed.HealthConfig(("NONE",)), **_common(node))
    flags = Flags(node.flags, _HEALTH_FLAGS)
    if kind != "CMD":
        raise DockerfileError(
            f"Unknown type {quote(kind)} in HEALTHCHECK (try CMD)", code="invalid-health-check"
        )
    command = _json_or_joined(args, node.is_json)
    if not command:
        raise DockerfileError("Missing command after HEALTHCHECK CMD", code="invalid-health-check")
    health = typed.HealthConfig(
        test=("CMD" if node.is_json else "CMD-SHELL", *command),
        interval_ns=_interval(flags, "interval"),
        timeout_ns=_interval(flags, "timeout"),
        start_period_ns=_interval(flags, "start-period"),
        start_interval_ns=_interval(flags, "start-interval"),
        retries=_retries(flags.string("retries")),
    )
    return typed.HealthCheckCommand(health=health, **_common(node))


def _interval(flags: Flags, name: str) -> int:
    text = flags.string(name)
    if not text:
        return 0
    try:
        interval = parse_duration(text)
    except ValueError as error:
        raise DockerfileError(str(error), code="invalid-duration") from None
    if interval and interval < _MIN_INTERVAL_NS:
        raise DockerfileError(f"Interval {quote(name)} cannot be less than 1ms", code="invalid-duration")
    return interval


def _retries(text: str) -> int:
    if not text:
        return 0
    try:
        retries = parse_int(text, 32)
    except ValueError as error:
        raise DockerfileError(str(error), code="invalid-retries") from None
    if retries < 0:
        raise DockerfileError(f"--retries cannot be negative ({retries})", code="invalid-retries")
    return retries


def _onbuild(node: Node) -> typed.OnbuildCommand:
    if not node.args:
        raise _at_least_one("ONBUILD")
    Flags(node.flags)
    trigger = upper(node.args[0].strip(SPACES))
    if trigger == "ONBUILD":
        raise DockerfileError("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed", code="invalid-trigger")
    if trigger in ("MAINTAINER", "FROM"):
        raise DockerfileError(f"{trigger} isn't allowed as an ONBUILD trigger", code="invalid-trigger")
    expression = _ONBUILD_KEYWORD.sub("", node.original)
    for heredoc in node.heredocs:
        expression += f"\n{heredoc.content}{heredoc.name}"
    return typed.OnbuildCommand(expression=expression, **_common(node))


def _at_least_one(keyword: str) -> DockerfileError:
    return DockerfileError(f"{keyword} requires at least one argument", code="wrong-argument-count")


def _exactly_one(keyword: str) -> DockerfileError:
    return DockerfileError(f"{keyword} requires exactly one argument", code="wrong-argument-count")


def _blank_name(keyword: str) -> DockerfileError:
    return DockerfileError(f"{keyword} names can not be blank", code="blank-name")


_PARSERS: dict[str, Callable[[Node], typed.Command]] = {
    "add": _add,
    "arg": _arg,
    "cmd": _cmd,
    "copy": _copy,
    "entrypoint": _entrypoint,
    "env": _env,
    "expose": _expose,
    "healthcheck": _health_check,
    "label": _label,
    "maintainer": _maintainer,
    "onbuild": _onbuild,
    "run": _run,
    "shell": _shell,
    "stopsignal": _stop_signal,
    "user": _user,
    "volume": _volume,
    "workdir": _workdir,
}
