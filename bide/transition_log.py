"""The log of transitions: one line of JSON for each, when it is known to be committed.

Whoever calls the store has them from there, and each is told by one caller alone. A process that dies
between a commit and its line takes the line along: what is so, the store says.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, Self

import msgspec

from bide.exchange import Lease, Message, Settlement, Verb
from bide.ids import TaskId, spell
from bide.moves import Moved
from bide.printable import printable_json
from bide.records import Failure
from bide.whose import REQUEST_ID

Write = Callable[[bytes], object]

_EVENTS: Final[dict[Settlement | Verb, str]] = {
    Settlement.SUCCEEDED: "succeeded",
    Settlement.FAILED: "failed",
    Settlement.CANCELLED: "cancelled",
    Settlement.RETRYING: "retrying",
    Settlement.PARKED: "parked",
    Settlement.HANDED_BACK: "handed_back",
    Settlement.REFUSED: "refused",
}
_FAILING: Final = (Settlement.FAILED, Settlement.RETRYING, Settlement.REFUSED)
_FENCED: Final = (Verb.JOURNAL, Verb.EXITS, Verb.PROGRESS, Verb.LINES)
"""What a worker says under a lease that goes on."""

_TURNED: Final = ("cancelled", "parked")
"""Moves of an exchange that are ends of leases: they came to something else than was asked for."""

_TELLING: Final = ("reaped", "retried")
"""Moves that may come to several states."""

_Held = dict[int, tuple[str, int]]
"""By fence: what lines of the lease say of the task and of who holds it, and when its attempt began."""


class TransitionLog:
    """Writes the lines of one process. All that one call brings is one write."""

    def __init__(
        self, write: Write, *, worker: str = "", wall_clock: Callable[[], float] = time.time
    ) -> None:
        """worker: by which the store knows this process, if it is one."""
        self._write = write
        self._wall_clock = wall_clock
        self._worker = worker
        self._held: dict[str, _Held] = {}
        """By slot: the leases of this process."""

    def of_worker(self, name: str) -> Self:
        """The same for a worker of this process."""
        return type(self)(self._write, worker=name, wall_clock=self._wall_clock)

    def note(
        self, event: str, id: TaskId, name: str, *, attempt: int = 0, state: str = "", code: str = ""
    ) -> None:
        """Log one transition. state: what the task came to, where the event does not say it."""
        more = (f',"state":"{state}"' if state else "") + (f',"code":"{_escaped(code)}"' if code else "")
        who = _who(id, name, attempt)
        self._write(f'{self._head()}{event}","task":"{who}{self._tail()}{more}}}\n'.encode())

    def note_moves(self, moves: Iterable[Moved]) -> None:
        """Log what scripts have moved by themselves."""
        lines = self._moves(moves)
        if lines:
            self._write("".join(lines).encode())

    def note_turn(
        self,
        slot: str,
        messages: Sequence[Message],
        lost: Collection[int],
        leases: Iterable[Lease],
        moves: Collection[Moved],
        now_ms: int,
    ) -> None:
        """Log what an exchange came to: the ends of leases, what the script moved, and new leases.

        lost: positions of the messages that no longer counted. now_ms: the store's time.
        """
        held, head = self._held.setdefault(slot, {}), self._head()
        turned = {move.id.key: move for move in moves if move.event in _TURNED} if moves else {}
        lines = _ends(head, messages, lost, held, turned, now_ms)
        if moves:
            lines += self._moves(move for move in moves if move.event not in _TURNED)
        lines += _begins(head, slot, self._tail(), leases, held)
        if lines:
            self._write("".join(lines).encode())

    def rest(self, slot: str, fence: int) -> None:
        """Keep nothing of this lease until `hold`, as thousands may wait at a time."""
        self._held.get(slot, {}).pop(fence, None)

    def hold(self, id: TaskId, fence: int, name: str, attempt: int, began_ms: int) -> None:
        """Have what the lease's end is told by, if it has been let go; the message that ends it follows."""
        held = self._held.setdefault(id.slot, {})
        if fence not in held:
            held[fence] = (_who(id, name, attempt) + self._tail(), began_ms)

    def forget(self, slot: str, leases: Iterable[tuple[bytes, int]]) -> None:
        """These leases (id, fence) are lost: nothing that this process says of them will count."""
        held = self._held.get(slot, {})
        for _, fence in leases:
            held.pop(fence, None)

    def _moves(self, moves: Iterable[Moved]) -> list[str]:
        head, request = self._head(), self._request()
        lines = []
        for id, event, state, attempt, worker, name in moves:
            by = f',"worker":"{_escaped(worker)}"' if worker else ""
            more = f',"state":"{state}"' if event in _TELLING else ""
            lines.append(f'{head}{event}","task":"{_who(id, name, attempt)}{by}{request}{more}}}\n')
        return lines

    def _head(self) -> str:
        return f'{{"at":"{time_of(self._wall_clock())}","level":"INFO","event":"'

    def _tail(self) -> str:
        worker = f',"worker":"{self._worker}"' if self._worker else ""
        return worker + self._request()

    def _request(self) -> str:
        request_id = REQUEST_ID.get()
        return f',"request_id":"{_escaped(request_id)}"' if request_id else ""


