"""Duties: what fails is heard of and begun again."""

from __future__ import annotations

import asyncio
import logging

import pytest

from bide import duty


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duty, "_PAUSES_S", (0.0,))


class Failing:
    """A duty that fails as often as there are errors, and then returns."""

    def __init__(self, *errors: Exception) -> None:
        self.begun = 0
        self._errors = errors

    async def __call__(self) -> None:
        self.begun += 1
        if self.begun <= len(self._errors):
            raise self._errors[self.begun - 1]


def test_a_duty_that_fails_is_logged_with_its_traceback_and_begun_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    failing = Failing(OSError(28, "No space left on device"), KeyError("other"))
    asyncio.run(duty.perform("the watch over all", failing))
    assert failing.begun == 3
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2
    assert "the watch over all" in caplog.text
    assert "No space left on device" in caplog.text
    assert "Traceback" in caplog.text


def test_the_same_failure_in_a_row_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    asyncio.run(duty.perform("it", Failing(*(ValueError("same") for _ in range(5)), ValueError("other"))))
    assert len(caplog.records) == 2


def test_pauses_grow_while_a_duty_keeps_failing_and_are_short_again_when_it_has_been_sound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr(duty, "_PAUSES_S", (1.0, 2.0, 3.0))
    monkeypatch.setattr(duty.time, "monotonic", lambda: now)
    failures = duty.Failures("it")
    pauses = []
    for lasted_s in (0, 0, 0, 59, 61):
        now += lasted_s
        pauses.append(failures.add(ValueError()))
        now += pauses[-1]
    assert pauses == [1.0, 2.0, 3.0, 3.0, 1.0]


def test_ending_duties_cancels_them_and_waits_until_they_have_ended() -> None:
    ended = []

    async def long() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(True)

    async def scene() -> None:
        duties = duty.Duties()
        duties.begin("one", long)
        two = duties.begin("another", long)
        await asyncio.sleep(0)
        await duties.end()
        assert two.cancelled()
        assert ended == [True, True]
        await duties.end()

    asyncio.run(scene())
