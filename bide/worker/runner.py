"""One attempt: from a lease to the settle that ends it."""

from __future__ import annotations

import asyncio
import inspect
import logging
import random
import traceback
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

import msgspec

from bide.context import StopReason
from bide.definition import Definition
from bide.errors import (
    BideError,
    CodeChanged,
    DeadlineExceeded,
    Interrupted,
    InvalidArguments,
    JournalFull,
    LifetimeExceeded,
    Misuse,
    RetryAfter,
    TaskTimeout,
    UnknownTask,
)
from bide.exchange import Message, Settlement
from bide.records import Failure, Spec
from bide.registry import Registry
from bide.retry import Retry
from bide.transition_log import time_of
from bide.worker import branches, polling
from bide.worker.attempt import LATE, Attempt
from bide.worker.journal import JournalEnd
from bide.worker.polling import Rounds
from bide.worker.raised import MOST_CHARS, message_of

MAX_RESULT_BYTES: Final = 256 * 1024
_MAX_TRACEBACK_CHARS: Final = 8_000

_UNREADABLE: Final = (
    "The stored submission cannot be read: it is damaged, or of another version. Submit it again."
)

PATIENCE_S: Final = 900.0
"""How long workers that lack a task's code put the task off before it fails. No worker lives longer, so by
then the last is gone that was started before a deploy."""
_FIRST_DELAY_MS: Final = 1_000
_LONGEST_DELAY_MS: Final = 60_000
"""Of one refusal; in between, each is as long as all before it together."""

_NO_LIMIT: Final = float("inf")
_EXIT_S: Final = 10.0
"""How long one function of `on_exit` may take, and the replay that tells which there are."""
_FOR_GOOD: Final = (Settlement.SUCCEEDED, Settlement.FAILED, Settlement.CANCELLED)
_HOPELESS: Final = (DeadlineExceeded, JournalFull, Misuse)
"""Another attempt would end the same way."""

_encode = msgspec.json.Encoder().encode
_log = logging.getLogger(__name__)


class _Unbegun(Exception):
    """Raised for a plain function that was not called, as its lease had run out before a thread was free."""


