"""Attestations equal buildx's and BuildKit's, member by member and in the order of members: statements, the manifests
that hold them, files beside exported trees, the metadata file, and what is refused in which words."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support import attested, sources
from tests.support.command import Bakehouse
from tests.support.services import BuildKit, Registry

pytestmark = [pytest.mark.peer, pytest.mark.privileged]

MAX = ["type=provenance,mode=max"]
MIN = ["type=provenance,mode=min"]
_ENVIRON_SECRET = "the-value-of-the-secret"
_ALLOWED = ("network.host", "fs=*", "ssh")


@dataclass(frozen=True)
class Situation:
    """A target: `fields` over a Dockerfile of its own. `output` is `oci`, or attributes of one of the other kinds with
    `DEST` in them; `push` sends it to the registry, with nothing said about attestations."""

    dockerfile: str = "FROM alpine:3.19\nCOPY file /$NAME\nRUN true\n"
    fields: Mapping[str, Any] = field(default_factory=dict)
    attest: list[str] | None = field(default_factory=lambda: list(MAX))
    output: str = "type=oci,dest=DEST.tar"
    files: bool = False


def _files(output: str, **fields: Any) -> Situation:
    return Situation(fields=fields, output=output, files=True)


SBOM = ["type=sbom", "type=provenance,disabled=true"]
#: Writes what a scanner writes, or, as the parameter HOW says, what none should.
SCANNER = r"""#!/bin/sh
set -eu
out=$BUILDKIT_SCAN_DESTINATION
say() {
  kind=https://spdx.dev/Document
  [ "${BUILDKIT_SCAN_HOW:-}" = kind ] && kind=https://slsa.dev/provenance/v1
  subject=
  [ "${BUILDKIT_SCAN_HOW:-}" = subject ] && subject='{"name": "s", "digest": {"sha256": "ab"}}, {"digest": {}}'
  files= n=0
  cd "$2"
  for file in $(find . -type f | grep -v busybox | sort); do
    n=$((n + 1))
    one='"fileName": "'${file#.}'", "SPDXID": "SPDXRef-'$n'", "copyrightText": "NONE",
      "checksums": [{"algorithm": "SHA1", "checksumValue": "'$(sha1sum "$file" | cut -d' ' -f1)'"}]'
    [ $n = 2 ] && one="$one, \"comment\": \"kept\""
    files="$files${files:+,}{$one}"
  done
  told=$(env | grep ^BUILDKIT_SCAN_ | sort | tr '\n"' ';q')$(pwd)
  cat > "$out/$1.spdx.json" <<D
{"_type": "https://in-toto.io/Statement/v0.1", "predicateType": "$kind", "subject": [$subject], "predicate": {
  "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": "$1", "comment": "$told",
  "documentNamespace": "https://scan.example/$1", "files": [$files],
  "creationInfo": {"creators": ["Tool: scan"], "created": "2020-01-01T00:00:00Z"}}}
D
}
case "${BUILDKIT_SCAN_HOW:-}" in
  fail) echo cannot scan >&2; exit 3 ;;
  nothing) exit 0 ;;
  json) echo '{"_type":' > "$out/sbom.spdx.json"; exit 0 ;;
  list) echo '[]' > "$out/sbom.spdx.json"; exit 0 ;;
  two) echo '{} {}' > "$out/sbom.spdx.json"; exit 0 ;;
  directory) mkdir "$out/sbom.spdx.json"; exit 0 ;;
  link) ln -s /etc/passwd "$out/sbom.spdx.json"; exit 0 ;;
