"""The demo judges right."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from bide_client import Client
from bide_client.status import TaskStatus
from local import demo_pages, demo_vms
from local.children import ROOT
from local.cloud_calls import Call, Known
from local.demo_vms import Ending, Ledger


class OneAnswer(Client):
    """A client whose every task ends with one result."""

    def __init__(self, result: dict[str, Any]) -> None:
        self._result = result

    def submit(self, name: str, /, **args: Any) -> Any:
        return self

    def result(self, timeout: float) -> dict[str, Any]:
        return self._result


CHECKS = {check.kind: check for check in demo_pages.checks("http://site", "http://nobody")}


def result(kind: str, **changes: Any) -> dict[str, Any]:
    """A right result, but for the changes."""
    right = {"elapsed_ms": 1.0, "bytes": 0, **CHECKS[kind].expected}
    if right["error"]:
        right["error"] += ": in more words"
    return {**right, **changes}


@pytest.mark.parametrize("kind", CHECKS)
def test_a_right_result_is_right(kind: str) -> None:
    assert demo_pages.run(OneAnswer(result(kind)), CHECKS[kind]).wrong is None


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("good", {"bytes": 1}),
        ("slow", {"ok": False}),
        ("failing", {"status": 502}),
        ("redirecting", {"status": 302}),
        ("looping", {"error": "ReadTimeout: no"}),
        ("hanging", {"error": None}),
        ("refusing", {"url": "http://elsewhere"}),
    ],
)
def test_a_wrong_result_is_wrong(kind: str, changes: dict[str, Any]) -> None:
    assert demo_pages.run(OneAnswer(result(kind, **changes)), CHECKS[kind]).wrong is not None


def test_several_hundred_pages_of_every_kind_are_checked() -> None:
    work = list(demo_pages.checks("http://site", "http://nobody"))
    assert len(work) >= 300
    assert len({check.arguments["url"] for check in work}) == len(work)


# --- virtual machines -------------------------------------------------------------------------

RUNNING = Known("running", "198.51.100.1", "token-1", "")
BROKEN = Known("terminated", "198.51.100.2", "token-2", "Server.InternalError: Internal error on launch")
LEDGER = Ledger({"i-01": RUNNING, "i-02": BROKEN}, ())


def ended(state: str, *, result: Any = None, message: str = "") -> Ending:
    """The ending of a task that a server has shown."""
    error = {"code": "REJECTED", "message": message} if message else None
    shown = {"id": "default~1", "name": "vm_provision", "queue": "default", "state": state, "done": True}
    return Ending(TaskStatus.from_json({**shown, "result": result, "error": error}))


def test_an_address_that_the_cloud_gave_is_right() -> None:
    ending = ended("succeeded", result={"instance": "i-01", "address": "198.51.100.1"})
    assert demo_vms.judge(ending, LEDGER) is None


def test_a_failure_with_the_clouds_reason_is_right() -> None:
    ending = ended("failed", message=f"i-02 is terminated: {BROKEN.reason}")
    assert demo_vms.judge(ending, LEDGER) is None


@pytest.mark.parametrize(
    "ending",
    [
        ended("succeeded", result={"instance": "i-01", "address": "198.51.100.9"}),
        ended("succeeded", result={"instance": "i-02", "address": "198.51.100.2"}),
        ended("succeeded", result={"instance": "i-03", "address": "198.51.100.3"}),
        ended("failed", message="i-02 is terminated: no reason given"),
        ended("failed", message="i-01 is terminated: "),
        ended("failed", message="TypeError: no"),
        ended("cancelled"),
        Ending(None, "it is still waiting"),
    ],
    ids=lambda ending: str(ending.status and (ending.status.result or ending.status.error)),
)
def test_any_other_ending_is_wrong(ending: Ending) -> None:
    assert demo_vms.judge(ending, LEDGER) is not None


def test_an_instance_that_no_task_has_is_wrong() -> None:
    ending = ended("succeeded", result={"instance": "i-01", "address": "198.51.100.1"})
    assert demo_vms.misjudged([ending], Ledger({"i-01": RUNNING}, ())) == []
    twice = Ledger({"i-01": RUNNING, "i-04": RUNNING}, ())
    assert demo_vms.misjudged([ending], twice) == ["2 instances were started for 1 tasks"]


START = Call("RunInstances", (), 0.0, 0.01, 200)


def describe(at: float, first: int, last: int, status: int = 200) -> Call:
    """A call for the instances from `first` up to `last`, so many seconds after the start."""
    return Call("DescribeInstances", tuple(f"i-{n:04}" for n in range(first, last)), at, 0.1, status)


def test_a_full_call_per_hundred_instances_and_interval_is_agreed() -> None:
    one_round = [(0, 100), (100, 200), (200, 250)]
    calls = [describe(at + 0.3 * n, *ids) for at in (1.0, 6.0) for n, ids in enumerate(one_round)]
    assert len(demo_vms.rounds(calls)) == 2
    assert demo_vms.excess([START, *calls]) == []


def test_calls_that_are_not_full_are_too_many() -> None:
    calls = [describe(1.0, 0, 50), describe(1.3, 50, 100)]
    assert demo_vms.excess([START, *calls]) == ["a round asked for 100 instances in 2 calls"]


def test_rounds_that_come_too_soon_are_too_many() -> None:
    calls = [describe(1.0, 0, 100), describe(3.0, 0, 100)]
    assert demo_vms.excess([START, *calls]) == ["round 2 came after 3.0 s, with one every 5 s"]


def test_a_call_that_was_throttled_may_be_made_again() -> None:
    calls = [describe(1.0, 0, 100, status=503), describe(1.5, 0, 100)]
    assert demo_vms.excess([START, *calls]) == []


# --- the whole --------------------------------------------------------------------------------


def test_the_demo_ends_well() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "local.demo", "--vms", "50", "--pending", "0.5", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "right results  400 of 400" in ended.stdout
    assert "49 run, 1 failed to launch" in ended.stdout
    assert "right results  50 of 50" in ended.stdout
    assert "billed" in ended.stdout
    assert ended.stderr == ""
    assert max(len(line) for line in ended.stdout.splitlines()) <= 100


def test_ctrl_c_ends_the_demo_soon_and_leaves_nothing(tmp_path: Path) -> None:
    environ = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-u", "-m", "local.demo"]
    with subprocess.Popen(
        command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith("starting 500 virtual machines")
        assert "results" in process.stdout.readline()
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert process.stderr.read() == ""
    assert not any(child.is_running() for child in children)
    assert list(tmp_path.iterdir()) == []
