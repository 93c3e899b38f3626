"""`make up`: the stack in the foreground, until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from bide.errors import SettingsError
from bide.settings import Settings
from bide_client.client import DEFAULT_URL
from local import ports
from local.children import shown
from local.data import HOME, DataInUse, claim
from local.stack import Stack
from local.store import StoreFailed

FIRST_PORT: Final = 8000
"""Where the search for a free port begins when none is asked for."""

OK: Final = 0
FAILED: Final = 1
"""Exit code when the store does not start."""
UNUSABLE: Final = 2
"""Exit code for a wrong setting or a port that is taken."""
INTERRUPTED: Final = 130

_PARENT_SECONDS: Final = 0.5


def up(port: int | None, environ: Mapping[str, str], *, with_parent: bool) -> int:
    """Run the stack until a signal ends it, or its parent process if `with_parent`; returns the exit code."""
    try:
        settings = Settings.from_environ(environ)
        listener = ports.listen_from(FIRST_PORT) if port is None else ports.listen(port)
        data = HOME / str(listener.getsockname()[1])
        with claim(data):
            return asyncio.run(_run(settings, environ, listener, data, with_parent))
    except (SettingsError, ports.PortTaken, DataInUse) as error:
        print(error, file=sys.stderr)
        return UNUSABLE
    except StoreFailed as error:
        print(error, file=sys.stderr)
        return FAILED


def say(text: str) -> None:
    """One line about one event. That nobody reads it is no reason to end."""
    with contextlib.suppress(OSError):
        print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)


async def _run(
    settings: Settings, environ: Mapping[str, str], listener: socket.socket, data: Path, with_parent: bool
) -> int:
    stack = Stack(settings, environ, listener, data, say)
    ending = _endings(stack, with_parent)
    starting = asyncio.create_task(stack.start())
    try:
        either: set[asyncio.Future[Any]] = {starting, ending}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            if not starting.result():
                say("not everything has started; it is tried again, and at each change of the code")
            with contextlib.suppress(OSError):
                print(_banner(stack.url, settings, environ, data), flush=True)
        await ending
        say("stopping: what runs may finish; Ctrl-C again ends it at once")
    finally:
        starting.cancel()
        await stack.stop()
    say("stopped; the tasks are kept")
    return OK


def _endings(stack: Stack, with_parent: bool) -> asyncio.Future[None]:
    """A future that is done when the stack is to stop; a second signal ends this process at once."""
    loop = asyncio.get_running_loop()
    ending = loop.create_future()
    first_parent = os.getppid()

    def on_signal() -> None:
        if ending.done():
            stack.kill()
            os._exit(INTERRUPTED)
        ending.set_result(None)

    def look_at_parent() -> None:
        if os.getppid() == first_parent:
            loop.call_later(_PARENT_SECONDS, look_at_parent)
        elif not ending.done():
            ending.set_result(None)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            loop.add_signal_handler(number, on_signal)
    if with_parent:
        look_at_parent()
    return ending


def _banner(url: str, settings: Settings, environ: Mapping[str, str], data: Path) -> str:
    where = "the store at BIDE_REDIS_URL" if settings.redis_url else f"data in {shown(data)}"
    address = "" if url == DEFAULT_URL and not environ.get("BIDE_URL") else f" --url {url}"
    return f"""
Bide is up: {url}
({_count(settings.api_processes, "API process", "es")}, {_count(settings.workers_min, "worker")}, {where}; \
Ctrl-C stops it)

  curl {url}/v1/tasks -H 'Content-Type: application/json' -H 'Prefer: wait=5' \\
    -d '{{"name": "echo", "args": {{"value": "hello"}}}}'

  .venv/bin/bide{address} submit echo value=hello --wait
"""


def _count(number: int, noun: str, plural: str = "s") -> str:
    return f"{number} {noun}{plural if number != 1 else ''}"
