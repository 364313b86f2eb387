"""A build under a source policy ends as it does with buildx and BuildKit: with the same files, or the same words.

Every situation is one build with both tools, four at a time.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bakehouse.engine.policy.reading import read_policy
from bakehouse.errors import DefinitionError
from tests.support import bases
from tests.support.command import Bakehouse
from tests.support.gitrepos import SampleRepository, commit, git, sample_repository
from tests.support.services import BuildKit, Registry
from tests.support.sshserver import make_key
from tests.support.tars import members
from tests.support.web import WebServer, running_web_server

pytestmark = [pytest.mark.peer, pytest.mark.privileged]

BUSYBOX = "docker-image://docker.io/library/busybox:latest"
ALPINE = "docker-image://docker.io/library/alpine:latest"
REPOSITORY = "http://{web}/git/app.git"
FROM_BUSYBOX = "FROM busybox\n"
ADD_FILE = "FROM scratch\nADD http://{web}/one /\n"
ADD_GIT = f"FROM scratch\nADD {REPOSITORY}#mytag /\n"
COPY_ALL = "FROM scratch\nCOPY . /\n"


@dataclass(frozen=True)
class Situation:
    """A build: `fields` are those of a Bake target, `policy` what stands in a file of rules. Where
    both tools refuse, but ours in `own_words`, these are not compared. `{web}` is the server."""

    id: str
    policy: Any
    dockerfile: str | None = FROM_BUSYBOX
    fields: dict[str, Any] = field(default_factory=dict)
    own_words: bool = False
    files: dict[str, str] = field(default_factory=dict)


def rego(id: str, text: str, dockerfile: str | None = FROM_BUSYBOX, /, **fields: Any) -> Situation:
    """A build whose context holds the policy `p.rego`, and `files` besides."""
    files = {
        "p.rego": text if text.startswith("package") else f"package docker\n\n{text}\n",
        **fields.pop("files", {}),
    }
    own_words = fields.pop("own_words", False)
    fields.setdefault("policy", [{"filename": "p.rego"}])
    return Situation(id, None, dockerfile, fields, own_words, files)


def beside(id: str, text: str, dockerfile: str = FROM_BUSYBOX, /, **fields: Any) -> Situation:
    """A build whose Dockerfile has a policy beside it."""
    name = fields.get("dockerfile", "Dockerfile")
    files = {name: dockerfile, f"{name}.rego": f"package docker\n\n{text}\n", **fields.pop("files", {})}
    return Situation(id, None, None, fields, False, files)


def rule(action: str | int | None, identifier: Any, to: Any = None, **selector: Any) -> dict[str, Any]:
    out: dict[str, Any] = {"selector": {"identifier": identifier, **selector}}
    if action is not None:
        out["action"] = action
    if isinstance(to, str):
        out["updates"] = {"identifier": to}
    elif to is not None:
        out["updates"] = to
    return out


def deny(identifier: str, **selector: Any) -> dict[str, Any]:
    return rule("DENY", identifier, **selector)


def allow(identifier: str, **selector: Any) -> dict[str, Any]:
    return rule("ALLOW", identifier, **selector)


def convert(identifier: str, to: Any, **selector: Any) -> dict[str, Any]:
    return rule("CONVERT", identifier, to, **selector)


def having(key: str, value: str, condition: str | int = "EQUAL") -> dict[str, Any]:
    return {"key": key, "value": value, "condition": condition}


def rules(*given: dict[str, Any]) -> dict[str, Any]:
    return {"version": 1, "rules": list(given)}


def situation(
    id: str, *given: dict[str, Any], dockerfile: str | None = FROM_BUSYBOX, **fields: Any
) -> Situation:
    return Situation(id, rules(*given), dockerfile, fields)


EVERYTHING = deny("*")
SITUATIONS = [
    # Which rule counts.
    situation("no-rules"),
    situation("deny-exactly", deny(BUSYBOX, match_type="EXACT")),
    situation("deny-equal-text", deny(BUSYBOX)),
    situation("deny-another", deny(ALPINE)),
    situation("deny-wildcard", deny("docker-image://*")),
    situation("deny-wildcard-inside", deny("docker-image://*/library/busybox:*")),
    situation(
        "deny-wildcard-is-anchored", deny("docker.io/library/*"), deny("docker-image://docker.io/library/")
    ),
    situation("deny-exact-is-no-wildcard", deny("docker-image://*", match_type="EXACT")),
    situation("deny-regex", deny("busy.ox", match_type="REGEX")),
    situation("deny-regex-anchored", deny("^busybox", match_type="REGEX")),
    situation("deny-then-allow", EVERYTHING, allow(BUSYBOX), allow("local://*")),
    situation("allow-then-deny", allow(BUSYBOX), deny(BUSYBOX)),
    situation("allow-deny-allow", allow(BUSYBOX), deny(BUSYBOX), allow("*")),
    situation("action-left-out", deny(BUSYBOX), rule(None, BUSYBOX)),
    situation("action-by-number", rule(1, BUSYBOX)),
    situation("match-type-by-number", deny("busyb.x", match_type=2)),
    situation("match-type-null", deny("docker-image://*", match_type=None)),
    Situation("names-in-any-case", {"RULES": [{"Action": "DENY", "SELECTOR": {"Identifier": BUSYBOX}}]}),
    Situation("unknown-members", {"comment": {}, "rules": [{"why": 1, **deny(BUSYBOX)}]}),
    Situation("null-rules", {"rules": None}),
    Situation("null", None),
    Situation("empty-file", ""),
    Situation("in-protobuf", b"\x12\x35\x08\x01\x12\x31\x0a\x2f" + BUSYBOX.encode()),
    # Constraints on attributes.
    situation(
        "constraint-holds", deny("http*", constraints=[having("http.filename", "one")]), dockerfile=ADD_FILE
    ),
    situation(
        "constraint-fails", deny("http*", constraints=[having("http.filename", "two")]), dockerfile=ADD_FILE
    ),
    situation(
        "constraint-not-equal",
        deny("http*", constraints=[having("http.filename", "two", "NOTEQUAL")]),
        dockerfile=ADD_FILE,
    ),
    situation(
        "constraint-matches",
        deny("http*", constraints=[having("http.filename", "^o.e$", "MATCHES")]),
        dockerfile=ADD_FILE,
    ),
    situation(
        "constraints-all", deny("http*", constraints=[having("a", ""), having("b", "c")]), dockerfile=ADD_FILE
    ),
    situation(
        "constraint-of-a-missing-attribute", deny("http*", constraints=[having("a", "")]), dockerfile=ADD_FILE
    ),
    situation("constraint-by-number", deny("http*", constraints=[having("a", "", 1)]), dockerfile=ADD_FILE),
    situation("constraint-null", deny(BUSYBOX, constraints=[None])),
    situation("constraint-no-regex", deny(BUSYBOX, constraints=[having("a", "(", "MATCHES")])),
    # What is used instead.
    situation("convert-image", convert(BUSYBOX, ALPINE)),
    situation(
        "convert-wildcard",
        convert("docker-image://docker.io/library/busybox:*", "docker-image://docker.io/library/alpine:${1}"),
    ),
    situation(
        "convert-wildcard-group",
        convert("docker-image://*/busy*:latest", "docker-image://$1/alpine:latest", match_type="WILDCARD"),
    ),
    situation(
        "convert-regex",
        convert(r"^(docker-image://.*)/busybox(:latest).*$", "$1/alpine$2", match_type="REGEX"),
    ),
    situation("convert-regex-name", convert(r"/(?P<n>busy)box", "/alpine", match_type="REGEX")),
    situation("convert-regex-in-the-middle", convert("busybox", "alpine", match_type="REGEX")),
    situation(
        "convert-exact-keeps-dollars",
        convert(BUSYBOX, "docker-image://docker.io/library/$1", match_type="EXACT"),
    ),
    situation("convert-pin", convert(BUSYBOX, "docker-image://docker.io/library/alpine:latest@{alpine}")),
    situation(
        "convert-wrong-pin",
        convert(BUSYBOX, "docker-image://{registry}/library/alpine:latest@sha256:" + "0" * 64),
    ),
    situation(
        "convert-chain",
        convert(BUSYBOX, "docker-image://docker.io/library/nowhere:v1"),
        convert("docker-image://*/nowhere:*", ALPINE),
    ),
    situation(
        "convert-then-deny", convert(BUSYBOX, ALPINE), deny("docker-image://docker.io/library/alpine*")
    ),
    situation("deny-then-convert", deny(BUSYBOX), convert(BUSYBOX, ALPINE)),
    situation("convert-allow-deny", deny("*busybox*"), convert(BUSYBOX, ALPINE), deny(ALPINE), allow(ALPINE)),
    situation("convert-to-itself", convert(BUSYBOX, BUSYBOX), deny(ALPINE)),
    situation("convert-in-circles", convert(BUSYBOX, ALPINE), convert(ALPINE, BUSYBOX)),
    situation("convert-growing", convert("docker-image://*", "docker-image://a/${1}")),
    situation("convert-without-updates", rule("CONVERT", BUSYBOX)),
    situation("convert-with-empty-updates", convert(BUSYBOX, {})),
    situation("convert-no-regex", convert("(", ALPINE, match_type="REGEX")),
    situation("convert-two-stars", convert("docker-image://**", ALPINE)),
    situation(
        "convert-two-stars-equal", convert("docker-image://docker.io/library/bus**", ALPINE), deny(ALPINE)
    ),
    situation("convert-without-a-tag", convert(BUSYBOX, "docker-image://docker.io/library/alpine")),
    situation("convert-unknown-image", convert(BUSYBOX, "docker-image://{registry}/nowhere:v1")),
    Situation("convert-no-reference", rules(convert(BUSYBOX, "docker-image://UPPER:x")), own_words=True),
    Situation(
        "convert-no-image", rules(convert(BUSYBOX, "docker-image://docker.io/library/a b:x")), own_words=True
    ),
    situation("convert-image-to-file", convert(BUSYBOX, "http://{web}/one")),
    situation("convert-unused-rule", rule("CONVERT", ALPINE)),
    situation("unknown-scheme", convert("http://{web}/one", "ftp://{web}/one"), dockerfile=ADD_FILE),
    # Files and repositories.
    situation("convert-file", convert("http://{web}/one", "http://{web}/two"), dockerfile=ADD_FILE),
    situation(
        "file-checksum",
        convert("http://{web}/one", {"attrs": {"http.checksum": "{one}"}}),
        dockerfile=ADD_FILE,
    ),
    situation(
        "file-wrong-checksum",
        convert("http://{web}/one", {"attrs": {"http.checksum": f"sha256:{'0' * 64}"}}),
        dockerfile=ADD_FILE,
    ),
    situation(
        "file-name",
        convert("http://{web}/*", {"identifier": "http://{web}/${1}", "attrs": {"http.filename": "f"}}),
        dockerfile="FROM scratch\nADD http://{web}/one /x\n",
    ),
    situation("deny-file", deny("http://{web}/*"), dockerfile=ADD_FILE),
    situation("deny-git", deny("git://{web}/git/app.git#mytag"), dockerfile=ADD_GIT),
    situation("deny-git-by-scheme", deny("git://http*"), dockerfile=ADD_GIT),
    situation(
        "deny-git-by-url",
        deny("git://*", constraints=[having("git.fullurl", REPOSITORY)]),
        dockerfile=ADD_GIT,
    ),
    situation(
        "convert-git-ref",
        convert("git://{web}/git/app.git#mytag", "git://{web}/git/app.git#mybranch"),
        dockerfile=ADD_GIT,
    ),
    situation(
        "convert-git-other",
        convert("git://{web}/git/app.git#mytag", "git://{web}/git/module.git"),
        dockerfile=ADD_GIT,
    ),
    situation(
        "convert-git-other-and-url",
        convert(
            "git://{web}/git/app.git#mytag",
            {
                "identifier": "git://{web}/git/module.git",
                "attrs": {"git.fullurl": "http://{web}/git/module.git"},
            },
        ),
        dockerfile=ADD_GIT,
    ),
    situation(
        "git-checksum",
        convert("git://*", {"identifier": "git://$1", "attrs": {"git.checksum": "{commit}"}}),
        dockerfile=ADD_GIT,
    ),
    situation(
        "git-wrong-checksum",
        convert("git://*", {"identifier": "git://$1", "attrs": {"git.checksum": "0" * 40}}),
        dockerfile=ADD_GIT,
    ),
    # What the frontend and the client read.
    situation("deny-dockerfile", deny("local://dockerfile"), dockerfile=COPY_ALL),
    situation("deny-context", deny("local://context"), dockerfile=COPY_ALL),
    situation("deny-context-unused", deny("local://context")),
    situation(
        "deny-named-directory",
        deny("local://src"),
        dockerfile="FROM scratch\nCOPY --from=src . /\n",
        contexts={"src": "dir"},
    ),
    situation("deny-everything", EVERYTHING),
    situation("deny-all-but-images", EVERYTHING, allow("docker-image://*")),
    situation("deny-remote-context", deny("git://*"), dockerfile=None, context=REPOSITORY + "#mytag"),
    situation(
        "convert-remote-context",
        convert("git://*#mytag", "git://$1#main"),
        dockerfile=None,
        context=REPOSITORY + "#mytag",
    ),
    situation("deny-archive", deny("http://*"), dockerfile=None, context="http://{web}/context.tar"),
    situation(
        "convert-archive",
        convert("http://{web}/context.tar", "http://{web}/other.tar"),
        dockerfile=None,
        context="http://{web}/context.tar",
    ),
    situation(
        "deny-named-image",
        deny("*busybox*"),
        dockerfile="FROM scratch\nCOPY --from=src /etc/passwd /\n",
        contexts={"src": "docker-image://busybox"},
    ),
    situation(
        "convert-named-image",
        convert(BUSYBOX, ALPINE),
        dockerfile="FROM scratch\nCOPY --from=src /etc /\n",
        contexts={"src": "docker-image://busybox"},
    ),
    situation(
        "deny-layout",
        deny("oci-layout://*"),
        dockerfile="FROM scratch\nCOPY --from=src /etc/passwd /\n",
        contexts={"src": "oci-layout://layout:latest"},
    ),
    situation("deny-copied-image", deny(ALPINE), dockerfile="FROM busybox\nCOPY --from=alpine /etc /etc\n"),
    situation("deny-unused-stage", deny(ALPINE), dockerfile="FROM alpine AS unused\nFROM busybox\n"),
    situation(
        "deny-mounted-image",
        deny(ALPINE),
        dockerfile='FROM busybox\nRUN --mount=from=alpine,target=/m ["true"]\n',
    ),
    situation(
        "convert-and-run",
        convert(BUSYBOX, ALPINE),
        dockerfile='FROM busybox\nRUN ["touch", "/made"]\nCOPY f /\n',
    ),
    situation("failing-step", convert(BUSYBOX, ALPINE), dockerfile='FROM busybox\n# why\nRUN ["false"]\n'),
    situation("deny-one-of-two-platforms", deny("*busybox*"), platforms=["linux/amd64"]),
    situation("deny-syntax-image", deny("*dockerfile*"), dockerfile="FROM busybox\n"),
]

ALLOW = "default allow := false\nallow if input.local\n"
DECIDES = 'decision := {"allow": allow, "deny_msg": deny_msg}\n'
SAYS = 'deny_msg contains msg if {\n\tnot allow\n\tmsg := sprintf("%s is not for us", [input.image.ref])\n}\n'
ALL = 'decision := {"allow": true}'


def checks(condition: str) -> str:
    """A policy that allows directories, and images under a condition."""
    return ALLOW + f"allow if {{\n\tinput.image\n\t{condition}\n}}\n" + 'decision := {"allow": allow}\n'


def sources(condition: str) -> str:
    """A policy that allows directories and images, and files and repositories under a condition."""
    return (
        ALLOW
        + f"allow if input.image\nallow if {{\n\tnot input.image\n\t{condition}\n}}\n"
        + 'decision := {"allow": allow}\n'
    )


SIGNED = ADD_GIT.replace("mytag", "signed")
PGP_SIGNED = ADD_GIT.replace("mytag", "pgp")
FORGED = ADD_GIT.replace("mytag", "forged")


def signed(file: str) -> str:
    return sources(f'verify_git_signature(input.git.commit, "{file}")')


REGO = [
    rego("rego-allow", ALL),
    rego("rego-deny", 'decision := {"allow": false}'),
    rego("rego-deny-says", ALLOW + SAYS + DECIDES),
    rego("rego-says-two", ALLOW + 'deny_msg := ["one", "", 2, "two"]\n' + DECIDES),
    rego("rego-no-allow", "decision := {}"),
    rego("rego-allow-no-boolean", 'decision := {"allow": "yes"}', own_words=True),
    rego("rego-no-decision", "allow := true", own_words=True),
    rego("rego-decision-undefined", 'decision := {"allow": true} if input.nope', own_words=True),
    rego("rego-decision-no-object", "decision := true", own_words=True),
    rego("rego-another-package", "package other\n\n" + ALL, own_words=True),
    rego("rego-syntax-error", "decision := {", own_words=True),
    rego("rego-unknown-function", 'decision := {"allow": nope(1)}', own_words=True),
    rego("rego-conflict", 'decision := {"allow": true}\ndecision := {"allow": false}', own_words=True),
    rego("rego-imports-v1", "import rego.v1\n\n" + ALL),
    rego("rego-unknown-cap", 'decision := {"allow": true, "caps": {"fly": true}}', own_words=True),
    rego("rego-cap-off", 'decision := {"allow": true, "caps": {"exec.proxy": false}}'),
    # What a policy is told of images.
    rego("rego-repo", checks('input.image.repo == "busybox"')),
    rego("rego-repo-another", checks('input.image.repo == "alpine"')),
    rego("rego-ref", checks('input.image.ref == "docker.io/library/busybox:latest"')),
    rego("rego-full-repo", checks('input.image.fullRepo == "docker.io/library/busybox"')),
    rego("rego-host", checks('input.image.host == "docker.io"')),
    rego("rego-tag", checks('input.image.tag == "latest"')),
    rego("rego-platform", checks('input.image.platform == concat("/", [input.image.os, input.image.arch])')),
    rego("rego-not-canonical", checks("not input.image.isCanonical")),
    rego("rego-checksum", checks('startswith(input.image.checksum, "sha256:")')),
    rego("rego-checksum-value", checks('input.image.checksum == "{busybox}"')),
    rego("rego-checksum-other", checks('input.image.checksum == "{alpine}"')),
    rego("rego-env", checks('some v in input.image.env; startswith(v, "PATH=")')),
    rego("rego-labels", checks("not input.image.labels.nope")),
    rego("rego-user", checks("not input.image.user")),
    rego("rego-working-dir", checks('input.image.workingDir == "/nowhere"')),
    rego("rego-created", checks("input.image.createdTime")),
    rego("rego-created-after-labels", checks("not input.image.labels.nope; input.image.createdTime")),
    rego(
        "rego-denied-without-asking",
        checks('input.image.repo == "alpine"; input.image.labels'),
        "FROM {unreachable}/x:1\n",
    ),
    rego(
        "rego-denied-without-asking-2",
        checks('input.image.labels; input.image.repo == "alpine"'),
        "FROM {unreachable}/x:1\n",
    ),
    rego("rego-pin", checks('pin_image(input.image, "{busybox}")')),
    rego("rego-pin-to-another", checks('pin_image(input.image, "sha256:' + "0" * 64 + '")'), own_words=True),
    rego("rego-pin-no-digest", checks('pin_image(input.image, "latest")')),
    rego("rego-pin-other-object", checks('pin_image({"a": 1}, "{busybox}")')),
    rego("rego-digest-in-dockerfile", checks("input.image.isCanonical"), "FROM busybox@{busybox}\n"),
    rego("rego-digest-and-tag", checks('input.image.tag == "latest"'), "FROM busybox:latest@{busybox}\n"),
    # Files and repositories.
    rego("rego-url", sources('input.http.url == "http://{web}/one"'), ADD_FILE),
    rego(
        "rego-url-parts",
        sources('input.http.schema == "http"; input.http.host == "{web}"; input.http.path == "/one"'),
        ADD_FILE,
    ),
    rego("rego-query", sources('input.http.query.id == ["7"]'), "FROM scratch\nADD http://{web}/q?id=7 /\n"),
    rego("rego-no-auth", sources("not input.http.hasAuth"), ADD_FILE),
    rego("rego-http-checksum", sources('input.http.checksum == "{one}"'), ADD_FILE),
    rego("rego-http-checksum-other", sources('input.http.checksum == "{alpine}"'), ADD_FILE),
    rego("rego-git-remote", sources('input.git.remote == "http://{web}/git/app.git"'), ADD_GIT),
    rego(
        "rego-git-parts",
        sources('input.git.host == "{web}"; input.git.schema == "http"; not input.git.subDir'),
        ADD_GIT,
    ),
    rego("rego-git-full-url", sources('startswith(input.git.fullURL, "http://{web}/")'), ADD_GIT),
    rego("rego-git-tag", sources('input.git.tagName == "mytag"'), ADD_GIT),
    rego("rego-git-ref", sources('input.git.ref == "refs/tags/mytag"'), ADD_GIT),
    rego("rego-git-branch", sources('input.git.branch == "mybranch"'), ADD_GIT.replace("mytag", "mybranch")),
    rego(
        "rego-git-checksum",
        sources('input.git.checksum == "{commit}"; not input.git.isAnnotatedTag'),
        ADD_GIT,
    ),
    rego(
        "rego-git-annotated",
        sources(
            'input.git.isAnnotatedTag; input.git.commitChecksum == "{commit}"; input.git.tag.tag == "annotated"'
        ),
        ADD_GIT.replace("mytag", "annotated"),
    ),
    rego(
        "rego-git-tag-object",
        sources(
            'input.git.tag.message == "tag"; input.git.tag.tagger.email == "a@b"; '
            'input.git.tag.object == "{commit}"; input.git.tag.type == "commit"'
        ),
        ADD_GIT.replace("mytag", "annotated"),
    ),
    rego("rego-git-commit-ref", sources("input.git.isCommitRef"), ADD_GIT.replace("mytag", "{commit}")),
    rego(
        "rego-git-commit",
        sources(
            'input.git.commit.author.name == "a"; input.git.commit.message == "m"; '
            'input.git.commit.author.when == "2017-07-14T02:40:00Z"; count(input.git.commit.parents) == 1'
        ),
        ADD_GIT,
    ),
    rego(
        "rego-git-unsigned",
        sources("not input.git.commit.sshSignature; not input.git.commit.pgpSignature"),
        ADD_GIT,
    ),
    rego(
        "rego-git-signature",
        sources('verify_git_signature(input.git.commit, "key.pub")'),
        ADD_GIT,
        files={"key.pub": "ssh-ed25519 AAAA x\n"},
    ),
    rego(
        "rego-git-directory",
        sources('input.git.subDir == "myfolder"'),
        f"FROM scratch\nADD {REPOSITORY}#main:myfolder /\n",
    ),
    rego(
        "rego-local-name",
        'decision := {"allow": input.local.name == "context"}',
        COPY_ALL,
        files={"Dockerfile": ""},
    ),
    rego(
        "rego-layout",
        ALL,
        "FROM scratch\nCOPY --from=src /etc/passwd /\n",
        contexts={"src": "oci-layout://layout:latest"},
        own_words=True,
    ),
    rego("rego-git-signed", signed("key.pub"), SIGNED, files={"key.pub": "{key}"}),
    rego("rego-git-signed-by-another", signed("other.pub"), SIGNED, files={"other.pub": "{other}"}),
    rego("rego-git-signed-one-of-two", signed("keys"), SIGNED, files={"keys": "{other}\n{key}\n"}),
    rego("rego-git-signed-key-missing", signed("nowhere.pub"), SIGNED),
    rego("rego-git-pgp", signed("key.asc"), PGP_SIGNED, files={"key.asc": "{pgp}"}),
    rego("rego-git-pgp-forged", signed("key.asc"), FORGED, files={"key.asc": "{pgp}"}),
    rego("rego-git-pgp-by-ssh-key", signed("key.pub"), PGP_SIGNED, files={"key.pub": "{key}"}),
    rego("rego-git-pgp-key-id", sources("count(input.git.commit.pgpSignature.keyID) == 16"), PGP_SIGNED),
    rego("rego-git-fingerprint", sources('input.git.commit.sshSignature.pubKey == "{fingerprint}"'), SIGNED),
    # What it is told of the build.
    rego("rego-args", checks('input.env.args.A == "1"'), args={"A": "1"}),
    rego(
        "rego-target",
        checks('input.env.target == "two"'),
        "FROM busybox AS one\nFROM busybox AS two\n",
        target="two",
    ),
    rego("rego-filename", checks('input.env.filename == "Dockerfile"; input.env.depth == 0')),
    rego("rego-build-labels", checks('input.env.labels.l == "v"'), labels={"l": "v"}),
    # Several files, settings.
    rego(
        "rego-two-files",
        'allow := input.image.repo == "busybox"\n',
        files={
            "q.rego": "package docker\n\ndefault allow_local := false\nallow_local if input.local\n"
            'decision := {"allow": true in {allow_local, allow}}\n'
        },
        policy=[{"filename": ["p.rego", "q.rego"]}],
        own_words=True,
    ),
    rego(
        "rego-two-policies",
        ALL,
        files={"q.rego": 'package docker\n\ndecision := {"allow": false, "deny_msg": ["second"]}\n'},
        policy=[{"filename": "p.rego"}, {"filename": "q.rego"}],
    ),
    rego("rego-missing-file", ALL, policy=[{"filename": "nowhere.rego"}]),
    rego("rego-outside", ALL, policy=[{"filename": "../p.rego"}], own_words=True),
    rego("rego-cwd", ALL, policy=[{"filename": "cwd://deny.rego"}]),
    rego("rego-disabled", "decision := false", policy=[{"disabled": True}]),
    rego("rego-disabled-and-more", ALL, policy=["disabled=true", "filename=p.rego"]),
    rego("rego-strict", ALL, policy=[{"filename": "p.rego", "strict": True, "log-level": "debug"}]),
    rego(
        "rego-load-json",
        checks('load_json("a.json").repos[_] == input.image.repo'),
        files={"a.json": '{"repos": ["x", "busybox"]}'},
    ),
    rego("rego-load-json-missing", checks('load_json("b.json").x'), files={}),
    rego("rego-load-json-broken", checks('load_json("a.json").x'), files={"a.json": "{"}),
    rego(
        "rego-import",
        "import data.lib.names\n\n" + checks("names.ok(input.image)"),
        files={"lib/names.rego": 'package whatever\n\nok(i) if i.repo == "busybox"\n'},
    ),
    rego("rego-import-missing", "import data.lib.nope\n\n" + ALL, own_words=True),
    rego(
        "rego-prints",
        'decision := {"allow": true} if print("for", input.image.repo)\nelse := {"allow": true}',
    ),
    rego("rego-with-rules-deny", ALL),
    beside("beside-allow", ALL),
    beside("beside-deny", 'decision := {"allow": false, "deny_msg": ["beside"]}'),
    beside(
        "beside-other-name",
        'decision := {"allow": false, "deny_msg": [input.env.filename]}',
        dockerfile="other",
    ),
    beside(
        "beside-and-named",
        ALL,
        files={"q.rego": 'package docker\n\ndecision := {"allow": false, "deny_msg": ["named"]}\n'},
        policy=[{"filename": "q.rego"}],
    ),
    beside(
        "beside-reset",
        "decision := false",
        files={"q.rego": f"package docker\n\n{ALL}\n"},
        policy=[{"filename": "q.rego", "reset": True}],
    ),
    beside("beside-disabled", "decision := false", policy=[{"disabled": True}]),
    situation("rego-in-repository", dockerfile=None, context=REPOSITORY + "#policed"),
]
SITUATIONS += REGO
#: These have no file of rules.
NO_RULES = {item.id for item in REGO}

#: Files that are no policies, and what ours says is wrong with them.
BROKEN = {
    "no-json": ("{", "line 1, column 2: Expecting property name"),
    "no-object": ([], "the policy must be an object, not a list"),
    "rules-no-list": ({"rules": {}}, "rules must be a list, not an object"),
    "rule-no-object": ({"rules": ["DENY"]}, "rules[0] must be an object, not a string"),
    "unknown-action": (
        rules(rule("deny", BUSYBOX)),
        'rules[0].action must be ALLOW, DENY or CONVERT, not "deny"',
    ),
    "action-out-of-range": (rules(rule(7, BUSYBOX)), "rules[0].action must be ALLOW, DENY or CONVERT, not 7"),
    "unknown-match-type": (
        rules(deny(BUSYBOX, match_type="GLOB")),
        'rules[0].selector.match_type must be WILDCARD, EXACT or REGEX, not "GLOB"',
    ),
    "unknown-condition": (
        rules(deny(BUSYBOX, constraints=[having("a", "b", "LESS")])),
        'rules[0].selector.constraints[0].condition must be EQUAL, NOTEQUAL or MATCHES, not "LESS"',
    ),
    "identifier-no-text": (
        rules(rule("DENY", 1)),
        "rules[0].selector.identifier must be a string, not a number",
    ),
    "attribute-no-text": (
        rules(rule("CONVERT", BUSYBOX, {"attrs": {"a": 1}})),
        "rules[0].updates.attrs.a must be a string, not a number",
    ),
    "version-no-number": ({"version": "1"}, "version must be a number, not a string"),
    "something-behind": ('{"rules": []} x', "line 1, column 15: Extra data"),
}
SITUATIONS += [Situation(id, policy, own_words=True) for id, (policy, _) in BROKEN.items()]


@dataclass(frozen=True)
class Servers:
    """What the situations are about, running."""

    web: WebServer
    repository: SampleRepository
    root: Path
    alpine: str
    busybox: str
    registry: str
    keys: tuple[str, str]
    fingerprint: str
    pgp: str

    def filled(self, value: Any) -> Any:
        """`value` with the placeholders replaced."""
        if isinstance(value, dict):
            return {key: self.filled(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.filled(item) for item in value]
        if not isinstance(value, str):
            return value
        return (
            value.replace("{web}", self.web.host)
            .replace("{commit}", self.repository.first)
            .replace("{alpine}", self.alpine)
            .replace("{registry}", self.registry)
            .replace("{busybox}", self.busybox)
            .replace("{unreachable}", "127.0.0.1:9")
            .replace("{key}", self.keys[0])
            .replace("{other}", self.keys[1])
            .replace("{fingerprint}", self.fingerprint)
            .replace("{pgp}", self.pgp)
            .replace("{one}", "sha256:" + hashlib.sha256(b"1\n").hexdigest())
        )


def archive(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


def pgp_signed(repository: Path) -> str:
    """Makes a branch `pgp` with a commit that a new PGP key signs, and `forged`, whose commit has that signature for
    another message; the public key."""
    with tempfile.TemporaryDirectory(prefix="gpg-") as home:
        gpg = ["gpg", "--homedir", home, "--batch", "--quiet", "--passphrase", ""]
        program = Path(home, "program")
        program.write_text(f'#!/bin/sh\nexec gpg --homedir {home} --batch --quiet "$@"\n')
        program.chmod(0o755)
        try:
            subprocess.run(
                [*gpg, "--quick-gen-key", "a <a@b>", "ed25519", "sign"], check=True, capture_output=True
            )
            signing = ("-c", f"gpg.program={program}", "-c", "user.signingkey=a@b")
            git(repository, "checkout", "-q", "-b", "pgp", "mytag")
            git(repository, *signing, "commit", "-q", "-S", "--allow-empty", "-m", "signed")
            raw = git(repository, "cat-file", "commit", "HEAD") + "\n"
            forged = subprocess.run(
                ["git", "hash-object", "-t", "commit", "-w", "--stdin"],
                input=raw.replace("\nsigned\n", "\nforged\n"),
                cwd=repository,
                check=True,
                capture_output=True,
                text=True,
            ).stdout.strip()
            git(repository, "branch", "forged", forged)
            return subprocess.run(
                [*gpg, "--armor", "--export"], check=True, capture_output=True, text=True
            ).stdout
        finally:
            subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)


@pytest.fixture(scope="module")
def servers(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    root = tmp_path_factory.mktemp("policies")
    work = root / "work"
    (work / "dir").mkdir(parents=True)
    (work / "dir/f").write_text("f\n")
    layouts = {base.key: bases.layout(base) for base in bases.IMAGES if base.key in ("busybox", "alpine")}
    (work / "layout").symlink_to(layouts["busybox"])
    alpine, busybox = (
        json.loads((layouts[key] / "index.json").read_text())["manifests"][0]["digest"]
        for key in ("alpine", "busybox")
    )
    (work / "deny.rego").write_text('package docker\n\ndecision := {"allow": false, "deny_msg": ["cwd"]}\n')
    with running_web_server(root / "repositories") as web:
        repository = sample_repository(root / "repositories", web.url("git/module.git"))
        web.serve("one", b"1\n")
        web.serve("two", b"2\n")
        web.serve("context.tar", archive({"Dockerfile": COPY_ALL, "c": "context\n"}))
        web.serve("other.tar", archive({"Dockerfile": COPY_ALL, "o": "other\n"}))
        web.serve("q?id=7", b"7\n")
        denying = {
            "Dockerfile.rego": 'package docker\n\ndecision := {"allow": input.git, "deny_msg": ["no"]}\n'
        }
        git(repository.path, "checkout", "-q", "-b", "policed", "mytag")
        commit(repository.path, denying)
        key, other = (make_key(root / name, "ed25519") for name in ("key", "other"))
        signing = ("-c", "gpg.format=ssh", "-c", f"user.signingkey={key}.pub")
        git(repository.path, "checkout", "-q", "-b", "signed", "mytag")
        git(repository.path, *signing, "commit", "-q", "-S", "--allow-empty", "-m", "signed")
        pgp = pgp_signed(repository.path)
        git(repository.path, "checkout", "-q", "main")
        keys = (Path(f"{key}.pub").read_text().strip(), Path(f"{other}.pub").read_text().strip())
        print_ = subprocess.run(
            ["ssh-keygen", "-lf", f"{key}.pub"], check=True, capture_output=True, text=True
        )
        fingerprint = print_.stdout.split()[1]
        yield Servers(web, repository, work, alpine, busybox, registry.host, keys, fingerprint, pgp)


@dataclass(frozen=True)
class Ran:
    """One tool's run: exit code, standard error, and the tar that it exported or would have."""

    code: int
    stderr: str
    tar: Path
    policy: Path | None


