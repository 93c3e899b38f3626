"""No part of what runs on one machine ends unheard: it is logged, and tried again."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from bide.settings import Settings
from local import changes, children, reload, supervisor
from local.children import ROOT, Child, Role, spawn
from local.line import Ready, Report
from local.stack_store import StackStore
from local.supervisor import API, TICK, WORKER, Supervisor

NO_STORE = {**os.environ, "BIDE_REDIS_URL": "redis://127.0.0.1:1"}

SECONDS = 60.0
"""How long anything may take on a slow machine."""


class Said:
    """What a part of a stack says; wait for it on the event loop."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._news = asyncio.Event()

    def __call__(self, text: str) -> None:
        self.lines.append(text)
        self._news.set()

    async def wait_for(self, part: str) -> None:
        """Until a line has said it; what was said up to then is forgotten."""
        async with asyncio.timeout(SECONDS):
            while not any(part in line for line in self.lines):
                self._news.clear()
                await self._news.wait()
        self.lines.clear()


def test_a_store_that_cannot_be_started_again_is_tried_until_it_can_and_so_is_the_next(
    tmp_path: Path,
) -> None:
    log = tmp_path / "store" / "store.log"

    async def scene() -> None:
        said = Said()
        store = StackStore("", log.parent, said)
        await store.start(Settings.from_environ({}))
        try:
            log.unlink()
            log.mkdir()  # as good as a full disk: the store's output can go nowhere
            store.kill()
            await said.wait_for("could not be started")
            log.rmdir()
            await said.wait_for("started, with its data")
            store.kill()
            await said.wait_for("started, with its data")
        finally:
            await store.stop()

    asyncio.run(scene())


