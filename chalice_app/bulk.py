"""Bodies of a redrive and a purge, and the JSON form of an operation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from bide.bulk import Kind, Known, Wanted
from chalice_app.limits import MAX_CODE_LENGTH, MAX_NAME_LENGTH, MAX_RATE, MIN_RATE
from chalice_app.submission import TAG_WORDS, Tag
from chalice_app.wire import time_text

_Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME_LENGTH)] | UnsetType
_Tag = Tag | UnsetType
_Code = Annotated[str, Meta(min_length=1, max_length=MAX_CODE_LENGTH)] | UnsetType


class PurgeBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/queues/{queue}/purge`; what is left out means every failed task."""

    WORDS: ClassVar[Mapping[str, str]] = {"tag": TAG_WORDS}

    dry_run: bool = True
    """Only count. The default: whoever means it says so."""
    name: _Name = UNSET
    tag: _Tag = UNSET
    code: _Code = UNSET
    """Of the failure."""


class RedriveBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/queues/{queue}/redrive`."""

    WORDS: ClassVar[Mapping[str, str]] = PurgeBody.WORDS

    dry_run: bool = True
    name: _Name = UNSET
    tag: _Tag = UNSET
    code: _Code = UNSET
    rate: Annotated[float, Meta(ge=MIN_RATE, le=MAX_RATE)] | UnsetType = UNSET
    """Tasks per second; all at once without it."""


class OperationJson(msgspec.Struct, frozen=True):
    """An operation on the wire. docs/http-api.md describes each field."""

    id: str
    kind: Kind
    queue: str
    state: str
    dry_run: bool
    filter: dict[str, str]
    rate: float | None
    matched: int
    changed: int
    skipped: int
    created_at: str | None
    finished_at: str | None


class OperationsJson(msgspec.Struct, frozen=True):
    """The latest operations."""

    operations: list[OperationJson]


REDRIVE: Final = msgspec.json.Decoder(RedriveBody)
PURGE: Final = msgspec.json.Decoder(PurgeBody)
_encode = msgspec.json.Encoder().encode


def wanted_by(body: PurgeBody | RedriveBody) -> Wanted:
    """Which failed tasks a body means."""
    return Wanted(body.name or "", body.tag or "", body.code or "")


def operation_json(known: Known) -> bytes:
    """The body that shows an operation."""
    return _encode(_form(known))


def operations_json(known: tuple[Known, ...]) -> bytes:
    """The body that lists operations."""
    return _encode(OperationsJson([_form(each) for each in known]))


def _form(known: Known) -> OperationJson:
    id, operation = known
    wanted = {"name": operation.name, "tag": operation.tag, "code": operation.code}
    return OperationJson(
        id=str(id),
        kind=operation.kind,
        queue=id.slot,
        state="running" if operation.running else "done",
        dry_run=operation.dry_run,
        filter={field: value for field, value in wanted.items() if value},
        rate=operation.rate or None,
        matched=operation.matched,
        changed=operation.changed,
        skipped=operation.skipped,
        created_at=time_text(operation.created_ms),
        finished_at=time_text(operation.finished_ms),
    )
