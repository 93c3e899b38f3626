"""Submit a few tasks, wait for each, and tell how it ended.

    make up                                         # in one terminal
    .venv/bin/python examples/submit_and_wait.py    # in another

The server is the one BIDE_URL names (default http://127.0.0.1:8000), the key BIDE_KEY.
"""

from __future__ import annotations

import sys

from bide_client import BideError, Client, TaskError, WaitTimeout


def main() -> int:
    """Return 0 if every task succeeded, 1 if one did not, 2 if the server could not be asked."""
    unsuccessful = 0
    try:
        with Client() as client:
            tasks = [client.submit("echo", value=number) for number in range(3)]
            tasks.append(client.submit("sleep", seconds=0.5))
            for task in tasks:
                try:
                    print(f"{task.id}  {task.result(timeout=30)!r}")
                except (TaskError, WaitTimeout) as error:
                    print(error, file=sys.stderr)
                    unsuccessful = 1
    except BideError as error:
        print(error, file=sys.stderr)
        return 2
    return unsuccessful


if __name__ == "__main__":
    sys.exit(main())
