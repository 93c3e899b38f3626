"""The `bide` command: what it sends, what it prints where, and how it ends."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bide_client import __version__, exit_codes

from .ran import Bide, Ran
from .replies import (
    ID,
    accepted,
    cancelled,
    failed,
    line_json,
    listed,
    log,
    problem,
    server_json,
    succeeded,
    task_json,
    unfinished,
)
from .stub_server import Reply, StubServer


def started(url: str, *words: str) -> subprocess.Popen[str]:
    """A `bide` process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "bide_client", *words],
        env={**os.environ, "BIDE_URL": url, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_submit_prints_the_id_alone(served: StubServer, bide: Bide) -> None:
    served.plays(accepted())
    assert bide("submit", "echo", "value=1") == Ran(exit_codes.OK, f"{ID}\n", "")
    assert served.asked[0].json == {"name": "echo", "args": {"value": 1}}


def test_submit_passes_its_options_on(served: StubServer, bide: Bide) -> None:
    served.plays(accepted())
    options = ["--queue", "slow", "b=x", "--delay", "1.5", "--idempotency-key", "k"]
    bide("submit", "echo", "a=1", *options, "c=-1")
    assert served.asked[0].json == {
        "name": "echo",
        "args": {"a": 1, "b": "x", "c": -1},
        "queue": "slow",
        "delay": 1.5,
    }
    assert served.asked[0].headers["Idempotency-Key"] == "k"


def test_after_two_dashes_nothing_is_an_option(served: StubServer, bide: Bide) -> None:
    served.plays(accepted(), accepted())
    bide("submit", "echo", "--", "--wait=1", "-x=2")
    bide("submit", "echo", "a=0", "--queue", "slow", "--", "--wait=1")
    assert [asked.json["args"] for asked in served.asked] == [{"--wait": 1, "-x": 2}, {"a": 0, "--wait": 1}]


def test_submit_wait_prints_the_result_as_json(served: StubServer, bide: Bide) -> None:
    served.plays(accepted(), succeeded({"städte": ["Köln"]}))
    ran = bide("submit", "echo", "--wait")
    assert (ran.code, ran.err) == (exit_codes.OK, "")
    assert json.loads(ran.out) == {"städte": ["Köln"]}
    assert "Köln" in ran.out


@pytest.mark.parametrize(
    "words",
    [
        ["submit", "--wait", "echo", "value=1"],
        ["submit", "echo", "--wait", "value=1"],
        ["submit", "echo", "value=1", "--wait", "30"],
        ["submit", "echo", "--wait", "30", "value=1"],
        ["submit", "echo", "value=1", "--wait=30"],
        ["submit", "echo", "--wait", "--", "value=1"],
        ["submit", "--wait", "--", "echo", "value=1"],
    ],
    ids=" ".join,
)
def test_wait_may_stand_anywhere_with_or_without_seconds(
    served: StubServer, bide: Bide, words: list[str]
) -> None:
    served.plays(accepted(), succeeded("ok"))
    assert bide(*words) == Ran(exit_codes.OK, '"ok"\n', "")
    assert served.asked[0].json == {"name": "echo", "args": {"value": 1} if "value=1" in words else {}}


def test_submit_wait_of_a_failing_task_says_why(served: StubServer, bide: Bide) -> None:
    served.plays(accepted(), failed("ValueError", "no such VM", traceback="Traceback:\n  ...\n"))
    said = f"bide: {ID} has failed: ValueError: no such VM\nTraceback:\n  ...\n"
    assert bide("submit", "provision", "--wait") == Ran(exit_codes.UNSUCCESSFUL, "", said)


def test_submit_wait_of_a_cancelled_task_says_so(served: StubServer, bide: Bide) -> None:
    served.plays(accepted(), cancelled())
    ran = bide("submit", "echo", "--wait")
    assert ran == Ran(exit_codes.UNSUCCESSFUL, "", f"bide: {ID} was cancelled\n")


def test_submit_wait_that_runs_out_leaves_the_task_running(served: StubServer, bide: Bide) -> None:
    served.plays(accepted(retry_after=60), unfinished(60))
    ran = bide("submit", "sleep", "seconds=99", "--wait", "0.1")
    assert (ran.code, ran.out) == (exit_codes.WAIT_TIMEOUT, "")
    assert f"{ID} is still running after 0.1 s; it goes on. See it with: bide show {ID}" in ran.err


def test_a_connection_lost_while_waiting_tells_the_id(bide: Bide) -> None:
    with StubServer() as brief:
        brief.plays(accepted(), problem(401, "UNAUTHENTICATED", "The key was revoked."))
        ran = bide("--url", brief.url, "submit", "echo", "--wait")
    assert ran.code == exit_codes.REFUSED
    assert f"The task was accepted. See it later with: bide show {ID}" in ran.err


def test_show_tells_a_task_in_lines(served: StubServer, bide: Bide) -> None:
    served.plays(succeeded({"ip": "10.0.0.1"}))
    ran = bide("show", ID)
    assert ran.code == exit_codes.OK
    assert ran.out == (
        f"{ID}\n"
        "  task      echo\n"
        "  state     succeeded\n"
        "  queue     default\n"
        "  attempt   1 of 4\n"
        '  args      {"value": 1}\n'
        "  submitted 2026-11-23 21:00:00.123Z\n"
        "  started   2026-11-23 21:00:00.125Z\n"
        "  finished  2026-11-23 21:00:00.130Z  (0.005 s after its start)\n"
        "  result    {\n"
        '              "ip": "10.0.0.1"\n'
        "            }\n"
    )


def test_show_hides_what_a_terminal_would_obey(served: StubServer, bide: Bide) -> None:
    served.plays(failed("E", "\x1b]0;owned\x07\x9b31m\u202e", traceback="\x1b[2J"))
    out = bide("show", ID).out
    assert "\\u001b]0;owned\\u0007\\u009b31m\\u202e" in out
    assert not set(out) & set("\x1b\x07\x9b\u202e")


HIDDEN = "\u200b\u200f\u061c\ufeff\u2028\x9b\U000e0041"
"""What no terminal shows, and what may turn, join or end what it does show."""


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (failed("E", HIDDEN, traceback=HIDDEN), ["show", ID]),
        (succeeded({HIDDEN: [HIDDEN]}), ["show", ID]),
        (succeeded({HIDDEN: [HIDDEN]}), ["show", ID, "--json"]),
        (Reply(200, task_json("running", args={HIDDEN: HIDDEN}, name=HIDDEN)), ["show", ID]),
        (Reply(200, task_json("running", progress={"message": HIDDEN})), ["show", ID]),
        (listed(ID, name=HIDDEN, tags=[HIDDEN]), ["list"]),
        (log(line_json(1, HIDDEN, logger=HIDDEN), done=True), ["tail", ID]),
        (problem(404, "TASK_NOT_FOUND", HIDDEN), ["show", ID]),
        (problem(409, "TASK_FINISHED", HIDDEN), ["cancel", ID, "--json"]),
    ],
)
def test_no_command_prints_what_is_not_visible(
    served: StubServer, bide: Bide, reply: Reply, words: list[str]
) -> None:
    served.plays(reply)
    ran = bide(*words)
    assert ran.out or ran.err
    assert all(line.isprintable() for line in (ran.out + ran.err).split("\n"))


