"""Cold starts: from the start of an environment's process to its first answer, against a bare Chalice app.

`python -m bench.cold` prints, besides the lines, what the first request imports.
"""

from __future__ import annotations

import hashlib
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Final, NamedTuple

from bench.bed import PREFIX, Bed, bed, submission
from bench.cold_packages import bare_package, our_package
from bench.errors import BenchFailed
from bench.lambda_environment import Environment, supply
from bench.line import Line, at_most
from bench.sample import median, spread
from bide.settings import DEFAULT_QUEUE

HTTP: Final = "app.app"
DRAIN: Final = "app.drain"

_LEAVES_AT_ONCE: Final = {"BIDE_IDLE_SECONDS": "0", "BIDE_WORKERS_MIN": "0"}
"""Settings of a worker that leaves when it has nothing to do."""

_KEY: Final = "bench"
_ROUNDS: Final = 15
_QUICK_ROUNDS: Final = 5
_WARM: Final = 300
_SHOWN: Final = 15
"""Rows of the import table."""

_IMPORT: Final = re.compile(r"^import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)$", re.MULTILINE)
"""One line of `-X importtime`: microseconds of the module itself, and its name."""


class Packages(NamedTuple):
    """Unpacked packages, and what Lambda supplies."""

    bare: Path
    plain: Path
    prepared: Path
    supplied: Path


def measure(quick: bool) -> Iterator[Line]:
    with packages() as made, bed() as store, _lambda() as endpoint:
        rounds = _QUICK_ROUNDS if quick else _ROUNDS
        contenders = {
            "bare": lambda: _first_answer(made, made.bare, {}),
            "plain": lambda: _first_answer(made, made.plain, _variables(store)),
            "http": lambda: _first_answer(made, made.prepared, _variables(store)),
            "ringing": lambda: _first_answer(made, made.prepared, _ringing(store, endpoint)),
            "worker": lambda: _first_task(made, store),
        }
        times = _interleaved(contenders, rounds)
        if endpoint.calls < rounds:
            raise BenchFailed(
                f"{endpoint.calls} calls of Lambda in {rounds} rounds: who should, did not ring"
            )
        yield from _lines(times, rounds)
        warm = _warm(made, store)
        yield Line(
            "cold", "warm submit in the handler, p50", median(warm), "ms", at_most(3),
            note=f"{len(warm)} requests, the runtime client and its way here included",
        )  # fmt: skip


