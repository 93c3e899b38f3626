"""`bide queue`, `worker`, `top`, `stats --series` and `server drain`."""

from __future__ import annotations

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
from .replies import ID, problem, queue_json, series_json, server_json, worker_json
from .stub_server import Asked, Reply, StubServer

QUEUES = {"queues": [queue_json(ready=3, failed=1), queue_json("mail", paused=True)]}
WORKERS = {"workers": [worker_json("w1", 2, tasks_total=40), worker_json("w2", 0, role="leaving")]}
SERIES: dict[str, Any] = {
    "minutes": 60,
    "series": [series_json(), series_json(name="echo"), series_json("mail", start_delay_ms=None)],
}


def test_queue_list_tells_depths(served: StubServer, bide: Bide) -> None:
    served.plays(Reply(200, QUEUES))
    assert bide("queue", "list") == Ran(
        exit_codes.OK,
        "queue            scheduled  ready  running  waiting  retrying  failed  oldest\n"
        "default                  0      3        0        0         0       1   1.5 s\n"
        "mail     paused          0      0        0        0         0       0\n",
        "",
    )


def test_a_queue_is_paused_resumed_and_shown(served: StubServer, bide: Bide) -> None:
    paused = Reply(200, queue_json("mail", paused=True))
    served.plays(paused, Reply(200, queue_json("mail")), paused)
    assert bide("queue", "pause", "mail").out.startswith("mail is paused\nqueue")
    assert bide("queue", "resume", "mail").out.startswith("mail is not paused\nqueue")
    assert bide("queue", "show", "mail").out.startswith("mail is paused\nqueue")
    assert [(asked.method, asked.path) for asked in served.asked] == [
        ("POST", "/v1/queues/mail/pause"),
        ("POST", "/v1/queues/mail/resume"),
        ("GET", "/v1/queues/mail"),
    ]


def test_a_pause_without_an_operators_key_is_refused(served: StubServer, bide: Bide) -> None:
    served.plays(problem(403, "FORBIDDEN", "This needs an operator's key: ask for one."))
    ran = bide("queue", "pause", "mail")
    assert (ran.code, ran.out) == (exit_codes.REFUSED, "")
    assert ran.err.startswith("bide: This needs an operator's key: ask for one.\n")


def test_worker_list_tells_who_holds_what(served: StubServer, bide: Bide) -> None:
    served.plays(Reply(200, WORKERS))
    assert (
        bide("worker", "list").out.splitlines()
        == [
            "worker  role     age    heard of  tasks  free",
            "w1      working  5 min  850 ms ago     40    99",
            "w2      leaving  5 min  850 ms ago      0    99",
            "",
            "id" + " " * 34 + "task  attempt  running for  lease left  worker",
            f"{ID}  echo        1      1 min 1 s       9.5 s  w1",
            f"{ID}  echo        1      1 min 1 s       9.5 s  w1",
            "and 38 more tasks",
        ]
        or bide
    )


def test_no_worker_is_no_error(served: StubServer, bide: Bide) -> None:
    served.plays(Reply(200, {"workers": []}))
    assert bide("worker", "list") == Ran(
        exit_codes.OK, "no worker is there; one starts when there is work\n", ""
    )


def test_stats_series_tells_rates_and_percentiles(served: StubServer, bide: Bide) -> None:
    served.plays(Reply(200, SERIES))
    lines = bide("stats", "--series", "--minutes", "5", "--queue", "q").out.splitlines()
    heading = "queue task succeeded failed ended/min start delay p50 p95 p99 run time p50 p95 p99"
    assert " ".join(lines[0].split()) == heading
    whole = "default all 590 10 10.0 4 ms 20 ms 950 ms 100 ms 12.3 s 1 min 1 s"
    assert " ".join(lines[1].split()) == whole
    assert lines[2].split()[:2] == ["default", "echo"]
    assert " ".join(lines[3].split()) == "mail all 590 10 10.0 100 ms 12.3 s 1 min 1 s"
    assert served.asked[0].path == "/v1/stats/series?minutes=5&queue=q"


def test_stats_series_may_be_empty(served: StubServer, bide: Bide) -> None:
    served.plays(Reply(200, {"minutes": 60, "series": []}))
    assert bide("stats", "--series").out == "no task has ended in the last 60 minutes\n"


def look(asked: Asked) -> Reply:
    """What `bide top` asks for."""
    path = asked.path.partition("?")[0]
    return Reply(
        200,
        {
            "/v1/queues": QUEUES,
            "/v1/workers": WORKERS,
            "/v1/stats/series": SERIES,
            "/v1/server": server_json(left=1234),
        }[path],
    )


