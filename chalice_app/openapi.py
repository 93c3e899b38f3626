"""/openapi.json: OpenAPI 3.1, generated from the registered tasks. The same tasks give the same text."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

import msgspec

from bide.registry import Definition
from chalice_app import limits
from chalice_app.problems import MEDIA_TYPE as PROBLEM_TYPE
from chalice_app.problems import STATUS
from chalice_app.schemas import SCHEMAS, Schema
from chalice_app.server import CloseBody
from chalice_app.services import Services
from chalice_app.wire import MEDIA_TYPE

_ID: Final[Schema] = {
    "name": "id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "pattern": "^[a-z0-9_-]{1,64}~[0-9a-v]{26}$"},
}
_KEY: Final[Schema] = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "A repeat with the same key and body is answered with the task of the first.",
    "schema": {"type": "string", "pattern": f"^[!-~]{{1,{limits.MAX_KEY_LENGTH}}}$"},
}
_PREFER: Final[Schema] = {
    "name": "Prefer",
    "in": "header",
    "description": f"`wait=n` (RFC 7240): answer when the task is done, or after n seconds; "
    f"at most {limits.MAX_WAIT_SECONDS}.",
    "schema": {"type": "string"},
    "example": "wait=5",
}
_IF_NONE_MATCH: Final[Schema] = {
    "name": "If-None-Match",
    "in": "header",
    "description": "The ETag of the last answer: 304 while the task has not changed.",
    "schema": {"type": "string"},
}

_HEADERS: Final[dict[str, Schema]] = {
    "Location": {"description": "The task.", "schema": {"type": "string"}},
    "Retry-After": {
        "description": "Seconds after which asking again may tell something new; 0 is very soon.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "ETag": {"description": "Changes whenever the task does.", "schema": {"type": "string"}},
    "Preference-Applied": {"description": "The `wait` that was honoured.", "schema": {"type": "string"}},
    "RateLimit": {"description": "Submissions left; only with a limit.", "schema": {"type": "string"}},
    "RateLimit-Policy": {"description": "The limit, if there is one.", "schema": {"type": "string"}},
    "Allow": {"schema": {"type": "string"}},
    "WWW-Authenticate": {"schema": {"type": "string"}},
}
_PROBLEM_HEADERS: Final[dict[int, tuple[str, ...]]] = {
    401: ("WWW-Authenticate",),
    405: ("Allow",),
    429: ("Retry-After", "RateLimit", "RateLimit-Policy"),
    503: ("Retry-After",),
}
_RATE: Final = ("RateLimit", "RateLimit-Policy")
_BODY_PROBLEMS: Final = (400, 413, 415, 422)


def document(services: Services, base: str) -> Schema:
    """The description of this server, whose paths all start with `base` (such as `/api`, or empty)."""
    definitions = sorted(services.registry.definitions.values(), key=lambda definition: definition.name)
    queues = sorted(services.queues)
    schemas = dict(SCHEMAS)
    submissions = []
    for definition in definitions:
        name = f"submit.{definition.name}"
        args, components = _args_schema(definition)
        schemas |= components
        schemas[name] = _submission_schema(definition, args, queues)
        submissions.append(name)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Bide",
            "version": limits.API_VERSION,
            "summary": "A task server: submit a task, poll, fetch its result.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": base or "/"}],
        "security": [] if services.settings.local else [{"key": []}],
        "paths": _paths(_one_of(submissions)),
        "components": {
            "schemas": schemas,
            "headers": _HEADERS,
            "responses": {_problem_name(status): _problem(status) for status in sorted({500, *STATUS.values()})},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _one_of(submissions: list[str]) -> Schema:
    if not submissions:
        return {"not": {}, "description": "No task is registered."}
    mapping = {name.removeprefix("submit."): f"#/components/schemas/{name}" for name in submissions}
    return {
        "oneOf": [{"$ref": reference} for reference in mapping.values()],
        "discriminator": {"propertyName": "name", "mapping": mapping},
    }


def _args_schema(definition: Definition) -> tuple[Schema, dict[str, Schema]]:
    """The schema of a task's arguments, and the components it refers to, each named after the task."""
    own = f"{definition.name}."
    (schema,), components = msgspec.json.schema_components(
        [definition.args_type], ref_template=f"#/components/schemas/{own}{{name}}"
    )
    args = components.pop(schema["$ref"].rpartition("/")[2].removeprefix(own))
    del args["title"]
    return args, {own + name: component for name, component in components.items()}


def _submission_schema(definition: Definition, args: Schema, queues: list[str]) -> Schema:
    required = ["name", "args"] if args.get("required") else ["name"]
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
            "run_at": {"type": "string", "format": "date-time", "description": "Past times are now."},
        },
        "required": required,
        "not": {"required": ["delay", "run_at"]},
        "additionalProperties": False,
    }
    if definition.function.__doc__:
        schema["description"] = definition.function.__doc__.strip()
    return schema