def _ends(
    head: str,
    messages: Sequence[Message],
    lost: Collection[int],
    held: _Held,
    turned: Mapping[bytes, Moved],
    now_ms: int,
) -> list[str]:
    """Lines of leases that these messages have ended. turned: by task, what became of it otherwise."""
    lines = []
    for position, (key, fence, verb, number, body, _) in enumerate(messages):
        # Identity first: most are such, and to hash a member of an enum is a call.
        event = "succeeded" if verb is Settlement.SUCCEEDED else _EVENTS.get(verb)
        if event is None:
            if position in lost and verb in _FENCED:
                held.pop(fence, None)  # its lease is lost: it will say nothing that counts
            continue
        lease = held.pop(fence, None)
        if lease is None or position in lost:
            continue
        who, began_ms = lease
        more = f',"run_ms":{max(0, now_ms - began_ms)}'
        if key in turned:
            event, state = turned[key].event, turned[key].state
            more += f',"state":"{state}"' if state != event else ""
        elif verb is not Settlement.SUCCEEDED:
            more += _reason(verb, number, body)
        lines.append(f'{head}{event}","task":"{who}{more}}}\n')
    return lines


def _begins(head: str, slot: str, tail: str, leases: Iterable[Lease], held: _Held) -> list[str]:
    """Lines of new leases, which are held from now on."""
    lines, names = [], dict[str, str]()
    for lease in leases:
        run, spec = lease.run, lease.spec
        if run.max_attempts == 0 or run.fence in held:
            continue
        name = spec.name if spec else ""
        named = names.get(name) or names.setdefault(name, _named(slot, name))
        who = f"{slot}~{spell(lease.id.key)}{named}{run.attempt}{tail}"
        held[run.fence] = (who, run.began_ms)
        delay_ms = run.began_ms - run.since_ms
        if delay_ms < 0:  # it has become ready since: it was parked
            lines.append(f'{head}resumed","task":"{who}}}\n')
        else:
            lines.append(f'{head}started","task":"{who},"start_delay_ms":{delay_ms}}}\n')
    return lines


def _who(id: TaskId, name: str, attempt: int) -> str:
    return f"{id}{_named(id.slot, name)}{attempt}"


def _named(slot: str, name: str) -> str:
    return f'","name":"{_escaped(name)}","queue":"{slot}","attempt":'


def time_of(seconds: float) -> str:
    """Seconds since the epoch in RFC 3339, UTC, with milliseconds."""
    return f"{_second(int(seconds))}{int(seconds % 1 * 1000):03d}Z"


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}."


@lru_cache(maxsize=1024)
def _escaped(text: str) -> str:
    """The inside of a JSON string."""
    return printable_json(msgspec.json.encode(text.encode("utf-8", "replace").decode())[1:-1].decode())


def _reason(verb: Settlement | Verb, delay_ms: int, body: bytes | str) -> str:
    """Why an attempt failed, and when the next one comes; nothing for one that has not."""
    if verb not in _FAILING:
        return ""
    try:
        code = msgspec.json.decode(body, type=Failure).code
    except msgspec.MsgspecError:
        code = ""
    retry = f',"retry_ms":{delay_ms}' if verb is not Settlement.FAILED else ""
    return (f',"code":"{_escaped(code)}"' if code else "") + retry