def test_top_looks_once_where_nothing_can_be_drawn_again(served: StubServer, bide: Bide) -> None:
    served.otherwise = look
    ran = bide("top")
    assert (ran.code, ran.err) == (exit_codes.OK, "")
    assert "accepting submissions since" in ran.out
    assert "1,234 tasks left" in ran.out
    assert "2 workers with 40 tasks, 20.0 done a minute over the last 5\n" in ran.out
    assert "done/min  start p95\n" in ran.out
    assert "10.0      20 ms\n" in ran.out
    assert "and 38 more tasks\n" in ran.out
    assert len(served.asked) == 4
    assert "/v1/stats/series?minutes=5" in [asked.path for asked in served.asked]


def test_each_of_these_prints_json(served: StubServer, bide: Bide) -> None:
    served.otherwise = look
    assert json.loads(bide("queue", "list", "--json").out) == QUEUES
    assert json.loads(bide("worker", "list", "--json").out) == WORKERS
    assert json.loads(bide("stats", "--series", "--json").out) == SERIES
    ran = bide("top", "--json")
    assert ran.out.count("\n") == 1
    whole = [part for part in SERIES["series"] if part["name"] is None]
    server = {"server": server_json(left=1234)}
    assert json.loads(ran.out) == server | QUEUES | WORKERS | {"series": whole}


def test_drain_closes_and_reports_until_nothing_is_left(served: StubServer, bide: Bide) -> None:
    served.plays(*(Reply(200, server_json(False, "upgrade", left=left)) for left in (12, 12, 1, 0)))
    ran = bide("server", "drain", "--reason", "upgrade", "--retry-after", "60", "--every", "0.1")
    assert ran == Ran(
        exit_codes.OK,
        "draining: 12 tasks left\ndraining: 1 task left\ndrained: no task is left\n",
        "",
    )
    assert [(asked.method, asked.path) for asked in served.asked] == [
        ("POST", "/v1/server/drain"),
        *[("GET", "/v1/server")] * 3,
    ]
    assert served.asked[0].json == {"reason": "upgrade", "retry_after": 60}


def test_drain_as_json_is_a_document_for_each_news(served: StubServer, bide: Bide) -> None:
    served.plays(*(Reply(200, server_json(False, "upgrade", left=left)) for left in (2, 2, 0)))
    out = bide("server", "drain", "--reason", "upgrade", "--every", "0.1", "--json").out
    assert [json.loads(line)["left"] for line in out.splitlines()] == [2, 0]


def test_drain_need_not_wait(served: StubServer, bide: Bide) -> None:
    left = [{"queue": "default", "left": 5}, {"queue": "mail", "left": 2}]
    served.plays(Reply(200, server_json(False, "upgrade", left=7, queues=left)))
    assert bide("server", "drain", "--reason", "upgrade", "--no-wait") == Ran(
        exit_codes.OK,
        "closed for submissions since 2026-11-23 21:00:00.000Z (epoch 3): upgrade; 7 tasks left\n"
        "queue    left\ndefault     5\nmail        2\n",
        "",
    )


def test_a_drain_that_somebody_undoes_ends_with_1(served: StubServer, bide: Bide) -> None:
    served.plays(Reply(200, server_json(False, "upgrade", left=7)), Reply(200, server_json(left=9)))
    ran = bide("server", "drain", "--reason", "upgrade", "--every", "0.1")
    assert ran.code == exit_codes.UNSUCCESSFUL
    assert ran.err == "bide: somebody has opened the server again\n"


def test_ctrl_c_leaves_the_server_closed_and_says_so(stub: StubServer) -> None:
    held, release = threading.Event(), threading.Event()

    def answer(asked: Asked) -> Reply:
        closed = server_json(False, "upgrade", left=7)
        if asked.method == "POST":
            return Reply(200, closed)
        held.set()
        return Reply(200, closed, until=release)

    stub.otherwise = answer
    process = subprocess.Popen(
        [sys.executable, "-m", "bide_client", "server", "drain", "--reason", "upgrade", "--every", "0.1"],
        env={**os.environ, "BIDE_URL": stub.url, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert held.wait(20)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    release.set()
    assert (process.returncode, out) == (exit_codes.INTERRUPTED, "draining: 7 tasks left\n")
    assert "the server stays closed. Open it with: bide server open" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "words",
    [
        ["queue"],
        ["queue", "pause"],
        ["queue", "list", "mail"],
        ["worker"],
        ["stats", "--minutes", "5"],
        ["stats", "--name", "echo"],
        ["stats", "--series", "--minutes", "1441"],
        ["stats", "--series", "--minutes", "0"],
        ["top", "--every", "0"],
        ["server", "drain"],
    ],
    ids=" ".join,
)
def test_a_wrong_word_of_these_ends_with_2(served: StubServer, bide: Bide, words: list[str]) -> None:
    ran = bide(*words)
    assert (ran.code, ran.out, served.asked) == (exit_codes.USAGE, "", [])
