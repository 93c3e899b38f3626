"""Random programs of waits give what they should, however often their workers are killed.

A program is a list of lines, each a list in JSON: a step, a wait, or a group of programs. One
task carries it out (program_tasks.program), and a few lines of plain Python say what has to come
of it. Events come early, late and more than once. Every program runs three times: undisturbed,
with its waits kept in living workers; with every wait parked, while workers are killed; and with
its waits kept by workers that are short of room, while they are stopped and killed.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from stage import Stage, Zygote, a_stage, await_that, is_alive

from bide.errors import TaskFinished
from bide.ids import TaskId
from bide.state import State

EXAMPLES, PROGRAMS = 2, 500
TOKEN = ["token"]


# --- programs ---------------------------------------------------------------------------------


def a_program(dice: random.Random, depth: int = 2) -> list[Any]:
    """Lines: steps, waits and, `depth` deep, groups."""
    return [a_line(dice, depth) for _ in range(dice.randint(1, 4))]


def a_line(dice: random.Random, depth: int) -> list[Any]:
    kinds = ["step", "step", "fail", "sleep", "poll", "event", "late"]
    if depth:
        kinds += ["gather", "first"] * 2
    kind = dice.choice(kinds)
    if kind in ("sleep", "late"):
        return [kind, dice.randint(1, 40)]
    if kind == "gather":
        return [kind, *(a_program(dice, depth - 1) for _ in range(dice.randint(0, 3)))]
    if kind == "first":
        # Every branch but one waits for what never comes.
        branches = [[["step"]] * dice.randint(0, 1) + [["never"]] for _ in range(dice.randint(0, 2))]
        branches.insert(dice.randint(0, len(branches)), a_program(dice, depth - 1))
        return [kind, *branches]
    return [kind]


def expect(lines: list[Any], at: str = "") -> list[Any]:
    """What a program has to give; each token is TOKEN."""
    return [_expect_line(line, f"{at}-{number}") for number, line in enumerate(lines)]


def _expect_line(line: list[Any], at: str) -> Any:
    kind, *rest = line
    match kind:
        case "step":
            return TOKEN
        case "fail":
            return f"caught {at}"
        case "sleep":
            return None
        case "poll":
            return f"true {at}"
        case "event":
            return {"of": at}
        case "late":
            return "late"
        case "gather":
            return [expect(lines, f"{at}-{number}") for number, lines in enumerate(rest)]
    which = next(number for number, lines in enumerate(rest) if lines[-1] != ["never"])
    return [which, expect(rest[which], f"{at}-{which}")]


def events_of(lines: list[Any], at: str = "") -> Iterator[str]:
    """Where a program waits for events that come."""
    for number, (kind, *rest) in enumerate(lines):
        here = f"{at}-{number}"
        if kind == "event":
            yield here
        elif kind in ("gather", "first"):
            for branch, inner in enumerate(rest):
                yield from events_of(inner, f"{here}-{branch}")


def split_tokens(result: Any, tokens: list[str]) -> Any:
    """The result with TOKEN for each token, which is added to `tokens`."""
    if isinstance(result, list) and result[:1] == TOKEN:
        tokens.append(result[1])
        return TOKEN
    if isinstance(result, list):
        return [split_tokens(each, tokens) for each in result]
    return result


# --- runs -------------------------------------------------------------------------------------


class Manner(NamedTuple):
    """How programs are run."""

    settings: dict[str, Any]
    """Of the workers."""
    ends: tuple[signal.Signals, ...]
    """By which of these workers end again and again; without any, they live on."""


MANNERS = (
    Manner({"hot_wait_seconds": 60.0}, ()),
    Manner({"hot_wait_seconds": 0.0, "lease_seconds": 0.4}, (signal.SIGKILL,)),
    Manner(
        {"hot_wait_seconds": 60.0, "lease_seconds": 0.4, "concurrency": 4, "hot_waits": 30},
        (signal.SIGKILL, signal.SIGTERM),
    ),
)


class Sender:
    """Sends every program's events, each at least once, in any order."""

    def __init__(self, stage: Stage, sends: list[tuple[TaskId, str]], dice: random.Random) -> None:
        self._store = stage.store
        self._sends = sends + dice.sample(sends, len(sends) // 3)
        dice.shuffle(self._sends)
        self._dice = dice
        self._thread = threading.Thread(target=self._send_late)

    def __enter__(self) -> None:
        """Half of them come before any worker does."""
        for _ in range(len(self._sends) // 2):
            self._send()
        self._thread.start()

    def __exit__(self, *raised: object) -> None:
        self._thread.join()

    def _send_late(self) -> None:
        while self._sends:
            time.sleep(self._dice.uniform(0, 0.006))
            self._send()

    def _send(self) -> None:
        id, at = self._sends.pop()
        with suppress(TaskFinished):
            self._store.send_event(id, "default", f"e{at}", f'{{"of":"{at}"}}'.encode(), key=at)


def run_all(stage: Stage, programs: list[list[Any]], dice: random.Random, manner: Manner) -> int:
    """Run programs side by side and check what came of each; returns how many workers were ended."""
    ids = [stage.submit("program", name=f"p{number}", lines=lines) for number, lines in enumerate(programs)]
    sends = [(id, at) for id, lines in zip(ids, programs, strict=True) for at in events_of(lines)]
    ended = 0

    def done() -> bool:
        nonlocal ended
        totals = stage.reads.totals()
        if totals.succeeded + totals.failed == len(ids):
            return True
        time.sleep(dice.uniform(0.02, 0.3))
        if manner.ends:
            worker = dice.choice([pid for pid in stage.workers if is_alive(pid)])
            stage.end(worker, dice.choice(manner.ends))
            stage.start_worker(**manner.settings)
            ended += 1
        return False

    with Sender(stage, sends, dice):
        for _ in range(2):
            stage.start_worker(**manner.settings)
        await_that(done, seconds=120)
    runs = _runs(stage)
    for number, (id, lines) in enumerate(zip(ids, programs, strict=True)):
        tokens: list[str] = []
        note(f"p{number} is {id}: {lines}")
        assert stage.state(id) is State.SUCCEEDED, stage.outcome(id)
        assert split_tokens(stage.outcome(id), tokens) == expect(lines)
        seen = {token for at in runs if at.startswith(f"p{number}-") for token in runs[at][1]}
        assert set(tokens) <= seen
    for at, (ran, seen) in runs.items():
        assert len(set(seen)) <= 1, f"the code got different results of {at}"
        assert set(seen) <= set(ran), f"{at} gave what it never did"
        assert manner.ends or len(ran) == 1, f"{at} ran again, though nothing had happened"
    return ended


def _runs(stage: Stage) -> dict[str, tuple[list[str], list[str]]]:
    """By step: the tokens of its runs, and those that the code got. Asserts that no step runs again
    once the code has its result, as it does only when that is committed.
    """
    runs: dict[str, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    for name, token in stage.lines():
        at, _, what = name.rpartition(":")
        ran, seen = runs[at]
        if what == "ran":
            assert not seen, f"{at} ran again although it was committed"
            ran.append(token)
        else:
            seen.append(token)
    return runs


@settings(
    max_examples=EXAMPLES,
    derandomize=bool(os.environ.get("CI")),
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
@given(seed=st.integers(0, 2**32))
def _play(zygote: Zygote, store_url: str, folder: Path, counts: dict[str, int], seed: int) -> None:
    print(f"programs of seed {seed}")
    dice = random.Random(seed)
    programs = [a_program(dice) for _ in range(PROGRAMS)]
    for manner in MANNERS:
        with a_stage(zygote, store_url, folder) as stage:
            counts["ended workers"] += run_all(stage, programs, dice, manner)
            counts["replays"] += stage.reads.totals().replays
        stage.erase()
    counts["programs"] += len(programs)


def test_programs_give_what_they_should_however_often_workers_are_killed(
    zygote: Zygote, store_url: str, tmp_path: Path, record_property: pytest.RecordProperty
) -> None:
    counts: dict[str, int] = defaultdict(int)
    _play(zygote, store_url, tmp_path, counts)
    assert counts["ended workers"] >= 2 * EXAMPLES
    assert counts["replays"] > counts["programs"]
    said = ", ".join(f"{count:,} {what}" for what, count in counts.items())
    record_property("random programs", said)
