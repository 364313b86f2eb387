"""What the tree of the native syntax holds, and that no input breaks the parser."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from bakehouse.hcl import EvalContext, parse_expression, parse_json, parse_native, stdlib
from bakehouse.hcl.expressions import Node
from bakehouse.hcl.json_scanner import parse as json_tree
from bakehouse.hcl.lexer import tokenize
from bakehouse.hcl.loops import AnonymousSymbol
from bakehouse.hcl.source import Source
from bakehouse.hcl.syntax import AttributeSchema, BlockSchema, BodySchema, Expression

FILES: dict[str, str] = json.loads((Path(__file__).parent / "cases" / "files.json").read_text())
NATIVE = sorted(text for name, text in FILES.items() if name.endswith(".hcl"))
JSON = sorted(text for name, text in FILES.items() if name.endswith(".json"))
PIECES = [
    '"',
    "${",
    "%{",
    "}",
    "~}",
    "<<-E\n",
    "E\n",
    "[",
    "]",
    "(",
    ")",
    "{",
    "\n",
    "\r",
    "é",
    "\u0301",
    "\\",
    "for ",
    "0",
    " = ",
]


def walk(expression: Expression) -> list[Expression]:
    out, stack = [], [expression]
    while stack:
        node = stack.pop()
        out.append(node)
        stack += [child for child, _ in node.children()]
    return out


def test_body_and_ranges() -> None:
    text = '\ufeffv = 1 # é\ntarget "a" b {\n  x = "é${y}"\n}\n'
    body, found = parse_native(text, "f.hcl")
    assert found == []
    block = body.blocks[0]
    assert (block.type, block.labels) == ("target", ["a", "b"])
    assert [str(range_) for range_ in block.label_ranges] == ["2,8-11", "2,12-13"]
    assert (str(block.def_range), str(block.open_brace_range)) == ("2,1-13", "2,14-15")
    assert str(block.range) == "2,1-4,2"
    reference = block.body.attributes["x"].expr.variables()[0]
    assert (reference.root_name, str(reference.range)) == ("y", "3,11-12")
    # Three bytes of the byte order mark, nine of the first line with a two-byte letter.
    assert reference.range.start.byte == len(text[: text.index("y}")].encode())


def test_variables_leave_out_what_loops_bind() -> None:
    node, _ = parse_expression("{for k, v in a.b : k => f(v, c[d]) if e}", "f")
    assert [item.root_name for item in node.variables()] == ["a", "c", "d", "e"]
    assert node.functions() == ["f"]


def test_content_takes_what_the_schema_names() -> None:
    body, _ = parse_native('a = 1\nb = 2\nblk "x" {}\nother {}\n', "f.hcl")
    schema = BodySchema(
        [AttributeSchema("a"), AttributeSchema("z", required=True)], [BlockSchema("blk", ("name",))]
    )
    content, found = body.content(schema, partial=True)
    assert list(content.attributes) == ["a"] and len(content.blocks) == 1
    assert [finding.summary for finding in found] == ["Missing required argument"]
    assert list(content.remain.attributes) == ["b"]
    assert [block.type for block in content.remain.blocks] == ["other"]
    _, found = body.content(schema)
    assert {finding.summary for finding in found} == {
        "Missing required argument",
        "Unsupported argument",
        "Unsupported block type",
    }


def test_labels_must_fit() -> None:
    body, _ = parse_native('blk {}\nblk "a" "b" {}\n', "f.hcl")
    _, found = body.content(BodySchema((), [BlockSchema("blk", ("name",))]), partial=True)
    assert [str(finding) for finding in found] == [
        "f.hcl:1,5-6: Missing name for blk; All blk blocks must have 1 labels (name).",
        "f.hcl:2,9-12: Extraneous label for blk; Only 1 labels (name) are expected for blk blocks.",
    ]


def test_json_blocks() -> None:
    body, found = parse_json('{"blk": [{"a": {"x": 1}}, {"b": [{}, {}]}], "//": 0, "v": "${y}"}', "f.json")
    content, more = body.content(BodySchema([AttributeSchema("v")], [BlockSchema("blk", ("name",))]))
    assert found + more == []
    assert [block.labels for block in content.blocks] == [["a"], ["b"], ["b"]]
    assert [item.root_name for item in content.attributes["v"].expr.variables()] == ["y"]


def test_bytes_that_are_no_utf8() -> None:
    _, found = parse_native(b'a = "\xff\xfe"\nb = \x80\n', "f.hcl")
    assert found[0].summary == "Invalid character encoding"
    assert sum(finding.summary == "Invalid character encoding" for finding in found) == 1


def test_nesting_has_a_limit() -> None:
    for text in (
        "a = " + "[" * 5000,
        "a = " + "!" * 5000 + "true",
        "a {\n" * 5000,
        'a = "${' * 5000,
        "a = x" + "[*]" * 5000,
    ):
        _, found = parse_native(text, "f.hcl")
        assert found
    _, found = parse_json("[" * 5000, "f.json")
    assert found[0].summary == "Nested too deeply"
    text = "a = " + "[" * 100 + "]" * 100 + "\nb = " + " + ".join(["1"] * 5000) + "\n"
    body, found = parse_native(text, "f.hcl")
    assert found == []
    assert body.attributes["b"].expr.evaluate(None)[0].raw == 5000


@st.composite
def mutated(draw: st.DrawFn, texts: list[str]) -> str:
    text = draw(st.sampled_from(texts))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        cut = draw(st.integers(0, 3))
        text = text[:at] + draw(st.sampled_from([*PIECES, ""])) + text[at + cut :]
    return text


@settings(max_examples=300, deadline=None)
@given(mutated(NATIVE))
def test_mutated_definitions_never_raise(text: str) -> None:
    body, found = parse_native(text, "f.hcl")
    data = text.encode()
    for finding in found:
        assert finding.subject is not None
        assert 0 <= finding.subject.start.byte <= finding.subject.end.byte <= len(data)
    if found:
        return
    context = EvalContext({}, stdlib())
    attributes = list(body.attributes.values())
    for block in body.blocks:
        attributes += block.body.attributes.values()
    for attribute in attributes:
        for node in walk(attribute.expr):
            assert isinstance(node, Node)
            range_ = node.range
            if "\ufeff" not in text:
                assert (
                    data[range_.start.byte : range_.end.byte].decode()
                    == node.source.text[node.start : node.end]
                )
        attribute.expr.evaluate(context)


@settings(max_examples=150, deadline=None)
@given(mutated(JSON))
def test_mutated_json_never_raises(text: str) -> None:
    body, found = parse_json(text, "f.json")
    if not found:
        for attribute in body.just_attributes()[0].values():
            attribute.expr.evaluate(EvalContext({}, stdlib()))
            attribute.expr.variables()
            attribute.expr.functions()


@settings(max_examples=150, deadline=None)
@given(st.text())
def test_any_text_parses_or_is_reported(text: str) -> None:
    parse_native(text.encode("utf-8", "surrogatepass"), "f.hcl")
    parse_json(text.encode("utf-8", "surrogatepass"), "f.json")


def _nested(node: Expression) -> None:
    """Every part lies within what it is a part of."""
    for child, _ in node.children():
        assert isinstance(node, Node) and isinstance(child, Node)
        # What a splat puts in place of each item stands for the star, which the peer counts as before its followers.
        if child.source is node.source and not isinstance(child, AnonymousSymbol):
            assert node.start <= child.start <= child.end <= node.end
        _nested(child)


def test_ranges_nest_and_their_texts_parse_again() -> None:
    parsed = 0
    for text in NATIVE:
        body, found = parse_native(text, "f.hcl")
        if found or "\ufeff" in text:
            continue
        data = text.encode()
        blocks = [body, *(block.body for block in body.blocks)]
        for block in body.blocks:
            assert block.def_range.start == block.range.start
            assert block.def_range.end.byte <= block.open_brace_range.start.byte < block.range.end.byte
            assert data[block.open_brace_range.start.byte : block.open_brace_range.end.byte] == b"{"
        for attribute in (one for part in blocks for one in part.attributes.values()):
            assert attribute.range.end == attribute.expr.range.end
            name = data[attribute.name_range.start.byte : attribute.name_range.end.byte].decode()
            assert name == attribute.name
            _nested(attribute.expr)
            source = data[attribute.expr.range.start.byte : attribute.expr.range.end.byte].decode()
            again, found = parse_expression(source, "f.hcl")
            if found:
                continue  # a heredoc needs the line end that follows it
            parsed += 1
            context = EvalContext({}, stdlib())
            mine, other = attribute.expr.evaluate(context), again.evaluate(context)
            assert (mine[0], len(mine[1])) == (other[0], len(other[1]))
    assert parsed > 50


def test_tokens_cover_the_text() -> None:
    """Nothing but blanks and comments lies between two tokens."""
    count = 0
    for text in NATIVE:
        tokens, found = tokenize(Source(text, "f.hcl"))
        if found or "\ufeff" in text:
            continue
        at = 0
        for start, end in zip(tokens.starts, tokens.ends, strict=True):
            between = text[at:start].strip(" \t\r")
            assert between == "" or between.startswith(("#", "//", "/*"))
            assert at <= start <= end
            at = end
            count += 1
        assert text[at:].strip(" \t\r") == "" or text[at:].lstrip().startswith(("#", "//", "/*"))
    assert count > 1000


def test_json_ranges_nest() -> None:
    count = 0
    for text in JSON:
        node, found = json_tree(text, "f.json")
        if found:
            continue
        stack = [node]
        while stack:
            outer = stack.pop()
            parts = outer.value if outer.kind in ("array", "object") else []
            for part in parts:
                inner = part.value if outer.kind == "object" else part
                assert (
                    outer.range.start.byte
                    < inner.range.start.byte
                    <= inner.range.end.byte
                    < outer.range.end.byte
                )
                stack.append(inner)
            count += 1
            source = text.encode()[outer.range.start.byte : outer.range.end.byte].decode()
            again, found = json_tree(source, "f.json")
            assert found == [] and again.kind == outer.kind
    assert count > 100
