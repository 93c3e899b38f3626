"""What a process says to have workers started."""

from __future__ import annotations

import socket
import threading

import msgspec

from local.line import Alarm, Line, Need, Report
from local.wake import LineWake


def line_and_end() -> tuple[Line, socket.socket]:
    """A line, and the end of it that the supervisor has."""
    ours, theirs = socket.socketpair()
    return Line(theirs.detach()), ours


def test_a_need_and_an_alarm_become_reports() -> None:
    line, end = line_and_end()
    wake = LineWake(line)
    wake.start(3)
    wake.alarm(1500)
    with end, end.makefile("rb") as reports:
        assert msgspec.json.decode(reports.readline(), type=Report) == Need(3)
        assert msgspec.json.decode(reports.readline(), type=Report) == Alarm(1500)


def test_reports_of_many_threads_do_not_mix() -> None:
    line, end = line_and_end()
    wake = LineWake(line)

    def ask(number: int) -> None:
        for _ in range(200):
            wake.alarm(number)

    threads = [threading.Thread(target=ask, args=(10**number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    with end, end.makefile("rb") as reports:
        seen = [msgspec.json.decode(reports.readline(), type=Alarm).delay_ms for _ in range(8 * 200)]
    for thread in threads:
        thread.join()
    assert sorted(set(seen)) == [10**number for number in range(8)]
    assert all(seen.count(number) == 200 for number in set(seen))


def test_nobody_to_tell_is_no_error() -> None:
    line, end = line_and_end()
    end.close()
    wake = LineWake(line)
    wake.start(1)
    wake.alarm(1)
