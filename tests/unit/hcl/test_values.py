"""Values, numbers, conversions, scopes: what the differential cases cannot show."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bakehouse.hcl import (
    BOOL,
    DYNAMIC,
    NUMBER,
    STRING,
    ConversionError,
    EvalContext,
    ListType,
    MapType,
    ObjectType,
    SetType,
    TupleType,
    Value,
    as_keyword,
    from_json,
    from_json_typed,
    numbers,
    parse_expression,
    parse_template,
    parse_type,
    stdlib,
    to_json,
    unify,
)
from bakehouse.hcl.convert import convert
from bakehouse.hcl.functions import bcrypt
from bakehouse.hcl.functions.re2 import Pattern
from bakehouse.hcl.functions.semver import Constraints, Version
from bakehouse.hcl.graphemes import clusters, count_clusters


def exact(number: numbers.Number) -> Fraction:
    if isinstance(number, int):
        return Fraction(number)
    value = Fraction(number.mantissa) * Fraction(2) ** number.exponent
    return -value if number.negative else value


# Denormal floats have fewer digits than 53 bits need.
finite = st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False)


@given(finite)
def test_floats_print_shortest(value: float) -> None:
    # At a power of two the distance to the next float below is half of that above; Go's big.Float does not mind that.
    assume(math.frexp(abs(value))[0] != 0.5)
    number = numbers.from_float(value)
    text = numbers.to_text(number)
    assert float(text) == value
    assert "e" not in text
    digits = text.strip("-").replace(".", "").strip("0")
    assert len(digits) <= len(repr(value).split("e")[0].replace(".", "").strip("-0"))


def test_powers_of_two_print_as_go_prints_them() -> None:
    """What buildx prints for the environment value 5.960464477539063e-08, which is 2 to the power of -24."""
    assert numbers.to_text(numbers.from_float(2.0**-24)) == "0.00000005960464477539062"


@given(finite, finite)
def test_arithmetic_is_that_of_the_machine(left: float, right: float) -> None:
    """With 53 bits and results in the normal range, sums and quotients are the machine's own."""
    a, b = numbers.from_float(left), numbers.from_float(right)
    if 1e-300 < abs(left + right) < 1e300:
        assert numbers.to_float(numbers.add(a, b)) == left + right
    if right and 1e-300 < abs(left / right) < 1e300:
        assert numbers.to_float(numbers.divide(a, b)) == left / right
    assert numbers.compare(a, b) == (left > right) - (left < right)


@given(st.integers(-(2**600), 2**600), st.integers(-(2**300), 2**300).filter(bool))
def test_arithmetic_rounds_at_512_bits(left: int, right: int) -> None:
    a, b = numbers.from_int(left), numbers.from_int(right)
    for have, want in (
        (numbers.divide(a, b), exact(a) / right),
        (numbers.add(a, b), exact(a) + right),
        (numbers.multiply(a, b), exact(a) * right),
    ):
        assert abs(exact(have) - want) * 2**512 <= abs(want)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=20).map(str))
def test_decimal_texts_survive(text: str) -> None:
    number = numbers.parse(text)
    assert number is not None
    again = numbers.parse(numbers.to_text(number))
    assert again is not None and numbers.equal(number, again)


def test_numbers_from_outside_keep_their_precision() -> None:
    total = numbers.add(numbers.from_float(0.1), numbers.parse("0.2") or 0)
    assert numbers.to_text(total) == "0.3000000000000000055511151231257827021181583404541015625"


def test_absurd_numbers_are_refused_quickly() -> None:
    for text in ("1e999999", "1e-9999999", "1e99999999"):
        node, _ = parse_expression(f'"${{{text}}} "', "f")
        _, found = node.evaluate(EvalContext({}, stdlib()))
        assert "too long to be written" in found[0].detail