def test_a_result_with_what_is_not_visible_is_still_its_json(served: StubServer, bide: Bide) -> None:
    served.plays(succeeded({HIDDEN: [HIDDEN]}))
    printed = bide("watch", ID).out.partition("\n")[2]
    assert json.loads(printed) == {HIDDEN: [HIDDEN]}


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (cancelled(), f"{ID} is cancelled\n"),
        (Reply(202, task_json("running")), f"{ID} is running; it is asked to stop\n"),
    ],
    ids=["at once", "running"],
)
def test_cancel_says_whether_it_is_done(served: StubServer, bide: Bide, reply: Reply, said: str) -> None:
    served.plays(reply)
    assert bide("cancel", ID) == Ran(exit_codes.OK, said, "")


def test_cancel_of_a_finished_task_is_refused(served: StubServer, bide: Bide) -> None:
    served.plays(problem(409, "TASK_FINISHED", "It is succeeded."))
    assert bide("cancel", ID) == Ran(exit_codes.REFUSED, "", "bide: It is succeeded.\n")


def test_server_status_tells_open_from_closed(served: StubServer, bide: Bide) -> None:
    served.plays(Reply(200, server_json()), Reply(200, server_json(False, "upgrade", 60)))
    since = "since 2026-11-23 21:00:00.000Z (epoch 3"
    assert bide("server", "status").out == f"accepting submissions {since})\n"
    assert bide("server", "status").out == f"closed for submissions {since}, retry after 60 s): upgrade\n"


def test_server_close_and_open(served: StubServer, bide: Bide) -> None:
    served.plays(Reply(200, server_json(False, "upgrade", 60)), Reply(200, server_json()))
    assert bide("server", "close", "--reason", "upgrade", "--retry-after", "60").code == exit_codes.OK
    assert bide("server", "open").code == exit_codes.OK
    assert [(asked.method, asked.path) for asked in served.asked] == [
        ("POST", "/v1/server/close"),
        ("POST", "/v1/server/open"),
    ]
    assert served.asked[0].json == {"reason": "upgrade", "retry_after": 60}


