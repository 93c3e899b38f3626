"""What the functions of MODE=lambda are told: the stage's variables, the user's own, and what is so here."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final

from bide.errors import SettingsError
from bide.settings import Settings

STAGE: Final = "dev"
"""The stage of .chalice/config.json that is deployed."""

_DOORBELL: Final = "bide-dev-wake"
"""Name of the queue and of the stream, where the stage names none."""

_NOT_HERE: Final = ("local", "local_open", "api_processes", "tick_seconds")
"""Settings of quick mode alone. The tick's period is that of the emulated schedule."""

_ELSEWHERE: Final = ("redis_url", "api_key_hashes", "operator_key_hashes")
"""What a stage says about the deployment in AWS that must not be used here."""


@dataclass(frozen=True)
class Variables:
    """The user's environment over a stage's variables. Raises SettingsError when made."""

    stage: Mapping[str, str]
    user: Mapping[str, str]

    def __post_init__(self) -> None:
        if self.settings.wake == "none":
            raise SettingsError(
                ["BIDE_WAKE is none, so that no worker would ever start: take invoke, sqs or kinesis"]
            )

    @property
    def settings(self) -> Settings:
        """What they say. The store is the user's own or none yet, never the stage's."""
        return Settings.from_environ(self._merged())

    @property
    def tick_period_s(self) -> float | None:
        """How often the schedule runs where the user says so, in seconds; None leaves it as deployed."""
        return self.settings.tick_seconds if self._said("tick_seconds") else None

    def of_functions(self, redis_url: str, key: str) -> dict[str, str]:
        """Those of the functions, with the store's URL, and an operator's key besides those there are."""
        digest = hashlib.sha256(key.encode()).hexdigest()
        there = [f"{tenant}={known}" for tenant, known in self.settings.operator_key_hashes]
        merged = self._merged()
        for name in _NOT_HERE:
            merged.pop(_variable(name), None)
        return {**merged, "BIDE_REDIS_URL": redis_url, "BIDE_OPERATOR_KEY_HASHES": ",".join([*there, digest])}

    def _merged(self) -> dict[str, str]:
        known = [_variable(field.name) for field in fields(Settings)]
        said = {name: self.user[name] for name in known if self.user.get(name, "").strip()}
        kept = dict(self.stage)
        for name in _ELSEWHERE:
            kept.pop(_variable(name), None)
        names = {"BIDE_WAKE_QUEUE": _DOORBELL, "BIDE_DRAIN_FUNCTION": f"bide-{STAGE}-drain"}
        merged = {**names, **{name: text for name, text in kept.items() if text}, **said}
        with_stream = {"BIDE_WAKE_STREAM": _DOORBELL, **merged}
        # A stream that nobody writes to would be polled all the time.
        return with_stream if Settings.from_environ(with_stream).wake == "kinesis" else merged

    def _said(self, name: str) -> bool:
        return bool(self.user.get(_variable(name), "").strip())


def _variable(name: str) -> str:
    """The variable of a setting."""
    found: str = next(field.metadata["variable"] for field in fields(Settings) if field.name == name)
    return found