def test_half_precision_agrees_with_struct() -> None:
    for value in (0.1, 65503.7, 6.2e-5):
        narrow = struct.unpack("<e", struct.pack("<e", value))[0]
        parts = numbers.from_float(value)
        assert not isinstance(parts, int)
        rounded = numbers.make(False, parts.mantissa, parts.exponent, 11)
        assert abs(numbers.to_float(rounded) - narrow) <= abs(narrow) / 1024


def test_sets_are_sorted_and_distinct() -> None:
    texts = Value.set_([Value.string(text) for text in ("b", "a", "b")])
    assert texts.to_python() == ["a", "b"]
    many = Value.set_([Value.number(value) for value in (10, 9, 2, 9)])
    assert many.to_python() == [2, 9, 10]


def test_conversion_tells_the_path() -> None:
    value = Value.object_({"a": Value.list_([Value.string("1"), Value.string("x")])})
    with pytest.raises(ConversionError) as caught:
        convert(value, ObjectType({"a": ListType(NUMBER)}))
    assert (caught.value.path, caught.value.message) == (("a", 1), "a number is required")


def test_unify() -> None:
    assert unify([NUMBER, STRING]) == STRING
    assert unify([NUMBER, BOOL]) is None
    assert unify([TupleType([NUMBER]), TupleType([STRING, STRING])]) == ListType(STRING)
    assert unify([MapType(NUMBER), ObjectType({"a": STRING})]) == MapType(STRING)


def test_type_expressions() -> None:
    node, _ = parse_expression("object({a = list(string), b = optional(set(number))})", "f")
    kind, found = parse_type(node)
    assert found == []
    assert kind == ObjectType({"a": ListType(STRING), "b": SetType(NUMBER)}, ["b"])
    assert convert(Value.object_({"a": Value.tuple_([Value.number(1)])}), kind).to_python() == {
        "a": ["1"],
        "b": None,
    }


def test_json_with_types() -> None:
    kind = ObjectType({"n": NUMBER, "s": STRING, "t": TupleType([BOOL])})
    value = from_json_typed('{"n": "1.5", "s": 2, "t": [true]}', kind)
    assert to_json(value) == '{"n":1.5,"s":"2","t":[true]}'
    assert to_json(Value.string("x"), DYNAMIC) == '{"value":"x","type":"string"}'
    assert from_json_typed('{"value": 1, "type": "number"}', DYNAMIC) == from_json("1")
    with pytest.raises(ConversionError, match='unsupported attribute "z"'):
        from_json_typed('{"z": 1}', kind)


