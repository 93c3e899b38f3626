"""Lists of tasks, the newest first, page by page, over any number of queues."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from bide.connection import sound
from bide.ids import TaskId
from bide.records import TaskView, read_run, read_spec
from bide.state import State
from bide.store import Store

SCANNED: Final = 100
"""Records of each queue that one page looks at, but for a few: a page may be short, or empty."""

_NEVER_MS: Final = 2**63
"""Later than any time that is told."""


class Place(NamedTuple):
    """Where to go on in one queue; see lua/page.lua."""

    start: str
    """A page of the log, or a time in ms; empty is the newest."""
    within: int
    """How many tasks are left on that page, or were passed at that time."""


NEWEST: Final = Place("", 0)

Position = Mapping[str, Place | None]
"""Where to go on in each queue; None where there is nothing more."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which tasks are wanted; an empty text is any."""

    name: str = ""
    state: str = ""
    """Failed tasks go by when they failed, all others by when they were submitted."""
    tag: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the tasks; their specs have no arguments, their runs no result."""

    tasks: tuple[TaskView, ...]
    next: Position | None
    """Where the next page begins; None after the last."""


class _Found(NamedTuple):
    view: TaskView
    time_ms: int
    """When it was submitted or failed, or a little earlier: no later than what its queue has shown before it.

    Readings of the store's time differ by a little, so that tasks seem to be accepted out of order.
    """
    after: Place
    """Where to go on after it."""


class _Part(NamedTuple):
    """What one queue has for a page."""

    found: list[_Found]
    next: Place | None
    last_ms: int
    """What was not looked at is no newer than that."""


class Listing:
    """Reads lists. Every method may raise StoreUnavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def page(self, tenant: str, filter: Filter, size: int, position: Position) -> Page:
        """The next page of at most `size` tasks, in one round trip."""
        parts = self._read(tenant, filter, size, position)
        # What a queue has not shown yet may be newer than what another has shown.
        shown_ms = max((part.last_ms for part in parts.values() if part.next), default=0)
        merged = sorted(
            ((slot, found) for slot, part in parts.items() for found in part.found),
            key=lambda each: each[1].time_ms,
            reverse=True,  # of a queue's tasks with the same time the order stays
        )
        taken = [each for each in merged if each[1].time_ms >= shown_ms][:size]
        following: dict[str, Place | None] = dict(position)
        for slot, part in parts.items():
            own = [found for owner, found in taken if owner == slot]
            if len(own) == len(part.found):
                following[slot] = part.next
            elif own:
                following[slot] = own[-1].after
        is_last = not any(following.values())
        return Page(tuple(found.view for _, found in taken), None if is_last else following)

    def all(self, tenant: str, slots: Sequence[str], filter: Filter = Filter()) -> Iterator[TaskView]:
        """Every task that is wanted."""
        position: Position | None = dict.fromkeys(slots, NEWEST)
        while position is not None:
            page = self.page(tenant, filter, SCANNED, position)
            yield from page.tasks
            position = page.next

    def _read(self, tenant: str, filter: Filter, size: int, position: Position) -> dict[str, _Part]:
        """What each queue has from its place on."""
        calls = [
            (slot, (tenant, filter.name, filter.state, filter.tag, *place, size, SCANNED))
            for slot, place in position.items()
            if place is not None
        ]
        replies = sound(self._store.slot_scripts("page", calls))
        return {slot: _part(slot, filter, *reply) for (slot, _), reply in zip(calls, replies, strict=True)}


def _part(slot: str, filter: Filter, found: list[Any], start: bytes, within: int, last_ms: int) -> _Part:
    """What page.lua returns."""
    tasks, time_ms = list[_Found](), _NEVER_MS
    for *packed, after, left in found:
        view = _view(slot, *packed)
        time_ms = min(time_ms, _time(view, filter))
        tasks.append(_Found(view, time_ms, Place(after.decode(), left)))
    return _Part(tasks, Place(start.decode(), within) if start else None, min(last_ms, time_ms))


def _view(slot: str, key: bytes, spec: bytes, run: bytes, progress: bytes) -> TaskView:
    id = TaskId(slot, key)
    return TaskView(str(id), slot, read_spec(spec), read_run(run), id.submitted_ms, progress)


def _time(view: TaskView, filter: Filter) -> int:
    return view.run.finished_ms if filter.state == State.FAILED else view.submitted_ms
