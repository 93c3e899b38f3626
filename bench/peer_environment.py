"""A virtual environment for one peer, made for a run and deleted after it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from local.children import ROOT

_REQUIREMENTS: Final = "requirements-{}.txt"

_TIMEOUT_SECONDS: Final = 120.0


class NotInstalled(Exception):
    """The peer cannot be had: no package index, or none that has it. The message says why."""


@contextmanager
def peer_environment(peer: str) -> Iterator[Path]:
    """The Python of an environment that has this peer. Raises NotInstalled."""
    with tempfile.TemporaryDirectory(prefix=f"bide-bench-{peer}-") as folder:
        python = Path(folder) / "bin" / "python"
        _run(sys.executable, "-m", "venv", folder)
        _run(
            str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
            "--only-binary", ":all:", "-r", str(ROOT / "bench" / _REQUIREMENTS.format(peer)),
        )  # fmt: skip
        yield python


def _run(*command: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise NotInstalled(f"installing them took more than {_TIMEOUT_SECONDS:g} s") from error
    except subprocess.CalledProcessError as error:
        said = str(error.stderr).strip().splitlines() or ["no reason given"]
        raise NotInstalled(said[-1]) from error
