"""What a process logs about itself: set up once, by whoever is its main."""

from __future__ import annotations

import logging
import sys
from typing import Final

import msgspec

from bide import printable
from bide.output import Output
from bide.settings import Settings
from bide.transition_log import TransitionLog, time_of
from bide.whose import BRANCH, REQUEST_ID

_STDERR: Final = 2
_CHATTY: Final = ("boto3", "botocore", "s3transfer", "urllib3")
"""What they tell at INFO is where they found their settings: that is for who asks for DEBUG."""
_LAMBDA: Final = "LambdaLoggerHandler"
"""Names of the handlers that Lambda's runtime client sets up begin so."""


def set_up(settings: Settings, worker: str = "") -> None:
    """Log to standard error as the settings say. What somebody else has set up, unless Lambda, stays so.

    worker: by which the store knows this process, if it is one.
    """
    root = logging.getLogger()
    ours = [handler for handler in root.handlers if _is_ours(handler)]
    if not ours:
        if root.handlers:
            return
        ours = [_Stderr()]
        root.addHandler(ours[0])
    formatter: logging.Formatter = JsonLines(worker) if settings.logs_json else TextLines()
    for handler in ours:
        handler.setFormatter(formatter if isinstance(handler, _Stderr) else _Ended(formatter))
    root.setLevel(settings.log_level)
    if root.level > logging.DEBUG:
        for name in _CHATTY:
            logging.getLogger(name).setLevel(max(root.level, logging.WARNING))


def transitions(settings: Settings) -> TransitionLog | None:
    """The log of transitions, or None where none is kept."""
    level: int = getattr(logging, settings.log_level)
    if settings.records and settings.logs_json and level <= logging.INFO:
        return TransitionLog(Output(_STDERR).write)
    return None


class _Stderr(logging.StreamHandler):  # type: ignore[type-arg]
    def __init__(self) -> None:
        super().__init__(sys.stderr)


class _Ended(logging.Formatter):
    """Ends each record: Lambda's handlers, unlike those of streams, write what they are given and no more."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        return self._inner.format(record) + "\n"


def _is_ours(handler: logging.Handler) -> bool:
    return isinstance(handler, _Stderr) or type(handler).__name__.startswith(_LAMBDA)


class TextLines(logging.Formatter):
    """A record for people, whose further lines are indented: none can be taken for another record."""

    def format(self, record: logging.LogRecord) -> str:
        told = [f"{self.formatTime(record)} {record.levelname} {record.name}: {_message(record)}"]
        told += [self.formatException(record.exc_info)] if record.exc_info else []
        told += [self.formatStack(record.stack_info)] if record.stack_info else []
        return printable.record("\n".join(told))


class JsonLines(logging.Formatter):
    """A record as one line of JSON, like those of transitions; its event is `log`."""

    def __init__(self, worker: str = "") -> None:
        super().__init__()
        self._worker = worker

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": time_of(record.created),
            "level": record.levelname,
            "event": "log",
            "logger": record.name,
            "message": _message(record),
        }
        branch = BRANCH.get()
        if branch is not None and branch.speaker is not None:
            speaker = branch.speaker
            line |= {"task": str(speaker.id), "queue": speaker.id.slot, "attempt": speaker.attempt}
        if self._worker:
            line["worker"] = self._worker
        request_id = REQUEST_ID.get() or getattr(record, "aws_request_id", None)
        if request_id:
            line["request_id"] = request_id
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack"] = self.formatStack(record.stack_info)
        try:
            encoded = msgspec.json.encode(line)
        except UnicodeEncodeError:  # half of a surrogate pair
            sound = {
                key: value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
                for key, value in line.items()
            }
            encoded = msgspec.json.encode(sound)
        return printable.printable_json(encoded.decode())


def _message(record: logging.LogRecord) -> str:
    """What was logged. What cannot be shown is told so: logging itself would complain in lines of its own."""
    try:
        return str(record.getMessage())
    except Exception as error:
        said = f": {record.msg}" if isinstance(record.msg, str) else ""
        return f"{record.pathname}:{record.lineno} logs what cannot be shown ({type(error).__name__}){said}"
