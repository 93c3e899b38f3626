"""What people read in tables: tasks, attempts, queues, workers, operations, series. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from bide_client import render
from bide_client.attempt import Attempt
from bide_client.operation import Operation
from bide_client.queues import Queue
from bide_client.series import Percentiles, Series
from bide_client.status import TaskStatus
from bide_client.table import Column, Marked, Table
from bide_client.workers import Worker

TASK_COLUMNS: Final = (
    Column("id", whole=True),
    Column("task", whole=True),
    Column("state", whole=True),
    Column("submitted", whole=True),
    Column("took", right=True),
    Column("about it"),
)
DEAD_COLUMNS: Final = (
    Column("id", whole=True),
    Column("task", whole=True),
    Column("failed", whole=True),
    Column("attempts", right=True),
    Column("code", whole=True),
    Column("message"),
)
_DEPTHS: Final = ("scheduled", "ready", "running", "waiting", "retrying")


def tasks(found: Iterable[TaskStatus]) -> Table:
    """A line for each task."""
    table = Table(TASK_COLUMNS)
    for task in found:
        table.add(
            task.id,
            task.name,
            Marked(task.state, task.state),
            render.time(task.submitted_at),
            _between(task.started_at, task.finished_at),
            _about(task),
        )
    return table


def dead(found: Iterable[TaskStatus]) -> Table:
    """A line for each failed task: when, and why."""
    table = Table(DEAD_COLUMNS)
    for task in found:
        error = task.error or {}
        tried = f"{task.attempt} of {task.max_attempts}"
        code, message = str(error.get("code") or ""), str(error.get("message") or "")
        table.add(task.id, task.name, render.time(task.finished_at), tried, Marked(code, "failed"), message)
    return table


def attempts(tried: Iterable[Attempt]) -> Table:
    """A line for each attempt."""
    table = Table(
        (
            Column("attempt", right=True),
            Column("worker", whole=True),
            Column("started", whole=True),
            Column("took", right=True),
            Column("outcome", whole=True),
            Column("why"),
        )
    )
    for attempt in tried:
        table.add(
            str(attempt.attempt),
            attempt.worker or "",
            render.time(attempt.started_at),
            _between(attempt.started_at, attempt.ended_at),
            Marked(attempt.outcome, attempt.outcome),
            ": ".join(filter(None, (attempt.code, attempt.message))),
        )
    return table


def queues(found: Iterable[Queue], rates: Sequence[Series] | None = None) -> Table:
    """A line for each queue: how many tasks it has in each state; with `rates` how fast it goes."""
    extra = () if rates is None else (Column("done/min", right=True), Column("start p95", right=True))
    states = (*_DEPTHS, "failed")
    counted = [Column(state, right=True) for state in states]
    table = Table(
        (Column("queue", whole=True), Column("", whole=True), *counted, Column("oldest", right=True), *extra)
    )
    by_queue = {part.queue: part for part in rates or () if part.name is None}
    for queue in found:
        cells = [_count(queue.tasks.get(state, 0), state) for state in states]
        pace = []
        if rates is not None:
            part = by_queue.get(queue.name)
            delay = part.start_delay_ms if part else None
            pace = [
                render.rate(part.per_minute if part else 0.0),
                render.span(delay.p95 if delay else None),
            ]
        paused = Marked("paused" if queue.paused else "", "paused")
        table.add(queue.name, paused, *cells, render.span(queue.oldest_ready_ms), *pace)
    return table


def workers(found: Iterable[Worker]) -> Table:
    """A line for each worker."""
    table = Table(
        (
            Column("worker", whole=True),
            Column("role", whole=True),
            Column("age", right=True),
            Column("heard of", right=True),
            Column("tasks", right=True),
            Column("free", right=True),
        )
    )
    for worker in found:
        table.add(
            worker.id,
            Marked(worker.role, worker.role),
            render.span(worker.age_ms),
            f"{render.span(worker.heard_ms)} ago" if worker.heard_ms is not None else "",
            f"{worker.tasks_total:,}",
            f"{worker.places_free:,}",
        )
    return table


def held(found: Iterable[Worker], most: int | None = None) -> Table:
    """A line for each task that a worker holds, the longest running first; at most `most`."""
    table = Table(
        (
            Column("id", whole=True),
            Column("task", whole=True),
            Column("attempt", right=True),
            Column("running for", right=True),
            Column("lease left", right=True),
            Column("worker", whole=True),
        )
    )
    pairs = [(task, worker) for worker in found for task in worker.tasks]
    pairs.sort(key=lambda pair: pair[0].running_ms or 0.0, reverse=True)
    for task, worker in pairs[:most]:
        lease = render.span(max(task.lease_ms, 0)) if task.lease_ms is not None else ""
        table.add(task.id, task.name, str(task.attempt), render.span(task.running_ms), lease, worker.id)
    return table


def operations(found: Iterable[Operation]) -> Table:
    """A line for each redrive or purge."""
    table = Table(
        (
            Column("id", whole=True),
            Column("what", whole=True),
            Column("queue", whole=True),
            Column("begun", whole=True),
            Column("state", whole=True),
            Column("matched", right=True),
            Column("changed", right=True),
            Column("skipped", right=True),
            Column("filter"),
        )
    )
    for operation in found:
        table.add(
            operation.id,
            f"{operation.kind}{' (dry run)' if operation.dry_run else ''}",
            operation.queue,
            render.time(operation.created_at),
            Marked(operation.state, operation.state),
            *(f"{count:,}" for count in (operation.matched, operation.changed, operation.skipped)),
            " ".join(f"{name}={value}" for name, value in operation.filter.items() if value is not None),
        )
    return table


def series(found: Iterable[Series]) -> Table:
    """A line for each task name in each queue, and one for all of a queue."""
    table = Table(
        (
            Column("queue", whole=True),
            Column("task", whole=True),
            Column("succeeded", right=True),
            Column("failed", right=True),
            Column("ended/min", right=True),
            Column("start delay p50", right=True),
            Column("p95", right=True),
            Column("p99", right=True),
            Column("run time p50", right=True),
            Column("p95", right=True),
            Column("p99", right=True),
        )
    )
    for part in sorted(found, key=lambda each: (each.queue, each.name is not None, each.name or "")):
        table.add(
            part.queue,
            Marked("all", "title") if part.name is None else part.name,
            f"{part.succeeded:,}",
            _count(part.failed, "failed"),
            render.rate(part.per_minute),
            *_percentiles(part.start_delay_ms),
            *_percentiles(part.run_ms),
        )
    return table


def _percentiles(found: Percentiles | None) -> tuple[str, str, str]:
    if found is None:
        return "", "", ""
    return render.span(found.p50), render.span(found.p95), render.span(found.p99)


def _count(number: int, state: str) -> Marked:
    return Marked(f"{number:,}", state if number else "")


def _between(began: datetime | None, ended: datetime | None) -> str:
    if began is None or ended is None:
        return ""
    return render.span(max(0.0, (ended - began).total_seconds() * 1000))


def _about(task: TaskStatus) -> str:
    """What else a line can tell: priority, tags, the latest error of an unlucky task, progress of another."""
    said = [f"priority {task.priority}"] if task.priority else []
    said += [f"#{tag}" for tag in task.tags]
    if task.error is not None:
        said.append(f"{task.error.get('code', '')}: {task.error.get('message', '')}")
    elif not task.done:
        said.append(render.progress(task.progress))
    return "  ".join(filter(None, said))
