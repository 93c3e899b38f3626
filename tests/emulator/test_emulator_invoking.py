"""Functions from a zip, run by the real runtime client and invoked by boto3."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError
from emulator_thread import EmulatorThread

ECHO = "def handler(event, context):\n    return event\n"


def test_a_function_answers_with_what_its_handler_returns(emulator: EmulatorThread) -> None:
    emulator.deploy("echo", ECHO)
    answer = emulator.invoke("echo", b'{"a": [1, "\xc3\xa9"]}')
    assert answer["StatusCode"] == 200
    assert answer["ExecutedVersion"] == "$LATEST"
    assert "FunctionError" not in answer
    assert json.loads(answer["Payload"]) == {"a": [1, "é"]}


@pytest.mark.parametrize("name", ["{arn}", "{arn}:$LATEST", "echo:$LATEST", "123456789012:function:echo"])
def test_a_function_is_found_by_every_form_of_its_name(emulator: EmulatorThread, name: str) -> None:
    function = emulator.deploy("echo", ECHO)
    assert emulator.invoke(name.format(arn=function.arn), b"1")["Payload"] == b"1"


def test_an_unknown_function_is_not_found(emulator: EmulatorThread) -> None:
    with pytest.raises(ClientError) as refused:
        emulator.invoke("nobody")
    assert refused.value.response["Error"]["Code"] == "ResourceNotFoundException"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
