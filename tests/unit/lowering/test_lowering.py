"""The lowering without a peer: what it looks up and when, errors that point, and its small grammars.

That the graphs are BuildKit's is shown by tests/differential/test_llb.py.
"""

from __future__ import annotations

import json
import threading

import pytest
from tests.differential.dockerfile_cases import Case, CaseResolver, all_cases, request_of

from bakehouse.diagnostics import DiagnosticsError
from bakehouse.dockerfile import InputContext, LowerRequest, lower, parse_options
from bakehouse.dockerfile.lint import Linter
from bakehouse.dockerfile.lowering.expose_command import expand_port
from bakehouse.dockerfile.lowering.image import parse_image
from bakehouse.dockerfile.lowering.paths import destination, normalize_workdir
from bakehouse.dockerfile.positions import DockerfileError, LineRange
from bakehouse.dockerfile.requests.lint import lint
from bakehouse.errors import BakehouseError, DefinitionError, IntegrityError, NotFoundError
from bakehouse.llb.graph import collect
from bakehouse.llb.ops import SourceOp
from bakehouse.oci.platform import Platform

AMD64 = Platform("linux", "amd64")
CONFIG = json.dumps(
    {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": ["A=1"]},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "1" * 64]},
    }
).encode()


class Resolver:
    """Answers every look-up with CONFIG, except for names that begin with `no`."""

    def __init__(self, parties: int = 0) -> None:
        self.asked: list[str] = []
        self._barrier = threading.Barrier(parties) if parties else None

    def resolve_image_config(
        self, ref: str, platform: Platform | None, mode: str, *, log_name: str = "", oci_store: str = ""
    ) -> tuple[str, str, bytes]:
        self.asked.append(ref)
        if self._barrier is not None:
            self._barrier.wait(timeout=10)
        if "/no" in ref:
            raise NotFoundError("not there")
        return ref, "sha256:" + "a" * 64, CONFIG


def request(text: str, **fields: object) -> LowerRequest:
    return LowerRequest(text.encode(), build_platforms=(AMD64,), session_id="s", **fields)  # type: ignore[arg-type]


def test_only_what_the_target_needs_is_looked_up() -> None:
    resolver = Resolver()
    text = "FROM one AS a\nFROM two AS b\nRUN x\nFROM three AS c\nCOPY --from=four /x /\n"
    lower(request(text, target="b"), resolver)
    assert resolver.asked == ["docker.io/library/two:latest"]


def test_look_ups_run_in_parallel_and_each_once() -> None:
    # The barrier opens only when two look-ups are under way at the same time.
    resolver = Resolver(parties=2)
    text = "FROM one AS a\nFROM one AS b\nFROM two AS c\nFROM scratch\n" + "".join(
        f"COPY --from={name} /x /{name}\n" for name in "abc"
    )
    lower(request(text), resolver)
    assert sorted(resolver.asked) == ["docker.io/library/one:latest", "docker.io/library/two:latest"]


def test_platforms_share_look_ups_and_warn_once() -> None:
    resolver = Resolver()
    platforms = (AMD64, Platform("linux", "arm64"))
    text = "FROM --platform=$BUILDPLATFORM one\nWORKDIR relative\n"
    lowered = lower(request(text, platforms=platforms, multi_platform=True), resolver)
    assert resolver.asked == ["docker.io/library/one:latest"]
    assert [each.id for each in lowered.platforms] == ["linux/amd64", "linux/arm64"]
    assert [each.image_config["architecture"] for each in lowered.platforms] == ["amd64", "arm64"]
    assert [warning.rule for warning in lowered.warnings] == ["WorkdirRelativePath"]


def test_missing_image_points_at_its_from() -> None:
    with pytest.raises(NotFoundError) as caught:
        lower(request("FROM scratch AS x\nFROM nosuch\nRUN x\n"), Resolver())
    assert caught.value.message == "nosuch: not there"
    assert caught.value.excerpt is not None
    assert "   2 | >>> FROM nosuch" in caught.value.excerpt


def test_errors_show_the_lines() -> None:
    with pytest.raises(DiagnosticsError) as caught:
        lower(request("FROM one\nRUN a\nSTOPSIGNAL SIGFOO\n"), Resolver())
    assert caught.value.message == "invalid signal: SIGFOO"
    assert caught.value.code == "invalid-signal"
    assert caught.value.excerpt == (
        "Dockerfile:3\n--------------------\n   1 |     FROM one\n   2 |     RUN a\n"
        "   3 | >>> STOPSIGNAL SIGFOO\n   4 |     \n--------------------"
    )


