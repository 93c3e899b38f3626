"""Submit many tasks with one request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Final

import msgspec
from chalice.app import Response
from msgspec import UNSET, Meta, Raw, UnsetType

from bide.errors import BideError, TaskNotFound, TooLarge
from bide.records import TaskView
from bide.replies import Accepted, Need
from bide.submission import Submission
from chalice_app import problems, wire
from chalice_app.errors import InvalidRequest, MalformedJson
from chalice_app.limits import MAX_BATCH, MAX_BATCH_BYTES, MAX_BODY_BYTES, MAX_DEPTH
from chalice_app.predict import retry_after
from chalice_app.requests import decoded, read_body
from chalice_app.routing import Call, Routes
from chalice_app.services import Services
from chalice_app.submission import BatchItem, submission_of
from chalice_app.waking import wake

routes: Final = Routes()


class BatchBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/batches`; each item is a BatchItem, decoded by itself."""

    items: Annotated[list[Raw], Meta(min_length=1, max_length=MAX_BATCH)]


_BODY: Final = msgspec.json.Decoder(BatchBody)
_ITEM: Final = msgspec.json.Decoder(BatchItem)
_AROUND: Final = 2
"""Levels of nesting around an item: the body and the array."""
_encode = msgspec.json.Encoder().encode


class _Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    task: Raw = Raw()
    problem: problems.Problem | None = None
    retry_after: int | UnsetType = UNSET
    """What Retry-After would say of it alone, in seconds."""


@routes.post("/v1/batches")
def submit_batch(call: Call) -> Response:
    """Accept up to a hundred tasks, each for itself: 202 with a task or a problem for each."""
    services = call.services
    if "idempotency-key" in call.request.headers:
        raise InvalidRequest(
            "A batch has no Idempotency-Key: give each item an `idempotency_key` of its own."
        )
    items = read_body(call.request, _BODY, MAX_BATCH_BYTES, MAX_DEPTH + _AROUND).items
    asked = [_read(call, bytes(item)) for item in items]
    submissions = [each for each in asked if isinstance(each, Submission)]
    answers = services.store.submit_all(submissions, rate_limit=services.settings.rate_limit)
    _wake(services, [answer for answer in answers if isinstance(answer, Accepted)])
    views = iter(_views(call, answers))
    shown = [_answer(call, next(views) if isinstance(each, Submission) else each) for each in asked]
    return wire.respond(202, _encode({"items": shown}))


def _read(call: Call, item: bytes) -> Submission | BideError:
    """What an item asks for, or its own fault. Raises MalformedJson: then the whole body is no JSON."""
    try:
        if len(item) > MAX_BODY_BYTES:
            raise TooLarge(f"The item has {len(item)} bytes; at most {MAX_BODY_BYTES} are taken.")
        body = decoded(item, _ITEM)
        return submission_of(body, body.idempotency_key, call.services, call.tenant)
    except MalformedJson:
        raise
    except BideError as error:
        return error


def _wake(services: Services, accepted: list[Accepted]) -> None:
    for slot in dict.fromkeys(answer.id.slot for answer in accepted):
        needs = [answer.need for answer in accepted if answer.id.slot == slot]
        alarms = [need.alarm_ms for need in needs if need.alarm_ms]
        wake(services, slot, Need(sum(need.workers for need in needs), min(alarms, default=0)))


def _views(call: Call, answers: Sequence[Accepted | BideError]) -> Iterator[TaskView | BideError]:
    """What the store answered, with tasks in place of what it accepted, now or before."""
    seen = [answer.id for answer in answers if isinstance(answer, Accepted) and answer.seen]
    known = call.services.reads.tasks(seen, call.tenant)
    for answer in answers:
        if isinstance(answer, BideError):
            yield answer
        else:
            yield answer.view or known.get(answer.id) or TaskNotFound()


def _answer(call: Call, view: TaskView | BideError) -> _Answer:
    if isinstance(view, BideError):
        return _problem(view)
    services = call.services
    now_ms = services.store.clock.now_ms() or view.submitted_ms
    shown = wire.task_json(view, now_ms, services.tariff, traceback=call.is_operator)
    return _Answer(Raw(shown), retry_after=UNSET if view.run.state.done else retry_after(view, now_ms))


def _problem(error: BideError) -> _Answer:
    """Raises a fault of ours again."""
    problem = problems.describe(error)
    if problem is None:
        raise error
    wait = problems.headers_of(error).get("Retry-After")
    return _Answer(problem=problem, retry_after=UNSET if wait is None else int(wait))
