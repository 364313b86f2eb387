"""Finds every stable error code in the source, with the category and the rooms of the errors that bear it.

Read from the syntax trees, so that no code escapes for want of a test: `default_code` of classes, `code=…` of calls
and parameters, codes handed on by position to a function that has a parameter `code`, and names called `code` that
are assigned texts.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_CODE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_NAMES = ("code", "error_code", "default_code")
_BASE = "BakehouseError"
#: A `Diagnostic` is shown by a `DiagnosticsError`.
_ALIASES = {"Diagnostic": "DiagnosticsError"}


@dataclass(frozen=True)
class ErrorCode:
    """One code. `categories` and `rooms` are sorted; a code without a class of its own has the category of a
    definition, as findings have."""

    name: str
    categories: tuple[str, ...]
    rooms: tuple[str, ...]


class Sources:
    """The parsed modules, what error classes they define, and which functions take a code."""

    def __init__(self, root: Path) -> None:
        self.modules = {path: ast.parse(path.read_text("utf-8")) for path in sorted(root.rglob("*.py"))}
        self._parents: dict[str, str] = {}
        self._categories: dict[str, str] = {}
        #: Function name → (module, position of its parameter `code` or None, error class that it returns).
        self.makers: dict[str, list[tuple[Path, int | None, str | None]]] = {}
        for tree in self.modules.values():
            for node in ast.walk(tree):
                if isinstance(node, ast.ClassDef):
                    self._note_class(node)
        for path, tree in self.modules.items():
            for node in ast.walk(tree):
                if isinstance(node, ast.FunctionDef):
                    self._note_maker(path, node)

    def _note_class(self, node: ast.ClassDef) -> None:
        for base in node.bases:
            if isinstance(base, ast.Name):
                self._parents.setdefault(node.name, base.id)
        for statement in node.body:
            if isinstance(statement, ast.Assign) and _assigned(statement) == "category":
                self._categories[node.name] = str(ast.literal_eval(statement.value))

    def _note_maker(self, path: Path, node: ast.FunctionDef) -> None:
        returned = _class_name(node.returns)
        error = returned if returned is not None and self.is_error(returned) else None
        names = [argument.arg for argument in node.args.args if argument.arg != "self"]
        position = names.index("code") if "code" in names else None
        if error is not None or position is not None:
            self.makers.setdefault(node.name, []).append((path, position, error))

    def is_error(self, name: str) -> bool:
        return self.category(name) is not None

    def category(self, name: str) -> str | None:
        """The category of an error class; None for anything else."""
        current: str | None = _ALIASES.get(name, name)
        seen: set[str] = set()
        while current is not None and current not in seen:
            if current in self._categories:
                return self._categories[current]
            seen.add(current)
            current = self._parents.get(current)
        return None

    def maker(self, path: Path, name: str) -> tuple[int | None, str | None]:
        """(position of the code, error class) of the function that a call in `path` means."""
        for module, position, error in self.makers.get(name, ()):
            if module == path:
                return position, error
        return None, None


def collect_codes(root: Path) -> list[ErrorCode]:
    """Every code below the package directory `root`, sorted by name."""
    sources = Sources(root)
    found: dict[str, tuple[set[str], set[str]]] = {}
    for path, tree in sources.modules.items():
        room = path.relative_to(root).parts[0].removesuffix(".py")
        for name, category in _in_module(sources, path, tree):
            categories, rooms = found.setdefault(name, (set(), set()))
            rooms.add(room)
            if category is not None:
                categories.add(category)
    return [
        ErrorCode(name, tuple(sorted(categories)) or ("definition",), tuple(sorted(rooms)))
        for name, (categories, rooms) in sorted(found.items())
    ]


def _in_module(sources: Sources, path: Path, tree: ast.Module) -> Iterator[tuple[str, str | None]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and sources.is_error(node.name):
            for statement in node.body:
                if isinstance(statement, ast.Assign) and _assigned(statement) == "default_code":
                    yield from ((name, sources.category(node.name)) for name in _texts(statement.value))
        elif isinstance(node, ast.Call):
            yield from _in_call(sources, path, node)
        elif isinstance(node, ast.FunctionDef):
            yield from _in_defaults(sources, node)
        elif isinstance(node, ast.Assign) and _assigned(node) in _NAMES[:2]:
            yield from ((name, None) for name in _texts(node.value))


def _in_call(sources: Sources, path: Path, node: ast.Call) -> Iterator[tuple[str, str | None]]:
    called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
    position, made = sources.maker(path, called)
    category = sources.category(made or called)
    for keyword in node.keywords:
        if keyword.arg in _NAMES:
            yield from ((name, category) for name in _texts(keyword.value))
    if position is not None and made is not None and position < len(node.args):
        yield from ((name, category) for name in _texts(node.args[position]))


def _in_defaults(sources: Sources, node: ast.FunctionDef) -> Iterator[tuple[str, str | None]]:
    made = _class_name(node.returns)
    category = sources.category(made) if made else None
    positional = [*node.args.posonlyargs, *node.args.args]
    pairs = [*zip(positional[len(positional) - len(node.args.defaults) :], node.args.defaults, strict=True)]
    pairs += [
        (argument, default)
        for argument, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
        if default is not None
    ]
    for argument, default in pairs:
        if argument.arg in _NAMES:
            yield from ((name, category) for name in _texts(default))


def _texts(node: ast.expr) -> list[str]:
    """The codes that an expression may be: a text, or either arm of a conditional."""
    if isinstance(node, ast.IfExp):
        return _texts(node.body) + _texts(node.orelse)
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and _CODE.fullmatch(node.value):
        return [node.value]
    return []


def _assigned(node: ast.Assign) -> str:
    target = node.targets[0]
    return target.id if len(node.targets) == 1 and isinstance(target, ast.Name) else ""


def _class_name(node: ast.expr | None) -> str | None:
    """The first class of an annotation such as `DefinitionError` or `BakehouseError | None`."""
    if isinstance(node, ast.BinOp):
        return _class_name(node.left)
    return node.id if isinstance(node, ast.Name) else None
