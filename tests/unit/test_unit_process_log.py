"""What processes log: JSON or text, on their own handlers, whole lines in one piece."""

from __future__ import annotations

import json
import logging
import os
import select
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from awslambdaric.bootstrap import LambdaLoggerHandler, LambdaLoggerHandlerWithFrameType, StandardLogSink

from bide import process_log
from bide.ids import TaskId
from bide.output import Output
from bide.process_log import JsonLines, TextLines
from bide.settings import Settings
from bide.transition_log import TransitionLog
from bide.whose import BRANCH, REQUEST_ID
from bide.worker.branches import Branch
from bide.worker.journal import Journal

ID = TaskId("default", bytes(16))
AT = 1_764_000_000.1239


@contextmanager
def fresh_root(*handlers: logging.Handler) -> Iterator[logging.Logger]:
    """The root logger with these handlers alone: pytest, too, has some there."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers[:] = handlers
    root.setLevel(logging.WARNING)
    try:
        yield root
    finally:
        root.handlers[:] = before
        root.setLevel(level)


@contextmanager
def request_id(id: str) -> Iterator[None]:
    token = REQUEST_ID.set(id)
    try:
        yield
    finally:
        REQUEST_ID.reset(token)


def formatted(message: object, *args: object, worker: str = "", **fields: Any) -> dict[str, Any]:
    record = logging.makeLogRecord(
        {"msg": message, "args": args, "name": "a.b", "levelname": "INFO", "created": AT, **fields}
    )
    line = JsonLines(worker).format(record)
    assert "\n" not in line
    decoded: dict[str, Any] = json.loads(line)
    return decoded


# --- lines of JSON ----------------------------------------------------------------------------


def test_a_record_is_one_line_of_json() -> None:
    assert formatted("hello\n%s", "world") == {
        "at": "2025-11-24T16:00:00.123Z",
        "level": "INFO",
        "event": "log",
        "logger": "a.b",
        "message": "hello\nworld",
    }


def test_a_worker_a_request_and_an_invocation_are_named() -> None:
    assert formatted("x", worker="w1")["worker"] == "w1"
    assert formatted("x", aws_request_id="i-1")["request_id"] == "i-1"
    with request_id("r-1"):
        assert formatted("x", aws_request_id="i-1")["request_id"] == "r-1"


@contextmanager
def speaking() -> Iterator[None]:
    """The second attempt of a task says what is logged."""

    class Speaker:
        id = ID
        attempt = 2

    token = BRANCH.set(Branch(Journal(), "", Speaker()))  # type: ignore[arg-type]
    try:
        yield
    finally:
        BRANCH.reset(token)


def test_what_a_task_logs_names_the_task() -> None:
    with speaking():
        line = formatted("x")
    assert (line["task"], line["queue"], line["attempt"]) == (str(ID), "default", 2)


def test_a_traceback_goes_with_its_record() -> None:
    try:
        raise ValueError("no")
    except ValueError as error:
        line = formatted("x", exc_info=(ValueError, error, error.__traceback__))
    assert line["traceback"].startswith("Traceback (most recent call last):\n")
    assert line["traceback"].endswith("ValueError: no")


def test_half_of_a_pair_is_replaced() -> None:
    assert formatted("\ud800!")["message"] == "?!"


def test_half_of_a_pair_leaves_numbers_numbers() -> None:
    with speaking():
        assert formatted("\ud800")["attempt"] == 2


class Unshowable:
    def __str__(self) -> str:
        raise ValueError


@pytest.mark.parametrize(
    ("message", "args", "told"),
    [
        ("%d tasks", ("many",), "TypeError): %d tasks"),
        ("%s %s", ("one",), "TypeError): %s %s"),
        ("%s", (Unshowable(),), "ValueError): %s"),
        (Unshowable(), (), "ValueError)"),
    ],
)
def test_what_cannot_be_shown_is_told_in_one_line(message: object, args: tuple[Any, ...], told: str) -> None:
    line = formatted(message, *args, pathname="tasks.py", lineno=7)
    assert line["message"] == f"tasks.py:7 logs what cannot be shown ({told}"


HOSTILE = "\x1b[2J\x9b31m\u2028\u202e\u200b\ufeff\U000e0041\r"
"""What a terminal obeys, what readers take for an end of line, what turns text, and what is not seen."""


def test_lines_of_json_hold_nothing_that_is_not_visible_and_mean_the_same() -> None:
    record = logging.makeLogRecord({"msg": HOSTILE, "name": HOSTILE, "levelname": "INFO"})
    line = JsonLines(HOSTILE).format(record)
    assert line.isprintable()
    decoded = json.loads(line)
    assert {decoded["message"], decoded["logger"], decoded["worker"]} == {HOSTILE}


def text_of(message: object, *args: object, **fields: Any) -> list[str]:
    """The lines of a record in text."""
    record = logging.makeLogRecord(
        {"msg": message, "args": args, "levelname": "INFO", "name": "a.b", **fields}
    )
    return TextLines().format(record).split("\n")


def test_a_text_says_nothing_to_the_terminal() -> None:
    (line,) = text_of(f"{HOSTILE}\ud800", name=HOSTILE)
    assert line.isprintable()
    assert line.endswith("\\u001b[2J\\u009b31m\\u2028\\u202e\\u200b\\ufeff\\U000e0041\\u000d\\ud800")


def test_no_line_of_a_text_can_be_taken_for_another_record() -> None:
    forged = "2026-11-30 12:00:00,000 ERROR root: all is lost"
    try:
        raise ValueError(f"no\n{forged}\x1b")
    except ValueError as error:
        shown = text_of(
            f"x\n{forged}",
            exc_info=(ValueError, error, error.__traceback__),
            stack_info=f"{forged}\n{forged}",
        )
    first, *others = shown
    assert first.endswith("INFO a.b: x")
    assert others
    assert all(line.startswith("    ") for line in others)
    assert "    Traceback (most recent call last):" in others
    assert all(line.isprintable() for line in shown)


def test_a_text_that_cannot_be_made_is_one_record_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    """Logging's own complaint shows the arguments as they are."""
    (line,) = text_of("%d tasks", HOSTILE, pathname="tasks.py", lineno=7)
    assert line.endswith("tasks.py:7 logs what cannot be shown (TypeError): %d tasks")
    assert capsys.readouterr().err == ""


