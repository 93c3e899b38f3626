"""The rounds of shared pollers: one question for all that wait, and its answers to each.

A poller is a task of its queue that never ends: leased, fenced, reaped and woken like any
other, its lease is the leave to make one round. A round reads who waits, asks, delivers what
came, and parks until the next. Answers are events, each with a name of its own, so that one
delivered twice counts once; only then is the wait struck off.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec

from bide.errors import BideError, Interrupted
from bide.exchange import BATCH, Message, Verb
from bide.poller import Pending, Poller, Watcher
from bide.worker.attempt import Attempt
from bide.worker.journal import Entry, Status
from bide.worker.raised import describe
from bide.worker.throttle import throttled
from bide.worker.waiting import Answer

ELSEWHERE_S: Final = 5.0
"""Until a poller that this worker does not know is offered again, to a newer worker perhaps."""
TOLERATED: Final = 3
"""Rounds in a row that may fail before those who wait hear of it."""
CALL_S: Final = 60.0
"""How long one call may take."""
_LONGEST_BACKOFF_S: Final = 300.0

_log = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode


class Telling(Protocol):
    """What rounds need of their worker."""

    def send(self, slot: str, message: Message) -> None:
        """Tell the store with the next exchange."""

    async def tell(self, slot: str, messages: Sequence[Message]) -> None:
        """Send these; returns when they are committed."""

    async def watchers(self, poller: Poller) -> list[Watcher]:
        """Everybody who waits for a poller."""

    async def awaiting(self, slot: str, waits: Sequence[tuple[bytes, int]]) -> str:
        """For each task (id, attempt) "1" if it may still want an answer, else "0"."""


class Luck(msgspec.Struct):
    """How a poller's last rounds went, kept in its journal."""

    throttles: int = 0
    failures: int = 0


