"""The functions of the fleet, in this process, on a real store, queue and stream."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from invocations import Invocations
from wake_queue import Queue

from bide.clock import Clock
from bide.ids import TaskId
from bide.settings import Settings
from bide.store import Store
from bide.submission import Submission
from local.aws.running import RunningAws
from workers import environment, fleet


@pytest.fixture
def queue(aws: RunningAws) -> Queue:
    return Queue(aws.client("sqs"), f"q-{secrets.token_hex(6)}")


@pytest.fixture
def invocations() -> Iterator[Invocations]:
    """What Lambda was asked for."""
    with Invocations() as running:
        yield running


@pytest.fixture
def aws_environment(aws: RunningAws, invocations: Invocations, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients of this process find the recorder where Lambda is, and moto where the rest is."""
    for name, value in aws.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", invocations.url)
    monkeypatch.setattr(fleet, "_CLIENTS", fleet.Clients())
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it keeps the key of who used boto3 here before


@pytest.fixture
def configure(
    aws_environment: None, store_url: str, prefix: str, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Settings]]:
    """Gives this process the environment of a deployed function."""

    def set_variables(**variables: str) -> Settings:
        given = {
            "BIDE_REDIS_URL": store_url,
            "BIDE_PREFIX": prefix,
            "BIDE_WAKE": "invoke",
            "BIDE_DRAIN_FUNCTION": "bide-test-drain",
            "BIDE_WAKE_QUEUE": queue.name,
            "BIDE_WORKERS_MIN": "0",
            "BIDE_IDLE_SECONDS": "0.05",
            **variables,
        }
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        environment.settings.cache_clear()
        environment.tasks.cache_clear()
        return environment.settings()

    yield set_variables
    environment.settings.cache_clear()
    environment.tasks.cache_clear()


class Earlier(Clock):
    """Fifteen seconds ago: workers that were started then and never came are counted on no longer."""

    def now_ms(self) -> int | None:
        now_ms = super().now_ms()
        return None if now_ms is None else now_ms - 15_000


@pytest.fixture
def submit(store: Store) -> Callable[..., TaskId]:
    """Submits a task to the default queue, whose wake gets lost."""
    earlier = Store(store.client, store.keys, Earlier())

    def submit_one(name: str, *, delay_ms: int = 0, **args: Any) -> TaskId:
        """delay_ms: from now."""
        delay_ms = delay_ms and delay_ms + 15_000
        submission = Submission(name, json.dumps(args), "default", "default", 1, 3_600_000, delay_ms=delay_ms)
        return earlier.submit(submission).id

    return submit_one
