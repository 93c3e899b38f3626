"""The tasks in flight that have a journal, read page by page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import msgspec

from bide.ids import TaskId
from bide.records import Run, Spec, read_run, read_spec
from bide.state import State
from bide.store import Store

PAGE: Final = 100
"""Records that one read of `runs` asks for."""
MAX_ENTRIES: Final = 1_000
"""Journal entries that one read asks for; no journal holds more."""

_IN_FLIGHT: Final = (State.READY, State.RUNNING, State.RETRYING, State.WAITING)


@dataclass(frozen=True, slots=True)
class Flight:
    """A task that will go on from its journal."""

    id: TaskId
    run: Run
    spec: Spec | None
    """None when the record cannot be read: damaged, or of another version."""
    journal: tuple[bytes, ...]


def flights(store: Store) -> Iterator[Flight]:
    """Every task in flight with a journal, once each; tasks may move on meanwhile.

    Raises StoreUnavailable.
    """
    for slot in store.slots():
        seen: set[bytes] = set()  # a scan may return a record twice
        for page in _pages(store, slot):
            new = {key: run for key, run in page.items() if key not in seen}
            seen.update(new)
            for batch in _batches(new):
                yield from _read(store, slot, batch)


def _pages(store: Store, slot: str) -> Iterator[dict[bytes, Run]]:
    key, cursor = store.keys.slot(slot, ("runs",))[0], 0
    while True:
        cursor, page = store.command("HSCAN", key, cursor, "COUNT", PAGE)
        found = zip(page[::2], page[1::2], strict=True)
        yield {id: run for id, packed in found if (run := _journaled(packed)) is not None}
        if int(cursor) == 0:
            return


def _journaled(packed: bytes) -> Run | None:
    """The record of a task in flight with a journal; None for any other, and for a poller's."""
    try:
        run = read_run(packed)
    except msgspec.MsgspecError:
        return None  # its worker will find it as unreadable as this does
    return run if run.journal and run.max_attempts and run.state in _IN_FLIGHT else None


def _batches(page: dict[bytes, Run]) -> Iterator[dict[bytes, Run]]:
    """The page in parts of at most MAX_ENTRIES entries."""
    batch: dict[bytes, Run] = {}
    entries = 0
    for id, run in page.items():
        if batch and entries + run.journal > MAX_ENTRIES:
            yield batch
            batch, entries = {}, 0
        batch[id] = run
        entries += run.journal
    if batch:
        yield batch


def _read(store: Store, slot: str, batch: dict[bytes, Run]) -> Iterator[Flight]:
    specs_key, arguments_key, journal_key = store.keys.slot(slot, ("specs", "arguments", "journal"))
    fields = [_field(id, position) for id, run in batch.items() for position in range(1, run.journal + 1)]
    entries = iter(store.command("HMGET", journal_key, *fields))
    specs = store.command("HMGET", specs_key, *batch)
    large = store.command("HMGET", arguments_key, *batch)
    for (id, run), spec, args in zip(batch.items(), specs, large, strict=True):
        journal = [next(entries) for _ in range(run.journal)]
        if None not in journal:  # else it has ended meanwhile, and its journal is gone
            yield Flight(TaskId(slot, id), run, _spec((spec or b"") + (args or b"")), tuple(journal))


def _field(id: bytes, position: int) -> bytes:
    """See lua/_journal.lua."""
    return id + position.to_bytes(2, "big")


def _spec(packed: bytes) -> Spec | None:
    try:
        return read_spec(packed)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