# --- setting it up ------------------------------------------------------------------------------


def test_processes_log_json_unless_they_are_to_log_text(capsys: pytest.CaptureFixture[str]) -> None:
    with fresh_root():
        process_log.set_up(Settings(), "w1")
        logging.getLogger("a").info("one")
        logging.getLogger("a").debug("none")
        process_log.set_up(Settings(log_format="text", log_level="DEBUG"))
        logging.getLogger("a").debug("two")
    first, second = capsys.readouterr().err.splitlines()
    assert json.loads(first)["message"] == "one"
    assert json.loads(first)["worker"] == "w1"
    assert second.endswith(" DEBUG a: two")


@pytest.mark.parametrize("handler", [LambdaLoggerHandler, LambdaLoggerHandlerWithFrameType])
def test_lambdas_own_handlers_write_our_form_a_line_each(
    capsys: pytest.CaptureFixture[str], handler: Callable[[StandardLogSink], logging.Handler]
) -> None:
    with fresh_root(handler(StandardLogSink())) as root:
        process_log.set_up(Settings())
        logging.getLogger("a").info("one")
        logging.getLogger("a").info("two")
        process_log.set_up(Settings(log_format="text"))
        try:
            raise ValueError("no")
        except ValueError:
            logging.getLogger("a").exception("three")
        logging.getLogger("a").info("four")
        assert len(root.handlers) == 1
    first, second, third, *_, fault, fourth = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["message"] for line in (first, second)] == ["one", "two"]
    assert third.endswith(" ERROR a: three")
    assert fault == "    ValueError: no"
    assert fourth.endswith(" INFO a: four")


def test_what_somebody_else_has_set_up_stays() -> None:
    handler = logging.NullHandler()
    with fresh_root(handler) as root:
        process_log.set_up(Settings())
        assert root.handlers == [handler]
        assert handler.formatter is None
        assert root.level == logging.WARNING


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (Settings(), True),
        (Settings(local=True), False),
        (Settings(local=True, log_format="json"), True),
        (Settings(log_level="WARNING"), False),
        (Settings(log_level="DEBUG"), True),
        (Settings(records=False), False),
    ],
)
def test_transitions_are_logged_as_json_of_level_info(settings: Settings, expected: bool) -> None:
    assert (process_log.transitions(settings) is not None) is expected


# --- transitions ----------------------------------------------------------------------------------


def test_a_transition_names_the_worker_and_the_request() -> None:
    written: list[bytes] = []
    log = TransitionLog(written.append, wall_clock=lambda: AT).of_worker("w1")
    with request_id('r"1'):
        log.note("deleted", ID, "echo", attempt=1, code="A\u2028")
    (line,) = written
    assert line.endswith(b"\n")
    assert json.loads(line) == {
        "at": "2025-11-24T16:00:00.123Z",
        "level": "INFO",
        "event": "deleted",
        "task": str(ID),
        "name": "echo",
        "queue": "default",
        "attempt": 1,
        "worker": "w1",
        "request_id": 'r"1',
        "code": "A\u2028",
    }


# --- where it goes ----------------------------------------------------------------------------------


def test_lines_go_to_a_file_at_once(tmp_path: Path) -> None:
    file = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    Output(file).write(b"a\n" * 50_000)
    os.close(file)
    assert (tmp_path / "log").read_bytes() == b"a\n" * 50_000


def test_processes_that_share_a_pipe_do_not_break_each_others_lines() -> None:
    reading, writing = os.pipe()
    lines = {letter: letter * 700 + b"\n" for letter in (b"a", b"b", b"c")}
    received = bytearray()

    def read() -> None:
        while chunk := os.read(reading, 1 << 16):
            received.extend(chunk)

    reader = threading.Thread(target=read)
    reader.start()
    writers = [
        threading.Thread(target=Output(writing).write, args=(line * 2_000,)) for line in lines.values()
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    os.close(writing)
    reader.join()
    os.close(reading)
    whole = bytes(received).splitlines(keepends=True)
    assert len(whole) == 6_000
    assert set(whole) == set(lines.values())


def test_a_line_longer_than_a_pipe_takes_in_one_piece_is_written_all_the_same() -> None:
    reading, writing = os.pipe()
    long = b"x" * (select.PIPE_BUF + 10) + b"\n"
    Output(writing).write(b"before\n" + long + b"after\n")
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read() == b"before\n" + long + b"after\n"


def test_what_cannot_be_written_is_lost_and_raises_nothing() -> None:
    reading, writing = os.pipe()
    output = Output(writing)
    os.close(reading)
    output.write(b"nobody reads\n")
    os.close(writing)
    output.write(b"nor is there a pipe\n")
    Output(writing).write(b"nor was there ever\n")
