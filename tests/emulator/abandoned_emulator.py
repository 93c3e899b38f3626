"""A process that starts an emulator and never stops it: `python abandoned_emulator.py FOLDER`.

Prints the process ids of a frozen environment, of what that has started, and of a busy one.
"""

from __future__ import annotations

import asyncio
import json
import sys
import zipfile
from pathlib import Path

from local.emulator.emulator import Emulator
from local.emulator.function import Function

SOURCE = """
import os, subprocess, sys, time
def handler(event, context):
    if event:
        open(event, "w").write(str(os.getpid()))
        time.sleep(600)
    child = subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"])
    return [os.getpid(), child.pid]
"""


async def main(folder: Path) -> None:
    code = folder / "code.zip"
    with zipfile.ZipFile(code, "w") as opened:
        opened.writestr("main.py", SOURCE)
    emulator = Emulator(directory=folder / "emulator")
    await emulator.start()
    emulator.deploy([Function("held", "main.handler", code, timeout_s=600)])
    frozen = await emulator.dispatcher.invoke("held", b"null")
    emulator.deploy([Function("busy", "main.handler", code, timeout_s=600)])
    here = folder / "here"
    emulator.dispatcher.accept("busy", json.dumps(str(here)).encode())
    while not here.exists() or not here.read_text():
        await asyncio.sleep(0.01)
    print(json.dumps([*json.loads(frozen.payload), int(here.read_text())]), flush=True)
    await asyncio.sleep(600)


asyncio.run(main(Path(sys.argv[1])))
