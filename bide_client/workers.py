"""The workers, and what each holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bide_client.wire import number_or_none, objects, reading, text


@dataclass(frozen=True)
class Held:
    """A task that a worker holds. `lease_ms` is left of its lease; `running_ms` since the attempt began."""

    id: str
    name: str
    attempt: int
    lease_ms: float | None
    running_ms: float | None

    @classmethod
    def from_json(cls, json: Mapping[str, Any]) -> Held:
        """Read one. Raises KeyError, TypeError, ValueError when it cannot be read."""
        return cls(
            id=text(json["id"]),
            name=text(json["name"]),
            attempt=int(json["attempt"]),
            lease_ms=number_or_none(json.get("lease_ms")),
            running_ms=number_or_none(json.get("running_ms")),
        )


@dataclass(frozen=True)
class Worker:
    """A worker. `role`: `working`, `standby` (it may not lease now) or `leaving`.

    `age_ms` since it began, `heard_ms` since it was last heard of;
    `places_free` for more tasks; `tasks_total` that it holds, of which `tasks`
    shows some; `json` is everything the server sent of it.
    """

    id: str
    role: str
    age_ms: float | None
    heard_ms: float | None
    places_free: int
    tasks: tuple[Held, ...]
    tasks_total: int
    json: Mapping[str, Any] = field(repr=False, compare=False)

    @classmethod
    def from_json(cls, json: Mapping[str, Any]) -> Worker:
        """Read a worker, or raise UnexpectedAnswer."""
        with reading("a worker"):
            held = tuple(Held.from_json(task) for task in objects(json["tasks"]))
            return cls(
                id=text(json["worker"]),
                role=text(json["role"]),
                age_ms=number_or_none(json.get("age_ms")),
                heard_ms=number_or_none(json.get("heard_ms")),
                places_free=int(json.get("places_free") or 0),
                tasks=held,
                tasks_total=int(json.get("tasks_total", len(held))),
                json=json,
            )
