"""What tasks log reaches the store, and what becomes of them reaches the log of transitions."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from stage import SHORT_LEASE, Stage, await_that

from bide.ids import TaskId
from bide.line import Kind, Line
from bide.state import State


def lines(stage: Stage, id: TaskId) -> list[Line]:
    return [line for _, line in stage.reads.lines(id, "default", 0, 100).lines]


def said(stage: Stage, id: TaskId) -> list[str]:
    """Messages of log lines, in order."""
    return [line.message for line in lines(stage, id) if line.kind is Kind.LOG]


def test_what_a_task_logs_is_kept_and_said_once_though_it_is_replayed(stage: Stage) -> None:
    stage.start_worker()
    id = stage.submit("talk", name="it")
    stage.until(id, State.WAITING)
    stage.store.send_event(id, "default", "go", b"1")
    stage.until(id)
    assert stage.view(id).run.replays == 1
    assert said(stage, id) == ["it begins", "it in a thread", "it, a step in a thread", "it ends"]
    kinds = [(line.kind, line.attempt, line.level, line.logger) for line in lines(stage, id)]
    log, progress, event = Kind.LOG, Kind.PROGRESS, Kind.EVENT
    assert kinds == [
        (log, 1, "INFO", "talking"), (log, 1, "INFO", "a.library"), (log, 1, "INFO", "a.library"),
        (progress, 1, "", ""), (event, 1, "", ""), (log, 1, "WARNING", "talking"),
    ]  # fmt: skip
    assert (lines(stage, id)[3].fraction, lines(stage, id)[3].message) == (0.5, "half way")


def test_tasks_that_run_side_by_side_keep_their_lines_apart(stage: Stage) -> None:
    stage.start_worker()
    async_ids = {name: stage.submit("talk", name=name) for name in "abcdef"}
    plain_ids = {name: stage.submit("talk_plainly", name=name) for name in "uvwxyz"}
    for name, id in async_ids.items():
        stage.until(id, State.WAITING)
        assert said(stage, id) == [
            f"{name} begins", f"{name} in a thread", f"{name}, a step in a thread",
        ]  # fmt: skip
    for name, id in plain_ids.items():
        stage.until(id)
        assert said(stage, id) == [f"{name} in a thread"]
        assert [line.kind for line in lines(stage, id)] == [Kind.LOG, Kind.PROGRESS]


def test_each_attempt_says_its_own(stage: Stage) -> None:
    stage.start_worker()
    id = stage.submit("talk_and_fail")
    stage.until(id)
    assert [(line.message, line.attempt) for line in lines(stage, id)] == [("attempt 1", 1), ("attempt 2", 2)]


def test_a_running_task_can_be_listened_to(stage: Stage) -> None:
    stage.start_worker()
    id = stage.submit("talk_until")
    await_that(lambda: said(stage, id) == ["first words"])
    assert stage.state(id) is State.RUNNING


def test_a_flood_is_bounded(stage: Stage) -> None:
    stage.start_worker()
    id = stage.submit("talk_too_much", count=1_000)
    stage.until(id)
    page = stage.reads.lines(id, "default", 0, 100)
    rest = stage.reads.lines(id, "default", page.next, 100)
    end = stage.reads.lines(id, "default", rest.next, 100)
    kept = [line.message for _, line in (*page.lines, *rest.lines, *end.lines)]
    assert kept[:200] == [str(number) for number in range(200)]
    assert kept[-1].endswith(
        "lines were dropped: an attempt may log 200 at a burst, and 100 a second after that."
    )
    assert len(kept) + int(kept[-1].split()[0]) == 1_001


def test_the_level_is_a_setting(stage: Stage) -> None:
    stage.start_worker(task_log_level="DEBUG")
    id = stage.submit("talk", name="it")
    stage.until(id, State.WAITING)
    assert said(stage, id)[1] == "it whispers"


def test_without_records_there_are_no_lines_but_progress_is_shown(stage: Stage) -> None:
    stage.start_worker(records=False)
    id = stage.submit("talk_plainly", name="it")
    stage.until(id)
    assert lines(stage, id) == []
    assert json.loads(stage.view(id).progress) == {"fraction": 1.0, "message": ""}


def test_what_is_said_when_the_worker_leaves_is_kept(stage: Stage) -> None:
    worker = stage.start_worker(grace_seconds=0.2)
    id = stage.submit("talk_until")
    await_that(lambda: stage.state(id) is State.RUNNING)
    stage.end(worker)
    assert stage.state(id) is State.READY
    assert said(stage, id) == ["first words"]


# --- transitions --------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "transitions"


def told(file: Path, id: TaskId) -> list[dict[str, Any]]:
    return [line for line in map(json.loads, file.read_text().splitlines()) if line["task"] == str(id)]


def test_each_transition_of_a_worker_is_a_line(stage: Stage, file: Path) -> None:
    worker = stage.start_worker(wish={"log": str(file)})
    id, failing = stage.submit("talk", name="it"), stage.submit("talk_and_fail")
    stage.until(id, State.WAITING)
    stage.store.send_event(id, "default", "go", b"1")
    stage.until(id)
    stage.until(failing)
    stage.end(worker)
    assert [line["event"] for line in told(file, id)] == ["started", "parked", "resumed", "succeeded"]
    assert [(line["event"], line["attempt"]) for line in told(file, failing)] == [
        ("started", 1), ("retrying", 1), ("promoted", 1), ("started", 2), ("failed", 2),
    ]  # fmt: skip
    started, *_, succeeded = told(file, id)
    assert started["worker"] == succeeded["worker"]
    assert (started["name"], started["queue"]) == ("talk", "default")
    assert succeeded["run_ms"] >= 0
    assert told(file, failing)[-1]["code"] == "TASK_FAILED"


def test_the_end_of_a_hot_wait_is_told_with_how_long_it_took(stage: Stage, file: Path) -> None:
    worker = stage.start_worker(wish={"log": str(file)})
    id = stage.submit("talk_and_nap", seconds=0.2)
    stage.until(id)
    stage.end(worker)
    assert [(line["event"], line["name"]) for line in told(file, id)] == [
        ("started", "talk_and_nap"), ("succeeded", "talk_and_nap"),
    ]  # fmt: skip
    assert told(file, id)[-1]["run_ms"] >= 200
    assert told(file, id)[-1]["worker"] == told(file, id)[0]["worker"]


def test_what_a_leaving_worker_hands_back_is_a_line(stage: Stage, file: Path) -> None:
    worker = stage.start_worker(wish={"log": str(file)}, grace_seconds=0.1)
    id = stage.submit("talk_until")
    await_that(lambda: stage.state(id) is State.RUNNING)
    stage.end(worker)
    assert [line["event"] for line in told(file, id)] == ["started", "handed_back"]


def test_what_a_worker_reaps_of_another_is_a_line(stage: Stage, file: Path) -> None:
    killed = stage.start_worker(wish={"log": f"{file}.killed"}, **SHORT_LEASE)
    id = stage.submit("talk_until")
    await_that(lambda: Path(f"{file}.killed").exists() and told(Path(f"{file}.killed"), id))
    stage.end(killed, signal.SIGKILL)
    stage.start_worker(wish={"log": str(file)}, **SHORT_LEASE)
    await_that(lambda: stage.state(id) is State.FAILED)
    await_that(lambda: file.exists() and told(file, id))
    (line,) = told(file, id)
    assert (line["event"], line["state"], line["attempt"]) == ("reaped", "failed", 1)
    (first,) = told(Path(f"{file}.killed"), id)
    assert line["worker"] == first["worker"]
