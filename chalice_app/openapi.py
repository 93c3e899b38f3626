"""/openapi.json: OpenAPI 3.1, generated from the registered tasks. The same tasks give the same text."""

from __future__ import annotations

from bide.definition import Definition, json_schema
from chalice_app import limits, operations
from chalice_app.schema_pieces import Schema
from chalice_app.schemas import SCHEMAS
from chalice_app.services import Services
from chalice_app.task_operations import FIELDS


def document(services: Services, base: str) -> Schema:
    """The description of this server, whose paths all start with `base` (such as `/api`, or empty)."""
    definitions = sorted(services.registry.definitions.values(), key=lambda definition: definition.name)
    queues = sorted(services.queues)
    schemas = dict(SCHEMAS)
    submissions: dict[str, str] = {}
    for definition in definitions:
        args, components = _args_schema(definition)
        name = f"submit.{definition.name}"
        schemas |= components
        schemas[name] = _submission_schema(definition, args, queues)
        submissions[definition.name] = f"#/components/schemas/{name}"
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Bide",
            "version": limits.API_VERSION,
            "summary": "A task server: submit a task, poll, fetch its result.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": base or "/"}],
        "security": [] if services.settings.is_keyless else [{"key": []}],
        "paths": operations.paths(_one_of(submissions)),
        "components": {
            "schemas": schemas,
            "headers": operations.HEADERS,
            "responses": operations.problem_responses(),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _one_of(submissions: dict[str, str]) -> Schema:
    if not submissions:
        return {"not": {}, "description": "No task is registered."}
    return {
        "oneOf": [{"$ref": reference} for reference in submissions.values()],
        "discriminator": {"propertyName": "name", "mapping": submissions},
    }


def _args_schema(definition: Definition) -> tuple[Schema, dict[str, Schema]]:
    """The schema of a task's arguments, and the components it refers to, each named after the task."""
    own = f"{definition.name}."
    schema, components = json_schema(definition.args_type, f"#/components/schemas/{own}{{name}}")
    args = components.pop(schema["$ref"].rpartition("/")[2].removeprefix(own))
    del args["title"]
    return args, {own + name: component for name, component in components.items()}


def _submission_schema(definition: Definition, args: Schema, queues: list[str]) -> Schema:
    schema: Schema = {
        "type": "object",
        "properties": {
            "name": {"const": definition.name},
            "args": args,
            "queue": {"enum": queues, "default": definition.queue},
            "delay": {
                "type": "number",
                "minimum": 0,
                "maximum": limits.MAX_DELAY_SECONDS,
                "description": "Seconds.",
            },
            "run_at": {"type": "string", "format": "date-time", "description": "A past time is now."},
            **FIELDS,
        },
        "required": ["name", "args"] if args.get("required") else ["name"],
        "not": {"required": ["delay", "run_at"]},
        "additionalProperties": False,
    }
    if definition.function.__doc__:
        schema["description"] = definition.function.__doc__.strip()
    return schema
