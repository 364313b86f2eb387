"""Policies in Rego: the document `data.docker.decision` decides about a source (buildx's `policy/validate.go`).

A policy asks for what it needs to know of a source by looking at it; it is then looked up, and the policy asked anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from bakehouse.engine.policy.inputs import PolicyEnv, input_of
from bakehouse.engine.policy.metadata import GitObject, Metadata, MetadataSource
from bakehouse.errors import BakehouseError, DefinitionError, DeniedError, NotBuiltYetError
from bakehouse.go.text import quote
from bakehouse.hcl.limits import restart
from bakehouse.llb.ops import LlbPlatform, SourceOp
from bakehouse.llb.platforms import from_llb
from bakehouse.oci.digest import Digest
from bakehouse.oci.platform import Platform
from bakehouse.oci.reference import Reference
from bakehouse.rego.documents import UNDEFINED
from bakehouse.rego.errors import RegoError
from bakehouse.rego.evaluation import Evaluation
from bakehouse.rego.functions import FunctionFailed
from bakehouse.rego.parser import parse_module
from bakehouse.rego.program import Program
from bakehouse.rego.syntax import Module
from bakehouse.rego.values import Boolean, Object, Unknown, from_python, to_json, to_python
from bakehouse.values import dataclass, field, replace

#: The levels of logrus; a line is shown when its level is not above the one that is asked for.
LEVELS = ("panic", "fatal", "error", "warning", "info", "debug", "trace")
INFO, DEBUG = LEVELS.index("info"), LEVELS.index("debug")
_DECISION = ("docker", "decision")
_MAX_LOOK_UPS = 10
_MAX_CONVERSIONS = 10
_JSON_LIMIT = 4 * 1024 * 1024
_KEY_LIMIT = 128 * 1024
_CAPS = ("exec.proxy",)


class PolicyFiles(Protocol):
    """The files that a policy may read, by the names it gives them."""

    def read(self, name: str, limit: int) -> bytes | None:
        """At most `limit` bytes; None when it is not there. Raises `BakehouseError`."""
        ...


@dataclass(frozen=True, slots=True)
class PolicyText:
    """A policy file: its name as messages show it, and its text."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Decision:
    """What a policy says of a source. `pin` is the digest that the image is to have."""

    allow: bool
    messages: tuple[str, ...] = ()
    pin: str = ""


@dataclass(slots=True)
class _Calls:
    """What one evaluation's own functions are told."""

    input: Object | None = None
    known: Metadata = field(default_factory=Metadata)
    pins: list[str] = field(default_factory=list)


