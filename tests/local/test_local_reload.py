"""Noticing that code has changed."""

from __future__ import annotations

import asyncio
import importlib.util
import py_compile
from pathlib import Path

import pytest

from local import reload
from local.children import ROOT


async def first_change(paths: list[Path], change: list[tuple[Path, str]]) -> list[Path]:
    """What the watcher says first while `change`, a list of files and texts, is saved again and again.

    Again, since nothing tells when the watcher has begun to watch.
    """
    heard: asyncio.Future[list[Path]] = asyncio.get_running_loop().create_future()

    def on_change(changed: list[Path]) -> None:
        if not heard.done():
            heard.set_result(changed)

    watcher = asyncio.create_task(reload.watch(lambda: paths, on_change))
    try:
        async with asyncio.timeout(20):
            while not heard.done():
                for path, text in change:
                    path.write_text(text)
                await asyncio.wait([heard], timeout=0.3)
        return heard.result()
    finally:
        watcher.cancel()


def test_a_file_in_a_watched_folder_is_noticed_and_others_are_not(tmp_path: Path) -> None:
    inner = tmp_path / "package" / "inner"
    inner.mkdir(parents=True)
    changed = asyncio.run(
        first_change([tmp_path / "package"], [(inner / "notes.txt", ""), (inner / "task.py", "a = 1")])
    )
    assert changed == [inner / "task.py"]


def test_a_single_watched_file_is_noticed_and_its_neighbours_are_not(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.touch()
    changed = asyncio.run(first_change([module], [(tmp_path / "other.py", ""), (module, "a = 1")]))
    assert changed == [module]


def test_packages_are_found_without_being_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "outer" / "inner").mkdir(parents=True)
    (tmp_path / "outer" / "__init__.py").write_text("raise SystemExit")
    (tmp_path / "lone.py").touch()
    found = reload.watched(["outer.inner", "lone", "nowhere.at.all"])
    assert tmp_path / "outer" / "inner" in found
    assert tmp_path / "lone.py" in found
    assert ROOT / "chalice_app" in found
    assert ROOT / "app.py" in found


def test_forgotten_bytecode_is_gone(tmp_path: Path) -> None:
    source = tmp_path / "task.py"
    source.write_text("a = 1")
    compiled = py_compile.compile(str(source))
    assert compiled == importlib.util.cache_from_source(str(source))
    reload.forget_bytecode([source, tmp_path / "never_compiled.py"])
    assert not Path(compiled).exists()
