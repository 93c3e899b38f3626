"""The text form of the metrics, as Prometheus reads it (exposition format 0.0.4). Pure.

No label needs escaping: queues and states are made of letters, digits, `_` and `-`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from bide.autoscaler import Seen
from bide.depth import Depth
from bide.records import Totals
from bide.state import State
from bide.tally import Tally

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_ENDED: Final = ("succeeded", "failed", "cancelled", "expired")

Labels = Mapping[str, str]
Sample = tuple[Labels, float]


class Metric(NamedTuple):
    """Samples of one name."""

    name: str
    kind: str
    """`gauge` or `counter`."""
    help: str
    samples: list[Sample]


class QueueNow(NamedTuple):
    """What a queue holds at this moment."""

    depth: Depth
    seen: Seen


def metrics_text(tally: Tally, now: Mapping[str, QueueNow]) -> str:
    """The body: all metrics. now: by queue."""
    return "".join(f"{line}\n" for metric in _metrics(tally, now) for line in _lines(metric))


def _metrics(tally: Tally, now: Mapping[str, QueueNow]) -> Iterator[Metric]:
    queues = sorted(now)
    yield Metric(
        "bide_tasks", "gauge", "Tasks that are in this state now; finished ones until they are forgotten.",
        [
            ({"queue": name, "state": state}, now[name].depth.tasks[state])
            for name in queues
            for state in State
        ],
    )  # fmt: skip
    yield Metric(
        "bide_queue_oldest_ready_seconds", "gauge",
        "For how long the task has waited for a worker that has been ready longest.",
        [({"queue": name}, (now[name].depth.oldest_ready_ms or 0) / 1000) for name in queues],
    )  # fmt: skip
    yield Metric(
        "bide_queue_paused", "gauge", "1 where nothing is leased.",
        [({"queue": name}, int(now[name].depth.paused)) for name in queues],
    )  # fmt: skip
    yield Metric(
        "bide_workers", "gauge", "Workers that may lease (awake), or were started and not heard of yet.",
        [
            ({"queue": name, "state": state}, count)
            for name in queues
            for state, count in (("awake", now[name].seen.awake), ("starting", now[name].seen.starting))
        ],
    )  # fmt: skip
    yield Metric(
        "bide_worker_places_free", "gauge", "Tasks that the workers awake have room for.",
        [({"queue": name}, now[name].seen.free) for name in queues],
    )  # fmt: skip
    yield Metric(
        "bide_tasks_finished_total", "counter", "Tasks that ended in this state.",
        [
            ({"queue": name, "state": state}, getattr(totals, state))
            for name, totals in tally.queues.items()
            for state in _ENDED
        ],
    )  # fmt: skip
    yield _by_queue(
        tally, "bide_billed_seconds_total", "Active shares of tasks in their workers' time.",
        lambda totals: totals.billed_us / 1_000_000,
    )  # fmt: skip
    yield _by_queue(
        tally, "bide_waited_seconds_total", "Time of tasks in waits.", lambda totals: totals.waited_ms / 1000
    )
    yield Metric(
        "bide_worker_seconds_total", "counter", "Time that workers lived.",
        [({}, tally.total.worker_ms / 1000)],
    )  # fmt: skip
    yield Metric(
        "bide_worker_starts_total", "counter", "Workers that were started.", [({}, tally.total.starts)]
    )


def _by_queue(tally: Tally, name: str, help: str, value: Callable[[Totals], float]) -> Metric:
    samples: list[Sample] = [({"queue": queue}, value(totals)) for queue, totals in tally.queues.items()]
    return Metric(name, "counter", help, samples)


def _lines(metric: Metric) -> Iterator[str]:
    yield f"# HELP {metric.name} {metric.help}"
    yield f"# TYPE {metric.name} {metric.kind}"
    for labels, value in metric.samples:
        pairs = ",".join(f'{name}="{told}"' for name, told in labels.items())
        yield f"{metric.name}{{{pairs}}} {value:.15g}" if pairs else f"{metric.name} {value:.15g}"
