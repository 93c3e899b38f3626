"""`bide dead redrive|purge` and `bide operation`: many tasks are changed only when somebody agreed."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from bide_client import exit_codes

from .ran import Bide, Ran
from .replies import operating, operation_json, problem
from .stub_server import Reply, StubServer


class Keyboard(io.StringIO):
    """A terminal on which somebody has typed ahead."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def types(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let somebody type an answer."""

    def typed(text: str) -> None:
        monkeypatch.setattr(sys, "stdin", Keyboard(text))

    return typed


@pytest.mark.parametrize("answer", ["y\n", "Yes\n"], ids=repr)
def test_redrive_counts_asks_and_follows(served: StubServer, bide: Bide, types: Any, answer: str) -> None:
    served.plays(
        operating(dry_run=True),
        operating("running", changed=2),
        operating("running", changed=5),
        operating(skipped=1, changed=11),
    )
    types(answer)
    ran = bide(
        "dead", "redrive", "mail", "--code", "TIMEOUT", "--name", "send", "--tag", "eu", "--rate", "2.5"
    )
    assert ran == Ran(
        exit_codes.OK,
        "redrive of mail: 12 failed tasks fit\n"
        "redrive of mail: 5 run again, of 12 so far\n"
        "redrive of mail: 11 run again, 1 skipped\n",
        "Run these 12 failed tasks again? [y/N] ",
    )
    filters = {"code": "TIMEOUT", "name": "send", "tag": "eu"}
    assert served.asked[0].json == {"dry_run": True, **filters, "rate": 2.5}
    assert served.asked[1].json == {"dry_run": False, **filters, "rate": 2.5}
    assert served.asked[2].path == "/v1/operations/op1"


@pytest.mark.parametrize("answer", ["n\n", "\n", "", "yellow\n"], ids=repr)
def test_without_consent_nothing_is_changed(served: StubServer, bide: Bide, types: Any, answer: str) -> None:
    served.plays(operating(dry_run=True, kind="purge", matched=1))
    types(answer)
    ran = bide("dead", "purge", "mail")
    assert ran.code == exit_codes.OK
    asked = "Erase this failed task, with all that is known of it? [y/N] "
    assert ran.err == asked + ("" if answer else "\n") + "bide: nothing has been changed\n"
    assert [asked.json for asked in served.asked] == [{"dry_run": True}]


def test_yes_skips_the_question(served: StubServer, bide: Bide) -> None:
    served.plays(operating(dry_run=True, kind="purge"), operating(kind="purge"))
    ran = bide("dead", "purge", "mail", "--yes")
    assert ran == Ran(exit_codes.OK, "purge of mail: 12 failed tasks fit\npurge of mail: 12 erased\n", "")
    assert served.asked[1].json == {"dry_run": False}


def test_a_count_that_takes_time_is_followed(served: StubServer, bide: Bide) -> None:
    served.plays(operating("running", dry_run=True, matched=3), operating("running", dry_run=True, matched=9))
    served.plays(operating(dry_run=True))
    assert bide("dead", "redrive", "mail", "--dry-run").out == (
        "redrive of mail: 9 failed tasks fit so far\nredrive of mail: 12 failed tasks fit\n"
    )


def test_where_nothing_fits_nothing_is_asked(served: StubServer, bide: Bide, types: Any) -> None:
    served.plays(operating(dry_run=True, matched=0))
    types("y\n")
    assert bide("dead", "redrive", "mail") == Ran(exit_codes.OK, "redrive of mail: 0 failed tasks fit\n", "")


