"""Made-up Dockerfile text, words, ignore patterns and paths: odd, but near enough to the real thing to be parsed often.

Every function takes a random source and gives one request to the peer program `dockerfilesyntax`.
"""

from __future__ import annotations

import base64
from random import Random
from typing import Any

Request = dict[str, Any]

_VALUES = [
    "",
    "a",
    "ab",
    "a/b/c",
    "x y",
    "aXbXc",
    "foo.tar.gz",
    "é漢",
    "a\nb",
    "*",
    "a*b?",
    "\\",
    "$HOME",
    "'q'",
]
_NAMES = ["a", "b", "FOO", "_x1", "unset", "1", "@", "#", "?", "-"]
_OPERATORS = [":-", ":+", ":?", "-", "+", "?", "#", "##", "%", "%%", "/", "//"]
_WORD_TEXT = [
    "a",
    "b",
    "foo",
    "bar",
    "/",
    ".",
    " ",
    "\t",
    "*",
    "?",
    "X",
    "é",
    "$",
    "\\",
    "`",
    '"',
    "'",
    "}",
    "{",
]
_WORD_TEXT += ["\\$", "\\}", "\\/", "\\*", "`$", ":", "-", "#", "%", "="]


def word_request(random: Random) -> Request:
    names = random.sample(_NAMES[:5], random.randint(0, 4))
    return {
        "Op": "word",
        "Text": _base64(_word(random, 3), random),
        "Env": [f"{name}={random.choice(_VALUES)}" for name in names],
        "Escape": random.choice("\\\\\\`"),
        "RawQ": random.random() < 0.2,
        "RawE": random.random() < 0.2,
        "SkipQ": random.random() < 0.1,
        "SkipU": random.random() < 0.2,
    }


def _word(random: Random, depth: int) -> str:
    return "".join(_word_part(random, depth) for _ in range(random.randint(0, 5)))


def _word_part(random: Random, depth: int) -> str:
    kind = random.random()
    if kind < 0.45 or depth == 0:
        return random.choice(_WORD_TEXT)
    if kind < 0.55:
        return "$" + random.choice(_NAMES)
    if kind < 0.65:
        quote = random.choice("\"'")
        return quote + _word(random, depth - 1) + quote
    if kind < 0.7:
        return "${" + random.choice(_NAMES) + "}"
    operator = random.choice(_OPERATORS)
    text = "${" + random.choice(_NAMES) + operator + _word(random, depth - 1)
    if operator.startswith("/") and random.random() < 0.9:
        text += "/" + _word(random, depth - 1)
    return text if random.random() < 0.05 else text + "}"


_PATTERN_TEXT = [
    "a",
    "b",
    "ab",
    ".",
    "/",
    "/",
    "*",
    "*",
    "**",
    "**/",
    "/**",
    "?",
    "[ab]",
    "[^a]",
    "[a-c]",
    "\\*",
    "é",
]
_RARE_PATTERN_TEXT = [
    "[",
    "]",
    "[^",
    "[]a]",
    "[[:alpha:]]",
    "[[:^digit:]]",
    "[^[:space:]b]",
    "[\\d]",
    "[\\D.]",
    "[*]",
]
_RARE_PATTERN_TEXT += [
    "[a*b]",
    "[?]",
    "[?*]",
    "[**]",
    "[!-?]",
    "[+-*]",
    "[\\]]",
    "[\\pL]",
    "[^\\pN]",
    "[-a]",
    "[a-]",
]
_RARE_PATTERN_TEXT += [
    "\\d",
    "\\w",
    "\\S",
    "\\W",
    "\\b",
    "\\B",
    "\\A",
    "\\z",
    "\\pL",
    "\\Pn",
    "\\Q",
    "\\E",
    "\\q",
]
_RARE_PATTERN_TEXT += [
    "\\x61",
    "\\x6",
    "\\141",
    "\\1",
    "\\0",
    "\\n",
    "\\",
    "^",
    "$",
    "+",
    "(",
    ")",
    "|",
    "{",
    "}",
]
_RARE_PATTERN_TEXT += [
    "|",
    "{2}",
    "{0}",
    "{1,}",
    "{0,2}",
    "{1,3}",
    "{2,1}",
    "{1001}",
    "{01}",
    "{,2}",
    "{a,b}",
]
_RARE_PATTERN_TEXT += [
    "\\x{62}",
    "\\x{110000}",
    "\\p{Lu}",
    "\\P{^L}",
    "\\p{any}",
    "[\\p{Nd}b]",
    "\\p{x}",
    "\\p^",
]
_RARE_PATTERN_TEXT += ["\n", " ", "!", "~", "..", "./", "\ufeff", "\\a", "\\_", "\\C"]
_PATH_CHARS = "aaaabbbcd..-_1é Ξ\n^$+*[]\\!("


