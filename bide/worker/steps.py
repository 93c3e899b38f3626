"""Steps, and what every operation does with the journal."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, Final, NoReturn

import msgspec

from bide.errors import CodeChanged, Interrupted, JournalFull, Misuse
from bide.worker.branches import Branch, current
from bide.worker.engine import Engine
from bide.worker.journal import Entry, JournalEnd, Status, digest_of
from bide.worker.raised import Raised, describe, restore

_NEVER_CAUGHT: Final = (CodeChanged, Interrupted, JournalFull, Misuse)
"""Errors that end the attempt; a replay meets them again, or it does not."""


# --- the journal ------------------------------------------------------------------------------


def meet(engine: Engine, operation: str, name: str, digest: str) -> tuple[Branch, str, int, Entry | None]:
    """Where the code is: its branch, the operation's path, and its entry with its position, if any."""
    branch = current(operation)
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


def remember(engine: Engine, name: str, make: Callable[[], Any]) -> Any:
    """A value that is made once. It is committed with what the code does next."""
    digest = digest_of(name)
    _, path, _, entry = meet(engine, name, name, digest)
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
    _, path, _, entry = meet(engine, "patched", marker, digest)
    if entry is None:
        engine.journal.append(Entry(path, digest, Status.DONE))
    return True


# --- steps ------------------------------------------------------------------------------------


async def step(
    engine: Engine, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """See Context.step."""
    digest = digest_of("step", args, kwargs)
    branch, path, _, entry = meet(engine, "step", name_of(function), digest)
    decode = decoder(function)
    if entry is not None:
        if entry.status is Status.FAILED:
            raise_again(entry)
        return decode(entry.value)
    await engine.assure()
    try:
        result = await call(engine, function, args, kwargs)
    except Exception as error:
        remember_failure(branch, path, digest, error)
        raise
    value = encode(path, result)
    engine.journal.append(Entry(path, digest, Status.DONE, value))
    await commit(engine)
    return decode(value)


async def call(
    engine: Engine, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    if inspect.iscoroutinefunction(function):
        return await function(*args, **kwargs)
    result = await engine.in_thread(partial(function, *args, **kwargs))
    # Of a callable that is no function, only its result shows that it was async.
    return await result if inspect.isawaitable(result) else result


# --- functions --------------------------------------------------------------------------------


def name_of(function: Any) -> str:
    """What an operation is called after: the function's name, without what would look like a path."""
    while isinstance(function, partial):
        function = function.func
    name = getattr(function, "__name__", type(function).__name__)
    return str(name).translate(_PLAIN)


_PLAIN: Final = str.maketrans("/#", "__")


@lru_cache(maxsize=1024)
def decoder(function: Any) -> Callable[[str], Any]:
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
