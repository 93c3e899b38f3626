"""Starts what a request has made necessary."""

from __future__ import annotations

import logging

from bide.replies import Need
from chalice_app.services import Services

_log = logging.getLogger("bide.api")


def wake(services: Services, slot: str, need: Need) -> None:
    """Start what the slot needs. What was asked for is recorded: a waking that fails only delays it."""
    try:
        services.waker.answer(slot, need)
    except Exception:
        _log.exception("Nobody could be woken for queue %s; the tick will", slot)