@pytest.mark.parametrize(
    ("reply", "words", "code"),
    [
        (accepted(), ["submit", "echo"], exit_codes.OK),
        (succeeded("\u2028ü"), ["show", ID], exit_codes.OK),
        (cancelled(), ["cancel", ID], exit_codes.OK),
        (Reply(200, server_json()), ["server", "status"], exit_codes.OK),
        (problem(404, "TASK_NOT_FOUND"), ["show", ID], exit_codes.NOT_FOUND),
        (problem(503, "CLOSED"), ["submit", "echo"], exit_codes.SERVER_CLOSED),
    ],
    ids=["submit", "show", "cancel", "server", "not found", "closed"],
)
def test_json_prints_what_the_server_said_as_one_document(
    served: StubServer, bide: Bide, reply: Reply, words: list[str], code: int
) -> None:
    served.plays(reply)
    ran = bide(*words, "--json")
    assert ran.code == code
    assert ran.out.count("\n") == 1
    assert json.loads(ran.out) == reply.json


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (succeeded(), exit_codes.OK),
        (failed(), exit_codes.UNSUCCESSFUL),
        (unfinished(60), exit_codes.WAIT_TIMEOUT),
    ],
    ids=["succeeded", "failed", "wait timed out"],
)
def test_json_with_wait_prints_the_last_status_only(
    served: StubServer, bide: Bide, end: Reply, code: int
) -> None:
    served.plays(accepted(retry_after=60), end)
    ran = bide("--json", "submit", "echo", "--wait", "0.1")
    assert ran.code == code
    assert json.loads(ran.out) == end.json


def test_the_url_and_the_key_may_be_options(
    stub: StubServer, bide: Bide, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIDE_URL", "http://nowhere.invalid")
    stub.plays(succeeded(), succeeded())
    assert bide("--url", stub.url, "show", ID, "--key", "k").code == exit_codes.OK
    assert bide("show", ID, "--url", stub.url, "--key", "k").code == exit_codes.OK
    assert {asked.headers["Authorization"] for asked in stub.asked} == {"Bearer k"}


@pytest.mark.parametrize(
    ("status", "problem_code", "exit_code"),
    [
        (400, "INVALID_REQUEST", exit_codes.REFUSED),
        (401, "UNAUTHENTICATED", exit_codes.REFUSED),
        (422, "UNKNOWN_TASK", exit_codes.REFUSED),
        (429, "RATE_LIMITED", exit_codes.REFUSED),
        (404, "TASK_NOT_FOUND", exit_codes.NOT_FOUND),
        (503, "CLOSED", exit_codes.SERVER_CLOSED),
        (503, "NOT_CONFIGURED", exit_codes.SERVER_FAULT),
        (500, "INTERNAL", exit_codes.SERVER_FAULT),
    ],
)
def test_each_refusal_has_its_exit_code_and_no_traceback(
    served: StubServer, bide: Bide, status: int, problem_code: str, exit_code: int
) -> None:
    served.plays(problem(status, problem_code, "The reason.", retry_after=60))
    ran = bide("submit", "echo")
    assert (ran.code, ran.out) == (exit_code, "")
    assert ran.err.startswith("bide: The reason.\n")
    assert "Try again in 60 s." in ran.err


def test_wrong_arguments_are_pointed_at(served: StubServer, bide: Bide) -> None:
    wrong = [{"pointer": "/args/seconds", "detail": "expected a number"}]
    served.plays(problem(422, "INVALID_ARGUMENTS", "The arguments do not fit.", errors=wrong))
    assert "  /args/seconds: expected a number\n" in bide("submit", "sleep", "seconds=long").err


def test_a_submission_of_unknown_fate_can_be_repeated_safely(served: StubServer, bide: Bide) -> None:
    served.plays(problem(500, "INTERNAL", "Sorry."), accepted())
    advice = bide("submit", "echo").err
    key = advice.rsplit("--idempotency-key ", 1)[1].strip()
    bide("submit", "echo", "--idempotency-key", key)
    assert served.asked[0].headers["Idempotency-Key"] == served.asked[1].headers["Idempotency-Key"] == key


def test_a_server_that_is_not_there_is_reported_with_what_to_do(bide: Bide) -> None:
    with StubServer() as gone:
        url = gone.url
    ran = bide("--url", url, "submit", "echo", "value=1")
    assert (ran.code, ran.out) == (exit_codes.UNREACHABLE, "")
    assert f"bide: Cannot reach the Bide server at {url}: connection refused." in ran.err
    assert "Is `make up` running?" in ran.err
    assert "idempotency" not in ran.err


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["nonsense"],
        ["submit"],
        ["submit", "echo", "value"],
        ["submit", "echo", "a=1", "a=2"],
        ["submit", "echo", "a=1e999"],
        ["submit", "echo", "--args", "[]"],
        ["submit", "echo", "--delay", "-1"],
        ["submit", "echo", "--delay", "nan"],
        ["submit", "echo", "--wait=soon"],
        ["submit", "echo", "--delay", "1", "--run-at", "2026-11-23T21:00:00Z"],
        ["submit", "echo", "--idempotency-key", ""],
        ["submit", "echo", "--idempotency-key", "two words"],
        ["submit", "echo", "--unknown"],
        ["submit", "echo", 'a="\\ud800"'],
        ["show"],
        ["show", ID, "extra"],
        ["show", ".."],
        ["server"],
        ["server", "close"],
        ["server", "close", "--reason", "x", "--retry-after", "1.5"],
        ["--url", "localhost:8000", "show", ID],
        ["--key", "two words", "show", ID],
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_ends_with_2_before_anything_is_sent(
    served: StubServer, bide: Bide, words: list[str]
) -> None:
    ran = bide(*words)
    assert (ran.code, ran.out) == (exit_codes.USAGE, "")
    assert ran.err.startswith("bide: ")
    assert served.asked == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["lst"], "there is no command 'lst'; did you mean 'list'?\nTry: bide --help\n"),
        (["queue", "puase"], "there is no command 'puase'; did you mean 'pause'?\nTry: bide queue --help\n"),
        (["nonsense"], "there is no command 'nonsense'\nTry: bide --help\n"),
        (["submit"], "the following arguments are required: NAME\nTry: bide submit --help\n"),
    ],
    ids=["a command", "a word of it", "nothing alike", "a missing word"],
)
def test_a_mistyped_command_is_told_what_is_perhaps_meant(bide: Bide, words: list[str], said: str) -> None:
    assert bide(*words) == Ran(exit_codes.USAGE, "", f"bide: {said}")


