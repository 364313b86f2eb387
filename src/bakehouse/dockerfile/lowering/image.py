"""Image configs while they are lowered: read once, changed instruction by instruction, written as BuildKit writes them.

Diff IDs of new layers and times are not known here; the exporter adds them (dockerfile.md §10). Members that BuildKit's
types do not have are dropped on reading, as BuildKit drops them.
"""

from __future__ import annotations

import json
from typing import Any

from bakehouse.dockerfile.instructions import HealthConfig
from bakehouse.dockerfile.lowering.paths import DEFAULT_PATH, WINDOWS
from bakehouse.errors import IntegrityError
from bakehouse.go.jsontext import compact_json
from bakehouse.go.timestamps import format_time_ns
from bakehouse.oci.platform import Platform
from bakehouse.oci.timestamps import normal_time
from bakehouse.values import dataclass, field, replace

_HISTORY_COMMENT = "buildkit.dockerfile.v0"


@dataclass(frozen=True, slots=True)
class History:
    """One history entry. `created` is RFC 3339 text or None."""

    created: str | None = None
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False


@dataclass(slots=True)
class Image:
    """An image config. Lists and dicts are this value's own: `copy` before changing what others hold."""

    platform: Platform
    created: str | None = None
    author: str = ""
    rootfs_type: str = "layers"
    diff_ids: list[str] | None = None
    history: list[History] = field(default_factory=list)
    user: str = ""
    exposed_ports: set[str] = field(default_factory=set)
    env: list[str] = field(default_factory=list)
    entrypoint: list[str] = field(default_factory=list)
    cmd: list[str] = field(default_factory=list)
    volumes: set[str] = field(default_factory=set)
    working_dir: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    stop_signal: str = ""
    args_escaped: bool = False
    health_check: HealthConfig | None = None
    on_build: list[str] = field(default_factory=list)
    shell: list[str] = field(default_factory=list)

    def copy(self) -> Image:
        """An independent copy."""
        # What lists and dicts hold is immutable.
        return replace(
            self,
            diff_ids=None if self.diff_ids is None else list(self.diff_ids),
            history=list(self.history),
            exposed_ports=set(self.exposed_ports),
            env=list(self.env),
            entrypoint=list(self.entrypoint),
            cmd=list(self.cmd),
            volumes=set(self.volumes),
            labels=dict(self.labels),
            on_build=list(self.on_build),
            shell=list(self.shell),
        )

    def add_history(self, text: str, *, has_layer: bool, epoch_s: int | None, suffix: bool = False) -> None:
        """Appends the entry of an instruction. `suffix` marks steps that ran (dockerfile.md §10.1)."""
        created = None if epoch_s is None else format_time_ns(epoch_s * 1_000_000_000)
        if suffix:
            text += " # buildkit"
        self.history.append(History(created, text, "", _HISTORY_COMMENT, not has_layer))

    def set_env(self, key: str, value: str) -> None:
        """Sets a variable in place, or appends it."""
        entry = f"{key}={value}"
        for index, existing in enumerate(self.env):
            if existing.partition("=")[0] == key:
                self.env[index] = entry
                return
        self.env.append(entry)

    def has_env(self, key: str) -> bool:
        return any(entry.partition("=")[0] == key for entry in self.env)

    def command_line(self, args: tuple[str, ...]) -> list[str]:
        """`args`, a command line in shell form, as the argument vector that runs it."""
        default = ["cmd", "/S", "/C"] if self.platform.os == WINDOWS else ["/bin/sh", "-c"]
        return [*(self.shell or default), " ".join(args)]

    def encode(self) -> bytes:
        """The JSON text, members in BuildKit's order, empty ones left out."""
        out: dict[str, object] = {}
        if self.created is not None:
            out["created"] = self.created
        if self.author:
            out["author"] = self.author
        out.update(self.platform.as_json())
        out["rootfs"] = {"type": self.rootfs_type, "diff_ids": self.diff_ids}
        if self.history:
            out["history"] = [_history_json(entry) for entry in self.history]
        out["config"] = self._config_json()
        return compact_json(out).encode()

    def _config_json(self) -> dict[str, object]:
        members: dict[str, object] = {
            "User": self.user,
            "ExposedPorts": {port: {} for port in sorted(self.exposed_ports)},
            "Env": self.env,
            "Entrypoint": self.entrypoint,
            "Cmd": self.cmd,
            "Volumes": {volume: {} for volume in sorted(self.volumes)},
            "WorkingDir": self.working_dir,
            "Labels": dict(sorted(self.labels.items())),
            "StopSignal": self.stop_signal,
            "ArgsEscaped": self.args_escaped,
        }
        out = {key: value for key, value in members.items() if value}
        if self.health_check is not None:
            out["Healthcheck"] = _health_json(self.health_check)
        if self.on_build:
            out["OnBuild"] = self.on_build
        if self.shell:
            out["Shell"] = self.shell
        return out


