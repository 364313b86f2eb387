"""Caches in Azure Blob Storage: names, the container, credentials, words of refusals."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.support.cache_services import (
    ACCOUNT_KEY,
    AzureStorage,
    Call,
    Reply,
    Server,
    azure_error,
    json_reply,
)
from tests.unit.cache_stores.conftest import Clock

from bakehouse.engine.caches.stores.azblob import AzureStore
from bakehouse.engine.caches.stores.azure_credentials import _Tokens, bearer, shared_key
from bakehouse.engine.caches.stores.model import open_cache_store
from bakehouse.errors import BakehouseError, DefinitionError, DeniedError
from bakehouse.oci.digest import Digest

SMALL = b"a small blob"
URL = "https://account.blob.core.windows.net"


@pytest.mark.parametrize(
    ("attrs", "environ", "expected"),
    [
        ({"account_url": URL}, {}, (f"{URL}/buildkit-cache", "blobs", "manifests")),
        ({"account_url": URL + "/"}, {}, (f"{URL}/buildkit-cache", "blobs", "manifests")),
        (
            {},
            {
                "BUILDKIT_AZURE_STORAGE_ACCOUNT_URL": URL,
                "BUILDKIT_AZURE_STORAGE_CONTAINER": "c",
                "BUILDKIT_AZURE_STORAGE_PREFIX": "p/",
            },
            (f"{URL}/c", "p/blobs", "p/manifests"),
        ),
        (
            {
                "account_url": URL,
                "container": "mine",
                "prefix": "a//b",
                "blobs_prefix": "../x",
                "manifests_prefix": "",
            },
            {"BUILDKIT_AZURE_STORAGE_CONTAINER": "c", "BUILDKIT_AZURE_STORAGE_PREFIX": "p/"},
            (f"{URL}/mine", "a/x", "a/b"),
        ),
    ],
)
def test_where_blobs_are(
    attrs: dict[str, str], environ: dict[str, str], expected: tuple[str, str, str]
) -> None:
    store, names = open_cache_store("azblob", {**attrs, "secret_access_key": ACCOUNT_KEY}, environ)
    assert isinstance(store, AzureStore)
    place = store._place
    assert (place.base, place.blobs, place.manifests) == expected
    assert names == ("buildkit",)


@pytest.mark.parametrize("export", [False, True])
def test_all_names_are_written_and_read(export: bool) -> None:
    attrs = {"account_url": URL, "secret_access_key": ACCOUNT_KEY, "name": "one;two"}
    assert open_cache_store("azblob", attrs, {}, export=export)[1] == ("one", "two")


@pytest.mark.parametrize(
    ("attrs", "message"),
    [
        (
            {},
            "either ${BUILDKIT_AZURE_STORAGE_ACCOUNT_URL} or account_url attribute is required for azblob cache",
        ),
        ({"account_url": "account"}, "azure storage account url provided is not a valid url"),
        (
            {"account_url": f"{URL}?sig=hidden-secret"},
            "azure storage account url provided is not a valid url",
        ),
        ({"account_url": URL, "account_name": ""}, "unable to retrieve account name from account url"),
        (
            {"account_url": URL, "secret_access_key": "hidden secret"},
            "secret_access_key of the azblob cache is not base64",
        ),
        ({"account_url": URL, "container": ""}, "container of the azblob cache is empty"),
    ],
)
def test_attributes_that_are_refused(attrs: dict[str, str], message: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        open_cache_store("azblob", attrs, {})
    assert str(caught.value).startswith(message)
    assert caught.value.code == "cache-attribute"
    assert "hidden" not in f"{caught.value} {caught.value.hint}"


def test_the_container_is_made_before_the_first_write_alone(azure: AzureStorage) -> None:
    reader, (name,) = open_cache_store("azblob", azure.attrs(), {})
    assert reader.get_document(name) is None
    assert not reader.has_blob(Digest.of(SMALL))
    assert azure.containers == {}
    reader.put_blob(Digest.of(SMALL), len(SMALL), lambda: io.BytesIO(SMALL))
    assert list(azure.containers) == ["buildkit-cache"]
    asked = len(azure.calls)
    reader.put_document(name, b"{}")
    assert len(azure.calls) == asked + 1
    reader.close()


def test_two_may_make_the_container_at_once(azure: AzureStorage) -> None:
    store, (name,) = open_cache_store("azblob", azure.attrs(), {})
    azure.containers["buildkit-cache"] = {}
    azure.next_reply(azure_error(404, "ContainerNotFound"))
    store.put_document(name, b"{}")
    store.close()


def test_who_may_not_look_at_the_container_may_write_into_it(azure: AzureStorage) -> None:
    store, (name,) = open_cache_store("azblob", azure.attrs(), {})
    azure.containers["buildkit-cache"] = {}
    azure.next_reply(azure_error(403, "AuthorizationPermissionMismatch"))
    store.put_document(name, b"{}")
    assert store.get_document(name) == b"{}"
    store.close()


def test_a_blob_that_somebody_else_wrote_meanwhile_is_fine(azure: AzureStorage) -> None:
    store, _ = open_cache_store("azblob", azure.attrs(), {})
    azure.containers["buildkit-cache"] = {}
    for content in (SMALL, bytes(17 * 1024 * 1024)):
        digest = Digest.of(content)
        for _ in range(2):
            store.put_blob(digest, len(content), lambda: io.BytesIO(content))  # noqa: B023
        assert azure.containers["buildkit-cache"][f"blobs/{digest}"].content == content
    store.close()


def test_a_download_is_resumed_where_it_broke(azure: AzureStorage) -> None:
    content = bytes(range(256)) * 4096
    store, _ = open_cache_store("azblob", azure.attrs(), {})
    store.put_blob(Digest.of(content), len(content), lambda: io.BytesIO(content))
    broken = Reply(200, content, {"Content-Length": str(len(content))}, cut_at=300_000)
    azure.next_reply(broken)
    with store.open_blob(Digest.of(content), len(content)) as stream:
        assert stream.read() == content
    assert azure.calls[-1].headers["x-ms-range"] == "bytes=300000-"
    store.close()


def test_a_wrong_key_is_told_without_what_was_signed(azure: AzureStorage) -> None:
    store, (name,) = open_cache_store("azblob", azure.attrs(secret_access_key="aGlkZGVu"), {})
    with pytest.raises(DeniedError) as caught:
        store.get_document(name)
    host = azure.url.removeprefix("http://")
    assert str(caught.value) == (
        f"cannot read the cache 'buildkit': Azure Blob Storage at {host} answers 403: AuthenticationFailed: "
        "Server failed to authenticate the request."
    )
    store.close()


def test_no_token_goes_out_in_the_clear(azure: AzureStorage) -> None:
    attrs = {"account_url": azure.account_url}
    store, (name,) = open_cache_store("azblob", attrs, {"AZURE_TENANT_ID": "t"})
    with pytest.raises(DefinitionError, match="over https alone"):
        store.get_document(name)
    assert azure.calls == []
    store.close()


class Identities(Server):
    """The endpoint of an app service's identity."""

    def answer(self, call: Call) -> Reply:
        expected = {
            "resource": "https://storage.azure.com",
            "api-version": "2019-08-01",
            "client_id": "the-client",
        }
        if call.headers.get("x-identity-header") != "identity-secret" or call.query != expected:
            return json_reply(400, {"error": "invalid_request", "error_description": "hidden"})
        return json_reply(200, {"access_token": "token-1", "expires_on": "4000000000"})


