"""The gate of the AWS stand-ins: what botocore signs with the run's key passes, and nothing else does."""

from __future__ import annotations

import pytest

from local.signing import AccessKey, Forbidden, Gate, Scope

PORT = 12_345
URL = f"http://127.0.0.1:{PORT}"
TARGET = "/2015-03-31/functions/a%3Ab/invocations?Qualifier=%24LATEST&x="
BODY = b'{"hops": 0}'
SCOPE = Scope("lambda", "eu-central-1")

KEY = AccessKey.new()
GATE = Gate(KEY, ("lambda", "sqs"), PORT)

Headers = list[tuple[str, str]]


def signed(
    key: AccessKey = KEY, scope: Scope = SCOPE, method: str = "POST", target: str = TARGET, body: bytes = BODY
) -> Headers:
    sent = [("X-Amz-Invocation-Type", "Event"), ("Content-Type", "application/json"), ("User-Agent", "me")]
    return key.signed(scope, method, f"{URL}{target}", sent, body)


def with_(headers: Headers, **changed: str) -> Headers:
    """These headers with one more, or with another value for one."""
    names = {name.replace("_", "-").lower(): value for name, value in changed.items()}
    return [(name, value) for name, value in headers if name.lower() not in names] + list(names.items())


def admit(headers: Headers, method: str = "POST", target: str = TARGET, body: bytes = BODY) -> Scope:
    return GATE.admit(method, target, headers, body)


def test_what_is_signed_with_the_key_is_let_in_with_its_service_and_region() -> None:
    assert admit(signed()) == SCOPE
    assert admit(with_(signed(), x_amzn_trace_id="Root=1", connection="keep-alive")) == SCOPE


def test_a_request_that_is_signed_again_has_one_signature() -> None:
    again = KEY.signed(SCOPE, "POST", f"{URL}{TARGET}", signed(AccessKey.new()), BODY)
    assert admit(again) == SCOPE


@pytest.mark.parametrize(
    "headers",
    [
        [],
        with_(signed(), origin="http://localhost:3000"),
        with_(signed(), origin=URL),
        with_(signed(), origin="null"),
        with_(signed(), host=f"rebound.example:{PORT}"),
        with_(signed(), host="127.0.0.1:80"),
        with_(signed(), host="127.0.0.1"),
        [*signed(), ("Host", f"127.0.0.1:{PORT}")],
        [header for header in signed() if header[0].lower() != "host"],
        [header for header in signed() if header[0].lower() != "authorization"],
        [*signed(), ("Authorization", "Bearer x")],
        with_(signed(), authorization="Bearer x"),
        with_(signed(), authorization=dict(signed())["Authorization"][:-1]),
        with_(signed(), x_amz_date="20200101T000000Z"),
        with_(signed(), x_amz_invocation_type="RequestResponse"),
        with_(signed(), x_amz_target="AmazonSQS.SendMessage"),
        with_(signed(), x_amz_content_sha256="UNSIGNED-PAYLOAD"),
        with_(signed(), content_type="text/plain"),
        signed(AccessKey.new()),
        signed(AccessKey(KEY.id, "another secret")),
        signed(AccessKey("AKIAANOTHER", KEY.secret)),
        signed(scope=Scope("sns", "eu-central-1")),
        signed(method="GET"),
        signed(target="/"),
        signed(body=b""),
    ],
)
def test_anything_else_is_refused(headers: Headers) -> None:
    with pytest.raises(Forbidden) as refused:
        admit(headers)
    assert KEY.id not in str(refused.value)
    assert KEY.secret not in str(refused.value)


@pytest.mark.parametrize("target", ["*", "http://other/", f"@other{TARGET}", "", "/[", "/\x7f?\xff#x"])
def test_a_target_that_makes_no_sense_is_refused(target: str) -> None:
    with pytest.raises(Forbidden):
        admit(signed(), target=target)


def test_a_body_that_is_said_to_be_unsigned_is_refused_although_that_is_signed() -> None:
    said = [("X-Amz-Content-SHA256", "UNSIGNED-PAYLOAD")]
    with pytest.raises(Forbidden):
        admit(KEY.signed(SCOPE, "POST", f"{URL}{TARGET}", said, BODY))


def test_a_service_that_is_not_served_is_told_with_those_that_are() -> None:
    with pytest.raises(Forbidden, match="batch is not served here; lambda, sqs are"):
        admit(signed(scope=Scope("batch", "eu-central-1")))


def test_a_key_is_new_each_time_and_does_not_show_its_secret() -> None:
    one, other = AccessKey.new(), AccessKey.new()
    assert one.id != other.id
    assert one.secret != other.secret
    assert one.secret not in repr(one)
    assert AccessKey.of(one.environ) == one
