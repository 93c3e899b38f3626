"""The demo judges right."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from bide_client import Client
from local import demo
from local.children import ROOT


class OneAnswer(Client):
    """A client whose every task ends with one result."""

    def __init__(self, result: dict[str, Any]) -> None:
        self._result = result

    def submit(self, name: str, /, **args: Any) -> Any:
        return self

    def result(self, timeout: float) -> dict[str, Any]:
        return self._result


CHECKS = {check.kind: check for check in demo.checks("http://site", "http://nobody")}


def result(kind: str, **changes: Any) -> dict[str, Any]:
    """A right result, but for the changes."""
    right = {"elapsed_ms": 1.0, "bytes": 0, **CHECKS[kind].expected}
    if right["error"]:
        right["error"] += ": in more words"
    return {**right, **changes}


@pytest.mark.parametrize("kind", CHECKS)
def test_a_right_result_is_right(kind: str) -> None:
    assert demo.run(OneAnswer(result(kind)), CHECKS[kind]).wrong is None


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("good", {"bytes": 1}),
        ("slow", {"ok": False}),
        ("failing", {"status": 502}),
        ("redirecting", {"status": 302}),
        ("looping", {"error": "ReadTimeout: no"}),
        ("hanging", {"error": None}),
        ("refusing", {"url": "http://elsewhere"}),
    ],
)
def test_a_wrong_result_is_wrong(kind: str, changes: dict[str, Any]) -> None:
    assert demo.run(OneAnswer(result(kind, **changes)), CHECKS[kind]).wrong is not None


def test_several_hundred_pages_of_every_kind_are_checked() -> None:
    work = list(demo.checks("http://site", "http://nobody"))
    assert len(work) >= 300
    assert len({check.arguments["url"] for check in work}) == len(work)


def test_the_demo_ends_well() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "local.demo"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "right results    400" in ended.stdout
    assert ended.stderr == ""


def test_ctrl_c_ends_the_demo_soon_and_leaves_nothing(tmp_path: Path) -> None:
    environ = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-u", "-m", "local.demo"]
    with subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("checking 400 pages")
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    assert not any(child.is_running() for child in children)
    assert list(tmp_path.iterdir()) == []
