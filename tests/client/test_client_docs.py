"""docs/client.md and the examples say what is true: their code runs, their tables match."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bide_client import exit_codes

from .replies import ID, accepted, cancelled, succeeded
from .stub_server import Asked, Reply, StubServer

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "client.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"^```python\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


def obliging() -> Any:
    """A server on which every task succeeds at the first poll, unless it was cancelled."""
    ended: list[Reply] = []

    def answer(asked: Asked) -> Reply:
        if asked.path == "/v1/tasks":
            return accepted()
        if asked.path.endswith("/cancel"):
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
    assert len(SNIPPETS) >= 4


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
