"""`bide check` replays a journal against other code than wrote it. No store is needed."""

from __future__ import annotations

import asyncio
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest

from bide import Context, WaitTimeout, task
from bide.definition import Definition
from bide.ids import TaskId
from bide.operate.flight import Flight
from bide.operate.rehearsal import Mismatch, rehearse
from bide.records import Run, Spec
from bide.registry import Registry
from bide.state import State
from bide.worker.journal import Entry, Journal, Status, digest_of
from bide_client import operators

ROOT = Path(__file__).parents[2]
ID = TaskId("default", bytes(range(16)))
CALLED: list[str] = []


def create(size: int) -> str:
    CALLED.append("create")
    return f"vm-{size}"


def address(vm: str) -> str | None:
    CALLED.append("address")
    return None


def created(ordinal: int = 1, size: int = 1, branch: str = "") -> Entry:
    return Entry(f"{branch}create#{ordinal}", digest_of("step", (size,), {}), Status.DONE, f'"vm-{size}"')


def slept(seconds: float, status: Status = Status.DONE, branch: str = "") -> Entry:
    return Entry(f"{branch}sleep#1", digest_of("sleep", seconds), status, until_ms=1)


def group(kind: str, branches: int) -> Entry:
    return Entry(f"{kind}#1", digest_of(kind, branches), Status.OPEN)


def check(
    definition: Definition, *entries: Entry, name: str = "journey", args: str = "{}", limit_s: float = 2.0
) -> Mismatch | None:
    journal = Journal()
    for entry in entries:
        journal.append(entry)
    packed = tuple(each for _, each, _ in journal.unsaved())
    flight = Flight(ID, Run(State.WAITING, attempt=1, journal=len(packed)), Spec(name, "", args=args), packed)
    return rehearse(flight, Registry({"journey": definition}), limit_s)


@pytest.fixture(autouse=True)
def _nothing_is_called() -> Any:
    CALLED.clear()
    yield
    assert CALLED == [], "a rehearsal runs no step"


@task
async def journey(ctx: Context) -> str:
    vm: str = await ctx.step(create, 1)
    await ctx.sleep(60)
    return str(await ctx.poll(address, vm))


def test_the_code_that_wrote_a_journal_fits_it() -> None:
    poll = Entry("address#1", digest_of("poll", ("vm-1",), {}), Status.OPEN, attempt=1, polls=3)
    assert check(journey, created(), slept(60.0, Status.OPEN)) is None
    assert check(journey, created(), slept(60.0), poll) is None
    assert check(journey, created()) is None


def test_another_operation_is_named_beside_the_journals_own() -> None:
    mismatch = check(journey, slept(60.0))
    assert mismatch is not None
    assert (mismatch.id, mismatch.name, mismatch.code) == (str(ID), "journey", "CODE_CHANGED")
    assert "sleep#1" in mismatch.message
    assert "create#1" in mismatch.message


def test_other_arguments_are_another_operation() -> None:
    mismatch = check(journey, created(size=2))
    assert mismatch is not None
    assert mismatch.code == "CODE_CHANGED"


def test_code_that_ends_before_its_journal_does_not_fit() -> None:
    @task
    async def shorter(ctx: Context) -> None:
        await ctx.step(create, 1)

    mismatch = check(shorter, created(), slept(60.0, Status.OPEN))
    assert mismatch is not None
    assert "the end" in mismatch.message


def test_an_operation_that_is_new_at_the_end_fits() -> None:
    assert check(journey, created(), slept(60.0)) is None


def test_code_that_raises_where_the_journal_goes_on_does_not_fit() -> None:
    @task
    async def broken(ctx: Context) -> None:
        await ctx.step(create, 1)
        raise KeyError("new bug")

    mismatch = check(broken, created(), slept(60.0, Status.OPEN))
    assert mismatch is not None
    assert mismatch.code == "TASK_FAILED"
    assert "sleep#1" in mismatch.message
    assert "KeyError: 'new bug'" in mismatch.message


def test_code_that_raises_where_the_journal_ends_may_have_done_so_before() -> None:
    @task
    async def unlucky(ctx: Context) -> None:
        await ctx.step(create, 1)
        raise KeyError("as ever")

    assert check(unlucky, created()) is None


