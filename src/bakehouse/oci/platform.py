"""Platforms: parsing, normal form and matching order, as containerd has them (its `platforms` package)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from bakehouse.errors import DefinitionError
from bakehouse.go.text import quote
from bakehouse.lazy import regex
from bakehouse.values import dataclass, replace

if TYPE_CHECKING:
    from typing import Self

_PART = regex(r"[A-Za-z0-9_.-]+\Z")
_ARM64_VARIANT = regex(r"v([89])(?:\.(\d))?")
_OS_PART = regex(r"([A-Za-z0-9_-]+)(?:\(([A-Za-z0-9_.%-]*)((?:\+[A-Za-z0-9_.%-]+)*)\))?\Z")
# The patterns as containerd prints them in its errors.
_PART_SHOWN = r"^[A-Za-z0-9_.-]+$"
_OS_SHOWN = r"^([A-Za-z0-9_-]+)(?:\\(([A-Za-z0-9_.%-]*)((?:\\+[A-Za-z0-9_.%-]+)*)\\))?$"
# fmt: off
_KNOWN_OS = frozenset(
    {
        "aix", "android", "darwin", "dragonfly", "freebsd", "hurd", "illumos", "ios", "js", "linux",
        "nacl", "netbsd", "openbsd", "plan9", "solaris", "windows", "zos",
    }
)
_KNOWN_ARCHITECTURES = frozenset(
    {
        "386", "amd64", "amd64p32", "arm", "armbe", "arm64", "arm64be", "ppc64", "ppc64le", "loong64",
        "mips", "mipsle", "mips64", "mips64le", "mips64p32", "mips64p32le", "ppc", "riscv", "riscv64",
        "s390", "s390x", "sparc", "sparc64", "wasm",
    }
)
# fmt: on
# Kernel machine names that differ from Go's architecture names.
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "i686": "386", "i586": "386", "loongarch64": "loong64"}


def _unquoted(text: str) -> str:
    if "%" not in text:
        return text
    from urllib.parse import unquote

    return unquote(text)


def _invalid(message: str) -> DefinitionError:
    return DefinitionError(f"{message}: invalid argument", code="invalid-platform")


def _normal_os(name: str) -> str:
    name = name.lower() or "linux"
    return "darwin" if name == "macos" else name


def _normal_architecture(architecture: str, variant: str) -> tuple[str, str]:
    architecture, variant = architecture.lower(), variant.lower()
    if architecture == "i386":
        return "386", ""
    if architecture in ("x86_64", "x86-64", "amd64"):
        return "amd64", "" if variant == "v1" else variant
    if architecture in ("aarch64", "arm64"):
        if variant in ("8", "v8", "v8.0"):
            variant = ""
        elif variant in ("9", "9.0", "v9.0"):
            variant = "v9"
        return "arm64", variant
    if architecture == "armhf":
        return "arm", "v7"
    if architecture == "armel":
        return "arm", "v6"
    if architecture == "arm":
        if variant in ("", "7"):
            variant = "v7"
        elif variant in ("5", "6", "8"):
            variant = "v" + variant
    return architecture, variant


def _local_machine() -> tuple[str, str]:
    """Architecture and variant of this machine, in Go's words."""
    machine = os.uname().machine.lower()
    if machine.startswith("armv"):
        return "arm", "v" + machine[4:5]
    return _MACHINES.get(machine, machine), ""