def _paths(submission: Schema) -> Schema:
    close_body = msgspec.json.schema(CloseBody, ref_template="#/{name}")["$defs"]["CloseBody"]
    task_seen = _answer(200, "The task is done, and the client had waited.", "Task", "Location", *_RATE, "Preference-Applied")
    accepted = _answer(202, "The task is recorded.", "Task", "Location", "Retry-After", *_RATE, "Preference-Applied")
    shown = _answer(200, "The task.", "Task", "ETag", "Retry-After", "Preference-Applied")
    unchanged = _answer(304, "The task has not changed.", None, "ETag", "Retry-After", "Preference-Applied")
    cancelled = _answer(200, "The task is cancelled.", "Task")
    asked = _answer(202, "The task runs; its worker has been asked.", "Task", "Retry-After")
    server = _answer(200, "The server's state.", "Server")
    return {
        "/": {"get": _open("index", "Links.", _answer(200, "Links.", "Links"))},
        "/docs": {"get": _open("showDocs", "This API, for people.", _text_answer(), 404)},
        "/openapi.json": {"get": _open("showOpenapi", "This document.", _answer(200, "OpenAPI 3.1.", "object"))},
        "/healthz": {"get": _open("showHealth", "Whether the server can work.", _answer(200, "It can.", "Health"))},
        "/v1/tasks": {
            "post": {
                **_operation("submitTask", "Submit a task.", task_seen | accepted, *_BODY_PROBLEMS, 429),
                "parameters": [_KEY, _PREFER],
                "requestBody": {"required": True, "content": {MEDIA_TYPE: {"schema": submission}}},
            }
        },
        "/v1/tasks/{id}": {
            "parameters": [_ID],
            "get": {
                **_operation("showTask", "Show a task.", shown | unchanged, 404),
                "parameters": [_IF_NONE_MATCH, _PREFER],
            },
        },
        "/v1/tasks/{id}/cancel": {
            "parameters": [_ID],
            "post": {
                **_operation("cancelTask", "Cancel a task.", cancelled | asked, *_BODY_PROBLEMS, 404, 409),
                "requestBody": _no_body(),
            },
        },
        "/v1/server": {"get": _operation("showServer", "Show whether submissions are accepted.", server)},
        "/v1/server/close": {
            "post": {
                **_operation("closeServer", "Refuse submissions.", server, *_BODY_PROBLEMS),
                "requestBody": {"required": True, "content": {MEDIA_TYPE: {"schema": close_body}}},
            }
        },
        "/v1/server/open": {
            "post": {
                **_operation("openServer", "Accept submissions again.", server, *_BODY_PROBLEMS),
                "requestBody": _no_body(),
            }
        },
    }


def _operation(id: str, summary: str, answers: Schema, *problems: int) -> Schema:
    """An operation for key holders; every one may also meet 401, 403, 500 and 503."""
    statuses = sorted({401, 403, 500, 503, *problems})
    references = {str(status): _reference("responses", _problem_name(status)) for status in statuses}
    return {"operationId": id, "summary": summary, "responses": answers | references}


def _open(id: str, summary: str, answers: Schema, *problems: int) -> Schema:
    """An operation that is open to all."""
    operation = _operation(id, summary, answers, *problems)
    del operation["responses"]["401"]
    return {**operation, "security": []}


def _answer(status: int, description: str, schema: str | None, *headers: str) -> Schema:
    response: Schema = {"description": description}
    if headers:
        response["headers"] = {name: _reference("headers", name) for name in headers}
    if schema is not None:
        body = {"type": "object"} if schema == "object" else _reference("schemas", schema)
        response["content"] = {MEDIA_TYPE: {"schema": body}}
    return {str(status): response}


def _text_answer() -> Schema:
    return {"200": {"description": "Markdown.", "content": {"text/plain": {"schema": {"type": "string"}}}}}


def _no_body() -> Schema:
    empty = {"type": "object", "additionalProperties": False}
    return {"required": False, "content": {MEDIA_TYPE: {"schema": empty}}}


def _problem(status: int) -> Schema:
    codes = sorted({error.code for error, mapped in STATUS.items() if mapped == status}) or ["INTERNAL"]
    headers = _PROBLEM_HEADERS.get(status, ())
    (response,) = _answer(status, f"{HTTPStatus(status).phrase}: {', '.join(codes)}.", None, *headers).values()
    return {**response, "content": {PROBLEM_TYPE: {"schema": _reference("schemas", "Problem")}}}


def _problem_name(status: int) -> str:
    return HTTPStatus(status).phrase.replace(" ", "")


def _reference(kind: str, name: str) -> Schema:
    return {"$ref": f"#/components/{kind}/{name}"}
