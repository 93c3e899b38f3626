"""`bide batch`, and the options of `bide submit` that came with it."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from bide_client import exit_codes

from .ran import Bide, Ran
from .replies import ID, accepted, problem, task_json
from .stub_server import Asked, Reply, StubServer

UNKNOWN = {"title": "t", "status": 422, "detail": "no such task\x1b[2J", "code": "UNKNOWN_TASK"}


def each(asked: Asked) -> Reply:
    """Accept all but those named `eco`; the n-th of a request gets the id q~n."""
    items = [
        {"problem": UNKNOWN} if item["name"] == "eco" else {"task": task_json(id=f"q~{number}")}
        for number, item in enumerate(asked.json["items"])
    ]
    return Reply(202, {"items": items})


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    path = tmp_path / "tasks.jsonl"
    path.write_text('{"name": "echo", "args": {"value": "ü"}}\n\n{"name": "eco"}\n{"name": "echo"}', "utf-8")
    return path


def test_submit_passes_priority_expiry_uniqueness_and_tags_on(served: StubServer, bide: Bide) -> None:
    served.plays(accepted())
    words = ["--priority", "9", "--expires", "60", "--unique", "report", "--tag", "a", "v=1", "--tag", "b"]
    assert bide("submit", "echo", *words).code == exit_codes.OK
    assert served.asked[0].json == {
        "name": "echo",
        "args": {"v": 1},
        "priority": 9,
        "expires": 60,
        "unique": "report",
        "tags": ["a", "b"],
    }


def test_a_task_that_is_not_unique_points_at_the_other(served: StubServer, bide: Bide) -> None:
    served.plays(problem(409, "NOT_UNIQUE", "One with 'report' is unfinished.", task="q~\x1b7"))
    ran = bide("submit", "echo", "--unique", "report")
    assert ran == Ran(
        exit_codes.REFUSED,
        "",
        "bide: One with 'report' is unfinished.\nSee the unfinished one with: bide show q~\\u001b7\n",
    )


def test_show_tells_priority_tags_uniqueness_and_expiry(served: StubServer, bide: Bide) -> None:
    more = {"priority": 9, "tags": ["a", "b"], "unique": "report", "expires_at": "2026-11-23T22:00:00.000Z"}
    served.plays(Reply(200, task_json(**more)))
    out = bide("show", ID).out
    for line in (
        "  priority  9\n",
        "  tags      a b\n",
        "  unique    report\n",
        "  expires   2026-11-23 22:00:00.000Z\n",
    ):
        assert line in out


def test_batch_prints_a_line_for_each_line(served: StubServer, bide: Bide, lines: Path) -> None:
    served.otherwise = each
    assert bide("batch", f"@{lines}") == Ran(
        exit_codes.REFUSED,
        "q~0\n\nq~2\n",
        "bide: line 3: no such task\\u001b[2J\nbide: 2 accepted, 1 refused\n",
    )
    [asked] = served.asked
    assert [item["name"] for item in asked.json["items"]] == ["echo", "eco", "echo"]
    assert asked.json["items"][0]["args"] == {"value": "ü"}
    assert len({item["idempotency_key"] for item in asked.json["items"]}) == 3


def test_an_id_says_nothing_to_the_terminal(served: StubServer, bide: Bide, lines: Path) -> None:
    hostile = task_json(id="q~\x1b[2J")
    served.plays(Reply(202, hostile), Reply(202, {"items": [{"task": hostile}] * 3}))
    assert bide("submit", "echo").out == "q~\\u001b[2J\n"
    assert bide("batch", f"@{lines}").out == "q~\\u001b[2J\n" * 3


def test_batch_as_json_prints_what_the_server_said(served: StubServer, bide: Bide, lines: Path) -> None:
    served.otherwise = each
    told = [json.loads(line) for line in bide("batch", f"@{lines}", "--json").out.splitlines()]
    assert told == [{"task": task_json(id="q~0")}, {"problem": UNKNOWN}, {"task": task_json(id="q~2")}]


def test_batch_sends_a_hundred_at_a_time_from_a_pipe(
    served: StubServer, bide: Bide, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "".join(f'{{"name": "echo", "args": {{"n": {n}}}, "priority": 3}}\n' for n in range(250))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    served.otherwise = each
    ran = bide("batch", "-")
    assert (ran.code, ran.err, len(ran.out.splitlines())) == (exit_codes.OK, "", 250)
    assert [len(asked.json["items"]) for asked in served.asked] == [100, 100, 50]
    assert {item["priority"] for asked in served.asked for item in asked.json["items"]} == {3}


def test_a_batch_that_breaks_off_says_where(
    served: StubServer, bide: Bide, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"name": "echo"}\n' * 101)))
    served.plays(Reply(202, {"items": [{"task": task_json()}] * 100}), problem(503, "CLOSED", "upgrade"))
    ran = bide("batch", "-")
    assert ran.code == exit_codes.SERVER_CLOSED
    assert len(ran.out.splitlines()) == 100
    assert ran.err == (
        "bide: upgrade\nThe 100 submissions before line 101 have been answered; no other has.\n"
    )


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("[]", "line 2 is no JSON object"),
        ("{", "line 2 is not JSON"),
        ("{}", "line 2: it needs a"),
        ('{"name": 5}', "line 2: it needs a"),
        ('{"name": "echo", "args": []}', "must be an object"),
        ('{"name": "echo", "prio": 1}', "line 2: there is no field 'prio'"),
        ('{"name": "echo", "priority": 10}', "line 2: priority must be"),
        ('{"name": "echo", "priority": "high"}', "line 2: priority must be"),
        ('{"name": "echo", "delay": "soon"}', "line 2: "),
        ('{"name": "echo", "unique": 5}', "line 2: "),
        ('{"name": "echo", "tags": 5}', "line 2: "),
        ('{"name": "echo", "tags": [5]}', "line 2: "),
    ],
    ids=str,
)
def test_a_line_that_cannot_be_ends_with_2_before_anything_is_sent(
    served: StubServer, bide: Bide, tmp_path: Path, line: str, complaint: str
) -> None:
    path = tmp_path / "tasks.jsonl"
    path.write_text(f'{{"name": "echo"}}\n{line}\n', "utf-8")
    ran = bide("batch", f"@{path}")
    assert (ran.code, ran.out, served.asked) == (exit_codes.USAGE, "", [])
    assert complaint in ran.err


@pytest.mark.parametrize(
    "words",
    [
        ["batch"],
        ["batch", "tasks.jsonl"],
        ["batch", "@/nonexistent/tasks.jsonl"],
        ["submit", "echo", "--priority", "10"],
        ["submit", "echo", "--priority", "high"],
        ["submit", "echo", "--expires", "0"],
        ["submit", "echo", "--expires", "soon"],
        ["submit", "echo", "--unique", "two words"],
        ["submit", "echo", "--tag", "Nightly"],
        ["submit", "echo", *["--tag", "t"] * 9],
    ],
    ids=" ".join,
)
def test_a_wrong_submission_ends_with_2(served: StubServer, bide: Bide, words: list[str]) -> None:
    ran = bide(*words)
    assert (ran.code, ran.out, served.asked) == (exit_codes.USAGE, "", [])


@pytest.mark.parametrize(
    ("words", "reply", "said"),
    [
        (["retry", ID], accepted(), f"{ID} is to run again; it is ready\n"),
        (["delete", ID], Reply(204), f"{ID} is deleted\n"),
    ],
    ids=["retry", "delete"],
)
def test_one_task_is_retried_or_deleted(
    served: StubServer, bide: Bide, words: list[str], reply: Reply, said: str
) -> None:
    served.plays(reply, reply)
    assert bide(*words) == Ran(exit_codes.OK, said, "")
    told = json.loads(bide(*words, "--json").out)
    assert told == (reply.json or {"id": ID, "deleted": True})


@pytest.mark.parametrize(
    ("words", "code"),
    [(["retry", ID], "TASK_NOT_FAILED"), (["delete", ID], "TASK_NOT_FINISHED")],
    ids=["retry", "delete"],
)
def test_what_is_not_to_be_is_refused(served: StubServer, bide: Bide, words: list[str], code: str) -> None:
    served.plays(problem(409, code, "It is running."))
    assert bide(*words) == Ran(exit_codes.REFUSED, "", "bide: It is running.\n")
