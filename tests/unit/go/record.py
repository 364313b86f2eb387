"""Asks Go for the recorded answers again (`python -m tests.unit.go.record`). Not a test."""

from __future__ import annotations

import json
import random
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.json_peer import JsonPeer
from tests.support.paths import ROOT
from tests.unit.go.go_form import HERE, question

_TEXTS: list[str | bytes] = [
    "",
    "plain text",
    'a"b\\c',
    "\a\b\f\n\r\t\v\x00\x01\x1f\x7f",
    "é ß ŉ ǰ İ ı ᾳ ΐ ﬁ Σ ς Ǆ ǅ",
    "\u00a0\u00ad\u0085\u200b\u2028\u2029\ufeff\ufffd\ue000",
    "☺ 😀 \U000e0001 \U0010ffff",
    b"\xff\xfe a\xc3 \xed\xa0\x80 \xe2\x82",
    "<a href='x'>&amp;</a>",
    "\u2000 x\u3000\x1c",
]
_PATHS = [
    "", ".", "/", "//", "///a", "a/../..", "/..", "/../a", "./x/../y/", "../x/", "//a//b/.", "a/./b/", "a/b/../../..",
    "docker-image://img", "...", "a/...", "/.", "a//", "é/../b", "a\0b/..",
]  # fmt: skip
# The tables of Go's own tests of the two functions, and flaws in parts that a name does not reach.
_GLOBS = [
    ("abc", "abc"), ("*", "abc"), ("*c", "abc"), ("a*", "a"), ("a*", "abc"), ("a*", "ab/c"), ("a*/b", "abc/b"),
    ("a*/b", "a/c/b"), ("a*b*c*d*e*/f", "axbxcxdxe/f"), ("a*b*c*d*e*/f", "axbxcxdxexxx/f"),
    ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f"), ("a*b*c*d*e*/f", "axbxcxdxexxx/fff"), ("a*b?c*x", "abxbbxdbxebxczzx"),
    ("a*b?c*x", "abxbbxdbxebxczzy"), ("ab[c]", "abc"), ("ab[b-d]", "abc"), ("ab[e-g]", "abc"), ("ab[^c]", "abc"),
    ("ab[^b-d]", "abc"), ("ab[^e-g]", "abc"), ("a\\*b", "a*b"), ("a\\*b", "ab"), ("a?b", "a☺b"), ("a[^a]b", "a☺b"),
    ("a???b", "a☺b"), ("a[^a][^a][^a]b", "a☺b"), ("[a-ζ]*", "α"), ("*[a-ζ]", "A"), ("a?b", "a/b"), ("a*b", "a/b"),
    ("[\\]a]", "]"), ("[\\-]", "-"), ("[x\\-]", "x"), ("[x\\-]", "-"), ("[x\\-]", "z"), ("[\\-x]", "x"),
    ("[\\-x]", "-"), ("[\\-x]", "a"), ("[]a]", "]"), ("[-]", "-"), ("[x-]", "x"), ("[x-]", "-"), ("[x-]", "z"),
    ("[-x]", "x"), ("[-x]", "-"), ("[-x]", "a"), ("\\", "a"), ("[a-b-c]", "a"), ("[", "a"), ("[^", "a"), ("[^bc", "a"),
    ("a[", "a"), ("a[", "ab"), ("a[", "x"), ("a/b[", "x"), ("*x", "xxx"), ("z*[", "a"), ("a*b*[", "ac"), ("a*\\", "b"),
    ("[b-a]", "a"), ("[^b-a]", "a"), ("*ab", "ab"), ("*ab", "/ab"), ("**a", "ba"), ("", ""), ("", "a"), ("*", ""),
]  # fmt: skip
_NUMBERS = [
    "", "0", "-0", "+5", "007", "1_000", "1__0", "_1", "1_", "1_.5", " 1", "1 ", "1.5", ".5", "5.", ".", "1e3", "1e",
    "e5", "1e999", "-1e999", "1e-999", "0x1p4", "0x10", "0x_1p4", "0x.8p1", "0b1", "0o7", "Inf", "-inf", "+Infinity",
    "infin", "NaN", "-nan", "nan(1)", "٣", "2147483647", "2147483648", "-2147483648", "-2147483649", "4294967295",
    "4294967296", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809",
    "18446744073709551616", "00000000000000000000000000000007", "9" * 30, "8", "777", "t", "T", "true", "tRUE", "False",
    "f", "yes", "1\n", 'a"b', "+", "-", "--1", "4294967295x",
    "4294967296x", "18446744073709551616_",
]  # fmt: skip
_SIZES = [
    "", "0", "32", "32b", "32B", "32k", "32K", "32kb", "32Kb", "32KiB", "32 mb", "1.5g", ".5t", "32P", "1e3", "hello",
    "-32", "32bb", "32kBB", "32  mb", "32m b", "32mm", " ", " 32 ", "32iB", "3.2.1", "32é", "32MIBI", "0x10", "1_0k",
    "inf1", "32x", "32KB ", "0.1k", "٣k", "32ı", "32K\u0130", "infinity 9",
]  # fmt: skip
_ULIMITS = [
    "nofile=5", "core=5:-1", "nofile=1:2", "nofile=2:1", "nofile=-1:5", "nofile=-1", "nofile", "x=1", "nofile=1:2:3",
    "nofile=", "nofile=:1", "nofile=a", "nofile=1:b", "nofile=a:b", "cpu=+1", "NOFILE=1", "=1",
    "nofile=9223372036854775808",
]  # fmt: skip
_DURATIONS = [
    "", "0", "+0", "-0", "-", "+", "1", "1s", "-1s", "1h15m30.918s", "1.5h", ".5s", "1.s", ".s", "1x", "1 s", "1us",
    "1µs", "1μs", "1ms", "1ns", "1.9ns", "s", "1h-1m", "9223372036854775807ns", "9223372036854775808ns",
    "-9223372036854775808ns", "-9223372036854775809ns", "9223372036.854775808s", "2562047h47m16.854775807s", "2562048h",
    "0.3333333333333333333h", "0.9223372036854775807h", "0.922337203685477580712345h", "0.00000000000000000000001h",
    "9" * 30 + "x", "1é", 'a"\\', "1.2.3s", "1s1s", "0.1m", "3000000h3000000h", "0x1s", "\x7f", "1\n",
]  # fmt: skip
_LINES = [
    "", "\n", "\r\n", "\r", "a", "a,b", "a,,b", ",", '"a,b",c', '"a""b"', '""', '"",""', 'a"b', 'x,a"b', '"a', '"a"b',
    '"a""', "é,\"x\"y", '"é"x', "a\n", "a\r\n", "a\nb", '"a\nb"', '"a",', 'a, "b"', " a ,b", '"a""', ',"', '"a"\n',
    b'\xff,"\xff',
    'a,b"', '"a","b', '"a"" ,b', '"""a"""', '"""',
]  # fmt: skip
_TIMES = [
    "1970-01-01T00:00:00Z", "2020-02-29T12:30:45.120000000Z", "2020-01-01T02:00:00+02:00", "0001-01-01T00:00:00Z",
    "2020-01-01T00:00:00.123456789123Z", "2020-01-01T00:00:00-00:30", "2021-02-29T00:00:00Z", "2020-13-01T00:00:00Z",
    "2020-01-01T24:00:00Z", "2020-01-01T00:60:00Z", "2020-01-01T00:00:00", "2020-01-01 00:00:00Z", "",
    "2020-01-01T00:00:00.Z", "9999-12-31T23:59:59.999999999Z", "2020-01-01T00:00:00+00:00", "2020-1-1T00:00:00Z",
    "2020-01-01T00:00:00Z\n", "1969-12-31T23:59:59.5Z", "2020-01-01T00:00:00,5Z",
]  # fmt: skip

