"""Execution environments: reused, frozen, alone with the package, and replaced when they fail."""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from emulator_thread import EmulatorThread, until

from local.emulator.function import Rules
from local.emulator.package import PackageChanged

COUNT = """
import os
calls = 0
def handler(event, context):
    global calls
    calls += 1
    return [os.getpid(), calls]
"""


def answer(emulator: EmulatorThread, name: str, event: bytes = b"{}") -> Any:
    """What the handler returned."""
    answered = emulator.invoke(name, event)
    assert "FunctionError" not in answered, answered["Payload"]
    return json.loads(answered["Payload"])


def error(emulator: EmulatorThread, name: str) -> dict[str, Any]:
    """The error that the invocation ended with."""
    answered = emulator.invoke(name)
    assert answered["StatusCode"] == 200
    assert answered["FunctionError"] == "Unhandled"
    failure: dict[str, Any] = json.loads(answered["Payload"])
    return failure


def test_an_environment_serves_one_invocation_after_the_other(emulator: EmulatorThread) -> None:
    emulator.deploy("count", COUNT)
    pid, first = answer(emulator, "count")
    assert (first, answer(emulator, "count")) == (1, [pid, 2])
    figures = emulator.figures("count")
    assert (figures.invocations, figures.cold_starts, figures.environments) == (2, 1, 1)


def test_a_new_version_gets_new_environments(emulator: EmulatorThread) -> None:
    emulator.deploy("count", COUNT)
    pid, _ = answer(emulator, "count")
    emulator.deploy("count", COUNT.replace("calls += 1", "calls += 100"))
    assert answer(emulator, "count")[1] == 100
    until(lambda: not psutil.pid_exists(pid))
    assert emulator.figures("count").invocations == 2


def test_the_code_of_an_old_version_is_kept_while_it_runs_and_deleted_then(emulator: EmulatorThread) -> None:
    def deploy(number: int) -> Path:
        emulator.deploy("count", COUNT.replace("calls += 1", f"calls += {number}"))
        return emulator.do(lambda: emulator.emulator.deployed("count").package.folder)

    first = deploy(1)
    pid, _ = answer(emulator, "count")
    second = deploy(2)
    until(lambda: not psutil.pid_exists(pid))
    third = deploy(3)
    assert (first.exists(), second.exists(), third.exists()) == (False, False, True)
    assert answer(emulator, "count")[1] == 3


def test_an_idle_environment_is_frozen_with_all_that_it_has_started(emulator: EmulatorThread) -> None:
    emulator.deploy(
        "starter",
        "import os, subprocess, sys\n"
        "def handler(event, context):\n"
        "    child = subprocess.Popen([sys.executable, '-S', '-c', 'while True: pass'])\n"
        "    return [os.getpid(), child.pid]\n",
    )
    processes = [psutil.Process(pid) for pid in answer(emulator, "starter")]
    until(lambda: all(process.status() == psutil.STATUS_STOPPED for process in processes))
    assert emulator.figures("starter").environments == 1


def test_a_thread_that_was_left_running_goes_on_only_in_the_next_invocation(emulator: EmulatorThread) -> None:
    emulator.deploy(
        "ticking",
        "import threading, time\n"
        "ticks = 0\n"
        "def tick():\n"
        "    global ticks\n"
        "    while True:\n"
        "        ticks += 1\n"
        "        time.sleep(0.001)\n"
        "threading.Thread(target=tick, daemon=True).start()\n"
        "def handler(event, context):\n"
        "    return ticks\n",
    )
    before = answer(emulator, "ticking")
    emulator.deploy("other", COUNT)
    for _ in range(100):
        answer(emulator, "other")
    began = time.monotonic()
    assert answer(emulator, "ticking") - before <= (time.monotonic() - began) / 0.001 + 10


def test_a_function_sees_its_package_and_what_lambda_supplies_only(emulator: EmulatorThread) -> None:
    emulator.deploy(
        "paths",
        "import importlib.util, sys\n"
        "names = ('boto3', 'awslambdaric', 'main', 'pytest', 'chalice', 'redis', 'bide', 'moto', 'pip')\n"
        "def handler(event, context):\n"
        "    return [name for name in names if importlib.util.find_spec(name)]\n",
    )
    assert answer(emulator, "paths") == ["boto3", "awslambdaric", "main"]


def test_a_function_is_told_what_lambda_tells(emulator: EmulatorThread) -> None:
    function = emulator.deploy(
        "told",
        "import os\n"
        "def handler(event, context):\n"
        "    return {'environ': dict(os.environ), 'arn': context.invoked_function_arn,\n"
        "            'left': context.get_remaining_time_in_millis(), 'memory': context.memory_limit_in_mb,\n"
        "            'id': context.aws_request_id, 'cwd': os.getcwd()}\n",
        memory_mb=256,
        timeout_s=30.0,
        environment={"MINE": "1"},
    )
    told = answer(emulator, "told")
    assert told["arn"] == function.arn
    assert told["memory"] == "256"
    assert 0 < told["left"] <= 30_000
    assert len(told["id"]) == 36
    environ = told["environ"]
    assert (environ["MINE"], environ["AWS_LAMBDA_FUNCTION_NAME"]) == ("1", "told")
    assert environ["AWS_ENDPOINT_URL_LAMBDA"] == emulator.emulator.url
    assert environ["LAMBDA_TASK_ROOT"] == told["cwd"]
    assert environ["_X_AMZN_TRACE_ID"].startswith("Root=1-")
    assert not {name for name in environ if name.startswith(("PYTEST", "VIRTUAL_ENV", "BIDE_"))}


