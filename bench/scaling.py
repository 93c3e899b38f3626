"""The autoscaler on three traces, simulated, and what moving a task costs, measured."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bench import moving
from bench.comparison import NO_PARKING, SCENARIOS, Result, results
from bench.line import Line, at_most
from bide.simulation import catalogue

LONGEST_DELAY_S: Final = 0.5
OVER_BOUND: Final = 1.10
_BESIDE: Final = (NO_PARKING, "first-fit", "hirefire")
_ROUNDING: Final = 6
"""Digits of a second that count: a cold start of half a second is no longer than half a second."""


def measure(quick: bool) -> Iterator[Line]:
    cost = moving.cost(hops=5) if quick else moving.cost()
    yield Line(
        "scaling", "a task parked and resumed, of a worker's time", cost.wall_ms, "ms",
        at_most(catalogue.MOVE_S * 2 * 1000),
        note=f"{cost.moves:,} moves of {moving.TASKS} tasks, one busy worker, {cost.cpu_ms:.3g} ms CPU each; "
        f"the simulation counts {catalogue.MOVE_S * 1000:g} ms at either end",
    )  # fmt: skip
    yield Line(
        "scaling", f"a worker parks {moving.WAITING} tasks and ends", moving.leaving_s() * 1000, "ms",
        at_most(catalogue.LEAVE_S * 2 * 1000),
        note=f"its process included; the simulation counts {catalogue.LEAVE_S * 1000:g} ms and the moves",
    )  # fmt: skip
    for name, scenario in SCENARIOS.items():
        found = {each.rule: each for each in results((catalogue.PRODUCT, *_BESIDE), name)}
        own = found.pop(catalogue.PRODUCT)
        delay, over = thresholds(own)
        yield Line(
            "scaling", f"{name}: start delay, p99", delay, "s", at_most(LONGEST_DELAY_S),
            note=f"simulated: {len(own.outcome.delays):,} tasks, {scenario.concurrency} places a worker, "
            f"cold start {catalogue.COLD_START_S:g} s ({catalogue.COLD_START_SOURCE})",
        )  # fmt: skip
        yield Line(
            "scaling", f"{name}: worker-seconds over the bound", over, "x", at_most(OVER_BOUND),
            note=f"{own.outcome.starts:,} cold starts, {own.outcome.moved:,} tasks moved; beside it: "
            + ", ".join(_beside(each) for each in found.values()),
        )  # fmt: skip


def thresholds(own: Result) -> tuple[float, float]:
    """What the goals are about: p99 of the start delay in seconds, and worker-seconds over the bound."""
    return round(own.outcome.delay(0.99), _ROUNDING), own.over_bound


def _beside(result: Result) -> str:
    return f"{result.rule} {result.over_bound:.2f}x with a p99 of {result.outcome.delay(0.99):.3g} s"
