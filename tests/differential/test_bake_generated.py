"""Generated and mutated definitions give what buildx gives: the same output, or the same message and excerpt.

A few hundred of each kind in every run, always the same; `make fuzz` asks for as many as there is time for. What
differs on purpose (docs/differences.md) is left alone: see `_agree`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from tests.cases.bake.record import ROOT
from tests.differential.bake_generator import HCL_PIECES, JSON_PIECES, Generator
from tests.differential.compose_generator import ComposeGenerator
from tests.support.bake_peer import BakePeer, Outcome, Question, bake_peer

pytestmark = pytest.mark.peer

UNIT_CASES = Path(__file__).parents[1] / "unit" / "hcl" / "cases"
FUZZING = os.environ.get("BAKEHOUSE_HYPOTHESIS_PROFILE") == "fuzz"
BATCH = 50
#: How often buildx is asked again where its first answer is another one: it picks among its findings at random, and
#: some picks are rare, so that as many are asked for again a few times.
REPEATS = 30
ROUNDS = 10
_HINT = re.compile(r' Did you mean "[^"]*"\?')
_EMPTY = re.compile(r"; (?=$|, and \d)")
_KEYWORD_CYCLE = re.compile(r"variable cycle not allowed for (string|number|bool|any)\b")


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BakePeer]:
    with bake_peer(tmp_path_factory.mktemp("definitions")) as running:
        yield running


def _plain(message: str) -> str:
    """Without the hint at a similar name, of which several are picked from at random there, and without the semicolon
    that announces an empty detail."""
    return _EMPTY.sub("", _HINT.sub("", message))


def _flat(excerpt: str) -> str:
    return excerpt.replace("\r", "")


def _agree(ours: Outcome, theirs: Outcome) -> bool:
    if theirs.crash or "panic in function implementation" in theirs.error:
        return True  # ours has an error, or a result
    if _KEYWORD_CYCLE.search(theirs.error):
        return True
    # An excerpt is drawn without carriage returns here, and is not left out where a template of a JSON string says
    # that it has more lines than the file.
    same_place = theirs.places in ("", ours.places) or _flat(ours.places) == _flat(theirs.places)
    return ours.output == theirs.output and _plain(ours.error) == _plain(theirs.error) and same_place


def _compare(peers: BakePeer, count: int, make: Callable[[Generator], Question], seed: int) -> None:
    seed = _seed(seed)
    generator = Generator(seed, nonsense=0.02)
    _compare_made(peers, count, lambda: make(generator), seed)


def _seed(usual: int) -> int:
    return Random().randrange(2**32) if FUZZING else usual


def _compare_made(peers: BakePeer, count: int, make: Callable[[], Question], seed: int) -> None:
    count = count * 100 if FUZZING else count
    succeeded = 0
    for _ in range(0, count, BATCH):
        questions = [make() for _ in range(BATCH)]
        for question, outcomes in zip(questions, peers.theirs(questions), strict=True):
            ours = peers.ours(question)
            succeeded += not outcomes[0].error
            for _ in range(ROUNDS):
                if any(_agree(ours, theirs) for theirs in outcomes):
                    break
                outcomes = peers.theirs([question], REPEATS)[0]
            assert any(_agree(ours, theirs) for theirs in outcomes), (
                f"seed {seed}\n{question}\n--- ours\n{_shown(ours)}\n--- theirs\n{_shown(outcomes[0])}"
            )
    # Nonsense alone would prove little.
    assert succeeded


def _shown(outcome: Outcome) -> str:
    return outcome.output + outcome.places + outcome.error


def test_generated_expressions(peers: BakePeer) -> None:
    def make(generator: Generator) -> Question:
        return Question({"docker-bake.hcl": generator.expression_file().encode()}, ("--print", "t"))

    _compare(peers, 400, make, 1)


def test_generated_definitions(peers: BakePeer) -> None:
    def make(generator: Generator) -> Question:
        files = {"docker-bake.hcl": generator.definition().encode(), "Dockerfile": b"FROM scratch\n"}
        return Question(files, generator.words(), generator.environment())

    _compare(peers, 400, make, 2)


def test_generated_powers(peers: BakePeer) -> None:
    def make(generator: Generator) -> Question:
        return Question({"docker-bake.hcl": generator.power_file().encode()}, ("--print", "t"))

    _compare(peers, 100, make, 3)


def test_generated_json_values(peers: BakePeer) -> None:
    def make(generator: Generator) -> Question:
        text, environment = generator.json_value_file()
        return Question({"docker-bake.hcl": text.encode()}, ("--print", "t"), environment)

    _compare(peers, 400, make, 4)


def _texts(suffix: str) -> list[str]:
    names = sorted(path for path in ROOT.glob(f"*/*/*{suffix}") if path.is_file())
    given = [path.read_text() for path in names if not path.name.startswith(("expected", "ours"))]
    named: dict[str, str] = json.loads((UNIT_CASES / "files.json").read_text())
    given += [text for name, text in named.items() if name.endswith(suffix)]
    return [text for text in given if 0 < len(text) < 3000]


@pytest.mark.parametrize(("suffix", "pieces"), [(".hcl", HCL_PIECES), (".json", JSON_PIECES)])
def test_mutated_texts(peers: BakePeer, suffix: str, pieces: tuple[str, ...]) -> None:
    texts = _texts(suffix)
    assert len(texts) > 20
    name = f"docker-bake{suffix}"

    def make(generator: Generator) -> Question:
        # What is not touched must print now and then.
        text = generator.random.choice(texts)
        if generator.random.random() < 0.95:
            text = generator.mutated(text, pieces)
        return Question({name: text.encode()}, ("--print", "*"), {"SSH_AUTH_SOCK": str(Path("/nowhere"))})

    _compare(peers, 400, make, 5)


def _compose_cases() -> list[dict[str, bytes]]:
    """The files of every case of Compose files, without those of known differences and those with environment files,
    whose faults the peer repeats."""
    found = []
    for path in sorted(ROOT.glob("compose-*/*/compose.yaml")):
        folder = path.parent
        files = {
            str(file.relative_to(folder)): file.read_bytes()
            for file in folder.rglob("*")
            if file.is_file()
            and not file.name.startswith(("expected", "ours", "cmd", "env", "difference", "stdin"))
        }
        if (
            not (folder / "difference.md").exists()
            and ".env" not in files
            and b"ulimits" not in files[path.name]
        ):
            found.append(files)
    return found


def test_mutated_compose_files(peers: BakePeer) -> None:
    cases = _compose_cases()
    assert len(cases) > 100
    seed = _seed(7)
    generator = ComposeGenerator(seed)

    def make() -> Question:
        files = dict(generator.random.choice(cases))
        name = generator.random.choice(sorted(name for name in files if name.endswith(".yaml")))
        files[name] = generator.mutated(files[name].decode("utf-8", "replace")).encode()
        return Question(files, ("--print", "*"), {"A": "1", "SSH_AUTH_SOCK": "/nowhere"})

    _compare_made(peers, 250, make, seed)


def test_generated_compose_files(peers: BakePeer) -> None:
    seed = _seed(8)
    generator = ComposeGenerator(seed)

    def make() -> Question:
        return Question(generator.project(), ("--print", "*"), {"A": "1", "SSH_AUTH_SOCK": "/nowhere"})

    _compare_made(peers, 250, make, seed)
