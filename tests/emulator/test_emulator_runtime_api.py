"""The Runtime API of an environment: for its own process, which answers what it was given."""

from __future__ import annotations

import asyncio
import http.client
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from emulator_thread import SECONDS, EmulatorThread, until

from local import peer
from local.emulator.runtime_api import REQUEST_ID, Answer, RuntimeApi

linux = pytest.mark.skipif(not peer.TELLS, reason="Linux alone says whose the other end is")

HOLD = """
import os, time
def handler(event, context):
    with open(os.environ["HERE"] + ".draft", "w") as file:
        file.write(os.environ["AWS_LAMBDA_RUNTIME_API"] + " " + context.aws_request_id)
    os.rename(os.environ["HERE"] + ".draft", os.environ["HERE"])
    while not os.path.exists(os.environ["GATE"]):
        time.sleep(0.005)
    return "mine"
"""

ASK = """
import http.client, os
def handler(event, context):
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    found = []
    for path in event:
        connection.request("POST", "/2018-06-01/runtime/" + path, b"1")
        answer = connection.getresponse()
        answer.read()
        found.append(answer.status)
    return found
"""

CHILD = """
import http.client, sys
connection = http.client.HTTPConnection(sys.argv[1], timeout=30)
connection.request("GET", "/2018-06-01/runtime/invocation/next")
print(connection.getresponse().status)
"""

FROM_A_CHILD = f"""
import os, subprocess, sys
def handler(event, context):
    asking = [sys.executable, "-c", {CHILD!r}, os.environ["AWS_LAMBDA_RUNTIME_API"]]
    return int(subprocess.run(asking, capture_output=True).stdout)
"""


def ask(address: str, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    """What the Runtime API answers this process."""
    connection = http.client.HTTPConnection(address, timeout=SECONDS)
    try:
        connection.request(method, f"/2018-06-01/runtime/{path}", body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@linux
def test_another_process_of_the_same_user_gets_no_event_and_answers_none(
    emulator: EmulatorThread, tmp_path: Path
) -> None:
    here, gate = tmp_path / "here", tmp_path / "gate"
    emulator.deploy("hold", HOLD, environment={"HERE": str(here), "GATE": str(gate)}, timeout_s=60.0)
    with ThreadPoolExecutor(1) as thread:
        invocation = thread.submit(emulator.invoke, "hold", b'"secret"')
        until(here.exists)
        address, request_id = here.read_text().split()
        asked = [
            ask(address, "GET", "invocation/next"),
            ask(address, "POST", f"invocation/{request_id}/response", b'"forged"'),
            ask(address, "POST", f"invocation/{request_id}/error", b'"forged"'),
            ask(address, "POST", "init/error", b'"forged"'),
            ask(address, "GET", "anything/else"),
        ]
        gate.touch()
        assert json.loads(invocation.result(SECONDS)["Payload"]) == "mine"
    assert {status for status, _ in asked} == {403}
    assert not any(b"secret" in body for _, body in asked)
    # Nor while the environment waits for its next invocation.
    assert ask(address, "GET", "invocation/next")[0] == 403
    assert json.loads(emulator.invoke("hold")["Payload"]) == "mine"


@linux
def test_a_process_that_the_environment_has_started_is_another(emulator: EmulatorThread) -> None:
    emulator.deploy("child", FROM_A_CHILD, timeout_s=60.0)
    assert json.loads(emulator.invoke("child")["Payload"]) == 403


def test_an_answer_to_no_invocation_is_refused_and_changes_nothing(emulator: EmulatorThread) -> None:
    emulator.deploy("ask", ASK, timeout_s=60.0)
    paths = ["invocation/unknown/response", "invocation//error", "init/error"]
    for _ in range(2):
        answered = emulator.invoke("ask", json.dumps(paths).encode())
        assert json.loads(answered["Payload"]) == [400, 400, 403]


@linux
def test_whose_a_connection_is_is_asked_once_and_not_at_each_invocation(
    emulator: EmulatorThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    owner = peer.peer_owner

    def count(*addresses: tuple[str, int]) -> peer.Owner | None:
        asked.append(addresses)
        return owner(*addresses)

    monkeypatch.setattr(peer, "peer_owner", count)
    emulator.deploy("echo", "def handler(event, context):\n    return event\n")
    emulator.invoke("echo")
    before = len(asked)
    for _ in range(20):
        emulator.invoke("echo")
    assert (before > 0, len(asked)) == (True, before)


def test_a_second_client_that_asks_for_work_is_refused_and_the_first_gets_it() -> None:
    asyncio.run(_ask_for_work_twice())


async def _ask_for_work_twice() -> None:
    answers: list[tuple[str, Answer]] = []
    asks = asyncio.Event()
    api = RuntimeApi(lambda *_: True, asks.set, lambda *answer: answers.append(answer), 1000)
    await api.listen()
    try:
        first = asyncio.create_task(asyncio.to_thread(ask, api.address, "GET", "invocation/next"))
        await asks.wait()
        second = await asyncio.to_thread(ask, api.address, "GET", "invocation/next")
        assert (second[0], json.loads(second[1])["errorType"]) == (403, "InvalidStateTransition")
        api.deliver({REQUEST_ID: "one"}, b"1")
        assert await first == (200, b"1")
        for status in (202, 400):  # the second time, it is answered already
            path = "invocation/one/response"
            assert (await asyncio.to_thread(ask, api.address, "POST", path, b"2"))[0] == status
        assert answers == [("one", Answer(b"2", failed=False))]
    finally:
        api.close()
