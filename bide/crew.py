"""The workers of all queues, and what they hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import msgspec

from bide.ids import TaskId
from bide.records import Spec, read_spec
from bide.store import Store

SILENT_MS: Final = 30_000
"""A worker that holds nothing is left out once it has not been heard of for longer."""
MOST: Final = 100
"""Workers, and leases, that are read of one queue."""


class Role(StrEnum):
    """What a worker is there for."""

    WORKING = "working"
    """It may lease, from one of its queues at least."""
    STANDBY = "standby"
    """It may not: as many others do as may, or it has been silent for so long that nobody counts on it."""
    LEAVING = "leaving"
    """It leases nothing more."""


@dataclass(frozen=True, slots=True)
class Holding:
    """A task that a worker holds."""

    id: TaskId
    spec: Spec
    """Without arguments."""
    attempt: int
    lease_ms: int
    """Until the lease ends; less than 0 when it has and nobody has taken the task yet."""
    running_ms: int
    """Since the attempt began."""


@dataclass(frozen=True, slots=True)
class Member:
    """A worker, as its last exchanges and heartbeats told."""

    worker: str
    role: Role
    age_ms: int
    heard_ms: int
    """Since it was last heard of."""
    places_free: int
    tasks_total: int
    """That it holds, in all queues."""
    tasks: tuple[Holding, ...] = ()
    """Those of them whose leases end first."""


@dataclass(slots=True)
class _Sum:
    """What the queues say of one worker."""

    ages_ms: list[int] = field(default_factory=list)
    heard_ms: list[int] = field(default_factory=list)
    roles: set[Role] = field(default_factory=set)
    shared: list[tuple[int, int]] = field(default_factory=list)
    """Since when heard, and places free, of queues that share their places."""
    own_free: int = 0
    total: int = 0
    tasks: list[Holding] = field(default_factory=list)


def crew(store: Store, slots: Iterable[str], has_own_places: Callable[[str], bool]) -> tuple[Member, ...]:
    """All workers, those that have lived longest first. One round trip. Raises StoreUnavailable.

    has_own_places: whether a queue's tasks have places of their own in each worker;
        `Settings.has_own_places` has it. All others share theirs, so that these count once.
    """
    found: dict[str, _Sum] = {}
    now_ms = store.now_ms()
    for slot, (rows, leases) in store.each_slot("crew", slots, now_ms, SILENT_MS, MOST).items():
        for name, heard_ms, came_ms, free, admitted, leaves, tasks in rows:
            of = found.setdefault(name.decode(), _Sum())
            of.ages_ms.append(now_ms - came_ms)
            of.heard_ms.append(now_ms - heard_ms)
            of.roles.add(Role.LEAVING if leaves else Role.WORKING if admitted else Role.STANDBY)
            of.total += tasks
            if has_own_places(slot):
                of.own_free += free
            else:
                of.shared.append((now_ms - heard_ms, free))
        for key, head, name, attempt, began_ms, ends_ms in leases:
            try:
                spec = read_spec(head)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                continue  # a damaged record; the worker is about to fail it
            held = Holding(TaskId(slot, key), spec, attempt, ends_ms - now_ms, now_ms - began_ms)
            found.setdefault(name.decode(), _Sum()).tasks.append(held)
    members = (_member(name, of) for name, of in found.items() if of.ages_ms)
    return tuple(sorted(members, key=lambda member: (-member.age_ms, member.worker)))


def _member(name: str, of: _Sum) -> Member:
    role = next((role for role in (Role.WORKING, Role.LEAVING) if role in of.roles), Role.STANDBY)
    shared = min(of.shared)[1] if of.shared else 0  # as the queue says that heard of it last
    tasks = sorted(of.tasks, key=lambda task: task.lease_ms)
    return Member(
        name,
        role,
        max(0, *of.ages_ms),
        max(0, min(of.heard_ms)),
        shared + of.own_free,
        of.total,
        tuple(tasks),
    )
