"""The step that scans a result for its SBOM: a scanner's image, run on the result's files (engine.md §18.5)."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from typing import Any

from bakehouse.errors import DefinitionError
from bakehouse.llb import state
from bakehouse.llb.draft import Constraints, Output, SealDefaults, seal
from bakehouse.llb.env import split_entry
from bakehouse.llb.ops import Edge, Meta
from bakehouse.llb.platforms import to_llb
from bakehouse.llb.runs import RunMount, RunNode
from bakehouse.oci.platform import Platform
from bakehouse.values import dataclass

CORE = "sbom"
_SOURCES, _DESTINATION = "/run/src", "/run/out/"


@dataclass(frozen=True, slots=True)
class Scanner:
    """A scanner's image, by a full reference, with its config, the platform that it runs on, and its own parameters."""

    ref: str
    config: Mapping[str, Any]
    platform: Platform
    parameters: Sequence[tuple[str, str]] = ()

    def __post_init__(self) -> None:
        if not self._args():
            raise DefinitionError(
                f"scanner {self.ref} does not have cmd",
                code="invalid-attestation",
                hint="The image of an SBOM scanner needs an entrypoint or a command.",
            )

    def scan(
        self, name: str, core: Edge | None, extras: Mapping[str, Edge | None], *, ignore_cache: bool
    ) -> Edge:
        """The tree of statements about the result `core` of the platform `name`, and about the trees `extras`."""
        constraints = Constraints(ignore_cache=ignore_cache).named(
            f"[{name}] generating sbom using {self.ref}"
        )
        platform = to_llb(self.platform)
        image = state.image(self.ref, platform=platform)
        prepared = image.with_directory(self._text("WorkingDir") or "/")
        for key, value in self._environment(bool(extras)):
            prepared = prepared.with_env(key, value)
        node = RunNode(
            image.output,
            Meta(
                args=tuple(self._args()),
                env=prepared.env.as_list(),
                cwd=prepared.directory,
                remove_mount_stubs_recursive=True,
            ),
            constraints,
            platform=platform,
            mounts=[
                RunMount("/tmp", tmpfs_size=0),
                RunMount(f"{_SOURCES}/core/{CORE}", _output(core), readonly=True),
                *(
                    RunMount(f"{_SOURCES}/extras/{CORE}-{key}", _output(edge), readonly=True)
                    for key, edge in extras.items()
                ),
                RunMount(_DESTINATION),
            ],
        )
        scanned = seal(Output(node, node.output_index(_DESTINATION)), SealDefaults(platform))
        assert scanned is not None
        return scanned

    def _args(self) -> list[str]:
        return [*self._texts("Entrypoint"), *self._texts("Cmd")]

    def _environment(self, has_extras: bool) -> list[tuple[str, str]]:
        out = [split_entry(entry) for entry in self._texts("Env")]
        out.append(("BUILDKIT_SCAN_DESTINATION", _DESTINATION))
        out.append(("BUILDKIT_SCAN_SOURCE", posixpath.join(_SOURCES, "core", CORE)))
        if has_extras:
            out.append(("BUILDKIT_SCAN_SOURCE_EXTRAS", posixpath.join(_SOURCES, "extras")))
        return out + [(f"BUILDKIT_SCAN_{name}", value) for name, value in self.parameters]

    def _texts(self, name: str) -> list[str]:
        found = (self.config.get("config") or {}).get(name)
        return [text for text in found if isinstance(text, str)] if isinstance(found, list) else []

    def _text(self, name: str) -> str:
        found = (self.config.get("config") or {}).get(name)
        return found if isinstance(found, str) else ""


def _output(edge: Edge | None) -> Output | None:
    return None if edge is None else Output.of_edge(edge)