def patterns_request(random: Random) -> Request:
    rare = random.random() < 0.6
    patterns = [_pattern(random, rare=rare) for _ in range(random.randint(1, 4))]
    if random.random() < 0.9:
        return {"Op": "patterns", "Patterns": patterns, "Paths": _paths(random)}
    return {
        "Op": "patterns",
        "RawPatterns": [_base64(pattern, random) for pattern in patterns],
        "RawPaths": [_base64(path, random, inside=True) for path in _paths(random)],
    }


def match_request(random: Random) -> Request:
    """For Go's `filepath.Match`. Only ASCII, whose characters are bytes."""
    pattern = _pattern(random, rare=random.random() < 0.6)
    names = ["".join(random.choices("aaabb/c.-*[]\\", k=random.randint(0, 7))) for _ in range(12)]
    return {"Op": "match", "Patterns": [pattern.encode("ascii", "ignore").decode()], "Paths": names}


def _pattern(random: Random, *, rare: bool) -> str:
    common, odd = _PATTERN_TEXT, _RARE_PATTERN_TEXT
    parts = [
        random.choice(odd if rare and random.random() < 0.3 else common) for _ in range(random.randint(1, 6))
    ]
    return ("!" if random.random() < 0.2 else "") + "".join(parts)


def _paths(random: Random) -> list[str]:
    """Relative paths, each directory before what it holds."""
    paths: dict[str, None] = {}
    for _ in range(8):
        path = ""
        for _ in range(random.randint(1, 4)):
            name = "".join(random.choices(_PATH_CHARS, k=random.randint(1, 3))).strip(".")
            path = f"{path}/{name or 'a'}".lstrip("/")
            paths[path] = None
    return list(paths)


def ignore_request(random: Random) -> Request:
    pieces = ["a", "b/", "/", "\n", "\r\n", "#", "!", " ", "\t", "..", ".", "\ufeff", "**", "\\", "é", "\x85"]
    text = "".join(random.choices(pieces, k=random.randint(0, 14)))
    return {"Op": "ignore", "Text": _base64(text, random)}