class RegoPolicy:
    """The files of one policy, put together once. Raises `DefinitionError` for what is wrong with them."""

    def __init__(
        self,
        texts: Sequence[PolicyText],
        files: PolicyFiles,
        env: PolicyEnv,
        log: Callable[[int, str], None],
    ) -> None:
        """`log` is given the lines of the evaluation, each with its level."""
        self._files = files
        self._env = env
        self.log = log
        self._calls = _Calls()
        modules = [_parsed(text) for text in texts]
        functions: dict[str, Callable[..., Any]] = {
            "load_json": self._load_json,
            "pin_image": self._pin_image,
            "verify_git_signature": self._verify_git_signature,
            "verify_http_pgp_signature": _not_built("verify_http_pgp_signature"),
            "artifact_attestation": _not_built("artifact_attestation"),
            "github_attestation": _not_built("github_attestation"),
        }
        from bakehouse.engine.policy.helpers import HELPERS

        helpers = parse_module("builtin/helpers.rego", HELPERS)
        self._program = Program([*modules, helpers], functions, self._imported)

    def check_caps(self) -> None:
        """Asks the policy what else of the build it wants. Raises `NotBuiltYetError` for what is not there."""
        given = Object({"env": from_python(self._env.document(caps=True))})
        self._calls = _Calls(given)
        try:
            value = Evaluation(self._program, given, self._print).query(_DECISION)
        except Unknown as unknown:
            raise _evaluated(
                f"policy caps request cannot resolve source metadata: [{unknown.path}]"
            ) from None
        except RegoError as error:
            error.message = f"failed to evaluate policy caps: {error.message}"
            raise
        try:
            caps = _members(value).get("caps")
            if caps is None:
                return
            if not isinstance(caps, Object):
                raise _evaluated("invalid caps property type, expecting object")
            for name, wanted in caps.pairs():
                if name not in _CAPS:
                    raise _evaluated(f"unknown policy cap {quote(str(name))}")
                if not isinstance(wanted, Boolean):
                    raise _evaluated(f"invalid caps.{name} property type, expecting bool")
                if wanted:
                    raise NotBuiltYetError(
                        f"the policy asks for {name}: a network proxy for steps is not supported yet"
                    )
        except DefinitionError as error:
            error.message = f"failed to evaluate policy caps: {error.message}"
            raise

    def decide(
        self, op: SourceOp, platform: Platform, shown: str, known: Metadata, source: MetadataSource
    ) -> tuple[Decision, Metadata]:
        """What the policy says of `op`, and what was looked up for that besides `known`."""
        self.log(INFO, f"checking policy for source {shown}")
        for _ in range(_MAX_LOOK_UPS):
            given = input_of(op, platform, self._env, known)
            self.log(DEBUG, f"policy input: {to_json(given)}")
            self._calls = _Calls(given, known)
            restart()
            try:
                value = Evaluation(self._program, given, self._print).query(_DECISION)
            except Unknown as unknown:
                self.log(INFO, f"policy decision for source {shown}: resolve missing fields [{unknown.path}]")
                known = looked_up(unknown.path, op, platform, known, source)
                continue
            return self._read(value, shown), known
        raise _evaluated("maximum attempts reached for resolving policy metadata")

    def _read(self, value: Any, shown: str) -> Decision:
        members = _members(value)
        self.log(DEBUG, f"policy response: {to_json(Object(members))}")
        allow = members.get("allow", UNDEFINED)
        if allow is not UNDEFINED and not isinstance(allow, Boolean):
            raise _evaluated("invalid allowed property type, expecting bool")
        allowed = allow is not UNDEFINED and bool(allow)
        said = members.get("deny_msg")
        listed = to_python(said) if isinstance(said, tuple | frozenset) else []
        messages = tuple(item for item in listed if isinstance(item, str))
        pins = sorted(set(self._calls.pins))
        if allowed and len(pins) > 1:
            raise _evaluated(f"multiple image pins set to {shown}: {', '.join(pins)}")
        if allowed and pins:
            return Decision(True, messages, pins[0])
        self.log(INFO, f"policy decision for source {shown}: {'ALLOW' if allowed else 'DENY'}")
        for message in messages:
            self.log(INFO, f" - {message}")
        return Decision(allowed, messages)

    def _print(self, file: str, line: int, text: str) -> None:
        self.log(INFO, f"{file}:{line}: {text}")

    # -- modules and functions --------------------------------------------------------------------------------

    def _imported(self, path: tuple[str, ...], by: str) -> Module | None:
        name = "/".join(path) + ".rego"
        data = self._files.read(name, _JSON_LIMIT)
        if data is None:
            raise RegoError(
                f"import data.{'.'.join(path)} not found for module {by}",
                hint=f"a file {name} is looked for in the build context",
            )
        # An imported file is the package that it is imported by.
        return replace(_parsed(PolicyText(name, data)), package=path)

    def _load_json(self, path: Any) -> Any:
        from bakehouse.rego.functions.encodings import read_json

        data = self._read_file(path, _JSON_LIMIT)
        try:
            return read_json(data.decode("utf-8", "replace"))
        except ValueError:
            raise FunctionFailed from None

    def _read_file(self, path: Any, limit: int) -> bytes:
        if not isinstance(path, str):
            raise FunctionFailed
        data = self._files.read(path, limit)
        if data is None:
            raise FunctionFailed
        return data

    def _pin_image(self, image: Any, digest: Any) -> Any:
        from bakehouse.rego.values import FALSE, TRUE

        own = self._member("image")
        if own is None:
            return FALSE
        if image != own or not isinstance(digest, str):
            raise FunctionFailed
        try:
            pinned = str(Digest(digest))
        except BakehouseError:
            raise FunctionFailed from None
        if dict(own).get("checksum") != pinned:
            self._calls.pins.append(pinned)
        return TRUE

    def _verify_git_signature(self, signed: Any, path: Any) -> Any:
        from bakehouse.engine.policy.signatures import is_signed_by
        from bakehouse.rego.values import FALSE, TRUE

        own = self._member("git")
        if own is None:
            return FALSE
        git = self._calls.known.git
        if git is None or git.commit is None:
            raise Unknown("git.commit")
        found: GitObject | None = None
        if signed == dict(own).get("commit"):
            found = git.commit
        elif signed == dict(own).get("tag"):
            found = git.tag
        if found is None:
            raise FunctionFailed
        if not is_signed_by(found.signed, found.signature, self._read_file(path, _KEY_LIMIT)):
            raise FunctionFailed
        return TRUE

    def _member(self, name: str) -> Object | None:
        given = self._calls.input
        found = None if given is None else given.get(name)
        return found if isinstance(found, Object) else None


