"""Where AWS keys come from when attributes do not hold them: the chain of AWS's own SDKs, in its order.

Environment, a web identity, the profile of the shared files (keys, a role, a program), a container's endpoint, the
instance's metadata service. Single sign-on is left to AWS's own command line, which exports what it gets.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from bakehouse.engine.caches.stores.attributes import wrong
from bakehouse.engine.caches.stores.aws_signature import AwsKeys, signed_headers
from bakehouse.engine.caches.stores.service import MAX_ERROR_BYTES, Patience, Request, Service, refusal
from bakehouse.errors import DeniedError, EnvironmentFault, TransientError
from bakehouse.go.timestamps import parse_time_ns

_CONTAINER_HOST = "http://169.254.170.2"
#: Besides loopback, where a container's endpoint may be without TLS.
_CONTAINER_HOSTS = frozenset({"169.254.170.2", "169.254.170.23", "fd00:ec2::23"})
_METADATA_HOST = "http://169.254.169.254"
_METADATA_ROLES = "/latest/meta-data/iam/security-credentials/"
#: Temporary keys are asked for anew so long before they end.
_EARLY_S = 300.0
_PROGRAM_TIMEOUT_S = 60.0
_MAX_PROFILES = 8
_HINT = (
    "Give access_key_id and secret_access_key, set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or export those of the "
    'AWS command line: `eval "$(aws configure export-credentials --format env)"`.'
)


class AwsCredentials:
    """The keys of one store: found at first use, and again before temporary ones end. Thread-safe."""

    def __init__(self, find: Callable[[], AwsKeys]) -> None:
        self._find = find
        self._lock = threading.Lock()
        self._keys: AwsKeys | None = None

    def keys(self) -> AwsKeys:
        """Raises `DeniedError` (code `cache-credentials`) when there are none."""
        with self._lock:
            keys = self._keys
            if keys is None or (keys.expires_s and keys.expires_s - _EARLY_S < time.time()):
                keys = self._keys = self._find()
            return keys


def credentials_of(
    attrs: Mapping[str, str], environ: Mapping[str, str], region: str, wait: Callable[[float], None]
) -> AwsCredentials:
    """Attributes where they hold keys, each for itself, and the chain for the rest."""
    own_id, own_secret = attrs.get("access_key_id", ""), attrs.get("secret_access_key", "")
    token = attrs.get("session_token", "")
    if own_id and own_secret:
        return AwsCredentials(lambda: AwsKeys(own_id, own_secret, token))

    def find() -> AwsKeys:
        found = _Chain(environ, region, wait).find()
        return AwsKeys(
            own_id or found.access_key_id,
            own_secret or found.secret_access_key,
            token or found.session_token,
            found.expires_s,
        )

    return AwsCredentials(find)


def _missing(message: str) -> DeniedError:
    return DeniedError(
        f"no AWS credentials for the s3 cache: {message}", code="cache-credentials", hint=_HINT
    )


class _Chain:
    def __init__(self, environ: Mapping[str, str], region: str, wait: Callable[[float], None]) -> None:
        self._environ = environ
        self._region = region
        self._wait = wait

    def find(self) -> AwsKeys:
        environ = self._environ
        keys = _environment_keys(environ)
        if keys is not None:
            return keys
        token_file = environ.get("AWS_WEB_IDENTITY_TOKEN_FILE", "")
        if token_file:
            role, session = environ.get("AWS_ROLE_ARN", ""), environ.get("AWS_ROLE_SESSION_NAME", "")
            return self._web_identity(token_file, role, session)
        name = environ.get("AWS_PROFILE") or environ.get("AWS_DEFAULT_PROFILE") or ""
        profiles = Profiles.read(environ)
        if name and name not in profiles.by_name:
            raise _missing(f"there is no profile {name!r}")
        return self._from_profile(profiles, name or "default", ())

    def _from_profile(self, profiles: Profiles, name: str, seen: tuple[str, ...]) -> AwsKeys:
        if name in seen or len(seen) > _MAX_PROFILES:
            raise _missing(f"source_profile of {name!r} leads in a circle")
        profile = profiles.by_name.get(name, {})
        role = profile.get("role_arn", "")
        source = profile.get("source_profile", "")
        token_file = profile.get("web_identity_token_file", "")
        own = _profile_keys(profile)
        if role and source and (source != name or own is None):
            keys = self._from_profile(profiles, source, (*seen, name))
        elif own is not None:
            keys = own
        elif profile.get("credential_source"):
            keys = self._from_source(profile["credential_source"])
        elif token_file:
            return self._web_identity(token_file, role, profile.get("role_session_name", ""))
        elif any(key.startswith("sso_") for key in profile) or "login_session" in profile:
            raise _missing(
                f"profile {name!r} signs in through a browser, which only AWS's own command line can do"
            )
        elif profile.get("credential_process"):
            keys = self._from_program(profile["credential_process"])
        else:
            keys = self._from_machine()
        return self._assume(keys, role, profile) if role else keys

    def _from_source(self, source: str) -> AwsKeys:
        if source == "Environment":
            keys = _environment_keys(self._environ)
            if keys is None:
                raise _missing("credential_source is Environment, which has none")
            return keys
        if source == "EcsContainer":
            return self._from_container()
        if source == "Ec2InstanceMetadata":
            return self._from_instance()
        raise _missing(f"credential_source {source!r} is unknown")

    def _from_machine(self) -> AwsKeys:
        if any(self._environ.get(f"AWS_CONTAINER_CREDENTIALS_{kind}_URI") for kind in ("RELATIVE", "FULL")):
            return self._from_container()
        return self._from_instance()

    def _from_program(self, command: str) -> AwsKeys:
        """What `credential_process` prints. Its output may hold secrets and is never shown."""
        import subprocess

        try:
            done = subprocess.run(
                ["/bin/sh", "-c", command],
                env=dict(self._environ),
                stdout=subprocess.PIPE,
                timeout=_PROGRAM_TIMEOUT_S,
                check=True,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise _missing(f"the credential_process failed ({type(error).__name__})") from None
        return _keys_of(done.stdout, "the credential_process", token="SessionToken")

    def _from_container(self) -> AwsKeys:
        environ = self._environ
        relative = environ.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "")
        url = (
            _CONTAINER_HOST + relative if relative else environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI", "")
        )
        parts = urlsplit(url)
        if parts.scheme == "http" and not _may_be_plain(parts.hostname or ""):
            raise _missing(f"{parts.hostname} is no place for a container's credentials without TLS")
        token = environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")
        token_file = environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "")
        if token_file:
            token = _read_text(token_file)
        headers = {"Authorization": token} if token else {}
        return _keys_of(self._ask(Request("GET", url, headers)), "the container's endpoint")

    def _from_instance(self) -> AwsKeys:
        environ = self._environ
        if environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
            raise _missing("neither the environment nor a profile has any")
        host = environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", _METADATA_HOST).rstrip("/")
        lifetime = {"X-aws-ec2-metadata-token-ttl-seconds": "300"}
        try:
            token = self._ask(Request("PUT", f"{host}/latest/api/token", lifetime, b"")).decode(
                "ascii", "replace"
            )
            headers = {"X-aws-ec2-metadata-token": token.strip()}
            roles = (
                self._ask(Request("GET", host + _METADATA_ROLES, headers)).decode("utf-8", "replace").split()
            )
        except (TransientError, DeniedError, EnvironmentFault) as error:
            raise _missing(
                "neither the environment nor a profile has any, and this is no EC2 instance"
            ) from error
        if not roles:
            raise _missing("this instance has no role")
        document = self._ask(Request("GET", f"{host}{_METADATA_ROLES}{quote(roles[0])}", headers))
        return _keys_of(document, "the instance's metadata")

    def _ask(self, request: Request) -> bytes:
        """An answer of the machine's own services: near or not there at all, so nothing is waited for, and no proxy is
        between."""
        service = Service(
            "AWS credentials",
            {},
            Patience(attempts=2),
            wait=self._wait,
            connect_timeout_s=1,
            read_timeout_s=5,
        )
        try:
            with service.send(lambda: request) as answer:
                if answer.status != 200:
                    raise _missing(f"{urlsplit(request.url).netloc} answers {answer.status}")
                return answer.read(MAX_ERROR_BYTES)
        finally:
            service.close()

    def _web_identity(self, token_file: str, role: str, session: str) -> AwsKeys:
        if not role:
            raise _missing("a web identity needs a role (AWS_ROLE_ARN)")
        parameters = {
            "Action": "AssumeRoleWithWebIdentity",
            "RoleArn": role,
            "RoleSessionName": session or _session_name(),
            "WebIdentityToken": _read_text(token_file).strip(),
        }
        return self._sts(parameters, None)

    def _assume(self, keys: AwsKeys, role: str, profile: Mapping[str, str]) -> AwsKeys:
        if profile.get("mfa_serial"):
            raise _missing("the profile's role asks for a code (mfa_serial)")
        parameters = {
            "Action": "AssumeRole",
            "RoleArn": role,
            "RoleSessionName": profile.get("role_session_name") or _session_name(),
        }
        if "external_id" in profile:
            parameters["ExternalId"] = profile["external_id"]
        if "duration_seconds" in profile:
            parameters["DurationSeconds"] = profile["duration_seconds"]
        return self._sts(parameters, keys)

    def _sts(self, parameters: Mapping[str, str], keys: AwsKeys | None) -> AwsKeys:
        from bakehouse.engine.caches.stores.xml_documents import xml_error, xml_members

        url = (
            configured_endpoint(self._environ, "STS")
            or f"https://sts.{self._region}.{domain_of(self._region)}"
        )
        url = url.rstrip("/") + "/"
        body = urlencode({**parameters, "Version": "2011-06-15"}).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}

        def make() -> Request:
            sent = headers
            if keys is not None:
                sent = signed_headers(keys, self._region, "POST", url, headers, body, service="sts")
            return Request("POST", url, sent, body)

        service = Service("AWS STS", self._environ, Patience(attempts=3), wait=self._wait)
        try:
            with service.send(make) as answer:
                raw = answer.read(MAX_ERROR_BYTES)
                if answer.status != 200:
                    code, message = xml_error(raw)
                    raise refusal(
                        "AWS STS", url, answer.status, f"{code}: {message}", "get credentials of the role"
                    )
        finally:
            service.close()
        found = xml_members(raw, "Credentials")
        if not found.get("AccessKeyId") or not found.get("SecretAccessKey"):
            raise _missing("STS answers without keys")
        return AwsKeys(
            found["AccessKeyId"],
            found["SecretAccessKey"],
            found.get("SessionToken", ""),
            _epoch_s(found.get("Expiration")),
        )


def configured_endpoint(environ: Mapping[str, str], service: str) -> str:
    """The endpoint that the environment names for a service (`S3`, `STS`), or an empty string."""
    if environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return ""
    return environ.get(f"AWS_ENDPOINT_URL_{service}") or environ.get("AWS_ENDPOINT_URL") or ""


def domain_of(region: str) -> str:
    """The domain of AWS's partition that `region` belongs to."""
    for prefix, domain in (
        ("cn-", "amazonaws.com.cn"),
        ("us-isob-", "sc2s.sgov.gov"),
        ("us-isof-", "csp.hci.ic.gov"),
        ("us-iso-", "c2s.ic.gov"),
        ("eu-isoe-", "cloud.adc-e.uk"),
        ("eusc-", "amazonaws.eu"),
    ):
        if region.startswith(prefix):
            return domain
    return "amazonaws.com"