esac
say "$(basename "$BUILDKIT_SCAN_SOURCE")" "$BUILDKIT_SCAN_SOURCE"
for extra in ${BUILDKIT_SCAN_SOURCE_EXTRAS:+"$BUILDKIT_SCAN_SOURCE_EXTRAS"/*}; do
  say "$(basename "$extra")" "$extra"
done
"""

TWO = {"platforms": ["linux/amd64", "linux/arm64"]}
COPIES = "FROM scratch\nCOPY file /$NAME\n"
#: Their bases are other targets' too, by another name: what the daemon tells of layers depends on who came first.
ALONE = ("linked-twice", "pull", "context-image", "context-layout", "pinned", "pinned-and-tagged")
SITUATIONS: dict[str, Situation] = {
    "max": Situation(),
    "min": Situation(attest=MIN),
    "full": Situation(attest=["type=provenance,mode=full"]),
    "bare": Situation(attest=["type=provenance"]),
    "v02": Situation(attest=["type=provenance,mode=max,version=v0.2"]),
    "v02-min": Situation(attest=["type=provenance,mode=min,version=v0.2"]),
    "named-builder": Situation(
        attest=["type=provenance,builder-id=https://b.example/1?x=<&>,reproducible=true"]
    ),
    "v02-reproducible": Situation(
        attest=["type=provenance,mode=min,version=v0.2,reproducible=1,builder-id=ü"]
    ),
    "unknown-option": Situation(attest=["type=provenance,mode=min,nonsense=1,inline-only=x"]),
    "inline-only": Situation(attest=["type=provenance,mode=min,inline-only=true"]),
    "args": Situation(
        "ARG V=19\nFROM alpine:3.$V\nARG A=1 B\nENV C=$A\nRUN echo $A$B\nLABEL x=y\n",
        {"args": {"A": "2", "B": "b<c>", "V": "19"}, "labels": {"l": "1", "a.b": "ü"}},
    ),
    "args-min": Situation(
        "FROM alpine:3.19\nARG A\nRUN echo $A\n", {"args": {"A": "2"}, "labels": {"l": "1"}}, MIN
    ),
    "args-v02-min": Situation(
        "FROM alpine:3.19\nARG A\nRUN echo $A\n",
        {"args": {"A": "3"}},
        ["type=provenance,mode=min,version=v0.2"],
    ),
    "stage": Situation(
        "FROM alpine:3.19 AS a\nRUN echo a\nFROM busybox AS b\nRUN echo b\nCOPY --from=a /bin/sh /x\nFROM b\nRUN no",
        {"target": "b"},
    ),
    "no-cache": Situation(COPIES, {"no-cache": True}),
    "no-cache-filter": Situation(
        "FROM scratch AS a\nCOPY file /\nFROM a AS b\nCOPY file /2\n", {"no-cache-filter": ["a", "b"]}
    ),
    "pull": Situation(fields={"pull": True}),
    "network-none": Situation(fields={"network": "none"}),
    "network-host": Situation(fields={"network": "host", "entitlements": ["network.host"]}),
    "steps-without-network": Situation("FROM alpine:3.19\nRUN --network=none true\n"),
    "hosts": Situation(fields={"extra-hosts": {"b.example": "1.2.3.4", "a.example": "::1"}}),
    "limits": Situation(
        fields={
            "ulimits": ["nofile=1024:2048", "core=5", "nofile=1024:4096"],
            "shm-size": "64m",
            "resources": {"memory": "512m", "cpu-shares": 512},
        }
    ),
    "secrets": Situation(
        "FROM alpine:3.19\n"
        "RUN --mount=type=secret,id=z,required=true --mount=type=secret,id=a --mount=type=secret,id=z true\n"
        "RUN --mount=type=secret,id=e,env=E,required=true true\n",
        {"secret": ["id=z,env=SECRET", "id=e,env=SECRET"]},
    ),
    "secrets-min": Situation(
        "FROM alpine:3.19\nRUN --mount=type=secret,id=y true\n", {"secret": ["id=y,env=SECRET"]}, MIN
    ),
    "agents": Situation(
        "FROM alpine:3.19\nRUN --mount=type=ssh true\nRUN --mount=type=ssh,id=o,required=true true\n",
        {"ssh": ["default=$AGENT", "o=$AGENT"]},
    ),
    "mounts": Situation(
        "FROM alpine:3.19\n"
        "RUN --mount=type=cache,target=/c,id=q,sharing=locked --mount=type=tmpfs,target=/t,size=100 "
        "--mount=type=bind,source=sub,target=/m --mount=from=busybox,target=/b true\n"
    ),
    "copies": Situation(
        "FROM alpine:3.19 AS a\nWORKDIR /w\nUSER 1:2\nCOPY --chown=1:2 --chmod=u+x --link file sub /d/\n"
        "COPY --chown=root:root file /e\nCOPY <<A <<B /h/\none\nA\ntwo\nB\n"
        "FROM scratch\nCOPY --parents --exclude=*.no --from=a /d/one /h /\n"
    ),
    "downloads": Situation(
        "FROM scratch\nADD $HTTP/file /\nADD --checksum=sha256:$TOOL $HTTP/tool /t\nADD $GIT#v1 /g\n"
        "ADD --keep-git-dir=true $GIT /h\nADD $HTTP/tree.tar.gz /a\n"
    ),
    "context-directory": Situation(
        "FROM scratch\nCOPY --from=other / /o\n", {"contexts": {"other": "other"}}
    ),
    "context-image": Situation("FROM base\nRUN true\n", {"contexts": {"base": "docker-image://alpine:3.19"}}),
    "context-git": Situation("FROM scratch\nCOPY --from=g /f /\n", {"contexts": {"g": "$GIT#main"}}),
    "context-http": Situation("FROM scratch\nCOPY --from=h / /\n", {"contexts": {"h": "$HTTP/file"}}),
    "context-layout": Situation("FROM lay\nRUN true\n", {"contexts": {"lay": "oci-layout://$LAYOUT"}}),
    "context-unused": Situation(COPIES, {"contexts": {"never": "docker-image://alpine:3.19"}}),
    "linked": Situation("FROM base\nCOPY file /linked\n", {"contexts": {"base": "target:args"}}),
    "linked-min": Situation("FROM base\nCOPY file /l2\n", {"contexts": {"base": "target:args"}}, MIN),
    "linked-twice": Situation(
        "FROM scratch\nCOPY --from=b /linked /l3\nCOPY --from=p /platforms /l4\n",
        {"contexts": {"b": "target:linked", "p": "target:platforms"}},
    ),
    "git": Situation("", {"context": "$GIT", "dockerfile-inline": "FROM scratch\nCOPY f /whole\n"}),
    "git-sub": Situation(
        "", {"context": "$GIT#main:sub", "dockerfile-inline": "FROM scratch\nCOPY deep /\n"}
    ),
    "git-query": Situation(
        "", {"context": "$GIT?ref=v1&subdir=sub", "dockerfile-inline": "FROM scratch\nCOPY deep /q\n"}
    ),
    "git-dockerfile": Situation("", {"context": "$GIT#with-dockerfile", "dockerfile": "inner.Dockerfile"}),
    "git-complete": Situation(
        "",
        {"context": "$GIT#with-dockerfile", "dockerfile": "inner.Dockerfile"},
        ["type=provenance,complete-materials=true"],
    ),
    "web-archive": Situation(
        "", {"context": "$HTTP/tree.tar.gz", "dockerfile-inline": "FROM scratch\nCOPY in /\n"}
    ),
    "web-dockerfile": Situation("", {"context": "$HTTP/web.Dockerfile"}),
    "inline": Situation("", {"dockerfile-inline": "FROM scratch\nCOPY file /inline\n"}),
    "elsewhere": Situation("FROM busybox\nRUN true\n", {"dockerfile": "sub/Other.Dockerfile"}),
    "nothing-read": Situation("FROM busybox\nCMD x\n"),
    "empty": Situation("FROM scratch\nCMD x\n"),
    "ignoring": Situation("FROM scratch\nCOPY . /\n", {"dockerfile": "ignoring.Dockerfile"}),
    "pinned": Situation("FROM alpine@$ALPINE\nRUN true\n"),
    "pinned-and-tagged": Situation(
        "FROM alpine:3.19 AS a\nFROM alpine:3.19@$ALPINE AS b\nFROM busybox\n"
        "COPY --from=a /bin/sh /1\nCOPY --from=b /bin/sh /2\n"
    ),
    "platforms": Situation(COPIES, TWO),
    "platforms-min": Situation("FROM busybox\nCMD b\n", TWO, MIN),
    "platforms-mixed": Situation(
        "FROM --platform=$BUILDPLATFORM alpine:3.19 AS a\nRUN echo > /x\nFROM busybox\nCOPY --from=a /x /\n",
        TWO,
    ),
    "platforms-v02": Situation(COPIES, TWO, ["type=provenance,version=v0.2"]),
    "map-of-one": Situation(COPIES, {"args": {"BUILDKIT_MULTI_PLATFORM": "1"}}),
    "as-argument": Situation(
        COPIES, {"args": {"BUILDKIT_ATTEST_PROVENANCE": "mode=max"}}, ["type=provenance,disabled=true"]
    ),
    "epoch": Situation(COPIES, {"args": {"SOURCE_DATE_EPOCH": "1600000000"}}),
    "names": Situation(COPIES, {"tags": ["one:1", "localhost:5000/a/b:2.0", "u/three"]}),
    "annotated": Situation(COPIES, {"annotations": ["index:a=1", "manifest-descriptor:b=2", "c=3"]}),
    "image-form": Situation(COPIES, output="type=oci,oci-artifact=false,dest=DEST.tar"),
    "image-form-two": Situation(COPIES, TWO, MIN, "type=oci,oci-artifact=false,dest=DEST.tar"),
    "zstd": Situation(output="type=oci,compression=zstd,force-compression=true,dest=DEST.tar"),
    "repository": Situation(
        "FROM busybox\nCOPY f /\n", {"context": "repo/sub", "dockerfile": "../Dockerfile"}
    ),
    "repository-min": Situation("FROM busybox\nCOPY f /r\n", {"context": "repo"}, MIN),
    "repository-contexts": Situation(
        "FROM busybox\nCOPY --from=o f /o\n", {"context": "repo", "contexts": {"o": "repo/sub", "p": "other"}}
    ),
    "default-archive": Situation(COPIES, attest=None),
    "default-archive-two": Situation(COPIES, TWO, None),
    "default-docker": Situation(COPIES, attest=None, output="type=docker,dest=DEST.tar"),
    "default-pushed": Situation(COPIES, attest=None, output="push"),
    "default-pushed-two": Situation(COPIES, TWO, None, "push"),
    "pushed": Situation(COPIES, output="push"),
    "pushed-without": Situation(COPIES, attest=["type=provenance,disabled=true"], output="push"),
    "pushed-not-inline": Situation(COPIES, attest=None, output="push,attestation-inline=false"),
    "files": _files("type=local,dest=DEST"),
    "files-default": Situation(attest=None, output="type=local,dest=DEST", files=True),
    "files-two": _files("type=local,dest=DEST", **TWO),
    "files-merged": Situation(
        "FROM scratch\nARG TARGETARCH\nCOPY file /$TARGETARCH\n",
        TWO,
        MIN,
        "type=local,platform-split=false,dest=DEST",
        True,
    ),
    "files-prefixed": Situation(
        COPIES,
        attest=["type=provenance,filename=p.q.json"],
        output="type=local,attestation-prefix=build-,dest=DEST",
        files=True,
    ),
    "files-empty": Situation("FROM scratch\nCMD x\n", output="type=local,dest=DEST", files=True),
    "tree-tar": Situation(
        "FROM scratch\nCOPY . /\n", output="type=tar,dest=DEST.tar", attest=MIN, files=True
    ),
    "sbom": Situation("FROM busybox\nCOPY file /$NAME\nRUN echo > /z\n", attest=SBOM),
    "sbom-and-provenance": Situation(COPIES, attest=["type=sbom", "type=provenance,mode=max"]),
    "sbom-and-default": Situation(COPIES, attest=["type=sbom"], output="push"),
    "sbom-named": Situation(
        COPIES, attest=['type=sbom,generator=docker/buildkit-syft-scanner:stable-1,A=b,"C=d,e"', SBOM[1]]
    ),
    "sbom-extras": Situation(
        "ARG BUILDKIT_SBOM_SCAN_CONTEXT=true\nFROM scratch AS a\nARG BUILDKIT_SBOM_SCAN_STAGE=true\nCOPY file /$NAME\n"
        "FROM scratch AS unused\nARG BUILDKIT_SBOM_SCAN_STAGE=true\nCOPY file /u\n"
        "FROM scratch\nCOPY --from=a /$NAME /last\nCOPY sub /sub\n",
        attest=SBOM,
    ),
    "sbom-extras-by-argument": Situation(
        "ARG BUILDKIT_SBOM_SCAN_STAGE\nFROM scratch AS a\nCOPY file /$NAME\nFROM scratch AS b\nCOPY --from=a / /\n"
        "FROM scratch\nCOPY --from=b / /\n",
        {"args": {"BUILDKIT_SBOM_SCAN_STAGE": "b"}},
        SBOM,
    ),
    "sbom-two": Situation(COPIES, TWO, SBOM),
    "sbom-of-nothing": Situation("FROM scratch\nCMD x\n", attest=SBOM),
    "sbom-subject": Situation(COPIES, attest=["type=sbom,HOW=subject", SBOM[1]]),
    "sbom-without-any": Situation(COPIES, attest=["type=sbom,HOW=nothing", SBOM[1]]),
    "sbom-no-cache": Situation(COPIES, {"no-cache": True}, SBOM),
    "sbom-as-argument": Situation(COPIES, {"args": {"BUILDKIT_ATTEST_SBOM": "A=1"}}, [SBOM[1]]),
    "sbom-image-form": Situation(
        COPIES,
        attest=["type=sbom", "type=provenance,mode=min"],
        output="type=oci,oci-artifact=false,dest=DEST.tar",
    ),
    "sbom-files": Situation(COPIES, {"tags": ["t:1"]}, ["type=sbom"], "type=local,dest=DEST", True),
    "sbom-files-merged": Situation(
        "FROM scratch\nARG TARGETARCH\nCOPY file /$TARGETARCH\n",
        TWO,
        SBOM,
        "type=local,platform-split=false,dest=DEST",
        True,
    ),
    "sbom-tar": Situation(COPIES, attest=SBOM, output="type=tar,dest=DEST.tar", files=True),
    "tree-tar-two": Situation(COPIES, TWO, MIN, "type=tar,dest=DEST.tar", True),
}


@dataclass
class World:
    """Both builders' results below `root`, with what they printed and their metadata files."""

    root: Path
    registry: Registry
    ours: Bakehouse
    theirs: BuildKit
    places: dict[str, str]
    metadata: dict[str, dict[str, Any]] = field(default_factory=dict)

    def bake(
        self, builder: str, *arguments: str, env: Mapping[str, str] = {}, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        environ = {"SECRET": _ENVIRON_SECRET, **env}
        if builder == "ours":
            return self.ours.run(*arguments, cwd=cwd or self.root, env=environ, check=False)
        whole = dict(os.environ) | {"BUILDX_CONFIG": str(self.theirs.buildx_config)} | environ
        from tests.support.paths import peer

        return subprocess.run(
            [str(peer("buildx")), *arguments], cwd=cwd or self.root, env=whole, capture_output=True, text=True
        )

    def result(self, builder: str, name: str) -> Path:
        return self.root / builder / name


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory, registry: Registry, buildkit: BuildKit
) -> Iterator[World]:
    """Every situation, built by both in one command each."""
    root = tmp_path_factory.mktemp("attested")
    sources.make_files(root / "files")
    (root / "files" / "web.Dockerfile").write_text("FROM busybox\nRUN echo web\n")
    with ExitStack() as stack:
        places = {
            "HTTP": stack.enter_context(sources.serving_files(root / "files")),
            "GIT": stack.enter_context(sources.serving_repository(root / "git")),
            "AGENT": stack.enter_context(sources.serving_agent()),
            "LAYOUT": "layout:latest",
        }
        _prepare(root, registry, places)
        (root / "scanner").mkdir()
        _push_scanner(root / "scanner", registry, buildkit)
        made = World(root, registry, Bakehouse(root / "home", registry), buildkit, places)
        for builder in ("theirs", "ours"):
            _build(made, builder)
        yield made


def _push_scanner(root: Path, registry: Registry, buildkit: BuildKit) -> None:
    """The scanner under the name that is looked up when none is given, and an image that cannot be one."""
    for name, text in (
        (
            "docker/buildkit-syft-scanner:stable-1",
            'COPY --chmod=755 scan /\nWORKDIR /w\nENTRYPOINT ["/scan"]\n',
        ),
        ("docker/no-command:1", "COPY scan /\nENTRYPOINT []\nCMD []\n"),
    ):
        (root / "scan").write_text(SCANNER)
        (root / "Dockerfile").write_text(f"FROM busybox\n{text}")
        buildkit.build(root, f"type=image,push=true,name={registry.host}/{name}")


def _git(directory: Path, *arguments: str) -> str:
    command = [
        "git",
        "-c",
        "user.name=n",
        "-c",
        "user.email=a@b",
        "-c",
        "init.defaultBranch=main",
        *arguments,
    ]
    environ = {"PATH": os.environ["PATH"], "HOME": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    return subprocess.run(
        command, cwd=directory, env=environ, check=True, capture_output=True, text=True
    ).stdout.strip()


def _prepare(root: Path, registry: Registry, places: dict[str, str]) -> None:
    served = root / "git" / "repo.git"
    _git(served, "checkout", "-q", "-b", "with-dockerfile")
    (served / "inner.Dockerfile").write_text("FROM busybox\nCOPY sub /s\n")
    _git(served, "add", ".")
    _git(served, "commit", "-q", "-m", "3")
    _git(served, "checkout", "-q", "main")
    for name in ("context/sub", "other", "repo/sub"):
        (root / name).mkdir(parents=True)
    for name in ("context/file", "context/sub/one", "context/sub/x.no", "other/o", "repo/f", "repo/sub/f"):
        (root / name).write_text(f"{name}\n")
    (root / "context/ignoring.Dockerfile.dockerignore").write_text("sub\n")
    _git(root / "repo", "init", "-q")
    _git(root / "repo", "add", ".")
    _git(root / "repo", "commit", "-q", "-m", "1")
    _git(root / "repo", "remote", "add", "origin", "https://somebody:pass-word@git.example/o/r.git")
    subprocess.run(
        ["skopeo", "copy", "-q", "--src-tls-verify=false", f"docker://{registry.host}/library/alpine:3.19"]
        + [f"oci:{root}/layout:latest"],
        check=True,
        capture_output=True,
    )
    raw = registry.get(
        "library/alpine/manifests/3.19",
        "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json",
    )
    import hashlib

    places["ALPINE"] = "sha256:" + hashlib.sha256(raw).hexdigest()
    places["TOOL"] = hashlib.sha256((root / "files/tool").read_bytes()).hexdigest()


def _targets(world: World, builder: str) -> dict[str, dict[str, Any]]:
    targets = {}
    for name, situation in SITUATIONS.items():
        context = "context"
        fields = dict(situation.fields)
        target: dict[str, Any] = {"context": context, **fields}
        if (
            "dockerfile-inline" not in fields
            and "://" not in str(target["context"])
            and "$" not in target["context"]
        ):
            file = target.setdefault("dockerfile", f"{name}.Dockerfile")
            # Steps of its own: results that two situations shared would have the layers of both.
            text = f"# {name}\n" + situation.dockerfile.replace("RUN true", f"RUN true {name}")
            (world.root / target["context"] / file).write_text(_placed(text, world.places | {"NAME": name}))
        if situation.attest is not None:
            target["attest"] = situation.attest
        dest = f"{builder}/{name}"
        if situation.output.startswith("push"):
            attributes = situation.output.removeprefix("push")
            target["output"] = [
                f"type=image,push=true,name={world.registry.host}/attested/{builder}:{name}{attributes}"
            ]
        else:
            target["output"] = [situation.output.replace("DEST", dest)]
        targets[name] = json.loads(_placed(json.dumps(target), world.places))
    return targets


def _placed(text: str, places: Mapping[str, str]) -> str:
    return re.sub(r"\$([A-Z]+)\b", lambda match: places.get(match[1], match[0]), text)


def _build(world: World, builder: str) -> None:
    (world.root / builder).mkdir()
    definition = world.root / f"{builder}.json"
    definition.write_text(json.dumps({"target": _targets(world, builder)}))
    arguments = ["bake", "-f", definition.name, "--progress=plain", f"--metadata-file={builder}.metadata"]
    arguments += [f"--allow={name}" for name in _ALLOWED]
    told: dict[str, Any] = {}
    for names in ([name for name in SITUATIONS if name not in ALONE], *([name] for name in ALONE)):
        if builder == "theirs":
            # What is in the daemon's cache shows in the layers that it tells of.
            world.theirs.prune()
        done = world.bake(builder, *arguments, *names, env={"BUILDX_METADATA_PROVENANCE": "max"})
        assert done.returncode == 0, done.stderr[-6000:]
        metadata = json.loads((world.root / f"{builder}.metadata").read_text())
        told |= {name: metadata[name] for name in names}
    world.metadata[builder] = told


def _images(world: World, builder: str, name: str) -> list[Any]:
    output = SITUATIONS[name].output
    if output.startswith("push"):
        blobs = attested.registry_blobs(world.registry, f"attested/{builder}", name)
    else:
        blobs = attested.archive_blobs(world.result(builder, f"{name}.tar"))
    # The two push to repositories of their own.
    text = json.dumps(attested.described(*blobs)).replace(f"/attested/{builder}@", "/attested/BUILDER@")
    return json.loads(text)


def _text(value: Any) -> str:
    """Members in their order, for a comparison that shows where two differ."""
    return json.dumps(value, indent=1, ensure_ascii=False)


IMAGES = [name for name, situation in SITUATIONS.items() if not situation.files]
FILES = [name for name, situation in SITUATIONS.items() if situation.files]


@pytest.mark.parametrize("name", IMAGES)
def test_attestations_of_images(world: World, name: str) -> None:
    assert _text(_images(world, "ours", name)) == _text(_images(world, "theirs", name))


@pytest.mark.parametrize("name", FILES)
def test_attestations_of_files(world: World, name: str) -> None:
    assert _text(_exported(world, "ours", name)) == _text(_exported(world, "theirs", name))


def _exported(world: World, builder: str, name: str) -> dict[str, Any]:
    """Every file of an exported tree, by path: its mode, and of a statement what it says."""
    path = world.result(builder, name)
    if SITUATIONS[name].output.startswith("type=tar"):
        with tarfile.open(path.with_name(f"{name}.tar")) as tar:
            found = {
                item.name: (item.mode, tar.extractfile(item).read())
                for item in tar
                if item.isfile()  # type: ignore[union-attr]
            }
    else:
        found = {
            str(each.relative_to(path)): (each.stat().st_mode & 0o777, each.read_bytes())
            for each in sorted(path.rglob("*"))
            if each.is_file() and not each.is_symlink()
        }
    return {
        key: [mode, attested.comparable(json.loads(data), {}) if key.endswith(".json") else ""]
        for key, (mode, data) in sorted(found.items())
    }


@pytest.mark.parametrize("name", SITUATIONS)
def test_provenance_in_the_metadata_file(world: World, name: str) -> None:
    shown = [
        {
            key: attested.predicate(value)
            for key, value in world.metadata[builder][name].items()
            if "provenance" in key
        }
        for builder in ("ours", "theirs")
    ]
    assert shown[0] or name in ("empty", "files-empty", "sbom-of-nothing")
    assert _text(shown[0]) == _text(shown[1])


def test_minimal_provenance_in_the_metadata_file(world: World) -> None:
    """`min` without being asked, none when disabled, whatever the targets attest."""
    names = ["max", "args-min", "platforms", "default-archive"]
    for mode in ("", "min", "disabled", "false", "nonsense"):
        shown = []
        for builder in ("ours", "theirs"):
            arguments = [
                "bake",
                "-f",
                f"{builder}.json",
                "--metadata-file=m",
                "--set=*.output=type=cacheonly",
            ]
            done = world.bake(builder, *arguments, *names, env={"BUILDX_METADATA_PROVENANCE": mode})
            assert done.returncode == 0, done.stderr
            told = json.loads((world.root / "m").read_text())
            shown.append(
                {
                    name: {
                        key: attested.predicate(value)
                        for key, value in members.items()
                        if "provenance" in key
                    }
                    for name, members in told.items()
                }
            )
        assert _text(shown[0]) == _text(shown[1])


def test_no_secret_is_told(world: World) -> None:
    """Neither in what is exported, nor in metadata files: values of secrets, passwords of remotes."""
    told = json.dumps(world.metadata["ours"])
    for name in SITUATIONS:
        if name in FILES:
            told += json.dumps(_exported(world, "ours", name))
        else:
            told += json.dumps(_images(world, "ours", name))
    assert "git.example/o/r.git" in told
    assert "pass-word" not in told
    assert "somebody" not in told
    assert _ENVIRON_SECRET not in told


REFUSED = {
    "unknown-type": ["--attest=type=signature"],
    "no-type": ["--attest=disabled=true"],
    "mode": ["--provenance=mode=some"],
    "version": ["--provenance=version=v2"],
    "empty-version": ["--provenance=version="],
    "reproducible": ["--provenance=reproducible=maybe"],
    "complete-flag": ["--provenance=complete-materials=maybe"],
    "complete": ["--provenance=complete-materials=true"],
    "no-value": ["--provenance=mode"],
    "disabled-text": ["--attest=type=provenance,disabled=maybe"],
    "quotes": ['--attest=type=provenance,"mode=min'],
    "docker-file": ["--provenance=true", "--output=type=docker,dest=d.tar"],
    "docker": ["--provenance=true", "--output=type=docker"],
    "docker-types": ["--provenance=true", "--output=type=oci,oci-mediatypes=false,dest=d.tar"],
    "docker-types-default": ["--output=type=image,oci-mediatypes=false,name=x"],
    "empty-generator": ["--sbom=generator="],
    "generator": ["--attest=type=sbom,generator=NO::x"],
    "no-command": ["--sbom=generator=docker/no-command:1"],
    "scan-fails": ["--sbom=HOW=fail"],
    "other-kind": ["--sbom=HOW=kind"],
    "docker-sbom": ["--sbom=true", "--output=type=docker"],
    "default-switch": ["@BUILDX_NO_DEFAULT_ATTESTATIONS=maybe"],
    "artifact-switch": ["@BUILDX_NO_DEFAULT_OCI_ARTIFACT=maybe"],
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_the_same_words(world: World, name: str) -> None:
    flags = [flag for flag in REFUSED[name] if not flag.startswith("@")]
    environ = dict(flag[1:].split("=", 1) for flag in REFUSED[name] if flag.startswith("@"))
    if not any(flag.startswith("--output") for flag in flags):
        flags.append("--output=type=oci,dest=refused.tar")
    said = []
    for builder in ("ours", "theirs"):
        done = world.bake(
            builder,
            "build",
            "--progress=plain",
            "-f",
            "context/max.Dockerfile",
            *flags,
            "context",
            env=environ,
        )
        assert done.returncode == 1, done.stderr
        said.append(re.sub(r"\nhint: .*", "", done.stderr[done.stderr.rindex("ERROR: ") :]).strip())
    assert said[0] == said[1]
    assert not (world.root / "refused.tar").exists()


BROKEN = {
    "json": "cannot decode in-toto statement",
    "list": "cannot decode in-toto statement",
    "two": "in-toto statement is not a single JSON object",
    "directory": "not a regular file",
    "link": "no such file or directory",
}


@pytest.mark.parametrize("how", BROKEN)
def test_what_a_scanner_writes_is_looked_at(world: World, how: str) -> None:
    """Neither builder exports anything, and what they say has the same heart; details are Go's and ours."""
    for builder in ("ours", "theirs"):
        flags = [f"--sbom=HOW={how}", "--output=type=oci,dest=refused.tar", "-f", "context/max.Dockerfile"]
        done = world.bake(builder, "build", "--progress=plain", *flags, "context")
        assert done.returncode == 1, done.stderr
        assert BROKEN[how] in done.stderr[done.stderr.rindex("ERROR: ") :]
        assert not (world.root / "refused.tar").exists()


def test_switches_of_the_environment(world: World) -> None:
    """What `BUILDX_NO_DEFAULT_ATTESTATIONS` and `BUILDX_NO_DEFAULT_OCI_ARTIFACT` do to what is pushed."""
    for number, environ in enumerate(
        (
            {"BUILDX_NO_DEFAULT_ATTESTATIONS": "1"},
            {"BUILDX_NO_DEFAULT_ATTESTATIONS": "false"},
            {"BUILDX_NO_DEFAULT_OCI_ARTIFACT": "true"},
            {"BUILDX_GIT_INFO": "0"},
            {"BUILDX_GIT_CHECK_DIRTY": "1"},
            {"BUILDX_GIT_LABELS": "full"},
        )
    ):
        shown = []
        for builder in ("ours", "theirs"):
            name = f"{world.registry.host}/switched/{builder}:{number}"
            done = world.bake(builder, "build", "-t", name, "--push", "repo", env=environ)
            assert done.returncode == 0, done.stderr
            shown.append(
                attested.described(
                    *attested.registry_blobs(world.registry, f"switched/{builder}", str(number))
                )
            )
        assert _text(shown[0]).replace("/ours", "") == _text(shown[1]).replace("/theirs", "")


def test_what_stays_here_bears_only_what_was_asked_for(world: World) -> None:
    """An image for the local store alone is the same each time, unless it shall be attested."""
    digests = []
    for flags in ((), (), ("--provenance=true",)):
        world.ours.run("build", "-t", "kept:1", "--metadata-file=m", *flags, "repo", cwd=world.root)
        digests.append(json.loads((world.root / "m").read_text())["containerimage.descriptor"])
    assert digests[0] == digests[1]
    assert digests[0]["mediaType"].endswith("manifest.v1+json")
    assert digests[2]["mediaType"] == attested.INDEX
    shutil.rmtree(world.root / "repo2", ignore_errors=True)
    assert (
        world.ours.run("run", "--network=none", "kept:1", "echo", "runs", cwd=world.root).stdout == "runs\n"
    )
