"""`pip install .` gives requests and nothing else, so the client may import nothing else."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import bide_client

MODULES = sorted(Path(bide_client.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_the_client_imports_only_the_standard_library_and_requests(module: Path) -> None:
    roots: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            roots |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            roots.add((node.module or "").partition(".")[0])
    assert roots <= set(sys.stdlib_module_names) | {"requests", "bide_client"}
