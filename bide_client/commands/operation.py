"""`bide operation`: the redrives and purges that the server carries out."""

from __future__ import annotations

import argparse
from typing import Final

from bide_client import exit_codes, tables
from bide_client.client import Client
from bide_client.operation import Operation
from bide_client.screen import emit, of_stdout, say
from bide_client.table import Line
from bide_client.words import Commands, Parser, command, group

EXAMPLES: Final = """\
examples:
  bide operation list                         the latest redrives and purges
  bide operation show OPERATION
  bide operation watch OPERATION              follow it until it is done
"""
_CHANGED: Final = {"redrive": "run again", "purge": "erased"}


def add(found: Commands[Parser]) -> None:
    """The words of each."""
    verbs = group(found, "operation", "see the redrives and purges that the server carries out", EXAMPLES)
    command(verbs, "list", list_operations, "the latest redrives and purges, at most 100")
    for name, run, help in (("show", show, "print one"), ("watch", watch, "follow one until it is done")):
        parser = command(verbs, name, run, help)
        parser.add_argument("operation", metavar="OPERATION", help="the operation's id")


def list_operations(client: Client, options: argparse.Namespace) -> int:
    """Print a line for each operation."""
    operations = client.operations()
    if options.json:
        emit({"operations": [operation.json for operation in operations]})
    elif operations:
        of_stdout().show(tables.operations(operations))
    else:
        of_stdout().show("no redrive or purge has been asked for")
    return exit_codes.OK


def show(client: Client, options: argparse.Namespace) -> int:
    """Print one."""
    operation = client.operation(options.operation)
    if options.json:
        emit(operation.json)
    else:
        of_stdout().show(tables.operations([operation]))
    return exit_codes.OK


def watch(client: Client, options: argparse.Namespace) -> int:
    """Print how it goes on, until it is done; with --json a document whenever that is new."""
    if not options.json:
        follow(client, options.operation)
        return exit_codes.OK
    last = None
    for operation in client.follow(options.operation):
        if operation.json != last:
            emit(operation.json)
        last = operation.json
    return exit_codes.OK


def follow(client: Client, id: str) -> Operation:
    """Show how an operation goes on; return it when it is done."""
    try:
        with of_stdout().line() as tell:
            for operation in client.follow(id):
                tell(Line(summary(operation), _fraction(operation)))
    except KeyboardInterrupt:
        say(f"the server goes on with it. See it with: bide operation watch {id}")
        raise
    return operation


def summary(operation: Operation) -> str:
    """What came of it so far, on one line."""
    what = f"{operation.kind} of {operation.queue}"
    if operation.dry_run:
        fit = "failed task fits" if operation.matched == 1 else "failed tasks fit"
        return f"{what}: {operation.matched:,} {fit}{'' if operation.done else ' so far'}"
    changed = f"{operation.changed:,} {_CHANGED.get(operation.kind, 'changed')}"
    skipped = f", {operation.skipped:,} skipped" if operation.skipped else ""
    return f"{what}: {changed}{skipped}{'' if operation.done else f', of {operation.matched:,} so far'}"


def _fraction(operation: Operation) -> float | None:
    if operation.dry_run or not operation.matched:
        return None
    return (operation.changed + operation.skipped) / operation.matched
