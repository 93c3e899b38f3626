"""A worker's scribe: takes down what its tasks say, within bounds, and sends it to the store.

It neither blocks a task nor fails it: whatever is too much is dropped, and a line says how much
was. What it has goes out a quarter of a second after it was said, or before the settle.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

import msgspec

from bide.context import Context
from bide.exchange import Message, Verb
from bide.ids import TaskId
from bide.line import Kind, Line, cut, pack_lines
from bide.worker.waits import NO_CONTEXT

FLUSH_S: Final = 0.25
"""How long a line waits for others to go with. A task's progress is a line no more often than that."""
BURST: Final = 200
"""Lines that an attempt may say at once, and that wait to be sent at most."""
PER_SECOND: Final = 100
"""Lines that it may say each second in the long run."""
PER_MESSAGE: Final = 50

_DROPPED: Final = (
    f"%d lines were dropped: an attempt may log {BURST} at a burst, and {PER_SECOND} a second after that."
)


class Speaker(Protocol):
    """An attempt, as far as it is listened to."""

    id: TaskId
    attempt: int
    context: Context
    lines: Lines | None
    work: asyncio.Task[Any] | None
    foreign: tuple[asyncio.Task[Any], ...]
    """Asyncio tasks that its code made itself."""

    @property
    def lease_held(self) -> tuple[bytes, int]:
        """The task's id in the store, and the lease's fence."""

    @property
    def scribe(self) -> Scribe:
        """Who takes down what it says."""


class Lines:
    """What one attempt has said, and has not been sent."""

    __slots__ = (
        "dropped", "is_under_way", "progress", "progress_at", "progress_place", "room", "room_at", "unsent",
    )  # fmt: skip

    def __init__(self, now_s: float) -> None:
        self.unsent: list[Line] = []
        self.dropped = 0
        self.progress: Line | None = None
        """The latest, if it has not been sent."""
        self.progress_place = 0
        """How many of `unsent` were said before it."""
        self.progress_at = float("-inf")
        self.is_under_way = False
        """A message with lines has been sent, and not answered."""
        self.room = float(BURST)
        """Lines that may be said now; as of `room_at`."""
        self.room_at = now_s

    def admit(self, now_s: float) -> bool:
        """Whether one more line may be said; otherwise it counts as dropped."""
        self.room = min(float(BURST), self.room + (now_s - self.room_at) * PER_SECOND)
        self.room_at = now_s
        if self.room < 1 or len(self.unsent) >= BURST:
            self.dropped += 1
            return False
        self.room -= 1
        return True

    def report(self, progress: Line) -> None:
        """Take the place of the progress that was reported before, if it has not been sent."""
        self.progress, self.progress_place = progress, len(self.unsent)

    def take(self, now_s: float, *, last: bool) -> tuple[list[Line], Line | None]:
        """What is to be sent, in the order in which it was said, and the progress among it.

        last: nothing follows. Times do not tell the order: each reading of the clock may set them back.
        """
        taken, self.unsent = self.unsent, []
        place, self.progress_place = self.progress_place, 0
        progress = None
        if self.progress is not None and (last or now_s - self.progress_at >= FLUSH_S):
            progress, self.progress, self.progress_at = self.progress, None, now_s
            taken.insert(place, progress)
        return taken, progress


class Scribe:
    """Takes down what the attempts of one worker say. `say` and `report` may be called in any thread."""

    def __init__(
        self,
        send: Callable[[str, Message, Callable[[bool], object] | None], object],
        now_ms: Callable[[], int],
        *,
        keeps: bool = True,
        local_clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """send: tells the store of a slot with the next exchange. now_ms: the store's time. keeps: False
        keeps no lines, and only reports progress.
        """
        self.keeps = keeps
        self._send = send
        self._now_ms = now_ms
        self._local_clock = local_clock
        self._lock = threading.Lock()
        self._speaking: dict[Speaker, None] = {}
        """Those that have something to send, since the timer was set."""

    # --- in any thread ------------------------------------------------------------------------

    def admits(self, speaker: Speaker) -> bool:
        """Whether the attempt may say one more line; asked before each."""
        if not self.keeps:
            return False
        with self._lock:
            is_admitted = self._lines_of(speaker).admit(self._local_clock())
            if not is_admitted:
                self._note(speaker)
            return is_admitted

    def say(self, speaker: Speaker, level: str, logger: str, message: str) -> None:
        """Take down a line that was admitted."""
        line = Line(self._now_ms(), Kind.LOG, speaker.attempt, level, logger, cut(message))
        with self._lock:
            self._lines_of(speaker).unsent.append(line)
            self._note(speaker)

    def report(self, speaker: Speaker, fraction: float, message: str) -> None:
        """Take down how far the task is; of those that come quickly the last one counts."""
        line = Line(self._now_ms(), Kind.PROGRESS, speaker.attempt, "", "", cut(message), fraction)
        with self._lock:
            self._lines_of(speaker).report(line)
            self._note(speaker)

    def _lines_of(self, speaker: Speaker) -> Lines:
        lines = speaker.lines
        if lines is None:
            lines = speaker.lines = Lines(self._local_clock())
        return lines

    def _note(self, speaker: Speaker) -> None:
        """Have it sent soon. Called with the lock held."""
        assert speaker.work is not None, "its code runs"
        if not self._speaking:
            loop = speaker.work.get_loop()
            loop.call_soon_threadsafe(self._set_timer, loop, context=NO_CONTEXT)
        self._speaking[speaker] = None

    # --- on the event loop --------------------------------------------------------------------

    def _set_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.call_later(FLUSH_S, self._on_time, context=NO_CONTEXT)

    def _on_time(self) -> None:
        with self._lock:
            speaking, self._speaking = self._speaking, {}
        for speaker in speaking:
            self._flush(speaker)

    def finish(self, speaker: Speaker) -> None:
        """Send what the attempt has said last: its settle follows."""
        if speaker.lines is not None:
            self._flush(speaker, last=True)

    def _flush(self, speaker: Speaker, *, last: bool = False) -> None:
        with self._lock:
            lines = self._lines_of(speaker)
            if lines.is_under_way and not last:
                return  # it is looked at again when that is answered
            taken, progress = lines.take(self._local_clock(), last=last)
            dropped, lines.dropped = lines.dropped, 0
            if lines.progress is not None:
                self._note(speaker)  # it was too soon for it
        key, fence = speaker.lease_held
        if progress is not None:
            said = _encode({"fraction": progress.fraction, "message": progress.message})
            self._send(speaker.id.slot, Message(key, fence, Verb.PROGRESS, 0, said), None)
        if not self.keeps:
            return
        if dropped:
            taken.append(
                Line(self._now_ms(), Kind.LOG, speaker.attempt, "WARNING", "bide", _DROPPED % dropped)
            )
        for first in range(0, len(taken), PER_MESSAGE):
            some = taken[first : first + PER_MESSAGE]
            message = Message(key, fence, Verb.LINES, len(some), pack_lines(some))
            is_last = first + PER_MESSAGE >= len(taken)
            lines.is_under_way = True
            self._send(
                speaker.id.slot, message, (lambda _: self._on_answer(speaker, lines)) if is_last else None
            )

    def _on_answer(self, speaker: Speaker, lines: Lines) -> None:
        with self._lock:
            lines.is_under_way = False
            if lines.unsent or lines.dropped or lines.progress is not None:
                self._note(speaker)


_encode: Final = msgspec.json.Encoder().encode
