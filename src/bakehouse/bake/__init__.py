"""Bake: definition files to resolved targets and groups. Knows nothing of building (reference bake.md).

    definition = load(LoadOptions(cwd=…, environ=…, files=…))
    resolved = definition.resolve(["default"], overrides=["*.args.V=1"])
    text = print_json(resolved)

Names are loaded on first use, so that a caller of the entry grammars does not pay for the HCL language.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bakehouse.bake.checks import check_targets, parse_size, parse_ulimit
    from bakehouse.bake.definition import Definition, LoadOptions, load
    from bakehouse.bake.entitlements import Allowed, Requested, missing_privileges, parse_allowed
    from bakehouse.bake.entries import (
        Attest,
        CacheEntry,
        Output,
        PolicyEntry,
        Resources,
        SecretEntry,
        SshEntry,
        attest_flag,
        parse_attest,
        parse_attests,
        parse_cache_entries,
        parse_caches,
        parse_output,
        parse_outputs,
        parse_policies,
        parse_policy,
        parse_secret,
        parse_secrets,
        parse_ssh,
        parse_sshs,
    )
    from bakehouse.bake.flags import CallOption, ListOption, flag_overrides, parse_call, parse_list, parse_vars
    from bakehouse.bake.listing import list_targets, list_variables, render_list
    from bakehouse.bake.printing import print_json
    from bakehouse.bake.target import Granted, Group, Resolved, Target

_HOMES = {
    "checks": ("check_targets", "parse_size", "parse_ulimit"),
    "definition": ("Definition", "LoadOptions", "load"),
    "entitlements": ("Allowed", "Requested", "missing_privileges", "parse_allowed"),
    "entries": (
        "Attest",
        "CacheEntry",
        "Output",
        "PolicyEntry",
        "Resources",
        "SecretEntry",
        "SshEntry",
        "attest_flag",
        "parse_attest",
        "parse_attests",
        "parse_cache_entries",
        "parse_caches",
        "parse_output",
        "parse_outputs",
        "parse_policies",
        "parse_policy",
        "parse_secret",
        "parse_secrets",
        "parse_ssh",
        "parse_sshs",
    ),
    "flags": ("CallOption", "ListOption", "flag_overrides", "parse_call", "parse_list", "parse_vars"),
    "listing": ("list_targets", "list_variables", "render_list"),
    "printing": ("print_json",),
    "target": ("Granted", "Group", "Resolved", "Target"),
}


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            module = __import__(f"{__name__}.{home}", fromlist=[name])
            return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