class Runner:
    """Runs attempts."""

    def __init__(
        self,
        registry: Registry,
        uniform: Callable[[], float] = random.random,
        rounds: Rounds | None = None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """rounds: makes the rounds of shared pollers; None leaves those to other workers.
        patience_s: how long tasks whose code is not here are left to others before they fail.
        """
        self._registry = registry
        self._uniform = uniform
        self._rounds = rounds
        self._patience_ms = round(patience_s * 1000)
        self._refused: set[tuple[str, str]] = set()
        """Names of tasks, and why they were refused: each is logged once."""

    async def run(self, attempt: Attempt) -> Message | None:
        """Run one attempt to its end, or until it is parked.

        Returns None when nothing may be said of the task any more: its lease has passed to
        another worker. A lease that has run out before the start, as after a thaw or a long
        absence of the store, is handed back: perhaps nobody else has the task yet.
        """
        prepared = self._prepare(attempt)
        if isinstance(prepared, Message):
            return await self._closed(attempt, prepared)
        definition, call = prepared
        try:
            attempt.begin(definition.timeout_s if attempt.ending is None else _EXIT_S)
            branches.enter(attempt.journal, attempt)
            try:
                code = call()
                del call, prepared  # thousands of these frames wait at a time
                result = await code
                branches.finish()
            finally:
                branches.leave()
                attempt.end()
        except BaseException as error:
            # SystemExit and KeyboardInterrupt too: what a task raises must not end its neighbours.
            settle = self._ended(attempt, error, definition)
        else:
            settle = attempt.park() if _is_parked(attempt) else self._succeeded(attempt, result)
        return await self._closed(attempt, settle)

    async def _closed(self, attempt: Attempt, settle: Message | None) -> Message | None:
        """The settle of an attempt that is over; if the task ends with it, what it asked for is run."""
        if settle is None or settle.verb not in _FOR_GOOD:
            return settle
        if attempt.ending is not None:
            settle = attempt.settle(*attempt.ending)
        elif settle.verb is not Settlement.SUCCEEDED and attempt.is_cut_short:
            return attempt.leave_exits(settle)
        if attempt.context.exits:
            await self._run_exits(attempt)
        return settle

    def _prepare(self, attempt: Attempt) -> Message | tuple[Definition, Callable[[], Awaitable[Any]]]:
        """What there is to run, or the settle of what cannot be."""
        lease = attempt.lease
        assert lease is not None, "not begun yet"
        if not attempt.holds_lease:
            return attempt.settle(Settlement.HANDED_BACK)
        spec = lease.spec
        if spec is None:
            return self._give_up(attempt, "RECORD_UNREADABLE", _UNREADABLE)
        try:
            definition = self._definition(attempt, spec)
        except UnknownTask as error:
            return self._refuse(attempt, error.code, error.message)
        if attempt.journal.recorded("") and not (definition.is_async and definition.takes_context):
            # Run from its beginning, it would do again what the journal says is done, at each refusal.
            return self._refuse(attempt, CodeChanged.code, _unjournaled(definition))
        try:
            arguments = definition.decode_args(spec.args)
        except InvalidArguments as error:
            return self._refuse(attempt, "ARGUMENTS_OUTDATED", _outdated(definition, spec, error))
        except Exception as error:
            return self._failed(attempt, error, definition.retry)
        positional = (attempt.context,) if definition.takes_context else ()
        call = partial(definition.function, *positional, **arguments)
        if definition.is_async:
            return definition, call
        if attempt.ending is not None:
            return attempt.settle(*attempt.ending)  # no replay would tell what to run
        attempt.can_wait, attempt.policy = False, definition.retry
        return definition, partial(self._call_plain, attempt, call)

    def stuck(self, attempt: Attempt, seconds: float) -> Message:
        """The settle of a parked attempt whose code does not unwind."""
        message = (
            f"The task was parked, but its code did not unwind within {seconds:g} s. Do not catch "
            "asyncio.CancelledError, and do not wait in finally: see ctx.on_exit."
        )
        return attempt.leave_exits(self._give_up(attempt, "MISUSE", message))

    def outlived(self, attempt: Attempt, lives_s: float) -> Message:
        """The settle of a plain function that goes on when its worker has to end."""
        error = LifetimeExceeded(
            f"The function ran on when its worker had to end, after {lives_s:g} s. Make it async, and let "
            "it wait by ctx.sleep or ctx.poll; or cut it into steps."
        )
        return self._failed(attempt, error, attempt.policy or Retry())

    def _definition(self, attempt: Attempt, spec: Spec) -> Definition:
        """The task's code, in the version that its journal began with. Raises UnknownTask."""
        version = attempt.journal.version
        if version is not None:
            return self._registry.get(spec.name, version)
        definition = self._registry.get(spec.name)
        if definition.version:
            attempt.journal.begin(definition.version)
        return definition

    async def run_poller(self, attempt: Attempt) -> Message | None:
        """Make the round of a shared poller; see `run`."""
        lease = attempt.lease
        assert lease is not None, "not begun yet"
        assert lease.spec is not None, "written by lua/_watch.lua"
        name = lease.spec.name[1:]
        poller = self._registry.pollers.get(name)
        rounds = lease.run.polls
        attempt.begin(_NO_LIMIT)
        try:
            if poller is None or self._rounds is None:
                delay_s = polling.ELSEWHERE_S
            else:
                delay_s = await self._rounds.run(attempt, poller, rounds)
        except BaseException as error:
            if attempt.context.stopping is StopReason.LOST:
                return None
            if not isinstance(error, asyncio.CancelledError):
                _log.exception("poller %s: its round failed", name)
            delay_s = polling.ELSEWHERE_S if poller is None else poller.every_s
        finally:
            attempt.end()
        return attempt.settle(Settlement.POLLED, name, round(delay_s * 1000))

    async def _call_plain(self, attempt: Attempt, call: Callable[[], Any]) -> Any:
        thread = attempt.begin_thread(_in_thread, call)
        await asyncio.wait((thread,))  # where it is interrupted, the thread goes on
        result = thread.result()
        if result is LATE:
            raise _Unbegun
        return result

    async def _run_exits(self, attempt: Attempt) -> None:
        """What the task asked for at its end, each in a thread or on the loop."""
        branches.end(attempt)
        work = asyncio.current_task()
        assert work is not None, "in a coroutine"
        before = work.cancelling()
        for call in attempt.context.exits:
            try:
                await attempt.assure()  # not in the function's time: the store may be away for long
            except Interrupted:
                return  # they are for whoever has the task now
            try:
                async with asyncio.timeout(_EXIT_S):
                    result = await attempt.in_thread(call)
                    if inspect.isawaitable(result):
                        await result
            except BaseException:
                if work.cancelling() > before:
                    raise  # the worker ends
                # Whatever it raises, be it SystemExit, ends neither its worker nor what follows.
                _log.exception("%s: on_exit failed", attempt.id)

    def _succeeded(self, attempt: Attempt, result: Any) -> Message:
        try:
            outcome = _encode(result)
        except Exception as error:
            # Whatever the result's own code may raise: an attempt that does not settle never ends.
            said = message_of(error)
            message = f"The task returned a {type(result).__name__}, which JSON cannot hold: {said}"
            return self._give_up(attempt, "RESULT_NOT_JSON", message)
        if len(outcome) > MAX_RESULT_BYTES:
            message = (
                f"The result is {len(outcome):,} bytes of JSON; at most {MAX_RESULT_BYTES:,} are kept. "
                "Store it elsewhere and return where."
            )
            return self._give_up(attempt, "RESULT_TOO_LARGE", message)
        return attempt.settle(Settlement.SUCCEEDED, outcome)

    def _ended(self, attempt: Attempt, error: BaseException, definition: Definition) -> Message | None:
        """The settle for an attempt that ended in an exception."""
        reason = attempt.context.stopping
        stopped = isinstance(error, (asyncio.CancelledError, Interrupted))
        if reason is StopReason.LOST:
            return None
        if isinstance(error, _Unbegun) or (reason is StopReason.SHUTDOWN and stopped):
            return attempt.settle(Settlement.HANDED_BACK)
        if attempt.ending is not None and not isinstance(error, CodeChanged):
            if not isinstance(error, JournalEnd):
                _log.warning("%s: its replay for on_exit ended early: %s", attempt.id, _describe(error))
            return attempt.settle(*attempt.ending)
        if reason is StopReason.PARK:
            return attempt.park()
        if reason is StopReason.CANCEL and stopped:
            return attempt.settle(Settlement.CANCELLED)
        if reason is StopReason.TIMEOUT and stopped:
            error = TaskTimeout()
        if reason is StopReason.DEADLINE and stopped:
            error = DeadlineExceeded()
        if isinstance(error, TaskTimeout):
            error = TaskTimeout(f"The attempt ran longer than its timeout of {definition.timeout_s:g} s.")
        if isinstance(error, CodeChanged):
            return self._refuse(attempt, error.code, error.message)
        if not isinstance(error, Exception):
            error = BideError(f"The task raised {_describe(error)}")
        settle = self._failed(attempt, error, definition.retry)
        if reason is StopReason.CANCEL and settle.verb is Settlement.RETRYING:
            return attempt.settle(Settlement.CANCELLED)  # there is no other attempt
        return settle

    def _failed(self, attempt: Attempt, error: Exception, policy: Retry) -> Message:
        number = attempt.tries
        failure = _failure(error)
        if isinstance(error, _HOPELESS):
            return attempt.settle(Settlement.FAILED, failure)
        if isinstance(error, RetryAfter) and number < policy.max_attempts:
            return attempt.settle(Settlement.RETRYING, failure, round(error.seconds * 1000))
        if policy.retries(error, number):
            delay_ms = round(policy.delay_seconds(number, self._uniform) * 1000)
            return attempt.settle(Settlement.RETRYING, failure, delay_ms)
        return attempt.settle(Settlement.FAILED, failure)

    def _refuse(self, attempt: Attempt, code: str, message: str) -> Message:
        """The settle of a task whose code is not that of this worker, which may be older than the task.

        It is left to other workers, first soon and then less often. Once that has gone on for longer than any
        of them lives, none of those that are left can have its code, and it fails.
        """
        refused_ms = attempt.refused_ms
        left_ms = self._patience_ms - refused_ms
        if left_ms <= 0:
            return self._give_up(attempt, code, message)
        until = time_of((attempt.now_ms() + left_ms) / 1000)
        reason = f"{message} Until {until} the task is left to workers with other code; then it fails."
        if (attempt.name, code) not in self._refused:
            self._refused.add((attempt.name, code))
            # Without the message, in which arguments may stand.
            _log.warning(
                "%s: this worker lacks the code of %s (%s); left to others, as the task's error says",
                attempt.id, attempt.name, code,
            )  # fmt: skip
        delay_ms = min(max(refused_ms, _FIRST_DELAY_MS), _LONGEST_DELAY_MS, left_ms)
        return attempt.settle(Settlement.REFUSED, _encode(Failure(code, _storable(reason))), delay_ms)

    def _give_up(self, attempt: Attempt, code: str, message: str) -> Message:
        """Fail for good: another attempt would end the same way."""
        return attempt.settle(Settlement.FAILED, _encode(Failure(code, _storable(message))))


def _is_parked(attempt: Attempt) -> bool:
    """Whether the code returned although it was parked: it has caught what unwound it."""
    return attempt.context.stopping is StopReason.PARK


def _in_thread(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except StopIteration as error:
        # asyncio's futures refuse it: the attempt would wait for its thread for ever.
        raise RuntimeError("the task raised StopIteration") from error


def _describe(error: BaseException) -> str:
    text = message_of(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _failure(error: Exception) -> bytes:
    if isinstance(error, BideError):
        return _encode(Failure(error.code, _storable(message_of(error))))
    trace = "".join(traceback.format_exception(error))[-_MAX_TRACEBACK_CHARS:]
    return _encode(Failure("TASK_FAILED", _storable(_describe(error)), _storable(trace)))


def _storable(text: str) -> str:
    """Without what JSON cannot hold, such as lone surrogates."""
    return text.encode("utf-8", "replace").decode()


def _unjournaled(definition: Definition) -> str:
    return (
        f"The code has changed since the task began: {definition.name} has become "
        f"{definition.name}{definition.signature}, which awaits nothing of a context, and the task's journal "
        "holds what it has done through one."
    )


def _outdated(definition: Definition, spec: Spec, error: BideError) -> str:
    sent = spec.args[:MOST_CHARS]
    return (
        f"The task was submitted with {sent}, but {definition.name} has since become "
        f"{definition.name}{definition.signature}: {error.message}"
    )
