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


def limit_options(target: Target) -> dict[str, str]:
    """The limits that are set, as the frontend's options. Raises `DefinitionError` (code `invalid-resource`). Numbers
    below 1 mean not limited, but for swap, where -1 means as much as there is."""
    options: dict[str, str] = {}
    if target.resources is None:
        return options
    for key, value in parse_resources(target.resources).items():
        unset = value == 0 if key == "memory-swap" else isinstance(value, int) and value < 1
        if value != "" and not unset:
            options[_OPTIONS[key]] = str(value)
    return options


def step_limits(target: Target) -> ResourceLimits:
    """As `limit_options`, for our own frontend. Raises `DefinitionError` (code `invalid-option`) too."""
    try:
        return resource_limits(limit_options(target))
    except DefinitionError as error:
        # What buildx leaves to BuildKit's frontend to find out.
        error.during = "failed to solve: "
        raise
