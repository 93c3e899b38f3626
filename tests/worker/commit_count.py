"""Counts how often each task's outcome is committed, inside the scripts that commit it.

The step that ends a task (lua/_finish.lua) also notes the task's id on a list of the slot.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from bide import scripts
from bide.store import Store

_LIST = "commits"
_STEP = "local function finish(id, run, state, outcome, now_ms, name)\n"
_NOTE = f"  redis.call('RPUSH', string.match(KEYS[1], '^.*:') .. '{_LIST}', id)\n"


def counting() -> Callable[[str], scripts.Script]:
    """A `scripts.load` whose scripts count."""
    plain, made = scripts.load, {}
    assert all(_STEP in plain(name).source for name in ("exchange", "cancel", "tick"))

    def load(name: str) -> scripts.Script:
        if name not in made:
            script = plain(name)
            source = script.source.replace(_STEP, _STEP + _NOTE)
            sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
            made[name] = replace(script, source=source, sha=sha)
        return made[name]

    return load


def commits(store: Store, slot: str = "default") -> Counter[bytes]:
    """How many times each id's task has ended."""
    done = store.keys.slot(slot, ("done",))[0]
    ids: list[bytes] = store.command("LRANGE", done.removesuffix("done") + _LIST, 0, -1)
    return Counter(ids)
