"""Resource limits of a step that several graphs want: the laxest of each (engine.md §1; BuildKit's rules)."""

from __future__ import annotations

from bakehouse.llb.cpusets import format_cpu_set, parse_cpu_set
from bakehouse.llb.ops import ResourceLimits

_UNLIMITED = -1
#: The kernel's period where none is set, in microseconds.
_DEFAULT_PERIOD = 100_000


def laxer_limits(first: ResourceLimits | None, second: ResourceLimits | None) -> ResourceLimits | None:
    """Limits under which neither graph's step has less than it asked for. None asks for nothing and gives way."""
    if first is None or second is None:
        return first or second
    period, quota = _bandwidth(first, second)
    return ResourceLimits(
        memory=0 if 0 in (first.memory, second.memory) else max(first.memory, second.memory),
        memory_swap=_swap(first.memory_swap, second.memory_swap),
        cpu_shares=max(first.cpu_shares, second.cpu_shares),
        cpu_period=period,
        cpu_quota=quota,
        cpuset_cpus=_union(first.cpuset_cpus, second.cpuset_cpus),
        cpuset_mems=_union(first.cpuset_mems, second.cpuset_mems),
    )


def _swap(first: int, second: int) -> int:
    """0 asks for nothing special and gives way to the other."""
    if 0 in (first, second):
        return first or second
    return _UNLIMITED if _UNLIMITED in (first, second) else max(first, second)


def _bandwidth(first: ResourceLimits, second: ResourceLimits) -> tuple[int, int]:
    """(period, quota) of the one that may use more processors; no quota is no limit. Of equals, the one whose turns
    come more often."""
    for limits in (first, second):
        if not limits.cpu_quota:
            return (limits.cpu_period if first.cpu_quota or second.cpu_quota else 0), 0
    pairs = [(limits.cpu_period or _DEFAULT_PERIOD, limits) for limits in (first, second)]
    _, laxer = max(pairs, key=lambda pair: (pair[1].cpu_quota / pair[0], -pair[0]))
    return laxer.cpu_period, laxer.cpu_quota


def _union(first: str, second: str) -> str:
    """Both sets of numbers (`0-2,5`) together. Empty means all; of a malformed one and a sound one, the sound one."""
    if not first or not second:
        return ""
    sets = [numbers for numbers in (_numbers(first), _numbers(second)) if numbers is not None]
    return format_cpu_set(set().union(*sets)) if sets else first


def _numbers(text: str) -> set[int] | None:
    try:
        return parse_cpu_set(text)
    except ValueError:
        return None
