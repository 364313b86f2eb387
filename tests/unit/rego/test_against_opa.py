"""Policies have the value here that the Open Policy Agent's own evaluator gives them, or are refused by both."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.json_peer import JsonPeer
from tests.support.paths import peer

from bakehouse.rego.documents import UNDEFINED
from bakehouse.rego.errors import RegoError
from bakehouse.rego.evaluation import Evaluation
from bakehouse.rego.parser import parse_module
from bakehouse.rego.program import Program
from bakehouse.rego.values import from_python, to_python

pytestmark = pytest.mark.peer

INPUT = {
    "image": {"repo": "alpine", "tag": "3.21", "labels": {"a": "1", "b": "2"}, "env": ["A=1", "B=2"]},
    "list": [3, 1, 2],
    "names": ["x", "y", "x"],
    "empty": {},
    "null": None,
    "nested": [{"id": 1, "tags": ["p", "q"]}, {"id": 2, "tags": []}],
    "yes": True,
    "no": False,
    "text": "Hello, Wörld",
}

#: Expressions: what `q := EXPRESSION` is.
EXPRESSIONS = """
1 + 2 * 3 - 4
(1 + 2) * 3
7 / 2
8 / 2
7 % 3
-7 % 3
-3
- 3
2-1
1e3
0.5 + 0.25
1 / 0
10 % 0
1.5 % 1
1 == 1.0
"a" < "b"
1 < "a"
[1, 2] < [1, 3]
null < false
{1, 2} | {2, 3}
{1, 2} & {2, 3}
{1, 2} - {2, 3}
set() | {1}
[1, 2, 3][1]
{"a": 1}.a
{"a": {"b": [1, {"c": 2}]}}.a.b[1].c
{1, 2}[1]
{1, 2}[3]
2 in [1, 2]
3 in [1, 2]
"a" in {"a": 1}
1 in {"a": 1}
"a", 1 in {"a": 1}
0, 5 in [5]
1 in {1, 2}
[1 in [1], 2]
(1, 2 in [0, 2])
[x | some x in [1, 2, 3]; x > 1]
{x | some x in [1, 1, 2]}
{k: v | some k, v in {"a": 1, "b": 2}}
{v: k | some k, v in ["p", "q"]}
{1: k | some k in ["p", "q"]}
[[i, x] | some i, x in input.list]
[x | x := input.list[_]]
[i | input.names[i] == "x"]
[x | x = input.nested[_].tags[_]]
[[i, j] | input.nested[i].tags[j] == "q"]
[k | some k; input.image.labels[k]]
[x | input.image.nope[x]]
[x | some [a, b] in [[1, 2], [3, 4]]; x := a + b]
[x | some {"id": x} in [{"id": 1}, {"id": 2, "z": 3}]]
[y | x := [1, [2, y]]; [1, [2, y]] = [1, [2, 3]]]
[x | [x, 2] = [1, 2]]
[x | {"a": x, "b": 2} = {"a": 1, "b": 2}]
count([1, 2])
count("Wörld")
count({"a": 1})
count(set())
count(input.nope)
sum([1, 2, 3.5])
sum({1, 2})
sum([])
product([2, 3])
max([3, 1, 2])
min({3, 1})
max([])
max(["a", 2])
sort([3, 1, 2])
sort({"b", "a", 1, null, true})
abs(-3)
ceil(1.2)
floor(-1.2)
round(2.5)
round(-2.5)
numbers.range(1, 4)
numbers.range(4, 1)
numbers.range_step(1, 10, 3)
bits.and(6, 3)
bits.or(6, 3)
bits.xor(6, 3)
bits.negate(6)
bits.lsh(1, 4)
bits.rsh(16, 2)
to_number("3")
to_number("3.5")
to_number("x")
to_number(null)
to_number(true)
to_number(" 1")
to_number("1e2")
to_number("0x10")
format_int(255, 16)
format_int(5, 2)
format_int(7.9, 10)
concat(",", ["a", "b"])
concat(",", {"b", "a"})
contains("abc", "b")
startswith("abc", "ab")
endswith("abc", "bc")
strings.any_prefix_match("abc", ["x", "a"])
strings.any_suffix_match(["abc", "d"], ["x"])
indexof("abcabc", "c")
indexof("abc", "z")
indexof("Wörld", "r")
indexof_n("abab", "b")
substring("abcdef", 1, 2)
substring("abc", 1, -1)
substring("abc", 5, 1)
substring("abc", -1, 1)
lower("ABÄ")
upper("abß")
split("a.b.c", ".")
split("abc", "")
split("", ".")
replace("aXbX", "X", "-")
strings.replace_n({"a": "1", "b": "2"}, "abc")
strings.replace_n({"<": "&lt;", ">": "&gt;"}, "<b>")
trim("  a ", " ")
trim("xxaxx", "x")
trim_left("xxa", "x")
trim_right("axx", "x")
trim_prefix("abc", "a")
trim_suffix("abc", "c")
trim_space("\\t a \\n")
strings.reverse("Wö")
strings.count("banana", "an")
sprintf("%s is %d and %v", ["a", 3, [1, "x"]])
sprintf("%d", ["x"])
sprintf("%s", [3])
sprintf("%v %v", [1])
sprintf("%v", [1, 2])
sprintf("100%%", [])
sprintf("%5d|%-5d|%05d", [1, 2, 3])
sprintf("%s", [{"a": 1}])
sprintf("%v", [{"b": 1, "a": {2}}])
sprintf("%v", [set()])
sprintf("%q", ["a\\"b"])
sprintf("%.2f", [1.234])
sprintf("%x", [255])
sprintf("%t", [true])
sprintf("%v", [null])
sprintf("%v", [1.5])
sprintf("%d", [2.0])
regex.match(`^a+$`, "aaa")
regex.match("[", "a")
regex.is_valid("[")
regex.find_n(`\\d+`, "a1b22", -1)
regex.find_n(`\\d`, "123", 2)
regex.find_all_string_submatch_n(`(\\w)(\\d)?`, "a1 b", -1)
regex.split(`-+`, "a--b-c")
regex.replace("a1b2", `(\\d)`, "<$1>")
glob.match("*.github.com", [], "api.github.com")
glob.match("*.github.com", [], "api.cdn.github.com")
glob.match("*.github.com", null, "api.cdn.github.com")
glob.match("*hub.com", null, "api.cdn.github.com")
glob.match("*:github:com", [":"], "api:github:com")
glob.match("api.**.com", [], "api.github.com")
glob.match("api.**.com", [], "api.cdn.github.com")
glob.match("?at", [], "cat")
glob.match("?at", [], "at")
glob.match("[abc]at", [], "bat")
glob.match("[!abc]at", [], "bat")
glob.match("[a-c]at", [], "bat")
glob.match("[!a-c]at", [], "lat")
glob.match("{cat,bat,[fr]at}", [], "rat")
glob.match("{cat,bat,[fr]at}", [], "lat")
glob.match("docker.io/*", ["/"], "docker.io/library/x")
glob.match("docker.io/**", ["/"], "docker.io/library/x")
glob.quote_meta("*.com")
semver.compare("1.2.3", "1.10.0")
semver.compare("1.2.3-rc.1", "1.2.3")
semver.compare("1.0.0-alpha.1", "1.0.0-alpha.beta")
semver.compare("v1.0.0", "1.0.0")
semver.is_valid("1.2.3+build")
semver.is_valid("1.2")
json.marshal({"b": [1, null, true], "a": "<x>"})
json.unmarshal("{\\"a\\": [1, 2.5, null]}")
json.unmarshal("{")
json.is_valid("[1]")
yaml.unmarshal("a: [1, b]\\nc: null")
yaml.is_valid("a: [")
base64.encode("héllo")
base64.decode("aMOpbGxv")
base64.decode("!!")
base64.is_valid("aGk=")
base64url.encode("a?>")
base64url.encode_no_pad("a")
base64url.decode("YQ")
hex.encode("az")
hex.decode("617a")
urlquery.encode("a b&c=d/é")
urlquery.decode("a+b%26")
urlquery.encode_object({"a": "1", "b": ["x", "y"]})
urlquery.decode_object("a=1&b=x&b=y")
array.concat([1], [2])
array.slice([1, 2, 3], 1, 2)
array.slice([1, 2, 3], -1, 9)
array.reverse([1, 2])
array.flatten([1, [2, [3]]])
intersection({{1, 2}, {2, 3}})
union({{1}, {2}})
object.get({"a": 1}, "a", 0)
object.get({"a": 1}, "b", 0)
object.get({"a": {"b": 2}}, ["a", "b"], 0)
object.get({"a": {"b": 2}}, ["a", "c"], "d")
object.keys({"a": 1})
object.union({"a": 1, "b": {"c": 1}}, {"b": {"d": 2}})
object.union_n([{"a": 1}, {"a": 2}])
object.remove({"a": 1, "b": 2}, ["a"])
object.filter({"a": 1, "b": 2}, {"a"})
object.subset({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}})
object.subset([1, 2, 3], [2, 3])
object.subset({1, 2}, {1})
json.remove({"a": {"b": 1, "c": 2}}, ["a/b"])
json.filter({"a": {"b": 1, "c": 2}, "d": 1}, ["a/b"])
time.parse_rfc3339_ns("2024-01-02T03:04:05.5+02:00")
time.parse_rfc3339_ns("yesterday")
time.parse_duration_ns("1h30m")
time.parse_duration_ns("-1.5s")
time.parse_duration_ns("x")
time.date(1700000000000000000)
time.clock(1700000000000000000)
time.weekday(1700000000000000000)
time.add_date(1700000000000000000, 1, 2, 3)
time.add_date(1706659200000000000, 0, 1, 0)
time.diff(1700000000000000000, 1600000000000000000)
time.date([1700000000000000000, "Europe/Berlin"])
units.parse("10K")
units.parse("1.5Mi")
units.parse("100m")
units.parse_bytes("10KB")
units.parse_bytes("1GiB")
type_name(1)
type_name({1})
type_name(input.null)
is_number(1)
is_string(1)
is_boolean(false)
is_array([])
is_set({1})
is_object({})
is_null(null)
input.image
input.nope
input.image.labels["a"]
input["image"]["repo"]
input.nested[1].id
input.yes
input.no
[input.yes, input.null]
not_there
"a\\u00e9\\n\\t\\"\\\\"
`raw \\n "text"`
"bad \\x escape"
$"{input.image.repo}:{input.image.tag} {1 + 1} {input.nope} {[1, "x"]}"
$`{input.list[0]}\\{`
{"a": 1, "a": 1}
{"a": 1, "b": 2,}
[1, 2,]
{1, 2,}
{}
[]
set()
{"k": input.nope}
[input.nope]
{input.image.repo, "x"}
{"a": {"b": {1, 2}}}
{[1, 2]: 3}
true == true
not true
[x | x := 1; not x == 2]
every
count([x | x := input.list[_]; x >= 2]) == 2
{"a": [x | x := 1][0]}
[x |
{x: y | x := 1; y := 2; z := 3}
[y | some x in input.list; y := x * 2; y != 4]
[a | some a; a = input.list[0]]
[x | x := data.t.helper[_]]
data.t.helper
data.t.nope
data.nowhere.x
data.t.f(2)
f(2)
f(0)
g(1, 2)
g([1], 2)
f(1, 2)
f()
greet("a")
greet("b")
greet("c")
kind(1)
kind("x")
kind(null)
flag
flag_off
default_only
members
members["a"]
members["z"]
table
table.a
table.deep
nested_rule.inner.value
chain
else_chain
multi.x
ref_head["a b"]
"""

#: What their checker of types refuses and ours does not look at: there is no value then.
TYPE_ERRORS = ("[1, 2, 3][7]", '{"a": 1}["b"]', "count(1)", 'upper(["a"])', '1 + "a"', 'sum("abc")')
#: Functions of earlier versions of the language.
DEPRECATED = ("any([true])", "all([true])", "cast_array({1})", 're_match("a", "a")')

#: Rules that all expressions can use.
PRELUDE = """package t

helper := [10, 20]

f(x) := x + 1 if x > 0

f(x) := 0 if x == 0

g([x], y) := x + y

g(x, y) := x * y if is_number(x)

default greet(_) := "who"

greet("a") := "hello"

greet(name) := concat(" ", ["hi", name]) if name == "b"

kind(x) := "number" if is_number(x) else := "text" if is_string(x) else := "other"

flag if input.yes

default flag_off := false

flag_off if input.no

default default_only := {"a": 1}

members contains "a"

members contains x if some x in input.names

table[k] := v if some k, v in input.image.labels

table.deep := "d"

nested_rule.inner.value := 7

chain := y if {
	x := input.list[0]
	y := x * 2
}

else_chain := 1 if input.no else := 2 if input.nope else := 3

multi[k] contains v if {
	some k, v in {"x": 1, "y": 2}
}

ref_head["a b"] := 1

"""

#: Whole modules; `q` is asked for.
MODULES = {
    "every": "q if every x in [1, 2] { x > 0 }",
    "every-fails": "q if every x in [1, 2] { x > 1 }",
    "every-empty": "q if every x in [] { x > 1 }",
    "every-key": 'q if every k, v in {"a": 1} { k == "a"; v == 1 }',
    "every-undefined": "q if every x in input.nope { x }",
    "every-outer": "q if { y := 1; every x in [1, 2] { x >= y } }",
    "every-object": "q if every v in input.image.labels { to_number(v) > 0 }",
    "not-undefined": "q if not input.nope",
    "not-false": "q if not input.no",
    "not-true": "q if not input.yes",
    "not-in": 'q if not "z" in input.names',
    "not-wildcard": 'q if not input.names[_] == "z"',
    "some-in-key": "q contains k if some k, v in input.image.labels",
    "some-declared": 'q contains i if { some i; input.names[i] == "x" }',
    "some-unused": "q if { some x }",
    "some-pattern": 'q contains b if some [_, b] in [["a", 1], ["b", 2]]',
    "order": "q := y if { y := x + 1; x := 1 }",
    "order-comprehension": "q := n if { n := count([y | some y in xs]); xs := [1, 2] }",
    "order-not": 'q if { not x == "z"; x := input.names[0] }',
    "shadow": "q := x if { x := 1; y := [x | x := 2]; y == [2] }",
    "shadow-rule": "helper_x := 5\nq := helper_x if { helper_x := 1 }",
    "unsafe": "q if x == 1",
    "unsafe-head": "q := x if input.yes",
    "unsafe-not": "q if not x",
    "unsafe-call": "q if count(x) == 1",
    "unsafe-comprehension": "q := [x | y := 1]",
    "assigned-twice": "q if { x := 1; x := 2 }",
    "assign-then-some": "q if { some x; x := 1 }",
    "conflict": "q := 1\nq := 2",
    "same-twice": "q := 1\nq := 1",
    "conflict-function": "h(x) := 1\nh(x) := 2\nq := h(1)",
    "conflict-object": 'q["a"] := 1\nq["a"] := 2',
    "conflict-of-kinds": "q := 1\nq contains 2",
    "function-and-rule": "h(x) := 1\nh := 2\nq := 1",
    "two-defaults": "default q := 1\ndefault q := 2",
    "recursive": "q if r\nr if q",
    "recursive-function": "h(x) := h(x)\nq := h(1)",
    "recursive-data": "q if data.t",
    "unknown-function": "q if nope(1)",
    "unknown-in-package": "q if data.t.nope(1)",
    "wrong-arity": "q if count(1, 2, 3)",
    "no-if": "q { true }",
    "no-contains": "q[x] { x := 1 }",
    "bracket-set": 'q["a"]',
    "old-set": "q[x] if x := 1",
    "old-equals": "q = 1 if { true }",
    "rego-v1": "q := 1 if true",
    "body-on-lines": "q if {\n\tinput.yes\n\tnot input.no\n}",
    "body-semicolons": "q if { input.yes; not input.no; }",
    "body-one-line-without": "q if { input.yes not input.no }",
    "empty-body": "q if { }",
    "object-after-if": 'q if {"a": 1}',
    "set-after-if": "q if {1, 2} == {1, 2}",
    "false-value": "q := false",
    "undefined-value": "q := input.nope",
    "with-input": 'h if input.x == 1\nq if h with input as {"x": 1}',
    "with-input-path": 'h := input.image.repo\nq := h with input.image.repo as "busybox"',
    "with-keeps-others": 'h := [input.image.repo, input.image.tag]\nq := h with input.image.repo as "b"',
    "with-data": "h := data.other.x\nq := h with data.other.x as 5",
    "with-rule": "h := 1\nq := h with data.t.h as 2",
    "with-builtin": "h := count([1])\nq := h with count as 7",
    "with-function": "h(x) := x\nm(x) := 9\nq := h(1) with h as m",
    "with-undefined": "q if input.yes with input as input.nope",
    "with-two": "q := [input.a, data.o.b] with input.a as 1 with data.o.b as 2",
    "print": 'q if { print("a", 1, [2], input.nope, "x y"); true }',
    "print-fails": 'q if { input.no; print("no") }\nr := 1',
    "partial-object-true": 'q[k] if some k in ["a", "b"]',
    "deep-partial": 'q[a][b] := 1 if { some a in ["x", "y"]; some b in ["p"] }',
    "set-of-objects": 'q contains {"a": x} if some x in [1, 2]',
    "dotted": "q.a.b := 1\nq.a.c := 2",
    "dotted-set": "q.a contains 1\nq.a contains 2",
    "else-without-if": "q := 1 if input.no else := 2",
    "else-on-line": "q := 1 if {\n\tinput.no\n} else := 2 if {\n\tinput.yes\n}",
    "else-on-set": "q contains 1 if input.no else := 2",
    "default-with-else": "default q := 5\nq := 1 if input.no else := 2 if input.nope",
    "function-pattern": 'h({"a": x}) := x\nq := h({"a": 3})',
    "function-undefined-argument": "h(x) := 1\nq := h(input.nope)",
    "function-repeated-argument": "h(x, x) := true\nq := [h(1, 1), 2]",
    "function-wildcards": "h(_, _) := 1\nq := h(1, 2)",
    "call-in-call": 'q := count(split(concat(",", input.names), ","))',
    "call-result-member": 'q := split("a,b", ",")[1]',
    "unify-both": "q := [x, y] if [x, 2] = [1, y]",
    "unify-object": 'q := x if {"a": x} = {"a": 5}',
    "unify-fails": "q if [1, 2] = [1, 3]",
    "set-member-pattern": 'q contains x if {["a", 1], ["b", 2]}[["a", x]]',
    "iterate-set": "q := [x | some x in {3, 1, 2}]",
    "iterate-object": 'q := [[k, v] | some k, v in {"b": 1, "a": 2}]',
    "number-keys": "q := {1: 2}[1]",
    "comment": "# a comment\nq := 1 # another\n",
    "keyword-names": 'q := {"if": 1, "contains": 2}["if"]',
    "dotted-keyword": 'q := {"default": 3}.default',
    "import-alias": "import data.t.h as k\nh := 1\nq := k",
    "import-input": "import input.image as img\nq := img.repo",
    "import-bad": "import foo.bar\nq := 1",
    "infix-over-lines": "q := 1 +\n\t2",
    "bracket-on-next-line": "q := x if {\n\tx := [1]\n\t[1][0] == 1\n}",
    "minus-on-next-line": "q if {\n\tx := 2\n\tx - 1 == 1\n}",
    "union-in-set": "q := {1 | 2}",
    "union-of-sets": "q := {x | x := 1} | {2}",
    "parentheses": "q := (1 + 2) * (3 - (4))",
    "nested-comprehension": 'q := {k: [v | some v in vs] | some k, vs in {"a": [1, 2]}}',
    "some-shadows": 'x := "rule"\nq contains x if some x in [1]',
    "unused-variable": "q if { x := 1; true }",
    "type-error-at-run": "q := 1 + input.text",
    "compare-types": 'q := 1 == "1"',
    "string-index": 'q := "abc"[0]',
    "text-over-lines": 'q := "a\nb"',
    "raw-over-lines": "q := `a\nb`",
    "unclosed": "q := [1, 2",
    "stray": "q := 1 2",
    "no-value": "q",
    "reserved": "not := 1",
}


@pytest.fixture(scope="module")
def opa() -> Iterator[JsonPeer]:
    with JsonPeer(peer("regoeval")) as running:
        yield running


def ours(text: str) -> tuple[str, Any, list[str]]:
    """(`value`, `undefined` or `error`, the value or message, what was printed)"""
    printed: list[str] = []
    try:
        program = Program([parse_module("t.rego", text)])
        looked = Evaluation(program, from_python(INPUT), lambda file, line, said: printed.append(said))
        value = looked.query(("t", "q"))
    except RegoError as error:
        return "error", error.message, []
    if value is UNDEFINED:
        return "undefined", None, printed
    return "value", to_python(value), printed


def theirs(answer: dict[str, Any]) -> tuple[str, Any, list[str]]:
    if "error" in answer:
        return "error", answer["error"], []
    if "value" not in answer:
        return "undefined", None, answer.get("printed", [])
    return "value", answer["value"], answer.get("printed", [])


def check(texts: dict[str, str], opa: JsonPeer) -> None:
    answers = opa.ask_all(
        {"modules": {"t.rego": text}, "query": "data.t.q", "input": INPUT} for text in texts.values()
    )
    wrong = []
    for (name, text), answer in zip(texts.items(), answers, strict=True):
        mine, other = ours(text), theirs(answer)
        same = mine[0] == other[0] and (mine[0] == "error" or mine[1:] == other[1:])
        if not same:
            wrong.append(f"{name}\n    ours   {mine}\n    theirs {other}")
    assert not wrong, "\n" + "\n".join(wrong)


def test_expressions(opa: JsonPeer) -> None:
    lines = [line for line in EXPRESSIONS.splitlines() if line]
    check({line: PRELUDE + f"q := {line}\n" for line in lines}, opa)


def test_modules(opa: JsonPeer) -> None:
    check({name: "package t\n\n" + text + "\n" for name, text in MODULES.items()}, opa)


def test_value_types_survive(opa: JsonPeer) -> None:
    """Booleans are no numbers: a set holds both."""
    (answer,) = opa.ask_all(
        [{"modules": {"t.rego": "package t\n\nq := {1, true, 0, false}\n"}, "query": "data.t.q"}]
    )
    _, value, _ = ours("package t\n\nq := {1, true, 0, false}\n")
    assert json.dumps(value) == json.dumps(answer["value"])


@pytest.mark.parametrize("expression", TYPE_ERRORS)
def test_types_are_not_checked_before(expression: str, opa: JsonPeer) -> None:
    text = f"package t\n\nq := {expression}\n"
    (answer,) = opa.ask_all([{"modules": {"t.rego": text}, "query": "data.t.q"}])
    assert "rego_type_error" in answer["error"]
    assert ours(text)[0] == "undefined"


@pytest.mark.parametrize("expression", DEPRECATED)
def test_deprecated_functions_are_refused(expression: str, opa: JsonPeer) -> None:
    text = f"package t\n\nq := {expression}\n"
    (answer,) = opa.ask_all([{"modules": {"t.rego": text}, "query": "data.t.q"}])
    assert "deprecated" in answer["error"]
    assert ours(text)[0] == "error"


def test_a_layout_that_is_not_known_is_an_error_and_not_undefined(opa: JsonPeer) -> None:
    text = 'package t\n\nq := time.parse_ns("02.01.2006", "24.12.2024")\n'
    (answer,) = opa.ask_all([{"modules": {"t.rego": text}, "query": "data.t.q"}])
    assert answer["value"] == 1_734_998_400_000_000_000
    kind, message, _ = ours(text)
    assert kind == "error"
    assert 'the layout "02.01.2006" is not supported' in message
