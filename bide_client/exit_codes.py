"""What the exit status of `bide` means. Stable: scripts may rely on it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

OK: Final = 0
UNSUCCESSFUL: Final = 1
USAGE: Final = 2
REFUSED: Final = 3
NOT_FOUND: Final = 4
UNREACHABLE: Final = 5
SERVER_CLOSED: Final = 6
WAIT_TIMEOUT: Final = 7
SERVER_FAULT: Final = 8
CODE_MISMATCHED: Final = 9
FAULT_FOUND: Final = 10
INTERRUPTED: Final = 130
OUTPUT_LOST: Final = 141

MEANINGS: Final[Mapping[int, str]] = MappingProxyType(
    {
        OK: "done",
        UNSUCCESSFUL: "the awaited task failed, expired or was cancelled; or a drain was undone",
        USAGE: "the command line is wrong; nothing was sent",
        REFUSED: "the server refused the request (4xx)",
        NOT_FOUND: "there is no such task, queue or operation",
        UNREACHABLE: "the server cannot be reached, or did not answer in time",
        SERVER_CLOSED: "the server is closed for submissions",
        WAIT_TIMEOUT: "the task was not done when --wait SECONDS ran out; it goes on",
        SERVER_FAULT: "the server failed (5xx), or what answered is no Bide server",
        CODE_MISMATCHED: "`bide check`: tasks in flight would fail with the code here",
        FAULT_FOUND: "`bide doctor`: something is wrong, and has to be mended",
        INTERRUPTED: "interrupted (Ctrl-C)",
        OUTPUT_LOST: "the output could not be written; its reader went away",
    }
)
"""One line for each code, in the order in which help and docs/client.md show them."""
