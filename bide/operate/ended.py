"""How an operator command has ended; the `bide` command makes an exit code of it."""

from __future__ import annotations

from enum import StrEnum


class Ended(StrEnum):
    """One for each exit code that operator commands use."""

    DONE = "done"
    MISUSED = "misused"
    """A setting or the command line is wrong; the store was not asked."""
    UNREACHABLE = "unreachable"
    MISMATCHED = "mismatched"
    """`bide check`: the code does not fit the journals."""
    FAULTY = "faulty"
    """`bide doctor`: something is wrong with the server."""