@pytest.fixture
def scarce(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Lets the next so many starts of a process fail."""
    left = 0

    async def refused(role: Role, environ: Mapping[str, str]) -> Child:
        nonlocal left
        if left:
            left -= 1
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return await spawn(role, environ)

    def few(count: int) -> None:
        nonlocal left
        left = count

    monkeypatch.setattr(supervisor, "spawn", refused)
    return few


def ticks(said: Said) -> Supervisor:
    """A supervisor of one tick, which needs no store to be ready."""
    roles = [Role(WORKER), Role(TICK), Role(API)]
    return Supervisor(roles, {WORKER: 0, TICK: 1, API: 0}, {WORKER: 0}, NO_STORE, said)


def test_a_process_that_cannot_be_started_again_is_tried_until_it_can(
    scarce: Callable[[int], None], caplog: pytest.LogCaptureFixture
) -> None:
    async def scene() -> None:
        said = Said()
        kept = ticks(said)
        try:
            assert await kept.start()
            scarce(2)
            kept.children(TICK)[0].signal(signal.SIGKILL)
            await said.wait_for("started")
            assert len(kept.children(TICK)) == 1
        finally:
            await kept.stop()

    asyncio.run(scene())
    assert "Resource temporarily unavailable" in caplog.text


def test_a_reload_that_cannot_start_a_process_leaves_what_ran_before(scarce: Callable[[int], None]) -> None:
    async def scene() -> None:
        said = Said()
        kept = ticks(said)
        try:
            assert await kept.start()
            before = kept.children(TICK)
            scarce(1)
            assert not await kept.reload()
            assert kept.children(TICK) == before
            assert await kept.reload()
        finally:
            await kept.stop()

    asyncio.run(scene())


def test_a_report_that_comes_to_nothing_is_logged_and_the_end_of_its_child_is_noticed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scene() -> int:
        heard = asyncio.Event()

        def on_report(child: Child, report: Report) -> None:
            heard.set()
            raise RuntimeError("nobody thought of this")

        child = await spawn(Role("tick"), NO_STORE)
        following = asyncio.create_task(child.follow(on_report))
        await heard.wait()
        child.signal(signal.SIGKILL)
        return await following

    assert asyncio.run(scene()) == -signal.SIGKILL
    assert "nobody thought of this" in caplog.text


def test_what_a_process_has_reported_before_its_end_is_heard_although_others_hold_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "reports.py"
    script.write_text(
        "import subprocess, sys\n"
        "from local.line import Line, Need, Ready\n"
        "line = Line(int(sys.argv[1]))\n"
        "heir = subprocess.Popen(['sleep', '600'], pass_fds=[int(sys.argv[1])], start_new_session=True)\n"
        "line.report(Ready(str(heir.pid)))\n"
        "for _ in range(100):\n"
        "    line.report(Need(1))\n"
    )
    monkeypatch.setattr(children, "_command", lambda role, line: (sys.executable, str(script), str(line)))

    async def scene() -> list[Report]:
        seen: list[Report] = []
        child = await spawn(Role("any"), {**os.environ, "PYTHONPATH": str(ROOT)})
        assert await child.follow(lambda _, report: seen.append(report)) == 0
        return seen

    ready, *others = asyncio.run(scene())
    assert isinstance(ready, Ready)
    os.kill(int(ready.name), signal.SIGKILL)
    assert len(others) == 100


def test_a_command_that_comes_to_nothing_does_not_end_the_line() -> None:
    script = (
        "import sys, time\n"
        "from local.line import Line, Need\n"
        "line = Line(int(sys.argv[1]))\n"
        "line.watch(lambda command: line.report(Need(int(command))))\n"
        "time.sleep(600)\n"
    )
    ours, theirs = socket.socketpair()
    with ours, subprocess.Popen(
        [sys.executable, "-c", script, str(theirs.fileno())],
        cwd=ROOT, pass_fds=[theirs.fileno()], stderr=subprocess.PIPE, text=True,
    ) as child:  # fmt: skip
        theirs.close()
        ours.settimeout(SECONDS)
        ours.sendall(b"nonsense\n7\n")
        assert b'"workers":7' in ours.recv(1000)
        ours.close()
        assert child.wait(SECONDS) != 0
        assert child.stderr is not None
        assert "'nonsense'" in child.stderr.read()


def noticed(find: Callable[[], list[Path]], *scenes: Callable[[], object]) -> list[list[Path]]:
    """What is noticed in each scene, which is played again and again until something is."""

    async def play() -> list[list[Path]]:
        code = changes.Changes()
        watching = asyncio.create_task(code.watch(find))
        await asyncio.sleep(0)  # it has looked at what there is
        found = []
        try:
            async with asyncio.timeout(SECONDS):
                for scene in scenes:
                    asking = asyncio.create_task(code.next())
                    while not asking.done():
                        scene()
                        await asyncio.wait([asking], timeout=0.3)
                    found.append(await asking)
        finally:
            watching.cancel()
        return found

    return asyncio.run(play())


def test_code_that_was_nowhere_is_noticed_when_it_comes_and_watched_from_then_on(tmp_path: Path) -> None:
    package = tmp_path / "later"
    seen = noticed(
        lambda: [package] if package.exists() else [],
        lambda: package.mkdir(exist_ok=True),
        lambda: (package / "tasks.py").write_text("a = 1"),
    )
    assert seen == [[package], [package / "tasks.py"]]


def test_a_folder_that_takes_the_place_of_another_is_watched_like_it(tmp_path: Path) -> None:
    package, other = tmp_path / "package", tmp_path / "other"
    package.mkdir()
    other.mkdir()

    def swap() -> None:
        if other.exists():
            package.rename(tmp_path / "old")
            other.rename(package)

    seen = noticed(lambda: [package], swap, lambda: (package / "tasks.py").write_text("a = 1"))
    assert seen == [[package], [package / "tasks.py"]]


def test_a_single_file_that_is_replaced_as_editors_do_is_one_change(tmp_path: Path) -> None:
    module = tmp_path / "app.py"
    module.write_text("")
    before = reload._identified([module])
    draft = module.with_suffix(".draft")
    draft.write_text("")
    draft.replace(module)
    assert reload._identified([module]) == before
