"""The prepared deployment package: compiled, lean, taken by Chalice as it is, quick to import."""

from __future__ import annotations

import importlib.util
import json
import os
import secrets
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest
from bare_python import SUBMIT, WORK, run
from prefixes import new_prefix

from local import package
from local.package import PackageFailed, prepare

ROOT = Path(__file__).parents[2]
WHEELHOUSE = ROOT / ".venv" / "wheelhouse"

MAX_ZIP_BYTES = 4_500_000
MAX_FILES = 860
MAX_MODULES_OF_A_REQUEST = 225
MAX_MODULES_OF_A_WORKER = 400
"""Those of the interpreter itself included."""

HEAVY = {"boto3", "botocore", "requests", "urllib3"}
"""What costs more than it gives before the first answer."""

OF_REDIS = {"redis", "email", "importlib.metadata"}
"""What only workers' connections load; see docs/decisions/0013."""

OF_WORKERS = {
    "asyncio",
    "concurrent.futures",
    "bide.worker.runner",
    "bide.worker.worker",
    "bide.async_connection",
}

_UNCHECKED = 0b01
"""The flags of bytecode that is used without a look at its source (PEP 552)."""

_LEFT_OUT = (".git", ".venv", ".bide", "__pycache__", ".*_cache", ".hypothesis", "tests", "deployments")


class Prepared(NamedTuple):
    """A copy of the project, its prepared zip, and the zip unpacked."""

    project: Path
    file: Path
    folder: Path


@pytest.fixture(scope="module")
def wheels() -> dict[str, str]:
    """The environment in which pip finds the wheels that the installation has put by, if it has."""
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(WHEELHOUSE)} if WHEELHOUSE.is_dir() else {}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, wheels: dict[str, str]) -> Prepared:
    directory = tmp_path_factory.mktemp("prepared")
    project, folder = directory / "project", directory / "folder"
    shutil.copytree(ROOT, project, symlinks=True, ignore=shutil.ignore_patterns(*_LEFT_OUT))
    _leave_bytecode(project / "bide")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in wheels.items():
            patch.setenv(name, value)
        file = prepare(project, "dev")
    with zipfile.ZipFile(file) as opened:
        opened.extractall(folder)
    return Prepared(project, file, folder)


def _leave_bytecode(folder: Path) -> None:
    """As running the project does: it must neither be packed nor change the package's name."""
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "stray.cpython-311.pyc").write_bytes(secrets.token_bytes(16))


@pytest.fixture
def variables(store_url: str) -> dict[str, str]:
    digest = "2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683"  # of "key"
    return {
        "BIDE_REDIS_URL": store_url,
        "BIDE_API_KEY_HASHES": digest,
        "BIDE_PREFIX": new_prefix(),
        "BIDE_IDLE_SECONDS": "0",
        "BIDE_WORKERS_MIN": "0",
    }


def _files(folder: Path, pattern: str) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob(pattern) if path.is_file()}


def test_the_prepared_zip_keeps_its_budget(prepared: Prepared) -> None:
    size, files = prepared.file.stat().st_size, len(_files(prepared.folder, "*"))
    print(f"{size:,} of {MAX_ZIP_BYTES:,} bytes, {files} of {MAX_FILES} files")
    assert size <= MAX_ZIP_BYTES
    assert files <= MAX_FILES


def test_the_prepared_zip_holds_nothing_that_nobody_reads(prepared: Prepared) -> None:
    names = _files(prepared.folder, "*")
    assert not [name for name in names if name.endswith((".pyi", "py.typed"))]
    asked_for = {name.partition("-")[0] for name in names if ".dist-info/" in name}
    assert asked_for == {"redis"}, "redis-py reads its own version"
    assert not [name for name in names if "/tests/" in name or "stray" in name]
    assert {"bide/lua/submit.lua", "chalice_app/http-api.md", "certifi/cacert.pem"} <= names


def test_every_source_has_unchecked_bytecode_that_agrees_with_it(prepared: Prepared) -> None:
    sources = _files(prepared.folder, "*.py")
    assert len(sources) > 100
    for name in sources:
        cached = Path(importlib.util.cache_from_source(str(prepared.folder / name)))
        bytecode = cached.read_bytes()
        assert bytecode[:4] == importlib.util.MAGIC_NUMBER, name
        assert int.from_bytes(bytecode[4:8], "little") == _UNCHECKED, name
        assert bytecode[8:16] == importlib.util.source_hash((prepared.folder / name).read_bytes()), name
    assert len(_files(prepared.folder, "*.pyc")) == len(sources)


