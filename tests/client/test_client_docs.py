"""docs/client.md and the examples say what is true: their code runs, their tables match."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import bide_client
from bide_client import completion, exit_codes, parser

from .replies import ID, accepted, cancelled, line_json, listed, log, operating, succeeded, task_json
from .stub_server import Asked, Reply, StubServer

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "client.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"^```python\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


def obliging() -> Any:
    """A server on which every task succeeds at the first poll, unless it was cancelled."""
    ended: list[Reply] = []

    def answer(asked: Asked) -> Reply:
        path, _, query = asked.path.partition("?")
        if path == "/v1/batches":
            return Reply(202, {"items": [{"task": task_json()} for _ in asked.json["items"]]})
        if path.endswith("/redrive"):
            return operating(dry_run=asked.json["dry_run"])
        if path.startswith("/v1/operations"):
            return operating()
        if path.endswith("/log"):
            return log(line_json(1), done=True) if "after=0" in query else log(next=1, done=True)
        if asked.method == "GET" and path == "/v1/tasks":
            return listed(ID, state="failed", error={"code": "TIMEOUT", "message": "too slow"})
        if path == "/v1/tasks" or path.endswith("/retry"):
            return accepted()
        if path.endswith("/cancel"):
            ended.append(cancelled())
        return ended[-1] if ended else succeeded()

    return answer


def run(url: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Python as a reader of the docs would."""
    return subprocess.run(
        [sys.executable, *words],
        env={**os.environ, "BIDE_URL": url, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("code", SNIPPETS, ids=map(str, range(1, len(SNIPPETS) + 1)))
def test_a_snippet_of_the_docs_runs(stub: StubServer, code: str) -> None:
    stub.otherwise = obliging()
    ran = run(stub.url, "-c", code)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert stub.asked


def test_the_docs_have_snippets() -> None:
    assert len(SNIPPETS) >= 8


def test_every_command_of_the_parser_is_shown() -> None:
    """Each has a line among the examples, or is named in one; and every example can be parsed."""
    examples = re.search(r"^```\n(bide submit.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    assert examples is not None
    lines = [line.split("  ")[0] for line in examples[1].splitlines() if line]
    for place in completion.places(parser.build()):
        words = place.path.split()
        if len(words) == 2 and not place.words:
            assert any(line.startswith(place.path) for line in lines), place.path
        elif len(words) == 3:
            assert any(line.startswith(" ".join(words[:2])) for line in lines), place.path
            assert words[2] in examples[1], place.path
    for line in lines:
        parser.parse(shlex.split(line)[1:])


def test_every_error_is_in_the_tree() -> None:
    exported = {name: getattr(bide_client, name) for name in bide_client.__all__}
    errors = {
        name for name, kind in exported.items() if isinstance(kind, type) and issubclass(kind, Exception)
    }
    assert len(errors) > 20
    assert errors - set(re.findall(r"\w+", TEXT)) == set()


def test_the_example_prints_each_result(stub: StubServer) -> None:
    stub.otherwise = obliging()
    ran = run(stub.url, str(ROOT / "examples" / "submit_and_wait.py"))
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == f"{ID}  1\n" * 4


def test_the_example_without_a_server_says_what_to_do() -> None:
    with StubServer() as gone:
        url = gone.url
    ran = run(url, str(ROOT / "examples" / "submit_and_wait.py"))
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "Is `make up` running?" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_the_table_of_exit_codes_is_the_codes() -> None:
    table = re.findall(r"^\| (\d+) \| (.+) \|$", TEXT, re.MULTILINE)
    assert [(int(code), meaning) for code, meaning in table] == list(exit_codes.MEANINGS.items())
