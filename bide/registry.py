"""The registry: finds the tasks of a package.

`load` imports every module of the given packages and collects the definitions that
stand in them.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
import traceback
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bide.definition import Definition
from bide.errors import RegistryError, UnknownTask
from bide.poller import Poller
from bide.settings import DEFAULT_QUEUE


@dataclass(frozen=True)
class LoadProblem:
    """A module that could not be used, or a definition that stands in another's way."""

    module: str
    file: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


@dataclass(frozen=True)
class Registry:
    """The tasks that a process knows, by name."""

    definitions: Mapping[str, Definition]
    """By name, each in its highest version."""
    problems: tuple[LoadProblem, ...] = ()
    pollers: Mapping[str, Poller] = field(default_factory=dict)
    older: Mapping[tuple[str, int], Definition] = field(default_factory=dict)
    """By name and version: those that only tasks in flight still want."""

    def get(self, name: str, version: int | None = None) -> Definition:
        """The task of this name, in its highest version unless one is given.

        Raises UnknownTask, with the nearest name there is, or the version that is missing.
        """
        definition = self.definitions.get(name)
        if definition is None:
            raise self.unknown(name)
        if version is None or version == definition.version:
            return definition
        older = self.older.get((name, version))
        if older is None:
            raise UnknownTask(f"{name} (version {version})", f"{name} (version {definition.version})")
        return older

    def unknown(self, name: str, *, suggests: bool = True) -> UnknownTask:
        """The error for a name that no task has. suggests: look for the nearest, which reads every name."""
        if not suggests:
            return UnknownTask(name)
        import difflib  # nobody else needs it: who knows the task's name does not wait for it to load

        nearest = difflib.get_close_matches(name[:128], self.definitions, n=1)
        return UnknownTask(name, nearest[0] if nearest else None)

    @property
    def queues(self) -> tuple[str, ...]:
        """`default`, and every queue that a task or a poller names, sorted."""
        of_tasks = {task.queue for task in (*self.definitions.values(), *self.older.values())}
        return tuple(sorted({DEFAULT_QUEUE, *of_tasks, *(poller.queue for poller in self.pollers.values())}))


def load(packages: Sequence[str], *, local: bool, strict: bool = True) -> Registry:
    """Import every module of `packages` and collect their tasks.

    local: keep tasks that are `local_only`.
    strict: raise RegistryError over any problem, from what the modules raised; otherwise keep what works
        and report the rest in `Registry.problems`.
    """
    versions: dict[tuple[str, int], Definition] = {}
    pollers: dict[str, Poller] = {}
    problems: list[LoadProblem] = []
    raised: list[BaseException] = []
    for module in _modules(packages, problems, raised):
        for found in vars(module).values():
            other: Definition | Poller
            if isinstance(found, Poller):
                other = pollers.setdefault(found.name, found)
            elif isinstance(found, Definition) and (local or not found.local_only):
                other = versions.setdefault((found.name, found.version), found)
            else:
                continue
            if other is not found:
                file, _, line = found.place.rpartition(":")
                kind = "poller" if isinstance(found, Poller) else "task"
                message = (
                    f"{kind} {found.name!r} is already defined at {other.place}; give one of them name=..."
                )
                problems.append(LoadProblem(module.__name__, file, int(line), message))
    if problems and strict:
        message = "\n".join(["Tasks could not be loaded:", *(f"  {p}" for p in problems)])
        raise RegistryError(message) from _as_one(raised)
    latest = {name: versions[name, version] for name, version in sorted(versions)}
    older = {key: definition for key, definition in versions.items() if latest[key[0]] is not definition}
    return Registry(types.MappingProxyType(latest), tuple(problems), pollers, older)


def _as_one(raised: list[BaseException]) -> BaseException | None:
    return (
        BaseExceptionGroup("several modules failed", raised) if len(raised) > 1 else next(iter(raised), None)
    )


def _modules(
    packages: Sequence[str], problems: list[LoadProblem], raised: list[BaseException]
) -> Iterator[types.ModuleType]:
    for package in packages:
        root = _import(package, problems, raised)
        if root is None:
            continue
        yield root
        for info in pkgutil.walk_packages(
            getattr(root, "__path__", ()), f"{package}.", onerror=lambda _: None
        ):
            module = _import(info.name, problems, raised)
            if module is not None:
                yield module


def _import(name: str, problems: list[LoadProblem], raised: list[BaseException]) -> types.ModuleType | None:
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        problems.append(_problem(name, error))
        raised.append(error)
        return None


def _problem(module: str, error: BaseException) -> LoadProblem:
    """Where in the user's code an import failed: the last frame outside importlib and Bide."""
    if isinstance(error, SyntaxError) and error.filename:
        return LoadProblem(module, error.filename, error.lineno or 0, f"SyntaxError: {error.msg}")
    own = (f"{Path(__file__).parent}{os.sep}", f"{Path(importlib.__file__).parent}{os.sep}", "<frozen")
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(own)]
    spec = sys.modules.get(module)
    file, line = (
        (frames[-1].filename, frames[-1].lineno or 0) if frames else (getattr(spec, "__file__", module), 0)
    )
    if isinstance(error, RegistryError):  # in our words, which begin with the place
        return LoadProblem(module, str(file), line, error.message.removeprefix(f"{file}:{line}: "))
    return LoadProblem(module, str(file), line, f"{type(error).__name__}: {error}")
