"""Makes .venv and installs into it. Run by install.sh, with any Python that has venv: standard library only.

Two makes at once in one clone take turns; the second then finds the work done.
"""

from __future__ import annotations

import fcntl
import os
import platform
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / "stamp"
WHEELHOUSE = VENV / "wheelhouse"
"""Wheels of requirements.txt, so that `chalice package` works without a network."""

LAMBDA_PLATFORMS = ("manylinux2014_x86_64", "manylinux_2_28_x86_64")


def main(stamp: str) -> int:
    """Bring .venv to the state that `stamp` names; returns the exit code of the process."""
    lock = os.open(ROOT, os.O_RDONLY)  # held until this process ends
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("waiting for another make, which installs into .venv", flush=True)
        fcntl.flock(lock, fcntl.LOCK_EX)
    if is_current(stamp):
        return 0
    STAMP.unlink(missing_ok=True)
    if not is_usable():
        print(f"making .venv with Python {platform.python_version()}", flush=True)
        venv.create(VENV, with_pip=True, clear=True, symlinks=True)
    print("installing into .venv (a minute or two, once)", flush=True)
    try:
        pip("install", "-r", "requirements-dev.txt")
        pip("install", "--no-deps", "--editable", ".")
    except subprocess.CalledProcessError as error:
        print(f"pip ended with code {error.returncode}; what it said is above", file=sys.stderr)
        return 1
    try:
        fill_wheelhouse()
    except subprocess.CalledProcessError:
        print(f"{WHEELHOUSE} is incomplete: the test of the package will need a network", file=sys.stderr)
    STAMP.write_text(stamp + "\n")
    return 0


def is_current(stamp: str) -> bool:
    return is_usable() and STAMP.is_file() and STAMP.read_text().strip() == stamp


def is_usable() -> bool:
    """Whether .venv is whole and in the folder it was made for, with a Python that suits."""
    check = f"import pip, sys; sys.exit(sys.version_info < (3, 11) or sys.prefix != {str(VENV)!r})"
    try:
        subprocess.run([VENV / "bin" / "python", "-c", check], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return False
    return (VENV / "bin" / "pip").is_file()


def pip(*arguments: str) -> None:
    """Run pip; quiet but for errors."""
    command = [str(VENV / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "-qq", *arguments]
    subprocess.run(command, cwd=ROOT, check=True)


def fill_wheelhouse() -> None:
    """Fetch the deployment package's wheels: for this machine, and for Lambda where that differs."""
    download = ("download", "--only-binary", ":all:", "-d", str(WHEELHOUSE), "-r", "requirements.txt")
    pip(*download)
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        pip(*download, *(word for name in LAMBDA_PLATFORMS for word in ("--platform", name)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
