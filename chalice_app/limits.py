"""Every public constant of the API. docs/http-api.md and /openapi.json repeat them."""

from __future__ import annotations

from typing import Final

API_VERSION: Final = "1.0.0"

MAX_BODY_BYTES: Final = 256 * 1024
MAX_EVENT_BYTES: Final = 64 * 1024
"""Of an event's body."""
MAX_DEPTH: Final = 64
"""Levels of arrays and objects in a body, the outermost included."""

MAX_NAME_LENGTH: Final = 128
MAX_QUEUE_LENGTH: Final = 64
MAX_EVENT_NAME_LENGTH: Final = 64
MAX_DELAY_SECONDS: Final = 365 * 86_400
"""How far ahead a task may be scheduled, by `delay` or by `run_at`."""
MAX_PRIORITY: Final = 9
MAX_TAGS: Final = 8
MAX_UNIQUE_LENGTH: Final = 255
"""Visible ASCII characters."""
MAX_BATCH: Final = 100
"""Submissions in one batch."""
MAX_BATCH_BYTES: Final = 1024 * 1024
MAX_EXPLAINED: Final = 10
"""Items of a batch of which all is said that is wrong with them; of further ones the first thing."""
MAX_EXPLAINED_BYTES: Final = 64 * 1024
"""Of bodies, and items together, of which all is said that is wrong with them."""
MAX_PAGE_SIZE: Final = 100
PAGE_SIZE: Final = 50
"""Tasks on a page of a list, unless it is said."""
MAX_KEY_LENGTH: Final = 255
"""Of an Idempotency-Key: visible ASCII characters."""
MAX_WAIT_SECONDS: Final = 20
"""What `Prefer: wait=n` is cut down to."""

MAX_CODE_LENGTH: Final = 64
"""Of an error's code in the filter of a redrive or a purge."""
MIN_RATE: Final = 0.01
MAX_RATE: Final = 10_000
"""Tasks per second of a redrive."""
MAX_LINES: Final = 100
"""Of a log, on one page."""
MAX_LINE_NUMBER: Final = 2**32 - 1

MAX_REASON_LENGTH: Final = 500
MAX_CLOSED_SECONDS: Final = 86_400
"""The longest `retry_after` of a closed server."""

MAX_SERIES_MINUTES: Final = 1_440
DEFAULT_SERIES_MINUTES: Final = 60

LONGEST_RETRY_AFTER: Final = 30
"""Seconds; the longest guess for a task whose end is not known."""
LOG_RETRY_AFTER: Final = 1
"""Seconds, while a task may log more."""
LONGEST_PREDICTION: Final = 300
"""Seconds; how far ahead a known kind's end is waited for without asking, since a task may fail before."""
INBOX_RETRY_AFTER: Final = 5
"""Seconds, while a task has no room for another event."""
OPERATIONS_RETRY_AFTER: Final = 10
"""Seconds, while a queue has as many running operations as it may have."""
CLOSED_RETRY_AFTER: Final = 30
"""Seconds, where whoever closed the server gave no hint."""
STORE_RETRY_AFTER: Final = 1
"""Seconds, while the store cannot be reached."""
