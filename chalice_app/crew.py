"""The JSON form of the workers: what each is there for, and what it holds. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bide.crew import Holding, Member

_encode = msgspec.json.Encoder().encode


class HoldingJson(msgspec.Struct, frozen=True):
    """A task that a worker holds."""

    id: str
    name: str
    attempt: int
    lease_ms: int
    running_ms: int


class MemberJson(msgspec.Struct, frozen=True):
    """One worker. docs/http-api.md describes each field."""

    worker: str
    role: str
    age_ms: int
    heard_ms: int
    places_free: int
    tasks: list[HoldingJson]
    tasks_total: int


class CrewJson(msgspec.Struct, frozen=True):
    """All workers."""

    workers: list[MemberJson]


def crew_json(members: Sequence[Member], tenant: str | None) -> bytes:
    """The body that shows the workers.

    tenant: whose tasks are shown; None for those of all. Workers are shared, and their totals count all.
    """
    return _encode(CrewJson([_member(member, tenant) for member in members]))


def _member(member: Member, tenant: str | None) -> MemberJson:
    return MemberJson(
        worker=member.worker,
        role=member.role,
        age_ms=member.age_ms,
        heard_ms=member.heard_ms,
        places_free=member.places_free,
        tasks=[_holding(task) for task in member.tasks if tenant is None or task.spec.tenant == tenant],
        tasks_total=member.tasks_total,
    )


def _holding(task: Holding) -> HoldingJson:
    return HoldingJson(
        str(task.id), task.spec.name, task.attempt, max(0, task.lease_ms), max(0, task.running_ms)
    )