_COLUMNS = [
    "", "a", "a\n", "a\tb\n", "a\tb\nlonger\tc\n", "NAME\tVALUE\tTEXT\nx\t\ty\nlong name\tv\t\n", "\t\n\t\t\n",
    "a\tb\tc\nno cells\na\tb\tc d e\n", "a\t\tb\naaaa\tbb\n\tx\ty\n", "é\tü☺\tx\nab\tc\td\n", "one\ttwo\fthree\tfour\n",
    "a\vb\vc\nlonger\vd\ve\n", "a\tb", "a\tb\n\nc\td\nlonger\te\n", "12345678\tx\n1234567\ty\n", "a\t\f\tb\n\n\f",
]  # fmt: skip


def requests() -> Iterator[dict[str, Any]]:
    """All that is recorded: what is easily got wrong, and some drawn by lot."""
    for text in _TEXTS:
        for op in ("quote", "lower", "upper", "trim", "valid", "json", "jsonindent"):
            yield question(op, text)
    for path in _PATHS:
        for op in ("clean", "base", "dir"):
            yield question(op, path)
        yield question("join", "/", path)
        yield question("join", path, "", "../b")
    yield question("join", "", "")
    for pattern, name in _GLOBS:
        yield question("match", pattern, name)
        yield question("filematch", pattern, name)
    for number in _NUMBERS:
        yield question("bool", number)
        yield question("int", number, Bits=32)
        yield question("int", number, Bits=64)
        yield question("uint", number, Base=8, Bits=32)
        yield question("uint", number, Base=10, Bits=32)
        yield question("float", number)
    lists = {"ram": _SIZES, "ulimit": _ULIMITS, "duration": _DURATIONS, "csv": _LINES, "time": _TIMES}
    for op, texts in lists.items():
        for text in texts:
            yield question(op, text)
    for ns in (
        0,
        1,
        999,
        1000,
        20_000,
        1_500_000,
        1_500_000_000,
        90 * 10**9,
        3600 * 10**9,
        -1500,
        2**63 - 1,
        -(2**63),
    ):
        yield question("durationtext", Ns=ns)
    for left, right in (
        ("", ""),
        ("a", ""),
        ("kitten", "sitting"),
        ("flaw", "lawn"),
        ("é", "e"),
        ("ab", "ba"),
    ):
        yield question("distance", left, right)
    for text in _COLUMNS:
        for padding, width in ((1, 0), (3, 0), (1, 8)):
            yield question("columns", text, Bits=padding, Base=width)
    lot = random.Random(1)
    for _ in range(150):
        pattern = "".join(lot.choices("aab*?[]^-\\/", k=lot.randrange(1, 8)))
        name = "".join(lot.choices("ab/", k=lot.randrange(6)))
        yield question("match", pattern, name)
        yield question("filematch", pattern, name)


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        binary = Path(scratch, "answers")
        # In the module of the peers, which pins the libraries.
        subprocess.run(
            ["go", "build", "-o", binary, HERE / "answers.go"], cwd=ROOT / "tests/peers", check=True
        )
        asked = list(requests())
        with JsonPeer(binary) as go:
            answers = go.ask_all(asked)
    body = ",\n".join(json.dumps(pair) for pair in zip(asked, answers, strict=True))
    (HERE / "answers.json").write_text(f"[\n{body}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
