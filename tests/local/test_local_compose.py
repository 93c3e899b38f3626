"""docker-compose.yml: what it promises of its stores, and that a server started so keeps it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml
from valkey_server import valkey

from bide.connection import connect
from bide.errors import StoreUnavailable
from bide.operate import store_findings
from bide.operate.finding import Level
from bide.store_info import StoreInfo

TEXT = (Path(__file__).parents[2] / "docker-compose.yml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
STORES = sorted(COMPOSE["services"])


def with_variables(text: str, **variables: str) -> str:
    """The text as Compose reads it with these variables set; KeyError for one that is missing."""

    def value(match: re.Match[str]) -> str:
        name, _, default = match[1].partition(":")
        return variables[name] if default.startswith("?") else variables.get(name, default.removeprefix("-"))

    return re.sub(r"\$\{([^}]+)\}", value, text)


def test_it_offers_valkey_and_redis_each_when_asked_for() -> None:
    assert STORES == ["redis", "valkey"]
    for name, service in COMPOSE["services"].items():
        assert service["profiles"] == [name]
        assert re.search(r"(^|/)(valkey:[89]|redis:[78])$", service["image"]), "a version that Bide runs on"


@pytest.mark.parametrize("name", STORES)
def test_a_store_listens_on_loopback_keeps_its_data_and_is_watched(name: str) -> None:
    service = COMPOSE["services"][name]
    (port,) = service["ports"]
    assert re.fullmatch(r"127\.0\.0\.1:\d+:6379", with_variables(port))
    assert service["volumes"] == [f"{name}:/data"]
    assert name in COMPOSE["volumes"]
    assert service["healthcheck"]["test"] == ["CMD-SHELL", f"{name}-cli ping | grep -q PONG"]
    assert with_variables(service["environment"]["REDISCLI_AUTH"], STORE_PASSWORD="word") == "word"


def test_two_stores_do_not_want_one_port() -> None:
    wanted = {with_variables(service["ports"][0]) for service in COMPOSE["services"].values()}
    assert len(wanted) == len(STORES)


@pytest.mark.parametrize("name", STORES)
def test_without_a_password_nothing_starts(name: str) -> None:
    with pytest.raises(KeyError, match="STORE_PASSWORD"):
        with_variables(" ".join(COMPOSE["services"][name]["command"]))


@pytest.fixture(params=STORES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Valkey, started with a service's own words."""
    command = COMPOSE["services"][request.param]["command"]
    assert command[0] == f"{request.param}-server"
    words = [with_variables(word, STORE_PASSWORD="word") for word in command[1:]]
    with valkey(tmp_path, *words) as place:
        yield f"redis://:word@{place}/0"


def test_a_store_started_so_is_what_the_doctor_wants(url: str) -> None:
    info = StoreInfo.of(connect(url).execute_command("INFO"))
    for judge in (store_findings.version, store_findings.durability, store_findings.eviction):
        assert judge(info).level is Level.OK, judge(info)
    assert (info.durability, info.text("maxmemory_policy")) == ("aof", "noeviction")
    with redis.Redis.from_url(url) as client:
        assert client.config_get("appendfsync") == {"appendfsync": "everysec"}
    with pytest.raises(StoreUnavailable, match="NOAUTH"):
        connect(url.replace(":word@", "")).execute_command("PING")
