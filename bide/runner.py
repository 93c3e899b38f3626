"""One attempt: from a lease to the settle that ends it."""

from __future__ import annotations

import asyncio
import random
import traceback
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import Any, Final

import msgspec

from bide.context import Context, StopReason
from bide.definition import Definition
from bide.errors import BideError, Interrupted, InvalidArguments, RetryAfter, TaskTimeout, UnknownTask
from bide.exchange import Lease, Settle, Settlement
from bide.records import Failure, Spec
from bide.registry import Registry
from bide.retry import Retry

MAX_RESULT_BYTES: Final = 256 * 1024
_MAX_MESSAGE_CHARS: Final = 2_000
_MAX_TRACEBACK_CHARS: Final = 8_000

_UNREADABLE: Final = (
    "The stored submission cannot be read: it is damaged, or of another version. Submit it again."
)

_encode = msgspec.json.Encoder().encode


class Attempt:
    """A lease being worked on."""

    __slots__ = ("_started", "context", "lease", "thread", "work")

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        self.context = Context(lease.id, lease.attempt)
        self.work: asyncio.Task[None] | None = None
        self._started = False
        self.thread: asyncio.Future[Any] | None = None
        """What a plain function runs in. It may outlive the attempt: threads cannot be ended."""

    def stop(self, reason: StopReason) -> None:
        """Ask the attempt to end: an async task at its next await, a thread at its next check."""
        if self.context.stopping is None:
            self.context.stopping = reason
            # Cancelled before its first step, a coroutine would vanish without a settle.
            if self._started and self.thread is None and self.work is not None:
                self.work.cancel()

    def begin(self) -> None:
        """Raise CancelledError when the attempt was stopped before it began."""
        self._started = True
        if self.context.stopping is not None:
            raise asyncio.CancelledError

    @property
    def lease_held(self) -> tuple[bytes, int]:
        """The task's id in the store, and the lease's fence."""
        return self.lease.id.key, self.lease.fence

    @property
    def is_over(self) -> bool:
        """It has ended, though its thread may go on."""
        return self.work is not None and self.work.done()

    def settle(self, settlement: Settlement, outcome: bytes = b"", delay_ms: int = 0) -> Settle:
        return Settle(self.lease.id.key, self.lease.fence, settlement, delay_ms, outcome)


