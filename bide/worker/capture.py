"""Capture of what tasks log: a handler of the `logging` module."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

from bide.context import StopReason
from bide.line import MOST_CHARS, MOST_LEVEL_CHARS, MOST_LOGGER_CHARS, cut
from bide.whose import BRANCH
from bide.worker import branches
from bide.worker.raised import UNSHOWABLE
from bide.worker.scribe import Scribe

_CUT: Final = "\N{HORIZONTAL ELLIPSIS}"


class Capture(logging.Handler):
    """Hands what the code of one worker's attempts logs to the worker's scribe. Raises nothing."""

    def __init__(self, scribe: Scribe, level: str) -> None:
        super().__init__(level)
        self.undo: list[Callable[[], object]] = []
        """What gives the root logger back as it was."""
        self._scribe = scribe

    def createLock(self) -> None:
        """The scribe has one, which is not held while a message, perhaps a task's own object, is shown."""
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        branch = BRANCH.get()
        if not isinstance(branch, branches.Branch):
            return
        if branch.speaker is None or branch.speaker.scribe is not self._scribe:
            return
        try:
            speaker = branch.speaker
            # What unwinds to be parked runs again, and so does what is replayed: it was said, or will be.
            if speaker.context.stopping is StopReason.PARK or branches.replaying():
                return
            if self._scribe.admits(speaker):
                level, logger = cut(record.levelname, MOST_LEVEL_CHARS), cut(record.name, MOST_LOGGER_CHARS)
                self._scribe.say(speaker, level, logger, _text_of(record))
        except Exception:
            # Not even logging's own complaint: it might come here again.
            return


@contextmanager
def capturing(scribe: Scribe, level: str) -> Iterator[None]:
    """Capture what is logged from this level on, while the body runs.

    The root logger lets everything from that level on pass meanwhile, as loggers without a level of their
    own go by it. What handlers it had show no more than before.
    """
    if not scribe.keeps:
        yield
        return
    root, capture = logging.getLogger(), Capture(scribe, level)
    others, before = root.handlers[:], root.level
    if not others and logging.lastResort is not None:
        # With none but ours, logging would no longer show warnings.
        root.addHandler(logging.lastResort)
        capture.undo.append(lambda: root.removeHandler(logging.lastResort or capture))
    if before > capture.level:
        for handler in others:
            if handler.level < before and not isinstance(handler, Capture):
                capture.undo.append(partial(handler.setLevel, handler.level))
                handler.setLevel(before)
        root.setLevel(capture.level)
        capture.undo.append(lambda: root.setLevel(before))
    root.addHandler(capture)
    try:
        yield
    finally:
        root.removeHandler(capture)
        remaining = [handler for handler in root.handlers if isinstance(handler, Capture)]
        if remaining:
            remaining[0].undo = capture.undo + remaining[0].undo
        else:
            for step in reversed(capture.undo):
                step()


def _text_of(record: logging.LogRecord) -> str:
    """The message, and the end of the traceback that goes with it."""
    try:
        text = str(record.getMessage())
    except Exception:
        text = UNSHOWABLE
    trace = ""
    if record.exc_info and record.exc_info[0] is not None:
        try:
            trace = "".join(traceback.format_exception(*record.exc_info)).rstrip()
        except Exception:
            trace = record.exc_info[0].__name__
    if not trace:
        return text
    text = cut(text, MOST_CHARS // 2)
    room = MOST_CHARS - len(text) - 1
    return f"{text}\n{trace}" if len(trace) <= room else f"{text}\n{_CUT}{trace[1 - room :]}"
