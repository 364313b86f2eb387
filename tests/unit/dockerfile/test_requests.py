"""Answers about Dockerfiles as values, text and JSON. Forms are those that the real buildx prints; the comparison with
it is in `tests/differential/test_calls.py`."""

from __future__ import annotations

import json

import pytest

from bakehouse.dockerfile.lowering.request import LowerRequest
from bakehouse.dockerfile.requests.answer import Answer, json_text, metadata_of
from bakehouse.dockerfile.requests.lint import LintResult, lint
from bakehouse.dockerfile.requests.methods import ask
from bakehouse.errors import BakehouseError, CancelledError, DefinitionError, NotBuiltYetError, NotFoundError
from bakehouse.oci.platform import Platform

CONFIG = {
    "architecture": "amd64",
    "os": "linux",
    "config": {},
    "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "1" * 64]},
}


class Resolver:
    """Knows one image, or raises."""

    def __init__(self, error: BakehouseError | None = None) -> None:
        self.asked: list[tuple[str, Platform | None]] = []
        self._error = error

    def resolve_image_config(
        self, ref: str, platform: Platform | None, mode: str, *, log_name: str = "", oci_store: str = ""
    ) -> tuple[str, str, bytes]:
        self.asked.append((ref, platform))
        if self._error is not None:
            raise self._error
        return ref, "sha256:" + "2" * 64, json.dumps(CONFIG).encode()


def answer(method: str, text: str, resolver: Resolver | None = None, **fields: object) -> Answer:
    request = LowerRequest(text.encode("utf-8", "surrogateescape"), **fields)  # type: ignore[arg-type]
    return ask(method, request, resolver or Resolver())


def checked(text: str, resolver: Resolver | None = None, **fields: object) -> LintResult:
    result = answer("lint", text, resolver, **fields)
    assert isinstance(result, LintResult)
    return result


def test_targets_look_nothing_up() -> None:
    resolver = Resolver()
    text = answer("targets", "FROM a AS One\n# two is second\nFROM $B AS two\n", resolver).as_text()
    assert text == "TARGET        DESCRIPTION\none           \ntwo (default) is second\n"
    assert resolver.asked == []


def test_targets_of_a_file_without_stages() -> None:
    found = answer("targets", "ARG X\n")
    assert found.as_text() == "TARGET DESCRIPTION\n"
    assert json.loads(json_text(found)) == {"targets": None, "sources": ["QVJHIFgK"]}


def test_questions_look_at_the_builders_own_platform() -> None:
    """BuildKit evaluates a Dockerfile once to answer, whatever platforms a build would be for."""
    own = Platform("linux", "amd64")
    for method in ("lint", "outline"):
        resolver = Resolver()
        platforms = (Platform("linux", "arm64"), Platform("linux", "riscv64"))
        answer(method, "FROM x\n", resolver, platforms=platforms, build_platforms=(own,), multi_platform=True)
        assert resolver.asked == [("docker.io/library/x:latest", own)]


def test_a_lint_without_a_target_looks_at_all_stages() -> None:
    text = "FROM x AS one\nENV a b\nFROM y AS two\n"
    resolver = Resolver()
    assert [each.rule for each in checked(text, resolver).warnings] == ["LegacyKeyValueFormat"]
    assert sorted(ref for ref, _ in resolver.asked) == [
        "docker.io/library/x:latest",
        "docker.io/library/y:latest",
    ]
    resolver = Resolver()
    assert checked(text, resolver, target="two").warnings == ()
    assert [ref for ref, _ in resolver.asked] == ["docker.io/library/y:latest"]


def test_findings_before_an_error_are_kept() -> None:
    found = checked("FROM scratch AS A\nENV a b\nSTOPSIGNAL NOPE\n")
    assert [each.rule for each in found.warnings] == ["StageNameCasing", "LegacyKeyValueFormat"]
    assert found.status == 1
    assert found.error_as_text().startswith("invalid signal: NOPE\nDockerfile:3\n--------------------\n")
    assert json.loads(json_text(found))["buildError"] == {
        "message": "invalid signal: NOPE",
        "location": {"ranges": [{"start": {"line": 3}, "end": {"line": 3}}]},
    }


def test_findings_of_lines_before_one_that_cannot_be_read() -> None:
    found = checked("FROM scratch AS A\nNONSENSE\n")
    assert [each.rule for each in found.warnings] == ["StageNameCasing"]
    assert found.error is not None and found.error.source_lines == (2,)


def test_a_base_that_is_not_there_is_part_of_the_result() -> None:
    found = checked("FROM scratch\nFROM x\n", Resolver(NotFoundError("not found")))
    assert found.error is not None and found.error.source_lines == (2,)
    assert found.error_as_text().startswith("x: not found\nDockerfile:2\n")


@pytest.mark.parametrize("error", [CancelledError(), NotBuiltYetError("later")])
def test_what_says_nothing_of_the_dockerfile_is_raised(error: BakehouseError) -> None:
    with pytest.raises(type(error)):
        checked("FROM x\n", Resolver(error))


