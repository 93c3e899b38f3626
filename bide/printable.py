"""Text that came from elsewhere, made fit to be shown: a terminal would obey it, a reader be misled by it.

What is no visible character is spelt out: control characters, those of direction or of no width, tags, line
separators, halves of surrogate pairs, private and unassigned ones. Whoever prints or logs takes it from here.

The client's package has this file too, as a link: it is installed without the server's packages, which
whatever imports `bide` needs. So nothing is imported here but the standard library. Pure.
"""

from __future__ import annotations

import re
from typing import Final

_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Categories of Unicode whose characters are not shown as they are."""

_SUSPECT: Final = re.compile(r"[^\t\n -~]+")
_BLANK: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0d\uffa0\U000e0100-\U000e01ef]"
)
"""Letters and marks that show nothing. The two selectors that tell emoji from text are left alone."""
_BREAK: Final = re.compile(r" *[\t\n][\t\n ]*")

CONTINUED: Final = "\n    "
"""Between lines of what is one record: none of them but the first begins at the edge."""


def printable(text: str) -> str:
    """The text with what is not visible spelt out, as `\\u001b` or `\\U000e0001`; tabs and line ends stay."""
    return _SUSPECT.sub(lambda run: "".join(map(_shown, run[0])), text)


def one_line(text: str) -> str:
    """The same on one line: line ends and tabs become spaces."""
    return printable(_BREAK.sub(" ", text))


def record(text: str) -> str:
    """The same for a log whose records begin at the edge: further lines are indented."""
    return printable(text).replace("\n", CONTINUED)


def printable_json(json: str) -> str:
    """JSON that means the same, and in whose strings nothing stands as it is that is not visible."""
    return _SUSPECT.sub(lambda run: "".join(map(_shown_in_json, run[0])), json)


def _is_visible(character: str) -> bool:
    import unicodedata  # plain text, nearly all that is shown, is told without its tables

    return unicodedata.category(character) not in _HIDDEN and not _BLANK.match(character)


def _shown(character: str) -> str:
    if _is_visible(character):
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _shown_in_json(character: str) -> str:
    if _is_visible(character):
        return character
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))
