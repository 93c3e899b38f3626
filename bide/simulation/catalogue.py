"""The rules by name, and what it takes to run one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from bide.autoscaler import Limits
from bide.simulation import known
from bide.simulation.bound import bound, first_fit
from bide.simulation.fleet import Costs, Fleet, Rule
from bide.simulation.invocations import Invocations
from bide.simulation.outcome import Outcome
from bide.simulation.product import Life, Product
from bide.simulation.workload import Workload

COLD_START_S: Final = 0.5
COLD_START_SOURCE: Final = "assumed"
MOVE_S: Final = 0.00012
LEAVE_S: Final = 0.035
_MEASURED: Final = "measured on two cores of AMD EPYC by `python -m bench --only scaling`"
MOVE_SOURCE: Final = f"{_MEASURED}; counted at either end"
LEAVE_SOURCE: Final = _MEASURED
IDLE_S: Final = 2.0
LIFE_S: Final = 840.0
TICK_S: Final = 60.0
MOST_WORKERS: Final = 1000


class Setup(NamedTuple):
    """What a run is told. Times are in seconds; some rules make no use of some of it."""

    limits: Limits
    """Those of other systems keep no minimum and no maximum."""
    costs: Costs = Costs(COLD_START_S, MOVE_S, MOVE_S, LEAVE_S)
    """Workers of other systems' rules leave in no time, and no task of theirs moves."""
    life: Life = Life(IDLE_S, LIFE_S)
    parking: bool = True
    tick_s: float = TICK_S


class Entry(NamedTuple):
    """A rule of the catalogue."""

    title: str
    run: Callable[[Workload, Setup], Outcome]


def _of(rule: Callable[[], Rule]) -> Callable[[Workload, Setup], Outcome]:
    return lambda tasks, setup: Fleet(
        tasks, setup.limits.concurrency, Costs(setup.costs.cold_start), rule()
    ).run()


def _product(tasks: Workload, setup: Setup) -> Outcome:
    rule = Product(setup.limits, setup.life, parking=setup.parking, tick_s=setup.tick_s)
    return Fleet(tasks, setup.limits.concurrency, setup.costs, rule).run()


def _fixed(tasks: Workload, setup: Setup) -> Outcome:
    peak = bound(tasks, setup.limits.concurrency).peak
    return _of(lambda: known.Fixed(peak))(tasks, setup)


def _first_fit(tasks: Workload, setup: Setup) -> Outcome:
    return first_fit(tasks, setup.limits.concurrency)


def _sqs(tasks: Workload, setup: Setup) -> Outcome:
    return Invocations(tasks, setup.costs.cold_start).run()


PRODUCT: Final = "bide"

RULES: Final[dict[str, Entry]] = {
    PRODUCT: Entry("Bide", _product),
    "first-fit": Entry("ideal first-fit: no moves, no delay, no cold start", _first_fit),
    "idle-exit": Entry("doorbell, first-fit, exit after 2 s idle", _of(known.IdleExit)),
    "hirefire": Entry("HireFire, queue size", _of(known.HireFire)),
    "hirefire-latency": Entry("HireFire, queue latency", _of(known.HireFireLatency)),
    "judoscale": Entry("Judoscale, queue time", _of(known.Judoscale)),
    "keda": Entry("KEDA, pending tasks", _of(known.Keda)),
    "knative": Entry("Knative KPA", _of(known.Knative)),
    "azure": Entry("Azure Functions, target-based", _of(known.AzureTarget)),
    "cloud-run": Entry("Cloud Run, 60 %", _of(known.CloudRun)),
    "target-tracking": Entry("AWS target tracking", _of(known.TargetTracking)),
    "sqs": Entry("SQS event source mapping, batch 10", _sqs),
    "fixed": Entry("fixed, as many as the peak needs", _fixed),
}
"""In the order of the comparison."""
