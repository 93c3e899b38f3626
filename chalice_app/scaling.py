"""The JSON form of the fleets: what the autoscaler sees of each queue, and what was decided. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from bide.autoscaler import Limits
from bide.reads import Fleet
from bide.records import Decided
from chalice_app.wire import time_text

_encode = msgspec.json.Encoder().encode


class LimitsJson(msgspec.Struct, frozen=True):
    """What a queue is allowed."""

    min: int
    max: int
    concurrency: int


class DecisionJson(msgspec.Struct, frozen=True):
    """One decision, and what was seen when it was taken."""

    at: str | None
    reason: str
    workers: int
    ready: int
    awake: int
    free: int
    starting: int


class FleetJson(msgspec.Struct, frozen=True):
    """One queue's workers. docs/http-api.md describes each field."""

    queue: str
    ready: int
    awake: int
    free: int
    starting: int
    limits: LimitsJson
    decisions: list[DecisionJson]


class ScalingJson(msgspec.Struct, frozen=True):
    """Every queue."""

    queues: list[FleetJson]


def scaling_json(fleets: Mapping[str, tuple[Limits, Fleet]]) -> bytes:
    """The body that shows the fleets, by queue."""
    return _encode(ScalingJson([_fleet(queue, *fleets[queue]) for queue in sorted(fleets)]))


def _fleet(queue: str, limits: Limits, fleet: Fleet) -> FleetJson:
    return FleetJson(
        queue=queue,
        **fleet.seen._asdict(),
        limits=LimitsJson(limits.minimum, limits.maximum, limits.concurrency),
        decisions=list(map(_decision, fleet.decisions)),
    )


def _decision(decided: Decided) -> DecisionJson:
    return DecisionJson(
        time_text(decided.at_ms), decided.reason, decided.workers, decided.ready, decided.awake,
        decided.free, decided.starting,
    )  # fmt: skip
