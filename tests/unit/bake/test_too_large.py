"""A page of text that asks for more than a machine has is refused, with the place that asked, and soon.

The real buildx works on these until its memory or somebody's patience ends.
"""

from __future__ import annotations

import pytest

from bakehouse.bake import LoadOptions, load
from bakehouse.errors import BakehouseError
from bakehouse.hcl import limits


def _doubling(first: str, step: str) -> str:
    lines = [f"v0 = {first}"] + [f"v{n + 1} = {step.replace('V', f'v{n}')}" for n in range(60)]
    return "\n".join(lines) + '\ntarget "t" { args = { x = strlen(jsonencode(v60)) } }\n'


def _refusal(text: str) -> BakehouseError:
    with pytest.raises(BakehouseError) as caught:
        load(LoadOptions(cwd="/", environ={}, files=["-"], stdin=text.encode))
    return caught.value


@pytest.mark.parametrize(
    ("first", "step"),
    [
        ('"xxxxxxxxxx"', '"${V}${V}"'),
        ('"x"', "join(V, [V, V, V])"),
        ('"xxxxxxxxxx"', 'replace(V, "x", V)'),
        ('"xxxxxxxxxx"', 'regex_replace(V, "x", V)'),
        ('"x"', 'format("%s%s%s", V, V, V)'),
        ('"x"', "jsonencode([V, V, V])"),
        ('"x"', '"%{ for i in [1, 2, 3] }${V}%{ endfor }"'),
        ("[1]", "concat(V, V)"),
        ("[1]", "[V, V]"),
        ("[1]", "flatten([V, V])"),
        ('["x"]', "convert(concat(V, V), list(string))"),
        ("{ a = 1 }", "{ a = V, b = V }"),
        ("[1]", "convert([V, V], list(any))"),
    ],
)
def test_what_doubles_in_each_line(first: str, step: str) -> None:
    error = _refusal(_doubling(first, step))
    assert "Definition too large; The definition asks for too much: " in error.message
    assert "-.hcl:" in error.message


def test_functions_that_call_each_other_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_ALL_STEPS", 20_000)
    text = 'function "f0" {\n  params = [x]\n  result = x\n}\n'
    for number in range(60):
        body = f'"${{f{number}(x)}}${{f{number}(x)}}"'
        text += f'function "f{number + 1}" {{\n  params = [x]\n  result = {body}\n}}\n'
    error = _refusal(text + 'target "t" { args = { x = f60("") } }\n')
    assert "its loops and calls never seem to come to an end" in error.message


@pytest.mark.parametrize(
    "expression",
    [
        "length([for a in v : [for b in v : [for c in v : 1]]])",
        'length(regexall("(a|b|ab)*c|a", join("", [for a in v : "ab"])))',
        'join("", [for a in v : bcrypt("a", 12)])',
    ],
)
def test_repetitions(monkeypatch: pytest.MonkeyPatch, expression: str) -> None:
    monkeypatch.setattr(limits, "_ALL_STEPS", 50_000)
    error = _refusal(f'v = range(1000)\ntarget "t" {{\n  args = {{ x = {expression} }}\n}}\n')
    assert "its loops and calls never seem to come to an end" in error.message
    assert "-.hcl:3,10-" in error.message


def test_matrices_of_too_many_targets() -> None:
    axes = ", ".join(f"{axis} = range(1000)" for axis in "abc")
    error = _refusal(f'target "t" {{\n  name = "t-${{a}}-${{b}}-${{c}}"\n  matrix = {{ {axes} }}\n}}\n')
    assert error.message.startswith("-.hcl:3,12-65: Definition too large; ")


def test_parents_named_twice_on_every_level() -> None:
    parts = [
        f'target "t{n}" {{\n  inherits = ["t{n + 1}", "t{n + 1}"]\n  annotations = ["a{n}=b"]\n}}\n'
        for n in range(100)
    ]
    text = "".join(parts) + 'target "t100" {}\n'
    definition = load(LoadOptions(cwd="/", environ={}, files=["-"], stdin=text.encode))
    resolved = definition.resolve(["*"], [])
    assert len(resolved.targets["t0"].annotations) == 100


def test_the_count_begins_anew_with_each_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_ALL_STEPS", 1500)
    text = 'target "t" { args = { x = length([for a in range(1000) : a]) } }'
    for _ in range(3):
        definition = load(LoadOptions(cwd="/", environ={}, files=["-"], stdin=text.encode))
        assert definition.resolve(["t"], []).targets["t"].args == {"x": "1000"}


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ('format("%9999999d", 1)', 'a number in "%9999999d" is more than 1000000'),
        ('format("%.' + "9" * 5000 + 'f", 1)', "is more than 1000000"),
        ('format("%[' + "9" * 5000 + ']d", 1)', "is more than 1000000"),
        ('indent(999999999, "a\\nb")', "a text would have"),
        ("setproduct(range(1000), range(1000), range(1000))", "the product would have 1000000000 elements"),
        ("range(1e9)", "more than 1024 values"),
        ('bcrypt("a", 31)', "cost 31 takes too long, at most 14 is accepted"),
        ('jsondecode("' + "[" * 100_000 + '")', "exceeded max depth"),
        ('jsondecode("' + '{\\"a\\":' * 1000 + "1" + "}" * 1000 + '")', "exceeded max depth"),
        ('parseint("' + "z" * 20_000 + '", 36)', "more than 10000 digits"),
        ('regexall("((a{1,100}){1,100}){1,100}", "a")', "invalid regexp pattern"),
        ('indent(-1, "a\\nb")', "the number of spaces must not be negative"),
    ],
)
def test_functions_refuse(expression: str, message: str) -> None:
    error = _refusal(f'target "t" {{\n  args = {{ x = jsonencode({expression}) }}\n}}\n')
    assert message in error.message


@pytest.mark.parametrize(
    "expression",
    [
        'strlen(format("%.1000f", 1e300))',
        "length(setproduct(range(100), range(100), range(10)))",
        "length([for a in range(1000) : [for b in range(100) : a]])",
        'strlen(join("", [for a in range(1000) : "0123456789"]))',
        "1e300 * 1e300 > 1",
        "pow(10, 300) > 1",
    ],
)
def test_what_is_merely_large_is_done(expression: str) -> None:
    text = f'target "t" {{\n  args = {{ x = {expression} }}\n}}\n'
    assert load(LoadOptions(cwd="/", environ={}, files=["-"], stdin=text.encode)).targets["t"].args
