"""`@task`: turns a function into a definition, and finds the definitions of a package.

The decorator keeps no list: `load` imports every module of the given packages and
collects the definitions that stand in them.
"""

from __future__ import annotations

import copy
import difflib
import importlib
import inspect
import os
import pkgutil
import re
import sys
import traceback
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, overload

import msgspec

from bide.context import Context
from bide.errors import InvalidArguments, RegistryError, UnknownTask
from bide.retry import Retry, parse_seconds
from bide.settings import NAME

_TASK_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}")
DEFAULT_TIMEOUT: Final = "15m"
DEFAULT_QUEUE: Final = "default"


@dataclass(frozen=True, eq=False)
class Definition:
    """A registered task. Calling it calls the function, as in a unit test."""

    name: str
    function: Callable[..., Any]
    queue: str
    timeout_s: float
    retry: Retry
    retention_ms: int | None
    """None: the server's setting."""
    local_only: bool
    """Registered in local mode alone: it reaches out to addresses that the submitter names."""
    is_async: bool
    takes_context: bool
    args_type: type[msgspec.Struct]
    result_type: Any
    place: str
    """file:line of the function."""
    _decode: Callable[[bytes | str], msgspec.Struct] = field(repr=False)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    def decode_args(self, raw: bytes | str) -> dict[str, Any]:
        """The keyword arguments in a JSON object.

        Raises InvalidArguments with a JSON pointer to what does not fit.
        """
        try:
            decoded = self._decode(raw)
        except msgspec.ValidationError as error:
            raise _invalid(str(error)) from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InvalidArguments(f"The arguments are not JSON: {error}") from error
        except RecursionError as error:
            raise InvalidArguments("The arguments are nested too deeply.") from error
        return {name: getattr(decoded, name) for name in decoded.__struct_fields__}

    @property
    def signature(self) -> str:
        """The arguments as a person writes them, such as `(url: str, timeout: float = 5.0)`."""
        names = self.args_type.__struct_fields__
        parameters = inspect.signature(self.function, eval_str=True).parameters
        return str(inspect.Signature([parameters[name] for name in names]))


def _invalid(message: str) -> InvalidArguments:
    """msgspec says `Expected ... - at `$.a[0].b``; clients get a JSON pointer.

    It writes `[...]` for a mapping's key: the pointer ends before one.
    """
    text, _, path = message.partition(" - at `")
    pointer = ""
    known, cut, _ = path.rstrip("`").removeprefix("$").partition("[...]")
    for name, index in re.findall(r"\.([^.\[\]`]+)|\[(\d+)\]", known):
        pointer += "/" + (name.replace("~", "~0").replace("/", "~1") or index)
    named = re.search(r"(?:unknown|required) field `(.*)`", text, re.DOTALL)
    if named and not cut:
        pointer += "/" + named[1].replace("~", "~0").replace("/", "~1")
    return InvalidArguments(text + ".", pointer)


@overload
def task(function: Callable[..., Any], /) -> Definition: ...
@overload
def task(
    *,
    name: str | None = None,
    queue: str = DEFAULT_QUEUE,
    timeout: str | float | timedelta = DEFAULT_TIMEOUT,
    retry: Retry | None = None,
    retention: str | float | timedelta | None = None,
    local_only: bool = False,
) -> Callable[[Callable[..., Any]], Definition]: ...
def task(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    queue: str = DEFAULT_QUEUE,
    timeout: str | float | timedelta = DEFAULT_TIMEOUT,
    retry: Retry | None = None,
    retention: str | float | timedelta | None = None,
    local_only: bool = False,
) -> Definition | Callable[[Callable[..., Any]], Definition]:
    """Make a function a task.

    name: the function's own name unless given.
    queue: where its submissions go unless they say otherwise.
    timeout: how long one attempt may be active, as a duration ("20m", 30, timedelta).
    retry: see Retry; three attempts with exponential backoff unless given.
    retention: how long a finished task can be read; the server's setting unless given.
    local_only: register it in local mode alone.

    Raises RegistryError, naming file and line, for a signature that cannot be submitted.
    """

    def define(function: Callable[..., Any]) -> Definition:
        return _define(function, name, queue, timeout, retry or Retry(), retention, local_only)

    return define if function is None else define(function)