def empty_image(platform: Platform) -> Image:
    """The config of `scratch`."""
    env = [] if platform.os == WINDOWS else [f"PATH={DEFAULT_PATH}"]
    return Image(platform, env=env, working_dir="/")


def parse_image(raw: bytes) -> Image:
    """Reads an image config. Raises `IntegrityError` (code `invalid-image-config`)."""
    try:
        decoded = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise _invalid(f"not JSON: {error}") from None
    if not isinstance(decoded, dict):
        raise _invalid("the top level is not an object")
    top = _Members(decoded)
    config = _Members(top.object("config"))
    rootfs = _Members(top.object("rootfs"))
    return Image(
        platform=Platform(
            top.text("os"),
            top.text("architecture"),
            top.text("variant"),
            top.text("os.version"),
            tuple(top.texts("os.features") or ()),
        ),
        created=_time(top),
        author=top.text("author"),
        rootfs_type=rootfs.text("type"),
        diff_ids=rootfs.texts("diff_ids"),
        history=[_parse_history(_Members(entry)) for entry in top.objects("history")],
        user=config.text("User"),
        exposed_ports=set(config.object("ExposedPorts")),
        env=config.texts("Env") or [],
        entrypoint=config.texts("Entrypoint") or [],
        cmd=config.texts("Cmd") or [],
        volumes=set(config.object("Volumes")),
        working_dir=config.text("WorkingDir"),
        labels=config.text_map("Labels"),
        stop_signal=config.text("StopSignal"),
        args_escaped=config.flag("ArgsEscaped"),
        health_check=_parse_health(config),
        on_build=config.texts("OnBuild") or [],
        shell=config.texts("Shell") or [],
    )


def _history_json(entry: History) -> dict[str, object]:
    members = (
        ("created", entry.created),
        ("created_by", entry.created_by),
        ("author", entry.author),
        ("comment", entry.comment),
        ("empty_layer", entry.empty_layer),
    )
    return {key: value for key, value in members if value}


def _health_json(health: HealthConfig) -> dict[str, object]:
    members: tuple[tuple[str, object], ...] = (
        ("Test", list(health.test)),
        ("Interval", health.interval_ns),
        ("Timeout", health.timeout_ns),
        ("StartPeriod", health.start_period_ns),
        ("StartInterval", health.start_interval_ns),
        ("Retries", health.retries),
    )
    return {key: value for key, value in members if value}


def _parse_history(entry: _Members) -> History:
    return History(
        _time(entry),
        entry.text("created_by"),
        entry.text("author"),
        entry.text("comment"),
        entry.flag("empty_layer"),
    )


def _parse_health(config: _Members) -> HealthConfig | None:
    if config.get("Healthcheck") is None:
        return None
    health = _Members(config.object("Healthcheck"))
    return HealthConfig(
        tuple(health.texts("Test") or ()),
        health.number("Interval"),
        health.number("Timeout"),
        health.number("StartPeriod"),
        health.number("StartInterval"),
        health.number("Retries"),
    )


def _time(members: _Members) -> str | None:
    text = members.text("created")
    return normal_time(text) if text else None


class _Members:
    """The members of a JSON object by name, compared without case when there is no exact match, as Go does. `null`
    is the same as absent."""

    def __init__(self, value: dict[str, Any]) -> None:
        self._exact = value
        self._folded = {key.lower(): item for key, item in value.items()}

    def get(self, name: str) -> Any:
        return self._exact[name] if name in self._exact else self._folded.get(name.lower())

    def _typed(self, name: str, kind: type, what: str) -> Any:
        value = self.get(name)
        if value is not None and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
            raise _invalid(f"member {name} is not {what}")
        return value

    def text(self, name: str) -> str:
        return self._typed(name, str, "a string") or ""

    def flag(self, name: str) -> bool:
        return bool(self._typed(name, bool, "a boolean"))

    def number(self, name: str) -> int:
        return self._typed(name, int, "an integer") or 0

    def object(self, name: str) -> dict[str, Any]:
        return self._typed(name, dict, "an object") or {}

    def texts(self, name: str) -> list[str] | None:
        values = self._typed(name, list, "a list")
        if values is None:
            return None
        if not all(isinstance(value, str) for value in values):
            raise _invalid(f"member {name} holds something else than strings")
        return list(values)

    def objects(self, name: str) -> list[dict[str, Any]]:
        values = self._typed(name, list, "a list") or []
        if not all(isinstance(value, dict) for value in values):
            raise _invalid(f"member {name} holds something else than objects")
        return list(values)

    def text_map(self, name: str) -> dict[str, str]:
        values = self.object(name)
        if not all(isinstance(value, str) for value in values.values()):
            raise _invalid(f"member {name} holds something else than strings")
        return dict(values)


def _invalid(problem: str) -> IntegrityError:
    return IntegrityError(f"failed to parse image config: {problem}", code="invalid-image-config")
