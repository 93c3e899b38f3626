"""The store's URL, read."""

from __future__ import annotations

import pytest

from bide.address import Address


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://cache", Address("cache")),
        ("redis://cache:6380/2", Address("cache", 6380, database=2)),
        ("redis://:p%40ss@cache/?db=3", Address("cache", password="p@ss", database=3)),
        ("redis://ada:lovelace@[::1]:7", Address("::1", 7, user="ada", password="lovelace")),
        ("rediss://cache", Address("cache", tls=True)),
        ("rediss://cache?ssl_cert_reqs=none", Address("cache", tls=True, verified=False)),
        ("rediss://cache?ssl_ca_certs=/ca.pem", Address("cache", tls=True, ca_file="/ca.pem")),
        ("unix:///run/store.sock", Address(path="/run/store.sock")),
        ("unix://:word@/run/a%20b?db=1", Address(path="/run/a b", password="word", database=1)),
    ],
)
def test_a_url_is_read(url: str, address: Address) -> None:
    assert Address.of(url) == address


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("redis://:hunter2#x@cache", "write odd characters"),
        ("rediss://[hunter2", "write odd characters"),
        ("unix:///", "must name a socket"),
        ("http://cache", "must be a redis://"),
        ("redis://:hunter2@cache/first", "database by its number"),
        ("redis://:hunter2@cache?max_connections=3", "'max_connections', which is not known"),
        ("redis://:hunter2@cache?ssl_cert_reqs=none", "'ssl_cert_reqs', which is not known"),
        ("rediss://:hunter2@cache?ssl_cert_reqs=maybe", "required or none"),
        ("unix://", "must be a redis://, rediss:// or unix://"),
    ],
)
def test_a_url_that_leads_nowhere_is_refused_without_its_password(url: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as refused:
        Address.of(url)
    assert "hunter2" not in str(refused.value)


def test_a_place_is_shown_without_the_password() -> None:
    assert Address.of("redis://:hunter2@cache:6380/2").place == "cache:6380"
    assert Address.of("unix://:hunter2@/run/store.sock").place == "/run/store.sock"
