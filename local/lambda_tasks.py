"""Whether the tasks load where they were deployed: with the package and what Lambda supplies, nothing else.

A module that imports something which requirements.txt does not name loads in this clone, and
not there; then no function does anything, and says so only when it is called.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Final

from local import tether
from local.emulator.dispatcher import Deployed
from local.package import CODE_FOLDER

_LOAD: Final = """\
import os, sys
sys.path[:0] = [os.environ["LAMBDA_TASK_ROOT"], os.environ["LAMBDA_RUNTIME_DIR"]]
from bide import registry
from bide.settings import Settings
for problem in registry.load(Settings.from_environ(os.environ).tasks, local=False, strict=False).problems:
    print(*str(problem).split())
"""

_SECONDS: Final = 30.0


async def problems(deployed: Deployed) -> list[str]:
    """What keeps the tasks of a deployed function from being loaded, each with its place; empty if none."""
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
        return [f"a task module takes more than {_SECONDS:g} s to load"]
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    lines = printed.decode(errors="replace").splitlines()
    if process.returncode:
        lines += complaint.decode(errors="replace").splitlines()[-1:]
    # Bytecode names the folder that it will be in on AWS.
    return [line.replace(f"{code}/", "").replace(f"{CODE_FOLDER}/", "") for line in lines]
