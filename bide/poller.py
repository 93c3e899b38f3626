"""Shared polling: one question for all that wait for an answer. `@poller` makes a poller."""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, overload

import msgspec

from bide.errors import Misuse, RegistryError
from bide.ids import TaskId, parse_id
from bide.retry import parse_seconds
from bide.settings import DEFAULT_QUEUE
from bide.variables import NAME

_POLLER_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}")
MAX_KEY_CHARS: Final = 512


class Pending:
    """A check's answer: not yet, ask again. The class itself is the value."""


@dataclass(frozen=True, eq=False)
class Poller:
    """A registered poller. Calling it calls the function, as in a unit test."""

    name: str
    function: Callable[..., Any]
    batch: int
    every_s: float
    spacing_s: float
    """Between two calls, at least."""
    queue: str
    """Where its rounds are leased, as a task's attempts are."""
    place: str
    """file:line of the function."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    @property
    def home(self) -> TaskId:
        """The id of its record among the tasks of its queue; no task has the same, or an age."""
        return TaskId(self.queue, bytes(6) + hashlib.blake2b(self.name.encode(), digest_size=10).digest())

    def member(self, key: Any, task: str, token: str) -> str:
        """How a waiting task stands in the store's `watched`. Raises Misuse for what is no key."""
        if isinstance(key, bool) or not isinstance(key, str | int) or len(str(key)) > MAX_KEY_CHARS:
            raise Misuse(
                f"A key of {self.name} is a str or an int of at most {MAX_KEY_CHARS} characters, "
                f"not {key!r:.80}."
            )
        return "\0".join((self.name, msgspec.json.encode(key).decode(), task, token))


@dataclass(frozen=True, slots=True)
class Watcher:
    """One task's wait for one key."""

    member: str
    """As it stands in `watched`, without the rounds."""
    key: str | int
    task: TaskId
    token: str
    """The event's name that brings it the answer."""
    rounds: int
    """How many rounds the poller had made before."""

    @property
    def attempt(self) -> int:
        return int(self.token.rpartition(".")[2])


def read_watcher(member: bytes) -> Watcher:
    """Decode a member of `watched`."""
    stem, _, rounds = member.decode().rpartition("\0")
    _, key, text, token = stem.split("\0")
    task = parse_id(text)
    assert task is not None, "written by Poller.member"
    return Watcher(stem, msgspec.json.decode(key), task, token, int(rounds))


def token(path: str, digest: str, attempt: int) -> str:
    """Names the event that answers a wait: its place in the code, its key, and the attempt that waits.

    Not its position: a lease that was handed back may have watched with one that it never wrote.
    """
    place = hashlib.blake2b(f"{path} {digest}".encode(), digest_size=8).hexdigest()
    return f"~{place}.{attempt}"


@overload
def poller(function: Callable[..., Any], /) -> Poller: ...
@overload
def poller(
    *,
    name: str | None = None,
    batch: int = 100,
    every: str | float | timedelta = 5,
    rate: str | None = None,
    queue: str = DEFAULT_QUEUE,
) -> Callable[[Callable[..., Any]], Poller]: ...
def poller(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    batch: int = 100,
    every: str | float | timedelta = 5,
    rate: str | None = None,
    queue: str = DEFAULT_QUEUE,
) -> Poller | Callable[[Callable[..., Any]], Poller]:
    """Make a function of a list of keys a poller: `await ctx.poll(it, key)` shares its calls.

    The function, plain or async, is called with up to `batch` keys once per interval, for all
    tasks of all workers together. It returns a mapping from each key to a value, to Pending or
    to an exception, which is raised in the tasks that wait for that key alone; a key left out is
    pending. What it raises counts for the whole call: throttling makes everyone wait longer.

    every: between the beginnings of two rounds. rate: calls at most, such as "5/s" or "100/min".
    queue: whose workers make the calls.
    """

    def define(function: Callable[..., Any]) -> Poller:
        code = getattr(inspect.unwrap(function), "__code__", None)
        if code is None:
            raise RegistryError(f"{function!r} is no function, and only functions can be pollers")
        place = f"{code.co_filename}:{code.co_firstlineno}"
        label = name or function.__name__
        if not _POLLER_NAME.fullmatch(label):
            raise RegistryError(
                f"{place}: {label!r} is no poller name; letters, digits, _ . - and at most 128"
            )
        if not NAME.fullmatch(queue):
            raise RegistryError(f"{place}: {queue!r} is no queue name; it must match {NAME.pattern}")
        if not 1 <= batch <= 10_000:
            raise RegistryError(f"{place}: poller {label!r}: batch must be from 1 to 10,000, not {batch!r}")
        try:
            every_s, spacing_s = parse_seconds(every), _spacing(rate)
        except ValueError as error:
            raise RegistryError(f"{place}: poller {label!r}: {error}") from error
        if every_s < 0.05:
            raise RegistryError(f"{place}: poller {label!r}: every must be at least 50 ms")
        return Poller(label, function, batch, every_s, spacing_s, queue, place)

    return define if function is None else define(function)


def _spacing(rate: str | None) -> float:
    if rate is None:
        return 0.0
    match = re.fullmatch(r"(\d+(?:\.\d+)?)/(s|min|h)", rate)
    if match is None or float(match[1]) == 0:
        raise ValueError(f'rate must be such as "5/s", "100/min" or "1000/h", not {rate!r}')
    return {"s": 1.0, "min": 60.0, "h": 3600.0}[match[2]] / float(match[1])
