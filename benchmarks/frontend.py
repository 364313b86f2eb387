"""The Dockerfile frontend alone: a large Dockerfile to LLB, and many paths against many ignore patterns.

    python benchmarks/frontend.py lower|ignore      does it once, and prints seconds, imports left out

The same input goes to BuildKit's own code through the helpers in `tests/peers`, which tell their own times.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.differential.dockerfile_cases import CASES, Case, CaseResolver, Peer, request_of  # noqa: E402
from tests.support.json_peer import JsonPeer  # noqa: E402

_STAGES, _RUNS = 10, 8
# fmt: off
_NAMES = [
    "src", "lib", "test", "docs", "build", "dist", "vendor", "target", "cache", "app", "cmd", "internal", "api", "web",
    "static", "assets", "css", "js", "data",
]
# fmt: on


def large_dockerfile() -> Case:
    """A Dockerfile of 300 lines in ten stages, as projects have them."""
    lines = ["ARG VERSION=1.2", "ARG BASE=plain"]
    for stage in range(_STAGES):
        lines += [
            f"FROM ${{BASE}} AS s{stage}" if stage % 3 == 0 else f"FROM s{stage - 1} AS s{stage}",
            "ARG VERSION",
            f"ENV HOME=/home/u PATH=/opt/s{stage}/bin:$PATH V{stage}=${{VERSION:-0}}",
        ]
        for step in range(_RUNS):
            lines += [
                f"RUN --mount=type=cache,target=/root/.cache/{step} set -e; \\",
                f"    apt-get install -y package{step} && \\",
                "    rm -rf /var/lib/apt/lists/*",
            ]
        lines.append(f"WORKDIR /src/{stage}")
        lines.append(f"COPY --chown=1000:1000 go.mod go.sum file{stage}.txt ./")
        if stage:
            lines.append(f"COPY --from=s{stage - 1} --link /out/bin{stage} /usr/local/bin/")
    lines.append('CMD ["run"]')
    text = "\n".join(lines) + "\n"
    return Case(CASES / "large", text.encode(), b"*.md\n**/node_modules\n.git\n")


def ignore_input() -> tuple[list[str], list[str]]:
    """200 patterns of every form, and 100,000 paths in the order of a walk."""
    random = Random(5)
    patterns = [_pattern(random, number) for number in range(200)]
    paths: set[str] = set()
    while len(paths) < 100_000:
        folder = "/".join(
            random.choice(_NAMES) + random.choice(["", "", str(random.randrange(40))])
            for _ in range(random.randint(1, 6))
        )
        paths.update(
            f"{folder}/f{random.randrange(1000)}.{random.choice(['go', 'py', 'e3', 'o'])}" for _ in range(9)
        )
    return patterns, sorted(paths)[:100_000]


def _pattern(random: Random, number: int) -> str:
    first, second = random.choice(_NAMES), random.choice(_NAMES)
    forms = [
        f"{first}/{second}{number}",
        f"**/{first}{number}",
        f"*.ext{number}",
        f"**/*.e{number}",
        f"{first}/**/x{number}",
        f"{first}/*/{second}{number}",
        f"!{first}/{second}{number}/keep",
        f"{first}{number}/**",
        f"**/{first}/{second}{number}/*.o",
        f"{first}[0-{number % 10}]?",
    ]
    return forms[number % len(forms)]


def lower_once() -> float:
    """Seconds from the text of the Dockerfile to the bytes of its definition, once what that takes is loaded: the peer,
    too, has answered before."""
    from bakehouse.dockerfile.lowering import lower

    case = large_dockerfile()
    request, resolver = request_of(case), CaseResolver(case)
    lower(request, resolver).definition()
    start = time.perf_counter()
    lower(request, resolver).definition()
    return time.perf_counter() - start


def match_once() -> float:
    """Seconds for all paths, the reading of the patterns included."""
    from bakehouse.dockerfile.patterns import PatternMatcher

    patterns, paths = ignore_input()
    start = time.perf_counter()
    matcher = PatternMatcher(patterns)
    for path in paths:
        matcher.matches_or_parent_matches(path)
    return time.perf_counter() - start


def peer_lower_once(binary: Path) -> float:
    peer = Peer(binary)
    try:
        peer.ask(large_dockerfile())
        answer = peer.ask(large_dockerfile())
    finally:
        peer.close()
    assert "error" not in answer, answer
    return float(answer["seconds"])


def peer_match_once(binary: Path) -> float:
    patterns, paths = ignore_input()
    with JsonPeer(binary) as peer:
        answer: dict[str, Any] = peer.ask({"Op": "timed", "Patterns": patterns, "Paths": paths})
    return float(answer["seconds"])


_WORK: dict[str, Callable[[], float]] = {"lower": lower_once, "ignore": match_once}

if __name__ == "__main__":
    # As the command line does (`cli.main`).
    gc.set_threshold(100_000, 20, 20)
    print(_WORK[sys.argv[1]]())