def looked_up(
    path: str, op: SourceOp, platform: Platform, known: Metadata, source: MetadataSource
) -> Metadata:
    """`known`, and what `path` of the input stands for. Raises what looking it up raises, and `NotBuiltYetError`."""
    if path in ("image.provenance", "image.signatures"):
        raise NotBuiltYetError(
            f"the policy asks for input.{path}: attestations and signatures of images cannot be verified yet",
            hint="a policy can use input.image.hasProvenance, and pin images by digest",
        )
    if path == "image.hasProvenance":
        image = known.image or source.image(op, platform)
        return replace(known, image=image, has_attestations=source.has_attestations(op, platform))
    if path.startswith("image."):
        return replace(known, image=source.image(op, platform))
    if path.startswith("git."):
        return replace(known, git=source.git(op, objects=path in ("git.commit", "git.tag")))
    return replace(known, http_checksum=source.http(op))


def _parsed(text: PolicyText) -> Module:
    return parse_module(text.name, text.data.decode("utf-8", "replace"))


def _members(value: Any) -> dict[Any, Any]:
    if value is UNDEFINED:
        raise _evaluated(
            "policy returned zero result", "a policy is `package docker` and has a rule `decision`"
        )
    if not isinstance(value, Object):
        raise _evaluated(
            "unexpected policy return type", 'a decision is an object such as {"allow": true, "deny_msg": []}'
        )
    return dict(value)


def _evaluated(message: str, hint: str | None = None) -> DefinitionError:
    return DefinitionError(message, code="invalid-policy", hint=hint)


def _not_built(name: str) -> Callable[..., Any]:
    def refuse(*args: Any) -> Any:
        raise NotBuiltYetError(f"the policy calls {name}, which is not supported yet")

    return refuse


class VerifiedSources:
    """All policies in Rego of one target, as a `SourcePolicy` that comes behind `rules`: every policy must allow a
    source, and what one of them pins is asked about anew."""

    def __init__(
        self,
        rules: Callable[[SourceOp], SourceOp],
        policies: Sequence[RegoPolicy],
        source: MetadataSource,
        default_platform: Platform,
    ) -> None:
        self._rules = rules
        self._policies = policies
        self._source = source
        self._default = default_platform

    def evaluate(self, op: SourceOp, platform: LlbPlatform | None) -> SourceOp:
        """As `SourcePolicy.evaluate`."""
        wanted = self._default if platform is None else from_llb(platform).normalized()
        shown_platform = "" if platform is None else f" ({from_llb(platform).normalized()})"
        for _ in range(_MAX_CONVERSIONS):
            op = self._rules(op)
            pinned = self._asked(op, wanted, op.identifier + shown_platform)
            if pinned is None:
                return op
            op = pinned
        raise _evaluated("too many policy requests")

    def _asked(self, op: SourceOp, platform: Platform, shown: str) -> SourceOp | None:
        """The source that a policy puts in the place of `op`; None when all allow it as it is."""
        known = Metadata()
        for policy in self._policies:
            decision, known = policy.decide(op, platform, shown, known, self._source)
            if not decision.allow:
                error = DeniedError(
                    f"source {quote(op.identifier)} not allowed by policy: action DENY",
                    code="source-denied",
                )
                error.policy_messages = decision.messages
                raise error
            if decision.pin:
                pinned = _with_pin(op, decision.pin)
                policy.log(INFO, f"policy decision for source {shown}: convert to {pinned.identifier}")
                return pinned
        return None


def _with_pin(op: SourceOp, pin: str) -> SourceOp:
    ref = Reference.parse_exact(op.identifier.removeprefix("docker-image://")).with_digest(Digest(pin))
    return SourceOp(f"docker-image://{ref}", {**op.attrs, "image.checksum": pin})
