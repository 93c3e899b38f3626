"""The awaited operations of a context: each does, waits for or repeats something, by the journal."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Final, NoReturn, Protocol

import msgspec

from bide.branches import Branch, current
from bide.errors import CodeChanged, Interrupted, JournalFull, Misuse, WaitTimeout
from bide.exchange import Event
from bide.journal import Entry, Journal, JournalEnd, Status, digest_of
from bide.poller import Pending, Poller, token
from bide.raised import Raised, describe, restore
from bide.settings import NAME
from bide.throttle import throttled
from bide.waits import Wait, Waits

_NEVER_CAUGHT: Final = (CodeChanged, Interrupted, JournalFull, Misuse)
"""Errors that end the attempt; a replay meets them again, or it does not."""
_THROTTLE_S: Final = 5.0
"""How long a throttled question waits at least."""


class Engine(Protocol):
    """What the operations need of the attempt that they belong to."""

    journal: Journal
    waits: Waits
    polls: int
    """Questions asked."""

    @property
    def attempt(self) -> int:
        """Its number, from 1."""

    @property
    def can_wait(self) -> bool:
        """False for a plain function."""

    def now_ms(self) -> int:
        """The store's time."""

    def loop_time(self, ms: int) -> float:
        """The time on the loop's clock when the store's is `ms`."""

    async def save(self, unsaved: Sequence[tuple[int, bytes, int]]) -> None:
        """Write entries; returns when they are committed."""

    def in_thread(self, call: Callable[[], Any]) -> Coroutine[Any, Any, Any]:
        """Call a plain function."""

    async def read_events(self) -> Sequence[Event]:
        """Unread events, as the store has them now."""

    def take_event(self, name: str) -> Event | None:
        """The first known event of this name that no branch has taken."""

    def know_events(self, events: Sequence[Event]) -> None:
        """Add events that have come meanwhile."""

    async def watch(self, poller: Poller, key: Any, token: str) -> None:
        """Ask a poller; returns when that is committed."""

    def unwatch(self, poller: Poller, key: Any, token: str) -> None:
        """No longer."""

    def report_progress(self, said: bytes) -> None:
        """Show JSON with the task."""

    @property
    def owns_foreign(self) -> bool:
        """Whether asyncio tasks run that the task's code made itself."""


@dataclass(frozen=True, slots=True)
class Question:
    """What `poll` asks, and how patiently."""

    check: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    every_s: float
    retry_on: tuple[type[Exception], ...]
    tolerate: int


# --- the journal ------------------------------------------------------------------------------


def meet(engine: Engine, name: str, digest: str) -> tuple[Branch, str, int, Entry | None]:
    """Where the code is: its branch, the operation's path, and its entry with its position, if any."""
    branch = current(name)
    if branch.failure is not None:
        position, failure = branch.failure
        branch.failure = None
        if position:
            engine.journal.replace(position, failure)
        else:
            engine.journal.append(failure)
    path, position, entry = branch.cursor.meet(name, digest)
    return branch, path, position, entry


async def commit(engine: Engine) -> None:
    """Write every entry that has not been; returns when they are committed."""
    await engine.save(engine.journal.unsaved())


def encode(path: str, value: Any) -> str:
    """A result as JSON. Raises Misuse, which names the operation, for what JSON cannot hold."""
    try:
        return _encode(value).decode()
    except Exception as error:
        raise Misuse(f"{path} gave a {type(value).__name__}, which JSON cannot hold: {error}") from error


def remember_failure(branch: Branch, path: str, digest: str, error: Exception, position: int = 0) -> None:
    """Keep what an operation raised, for the case that the code catches it and goes on."""
    if not isinstance(error, _NEVER_CAUGHT):
        raised = _encode(describe(error)).decode()
        branch.failure = position, Entry(path, digest, Status.FAILED, raised)


def raise_again(entry: Entry) -> NoReturn:
    """Raise what a journaled operation raised."""
    raise restore(msgspec.json.decode(entry.value, type=Raised))


def drop_group(engine: Engine, path: str, coroutines: Sequence[Coroutine[Any, Any, Any]]) -> None:
    """Leave out the branches of a group whose own entry says what came of it."""
    engine.journal.skip(path)
    for coroutine in coroutines:
        coroutine.close()


def remember(engine: Engine, name: str, make: Callable[[], Any]) -> Any:
    """A value that is made once. It is committed with what the code does next."""
    digest = digest_of(name)
    _, path, _, entry = meet(engine, name, digest)
    if entry is not None:
        return msgspec.json.decode(entry.value)
    value = make()
    engine.journal.append(Entry(path, digest, Status.DONE, _encode(value).decode()))
    return value


