"""What a policy in Rego is asked about: a source as its `input` (buildx's `policy/types.go`, the same names).

What must be looked up before it is known is unknown (`rego.values.Object.unknown`), so that a policy which does not ask
for it costs no request.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from bakehouse.engine.policy.metadata import GitObject, Metadata
from bakehouse.errors import DefinitionError
from bakehouse.giturl import GitUrl, UnknownProtocol, parse_git_url
from bakehouse.go.paths import clean_path
from bakehouse.go.timestamps import format_rfc3339
from bakehouse.llb.ops import SourceOp
from bakehouse.oci.platform import Platform
from bakehouse.oci.reference import Reference
from bakehouse.rego.values import Object, from_python
from bakehouse.values import dataclass, field

_CONFIG = ("labels", "user", "volumes", "workingDir", "env")
_ATTESTED = ("hasProvenance", "provenance", "signatures")


@dataclass(frozen=True, slots=True)
class PolicyEnv:
    """What a policy is told of the build (`input.env`)."""

    args: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    filename: str = "Dockerfile"
    target: str = ""

    def document(self, *, caps: bool = False) -> dict[str, Any]:
        found = {
            "args": dict(self.args),
            "labels": dict(self.labels),
            "filename": self.filename,
            "target": self.target,
            "capsRequest": caps,
        }
        return {**_present(found), "depth": 0}


def input_of(op: SourceOp, platform: Platform, env: PolicyEnv, known: Metadata) -> Object:
    """The input for `op`, of which `known` was looked up. Raises `DefinitionError` for a source of a kind that policies
    cannot be asked about."""
    scheme, found, rest = op.identifier.partition("://")
    if scheme in ("http", "https"):
        name, document, unknown = "http", _http(op, scheme, known), _http_unknown(known)
    elif scheme == "git":
        name, (document, unknown) = "git", _git(op, rest, known)
    elif scheme == "docker-image":
        name, (document, unknown) = "image", _image(rest, platform, known)
    elif scheme == "local":
        name, document, unknown = "local", {"name": rest}, ()
    else:
        raise DefinitionError(
            f"failed to build policy input: unsupported source scheme: {scheme}"
            if found
            else f"failed to build policy input: invalid source identifier: {op.identifier}",
            code="source-denied",
            hint="policies in Rego can be asked about images, files on the web, repositories and directories",
        )
    inner = Object(
        {key: from_python(value) for key, value in _present(document).items()},
        {key: f"{name}.{key}" for key in unknown},
    )
    return Object({"env": from_python(env.document()), name: inner})


def _present(members: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is empty, as Go leaves it out."""
    return {key: value for key, value in members.items() if value not in ("", None, False, [], {}, ())}


# -- files on the web ---------------------------------------------------------------------------------------------


def _http(op: SourceOp, scheme: str, known: Metadata) -> dict[str, Any]:
    url = urlsplit(op.identifier)
    host = url.netloc.rpartition("@")[2]
    return {
        "url": op.identifier,
        "schema": scheme,
        "host": host,
        "path": url.path,
        "query": parse_qs(url.query, keep_blank_values=True),
        "hasAuth": "http.authheadersecret" in op.attrs,
        "checksum": known.http_checksum,
    }


def _http_unknown(known: Metadata) -> tuple[str, ...]:
    return () if known.http_checksum else ("checksum",)


# -- repositories -------------------------------------------------------------------------------------------------


def _git(op: SourceOp, rest: str, known: Metadata) -> tuple[dict[str, Any], tuple[str, ...]]:
    url = _git_url(rest)
    shown, full_url = url, ""
    if "git.fullurl" in op.attrs:
        full_url = op.attrs["git.fullurl"]
        shown = _git_url(full_url)
        full_url = full_url if _has_transport(full_url) else "https://" + full_url
    ref = url.ref
    sub_dir = clean_path(url.sub_dir) if url.sub_dir else ""
    document: dict[str, Any] = {
        "schema": shown.scheme,
        "host": shown.host,
        "remote": shown.remote,
        "fullURL": full_url,
        "subDir": "" if sub_dir in ("/", ".") else sub_dir,
    }
    is_commit = len(ref) in (40, 64) and all(char in "0123456789abcdef" for char in ref)
    if is_commit:
        document |= {"isCommitRef": True, "checksum": ref, "commitChecksum": ref}
    unknown: list[str] = []
    git = known.git
    if git is None:
        if ref.startswith(("refs/tags/", "refs/heads/")) or is_commit:
            document |= {"ref": ref, **_named(ref)}
        else:
            unknown += ["tagName", "branch", "ref"]
        if not is_commit:
            unknown += ["checksum", "isAnnotatedTag", "commitChecksum", "isSHA256"]
        unknown += ["tag", "commit"]
    else:
        document |= {
            "ref": git.ref,
            **_named(git.ref),
            "checksum": git.checksum,
            "commitChecksum": git.commit_checksum,
            "isAnnotatedTag": git.checksum != git.commit_checksum,
        }
        if git.commit is None:
            unknown += ["commit", "tag"]
        else:
            document["commit"] = _commit(git.commit)
            document["tag"] = None if git.tag is None else _tag(git.tag)
    document["isSHA256"] = len(str(document.get("checksum", ""))) == 64
    return document, tuple(unknown)