class Lazy(Mapping[str, Value]):
    """Computes values when asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __getitem__(self, name: str) -> Value:
        self.asked.append(name)
        return Value.string(name.upper())

    def __contains__(self, name: object) -> bool:
        return name in ("a", "b")

    def __iter__(self) -> Iterator[str]:
        return iter(("a", "b"))

    def __len__(self) -> int:
        return 2


def test_variables_may_be_computed_on_demand() -> None:
    lazy = Lazy()
    node, _ = parse_template("${a}-${c}", "f")
    value, found = node.evaluate(EvalContext({"c": Value.number(1)}, None, EvalContext(lazy)))
    assert (value.raw, found, lazy.asked) == ("A-1", [], ["a"])


def test_no_scope_allows_nothing() -> None:
    summaries = [
        parse_expression(text, "f")[0].evaluate(EvalContext())[1][0].summary for text in ("x", "f(1)")
    ]
    assert summaries == ["Variables not allowed", "Function calls not allowed"]


def test_providers_answer_for_the_world() -> None:
    library = stdlib(home_directory=lambda: "/home/x", now=lambda: 1.5)
    assert library["homedir"].call([]).raw == "/home/x"
    assert library["timestamp"].call([]).raw == "1970-01-01T00:00:01Z"
    assert len(library) == 106 and all(library[name] for name in library)


def test_keyword() -> None:
    assert as_keyword(parse_expression("abc", "f")[0]) == "abc"
    assert as_keyword(parse_expression("a.b", "f")[0]) == ""
    assert as_keyword(parse_expression("null", "f")[0]) == "null"


def test_clusters() -> None:
    # From the Unicode test data for grapheme breaks.
    text = "a\u0308👨\u200d👩\u200d👧🇩🇪🇫\r\n각\u1100\u1161\u11a8\u0600x"
    want = ["a\u0308", "👨\u200d👩\u200d👧", "🇩🇪", "🇫", "\r\n", "각", "\u1100\u1161\u11a8", "\u0600x"]
    assert list(clusters(text)) == want
    assert count_clusters(text) == len(want)


@given(st.text())
def test_clusters_are_the_text(text: str) -> None:
    assert "".join(clusters(text)) == text


def test_regular_expressions_take_linear_time() -> None:
    assert Pattern("(a+)+$").search("a" * 2000 + "b") is None
    assert Pattern("(x*)*y").search("x" * 2000) is None


@settings(deadline=None)
@given(
    st.from_regex(r"\A[ab]{0,6}\Z"), st.sampled_from(["a*b", "(a|b)*?b", "a?a?b{1,2}", "(ab|a)(b?)", "[^b]+"])
)
def test_patterns_agree_with_python_where_both_read_them(text: str, pattern: str) -> None:
    import re

    want = re.search(pattern, text)
    have = Pattern(pattern).search(text)
    if want is None:
        assert have is None
    else:
        spans = [want.span(index) for index in range(len(want.groups()) + 1)]
        assert have == tuple(place for span in spans for place in span)


def test_bcrypt_known_answer() -> None:
    # OpenBSD's own test vector; both ways of making the hash.
    salt = bytes.fromhex("10410410410410410410410410410410")
    want = bcrypt.hash_password(b"U*U", 5, salt)
    assert want == "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"
    setting = "$2a$05$CCCCCCCCCCCCCCCCCCCCC."
    assert setting + bcrypt._encode(bcrypt._hash(b"U*U", 5, salt)) == want


def test_rsadecrypt_with_openssl_made_key() -> None:
    key = """-----BEGIN RSA PRIVATE KEY-----
MIIBOgIBAAJBALKZD0nEffqM1ACuak0bijtqE2QrI/KLADv7l3kK3ppMyCuLKoF0
fd7Ai2KW5ToIwzFofvJcS/STa6HA5gQenRUCAwEAAQJBAIq9amn00aS0h/CrjXqu
/ThglAXJmZhOMPVn4eiu7/ROixi9sex436MaVeMqSNf7Ex9a8fRNfWss7Sqd9eWu
RTUCIQDasvGASLqmjeffBNLTXV2A5g4t+kLVCpsEIZAycV5GswIhANEPLmax0ME/
EO+ZJ79TJKN5yiGBRsv5yvx5UiHxajEXAiAhAol5N4EUyq6I9w1rYdhPMGpLfk7A
IU2snfRJ6Nq2CQIgFrPsWRCkV+gOYcajD17rEqmuLrdIRexpg8N1DOSXoJ8CIGlS
tAboUGBxTDq3ZroNism3DaMIbKPyYrAqhKov1h5V
-----END RSA PRIVATE KEY-----
"""
    import base64

    from bakehouse.hcl.functions.rsa import _private_key

    modulus, private = _private_key(key)
    size = (modulus.bit_length() + 7) // 8
    padded = b"\0\2" + b"\7" * (size - 3 - 5) + b"\0" + b"hello"
    ciphertext = pow(int.from_bytes(padded, "big"), 65537, modulus).to_bytes(size, "big")
    assert pow(pow(2, private, modulus), 65537, modulus) == 2
    text = base64.b64encode(ciphertext).decode()
    assert stdlib()["rsadecrypt"].call([Value.string(text), Value.string(key)]).raw == "hello"


def test_versions_order() -> None:
    ordered = [
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
    ]
    parsed = [Version.parse(text) for text in ordered]
    for index in range(len(parsed) - 1):
        assert parsed[index].compare(parsed[index + 1]) == -1
    assert Constraints(">=1.0, <2").check(Version.parse("1.5"))