def test_check_options_of_the_file_are_part_of_the_result_and_those_of_the_command_are_not() -> None:
    found = checked("# check=nonsense\nFROM scratch AS A\n")
    assert found.error is not None and found.warnings == ()
    assert found.error_as_text() == 'failed to parse check options: invalid check option "nonsense"\n'
    with pytest.raises(DefinitionError) as caught:
        checked("FROM scratch\n", lint_control="nonsense")
    assert caught.value.message == (
        'failed to parse build-arg:BUILDKIT_DOCKERFILE_CHECK: invalid check option "nonsense"'
    )


def test_text_is_sorted_by_line_and_json_is_not() -> None:
    found = checked("FROM scratch\nENV a b\nFROM scratch AS B\nENV c d\nFROM scratch AS C\n")
    assert [each["ruleName"] for each in json.loads(json_text(found))["warnings"]] == [
        "StageNameCasing",
        "StageNameCasing",
        "LegacyKeyValueFormat",
        "LegacyKeyValueFormat",
    ]
    heads = [line for line in found.as_text().splitlines() if line.startswith("Dockerfile:")]
    assert heads == ["Dockerfile:2", "Dockerfile:3", "Dockerfile:4", "Dockerfile:5"]


def test_many_findings_of_a_line_stay_in_order() -> None:
    names = [f"V{number}" for number in range(20)]
    found = checked(f"FROM scratch\nENV {' '.join(f'{name}=${name}' for name in names)}\n")
    told = [line for line in found.as_text().splitlines() if line.startswith("Usage")]
    assert told == [f"Usage of undefined variable '${name}'" for name in names]


def test_findings_without_a_line_come_first() -> None:
    """An image that only a mount names has no line of its own."""
    config = CONFIG | {"architecture": "arm64"}
    resolver = Resolver()
    resolver.resolve_image_config = lambda ref, *_, **__: (  # type: ignore[method-assign]
        ref,
        "sha256:" + "2" * 64,
        json.dumps(config).encode(),
    )
    platform = (Platform("linux", "amd64"),)
    text = "FROM scratch\nENV a b\nRUN --mount=from=other,target=/x true\n"
    found = checked(text, resolver, build_platforms=platform)
    first, second = found.as_text().split("\nWARNING: ")[1:]
    assert first.startswith("InvalidBaseImagePlatform\nBase image other was pulled with platform")
    assert "-----" not in first
    assert second.startswith("LegacyKeyValueFormat")
    assert [each["location"] for each in json.loads(json_text(found))["warnings"] if not each.get("url")] == [
        {}
    ]


def test_another_name_for_the_dockerfile_is_only_for_people() -> None:
    found = checked("FROM scratch\nENV a b\n").named("elsewhere/x")
    assert "\nelsewhere/x:2\n" in found.as_text()
    assert json.loads(json_text(found))["sources"][0]["filename"] == "Dockerfile"


def test_outline_prefers_what_is_nearest_to_the_target() -> None:
    text = (
        "# X of the global scope\nARG X=g\nFROM scratch AS low\n# X is low\nARG X=1\nARG ONLY=2\n"
        "RUN --mount=type=secret,id=s true\nFROM low\n# X is high\nARG X=3\n"
        "RUN --mount=type=secret,id=s,required=true --mount=type=ssh true\n"
    )
    assert answer("outline", text).as_text() == (
        "BUILD ARG   VALUE   DESCRIPTION\nONLY        2       \nX           3       is high\n\n"
        "SECRET   REQUIRED\ns        true\n\n"
        "SSH       REQUIRED\ndefault   \n\n"
    )


def test_outline_of_values_that_hold_tabs_and_bytes_that_are_no_text() -> None:
    text = answer("outline", "FROM scratch\nARG A\n", build_args={"A": "x\ty\nz\udcff"}).as_text()
    assert text == "BUILD ARG   VALUE   DESCRIPTION\nA           x       y\nz\ufffd          \n\n"


def test_unknown_questions_are_refused_in_buildkits_words() -> None:
    with pytest.raises(DefinitionError) as caught:
        answer("nonsense", "FROM scratch\n")
    assert caught.value.message == "unsupported request frontend.nonsense"
    assert caught.value.code == "unsupported-request"


def test_a_graph_of_nothing() -> None:
    found = answer("convertllb", "FROM scratch\n")
    assert json_text(found) == '{\n  "def": {},\n  "metadata": {},\n  "source": {}\n}'
    assert list(metadata_of(found)) == ["result.json", "version"]


def test_metadata_has_members_in_order_and_a_status_only_for_checks() -> None:
    assert list(metadata_of(checked("FROM scratch\n"))) == [
        "result.json",
        "result.statuscode",
        "result.txt",
        "version",
    ]
    assert list(metadata_of(answer("targets", "FROM scratch\n"))) == ["result.json", "result.txt", "version"]


def test_a_lint_of_an_empty_file() -> None:
    found = lint(LowerRequest(b""), Resolver())
    assert found.error_as_text() == "the Dockerfile cannot be empty\n"
    assert json.loads(json_text(found))["sources"] == [
        {"filename": "Dockerfile", "definition": found_definition(found), "language": "Dockerfile"}
    ]


def found_definition(found: LintResult) -> object:
    return json.loads(json_text(found))["sources"][0]["definition"]