@dataclass(frozen=True)
class Tools:
    """Both tools on the same situation."""

    servers: Servers
    buildkit: BuildKit
    bakehouse: Bakehouse
    out: Path

    def run(self, item: Situation) -> tuple[Ran, Ran]:
        """(ours, theirs)"""
        policy = self.out / f"{item.id}.policy"
        if isinstance(item.policy, bytes):
            policy.write_bytes(item.policy)
        else:
            filled = self.servers.filled(item.policy)
            policy.write_text(filled if isinstance(filled, str) else json.dumps(filled))
        context = "dir"
        if item.files:
            context = f"ctx-{item.id}"
            for name, text in item.files.items():
                path = self.servers.root / context / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(self.servers.filled(text))
            (self.servers.root / context / "f").write_text("f\n")
        results = []
        for tool in ("ours", "theirs"):
            tar = self.out / f"{tool}-{item.id}.tar"
            target = {
                "context": context,
                **({} if item.dockerfile is None else {"dockerfile-inline": item.dockerfile}),
                **item.fields,
                "output": [f"type=tar,dest={tar}"],
            }
            definition = self.out / f"{tool}-{item.id}.json"
            definition.write_text(json.dumps({"target": {"default": self.servers.filled(target)}}))
            arguments = ("bake", "-f", str(definition), "--allow=fs=*", "--progress=plain")
            results.append(self._start(tool, arguments, policy if item.id not in NO_RULES else None, tar))
        return results[0], results[1]

    def _start(self, tool: str, arguments: tuple[str, ...], policy: Path | None, tar: Path) -> Ran:
        environ = {} if policy is None else {"EXPERIMENTAL_BUILDKIT_SOURCE_POLICY": str(policy)}
        if tool == "ours":
            done = self.bakehouse.run(*arguments, cwd=self.servers.root, env=environ, check=False)
        else:
            done = self.buildkit.buildx(*arguments, cwd=self.servers.root, env=environ)
        return Ran(done.returncode, done.stderr, tar, policy)


