"""Loads lua/*.lua: expands includes, reads headers, runs by EVALSHA with fallback to EVAL.

A script's header is its contract, in comments at its top:

    -- <one or more lines of purpose>
    -- Transition: ready -> running, none -> ready      (or: none)
    -- KEYS[1] name: meaning
    -- ARGV[1] name: meaning                            (ARGV[2...] for the rest)
    -- Returns: ...
    -- Errors: CODE, CODE                               (or: none)
    -- When full: goes on                               (or: refused, reads)
    -- Fence: ...
    -- Cost: ...

`--- include _name` splices lua/_name.lua in, once. Lines `--- fields A B` number names from 1, as
the fields of an array. These numbers, and those of `local A, B = 5, 6`, stand in place of their names
in what is run: Lua knows no constants, and no more than 200 locals a function.

A store over its limit of memory refuses what may take more, and so the work that would make room as well. A
script whose header says `goes on` is marked as one that may run there; one that brings something new is
`refused`.

tests/store/test_store_headers.py holds every header against the body, the transition table and
`errors.py`.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Protocol

from bide.error_replies import NoScript
from bide.errors import ScriptError

FOLDER: Final = Path(__file__).parent / "lua"

_INCLUDE: Final = re.compile(r"^--- include (_\w+)$", re.MULTILINE)
_FIELDS: Final = re.compile(r"(?:^--- fields [A-Z_ ]+\n)+", re.MULTILINE)
_CONSTANTS: Final = re.compile(r"^local ([A-Z][A-Z_, ]+) = ([\d., ]+?)(?: --.*)?\n", re.MULTILINE)
_GOES_ON: Final = re.compile(r"^-- When full: goes on$", re.MULTILINE)
_ALLOW: Final = "#!lua flags=allow-oom\n"
"""Before a script that may run in a full store."""
_WORD: Final = re.compile(r"--.*|'[^'\n]*'|\b[A-Z][A-Z_]+\b")
"""A comment, a text or a name of a number."""
_KEY: Final = re.compile(r"^-- KEYS\[(\d+)\] (\w+): \S", re.MULTILINE)
_ARG: Final = re.compile(r"^-- ARGV\[(\d+)(?:\.\.\.)?\] (\w+): \S", re.MULTILINE)


class Client(Protocol):
    """What of `bide.connection.Client` is needed here."""

    def execute_command(self, *args: Any) -> Any: ...


class AsyncClient(Protocol):
    """What of `bide.async_connection.AsyncClient` is needed here."""

    async def execute_command(self, *args: Any) -> Any: ...


@dataclass(frozen=True)
class Script:
    """One transition, ready to run. `keys` and `args` are the names its header declares."""

    name: str
    source: str
    sha: str
    keys: tuple[str, ...]
    args: tuple[str, ...]

    def run(self, client: Client, keys: Sequence[str], *args: Any) -> Any:
        """Run it in one round trip (two when the server has not seen it yet)."""
        try:
            return client.execute_command("EVALSHA", self.sha, len(keys), *keys, *args)
        except NoScript:
            return client.execute_command("EVAL", self.source, len(keys), *keys, *args)

    async def run_async(self, client: AsyncClient, keys: Sequence[str], *args: Any) -> Any:
        """`run` on the event loop."""
        try:
            return await client.execute_command("EVALSHA", self.sha, len(keys), *keys, *args)
        except NoScript:
            return await client.execute_command("EVAL", self.source, len(keys), *keys, *args)


def _expand(name: str, seen: set[str]) -> str:
    if name in seen:
        return ""
    seen.add(name)
    path = FOLDER / f"{name}.lua"
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ScriptError(f"script {name!r} cannot be read: {error}") from error
    return _INCLUDE.sub(lambda match: _expand(match[1], seen), text)


def _with_numbers(name: str, source: str) -> str:
    """The source with numbers in place of their names."""
    numbers: dict[str, str] = {}
    named = [enumerate(block.replace("--- fields ", "").split(), 1) for block in _FIELDS.findall(source)]
    pairs = [(field, str(number)) for block in named for number, field in block]
    for names, values in _CONSTANTS.findall(source):
        pairs += zip(names.split(", "), values.split(", "), strict=True)
    for constant, number in pairs:
        if numbers.setdefault(constant, number) != number:
            raise ScriptError(f"script {name!r} has two numbers of the name {constant}")
    if not numbers:
        return source
    bare = _CONSTANTS.sub("", _FIELDS.sub("", source))
    return _WORD.sub(lambda word: numbers.get(word[0], word[0]), bare)


def _numbered(pattern: re.Pattern[str], header: str, what: str, name: str) -> tuple[str, ...]:
    found = [(int(number), label) for number, label in pattern.findall(header)]
    if [number for number, _ in found] != list(range(1, len(found) + 1)):
        raise ScriptError(f"script {name!r} does not number its {what} 1, 2, 3, ...")
    return tuple(label for _, label in found)


def read_header(source: str) -> str:
    """The comment lines at the top of a script."""
    return "\n".join(itertools.takewhile(lambda line: line.startswith("--"), source.splitlines()))


@cache
def load(name: str) -> Script:
    """The script lua/<name>.lua; read and expanded once per process."""
    source = _with_numbers(name, _expand(name, set()))
    header = read_header(source)
    if _GOES_ON.search(header):
        source = _ALLOW + source
    return Script(
        name=name,
        source=source,
        sha=hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest(),
        keys=_numbered(_KEY, header, "KEYS", name),
        args=_numbered(_ARG, header, "ARGV", name),
    )