def test_help_leads_with_examples_and_ends_with_exit_codes(bide: Bide) -> None:
    ran = bide("--help")
    assert ran.code == exit_codes.OK
    assert ran.out.index("bide submit echo value=1 --wait") < ran.out.index("options:")
    for code, meaning in exit_codes.MEANINGS.items():
        assert f"{code:>3}  {meaning}" in ran.out


def test_every_exit_code_is_explained() -> None:
    constants = {value for name, value in vars(exit_codes).items() if name.isupper() and name != "MEANINGS"}
    assert constants == set(exit_codes.MEANINGS)


def test_the_version_is_printed(bide: Bide) -> None:
    assert bide("--version") == Ran(exit_codes.OK, f"bide {__version__}\n", "")


def test_args_are_read_from_a_pipe(served: StubServer, bide: Bide, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"value": [1, 2]}')))
    served.plays(accepted())
    bide("submit", "echo", "--args", "-")
    assert served.asked[0].json["args"] == {"value": [1, 2]}


def test_ctrl_c_while_waiting_ends_with_130_and_tells_the_id(stub: StubServer) -> None:
    asked_again, release = threading.Event(), threading.Event()
    stub.plays(accepted())

    def hold(asked: object) -> Reply:
        asked_again.set()
        return Reply(200, task_json("running"), {"Retry-After": "0"}, until=release)

    stub.otherwise = hold
    process = started(stub.url, "submit", "sleep", "seconds=99", "--wait")
    assert asked_again.wait(20)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    release.set()
    assert (process.returncode, out) == (exit_codes.INTERRUPTED, "")
    assert f"bide cancel {ID}" in err
    assert "Traceback" not in err


def test_a_reader_that_goes_away_is_no_error_to_complain_about(stub: StubServer) -> None:
    ready = threading.Event()
    reply = succeeded("x" * 200_000)
    stub.plays(Reply(200, reply.json, until=ready))
    process = started(stub.url, "show", ID)
    assert process.stdout is not None
    process.stdout.close()
    ready.set()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(20) == exit_codes.OUTPUT_LOST


def test_a_full_disk_is_reported_without_a_traceback(stub: StubServer) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    stub.plays(succeeded())
    with full.open("w") as sink:
        ran = subprocess.run(
            [sys.executable, "-m", "bide_client", "--url", stub.url, "show", ID],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            stdout=sink,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert ran.returncode == exit_codes.OUTPUT_LOST
    assert ran.stderr == "bide: cannot write the output: No space left on device\n"


def test_a_terminal_without_unicode_is_no_obstacle(stub: StubServer) -> None:
    stub.plays(succeeded("Köln"))
    ran = subprocess.run(
        [sys.executable, "-m", "bide_client", "--url", stub.url, "show", ID],
        env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == exit_codes.OK
    assert 'result    "K\\xf6ln"' in ran.stdout
