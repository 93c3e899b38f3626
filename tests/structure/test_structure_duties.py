"""Nothing that runs for long on one machine ends unheard: it is a duty, or somebody awaits it."""

from __future__ import annotations

import ast

from source_tree import product

HEARD = {
    "local.acceptor": "asyncio logs a connection that could not be opened; the next ones are taken",
    "local.aws.running": "`ended` awaits it, and the stack stops",
    "local.children": "`follow` awaits what is reported",
    "local.demo": "awaited when the child is ended",
    "local.emulator.dispatcher": "logged when an invocation ends",
    "local.emulator.environment": "asyncio logs it; the wait for a process has nothing to fail of",
    "local.emulator.event_queue": "tries every failure again",
    "local.emulator.queues": "logged when a batch ends",
    "local.http_server": "stops the server however it ends",
    "local.line": "ends the process however it ends",
    "local.reload": "ends the duty that it is a part of",
    "local.up": "`up` awaits them",
}
"""Modules that begin a task or a thread which is no duty, and who hears of its end."""


def begins_unwatched(source: str) -> bool:
    """Whether something is begun that `bide.duty` does not perform."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute | ast.Name):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
        if name == "Thread" or (
            name in ("create_task", "ensure_future") and "perform(" not in ast.unparse(node.args[0])
        ):
            return True
    return False


def test_what_is_begun_is_a_duty_or_somebody_hears_of_its_end() -> None:
    found = {
        name
        for name, path in product().items()
        if name.startswith("local.") and begins_unwatched(path.read_text(encoding="utf-8"))
    }
    assert found == set(HEARD)
