"""MODE=lambda on a shared machine: each port is asked by who has no key, and by web pages."""

from __future__ import annotations

import shutil
import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError
from lambda_process import SECONDS, LambdaProcess

from local import ports
from local.aws.running import REGION, RunningAws
from local.children import ROOT
from local.signing import AccessKey, Scope

PAGE = {"Origin": "http://localhost:3000"}
"""What a browser sends for a page of another local server."""

ASKED = [
    ("POST", "/2015-03-31/functions/bide-dev-drain/invocations"),
    ("GET", "/2015-03-31/functions"),
    ("PUT", "/2015-03-31/functions/bide-dev/configuration"),
    ("GET", "/_emulator/figures"),
    ("POST", "/moto-api/reset"),
    ("POST", "/moto-api/recorder/start-recording"),
    ("GET", "/moto-api/data.json"),
    ("GET", "/latest/meta-data/iam/security-credentials/"),
    ("POST", "/?Action=ListQueues"),
    ("GET", "/2018-06-01/runtime/invocation/next"),
    ("POST", "/2018-06-01/runtime/init/error"),
]
"""What runs code, tells secrets or breaks the stack, wherever it is understood."""


@pytest.fixture(scope="module")
def stack() -> Iterator[LambdaProcess]:
    stack = LambdaProcess()
    try:
        yield stack.ready()
    finally:
        stack.end()


@pytest.fixture(scope="module")
def opened(stack: LambdaProcess) -> dict[int, str]:
    """Its ports and what each is for, when an environment of the API and one of a worker have run."""
    assert stack.done(stack.submit("echo", value=1).json()["id"])["result"] == 1
    return stack.open_ports()


def ask(method: str, port: int, path: str, headers: dict[str, str]) -> int:
    url = f"http://{ports.LOOPBACK}:{port}{path}"
    return requests.request(method, url, headers=headers, data=b"{}", timeout=SECONDS).status_code


def port_of(opened: dict[int, str], purpose: str) -> int:
    (found,) = (port for port, known in opened.items() if known == purpose)
    return found


def test_its_ports_are_the_ones_that_are_known(opened: dict[int, str]) -> None:
    """The API takes API keys, the store its password; the others are for its own processes alone."""
    assert set(opened.values()) == {"api", "lambda", "aws", "store", "runtime"}


@pytest.mark.parametrize("who", ["unsigned", "page", "rebound", "stranger"])
def test_every_port_refuses_who_has_no_key(opened: dict[int, str], who: str) -> None:
    answered = {}
    for port, purpose in opened.items():
        for method, path in ASKED if purpose != "store" else ():
            headers = {
                "unsigned": {},
                "page": PAGE,
                "rebound": {"Host": f"rebound.example:{port}"},
                "stranger": _signed(AccessKey.new(), method, port, path),
            }[who]
            answered[purpose, method, path] = ask(method, port, path, headers)
    assert {asked: status for asked, status in answered.items() if status != 403} == {}


def _signed(key: AccessKey, method: str, port: int, path: str) -> dict[str, str]:
    url = f"http://{ports.LOOPBACK}:{port}{path}"
    return dict(key.signed(Scope("lambda", REGION), method, url, (), b"{}"))


@pytest.mark.parametrize("purpose", ["lambda", "aws"])
def test_no_page_gets_in_even_with_the_key(
    stack: LambdaProcess, opened: dict[int, str], purpose: str
) -> None:
    port, path = port_of(opened, purpose), "/2015-03-31/functions"
    headers = _signed(stack.access_key(), "GET", port, path)
    assert ask("GET", port, path, headers) == 200
    assert ask("GET", port, path, {**headers, **PAGE}) == 403
    assert ask("GET", port, path, {**headers, "Host": f"rebound.example:{port}"}) == 403


def test_the_api_wants_its_key_and_answers_no_page_but_its_own(
    stack: LambdaProcess, opened: dict[int, str]
) -> None:
    port, path = port_of(opened, "api"), "/api/v1/queues"
    assert ask("GET", port, path, {}) == 401
    assert ask("GET", port, path, stack.headers) == 200
    assert ask("GET", port, path, {**stack.headers, "Host": "localhost:1234"}) == 200, "a tunnel's end"
    assert ask("GET", port, path, {**stack.headers, "Origin": f"http://{ports.LOOPBACK}:{port}"}) == 200
    for elsewhere in (PAGE, {"Origin": "null"}, {"Host": f"rebound.example:{port}"}):
        assert ask("GET", port, path, {**stack.headers, **elsewhere}) == 403


def test_the_store_wants_its_password(opened: dict[int, str]) -> None:
    with socket.create_connection((ports.LOOPBACK, port_of(opened, "store")), timeout=SECONDS) as connection:
        connection.sendall(b"PING\r\n")
        assert connection.recv(100).startswith(b"-NOAUTH")
        connection.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost:3000\r\n\r\n")
        while connection.recv(100):
            pass  # it hangs up on whoever speaks HTTP


@pytest.mark.parametrize(
    ("service", "call"), [("s3", "list_buckets"), ("sns", "list_topics"), ("batch", "list_jobs")]
)
def test_a_service_that_nothing_here_uses_is_not_served(
    stack: LambdaProcess, opened: dict[int, str], service: str, call: str
) -> None:
    aws = RunningAws(f"http://{ports.LOOPBACK}:{port_of(opened, 'aws')}", stack.access_key())
    assert "bide-dev-wake" in aws.client("sqs").list_queues()["QueueUrls"][0]
    with pytest.raises((ClientError, ResponseParserError), match=r"403|not served here"):
        getattr(aws.client(service), call)()


def test_its_key_is_where_this_user_alone_can_read_it(stack: LambdaProcess) -> None:
    secret = stack.access_key().secret
    folder = ROOT / ".bide" / str(stack.port)
    files = [file for file in folder.rglob("*") if file.is_file() and secret.encode() in file.read_bytes()]
    assert {file.name for file in files} == {"credentials", "curl"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not any(secret in word for process in stack.everyone() for word in process.cmdline())
    assert not any(secret in line for line in stack.lines)


def test_the_curl_line_for_its_figures_works(stack: LambdaProcess) -> None:
    if not shutil.which("curl"):
        pytest.skip("there is no curl")
    command = stack.wait_for("/_emulator/figures").partition("curl ")[2]
    done = subprocess.run(
        ["/bin/sh", "-c", f"curl -sS {command}"], capture_output=True, text=True, timeout=SECONDS, cwd=ROOT
    )
    assert '"bide-dev"' in done.stdout, done


def test_what_it_says_of_its_aws_suffices_for_a_client(
    stack: LambdaProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = stack.wait_for("AWS_ENDPOINT_URL=")
    told: dict[str, Any] = dict(word.split("=", 1) for word in line.split() if word.startswith("AWS_"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(ROOT)
    assert Path(told["AWS_SHARED_CREDENTIALS_FILE"]).is_file()
    session = boto3.Session(region_name=told["AWS_REGION"])
    assert session.client("sqs").list_queues()["QueueUrls"]
