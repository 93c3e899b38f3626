"""Lines about what the functions were billed for a workload of tasks that wait, and what that costs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from bench.dollars import dollars
from bench.line import Line, at_most
from bench.running_lambda import Bill
from bide.projection import Load
from bide.records import Totals
from bide.workload import Workload


class Billed(NamedTuple):
    """A workload that was run on the emulator."""

    bill: Bill
    totals: Totals
    commands: int
    """That the store ran, inside scripts too."""
    tasks: int
    seconds: float
    """What each task waits."""
    spread_s: float
    """Over how long they were submitted."""

    @property
    def waited_s(self) -> float:
        return self.tasks * self.seconds


def billed(benchmark: str, run: Billed, percent: float, what: str) -> Iterator[Line]:
    """What it was billed, and what that costs per 1,000,000 such tasks, here and elsewhere.

    percent: how much of the waited time may be billed. what: the workload in words.
    """
    bill, waited_ms = run.bill, run.waited_s * 1000
    yield Line(
        benchmark, "on Lambda, billed of waited time", bill.waiting_ms / waited_ms * 100, "%",
        at_most(percent),
        note=f"{what}: of {run.waited_s:,.0f} s waited, billed {bill.drain_ms / 1000:.2f} s of drains "
        f"and {bill.triggers_ms / 1000:.2f} s of tick and triggers, starts included; every result checked",
    )  # fmt: skip
    yield Line(
        benchmark, "on Lambda, workers", bill.drains, "",
        note=f"{bill.drain_ms / max(1, bill.drains):,.0f} ms each, {bill.drain_cold} cold; "
        f"{run.totals.polls:,} polls",
    )  # fmt: skip
    yield Line(
        benchmark, "on Lambda, runs of tick and triggers", bill.triggers, "",
        note=f"{bill.triggers_ms / max(1, bill.triggers):.1f} ms each",
    )  # fmt: skip
    yield Line(
        benchmark, "on Lambda, API besides, of waited time", bill.api_ms / waited_ms * 100, "%",
        note=f"{bill.requests:,} requests, {bill.api_ms / max(1, bill.requests):.1f} ms each, with starts",
    )  # fmt: skip
    workload = Workload(
        tasks=run.tasks,
        wait_s=run.seconds,
        polls=max(1, round(run.totals.polls / run.tasks)),
        active_ms=run.totals.billed_us / 1000 / run.tasks,
        spread_s=run.spread_s,
        memory_mb=bill.memory_mb,
    )
    yield from dollars(benchmark, workload, Load(bill.drain_ms, bill.drains, run.commands))
