"""YAML text to documents of nodes: the parser is libyaml (PyYAML's), everything after its events is here, since Compose
reads YAML as Go's library does and not as PyYAML's constructors do. What libyaml refuses is read again by `careful`,
which takes what Go's library takes and tells the faults that it tells.

A document that uses no alias, merge key, local tag, doubled or odd key is finished by the first walk. The others go
through `resolving`. Documents are read one by one: a fault in the second is found when the first was processed.
"""

from __future__ import annotations

import yaml
from yaml import events

from bakehouse.bake.compose import scalars
from bakehouse.bake.compose.nodes import ComposeFailure, Node, Source
from bakehouse.lazy import regex

try:
    from yaml._yaml import CParser as Parser
except ImportError:  # a PyYAML without libyaml: slower
    from yaml import SafeLoader as Parser  # type: ignore[assignment]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from bakehouse.bake.compose.nodes import Mark

#: What libyaml may read without a complaint and Go's library reads otherwise: a question mark in a flow collection, a
#: tag that ends at the end of one, a byte order mark inside the text. And it reads a document without a look at the
#: next one, whose faults the other library may find first.
_UNLIKE_LIBYAML = regex(r"[\[{,][^\n]*\?|!\S*[,\[\]{}]|\n(?:\ufeff|---|\.\.\.)")
_NO_CHARACTER = regex(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
MERGE_KEY = "<<"
_MERGE_TAG = "tag:yaml.org,2002:merge"
_LOCAL_TAGS = ("!reset", "!override")


class Alias:
    """`*name`, standing where a value would."""

    __slots__ = ("name", "node", "target")

    def __init__(self, name: str, target: Node, node: Node) -> None:
        self.name = name
        self.target = target
        self.node = node


class Key:
    """A key as written: its text (empty for a key that is no scalar), the value it resolves to, whether it merges."""

    __slots__ = ("is_merge", "node", "text")

    def __init__(self, text: str, node: Node, is_merge: bool) -> None:
        self.text = text
        self.node = node
        self.is_merge = is_merge


class Raw:
    """What a document holds besides its finished-looking nodes, by the identity of the node.

    `pairs` are the members of mappings that a dict cannot hold as they are, `tags` local tags, `aliases` the nodes
    that stand for an alias; `faults` scalars that do not suit their tag. All empty: the tree is finished.
    """

    __slots__ = ("aliases", "faults", "pairs", "tags")

    def __init__(self) -> None:
        self.pairs: dict[int, list[tuple[Key, Node]]] = {}
        self.tags: dict[int, str] = {}
        self.aliases: dict[int, Alias] = {}
        self.faults: dict[int, str] = {}

    @property
    def is_plain(self) -> bool:
        return not (self.pairs or self.tags or self.aliases or self.faults)


class RawDocument:
    """One document as composed: its root, and what `resolving` has to do with it."""

    __slots__ = ("raw", "root")

    def __init__(self, root: Node, raw: Raw) -> None:
        self.root = root
        self.raw = raw


class YamlFile:
    """A file whose documents are read as far as somebody asks for them, and never twice."""

    def __init__(self, source: Source, data: bytes) -> None:
        self.source = source
        self.data = data
        self._documents: list[RawDocument] = []
        self._composer: _Composer | None = None
        self._finished = False
        self._text = _readable_text(data)
        self._careful = self._text is not None and _UNLIKE_LIBYAML.search(self._text) is not None

    def mentions(self, word: str) -> bool:
        """Whether the word may be in the file."""
        return self._text is None or word in self._text

    def documents(self) -> Iterator[RawDocument]:
        """The documents, one after the other. Raises `ComposeFailure` for text that is not YAML."""
        index = 0
        while True:
            if index == len(self._documents) and not self._read():
                return
            yield self._documents[index]
            index += 1

    def _read(self) -> bool:
        """Reads one more document; False when there is none."""
        if self._finished:
            return False
        try:
            if self._composer is None:
                self._composer = self._begun()
            document = self._composer.next_document()
        except yaml.YAMLError as error:
            # A parser that failed cannot go on; who asks again gets the same answer.
            self._composer = None
            if not self._can_be_careful:
                self._documents = []
                raise _syntax_failure(error, self.source, self.data) from None
            self._careful = True
            return self._read()
        except ComposeFailure:
            self._composer = None
            if not self._can_be_careful:
                self._documents = []
                raise
            self._careful = True
            return self._read()
        odd = document is not None and not isinstance(document.root.value, dict)
        if odd and self._can_be_careful:
            # That is a fault, unless the parser met another one in the tokens behind the document.
            self._careful, self._composer = True, None
            return self._read()
        if document is None:
            self._finished = True
            self._composer = None
            return False
        self._documents.append(document)
        return True

    @property
    def _can_be_careful(self) -> bool:
        """Whether the file was not read with care yet, and consists of characters."""
        return not self._careful and self._text is not None

    def _begun(self) -> _Composer:
        """A composer behind the documents that were read."""
        parser: Any
        if self._careful:
            from bakehouse.bake.compose.careful import CarefulParser

            assert self._text is not None
            parser = CarefulParser(self._text)
        else:
            parser = Parser(self.data)
        composer = _Composer(parser, self.source)
        for _ in self._documents:
            composer.next_document()
        return composer


class _Composer:
    """Builds one document after the other from the parser's events."""

    def __init__(self, parser: Any, source: Source) -> None:
        self._next = parser.get_event
        self._source = source
        self._anchors: dict[str, Node] = {}
        self._raw = Raw()

    def next_document(self) -> RawDocument | None:
        while True:
            event = self._next()
            if event is None or isinstance(event, events.StreamEndEvent):
                return None
            if isinstance(event, events.DocumentStartEvent):
                break
        # Anchors of earlier documents can still be named, as in the peer's library.
        self._raw = Raw()
        root = self._node(self._next())
        self._next()
        return RawDocument(root, self._raw)

    def _node(self, event: Any) -> Node:
        kind = type(event)
        if kind is events.ScalarEvent:
            node = Node(None, self._source, event.start_mark, event.end_mark)
            node.value = self._scalar(event, node)
            if event.anchor is not None:
                self._anchors[event.anchor] = node
            return node
        if kind is events.AliasEvent:
            return self._alias(event)
        node = Node(None, self._source, event.start_mark, event.end_mark)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        if event.tag in _LOCAL_TAGS:
            self._raw.tags[id(node)] = event.tag
        if kind is events.MappingStartEvent:
            self._mapping(node)
        else:
            self._sequence(node)
        return node

    def _scalar(self, event: Any, node: Node) -> Any:
        tag = event.tag
        if tag is None or tag == "!":
            if event.implicit[0]:
                return scalars.plain(event.value)
            return event.value
        if tag in _LOCAL_TAGS:
            self._raw.tags[id(node)] = tag
            return event.value
        try:
            return scalars.tagged(tag, event.value)
        except scalars.BadScalar as error:
            self._raw.faults[id(node)] = str(error)
            return event.value

    def _alias(self, event: Any) -> Node:
        name = event.anchor
        target = self._anchors.get(name)
        node = Node(None, self._source, event.start_mark, event.end_mark)
        if target is None:
            mark = event.start_mark
            raise ComposeFailure(
                f"failed to parse {self._source.peer_name}: yaml: line {mark.line + 1}, column {mark.column + 2}: "
                f"unknown anchor '{name}' referenced",
                node,
                code="invalid-yaml",
            )
        self._raw.aliases[id(node)] = Alias(name, target, node)
        return node

    def _sequence(self, node: Node) -> None:
        items: list[Node] = []
        while True:
            event = self._next()
            if type(event) is events.SequenceEndEvent:
                break
            items.append(self._node(event))
        node.value = items
        node.end = _mark(event.end_mark)

    def _mapping(self, node: Node) -> None:
        members: dict[str, Node] = {}
        pairs: list[tuple[Key, Node]] | None = None
        while True:
            event = self._next()
            if type(event) is events.MappingEndEvent:
                break
            key = self._node(event)
            value = self._node(self._next())
            value.key_start, value.key_end = key.start, key.end
            text = key.value if isinstance(key.value, str) else ""
            is_merge = False
            if type(event) is events.ScalarEvent:
                text = event.value
                is_merge = text == MERGE_KEY and (event.implicit[0] or event.tag == _MERGE_TAG)
            elif type(event) is events.AliasEvent:
                text = str(event.anchor)
            odd = type(key.value) is not str or id(key) in self._raw.tags or id(key) in self._raw.faults
            if pairs is None and (odd or is_merge or text in members):
                pairs = [
                    (Key(name, self._key_node(name, member), False), member)
                    for name, member in members.items()
                ]
            if pairs is None:
                members[text] = value
            else:
                pairs.append((Key(text, key, is_merge), value))
        node.value = members
        node.end = _mark(event.end_mark)
        if pairs is not None:
            self._raw.pairs[id(node)] = pairs

    def _key_node(self, name: str, member: Node) -> Node:
        start: Mark = member.key_start or member.start
        return Node(name, self._source, start, member.key_end or member.end)


def _readable_text(data: bytes) -> str | None:
    """The characters of a file; None where there is something else, which libyaml tells of."""
    try:
        text = decoded(data, "strict")
    except UnicodeDecodeError:
        return None
    return None if _NO_CHARACTER.search(text) else text


def decoded(data: bytes, errors: str = "replace") -> str:
    """The text of a file, which is UTF-8 unless it begins as UTF-16 does."""
    encoding = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}.get(data[:2], "utf-8")
    return data.decode(encoding, errors).removeprefix("\ufeff")


