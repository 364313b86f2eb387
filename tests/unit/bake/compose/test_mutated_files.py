"""Whatever a Compose file or an environment file says, loading it ends with a result or with one of our errors."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.cases.bake.record import ROOT, case_folders

from bakehouse.bake import LoadOptions, load, print_json
from bakehouse.errors import BakehouseError

_TEXTS = sorted(
    {
        path.read_text("utf-8", "surrogateescape")
        for case in case_folders()
        if case.parent.name.startswith("compose")
        for path in (*case.glob("*.yaml"), *case.glob("stdin"))
        if path.stat().st_size < 1500
    }
)
_SNIPPETS = [
    "&a ",
    "*a",
    "<<: *a\n",
    "!reset ",
    "!override null",
    "!!int ",
    "[",
    "{",
    "}",
    "? ",
    ": ",
    "\n---\n",
    "${",
    "${A:-",
    "$$",
    "~",
    "1e9",
    ".inf",
    "2001-01-01",
    "\t",
    '"',
    "'",
    "|\n",
    "é",
    "\ud800",
    "\x00",
    "extends: a",
    "include: [stdin.yaml]",
    "services:\n  ",
    "x-bake: ",
]
_ENV_SNIPPETS = ["export ", "=", '"', "'", "\\", "$", "${", "#", " ", "\r\n", "é", "[", "%", "\x00", "A"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compose")
    (folder / "inc.yaml").write_text("services: {inc: {build: .}}\n")
    (folder / "a.env").write_text("A=1\n")
    return folder


def _load(folder: Path, text: str) -> None:
    data = text.encode("utf-8", "surrogatepass")
    options = LoadOptions(cwd=str(folder), environ={"A": "1"}, files=["-"], stdin=lambda: data)
    try:
        definition = load(options)
        if definition.compose is not None:
            for where in definition.compose.positions.values():
                assert where.start.line <= where.end.line
        print_json(definition.resolve(["*"]))
    except BakehouseError as error:
        assert error.message
        assert error.category == "definition" or error.category == "not-found"


@given(
    text=st.sampled_from(_TEXTS),
    cuts=st.lists(
        st.tuples(st.floats(0, 1), st.integers(0, 12), st.sampled_from(["", *_SNIPPETS])),
        min_size=1,
        max_size=3,
    ),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_mutated_compose_files_raise_only_our_errors(
    folder: Path, text: str, cuts: list[tuple[float, int, str]]
) -> None:
    for where, removed, inserted in cuts:
        position = int(where * len(text))
        text = text[:position] + inserted + text[position + removed :]
    _load(folder, text)


_VALUES = st.recursive(
    st.sampled_from(
        [
            "~",
            "1",
            "-1",
            "1.5",
            "true",
            "text",
            "'2'",
            "2001-01-01",
            "${A}",
            ".nan",
            "''",
            "a=b",
            "&x y",
            "*x",
        ]
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: "[" + ", ".join(items) + "]"),
        st.dictionaries(
            st.sampled_from(["a", "b", "path", "source", "target", "file", "soft", "x-y"]), inner, max_size=3
        ).map(lambda members: "{" + ", ".join(f"{key}: {value}" for key, value in members.items()) + "}"),
    ),
    max_leaves=4,
)
_BUILD_KEY_NAMES = (
    "context dockerfile dockerfile_inline entitlements args ssh labels cache_from cache_to no_cache no_cache_filter "
    "additional_contexts network provenance sbom pull target shm_size extra_hosts isolation privileged secrets tags "
    "ulimits platforms x-bake"
)
_BUILD_KEYS = _BUILD_KEY_NAMES.split()
_SERVICE_KEY_NAMES = (
    "image environment env_file extends profiles ports volumes depends_on networks secrets configs devices gpus expose "
    "ulimits deploy healthcheck logging labels label_file dns command init"
)
_SERVICE_KEYS = _SERVICE_KEY_NAMES.split()


@given(
    build=st.dictionaries(st.sampled_from(_BUILD_KEYS), _VALUES, max_size=4),
    service=st.dictionaries(st.sampled_from(_SERVICE_KEYS), _VALUES, max_size=3),
    second=st.dictionaries(st.sampled_from(_BUILD_KEYS), _VALUES, max_size=3),
    top=st.dictionaries(
        st.sampled_from(["secrets", "volumes", "networks", "configs", "name", "include", "x-a"]),
        _VALUES,
        max_size=2,
    ),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_generated_values_of_every_key_raise_only_our_errors(
    folder: Path,
    build: dict[str, str],
    service: dict[str, str],
    second: dict[str, str],
    top: dict[str, str],
) -> None:
    def members(values: dict[str, str], indent: int) -> str:
        return "".join(f"{' ' * indent}{key}: {value}\n" for key, value in values.items())

    text = f"{members(top, 0)}services:\n  s:\n{members(service, 4)}    build:\n{members(build, 6)}"
    text += f"---\nservices:\n  s:\n    build:\n{members(second, 6)}"
    _load(folder, text)


@given(
    text=st.lists(
        st.sampled_from(["A=1\n", "B = 'x'\n", 'C="$A \\n"\n', "export D\n", *_ENV_SNIPPETS]), max_size=12
    ).map("".join)
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_mutated_environment_files_raise_only_our_errors(folder: Path, text: str) -> None:
    (folder / "a.env").write_bytes(text.encode())
    _load(folder, "services: {a: {env_file: a.env, build: {args: [A, B, C, D]}}}\n")


def test_the_corpus_feeds_these_tests() -> None:
    assert ROOT.is_dir()
    assert len(_TEXTS) > 150
