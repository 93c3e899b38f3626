"""What scripts move by themselves: transitions that nobody asked for by name. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from bide.ids import TaskId


class Moved(NamedTuple):
    """A transition that a script made by itself. Written by lua/_moves.lua."""

    id: TaskId
    event: str
    state: str
    """What the task came to."""
    attempt: int
    worker: str
    """Who held it; empty when nobody did."""
    name: str


def read_moves(slot: str, flat: Sequence[bytes | int]) -> tuple[Moved, ...]:
    """What a script says that it moved, six values each."""
    fields = iter(flat)
    return tuple(
        Moved(TaskId(slot, _bytes(id)), _text(event), _text(state), int(attempt), _text(worker), _text(name))
        for id, event, state, attempt, worker, name in zip(*[fields] * 6, strict=True)
    )


def _bytes(value: bytes | int) -> bytes:
    assert isinstance(value, bytes)
    return value


def _text(value: bytes | int) -> str:
    return _bytes(value).decode("utf-8", "replace")
