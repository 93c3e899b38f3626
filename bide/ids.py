"""Ids of tasks, `<slot>~` and 26 characters that sort by time, and of operations, `<slot>~op-` and such ones.

The 26 characters are 16 bytes (48 bits of Unix milliseconds, 80 random bits) in
lower-case base32hex (RFC 4648), which keeps the byte order. The store holds the
16 bytes alone; the slot is in the key's hash tag.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
from collections.abc import Callable
from typing import Final, NamedTuple

_SHAPE = re.compile(r"([a-z0-9_-]{1,64})~(op-)?([0-9a-v]{25}[048cgkos])")
"""The last character carries three bits only, hence the shorter alphabet."""


_DIGITS: Final = "0123456789abcdefghijklmnopqrstuv"
_PAIRS: Final = tuple(high + low for high in _DIGITS for low in _DIGITS)
"""By ten bits."""
_HALVES: Final = struct.Struct(">QQ").unpack


class TaskId(NamedTuple):
    """A task's name in the store: its slot and its 16 bytes there."""

    slot: str
    key: bytes

    def __str__(self) -> str:
        return f"{self.slot}~{spell(self.key)}"

    @property
    def submitted_ms(self) -> int:
        """Unix milliseconds of the submission, by the store's clock."""
        return int.from_bytes(self.key[:6], "big")


class OperationId(NamedTuple):
    """An operation's name in the store: its slot and its 16 bytes there."""

    slot: str
    key: bytes

    def __str__(self) -> str:
        return f"{self.slot}~op-{spell(self.key)}"


def new_id(slot: str, now_ms: int, random_bytes: Callable[[int], bytes]) -> TaskId:
    """A fresh id; `random_bytes(n)` is the source of its 80 random bits."""
    return TaskId(slot, now_ms.to_bytes(6, "big") + random_bytes(10))


def parse_id(text: str) -> TaskId | None:
    """The id of a task that `text` spells, or None when it spells none."""
    match = _SHAPE.fullmatch(text)
    key = _bytes(match[3]) if match and not match[2] else None
    return TaskId(match[1], key) if match and key else None


def parse_operation_id(text: str) -> OperationId | None:
    """The id of an operation that `text` spells, or None when it spells none."""
    match = _SHAPE.fullmatch(text)
    key = _bytes(match[3]) if match and match[2] else None
    return OperationId(match[1], key) if match and key else None


def spell(key: bytes) -> str:
    """The 26 characters. The standard library takes thrice as long, and each line of a log spells an id."""
    first, last = _HALVES(key)  # cut anew, into numbers that are quick to shift
    high, middle, low = first >> 14, (first & 0x3FFF) << 36 | last >> 28, (last & 0xFFFFFFF) << 2
    pair = _PAIRS
    return (
        f"{pair[high >> 40]}{pair[high >> 30 & 1023]}{pair[high >> 20 & 1023]}{pair[high >> 10 & 1023]}"
        f"{pair[high & 1023]}{pair[middle >> 40]}{pair[middle >> 30 & 1023]}{pair[middle >> 20 & 1023]}"
        f"{pair[middle >> 10 & 1023]}{pair[middle & 1023]}{pair[low >> 20]}{pair[low >> 10 & 1023]}"
        f"{pair[low & 1023]}"
    )


def _bytes(spelled: str) -> bytes | None:
    try:
        return base64.b32hexdecode(spelled.upper() + "======")
    except binascii.Error:
        return None
