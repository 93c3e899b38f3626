"""Recognises a service that asks for fewer calls. Pure; knows the errors of requests and boto3 by shape."""

from __future__ import annotations

from typing import Any, Final

from bide.errors import RetryAfter

_CODES: Final = frozenset(
    {
        "BandwidthLimitExceeded", "EC2ThrottledException", "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException", "RequestLimitExceeded", "RequestThrottled",
        "RequestThrottledException", "SlowDown", "ThrottledException", "Throttling", "ThrottlingException",
        "TooManyRequestsException", "TransactionInProgressException",
    }
)  # fmt: skip
"""What AWS services call throttling, as botocore's standard retry mode lists it."""


def throttled(error: BaseException) -> float | None:
    """The seconds that an error asks for, 0 when it does not say; None when it is no throttling."""
    if isinstance(error, RetryAfter):
        return error.seconds
    response: Any = getattr(error, "response", None)
    if isinstance(response, dict):
        metadata = response.get("ResponseMetadata", {})
        if response.get("Error", {}).get("Code") in _CODES or metadata.get("HTTPStatusCode") == 429:
            return _seconds(metadata.get("HTTPHeaders", {}).get("retry-after"))
        return None
    status = getattr(response, "status_code", None)
    headers = getattr(response, "headers", None) or {}
    if status == 429 or (status == 503 and "Retry-After" in headers):
        return _seconds(headers.get("Retry-After"))
    return None


def _seconds(header: Any) -> float:
    """Of a Retry-After in seconds; its other form, a date, counts as unsaid."""
    try:
        return min(3600.0, max(0.0, float(header)))
    except (TypeError, ValueError):
        return 0.0
