"""The line between the supervisor and a child, and how a child says why it cannot start."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from local.children import Child, Role, spawn
from local.line import Failed, Need, Ready, Report, describe


async def reports_of(role: Role, environ: dict[str, str], until: type[Report]) -> list[Report]:
    """What a child reports until a report of this kind, or its end."""
    seen: list[Report] = []
    enough = asyncio.Event()

    def on_report(child: Child, report: Report) -> None:
        seen.append(report)
        if isinstance(report, until):
            enough.set()

    child = await spawn(role, {**os.environ, **environ})
    following = asyncio.create_task(child.follow(on_report))
    await asyncio.wait([following, asyncio.create_task(enough.wait())], return_when=asyncio.FIRST_COMPLETED)
    child.signal(signal.SIGTERM)
    await following
    return seen


def test_a_child_says_that_it_is_ready() -> None:
    environ = {"BIDE_REDIS_URL": "redis://127.0.0.1:1"}
    assert asyncio.run(reports_of(Role("tick"), environ, Ready)) == [Ready()]


def test_a_child_that_cannot_start_says_why() -> None:
    seen = asyncio.run(reports_of(Role("tick"), {"BIDE_TICK_SECONDS": "never"}, Need))
    assert len(seen) == 1
    assert isinstance(seen[0], Failed)
    assert "BIDE_TICK_SECONDS" in seen[0].problem


def test_a_mistake_in_a_module_is_described_with_its_place(tmp_path: Path) -> None:
    module = tmp_path / "broken.py"
    module.write_text("first = 1\nsecond = first / 0\n")
    with pytest.raises(ZeroDivisionError) as caught:
        exec(compile(module.read_text(), str(module), "exec"), {})
    assert describe(caught.value) == f"{module}:2: ZeroDivisionError: division by zero"


def test_a_syntax_error_is_described_with_its_place() -> None:
    with pytest.raises(SyntaxError) as caught:
        compile("fine = 1\nnot = fine", "some/where.py", "exec")
    assert describe(caught.value).startswith("some/where.py:2: SyntaxError: ")
