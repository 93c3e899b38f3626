"""The root of the error tree. See bide/errors.py."""

from __future__ import annotations

from typing import ClassVar


class BideError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "ERROR"

    def __init__(self, message: str | None = None) -> None:
        self.message = message or (type(self).__doc__ or "").strip()
        super().__init__(self.message)
