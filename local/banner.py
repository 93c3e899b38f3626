"""What a stack that has started says of itself: where it is, and lines to try it with."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from bide.printable import one_line
from bide.sample import Sample
from bide.settings import Settings
from bide_client.client import DEFAULT_URL
from local.children import shown
from local.line import Tasks
from local.reload import place
from local.words import red


class Reached(Protocol):
    """A server, and how it is reached."""

    @property
    def url(self) -> str: ...
    @property
    def key(self) -> str: ...


class Started(Reached, Protocol):
    """A running stack."""

    def parts(self) -> str: ...
    def addresses(self) -> str: ...
    def tasks(self) -> Tasks | None: ...
    def problems(self) -> list[str]: ...


def banner(stack: Started, settings: Settings, environ: Mapping[str, str], data: Path) -> str:
    """Several lines. What needs an address or a key has it; what went wrong comes first, and is red."""
    where = "the store at BIDE_REDIS_URL" if settings.redis_url else f"data in {shown(data)}"
    told = [f"BIDE_URL={stack.url}"] if _elsewhere(stack, environ) else []
    told += [f"BIDE_KEY={shlex.quote(stack.key)}"] if stack.key else []
    # Else the next command, typed as the docs have it, goes to whoever has the first port.
    export = f"  export {' '.join(told)}  # so that every bide command goes here\n" if told else ""
    addresses = stack.addresses()
    return f"""
{_head(stack, settings, environ)}
({stack.parts()}, {where}; Ctrl-C stops it)

{_tries(stack, environ)}{export}{f"{chr(10)}{addresses}" if addresses else ""}"""


def submission(stack: Reached, sample: Sample, environ: Mapping[str, str]) -> str:
    """The `bide` command that submits a task and waits for its result."""
    address = f" --url {stack.url}" if _elsewhere(stack, environ) else ""
    key = f"BIDE_KEY={shlex.quote(stack.key)} " if stack.key else ""
    words = [sample.name, *(f"{name}={_word(value)}" for name, value in sample.args.items())]
    return f"{key}.venv/bin/bide{address} submit {shlex.join(words)} --wait"


def _elsewhere(stack: Reached, environ: Mapping[str, str]) -> bool:
    """Whether a command has to be told where the server is."""
    return stack.url != DEFAULT_URL or bool(environ.get("BIDE_URL"))


def _word(value: Any) -> str:
    """A value as `bide submit` takes it: text as it is, unless that is JSON, and all else as JSON."""
    if isinstance(value, str):
        try:
            json.loads(value)
        except ValueError:
            return value
    return json.dumps(value)


def _head(stack: Started, settings: Settings, environ: Mapping[str, str]) -> str:
    tasks, problems = (
        stack.tasks(),
        [f"  not loaded: {one_line(shown(problem))}" for problem in stack.problems()],
    )
    if tasks is None:
        missing = "  What is missing is said above; save the mend."
        return red(f"Bide is not whole yet: {stack.url}\n{missing}", environ)
    if tasks.count:
        return "\n".join((f"Bide is up: {stack.url}", *(red(problem, environ) for problem in problems)))
    lines = [f"Bide is up, but no task is registered: {stack.url}", *problems, *_remedies(settings)]
    return red("\n".join(lines), environ)


def _remedies(settings: Settings) -> list[str]:
    """What to do about it that there is no task."""
    names = ",".join(settings.tasks)
    there = [shown(found) for package in settings.tasks if (found := place(package)) is not None]
    if there:
        return [f"  BIDE_TASKS={names}: save a function with @task in {there[0]}, and it is there at once."]
    return [
        f"  BIDE_TASKS={names} names nothing that Python finds: a package is meant, such as workers.tasks,",
        "  in this folder or in one of PYTHONPATH. Stop this with Ctrl-C, and start it with the right name.",
    ]


def _tries(stack: Started, environ: Mapping[str, str]) -> str:
    tasks = stack.tasks()
    if tasks is None or not tasks.count:
        return ""
    if tasks.sample is None:
        return f"  what can be submitted, and with what:  curl {stack.url}/openapi.json\n\n"
    authorization = f" -H {shlex.quote(f'Authorization: Bearer {stack.key}')}" if stack.key else ""
    body = shlex.quote(json.dumps({"name": tasks.sample.name, "args": tasks.sample.args}))
    return f"""\
  curl {stack.url}/v1/tasks{authorization} -H 'Content-Type: application/json' -H 'Prefer: wait=5' \\
    -d {body}

  {submission(stack, tasks.sample, environ)}
"""
