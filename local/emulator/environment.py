"""One execution environment: a process that runs one function, one invocation at a time.

It is frozen whenever it has nothing to do, threads and all, and thawed for the next
invocation. It dies with the process that started it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from local import peer
from local.emulator import supplied
from local.emulator.function import MAX_ANSWER_BYTES, Function
from local.emulator.keeper import Keeper
from local.emulator.output import Output
from local.emulator.runtime_api import REQUEST_ID, Address, Answer, RuntimeApi

_READ_BYTES: Final = 64 * 1024


class EnvironmentFailed(Exception):
    """An invocation has no answer, or an environment did not become ready."""


class InitRefused(EnvironmentFailed):
    """The runtime client could not load the handler. `answer` is what it says about it."""

    def __init__(self, answer: Answer) -> None:
        super().__init__("the handler could not be loaded")
        self.answer = answer


class RuntimeEnded(EnvironmentFailed):
    """The process has ended by itself; the message is Lambda's."""


class TimedOut(EnvironmentFailed):
    """The time was over; the process has been killed."""


@dataclass(frozen=True)
class Place:
    """Where the environments of a function run, and what they are told besides its own variables."""

    code: Path
    """The unpacked package."""
    supplied: Path
    """What Lambda supplies."""
    variables: Mapping[str, str]
    keeper: Keeper


