"""A target's `resources` as limits of its steps, by buildx's and BuildKit's rules for what counts as set."""

from __future__ import annotations

from bakehouse.bake import Target, parse_resources
from bakehouse.dockerfile.lowering.options import resource_limits
from bakehouse.errors import DefinitionError
from bakehouse.llb.ops import ResourceLimits

#: Keys of the field, and what the frontend calls them.
_OPTIONS = {
    "memory": "memory",
    "memory-swap": "memswap",
    "cpu-shares": "cpushares",
    "cpu-period": "cpuperiod",
    "cpu-quota": "cpuquota",
    "cpuset-cpus": "cpusetcpus",
    "cpuset-mems": "cpusetmems",
}


def step_limits(target: Target) -> ResourceLimits:
    """Raises `DefinitionError` (codes `invalid-resource`, `invalid-option`). Numbers below 1 mean not limited, but for
    swap, where -1 means as much as there is."""
    if target.resources is None:
        return ResourceLimits()
    options = {}
    for key, value in parse_resources(target.resources).items():
        unset = value == 0 if key == "memory-swap" else isinstance(value, int) and value < 1
        if value != "" and not unset:
            options[_OPTIONS[key]] = str(value)
    try:
        return resource_limits(options)
    except DefinitionError as error:
        # What buildx leaves to BuildKit's frontend to find out.
        error.during = "failed to solve: "
        raise
