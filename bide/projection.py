"""What a workload would cost, here and elsewhere: each item with its quantity. Pure.

The model errs to the dear side where it must err; docs/cost.md tells how far from what was measured.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

from bide.prices import Prices
from bide.workload import Overheads, Site, Workload

MILLION: Final = 1_000_000
MONTH_HOURS: Final = 730
"""As the provider's own calculator counts."""

_GB: Final = 1_000_000_000
_WORKER_S: Final = 840
"""After which a worker hands over to the next."""
_LAMBDA_S: Final = 900
"""The longest that a Lambda function may run."""
_ALARM_REQUESTS: Final = 3
"""Of a queue, for one message: send, receive, delete."""
_QUEUE_ASKED: Final = 15
"""Times a minute that Lambda asks an idle queue: five at a time, each for 20 s."""
_STORE_LEAST_GB: Final = 0.1
_DURABLE_LEAST_S: Final = 86_400
"""The shortest that a finished durable execution can be kept."""
_MONTH_S: Final = 30 * 86_400


class Item(NamedTuple):
    """One line of a bill."""

    name: str
    quantity: float
    unit: str
    usd: float


class Load(NamedTuple):
    """What the workers do, and what they ask of the store."""

    worker_ms: float
    """Time of all workers, from start to exit."""
    starts: float
    commands: float
    """Of the store, inside scripts too."""


@dataclass(frozen=True, slots=True)
class Projection:
    """Dollars by item."""

    requests: tuple[Item, ...]
    """What the clients' requests cost. They would cost the same elsewhere."""
    work: tuple[Item, ...]
    """What it takes that the tasks are done."""
    floor: tuple[Item, ...]
    """A month, whether or not there are tasks."""
    rivals: dict[str, tuple[Item, ...]]
    """Instead of `work`, by the name of what does it."""


SLEEPING: Final = "sleeping Lambda"
STEPS: Final = "Step Functions"
DURABLE: Final = "durable functions"


def total(items: tuple[Item, ...]) -> float:
    """Dollars of all items together."""
    return math.fsum(item.usd for item in items)


def project(
    workload: Workload, prices: Prices, overheads: Overheads, site: Site, load: Load | None = None
) -> Projection:
    """What the workload costs. load: what was measured of the workers; without it, what the model says."""
    return Projection(
        _requests(workload, prices, overheads),
        _work(workload, prices, overheads, site, load or model(workload, overheads)),
        _floor(prices, overheads, site, workload.memory_mb),
        {
            SLEEPING: _sleeping(workload, prices),
            STEPS: _steps(workload, prices),
            DURABLE: _durable(workload, prices),
        },
    )


def per_million(workload: Workload, prices: Prices, load: Load) -> dict[str, float]:
    """Dollars per 1,000,000 such tasks: of Bide, by what was measured of its workers, and of the others.

    Neither has the clients' requests in it, which are the same, nor Bide's monthly floor.
    """
    found = project(workload, prices, Overheads(), Site(), load)
    sums = {"Bide": total(found.work)} | {name: total(items) for name, items in found.rivals.items()}
    return {name: usd / workload.tasks * MILLION for name, usd in sums.items()}


def model(workload: Workload, overheads: Overheads) -> Load:
    """What workers do, if tasks are resumed at random times (a Poisson process).

    A worker lives for `life_ms` after the last thing it was woken for, and does whatever comes until then;
    so of a time T with r resumes a second, somebody is awake for T (1 - exp(-r life)), and is started for
    r T exp(-r life) of the resumes. Each window in which tasks are resumed costs one life more. What the
    tasks are active is added in full, though tasks that are active together share it.
    """
    life_s = overheads.life_ms / 1000
    times = workload.polls + 1
    apart = workload.wait_s / workload.polls > workload.spread_s
    windows = times if apart else 1
    open_s = windows * workload.spread_s if apart else workload.horizon_s
    lonely = math.exp(-workload.resumes * life_s / open_s) if open_s else 0.0
    alone = workload.resumes * lonely + windows
    awake_s = open_s * (1 - lonely) + windows * life_s
    worker_ms = awake_s * 1000 + workload.resumes * overheads.resume_ms + workload.tasks * workload.active_ms
    starts = alone + worker_ms / 1000 / _WORKER_S
    commands = alone * overheads.commands_alone + workload.resumes * overheads.commands_shared
    return Load(worker_ms, starts, commands)


def _requests(workload: Workload, prices: Prices, overheads: Overheads) -> tuple[Item, ...]:
    count = workload.tasks * (1 + workload.client_polls)
    billed_ms = count * overheads.api_ms
    usd = prices.invocations(count) + prices.compute(billed_ms, workload.memory_mb)
    return (
        Item("API Gateway", count, "requests", count / MILLION * prices["api_requests_million"]),
        Item("API functions", billed_ms / 1000, f"s of {workload.memory_mb} MB", usd),
    )


