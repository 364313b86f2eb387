"""Which Dockerfile frontends the built-in one stands in for (dockerfile.md §14.2)."""

from __future__ import annotations

from collections.abc import Mapping

from bakehouse.builders.context import DockerfileText
from bakehouse.diagnostics import render_excerpt
from bakehouse.dockerfile.directives import syntax_image
from bakehouse.errors import NotBuiltYetError
from bakehouse.lazy import regex

#: The official frontend in any version of its first major one, from Docker Hub or a mirror's path of the same name.
_OURS = regex(
    r"^(?:docker\.io/|registry-1\.docker\.io/)?docker/dockerfile(?:-upstream)?"
    r"(?::(?:1(?:[.-][\w.-]*)?|latest|labs|master[\w.-]*))?(?:@sha256:[0-9a-f]{64})?$"
)
_BUILT_IN = "dockerfile.v0"


def require_known_syntax(text: DockerfileText, build_args: Mapping[str, str]) -> None:
    """Accepts `# syntax=` (or the build argument BUILDKIT_SYNTAX, which beats it) of the official frontend, offline.

    Raises `NotBuiltYetError` for any other frontend: building with the wrong one would be a silent mistake.
    """
    wanted = build_args.get("BUILDKIT_SYNTAX", "")
    excerpt = None
    if not wanted:
        source = text.data.decode("utf-8", "replace")
        found = syntax_image(source)
        if found is None:
            return
        wanted, _, lines = found
        if lines.first:
            excerpt = render_excerpt(text.name, source, lines.first, lines.last)
    image = wanted.split(" ", 1)[0]
    if image == _BUILT_IN or _OURS.match(image):
        return
    error = NotBuiltYetError(
        f"the Dockerfile frontend {image} is not supported yet: only docker/dockerfile:1 is, which is built in",
        hint="leave the syntax line out if the Dockerfile needs nothing of that frontend",
    )
    error.excerpt = excerpt
    raise error
