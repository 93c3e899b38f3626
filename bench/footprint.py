"""One started worker seen from outside: how long it lived, what memory and CPU it and its children took."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Final

import psutil

from bench.errors import BenchFailed
from local import tether
from local.children import ROOT

_SAMPLE_SECONDS: Final = 0.1
_LEAVE_SECONDS: Final = 20.0


class Footprint:
    """A running process that is told to leave by SIGTERM, or, with `go`, by the end of its input."""

    def __init__(
        self, command: Sequence[str], environ: Mapping[str, str], *, go: bool = False, quiet: bool = False
    ) -> None:
        """go: say `go` on its standard input, and close that at the end. quiet: drop what it prints."""
        out = subprocess.DEVNULL if quiet else None
        self.started = time.monotonic()
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=dict(environ),
            stdin=subprocess.PIPE if go else subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=out,
            start_new_session=True,
            preexec_fn=tether.die_with_parent(),
        )
        self.peak_bytes = 0
        """Most resident memory of the process and its descendants together, of ten samples a second.

        Pages that processes share count once for each of them.
        """
        self.processes = 1
        """Most processes at a time."""
        self.cpu_s = 0.0
        """User and system, of the process and of all descendants that it has waited for. After `leave`."""
        self.lived_s = 0.0
        """From just before its start to its exit. After `leave`."""
        self._ended = threading.Event()
        self._sampler = threading.Thread(target=self._sample, name="footprint", daemon=True)
        self._sampler.start()
        if go:
            assert self._process.stdin is not None
            self._process.stdin.write(b"go\n")
            self._process.stdin.flush()

    @property
    def pid(self) -> int:
        return self._process.pid

    def resident_bytes(self) -> int:
        """Of the process and its descendants, now."""
        return sum(_resident(process) for process in self._tree())

    def leave(self) -> None:
        """Have it end, and take its measure; by force when it takes too long, which fails the benchmark."""
        if self._ended.is_set():
            return
        tree = self._tree()
        if self._process.stdin is not None:
            self._process.stdin.close()
        else:
            self._process.send_signal(signal.SIGTERM)
        in_time = self._wait()
        self._ended.set()
        self._sampler.join()
        for process in psutil.wait_procs(tree[1:], timeout=2)[1]:
            process.kill()
        if not in_time:
            raise BenchFailed(f"a worker did not leave within {_LEAVE_SECONDS:g} s")

    def _wait(self) -> bool:
        """Take CPU and life at the exit; whether it came by itself."""
        deadline = time.monotonic() + _LEAVE_SECONDS
        in_time = True
        while True:
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            if pid:
                self.lived_s = time.monotonic() - self.started
                self.cpu_s = usage.ru_utime + usage.ru_stime
                self._process.returncode = os.waitstatus_to_exitcode(status)
                return in_time
            if in_time and time.monotonic() > deadline:
                in_time = False
                self._process.kill()
            time.sleep(0.005)

    def _tree(self) -> list[psutil.Process]:
        try:
            process = psutil.Process(self.pid)
            return [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def _sample(self) -> None:
        while not self._ended.wait(_SAMPLE_SECONDS):
            tree = self._tree()
            self.processes = max(self.processes, len(tree))
            self.peak_bytes = max(self.peak_bytes, sum(map(_resident, tree)))


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0
