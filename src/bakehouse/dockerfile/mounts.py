"""`RUN --mount=…` and `RUN --device=…`: comma-separated options to typed values (dockerfile.md §8.2, §8.3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

BIND = "bind"
CACHE = "cache"
TMPFS = "tmpfs"
SECRET = "secret"
SSH = "ssh"


@dataclass(slots=True)
class Mount:
    """One `--mount`. `env` is None when the key was not given; `mode`, `uid`, `gid` are None when not given;
    `size_limit` is bytes, 0 for none. `cache_sharing` is empty when not given."""

    type: str = BIND
    from_: str = ""
    source: str = ""
    target: str = ""
    read_only: bool = False
    size_limit: int = 0
    cache_id: str = ""
    cache_sharing: str = ""
    required: bool = False
    env: str | None = None
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """One `--device`: a CDI device name."""

    name: str
    required: bool = False


def parse_mount(text: str, expander: Callable[[str], str] | None) -> Mount:
    raise NotImplementedError
