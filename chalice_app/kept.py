"""What many may ask for at once and costs something to make: made once a second, and kept meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from bide.errors import StoreUnavailable

KEPT_SECONDS: Final = 1.0

_Made = TypeVar("_Made")


class Kept(Generic[_Made]):
    """The latest of something, in this process. Thread-safe: who comes while it is made waits for it."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._of: object = None
        self._until = 0.0
        self._made: _Made | StoreUnavailable | None = None

    def get(self, of: object, make: Callable[[], _Made]) -> _Made:
        """What `make` returned within the last second, if it was for the same `of`; else it is called.

        Raises StoreUnavailable, which is kept as well: a store that is away is asked no more often.
        """
        with self._lock:
            made = self._made
            if made is None or self._of != of or self._monotonic() >= self._until:
                try:
                    made = make()
                except StoreUnavailable as error:
                    made = error
                self._of, self._made, self._until = of, made, self._monotonic() + KEPT_SECONDS
        if isinstance(made, StoreUnavailable):
            raise StoreUnavailable(made.message) from made
        return made
