"""What a task sees: its operations, and what they leave in the journal."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, Final, NamedTuple, NoReturn, Protocol

from bide.errors import DeadlineExceeded, Interrupted, Misuse, TaskCancelled, TaskTimeout
from bide.ids import TaskId
from bide.poller import Poller
from bide.retry import parse_seconds
from bide.variables import NAME

Duration = str | float | timedelta
Op = Coroutine[Any, Any, Any]


class StopReason(Enum):
    """Why a running attempt is asked to end."""

    CANCEL = "cancel"
    TIMEOUT = "timeout"
    DEADLINE = "deadline"
    SHUTDOWN = "shutdown"
    PARK = "park"
    """It only waits: it goes on, from its journal, when the wait is over."""
    LOST = "lost"
    """Its lease has passed to another worker: nothing it does counts any more."""


_SHUTDOWN_MESSAGE: Final = "The worker is shutting down; the task goes back to its queue."
_LOST_MESSAGE: Final = "The lease was lost; another worker has the task."
_MAX_MESSAGE_CHARS: Final = 1_000


class Waiter(Protocol):
    """What a context calls; see bide.worker.operations. Durations are in seconds, None is without end."""

    @property
    def can_wait(self) -> bool:
        """False for a plain function."""

    def step(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Op: ...
    def sleep(self, seconds: float) -> Op: ...
    def poll(
        self,
        check: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        patience: tuple[float, tuple[type[Exception], ...], int],
        timeout_s: float | None,
    ) -> Op: ...
    def poll_shared(self, poller: Poller, key: Any, timeout_s: float | None) -> Op: ...
    def event(self, name: str, timeout_s: float | None) -> Op: ...
    def first(self, coroutines: tuple[Op, ...]) -> Op: ...
    def gather(self, coroutines: tuple[Op, ...]) -> Op: ...
    def time_ms(self) -> int: ...
    def random(self) -> float: ...
    def patched(self, name: str) -> bool: ...
    def report_progress(self, fraction: float, message: str) -> None: ...
    def note_exit(self) -> None: ...


class Winner(NamedTuple):
    """What `ctx.first` returns: which operation was first, from 0, and what it gave."""

    which: int
    value: Any


class Context:
    """Handed to a task whose first parameter is annotated with it. One per attempt.

    step, sleep, poll, event, first and gather are awaited, in an async task alone; what they
    gave is journaled, and given again when the task is replayed. docs/waiting.md has the rules.
    """

    __slots__ = ("_engine", "_exits", "_id", "attempt", "stopping")

    def __init__(self, id: TaskId, attempt: int, engine: Waiter | None = None) -> None:
        """engine: None for a plain function, which cannot wait."""
        self._id = id
        self._engine = engine
        self._exits: tuple[Callable[[], Any], ...] = ()
        self.attempt = attempt
        """Which attempt this is, from 1. A task that was parked goes on with the same one."""
        self.stopping: StopReason | None = None
        """Why the attempt should end; None while it should not."""

    @property
    def task_id(self) -> str:
        """The id that the submitter was given."""
        return str(self._id)

    @property
    def queue(self) -> str:
        return self._id.slot

    # --- awaited ------------------------------------------------------------------------------

    def step(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Op:
        """Call a function once: its result, JSON of at most 64 KiB, is kept and not asked for again.

        function: plain (it runs in a thread) or async. It runs again only if its result was
            never committed, so it may run twice; `token` makes that harmless.
        Raises whatever the function raises; the next attempt of the task then tries it again.
        """
        return self._awaiting("step").step(function, args, kwargs)

    def sleep(self, duration: Duration) -> Op:
        """Wait for a number of seconds, "30s", "20m", "7d" or a timedelta."""
        return self._awaiting("sleep").sleep(_seconds("sleep", duration))

    def poll(
        self,
        check: Callable[..., Any] | Poller,
        /,
        *args: Any,
        every: Duration = 5,
        timeout: Duration | None = None,
        retry_on: tuple[type[Exception], ...] = (),
        tolerate: int = 3,
        **kwargs: Any,
    ) -> Op:
        """Ask again and again until the answer is something else than None or Pending; return that.

        check: a plain or async function, or a poller, which takes one key and has an `every` of its own.
        every: from one answer to the next question.
        timeout: WaitTimeout after that long, and one last question; None waits for ever.
        retry_on: exceptions that count as Pending, up to `tolerate` in a row.
        """
        engine = self._awaiting("poll")
        limit_s = None if timeout is None else _seconds("poll", timeout)
        if isinstance(check, Poller):
            if len(args) != 1 or kwargs:
                raise Misuse(f"ctx.poll({check.name}, key) takes one key: {check.name} is a shared poller.")
            return engine.poll_shared(check, args[0], limit_s)
        patience = (_seconds("poll", every), retry_on, tolerate)
        return engine.poll(check, args, kwargs, patience, limit_s)

    def event(self, name: str, *, timeout: Duration | None = None) -> Op:
        """The next event of this name: the JSON body of `POST /v1/tasks/{id}/events/{name}`.

        timeout: WaitTimeout after that long; None waits for ever.
        """
        engine = self._awaiting("event")
        if not NAME.fullmatch(name):
            raise Misuse(f"{name!r} is no event name; it must match {NAME.pattern}")
        return engine.event(name, None if timeout is None else _seconds("event", timeout))

    def first(self, *coroutines: Op) -> Op:
        """Run operations, or coroutines that use them, side by side until one ends; cancel the others.

        Returns a Winner; its value is JSON. Raises what the first one raised, if it did.
        """
        return self._awaiting("first").first(_checked("first", coroutines))

    def gather(self, *coroutines: Op) -> Op:
        """Run operations, or coroutines that use them, side by side; returns a list of their results.

        When one raises, the others are cancelled, and it is raised here.
        """
        return self._awaiting("gather").gather(_checked("gather", coroutines))

    # --- called -------------------------------------------------------------------------------

    def token(self, name: str) -> str:
        """32 hexadecimal characters that are the same in every replay and attempt of this task.

        Hand it to a service as its idempotency token, so that a step that runs twice acts once.
        """
        return hashlib.blake2b(f"{self.task_id}/{name}".encode(), digest_size=16).hexdigest()

    def now(self) -> datetime:
        """The time, in UTC, by the store's clock; the same in every replay."""
        return datetime.fromtimestamp(self._awaiting("now").time_ms() / 1000, UTC)

    def random(self) -> float:
        """A random number from 0 up to 1; the same in every replay."""
        return self._awaiting("random").random()

    def patched(self, name: str) -> bool:
        """Whether to run changed code: False in a task that had passed this point before the change."""
        return self._awaiting("patched").patched(name)

    def progress(self, fraction: float, message: str = "") -> None:
        """Say how far the task is, from 0 to 1, and perhaps a word; shown with the task."""
        if not 0 <= fraction <= 1:
            raise Misuse(f"ctx.progress takes a fraction from 0 to 1, not {fraction!r}")
        if self._engine is not None:
            self._engine.report_progress(float(fraction), str(message)[:_MAX_MESSAGE_CHARS])

    def on_exit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> None:
        """Call a function when the task ends for good: succeeded, failed for the last time or cancelled.

        The latest comes first, each for at most 10 s. What it raises is logged, and changes nothing. When its
        worker dies meanwhile, it runs again.
        Where no worker runs an async task when it ends, or that worker dies, the task is replayed for this:
        so call it in the task's own code, not in a step. A plain function cannot be replayed: what it has
        asked for is run by the worker that ends it, if one does. docs/waiting.md says what else bounds it.
        """
        self._exits = (lambda: function(*args, **kwargs), *self._exits)
        if self._engine is not None:
            self._engine.note_exit()

    @property
    def exits(self) -> tuple[Callable[[], Any], ...]:
        """What `on_exit` was given, the latest first."""
        return self._exits

    def check(self) -> None:
        """Raise if the attempt should end: call it in the loops of a plain function.

        An async task needs no checks: it is interrupted at its next await. A thread
        cannot be interrupted, so a plain function that never calls this runs to its end.
        Raises TaskCancelled, TaskTimeout, DeadlineExceeded, or Interrupted when the worker shuts
        down or has lost the task; let it pass through.
        """
        if self.stopping is not None:
            _raise_for(self.stopping)

    def _awaiting(self, operation: str) -> Waiter:
        if self._engine is None or not self._engine.can_wait:
            raise Misuse(
                f"ctx.{operation} works in an async task alone. Make the task `async def`, and call what "
                "takes long as `await ctx.step(function, ...)`."
            )
        if self.stopping is not None:
            raise Misuse(
                f"ctx.{operation} was called while the attempt unwinds; on_exit is for its real end."
            )
        return self._engine


def _raise_for(reason: StopReason) -> NoReturn:
    if reason is StopReason.CANCEL:
        raise TaskCancelled
    if reason is StopReason.TIMEOUT:
        raise TaskTimeout
    if reason is StopReason.DEADLINE:
        raise DeadlineExceeded
    raise Interrupted(_LOST_MESSAGE if reason is StopReason.LOST else _SHUTDOWN_MESSAGE)


def _seconds(operation: str, duration: Duration) -> float:
    try:
        return parse_seconds(duration)
    except ValueError as error:
        raise Misuse(f"ctx.{operation}: {error}") from None


def _checked(operation: str, coroutines: tuple[Any, ...]) -> tuple[Op, ...]:
    for each in coroutines:
        if not inspect.iscoroutine(each):
            for coroutine in filter(inspect.iscoroutine, coroutines):
                coroutine.close()
            raise Misuse(
                f"ctx.{operation} takes coroutines that have not begun, such as ctx.step(f) or g(ctx), not "
                f"a {type(each).__name__}."
            )
    if operation == "first" and not coroutines:
        raise Misuse("ctx.first takes at least one coroutine.")
    return coroutines
