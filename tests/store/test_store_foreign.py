"""The store suite on a server that belongs to somebody else: it keeps to its own keys, or says why not."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import foreign_store
import pytest
import redis
from hand_store import HandStore
from prefixes import FIRST

from local import ports
from local.store import EmbeddedStore

pytestmark = pytest.mark.own_server("are about a foreign server themselves")

ROOT = Path(__file__).parents[2]


def suite(url: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run tests against the store at `url`, as `make test` does."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("BIDE_", "PYTEST_"))}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-n", "0", *words],
        cwd=ROOT,
        env={**environ, "BIDE_REDIS_URL": url},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[redis.Redis]:
    """Whom the server belongs to; data of theirs is in it."""
    store = EmbeddedStore(tmp_path / "store")
    with redis.Redis.from_url(store.start()) as client:
        client.set("theirs", "a text")
        client.hset("bide:{q.default}:meta", mapping={"accepting": "1", "seq": "7"})
        yield client
    store.stop()


def guest_of(owner: redis.Redis) -> str:
    """A URL of the same server, for a user who may touch no key but those of tests, nor govern it."""
    password = secrets.token_hex(8)
    owner.acl_setuser(
        "guest",
        enabled=True,
        passwords=[f"+{password}"],
        keys=[f"{FIRST}*"],
        categories=["+@all", "-@admin", "-@dangerous"],
        commands=["+info"],
    )
    where = owner.get_connection_kwargs()
    return f"redis://guest:{password}@{where['host']}:{where['port']}/0"


def contents(owner: redis.Redis) -> dict[bytes, bytes]:
    return {key: owner.dump(key) for key in owner.scan_iter()}


def test_the_suite_alone_runs_and_touches_and_leaves_nothing_outside_its_keys(owner: redis.Redis) -> None:
    before = contents(owner)
    parts = [f"tests/store/test_store_{part}.py" for part in ("fleet", "gate", "connection")]
    ran = suite(guest_of(owner), "tests/unit", *parts)
    assert ran.returncode == 0, ran.stdout
    assert owner.info("commandstats")["cmdstat_evalsha"]["calls"] > 200, "it was this server"
    assert contents(owner) == before
    assert {entry["reason"] for entry in owner.acl_log()} == {"auth"}, "it tried nothing that it may not"
    assert "THE STORE SUITE ALONE runs, against Valkey" in ran.stdout
    assert "tests/unit" not in ran.stdout
    assert "left out: 2 tests that make a user" in ran.stdout


def test_a_server_that_nobody_runs_is_refused_in_one_line() -> None:
    port = ports.free_port()
    ran = suite(f"redis://:hunter2@127.0.0.1:{port}/0")
    assert ran.returncode == 1
    assert f"cannot run against BIDE_REDIS_URL. Nothing listens on 127.0.0.1:{port}. Start" in ran.stderr
    assert "hunter2" not in ran.stdout + ran.stderr


def test_a_server_that_is_too_old_is_refused() -> None:
    info = b"# Server\r\nredis_version:6.2.14\r\n"
    store = HandStore([b"$%d\r\n%s\r\n" % (len(info), info)])
    with pytest.raises(
        foreign_store.Refused, match=r"Redis 6\.2\.14 is too old\. Run Valkey 7\.2 or Redis 7"
    ):
        foreign_store.greet(store.url)
    store.close()


def test_a_url_that_leads_nowhere_is_refused_without_its_password() -> None:
    with pytest.raises(foreign_store.Refused, match="BIDE_REDIS_URL must be a redis://") as refused:
        foreign_store.greet("http://:hunter2@127.0.0.1")
    assert "hunter2" not in str(refused.value)
