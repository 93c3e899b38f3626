"""The operations of the API for /openapi.json: parameters, bodies, and every answer each may give."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

import msgspec

from chalice_app import limits, parameters
from chalice_app.bulk import PurgeBody, RedriveBody
from chalice_app.problems import MEDIA_TYPE as PROBLEM_TYPE
from chalice_app.problems import STATUS
from chalice_app.schema_pieces import Schema
from chalice_app.server import CloseBody
from chalice_app.task_operations import LIST_PARAMETERS, batch_body
from chalice_app.wire import MEDIA_TYPE

HEADERS: Final[dict[str, Schema]] = {
    "Location": {"description": "The task, or the operation.", "schema": {"type": "string"}},
    "Retry-After": {
        "description": "Seconds after which asking again may tell something new; 0 is very soon.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "ETag": {"description": "Changes whenever the task does.", "schema": {"type": "string"}},
    "Preference-Applied": {"description": "The `wait` that was honoured.", "schema": {"type": "string"}},
    "RateLimit": {
        "description": "Submissions and events left; only with a limit.",
        "schema": {"type": "string"},
    },
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
_BODY: Final = (400, 413, 415, 422)
"""What may be wrong with a body."""
_RATE: Final = ("RateLimit", "RateLimit-Policy")
_WAITED: Final = "Preference-Applied"


def paths(submission: Schema) -> Schema:
    """All paths; `submission` is the schema of what may be submitted."""
    return {
        "/": {"get": _open("index", "Links.", _answer(200, "Links.", "Links"))},
        "/docs": {"get": _open("showDocs", "This API, for people.", _MARKDOWN, 404)},
        "/openapi.json": {"get": _open("showOpenapi", "This document.", _DOCUMENT)},
        "/healthz": {"get": _open("showHealth", "Whether it can work.", _answer(200, "It can.", "Health"))},
        "/v1/tasks": {"get": _list(), "post": _submit(submission)},
        "/v1/tasks/{id}": {"parameters": [parameters.ID], "get": _show(), "delete": _erase()},
        "/v1/batches": {"post": _submit_batch(submission)},
        "/v1/tasks/{id}/cancel": {"parameters": [parameters.ID], "post": _cancel()},
        "/v1/tasks/{id}/log": {"parameters": [parameters.ID], "get": _show_log()},
        "/v1/tasks/{id}/events/{name}": {
            "parameters": [parameters.ID, parameters.EVENT_NAME],
            "post": _send_event(),
        },
        "/v1/tasks/{id}/retry": {"parameters": [parameters.ID], "post": _retry()},
        "/v1/tasks/{id}/attempts": {
            "parameters": [parameters.ID],
            "get": _operation("listAttempts", "List a task's attempts.", _ATTEMPTS, 404),
        },
        "/v1/queues/{queue}/redrive": {
            "parameters": [parameters.QUEUE_NAME],
            "post": _begin("redrive", _REDRIVE),
        },
        "/v1/queues/{queue}/purge": {"parameters": [parameters.QUEUE_NAME], "post": _begin("purge", _PURGE)},
        "/v1/operations": {
            "get": _operators(_operation("listOperations", "List the latest operations.", _OPERATIONS)),
        },
        "/v1/operations/{id}": {
            "parameters": [parameters.OPERATION_ID],
            "get": _operators(_operation("showOperation", "Show an operation.", _OPERATION, 404)),
        },
        "/v1/stats": {"get": _operation("showStats", "Show what all tasks came to.", _STATS)},
        "/v1/stats/series": {"get": _show_series()},
        "/metrics": {"get": _operation("showMetrics", "Show figures for Prometheus.", _METRICS)},
        "/v1/scaling": {"get": _operation("showScaling", "Show the workers of each queue.", _SCALING)},
        "/v1/workers": {"get": _operation("showWorkers", "Show the workers.", _WORKERS)},
        "/v1/queues": {"get": _operation("listQueues", "List the queues.", _QUEUES)},
        "/v1/queues/{queue}": {
            "parameters": [parameters.QUEUE_NAME],
            "get": _operation("showQueue", "Show a queue.", _QUEUE, 404),
        },
        "/v1/queues/{queue}/pause": {
            "parameters": [parameters.QUEUE_NAME],
            "post": _change_queue("pauseQueue", "Lease none of its tasks."),
        },
        "/v1/queues/{queue}/resume": {
            "parameters": [parameters.QUEUE_NAME],
            "post": _change_queue("resumeQueue", "Lease its tasks again."),
        },
        "/v1/server": {"get": _operation("showServer", "Show whether submissions are accepted.", _SERVER)},
        "/v1/server/close": {
            "post": {
                **_operators(_operation("closeServer", "Refuse submissions.", _SERVER, *_BODY)),
                "requestBody": {"required": True, "content": _json(_CLOSE)},
            }
        },
        "/v1/server/drain": {
            "post": {
                **_operators(_operation("drainServer", "Close it, and count what is left.", _SERVER, *_BODY)),
                "requestBody": {"required": True, "content": _json(_CLOSE)},
            }
        },
        "/v1/server/open": {
            "post": {
                **_operators(_operation("openServer", "Accept submissions again.", _SERVER, *_BODY)),
                "requestBody": _NO_BODY,
            }
        },
    }


def problem_responses() -> dict[str, Schema]:
    """Every problem response, by the name that operations refer to."""
    statuses = sorted({500, *STATUS.values()})
    return {_problem_name(status): _problem(status) for status in statuses}


def _submit(submission: Schema) -> Schema:
    done = _answer(200, "It is done; the client waited.", "Task", "Location", *_RATE, _WAITED)
    accepted = _answer(202, "It is recorded.", "Task", "Location", "Retry-After", *_RATE, _WAITED)
    return {
        **_operation("submitTask", "Submit a task.", done | accepted, *_BODY, 409, 429),
        "parameters": [parameters.KEY, parameters.PREFER],
        "requestBody": {"required": True, "content": _json(submission)},
    }


def _list() -> Schema:
    page = _answer(200, "A page; it may be short, or empty, and still not the last.", "TaskPage")
    return {
        **_operation("listTasks", "List tasks, the newest first.", page, 400, 404),
        "parameters": LIST_PARAMETERS,
    }


def _submit_batch(submission: Schema) -> Schema:
    answered = _answer(202, "What became of each.", "Batch")
    return {
        **_operation("submitBatch", "Submit up to a hundred tasks, each for itself.", answered, *_BODY),
        "requestBody": {"required": True, "content": _json(batch_body(submission))},
    }


def _erase() -> Schema:
    erased = _answer(204, "It is erased.", None)
    return {
        **_operation("eraseTask", "Erase a finished task.", erased, *_BODY, 404, 409),
        "requestBody": _NO_BODY,
    }


def _show() -> Schema:
    shown = _answer(200, "The task.", "Task", "ETag", "Retry-After", _WAITED)
    unchanged = _answer(304, "The task has not changed.", None, "ETag", "Retry-After", _WAITED)
    return {
        **_operation("showTask", "Show a task.", shown | unchanged, 404),
        "parameters": [parameters.IF_NONE_MATCH, parameters.PREFER],
    }


def _show_log() -> Schema:
    page = _answer(200, "The lines that follow.", "Log", "Retry-After")
    shown = _operators(_operation("showLog", "Show a task's log.", page, 400, 404))
    return {**shown, "parameters": list(parameters.LOG_PAGE)}


def _cancel() -> Schema:
    cancelled = _answer(200, "It is cancelled.", "Task")
    asked = _answer(202, "It runs; its worker has been asked.", "Task", "Retry-After")
    return {
        **_operation("cancelTask", "Cancel a task.", cancelled | asked, *_BODY, 404, 409),
        "requestBody": _NO_BODY,
    }


def _send_event() -> Schema:
    sent = _answer(202, "It is recorded.", "Task", "Retry-After", *_RATE)
    return {
        **_operation("sendEvent", "Send a task an event.", sent, *_BODY, 404, 409, 429),
        "parameters": [parameters.EVENT_KEY],
        "requestBody": {
            "required": False,
            "description": f"Any JSON of at most {limits.MAX_EVENT_BYTES} bytes; nothing is null.",
            "content": _json({}),
        },
    }


def _change_queue(id: str, summary: str) -> Schema:
    return {**_operators(_operation(id, summary, _QUEUE, *_BODY, 404)), "requestBody": _NO_BODY}


def _retry() -> Schema:
    again = _answer(202, "It is ready again.", "Task", "Retry-After")
    return {
        **_operation("retryTask", "Retry a failed task.", again, *_BODY, 404, 409),
        "requestBody": _NO_BODY,
    }


def _begin(kind: str, body: Schema) -> Schema:
    begun = _answer(202, "It is recorded, and goes on unless it is done.", "Operation", "Location")
    summary = f"{kind.capitalize()} failed tasks of a queue."
    return {
        **_operators(_operation(f"{kind}Queue", summary, begun, *_BODY, 404, 429)),
        "requestBody": {"required": False, "content": _json(body)},
    }


def _show_series() -> Schema:
    return {
        **_operation("showSeries", "Show each of the last minutes.", _SERIES, 400, 404),
        "parameters": [
            _query(
                "minutes",
                "How many, the present one included.",
                {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": limits.MAX_SERIES_MINUTES,
                    "default": limits.DEFAULT_SERIES_MINUTES,
                },
            ),
            _query("queue", "This one alone.", {"type": "string", "maxLength": limits.MAX_QUEUE_LENGTH}),
            _query("name", "This task alone.", {"type": "string", "maxLength": limits.MAX_NAME_LENGTH}),
        ],
    }


def _query(name: str, description: str, schema: Schema) -> Schema:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _operation(id: str, summary: str, answers: Schema, *problems: int) -> Schema:
    """An operation for key holders; every one may also meet 401, 403, 500 and 503."""
    statuses = sorted({401, 403, 500, 503, *problems})
    references = {str(status): _reference("responses", _problem_name(status)) for status in statuses}
    return {"operationId": id, "summary": summary, "responses": answers | references}


def _operators(operation: Schema) -> Schema:
    """The same operation, for holders of an operator's key."""
    return {**operation, "description": "Needs an operator's key."}


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
        response["content"] = _json(_reference("schemas", schema))
    return {str(status): response}