@dataclass(frozen=True, slots=True, order=True)
class Platform:
    """`os/architecture[/variant]`. Equality is by field: compare normalised values."""

    os: str
    architecture: str
    variant: str = ""
    os_version: str = ""
    os_features: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """`text` in normal form (`linux/arm64/v8` → `linux/arm64`, `linux/arm` → `linux/arm/v7`).

        Raises `DefinitionError` (code `invalid-platform`) with containerd's wording.
        """
        return cls.parse_exact(text).normalized()

    @classmethod
    def parse_exact(cls, text: str) -> Self:
        """What containerd's `Parse` alone yields: aliases resolved, `linux/arm64/v8` and `linux/arm` kept."""
        if "*" in text:
            raise _invalid(f"{quote(text)}: wildcards not yet supported")
        parts = text.split("/", 3)
        match = _OS_PART.match(parts[0])
        if match is None:
            raise _invalid(
                f"{quote(parts[0])} is an invalid OS component of {quote(text)}: "
                f'OSAndVersion specifier component must match "{_OS_SHOWN}"'
            )
        for part in parts[1:]:
            if not _PART.match(part):
                raise _invalid(
                    f"{quote(part)} is an invalid component of {quote(text)}: "
                    f'platform specifier component must match "{_PART_SHOWN}"'
                )
        system = _normal_os(match[1])
        version = _unquoted(match[2] or "")
        features = tuple(_unquoted(feature) for feature in (match[3] or "").split("+") if feature)
        if len(parts) == 1:
            return cls._of_one_part(text, system, version, features)
        if len(parts) == 2:
            architecture, variant = _normal_architecture(parts[1], "")
            if (architecture, variant) == ("arm", "v7"):
                variant = ""
            return cls(system, architecture, variant, version, features)
        if len(parts) == 3:
            architecture, variant = _normal_architecture(parts[1], parts[2])
            if (architecture, variant) == ("arm64", ""):
                variant = "v8"
            return cls(system, architecture, variant, version, features)
        raise _invalid(f"{quote(text)}: cannot parse platform specifier")

    @classmethod
    def _of_one_part(cls, text: str, system: str, version: str, features: tuple[str, ...]) -> Self:
        if system in _KNOWN_OS:
            architecture, variant = _local_machine()
            if (architecture, variant) == ("arm", "v7"):
                variant = ""
            return cls(system, architecture, variant, version, features)
        architecture, variant = _normal_architecture(text, "")
        if (architecture, variant) == ("arm", "v7"):
            variant = ""
        if architecture in _KNOWN_ARCHITECTURES:
            return cls("linux", architecture, variant)
        raise _invalid(f"{quote(text)}: unknown operating system or architecture")

    @classmethod
    def local(cls) -> Self:
        """The platform of this machine, normalised."""
        architecture, variant = _local_machine()
        return cls("linux", architecture, variant).normalized()

    @classmethod
    def from_config(cls, config: Mapping[str, object]) -> Self:
        """The platform that an image config or a descriptor's `platform` member states, as it stands there."""
        features = config.get("os.features")
        return cls(
            _text(config, "os"),
            _text(config, "architecture"),
            _text(config, "variant"),
            _text(config, "os.version"),
            tuple(str(feature) for feature in features) if isinstance(features, list) else (),
        )

    def normalized(self) -> Self:
        """The form in which equal platforms are equal values."""
        architecture, variant = _normal_architecture(self.architecture, self.variant)
        return replace(
            self,
            os=_normal_os(self.os),
            architecture=architecture,
            variant=variant,
            os_features=tuple(sorted(set(self.os_features))),
        )

    def __str__(self) -> str:
        """`linux/arm/v7`, without OS version and features; `unknown` when the OS is empty."""
        if not self.os:
            return "unknown"
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)

    def format_all(self) -> str:
        """As `str`, with OS version and features: `windows(10.0.17763+win32k)/amd64`."""
        if not self.os or not (self.os_version or self.os_features):
            return str(self)
        from urllib.parse import quote as percent_encode

        options = percent_encode(self.os_version, safe="") + "".join(
            f"+{percent_encode(feature, safe='')}" for feature in self.os_features
        )
        return "/".join(part for part in (f"{self.os}({options})", self.architecture, self.variant) if part)

    def matches(self, other: Platform) -> bool:
        """Whether an image of `other` runs here by containerd's `Only`: `linux/amd64` takes `linux/386` too,
        `linux/arm64` takes `linux/arm/v7`."""
        return any(_equals(wanted, other) for wanted in _accepted(self.normalized()))

    def matches_strictly(self, other: Platform) -> bool:
        """Whether `other` is this very platform (`linux/arm64` = `linux/arm64/v8`), sub-platforms excluded."""
        return _equals(self.normalized(), other)

    def as_json(self) -> dict[str, object]:
        """The members of an OCI `platform` object, in the order in which Go writes them."""
        out: dict[str, object] = {"architecture": self.architecture, "os": self.os}
        if self.os_version:
            out["os.version"] = self.os_version
        if self.os_features:
            out["os.features"] = list(self.os_features)
        if self.variant:
            out["variant"] = self.variant
        return out


def _text(config: Mapping[str, object], key: str) -> str:
    value = config.get(key)
    return value if isinstance(value, str) else ""


def _equals(wanted: Platform, candidate: Platform) -> bool:
    """Whether `candidate` is the normalised platform `wanted`, its OS features being a subset. For Windows the
    first three parts of the OS version must agree when `wanted` states one (containerd compares the builds)."""
    other = candidate.normalized()
    if (wanted.os, wanted.architecture, wanted.variant) != (other.os, other.architecture, other.variant):
        return False
    features = set(other.os_features)
    if wanted.os == "windows":
        features.discard("win32k")
        if not _same_windows_build(wanted.os_version, other.os_version):
            return False
    return features <= set(wanted.os_features)


def _same_windows_build(wanted: str, other: str) -> bool:
    return not wanted or not other or wanted.split(".")[:3] == other.split(".")[:3]


def _accepted(platform: Platform) -> Iterator[Platform]:
    """The platforms whose images `platform` runs, best first."""
    architecture, variant = platform.architecture, platform.variant
    if architecture == "amd64":
        yield platform
        for level in range(_level(variant) - 1, 0, -1):
            yield replace(platform, variant=f"v{level}").normalized()
        yield replace(platform, architecture="386", variant="")
    elif architecture == "arm":
        yield platform
        for level in range(_level(variant) - 1, 4, -1):
            yield replace(platform, variant=f"v{level}")
    elif architecture == "arm64":
        versions = _arm64_versions(variant or "v8")
        if not versions:
            return
        for major, minor in versions:
            yield replace(platform, variant=f"v{major}.{minor}" if minor else f"v{major}").normalized()
        yield from _accepted(replace(platform, architecture="arm", variant="v8"))
    else:
        yield platform


def _level(variant: str) -> int:
    digits = variant.removeprefix("v")
    return int(digits) if digits.isdigit() else 0


def _arm64_versions(variant: str) -> list[tuple[int, int]]:
    """The Arm versions that `variant` includes, newest first; empty for a variant that containerd does not know.
    Armv9.N includes Armv8.(N+5), capped at 8.9."""
    match = _ARM64_VARIANT.fullmatch(variant)
    if match is None:
        return []
    major, minor = int(match[1]), int(match[2] or 0)
    if major == 8:
        return [(8, below) for below in range(minor, -1, -1)]
    if minor > 7:
        return []
    below_nine = [(9, below) for below in range(minor, -1, -1)]
    return below_nine + [(8, below) for below in range(min(minor + 5, 9), -1, -1)]


def best_match(wanted: Platform, candidates: Sequence[Platform]) -> int | None:
    """The index of the candidate that containerd would run on `wanted`, None when none fits. The first of equals
    wins; among candidates of one platform the one with most OS features wins."""
    for accepted in _accepted(wanted.normalized()):
        fitting = [index for index, candidate in enumerate(candidates) if _equals(accepted, candidate)]
        if fitting:
            return max(fitting, key=lambda index: (len(candidates[index].os_features), -index))
    return None
