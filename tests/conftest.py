"""What every test of the core stands on: a real store, and keys that no other test has."""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Iterator

import hypothesis
import pytest
import redis

from bide.clock import Clock
from bide.connection import connect
from bide.keys import Keys
from bide.store import Store
from local.aws.running import RunningAws, running_aws
from local.store import EmbeddedStore

hypothesis.settings.register_profile("suite", deadline=None, print_blob=True)
hypothesis.settings.load_profile("suite")


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
    client = redis.Redis.from_url(store_url)
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
def store(store_url: str, prefix: str) -> Iterator[Store]:
    """The store, by its own clock."""
    store = Store(connect(store_url), Keys(prefix), Clock())
    yield store
    store.client.close()


@pytest.fixture(scope="session")
def aws() -> Iterator[RunningAws]:
    """AWS's API on loopback, of this test process's own."""
    with running_aws() as running:
        yield running


def pytest_configure() -> None:
    """Let Ctrl-C reach the processes that tests start.

    A shell starts background jobs with SIGINT ignored, which every descendant inherits; a
    handler is not inherited, but leaves them the default.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)


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


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI a skipped test is a failed run: everything can run there."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
