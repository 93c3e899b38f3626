"""`bide worker`: the workers, and what they hold."""

from __future__ import annotations

import argparse
from typing import Final

from bide_client import exit_codes, render, tables
from bide_client.client import Client
from bide_client.screen import emit, of_stdout
from bide_client.table import Block
from bide_client.words import Commands, Parser, command, group
from bide_client.workers import Worker

EXAMPLES: Final = """\
examples:
  bide worker list                            who works, on what, and how long is it leased?
  bide worker list --json
"""


def add(found: Commands[Parser]) -> None:
    """The words of it."""
    verbs = group(found, "worker", "see the workers", EXAMPLES)
    command(verbs, "list", list_workers, "the workers, and the tasks that they hold")


def list_workers(client: Client, options: argparse.Namespace) -> int:
    """Print the workers and what they hold."""
    workers = client.workers()
    if options.json:
        emit({"workers": [worker.json for worker in workers]})
    elif workers:
        of_stdout().show(*blocks(workers))
    else:
        of_stdout().show("no worker is there; one starts when there is work")
    return exit_codes.OK


def blocks(workers: tuple[Worker, ...], most: int | None = None) -> list[Block]:
    """The workers, and at most `most` of the tasks that they hold, the longest running first."""
    held = tables.held(workers, most)
    more = sum(worker.tasks_total for worker in workers) - len(held.rows)
    shown: list[Block] = [tables.workers(workers)]
    if held.rows:
        shown += ["", held]
    if more > 0:
        shown.append(f"and {render.counted(more, 'more task')}")
    return shown
