"""`.ci/redis` where there is no redis-server to be had: it says so, and is content."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

NEEDED = ("sh", "dirname", "mktemp", "rm", "sed", "tail", "timeout")


def run_with(folder: Path, **commands: str) -> subprocess.CompletedProcess[str]:
    """Run it where these commands do what their scripts say, and hardly any others exist."""
    for name in NEEDED:
        where = shutil.which(name)
        assert where is not None, name
        (folder / name).symlink_to(where)
    for name, script in commands.items():
        command = folder / name.replace("_", "-")
        command.write_text(f"#!{shutil.which('sh')}\n{script}\n", encoding="utf-8")
        command.chmod(0o755)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("BIDE_")}
    return subprocess.run(
        [str(folder / "sh"), str(ROOT / ".ci" / "redis")],
        env={**environ, "PATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("commands", "why"),
    [
        ({"id": "echo 1000", "apt_get": "exit 1"}, "only root may install it"),
        ({"id": "echo 0"}, "there is no apt-get to install it"),
        ({"id": "echo 0", "apt_get": "echo E: no network; exit 100"}, "could not update (E: no network)"),
        ({"redis_server": "echo Redis server v=6.0.16 sha=00000000:0"}, "its version is 6.0.16"),
        ({"redis_server": "echo something else"}, "its version is something else"),
    ],
    ids=["no root", "no apt", "no network", "too old", "no version"],
)
def test_what_cannot_be_had_is_skipped_aloud(tmp_path: Path, commands: dict[str, str], why: str) -> None:
    ran = run_with(tmp_path, **commands)
    assert ran.returncode == 0, ran.stderr
    (line,) = ran.stdout.strip().splitlines()
    assert line.startswith("SKIPPED: the store suite against redis-server: ")
    assert why in line


def test_ci_runs_both_and_fails_when_either_does(tmp_path: Path) -> None:
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci" / "run")
    make, redis = tmp_path / "make", tmp_path / ".ci" / "redis"
    make.write_text('#!/bin/sh\necho "make $1 ${BIDE_REDIS_URL-alone}"\nexit "$MAKE"\n', encoding="utf-8")
    make.chmod(0o755)
    redis.write_text('echo redis; exit "$REDIS"\n', encoding="utf-8")

    def run(make: int, redis: int) -> subprocess.CompletedProcess[str]:
        environ = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "BIDE_REDIS_URL": "redis://x"}
        environ |= {"MAKE": str(make), "REDIS": str(redis)}
        command = ["bash", str(tmp_path / ".ci" / "run")]
        return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)

    assert (run(0, 0).returncode, run(2, 0).returncode, run(0, 1).returncode) == (0, 2, 1)
    assert run(2, 1).stdout == "make test alone\nredis\n"
