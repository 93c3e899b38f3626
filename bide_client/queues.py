"""How a queue is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from bide_client.wire import an_object, number_or_none, reading, text


@dataclass(frozen=True)
class Queue:
    """A queue. `tasks` counts its tasks by state, finished ones that are still kept included.

    `paused`: it accepts tasks and starts none. `oldest_ready_ms`: for how long
    the task that has been ready longest has waited for a worker, in
    milliseconds; None when none is ready. `json` is everything the server sent.
    """

    name: str
    paused: bool
    tasks: Mapping[str, int]
    oldest_ready_ms: float | None
    json: Mapping[str, Any] = field(repr=False, compare=False)

    @classmethod
    def from_json(cls, json: Mapping[str, Any]) -> Queue:
        """Read a queue, or raise UnexpectedAnswer."""
        with reading("a queue"):
            counts = {state: int(count) for state, count in an_object(json["tasks"]).items()}
            return cls(
                name=text(json["queue"]),
                paused=bool(json["paused"]),
                tasks=MappingProxyType(counts),
                oldest_ready_ms=number_or_none(json.get("oldest_ready_ms")),
                json=json,
            )
