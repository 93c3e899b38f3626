"""Whom quick mode lets in without a key: the user who runs it, unless it is open to all."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from bide.settings import Settings
from local import peer
from local.asgi import problem
from local.proxy_event import Answer

Address = tuple[str, int]
Admission = Callable[[Address, Address], Answer | None]
"""Client's and server's end of a connection -> None, or what all of its requests are answered."""

_WAYS: Final = (
    "That user may set BIDE_LOCAL_OPEN=1, which lets in everybody who reaches the port, or give out API "
    "keys, whose hashes go into BIDE_API_KEY_HASHES."
)
_STRANGER: Final = f"This server answers the user alone who runs it, and another user asks. {_WAYS}"
_UNKNOWN: Final = (
    "This server answers the user alone who runs it, and whose this connection is cannot be told, as where a "
    f"container asks. {_WAYS}"
)


def admission(settings: Settings) -> Admission | None:
    """Who may connect by these settings; None for all: keys decide, or nothing does."""
    if not settings.is_keyless or settings.local_open or not peer.TELLS:
        return None
    return of_user(os.geteuid())


def of_user(uid: int) -> Admission:
    """Admit this user's connections alone.

    Root's are none of them: services of root pass on what others send, and root can act as the user.
    """

    def admit(client: Address, server: Address) -> Answer | None:
        found = peer.peer_uid(client, server)
        if found == uid:
            return None
        return problem(403, "FORBIDDEN_USER", _UNKNOWN if found is None else _STRANGER)

    return admit
