"""`--check` and `--call`: what the real buildx and BuildKit print about the same Dockerfiles (dockerfile.md §15, §16).

A case is `tests/cases/calls/NAME.Dockerfile`, perhaps with an ignore file beside it; `cases.json` has fields of its
target. All cases are targets of one `bake`, so that a form costs one run of each program.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from tests.differential.random_dockerfiles import Lot
from tests.support.command import Bakehouse
from tests.support.paths import CASES, peer
from tests.support.services import BuildKit, Registry

FOLDER = CASES / "calls"
NAMES = sorted(path.stem for path in FOLDER.glob("*.Dockerfile"))
pytestmark = pytest.mark.peer

#: Cases that the outline cannot be asked of, since converting the Dockerfile is an error. It would end the whole run.
CANNOT_CONVERT = {
    "bad-check",
    "bad-check-key",
    "bad-check-value",
    "bad-ignore",
    "bad-platform",
    "bad-signal",
    "circular",
    "copy-later-stage",
    "error-true",
    "heredocs",
    "invalid-default-arg",
    "invalid-default-arg-build-arg",
    "missing-base",
    "no-stages",
    "onbuild",
    "only-comments",
    "parse-error",
    "parse-error-lines",
    "undefined-arg-blank",
    "undefined-arg-in-from",
    "undefined-arg-then-error",
    "undefined-var-then-error",
    "unknown-stage",
}
CANNOT_PARSE = {"heredocs", "only-comments", "parse-error", "parse-error-lines"}
#: A `check=` comment above an instruction makes the real buildkitd crash when it is asked for targets.
CRASHES_BUILDKIT = {
    path.stem for path in FOLDER.glob("*.Dockerfile") if b"check" in path.read_bytes().split(b"syntax")[0]
}
#: Several ARGs of one line: BuildKit lists them in a random order.
SAME_LINE = {"description", "secrets", "undefined-var-arg"}


@dataclass(frozen=True)
class Form:
    """Both programs' output for one `--call`, as a whole and a target."""

    names: list[str]
    ours: str
    theirs: str
    codes: tuple[int, int]

    @cached_property
    def sections(self) -> tuple[dict[str, str], dict[str, str]]:
        return _sections(self.ours, self.names), _sections(self.theirs, self.names)

    @cached_property
    def documents(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return json.loads(self.ours)["target"], json.loads(self.theirs)["target"]


def _sections(text: str, names: list[str]) -> dict[str, str]:
    """The text of every target; they come sorted, each below its name."""
    out = {}
    for name, following in zip(names, [*names[1:], None], strict=True):
        assert text.startswith(f"{name}\n\n"), f"{name} is not where it should be: {text[:200]}"
        end = len(text) if following is None else text.index(f"\n{following}\n\n") + 1
        out[name], text = text[:end], text[end:]
    return out


def _buildx(
    buildkit: BuildKit, *arguments: str, cwd: Path, input: bytes | None = None
) -> subprocess.CompletedProcess[str]:
    """The real buildx, its output byte for byte."""
    done = subprocess.run(
        [str(peer("buildx")), *arguments],
        cwd=cwd,
        input=input,
        capture_output=True,
        env=dict(os.environ) | {"BUILDX_CONFIG": str(buildkit.buildx_config)},
    )
    texts = [each.decode("utf-8", "surrogateescape") for each in (done.stdout, done.stderr)]
    return subprocess.CompletedProcess(done.args, done.returncode, *texts)


def _names(call: str) -> list[str]:
    excluded = {
        "outline": CANNOT_CONVERT,
        "convertllb": CANNOT_CONVERT,
        "targets": CANNOT_PARSE | CRASHES_BUILDKIT,
    }
    left_out = excluded.get(call.partition(",")[0], set())
    return [name for name in NAMES if name not in left_out]


def test_there_are_cases() -> None:
    assert len(NAMES) >= 80
    assert len(_names("outline")) >= 60
    assert len(_names("targets")) >= 60


def _check_text(name: str, found: Form) -> None:
    ours, theirs = (each[name] for each in found.sections)
    if name == "missing-base":
        # Registries are spoken of in our own words; which lines are at fault is the same.
        message = re.compile(r"^error: no-such-image:1: .*\n", re.MULTILINE)
        assert message.search(ours) and message.search(theirs)
        ours, theirs = message.sub("", ours), message.sub("", theirs)
    if name == "unknown-stage":
        # BuildKit knows of no line for this error; we do.
        ours = ours.replace(_excerpt_of_unknown_stage(), "")
    if name == "many":
        # With more than twelve findings BuildKit's order within a line is that of an unstable sort.
        ours, theirs = ("\n".join(sorted(text.split("\n\n"))) for text in (ours, theirs))
    assert ours == theirs


def _excerpt_of_unknown_stage() -> str:
    lines = [*(FOLDER / "unknown-stage.Dockerfile").read_text().splitlines(), ""]
    shown = [f" {n:3d} | {'>>>' if n == 3 else '   '} {line}" for n, line in enumerate(lines, 1)]
    return "\n".join(["unknown-stage.Dockerfile:3", "-" * 20, *shown, "-" * 20, ""])


def _check_json(name: str, found: Form) -> None:
    ours, theirs = (each[name]["check"] for each in found.documents)
    for result in (ours, theirs):
        for source in result["sources"]:
            source["definition"] = _without_session(source["definition"])
        if name in ("missing-base", "unknown-stage"):
            del result["error"]
    if name == "missing-base":
        assert ours["buildError"].pop("message").startswith("no-such-image:1: ")
        assert theirs["buildError"].pop("message").startswith("no-such-image:1: ")
    if name == "unknown-stage":
        assert ours["buildError"].pop("location") == {"ranges": [{"start": {"line": 3}, "end": {"line": 3}}]}
        assert theirs["buildError"].pop("location") == {}
    assert json.dumps(ours) == json.dumps(theirs)


def _without_session(definition: dict[str, Any]) -> dict[str, Any]:
    """The graph that reads the Dockerfile, without digests, which depend on the client's random session id."""
    metadata = sorted(json.dumps(each) for each in definition["metadata"].values())
    return {
        **definition,
        "def": len(definition["def"]),
        "metadata": metadata,
        "Source": len(definition["Source"]),
    }


def _cut(text: str) -> list[str]:
    """The document a target, without the targets whose errors differ."""
    text = re.sub(
        r'"definition": \{.*?\n *\},\n( *)"language"',
        r'"definition": {},\n\1"language"',
        text,
        flags=re.DOTALL,
    )
    targets = re.split(r"^    (?=\")", text, flags=re.MULTILINE)
    return [each for each in targets if not each.startswith(('"missing-base"', '"unknown-stage"'))]


def _outline_text(name: str, found: Form) -> None:
    ours, theirs = (each[name] for each in found.sections)
    if name in SAME_LINE:
        ours, theirs = ("\n".join(sorted(text.splitlines())) for text in (ours, theirs))
    assert ours == theirs


def _outline_json(name: str, found: Form) -> None:
    ours, theirs = (each[name]["outline"] for each in found.documents)
    if name in SAME_LINE:
        for result in (ours, theirs):
            result.get("args", []).sort(key=lambda each: each["name"])
    assert json.dumps(ours) == json.dumps(theirs)


def _targets_text(name: str, found: Form) -> None:
    ours, theirs = (each[name] for each in found.sections)
    assert ours == theirs


def _targets_json(name: str, found: Form) -> None:
    ours, theirs = (each[name]["targets"] for each in found.documents)
    assert json.dumps(ours) == json.dumps(theirs)


def _graph_json(name: str, found: Form) -> None:
    ours, theirs = (each[name]["convertllb"] for each in found.documents)
    assert _normal_graph(ours) == _normal_graph(theirs)


#: How the answers about one case are compared, by form.
FORMS: dict[str, Callable[[str, Form], None]] = {
    "check": _check_text,
    "check,format=json": _check_json,
    "outline": _outline_text,
    "outline,format=json": _outline_json,
    "targets": _targets_text,
    "targets,format=json": _targets_json,
    "convertllb,format=json": _graph_json,
}


@pytest.mark.parametrize("call", FORMS)
def test_same_answers(call: str, tmp_path: Path, registry: Registry, buildkit: BuildKit) -> None:
    """Every case, one after the other, so that a form costs a single run; all that differ are shown."""
    found = _ask(call, tmp_path, registry, buildkit)
    assert found.codes == ((1, 1) if call.startswith("check") else (0, 0))
    if call == "targets,format=json":
        assert found.ours == found.theirs
    if call == "check,format=json":
        # The whole document, but for the graphs that hold random ids, and errors that differ on purpose.
        assert _cut(found.ours) == _cut(found.theirs)
    differing = {}
    for name in found.names:
        try:
            FORMS[call](name, found)
        except AssertionError as error:
            differing[name] = str(error)
    assert not differing, "\n\n".join(f"{name}: {text}" for name, text in differing.items())


def _ask(call: str, root: Path, registry: Registry, buildkit: BuildKit) -> Form:
    """Asks both programs about all cases that can answer a call."""
    project = root / "project"
    shutil.copytree(FOLDER, project)
    fields = json.loads((FOLDER / "cases.json").read_text())
    targets = {name: {"dockerfile": f"{name}.Dockerfile", **fields.get(name, {})} for name in NAMES}
    (project / "docker-bake.json").write_text(json.dumps({"target": targets}))
    words = ["bake", f"--call={call}", *_names(call)]
    theirs = _buildx(buildkit, *words, cwd=project)
    ours = Bakehouse(root / "home", registry).run(*words, cwd=project, check=False)
    return Form(_names(call), ours.stdout, theirs.stdout, (ours.returncode, theirs.returncode))


def test_random_dockerfiles(tmp_path: Path, registry: Registry, buildkit: BuildKit) -> None:
    """The same findings and the same error, drawn by lot. Only how registries and several names are told may differ."""
    lot = Lot(20)
    texts = {f"t{number:03d}": lot.dockerfile() for number in range(120)}
    targets = {name: {"dockerfile": name} for name in texts}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    (tmp_path / ".dockerignore").write_text("ignored\ndir\n")
    (tmp_path / "docker-bake.json").write_text(json.dumps({"target": targets}))
    words = ["bake", "--call=check,format=json", *texts]
    theirs = json.loads(_buildx(buildkit, *words, cwd=tmp_path).stdout)["target"]
    bakehouse = Bakehouse(tmp_path / "home", registry)
    ours = json.loads(bakehouse.run(*words, cwd=tmp_path, check=False).stdout)["target"]
    differing = {
        name: (text, _findings(ours[name]["check"]), _findings(theirs[name]["check"]))
        for name, text in texts.items()
        if _findings(ours[name]["check"]) != _findings(theirs[name]["check"])
    }
    assert differing == {}
    assert len({each["ruleName"] for name in texts for each in ours[name]["check"]["warnings"] or ()}) >= 18
    assert sum("buildError" in ours[name]["check"] for name in texts) >= 20


def _findings(result: dict[str, Any]) -> tuple[list[str], Any]:
    """What was found, and the error. Base images are looked up at once by BuildKit, so that the order of what concerns
    them is by chance; so is that of the rules in the error that stands for findings."""
    error = result.get("buildError")
    if error is not None and error["message"].startswith("lint violation"):
        error = sorted(re.split(r"[:,] ", error["message"]))
    elif error is not None and error["message"].endswith("invalid reference format"):
        error = "the base image of one stage or another"
    return sorted(json.dumps(each) for each in result["warnings"] or ()), error


WARNED = "FROM scratch AS One\n# A is for apple\nARG A=1\nENV a b\n"
BUILD_ARGUMENTS = [
    "--check .",
    "--check sub",
    "--check -f ./sub//other.Dockerfile sub",
    "--check -f - .",
    "--check -f clean.Dockerfile .",
    "--check -f broken.Dockerfile .",
    "--check --target=one .",
    "--check -q .",
    "--check --build-arg=BUILDKIT_DOCKERFILE_CHECK=nonsense .",
    "--check -f missing.Dockerfile .",
    "--call=check,ignorestatus=true .",
    "--call=check,ignorestatus=true -f broken.Dockerfile .",
    "--call=check,format=unknown .",
    "--check --call=outline --check=false .",
    "--call=targets --target=nope .",
    "--call=targets -f broken.Dockerfile .",
    "--call=subrequests.describe .",
    "--call=nonsense .",
    "--call=format=json .",
    "--print=targets,format=json .",
]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Bakehouse:
    return Bakehouse(tmp_path_factory.mktemp("shared") / "home", registry)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    for name in ("Dockerfile", "sub/Dockerfile", "sub/other.Dockerfile"):
        (tmp_path / name).write_text(WARNED)
    (tmp_path / "clean.Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "broken.Dockerfile").write_text(WARNED + "NONSENSE\n")
    return tmp_path


@pytest.mark.parametrize("arguments", BUILD_ARGUMENTS)
def test_build_prints_the_same(arguments: str, project: Path, shared: Bakehouse, buildkit: BuildKit) -> None:
    words = ["build", *arguments.split()]
    text = WARNED.encode() if " - " in arguments else None
    theirs = _buildx(buildkit, *words, cwd=project, input=text)
    ours = shared.run(*words, cwd=project, check=False, input=text)
    assert (ours.returncode, ours.stdout) == (theirs.returncode, theirs.stdout)
    assert _error(ours.stderr) == _error(theirs.stderr)


def _error(text: str) -> str:
    """The error line. The real daemon's refusal of a question states it twice."""
    found = re.search(r"^ERROR: .*$", text, re.MULTILINE)
    return re.sub(r"(unsupported request \S+): \1", r"\1", found[0]) if found else ""


@pytest.mark.parametrize("call", ["check", "outline", "targets", "subrequests.describe"])
@pytest.mark.parametrize("file", ["Dockerfile", "clean.Dockerfile"])
def test_metadata_and_image_id_files_are_the_same(
    call: str, file: str, project: Path, shared: Bakehouse, buildkit: BuildKit
) -> None:
    words = ["build", f"--call={call}", "-f", file, "--metadata-file", "m.json", "--iidfile", "id", "."]
    _buildx(buildkit, *words, cwd=project)
    theirs = _normal_metadata(project)
    shared.run(*words, cwd=project, check=False, env={"BUILDX_METADATA_WARNINGS": "1"})
    assert _normal_metadata(project) == theirs


def _normal_metadata(project: Path) -> tuple[str, str]:
    """The text of the metadata file without the graph that holds random ids, and that of the image ID file."""
    written = (project / "m.json").read_text()
    text = re.sub(
        r'"definition": \{.*?\n *\},\n( *)"language"',
        r'"definition": {},\n\1"language"',
        written,
        flags=re.DOTALL,
    )
    return text, (project / "id").read_text()


DEFINITION = """
group "default" { targets = ["app", "checked", "outlined"] }
group "all" {
  description = "everything <&>"
  targets     = ["default", "plain"]
}
target "app" {
  description       = "the application"
  dockerfile-inline = "FROM scratch AS A\\nENV a b\\n"
}
target "checked" {
  description       = "always checked"
  dockerfile-inline = "FROM scratch AS Lib\\nENV a b\\nFOO\\n"
  call              = "check,format=json,ignorestatus=true"
}
target "outlined" {
  dockerfile-inline = "FROM scratch\\n# X is it\\nARG X=1\\nLABEL a b"
  call              = "outline,format=json"
}
target "plain" {
  dockerfile-inline = "FROM scratch\\nLABEL a=b"
  call              = "build"
}
target "nonsense" {
  dockerfile-inline = "FROM scratch"
  call              = "check,outline"
}
"""
BAKE_ARGUMENTS = [
    "",
    "all",
    "--check all",
    "--call=check,format=json all",
    "--call=check,ignorestatus=true app plain",
    "--call=check,format=json,ignorestatus=true app",
    "--call=outline,format=json all --set checked.call=targets",
    "--call=subrequests.describe,format=json app plain",
    "--call=format=json plain",
    "--set *.call=targets app plain",
    "--set checked.call=build --set outlined.call= --call=build plain outlined",
    "nonsense",
]


@pytest.mark.parametrize("arguments", BAKE_ARGUMENTS)
def test_bake_prints_the_same(arguments: str, tmp_path: Path, shared: Bakehouse, buildkit: BuildKit) -> None:
    (tmp_path / "docker-bake.hcl").write_text(DEFINITION)
    words = ["bake", *arguments.split()]
    theirs = _buildx(buildkit, *words, cwd=tmp_path)
    ours = shared.run(*words, cwd=tmp_path, check=False)
    assert ours.returncode == theirs.returncode
    assert _cut(ours.stdout) == _cut(theirs.stdout)
    assert _error(ours.stderr) == _error(theirs.stderr)


def test_metadata_of_a_mixed_bake(tmp_path: Path, shared: Bakehouse, buildkit: BuildKit) -> None:
    """Answers stand beside the responses of builds, and warnings of builds only where no question was asked by flag."""
    (tmp_path / "docker-bake.hcl").write_text(DEFINITION)
    warnings = {"BUILDX_METADATA_WARNINGS": "1"}
    documents = []
    for words in (["app", "outlined"], ["--call=targets", "app", "outlined"]):
        words = ["bake", "--metadata-file=m.json", *words]
        _buildx(buildkit, *words, cwd=tmp_path)
        theirs = json.loads((tmp_path / "m.json").read_text())
        shared.run(*words, cwd=tmp_path, env=warnings)
        documents.append((json.loads((tmp_path / "m.json").read_text()), theirs))
    (mixed, their_mixed), (asked, their_asked) = documents
    assert mixed["outlined"] == their_mixed["outlined"]
    assert "containerimage.descriptor" in mixed["app"]
    assert mixed["buildx.build.warnings"]
    assert asked == their_asked


def test_linked_targets_need_no_build_for_a_question(tmp_path: Path, offline: Bakehouse) -> None:
    """buildx asks the linked target too, and then has no image to give to the one that links to it. We know the image
    without a build, so what is found concerns the Dockerfiles."""
    (tmp_path / "docker-bake.hcl").write_text(
        'target "app" {\n  dockerfile-inline = "FROM base\\nENV a b\\nCOPY --from=base /x /y\\nRUN echo $SET\\n"\n'
        '  contexts = { base = "target:base" }\n}\n'
        'target "base" {\n  dockerfile-inline = "FROM scratch AS Base\\nWORKDIR /w\\nRUN exit 1\\n"\n}\n'
    )
    done = offline.run("bake", "--check", "app", cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert re.findall(r"WARNING: (\w+)", done.stdout) == ["LegacyKeyValueFormat", "StageNameCasing"]
    assert "WARN" not in done.stderr
    assert "RUN" not in done.stderr


def test_a_broken_linked_target_is_told_once_with_its_lines(tmp_path: Path, offline: Bakehouse) -> None:
    (tmp_path / "docker-bake.hcl").write_text(
        'target "app" {\n  dockerfile-inline = "FROM base\\n"\n  contexts = { base = "target:base" }\n}\n'
        'target "base" {\n  dockerfile-inline = "FROM scratch\\nENV a b\\nNONSENSE\\n"\n}\n'
    )
    done = offline.run("bake", "--check", "app", cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert done.stdout == (
        "app\n\nerror: target base: dockerfile parse error on line 3: unknown instruction: NONSENSE\n\n\n"
        "base\n\nerror: dockerfile parse error on line 3: unknown instruction: NONSENSE\n"
        f"inline:3\n{'-' * 20}\n   1 |     FROM scratch\n   2 |     ENV a b\n   3 | >>> NONSENSE\n   4 |     \n"
        f"{'-' * 20}\n\n"
    )
    refused = offline.run("bake", "--call=outline", "app", cwd=tmp_path, check=False)
    assert refused.returncode == 1 and refused.stdout == ""
    assert "ERROR: target base: failed to solve: dockerfile parse error on line 3" in refused.stderr


def test_a_question_exports_nothing(project: Path, offline: Bakehouse) -> None:
    words = ["build", "--check", "-f", "clean.Dockerfile", "-o", "out", "."]
    assert offline.run(*words, cwd=project).stdout == "Check complete, no warnings found.\n"
    assert not (project / "out").exists()
    assert offline.run("images", "-q").stdout == ""


def _normal_graph(result: dict[str, Any]) -> dict[str, Any]:
    """A graph with digests that do not depend on session ids, and progress groups without their random ids. The order
    of members counts within an op."""
    ops, names = result["def"], {}
    for metadata in result["metadata"].values():
        metadata.get("progress_group", {}).pop("id", None)

    def name_of(digest: str) -> str:
        if digest not in names:
            op = json.loads(json.dumps(ops[digest]))
            for each in op.get("inputs", []):
                each["digest"] = name_of(each["digest"])
            attrs = op.get("source", {}).get("attrs", {})
            if "local.session" in attrs:
                attrs["local.session"] = "session"
            names[digest] = hashlib.sha256(json.dumps(op).encode()).hexdigest()
        return names[digest]

    source = result["source"]
    for info in source.get("infos", []):
        info["definition"] = _without_session(info["definition"])
    return {
        "ops": {
            name_of(digest): (result["metadata"][digest], source["locations"].get(digest)) for digest in ops
        },
        "infos": source.get("infos"),
        "order": [list(ops) == sorted(ops), list(result["metadata"]) == sorted(ops), list(result)],
    }


def test_a_graph_as_text_is_what_buildx_prints_of_any_answer(
    tmp_path: Path, shared: Bakehouse, buildkit: BuildKit
) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\nWORKDIR /<x>\n")
    words = ["build", "--call=convertllb,format=text,ignorestatus=true", "."]
    ours, theirs = (
        re.sub(r'"definition": \{.*?\n *\},\n( *)"language"', r'\1"language"', text, flags=re.DOTALL)
        for text in (shared.run(*words, cwd=tmp_path).stdout, _buildx(buildkit, *words, cwd=tmp_path).stdout)
    )
    assert ours == theirs
    assert ours.startswith('Name:"convertllb" Format:"text" IgnoreStatus:true map[result.json:{\n')
