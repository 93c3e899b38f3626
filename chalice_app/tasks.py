"""Submit a task, ask how it is, send it an event, cancel it, retry it."""

from __future__ import annotations

from typing import Final

import msgspec
from chalice.app import Response

from bide.errors import RateLimited
from bide.ids import TaskId
from bide.records import TaskView
from chalice_app import predict, problems, ratelimit, wire
from chalice_app.limits import MAX_EVENT_BYTES
from chalice_app.requests import (
    base_path,
    event_name,
    expect_no_body,
    idempotency_key,
    matches,
    read_value,
    task_id,
    wait_seconds,
)
from chalice_app.routing import Call, Routes
from chalice_app.submission import read_submission
from chalice_app.waiting import wait_until_done
from chalice_app.waking import wake

routes: Final = Routes()

_PATH: Final = "/v1/tasks"
_encode_canonical = msgspec.json.Encoder(order="sorted").encode


@routes.post(_PATH)
def submit_task(call: Call) -> Response:
    """Accept a task: 202, or 200 when the client waited and it is done."""
    services, limit = call.services, call.services.settings.rate_limit
    submission = read_submission(call.request, services, call.tenant)
    try:
        accepted = services.store.submit(submission, rate_limit=limit)
    except RateLimited as error:
        return _rate_limited(call, error)
    id = accepted.id
    wake(call.services, id.slot, accepted.need)
    view = accepted.view or services.reads.task(id, call.tenant)
    view, waited = _wait(call, view, id)
    headers = {"Location": f"{base_path(call.request, _PATH)}{_PATH}/{view.id}", **waited}
    headers |= ratelimit.headers_after(limit, accepted.burst_left)
    if waited and view.run.state.done:
        return wire.respond(200, _show(call, view), headers)
    now_ms = services.store.clock.now_ms() or view.submitted_ms
    headers["Retry-After"] = str(predict.retry_after(view, now_ms))
    return wire.respond(202, _show(call, view), headers)


@routes.get(f"{_PATH}/{{id}}")
def show_task(call: Call, id: str) -> Response:
    """Show a task: 200, or 304 when the client has it as it is."""
    asked = task_id(id)
    view, headers = _wait(call, call.services.reads.task(asked, call.tenant), asked)
    tag = wire.etag(view)
    headers["ETag"] = tag
    if not view.run.state.done:
        headers["Retry-After"] = _retry_after(call, view)
    if matches(call.request.headers, tag):
        return wire.not_modified(headers)
    return wire.respond(200, _show(call, view), headers)


@routes.delete(f"{_PATH}/{{id}}")
def erase_task(call: Call, id: str) -> Response:
    """Erase a finished task: 204."""
    asked = task_id(id)
    expect_no_body(call.request)
    call.services.store.erase(asked, call.tenant)
    return Response(body="", status_code=204)


@routes.post(f"{_PATH}/{{id}}/cancel")
def cancel_task(call: Call, id: str) -> Response:
    """Cancel a task: 200 when it is cancelled, 202 when its worker has been asked to."""
    asked = task_id(id)
    expect_no_body(call.request)
    cancelled = call.services.store.cancel(asked, call.tenant)
    wake(call.services, asked.slot, cancelled.need)
    view = call.services.reads.task(asked, call.tenant)
    if cancelled.now or view.run.state.done:
        return wire.respond(200, _show(call, view))
    return wire.respond(202, _show(call, view), {"Retry-After": _retry_after(call, view)})


@routes.post(f"{_PATH}/{{id}}/retry")
def retry_task(call: Call, id: str) -> Response:
    """Begin a failed task again: 202, also when it was begun again before and has not finished since."""
    asked = task_id(id)
    expect_no_body(call.request)
    retried = call.services.store.retry(asked, call.tenant)
    wake(call.services, asked.slot, retried.need)
    view = call.services.reads.task(asked, call.tenant)
    return wire.respond(202, _show(call, view), {"Retry-After": _retry_after(call, view)})


@routes.get(f"{_PATH}/{{id}}/attempts")
def list_attempts(call: Call, id: str) -> Response:
    """List a task's attempts."""
    from chalice_app import attempts  # few ask for them

    history = call.services.reads.attempts(task_id(id), call.tenant)
    return wire.respond(200, attempts.attempts_json(history, traceback=call.is_operator))


@routes.post(f"{_PATH}/{{id}}/events/{{name}}")
def send_event(call: Call, id: str, name: str) -> Response:
    """Send a task an event, with any JSON: 202 once it is recorded."""
    asked, services, limit = task_id(id), call.services, call.services.settings.rate_limit
    named = event_name(name)
    key = idempotency_key(call.request.headers)
    # Equal for bodies that mean the same: a repeat with the same key need not be spelt alike.
    body = _encode_canonical(read_value(call.request, MAX_EVENT_BYTES))
    try:
        sent = services.store.send_event(asked, call.tenant, named, body, key=key, rate_limit=limit)
    except RateLimited as error:
        return _rate_limited(call, error)
    wake(services, asked.slot, sent.need)
    view = services.reads.task(asked, call.tenant)
    headers = {"Retry-After": _retry_after(call, view)} | ratelimit.headers_after(limit, sent.burst_left)
    return wire.respond(202, _show(call, view), headers)


def _rate_limited(call: Call, error: RateLimited) -> Response:
    """The answer to who has used up the rate, with the headers that tell of it."""
    limit = call.services.settings.rate_limit
    return problems.answer(error, call.request, ratelimit.headers(limit, 0, error.retry_after_ms))


def _show(call: Call, view: TaskView) -> bytes:
    # Each view asks the store's time before it comes here.
    services = call.services
    now_ms = services.store.clock.now_ms() or 0
    return wire.task_json(view, now_ms, services.tariff, traceback=call.is_operator)


def _wait(call: Call, view: TaskView, id: TaskId) -> tuple[TaskView, dict[str, str]]:
    """Hold the request if it prefers so; returns the task as it is then, and the header that says so."""
    seconds = wait_seconds(call.request.headers)
    if seconds == 0:
        return view, {}
    view, honoured = wait_until_done(call.services, view, id, seconds, call.request.lambda_context)
    return view, {"Preference-Applied": f"wait={seconds}"} if honoured else {}


def _retry_after(call: Call, view: TaskView) -> str:
    return str(predict.retry_after(view, call.services.store.now_ms()))