class Rounds:
    """Makes the rounds of every poller that this worker is leased."""

    def __init__(self, floor: Telling) -> None:
        self._floor = floor

    async def run(self, attempt: Attempt, poller: Poller, rounds: int) -> float:
        """Make one round after so many others; returns the seconds until the next may begin."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        luck = _read_luck(attempt)
        waiting = await self._waiting(poller)
        keys = list(waiting)
        attempt.polls += 1
        backoff_s, failed = 0.0, False
        batches = [keys[at : at + poller.batch] for at in range(0, len(keys), poller.batch)]
        while batches:
            batch = batches.pop(0)
            if attempt.calls:
                await asyncio.sleep(poller.spacing_s)
            await attempt.assure()
            attempt.calls += 1
            try:
                answers, called_at = await self._ask(attempt, poller, batch)
                if attempt.calls == 1:
                    began = called_at  # rounds are apart as the service sees them
            except Interrupted:
                raise
            except Exception as error:
                wanted_s = throttled(error)
                if wanted_s is not None:
                    luck.throttles += 1
                    backoff_s = max(wanted_s, min(_LONGEST_BACKOFF_S, poller.every_s * 2**luck.throttles))
                    _log.warning("poller %s: throttled; the next round is in %.1f s", poller.name, backoff_s)
                    break
                failed = True
                if luck.failures < TOLERATED:
                    _log.warning("poller %s: a call failed: %s", poller.name, describe(error).message)
                elif len(batch) == 1:
                    answers = {batch[0]: error}
                    await self._deliver(poller, rounds + 1, answers, waiting, loop.time() - began)
                else:
                    # Some key of these may spoil it for the others.
                    half = len(batch) // 2
                    batches[:0] = [batch[:half], batch[half:]]
                continue
            await self._deliver(poller, rounds + 1, answers, waiting, loop.time() - began)
        luck.failures = luck.failures + 1 if failed else 0
        luck.throttles = luck.throttles if backoff_s else 0
        _write_luck(attempt, luck)
        return max(backoff_s, poller.spacing_s, poller.every_s - (loop.time() - began))

    async def _ask(
        self, attempt: Attempt, poller: Poller, batch: list[Any]
    ) -> tuple[Mapping[Any, Any], float]:
        """The answers, and when the call began, on the loop's clock: threads may be waited for."""
        loop = asyncio.get_running_loop()
        called_at = loop.time()

        def ask_in_thread() -> Any:
            nonlocal called_at
            called_at = loop.time()
            return poller.function(batch)

        async with asyncio.timeout(CALL_S):
            if inspect.iscoroutinefunction(poller.function):
                answers = await poller.function(batch)
            else:
                answers = await attempt.in_thread(ask_in_thread)
        if not isinstance(answers, Mapping):
            raise BideError(
                f"{poller.place}: poller {poller.name!r} returns a mapping from keys to answers, not a "
                f"{type(answers).__name__}."
            )
        return answers, called_at

    async def _waiting(self, poller: Poller) -> dict[Any, list[Watcher]]:
        """Who waits, by key; those that never will again are struck off."""
        watchers = await self._floor.watchers(poller)
        by_slot: dict[str, list[Watcher]] = {}
        for watcher in watchers:
            by_slot.setdefault(watcher.task.slot, []).append(watcher)
        waiting: dict[Any, list[Watcher]] = {}
        for slot, group in by_slot.items():
            for part in _parts(group):
                waits = [(watcher.task.key, watcher.attempt) for watcher in part]
                for watcher, wanted in zip(part, await self._floor.awaiting(slot, waits), strict=True):
                    if wanted == "1":
                        waiting.setdefault(watcher.key, []).append(watcher)
                    else:
                        self._floor.send(poller.queue, _struck_off(poller, watcher))
        return waiting

    async def _deliver(
        self,
        poller: Poller,
        rounds: int,
        answers: Mapping[Any, Any],
        waiting: Mapping[Any, Sequence[Watcher]],
        seconds: float,
    ) -> None:
        """Send each answer to those who wait for it, then strike them off."""
        share_us = round(seconds * 1e6 / max(1, len(waiting)))
        by_slot: dict[str, list[Message]] = {}
        served: list[Message] = []
        for key, watchers in waiting.items():
            if key not in answers or answers[key] is None or answers[key] is Pending:
                continue
            body = _answer(poller, key, answers[key])
            for watcher in watchers:
                id, polls = watcher.task, max(1, rounds - watcher.rounds)
                message = Message(id.key, polls, Verb.DELIVER, share_us * polls, body, watcher.token)
                by_slot.setdefault(id.slot, []).append(message)
                served.append(_struck_off(poller, watcher))
        for slot, messages in by_slot.items():
            await self._floor.tell(slot, messages)
        await self._floor.tell(poller.queue, served)


def _answer(poller: Poller, key: Any, answer: Any) -> bytes:
    if not isinstance(answer, BaseException):
        try:
            return _encode(Answer(value=msgspec.Raw(_encode(answer))))
        except Exception as error:
            answer = BideError(f"poller {poller.name} answered {key!r} with what JSON cannot hold: {error}")
    return _encode(Answer(error=describe(answer)))


def _struck_off(poller: Poller, watcher: Watcher) -> Message:
    return Message(poller.home.key, 0, Verb.UNWATCH, 0, watcher.member)


def _parts(watchers: Sequence[Watcher]) -> Iterator[Sequence[Watcher]]:
    for at in range(0, len(watchers), BATCH):
        yield watchers[at : at + BATCH]


def _read_luck(attempt: Attempt) -> Luck:
    if not len(attempt.journal):
        return Luck()
    return msgspec.json.decode(attempt.journal.entry(1).value, type=Luck)


def _write_luck(attempt: Attempt, luck: Luck) -> None:
    entry = Entry("luck#1", "", Status.DONE, _encode(luck).decode())
    if not len(attempt.journal):
        attempt.journal.append(entry)
    elif attempt.journal.entry(1) != entry:
        attempt.journal.replace(1, entry)
    attempt.flush()
