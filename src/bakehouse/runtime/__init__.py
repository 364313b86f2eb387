"""Runs one build step as an OCI runtime process: mounts, network, user, limits, rootless.

Knows nothing of LLB, layers or caches: it is handed a root directory and a list of mounts. Behaviour follows BuildKit's
runc executor (engine.md §23, dockerfile.md §8.1). Nothing is started before the first step runs.
"""

from bakehouse.lazy import exports

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bakehouse.runtime.runtime import OciRuntime
    from bakehouse.runtime.step import (
        NETWORK_HOST,
        NETWORK_NONE,
        NETWORK_SANDBOX,
        SECURITY_INSECURE,
        SECURITY_SANDBOX,
        Cancel,
        Step,
        StepMount,
    )

_HOMES = {
    "runtime": ("OciRuntime",),
    "step": (
        "NETWORK_HOST",
        "NETWORK_NONE",
        "NETWORK_SANDBOX",
        "SECURITY_INSECURE",
        "SECURITY_SANDBOX",
        "Cancel",
        "Step",
        "StepMount",
    ),
}

__all__ = [
    "NETWORK_HOST",
    "NETWORK_NONE",
    "NETWORK_SANDBOX",
    "SECURITY_INSECURE",
    "SECURITY_SANDBOX",
    "Cancel",
    "OciRuntime",
    "Step",
    "StepMount",
]

__getattr__ = exports(__name__, _HOMES)
