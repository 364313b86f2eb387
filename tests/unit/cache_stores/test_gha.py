"""Caches in GitHub's Actions cache: tokens and scopes, both protocols, numbers of indexes, busy services."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator

import pytest
from tests.support.cache_services import (
    BRANCH,
    MAIN,
    MAIN_READ,
    ActionsCache,
    ActionsEntry,
    Call,
    Reply,
    actions_token,
    json_reply,
)
from tests.unit.cache_stores.conftest import Clock

from bakehouse.engine.caches.stores import gha_service
from bakehouse.engine.caches.stores.gha import _endpoint, filled, index_key
from bakehouse.engine.caches.stores.gha_service import listed_keys
from bakehouse.engine.caches.stores.gha_token import token_scopes
from bakehouse.engine.caches.stores.model import CacheStore, is_active, open_cache_store
from bakehouse.engine.caches.stores.service import Patience, Service
from bakehouse.errors import BakehouseError, DefinitionError, DeniedError, EnvironmentFault, TransientError
from bakehouse.oci.digest import Digest

SMALL = b"a small blob"
DIGEST = Digest.of(SMALL)
BLOB_KEY = f"buildkit-blob-1-{DIGEST}"
TOKEN = actions_token(MAIN)
RESULTS = "https://results-receiver.actions.githubusercontent.com/"
BOTH = pytest.mark.parametrize("version", [1, 2])


def of_ref(ref: str, scope: str = "buildkit") -> str:
    return f"index-{scope}-1-{hashlib.sha256(ref.encode()).hexdigest()[:8]}"


# What a job's environment and attributes say


@pytest.mark.parametrize(
    ("attrs", "environ", "expected"),
    [
        ({"url": "https://a"}, {}, (1, "https://a")),
        ({"url": RESULTS}, {}, (2, RESULTS)),
        ({"url": "https://a", "url_v2": "https://b"}, {}, (2, "https://b")),
        ({"url": "https://a", "url_v2": "https://b", "version": "1"}, {}, (1, "https://a")),
        ({"url": "https://a", "version": "2"}, {}, (2, "https://a")),
        ({}, {"ACTIONS_CACHE_URL": "https://a"}, (1, "https://a")),
        ({}, {"ACTIONS_CACHE_URL": "https://a", "ACTIONS_RESULTS_URL": "https://b"}, (1, "https://a")),
        ({}, {"ACTIONS_RESULTS_URL": "https://b"}, (1, "https://b")),
        (
            {},
            {
                "ACTIONS_CACHE_URL": "https://a",
                "ACTIONS_RESULTS_URL": "https://b",
                "ACTIONS_CACHE_SERVICE_V2": "true",
            },
            (2, "https://b"),
        ),
        (
            {"version": "2"},
            {"ACTIONS_CACHE_URL": "https://a", "ACTIONS_RESULTS_URL": "https://b"},
            (2, "https://b"),
        ),
        (
            {"version": "1"},
            {
                "ACTIONS_CACHE_URL": "https://a",
                "ACTIONS_RESULTS_URL": "https://b",
                "ACTIONS_CACHE_SERVICE_V2": "1",
            },
            (1, "https://a"),
        ),
        ({}, {"ACTIONS_RESULTS_URL": "https://b", "ACTIONS_CACHE_SERVICE_V2": "maybe"}, (1, "https://b")),
    ],
)
def test_protocol_and_address(
    attrs: dict[str, str], environ: dict[str, str], expected: tuple[int, str]
) -> None:
    """By buildx's `addGithubToken` and BuildKit's `getConfig`."""
    assert _endpoint(filled(attrs, environ)) == expected


@pytest.mark.parametrize(
    ("attrs", "environ", "active"),
    [
        ({}, {}, False),
        ({"token": "t"}, {}, False),
        ({"url": "u"}, {}, False),
        ({"token": "t", "url": "u"}, {}, True),
        ({"token": "t", "url_v2": "u"}, {}, True),
        ({"token": "", "url": "u"}, {}, False),
        ({}, {"ACTIONS_RUNTIME_TOKEN": "t", "ACTIONS_CACHE_URL": "u"}, True),
        ({}, {"ACTIONS_RUNTIME_TOKEN": "t", "ACTIONS_RESULTS_URL": "u"}, True),
        ({}, {"ACTIONS_CACHE_URL": "u"}, False),
    ],
)
def test_outside_of_a_job_an_entry_does_not_count(
    attrs: dict[str, str], environ: dict[str, str], active: bool
) -> None:
    assert is_active("gha", attrs, environ) is active
    assert is_active("s3", attrs, environ)


@pytest.mark.parametrize(
    ("attrs", "message"),
    [
        ({"url": "https://a"}, "token not set for github actions cache"),
        ({"token": TOKEN}, "url not set for github actions cache"),
        (
            {"token": TOKEN, "url": "a.example.com"},
            "the url of the github actions cache is no http or https URL",
        ),
        (
            {"token": TOKEN, "url": "https://a", "version": "two"},
            "failed to parse api version 'two', expected positive integer",
        ),
        (
            {"token": TOKEN, "url": "https://a", "timeout": "10"},
            'failed to parse timeout for github actions cache: time: missing unit in duration "10"',
        ),
        (
            {"token": "hidden", "url": "https://a"},
            "the token of the github actions cache is no JSON web token",
        ),
        (
            {"token": "hidden.hidden.hidden", "url": "https://a"},
            "the token of the github actions cache is no JSON web",
        ),
        ({"token": "a.e30.c", "url": "https://a"}, "invalid token without access controls"),
        ({"token": "a.eyJhYyI6IltdIn0.c", "url": "https://a"}, "invalid token without expiration time"),
    ],
)
def test_attributes_that_are_refused(attrs: dict[str, str], message: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        open_cache_store("gha", attrs, {})
    assert str(caught.value).startswith(message)
    assert caught.value.code == "cache-attribute"
    assert "hidden" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    ("moment", "words"),
    [
        ({"lifetime_s": -5}, "cache token expired at 2"),
        ({"begins_s": 500}, "cache token is not valid before 2"),
    ],
)
def test_tokens_of_another_time(moment: dict[str, int], words: str) -> None:
    with pytest.raises(DeniedError, match=words) as caught:
        token_scopes(actions_token(MAIN, **moment))
    assert caught.value.code == "cache-denied"


def test_a_job_reads_all_its_scopes_and_writes_the_last_that_it_may() -> None:
    attrs = {"url": "https://a", "scope": "app", "token": actions_token(BRANCH, MAIN_READ)}
    assert open_cache_store("gha", attrs, {})[1] == (of_ref(BRANCH[0], "app"), of_ref(MAIN[0], "app"))
    assert open_cache_store("gha", attrs, {}, export=True)[1] == (of_ref(BRANCH[0], "app"),)
    attrs["token"] = actions_token(BRANCH, MAIN)
    assert open_cache_store("gha", attrs, {}, export=True)[1] == (of_ref(MAIN[0], "app"),)
    assert index_key("app", "") == "index-app-1-e3b0c442"


# The service


OpenStore = Callable[..., tuple[CacheStore, tuple[str, ...]]]


@pytest.fixture
def opened(actions: ActionsCache, clock: Clock) -> Iterator[OpenStore]:
    """Opens stores in the fake, closes them."""
    stores: list[CacheStore] = []

    def open_store(
        version: int,
        *scopes: tuple[str, int],
        export: bool = True,
        environ: dict[str, str] | None = None,
        **attrs: str,
    ) -> tuple[CacheStore, tuple[str, ...]]:
        settings = {**actions.environ(version, *scopes), **(environ or {})}
        store, names = open_cache_store("gha", attrs, settings, export=export, wait=clock)
        stores.append(store)
        return store, names

    yield open_store
    for store in stores:
        store.close()


def put(store: CacheStore, content: bytes = SMALL) -> None:
    store.put_blob(Digest.of(content), len(content), lambda: io.BytesIO(content))


@BOTH
def test_keys_are_those_of_buildkit(version: int, opened: OpenStore, actions: ActionsCache) -> None:
    store, (name,) = opened(version, scope="app")
    put(store)
    for _ in range(3):
        store.put_document(name, b"{}")
    index = of_ref(MAIN[0], "app")
    assert actions.keys() == [BLOB_KEY, f"{index}#1", f"{index}#2", f"{index}#3"]
    assert {entry.version for entry in actions.entries} == {
        hashlib.sha256(b"|go-actionscache-1.0").hexdigest()
    }


@BOTH
def test_a_branch_reads_what_main_wrote_and_hides_it_with_its_own(version: int, opened: OpenStore) -> None:
    on_main, (name,) = opened(version, MAIN)
    put(on_main)
    on_main.put_document(name, b"of main")
    reader, names = opened(version, BRANCH, MAIN_READ, export=False)
    assert [reader.get_document(each) for each in names] == [None, b"of main"]
    assert reader.has_blob(DIGEST)
    writer, (own,) = opened(version, BRANCH, MAIN_READ)
    writer.put_document(own, b"of work")
    assert [reader.get_document(each) for each in names] == [b"of work", b"of main"]


@BOTH
def test_a_token_that_only_reads_writes_nothing(
    version: int, opened: OpenStore, actions: ActionsCache
) -> None:
    store, (name,) = opened(version, MAIN_READ)
    for write in (lambda: put(store), lambda: store.put_document(name, b"{}")):
        with pytest.raises(DeniedError, match="the job's token only reads") as caught:
            write()
        assert caught.value.code == "cache-denied"
    assert actions.calls == []


@BOTH
def test_a_blob_that_another_job_is_writing_is_left_to_it(
    version: int, opened: OpenStore, actions: ActionsCache
) -> None:
    actions.entries.append(ActionsEntry(1, BLOB_KEY, gha_service.ENTRY_VERSION, MAIN[0]))
    store, _ = opened(version)
    put(store)
    assert actions.keys() == []
    assert len(actions.calls) == 1


@BOTH
def test_an_index_that_another_job_holds_is_waited_for(
    version: int, opened: OpenStore, actions: ActionsCache, clock: Clock
) -> None:
    store, (name,) = opened(version)
    held = ActionsEntry(1, f"{name}#1", gha_service.ENTRY_VERSION, MAIN[0])
    held.blob.content = b"theirs"
    actions.entries.append(held)

    def wait(seconds: float) -> None:
        clock(seconds)
        held.committed = len(clock.waits) == 3

    store._wait = wait  # type: ignore[attr-defined]
    store.put_document(name, b"ours")
    assert clock.waits == [2.0, 2.0, 2.0]
    assert actions.keys() == [f"{name}#1", f"{name}#2"]
    assert store.get_document(name) == b"ours"


@BOTH
def test_a_number_of_a_job_that_died_is_passed_over_in_the_end(
    version: int, opened: OpenStore, actions: ActionsCache, clock: Clock
) -> None:
    store, (name,) = opened(version)
    actions.entries.append(ActionsEntry(1, f"{name}#1", gha_service.ENTRY_VERSION, MAIN[0]))
    store.put_document(name, b"ours")
    assert actions.keys() == [f"{name}#2"]
    # BuildKit's patience: fifteen seconds, looked at every two.
    assert clock.waits == [2.0] * 8


@BOTH
def test_an_index_without_a_number_is_not_built_upon(
    version: int, opened: OpenStore, actions: ActionsCache
) -> None:
    store, (name,) = opened(version)
    entry = ActionsEntry(1, f"{name}#x", gha_service.ENTRY_VERSION, MAIN[0], committed=True)
    actions.entries.append(entry)
    with pytest.raises(EnvironmentFault, match="has no number"):
        store.put_document(name, b"{}")


@BOTH
def test_a_busy_service_is_given_time(
    version: int, opened: OpenStore, actions: ActionsCache, clock: Clock
) -> None:
    store, _ = opened(version)
    put(store)
    for _ in range(2):
        actions.next_reply(Reply(429, b'{"message":"slow down"}', {"Retry-After": "0"}))
    actions.next_reply(Reply(429, b"", {"Retry-After": "0"}))
    service = store._service  # type: ignore[attr-defined]
    real = service._hold_others
    service._hold_others = lambda asked: real(0.001)
    assert store.has_blob(Digest.of(SMALL))


@BOTH
def test_a_service_that_stays_busy_is_an_error(
    version: int, opened: OpenStore, actions: ActionsCache
) -> None:
    store, _ = opened(version, timeout="30s")
    actions.next_reply(Reply(429, b"", {"Retry-After": "60"}))
    with pytest.raises(TransientError, match="is busy") as caught:
        store.has_blob(DIGEST)
    assert caught.value.code == "cache-busy"


@BOTH
@pytest.mark.parametrize(
    ("reply", "words", "kind"),
    [
        (
            json_reply(401, {"message": "no such token", "typeKey": "X"}),
            "answers 401: no such token",
            DeniedError,
        ),
        (
            json_reply(403, {"code": "permission_denied", "msg": "not yours"}),
            "answers 403: not yours",
            DeniedError,
        ),
        (json_reply(404, {"code": "bad_route"}), "answers 404: bad_route", EnvironmentFault),
        (Reply(500, b"<html>"), "answers 500", TransientError),
        (Reply(200, b"<html>"), "answers without JSON", EnvironmentFault),
        (Reply(200, b"[]"), "answers without JSON", EnvironmentFault),
    ],
)
def test_refusals_have_the_words_of_the_service(
    version: int,
    reply: Reply,
    words: str,
    kind: type[BakehouseError],
    opened: OpenStore,
    actions: ActionsCache,
    clock: Clock,
) -> None:
    store, _ = opened(version)
    for _ in range(3):
        actions.next_reply(reply)
    with pytest.raises(kind, match=words) as caught:
        store.has_blob(DIGEST)
    assert actions.environ(version)["ACTIONS_RUNTIME_TOKEN"] not in str(caught.value)


@BOTH
def test_a_mark_of_byte_order_is_no_part_of_the_answer(
    version: int, opened: OpenStore, actions: ActionsCache
) -> None:
    store, _ = opened(version)
    raw = b'\xef\xbb\xbf{"message":"said with a mark","typeKey":"X"}'
    actions.next_reply(Reply(400, raw))
    with pytest.raises(EnvironmentFault, match="said with a mark"):
        store.has_blob(DIGEST)


@BOTH
def test_downloads_are_resumed_and_carry_no_token(
    version: int, opened: OpenStore, actions: ActionsCache
) -> None:
    content = bytes(range(256)) * 4096
    store, _ = opened(version)
    put(store, content)
    whole = {"Content-Length": str(len(content))}

    def is_download(call: Call) -> bool:
        return call.path.startswith("/storage/") and call.method == "GET"

    actions.next_reply(Reply(200, content, whole, cut_at=300_000), when=is_download)
    with store.open_blob(Digest.of(content), len(content)) as stream:
        assert stream.read() == content
    downloads = [call for call in actions.calls if is_download(call)]
    ranges = [call.headers.get("x-ms-range", call.headers.get("range")) for call in downloads]
    assert ranges == [None, "bytes=300000-"]
    assert all(
        "authorization" not in call.headers for call in actions.calls if call.path.startswith("/storage/")
    )


def test_downloads_of_the_first_protocol_may_be_redirected(opened: OpenStore, actions: ActionsCache) -> None:
    store, _ = opened(1)
    put(store)
    actions.redirect_downloads = True
    with store.open_blob(DIGEST, len(SMALL)) as stream:
        assert stream.read() == SMALL


def test_a_signed_url_that_expired_is_asked_for_again(opened: OpenStore, actions: ActionsCache) -> None:
    store, _ = opened(2)
    put(store)
    assert store.has_blob(DIGEST)
    actions.entries[0].generation += 1
    with store.open_blob(DIGEST, len(SMALL)) as stream:
        assert stream.read() == SMALL
    # And one that goes on being refused is an error that shows no signature.
    actions.next_reply(Reply(403), when=lambda call: call.path.startswith("/storage/"))
    actions.next_reply(Reply(403), when=lambda call: call.path.startswith("/storage/"))
    with pytest.raises(DeniedError) as caught, store.open_blob(DIGEST, len(SMALL)):
        pass
    assert "sig=" not in str(caught.value)


@pytest.mark.parametrize("version", [1, 2])
def test_a_reservation_that_got_lost_is_not_asked_for_twice(
    version: int, opened: OpenStore, actions: ActionsCache, clock: Clock
) -> None:
    """Its first answer may be lost, not its effect: the second would say that somebody else holds the key."""
    store, _ = opened(version)
    actions.next_reply(Reply(502, b"{}"))
    with pytest.raises(TransientError):
        put(store)
    assert len(actions.calls) == 1


def test_a_commit_that_fails_is_an_error(opened: OpenStore, actions: ActionsCache) -> None:
    store, _ = opened(2)
    refused = json_reply(200, {"ok": False, "message": "quota reached"})
    actions.next_reply(refused, when=lambda call: call.path.endswith("FinalizeCacheEntryUpload"))
    with pytest.raises(EnvironmentFault, match="quota reached"):
        put(store)


@BOTH
def test_an_index_that_fails_on_its_way_up_is_an_error(
    version: int, opened: OpenStore, actions: ActionsCache
) -> None:
    store, (name,) = opened(version)
    actions.next_reply(Reply(403, b"{}"), when=lambda call: call.method in ("PUT", "PATCH"))
    with pytest.raises(DeniedError):
        store.put_document(name, b"{}")


@BOTH
def test_a_key_that_only_begins_so_is_another(version: int, opened: OpenStore, actions: ActionsCache) -> None:
    entry = ActionsEntry(1, f"{BLOB_KEY}-sig", gha_service.ENTRY_VERSION, MAIN[0], committed=True)
    actions.entries.append(entry)
    store, _ = opened(version)
    assert not store.has_blob(DIGEST)


# GitHub's API, which knows all keys at once


@BOTH
def test_blobs_are_listed_once_where_the_api_may_be_asked(
    version: int, opened: OpenStore, actions: ActionsCache
) -> None:
    writer, _ = opened(version)
    put(writer)
    api = {"GITHUB_API_URL": actions.url}
    store, _ = opened(version, environ=api, repository="team/app", ghtoken="github-token")
    asked = len(actions.calls)
    assert [store.has_blob(DIGEST), store.has_blob(Digest.of(b"other")), store.has_blob(DIGEST)] == [
        True,
        False,
        True,
    ]
    assert [call.path for call in actions.calls[asked:]] == ["/repos/team/app/actions/caches"]


def test_an_api_that_refuses_costs_only_requests(opened: OpenStore, actions: ActionsCache) -> None:
    writer, _ = opened(2)
    put(writer)
    store, _ = opened(2, environ={"GITHUB_API_URL": actions.url}, repository="team/app", ghtoken="wrong")
    assert [store.has_blob(DIGEST), store.has_blob(Digest.of(b"other"))] == [True, False]


def test_long_lists_have_pages(actions: ActionsCache, clock: Clock) -> None:
    for number in range(205):
        key = f"buildkit-blob-1-{number}"
        actions.entries.append(ActionsEntry(number + 1, key, "", MAIN[0], committed=True))
    service = Service("it", {}, Patience(), wait=clock)
    keys = listed_keys(service, actions.url, "team/app", "github-token", "buildkit-blob-1-", MAIN[0])
    service.close()
    assert len(keys) == 205
    assert [call.query["page"] for call in actions.calls] == ["1", "2", "3"]
