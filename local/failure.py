"""Why a stack cannot start."""

from __future__ import annotations


class StackFailed(Exception):
    """A part without which nothing works did not start; the message says which, and why."""
