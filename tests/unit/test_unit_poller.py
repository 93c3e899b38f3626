"""Pollers: what may be one, and how waits for it are spelled."""

from __future__ import annotations

import os
from typing import Any

import msgspec
import pytest

from bide import poller
from bide.errors import Misuse, RegistryError
from bide.ids import TaskId, new_id
from bide.poller import MAX_KEY_CHARS, read_watcher, token
from bide.worker import polling
from bide.worker.journal import MAX_ENTRY_BYTES
from bide.worker.waiting import Answer


@poller
def plain(keys: list[str]) -> dict[str, int]:
    return dict.fromkeys(keys, 1)


def test_a_poller_has_its_functions_name_and_can_be_called_as_it() -> None:
    assert (plain.name, plain.batch, plain.every_s, plain.spacing_s, plain.queue) == (
        "plain",
        100,
        5,
        0,
        "default",
    )
    assert plain(["a"]) == {"a": 1}


@pytest.mark.parametrize(
    ("rate", "spacing_s"), [("5/s", 0.2), ("100/min", 0.6), ("1000/h", 3.6), ("0.5/s", 2.0)]
)
def test_a_rate_is_a_distance_between_calls(rate: str, spacing_s: float) -> None:
    @poller(rate=rate)
    def paced(keys: list[str]) -> dict[str, int]:
        return {}

    assert paced.spacing_s == pytest.approx(spacing_s)


@pytest.mark.parametrize(
    "given",
    [
        {"batch": 0}, {"batch": 10_001}, {"every": 0.04}, {"every": "soon"}, {"rate": "5"}, {"rate": "0/s"},
        {"rate": "5/day"}, {"name": "no name"}, {"queue": "No Queue"},
    ],
)  # fmt: skip
def test_a_poller_that_cannot_work_is_refused_where_it_is_defined(given: dict[str, Any]) -> None:
    with pytest.raises(RegistryError, match="test_unit_poller"):

        @poller(**given)
        def refused(keys: list[str]) -> dict[str, int]:
            return {}


def test_a_home_is_the_same_in_every_process_and_like_no_tasks_id() -> None:
    assert plain.home == TaskId("default", plain.home.key)
    assert len(plain.home.key) == 16
    assert plain.home.submitted_ms == 0

    @poller(name="other")
    def other(keys: list[str]) -> dict[str, int]:
        return {}

    assert other.home != plain.home


@pytest.mark.parametrize("key", ["a", "", "ü\0/\n", 7, -1, "x" * MAX_KEY_CHARS])
def test_a_wait_is_read_as_it_was_written(key: str | int) -> None:
    task = new_id("mail", 1_800_000_000_000, os.urandom)
    member = plain.member(key, str(task), token("vms#1", "d", 3))
    watcher = read_watcher(f"{member}\0{41}".encode())
    assert (watcher.key, watcher.task, watcher.token) == (key, task, token("vms#1", "d", 3))
    assert (watcher.attempt, watcher.rounds, watcher.member) == (3, 41, member)


@pytest.mark.parametrize("key", [None, True, 1.5, b"a", ["a"], ("a",), "x" * (MAX_KEY_CHARS + 1), 10**600])
def test_what_is_no_key_is_refused(key: Any) -> None:
    with pytest.raises(Misuse, match="plain"):
        plain.member(key, "task", "~1.1")


@pytest.mark.parametrize(("size", "is_taken"), [(MAX_ENTRY_BYTES, True), (MAX_ENTRY_BYTES + 1, False)])
def test_an_answer_is_no_larger_than_a_journal_takes(size: int, is_taken: bool) -> None:
    packed = polling._answer(plain, "a", "x" * (size - 2))
    answer = msgspec.json.decode(packed, type=Answer)
    assert (answer.error is None) == is_taken
    if answer.error is not None:
        assert len(packed) < 1_000
        assert "65,537 bytes" in answer.error.message
