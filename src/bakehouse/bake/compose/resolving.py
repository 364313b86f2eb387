"""The second walk over a YAML document: aliases, merge keys, `!reset` and `!override`, and what the peer refuses there.

`!reset` removes a value, and with it what earlier files say at the same place; `!override` keeps the value and removes
only that. Both are returned as paths. Aliased trees are shared, not copied; how often they would be visited when
expanded is counted as the peer counts it, and a document that expands beyond measure is refused.
"""

from __future__ import annotations

from bakehouse.bake.compose.nodes import ComposeFailure, Node, dotted, go_syntax, items_of
from bakehouse.bake.compose.reader import Key, Raw, RawDocument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bakehouse.bake.compose.nodes import Path

#: The most nodes that a document may have before aliases are expanded.
MAX_NODE_VISITS = 100_000
_RATIO_LOW = 400_000
_RATIO_HIGH = 4_000_000


class Document:
    """A finished document, and the paths at which it takes away what earlier ones said."""

    __slots__ = ("resets", "root")

    def __init__(self, root: Node, resets: list[Path]) -> None:
        self.root = root
        self.resets = resets


def resolve_document(document: RawDocument) -> Document:
    """The document with everything resolved. Raises `ComposeFailure`."""
    if document.raw.is_plain:
        return Document(document.root, [])
    tagger = _Tagger(document)
    root = tagger.resolve(document.root, ())
    resets = tagger.paths
    if root is None:
        raise ComposeFailure("top-level object must be a mapping", document.root)
    builder = _Builder(document, tagger.kept)
    builder.count(root)
    return Document(builder.build(root), resets)


def _construct_failure(
    document: RawDocument, text: str, place: Node, *, at_key: bool = False
) -> ComposeFailure:
    """The peer reports these at the first line of the document, under a line of its own."""
    root = document.root
    return ComposeFailure(
        f"failed to parse {root.source.peer_name}: yaml: construct errors:\n  line {root.start.line + 1}: {text}",
        place,
        at_key=at_key,
        code="invalid-yaml",
    )


class _Tagger:
    """Follows tags and aliases. `kept` holds, by the identity of a container, the members that remain of it; `paths`
    the places of tags."""

    def __init__(self, document: RawDocument) -> None:
        self._document = document
        self._raw: Raw = document.raw
        self.paths: list[Path] = []
        self.kept: dict[int, list[tuple[Key, Node]] | list[Node]] = {}
        self._done: dict[int, list[Path]] = {}
        self._visits = 0
        # By the identity of an aliased node: the paths of its aliases, and for each path above one of them that one.
        self._uses: dict[int, dict[Path, None]] = {}
        self._above_uses: dict[int, dict[Path, Path]] = {}
        self._under_way: dict[int, int] = {}

    def resolve(self, node: Node, path: Path) -> Node | None:
        """The node, or None where `!reset` takes it away."""
        self._visits += 1
        if self._visits > MAX_NODE_VISITS:
            raise self._too_many(node)
        if "<<" in path:
            path = tuple(part for part in path if part != "<<")
        alias = self._raw.aliases.get(id(node))
        target = node
        if alias is not None:
            if id(node) not in self._raw.tags:
                self._check_cycle(alias.target, path)
            target = alias.target
        tag = self._raw.tags.get(id(target))
        if tag is not None:
            self.paths.append(path)
            return None if tag == "!reset" else node
        if isinstance(target.value, (dict, list)):
            self._container(target, path)
        return node

    def _container(self, node: Node, path: Path) -> None:
        known = self._done.get(id(node))
        if known is not None:
            self.paths += [path + relative for relative in known]
            return
        depth = self._under_way.get(id(node), 0)
        if depth > 50:
            raise self._too_many(node)
        self._under_way[id(node)] = depth + 1
        start = len(self.paths)
        if isinstance(node.value, list):
            self.kept[id(node)] = [
                item
                for index, item in enumerate(node.value)
                if self.resolve(item, (*path, str(index))) is not None
            ]
        else:
            self.kept[id(node)] = self._members(node, path)
        self._under_way[id(node)] = depth
        self._done[id(node)] = [found[len(path) :] for found in self.paths[start:]]

    def _members(self, node: Node, path: Path) -> list[tuple[Key, Node]]:
        kept: list[tuple[Key, Node]] = []
        lines: dict[str, int] = {}
        for key, value in members_of(node, self._raw):
            if key.text in lines:
                line = key.node.start.line + 1
                raise _construct_failure(
                    self._document,
                    f"line {line}: mapping key {go_syntax(key.text)} already defined at line {lines[key.text]}",
                    key.node,
                )
            lines[key.text] = key.node.start.line + 1
            if self.resolve(value, (*path, key.text)) is not None:
                kept.append((key, value))
        return kept

    def _too_many(self, node: Node) -> ComposeFailure:
        text = f"compose file exceeds maximum node visit limit ({MAX_NODE_VISITS})"
        return _construct_failure(self._document, text, node)

    def _check_cycle(self, target: Node, path: Path) -> None:
        """Refuses an alias below another use of the same anchor."""
        uses = self._uses.setdefault(id(target), {})
        above = self._above_uses.setdefault(id(target), {})
        parents = [path[:length] for length in range(1, len(path))]
        before = next((parent for parent in parents if parent in uses), None) or above.get(path)
        if before is not None:
            raise _construct_failure(
                self._document,
                f"cycle detected: node at path {dotted(path)} references node at path {dotted(before)}",
                target,
            )
        uses[path] = None
        for parent in parents:
            above.setdefault(parent, path)


