"""Which tasks load where they were deployed: with the package and what Lambda supplies, nothing else.

A module that imports something which requirements.txt does not name loads in this clone, and
not there; then no function does anything, and says so only when it is called.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Final

import msgspec

from bide.sample import Sample
from local import tether
from local.emulator.dispatcher import Deployed
from local.package import CODE_FOLDER

_LOAD: Final = """\
import os, sys
sys.path[:0] = [os.environ["LAMBDA_TASK_ROOT"], os.environ["LAMBDA_RUNTIME_DIR"]]
import msgspec
from bide import registry
from bide.sample import sample
from bide.settings import Settings
found = registry.load(Settings.from_environ(os.environ).tasks, local=False, strict=False)
problems = [" ".join(str(problem).split()) for problem in found.problems]
said = {"problems": problems, "count": len(found.definitions), "sample": sample(found.definitions)}
print(msgspec.json.encode(said).decode())
"""

_SECONDS: Final = 30.0


class Found(msgspec.Struct, frozen=True):
    """What came of loading them."""

    problems: list[str]
    """What keeps tasks from being loaded, each with its place."""
    count: int = 0
    sample: Sample | None = None


async def load(deployed: Deployed) -> Found:
    """Load the tasks of a deployed function as it would."""
    code = str(deployed.package.folder)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", "-B", "-c", _LOAD,
        cwd=code,
        env={
            "PATH": os.defpath,
            **deployed.function.environment,
            "LAMBDA_TASK_ROOT": code,
            "LAMBDA_RUNTIME_DIR": str(deployed.supplied),
        },
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
        preexec_fn=tether.die_with_parent(),
    )  # fmt: skip
    try:
        async with asyncio.timeout(_SECONDS):
            printed, complaint = await process.communicate()
    except TimeoutError:
        return Found([f"a task module takes more than {_SECONDS:g} s to load"])
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        return Found(complaint.decode(errors="replace").splitlines()[-1:] or ["loading the tasks failed"])
    found = msgspec.json.decode(printed.splitlines()[-1], type=Found)  # task modules may print, too
    # Bytecode names the folder that it will be in on AWS.
    own = [line.replace(f"{code}/", "").replace(f"{CODE_FOLDER}/", "") for line in found.problems]
    return msgspec.structs.replace(found, problems=own)
