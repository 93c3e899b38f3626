"""The waits: sleep, poll, event, and the wait for a shared poller."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from bide.errors import Misuse, WaitTimeout
from bide.poller import Pending, Poller, token
from bide.worker.engine import Engine
from bide.worker.journal import Entry, JournalEnd, Status, digest_of
from bide.worker.raised import Raised, restore
from bide.worker.steps import call, commit, decoder, encode, meet, name_of, raise_again, remember_failure
from bide.worker.throttle import throttled
from bide.worker.waits import Wait

_THROTTLE_S: Final = 5.0
"""How long a throttled question waits at least."""


@dataclass(frozen=True, slots=True)
class Question:
    """What `poll` asks, and how patiently."""

    check: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    every_s: float
    retry_on: tuple[type[Exception], ...]
    tolerate: int


async def sleep(engine: Engine, seconds: float) -> None:
    """See Context.sleep."""
    digest = digest_of("sleep", seconds)
    _, path, position, entry = meet(engine, "sleep", "sleep", digest)
    if entry is None:
        entry = Entry(path, digest, Status.OPEN, until_ms=engine.now_ms() + round(seconds * 1000))
        position = engine.journal.append(entry)
    if entry.status is Status.OPEN:
        _end_if_checked(engine)
        if entry.until_ms > engine.now_ms():
            await engine.waits.until(Wait(engine.loop_time(entry.until_ms)))
        engine.journal.replace(position, Entry(path, digest, Status.DONE))


async def poll(engine: Engine, question: Question, timeout_s: float | None) -> Any:
    """See Context.poll."""
    name = name_of(question.check)
    digest = digest_of("poll", question.args, question.kwargs)
    branch, path, position, entry = meet(engine, "poll", name, digest)
    decode = decoder(question.check)
    entry, position = _opened(engine, path, digest, position, entry, timeout_s)
    if entry.status is Status.FAILED:
        raise_again(entry)
    if entry.status is Status.DONE:
        return decode(entry.value)
    _end_if_checked(engine)
    tolerated, asked = 0, entry.polls
    due_ms = entry.due_ms
    try:
        while True:
            if due_ms > engine.now_ms():
                await engine.waits.until(Wait(engine.loop_time(due_ms)))
            await engine.assure()
            asked_ms, delay_s = engine.now_ms(), question.every_s
            engine.polls += 1
            try:
                answer = await call(engine, question.check, question.args, question.kwargs)
                tolerated = 0
            except Exception as error:
                wanted_s = throttled(error)
                if wanted_s is not None:
                    delay_s = max(wanted_s, _THROTTLE_S, delay_s)
                elif isinstance(error, question.retry_on) and tolerated < question.tolerate:
                    tolerated += 1
                else:
                    raise
                answer = Pending
            asked += 1
            if answer is not None and answer is not Pending:
                break
            if entry.until_ms and asked_ms >= entry.until_ms:
                raise WaitTimeout(f"{path} did not come true within {timeout_s:g} s, asked {asked} times.")
            due_ms = engine.now_ms() + round(delay_s * 1000)
            if entry.until_ms:
                due_ms = min(due_ms, max(entry.until_ms, asked_ms + 1))
            entry = msgspec.structs.replace(entry, due_ms=due_ms, polls=asked)
            engine.journal.replace(position, entry)
    except Exception as error:
        remember_failure(branch, path, digest, error, position)
        raise
    value = encode(path, answer)
    engine.journal.replace(position, Entry(path, digest, Status.DONE, value, polls=asked))
    await commit(engine)
    return decode(value)


async def event(engine: Engine, name: str, timeout_s: float | None) -> Any:
    """See Context.event."""
    digest = digest_of("event", name)
    branch, path, position, entry = meet(engine, "event", f"event.{name}", digest)
    entry, position = _opened(engine, path, digest, position, entry, timeout_s)
    if entry.status is Status.FAILED:
        raise_again(entry)
    if entry.status is Status.DONE:
        return msgspec.json.decode(entry.value)
    try:
        body = await _await_event(engine, path, position, entry, name, timeout_s)
    except Exception as error:
        remember_failure(branch, path, digest, error, position)
        raise
    return msgspec.json.decode(body)


async def poll_shared(engine: Engine, poller: Poller, key: Any, timeout_s: float | None) -> Any:
    """See Context.poll: the answer comes as an event, from whoever makes the poller's rounds."""
    digest = digest_of("poll", key)
    branch, path, position, entry = meet(engine, "poll", poller.name, digest)
    is_new = entry is None or entry.attempt != engine.attempt
    entry, position = _opened(engine, path, digest, position, entry, timeout_s)
    if entry.status is Status.FAILED:
        raise_again(entry)
    if entry.status is Status.DONE:
        return msgspec.json.decode(entry.value)
    answer = token(path, digest, engine.attempt)
    try:
        if is_new:
            _end_if_checked(engine)
            await engine.watch(poller, key, answer)
        try:
            body = await _await_event(engine, path, position, entry, answer, timeout_s)
        except WaitTimeout:
            engine.unwatch(poller, key, answer)
            raise
    except Exception as error:
        remember_failure(branch, path, digest, error, position)
        raise
    return msgspec.json.decode(body)


