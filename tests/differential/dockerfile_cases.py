"""Dockerfile cases (`tests/cases/dockerfile/SECTION/CASE/`) and both frontends' answers to them.

A case is a `Dockerfile`, an optional `.dockerignore`, and an optional `request.json` with `options` (BuildKit's
frontend options), `images` (names of `IMAGES` by reference), `locals` (files of named client directories), `inputs`
(result names to Dockerfiles that make them), `session_id`, `build_platform` and `ignored_caps`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bakehouse.dockerfile.ignore import read_ignore_file
from bakehouse.dockerfile.lowering import Lowered, lower, parse_options
from bakehouse.dockerfile.lowering.request import LowerRequest
from bakehouse.errors import BakehouseError, NotFoundError
from bakehouse.llb.decode import decode_definition
from bakehouse.llb.encode import encode_definition
from bakehouse.llb.ops import SourceOp
from bakehouse.oci.platform import Platform

CASES = Path(__file__).resolve().parents[1] / "cases" / "dockerfile"
SESSION = "session0000000000000000000"

_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def _config(architecture: str = "amd64", **members: Any) -> dict[str, Any]:
    config = {
        "created": "2024-01-02T03:04:05.600Z",
        "architecture": architecture,
        "os": "linux",
        "config": {"Env": [_PATH], "Cmd": ["/bin/sh"]},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "1" * 64]},
        "history": [
            {"created": "2024-01-02T03:04:05.6Z", "created_by": "ADD rootfs.tar / # buildkit"},
            {"created": "2024-01-02T03:04:05Z", "created_by": 'CMD ["/bin/sh"]', "empty_layer": True},
        ],
    }
    config.update(members)
    return config


#: Image configs that cases may name.
IMAGES: dict[str, dict[str, Any]] = {
    "plain": _config(),
    "arm64": _config("arm64"),
    "armv7": _config("arm", variant="v7"),
    "rich": _config(
        author="somebody <a@b>",
        config={
            "User": "1000:1000",
            "ExposedPorts": {"80/tcp": {}},
            "Env": ["A=1", _PATH, "EMPTY=", "B=x=y", "NOVALUE"],
            "Entrypoint": ["/entry"],
            "Cmd": ["serve", "<&>"],
            "Volumes": {"/data": {}},
            "WorkingDir": "/srv/app",
            "Labels": {"b": "2", "a": "1"},
            "StopSignal": "SIGQUIT",
            "ArgsEscaped": True,
            "Healthcheck": {"Test": ["CMD", "x"], "Interval": 1000000000, "Retries": 3},
            "Shell": ["/bin/bash", "-c"],
            "Domainname": "dropped",
        },
        **{"os.version": "1.2", "container": "dropped"},
    ),
    "triggers": _config(
        config={"Env": [_PATH], "OnBuild": ["ARG T=1", "COPY . /app", "RUN make T=$T"]},
    ),
    "trigger-from": _config(config={"Env": [_PATH], "OnBuild": ["COPY --from=other /a /b"]}),
    "bad-trigger": _config(config={"Env": [_PATH], "OnBuild": ["FOO bar"]}),
    "relative": _config(config={"WorkingDir": "rel", "Env": ["X=1"]}),
    "empty": _config(rootfs={"type": "layers", "diff_ids": []}, history=[]),
    "windows": {
        "architecture": "amd64",
        "os": "windows",
        "os.version": "10.0.17763.1",
        "config": {"WorkingDir": "C:\\\\app", "User": "ContainerUser"},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "2" * 64]},
    },
}


def digest_of(name: str) -> str:
    return "sha256:" + hashlib.sha256(name.encode()).hexdigest()


@dataclass(frozen=True)
class Case:
    """One case folder, read."""

    path: Path
    dockerfile: bytes
    dockerignore: bytes | None
    options: dict[str, str] = field(default_factory=dict)
    images: dict[str, str] = field(default_factory=dict)
    locals: dict[str, dict[str, str]] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    session_id: str = SESSION
    build_platform: str = "linux/amd64"
    ignored_caps: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return str(self.path.relative_to(CASES))


def load_case(path: Path) -> Case:
    request: dict[str, Any] = {}
    if (path / "request.json").exists():
        request = json.loads((path / "request.json").read_text())
    ignore = path / ".dockerignore"
    if "ignored_caps" in request:
        request["ignored_caps"] = tuple(request["ignored_caps"])
    return Case(
        path, (path / "Dockerfile").read_bytes(), ignore.read_bytes() if ignore.exists() else None, **request
    )


def all_cases() -> list[Case]:
    return [load_case(path.parent) for path in sorted(CASES.glob("*/*/Dockerfile"))]


def images_of(case: Case) -> dict[str, tuple[str, bytes]]:
    """Digest and config by reference. `plain`, `rich` and the like are there without being named."""
    named = {f"docker.io/library/{name}:latest": name for name in IMAGES} | case.images
    return {ref: (digest_of(name), json.dumps(IMAGES[name]).encode()) for ref, name in named.items()}


class CaseResolver:
    """The image look-ups of a case, with a record of what was asked."""

    def __init__(self, case: Case) -> None:
        self._images = images_of(case)
        self.lookups: list[str] = []

    def resolve_image_config(
        self, ref: str, platform: Platform | None, mode: str, *, log_name: str = "", oci_store: str = ""
    ) -> tuple[str, str, bytes]:
        shown = "" if platform is None else platform.format_all()
        self.lookups.append(f"{ref}|{shown}|{log_name}")
        for key in (f"{ref}|{shown}", ref):
            if key in self._images:
                digest, config = self._images[key]
                return ref, digest, config
        raise NotFoundError(f"{ref}: not found")


def request_of(case: Case) -> LowerRequest:
    """The request as the embedded engine would make it."""
    edges = {name: decode_definition(_input_definition(text)).edge for name, text in case.inputs.items()}
    ignore = read_ignore_file(case.dockerignore) if case.dockerignore is not None else []

    def read_local(name: str, path: str) -> bytes | None:
        content = case.locals.get(name, {}).get(path)
        return None if content is None else content.encode()

    return parse_options(
        case.options,
        dockerfile=case.dockerfile,
        input_edges=edges,
        session_id=case.session_id,
        build_platforms=(Platform.parse(case.build_platform),),
        dockerignore=tuple(ignore),
        read_local=read_local,
        ignored_caps=frozenset(case.ignored_caps),
    )


def _input_definition(dockerfile: str) -> bytes:
    """The graph of another Dockerfile, as an input of a case."""
    case = Case(CASES, dockerfile.encode(), None)
    lowered = lower(request_of(case), CaseResolver(case))
    return encode_definition(lowered.platforms[0].edge)


@dataclass(frozen=True)
class OurAnswer:
    lowered: Lowered | None
    error: str
    excerpt: str | None
    lookups: list[str]


def our_answer(case: Case) -> OurAnswer:
    resolver = CaseResolver(case)
    try:
        lowered = lower(request_of(case), resolver)
    except BakehouseError as error:
        return OurAnswer(None, error.message, error.excerpt, sorted(resolver.lookups))
    return OurAnswer(lowered, "", None, sorted(resolver.lookups))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


class Peer:
    """The helper process. `ask` gives BuildKit's answer to a case."""

    def __init__(self, binary: Path) -> None:
        self._process = subprocess.Popen(
            [str(binary)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=False
        )

    def ask(self, case: Case) -> dict[str, Any]:
        context: dict[str, bytes] = {} if case.dockerignore is None else {".dockerignore": case.dockerignore}
        files = {
            "dockerfile": {case.options.get("filename", "Dockerfile"): case.dockerfile},
            "context": context,
        }
        if "dockerfilekey" in case.options:
            files[case.options["dockerfilekey"]] = files["dockerfile"]
        for name, texts in case.locals.items():
            files[name] = {path: text.encode() for path, text in texts.items()}
        request = {
            "options": case.options,
            "locals": {
                name: {path: _base64(data) for path, data in each.items()} for name, each in files.items()
            },
            "images": {
                ref: {"digest": digest, "config": _base64(config)}
                for ref, (digest, config) in images_of(case).items()
            },
            "inputs": {name: _base64(_input_definition(text)) for name, text in case.inputs.items()},
            "session_id": case.session_id,
            "build_platform": case.build_platform,
            "sources": {key: {"content": _base64(case.dockerfile)} for key in _source_keys(case)},
            "ignored_caps": list(case.ignored_caps),
        }
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the peer died"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def _source_keys(case: Case) -> list[str]:
    """The identifier of a remote main context, from which the peer reads the Dockerfile."""
    from bakehouse.dockerfile.lowering.contexts import _remote_root

    if "context" not in case.options:
        return []
    try:
        root = _remote_root(request_of(case))
    except BakehouseError:
        return []  # then the peer fails too, before it reads anything
    assert root is not None
    edge = root.seal()
    assert edge is not None and isinstance(edge.vertex.op, SourceOp)
    return [edge.vertex.op.identifier]