def members_of(node: Node, raw: Raw) -> list[tuple[Key, Node]]:
    """The members of a mapping as written."""
    pairs = raw.pairs.get(id(node))
    if pairs is None:
        assert isinstance(node.value, dict)
        # Remembered, since walks know nodes by their identity.
        pairs = raw.pairs[id(node)] = [
            (Key(text, _key_of(text, member), False), member) for text, member in node.value.items()
        ]
    return pairs


def _key_of(text: str, member: Node) -> Node:
    return Node(text, member.source, member.key_start or member.start, member.key_end or member.end)


class _Builder:
    """Puts the finished tree together from what the tagger kept."""

    def __init__(self, document: RawDocument, kept: dict[int, list[tuple[Key, Node]] | list[Node]]) -> None:
        self._document = document
        self._raw = document.raw
        self._kept = kept
        self._built: dict[int, Node] = {}
        self._sizes: dict[int, int] = {}
        self._under_way: set[int] = set()
        self._constructed = 0
        self._aliased = 0

    def count(self, node: Node) -> None:
        """Counts what the peer would construct. Raises `ComposeFailure` when most of it comes from aliases."""
        self._constructed += 1
        alias = self._raw.aliases.get(id(node))
        if alias is not None:
            size = self._size(alias.target)
            self._constructed += size
            self._aliased += size
            allowed = _allowed_ratio(self._constructed)
            if (
                self._aliased > 100
                and self._constructed > 1000
                and self._aliased / self._constructed > allowed
            ):
                raise _construct_failure(self._document, "yaml: document contains excessive aliasing", node)
            return
        for child in self._children(node):
            self.count(child)

    def _size(self, node: Node) -> int:
        known = self._sizes.get(id(node))
        if known is not None:
            return known
        alias = self._raw.aliases.get(id(node))
        if id(node) in self._under_way:
            name = next((alias.name for alias in self._raw.aliases.values() if alias.target is node), "")
            raise _construct_failure(self._document, f"yaml: anchor '{name}' value contains itself", node)
        self._under_way.add(id(node))
        if alias is not None:
            size = 1 + self._size(alias.target)
        else:
            size = 1 + sum(self._size(child) for child in self._children(node))
        self._under_way.discard(id(node))
        self._sizes[id(node)] = size
        return size

    def _children(self, node: Node) -> list[Node]:
        if isinstance(node.value, list):
            return self._items(node)
        if isinstance(node.value, dict):
            return [part for key, value in self._members(node) for part in (key.node, value)]
        return []

    def _items(self, node: Node) -> list[Node]:
        kept = self._kept.get(id(node))
        return items_of(node) if kept is None else kept  # type: ignore[return-value]

    def _members(self, node: Node) -> list[tuple[Key, Node]]:
        kept = self._kept.get(id(node))
        if kept is None:
            kept = members_of(node, self._raw)
        return kept  # type: ignore[return-value]

    def build(self, node: Node) -> Node:
        """The finished node. An aliased value stands at its alias's key."""
        alias = self._raw.aliases.get(id(node))
        if alias is not None:
            built = self.build(alias.target)
            return Node(built.value, built.source, built.start, built.end, node.key_start, node.key_end)
        known = self._built.get(id(node))
        if known is not None:
            return known
        fault = self._raw.faults.get(id(node))
        if fault is not None:
            raise _construct_failure(self._document, fault, node)
        if isinstance(node.value, list):
            built = node.like([self.build(item) for item in self._items(node)])
        elif isinstance(node.value, dict):
            built = node.like(self._mapping(node))
        else:
            built = node
        self._built[id(node)] = built
        return built

    def _mapping(self, node: Node) -> dict[str, Node]:
        out: dict[str, Node] = {}
        merge: Node | None = None
        seen: dict[str, int] = {}
        for key, value in self._members(node):
            if key.is_merge:
                merge = value
                continue
            name = self._key(key)
            if name in seen:
                line = key.node.start.line + 1
                text = f"line {line}: mapping key {go_syntax(name)} already defined at line {seen[name]}"
                raise _construct_failure(self._document, text, key.node)
            seen[name] = key.node.start.line + 1
            out[name] = self.build(value)
        if merge is not None:
            for source in self._merged(merge):
                for name, value in source.items():
                    out.setdefault(name, value)
        return out

    def _key(self, key: Key) -> str:
        node = self.build(key.node)
        if isinstance(node.value, (dict, list)):
            text = f"yaml: cannot use '{go_syntax(node.value)}' as a map key; try decoding into yaml.Node"
            raise _construct_failure(self._document, text, key.node)
        if not isinstance(node.value, str):
            return OddKey(node)
        return node.value

    def _merged(self, node: Node) -> list[dict[str, Node]]:
        """The mappings that a merge key names, in order: the first to have a key gives it."""
        wanted = "yaml: map merge requires map or sequence of maps as the value"
        built = self.build(node)
        sources = built.value if isinstance(built.value, list) else [built]
        out = []
        for source in sources:
            if not isinstance(source.value, dict):
                raise _construct_failure(self._document, wanted, node, at_key=True)
            out.append(source.value)
        return out


class OddKey(str):
    """A key that is no text; refused once the path to it is known."""

    node: Node

    def __new__(cls, node: Node) -> OddKey:
        key = str.__new__(cls, go_syntax(node.value))
        key.node = node
        return key


def _allowed_ratio(count: int) -> float:
    """The share of constructed values that may come from aliases: the larger the document, the less."""
    if count <= _RATIO_LOW:
        return 0.99
    if count >= _RATIO_HIGH:
        return 0.10
    return 0.99 - 0.89 * (count - _RATIO_LOW) / (_RATIO_HIGH - _RATIO_LOW)


def check_keys(node: Node, path: str = "") -> None:
    """Raises `ComposeFailure` for a key that is not text."""
    if isinstance(node.value, list):
        for index, item in enumerate(node.value):
            check_keys(item, f"{path}[{index}]")
    elif isinstance(node.value, dict):
        for key, value in node.value.items():
            if isinstance(key, OddKey):
                where = f"in {path}" if path else "at top level"
                raise ComposeFailure(f"non-string key {where}: {key}", key.node, code="invalid-yaml")
            check_keys(value, f"{path}.{key}" if path else key)
