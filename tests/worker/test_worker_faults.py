"""Every store call of a worker x {killed before, killed after, reply lost}.

A worker does one task of each ending, through a proxy that lets one of its store calls go
wrong. Whatever call that is, every task ends once, as it should: by the same worker
when only a reply was lost, by another when it was killed.
"""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from commit_count import commits, counting
from fault_proxy import Fault, FaultProxy
from stage import SHORT_LEASE, Stage, Zygote, a_stage, await_that, is_alive

from bide import scripts
from bide.ids import TaskId
from bide.state import State

pytestmark = pytest.mark.plain_tcp

CASES_AT_ONCE = 3
ENDINGS = {
    "succeed": State.SUCCEEDED,
    "fail_once": State.SUCCEEDED,
    "reject": State.FAILED,
    "wait_for_cancel": State.CANCELLED,
    "in_thread": State.SUCCEEDED,
}


def play(zygote: Zygote, store_url: str, folder: Path, at: int, fault: Fault) -> FaultProxy:
    """One case; asserts the ending of each task, and returns the proxy, which knows what it did."""
    with a_stage(zygote, store_url, folder) as stage:
        ids = {name: stage.submit(name, name=name) for name in ENDINGS}
        ids["later"] = stage.submit("succeed", delay_ms=150, name="later")
        worker: list[int] = []

        def kill() -> None:
            await_that(lambda: worker)
            os.kill(worker[0], signal.SIGKILL)

        proxy = FaultProxy(store_url, at, fault, kill)
        worker.append(stage.start_worker(proxy.url, **SHORT_LEASE))
        _see_to_the_end(stage, ids, worker[0])
        tokens = {name: stage.view(id).run.outcome for name, id in ids.items()}
        stage.end(worker[0])
        _check(stage, ids, tokens)
        proxy.close()
        return proxy


def _see_to_the_end(stage: Stage, ids: dict[str, TaskId], worker: int) -> None:
    """Ask for the cancel when it is time, and start another worker when the first has died."""
    others: list[int] = []

    def done() -> bool:
        if not others and not is_alive(worker):
            others.append(stage.start_worker(**SHORT_LEASE))
        if stage.state(ids["wait_for_cancel"]) is State.RUNNING:
            stage.store.cancel(ids["wait_for_cancel"], "default")
        return all(stage.state(id).done for id in ids.values())

    await_that(done, seconds=30)


def _check(stage: Stage, ids: dict[str, TaskId], tokens: dict[str, str]) -> None:
    for name, id in ids.items():
        view, effects = stage.view(id), stage.effects(name)
        assert view.run.state is ENDINGS.get(name, State.SUCCEEDED), name
        assert 1 <= view.run.attempt <= view.run.max_attempts, name
        assert view.run.attempt <= len(effects) + 2, name
        # Cancelled in time, a task need not have run at all.
        assert effects or view.run.state is State.CANCELLED, f"{name} never ran"
        assert view.run.outcome == tokens[name], f"the outcome of {name} was committed twice"
        if view.run.state is State.SUCCEEDED:
            assert stage.outcome(id) in effects, f"the outcome of {name} is nobody's"
    indexes = ("ready", "isolated", "due", "leased")
    assert commits(stage.store) == {id.key: 1 for id in ids.values()}
    slot = stage.store.keys.slot("default", (*indexes, "specs", "runs"))
    assert [stage.store.command("ZCARD", key) for key in slot[:4]] == [0, 0, 0, 0]
    assert [stage.store.command("HLEN", key) for key in slot[4:]] == [len(ids), len(ids)]
    shelves = stage.store.command("ZRANGE", stage.store.keys.slot("default", ("done",))[0], 0, -1)
    shelved = [shelf[first : first + 16] for shelf in shelves for first in range(4, len(shelf), 16)]
    assert sorted(shelved) == sorted(id.key for id in ids.values())


@pytest.fixture(autouse=True)
def _counting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cancel from here counts too; the zygote's workers count anyway."""
    monkeypatch.setattr(scripts, "load", counting())


@pytest.mark.parametrize("fault", Fault)
def test_every_task_ends_once_whatever_call_goes_wrong(
    zygote: Zygote, store_url: str, tmp_path: Path, fault: Fault, record_property: pytest.RecordProperty
) -> None:
    calls = play(zygote, store_url, tmp_path, 0, fault).calls
    assert calls > 10
    kinds: set[str] = set()
    for _ in range(3):  # which call comes when is a matter of chance: the bell's may slip through
        with ThreadPoolExecutor(CASES_AT_ONCE) as pool:
            cases = [pool.submit(play, zygote, store_url, tmp_path, at, fault) for at in range(1, calls + 1)]
            struck = [case.result().struck for case in cases]
        # How the calls fall differs a little from run to run, so that the last ones may not come.
        met = [command for command in struck if command is not None]
        assert len(met) > calls // 2
        kinds |= {command.split(" ")[0] for command in met}
        if "BLPOP" in kinds:
            break
    assert {"EVALSHA", "BLPOP"} <= kinds
    record_property("fault cases", f"{fault.value}: {len(met)} store calls, each played in a case of its own")
