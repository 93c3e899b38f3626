"""`make up`: the stack in the foreground, until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import uvloop

from bide.errors import SettingsError, StoreError
from bide.operate.stack import published
from bide.printable import printable, record
from bide.settings import Settings
from local import ports
from local.banner import banner
from local.children import shown
from local.data import HOME, DataInUse, claim, deleted, running, turn
from local.failure import StackFailed
from local.stack import Stack
from local.store import StoreFailed

if TYPE_CHECKING:
    from local.lambda_stack import LambdaStack

QUICK: Final = "quick"
"""Processes of this clone, started again as it changes."""
LAMBDA: Final = "lambda"
"""What is deployed, as AWS would run it."""
MODES: Final = (QUICK, LAMBDA)

FIRST_PORT: Final = 8000
"""Where the search for a free port begins when none is asked for."""

OK: Final = 0
FAILED: Final = 1
"""Exit code when the store does not start."""
UNUSABLE: Final = 2
"""Exit code for a wrong setting or a port that is taken."""
INTERRUPTED: Final = 130
"""Exit code when it is stopped before it was up, or at once."""

_PARENT_SECONDS: Final = 0.5


class RunsAlready(Exception):
    """A stack of this clone runs; the message names it."""


def up(port: int | None, environ: Mapping[str, str], *, mode: str = QUICK, with_parent: bool) -> int:
    """Run the stack until a signal ends it, or its parent process if `with_parent`; returns the exit code."""
    try:
        settings = _settings(mode, environ)
        with contextlib.ExitStack() as claimed:
            with turn():
                if port is None:
                    _refuse_a_second()
                listener = ports.listen_from(FIRST_PORT) if port is None else ports.listen(port)
                data = HOME / str(listener.getsockname()[1])
                claimed.enter_context(claim(data))
            stack = _run(mode, settings, environ, listener, data, with_parent)
            # In MODE=lambda this process answers every request; otherwise it only watches others.
            return asyncio.run(stack) if mode == QUICK else uvloop.run(stack)
    except (SettingsError, ports.PortTaken, DataInUse, RunsAlready) as error:
        print(printable(str(error)), file=sys.stderr)
        return UNUSABLE
    except (StoreFailed, StoreError, StackFailed) as error:
        print(printable(str(error)), file=sys.stderr)
        return FAILED
    except OSError as error:  # as of a full disk, or when no more processes may be started
        print(printable(f"The stack could not be started: {error}"), file=sys.stderr)
        return FAILED


def _refuse_a_second() -> None:
    """Raises RunsAlready, unless no stack of this clone runs: a second one is seldom meant."""
    for port, process in running().items():
        raise RunsAlready(
            f"Bide runs here already, or is starting: http://{ports.LOOPBACK}:{port} (process {process}).\n"
            "Use that one, or stop it with Ctrl-C; with a PORT= of its own another runs beside it."
        )


def _settings(mode: str, environ: Mapping[str, str]) -> Settings:
    if mode == QUICK:
        return Settings.from_environ(environ)
    from local.lambda_mode import variables  # boto3 comes with it, which quick mode does without

    return variables(environ).settings


def _stack(mode: str, *arguments: Any) -> Stack | LambdaStack:
    if mode == QUICK:
        return Stack(*arguments)
    from local.lambda_stack import LambdaStack

    return LambdaStack(*arguments)


def say(text: str) -> None:
    """Tell of one event, further lines indented. That nobody reads it is no reason to end."""
    with contextlib.suppress(OSError):
        print(f"{time.strftime('%H:%M:%S')}  {record(text)}", flush=True)


async def _run(
    mode: str,
    settings: Settings,
    environ: Mapping[str, str],
    listener: socket.socket,
    data: Path,
    with_parent: bool,
) -> int:
    stack = _stack(mode, settings, environ, listener, data, say)
    ending = _endings(stack, with_parent)
    starting = asyncio.create_task(stack.start())
    breaking: asyncio.Task[str] | None = None
    try:
        await _first(starting, ending)
        if starting.done():
            if not starting.result():
                say("not everything has started; it is tried again, and at each change of the code")
            with published(data, stack.variables()):
                # What is there now is missed when it goes: it may go as soon as the banner is read.
                breaking = asyncio.create_task(_broken(stack, settings, data, deleted(data)))
                with contextlib.suppress(OSError):
                    print(banner(stack, settings, environ, data), flush=True)
                await _first(breaking, ending)
            if breaking.done():
                say(f"stopping: {breaking.result()}")
                return FAILED
        say("stopping: what runs may finish; Ctrl-C again ends it at once")
        code = OK if breaking is not None else INTERRUPTED
    finally:
        for task in (starting, breaking):
            if task is not None:
                task.cancel()
        try:
            await stack.stop()
        except BaseException:
            stack.kill()  # a part that lived on would keep this process from ending
            raise
        with contextlib.suppress(OSError):
            print(stack.parting(), end="", flush=True)
    say("stopped; the tasks are kept")
    return code


async def _broken(
    stack: Stack | LambdaStack, settings: Settings, data: Path, deletion: Coroutine[Any, Any, None]
) -> str:
    """Wait until the stack cannot go on, for one thing after the deletion of its data; returns why."""
    breaking, deleting = (asyncio.create_task(wait) for wait in (stack.broken(), deletion))
    try:
        await _first(breaking, deleting)
        if breaking.done():
            return str(breaking.result())
        await deleting
    finally:
        breaking.cancel()
        deleting.cancel()
    lost = "" if settings.redis_url else ", and the tasks with it: what is accepted now could not be kept"
    return f"{shown(data)} has been deleted{lost}. Start Bide again"


async def _first(*futures: asyncio.Future[Any]) -> None:
    """Wait until one of them is done."""
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)


def _endings(stack: Stack | LambdaStack, with_parent: bool) -> asyncio.Future[None]:
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