class Runner:
    """Runs attempts. `executor` holds the threads of plain functions."""

    def __init__(
        self,
        registry: Registry,
        executor: Executor,
        local_clock: Callable[[], float],
        uniform: Callable[[], float] = random.random,
    ) -> None:
        self._registry = registry
        self._executor = executor
        self._local_clock = local_clock
        self._uniform = uniform

    async def run(self, attempt: Attempt) -> Settle | None:
        """Run one attempt to its end.

        Returns None when nothing may be said of the task any more: its lease has passed to
        another worker. A lease that has run out before the start, as after a thaw or a long
        absence of the store, is handed back: perhaps nobody else has the task yet.
        """
        lease = attempt.lease
        if self._local_clock() >= lease.expires_at:
            return attempt.settle(Settlement.HANDED_BACK)
        spec = lease.spec
        if spec is None:
            return self._give_up(attempt, "RECORD_UNREADABLE", _UNREADABLE)
        try:
            definition = self._registry.get(spec.name)
        except UnknownTask as error:
            # Perhaps another worker is newer than this one and knows it.
            return self._failed(attempt, error, Retry(max_attempts=5))
        try:
            arguments = definition.decode_args(spec.args)
        except InvalidArguments as error:
            return self._give_up(attempt, "ARGUMENTS_OUTDATED", _outdated(definition, spec, error))
        except Exception as error:
            return self._failed(attempt, error, definition.retry)
        try:
            attempt.begin()
            result = await self._call(attempt, definition, arguments)
        except BaseException as error:
            # SystemExit and KeyboardInterrupt too: what a task raises must not end its neighbours.
            return self._ended(attempt, error, definition)
        return self._succeeded(attempt, result)

    async def _call(self, attempt: Attempt, definition: Definition, arguments: dict[str, Any]) -> Any:
        positional = (attempt.context,) if definition.takes_context else ()
        if definition.is_async:
            limit = asyncio.timeout(definition.timeout_s)
            try:
                async with limit:
                    return await definition.function(*positional, **arguments)
            except TimeoutError:
                if limit.expired():
                    raise TaskTimeout from None
                raise
        call = partial(_in_thread, partial(definition.function, *positional, **arguments))
        attempt.thread = asyncio.get_running_loop().run_in_executor(self._executor, call)
        done, _ = await asyncio.wait((attempt.thread,), timeout=definition.timeout_s)
        if not done:
            attempt.context.stopping = attempt.context.stopping or StopReason.TIMEOUT
            raise TaskTimeout
        return attempt.thread.result()

    def _succeeded(self, attempt: Attempt, result: Any) -> Settle:
        try:
            outcome = _encode(result)
        except Exception as error:
            # Whatever the result's own code may raise: an attempt that does not settle never ends.
            message = f"The task returned a {type(result).__name__}, which JSON cannot hold: {_text(error)}"
            return self._give_up(attempt, "RESULT_NOT_JSON", message)
        if len(outcome) > MAX_RESULT_BYTES:
            message = (
                f"The result is {len(outcome):,} bytes of JSON; at most {MAX_RESULT_BYTES:,} are kept. "
                "Store it elsewhere and return where."
            )
            return self._give_up(attempt, "RESULT_TOO_LARGE", message)
        return attempt.settle(Settlement.SUCCEEDED, outcome)

    def _ended(self, attempt: Attempt, error: BaseException, definition: Definition) -> Settle | None:
        """The settle for an attempt that ended in an exception."""
        reason = attempt.context.stopping
        stopped = isinstance(error, (asyncio.CancelledError, Interrupted))
        if reason is StopReason.LOST:
            return None
        if reason is StopReason.CANCEL and stopped:
            return attempt.settle(Settlement.CANCELLED)
        if reason is StopReason.SHUTDOWN and stopped:
            return attempt.settle(Settlement.HANDED_BACK)
        if isinstance(error, TaskTimeout):
            error = TaskTimeout(f"The attempt ran longer than its timeout of {definition.timeout_s:g} s.")
        if not isinstance(error, Exception):
            error = BideError(f"The task raised {_describe(error)}")
        return self._failed(attempt, error, definition.retry)

    def _failed(self, attempt: Attempt, error: Exception, policy: Retry) -> Settle:
        number = attempt.lease.attempt
        failure = _failure(error)
        if isinstance(error, RetryAfter) and number < policy.max_attempts:
            return attempt.settle(Settlement.RETRYING, failure, round(error.seconds * 1000))
        if policy.retries(error, number):
            delay_ms = round(policy.delay_seconds(number, self._uniform) * 1000)
            return attempt.settle(Settlement.RETRYING, failure, delay_ms)
        return attempt.settle(Settlement.FAILED, failure)

    def _give_up(self, attempt: Attempt, code: str, message: str) -> Settle:
        """Fail for good: another attempt would end the same way."""
        return attempt.settle(Settlement.FAILED, _encode(Failure(code, _storable(message))))


def _in_thread(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except StopIteration as error:
        # asyncio's futures refuse it: the attempt would wait for its thread for ever.
        raise RuntimeError("the task raised StopIteration") from error


def _describe(error: BaseException) -> str:
    text = _text(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _text(error: BaseException) -> str:
    try:
        return str(error)[:_MAX_MESSAGE_CHARS]
    except Exception:
        return "(its message cannot be shown)"


def _failure(error: Exception) -> bytes:
    if isinstance(error, BideError):
        return _encode(Failure(error.code, _storable(_text(error))))
    trace = "".join(traceback.format_exception(error))[-_MAX_TRACEBACK_CHARS:]
    return _encode(Failure("TASK_FAILED", _storable(_describe(error)), _storable(trace)))


def _storable(text: str) -> str:
    """Without what JSON cannot hold, such as lone surrogates."""
    return text.encode("utf-8", "replace").decode()


def _outdated(definition: Definition, spec: Spec, error: BideError) -> str:
    sent = spec.args[:_MAX_MESSAGE_CHARS]
    return (
        f"The task was submitted with {sent}, but {definition.name} has since become "
        f"{definition.name}{definition.signature}: {error.message}"
    )
