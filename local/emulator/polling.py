"""What event sources that poll have in common: blocking calls in threads, and patience with their service."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

from local.emulator.errors import Refused
from local.emulator.pool import Outcome

Invoke = Callable[[str, bytes, str | None], Awaitable[Outcome]]
"""Function, event and trace header of an invocation -> what came of it. Raises Refused."""

SERVICE_ERRORS: Final = (BotoCoreError, ClientError)

_PAUSE_SECONDS: Final = 1.0
"""How long a service that fails is left alone."""

_log = logging.getLogger(__name__)


class Calls:
    """Calls of one boto3 client, from the event loop, while it is entered."""

    def __init__(self, client: Any, threads: int) -> None:
        self._client = client
        self._count = threads
        self._threads: ThreadPoolExecutor

    def __enter__(self) -> None:
        self._threads = ThreadPoolExecutor(self._count, thread_name_prefix="event-source")

    def __exit__(self, *_: object) -> None:
        """Start no more calls; one that is under way ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def call(self, method: str, **arguments: Any) -> dict[str, Any]:
        """One call of the service. Raises SERVICE_ERRORS."""
        loop = asyncio.get_running_loop()
        call = partial(getattr(self._client, method), **arguments)
        answer: dict[str, Any] = await loop.run_in_executor(self._threads, call)
        return answer

    async def pause(self, error: Exception) -> None:
        """Leave the service alone for a while after an error, which is logged."""
        _log.warning("an event source has to wait: %s", error)
        await asyncio.sleep(_PAUSE_SECONDS)


async def succeeds(invoke: Invoke, function: str, event: bytes, trace: str | None) -> Outcome | None:
    """Invoke a function for a batch; None when it was refused or ended in an error."""
    try:
        outcome = await invoke(function, event, trace)
    except Refused as refusal:
        _log.info("%s was not invoked for a batch: %s", function, refusal)
        return None
    return None if outcome.failed else outcome
