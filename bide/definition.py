"""`@task`: turns a function into a definition, and its type hints into a schema.

The decorator keeps no list; `bide.registry` finds the definitions.
"""

from __future__ import annotations

import copy
import inspect
import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, overload

import msgspec

from bide.context import Context
from bide.errors import InvalidArguments, RegistryError
from bide.retry import Retry, parse_seconds
from bide.settings import DEFAULT_QUEUE
from bide.variables import NAME

_TASK_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}")
DEFAULT_TIMEOUT: Final = "15m"


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
    deadline_s: float | None
    """From submission to the end, waits included; None for none."""
    expires_s: float | None
    """From submission to the first start; None for never."""
    version: int
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
    deadline: str | float | timedelta | None = None,
    expires: str | float | timedelta | None = None,
    version: int = 0,
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
    deadline: str | float | timedelta | None = None,
    expires: str | float | timedelta | None = None,
    version: int = 0,
    local_only: bool = False,
) -> Definition | Callable[[Callable[..., Any]], Definition]:
    """Make a function a task.

    name: the function's own name unless given.
    queue: where its submissions go unless they say otherwise.
    timeout: how long one attempt may be active, waits excluded, as a duration ("20m", 30, timedelta).
    deadline: the task fails unless it has finished that long after its submission, waits included.
    expires: it expires unless it has started that long after its submission.
    version: of its code. Functions of one name and several versions may stand side by side:
        new tasks take the highest, and a task goes on with the one that began its journal.
    retry: see Retry; three attempts with exponential backoff unless given.
    retention: how long a finished task can be read; the server's setting unless given.
    local_only: register it in local mode alone.

    Raises RegistryError, naming file and line, for a signature that cannot be submitted.
    """

    def define(function: Callable[..., Any]) -> Definition:
        limits = {"retention": retention, "deadline": deadline, "expires": expires}
        return _define(function, name, queue, timeout, limits, retry or Retry(), version, local_only)

    return define if function is None else define(function)


def _define(
    function: Callable[..., Any],
    name: str | None,
    queue: str,
    timeout: str | float | timedelta,
    limits: Mapping[str, str | float | timedelta | None],
    retry: Retry,
    version: int,
    local_only: bool,
) -> Definition:
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:
        raise RegistryError(f"{function!r} is no function, and only functions can be tasks")
    place = f"{code.co_filename}:{code.co_firstlineno}"
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise RegistryError(f"{place}: a task returns its result; {function.__name__} yields")
    name = name or function.__name__
    if not _TASK_NAME.fullmatch(name):
        raise RegistryError(
            f"{place}: {name!r} is no task name; letters, digits, _ . - and at most 128 of them"
        )
    if not NAME.fullmatch(queue):
        raise RegistryError(f"{place}: {queue!r} is no queue name; it must match {NAME.pattern}")
    try:
        timeout_s = parse_seconds(timeout)
        seconds = {option: None if it is None else parse_seconds(it) for option, it in limits.items()}
    except ValueError as error:
        raise RegistryError(f"{place}: task {name!r}: {error}") from error
    for option, value in {"timeout": timeout_s, **seconds}.items():
        if value == 0 and option != "retention":
            raise RegistryError(f"{place}: task {name!r}: {option} must be above zero")
    retention_s = seconds["retention"]
    if not 0 <= version < 1_000_000:
        raise RegistryError(f"{place}: task {name!r}: version must be a whole number, not {version!r}")
    takes_context, args_type, result_type = _read_signature(function, name, place)
    return Definition(
        name=name,
        function=function,
        queue=queue,
        timeout_s=timeout_s,
        retry=retry,
        retention_ms=None if retention_s is None else max(1000, round(retention_s * 1000)),
        deadline_s=seconds["deadline"],
        expires_s=seconds["expires"],
        version=version,
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
        if parameter.name == "ctx" and "ctx" not in hints:
            raise RegistryError(
                f"{place}: task {name!r}: ctx has no type hint; write `ctx: Context` as the first parameter "
                "to get the task's context, or give an argument another name"
            )
        if _names_context(hints.get(parameter.name)):
            raise RegistryError(
                f"{place}: task {name!r}: {parameter} cannot be the task's context, which is the first "
                "parameter alone, with the hint Context itself; write it first, as `ctx: Context`"
            )
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
        json_schema(args_type)
    except TypeError as error:
        raise RegistryError(f"{place}: an argument of task {name!r} has no JSON form: {error}") from error
    return takes_context, args_type, hints.get("return", Any)


def _names_context(hint: Any) -> bool:
    """Whether a hint is Context, or has it inside, as `Context | None` does."""
    return hint is Context or any(map(_names_context, typing.get_args(hint)))


def json_schema(type: Any, ref_template: str = "#/$defs/{name}") -> tuple[dict[str, Any], dict[str, Any]]:
    """The JSON Schema of a type, and the components that it refers to by `ref_template`.

    `object` is any JSON, as `Any` is. Raises TypeError for a type without a JSON form.
    """
    (schema,), components = msgspec.json.schema_components(
        [type], ref_template=ref_template, schema_hook=_schema_of_object
    )
    return schema, components


def _schema_of_object(type: type) -> dict[str, Any]:
    if type is object:
        return {"description": "Any JSON."}  # an empty schema counts as none
    raise TypeError(f"{type.__module__}.{type.__qualname__} cannot be read from JSON")


def _default(value: Any) -> Any:
    """A mutable default (which has no hash) is copied for each call; msgspec does so with empty ones."""
    try:
        hash(value)
    except TypeError:
        return msgspec.field(default_factory=lambda: copy.deepcopy(value)) if value else value
    return value
