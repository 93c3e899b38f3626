"""What a stack says of itself fits the tasks that it has."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from stack_process import Package, StackProcess

from bide.sample import Sample
from bide.settings import Settings
from local.banner import banner, submission
from local.children import ROOT
from local.line import Tasks

Start = Callable[..., StackProcess]

RESIZE = """
from bide import task

@task
def resize(title: str, width: int, tags: list[str]) -> str:
    return f"{title} {width} {tags}"
"""


class Told:
    """A stack as far as its banner goes."""

    url, key = "http://127.0.0.1:9000", "it's a key"

    def __init__(self, tasks: Tasks | None, *problems: str) -> None:
        self._tasks, self._problems = tasks, problems

    def parts(self) -> str:
        return "parts"

    def addresses(self) -> str:
        return ""

    def tasks(self) -> Tasks | None:
        return self._tasks

    def problems(self) -> list[str]:
        return list(self._problems)


def said(stack: Told, **environ: str) -> str:
    return banner(stack, Settings.from_environ(environ), environ, Path("data"))


def test_the_lines_work_with_the_tasks_of_the_user_alone(
    start: Start, package: Package, tmp_path: Path
) -> None:
    package.save("resizing", RESIZE)
    stack = start(BIDE_TASKS=package.name, PYTHONPATH=str(tmp_path))
    stack.wait_for("Bide is up: ")
    line = stack.wait_for(r"bide .*submit resize .*--wait").strip()
    words = [sys.executable, "-m", "bide_client", *shlex.split(line)[1:]]
    answer = subprocess.run(words, capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert answer.stdout.strip() == '"hello 1 []"'
    body = shlex.split(stack.wait_for(r"^    -d "))[1]
    assert json.loads(body) == {"name": "resize", "args": {"title": "hello", "width": 1, "tags": []}}


def test_without_a_task_it_says_so_and_what_to_do_and_takes_up_what_is_saved(
    start: Start, tmp_path: Path
) -> None:
    stack = start(BIDE_TASKS="later_tasks", PYTHONPATH=str(tmp_path))
    stack.wait_for("Bide is up, but no task is registered: ")
    stack.wait_for("BIDE_TASKS=later_tasks names nothing")
    assert not any("submit" in line for line in stack.lines)
    package = Package(tmp_path, "later_tasks")
    package.save("resizing", RESIZE)
    line = stack.wait_for("there are tasks now; to try one: .*submit resize")
    assert "--wait" in line
    assert stack.submit("resize", title="a", width=2, tags=[], wait=20).json()["result"] == "a 2 []"


def test_an_empty_package_is_told_from_a_wrong_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    package = Package(tmp_path, "empty_tasks")
    text = said(Told(Tasks(0, None)), BIDE_TASKS=package.name)
    assert f"save a function with @task in {tmp_path / package.name}" in text
    assert "curl" not in text


def test_a_stack_whose_api_could_not_start_does_not_say_that_it_is_up() -> None:
    text = said(Told(None))
    assert "is up" not in text
    assert "curl" not in text


def test_tasks_that_could_not_be_loaded_are_named_again_where_others_could() -> None:
    text = said(Told(Tasks(1, Sample("one", {})), "mine/two.py:1: SyntaxError"))
    assert "Bide is up: " in text
    assert "not loaded: mine/two.py:1: SyntaxError" in text


def test_what_a_module_says_of_itself_cannot_speak_to_the_terminal() -> None:
    text = said(Told(Tasks(0, None), "mail.py:1: OSError: \x1b[2Jall\nis well"))
    assert "not loaded: mail.py:1: OSError: \\u001b[2Jall is well" in text


def test_where_no_arguments_can_be_made_up_it_says_where_to_look() -> None:
    assert "curl http://127.0.0.1:9000/openapi.json" in said(Told(Tasks(3, None)))


def test_what_is_wrong_is_red_on_a_terminal_unless_colours_are_not_wanted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert "\033[31mBide is up, but no task is registered" in said(Told(Tasks(0, None)))
    assert "\033" not in said(Told(Tasks(1, Sample("one", {}))))
    assert "\033" not in said(Told(Tasks(0, None)), NO_COLOR="1")


@pytest.mark.parametrize(
    "value",
    ["text", "1", "true", "with \"quotes\" and 'others'", "two words", 1.5, None, [1], {"a": "$HOME"}],
)
def test_a_value_survives_the_shell_and_the_command(value: object) -> None:
    from bide_client.arguments import arguments

    words = shlex.split(submission(Told(None), Sample("task", {"value": value}), {}))
    given = words[words.index("task") + 1 : -1]
    assert arguments(given, None) == {"value": value}