def patched(engine: Engine, name: str) -> bool:
    """See Context.patched."""
    branch = current("patched")
    marker, digest = f"patched.{name}", digest_of("patched", name)
    upcoming = branch.cursor.upcoming
    if upcoming is not None and not upcoming.rpartition("/")[2].startswith(f"{marker}#"):
        return False
    if upcoming is None and engine.journal.replay_only:
        raise JournalEnd
    _, path, _, entry = meet(engine, marker, digest)
    if entry is None:
        engine.journal.append(Entry(path, digest, Status.DONE))
    return True


# --- steps ------------------------------------------------------------------------------------


async def step(
    engine: Engine, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """See Context.step."""
    digest = digest_of("step", args, kwargs)
    branch, path, _, entry = meet(engine, _name_of(function), digest)
    decode = _decoder(function)
    if entry is not None:
        if entry.status is Status.FAILED:
            raise_again(entry)
        return decode(entry.value)
    try:
        result = await _call(engine, function, args, kwargs)
    except Exception as error:
        remember_failure(branch, path, digest, error)
        raise
    value = encode(path, result)
    engine.journal.append(Entry(path, digest, Status.DONE, value))
    await commit(engine)
    return decode(value)


async def _call(
    engine: Engine, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    if inspect.iscoroutinefunction(function):
        return await function(*args, **kwargs)
    result = await engine.in_thread(partial(function, *args, **kwargs))
    # Of a callable that is no function, only its result shows that it was async.
    return await result if inspect.isawaitable(result) else result


# --- waits ------------------------------------------------------------------------------------


async def sleep(engine: Engine, seconds: float) -> None:
    """See Context.sleep."""
    digest = digest_of("sleep", seconds)
    _, path, position, entry = meet(engine, "sleep", digest)
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
    name = _name_of(question.check)
    digest = digest_of("poll", question.args, question.kwargs)
    branch, path, position, entry = meet(engine, name, digest)
    decode = _decoder(question.check)
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
            asked_ms, delay_s = engine.now_ms(), question.every_s
            engine.polls += 1
            try:
                answer = await _call(engine, question.check, question.args, question.kwargs)
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
    branch, path, position, entry = meet(engine, f"event.{name}", digest)
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
    branch, path, position, entry = meet(engine, poller.name, digest)
    is_new = entry is None or entry.attempt != engine.attempt
    entry, position = _opened(engine, path, digest, position, entry, timeout_s)
    if entry.status is Status.FAILED:
        raise_again(entry)
    if entry.status is Status.DONE:
        return msgspec.json.decode(entry.value)
    answer = token(position, engine.attempt)
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
    found = engine.take_event(name)
    while found is None:
        if entry.until_ms and entry.until_ms <= engine.now_ms():
            # One may have come since the lease, unheard.
            engine.know_events(await engine.read_events())
            found = engine.take_event(name)
            if found is None:
                raise WaitTimeout(f"{path} did not come within {timeout_s:g} s.")
            break
        if engine.owns_foreign:
            raise Misuse(
                f"{path} would be parked, but asyncio tasks that the code made itself still run. Await or "
                "cancel them first, or give them to ctx.gather."
            )
        due_at = engine.loop_time(entry.until_ms) if entry.until_ms else None
        await engine.waits.until(Wait(due_at, name))
    body, event = _body_of(found), found.number
    if isinstance(body, Exception):
        raise body
    engine.journal.replace(position, Entry(path, entry.digest, Status.DONE, body), event)
    await commit(engine)
    return body


def _body_of(event: Event) -> str | Exception:
    """What an event says; an exception where a poller's answer is one."""
    if not event.name.startswith("~"):
        return event.body
    answer = msgspec.json.decode(event.body, type=Answer)
    return restore(answer.error) if answer.error is not None else bytes(answer.value).decode()


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """A poller's answer for one key, as an event's body: a value or an exception."""

    value: msgspec.Raw = msgspec.Raw(b"null")
    error: Raised | None = None


def check_event_name(name: str) -> None:
    """Raise Misuse for what no event can be called."""
    if not NAME.fullmatch(name):
        raise Misuse(f"{name!r} is no event name; it must match {NAME.pattern}")


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


# --- functions --------------------------------------------------------------------------------


def _name_of(function: Any) -> str:
    """What an operation is called after: the function's name, without what would look like a path."""
    while isinstance(function, partial):
        function = function.func
    name = getattr(function, "__name__", type(function).__name__)
    return str(name).translate(_PLAIN)


_PLAIN: Final = str.maketrans("/#", "__")


@lru_cache(maxsize=1024)
def _decoder(function: Any) -> Callable[[str], Any]:
    """Decodes what a function returned: as its return type, where JSON can be read as that."""
    try:
        hint = typing.get_type_hints(function).get("return", Any)
        decode = msgspec.json.Decoder(hint).decode
    except Exception:
        return msgspec.json.decode

    def as_hinted(value: str) -> Any:
        try:
            return decode(value)
        except msgspec.ValidationError:
            # A function may return something else than it says; a replay shall see the same.
            return msgspec.json.decode(value)

    return as_hinted


_encode = msgspec.json.Encoder().encode
