"""A virtual environment for the peers, made for one run and deleted after it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from local.children import ROOT

REQUIREMENTS: Final = ROOT / "bench" / "requirements-peers.txt"

_TIMEOUT_SECONDS: Final = 120.0


class NotInstalled(Exception):
    """The peers cannot be had: no package index, or none that has them. The message says why."""


@contextmanager
def peer_environment() -> Iterator[Path]:
    """The Python of an environment that has the peers. Raises NotInstalled."""
    with tempfile.TemporaryDirectory(prefix="bide-bench-peers-") as folder:
        python = Path(folder) / "bin" / "python"
        _run(sys.executable, "-m", "venv", folder)
        _run(
            str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
            "--only-binary", ":all:", "-r", str(REQUIREMENTS),
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