def test_an_exception_is_the_answer_and_the_environment_stays(emulator: EmulatorThread) -> None:
    emulator.deploy("broken", "def handler(event, context):\n    raise ValueError('no')\n")
    failure = error(emulator, "broken")
    assert (failure["errorType"], failure["errorMessage"]) == ("ValueError", "no")
    assert 'raise ValueError("no")' in failure["stackTrace"][0].replace("'", '"')
    error(emulator, "broken")
    figures = emulator.figures("broken")
    assert (figures.errors, figures.cold_starts) == (2, 1)


def test_a_handler_that_takes_too_long_is_killed(emulator: EmulatorThread) -> None:
    emulator.deploy(
        "slow",
        "import os, time\n"
        "def handler(event, context):\n"
        "    if event:\n"
        "        return os.getpid()\n"
        "    time.sleep(600)\n",
        timeout_s=0.4,
    )
    pid = answer(emulator, "slow", b"1")
    failure = error(emulator, "slow")
    assert failure["errorType"] == "Sandbox.Timedout"
    assert failure["errorMessage"].endswith("Error: Task timed out after 0.40 seconds")
    assert not psutil.pid_exists(pid)
    assert answer(emulator, "slow", b"1") != pid
    figures = emulator.figures("slow")
    assert (figures.timeouts, figures.errors, figures.cold_starts) == (1, 1, 2)
    assert figures.billed_ms >= 400


@pytest.mark.parametrize(
    ("ending", "words"),
    [
        ("os._exit(3)", "Runtime exited with error: exit status 3"),
        ("os._exit(0)", "Runtime exited without providing a reason"),
        ("os.kill(os.getpid(), 9)", "Runtime exited with error: signal: killed"),
    ],
)
def test_a_process_that_ends_is_an_error_and_is_replaced(
    emulator: EmulatorThread, ending: str, words: str
) -> None:
    emulator.deploy("ends", f"import os\ndef handler(event, context):\n    return 7 if event else {ending}\n")
    failure = error(emulator, "ends")
    assert failure["errorType"] == "Runtime.ExitError"
    assert failure["errorMessage"].endswith(f"Error: {words}")
    assert answer(emulator, "ends", b"1") == 7
    assert emulator.figures("ends").cold_starts == 2


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("import nothing_of_this_name\n", "Runtime.ImportModuleError"),
        ("handler_ = None\n", "Runtime.HandlerNotFound"),
        ("def handler(:\n", "Runtime.UserCodeSyntaxError"),
        ("raise KeyError('at import')\n", "KeyError"),
        ("import os\nos._exit(1)\n", "Runtime.ExitError"),
    ],
)
def test_a_handler_that_cannot_be_loaded_is_an_error_of_the_invocation(
    emulator: EmulatorThread, source: str, kind: str
) -> None:
    emulator.deploy("unloadable", source)
    assert error(emulator, "unloadable")["errorType"] == kind
    until(lambda: emulator.figures("unloadable").environments == 0)
    assert "INIT_REPORT" in emulator.log("unloadable")


SLOW_START = """
import os, time
first = not os.path.exists(os.environ["MARK"])
open(os.environ["MARK"], "a").close()
if first or os.environ["ALWAYS"]:
    time.sleep(600)
def handler(event, context):
    return "ready"
"""


def test_a_start_that_takes_too_long_is_tried_again_in_the_time_of_the_invocation(
    start: Callable[..., EmulatorThread], tmp_path: Any
) -> None:
    emulator = start(Rules(init_s=1.0))
    environment = {"MARK": str(tmp_path / "mark"), "ALWAYS": ""}
    emulator.deploy("starts", SLOW_START, environment=environment, timeout_s=30.0)
    assert answer(emulator, "starts") == "ready"
    assert emulator.figures("starts").billed_ms >= 1000


def test_a_start_that_never_ends_is_a_timeout(start: Callable[..., EmulatorThread], tmp_path: Any) -> None:
    emulator = start(Rules(init_s=0.3))
    environment = {"MARK": str(tmp_path / "mark"), "ALWAYS": "1"}
    emulator.deploy("starts", SLOW_START, environment=environment, timeout_s=0.5)
    assert error(emulator, "starts")["errorType"] == "Sandbox.Timedout"


def test_an_answer_over_the_limit_is_an_error(emulator: EmulatorThread) -> None:
    emulator.deploy("large", "def handler(event, context):\n    return 'x' * event\n")
    assert len(answer(emulator, "large", b"6000000")) == 6_000_000
    failure = json.loads(emulator.invoke("large", b"7000000")["Payload"])
    assert failure["errorType"] == "Function.ResponseSizeTooLarge"
    assert "6291556 bytes" in failure["errorMessage"]