async def _await_event(
    engine: Engine, path: str, position: int, entry: Entry, name: str, timeout_s: float | None
) -> str:
    """The body of the next event of this name, committed as read."""
    _end_if_checked(engine)
    has_asked = False
    while (found := engine.find_event(name)) is None or found.body is None:
        is_over = entry.until_ms > 0 and entry.until_ms <= engine.now_ms()
        if found is not None or (is_over and not has_asked):
            # It came along without its body; or one may have come since the lease, unheard.
            has_asked = is_over
            await engine.read_events(name)
            continue
        if is_over:
            raise WaitTimeout(f"{path} did not come within {timeout_s:g} s.")
        if engine.owns_foreign:
            raise Misuse(
                f"{path} would be parked, but asyncio tasks that the code made itself still run. Await or "
                "cancel them first, or give them to ctx.gather."
            )
        due_at = engine.loop_time(entry.until_ms) if entry.until_ms else None
        await engine.waits.until(Wait(due_at, name))
    engine.take_event(found)
    body = _body_of(name, found.body)
    if isinstance(body, Exception):
        raise body
    engine.journal.replace(position, Entry(path, entry.digest, Status.DONE, body), found.number)
    await commit(engine)
    return body


def _body_of(name: str, body: str) -> str | Exception:
    """What an event says; an exception where a poller's answer is one."""
    if not name.startswith("~"):
        return body
    answer = msgspec.json.decode(body, type=Answer)
    return restore(answer.error) if answer.error is not None else bytes(answer.value).decode()


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """A poller's answer for one key, as an event's body: a value or an exception."""

    value: msgspec.Raw = msgspec.Raw(b"null")
    error: Raised | None = None


def _opened(
    engine: Engine, path: str, digest: str, position: int, entry: Entry | None, timeout_s: float | None
) -> tuple[Entry, int]:
    """A wait's entry; a new one where there is none, or only that of an earlier attempt."""
    if entry is not None and (entry.status is not Status.OPEN or entry.attempt == engine.attempt):
        return entry, position
    if engine.journal.replay_only:
        raise JournalEnd
    until_ms = 0 if timeout_s is None else engine.now_ms() + max(1, round(timeout_s * 1000))
    entry = Entry(path, digest, Status.OPEN, until_ms=until_ms, attempt=engine.attempt)
    if position:
        engine.journal.replace(position, entry)
        return entry, position
    return entry, engine.journal.append(entry)


def _end_if_checked(engine: Engine) -> None:
    if engine.journal.replay_only:
        raise JournalEnd
