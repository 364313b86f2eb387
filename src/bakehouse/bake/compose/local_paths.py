"""Paths in a model, as seen from the directory that everything is relative to."""

from __future__ import annotations

from bakehouse.bake.compose.nodes import ComposeFailure, Node, dotted, type_name
from bakehouse.go.paths import join_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from bakehouse.bake.compose.nodes import Path

_REMOTE_PREFIXES = ("https://", "http://", "git://", "ssh://", "github.com/", "git@")


class PathRebaser:
    """Puts `base` in front of every relative path; `home` stands for `~` (None: the environment names none)."""

    def __init__(self, base: str, home: str | None) -> None:
        self._base = base
        self._home = home
        self._rules: dict[str, Any] = {
            "services": {
                "*": {
                    "build": {
                        "context": self._context,
                        "additional_contexts": {"*": self._context},
                        "ssh": {"*": self._optional_file},
                    },
                    "env_file": {"*": {"path": self._file}},
                    "label_file": {"*": self._file},
                    "volumes": {"*": _checked_mount},
                    "extends": {"file": self._needed_file},
                }
            },
            "secrets": {"*": {"file": self._optional_file}},
        }

    def rebased(self, root: Node) -> Node:
        """The model with its paths rebased. Raises `ComposeFailure` for a path that is no text."""
        return self._walk(root, (), self._rules)

    def _walk(self, node: Node, path: Path, rules: Any) -> Node:
        if not isinstance(rules, dict):
            change: Callable[[Node, Path], Node] = rules
            return change(node, path)
        if isinstance(node.value, dict):
            out = None
            for key, member in node.value.items():
                rule = rules.get(key) or rules.get("*")
                if rule is not None:
                    new = self._walk(member, (*path, key), rule)
                    if new is not member:
                        out = out or dict(node.value)
                        out[key] = new
            return node if out is None else node.like(out)
        if isinstance(node.value, list) and "*" in rules:
            return node.like([self._walk(item, (*path, "[]"), rules["*"]) for item in node.value])
        return node

    def _context(self, node: Node, path: Path) -> Node:
        text = self._needed_text(node, path)
        if "://" in text or text.startswith(("service:", *_REMOTE_PREFIXES)):
            return node
        return node.like(self._path(text))

    def _file(self, node: Node, path: Path) -> Node:
        if isinstance(node.value, list):
            return node.like([self._file(item, path) for item in node.value])
        if not isinstance(node.value, str):
            raise ComposeFailure(f"unexpected type {type_name(node.value)}", node, hint="Write a path.")
        return node.like(self._path(node.value))

    def _needed_file(self, node: Node, path: Path) -> Node:
        return node.like(self._path(self._needed_text(node, path)))

    def _optional_file(self, node: Node, path: Path) -> Node:
        if not isinstance(node.value, str) or _is_windows_path(node.value):
            return node
        return node.like(self._path(node.value) or self._base)

    def _path(self, text: str) -> str:
        if text.startswith("~") and self._home is not None:
            text = join_path(self._home, text[1:])
        if text.startswith("/") or text == "":
            return text
        return join_path(self._base, text)

    def _needed_text(self, node: Node, path: Path) -> str:
        if not isinstance(node.value, str):
            raise ComposeFailure(
                f"{dotted(path)} must be a string",
                node,
                hint="Write a path; put it in quotes if it looks like a number.",
            )
        return node.value


def _checked_mount(node: Node, path: Path) -> Node:
    """A mount as it is. Where it is bound to is of no use here, but it has to be said."""
    kind = node.get("type")
    if kind is not None and kind.value == "bind" and node.get("source") is None:
        raise ComposeFailure('invalid mount config for type "bind": field Source must not be empty', node)
    return node


def _is_windows_path(text: str) -> bool:
    r"""An absolute path of Windows: `c:\…`, `\\server\share…`."""
    drive = len(text) > 2 and text[1] == ":" and text[2] in "\\/"
    return drive or (len(text) > 2 and text[0] in "\\/" and text[1] in "\\/" and text[0] == "\\")
