"""List tasks, page by page."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import Final

import msgspec
from chalice.app import Response
from msgspec import Raw

from bide.listing import NEWEST, Filter, Listing, Place, Position
from bide.state import State
from chalice_app import query, wire
from chalice_app.errors import InvalidRequest
from chalice_app.limits import MAX_NAME_LENGTH, MAX_PAGE_SIZE, PAGE_SIZE
from chalice_app.queues import known_queue
from chalice_app.routing import Call, Routes
from chalice_app.submission import TAG_WORDS

routes: Final = Routes()

_PARAMETERS: Final = ("queue", "name", "state", "tag", "page_size", "page_token")
_TAG: Final = re.compile("[a-z0-9_-]{1,64}")
_START: Final = re.compile("[0-9]{1,15}")
_MOST_WITHIN: Final = 10**9
_WRONG_TOKEN: Final = (
    "page_token is not one that this list has given: pass on next_page_token as it is, with the same filters."
)


class _Token(msgspec.Struct, frozen=True, array_like=True):
    filters: bytes
    """Digest of what the list was asked for."""
    position: dict[str, tuple[str, int]]
    """Of queues that have more."""


_encode = msgspec.json.Encoder().encode
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(_Token).decode


@routes.get("/v1/tasks")
def list_tasks(call: Call) -> Response:
    """List tasks, the newest first: 200 with a page, which may be short, or empty, and still not the last."""
    services = call.services
    asked = query.parameters(call.request, _PARAMETERS)
    filter, queue = _filter(asked), asked.get("queue", "")
    size = query.integer(asked, "page_size", 1, MAX_PAGE_SIZE, PAGE_SIZE)
    slots = [known_queue(services, queue)] if queue else sorted(services.store.slots())
    digest = _digest(call.tenant, queue, filter)
    position: dict[str, Place | None] = dict.fromkeys(slots, NEWEST)
    if "page_token" in asked:
        position = _position(asked["page_token"], digest, slots)
    page = Listing(services.store).page(call.tenant, filter, size, position)
    now_ms = services.store.now_ms()
    shown = [
        Raw(wire.task_json(view, now_ms, services.tariff, traceback=False, brief=True)) for view in page.tasks
    ]
    token = _token(digest, page.next) if page.next else None
    return wire.respond(200, _encode({"tasks": shown, "next_page_token": token}))


def _filter(asked: query.Parameters) -> Filter:
    name, state, tag = (
        query.text(asked, "name", MAX_NAME_LENGTH),
        asked.get("state", ""),
        asked.get("tag", ""),
    )
    if state and state not in list(State):
        raise InvalidRequest(f"There is no state {state!r}; there are {', '.join(State)}.")
    if tag and not _TAG.fullmatch(tag):
        raise InvalidRequest(TAG_WORDS)
    return Filter(name, state, tag)


def _digest(tenant: str, queue: str, filter: Filter) -> bytes:
    told = "\0".join((tenant, queue, filter.name, filter.state, filter.tag))
    return hashlib.blake2b(told.encode(), digest_size=6).digest()


def _token(digest: bytes, position: Position) -> str:
    places = {slot: (place.start, place.within) for slot, place in position.items() if place is not None}
    return base64.urlsafe_b64encode(_pack(_Token(digest, places))).decode().rstrip("=")


def _position(text: str, digest: bytes, slots: list[str]) -> dict[str, Place | None]:
    """Where the page begins. A queue that is new since the first page is left out."""
    try:
        token = _unpack(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        raise InvalidRequest(_WRONG_TOKEN) from error
    position: dict[str, Place | None] = {}
    for slot, place in token.position.items():
        if slot not in slots:
            raise InvalidRequest(_WRONG_TOKEN)
        position[slot] = _place(*place)
    if token.filters != digest:
        raise InvalidRequest(_WRONG_TOKEN)
    return position


def _place(start: str, within: int) -> Place:
    place = Place(start, within)
    if place != NEWEST and not (_START.fullmatch(start) and 0 <= within < _MOST_WITHIN):
        raise InvalidRequest(_WRONG_TOKEN)
    return place