@pytest.fixture(scope="module")
def ran(
    request: pytest.FixtureRequest,
    servers: Servers,
    buildkit: BuildKit,
    registry: Registry,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, tuple[Ran, Ran]]:
    """The situations that tests of this run are about, several at once: they wait for each other's servers."""
    asked = {test.callspec.params.get("id") for test in request.session.items if hasattr(test, "callspec")}
    situations = [item for item in SITUATIONS if item.id in asked]
    out = tmp_path_factory.mktemp("ran")
    tools = Tools(servers, buildkit, Bakehouse(out / "home", registry), out)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(tools.run, situations))
    return {item.id: result for item, result in zip(situations, results, strict=True)}


#: What is said differently on purpose, and what stands for it in the comparison.
SAME = {
    r"checksum of ref \S+:": "checksum of ref:",
}


def last_words(stderr: str) -> str:
    if "ERROR: " not in stderr:
        return ""
    # What policies say of a refusal stands in front of the error.
    said = [line for line in stderr.splitlines() if line.startswith("Policy: ")]
    text = "\n".join([*said, stderr[stderr.rindex("ERROR: ") :]]).partition("\nhint:")[0].strip()
    for pattern, replacement in SAME.items():
        text = re.sub(pattern, replacement, text)
    return text


@pytest.mark.parametrize("id", [item.id for item in SITUATIONS])
def test_ends_as_with_buildkit(id: str, ran: dict[str, tuple[Ran, Ran]]) -> None:
    ours, theirs = ran[id]
    if next(item for item in SITUATIONS if item.id == id).own_words:
        assert (ours.code, theirs.code) == (1, 1)
    else:
        assert (ours.code, last_words(ours.stderr)) == (theirs.code, last_words(theirs.stderr))
    assert ours.tar.exists() == theirs.tar.exists()
    if theirs.tar.exists():
        assert members(ours.tar) == members(theirs.tar)
        assert members(ours.tar), "an empty result compares nothing"