class Environment:
    """A process of `function`; `start` it, then `invoke` as often as it is `alive`."""

    def __init__(
        self, function: Function, place: Place, output: Output, on_end: Callable[[Environment], None]
    ) -> None:
        """on_end: called when the process has ended."""
        self.function = function
        self.answered_at = 0.0
        """When the last answer came, by time.monotonic()."""
        self.max_rss_bytes = 0
        self.ended = asyncio.Event()
        self.log_stream = f"{time.strftime('%Y/%m/%d')}/[$LATEST]{secrets.token_hex(16)}"
        self._place = place
        self._output = output
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._api = RuntimeApi(self._is_own, self._asked, self._answered, MAX_ANSWER_BYTES)
        self._asks: asyncio.Future[None] = self._loop.create_future()
        self._answer: asyncio.Future[Answer] = self._loop.create_future()
        self._request_id = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe = -1
        self._killed = False

    @property
    def alive(self) -> bool:
        """It can take an invocation."""
        return self._runs and not self._killed

    @property
    def _runs(self) -> bool:
        return self._process is not None and not self.ended.is_set()

    @property
    def pid(self) -> int:
        """The process id, which is its group's too; 0 before `start`."""
        return self._process.pid if self._process else 0

    async def start(self, limit_s: float) -> float:
        """Start the process and wait until it asks for work; returns how long that took, in seconds.

        Raises InitRefused, RuntimeEnded, TimedOut; the process has ended then.
        """
        began = time.monotonic()
        try:
            await self._api.listen()
            self._spawn()
        except OSError as error:
            self._over()
            raise RuntimeEnded(f"The process could not be started: {error}") from error
        try:
            async with asyncio.timeout(limit_s):
                await self._asks
        except TimeoutError:
            self.kill()
            raise TimedOut("the start took too long") from None
        except EnvironmentFailed:
            self.kill()
            raise
        took = time.monotonic() - began
        self._freeze()
        return took

    async def invoke(self, request_id: str, event: bytes, trace: str, limit_s: float) -> Answer:
        """Run one invocation; returns when the environment can take another.

        Raises RuntimeEnded and TimedOut; either way it is not `alive` any more. An answer that came
        before the process ended counts.
        """
        self._asks, self._answer = self._loop.create_future(), self._loop.create_future()
        self._request_id = request_id
        self._signal(signal.SIGCONT)
        self._api.deliver(
            {
                REQUEST_ID: request_id,
                "Lambda-Runtime-Deadline-Ms": str(int((time.time() + limit_s) * 1000)),
                "Lambda-Runtime-Invoked-Function-Arn": self.function.arn,
                "Lambda-Runtime-Trace-Id": trace,
            },
            event,
        )
        try:
            async with asyncio.timeout(limit_s):
                answer = await self._answer
                with contextlib.suppress(RuntimeEnded):
                    await self._asks
        except TimeoutError:
            self.kill()
            if not self._answer.done() or self._answer.cancelled():
                raise TimedOut(f"Task timed out after {self.function.timeout_s:.2f} seconds") from None
            answer = self._answer.result()
        if self._runs:
            self._measure()
            self._read()
            self._freeze()
        return answer

    def kill(self) -> None:
        """End the process and what it has started; `ended` tells when it is gone."""
        if self._runs:
            self._measure()
            self._killed = True
            self._signal(signal.SIGKILL)

    # --- the process ---------------------------------------------------------------------------

    def _spawn(self) -> None:
        self._pipe, theirs = os.pipe()
        os.set_blocking(self._pipe, False)
        try:
            self._process = subprocess.Popen(
                supplied.command(),
                cwd=self._place.code,
                env=self._environ(),
                stdin=subprocess.DEVNULL,
                stdout=theirs,
                stderr=theirs,
                start_new_session=True,  # a group of its own, to be frozen as one
            )
        finally:
            os.close(theirs)
        self._place.keeper.watch(self._process.pid)
        self._loop.add_reader(self._pipe, self._read)
        if sys.platform.startswith("linux"):
            descriptor = os.pidfd_open(self._process.pid)
            self._loop.add_reader(descriptor, self._gone, descriptor)
        else:
            self._waiter = asyncio.ensure_future(self._wait(self._process))

    async def _wait(self, process: subprocess.Popen[bytes]) -> None:
        await asyncio.to_thread(os.waitid, os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        self._gone(None)

    def _environ(self) -> dict[str, str]:
        function = self.function
        return {
            "PATH": os.defpath,
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "PYTHONDONTWRITEBYTECODE": "1",  # for the interpreters that a function starts
            **self._place.variables,
            **function.environment,
            "AWS_LAMBDA_FUNCTION_NAME": function.name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mb),
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{function.name}",
            "AWS_LAMBDA_LOG_STREAM_NAME": self.log_stream,
            "AWS_LAMBDA_RUNTIME_API": self._api.address,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info.major}.{sys.version_info.minor}",
            "AWS_REGION": function.region,
            "AWS_DEFAULT_REGION": function.region,
            "LAMBDA_TASK_ROOT": str(self._place.code),
            "LAMBDA_RUNTIME_DIR": str(self._place.supplied),
            "_HANDLER": function.handler,
        }

    def _signal(self, number: signal.Signals) -> None:
        if self._runs:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def _freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def _gone(self, descriptor: int | None) -> None:
        assert self._process is not None
        if descriptor is not None:
            self._loop.remove_reader(descriptor)
            os.close(descriptor)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # what it has started and left
        self._place.keeper.release(self._process.pid)
        code = self._process.wait()
        self._read()
        self._loop.remove_reader(self._pipe)
        self._over()
        failure = RuntimeEnded(_in_words(code))
        for future in (self._answer, self._asks):
            if not future.done():
                future.set_exception(failure)
                future.exception()  # nobody may be waiting for this one

    def _over(self) -> None:
        """There is no process, any more."""
        if self._pipe >= 0:
            os.close(self._pipe)
        self._api.close()
        self.ended.set()
        self._on_end(self)

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._pipe, _READ_BYTES):
                self._output.write(data)
            self._loop.remove_reader(self._pipe)  # it has been closed at the other end

    def _measure(self) -> None:
        self.max_rss_bytes = max(self.max_rss_bytes, _peak_bytes(self.pid))

    # --- its runtime client --------------------------------------------------------------------

    def _is_own(self, client: Address, local: Address) -> bool:
        """Whether a connection is the process's own; where the system cannot tell, any is taken for it."""
        owner = peer.peer_owner(client, local)
        if owner is None:
            return not peer.TELLS
        return owner.uid == os.getuid() and peer.holds(self.pid, owner.inode)

    def _asked(self) -> None:
        if not self._asks.done():
            self._asks.set_result(None)

    def _answered(self, request_id: str, answer: Answer) -> None:
        if not request_id and not self._asks.done():
            self._asks.set_exception(InitRefused(answer))
        elif request_id == self._request_id and not self._answer.done():
            self.answered_at = time.monotonic()
            self._answer.set_result(answer)


def _in_words(code: int) -> str:
    if code == 0:
        return "Runtime exited without providing a reason"
    reason = f"exit status {code}" if code > 0 else f"signal: {_SIGNALS.get(-code, str(-code))}"
    return f"Runtime exited with error: {reason}"


_SIGNALS: Final[dict[int, str]] = {
    signal.SIGKILL: "killed",
    signal.SIGTERM: "terminated",
    signal.SIGSEGV: "segmentation fault",
}


def _peak_bytes(pid: int) -> int:
    """The most memory that a process has held so far; elsewhere than on Linux, what it holds now."""
    try:
        with open(f"/proc/{pid}/status", "rb") as status:
            for line in status:
                if line.startswith(b"VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0
