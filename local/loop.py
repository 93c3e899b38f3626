"""The loop of functions that start each other: what AWS must be told so that it does not break it.

A worker that hands over calls its own function, by itself or by way of the queue. Lambda
takes that for a runaway and drops the call after about 16 in a chain, silently, unless each
function of the loop allows it. And a call that starts a worker is worth nothing later on:
the tick makes up for a lost one, while repeats would come on top of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

RETRIES: Final = 0
MAX_AGE_S: Final = 60
"""Of calls to the drain function, of scheduled ones and of records. AWS allows no less than a minute."""

_CALLED: Final = ("drain", "tick")
"""Functions that AWS calls asynchronously, and would call again."""


class Loop:
    """The functions of one stage's loop."""

    def __init__(self, client: Any, functions: Mapping[str, str]) -> None:
        """client: boto3's for Lambda. functions: ARN of each, by its name in app.py."""
        self._client = client
        self._functions = functions

    def set(self) -> None:
        """Set it. Raises ClientError."""
        for name in self._functions:
            function = self._name(name)
            # While Lambda is still at work on a function it refuses any other change of it.
            self._client.get_waiter("function_updated_v2").wait(FunctionName=function)
            self._client.put_function_recursion_config(FunctionName=function, RecursiveLoop="Allow")
        for name in _CALLED:
            self._client.put_function_event_invoke_config(
                FunctionName=self._name(name),
                MaximumRetryAttempts=RETRIES,
                MaximumEventAgeInSeconds=MAX_AGE_S,
            )
        for mapping in self._stream_mappings():
            self._client.update_event_source_mapping(
                UUID=mapping["UUID"], MaximumRetryAttempts=RETRIES, MaximumRecordAgeInSeconds=MAX_AGE_S
            )

    def problems(self) -> list[str]:
        """What AWS says that is not as set, each as a sentence. Raises ClientError."""
        problems = []
        for name in self._functions:
            found = self._client.get_function_recursion_config(FunctionName=self._name(name))
            allowed = found["RecursiveLoop"]
            if allowed != "Allow":
                problems.append(f"{name}: RecursiveLoop is {allowed}, so that Lambda ends chains of workers.")
        for name in _CALLED:
            problems += _unlike(name, self._of_calls(name), "MaximumEventAgeInSeconds")
        for mapping in self._stream_mappings():
            problems += _unlike("wake_by_stream", mapping, "MaximumRecordAgeInSeconds")
        return problems

    def _name(self, name: str) -> str:
        return self._functions[name].rpartition(":")[2]

    def _of_calls(self, name: str) -> Mapping[str, Any]:
        """How asynchronous calls of a function are treated; empty where that was never said."""
        try:
            found: Mapping[str, Any] = self._client.get_function_event_invoke_config(
                FunctionName=self._name(name)
            )
        except self._client.exceptions.ResourceNotFoundException:
            return {}
        return found

    def _stream_mappings(self) -> list[dict[str, Any]]:
        arn = self._functions.get("wake_by_stream")
        if arn is None:
            return []
        found: list[dict[str, Any]] = self._client.list_event_source_mappings(FunctionName=arn)[
            "EventSourceMappings"
        ]
        return found


def _unlike(name: str, found: Mapping[str, Any], age: str) -> list[str]:
    wanted = {"MaximumRetryAttempts": RETRIES, age: MAX_AGE_S}
    return [
        f"{name}: {setting} is {found.get(setting)}, not {value}."
        for setting, value in wanted.items()
        if found.get(setting) != value
    ]
