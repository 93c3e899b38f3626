"""What was measured of a workload, in dollars per 1,000,000 such tasks, beside the same elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

from bench.line import Line
from bide.prices import CHECKED, prices
from bide.projection import DURABLE, SLEEPING, STEPS, Load, per_million
from bide.workload import Workload


def dollars(benchmark: str, workload: Workload, load: Load) -> Iterator[Line]:
    """A line for Bide, by the measured `load` of all its workers, and one for each of three others.

    workload: as it was run; its `active_ms` is what the tasks' own code takes elsewhere. Clients' requests,
    the same everywhere, and Bide's monthly floor are in none of them.
    """
    usd = per_million(workload, prices(), load)
    each = f"{workload.tasks:,} tasks that wait {workload.wait_s:g} s in {workload.polls} waits"
    yield Line(
        benchmark, "dollars per 1,000,000 tasks", usd["Bide"], "$",
        note=f"{load.worker_ms / 1000:,.1f} s of {workload.memory_mb} MB in {load.starts:,.0f} starts "
        f"for {each}; list prices of {CHECKED}; without clients' requests and the monthly floor",
    )  # fmt: skip
    for name, what in ((SLEEPING, "in a"), (STEPS, "with"), (DURABLE, "with")):
        yield Line(
            benchmark, f"the same {what} {name}", usd[name], "$",
            note=f"functions of {workload.rival_memory_mb} MB; {usd[name] / usd['Bide']:,.1f} times as much",
        )  # fmt: skip
