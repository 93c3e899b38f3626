"""Imports point down: client, API and workers know the core, and the core knows none of them."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from source_tree import PACKAGES, ROOT, files, imported, in_folder, product, texts

ALLOWED = {
    "bide": {"hiredis", "msgspec", "redis"},
    "bide_client": {"requests", "rich", "urllib3"},
    "chalice_app": {"bide", "chalice", "msgspec"},
    "workers": {"bide", "boto3", "botocore", "chalice", "msgspec"},
}
"""What each package may import besides itself and the standard library. `local` may import anything."""

PURE = tuple(
    f"bide.{name}"
    for name in ("errors", "state", "records", "retry", "registry", "context", "ids", "autoscaler")
)
"""Modules that do no I/O, nor does anything they import."""

DOES_IO = {
    "hiredis",
    "redis",
    "requests",
    "boto3",
    "socket",
    "ssl",
    "subprocess",
    "asyncio",
    "threading",
    "http",
}


def roots(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def inner(name: str) -> set[str]:
    """The modules of this repository that a module imports."""
    return {other for other in imported(product()[name]) if other in product()}


def reachable(name: str) -> set[str]:
    found, todo = {name}, [name]
    while todo:
        for other in inner(todo.pop()) - found:
            found.add(other)
            todo.append(other)
    return found


def test_there_is_a_product_to_look_at() -> None:
    assert {"app", "bide.store", "bide_client.client", "chalice_app.tasks", "local.up"} <= set(product())


def test_no_modules_import_each_other_in_a_circle() -> None:
    try:
        TopologicalSorter({name: inner(name) for name in product()}).prepare()
    except CycleError as error:
        pytest.fail("a circle of imports: " + " <- ".join(error.args[1]))


@pytest.mark.parametrize("package", ALLOWED)
def test_a_package_imports_only_what_lies_below_it(package: str) -> None:
    expected = ALLOWED[package] | {package} | set(sys.stdlib_module_names)
    strays = {
        f"{name} imports {other}"
        for name, path in product().items()
        if name.partition(".")[0] == package
        for other in imported(path)
        if other.partition(".")[0] not in expected
    }
    assert strays == set()


def test_the_api_and_the_workers_never_import_each_other() -> None:
    assert "workers" not in ALLOWED["chalice_app"] | ALLOWED["bide"]
    assert "chalice_app" not in ALLOWED["workers"] | ALLOWED["bide"]
    for name in product():
        packages = roots(reachable(name))
        if in_folder(product()[name], "chalice_app"):
            assert "workers" not in packages, name
        if in_folder(product()[name], "workers"):
            assert "chalice_app" not in packages, name


def test_only_who_runs_tasks_loads_what_workers_run() -> None:
    users = {
        name
        for name, path in product().items()
        if not name.startswith("bide.worker")
        and any(other.startswith("bide.worker") for other in imported(path))
    }
    assert users == {"bide.operate.rehearsal", "local.worker", "workers.drain"}


def test_nothing_shipped_imports_tests_benchmarks_or_examples() -> None:
    for name, path in product().items():
        assert not roots(imported(path)) & {"tests", "bench", "examples"}, name


def test_only_local_imports_local() -> None:
    users = {name for name in product() if "local" in roots(imported(product()[name]))}
    assert {name.partition(".")[0] for name in users} == {"local"}


@pytest.mark.parametrize("name", PURE)
def test_a_pure_module_reaches_nothing_that_does_io(name: str) -> None:
    reached = {other for module in reachable(name) for other in imported(product()[module])}
    assert not roots(reached) & DOES_IO
    assert "urllib.request" not in reached


def test_what_a_task_author_imports_loads_no_store_and_no_aws() -> None:
    loaded = "import sys, bide; print(*{m.partition('.')[0] for m in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", loaded], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    modules = set(done.stdout.split())
    assert "bide" in modules
    assert not modules & {"redis", "chalice", "boto3", "botocore", "requests"}


def test_a_circle_hidden_in_a_function_would_be_seen() -> None:
    """`imported` looks into functions: a late import is an import."""
    assert "requests" in imported(product()["local.demo_tasks.web"])


def test_examples_use_what_a_user_has() -> None:
    allowed = set(sys.stdlib_module_names) | {"bide", "bide_client", "requests", "msgspec"}
    examples = [path for path in files() if in_folder(path, "examples") and path.suffix == ".py"]
    assert examples
    for path in examples:
        assert roots(imported(path)) <= allowed, path


def test_chalice_packages_exactly_what_runs_in_lambda() -> None:
    links = {path.name: path for path in (ROOT / "vendor").iterdir() if path.is_symlink()}
    assert set(links) == {"bide", "chalice_app", "workers"} <= set(PACKAGES)
    for name, link in links.items():
        assert not link.readlink().is_absolute(), name
        assert link.resolve() == ROOT / name, name


def test_a_module_that_two_packages_share_is_a_link_to_one_file_and_imports_neither() -> None:
    links = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if path.is_symlink()]
    assert [path.relative_to(ROOT) for path in links] == [Path("bide_client/printable.py")]
    for link in links:
        assert not link.readlink().is_absolute(), link
        shared = link.resolve().relative_to(ROOT)
        assert shared in product().values()
        assert roots(imported(shared)) <= set(sys.stdlib_module_names), shared


def test_every_folder_of_modules_is_a_package() -> None:
    folders = {path.parent for path in product().values()} - {Path()}
    assert {folder for folder in folders if folder / "__init__.py" not in product().values()} == set()


def test_an_installation_has_the_client_and_the_core_whole() -> None:
    packages = tomllib.loads(texts()[Path("pyproject.toml")])["tool"]["setuptools"]["packages"]
    installed = [path.parent for path in product().values() if in_folder(path, "bide", "bide_client")]
    assert set(packages) == {".".join(folder.parts) for folder in installed}
