"""A whole stack as its user runs it: `python -m local up` in a process of its own."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import requests

from local import ports
from local.children import ROOT


class StackProcess:
    """Starts on construction; `ready()` returns when it says that it is up. `end()` leaves nothing behind."""

    def __init__(
        self, port: int | None = None, root: Path = ROOT, mode: str = "quick", **environ: str
    ) -> None:
        """`root` is the clone that it runs in; `environ` is added to the environment."""
        self.port = port or ports.free_port()
        self._data = root / ".bide" / str(self.port)
        self.url = f"http://{ports.LOOPBACK}:{self.port}"
        self.headers: dict[str, str] = {}
        """What each request brings."""
        self.lines: list[str] = []
        self._news = threading.Condition()
        clean = {name: value for name, value in os.environ.items() if not name.startswith("BIDE_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "local", "up", "--port", str(self.port), "--mode", mode],
            cwd=root,
            env={**clean, "PYTHONUNBUFFERED": "1", **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def ready(self) -> StackProcess:
        self.wait_for(r"Bide is up: ")
        self.wait_for(r"submit echo")
        return self

    def wait_for(self, pattern: str, timeout: float = 60.0, after: int = 0) -> str:
        """The first line of its output, `after` so many, that holds the pattern."""
        deadline = time.monotonic() + timeout
        with self._news:
            while True:
                for line in self.lines[after:]:
                    if re.search(pattern, line):
                        return line
                left = deadline - time.monotonic()
                if left <= 0 or not (self._news.wait(left) or time.monotonic() < deadline):
                    raise AssertionError(f"no line with {pattern!r} in:\n" + "\n".join(self.lines))

    def members(self, role: str) -> list[psutil.Process]:
        """Its running children of a role, oldest first."""
        found = []
        for child in psutil.Process(self.process.pid).children():
            try:
                if role in " ".join(child.cmdline()) and child.status() != psutil.STATUS_ZOMBIE:
                    found.append(child)
            except psutil.NoSuchProcess:
                continue
        return sorted(found, key=lambda child: child.create_time())

    def wait_for_members(self, role: str, count: int, timeout: float = 60.0) -> None:
        """Until it has so many: a worker too many, as when two hear of a death, leaves by itself."""
        deadline = time.monotonic() + timeout
        while len(found := self.members(role)) != count:
            assert time.monotonic() < deadline, found
            time.sleep(0.05)

    def everyone(self) -> list[psutil.Process]:
        """The supervisor and all processes below it."""
        supervisor = psutil.Process(self.process.pid)
        return [supervisor, *supervisor.children(recursive=True)]

    def submit(self, name: str, wait: int = 5, **args: Any) -> requests.Response:
        return requests.post(
            f"{self.url}/v1/tasks",
            json={"name": name, "args": args},
            headers={**self.headers, **({"Prefer": f"wait={wait}"} if wait else {})},
            timeout=30,
        )

    def show(self, task: str) -> dict[str, Any]:
        url = f"{self.url}/v1/tasks/{task}"
        shown: dict[str, Any] = requests.get(url, headers=self.headers, timeout=30).json()
        return shown

    def until(self, condition: Callable[[], object], timeout: float = 60.0) -> None:
        """Wait until it holds."""
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, "\n".join(self.lines)
            time.sleep(0.02)

    def wait_until_running(self, task: str, timeout: float = 60.0) -> None:
        deadline = time.monotonic() + timeout
        while (state := self.show(task)["state"]) != "running":
            assert time.monotonic() < deadline, f"the task is {state}"
            time.sleep(0.02)

    def interrupt(self) -> float:
        """Ctrl-C; returns the seconds until the supervisor has ended."""
        begun = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)
        self._reader.join(5)
        return time.monotonic() - begun

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self._data, ignore_errors=True)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._news:
                self.lines.append(line.rstrip())
                self._news.notify_all()


def gone(processes: list[psutil.Process], timeout: float = 5.0) -> bool:
    """Whether all of these have ended within `timeout` seconds."""
    return not psutil.wait_procs(processes, timeout=timeout)[1]


class Package:
    """A package of tasks in a folder of its own, for BIDE_TASKS."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.folder = folder
        """What has to be on the path."""
        self._folder = folder / name
        self._folder.mkdir()
        (self._folder / "__init__.py").touch()

    def save(self, module: str, text: str) -> Path:
        """Save a module the way editors do: write a new file, then put it in the old one's place."""
        path = self._folder / f"{module}.py"
        draft = path.with_suffix(".draft")
        draft.write_text(text)
        draft.replace(path)
        return path
