"""What a fork takes over of its parent's signals."""

from __future__ import annotations

import subprocess
import sys

TWICE = """
import os, signal
from bide import forks

forks.leave_signals()
forks.leave_signals()
pid = os.fork()
blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
if pid == 0:
    os._exit(len(blocked))
print(sorted(blocked), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def test_no_signal_stays_blocked_on_either_side_however_often_it_was_asked_for() -> None:
    ran = subprocess.run([sys.executable, "-c", TWICE], capture_output=True, text=True, timeout=60)
    assert (ran.stdout, ran.stderr) == ("[] 0\n", "")
