"""What every test of the core stands on: a real store, and keys that no other test has."""

from __future__ import annotations

import os
import secrets
from collections import Counter
from collections.abc import Iterator

import hypothesis
import pytest
import redis

from bide.clock import Clock
from bide.connection import connect
from bide.keys import Keys
from bide.store import Store
from local.store import EmbeddedStore

hypothesis.settings.register_profile("suite", deadline=None, print_blob=True)
hypothesis.settings.load_profile("suite")

CASES = "cases"
"""A test records how many cases of which kind it went through under this property; see the summary."""


@pytest.fixture(scope="session")
def store_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Valkey of this test process's own, or the one that BIDE_REDIS_URL names."""
    given = os.environ.get("BIDE_REDIS_URL")
    if given:
        yield given
        return
    store = EmbeddedStore(tmp_path_factory.mktemp("store"))
    yield store.start()
    store.stop()


@pytest.fixture(scope="session")
def redis_client(store_url: str) -> Iterator[redis.Redis]:
    """A client of that store."""
    client = connect(store_url)
    yield client
    client.close()


@pytest.fixture
def prefix(redis_client: redis.Redis) -> Iterator[str]:
    """The first part of this test's keys; they are deleted afterwards."""
    mine = f"t-{secrets.token_hex(6)}"
    yield mine
    for key in redis_client.scan_iter(match=f"{mine}:*", count=1000):
        redis_client.unlink(key)


@pytest.fixture
def store(redis_client: redis.Redis, prefix: str) -> Store:
    """The store, by its own clock."""
    return Store(redis_client, Keys(prefix), Clock())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many cases the enumerating tests went through, over all processes of the run."""
    counted: Counter[str] = Counter()
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            for name, value in report.user_properties:
                if name == CASES:
                    counted.update(value)
    if counted:
        terminalreporter.section("cases enumerated")
        for kind, number in sorted(counted.items()):
            terminalreporter.line(f"{number:5d} {kind}")
        terminalreporter.line(f"{counted.total():5d} in all")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests have recorded with `record_property`, such as numbers of cases."""
    lines = [
        f"{name}: {value}"
        for report in terminalreporter.stats.get("passed", [])
        for name, value in report.user_properties
    ]
    if lines:
        terminalreporter.section("counted")
        for line in sorted(lines):
            terminalreporter.write_line(line)