def az(folder: Path, script: str) -> dict[str, str]:
    """An environment in which `az` is `script`, and nothing else is to be had."""
    program = folder / "az"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "IDENTITY_ENDPOINT": "http://127.0.0.1:1",
        "IDENTITY_HEADER": "x",
    }


def token(environ: Mapping[str, str], clock: Clock) -> str:
    return _Tokens(environ, clock).token()


def test_the_machines_identity_gives_a_token_once(clock: Clock) -> None:
    with Identities() as server:
        environ = {
            "IDENTITY_ENDPOINT": server.url,
            "IDENTITY_HEADER": "identity-secret",
            "AZURE_CLIENT_ID": "the-client",
        }
        prove = bearer(environ, clock)
        for _ in range(3):
            assert prove("GET", f"{URL}/c/b", {}, 0)["Authorization"] == "Bearer token-1"
        assert len(server.calls) == 1


def test_a_token_that_ends_soon_is_asked_for_again(clock: Clock) -> None:
    with Identities() as server:
        environ = {
            "IDENTITY_ENDPOINT": server.url,
            "IDENTITY_HEADER": "identity-secret",
            "AZURE_CLIENT_ID": "the-client",
        }
        server.next_reply(json_reply(200, {"access_token": "old", "expires_in": "60"}))
        tokens = _Tokens(environ, clock)
        assert [tokens.token() for _ in range(3)] == ["old", "token-1", "token-1"]


