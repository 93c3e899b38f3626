"""The arithmetic of polls and retries."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bide_client import pace, retry


@pytest.mark.parametrize("zeros", [0, 3])
def test_the_servers_prediction_is_the_pause(zeros: int) -> None:
    assert pace.pause(7, zeros, took=3, holding=True) == 7


def test_a_prediction_of_months_is_checked_daily() -> None:
    assert pace.pause(10**11, 0, took=0, holding=True) == 86_400


def test_very_soon_means_at_once_where_the_server_may_hold_the_poll() -> None:
    assert pace.pause(0, 1, took=0, holding=True) == 0


def test_the_backoff_doubles_from_20_to_500_ms() -> None:
    steps = [pace.pause(0, zeros, took=0, holding=False) for zeros in range(1, 8)]
    assert steps == pytest.approx([0.02, 0.04, 0.08, 0.16, 0.32, 0.5, 0.5])
    assert pace.pause(0, 10**6, took=0, holding=False) == 0.5


def test_the_backoff_counts_from_when_the_request_left() -> None:
    assert pace.pause(0, 6, took=0.3, holding=False) == pytest.approx(0.2)
    assert pace.pause(0, 6, took=2, holding=False) == 0


def test_retries_back_off_with_jitter_and_never_beyond_five_seconds() -> None:
    assert [retry.delay(n, None, 100, 1) for n in (1, 2, 3, 99)] == pytest.approx([0.1, 0.2, 0.4, 5])
    assert [retry.delay(n, None, 100, 0) for n in (1, 2, 3, 99)] == pytest.approx([0.05, 0.1, 0.2, 2.5])


@pytest.mark.parametrize("draw", [0, 1])
def test_a_retry_never_comes_sooner_than_the_server_asked(draw: float) -> None:
    delay = retry.delay(1, 3, 100, draw)
    assert delay is not None
    assert 3 < delay < 3.1


def test_a_retry_that_would_come_after_the_patience_is_not_made() -> None:
    assert retry.delay(1, 3, 2.9, 0) is None
    assert retry.delay(1, None, 0, 0) is None


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0),
        (" 12 ", 12),
        ("-1", None),
        ("soon", None),
        ("²", None),
        ("Mon, 23 Nov 2026 21:00:30 GMT", 30),
        ("Mon, 23 Nov 2026 20:00:00 GMT", 0),
        ("Mon, 99 Nov 2026 20:00:00 GMT", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(header: str | None, seconds: float | None) -> None:
    assert retry.seconds_from(header, datetime(2026, 11, 23, 21, tzinfo=UTC)) == seconds
