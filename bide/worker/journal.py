"""The journal: what a task has done, so that it can be done with when the task runs again. Pure.

Each entry stands under a path: the branch (`gather#1.0/`), the operation's name and how
often the branch has used that name (`create#2`). With it goes a hash of the arguments.
Code that is replayed must ask for the entries of each branch in their order, under the
same paths and hashes; anything else is another program than the one that wrote them.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from enum import IntEnum
from typing import Any, Final

import msgspec

from bide.errors import CodeChanged, JournalFull

MAX_ENTRIES: Final = 1_000
MAX_ENTRY_BYTES: Final = 64 * 1024
MAX_BYTES: Final = 256 * 1024
_VERSION: Final = "@/"
_NONE_READ: Final[dict[int, int]] = {}
_NO_BRANCHES: Final[dict[str, list[int]]] = {}


class Status(IntEnum):
    """How far an operation has come."""

    OPEN = 0
    """A wait that goes on, or a group whose branches do."""
    DONE = 1
    FAILED = 2
    """It raised, and the task went on all the same."""


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One operation. Stored in `journal`, MessagePack, in this order; no script reads it."""

    path: str
    digest: str
    """16 hexadecimal characters of a hash over the operation's kind and arguments."""
    status: Status
    value: str = ""
    """JSON: the result, or the Raised."""
    until_ms: int = 0
    """Of an open wait: when it ends, or times out, by the store's clock; 0 is never."""
    due_ms: int = 0
    """Of an open poll: when to ask again."""
    attempt: int = 0
    """Of an open poll or event: the attempt that waits. The next attempt waits anew."""
    polls: int = 0


class JournalEnd(BaseException):
    """Raised in code that is replayed for a check, where its journal ends."""


class Journal:
    """One task's entries; positions count from 1."""

    __slots__ = ("_branches", "_bytes", "_entries", "_read", "_unsaved", "behind", "replay_only")

    def __init__(self, packed: tuple[bytes, ...] = (), *, replay_only: bool = False) -> None:
        """replay_only: raise JournalEnd instead of going on where the entries end."""
        self._entries = [_unpack(entry) for entry in packed]
        self._bytes = sum(map(len, packed))
        self._unsaved: tuple[int, ...] = ()
        self._read: dict[int, int] = _NONE_READ
        self._branches: dict[str, list[int]] = {} if packed else _NO_BRANCHES
        for position, entry in enumerate(self._entries, 1):
            self._branches.setdefault(_branch_of(entry.path), []).append(position)
        self.replay_only = replay_only
        self.behind = 0
        """Branches whose code has not come to the end of their entries."""

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def version(self) -> int | None:
        """Of the task's code when the journal was begun; None for an empty journal."""
        if not self._entries:
            return None
        path = self._entries[0].path
        return int(path.removeprefix(_VERSION)) if path.startswith(_VERSION) else 0

    def begin(self, version: int) -> None:
        """Note which version of the code the entries that follow belong to."""
        self.append(Entry(f"{_VERSION}{version}", "", Status.DONE))

    def entry(self, position: int) -> Entry:
        return self._entries[position - 1]

    def recorded(self, branch: str) -> Sequence[int]:
        """Positions of a branch's entries as they were when the journal was read."""
        return self._branches.get(branch, ())

    def append(self, entry: Entry) -> int:
        """Add an entry, to be saved by the next `unsaved`; returns its position. Raises JournalFull."""
        size = len(_pack(entry))
        self._check(entry, size, len(self._entries) + 1)
        self._entries.append(entry)
        position = len(self._entries)
        self._bytes += size
        self._unsaved = (*self._unsaved, position)
        return position

    def replace(self, position: int, entry: Entry, event: int = 0) -> None:
        """Overwrite an entry. event: number of the event that it has read. Raises JournalFull."""
        size, old = len(_pack(entry)), len(_pack(self._entries[position - 1]))
        self._check(entry, size - old, position)
        self._entries[position - 1] = entry
        self._bytes += size - old
        if position not in self._unsaved:
            self._unsaved = (*self._unsaved, position)
        if event:
            self._read = {**self._read, position: event}

    def unsaved(self) -> list[tuple[int, bytes, int]]:
        """What is to be written, which then counts as saved: position, packed entry, event read or 0."""
        found = [(at, _pack(self.entry(at)), self._read.get(at, 0)) for at in sorted(self._unsaved)]
        self._unsaved, self._read = (), _NONE_READ
        return found

    def _check(self, entry: Entry, grown: int, position: int) -> None:
        value_bytes = len(entry.value) if entry.value.isascii() else len(entry.value.encode())
        if value_bytes > MAX_ENTRY_BYTES:
            raise JournalFull(
                f"{entry.path} gave {value_bytes:,} bytes of JSON; the journal keeps at most "
                f"{MAX_ENTRY_BYTES:,} of one step. Store it elsewhere and return where."
            )
        if position > MAX_ENTRIES:
            raise JournalFull(
                f"{entry.path} would be entry {position:,} of the journal, which holds {MAX_ENTRIES:,}. "
                "Do more in one step, or hand over to another task."
            )
        if self._bytes + grown > MAX_BYTES:
            raise JournalFull(
                f"With {entry.path} the journal would hold {self._bytes + grown:,} bytes, of at most "
                f"{MAX_BYTES:,}. Store results elsewhere and return where."
            )


