"""The body of `POST /v1/tasks`, and what becomes of it: a Submission for the store."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Final

import msgspec
from chalice.app import Request
from msgspec import UNSET, Meta, UnsetType

from bide.definition import Definition
from bide.errors import UnknownQueue
from bide.submission import Submission
from chalice_app.errors import FieldError, InvalidFields
from chalice_app.limits import (
    MAX_DELAY_SECONDS,
    MAX_KEY_LENGTH,
    MAX_NAME_LENGTH,
    MAX_PRIORITY,
    MAX_QUEUE_LENGTH,
    MAX_TAGS,
    MAX_UNIQUE_LENGTH,
)
from chalice_app.requests import idempotency_key, read_body
from chalice_app.services import Services

_FINGERPRINT_BYTES: Final = 16

TAG_WORDS: Final = "A tag has 1 to 64 characters, each one of a-z, 0-9, _ and -."
Tag = Annotated[str, Meta(pattern="^[a-z0-9_-]{1,64}$(?!\\n)")]


class SubmissionBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The JSON object. Of two fields of one name the last counts."""

    LATER: ClassVar[frozenset[str]] = frozenset({"callback_url"})
    """Fields that a later version takes."""
    WORDS: ClassVar[Mapping[str, str]] = {
        "unique": f"Expected 1 to {MAX_UNIQUE_LENGTH} visible ASCII characters.",
        "tags": f"Expected at most {MAX_TAGS} tags. {TAG_WORDS}",
    }
    """What fields take, where a pattern says it."""

    name: Annotated[str, Meta(max_length=MAX_NAME_LENGTH)]
    args: dict[str, Any] = {}
    queue: Annotated[str, Meta(max_length=MAX_QUEUE_LENGTH)] | UnsetType = UNSET
    delay: Annotated[float, Meta(ge=0, le=MAX_DELAY_SECONDS)] | UnsetType = UNSET
    """Seconds."""
    run_at: Annotated[datetime, Meta(tz=True)] | UnsetType = UNSET
    priority: Annotated[int, Meta(ge=0, le=MAX_PRIORITY)] = 0
    """9 is first."""
    expires: Annotated[float, Meta(gt=0, le=MAX_DELAY_SECONDS)] | UnsetType = UNSET
    """Seconds from now until it is given up unless it has started."""
    unique: Annotated[str, Meta(pattern=f"^[!-~]{{1,{MAX_UNIQUE_LENGTH}}}$(?!\\n)")] | UnsetType = UNSET
    tags: Annotated[list[Tag], Meta(max_length=MAX_TAGS)] = []


class BatchItem(SubmissionBody, frozen=True, forbid_unknown_fields=True):
    """One submission of a batch."""

    WORDS: ClassVar[Mapping[str, str]] = {
        **SubmissionBody.WORDS,
        "idempotency_key": f"Expected 1 to {MAX_KEY_LENGTH} visible ASCII characters.",
    }

    idempotency_key: Annotated[str, Meta(pattern=f"^[!-~]{{1,{MAX_KEY_LENGTH}}}$(?!\\n)")] = ""


_DECODER: Final = msgspec.json.Decoder(SubmissionBody)
_encode = msgspec.json.Encoder().encode
_encode_canonical = msgspec.json.Encoder(order="sorted").encode


def read_submission(request: Request, services: Services, tenant: str) -> Submission:
    """The validated submission in a request.

    Raises what `read_body` raises, UnknownTask, UnknownQueue, InvalidArguments, and
    InvalidRequest for a bad Idempotency-Key.
    """
    key = idempotency_key(request.headers)
    return submission_of(read_body(request, _DECODER), key, services, tenant)


def submission_of(body: SubmissionBody, key: str, services: Services, tenant: str) -> Submission:
    """What such a body asks for; `key` may be empty.

    Raises UnknownTask, UnknownQueue, InvalidArguments, InvalidFields.
    """
    definition = services.registry.get(body.name)
    queue = definition.queue if body.queue is UNSET else body.queue
    if queue not in services.queues:
        raise UnknownQueue(queue, sorted(services.queues))
    delay_ms = 0 if body.delay is UNSET else round(body.delay * 1000)
    run_at_ms = 0 if body.run_at is UNSET else _run_at_ms(body, body.run_at, services)
    args = _encode(body.args).decode()
    definition.decode_args(args)
    expires_s = definition.expires_s if body.expires is UNSET else body.expires
    expires_ms = _duration_ms(expires_s)
    if expires_s and expires_ms <= (run_at_ms - services.store.now_ms() if run_at_ms else delay_ms):
        early = f"It would expire before it is due: `expires` ({expires_s:g} s) counts from the submission."
        raise InvalidFields([FieldError("/expires", early)])
    tags = tuple(dict.fromkeys(body.tags))
    return Submission(
        name=body.name,
        args=args,
        queue=queue,
        tenant=tenant,
        max_attempts=definition.retry.max_attempts,
        retention_ms=_retention_ms(definition, services),
        delay_ms=delay_ms,
        run_at_ms=run_at_ms,
        idempotency_key=key,
        fingerprint=_fingerprint(body, queue, delay_ms, run_at_ms) if key else b"",
        priority=body.priority,
        unique="" if body.unique is UNSET else body.unique,
        tags=tags,
        expires_ms=expires_ms,
        deadline_ms=_duration_ms(definition.deadline_s),
    )


def _run_at_ms(body: SubmissionBody, run_at: datetime, services: Services) -> int:
    if body.delay is not UNSET:
        raise InvalidFields([FieldError("/run_at", "Give delay or run_at, not both.")])
    run_at_ms = max(0, round(run_at.timestamp() * 1000))
    if run_at_ms > services.store.now_ms() + MAX_DELAY_SECONDS * 1000:
        days = MAX_DELAY_SECONDS // 86_400
        raise InvalidFields([FieldError("/run_at", f"A task can be scheduled at most {days} days ahead.")])
    return run_at_ms


def _retention_ms(definition: Definition, services: Services) -> int:
    own = definition.retention_ms
    return services.settings.retention_seconds * 1000 if own is None else own


def _duration_ms(seconds: float | None) -> int:
    """At least 1, as 0 stands for none."""
    return 0 if seconds is None else max(1, round(seconds * 1000))


def _fingerprint(body: SubmissionBody, queue: str, delay_ms: int, run_at_ms: int) -> bytes:
    """Equal for bodies that mean the same, however they are spelt."""
    told = (body.name, body.args, queue, delay_ms, run_at_ms, body.priority)
    also = [None if value is UNSET else value for value in (body.expires, body.unique)]
    canonical = _encode_canonical((*told, *also, sorted(set(body.tags))))
    return hashlib.sha256(canonical).digest()[:_FINGERPRINT_BYTES]
