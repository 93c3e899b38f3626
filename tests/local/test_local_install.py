"""What `make` does before anything is installed; the Pythons are stand-ins on a PATH of the test's own."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import types
from pathlib import Path

import psutil
import pytest

from local.children import ROOT

NEEDED = (
    "requirements.txt",
    "requirements-dev.txt",
    "pyproject.toml",
    "local/install.sh",
    "local/install.py",
)


class Clone:
    """A bare clone, and a PATH with nothing but what a test puts there."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "clone"
        self.bin = folder / "bin"
        (self.root / "local").mkdir(parents=True)
        self.bin.mkdir()
        for name in NEEDED:
            shutil.copy(ROOT / name, self.root / name)
        for tool in ("sh", "cat", "cksum", "dirname", "env"):
            path = shutil.which(tool)
            assert path is not None
            (self.bin / tool).symlink_to(path)

    def program(self, name: str, script: str) -> None:
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def install(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.root / "local" / "install.sh"],
            env={"PATH": str(self.bin)}, capture_output=True, text=True, timeout=30,
        )  # fmt: skip


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


OLD = 'case "$*" in *version_info*) exit 1;; --version) echo Python 3.9.2;; esac'
WITHOUT_VENV = 'case "$*" in *ensurepip*) exit 1;; *print*) echo python3.12;; esac'
GOOD = 'case "$*" in *install.py*) echo "chosen: $0 $*";; esac'


def test_an_old_python_gets_the_line_that_installs_a_new_one(clone: Clone) -> None:
    clone.program("python3", OLD)
    clone.program("apt-get", "")
    answer = clone.install()
    assert answer.returncode == 1
    assert "found Python 3.9.2" in answer.stderr
    assert "    sudo apt-get install python3.11 python3.11-venv" in answer.stderr


def test_no_python_at_all_is_said(clone: Clone) -> None:
    assert "found no Python" in clone.install().stderr


def test_a_missing_venv_module_gets_the_line_that_installs_it(clone: Clone) -> None:
    clone.program("python3", WITHOUT_VENV)
    answer = clone.install()
    assert answer.returncode == 1
    assert "    sudo apt-get install python3.12-venv" in answer.stderr


def test_a_newer_python_beside_an_old_one_is_taken(clone: Clone) -> None:
    clone.program("python3", OLD)
    clone.program("python3.13", GOOD)
    assert "chosen:" in clone.install().stdout
    assert "python3.13" in clone.install().stdout


def test_a_python_with_venv_is_preferred_to_one_without(clone: Clone) -> None:
    clone.program("python3", WITHOUT_VENV)
    clone.program("python3.11", GOOD)
    assert "python3.11" in clone.install().stdout


def test_nothing_runs_when_the_stamp_fits(clone: Clone) -> None:
    clone.program("python3", GOOD)
    stamp = clone.install().stdout.rpartition("install.py ")[2].strip()
    python = clone.root / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch(mode=0o755)
    (clone.root / ".venv" / "stamp").write_text(f"{stamp}\n")
    answer = clone.install()
    assert (answer.returncode, answer.stdout) == (0, "")

    with (clone.root / "requirements.txt").open("a") as requirements:
        requirements.write("# changed\n")
    assert "chosen:" in clone.install().stdout


def test_help_is_what_make_says_by_itself() -> None:
    make = shutil.which("make")
    if make is None:
        pytest.skip("there is no make")
    said = subprocess.run([make], cwd=ROOT, capture_output=True, text=True, timeout=30).stdout
    for target in ("up", "test", "demo", "bench", "lint", "types", "format", "clean"):
        assert f"  make {target} " in said


def test_ctrl_c_while_it_installs_ends_all_of_it_in_a_line(clone: Clone) -> None:
    """As of a terminal, which interrupts every process of its foreground."""
    program = [sys.executable, "-I", "local/install.py", "stamp"]
    making = subprocess.Popen(
        program, cwd=clone.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    assert making.stdout is not None
    assert "making .venv" in making.stdout.readline()
    while not (family := psutil.Process(making.pid).children(recursive=True)):
        assert making.poll() is None
    os.killpg(making.pid, signal.SIGINT)
    _, complaint = making.communicate(timeout=60)
    assert complaint.strip() == "interrupted; the next make installs afresh"
    assert making.returncode == 130
    assert not psutil.wait_procs(family, timeout=10)[1]


@pytest.fixture
def install(tmp_path: Path) -> types.ModuleType:
    """The program as a module, on a .venv of the test's own; what it runs is noted in `ran`."""
    spec = importlib.util.spec_from_file_location("install", ROOT / "local" / "install.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.ROOT, module.VENV = tmp_path, tmp_path / ".venv"
    module.STAMP, module.UNDER_WAY = module.VENV / "stamp", module.VENV / "under-way"
    module.VENV.mkdir()
    module.is_usable = lambda: True
    module.fcntl = types.SimpleNamespace(flock=lambda *_: None, LOCK_EX=0, LOCK_NB=0)  # ends with a process
    module.ran = []
    module.run = module.ran.append
    return module


def made_anew(install: types.ModuleType) -> bool:
    return any("--clear" in command for command in install.ran)


def test_what_an_interrupted_installation_left_is_made_anew(install: types.ModuleType) -> None:
    def interrupted(command: list[str]) -> None:
        raise KeyboardInterrupt

    install.run = interrupted
    with pytest.raises(KeyboardInterrupt):
        install.main("stamp")
    install.run = install.ran.append
    assert install.main("stamp") == 0
    assert made_anew(install)
    assert install.STAMP.read_text() == "stamp\n"
    install.ran.clear()
    assert install.main("another") == 0
    assert not made_anew(install)


def test_after_a_failed_installation_what_there_is_is_used(install: types.ModuleType) -> None:
    def failed(command: list[str]) -> None:
        raise subprocess.CalledProcessError(1, command)

    install.run = failed
    assert install.main("stamp") == 1
    install.run = install.ran.append
    assert install.main("stamp") == 0
    assert not made_anew(install)
