"""What an error reply of the store means, by its code: one table for every client. Pure.

A reply is a code, a blank and a text for people, such as `OOM command not allowed ...`. The code `ERR` says
nothing: there the text has to tell. An error that nobody here knows is the store's, too: whoever asked tries
again later. Only what a script of ours, or a command as we spell it, has got wrong is a ScriptError.
"""

from __future__ import annotations

from typing import Final

from bide.errors import ScriptError, StoreError, StoreUnavailable


class NoScript(StoreUnavailable):
    """The store does not know a script by this hash: it wants to be told it whole."""


class Passing(StoreUnavailable):
    """A state of the store that may be over in a moment: the same call is worth another try at once."""


_PASSING: Final = {
    "READONLY": "is read-only just now",
    "UNBLOCKED": "has just changed its role",
    "TRYAGAIN": "is moving its keys to another node",
    "CLUSTERDOWN": "has lost a part of its cluster",
    "MASTERDOWN": "is a replica that has lost its primary",
    "ERR max number of clients": "has as many connections as it takes",
    "ERR internal error": "has met an error of its own",
    "ERR service is not available": "is not available",
}
"""By how a reply begins: what the store is or has. It may be over in a moment, or on another connection."""

_WRONG_PASSWORD: Final = ("refused the password in BIDE_REDIS_URL", "Put the right one there.")
_NO_PASSWORD: Final = ("refused the password in BIDE_REDIS_URL", "It knows none: leave it out.")
_SHARDS: Final = (
    "is a cluster of several shards, and this address is one of them",
    "Use a cluster of one shard, or ElastiCache Serverless, which answers for all at one address.",
)
_LASTING: Final = {
    "LOADING": ("is loading its data", "Try again."),
    "BUSY": ("is busy with a script that has run for seconds", "Try again; SCRIPT KILL ends one that hangs."),
    "NOREPLICAS": ("has fewer replicas than it wants for a write", "Try again, or see what became of them."),
    "OOM": ("is full", "It accepts again when finished tasks have made room; or give it more memory."),
    "MISCONF": ("cannot write to its disk", "Make room there, or see in the store's log what is wrong."),
    "NOAUTH": _WRONG_PASSWORD,
    "WRONGPASS": _WRONG_PASSWORD,
    "ERR invalid password": _WRONG_PASSWORD,
    "ERR AUTH": _NO_PASSWORD,
    "ERR Client sent AUTH": _NO_PASSWORD,
    "NOPERM": ("forbids that to the user in BIDE_REDIS_URL", "Give it those that docs/operating.md lists."),
    "ERR DB index": ("has no such database as BIDE_REDIS_URL names", "Name one that it has, such as /0."),
    "MOVED": _SHARDS,
    "ASK": _SHARDS,
}
"""Likewise: what the store is or does, and what to do about it. No second try would help at once."""

_OURS: Final = (
    "WRONGTYPE", "CROSSSLOT", "ERR unknown command", "ERR unknown subcommand",
    "ERR wrong number of arguments", "ERR syntax error", "ERR value is not", "ERR Error running script",
    "ERR Error compiling script",
)  # fmt: skip
"""What a script, or whoever wrote a command, has got wrong."""
_IN_SCRIPT: Final = "user_script:"
"""The place in a script where an error arose."""

DISCARDED: Final = "EXECABORT"
"""The code of the reply to a transaction of which a command was refused."""
_CAUSE: Final = f"{DISCARDED} Transaction discarded because of: "


def explain(said: str) -> StoreError:
    """The error that a reply is; `said` is all of it, code and text."""
    if _begins(said, "NOSCRIPT"):
        return NoScript(f"The store does not know the script that it was told ({said}). Try again.")
    if said.startswith(_CAUSE):
        return explain(said.removeprefix(_CAUSE))
    for begin, state in _PASSING.items():
        if _begins(said, begin):
            return Passing(f"The store {state} ({said}). Try again.")
    for begin, (state, remedy) in _LASTING.items():
        if _begins(said, begin):
            return StoreUnavailable(f"The store {state} ({said}). {remedy}")
    if any(_begins(said, begin) for begin in _OURS) or (_begins(said, "ERR") and _IN_SCRIPT in said):
        return ScriptError(f"The store answered: {said}")
    return StoreUnavailable(f"The store cannot be used, for a reason that is not known here: {said}")


def _begins(said: str, words: str) -> bool:
    """Whether a reply begins with these words, and not with one that only begins like the last of them."""
    return said.startswith(words) and not said[len(words) :][:1].isalnum()