def _problem(status: int) -> Schema:
    codes = sorted({error.code for error, mapped in STATUS.items() if mapped == status}) or ["INTERNAL"]
    headers = {name: _reference("headers", name) for name in _PROBLEM_HEADERS.get(status, ())}
    return {
        "description": f"{HTTPStatus(status).phrase}: {', '.join(codes)}.",
        **({"headers": headers} if headers else {}),
        "content": {PROBLEM_TYPE: {"schema": _reference("schemas", "Problem")}},
    }


def _problem_name(status: int) -> str:
    return HTTPStatus(status).phrase.replace(" ", "")


def _reference(kind: str, name: str) -> Schema:
    return {"$ref": f"#/components/{kind}/{name}"}


def _json(schema: Schema) -> Schema:
    return {MEDIA_TYPE: {"schema": schema}}


_ATTEMPTS: Final = _answer(200, "The attempts.", "Attempts")
_OPERATION: Final = _answer(200, "The operation.", "Operation")
_OPERATIONS: Final = _answer(200, "The operations.", "Operations")
_REDRIVE: Final = msgspec.json.schema_components([RedriveBody])[1]["RedriveBody"]
_PURGE: Final = msgspec.json.schema_components([PurgeBody])[1]["PurgeBody"]
_SERVER: Final = _answer(200, "The server's state.", "Server")
_QUEUE: Final = _answer(200, "The queue.", "Queue")
_QUEUES: Final = _answer(200, "Every queue.", "Queues")
_WORKERS: Final = _answer(200, "The workers.", "Workers")
_SCALING: Final = _answer(200, "The fleets.", "Scaling")
_STATS: Final = _answer(200, "The totals.", "Stats")
_SERIES: Final = _answer(200, "The series.", "ChartJson")
_METRICS: Final[Schema] = {
    "200": {
        "description": "The text format of Prometheus, 0.0.4.",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }
}
_CLOSE: Final = msgspec.json.schema_components([CloseBody])[1]["CloseBody"]
_NO_BODY: Final[Schema] = {
    "required": False,
    "content": _json({"type": "object", "additionalProperties": False}),
}
_DOCUMENT: Final[Schema] = {"200": {"description": "OpenAPI 3.1.", "content": _json({"type": "object"})}}
_MARKDOWN: Final[Schema] = {
    "200": {"description": "Markdown.", "content": {"text/plain": {"schema": {"type": "string"}}}}
}