def test_what_runs_is_the_bytecode(prepared: Prepared, tmp_path: Path, variables: dict[str, str]) -> None:
    folder = tmp_path / "folder"
    shutil.copytree(prepared.folder, folder)
    for source in folder.rglob("*.py"):
        source.write_text("this is no Python")
    status, loaded = run(folder, SUBMIT, **variables)
    assert status == 202
    assert str(loaded["bide.store"]).startswith(str(folder))


def test_tracebacks_name_the_folder_that_lambda_unpacks_to(prepared: Prepared) -> None:
    cached = importlib.util.cache_from_source(str(prepared.folder / "bide" / "ids.py"))
    assert b"/var/task/bide/ids.py" in Path(cached).read_bytes()


def test_a_first_request_imports_what_it_needs(prepared: Prepared, variables: dict[str, str]) -> None:
    status, loaded = run(prepared.folder, SUBMIT, **variables)
    print(f"a first request: {len(loaded)} of {MAX_MODULES_OF_A_REQUEST} modules")
    assert status == 202
    unneeded = {"chalice_app.openapi", "http.client", "ssl", "subprocess"}
    assert not (HEAVY | OF_REDIS | OF_WORKERS | unneeded) & set(loaded)
    assert len(loaded) <= MAX_MODULES_OF_A_REQUEST


def test_a_worker_imports_what_it_needs(prepared: Prepared, variables: dict[str, str]) -> None:
    said, loaded = run(prepared.folder, WORK, **variables)
    print(f"a worker: {len(loaded)} of {MAX_MODULES_OF_A_WORKER} modules")
    assert said == "left"
    assert {"asyncio", "redis"} <= set(loaded)
    assert not (HEAVY | {"chalice_app", "chalice"}) & set(loaded)
    assert len(loaded) <= MAX_MODULES_OF_A_WORKER


def test_chalice_takes_the_prepared_zip_as_it_is(prepared: Prepared, tmp_path: Path) -> None:
    """Also when it may write bytecode, as people run it, and when no wheel can be had."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("BIDE_", "AWS_", "PIP_", "PYTHON"))
    }
    environment |= {"AWS_DEFAULT_REGION": "eu-central-1", "PIP_NO_INDEX": "1"}
    command = [sys.executable, "-c", "import sys; from chalice.cli import main; sys.exit(main())"]
    for out in (tmp_path / "first", tmp_path / "second"):
        done = subprocess.run(
            [*command, "package", "--stage", "dev", str(out)],
            cwd=prepared.project,
            env=environment,
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert (out / "deployment.zip").read_bytes() == prepared.file.read_bytes()
    assert list(prepared.file.parent.iterdir()) == [prepared.file]


def test_preparing_again_changes_nothing(prepared: Prepared) -> None:
    before = prepared.file.stat()
    assert prepare(prepared.project, "dev") == prepared.file
    assert prepared.file.stat() == before


def test_the_same_project_makes_the_same_bytes(
    prepared: Prepared, wheels: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in wheels.items():
        monkeypatch.setenv(name, value)
    before = prepared.file.read_bytes()
    prepared.file.unlink()
    assert prepare(prepared.project, "dev").read_bytes() == before


def test_the_command_prints_the_zip_its_size_and_its_files(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["package", "--project", str(prepared.project)])
    assert package.main() == 0
    said = capsys.readouterr().out
    files = len(_files(prepared.folder, "*"))
    assert f"{prepared.file}: {prepared.file.stat().st_size:,} bytes, {files} files" in said


# --- what cannot be prepared --------------------------------------------------------------


def name_tasks(project: Path, packages: str) -> None:
    """Have the project's functions load these packages of tasks, and need nothing to be fetched."""
    stage = {"environment_variables": {"BIDE_TASKS": packages}}
    document = {"app_name": "small", "stages": {"dev": stage}}
    (project / ".chalice" / "config.json").write_text(json.dumps(document))
    (project / "requirements.txt").write_text("")


