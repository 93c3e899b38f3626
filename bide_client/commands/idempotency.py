"""Keys with which something of unknown fate can be sent again."""

from __future__ import annotations

import argparse
import contextlib
import uuid
from collections.abc import Iterator

from bide_client.errors import ConnectionFailed, ServerClosed, ServerFault


def key(options: argparse.Namespace) -> str:
    """The chosen Idempotency-Key, else a new one."""
    return str(uuid.uuid4()) if options.idempotency_key is None else str(options.idempotency_key)


@contextlib.contextmanager
def repeatable_with(key: str) -> Iterator[None]:
    """Tell the key where it remains unknown whether what was sent with it has been accepted."""
    try:
        yield
    except (ConnectionFailed, ServerFault) as error:
        if may_be_accepted(error):
            error.add_note(f"Perhaps it was accepted: to repeat it safely, add --idempotency-key {key}")
        raise


def may_be_accepted(error: ConnectionFailed | ServerFault) -> bool:
    """Whether what was sent may have been recorded although no answer says so."""
    if isinstance(error, ConnectionFailed):
        return error.may_have_arrived or error.attempts > 1
    return not isinstance(error, ServerClosed) and error.code != "NOT_CONFIGURED"
