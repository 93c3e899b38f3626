"""The only speller of store keys.

A key is `<prefix>:{<tag>}:<name>`. The braces are the cluster's hash tag: all keys
of one slot live on one node, so that one script may touch them. A queue's tag is
`q.<queue>`, the server's own is `server`; no queue name holds a dot.
docs/store.md describes each key.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

SLOT_KEYS: Final = (
    "meta", "specs", "arguments", "runs", "results", "ready", "isolated", "due", "leased", "done", "ends",
    "dead", "log", "journal", "inbox", "progress", "watched", "idempotency", "uniques", "attempts", "lines",
    "revived", "listeners", "bell", "workers", "ledgers", "signals", "stats", "starting", "decisions",
    "operations", "series",
)  # fmt: skip
"""Names of the keys that each queue's slot has."""

SERVER_KEYS: Final = ("state", "slots", "waits", "epochs")
"""Names of the keys of the server as a whole."""


class Keys:
    """Spells keys under one prefix."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def slot(self, slot: str, names: Sequence[str]) -> tuple[str, ...]:
        """The keys called `names` (from SLOT_KEYS) of one queue's slot."""
        return tuple(f"{self._prefix}:{{q.{slot}}}:{name}" for name in names)

    def server(self, names: Sequence[str]) -> tuple[str, ...]:
        """The keys called `names` (from SERVER_KEYS) of the server's slot."""
        return tuple(f"{self._prefix}:{{server}}:{name}" for name in names)

    def personal_bell(self, slot: str, worker: str) -> str:
        """The bell of one worker, for cancels of what it runs; expires by itself."""
        return f"{self._prefix}:{{q.{slot}}}:bell/{worker}"
