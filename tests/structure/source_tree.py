"""The repository as tests of its structure read it: files, modules and what they import."""

from __future__ import annotations

import ast
import fnmatch
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ("bide", "bide_client", "chalice_app", "workers", "local")
"""What is shipped or runs on a developer's machine; bench, examples and tests are not."""


def _ignored() -> tuple[str, ...]:
    lines = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    return (".git", *(line.rstrip("/") for line in lines if line and not line.startswith("#")))


@cache
def files() -> tuple[Path, ...]:
    """Every file that is not ignored, links not followed; relative to the root, sorted."""
    ignored, found = _ignored(), []

    def kept(folder: Path, name: str) -> bool:
        path = str(folder / name)
        return not any(fnmatch.fnmatch(name, rule) or fnmatch.fnmatch(path, rule) for rule in ignored)

    for where, folders, names in os.walk(ROOT):
        folder = Path(where).relative_to(ROOT)
        folders[:] = [name for name in folders if kept(folder, name)]
        found += [folder / name for name in names if kept(folder, name)]
    return tuple(sorted(path for path in found if not (ROOT / path).is_symlink()))


@cache
def texts() -> dict[Path, str]:
    """Every file that is text, by its path."""
    found = {}
    for path in files():
        try:
            found[path] = (ROOT / path).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
    return found


def in_folder(path: Path, *folders: str) -> bool:
    return path.parts[0] in folders


def name_of(path: Path) -> str:
    """A module's dotted name."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def product() -> dict[str, Path]:
    """The product's modules: dotted name to path."""
    paths = [path for path in files() if path.suffix == ".py"]
    return {name_of(path): path for path in paths if in_folder(path, *PACKAGES) or path == Path("app.py")}


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(texts()[path], str(path))


def _at_run_time(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes below, without those that only a type checker sees."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for other in child.orelse:
                yield other
                yield from _at_run_time(other)
            continue
        yield child
        yield from _at_run_time(child)


def imported(path: Path) -> set[str]:
    """Dotted names of the modules that a file imports, anywhere in it.

    `from a import b` names the module a.b where there is one in this repository, else a.
    """
    found = set()
    here = name_of(path).split(".")
    package = here if path.name == "__init__.py" else here[:-1]
    for node in _at_run_time(tree_of(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{origin}.{alias.name}"
                found.add(inner if inner in product() else origin)
    return found


def _statements(tree: ast.Module) -> set[ast.AST]:
    """What stands as a statement of its own: documentation, of attributes too, and calls."""
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}


def strings(path: Path) -> Iterator[ast.Constant]:
    """The string constants of a file, parts of f-strings included, documentation left out."""
    tree = tree_of(path)
    left_out = _statements(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in left_out:
            yield node
