"""`pip install .` gives requests and nothing else, so the client may import nothing else.

rich is an extra: one module imports it, when there is something to draw on a terminal.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import bide_client

PACKAGE = Path(bide_client.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
DRAWS = PACKAGE / "rich_screen.py"


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_client_imports_only_the_standard_library_and_requests(module: Path) -> None:
    roots: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            roots |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            roots.add((node.module or "").partition(".")[0])
    expected = set(sys.stdlib_module_names) | {"requests", "bide_client"}
    assert roots <= expected | ({"rich"} if module == DRAWS else set())


def test_rich_is_loaded_only_to_draw() -> None:
    loads = "import sys, bide_client.parser as p; p.build(); print('rich' in sys.modules, *sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", loads],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd=PACKAGE.parent,
    )
    loaded = done.stdout.split()
    assert "bide_client.commands.top" in loaded
    assert loaded[0] == "False"
    assert "bide_client.rich_screen" not in loaded


def test_the_extras_name_what_the_modules_import() -> None:
    """rich comes with its own extra and with that of the server."""
    with (PACKAGE.parent / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    assert [name.partition(">")[0] for name in project["dependencies"]] == ["requests"]
    extras = project["optional-dependencies"]
    assert [name.partition(">")[0] for name in extras["rich"]] == ["rich"]
    assert set(extras["rich"]) <= set(extras["server"])
