"""Where AWS keys are found: the same as AWS's own library (botocore) finds in the same environment."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import botocore.session
import pytest
from tests.support.cache_services import Call, Reply, Server, json_reply
from tests.unit.cache_stores.conftest import Clock

from bakehouse.engine.caches.stores.aws_credentials import credentials_of
from bakehouse.engine.caches.stores.aws_signature import AwsKeys
from bakehouse.errors import BakehouseError, DefinitionError, DeniedError

FUTURE = "2099-01-02T03:04:05Z"


class Cloud(Server):
    """STS, a container's endpoint and an instance's metadata on one port."""

    def answer(self, call: Call) -> Reply:
        if call.method == "POST":
            return self._sts(dict(pair.split("=", 1) for pair in call.body.decode().split("&")))
        if call.path == "/container":
            if call.headers.get("authorization") != "container-secret":
                return Reply(403)
            return json_reply(200, self._keys("CONTAINER"))
        if call.path == "/latest/api/token":
            return Reply(200, b"metadata-token") if call.method == "PUT" else Reply(405)
        if call.headers.get("x-aws-ec2-metadata-token") != "metadata-token":
            return Reply(401)
        if call.path == "/latest/meta-data/iam/security-credentials/":
            return Reply(200, b"the-role")
        if call.path == "/latest/meta-data/iam/security-credentials/the-role":
            return json_reply(200, {"Code": "Success", **self._keys("INSTANCE")})
        return Reply(404)

    @staticmethod
    def _keys(name: str) -> dict[str, str]:
        return {
            "AccessKeyId": name,
            "SecretAccessKey": f"secret of {name}",
            "Token": f"token of {name}",
            "Expiration": FUTURE,
        }

    @staticmethod
    def _sts(form: Mapping[str, str]) -> Reply:
        action = form["Action"]
        if action == "AssumeRoleWithWebIdentity" and form.get("WebIdentityToken") != "web-token":
            error = "<Error><Code>InvalidIdentityToken</Code><Message>No.</Message></Error>"
            return Reply(400, f"<ErrorResponse>{error}</ErrorResponse>".encode())
        name = f"{action}-{form.get('ExternalId', '')}-{form['RoleSessionName'] == 'mine'}"
        return Reply(
            200,
            f"<{action}Response xmlns='https://sts.amazonaws.com/doc/2011-06-15/'><{action}Result><Credentials>"
            f"<AccessKeyId>{name}</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>"
            f"<Expiration>{FUTURE}</Expiration></Credentials></{action}Result></{action}Response>".encode(),
        )


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with Cloud() as server:
        assert isinstance(server, Cloud)
        yield server


@dataclass
class Setting:
    """An environment and files below HOME. `@CLOUD@` and `@HOME@` stand for what is known only at run time."""

    environ: dict[str, str] = field(default_factory=dict)
    config: str = ""
    credentials: str = ""
    files: dict[str, str] = field(default_factory=dict)


INSTANCE = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": "@CLOUD@"}
CONTAINER = {
    "AWS_CONTAINER_CREDENTIALS_FULL_URI": "@CLOUD@/container",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN": "container-secret",
}
KEYS = {"AWS_ACCESS_KEY_ID": "ENV", "AWS_SECRET_ACCESS_KEY": "env-secret"}
STS = {"AWS_ENDPOINT_URL_STS": "@CLOUD@"}
DEFAULT = "[default]\naws_access_key_id = DEFAULT\naws_secret_access_key = default-secret\n"

SETTINGS = {
    "environment": Setting(KEYS),
    "environment with a session": Setting({**KEYS, "AWS_SESSION_TOKEN": "session"}),
    "environment before profile": Setting({**KEYS}, credentials=DEFAULT),
    "default profile": Setting(credentials=DEFAULT),
    "default profile of the settings": Setting(config=DEFAULT),
    "keys of the credentials file win": Setting(
        config=DEFAULT.replace("DEFAULT", "CONFIG"), credentials=DEFAULT
    ),
    "a named profile": Setting(
        {"AWS_PROFILE": "other"},
        credentials=DEFAULT
        + "\n# a comment\n[other]\naws_access_key_id=OTHER\naws_secret_access_key=o/t+h=er\naws_session_token=x\n",
    ),
    "a named profile of the settings": Setting(
        {"AWS_PROFILE": "other"}, config="[profile other]\naws_access_key_id=OTHER\naws_secret_access_key=o\n"
    ),
    "files elsewhere": Setting(
        {"AWS_SHARED_CREDENTIALS_FILE": "@HOME@/elsewhere"},
        files={"elsewhere": DEFAULT.replace("DEFAULT", "ELSE")},
    ),
    "nested settings": Setting(
        config="[default]\ns3 =\n  max_queue_size = 1\n  addressing_style = path\naws_access_key_id = N\n"
        "aws_secret_access_key = n\n"
    ),
    "a program": Setting(
        config="[default]\ncredential_process = cat @HOME@/out.json\n",
        files={
            "out.json": json.dumps(
                {
                    "Version": 1,
                    "AccessKeyId": "PROGRAM",
                    "SecretAccessKey": "p",
                    "SessionToken": "t",
                    "Expiration": FUTURE,
                }
            )
        },
    ),
    "a container": Setting({**CONTAINER, **INSTANCE}),
    "a container's token in a file": Setting(
        {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": "@CLOUD@/container",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "@HOME@/token",
        },
        files={"token": "container-secret"},
    ),
    "an instance": Setting(INSTANCE),
    "a web identity": Setting(
        {
            **STS,
            "AWS_WEB_IDENTITY_TOKEN_FILE": "@HOME@/web",
            "AWS_ROLE_ARN": "arn:aws:iam::1:role/r",
            "AWS_ROLE_SESSION_NAME": "mine",
        },
        files={"web": "web-token"},
    ),
    "a web identity of a profile": Setting(
        STS,
        config="[default]\nweb_identity_token_file = @HOME@/web\nrole_arn = arn:aws:iam::1:role/r\n"
        "role_session_name = mine\n",
        files={"web": "web-token"},
    ),
    "a role of another profile": Setting(
        {**STS, "AWS_PROFILE": "role"},
        config="[profile role]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = default\nexternal_id = ext\n",
        credentials=DEFAULT,
    ),
    "a role of a role": Setting(
        {**STS, "AWS_PROFILE": "outer"},
        config="[profile outer]\nrole_arn = arn:aws:iam::1:role/o\nsource_profile = inner\nrole_session_name = mine\n"
        "[profile inner]\nrole_arn = arn:aws:iam::1:role/i\nsource_profile = default\n",
        credentials=DEFAULT,
    ),
    "a role by the environment": Setting(
        {**STS, **KEYS, "AWS_PROFILE": "role"},
        config="[profile role]\nrole_arn = arn:aws:iam::1:role/r\ncredential_source = Environment\n",
    ),
    "a role by the instance": Setting(
        {**STS, **INSTANCE},
        config="[default]\nrole_arn = arn:aws:iam::1:role/r\ncredential_source = Ec2InstanceMetadata\n",
    ),
    "a role by the container": Setting(
        {**STS, **CONTAINER},
        config="[default]\nrole_arn = arn:aws:iam::1:role/r\ncredential_source = EcsContainer\n",
    ),
}


def laid_out(setting: Setting, home: Path, cloud: str) -> dict[str, str]:
    """The environment of `setting`, its files written."""

    def filled(text: str) -> str:
        return text.replace("@CLOUD@", cloud).replace("@HOME@", str(home))

    files = {**setting.files, ".aws/config": setting.config, ".aws/credentials": setting.credentials}
    for name, text in files.items():
        if text:
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            (home / name).write_text(filled(text))
    environ = {"HOME": str(home), "PATH": os.environ["PATH"]}
    return {**environ, **{name: filled(value) for name, value in setting.environ.items()}}


def found(environ: Mapping[str, str], clock: Clock, **attrs: str) -> AwsKeys:
    return credentials_of(attrs, environ, "eu-central-1", clock).keys()


@pytest.mark.parametrize("name", SETTINGS)
def test_the_keys_are_those_that_amazons_library_finds(
    name: str, cloud: Cloud, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = laid_out(SETTINGS[name], tmp_path, cloud.url)
    for variable in [each for each in os.environ if each.startswith("AWS_")]:
        monkeypatch.delenv(variable)
    for variable, value in environ.items():
        monkeypatch.setenv(variable, value)
    session = botocore.session.Session()
    session.set_config_variable("region", "eu-central-1")
    credentials = session.get_credentials()
    assert credentials is not None
    theirs = credentials.get_frozen_credentials()
    ours = found(environ, clock)
    assert (ours.access_key_id, ours.secret_access_key) == (theirs.access_key, theirs.secret_key)
    assert ours.session_token == (theirs.token or "")


def test_the_environment_says_more_than_a_profile_of_that_name(
    cloud: Cloud, clock: Clock, tmp_path: Path
) -> None:
    """Go's library, which BuildKit uses, takes keys of the environment although AWS_PROFILE names a profile (botocore
    takes the profile)."""
    setting = Setting({**KEYS, "AWS_PROFILE": "default"}, credentials=DEFAULT)
    assert found(laid_out(setting, tmp_path, cloud.url), clock).access_key_id == "ENV"


def test_attributes_come_first_each_for_itself(cloud: Cloud, clock: Clock, tmp_path: Path) -> None:
    environ = laid_out(Setting({**KEYS, "AWS_SESSION_TOKEN": "session"}), tmp_path, cloud.url)
    both = found(environ, clock, access_key_id="MINE", secret_access_key="mine")
    assert both == AwsKeys("MINE", "mine", "")
    assert found(environ, clock, access_key_id="MINE") == AwsKeys("MINE", "env-secret", "session")
    assert found(environ, clock, session_token="mine") == AwsKeys("ENV", "env-secret", "mine")


def test_temporary_keys_are_asked_for_again_before_they_end(
    cloud: Cloud, clock: Clock, tmp_path: Path
) -> None:
    environ = laid_out(Setting(INSTANCE), tmp_path, cloud.url)
    credentials = credentials_of({}, environ, "r", clock)
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 60))
    expiring = {"AccessKeyId": "SOON", "SecretAccessKey": "s", "Token": "t", "Expiration": soon}
    cloud.next_reply(json_reply(200, expiring), when=lambda call: call.path.endswith("/the-role"))
    assert [credentials.keys().access_key_id for _ in range(3)] == ["SOON", "INSTANCE", "INSTANCE"]


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        (Setting({"AWS_EC2_METADATA_DISABLED": "true"}), "neither the environment nor a profile has any"),
        (Setting({"AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:1"}), "this is no EC2 instance"),
        (Setting({"AWS_PROFILE": "nobody"}, credentials=DEFAULT), "there is no profile 'nobody'"),
        (Setting(config="[default]\nsso_session = s\nsso_account_id = 1\n"), "signs in through a browser"),
        (
            Setting(config="[default]\ncredential_process = echo hidden-secret; exit 3\n"),
            "credential_process failed",
        ),
        (
            Setting(config="[default]\ncredential_process = echo hidden-secret\n"),
            "credential_process gave no keys",
        ),
        (
            Setting({"AWS_PROFILE": "a"}, config="[profile a]\nrole_arn = x\nsource_profile = a\n"),
            "leads in a circle",
        ),
        (
            Setting(
                config="[default]\nrole_arn = x\nmfa_serial = m\nsource_profile = default\n" + DEFAULT[10:]
            ),
            "asks for a code",
        ),
        (
            Setting(config="[default]\nrole_arn = x\ncredential_source = Heaven\n"),
            "credential_source 'Heaven'",
        ),
        (Setting({"AWS_WEB_IDENTITY_TOKEN_FILE": "@HOME@/none"}), "a web identity needs a role"),
        (
            Setting({"AWS_WEB_IDENTITY_TOKEN_FILE": "@HOME@/none", "AWS_ROLE_ARN": "x"}),
            "/none: No such file or directory",
        ),
        (
            Setting({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://example.com/x"}),
            "example.com is no place for a container's credentials",
        ),
        (Setting({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "@CLOUD@/container"}), "answers 403"),
    ],
)
def test_why_there_are_none(setting: Setting, words: str, cloud: Cloud, clock: Clock, tmp_path: Path) -> None:
    with pytest.raises(DeniedError) as caught:
        found(laid_out(setting, tmp_path, cloud.url), clock)
    assert words in str(caught.value)
    assert caught.value.code == "cache-credentials"
    assert "aws configure export-credentials" in str(caught.value.hint)
    assert "hidden" not in f"{caught.value} {caught.value.__cause__}"
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_what_sts_refuses(cloud: Cloud, clock: Clock, tmp_path: Path) -> None:
    environ = {**STS, "AWS_WEB_IDENTITY_TOKEN_FILE": "@HOME@/web", "AWS_ROLE_ARN": "x"}
    setting = Setting(environ, files={"web": "hidden-token"})
    with pytest.raises(BakehouseError, match="answers 400: InvalidIdentityToken: No") as caught:
        found(laid_out(setting, tmp_path, cloud.url), clock)
    assert "hidden" not in str(caught.value)


def test_a_file_that_cannot_be_read_shows_nothing_of_itself(
    cloud: Cloud, clock: Clock, tmp_path: Path
) -> None:
    setting = Setting(credentials="aws_secret_access_key hidden-secret\n")
    with pytest.raises(DefinitionError, match="is not a file of AWS settings") as caught:
        found(laid_out(setting, tmp_path, cloud.url), clock)
    assert caught.value.__suppress_context__
    assert "hidden" not in str(caught.value)
