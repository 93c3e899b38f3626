"""What Lambda itself supplies to a Python function: the runtime client and the AWS SDK, and nothing else.

A folder of links to the installed packages. It is the only thing besides the package
folder and the standard library on the path of a runtime process, so that a deployment
package which lacks something fails here as it does on AWS.
"""

from __future__ import annotations

import compileall
import sys
from importlib import metadata
from pathlib import Path
from typing import Final

DISTRIBUTIONS: Final = (
    "awslambdaric",
    "simplejson",
    "snapshot-restore-py",
    "boto3",
    "botocore",
    "s3transfer",
    "jmespath",
    "urllib3",
    "python-dateutil",
    "six",
)
"""The runtime client with what it needs, and boto3 with what it needs."""

_START: Final = """\
import os, sys
sys.path[:0] = [os.environ["LAMBDA_TASK_ROOT"], os.environ["LAMBDA_RUNTIME_DIR"]]
from awslambdaric.__main__ import main
main(["bootstrap", os.environ["_HANDLER"]])
"""


def lay_out(folder: Path) -> Path:
    """Fill `folder` with links to the packages of DISTRIBUTIONS; returns it.

    Lambda's own packages are compiled, so those that are not yet are compiled here, where they are
    installed. Raises PackageNotFoundError when one is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in DISTRIBUTIONS:
        for entry in _entries(metadata.distribution(name)):
            (folder / entry.name).symlink_to(entry)
            if entry.is_dir() and not (entry / "__pycache__").is_dir():
                compileall.compile_dir(entry, quiet=2)
            elif entry.suffix == ".py":
                compileall.compile_file(entry, quiet=2)
    return folder


def _entries(distribution: metadata.Distribution) -> list[Path]:
    """The packages and modules that a distribution puts on the path."""
    names = {file.parts[0] for file in distribution.files or ()}
    kept = sorted(name for name in names if name not in ("..", "__pycache__") and ".dist-info" not in name)
    return [Path(str(distribution.locate_file(name))).resolve() for name in kept]


def command() -> list[str]:
    """Starts the runtime client on the folders and the handler that the environment names.

    -I and -S keep the user's and this installation's packages off the path, -B writes no bytecode:
    Lambda's code folder is read-only.
    """
    return [sys.executable, "-I", "-S", "-B", "-c", _START]
