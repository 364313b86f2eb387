"""Bake: definition files to resolved targets and groups. Knows nothing of building (reference bake.md).

    definition = load(LoadOptions(cwd=…, environ=…, files=…))
    resolved = definition.resolve(["default"], overrides=["*.args.V=1"])
    text = print_json(resolved)

Names are loaded on first use, so that a caller of the entry grammars does not pay for the HCL language.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bakehouse.bake.annotations import Annotation, parse_annotations
    from bakehouse.bake.checks import Surroundings, check_outputs, check_secrets, check_ssh, check_targets
    from bakehouse.bake.definition import Definition, LoadOptions, load
    from bakehouse.bake.entitlements import (
        Allowed,
        Requested,
        filesystem_checks_enabled,
        missing_privileges,
        parse_allowed,
    )
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
    from bakehouse.bake.explain.answers import Explainer, parse_address
    from bakehouse.bake.flags import (
        Arguments,
        CallOption,
        ListOption,
        flag_of_override,
        flag_overrides,
        parse_call,
        parse_list,
        parse_vars,
        split_arguments,
    )
    from bakehouse.bake.limits import Ulimit, parse_resources, parse_ulimit
    from bakehouse.bake.listing import ListedTarget, ListedVariable, list_targets, list_variables, render_list
    from bakehouse.bake.needs import dockerfile_path
    from bakehouse.bake.printing import print_json, resolved_as_json, target_as_json
    from bakehouse.bake.recorder import Recorder
    from bakehouse.bake.schema import definition_schema
    from bakehouse.bake.target import Granted, Group, Resolved, Target

_HOMES = {
    "annotations": (
        "Annotation",
        "parse_annotations",
    ),
    "checks": (
        "Surroundings",
        "check_outputs",
        "check_secrets",
        "check_ssh",
        "check_targets",
    ),
    "definition": (
        "Definition",
        "LoadOptions",
        "load",
    ),
    "entitlements": (
        "Allowed",
        "Requested",
        "filesystem_checks_enabled",
        "missing_privileges",
        "parse_allowed",
    ),
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
    "explain.answers": (
        "Explainer",
        "parse_address",
    ),
    "flags": (
        "Arguments",
        "CallOption",
        "ListOption",
        "flag_of_override",
        "flag_overrides",
        "parse_call",
        "parse_list",
        "parse_vars",
        "split_arguments",
    ),
    "limits": (
        "Ulimit",
        "parse_resources",
        "parse_ulimit",
    ),
    "listing": (
        "ListedTarget",
        "ListedVariable",
        "list_targets",
        "list_variables",
        "render_list",
    ),
    "needs": ("dockerfile_path",),
    "printing": (
        "print_json",
        "resolved_as_json",
        "target_as_json",
    ),
    "recorder": ("Recorder",),
    "schema": ("definition_schema",),
    "target": (
        "Granted",
        "Group",
        "Resolved",
        "Target",
    ),
}

__all__ = [
    "Allowed",
    "Annotation",
    "Arguments",
    "Attest",
    "CacheEntry",
    "CallOption",
    "Definition",
    "Explainer",
    "Granted",
    "Group",
    "ListOption",
    "ListedTarget",
    "ListedVariable",
    "LoadOptions",
    "Output",
    "PolicyEntry",
    "Recorder",
    "Requested",
    "Resolved",
    "Resources",
    "SecretEntry",
    "SshEntry",
    "Surroundings",
    "Target",
    "Ulimit",
    "attest_flag",
    "check_outputs",
    "check_secrets",
    "check_ssh",
    "check_targets",
    "definition_schema",
    "dockerfile_path",
    "filesystem_checks_enabled",
    "flag_of_override",
    "flag_overrides",
    "list_targets",
    "list_variables",
    "load",
    "missing_privileges",
    "parse_address",
    "parse_allowed",
    "parse_annotations",
    "parse_attest",
    "parse_attests",
    "parse_cache_entries",
    "parse_caches",
    "parse_call",
    "parse_list",
    "parse_output",
    "parse_outputs",
    "parse_policies",
    "parse_policy",
    "parse_resources",
    "parse_secret",
    "parse_secrets",
    "parse_ssh",
    "parse_sshs",
    "parse_ulimit",
    "parse_vars",
    "print_json",
    "render_list",
    "resolved_as_json",
    "split_arguments",
    "target_as_json",
]


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            from importlib import import_module

            value = getattr(import_module(f"{__name__}.{home}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
