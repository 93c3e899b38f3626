"""The whole of Bide on one machine: store, API processes, workers, tick, and their reload."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from bide.duty import Duties
from bide.settings import Settings
from local import ports
from local.api_key import given_key
from local.banner import submission
from local.changes import Changes, in_words
from local.children import Role
from local.line import Tasks
from local.reload import forget_bytecode, watched
from local.stack_store import StackStore
from local.supervisor import API, TICK, WORKER, Supervisor
from local.words import count

_GRACE_SECONDS: Final = 6.0
"""How long workers may go on with their tasks at most, of the ten seconds that Ctrl-C has."""


_SOME_KEY: Final = "YOUR_KEY"
"""Stands for a key that only its owner knows."""


class Stack:
    """Everything behind one listening socket. The caller has claimed the `data` folder."""

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str],
        listener: socket.socket,
        data: Path,
        say: Callable[[str], None],
    ) -> None:
        self.url = f"http://{ports.LOOPBACK}:{listener.getsockname()[1]}"
        needs_key = bool(settings.api_key_hashes or settings.operator_key_hashes)
        self.key = given_key(environ) or _SOME_KEY if needs_key else ""
        """The API key that requests need, as far as it is known here, where hashes come; empty for none."""
        self._settings = settings
        self._environ = environ
        self._listener = listener
        self._store = StackStore(settings.redis_url, data / "store", say)
        self._redis_url = ""
        self._say = say
        self._supervisor: Supervisor | None = None
        self._changes = Changes()
        self._duties = Duties()

    async def start(self) -> bool:
        """Start everything; False when a part could not start: it is tried again. Raises StoreFailed."""
        self._redis_url = await self._store.start(self._settings)
        listener = self._listener.fileno()
        self._supervisor = Supervisor(
            [
                Role(WORKER),
                Role(TICK),
                Role(API, ("--socket", str(listener)), (listener,)),
            ],
            {WORKER: self._settings.workers_min, TICK: 1, API: self._settings.api_processes},
            {WORKER: self._settings.workers_max},
            self.variables(),
            self._say,
        )
        code = partial(watched, self._settings.tasks)
        self._duties.begin("the watch for saved code", partial(self._changes.watch, code))
        complete = await self._supervisor.start()
        self._duties.begin("reloading", self._reload)
        return complete

    def variables(self) -> dict[str, str]:
        """The environment of its parts, once the store runs."""
        return {
            **self._environ,
            "BIDE_LOCAL": "1",
            "BIDE_REDIS_URL": self._redis_url,
            "BIDE_GRACE_SECONDS": f"{min(self._settings.grace_seconds, _GRACE_SECONDS):g}",
        }

    def parts(self) -> str:
        """What it consists of, for a person."""
        apis = count(self._settings.api_processes, "API process", "es")
        return f"{apis}, {count(self._settings.workers_min, 'worker')}"

    def tasks(self) -> Tasks | None:
        """What can be submitted; None as long as no API process could be started."""
        return self._supervisor.tasks if self._supervisor else None

    def problems(self) -> list[str]:
        """What of the tasks could not be loaded."""
        return sorted(self._supervisor.problems) if self._supervisor else []

    def addresses(self) -> str:
        """Where else something can be looked at, for a person; nowhere."""
        return ""

    def parting(self) -> str:
        """What is left to say when it has ended: nothing."""
        return ""

    async def broken(self) -> str:
        """Wait until the stack cannot go on; it always can, since it replaces what ends."""
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    async def stop(self) -> None:
        """Drain and end everything, within ten seconds."""
        await self._duties.end()
        if self._supervisor is not None:
            await self._supervisor.stop()
        await self._store.stop()

    def kill(self) -> None:
        """End everything at once."""
        if self._supervisor is not None:
            self._supervisor.kill()
        self._store.kill()

    def _say_what_came(self, before: Tasks | None) -> None:
        tasks = self.tasks()
        if tasks is not None and tasks.sample is not None and not (before and before.count):
            self._say(f"there are tasks now; to try one:  {submission(self, tasks.sample, self._environ)}")

    async def _reload(self) -> None:
        assert self._supervisor is not None
        while True:
            changed = await self._changes.next()
            before = self.tasks()
            try:
                forget_bytecode(changed)
                reloaded = await self._supervisor.reload()
            except Exception:
                self._changes.gather(changed)
                raise
            if reloaded:
                self._say(f"reloaded: {in_words(changed)}")
                self._say_what_came(before)
            else:
                self._say(f"not reloaded: {in_words(changed)}; what ran before goes on")