def test_context_is_not_touched_unless_it_is_used() -> None:
    lowered = lower(request("FROM one\nRUN x\n"), Resolver())
    edge = lowered.platforms[0].edge
    assert edge is not None
    sources = [vertex.op for vertex in collect(edge).vertices if isinstance(vertex.op, SourceOp)]
    assert [op.identifier.partition(":")[0] for op in sources] == ["docker-image"]


def test_scratch_has_no_graph() -> None:
    lowered = lower(request("FROM scratch\nENV A=1\n"), Resolver())
    assert lowered.platforms[0].edge is None
    assert lowered.definition() == b""


def test_named_contexts_that_were_used_are_told() -> None:
    contexts = {"base": "docker-image://one", "other": "docker-image://two"}
    lowered = lower(request("FROM base\n", named_contexts=contexts), Resolver())
    assert lowered.used_contexts == {"base"}


def test_input_contexts_bring_their_graph() -> None:
    inner = lower(request("FROM one\nRUN made\n"), Resolver()).platforms[0]
    fields = {
        "named_contexts": {"dep": "input:result"},
        "inputs": {"result": InputContext(inner.edge, inner.config)},
    }
    outer = lower(request("FROM dep\nRUN more\n", **fields), Resolver()).platforms[0]
    assert outer.edge is not None and inner.edge is not None
    assert outer.edge.vertex.inputs[0].vertex is inner.edge.vertex
    assert outer.image_config["config"]["Env"][0] == "A=1"


class Times:
    def resolve_source_time(self, source: SourceOp, log_name: str) -> int | None:
        assert source.identifier.startswith("https://")
        assert log_name == "[internal] resolve SOURCE_DATE_EPOCH source stage when"
        return 1234


def test_epoch_of_a_source_stage() -> None:
    text = "FROM scratch AS when\nADD https://e.x/file /\nFROM one\nARG SOURCE_DATE_EPOCH\n"
    fields = {"build_args": {"SOURCE_DATE_EPOCH": "when"}, "source_times": Times()}
    lowered = lower(request(text, **fields), Resolver()).platforms[0]
    assert lowered.epoch_s == 1234
    assert lowered.image_config["history"][-1]["created_by"] == "ARG SOURCE_DATE_EPOCH=1234"
    assert lowered.image_config["history"][-1]["created"] == "1970-01-01T00:20:34Z"


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        ("FROM one AS when\n", "SOURCE_DATE_EPOCH stage must use FROM scratch"),
        ("FROM scratch AS when\n", "SOURCE_DATE_EPOCH stage must contain exactly one remote ADD"),
        (
            "FROM scratch AS when\nADD a /\n",
            "SOURCE_DATE_EPOCH stage source must be a single HTTP(S) or Git ADD",
        ),
    ],
)
def test_epoch_stages_that_are_none(stage: str, message: str) -> None:
    with pytest.raises(DiagnosticsError) as caught:
        lower(request(stage + "FROM one\n", build_args={"SOURCE_DATE_EPOCH": "when"}), Resolver())
    assert caught.value.message == message


def test_check_covers_all_stages_and_keeps_the_error() -> None:
    result = lint(request("FROM one AS a\nWORKDIR x\nFROM two\nEXPOSE x\n"), Resolver())
    assert [warning.rule for warning in result.warnings] == ["WorkdirRelativePath"]
    assert result.error is not None and result.error.message == "invalid containerPort: x"
    assert result.error.source_lines == (4,)


def test_scan_targets_are_the_stages_that_ask() -> None:
    text = "FROM one AS a\nARG BUILDKIT_SBOM_SCAN_STAGE=true\nRUN x\nFROM scratch\nCOPY --from=a /x /\n"
    lowered = lower(request(text), Resolver()).platforms[0]
    assert set(lowered.scan_targets) == {"a"}


def test_config_keeps_what_it_read_and_drops_what_is_unknown() -> None:
    raw = {
        "created": "2024-01-02T03:04:05.600+00:00",
        "architecture": "arm",
        "os": "linux",
        "variant": "v7",
        "docker_version": "dropped",
        "config": {"Labels": {"b": "<", "a": "2"}, "healthcheck": {"Test": ["NONE"]}, "Env": None},
        "rootfs": {"type": "layers", "diff_ids": []},
        "history": [{"created": "2024-01-02T03:04:05.000000000Z", "created_by": "x", "empty_layer": True}],
    }
    assert parse_image(json.dumps(raw).encode()).encode().decode() == (
        '{"created":"2024-01-02T03:04:05.6Z","architecture":"arm","os":"linux","variant":"v7",'
        '"rootfs":{"type":"layers","diff_ids":[]},'
        '"history":[{"created":"2024-01-02T03:04:05Z","created_by":"x","empty_layer":true}],'
        '"config":{"Labels":{"a":"2","b":"\\u003c"},"Healthcheck":{"Test":["NONE"]}}}'
    )