def _environment_keys(environ: Mapping[str, str]) -> AwsKeys | None:
    key_id = environ.get("AWS_ACCESS_KEY_ID") or environ.get("AWS_ACCESS_KEY")
    secret = environ.get("AWS_SECRET_ACCESS_KEY") or environ.get("AWS_SECRET_KEY")
    if not key_id or not secret:
        return None
    return AwsKeys(key_id, secret, environ.get("AWS_SESSION_TOKEN", ""))


def _profile_keys(profile: Mapping[str, str]) -> AwsKeys | None:
    key_id, secret = profile.get("aws_access_key_id"), profile.get("aws_secret_access_key")
    if not key_id or not secret:
        return None
    return AwsKeys(key_id, secret, profile.get("aws_session_token", ""))


def _session_name() -> str:
    return f"bakehouse-{time.time_ns()}"


def _may_be_plain(host: str) -> bool:
    from bakehouse.registry.config import is_loopback

    return host in _CONTAINER_HOSTS or is_loopback(f"[{host}]" if ":" in host else host)


def _read_text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no text"
        raise _missing(f"cannot read {path}: {reason}") from None


def _keys_of(raw: bytes, source: str, *, token: str = "Token") -> AwsKeys:
    """The keys of a JSON document; its text is never shown."""
    try:
        value: Any = json.loads(raw)
        return AwsKeys(
            _text(value["AccessKeyId"]),
            _text(value["SecretAccessKey"]),
            str(value.get(token) or ""),
            _epoch_s(value.get("Expiration")),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise _missing(f"{source} gave no keys") from None


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError
    return value


def _epoch_s(text: str | None) -> float:
    return parse_time_ns(text) / 1e9 if text else 0.0


class Profiles:
    """The profiles of `~/.aws/config` and `~/.aws/credentials`; keys of the latter win."""

    def __init__(self, by_name: Mapping[str, Mapping[str, str]]) -> None:
        self.by_name = by_name

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Profiles:
        home = Path(environ.get("HOME") or "/") / ".aws"
        merged: dict[str, dict[str, str]] = {}
        config = Path(environ.get("AWS_CONFIG_FILE") or home / "config")
        for section, values in _sections(config).items():
            kind, _, name = section.partition(" ")
            if section == "default" or kind == "profile":
                merged.setdefault(name.strip() or section, {}).update(values)
        credentials = Path(environ.get("AWS_SHARED_CREDENTIALS_FILE") or home / "credentials")
        for section, values in _sections(credentials).items():
            merged.setdefault(section, {}).update(values)
        return cls(merged)


def _sections(path: Path) -> dict[str, dict[str, str]]:
    from configparser import Error, RawConfigParser

    parser = RawConfigParser(strict=False, default_section="", inline_comment_prefixes=(" #", " ;"))
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except OSError:
        return {}
    except (Error, UnicodeDecodeError):
        # The parser's own message would show the line, which may hold a secret.
        raise wrong(
            f"{path} is not a file of AWS settings", "Sections are `[NAME]`, settings `NAME = VALUE`."
        ) from None
    return {section: dict(parser.items(section)) for section in parser.sections()}
