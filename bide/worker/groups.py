"""Operations side by side: `gather` and `first`."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any

import msgspec

from bide.context import Op, Winner
from bide.worker.branches import Branch, Group, result_of
from bide.worker.engine import Engine
from bide.worker.journal import Entry, Status, digest_of
from bide.worker.steps import commit, encode, meet, raise_again, remember_failure


async def first(engine: Engine, coroutines: tuple[Op, ...]) -> Winner:
    branch, path, position, entry = meet(engine, "first", "first", digest_of("first", len(coroutines)))
    if entry is not None and entry.status is Status.DONE:
        _drop(coroutines)
        return Winner(*msgspec.json.decode(entry.value))
    position, tasks, winner = await _run(engine, branch, path, position, entry, coroutines)
    value = encode(path, tasks[winner].result())
    entry = Entry(path, engine.journal.entry(position).digest, Status.DONE, f"[{winner},{value}]")
    engine.journal.replace(position, entry)
    await commit(engine)
    return Winner(winner, msgspec.json.decode(value))


async def gather(engine: Engine, coroutines: tuple[Op, ...]) -> list[Any]:
    if not coroutines:
        return []
    branch, path, position, entry = meet(engine, "gather", "gather", digest_of("gather", len(coroutines)))
    _, tasks, _ = await _run(engine, branch, path, position, entry, coroutines)
    return [task.result() for task in tasks]


async def _run(
    engine: Engine,
    branch: Branch,
    path: str,
    position: int,
    entry: Entry | None,
    coroutines: tuple[Op, ...],
) -> tuple[int, Any, int]:
    """The group's position in the journal, its asyncio tasks, and which of them decided."""
    kind = path.rpartition("/")[2].partition("#")[0]
    digest = digest_of(kind, len(coroutines))
    if entry is not None and entry.status is Status.FAILED:
        _drop(coroutines)
        raise_again(entry)
    if entry is None:
        position = engine.journal.append(Entry(path, digest, Status.OPEN))
    needs_all = kind == "gather" or engine.journal.replay_only
    group = Group(engine.journal, engine.waits, path, needs_all=needs_all)
    decisive, tasks = await group.run(coroutines)
    try:
        result_of(tasks, decisive)
    except Exception as error:
        remember_failure(branch, path, digest, error, position)
        raise
    return position, tasks, decisive


def _drop(coroutines: Sequence[Coroutine[Any, Any, Any]]) -> None:
    """Leave out the branches of a group whose own entry says what came of it."""
    for coroutine in coroutines:
        coroutine.close()
