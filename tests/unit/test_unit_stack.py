"""Whose variables operators' commands go by: the environment's, or those of a stack that runs there."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from bide.operate.doctor import examine
from bide.operate.entrance import unnamed
from bide.operate.finding import Level
from bide.operate.stack import HOME, Told, published, told

ROOT = Path(__file__).parents[2]
STORE = {"BIDE_REDIS_URL": "redis://:hunter2@127.0.0.1:7001/0", "BIDE_LOCAL": "1"}
OTHER = {"BIDE_REDIS_URL": "redis://127.0.0.1:7002/0"}
URL = "http://127.0.0.1:8000"

HOLD = (
    "import sys; from pathlib import Path; from bide.operate.stack import published\n"
    "with published(Path(sys.argv[1]), {'BIDE_REDIS_URL': 'redis://127.0.0.1/0'}):\n"
    "    print('up', flush=True); sys.stdin.read()"
)


def of_port(folder: Path, port: int) -> Path:
    directory = folder / HOME / str(port)
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def test_the_stack_at_the_url_is_the_one_that_is_meant(tmp_path: Path) -> None:
    with published(of_port(tmp_path, 8000), STORE), published(of_port(tmp_path, 8001), OTHER):
        found = told({}, URL, tmp_path)
        assert found == Told(STORE, URL, 8000, (8001,), found.path)
        assert told({}, "http://localhost:8001/api", tmp_path).environ == OTHER


def test_only_settings_are_told_and_only_to_the_owner(tmp_path: Path) -> None:
    directory = of_port(tmp_path, 8000)
    with published(directory, {**STORE, "HOME": "/root", "BIDE_KEY": "secret"}):
        (file,) = directory.iterdir()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert told({}, URL, tmp_path).environ == STORE
    assert list(directory.iterdir()) == []


def test_what_the_environment_says_goes_before(tmp_path: Path) -> None:
    with published(of_port(tmp_path, 8000), STORE):
        assert told({"BIDE_TASKS": "mine"}, URL, tmp_path).environ == {**STORE, "BIDE_TASKS": "mine"}


def test_a_command_finds_the_modules_that_the_stack_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = tmp_path / "acme"
    (acme / "acme_tasks").mkdir(parents=True)
    (acme / "acme_tasks" / "__init__.py").write_text("from bide import task\n@task\ndef order(): ...\n")
    before = list(sys.path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["acme", *before])
    with published(of_port(tmp_path, 8000), {"BIDE_TASKS": "acme_tasks"}):
        monkeypatch.setattr(sys, "path", before)
        found = told({}, URL, tmp_path)
    assert str(acme) in found.path
    assert not [path for path in found.path if path.startswith(sys.base_prefix)]
    (tasks,) = [finding for finding in examine(found) if finding.topic == "tasks"]
    assert tasks.level is Level.OK
    sys.modules.pop("acme_tasks")


@pytest.mark.parametrize("said", ["redis://elsewhere/0", "no url at all"])
def test_an_environment_that_names_a_store_hears_nothing_of_a_stack(said: str, tmp_path: Path) -> None:
    environ = {"BIDE_REDIS_URL": said}
    with published(of_port(tmp_path, 8000), STORE):
        assert told(environ, URL, tmp_path) == Told(environ, URL)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8002", "http://127.0.0.1", "https://bide.example:8000", "http://127.0.0.1:x"]
)
def test_a_url_that_leads_elsewhere_is_no_stacks(url: str, tmp_path: Path) -> None:
    with published(of_port(tmp_path, 8000), STORE), published(of_port(tmp_path, 8001), OTHER):
        found = told({}, url, tmp_path)
    assert found == Told({}, url, None, (8000, 8001))
    finding = unnamed(found)
    assert finding.what == f"BIDE_REDIS_URL names none, and no `make up` of this folder serves {url}"
    assert "--url http://127.0.0.1:8000 or --url http://127.0.0.1:8001" in finding.remedy


def test_without_any_stack_it_says_what_to_do(tmp_path: Path) -> None:
    finding = unnamed(told({}, URL, tmp_path))
    assert finding.what == "BIDE_REDIS_URL names none, and no `make up` runs in this folder"
    assert finding.remedy.startswith("Start it, run this in the folder where it runs, or set BIDE_REDIS_URL")


def test_where_no_store_is_named_nothing_is_said_of_keys(tmp_path: Path) -> None:
    environ = {"BIDE_TASKS": "local.demo_tasks.vms", "BIDE_LOCAL": "1"}
    found = list(examine(told(environ, URL, tmp_path)))
    assert [(each.topic, each.level) for each in found] == [
        ("settings", Level.OK), ("tasks", Level.OK), ("store", Level.FAIL)
    ]  # fmt: skip


def test_what_a_killed_stack_has_left_behind_is_nobodys(tmp_path: Path) -> None:
    directory = of_port(tmp_path, 8000)
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(directory)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        assert told({}, URL, tmp_path).port == 8000
        os.kill(process.pid, signal.SIGKILL)
    assert [file.name for file in directory.iterdir()] == ["variables.json"]
    assert told({}, URL, tmp_path) == Told({}, URL)
    with published(directory, STORE):
        assert told({}, URL, tmp_path).environ == STORE


def test_a_folder_that_is_no_ports_is_passed_over(tmp_path: Path) -> None:
    directory = tmp_path / HOME / "other"
    directory.mkdir(parents=True)
    with published(directory, STORE):
        assert told({}, URL, tmp_path) == Told({}, URL)
