"""What a look at the server has found. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from textwrap import TextWrapper
from typing import Final

from bide.printable import one_line


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    """It works, and may come to harm."""
    FAIL = "fail"
    """It does not work, or breaks its promises."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One fact about the server."""

    topic: str
    level: Level
    what: str
    """A clause or more, without a full stop."""
    remedy: str = ""
    """What to do, in one sentence; empty when nothing is wrong."""

    def __post_init__(self) -> None:
        if (self.level is Level.OK) == bool(self.remedy):
            raise ValueError("a finding has a remedy if, and only if, something is wrong")


def ok(topic: str, what: str) -> Finding:
    """All is well."""
    return Finding(topic, Level.OK, what)


def warn(topic: str, what: str, remedy: str) -> Finding:
    """It works, and may come to harm."""
    return Finding(topic, Level.WARN, what, remedy)


def fail(topic: str, what: str, remedy: str) -> Finding:
    """It does not work, or breaks its promises."""
    return Finding(topic, Level.FAIL, what, remedy)


_ARROW: Final = "-> "
_LEAST: Final = 20
"""Places that a text needs to be broken into lines; with less it is left to the terminal."""


def lines(findings: Sequence[Finding], room: int | None = None) -> list[str]:
    """The findings as a table: level, topic, what; each remedy below, behind an arrow.

    room: places of a line, where longer ones are to be broken.
    """
    width = max((len(finding.topic) for finding in findings), default=0)
    found: list[str] = []
    for finding in findings:
        head = f"{finding.level:<4}  {finding.topic:<{width}}  "
        found += _broken(head, one_line(finding.what), room)
        if finding.remedy:
            found += _broken(" " * len(head) + _ARROW, one_line(finding.remedy), room)
    return found


def _broken(head: str, text: str, room: int | None) -> list[str]:
    """The text behind its head, and below itself where it is too long for a line."""
    if room is None or room - len(head) < _LEAST:
        return [head + text]
    whole = TextWrapper(room - len(head), break_long_words=False, break_on_hyphens=False)
    first, *others = whole.wrap(text) or [""]
    return [head + first, *(" " * len(head) + line for line in others)]


def in_words(finding: Finding) -> str:
    """One that stands alone, as sentences."""
    return one_line(f"{finding.topic}: {finding.what}. {finding.remedy}".strip())


def summary(findings: Sequence[Finding]) -> str:
    """One line: what there is of each level."""
    counts = [sum(finding.level is level for finding in findings) for level in Level]
    return ", ".join(f"{count} {level}" for level, count in zip(Level, counts, strict=True))
