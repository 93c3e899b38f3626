"""A copy of the project, and Chalice's command run in it against an AWS on loopback."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.aws.running import RunningAws

ROOT = Path(__file__).parents[2]
WHEELHOUSE = ROOT / ".venv" / "wheelhouse"
"""Wheels that the installation has put by, for machines without a network."""

_LEFT_OUT = (
    ".git", ".venv", ".bide", "__pycache__", "*.pyc", ".*_cache", ".hypothesis",
    "deployments", "deployed", "tests", "bench",
)  # fmt: skip

DIGEST = "2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683"

FILLED_IN = {"BIDE_REDIS_URL": "rediss://cache.example:6379/0", "BIDE_API_KEY_HASHES": DIGEST}
"""What whoever deploys has to say."""


@dataclass(frozen=True)
class Project:
    """A copy of the project that may be changed and deployed."""

    folder: Path
    aws: RunningAws

    @classmethod
    def copied(cls, folder: Path, aws: RunningAws) -> Project:
        shutil.copytree(ROOT, folder, symlinks=True, ignore=shutil.ignore_patterns(*_LEFT_OUT))
        return cls(folder, aws)

    def set(self, stage: str = "dev", **variables: str) -> None:
        """Write variables into a stage, as a person does by hand."""
        config = self.config
        config["stages"][stage]["environment_variables"] |= variables
        self.write(config)

    @property
    def config(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / ".chalice" / "config.json").read_text())
        return found

    def write(self, config: dict[str, Any]) -> None:
        (self.folder / ".chalice" / "config.json").write_text(json.dumps(config, indent=2))

    @property
    def deployed(self) -> dict[str, dict[str, Any]]:
        """What Chalice keeps of what it created, by its name for it."""
        file = self.folder / ".chalice" / "deployed" / "dev.json"
        return {resource["name"]: resource for resource in json.loads(file.read_text())["resources"]}

    def chalice(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Chalice's command."""
        return self._run("-c", "import sys; from chalice.cli import main; sys.exit(main())", *arguments)

    def deploy(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run what `make deploy` runs."""
        return self._run("-m", "local.deploy", *arguments)

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("BIDE_", "AWS_", "PIP_", "PYTHON"))
        }
        environment = {**kept, **self.aws.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        if WHEELHOUSE.is_dir():
            environment |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(WHEELHOUSE)}
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=240,
        )
