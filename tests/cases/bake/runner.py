"""Runs a Bake case through our own API, with the flags that cases use: what `cli` does, without its rendering."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.cases.bake.record import arguments, environment

from bakehouse.bake import (
    Definition,
    LoadOptions,
    Resolved,
    flag_overrides,
    load,
    parse_call,
    parse_list,
    parse_vars,
    print_json,
    render_list,
    split_arguments,
)
from bakehouse.bake.recorder import Recorder
from bakehouse.errors import BakehouseError

#: Flags whose value can only follow after `=`.
_OPTIONAL_VALUE = ("--no-cache", "--pull")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for flag in ("--file", "--set", "--var", "--policy"):
        names = ("-f", flag) if flag == "--file" else (flag,)
        parser.add_argument(*names, action="append", default=[])
    for flag in ("--print", "--push", "--load", "--check"):
        parser.add_argument(flag, action="store_true")
    for flag in _OPTIONAL_VALUE:
        parser.add_argument(flag)
    for flag in ("--sbom", "--provenance", "--call", "--list"):
        parser.add_argument(flag, default="")
    parser.add_argument("names", nargs="*")
    return parser


def run_ours(case: Path) -> tuple[str, str]:
    """Standard output and the ERROR line (empty on success) that we give for a case."""
    try:
        return _answer(case), ""
    except BakehouseError as error:
        return "", "ERROR: " + error.message.split("\n")[0]


def _answer(case: Path) -> str:
    return _shown(ask_ours(case))


def _shown(asked: Asked) -> str:
    if asked.listing:
        return render_list(asked.definition, parse_list(asked.listing))
    return print_json(asked.resolve())


@dataclass
class Asked:
    """A loaded case, with what its command line asks for."""

    definition: Definition
    names: list[str]
    overrides: list[str]
    disable_policies: bool
    listing: str

    def resolve(self) -> Resolved:
        return self.definition.resolve(self.names, self.overrides, disable_policies=self.disable_policies)


def ask_ours(case: Path, recorder: Recorder | None = None) -> Asked:
    """Loads a case as its command line says. Raises `BakehouseError`."""
    stdin = case / "stdin"
    return ask(
        case,
        arguments(case),
        environment(case),
        lambda: stdin.read_bytes() if stdin.exists() else b"",
        recorder,
    )


def answer(folder: Path, words: Sequence[str], environ: dict[str, str], stdin: Callable[[], bytes]) -> str:
    """Standard output of `bake WORDS` in a folder. Raises our errors."""
    return _shown(ask(folder, words, environ, stdin))


def ask(
    folder: Path,
    words: Sequence[str],
    environ: dict[str, str],
    stdin: Callable[[], bytes],
    recorder: Recorder | None = None,
) -> Asked:
    """Loads what `bake WORDS` in a folder would. Raises our errors."""
    words = [f"{word}=true" if word in _OPTIONAL_VALUE else word for word in words]
    given = _parser().parse_intermixed_args(words)
    call = parse_call("check" if given.check else given.call)
    extra, disable_policies = flag_overrides(
        push=given.push,
        load=given.load,
        call=call,
        no_cache=None if given.no_cache is None else given.no_cache == "true",
        pull=None if given.pull is None else given.pull == "true",
        sbom=given.sbom,
        provenance=given.provenance,
        policies=given.policy,
    )
    positional = split_arguments(given.names)
    definition = load(
        LoadOptions(
            cwd=str(folder),
            environ=environ,
            files=given.file,
            stdin=stdin,
            variables=parse_vars(given.var),
            command_context=positional.command_context,
            recorder=recorder,
        )
    )
    return Asked(definition, positional.names, given.set + extra, disable_policies, given.list)