@pytest.mark.parametrize(
    "id", ["rego-prints", "rego-deny-says", "rego-repo", "rego-pin", "rego-two-policies"]
)
def test_says_what_policies_do(id: str, ran: dict[str, tuple[Ran, Ran]]) -> None:
    """The step of the display in which policies tell of their decisions."""
    ours, theirs = ran[id]
    assert told(ours.stderr) == told(theirs.stderr)
    assert told(ours.stderr)


def told(stderr: str) -> list[str]:
    """The lines of the steps that load policies, without numbers and times."""
    steps = re.findall(r"^#(\d+) (loading policies .*)$", stderr, re.MULTILINE)
    names = dict.fromkeys(name for _, name in steps)
    numbers = {number for number, _ in steps}
    lines = re.findall(r"^#(\d+) [0-9.]+ (.*)$", stderr, re.MULTILINE)
    # A policy that is asked anew prints anew; how often, is the tools' own affair.
    return list(dict.fromkeys([*names, *(line for number, line in lines if number in numbers)]))


def test_image_without_attestations(servers: Servers, bakehouse: Bakehouse, tmp_path: Path) -> None:
    """BuildKit's daemon dies of this question about an image that is no index."""
    (tmp_path / "Dockerfile").write_text(FROM_BUSYBOX)
    (tmp_path / "Dockerfile.rego").write_text(f"package docker\n\n{checks('not input.image.hasProvenance')}")
    assert bakehouse.run("build", ".", cwd=tmp_path).returncode == 0
    (tmp_path / "Dockerfile.rego").write_text(f"package docker\n\n{checks('input.image.hasProvenance')}")
    assert "not allowed by policy" in bakehouse.run("build", ".", cwd=tmp_path, check=False).stderr


@pytest.mark.parametrize("name", ["image.signatures", "image.provenance"])
def test_what_cannot_be_verified_is_refused(
    name: str, servers: Servers, bakehouse: Bakehouse, tmp_path: Path
) -> None:
    (tmp_path / "Dockerfile").write_text(FROM_BUSYBOX)
    (tmp_path / "Dockerfile.rego").write_text(f"package docker\n\n{checks(f'not input.{name}')}")
    done = bakehouse.run("build", ".", cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert f"input.{name}" in done.stderr
    assert "cannot be verified yet" in done.stderr


@pytest.mark.parametrize("id", BROKEN)
def test_says_what_is_wrong_with_a_file(id: str, ran: dict[str, tuple[Ran, Ran]]) -> None:
    ours, _ = ran[id]
    assert f"ERROR: failed to parse source policy: {ours.policy}: {BROKEN[id][1]}" in ours.stderr


@pytest.mark.parametrize("rule", [None, {"action": "DENY"}])
def test_rule_without_a_selector(rule: Any) -> None:
    """BuildKit says so too, after five seconds of asking for a build that never was."""
    with pytest.raises(DefinitionError, match=r"rules\[0\] has no selector"):
        read_policy("p.json", json.dumps({"rules": [rule]}).encode())
