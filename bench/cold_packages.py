"""What the cold starts compare: deployment packages."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from bench.errors import BenchFailed
from local.children import ROOT
from local.package import PackageFailed, plain, prepare

_STAGE: Final = "dev"
_LEFT_OUT: Final = shutil.ignore_patterns(
    ".git", ".venv", ".bide", ".*_cache", ".hypothesis", "__pycache__", "tests", "deployments", "deployed"
)
_WHEELHOUSE: Final = ROOT / ".venv" / "wheelhouse"

_BARE_APP: Final = """\
from chalice import Chalice

app = Chalice(app_name="bare")


@app.route("/v1/tasks", methods=["POST"])
def submit():
    return {"id": "1"}
"""


class Ours(NamedTuple):
    """This project's package: as Chalice makes it, and prepared. Zip files."""

    plain: Path
    prepared: Path


def bare_package(folder: Path) -> Path:
    """A Chalice app of one route, packed as Chalice does."""
    project = folder / "project"
    (project / ".chalice").mkdir(parents=True)
    (project / "app.py").write_text(_BARE_APP)
    (project / "requirements.txt").touch()
    config = {"version": "2.0", "app_name": "bare", "stages": {_STAGE: {}}}
    (project / ".chalice" / "config.json").write_text(json.dumps(config))
    return plain(project, _STAGE)


def our_package(folder: Path) -> Ours:
    """This project with the benchmarks' tasks in it.

    Wheels come from the wheelhouse of `make venv` where there is one.
    """
    project = folder / "project"
    shutil.copytree(ROOT, project, symlinks=True, ignore=_LEFT_OUT)
    shutil.copy(ROOT / "bench" / "tasks.py", project / "workers" / "tasks" / "bench_tasks.py")
    try:
        with _wheels_at_hand():
            # A copy: preparing it writes into the file.
            as_made = Path(shutil.copy(plain(project, _STAGE), folder / "plain.zip"))
            return Ours(as_made, prepare(project, _STAGE))
    except PackageFailed as error:
        raise BenchFailed(str(error)) from error


@contextmanager
def _wheels_at_hand() -> Iterator[None]:
    """Have pip look into the wheelhouse alone, if there is one; other benchmarks install other things."""
    before = dict(os.environ)
    if _WHEELHOUSE.is_dir():
        os.environ |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(_WHEELHOUSE)}
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