@pytest.mark.parametrize("verb", ["redrive", "purge"])
def test_where_nobody_can_be_asked_nothing_is_sent(
    served: StubServer, bide: Bide, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    ran = bide("dead", verb, "mail")
    assert (ran.code, ran.out) == (exit_codes.USAGE, "")
    assert "add --yes, or --dry-run" in ran.err
    assert served.asked == []


@pytest.mark.parametrize(
    ("words", "replies"),
    [
        (["--yes"], [operating(dry_run=True), operating("running", changed=1), operating()]),
        (["--dry-run"], [operating(dry_run=True)]),
        (["--yes"], [operating(dry_run=True, matched=0)]),
    ],
    ids=["yes", "dry run", "nothing fits"],
)
def test_json_is_the_last_state_of_what_was_done(
    served: StubServer, bide: Bide, words: list[str], replies: list[Reply]
) -> None:
    served.plays(*replies)
    ran = bide("dead", "redrive", "mail", "--json", *words)
    assert (ran.code, ran.err, ran.out.count("\n")) == (exit_codes.OK, "", 1)
    assert json.loads(ran.out) == replies[-1].json


def test_ctrl_c_ends_only_the_looking_on(stub: StubServer) -> None:
    held, release = threading.Event(), threading.Event()
    stub.plays(operating(dry_run=True), operating("running", changed=2), operating("running", changed=5))

    def hold(asked: object) -> Reply:
        held.set()
        return Reply(200, operation_json("running"), until=release)

    stub.otherwise = hold
    process = subprocess.Popen(
        [sys.executable, "-m", "bide_client", "dead", "redrive", "mail", "--yes"],
        env={**os.environ, "BIDE_URL": stub.url, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert held.wait(20)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    release.set()
    assert process.returncode == exit_codes.INTERRUPTED
    assert out.endswith("redrive of mail: 5 run again, of 12 so far\n")
    assert "the server goes on with it. See it with: bide operation watch op1" in err
    assert "Traceback" not in err


def test_a_beginning_of_unknown_fate_is_pointed_at(served: StubServer, bide: Bide) -> None:
    served.plays(operating(dry_run=True), Reply(fault="drop"))
    ran = bide("dead", "redrive", "mail", "--yes")
    assert ran.code == exit_codes.UNREACHABLE
    assert "Perhaps it has begun: see bide operation list" in ran.err
    assert len(served.asked) == 2


def test_a_queue_that_is_not_there_ends_with_4(served: StubServer, bide: Bide) -> None:
    served.plays(problem(404, "QUEUE_NOT_FOUND", "There is no queue 'mial'."))
    assert bide("dead", "purge", "mial", "--yes") == Ran(
        exit_codes.NOT_FOUND, "", "bide: There is no queue 'mial'.\nSee them with: bide queue list\n"
    )


def test_operations_are_listed(served: StubServer, bide: Bide) -> None:
    filter = {"code": "\x1b[2J", "tag": None}
    served.plays(
        Reply(200, {"operations": [operation_json("running", changed=5, filter=filter)]}),
        operating(dry_run=True),
    )
    assert bide("operation", "list").out.splitlines() == [
        "id   what     queue  begun                     state    matched  changed  skipped  filter",
        "op1  redrive  mail   2026-11-23 21:00:00.000Z  running       12        5        0  code=\\u001b[2J",
    ]
    assert "redrive (dry run)" in bide("operation", "show", "op1").out


def test_where_there_are_no_operations_that_is_said(served: StubServer, bide: Bide) -> None:
    served.plays(Reply(200, {"operations": []}))
    assert bide("operation", "list").out == "no redrive or purge has been asked for\n"


def test_an_operation_is_watched_to_its_end(served: StubServer, bide: Bide) -> None:
    served.plays(operating("running", changed=5), operating(), operating("running"), operating("running"))
    served.plays(operating())
    assert bide("operation", "watch", "op1").out == (
        "redrive of mail: 5 run again, of 12 so far\nredrive of mail: 12 run again\n"
    )
    told = bide("operation", "watch", "op1", "--json").out.splitlines()
    assert [json.loads(line)["state"] for line in told] == ["running", "done"]


@pytest.mark.parametrize(
    "words",
    [
        ["dead", "redrive"],
        ["dead", "redrive", "mail", "--rate", "0"],
        ["dead", "redrive", "mail", "--rate", "fast"],
        ["dead", "redrive", "mail", "--yes", "--dry-run"],
        ["dead", "purge", "mail", "--rate", "1", "--yes"],
        ["dead", "purge", "..", "--yes"],
        ["operation"],
        ["operation", "show"],
        ["operation", "watch", ".."],
    ],
    ids=" ".join,
)
def test_a_wrong_word_ends_with_2(served: StubServer, bide: Bide, words: list[str]) -> None:
    ran = bide(*words)
    assert (ran.code, ran.out, served.asked) == (exit_codes.USAGE, "", [])
