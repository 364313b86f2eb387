"""Template nodes: quoted strings and heredocs (hashicorp/hcl `expression_template.go`). On the start-up path."""

from __future__ import annotations

from bakehouse.diagnostics import Diagnostic, SourceRange
from bakehouse.hcl.expressions import _NO_NAMES, Literal, Node

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from bakehouse.hcl.evaluation import EvalContext
    from bakehouse.hcl.source import Source
    from bakehouse.hcl.syntax import Expression
    from bakehouse.hcl.values import Value


class QuotedString(Node):
    """A quoted string that is plain text; text[start:end] includes the quotes."""

    __slots__ = ("text",)

    def __init__(self, text: str, source: Source, start: int, end: int) -> None:
        self.text = text
        self.source = source
        self.start = start
        self.end = end

    @property
    def start_range(self) -> SourceRange:
        # The text within the quotes; for an empty string the place behind the closing quote, as in the original.
        if self.end - self.start == 2:
            return self.source.range(self.end, self.end)
        return self.source.range(self.start + 1, self.end - 1)

    def evaluate(self, context: EvalContext | None) -> tuple[Value, list[Diagnostic]]:
        from bakehouse.hcl.values import string

        return string(self.text), []


class Template(Node):
    """Parts that are converted to strings and joined."""

    __slots__ = ("parts",)

    def __init__(self, parts: list[Node], source: Source, start: int, end: int) -> None:
        self.parts = parts
        self.source = source
        self.start = start
        self.end = end

    @property
    def start_range(self) -> SourceRange:
        return self.parts[0].start_range

    def is_string_literal(self) -> bool:
        """Whether the template is a single piece of text."""
        return len(self.parts) == 1 and isinstance(self.parts[0], Literal)

    def children(self) -> Iterator[tuple[Expression, frozenset[str]]]:
        for part in self.parts:
            yield part, _NO_NAMES

    def evaluate(self, context: EvalContext | None) -> tuple[Value, list[Diagnostic]]:
        from bakehouse.hcl.limits import joined
        from bakehouse.hcl.types import STRING
        from bakehouse.hcl.values import UNKNOWN, string, unknown

        texts: list[str] = []
        found: list[Diagnostic] = []
        known = True
        for part in self.parts:
            value, more = part.evaluate(context)
            if more:
                found += more
            if value.raw is UNKNOWN:
                known = False
            elif value.type is STRING and value.raw is not None:
                texts.append(value.raw)
            else:
                texts.append(self._text_of(value, part, found))
        if not known:
            return unknown(STRING), found
        return string("" if found else joined("", texts)), found

    def _text_of(self, value: Value, part: Node, found: list[Diagnostic]) -> str:
        from bakehouse.hcl.convert import ConversionError, convert
        from bakehouse.hcl.types import STRING

        if value.raw is None:
            detail = "The expression result is null. Cannot include a null value in a string template."
        else:
            try:
                return str(convert(value, STRING).raw)
            except ConversionError as error:
                detail = f"Cannot include the given value in a string template: {error.message}."
        found.append(
            Diagnostic("Invalid template interpolation value", detail, subject=part.range, context=self.range)
        )
        return ""


class TemplateJoin(Node):
    """The result of a `%{ for }`: the strings of a tuple, joined."""

    __slots__ = ("elements",)

    def __init__(self, elements: Node) -> None:
        self.elements = elements
        self.source = elements.source
        self.start = elements.start
        self.end = elements.end

    @property
    def start_range(self) -> SourceRange:
        return self.elements.start_range

    def children(self) -> Iterator[tuple[Expression, frozenset[str]]]:
        yield self.elements, _NO_NAMES

    def evaluate(self, context: EvalContext | None) -> tuple[Value, list[Diagnostic]]:
        from bakehouse.hcl.convert import ConversionError, convert
        from bakehouse.hcl.limits import joined
        from bakehouse.hcl.types import STRING
        from bakehouse.hcl.values import UNKNOWN, string, unknown

        elements, found = self.elements.evaluate(context)
        if elements.raw is UNKNOWN:
            return unknown(STRING), found
        texts: list[str] = []
        for value in elements.raw:
            detail = ""
            if value.raw is None:
                detail = "An iteration result is null. Cannot include a null value in a string template."
            elif value.type.kind == "dynamic":
                return unknown(STRING), found
            else:
                try:
                    value = convert(value, STRING)
                except ConversionError as error:
                    where = "into the string template"
                    detail = f"Cannot include one of the interpolation results {where}: {error.message}."
            if detail:
                found.append(Diagnostic("Invalid template interpolation value", detail, subject=self.range))
                continue
            if value.raw is UNKNOWN:
                return unknown(STRING), found
            texts.append(value.raw)
        return string(joined("", texts)), found


class TemplateWrap(Node):
    """A template that is a single interpolation: its value, of whatever type."""

    __slots__ = ("inner",)

    def __init__(self, inner: Expression, source: Source, start: int, end: int) -> None:
        self.inner = inner
        self.source = source
        self.start = start
        self.end = end

    def evaluate(self, context: EvalContext | None) -> tuple[Value, list[Diagnostic]]:
        return self.inner.evaluate(context)

    def core(self) -> Expression:
        return self.inner.core()

    def children(self) -> Iterator[tuple[Expression, frozenset[str]]]:
        yield self.inner, _NO_NAMES
