"""What every test of the core stands on: a real store, and keys that no other test has."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import foreign_store
import hypothesis
import prefixes
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
    """A real Valkey of this test process's own, or the store that BIDE_REDIS_URL names."""
    if foreign_store.url():
        yield foreign_store.url()
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
    mine = prefixes.new_prefix()
    yield mine
    prefixes.forget(redis_client, mine)


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


LEFT_OUT = pytest.StashKey[dict[str, int]]()
"""How many tests a foreign store leaves out, by the reason."""
FOREIGN = pytest.StashKey[str]()
"""What is said of the foreign store."""


def pytest_configure(config: pytest.Config) -> None:
    """Let Ctrl-C reach the processes that tests start, and meet a foreign store.

    A shell starts background jobs with SIGINT ignored, which every descendant inherits; a
    handler is not inherited, but leaves them the default.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    prefixes.begin_run()
    if foreign_store.url() and not hasattr(config, "workerinput"):
        try:
            server = foreign_store.greet(foreign_store.url())
        except foreign_store.Refused as error:
            pytest.exit(f"The store suite cannot run against BIDE_REDIS_URL. {error}", returncode=1)
        config.stash[FOREIGN] = (
            f"BIDE_REDIS_URL is set: THE STORE SUITE ALONE runs, against {server}. Its keys begin with "
            f"{prefixes.FIRST}; it touches no others. Unset it to run every test."
        )


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say which store this is."""
    return [config.stash[FOREIGN]] if FOREIGN in config.stash else []


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Against a foreign store, only the store suite is looked at."""
    return True if foreign_store.url() and not foreign_store.is_in_suite(collection_path) else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what a foreign store cannot show, each test with its reason."""
    left_out: dict[str, int] = {}
    for item in tuple(items):
        reason = foreign_store.unfit(item) if foreign_store.url() else ""
        if reason:
            left_out[reason] = left_out.get(reason, 0) + 1
            items.remove(item)
            config.hook.pytest_deselected(items=[item])
    config.stash[LEFT_OUT] = left_out


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
    config = terminalreporter.config
    if FOREIGN in config.stash:
        terminalreporter.section("the store")
        terminalreporter.write_line(config.stash[FOREIGN])
        for reason, number in sorted(config.stash.get(LEFT_OUT, {}).items()):
            terminalreporter.write_line(f"left out: {number} tests that {reason}")


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what one of several processes has left out; each has collected the same."""
    node.config.stash[LEFT_OUT] = getattr(node, "workeroutput", {}).get("left_out", {})


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Leave nothing in a foreign store; and in CI a skipped test is a failed run: all can run there."""
    config = session.config
    if hasattr(config, "workeroutput"):
        config.workeroutput["left_out"] = config.stash.get(LEFT_OUT, {})
    if FOREIGN in config.stash:
        with redis.Redis.from_url(foreign_store.url()) as client:
            prefixes.sweep(client)
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
