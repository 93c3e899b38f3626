"""What the store says of itself: its reply to INFO, read. Pure.

Valkey and Redis have it in common, and ElastiCache allows it, as it does not CONFIG.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Self

LEAST: Final = {"valkey": (7, 2), "redis": (7, 0)}
"""The oldest versions that the scripts run on."""


@dataclass(frozen=True, slots=True)
class StoreInfo:
    """One reply to INFO. A field that the store does not tell is empty, or 0."""

    fields: dict[str, str]

    @classmethod
    def of(cls, reply: bytes) -> Self:
        """Read a reply."""
        lines = reply.decode("utf-8", "replace").splitlines()
        return cls(dict(line.split(":", 1) for line in lines if ":" in line))

    @property
    def server(self) -> str:
        """`valkey` or `redis`."""
        return "valkey" if "valkey_version" in self.fields else "redis"

    @property
    def version(self) -> str:
        """As the server spells it, such as `7.2.4`."""
        return self.fields.get(f"{self.server}_version", "")

    @property
    def is_old(self) -> bool:
        """Whether its version is below the least one, or cannot be read."""
        numbers = re.match(r"(\d+)\.(\d+)", self.version)
        return numbers is None or (int(numbers[1]), int(numbers[2])) < LEAST[self.server]

    @property
    def durability(self) -> str:
        """`aof` (how often it is synced, the store does not tell), `rdb` when it has saved one, or `none`."""
        if self.number("aof_enabled"):
            return "aof"
        return "rdb" if self.number("rdb_last_save_time") and self.number("rdb_saves") else "none"

    def text(self, name: str) -> str:
        """A field as it stands."""
        return self.fields.get(name, "")

    def number(self, name: str) -> int:
        """A field that holds a whole number."""
        text = self.fields.get(name, "")
        return int(text) if re.fullmatch(r"-?\d+", text) else 0
