"""resolv.conf and hosts (engine.md §23; BuildKit's util/resolvconf)."""

from __future__ import annotations

from pathlib import Path

import pytest

from bakehouse.runtime.resolvconf import (
    ResolvConf,
    forwarder_conf,
    host_network_conf,
    hosts_file,
    own_network_conf,
)

HOST = (
    "# made by hand\nnameserver 127.0.0.1\nnameserver 10.1.2.3\nnameserver bogus\n"
    "domain old.example\nsearch a.example b.example\noptions ndots:2\noptions edns0\nsortlist 10.0.0.0\n"
)


@pytest.fixture
def host(tmp_path: Path) -> str:
    path = tmp_path / "resolv.conf"
    path.write_text(HOST)
    return str(path)


def test_parsing_keeps_the_last_search_and_all_options() -> None:
    conf = ResolvConf.parse(HOST)
    assert conf.servers == ["127.0.0.1", "10.1.2.3"]
    assert (conf.search, conf.options) == (["a.example", "b.example"], ["ndots:2", "edns0"])
    assert conf.other == ["sortlist 10.0.0.0"]


def test_the_hosts_network_keeps_loopback_servers(host: str) -> None:
    assert host_network_conf(host).startswith("nameserver 127.0.0.1\nnameserver 10.1.2.3\nsearch a.example")


def test_a_network_of_its_own_drops_them(host: str) -> None:
    assert own_network_conf(host) == (
        "nameserver 10.1.2.3\nsearch a.example b.example\noptions ndots:2 edns0\nsortlist 10.0.0.0\n"
    )


def test_the_forwarder_replaces_all_servers(host: str) -> None:
    assert forwarder_conf("10.0.2.3", host).splitlines()[0] == "nameserver 10.0.2.3"
    assert "10.1.2.3" not in forwarder_conf("10.0.2.3", host)


def test_systemds_stub_is_replaced_by_what_stands_behind_it(tmp_path: Path) -> None:
    stub, upstream = tmp_path / "stub", tmp_path / "upstream"
    stub.write_text("nameserver 127.0.0.53\n")
    upstream.write_text("nameserver 192.0.2.1\n")
    assert own_network_conf(str(stub), str(upstream)) == "nameserver 192.0.2.1\n"


def test_public_servers_are_the_last_resort(tmp_path: Path) -> None:
    assert own_network_conf(str(tmp_path / "missing")) == (
        "nameserver 8.8.8.8\nnameserver 8.8.4.4\n"
        "nameserver 2001:4860:4860::8888\nnameserver 2001:4860:4860::8844\n"
    )


def test_hosts_has_the_hostname_and_extra_hosts() -> None:
    assert hosts_file("", [("db", "10.0.0.5")]) == (
        "127.0.0.1\tlocalhost buildkitsandbox\n::1\tlocalhost ip6-localhost ip6-loopback\n10.0.0.5\tdb\n"
    )
    assert hosts_file("box").startswith("127.0.0.1\tlocalhost box\n")
