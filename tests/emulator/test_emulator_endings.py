"""Nothing that the emulator has started outlives it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from emulator_thread import EmulatorThread, until

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_an_emulator_that_is_killed_takes_all_with_it(tmp_path: Path, number: signal.Signals) -> None:
    script = Path(__file__).with_name("abandoned_emulator.py")
    emulator = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert emulator.stdout is not None
    pids = json.loads(emulator.stdout.readline())
    assert len(pids) == 3
    assert psutil.Process(pids[0]).status() == psutil.STATUS_STOPPED
    others = {child.pid for child in psutil.Process(emulator.pid).children(recursive=True)}
    emulator.send_signal(number)
    emulator.communicate()
    try:
        until(lambda: not any(_runs(pid) for pid in others | set(pids)))
    finally:
        for pid in filter(_runs, others | set(pids)):
            os.kill(pid, signal.SIGKILL)


def test_a_stopped_emulator_leaves_nothing(start: Callable[..., EmulatorThread], tmp_path: Path) -> None:
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    emulator = EmulatorThread(tmp_path)
    emulator.deploy("echo", "def handler(event, context):\n    return event\n")
    emulator.invoke("echo")
    emulator.invoke("echo", b'"later"', InvocationType="Event")
    emulator.stop()
    assert {child.pid for child in psutil.Process().children(recursive=True)} <= before
    assert [path.name for path in (tmp_path / "emulator" / "code").iterdir()] == []


def test_an_invocation_that_a_stop_ends_has_its_last_lines_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    emulator = EmulatorThread(tmp_path)
    emulator.deploy("long", "import time\ndef handler(event, context):\n    time.sleep(600)\n")
    emulator.invoke("long", InvocationType="Event")
    until(lambda: "START" in emulator.log("long"))
    path = emulator.emulator.deployed("long").output.path
    emulator.stop()
    assert "REPORT RequestId" in path.read_text()
    assert caplog.text == ""


HEIR = """
import os, subprocess
def handler(event, context):
    if event == "end":
        os._exit(3)
    return subprocess.Popen(["sleep", "600"], start_new_session=True).pid
"""


def test_an_environment_ends_although_what_it_has_started_holds_its_output(
    start: Callable[..., EmulatorThread], tmp_path: Path
) -> None:
    emulator = EmulatorThread(tmp_path)
    emulator.deploy("heir", HEIR)
    heirs = [int(emulator.invoke("heir")["Payload"])]
    try:
        assert b"exit status 3" in emulator.invoke("heir", b'"end"')["Payload"]
        heirs.append(int(emulator.invoke("heir")["Payload"]))
        emulator.stop()
        assert all(map(_runs, heirs)), "they have left the group, and hold what they were given"
    finally:
        for pid in heirs:
            os.kill(pid, signal.SIGKILL)


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