def _interleaved(contenders: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each contender's rounds; in each round all start once, by turns in either order."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        names = list(contenders)
        for name in names if number % 2 else reversed(names):
            times[name].append(contenders[name]())
    return {name: values[1:] for name, values in times.items()}  # the first round fills the page cache


def _lines(times: dict[str, list[float]], rounds: int) -> Iterator[Line]:
    """Each ratio is the median of the rounds' own ratios: what slows a round down slows both of its sides."""

    def compared(name: str, label: str, bound: float | None = None, note: str = "") -> Line:
        ratios = [own / bare for own, bare in zip(times[name], times["bare"], strict=True)]
        goal = None if bound is None else at_most(bound)
        return Line("cold", label, median(ratios), "x", goal, spread(ratios), note)

    def taken(name: str, label: str) -> Line:
        return Line("cold", label, median(times[name]), "ms", spread=spread(times[name]))

    note = f"{rounds} rounds in turn"
    yield compared("http", "first POST against a bare app's", 2.5, note)
    yield compared("plain", "first POST as Chalice packs it")
    yield compared("ringing", "first POST that rings for a worker", note="boto3 and a call of Lambda")
    yield compared("worker", "worker to its first task, against the same", 3, note)
    yield taken("bare", "a bare app, p50")
    yield taken("http", "first POST, p50")
    yield taken("worker", "worker to its first task, p50")


@contextmanager
def packages() -> Iterator[Packages]:
    """All packages, built for this run."""
    with tempfile.TemporaryDirectory(prefix="bide-bench-cold-") as folder:
        root = Path(folder)
        ours = our_package(root / "ours")
        yield Packages(bare_package(root / "bare"), ours.plain, ours.prepared, supply(root / "supplied"))


def _variables(store: Bed) -> dict[str, str]:
    digest = hashlib.sha256(_KEY.encode()).hexdigest()
    return {"BIDE_REDIS_URL": store.url, "BIDE_PREFIX": PREFIX, "BIDE_API_KEY_HASHES": digest}


def _ringing(store: Bed, endpoint: _Lambda) -> dict[str, str]:
    store.clear()  # nobody is awake, nor about to be
    return {
        **_variables(store),
        "BIDE_WAKE": "invoke",
        "BIDE_DRAIN_FUNCTION": "bide-bench-drain",
        "AWS_ENDPOINT_URL_LAMBDA": endpoint.url,
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
    }


def _first_answer(made: Packages, package: Path, variables: dict[str, str]) -> float:
    with Environment(package, made.supplied, HTTP, variables) as environment:
        began = environment.start()
        answer = environment.answer(event())
    _expect_accepted(answer.payload, package)
    return (answer.arrived - began) * 1000


def _first_task(made: Packages, store: Bed) -> float:
    """Until the first line of a task that waits for the worker."""
    store.clear()
    submitting = store.store()
    id = submitting.submit(submission("clock")).id
    variables = _variables(store) | _LEAVES_AT_ONCE
    with Environment(made.prepared, made.supplied, DRAIN, variables) as environment:
        began = environment.start()
        environment.answer({})
    result: Any = submitting.command("HGET", store.keys.slot(DEFAULT_QUEUE, ("results",))[0], id.key)
    submitting.client.close()
    if result is None:
        raise BenchFailed("the worker left its task undone")
    return int(result) / 1e6 - began * 1000


def _warm(made: Packages, store: Bed) -> list[float]:
    with Environment(made.prepared, made.supplied, HTTP, _variables(store)) as environment:
        environment.start()
        environment.answer(event())
        times = []
        for _ in range(_WARM):
            asked = time.monotonic()
            times.append((environment.answer(event()).arrived - asked) * 1000)
    return times


def imports(made: Packages, store: Bed, handler: str) -> list[tuple[int, str]]:
    """Microseconds and name of every module that is loaded up to the first answer, in that order."""
    variables, options = _variables(store) | _LEAVES_AT_ONCE, ("-X", "importtime")
    with Environment(made.prepared, made.supplied, handler, variables, options=options) as environment:
        environment.start()
        environment.answer(event())
    return [(int(took), name) for took, name in _IMPORT.findall(environment.printed.decode())]


def event() -> dict[str, Any]:
    """POST /v1/tasks, as API Gateway passes it on."""
    headers = {"Authorization": f"Bearer {_KEY}", "Content-Type": "application/json"}
    return {
        "resource": "/v1/tasks",
        "path": "/v1/tasks",
        "httpMethod": "POST",
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": None,
        "stageVariables": None,
        "requestContext": {
            "httpMethod": "POST",
            "identity": {"sourceIp": "127.0.0.1"},
            "path": "/api/v1/tasks",
            "resourcePath": "/v1/tasks",
            "stage": "api",
        },
        "body": '{"name": "noop", "args": {"value": 1}}',
        "isBase64Encoded": False,
    }


def _expect_accepted(payload: Any, package: Path) -> None:
    if payload["statusCode"] not in (200, 202):
        raise BenchFailed(f"{package.name} answered {payload['statusCode']}: {payload['body']}")


class _Lambda(ThreadingHTTPServer):
    """As much of Lambda's API as a wake needs: it accepts every call and counts them."""

    daemon_threads = True
    calls = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Accepting(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Lambda

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.calls += 1
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def _lambda() -> Iterator[_Lambda]:
    with _Lambda(("127.0.0.1", 0), _Accepting) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def main() -> int:
    from bench.report import printed

    missed = 0
    for line in measure(quick="--quick" in sys.argv):
        print(printed(line), flush=True)
        missed += not line.passed
    with packages() as made, bed() as store:
        for title, handler in (("first POST", HTTP), ("worker", DRAIN)):
            rows = imports(made, store, handler)
            print(f"\n{title}: {len(rows)} modules, {sum(took for took, _ in rows) / 1000:.1f} ms; longest:")
            for took, name in sorted(rows, reverse=True)[:_SHOWN]:
                print(f"{took / 1000:8.2f} ms  {name}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