def test_the_code_folder_stays_as_it_was_unpacked(emulator: EmulatorThread) -> None:
    emulator.deploy("count", COUNT)
    answer(emulator, "count")
    package = emulator.emulator.deployed("count").package
    package.check()
    assert [path.name for path in package.folder.iterdir()] == ["main.py"]
    writable = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
    assert not [
        path for path in (package.folder, *package.folder.iterdir()) if path.stat().st_mode & writable
    ]


def test_a_write_into_the_code_folder_does_not_pass_unseen(emulator: EmulatorThread) -> None:
    """The superuser writes whatever the mode bits say; others are refused by the system."""
    emulator.deploy("writer", "def handler(event, context):\n    open('new.txt', 'w').close()\n")
    answered = emulator.invoke("writer")
    package = emulator.emulator.deployed("writer").package
    if os.geteuid() == 0:
        with pytest.raises(PackageChanged, match=r"new\.txt"):
            package.check()
    else:
        assert json.loads(answered["Payload"])["errorType"] == "PermissionError"
        package.check()


def test_an_environment_that_idles_too_long_is_ended(start: Callable[..., EmulatorThread]) -> None:
    emulator = start(Rules(idle_s=0.1))
    emulator.deploy("count", COUNT)
    pid, _ = answer(emulator, "count")
    until(lambda: emulator.figures("count").environments == 0 and not psutil.pid_exists(pid))
    assert answer(emulator, "count")[1] == 1


def test_a_frozen_environment_that_was_killed_is_replaced(emulator: EmulatorThread) -> None:
    emulator.deploy("count", COUNT)
    pid, _ = answer(emulator, "count")
    os.kill(pid, 9)
    until(lambda: not psutil.pid_exists(pid))
    assert answer(emulator, "count")[1] == 1
    assert emulator.figures("count").environments == 1


def test_a_process_that_cannot_be_started_is_an_error(emulator: EmulatorThread) -> None:
    emulator.deploy("count", COUNT)
    folder = emulator.emulator.deployed("count").package.folder
    aside = folder.rename(folder.with_name("aside"))
    assert "could not be started" in error(emulator, "count")["errorMessage"]
    aside.rename(folder)
    assert answer(emulator, "count")[1] == 1
    assert emulator.figures("count").environments == 1


def test_a_function_may_close_what_it_prints_to(emulator: EmulatorThread) -> None:
    emulator.deploy(
        "silent",
        "import os\n"
        "def handler(event, context):\n"
        "    for number in (1, 2):\n"
        "        os.close(number)\n"
        "    return 'still here'\n",
    )
    assert answer(emulator, "silent") == "still here"


def test_the_most_memory_is_reported(emulator: EmulatorThread) -> None:
    emulator.deploy("hungry", "def handler(event, context):\n    return len(bytearray(b'x') * 60_000_000)\n")
    answer(emulator, "hungry")
    assert emulator.figures("hungry").max_rss_bytes > 60_000_000


def test_the_log_has_what_was_printed_between_lambdas_own_lines(emulator: EmulatorThread) -> None:
    emulator.deploy(
        "prints",
        "import sys\n"
        "print('imported')\n"
        "def handler(event, context):\n"
        "    print('to stdout')\n"
        "    print('to stderr', file=sys.stderr)\n",
        memory_mb=192,
    )
    answer(emulator, "prints")
    answer(emulator, "prints")
    lines = emulator.log("prints").splitlines()
    assert lines[0] == "imported"
    assert [line.partition(" ")[0] for line in lines[1:]] == ["START", "to", "to", "END", "REPORT"] * 2
    report = dict(part.split(": ") for part in lines[5].removeprefix("REPORT ").split("\t"))
    assert report["Memory Size"] == "192 MB"
    assert set(report) >= {"RequestId", "Duration", "Billed Duration", "Max Memory Used", "Init Duration"}
    billed = float(report["Billed Duration"].removesuffix(" ms"))
    parts = [float(report[name].removesuffix(" ms")) for name in ("Duration", "Init Duration")]
    assert 0 <= billed - sum(parts) < 1.02
    assert "Init Duration" not in lines[10]


def test_a_log_keeps_its_newest_part(start: Callable[..., EmulatorThread]) -> None:
    emulator = start(Rules(log_bytes=20_000))
    emulator.deploy("prints", "def handler(event, context):\n    print(str(event) * 1000)\n")
    for number in range(10, 70):
        answer(emulator, "prints", str(number).encode())
    kept = emulator.log("prints")
    assert len(kept) < 45_000
    assert "69" * 1000 in kept
    assert "10" * 1000 not in kept


def test_the_start_and_the_time_of_each_invocation_are_billed(emulator: EmulatorThread) -> None:
    emulator.deploy("naps", "import time\ndef handler(event, context):\n    time.sleep(0.05)\n")
    answer(emulator, "naps")
    first = emulator.figures("naps")
    assert first.billed_ms >= first.init_ms + 50
    answer(emulator, "naps")
    second = emulator.figures("naps")
    assert second.billed_ms - first.billed_ms >= 50
    assert second.init_ms == first.init_ms > 0
