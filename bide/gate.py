"""Closing and opening the server: the flag, its epoch, and its copy in every slot."""

from __future__ import annotations

from dataclasses import dataclass

from bide.errors import StoreUnavailable
from bide.store import Store


@dataclass(frozen=True, slots=True)
class Gate:
    """Whether the server accepts submissions."""

    accepting: bool
    reason: str
    retry_after: int
    """Seconds; 0 is no hint."""
    epoch: int
    """Grows with every close and open."""
    changed_ms: int


class Gatekeeper:
    """Closes and opens. Every method may raise StoreUnavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._keys = store.keys.server(("state", "slots"))

    def close(self, reason: str, retry_after: int = 0) -> Gate:
        """Refuse submissions. When this returns, no process anywhere accepts one.

        StoreUnavailable names the queues that have not confirmed.
        """
        return self._set("0", reason, retry_after)

    def open(self) -> Gate:
        """Accept submissions again."""
        return self._set("1", "", 0)

    def read(self) -> Gate:
        """The flag as it stands. A server that has never been told is open."""
        state = self._store.fields(self._keys[0])
        return Gate(
            accepting=state.get(b"accepting", b"1") == b"1",
            reason=state.get(b"reason", b"").decode(),
            retry_after=int(state.get(b"retry_after", 0)),
            epoch=int(state.get(b"epoch", 0)),
            changed_ms=int(state.get(b"changed_ms", 0)),
        )

    def _set(self, accepting: str, reason: str, retry_after: int, newest: int = 0) -> Gate:
        store = self._store
        wish = (accepting, reason, retry_after)
        epoch, slots = store.script("gate", self._keys, store.now_ms(), *wish, newest)
        untold = sorted(slot.decode() for slot in slots)
        for slot in tuple(untold):
            try:
                known = store.slot_script("apply_gate", slot, *wish, epoch)
            except StoreUnavailable as error:
                raise StoreUnavailable(f"Queues not yet told: {', '.join(untold)}. {error}") from error
            if known > epoch and self.read().epoch == epoch:
                # The server's own record is older than its copies: it was lost. Go past them.
                return self._set(*wish, newest=known)
            untold.remove(slot)
        return self.read()
