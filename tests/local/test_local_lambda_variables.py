"""What the functions of MODE=lambda are told."""

from __future__ import annotations

import hashlib
from dataclasses import fields

import pytest

from bide.errors import SettingsError
from bide.settings import Settings
from local.emulator.figures import Figures
from local.lambda_figures import table
from local.lambda_variables import Variables

STAGE = {
    "BIDE_REDIS_URL": "rediss://cache.example:6379/0",
    "BIDE_API_KEY_HASHES": "a" * 64,
    "BIDE_OPERATOR_KEY_HASHES": "b" * 64,
    "BIDE_PREFIX": "bide-dev",
    "BIDE_WAKE": "invoke",
    "BIDE_DRAIN_FUNCTION": "bide-dev-drain",
    "BIDE_WAKE_QUEUE": "bide-dev-wake",
    "BIDE_WORKERS_MAX": "10",
}
HERE = "redis://127.0.0.1:7000/0"

QUICK = ("BIDE_LOCAL", "BIDE_LOCAL_OPEN", "BIDE_API_PROCESSES", "BIDE_TICK_SECONDS")
"""Settings of quick mode alone."""

NOT_OF_FUNCTIONS = {
    "BIDE_REDIS_URL",
    "BIDE_OPERATOR_KEY_HASHES",  # has one more
    *QUICK,
}
SOME = {
    "BIDE_API_KEY_HASHES": "c" * 64,
    "BIDE_LOG_FORMAT": "text",
    "BIDE_LOG_LEVEL": "WARNING",
    "BIDE_MEMORY_MB": "2048",
    "BIDE_TASK_LOG_LEVEL": "DEBUG",
    "BIDE_PREFIX": "mine",
    "BIDE_PRICES": "lambda_gb_second=0.00001",
    "BIDE_QUEUE_LIMITS": "vms=0-2",
    "BIDE_RECORDS": "0",
    "BIDE_TASKS": "mine",
    "BIDE_WAKE": "sqs",
    "BIDE_WAKE_QUEUE": "mine",
    "BIDE_WAKE_STREAM": "mine",
    "BIDE_DRAIN_FUNCTION": "mine",
    "BIDE_QUEUES": "mine",
}
"""What is not any number."""


def told(**environ: str) -> dict[str, str]:
    return Variables(STAGE, environ).of_functions(HERE, "secret")


def test_the_store_and_the_keys_of_the_stage_are_never_used() -> None:
    assert Variables(STAGE, {}).settings.redis_url == ""
    assert told()["BIDE_REDIS_URL"] == HERE
    assert "BIDE_API_KEY_HASHES" not in told()
    assert told()["BIDE_OPERATOR_KEY_HASHES"] == hashlib.sha256(b"secret").hexdigest()


def test_what_the_stage_says_is_kept_and_the_user_has_the_last_word() -> None:
    found = told(BIDE_WORKERS_MAX="3", BIDE_CONCURRENCY="7", BIDE_QUEUE_LIMITS="vms=0-2x50", PATH="elsewhere")
    assert found["BIDE_PREFIX"] == "bide-dev"
    assert (found["BIDE_WORKERS_MAX"], found["BIDE_CONCURRENCY"]) == ("3", "7")
    assert found["BIDE_QUEUE_LIMITS"] == "vms=0-2x50"
    assert "PATH" not in found


def test_keys_of_the_user_hold_besides_the_one_that_was_made() -> None:
    mine = hashlib.sha256(b"mine").hexdigest()
    made = hashlib.sha256(b"secret").hexdigest()
    found = told(BIDE_API_KEY_HASHES=f"me={mine}", BIDE_OPERATOR_KEY_HASHES=f"me={mine}")
    assert found["BIDE_API_KEY_HASHES"] == f"me={mine}"
    assert found["BIDE_OPERATOR_KEY_HASHES"] == f"me={mine},{made}"


@pytest.mark.parametrize(
    "variable", sorted({field.metadata["variable"] for field in fields(Settings)} - NOT_OF_FUNCTIONS)
)
def test_every_other_setting_of_the_user_reaches_the_functions(variable: str) -> None:
    text = SOME.get(variable, "3")
    assert told(**{variable: text})[variable] == text


def test_settings_of_quick_mode_are_left_out() -> None:
    assert not told(**dict.fromkeys(QUICK, "1")).keys() & set(QUICK)


@pytest.mark.parametrize(("environ", "period_s"), [({}, None), ({"BIDE_TICK_SECONDS": "1"}, 1.0)])
def test_the_schedule_is_as_deployed_unless_the_user_says_otherwise(
    environ: dict[str, str], period_s: float | None
) -> None:
    assert Variables(STAGE, environ).tick_period_s == period_s


@pytest.mark.parametrize("wake", ["invoke", "sqs", "kinesis"])
def test_there_is_a_stream_only_where_it_is_the_doorbell(wake: str) -> None:
    assert ("BIDE_WAKE_STREAM" in told(BIDE_WAKE=wake)) is (wake == "kinesis")


def test_a_stage_without_names_gets_some() -> None:
    found = Variables({}, {"BIDE_WAKE": "sqs"}).of_functions(HERE, "secret")
    assert (found["BIDE_DRAIN_FUNCTION"], found["BIDE_WAKE_QUEUE"]) == ("bide-dev-drain", "bide-dev-wake")


def test_a_wrong_setting_is_told_at_once() -> None:
    with pytest.raises(SettingsError, match="BIDE_CONCURRENCY"):
        Variables(STAGE, {"BIDE_CONCURRENCY": "many"})


def test_the_table_has_a_line_for_each_function_that_was_invoked() -> None:
    idle = Figures(memory_mb=512)
    used = Figures(
        memory_mb=1024, invocations=1200, errors=1, cold_starts=3, billed_ms=98_765, max_rss_bytes=50 << 20
    )
    head, line = table({"bide-dev-tick": idle, "bide-dev-drain": used}).splitlines()
    assert head.split() == ["function", "invocations", "errors", "cold", "starts", "billed", "max", "memory"]
    assert line.split() == ["bide-dev-drain", "1,200", "1", "3", "98,765", "ms", "50", "of", "1,024", "MB"]
    assert table({"bide-dev-tick": idle}) == ""