def _syntax_failure(error: yaml.YAMLError, source: Source, data: bytes) -> ComposeFailure:
    """The parser's fault in the words of the peer's, whose marks count lines from one in the scanner and from zero in
    the parser. The place is the true one."""
    prefix = f"failed to parse {source.peer_name}: yaml: "
    if isinstance(error, yaml.reader.ReaderError):
        place = _offset_place(source, data, error.position)
        return ComposeFailure(f"{prefix}offset {error.position}: {error.reason}", place, code="invalid-yaml")
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return ComposeFailure(f"{prefix}{error}", code="invalid-yaml")
    first_line = 1 if isinstance(error, yaml.scanner.ScannerError) else 0
    where = _peer_mark(error.problem_mark, first_line)
    problem = error.problem or "invalid YAML"
    message = f"{where}: {problem}"
    if error.context:
        context = error.context
        if error.context_mark is None:
            message = f"{context} at <unknown position>: {where}: {problem}"
        else:
            context_where = _peer_mark(error.context_mark, first_line)
            same = _same(error.context_mark, error.problem_mark)
            message = f"{context} at {context_where}: " + (problem if same else f"{where}: {problem}")
    mark = error.problem_mark
    place = Node(None, source, mark, _next_column(mark))
    return ComposeFailure(prefix + message, place, code="invalid-yaml")


def _offset_place(source: Source, data: bytes, offset: int) -> Node:
    before = data[:offset].decode("utf-8", "replace").removeprefix("\ufeff")
    line = before.count("\n")
    mark = _Place(line, len(before) - (before.rfind("\n") + 1))
    return Node(None, source, mark, _next_column(mark))


def _same(one: Mark, other: Mark) -> bool:
    return (one.line, one.column) == (other.line, other.column)


def _peer_mark(mark: Mark, first_line: int) -> str:
    line = mark.line + first_line
    if line == 0:
        return "<unknown position>"
    return f"line {line}, column {mark.column + 1}" if mark.column else f"line {line}"


def _mark(mark: Any) -> Mark:
    assert mark is not None
    return mark  # type: ignore[no-any-return]


class _Place:
    __slots__ = ("column", "line")

    def __init__(self, line: int, column: int) -> None:
        self.line = line
        self.column = column


def _next_column(mark: Mark) -> Mark:
    return _Place(mark.line, mark.column + 1)
