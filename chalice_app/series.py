"""The JSON form of the series: throughput, start delay and run time. Pure."""

from __future__ import annotations

import msgspec

from bide.histogram import Quantiles, quantiles
from bide.series import MINUTE_MS, Chart, Counts, Series
from chalice_app.wire import time_text

_encode = msgspec.json.Encoder().encode


class PointJson(msgspec.Struct, frozen=True):
    """One minute, or several."""

    at: str | None
    succeeded: int
    failed: int
    cancelled: int
    expired: int
    start_delay_ms: Quantiles | None
    run_ms: Quantiles | None


class SeriesJson(msgspec.Struct, frozen=True):
    """One queue, or one task of it. docs/http-api.md describes each field."""

    queue: str
    name: str | None
    succeeded: int
    failed: int
    cancelled: int
    expired: int
    per_minute: float
    start_delay_ms: Quantiles | None
    run_ms: Quantiles | None
    buckets: list[PointJson]


class ChartJson(msgspec.Struct, frozen=True):
    """All of them."""

    minutes: int
    bucket_minutes: int
    omitted: int
    series: list[SeriesJson]


def chart_json(chart: Chart, minutes: int) -> bytes:
    """The body that shows the series of so many minutes."""
    return _encode(
        ChartJson(minutes, chart.step, chart.omitted, [_series(each, minutes) for each in chart.series])
    )


def _series(series: Series, minutes: int) -> SeriesJson:
    total = series.total
    return SeriesJson(
        series.queue, series.name, total.succeeded, total.failed, total.cancelled, total.expired,
        round(total.ended / minutes, 3), quantiles(total.start_delay), quantiles(total.run),
        [_point(minute, counts) for minute, counts in series.points.items()],
    )  # fmt: skip


def _point(minute: int, counts: Counts) -> PointJson:
    return PointJson(
        time_text(minute * MINUTE_MS), counts.succeeded, counts.failed, counts.cancelled, counts.expired,
        quantiles(counts.start_delay), quantiles(counts.run),
    )  # fmt: skip
