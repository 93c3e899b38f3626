"""`bide list` and `bide dead list`: pages of tasks as lines or documents."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bide_client import exit_codes

from .ran import Bide, Ran
from .replies import ID, listed, problem
from .stub_server import Asked, Reply, StubServer


def test_list_prints_a_line_for_each_task_of_every_page(served: StubServer, bide: Bide) -> None:
    progress = {"fraction": 0.4, "message": "half\nway"}
    served.plays(
        listed("q~1", state="running", progress=progress, priority=9, next_page_token="t"),
        listed(next_page_token="t2"),
        listed("q~2", "q~3", state="failed", tags=["eu", "x"], error={"code": "E", "message": "bad"}),
    )
    assert bide("list") == Ran(
        exit_codes.OK,
        "id   task  state    submitted                 took  about it\n"
        "q~1  echo  running  2026-11-23 21:00:00.123Z        priority 9  40%  half way\n"
        "q~2  echo  failed   2026-11-23 21:00:00.123Z  5 ms  #eu  #x  E: bad\n"
        "q~3  echo  failed   2026-11-23 21:00:00.123Z  5 ms  #eu  #x  E: bad\n",
        "",
    )


def test_list_passes_its_filters_on(served: StubServer, bide: Bide) -> None:
    served.plays(listed())
    ran = bide("list", "--queue", "mail", "--name", "echo", "--state", "ready", "--tag", "eu")
    assert ran == Ran(exit_codes.OK, "", "")
    assert served.asked[0].path == "/v1/tasks?queue=mail&name=echo&state=ready&tag=eu&page_size=50"


def test_list_ends_at_its_limit_and_asks_for_no_more(served: StubServer, bide: Bide) -> None:
    served.plays(listed("q~1", "q~2", next_page_token="t"), listed("q~3", "q~4", next_page_token="t2"))
    out = bide("list", "--limit", "3", "--json").out
    assert [json.loads(line)["id"] for line in out.splitlines()] == ["q~1", "q~2", "q~3"]
    assert served.asked[0].path == "/v1/tasks?page_size=3"


def test_list_without_a_limit_reads_all(served: StubServer, bide: Bide) -> None:
    served.plays(*(listed(f"q~{n}", next_page_token=f"t{n}") for n in range(3)), listed("q~3"))
    assert len(bide("list", "--limit", "0", "--json").out.splitlines()) == 4
    assert served.asked[0].path == "/v1/tasks?page_size=100"


def test_list_shows_nothing_that_a_terminal_would_obey(served: StubServer, bide: Bide) -> None:
    served.plays(listed(ID, state="failed", error={"code": "\x1b[31m", "message": "\x07\u202e\nfake line"}))
    out = bide("list").out
    assert not set(out) & set("\x1b\x07\u202e")
    assert out.count("\n") == 2


def test_what_was_found_before_a_failure_is_shown(served: StubServer, bide: Bide) -> None:
    served.plays(listed("q~1", next_page_token="t"), problem(400, "INVALID_REQUEST", "The token is old."))
    ran = bide("list")
    assert ran.code == exit_codes.REFUSED
    assert "q~1" in ran.out
    assert ran.err == "bide: The token is old.\n"


def test_dead_list_tells_why_each_failed(served: StubServer, bide: Bide) -> None:
    error = {"code": "TIMEOUT", "message": "too slow"}
    served.plays(listed("q~1", "q~2", state="failed", attempt=4, error=error))
    assert bide("dead", "list", "--queue", "mail").out == (
        "id   task  failed                    attempts  code     message\n"
        "q~1  echo  2026-11-23 21:00:00.130Z    4 of 4  TIMEOUT  too slow\n"
        "q~2  echo  2026-11-23 21:00:00.130Z    4 of 4  TIMEOUT  too slow\n"
    )
    assert served.asked[0].path == "/v1/tasks?queue=mail&state=failed&page_size=50"


def test_dead_list_by_code_looks_on_until_it_has_enough(served: StubServer, bide: Bide) -> None:
    served.plays(
        listed("q~1", state="failed", error={"code": "OTHER"}, next_page_token="t"),
        listed("q~2", "q~3", state="failed", error={"code": "TIMEOUT"}, next_page_token="t2"),
    )
    out = bide("dead", "list", "--code", "TIMEOUT", "--limit", "2", "--json").out
    assert [json.loads(line)["id"] for line in out.splitlines()] == ["q~2", "q~3"]
    assert served.asked[0].path == "/v1/tasks?state=failed&page_size=100"


@pytest.mark.parametrize(
    "words",
    [
        ["list", "extra"],
        ["list", "--limit", "-1"],
        ["list", "--limit", "many"],
        ["dead"],
        ["dead", "list", "mail"],
    ],
    ids=" ".join,
)
def test_a_wrong_list_ends_with_2(served: StubServer, bide: Bide, words: list[str]) -> None:
    ran = bide(*words)
    assert (ran.code, ran.out) == (exit_codes.USAGE, "")
    assert ran.err.startswith("bide: ")
    assert served.asked == []


def test_a_list_whose_reader_goes_away_ends_quietly(stub: StubServer) -> None:
    """`bide list | head -1`: it asks no further, and complains of nothing."""
    gone = threading.Event()

    def page(asked: Asked) -> Reply:
        number = len(stub.asked)
        reply = listed(f"q~{number}", next_page_token=f"t{number}")
        return Reply(200, reply.json, until=None if number < 2 else gone)

    stub.otherwise = page
    process = subprocess.Popen(
        [sys.executable, "-m", "bide_client", "list", "--limit", "0"],
        env={**os.environ, "BIDE_URL": stub.url, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline().startswith("id")
    assert process.stdout.readline().startswith("q~1")
    process.stdout.close()
    gone.set()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(20) == exit_codes.OUTPUT_LOST