def test_tasks_that_are_not_packed_are_refused_by_name(project: Path) -> None:
    name_tasks(project, "workers.tasks,acme_tasks.orders")
    (project / "vendor" / "workers" / "tasks").mkdir(parents=True)
    (project / "vendor" / "workers" / "tasks" / "__init__.py").touch()
    with pytest.raises(PackageFailed, match=r"names acme_tasks\.orders, of which no file is in the package"):
        prepare(project, "dev")
    (project / "vendor" / "acme_tasks").mkdir()
    (project / "vendor" / "acme_tasks" / "orders.py").write_text("first = 1\n")
    assert prepare(project, "dev").is_file()


def test_tasks_that_this_shell_alone_names_are_refused(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As `BIDE_TASKS=acme_tasks PYTHONPATH=../acme make package`, where `make up` so is well."""
    (project / "requirements.txt").write_text("")
    monkeypatch.setenv("BIDE_TASKS", "acme_tasks")
    monkeypatch.setattr(sys, "argv", ["package", "--project", str(project)])
    assert package.main() == 1
    assert "BIDE_TASKS names acme_tasks, of which no file is in the package" in capsys.readouterr().err


def test_tasks_that_the_functions_would_not_load_are_refused(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name_tasks(project, "old_tasks")
    (project / "vendor").mkdir()
    for name in ("old_tasks", "new_tasks"):
        (project / "vendor" / f"{name}.py").touch()
    monkeypatch.setenv("BIDE_TASKS", "new_tasks")
    with pytest.raises(PackageFailed, match=r"BIDE_TASKS is new_tasks here.*would load old_tasks"):
        prepare(project, "dev")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of one function and one requirement."""
    folder = tmp_path / "project"
    (folder / ".chalice").mkdir(parents=True)
    (folder / ".chalice" / "config.json").write_text('{"app_name": "small", "stages": {"dev": {}}}')
    (folder / "app.py").write_text('from chalice import Chalice\napp = Chalice("small")\n')
    (folder / "requirements.txt").write_text("msgspec\n")
    return folder


def test_a_stage_that_is_not_there_is_refused_with_those_that_are(project: Path) -> None:
    with pytest.raises(PackageFailed, match=r"no stage 'prod'.*only dev"):
        prepare(project, "prod")


def test_a_folder_without_a_project_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackageFailed, match="no Chalice project"):
        prepare(tmp_path, "dev")


def test_a_layer_is_refused(project: Path) -> None:
    stages = {"dev": {"automatic_layer": True}}
    (project / ".chalice" / "config.json").write_text(json.dumps({"app_name": "small", "stages": stages}))
    with pytest.raises(PackageFailed, match="automatic_layer"):
        prepare(project, "dev")


def test_another_python_than_lambda_will_have_is_refused(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package.Config, "lambda_python_version", "python3.10")
    with pytest.raises(PackageFailed, match=r"will run on python3\.10, and this is python3\.\d+"):
        prepare(project, "dev")


def test_without_wheels_nothing_is_left_that_chalice_would_take(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setattr(sys, "argv", ["package", "--project", str(project)])
    assert package.main() == 1
    said = capsys.readouterr().err
    assert "msgspec" in said
    assert "PIP_FIND_LINKS=.venv/wheelhouse" in said
    assert list((project / ".chalice").rglob("*.zip")) == []


def test_a_source_that_is_no_python_stays_and_is_named(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "requirements.txt").write_text("")
    (project / "vendor").mkdir()
    (project / "vendor" / "template.py").write_text("{{ name }} = 1 = 2\n")
    monkeypatch.setattr(sys, "argv", ["package", "--project", str(project)])
    assert package.main() == 0
    assert "not compiled, being no valid Python: template.py" in capsys.readouterr().out
    (file,) = (project / ".chalice" / "deployments").iterdir()
    names = set(zipfile.ZipFile(file).namelist())
    assert {"template.py", "app.py", f"__pycache__/app.{sys.implementation.cache_tag}.pyc"} <= names
    assert not [name for name in names if "template" in name and name.endswith(".pyc")]


def test_a_zip_that_was_prepared_otherwise_is_made_anew(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "requirements.txt").write_text("")
    with monkeypatch.context() as before:
        before.setattr(package, "MARK", b"prepared by bide, 0")
        file = prepare(project, "dev")
    assert zipfile.ZipFile(file).comment == b"prepared by bide, 0"
    assert zipfile.ZipFile(prepare(project, "dev")).comment == package.MARK


def test_a_zip_whose_making_was_interrupted_is_made_anew(project: Path) -> None:
    (project / "requirements.txt").write_text("")
    file = prepare(project, "dev")
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert prepare(project, "dev").read_bytes() == whole
