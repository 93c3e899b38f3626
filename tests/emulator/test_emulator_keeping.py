"""No part of the emulator ends unheard: it is logged, and tried again."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from emulator_thread import SECONDS, EmulatorThread, until

from local.emulator.keeper import Keeper
from local.emulator.output import Output
from local.http_server import Server

ECHO = "def handler(event, context):\n    print('seen', event)\n    return event\n"


class Sources:
    """A source that fails when it begins for the first time."""

    def __init__(self) -> None:
        self.begun = 0

    async def run(self) -> None:
        self.begun += 1
        if self.begun == 1:
            raise RuntimeError("nobody thought of this")
        await asyncio.Event().wait()


def test_a_source_that_fails_is_logged_and_begun_again(
    emulator: EmulatorThread, caplog: pytest.LogCaptureFixture
) -> None:
    source = Sources()
    emulator.do(lambda: emulator.emulator.run(source))
    until(lambda: source.begun == 2)
    assert "nobody thought of this" in caplog.text


def test_an_endpoint_whose_server_fails_is_served_again(
    emulator: EmulatorThread, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    emulator.deploy("echo", ECHO)
    assert emulator.invoke("echo", b"1")["Payload"] == b"1"

    async def fail(self: Server, counter: int) -> bool:
        monkeypatch.undo()
        raise RuntimeError("nobody thought of this")

    monkeypatch.setattr(Server, "on_tick", fail)
    until(lambda: "nobody thought of this" in caplog.text)
    until(lambda: answers(emulator))


def answers(emulator: EmulatorThread) -> bool:
    try:
        return bool(emulator.invoke("echo", b"2")["Payload"] == b"2")
    except Exception:  # nobody listens just then
        return False


def test_a_keeper_that_has_ended_is_replaced_and_knows_what_the_first_one_kept() -> None:
    keeper = Keeper()
    first, second = (subprocess.Popen(["sleep", "600"], start_new_session=True) for _ in range(2))
    keeper.watch(first.pid)
    keeper._process.kill()
    keeper._process.wait()
    keeper.watch(second.pid)
    keeper.close()
    assert [first.wait(SECONDS), second.wait(SECONDS)] == [-signal.SIGKILL] * 2


def test_what_cannot_be_written_is_lost_and_fails_no_invocation(caplog: pytest.LogCaptureFixture) -> None:
    output = Output(Path("/dev/full"), 1000)
    output.write(b"lost")
    output.line("lost too")
    assert caplog.text.count("No space left on device") == 1


def test_a_log_that_is_full_when_the_disk_is_goes_on_when_it_can(tmp_path: Path) -> None:
    path = tmp_path / "function.log"
    output = Output(path, 10)
    (tmp_path / "function.log.1").mkdir()  # it cannot be moved there, as when the disk were full
    output.write(b"0123456789")
    output.write(b"lost or not")
    (tmp_path / "function.log.1").rmdir()
    output.write(b"again")
    output.write(b"new")
    assert output.text().endswith("new")
    output.close()


def test_an_event_that_fails_in_the_emulator_itself_is_tried_again(
    start: Callable[..., EmulatorThread], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    emulator = start()
    emulator.deploy("echo", ECHO)
    pool = emulator.emulator.deployed("echo").pool
    invoke = pool.invoke

    async def fail(request: object) -> object:
        monkeypatch.undo()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pool, "invoke", fail)
    emulator.invoke("echo", b'"later"', InvocationType="Event")
    figures = emulator.drained("echo")
    assert (figures.invocations, figures.events_dropped) == (1, 0)
    assert pool.invoke == invoke
    assert "an invocation came to nothing" in caplog.text
