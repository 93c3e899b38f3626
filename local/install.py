"""Makes .venv and installs into it. Run by install.sh, with any Python that has venv: standard library only.

Two makes at once in one clone take turns; the second then finds the work done.
"""

from __future__ import annotations

import fcntl
import os
import platform
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / "stamp"
UNDER_WAY = VENV / "under-way"
"""There while something is installed: what an interrupted installation leaves is made anew."""
WHEELHOUSE = VENV / "wheelhouse"
"""Wheels of requirements.txt, so that `chalice package` works without a network."""

INTERRUPTED = 130

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
    try:
        if UNDER_WAY.exists() or not is_usable():
            print(f"making .venv with Python {platform.python_version()}", flush=True)
            run([sys.executable, "-I", "-m", "venv", "--clear", "--symlinks", str(VENV)])
        UNDER_WAY.touch()
        print("installing into .venv (a minute or two, once)", flush=True)
        pip("install", "-r", "requirements-dev.txt")
        pip("install", "--no-deps", "--editable", ".")
    except subprocess.CalledProcessError as error:
        program = error.cmd[error.cmd.index("-m") + 1]
        print(f"{program} ended with code {error.returncode}; what it said is above", file=sys.stderr)
        UNDER_WAY.unlink(missing_ok=True)  # pip has undone what it did
        return 1
    try:
        fill_wheelhouse()
    except subprocess.CalledProcessError:
        print(f"{WHEELHOUSE} is incomplete: the test of the package will need a network", file=sys.stderr)
    STAMP.write_text(stamp + "\n")
    UNDER_WAY.unlink()
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
    """Run pip; quiet but for errors. Raises CalledProcessError."""
    run([str(VENV / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "-qq", *arguments])


def run(command: list[str]) -> None:
    """Run a command. Interrupted, it ends with all that it has started, and says nothing of it.

    Raises CalledProcessError.
    """
    process = subprocess.Popen(command, cwd=ROOT, start_new_session=True)  # Ctrl-C is for this process alone
    try:
        code = process.wait()
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    if code:
        raise subprocess.CalledProcessError(code, command)


def fill_wheelhouse() -> None:
    """Fetch the deployment package's wheels: for this machine, and for Lambda where that differs."""
    download = ("download", "--only-binary", ":all:", "-d", str(WHEELHOUSE), "-r", "requirements.txt")
    pip(*download)
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        pip(*download, *(word for name in LAMBDA_PLATFORMS for word in ("--platform", name)))


if __name__ == "__main__":
    for number in (signal.SIGTERM, signal.SIGHUP):  # what it has started would go on
        signal.signal(number, signal.default_int_handler)
    try:
        sys.exit(main(sys.argv[1]))
    except KeyboardInterrupt:
        print("\ninterrupted; the next make installs afresh", file=sys.stderr)
        sys.exit(INTERRUPTED)
