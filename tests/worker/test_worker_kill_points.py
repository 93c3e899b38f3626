"""A worker is killed around each of its store calls while a task goes from step to step.

Whatever is in the journal then is kept: a step that was committed never runs again, one that was
not does, and the result is the right one.
"""

from __future__ import annotations

import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from fault_proxy import Fault, FaultProxy
from stage import Stage, Zygote, a_stage, await_that, is_alive

from bide.ids import TaskId
from bide.state import State
from bide.worker.journal import Entry, Status

pytestmark = pytest.mark.plain_tcp

CASES_AT_ONCE = 5
STEPS = ("one", "two", "three", "four", "five")
"""Of program_tasks.walk; the last two run side by side."""


def journal_of(stage: Stage, id: TaskId) -> list[Entry]:
    """What the store holds, in order."""
    (key,) = stage.store.keys.slot(id.slot, ("journal",))
    packed = stage.store.fields(key)
    mine = sorted((field, entry) for field, entry in packed.items() if field.startswith(id.key))
    return [msgspec.msgpack.decode(entry, type=Entry) for _, entry in mine]


class Killer:
    """Kills the worker, and notes how far the task was then."""

    def __init__(self, stage: Stage, id: TaskId) -> None:
        self._stage, self._id = stage, id
        self.worker = 0
        self.was_over = False
        """Whether the task had ended, and its journal with it."""
        self.committed: Counter[str] | None = None
        """Results of `acted` in the journal at the kill, by token; None without one."""
        self.had_run: Counter[str] = Counter()
        """How often each step had run by then."""
        self.is_looking = False
        """Whether it has killed and not noted everything yet: no other worker may go on meanwhile."""

    def __call__(self) -> None:
        await_that(lambda: self.worker)
        self.is_looking = True
        self._stage.end(self.worker, signal.SIGKILL)
        self.was_over = self._stage.state(self._id).done
        entries = journal_of(self._stage, self._id)
        tokens = [
            msgspec.json.decode(entry.value)
            for entry in entries
            if entry.path.rpartition("/")[2].startswith("acted#") and entry.status is Status.DONE
        ]
        self.had_run = count_runs(self._stage)
        self.committed = Counter(tokens)
        self.is_looking = False


def count_runs(stage: Stage) -> Counter[str]:
    return Counter(name.removeprefix("w/").removesuffix(":ran") for name, _ in stage.lines() if "ran" in name)


def play(
    zygote: Zygote, store_url: str, folder: Path, at: int, fault: Fault, hot_wait_seconds: float
) -> tuple[int, str | None, int]:
    """One case; returns the calls there were, which of them met the fault, and the steps that ran twice."""
    with a_stage(zygote, store_url, folder) as stage:
        id = stage.submit("walk", name="w")
        killer = Killer(stage, id)
        proxy = FaultProxy(store_url, at, fault, killer)
        killer.worker = stage.start_worker(
            proxy.url, hot_wait_seconds=hot_wait_seconds, lease_seconds=0.4, idle_seconds=0.1
        )
        others: list[int] = []
        sent = False

        def done() -> bool:
            nonlocal sent
            if not others and not is_alive(killer.worker) and not killer.is_looking:
                others.append(stage.start_worker(hot_wait_seconds=hot_wait_seconds))
            if not sent and stage.effects("w/two:seen"):
                sent = stage.store.send_event(id, "default", "go", b'"went"').seen or True
            return stage.state(id).done

        await_that(done, seconds=15)  # less than lanes take to look without being rung for
        assert stage.state(id) is State.SUCCEEDED, stage.outcome(id)
        await_that(lambda: stage.effects("w:exit"))
        repeated = _check(stage, id, killer)
        stage.end(killer.worker)
        proxy.close()
        return proxy.calls, proxy.struck, repeated


def _check(stage: Stage, id: TaskId, killer: Killer) -> int:
    """Returns how many steps ran twice."""
    went, answer, tokens = stage.outcome(id)
    assert (went, answer) == ("went", "true poll")
    repeated = 0
    for step, token in zip(STEPS, tokens, strict=True):
        ran = stage.effects(f"w/{step}:ran")
        assert token in ran, f"the result of {step} is nobody's"
        assert set(stage.effects(f"w/{step}:seen")) == {token}, f"the code got different results of {step}"
        if killer.committed is None:
            assert len(ran) == 1, f"{step} ran again though its worker lived on"
            continue
        was_committed = killer.was_over or token in killer.committed
        extra = 0 if was_committed else 1
        assert len(ran) == killer.had_run[step] + extra, f"{step}: committed {was_committed}"
        assert killer.had_run[step] <= 1
        repeated += len(ran) - 1
    return repeated


@pytest.mark.parametrize("hot_wait_seconds", [0.0, 15.0], ids=["parked", "hot"])
@pytest.mark.parametrize("fault", Fault)
def test_a_committed_step_never_runs_again_and_another_does_wherever_its_worker_is_killed(
    zygote: Zygote,
    store_url: str,
    tmp_path: Path,
    fault: Fault,
    hot_wait_seconds: float,
    record_property: pytest.RecordProperty,
) -> None:
    calls, _, _ = play(zygote, store_url, tmp_path, 0, fault, hot_wait_seconds)
    with ThreadPoolExecutor(CASES_AT_ONCE) as pool:
        cases = [
            pool.submit(play, zygote, store_url, tmp_path, at, fault, hot_wait_seconds)
            for at in range(1, calls + 1)
        ]
        results = [case.result() for case in cases]
    # How the calls fall differs a little from run to run, so that the last ones may not come.
    met = [struck for _, struck, _ in results if struck is not None]
    assert len(met) > calls // 2
    repeated = sum(repeated for _, _, repeated in results)
    if fault is Fault.KILLED_BEFORE:
        assert repeated, "no kill fell between a step and its commit"
    manner = "hot" if hot_wait_seconds else "parked"
    record_property(
        "kill points", f"{fault.value}, waits {manner}: {len(met)} store calls, {repeated} steps ran twice"
    )
