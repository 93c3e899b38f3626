"""The folders of stacks' data."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from local import data
from local.children import ROOT

HOLD = (
    "import sys; from pathlib import Path; from local.data import claim\n"
    "with claim(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(data, "HOME", tmp_path / ".bide")
    return tmp_path / ".bide"


def holder(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_folder_has_one_stack_at_a_time_and_names_it(tmp_path: Path) -> None:
    with holder(tmp_path) as other:
        with pytest.raises(data.DataInUse, match=f"in use by process {other.pid}"), data.claim(tmp_path):
            pass
        other.kill()


def test_a_killed_stack_holds_its_folder_no_longer(tmp_path: Path) -> None:
    with holder(tmp_path) as other:
        other.kill()
    with data.claim(tmp_path):
        pass


def test_forgetting_deletes_what_does_not_run_and_names_what_does(home: Path) -> None:
    (home / "8000" / "store").mkdir(parents=True)
    with holder(home / "8001") as other:
        deleted, in_use = data.forget()
        assert deleted == [str(home / "8000")]
        assert in_use == [f"{home / '8001'} is in use by process {other.pid}"]
        assert [path.name for path in home.iterdir()] == ["8001"]
        other.kill()


def test_forgetting_everything_leaves_no_folder(home: Path) -> None:
    (home / "8000").mkdir(parents=True)
    data.forget()
    assert not home.exists()


def test_there_may_be_nothing_to_forget(home: Path) -> None:
    assert data.forget() == ([], [])