def _work(
    workload: Workload, prices: Prices, overheads: Overheads, site: Site, load: Load
) -> tuple[Item, ...]:
    wakes = load.starts * (
        prices.invocations(1) + prices.compute(overheads.wake_ms, workload.memory_mb)
        + (_ALARM_REQUESTS / MILLION * prices["sqs_requests_million"] if site.queue else 0)
        + (prices["kinesis_puts_million"] / MILLION if site.shards else 0)
    )  # fmt: skip
    usd = prices.compute(load.worker_ms, workload.memory_mb)
    items = (
        Item("workers' time", load.worker_ms / 1000, f"s of {workload.memory_mb} MB", usd),
        Item("workers' starts", load.starts, "invocations", prices.invocations(load.starts)),
        Item("wakes and alarms", load.starts, "short invocations", wakes),
    )
    return (*items, *_store(workload, prices, overheads, load)) if site.serverless else items


def _store(workload: Workload, prices: Prices, overheads: Overheads, load: Load) -> tuple[Item, ...]:
    commands = load.commands + workload.tasks * (1 + workload.client_polls) * overheads.commands_request
    kept_s = workload.wait_s + workload.retention_s
    gb_hours = workload.tasks * overheads.record_bytes / _GB * kept_s / 3600
    return (
        Item(
            "store's commands",
            commands,
            "processing units",
            commands / MILLION * prices["store_ecpu_million"],
        ),
        Item("store's memory", gb_hours, "GB-hours", gb_hours * prices["store_gb_hour"]),
    )


def _floor(prices: Prices, overheads: Overheads, site: Site, memory_mb: int) -> tuple[Item, ...]:
    ticks = MONTH_HOURS * 60
    usd = ticks / MILLION * prices["schedule_million"] + prices.invocations(ticks)
    items = [Item("tick", ticks, "a month", usd + prices.compute(ticks * overheads.tick_ms, memory_mb))]
    if site.queue:
        asked = MONTH_HOURS * 60 * _QUEUE_ASKED
        usd = asked / MILLION * prices["sqs_requests_million"]
        items.append(Item("wake queue, asked while idle", asked, "requests", usd))
    if site.serverless:
        gb_hours = MONTH_HOURS * _STORE_LEAST_GB
        items.append(Item("store's least", gb_hours, "GB-hours", gb_hours * prices["store_gb_hour"]))
    else:
        hours = MONTH_HOURS * site.nodes
        items.append(Item("store's nodes", hours, "hours", hours * prices["store_node_hour"]))
    hours = MONTH_HOURS * site.endpoints * site.zones
    items.append(Item("endpoints", hours, "hours", hours * prices["endpoint_hour"]))
    if site.shards:
        hours = MONTH_HOURS * site.shards
        items.append(Item("stream's shards", hours, "hours", hours * prices["kinesis_shard_hour"]))
    if site.nats:
        hours = MONTH_HOURS * site.nats
        items.append(Item("NAT gateways", hours, "hours", hours * prices["nat_hour"]))
    return tuple(items)


def _sleeping(workload: Workload, prices: Prices) -> tuple[Item, ...]:
    """A function that sleeps through its waits, in as many invocations as that takes."""
    lived_s = workload.wait_s + workload.active_ms / 1000
    invocations = workload.tasks * math.ceil(lived_s / _LAMBDA_S)
    return _functions(workload, prices, invocations, workload.tasks * lived_s * 1000)


def _steps(workload: Workload, prices: Prices) -> tuple[Item, ...]:
    """A standard workflow: a first task, then a few transitions of each poll."""
    transitions = workload.tasks * (1 + workload.transitions * workload.polls)
    usd = transitions / 1000 * prices["step_transitions_thousand"]
    return (Item("transitions", transitions, "", usd), *_short(workload, prices))


def _durable(workload: Workload, prices: Prices) -> tuple[Item, ...]:
    """A durable execution: its start, a first step, then a few operations of each poll."""
    operations = workload.tasks * (2 + workload.operations * workload.polls)
    written_gb = operations * workload.payload_kb * 1000 / _GB
    kept = written_gb * (workload.wait_s + _DURABLE_LEAST_S) / _MONTH_S
    return (
        Item("operations", operations, "", operations / MILLION * prices["durable_operations_million"]),
        Item("written", written_gb, "GB", written_gb * prices["durable_written_gb"]),
        Item("kept", kept, "GB-months", kept * prices["durable_retained_gb_month"]),
        *_short(workload, prices),
    )


def _short(workload: Workload, prices: Prices) -> tuple[Item, ...]:
    """One invocation at the start and after each wait, each billed in whole milliseconds."""
    billed_ms = max(workload.resumes, workload.tasks * workload.active_ms)
    return _functions(workload, prices, workload.resumes, billed_ms)


def _functions(workload: Workload, prices: Prices, invocations: float, billed_ms: float) -> tuple[Item, ...]:
    memory_mb = workload.rival_memory_mb
    return (
        Item(
            "functions' time", billed_ms / 1000, f"s of {memory_mb} MB", prices.compute(billed_ms, memory_mb)
        ),
        Item("invocations", invocations, "", prices.invocations(invocations)),
    )
