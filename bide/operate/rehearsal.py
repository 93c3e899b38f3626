"""A rehearsal: one journal replayed against the code there is now. It runs no step and sends nothing."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import msgspec

from bide.context import Context
from bide.definition import Definition
from bide.errors import BideError, CodeChanged, InvalidArguments, TaskTimeout, UnknownTask
from bide.operate.flight import Flight
from bide.registry import Registry
from bide.worker import branches
from bide.worker.branches import Branch
from bide.worker.journal import Journal, JournalEnd
from bide.worker.operations import Operations
from bide.worker.waits import Waits

LIMIT_S: Final = 2.0
"""How long the code of one task may take; what takes long belongs into steps, which are not run."""
TOO_LONG: Final = TaskTimeout.code
_UNWIND_S: Final = 0.5
"""More for code that is cancelled at the limit."""
_MAX_CHARS: Final = 2_000


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Why a task would not go on with this code."""

    id: str
    name: str
    code: str
    """Stable, as a task's error has it: CODE_CHANGED, UNKNOWN_TASK, ARGUMENTS_OUTDATED ..."""
    message: str


def rehearse(flight: Flight, registry: Registry, limit_s: float = LIMIT_S) -> Mismatch | None:
    """Replay a task's journal; None when the code comes to where the journal ends."""
    if flight.spec is None:
        return _mismatch(flight, "RECORD_UNREADABLE", "The stored submission cannot be read.")
    try:
        journal = Journal(flight.journal, replay_only=True)
        version = journal.version
    except (msgspec.MsgspecError, ValueError) as error:
        return _mismatch(flight, "RECORD_UNREADABLE", f"The journal cannot be read: {error}")
    try:
        definition = registry.get(flight.spec.name, version)
        arguments = definition.decode_args(flight.spec.args)
    except UnknownTask as error:
        return _mismatch(flight, error.code, error.message)
    except InvalidArguments as error:
        now = f"{definition.name}{definition.signature}"
        message = f"It was submitted with {flight.spec.args}, but the task is now {now}: {error.message}"
        return _mismatch(flight, "ARGUMENTS_OUTDATED", message)
    except Exception as error:
        return _mismatch(flight, "TASK_FAILED", f"Its arguments cannot be decoded: {_text(error)}")
    if not definition.is_async:
        message = f"The task is a plain function now, but its journal holds {len(journal)} entries."
        return _mismatch(flight, CodeChanged.code, message)
    return _perform(flight, definition, arguments, journal, limit_s)


def _perform(
    flight: Flight, definition: Definition, arguments: dict[str, Any], journal: Journal, limit_s: float
) -> Mismatch | None:
    engine = _Prompter(flight, journal)
    positional = (Context(flight.id, flight.run.attempt, engine),) if definition.takes_context else ()
    outcome: list[Mismatch | None] = []

    async def replay() -> None:
        async with asyncio.timeout(limit_s) as engine.limit:
            branches.enter(journal)
            try:
                engine.root = branches.current("check")
                await definition.function(*positional, **arguments)
                branches.finish()
            finally:
                branches.leave()

    def perform() -> None:
        try:
            asyncio.run(replay())
        except BaseException as error:
            outcome.append(_judged(flight, engine, error, limit_s))
        else:
            outcome.append(None)

    # In a thread, since code that blocks cannot be interrupted. One that hangs ends with the process.
    thread = threading.Thread(target=perform, name=str(flight.id), daemon=True)
    thread.start()
    thread.join(limit_s + _UNWIND_S)
    return outcome[0] if outcome else _hangs(flight, limit_s)


def _judged(flight: Flight, engine: _Prompter, error: BaseException, limit_s: float) -> Mismatch | None:
    """What the exception that ended a replay says of the code."""
    if isinstance(error, JournalEnd):
        return None
    if isinstance(error, CodeChanged):
        return _mismatch(flight, error.code, error.message)
    if engine.limit is not None and engine.limit.expired():
        return _hangs(flight, limit_s)
    upcoming = engine.root.cursor.upcoming if engine.root is not None else None
    if upcoming is None:
        return None  # the journal does not tell whether it raised this before
    code = error.code if isinstance(error, BideError) else "TASK_FAILED"
    return _mismatch(flight, code, f"The journal holds {upcoming}, but the code raised {_text(error)}")


def _end(*_: Any, **__: Any) -> NoReturn:
    raise JournalEnd


async def _end_async(*_: Any, **__: Any) -> NoReturn:
    raise JournalEnd


class _Prompter(Operations):
    """The Engine of a rehearsal, and its waits' Idler: where the journal would grow, the replay ends."""

    polls = 0
    can_wait = True
    owns_foreign = False

    def __init__(self, flight: Flight, journal: Journal) -> None:
        self.journal = journal
        self.waits = Waits(self)
        self.attempt = flight.run.attempt
        self.root: Branch | None = None
        self.limit: asyncio.Timeout | None = None
        self._submitted_ms = flight.id.submitted_ms

    def now_ms(self) -> int:
        """Some time: no wait is waited for."""
        return self._submitted_ms

    def loop_time(self, ms: int) -> float:
        return asyncio.get_running_loop().time() + (ms - self._submitted_ms) / 1000

    find_event = staticmethod(_end)
    take_event = staticmethod(_end)
    save = staticmethod(_end_async)
    assure = staticmethod(_end_async)
    in_thread = staticmethod(_end_async)
    read_events = staticmethod(_end_async)
    watch = staticmethod(_end_async)
    readmit = staticmethod(_end)

    def unwatch(self, *_: Any, **__: Any) -> None:
        """It is not told to the store."""

    def report_progress(self, *_: Any, **__: Any) -> None:
        """It is not told to the store."""

    def on_idle(self) -> None:
        """Branches that have come to the journal's end wait for the others."""

    def on_busy(self) -> None:
        """See on_idle."""


def _hangs(flight: Flight, limit_s: float) -> Mismatch:
    message = (
        f"The code between the task's operations took longer than {limit_s:g} s. What takes long, or waits, "
        "belongs into ctx.step, ctx.sleep or ctx.poll."
    )
    return _mismatch(flight, TOO_LONG, message)


def _mismatch(flight: Flight, code: str, message: str) -> Mismatch:
    name = "?" if flight.spec is None else flight.spec.name
    return Mismatch(str(flight.id), name, code, message[:_MAX_CHARS])


def _text(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return type(error).__name__