def _define(
    function: Callable[..., Any],
    name: str | None,
    queue: str,
    timeout: str | float | timedelta,
    retry: Retry,
    retention: str | float | timedelta | None,
    local_only: bool,
) -> Definition:
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:
        raise RegistryError(f"{function!r} is no function, and only functions can be tasks")
    place = f"{code.co_filename}:{code.co_firstlineno}"
    name = name or function.__name__
    if not _TASK_NAME.fullmatch(name):
        raise RegistryError(
            f"{place}: {name!r} is no task name; letters, digits, _ . - and at most 128 of them"
        )
    if not NAME.fullmatch(queue):
        raise RegistryError(f"{place}: {queue!r} is no queue name; it must match {NAME.pattern}")
    try:
        timeout_s = parse_seconds(timeout)
        retention_ms = None if retention is None else max(1000, round(parse_seconds(retention) * 1000))
    except ValueError as error:
        raise RegistryError(f"{place}: task {name!r}: {error}") from error
    if timeout_s <= 0:
        raise RegistryError(f"{place}: task {name!r}: timeout must be above zero")
    takes_context, args_type, result_type = _read_signature(function, name, place)
    return Definition(
        name=name,
        function=function,
        queue=queue,
        timeout_s=timeout_s,
        retry=retry,
        retention_ms=retention_ms,
        local_only=local_only,
        is_async=inspect.iscoroutinefunction(function),
        takes_context=takes_context,
        args_type=args_type,
        result_type=result_type,
        place=place,
        _decode=msgspec.json.Decoder(args_type).decode,
    )


def _read_signature(
    function: Callable[..., Any], name: str, place: str
) -> tuple[bool, type[msgspec.Struct], Any]:
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except Exception as error:
        raise RegistryError(f"{place}: the type hints of task {name!r} cannot be read: {error}") from error
    parameters = list(inspect.signature(function).parameters.values())
    takes_context = bool(parameters) and hints.get(parameters[0].name) is Context
    fields: list[tuple[str, Any] | tuple[str, Any, Any]] = []
    for parameter in parameters[1:] if takes_context else parameters:
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise RegistryError(
                f"{place}: task {name!r}: {parameter} cannot be submitted; arguments are passed by name, "
                "so give each a name of its own"
            )
        hint = hints.get(parameter.name, Any)
        if parameter.default is parameter.empty:
            fields.append((parameter.name, hint))
        else:
            fields.append((parameter.name, hint, _default(parameter.default)))
    args_type = msgspec.defstruct(name.replace(".", "_"), fields, kw_only=True, forbid_unknown_fields=True)
    try:
        msgspec.json.Decoder(args_type)
        msgspec.json.schema(args_type)
    except TypeError as error:
        raise RegistryError(f"{place}: an argument of task {name!r} has no JSON form: {error}") from error
    return takes_context, args_type, hints.get("return", Any)


def _default(value: Any) -> Any:
    """A mutable default (which has no hash) is copied for each call; msgspec does so with empty ones."""
    try:
        hash(value)
    except TypeError:
        return msgspec.field(default_factory=lambda: copy.deepcopy(value)) if value else value
    return value


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
    problems: tuple[LoadProblem, ...] = ()

    def get(self, name: str) -> Definition:
        """The task of this name. Raises UnknownTask, with the nearest name there is."""
        definition = self.definitions.get(name)
        if definition is None:
            nearest = difflib.get_close_matches(name[:128], self.definitions, n=1)
            raise UnknownTask(name, nearest[0] if nearest else None)
        return definition

    @property
    def queues(self) -> tuple[str, ...]:
        """`default`, and every queue that a task names, sorted."""
        return tuple(sorted({DEFAULT_QUEUE, *(d.queue for d in self.definitions.values())}))


def load(packages: Sequence[str], *, local: bool, strict: bool = True) -> Registry:
    """Import every module of `packages` and collect their tasks.

    local: keep tasks that are `local_only`.
    strict: raise RegistryError over any problem; otherwise keep what works and report the rest
        in `Registry.problems`.
    """
    definitions: dict[str, Definition] = {}
    problems: list[LoadProblem] = []
    for module in _modules(packages, problems):
        for definition in vars(module).values():
            if not isinstance(definition, Definition) or definition.function.__module__ != module.__name__:
                continue
            if definition.local_only and not local:
                continue
            other = definitions.setdefault(definition.name, definition)
            if other is not definition:
                file, _, line = definition.place.rpartition(":")
                message = (
                    f"task {definition.name!r} is already defined at {other.place}; give one of them name=..."
                )
                problems.append(LoadProblem(module.__name__, file, int(line), message))
    if problems and strict:
        raise RegistryError("\n".join(["Tasks could not be loaded:", *(f"  {p}" for p in problems)]))
    return Registry(types.MappingProxyType(definitions), tuple(problems))


def _modules(packages: Sequence[str], problems: list[LoadProblem]) -> Iterator[types.ModuleType]:
    for package in packages:
        root = _import(package, problems)
        if root is None:
            continue
        yield root
        for info in pkgutil.walk_packages(
            getattr(root, "__path__", ()), f"{package}.", onerror=lambda _: None
        ):
            module = _import(info.name, problems)
            if module is not None:
                yield module


def _import(name: str, problems: list[LoadProblem]) -> types.ModuleType | None:
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        problems.append(_problem(name, error))
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
    return LoadProblem(module, str(file), line, f"{type(error).__name__}: {error}")
