"""A line of a task's log, as the store keeps it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Final

import msgspec

MOST_CHARS: Final = 2_000
"""Of a line's message; a longer one is cut."""
MOST_LOGGER_CHARS: Final = 100
MOST_LEVEL_CHARS: Final = 20
KEPT: Final = 500
"""Lines of a task that are kept, the latest; lua/_lines.lua has it, too."""


class Kind(IntEnum):
    """What made a line."""

    LOG = 0
    """The `logging` module."""
    PROGRESS = 1
    """`ctx.progress`."""
    EVENT = 2
    """Somebody has sent the task an event. Written by lua/_lines.lua."""


class Line(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One line. Stored in `lines`, MessagePack, in this order."""

    at_ms: int
    """By the store's clock."""
    kind: Kind
    attempt: int = 0
    """Which attempt said it; 0 when none had begun."""
    level: str = ""
    """Of a log line, such as INFO."""
    logger: str = ""
    message: str = ""
    """What was logged, said with the progress, or the event's name."""
    fraction: float | None = None
    """Of a progress line, from 0 to 1."""


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(Line).decode


def pack_lines(lines: Iterable[Line]) -> bytes:
    """The body of a LINES message: each line, packed, after its length in two bytes."""
    return joined(_pack(line) for line in lines)


def joined(packed: Iterable[bytes]) -> bytes:
    """The same of packed lines."""
    return b"".join(len(line).to_bytes(2, "big") + line for line in packed)


def read_line(packed: bytes) -> Line:
    """A line as it was stored. Raises msgspec.MsgspecError."""
    return _unpack(packed)


def cut(text: str, most: int = MOST_CHARS) -> str:
    """The text, at most so many characters of it, without what JSON cannot hold, such as lone surrogates."""
    if len(text) > most:
        text = text[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