@pytest.mark.parametrize("raw", [b"", b"[]", b'{"os":1}', b'{"config":{"Env":[1]}}', b"[" * 100_000])
def test_broken_configs(raw: bytes) -> None:
    with pytest.raises(IntegrityError) as caught:
        parse_image(raw)
    assert caught.value.code == "invalid-image-config"


@pytest.mark.parametrize(
    ("text", "ports"),
    [
        ("80", ["80/tcp"]),
        ("53/UDP", ["53/udp"]),
        ("8000-8002", ["8000/tcp", "8001/tcp", "8002/tcp"]),
        ("127.0.0.1:1:2", ["2/tcp"]),
        ("[::1]:1:2/sctp", ["2/sctp"]),
        ("1-3:5", ["5/tcp"]),
    ],
)
def test_ports(text: str, ports: list[str]) -> None:
    assert expand_port(text, Linter(), LineRange(1, 1)) == ports


@pytest.mark.parametrize(
    ("os", "current", "path", "expected"),
    [
        ("linux", "/a", "b", "/a/b"),
        ("linux", "/a", "/x//y/../z/", "/x//y/../z/"),
        ("linux", "", "", "/"),
        ("windows", "\\a", "b", "\\a\\b"),
        ("windows", "", "C:\\x\\..\\y\\", "\\y"),
    ],
)
def test_working_directories(os: str, current: str, path: str, expected: str) -> None:
    assert normalize_workdir(current, path, os) == expected


def test_other_drives_are_refused() -> None:
    with pytest.raises(DockerfileError, match="not on the system drive"):
        destination("/", "D:/x", "windows")
    with pytest.raises(DockerfileError, match="UNC"):
        destination("/", "\\\\host\\share", "windows")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"platform": "a/b/c/d"},
            'failed to parse target platform a/b/c/d: "a/b/c/d": cannot parse platform',
        ),
        ({"multi-platform": "maybe"}, "invalid boolean value for multi-platform: maybe"),
        ({"memswap": "0"}, "invalid memswap value: 0: must be -1 (unlimited) or > 0"),
        ({"cpusetcpus": "a"}, "invalid cpusetcpus value: a"),
        ({"ulimit": "core"}, "failed to parse ulimit: invalid ulimit argument: core"),
        ({"input-metadata:x": "{"}, "failed to parse input metadata {"),
    ],
)
def test_wrong_options(options: dict[str, str], message: str) -> None:
    edges = {"x": None} if "input-metadata:x" in options else None
    with pytest.raises(DefinitionError) as caught:
        parse_options(options, dockerfile=b"FROM scratch\n", input_edges=edges)
    assert message in caught.value.message


def test_a_circle_of_stages_shows_every_instruction_that_closes_it() -> None:
    text = "FROM scratch AS a\nCOPY --from=b /x /y\nFROM scratch AS b\nENV q=r\nCOPY --from=a /x \\\n  /y\n"
    with pytest.raises(DiagnosticsError) as caught:
        lower(request(text), Resolver())
    assert caught.value.source_lines == (2, 5, 6)
    assert caught.value.excerpt is not None
    heads = [line for line in caught.value.excerpt.splitlines() if line.startswith("Dockerfile:")]
    assert heads == ["Dockerfile:2", "Dockerfile:5"]


_ERRORS = [case for case in all_cases() if case.id.startswith("error/")]


@pytest.mark.parametrize("case", _ERRORS, ids=lambda case: case.path.name)
def test_every_error_in_a_dockerfile_says_what_to_do(case: Case) -> None:
    """A hint, or the name that was meant."""
    try:
        asked = request_of(case)
    except DefinitionError as error:
        assert error.hint or error.code in ("invalid-option", "unsupported-capability")
        return
    with pytest.raises(BakehouseError) as caught:
        lower(asked, CaseResolver(case))
    error = caught.value
    assert error.hint or "(did you mean " in error.message or isinstance(error, NotFoundError)
