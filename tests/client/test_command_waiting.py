"""The parts of `bide` that are about waiting: event, stats, and what show says of it."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from bide_client import exit_codes

from .ran import Bide, Ran
from .replies import ID, accepted, expired, problem, sent, stats_json, unfinished
from .stub_server import Reply, StubServer


@pytest.mark.parametrize(
    ("words", "body"),
    [
        (['{"by": "Ada"}'], {"by": "Ada"}),
        (['"Ada"'], "Ada"),
        (["[1, null]"], [1, None]),
        (["0"], 0),
        (["-1.5"], -1.5),
        (["false"], False),
    ],
    ids=str,
)
def test_event_sends_json_and_says_how_the_task_is(
    served: StubServer, bide: Bide, words: list[str], body: Any
) -> None:
    served.plays(sent("ready"))
    assert bide("event", ID, "approved", *words) == Ran(
        exit_codes.OK, f"approved is sent; {ID} is ready\n", ""
    )
    assert served.asked[0].path == f"/v1/tasks/{ID}/events/approved"
    assert served.asked[0].json == body


@pytest.mark.parametrize("words", [[], ["null"]], ids=["nothing", "null"])
def test_an_event_may_say_nothing(served: StubServer, bide: Bide, words: list[str]) -> None:
    served.plays(sent())
    assert bide("event", ID, "approved", *words).code == exit_codes.OK
    assert served.asked[0].body == b""


def test_an_event_can_come_from_a_file(served: StubServer, bide: Bide, tmp_path: Path) -> None:
    served.plays(sent())
    path = tmp_path / "report.json"
    path.write_text('{"greeting": "grüß"}', encoding="utf-8")
    assert bide("event", ID, "report", f"@{path}").code == exit_codes.OK
    assert served.asked[0].json == {"greeting": "grüß"}


def test_an_event_can_come_from_standard_input(
    served: StubServer, bide: Bide, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"[1, 2]")))
    served.plays(sent())
    assert bide("event", ID, "report", "-").code == exit_codes.OK
    assert served.asked[0].json == [1, 2]


def test_an_event_of_unknown_fate_can_be_repeated_safely(served: StubServer, bide: Bide) -> None:
    served.plays(problem(500, "INTERNAL", "Sorry."), sent())
    failed = bide("event", ID, "approved")
    assert failed.code == exit_codes.SERVER_FAULT
    key = failed.err.rsplit("--idempotency-key ", 1)[1].strip()
    assert bide("event", ID, "approved", "--idempotency-key", key).code == exit_codes.OK
    assert served.asked[0].headers["Idempotency-Key"] == served.asked[1].headers["Idempotency-Key"] == key


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (problem(404, "TASK_NOT_FOUND", "The reason."), exit_codes.NOT_FOUND),
        (problem(409, "TASK_FINISHED", "The reason."), exit_codes.REFUSED),
        (problem(413, "TOO_LARGE", "The reason."), exit_codes.REFUSED),
        (problem(422, "IDEMPOTENCY_CONFLICT", "The reason."), exit_codes.REFUSED),
        (problem(429, "INBOX_FULL", "The reason.", retry_after=60), exit_codes.REFUSED),
    ],
    ids=["not found", "finished", "too large", "conflict", "inbox full"],
)
def test_a_refused_event_has_its_exit_code(served: StubServer, bide: Bide, reply: Reply, code: int) -> None:
    served.plays(reply)
    ran = bide("event", ID, "approved", "1")
    assert (ran.code, ran.out) == (code, "")
    assert ran.err.startswith("bide: The reason.\n")


@pytest.mark.parametrize(
    "words",
    [
        ["event"],
        ["event", ID],
        ["event", ID, "Approved"],
        ["event", ID, "approved", "hello"],
        ["event", ID, "approved", "NaN"],
        ["event", ID, "approved", "1e999"],
        ["event", ID, "approved", "{"],
        ["event", ID, "approved", "@/nonexistent/report.json"],
        ["event", ID, "approved", "1", "2"],
        ["event", ID, "approved", "--idempotency-key", ""],
        ["event", "..", "approved"],
        ["stats", "extra"],
    ],
    ids=" ".join,
)
def test_a_wrong_event_ends_with_2_before_anything_is_sent(
    served: StubServer, bide: Bide, words: list[str]
) -> None:
    ran = bide(*words)
    assert (ran.code, ran.out) == (exit_codes.USAGE, "")
    assert ran.err.startswith("bide: ")
    assert served.asked == []


def test_stats_prints_the_summary_and_the_figures(served: StubServer, bide: Bide) -> None:
    served.plays(Reply(200, stats_json()))
    assert bide("stats") == Ran(
        exit_codes.OK,
        "waited 16 h, billed 41 s\n"
        "  succeeded 500\n"
        "  failed    10\n"
        "  cancelled 2\n"
        "  expired   1\n"
        "  waited    57600.000 s\n"
        "  billed    41.280 s\n"
        "  workers   52.110 s  (12 started)\n"
        "  replays   1530\n"
        "  polls     24000 (310 calls of shared pollers)\n"
        "  cost      $0.00034 of $0.00044 paid for workers\n",
        "",
    )


def test_stats_prints_a_line_for_each_queue_and_day(served: StubServer, bide: Bide) -> None:
    sums = {
        "tasks": {"succeeded": 2, "failed": 1},
        "waited_ms": 3_600_000,
        "billed_ms": 1_500.25,
        "cost_usd": 1.5e-5,
    }
    queues = [{"queue": "default", **sums}, {"queue": "mail", **sums, "cost_usd": 0}]
    days = [{"day": "2026-11-24", **sums, "paid_usd": 1234.5}]
    served.plays(Reply(200, stats_json(queues=queues, days=days)))
    assert bide("stats").out.splitlines()[-5:] == [
        "  queue       ended      waited   billed       cost",
        "  default         3  3600.000 s  1.500 s  $0.000015",
        "  mail            3  3600.000 s  1.500 s         $0",
        "  day         ended      waited   billed       cost       paid",
        "  2026-11-24      3  3600.000 s  1.500 s  $0.000015  $1,234.50",
    ]


def test_stats_of_a_server_that_knows_no_dollars_are_shown(served: StubServer, bide: Bide) -> None:
    newer = ("worker_starts", "cost_usd", "paid_usd", "memory_mb", "queues", "days")
    older = {name: value for name, value in stats_json().items() if name not in newer}
    served.plays(Reply(200, older))
    assert bide("stats").out.endswith("  cost      $0 of $0 paid for workers\n")


@pytest.mark.parametrize(
    ("reply", "words"),
    [(sent(), ["event", ID, "approved"]), (Reply(200, stats_json()), ["stats"])],
    ids=["event", "stats"],
)
def test_json_of_events_and_stats_is_what_the_server_said(
    served: StubServer, bide: Bide, reply: Reply, words: list[str]
) -> None:
    served.plays(reply)
    ran = bide(*words, "--json")
    assert (ran.code, ran.out.count("\n")) == (exit_codes.OK, 1)
    assert json.loads(ran.out) == reply.json


def test_show_tells_progress_and_cost(served: StubServer, bide: Bide) -> None:
    said = {"fraction": 0.9, "message": "almost there"}
    figures = {"billed_ms": 1.874, "cost_usd": 1.5617e-8, "waited_ms": 61_000, "replays": 2, "polls": 1}
    served.plays(unfinished(5, "waiting", progress=said, run_at="2026-11-23T21:10:00.000Z", **figures))
    out = bide("show", ID).out
    assert "  state     waiting\n" in out
    assert "  run at    2026-11-23 21:10:00.000Z\n" in out
    assert "  progress  90%  almost there\n" in out
    assert "  waited    61.000 s  (2 replays, 1 poll)\n" in out
    assert out.endswith("  billed    0.002 s  ($0.000000016)\n")


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ({"fraction": 0.5, "message": None}, "50%"),
        ({"fraction": None, "message": "booting"}, "booting"),
        ({"fraction": 1, "message": "\x1b[2J"}, "100%  \\u001b[2J"),
        ({"fraction": "much", "message": ""}, None),
        ({}, None),
    ],
    ids=str,
)
def test_show_tells_as_much_progress_as_there_is(
    served: StubServer, bide: Bide, said: dict[str, Any], shown: str | None
) -> None:
    served.plays(unfinished(5, progress=said))
    out = bide("show", ID).out
    assert ("progress" in out) is (shown is not None)
    assert f"  progress  {shown}\n" in out or shown is None


def test_submit_wait_of_an_expired_task_says_so(served: StubServer, bide: Bide) -> None:
    served.plays(accepted(), expired())
    ran = bide("submit", "echo", "--wait")
    assert ran == Ran(exit_codes.UNSUCCESSFUL, "", f"bide: {ID} has expired\n")
