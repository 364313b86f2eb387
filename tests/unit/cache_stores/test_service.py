"""Patience, retries, redirects and words of the HTTP that all stores share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from tests.support.cache_services import Call, Reply, Server
from tests.support.services import free_port
from tests.unit.cache_stores.conftest import Clock

from bakehouse.engine.caches.stores.service import Patience, Request, Service
from bakehouse.errors import DeniedError, EnvironmentFault, TransientError
from bakehouse.registry.transport import Answer


class Echo(Server):
    """Answers 200 with `fine`."""

    def answer(self, call: Call) -> Reply:
        return Reply(200, b"fine")


@pytest.fixture
def server() -> Iterator[Echo]:
    with Echo() as running:
        assert isinstance(running, Echo)
        yield running


MakeService = Callable[..., Service]


@pytest.fixture
def make(clock: Clock) -> Iterator[MakeService]:
    """Makes services that wait by the clock of the test; closes them."""
    made: list[Service] = []

    def make(title: str, environ: Mapping[str, str], patience: Patience, **more: Any) -> Service:
        made.append(Service(title, environ, patience, **{"wait": clock, **more}))
        return made[-1]

    yield make
    for service in made:
        service.close()


def ask(service: Service, url: str, *, idempotent: bool = True, body: bytes | None = None) -> Answer:
    headers = {"Authorization": "Bearer very-secret"}
    method = "GET" if body is None else "POST"
    return service.send(lambda: Request(method, url, headers, body), idempotent=idempotent)


def status(answer: Answer) -> int:
    with answer:
        answer.read(1000)
    return answer.status


@pytest.mark.parametrize("failure", [408, 429, 500, 502, 503, 504])
def test_passing_failures_are_tried_again_after_growing_waits(
    make: MakeService, server: Echo, clock: Clock, failure: int
) -> None:
    server.next_reply(Reply(failure))
    server.next_reply(Reply(failure))
    service = make("it", {}, Patience(attempts=3, first_wait_s=1))
    assert status(ask(service, server.url)) == 200
    assert len(server.calls) == 3
    assert 0.5 <= clock.waits[0] <= 1.0 <= clock.waits[1] <= 2.0


def test_the_last_attempt_counts(make: MakeService, server: Echo, clock: Clock) -> None:
    for _ in range(3):
        server.next_reply(Reply(503, b"not now"))
    service = make("it", {}, Patience(attempts=3))
    with ask(service, server.url) as answer:
        assert (answer.status, answer.read(100)) == (503, b"not now")
    assert len(clock.waits) == 2


@pytest.mark.parametrize("failure", [400, 401, 403, 404, 409, 412])
def test_lasting_failures_are_answers(make: MakeService, server: Echo, clock: Clock, failure: int) -> None:
    server.next_reply(Reply(failure))
    assert status(ask(make("it", {}, Patience()), server.url)) == failure
    assert clock.waits == []


def test_the_time_that_a_service_names_is_waited(make: MakeService, server: Echo, clock: Clock) -> None:
    server.next_reply(Reply(503, b"", {"Retry-After": "7"}))
    assert status(ask(make("it", {}, Patience()), server.url)) == 200
    assert clock.waits == [7.0]


def test_a_time_beyond_the_limit_is_an_error(make: MakeService, server: Echo, clock: Clock) -> None:
    server.next_reply(Reply(429, b"", {"Retry-After": "700"}))
    with pytest.raises(TransientError, match="next attempt would be in 700 seconds") as caught:
        ask(make("it", {}, Patience(deadline_s=600)), server.url)
    assert caught.value.code == "cache-busy"
    assert caught.value.retry_after_s == 700
    assert clock.waits == []


@pytest.mark.parametrize(("failure", "calls"), [(500, 1), (503, 1), (429, 2)])
def test_what_must_not_happen_twice_is_repeated_only_when_it_did_not_happen(
    make: MakeService, server: Echo, clock: Clock, failure: int, calls: int
) -> None:
    server.next_reply(Reply(failure))
    ask(make("it", {}, Patience()), server.url, idempotent=False, body=b"x").close()
    assert len(server.calls) == calls


def test_an_answer_400_may_ask_for_another_try(make: MakeService, server: Echo, clock: Clock) -> None:
    service = make("it", {}, Patience())

    def come_again(raw: bytes) -> bool:
        return raw == b"too slow"

    server.next_reply(Reply(400, b"too slow"))
    assert status(service.send(lambda: Request("GET", server.url), come_again=come_again)) == 200
    server.next_reply(Reply(400, b"bad"))
    with service.send(lambda: Request("GET", server.url), come_again=come_again) as answer:
        assert (answer.status, answer.read(100)) == (400, b"bad")


def test_who_waits_together_holds_back_other_requests(make: MakeService, server: Echo) -> None:
    waits: list[float] = []
    service = make("it", {}, Patience(attempts=0, together=True), wait=waits.append)
    # The clock does not move, so that a held back request would wait for ever: it is let go after the first.
    waited = service._held_until

    server.next_reply(Reply(429, b"", {"Retry-After": "5"}))

    def wait(seconds: float) -> None:
        waits.append(seconds)
        service._held_until = waited

    service._wait = wait
    assert status(ask(service, server.url)) == 200
    assert waits == [pytest.approx(5, abs=0.5)]


def test_waits_of_the_throttled_double_until_all_is_well(make: MakeService, server: Echo) -> None:
    waits: list[float] = []
    service = make("it", {}, Patience(attempts=0, together=True, longest_wait_s=4), wait=waits.append)

    def wait(seconds: float) -> None:
        waits.append(seconds)
        service._held_until = 0

    service._wait = wait
    for _ in range(4):
        server.next_reply(Reply(429))
    assert status(ask(service, server.url)) == 200
    assert waits == [pytest.approx(seconds, abs=0.2) for seconds in (1, 2, 4, 4)]
    server.next_reply(Reply(429))
    assert status(ask(service, server.url)) == 200
    assert waits[4:] == [pytest.approx(1, abs=0.2)]


def test_nobody_there(make: MakeService, clock: Clock) -> None:
    port = free_port()
    with pytest.raises(TransientError) as caught:
        ask(
            make("the cache", {}, Patience(attempts=2)),
            f"http://127.0.0.1:{port}/x?sig=very-secret",
        )
    assert str(caught.value) == f"cannot reach the cache at 127.0.0.1:{port}: Connection refused"
    assert caught.value.code == "cache-unreachable"
    assert len(clock.waits) == 1


def test_a_wait_can_be_broken_off(make: MakeService, server: Echo) -> None:
    class Cancelled(Exception):
        pass

    def wait(seconds: float) -> None:
        raise Cancelled

    server.next_reply(Reply(503))
    with pytest.raises(Cancelled):
        ask(make("it", {}, Patience(), wait=wait), server.url)


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_who_carries_a_credential_is_not_redirected(
    make: MakeService, server: Echo, clock: Clock, code: int
) -> None:
    with Echo() as elsewhere:
        server.next_reply(Reply(code, b"", {"Location": elsewhere.url}))
        assert status(ask(make("it", {}, Patience()), server.url)) == code
        assert elsewhere.calls == []


def test_fetch_follows_redirects_and_carries_nothing(make: MakeService, server: Echo, clock: Clock) -> None:
    with Echo() as elsewhere:
        server.next_reply(Reply(302, b"", {"Location": f"{elsewhere.url}/there"}))
        service = make("it", {}, Patience())
        with service.fetch(server.url, {"Range": "bytes=3-"}) as answer:
            assert answer.read(100) == b"fine"
        assert [call.target for call in elsewhere.calls] == ["/there"]
        assert elsewhere.calls[0].headers["range"] == "bytes=3-"
        assert "authorization" not in elsewhere.calls[0].headers


@pytest.mark.parametrize("target", ["ftp://example.com/x", "file:///etc/passwd"])
def test_fetch_goes_to_web_servers_only(make: MakeService, server: Echo, clock: Clock, target: str) -> None:
    server.next_reply(Reply(302, b"", {"Location": target}))
    with pytest.raises(DeniedError, match="unsafe place"):
        make("it", {}, Patience()).fetch(server.url)


def test_fetch_goes_round_no_more_than_ten_times(make: MakeService, server: Echo, clock: Clock) -> None:
    for _ in range(11):
        server.next_reply(Reply(302, b"", {"Location": server.url}))
    with pytest.raises(EnvironmentFault, match="redirects more than 10 times"):
        make("it", {}, Patience()).fetch(server.url)


def test_certificates_that_are_not_there(make: MakeService, server: Echo) -> None:
    service = make("it", {}, Patience(attempts=1), ca_file="/nowhere/ca.pem")
    with pytest.raises(
        EnvironmentFault, match=r"cannot load the certificates of /nowhere/ca\.pem: No such file"
    ) as caught:
        ask(service, server.url.replace("http:", "https:"))
    assert caught.value.code == "cache-tls"


def test_a_stranger_who_speaks_no_tls_is_not_trusted(make: MakeService, server: Echo, clock: Clock) -> None:
    with pytest.raises(EnvironmentFault, match="cannot trust it at 127") as caught:
        ask(make("it", {}, Patience(attempts=1)), server.url.replace("http:", "https:"))
    assert caught.value.code == "cache-tls"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"HTTPS_PROXY": "http://proxy:1"}, "http://proxy:1"),
        ({"https_proxy": "http://small:1", "HTTPS_PROXY": "http://large:1"}, "http://small:1"),
        ({"ALL_PROXY": "http://all:1"}, "http://all:1"),
        ({"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": "example.com"}, ""),
        ({}, ""),
    ],
)
def test_proxies_are_those_of_the_environment(
    make: MakeService, environ: dict[str, str], expected: str
) -> None:
    service = make("it", environ, Patience())
    assert service._proxies.proxy_for("https", "s3.example.com") == expected


def test_requests_go_through_the_proxy(make: MakeService, server: Echo, clock: Clock) -> None:
    service = make("it", {"http_proxy": server.url}, Patience())
    assert status(ask(service, "http://storage.example.com/a/b?c=d")) == 200
    assert server.calls[0].target == "http://storage.example.com/a/b?c=d"
    assert server.calls[0].headers["host"] == "storage.example.com"
