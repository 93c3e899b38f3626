"""Operator commands: they need the server's packages, and join by the entry point group `bide.commands`.

An entry is an object with `add_options(parser)` and `run(options)`. It is loaded when its
command is chosen, so that every other command does without what it imports.
"""

from __future__ import annotations

import os
import sys
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

GROUP: Final = "bide.commands"

OWN: Final = (
    EntryPoint("check", "bide.operate.check:command", GROUP),
    EntryPoint("cost", "bide.operate.cost:command", GROUP),
    EntryPoint("doctor", "bide.operate.doctor:command", GROUP),
    EntryPoint("scaling", "bide.operate.simulate:command", GROUP),
)
"""What pyproject.toml says of Bide itself: a clone may be used without being installed."""

HELP: Final = {
    "check": "would the tasks in flight go on with the code here? For deploys",
    "cost": "what would a workload cost, here and elsewhere?",
    "doctor": "is the server well? Settings, store, queues, workers; each fault with its remedy",
    "scaling": "replay an arrivals file through the autoscaler",
}


class NotInstalled(Exception):
    """An operator command lacks a package."""


def found() -> dict[str, EntryPoint]:
    """Every operator command by its name, sorted."""
    entries = {entry.name: entry for entry in (*OWN, *entry_points(group=GROUP))}
    return dict(sorted(entries.items()))


def load(entry: EntryPoint) -> Any:
    """The command. The folder it is run in is searched too: the tasks of a project are there.

    Raises NotInstalled.
    """
    if not {"", os.getcwd()} & set(sys.path):
        sys.path.append(os.getcwd())
    try:
        return entry.load()
    except ModuleNotFoundError as error:
        raise NotInstalled(
            f"`bide {entry.name}` needs the server's packages ({error.name} is missing): "
            "pip install '.[server]'"
        ) from error