def test_code_that_catches_a_failed_wait_goes_on_as_its_journal_says() -> None:
    @task
    async def patient(ctx: Context) -> None:
        try:
            await ctx.event("approved", timeout=1)
        except WaitTimeout:
            await ctx.step(create, 1)
            await ctx.sleep(60)

    failed = Entry(
        "event.approved#1",
        digest_of("event", "approved"),
        Status.FAILED,
        '{"type":"bide.errors:WaitTimeout","message":"late"}',
    )
    assert check(patient, failed, created(), slept(60.0, Status.OPEN)) is None


def test_every_branch_of_a_group_is_replayed() -> None:
    @task
    async def gathering(ctx: Context) -> None:
        await ctx.gather(ctx.sleep(60), ctx.step(create, 1))

    waits = slept(60.0, Status.OPEN, "gather#1.0/")
    assert check(gathering, group("gather", 2), waits, created(branch="gather#1.1/")) is None
    mismatch = check(gathering, group("gather", 2), waits, created(branch="gather#1.1/", size=2))
    assert mismatch is not None
    assert "gather#1.1/create#1" in mismatch.message


def test_a_branch_that_ends_before_its_entries_does_not_fit() -> None:
    @task
    async def gathering(ctx: Context) -> None:
        await ctx.gather(ctx.sleep(60), ctx.step(create, 1))

    waits = slept(60.0, Status.OPEN, "gather#1.0/")
    more = created(branch="gather#1.1/"), created(2, branch="gather#1.1/")
    mismatch = check(gathering, group("gather", 2), waits, *more)
    assert mismatch is not None
    assert "gather#1.1/create#2" in mismatch.message


def test_an_undecided_first_is_left_undecided() -> None:
    @task
    async def racing(ctx: Context) -> None:
        await ctx.first(ctx.sleep(60), ctx.step(create, 1))

    waits = slept(60.0, Status.OPEN, "first#1.0/")
    assert check(racing, group("first", 2), waits) is None
    assert check(racing, group("first", 2), waits, created(branch="first#1.1/")) is None


def test_a_version_that_is_gone_does_not_fit() -> None:
    mismatch = check(journey, Entry("@/7", "", Status.DONE), created())
    assert mismatch is not None
    assert mismatch.code == "UNKNOWN_TASK"
    assert "version 7" in mismatch.message


def test_a_task_that_is_gone_does_not_fit() -> None:
    mismatch = check(journey, created(), name="travel")
    assert mismatch is not None
    assert (mismatch.name, mismatch.code) == ("travel", "UNKNOWN_TASK")


def test_arguments_that_the_code_no_longer_takes_do_not_fit() -> None:
    mismatch = check(journey, created(), args='{"region": "north"}')
    assert mismatch is not None
    assert mismatch.code == "ARGUMENTS_OUTDATED"


def test_a_task_that_has_become_a_plain_function_does_not_fit() -> None:
    @task
    def plain(ctx: Context) -> None: ...

    mismatch = check(plain, created())
    assert mismatch is not None
    assert "plain function" in mismatch.message


@pytest.mark.parametrize("blocks", [False, True], ids=["awaits", "blocks"])
def test_code_that_hangs_between_operations_is_named_and_left_behind(blocks: bool) -> None:
    @task
    async def stuck(ctx: Context) -> None:
        if blocks:
            time.sleep(2)
        else:
            await asyncio.Event().wait()

    mismatch = check(stuck, created(), limit_s=0.1)
    assert mismatch is not None
    assert mismatch.code == "TIMEOUT"


def test_a_damaged_journal_is_named() -> None:
    run = Run(State.WAITING, attempt=1, journal=1)
    flight = Flight(ID, run, Spec("journey", "", args="{}"), (b"\xc1",))
    mismatch = rehearse(flight, Registry({"journey": journey}))
    assert mismatch is not None
    assert mismatch.code == "RECORD_UNREADABLE"


def test_a_clone_has_the_operator_commands_that_an_installation_has() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {entry.name: entry.value for entry in operators.OWN} == project["entry-points"][operators.GROUP]
    assert set(operators.HELP) == {entry.name for entry in operators.OWN}


def test_the_server_extra_names_what_the_core_imports() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pinned = dict(
        line.partition("==")[::2]
        for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line
    )
    extras = project["optional-dependencies"]
    core = [line for line in extras["server"] if line not in extras["rich"]]
    extra = dict(line.partition(">=")[::2] for line in core)
    assert set(extra) == set(pinned) - {"requests"}
    assert all(pinned[name].startswith(least) for name, least in extra.items())
