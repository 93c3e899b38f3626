"""What a benchmark says: one measured value, and the goal it is held against."""

from __future__ import annotations

import msgspec


class Goal(msgspec.Struct, frozen=True):
    """`value <relation> bound`."""

    relation: str
    """`>=` or `<=`."""
    bound: float

    def met_by(self, value: float) -> bool:
        return value >= self.bound if self.relation == ">=" else value <= self.bound


class Line(msgspec.Struct, frozen=True):
    """One line of the report."""

    benchmark: str
    name: str
    value: float
    unit: str
    goal: Goal | None = None
    """None for what is only printed."""
    spread: tuple[float, float] | None = None
    """Lowest and highest round, where `value` is the median of rounds."""
    note: str = ""
    of: str = ""
    """In a comparison of several systems: the one that this is about."""

    @property
    def passed(self) -> bool:
        return self.goal is None or self.goal.met_by(self.value)

    @property
    def verdict(self) -> str:
        if self.goal is None:
            return ""
        return "pass" if self.passed else "MISS"

    @property
    def shown_goal(self) -> str:
        return f"{self.goal.relation} {shown(self.goal.bound, self.unit)}" if self.goal else ""

    @property
    def shown_value(self) -> str:
        return shown(self.value, self.unit)

    @property
    def shown_spread(self) -> str:
        if self.spread is None:
            return ""
        return f"{shown(self.spread[0], '')} to {shown(self.spread[1], '')}"


def at_least(bound: float) -> Goal:
    return Goal(">=", bound)


def at_most(bound: float) -> Goal:
    return Goal("<=", bound)


def shown(value: float, unit: str) -> str:
    """A number with three significant digits, or all of those before the point."""
    whole = value == round(value) or abs(value) >= 100
    number = f"{value:,.0f}" if whole else f"{value:.3g}"
    return f"{number}x" if unit == "x" else f"{number} {unit}".rstrip()
