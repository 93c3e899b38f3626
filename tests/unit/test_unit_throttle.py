"""Errors that ask for fewer calls, by their shape."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bide import RetryAfter
from bide.worker.throttle import throttled


class Shaped(Exception):
    """An error with a response, as requests and botocore raise them."""

    def __init__(self, response: Any) -> None:
        self.response = response


def http(status: int, **headers: str) -> Shaped:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Shaped(SimpleNamespace(status_code=status, headers=named))


def aws(code: str, status: int = 400, headers: dict[str, str] | None = None) -> Shaped:
    metadata = {"HTTPStatusCode": status, "HTTPHeaders": headers or {}}
    return Shaped({"Error": {"Code": code}, "ResponseMetadata": metadata})


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (RetryAfter(7), 7),
        (http(429), 0),
        (http(429, Retry_After="30"), 30),
        (http(503, Retry_After="2"), 2),
        (http(429, Retry_After="Wed, 21 Oct 2026 07:28:00 GMT"), 0),
        (http(429, Retry_After="-5"), 0),
        (http(429, Retry_After="999999"), 3_600),
        (aws("Throttling"), 0),
        (aws("RequestLimitExceeded", 503), 0),
        (aws("Whatever", 429, {"retry-after": "4"}), 4),
    ],
)
def test_a_service_that_asks_for_fewer_calls_is_understood(error: BaseException, seconds: float) -> None:
    assert throttled(error) == seconds


@pytest.mark.parametrize(
    "error",
    [
        ValueError("no"),
        http(503),
        http(500, Retry_After="2"),
        http(404),
        aws("AccessDenied", 403),
        Shaped(None),
        Shaped({}),
        Shaped("text"),
    ],
)
def test_any_other_error_is_no_throttling(error: BaseException) -> None:
    assert throttled(error) is None


def test_the_real_errors_of_requests_are_understood() -> None:
    requests = pytest.importorskip("requests")
    response = requests.Response()
    response.status_code = 429
    response.headers["retry-after"] = "12"
    assert throttled(requests.HTTPError(response=response)) == 12
    response.status_code = 404
    assert throttled(requests.HTTPError(response=response)) is None


def test_the_real_errors_of_botocore_are_understood() -> None:
    exceptions = pytest.importorskip("botocore.exceptions")
    busy = {"Error": {"Code": "ThrottlingException"}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    assert throttled(exceptions.ClientError(busy, "DescribeInstances")) == 0
    assert throttled(exceptions.ClientError({"Error": {"Code": "Gone"}}, "DescribeInstances")) is None