class Cursor:
    """Where one branch's code is in its entries."""

    __slots__ = ("_at", "_branch", "_journal", "_ordinals", "_recorded")

    def __init__(self, journal: Journal, branch: str = "") -> None:
        self._journal = journal
        self._branch = branch
        self._recorded = journal.recorded(branch)
        self._at = 0
        self._ordinals: dict[str, int] = {}
        journal.behind += 1 if self._recorded else 0

    def meet(self, name: str, digest: str) -> tuple[str, int, Entry | None]:
        """The path of the operation that the code asks for, and its entry with its position.

        The entry is None, at position 0, for an operation that is new. Raises CodeChanged when
        the journal holds another operation here.
        """
        ordinal = self._ordinals.get(name, 0) + 1
        # Interned, as thousands of tasks of one kind have the same.
        path = sys.intern(f"{self._branch}/{name}#{ordinal}" if self._branch else f"{name}#{ordinal}")
        self._ordinals[name] = ordinal
        if self._at == len(self._recorded):
            if self._journal.replay_only:
                raise JournalEnd
            return path, 0, None
        position = self._recorded[self._at]
        entry = self._journal.entry(position)
        if entry.path != path or entry.digest != digest:
            raise CodeChanged(_changed(f"{path} with arguments {digest}", entry))
        self._at += 1
        self._journal.behind -= 1 if self._at == len(self._recorded) else 0
        return path, position, entry

    @property
    def upcoming(self) -> str | None:
        """The path of the entry that has to be asked for next; None when all have been."""
        if self._at == len(self._recorded):
            return None
        return self._journal.entry(self._recorded[self._at]).path

    def finish(self) -> None:
        """Raise CodeChanged when the branch's code has ended, but its entries have not."""
        if self._at < len(self._recorded):
            raise CodeChanged(_changed("the end", self._journal.entry(self._recorded[self._at])))


def _changed(met: str, entry: Entry) -> str:
    return (
        f"The code has changed since the task began: the journal holds {entry.path} with arguments "
        f"{entry.digest}, the code came to {met}. Guard a change with ctx.patched(), or give the new code "
        "another @task(version=...)."
    )


def digest_of(kind: str, *arguments: Any) -> str:
    """Hash of what an operation was called with: 16 hexadecimal characters.

    Arguments that JSON cannot hold, such as clients and functions, count by their type.
    """
    try:
        encoded = _encode(arguments)
    except (TypeError, ValueError, RecursionError):
        encoded = ",".join(type(argument).__qualname__ for argument in arguments).encode()
    return sys.intern(hashlib.blake2b(encoded, digest_size=8, key=kind.encode()).hexdigest())


def _branch_of(path: str) -> str:
    return path.rpartition("/")[0]


_encode = msgspec.json.Encoder(order="deterministic", enc_hook=lambda value: type(value).__qualname__).encode
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(Entry).decode