def _named(ref: str) -> dict[str, str]:
    if ref.startswith("refs/tags/"):
        return {"tagName": ref.removeprefix("refs/tags/")}
    return {"branch": ref.removeprefix("refs/heads/")} if ref.startswith("refs/heads/") else {}


def _commit(found: GitObject) -> dict[str, Any]:
    return _present(
        {
            "tree": found.header("tree"),
            "parents": found.headers("parent"),
            "author": _actor(found.header("author")),
            "committer": _actor(found.header("committer")),
            "message": found.message,
            **found.signatures(),
        }
    )


def _tag(found: GitObject) -> dict[str, Any]:
    return _present(
        {
            "object": found.header("object"),
            "type": found.header("type"),
            "tag": found.header("tag"),
            "tagger": _actor(found.header("tagger")),
            "message": found.message,
            **found.signatures(),
        }
    )


def _actor(line: str) -> dict[str, Any]:
    """`NAME <MAIL> SECONDS ±HHMM`."""
    text = line.strip()
    start, end = text.rfind("<"), text.rfind(">")
    if start < 0 or end < start:
        return _present({"name": text})
    seconds, _, zone = text[end + 1 :].strip().partition(" ")
    when = format_rfc3339(int(seconds), zone) if seconds.lstrip("-").isdigit() else ""
    return _present({"name": text[:start].strip(), "email": text[start + 1 : end].strip(), "when": when})


def _git_url(text: str) -> GitUrl:
    try:
        try:
            return parse_git_url(text)
        except UnknownProtocol:
            return parse_git_url("https://" + text)
    except ValueError as error:
        raise DefinitionError(f"failed to build policy input: {error}", code="source-denied") from None


def _has_transport(text: str) -> bool:
    try:
        parse_git_url(text)
    except ValueError:
        return False
    return True


# -- images -------------------------------------------------------------------------------------------------------


def _image(rest: str, platform: Platform, known: Metadata) -> tuple[dict[str, Any], tuple[str, ...]]:
    ref = Reference.parse_exact(rest)
    document: dict[str, Any] = {
        "ref": rest,
        "host": ref.registry,
        "repo": ref.familiar_name,
        "fullRepo": f"{ref.registry}/{ref.repository}",
        "tag": ref.tag or "",
        "platform": str(platform),
        "os": platform.os,
        "arch": platform.architecture,
        "variant": platform.variant,
        "isCanonical": ref.digest is not None,
        "checksum": str(ref.digest or ""),
    }
    if known.image is None:
        unknown = (() if ref.digest is not None else ("checksum",)) + _CONFIG + _ATTESTED
        return document, unknown
    digest, raw = known.image
    document["checksum"] = digest
    unknown = _ATTESTED
    config = json.loads(raw)
    settings = config.get("config") or {}
    document |= {
        "createdTime": _created(config.get("created")),
        "labels": settings.get("Labels") or {},
        "env": settings.get("Env") or [],
        "user": settings.get("User") or "",
        "volumes": list(settings.get("Volumes") or {}),
        "workingDir": settings.get("WorkingDir") or "",
    }
    if known.has_attestations is not None:
        document["hasProvenance"] = known.has_attestations
        unknown = ("provenance", "signatures")
    return document, unknown


def _created(text: Any) -> str:
    """A time without its fraction, as buildx shows it."""
    if not isinstance(text, str):
        return ""
    head, dot, tail = text.partition(".")
    return head + tail.lstrip("0123456789") if dot else text
