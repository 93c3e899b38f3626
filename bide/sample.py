"""A task to try a server with: one of those that are registered, and arguments that it accepts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from bide.definition import Definition, json_schema

_FIRST: Final = "echo"
"""The task that is taken where it is registered: whoever reads the documents knows it."""

_BY_FORMAT: Final = {
    "date-time": "2030-01-01T12:00:00Z",
    "date": "2030-01-01",
    "time": "12:00:00",
    "duration": "PT1M",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "decimal": "1.5",
}

_DEEPEST: Final = 8


class Sample(msgspec.Struct, frozen=True):
    """A task's name, and the arguments that it has to be given."""

    name: str
    args: dict[str, Any]


def sample(definitions: Mapping[str, Definition]) -> Sample | None:
    """The first task for which arguments can be made up; None when there is no such task."""
    for name in sorted(definitions, key=lambda name: (name != _FIRST, name)):
        args = _arguments(definitions[name])
        if args is not None:
            return Sample(name, args)
    return None


def _arguments(definition: Definition) -> dict[str, Any] | None:
    """What the task accepts, without what it does not need; None if that cannot be guessed, as a pattern."""
    schema, parts = json_schema(definition.args_type, "{name}")
    args: dict[str, Any] = _value(schema, parts, 0)
    try:
        definition.decode_args(msgspec.json.encode(args))
    except Exception:  # not fitting, or whatever the types' own code raises: an API process is to start
        return None
    return args


def _value(schema: Mapping[str, Any], parts: Mapping[str, Any], depth: int) -> Any:
    """Something of this schema, as far as that can be told from types, bounds and choices."""
    if depth > _DEEPEST:
        return None
    if "$ref" in schema:
        return _value(parts[schema["$ref"]], parts, depth + 1)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    choices = schema.get("anyOf", schema.get("oneOf"))
    if choices:
        some = [choice for choice in choices if choice.get("type") != "null"]
        return _value((some or choices)[0], parts, depth + 1)
    match schema.get("type"):
        case "object":
            properties = schema.get("properties", {})
            return {name: _value(properties[name], parts, depth + 1) for name in schema.get("required", ())}
        case "array":
            items = schema.get("prefixItems") or [schema.get("items") or {}] * schema.get("minItems", 0)
            return [_value(item, parts, depth + 1) for item in items]
        case "integer" | "number":
            return _number(schema)
        case "boolean":
            return True
        case "null":
            return None
    text = _BY_FORMAT.get(schema.get("format", ""), "hello")
    return text.ljust(schema.get("minLength", 0), "o")[: schema.get("maxLength")]


def _number(schema: Mapping[str, Any]) -> Any:
    least = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
    most = schema.get("maximum", schema.get("exclusiveMaximum", least + 2) - 1)
    step = schema.get("multipleOf", 1)
    return min(max(1, least), most) // step * step if step != 1 else min(max(1, least), most)