_DIRECTIVES = [
    "# escape=`\n",
    "# escape=\\\n",
    "#check=skip=all\n",
    "# check=error=true\n",
    "# syntax=x\n",
    "# c\n",
]
_BASES = [
    "x",
    "scratch",
    "$B",
    "a:1@sha256:00",
    "--platform=linux/arm64 x",
    "x AS y",
    "x as Y-1",
    "x AS 1y",
    "",
]
_WORDS = [
    "a",
    "b",
    "/c",
    "$A",
    "${A:-b}",
    '"q r"',
    "'s'",
    "\\ ",
    "`",
    "k=v",
    "k=",
    '["a", "b"]',
    '["a",',
    "<<E",
    "<<-E",
]
_WORDS += [
    "<<'E'",
    "80",
    "80/udp",
    "1000:1000",
    "é",
    "#",
    "NONE",
    "--",
    "--from=y",
    "--chown=1:2",
    "--chmod=755",
]
_WORDS += [
    "--link",
    "--link=false",
    "--parents",
    "--exclude=*.md",
    "--checksum=sha256:0",
    "--keep-git-dir",
    "--x=1",
]
_WORDS += [
    "--mount=type=cache,target=/c",
    "--mount=type=bind,source=a,target=b,rw",
    "--mount=type=secret,id=s,env=E",
]
_WORDS += ["--mount=type=tmpfs,size=1g", "--mount=x", "--network=none", "--network=x", "--security=insecure"]
_WORDS += [
    "--interval=1s",
    "--timeout=1h2m",
    "--retries=3",
    "--retries=-1",
    "--start-period=x",
    "CMD",
    "--unpack",
]
_INSTRUCTIONS = [
    "RUN",
    "RUN",
    "COPY",
    "COPY",
    "ADD",
    "ENV",
    "ARG",
    "LABEL",
    "CMD",
    "ENTRYPOINT",
    "WORKDIR",
    "USER",
]
_INSTRUCTIONS += [
    "EXPOSE",
    "VOLUME",
    "SHELL",
    "STOPSIGNAL",
    "HEALTHCHECK",
    "ONBUILD",
    "MAINTAINER",
    "FROM",
    "run",
]
_INSTRUCTIONS += ["Copy", "ONBUILD\tRUN", "NOTHING"]
_SOUND = [
    "RUN echo $A && b",
    "RUN --mount=type=cache,target=/c,id=$A,sharing=locked --network=none make",
    'RUN ["a", "b"]',
    "RUN <<E cat\nbody $A\nE",
    "RUN <<'E' <<-F\none\nE\n\ttwo\nF",
    "COPY --chown=1:2 --link a b /c/",
    "COPY --from=x --parents --exclude=*.md --exclude=b a/./b c",
    "COPY <<E /a\nbody\nE",
    "ADD --checksum=sha256:0 --keep-git-dir=true a b",
    "ENV a b c",
    'ENV a=b "c"="d e" f=\\ g',
    "ARG a b=c d=",
    "LABEL a=b 'c d'=e",
    'CMD ["a"]',
    "CMD a b",
    "ENTRYPOINT a",
    "WORKDIR /a b",
    "USER 1:2",
    "EXPOSE 80 90/udp",
    'VOLUME ["/a", "/b"]',
    "VOLUME /a /b",
    'SHELL ["sh", "-c"]',
    "STOPSIGNAL 9",
    "HEALTHCHECK --interval=1m30s --retries=3 CMD a",
    "HEALTHCHECK NONE",
    "ONBUILD RUN a",
    "MAINTAINER a",
    "FROM x AS y",
    "FROM --platform=$P x",
]
_ENDS = [
    "\n",
    "\n",
    "\n",
    "\n\n",
    "\r\n",
    " \\\n",
    " \\ \n",
    " `\n",
    "\\\n# c\n",
    "\nE\n",
    "\n\tE\n",
    "",
    "\n# doc A\n",
]


def parse_request(random: Random) -> Request:
    text = "".join(random.choices(_DIRECTIVES, k=random.choice([0, 0, 1, 2])))
    if random.random() < 0.9:
        text += f"FROM {random.choice(_BASES[:-1] if random.random() < 0.95 else _BASES)}\n"
    for _ in range(random.randint(0, 5)):
        if random.random() < 0.7:
            text += random.choice(_SOUND) + random.choice(_ENDS[:4])
            continue
        text += " " * (random.random() < 0.1) + random.choice(_INSTRUCTIONS)
        text += "".join(" " + random.choice(_WORDS) for _ in range(random.randint(0, 4)))
        text += random.choice(_ENDS)
    return {"Op": "parse", "Text": _base64(text, random)}


def parse_request_of(text: bytes) -> Request:
    return {"Op": "parse", "Text": base64.b64encode(text).decode()}


def _base64(text: str, random: Random, *, inside: bool = False) -> str:
    """`text` as the peer takes bytes, now and then with a few that are not UTF-8, `inside` not at the ends."""
    data = bytearray(text.encode())
    if random.random() < (0.5 if inside else 0.05):
        at = random.randint(min(inside, len(data)), len(data) - inside if len(data) > inside else len(data))
        data[at:at] = random.choice(
            [b"\xff", b"\xe9", b"\xc3\xc3", b"\xed\xa0\x80", b"\x80\x80", b"\xf4\x90\x80\x80"]
        )
    return base64.b64encode(data).decode()
