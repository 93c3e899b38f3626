"""What of a deployment package nobody reads at run time."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Final

_METADATA: Final = (".dist-info", ".egg-info")
_NOT_RUN: Final = (".pyi", ".pyc")
"""Type stubs; and bytecode that came along, which belongs to whatever Python made it."""
_READERS: Final = re.compile(rb"\b(?:importlib[._]metadata|importlib import metadata|pkg_resources)\b")
_ASK_BY_NAME: Final = frozenset(
    {"version", "metadata", "distribution", "requires", "files", "get_distribution"}
)
_ASK_FOR_ALL: Final = frozenset(
    {"entry_points", "distributions", "packages_distributions", "iter_entry_points", "working_set"}
)


def ballast(files: Mapping[str, bytes]) -> frozenset[str]:
    """The names, of all the package's files, of those that can be left out.

    Type stubs and their marks, tests, stray bytecode, and the metadata of distributions whose
    metadata no source in the package asks for. Modules that run are never among them.
    """
    asked = _asked_for(files)
    return frozenset(name for name in files if _is_idle(PurePosixPath(name), files, asked))


def _is_idle(path: PurePosixPath, files: Mapping[str, bytes], asked: frozenset[str] | None) -> bool:
    top = path.parts[0]
    if top.endswith(_METADATA):
        return asked is not None and _normal(top.split("-")[0].removesuffix(".egg-info")) not in asked
    if path.suffix == ".pyc" and path.parent.name != "__pycache__":
        return str(path.with_suffix(".py")) in files  # without its source it is the module
    return path.suffix in _NOT_RUN or path.name == "py.typed" or "tests" in path.parts[1:-1]


def _asked_for(files: Mapping[str, bytes]) -> frozenset[str] | None:
    """The distributions whose metadata some source asks for; None when that cannot be told: perhaps all."""
    asked: set[str] = set()
    for name, source in files.items():
        if not name.endswith(".py") or not _READERS.search(source):
            continue
        try:
            names = _named(ast.walk(ast.parse(source)))
        except SyntaxError:
            return None
        if names is None:
            return None
        asked |= names
    return frozenset(asked)


def _named(nodes: Iterable[ast.AST]) -> set[str] | None:
    """The distributions that calls in a source name; None when one is computed, or all are asked for."""
    found: set[str] = set()
    for node in nodes:
        if not isinstance(node, ast.Call):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called in _ASK_FOR_ALL:
            return None
        if called in _ASK_BY_NAME:
            if not node.args or not isinstance(node.args[0], ast.Constant):
                return None
            found.add(_normal(str(node.args[0].value)))
    return found


def _normal(name: str) -> str:
    """A distribution's name as the package index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()