def test_the_command_line_of_azure_gives_a_token(clock: Clock, tmp_path: Path) -> None:
    answer = json.dumps({"accessToken": "of-az", "expires_on": 4000000000, "tokenType": "Bearer"})
    command = "account get-access-token --output json --resource https://storage.azure.com"
    environ = az(tmp_path, f"[ \"$*\" = '{command}' ] && echo '{answer}'")
    assert token(environ, clock) == "of-az"


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo hidden >&2; exit 1", "`az account get-access-token` failed"),
        ("echo hidden", "an answer holds no token"),
        ("echo '{\"accessToken\": 5}'", "an answer holds no token"),
    ],
)
def test_what_az_can_do_wrong(script: str, words: str, clock: Clock, tmp_path: Path) -> None:
    with pytest.raises(DeniedError, match=words) as caught:
        token(az(tmp_path, script), clock)
    assert caught.value.code == "cache-credentials"
    assert "hidden" not in str(caught.value)


def test_nobody_gives_a_token(clock: Clock, tmp_path: Path) -> None:
    environ = {"PATH": str(tmp_path), "IDENTITY_ENDPOINT": "http://127.0.0.1:1", "IDENTITY_HEADER": "x"}
    with pytest.raises(DeniedError, match="there is no `az`") as caught:
        token(environ, clock)
    assert "az login" in str(caught.value.hint)


def test_a_principals_secret_goes_out_over_https_alone(clock: Clock, azure: AzureStorage) -> None:
    environ = {
        "AZURE_TENANT_ID": "t",
        "AZURE_CLIENT_ID": "c",
        "AZURE_CLIENT_SECRET": "hidden-secret",
        "AZURE_AUTHORITY_HOST": azure.url,
    }
    with pytest.raises(BakehouseError, match="AZURE_AUTHORITY_HOST is no https URL"):
        token(environ, clock)
    assert azure.calls == []


def test_a_signature_by_hand() -> None:
    """Made with `openssl dgst -sha256 -mac hmac` from the text that the documentation of SharedKey prescribes."""
    prove = shared_key("myaccount", "c2VjcmV0", clock=lambda: 1_700_000_000.0)
    url = "https://myaccount.blob.core.windows.net/c/blobs/sha256:00?comp=block&blockid=QQ%3D%3D"
    headers = prove("PUT", url, {"Content-Type": "text/plain"}, 5)
    assert headers["x-ms-date"] == "Tue, 14 Nov 2023 22:13:20 GMT"
    assert headers["Authorization"] == "SharedKey myaccount:yYB1K68BCxEsg7fAXp1QyL/EVRUtqF4mM3DIhAUIR+k="
