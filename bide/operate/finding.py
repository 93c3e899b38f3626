"""What a look at the server has found. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


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


def lines(findings: Sequence[Finding]) -> list[str]:
    """The findings as a table: level, topic, what; each remedy below, behind an arrow."""
    width = max((len(finding.topic) for finding in findings), default=0)
    found: list[str] = []
    for finding in findings:
        found.append(f"{finding.level:<4}  {finding.topic:<{width}}  {printable(finding.what)}")
        if finding.remedy:
            found.append(f"{'':<{width + 8}}{_ARROW}{printable(finding.remedy)}")
    return found


def in_words(finding: Finding) -> str:
    """One that stands alone, as sentences."""
    return printable(f"{finding.topic}: {finding.what}. {finding.remedy}".strip())


def summary(findings: Sequence[Finding]) -> str:
    """One line: what there is of each level."""
    counts = [sum(finding.level is level for finding in findings) for level in Level]
    return ", ".join(f"{count} {level}" for level, count in zip(Level, counts, strict=True))


def printable(text: str) -> str:
    """On one line, and without what would speak to the terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
