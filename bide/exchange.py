"""What a worker and the store say to each other in one exchange: records and their encoding."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from typing import Any, Final, NamedTuple

import msgspec

from bide.ids import TaskId
from bide.records import Spec

BATCH: Final = 100
"""Settles, and leases, that one exchange carries at most."""


class Settlement(StrEnum):
    """The state that a lease's end brings its task to."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    RETRYING = "retrying"
    HANDED_BACK = "ready"
    """The attempt does not count: the worker leaves before the task was through."""


class Settle(NamedTuple):
    """The end of one lease; its fields are five arguments of exchange.lua."""

    key: bytes
    fence: int
    settlement: Settlement
    delay_ms: int
    """For RETRYING: when the next attempt may start, from now."""
    outcome: bytes
    """JSON: the result, or the Failure; empty when there is neither."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A worker's hold on one task."""

    id: TaskId
    fence: int
    attempt: int
    spec: Spec | None
    """None when the record cannot be read: damaged, or of another version."""
    isolated: bool
    """The task's next crash would be its last: hold no other such task beside it."""
    expires_at: float
    """Local boot-time clock, in seconds; the store's own view ends no earlier."""


@dataclass(frozen=True, slots=True)
class ExchangeReply:
    """The store's side of an exchange."""

    lost: tuple[int, ...]
    """Positions of the settles that no longer counted: their leases had passed to others."""
    leases: tuple[Lease, ...]
    cancels: tuple[bytes, ...]
    """Tasks of this worker that somebody asked to cancel."""
    next_due_ms: int | None
    """When the slot next has something to promote or to reap, by the store's clock."""
    ready: int
    """Tasks that still wait for a worker."""


_unpack_spec = msgspec.msgpack.Decoder(Spec).decode


def flatten_settles(settles: Iterable[Settle]) -> Iterator[Any]:
    """The last arguments of exchange.lua, five a settle."""
    return chain.from_iterable(settles)


def split_ids(joined: bytes) -> tuple[bytes, ...]:
    """The 16-byte ids in a string of them."""
    return tuple(joined[i : i + 16] for i in range(0, len(joined), 16))


def _read_spec(packed: bytes) -> Spec | None:
    try:
        return _unpack_spec(packed)
    except msgspec.MsgspecError:
        return None


def read_reply(slot: str, reply: list[Any], expires_at: float) -> ExchangeReply:
    """Decode what exchange.lua returned after its 'OK'; `expires_at` is for every lease in it."""
    _, lost, flat, cancels, next_due_ms, ready = reply
    fields = iter(flat)
    leases = tuple(
        Lease(TaskId(slot, key), fence, attempt, _read_spec(spec), isolated == 1, expires_at)
        for key, spec, attempt, fence, isolated in zip(*[fields] * 5, strict=True)
    )
    return ExchangeReply(
        lost=tuple(lost),
        leases=leases,
        cancels=split_ids(cancels),
        next_due_ms=next_due_ms if next_due_ms >= 0 else None,
        ready=ready,
    )
