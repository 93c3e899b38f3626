"""The copy of this clone that MODE=lambda deploys, and its deployment into an AWS on this machine.

A copy, since what is deployed here has a store, a key and names of its own: none of that
may end up in the clone's configuration, nor may anything of the clone's deployment in AWS be used.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import platform
import shutil
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from local import ports, tether
from local.children import ROOT
from local.emulator.keeper import Keeper
from local.failure import StackFailed
from local.lambda_variables import STAGE
from local.reload import place

_MACHINE: Final = ("Linux", "x86_64")
"""What the deployment package is made for."""

_LEFT_OUT: Final = ("__pycache__", "*.pyc", ".git", ".venv")

_IN_AWS: Final = (
    "subnet_ids",
    "security_group_ids",
    "api_gateway_custom_domain",
    "layers",
    "automatic_layer",
)
"""Configuration that names things which are in AWS alone."""

_WHEELS: Final = Path(sys.prefix) / "wheelhouse"
"""What the installation has put by, so that packaging needs no network."""

_NOT_PASSED_ON: Final = ("BIDE_", "AWS_", "PIP_", "PYTHON")

_TAIL_LINES: Final = 20


class DeploymentFailed(StackFailed):
    """The project could not be deployed; the message says why."""


class LambdaProject:
    """The copy in `folder`. Packages once built stay there, and are taken again if nothing changed."""

    def __init__(self, folder: Path, tasks: tuple[str, ...]) -> None:
        """tasks: packages of tasks, which are deployed wherever they are. Raises DeploymentFailed."""
        if (platform.system(), platform.machine()) != _MACHINE:
            raise DeploymentFailed(
                "MODE=lambda runs the package that goes to AWS, which is for Linux on x86_64; "
                f"this is {platform.system()} on {platform.machine()}."
            )
        self._folder = folder
        self._tasks = tasks
        self._log = folder.parent / "deploy.log"

    @property
    def zips(self) -> list[Path]:
        """The packages that have been built."""
        return sorted((self._folder / ".chalice" / "deployments").glob("*.zip"))

    def copy(self, variables: Mapping[str, str], api_concurrency: int | None) -> None:
        """Copy the clone as it is now; the stage gets `variables`, and the API that much concurrency."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for old in self._folder.iterdir():
            if old.name != ".chalice":
                _delete(old)
        for name in ("app.py", "requirements.txt"):
            shutil.copy2(ROOT / name, self._folder)
        (self._folder / "vendor").mkdir()
        for link in (ROOT / "vendor").iterdir():
            self._carry(link.name, link.resolve())
        for package in self._tasks:
            top = package.partition(".")[0]
            found = place(top)
            # A package that is nowhere is reported by whoever loads the tasks.
            if found is not None:
                self._carry(f"{top}{found.suffix}", found)
        self._configure(variables, api_concurrency)

    async def deploy(self, environ: Mapping[str, str], aws: Mapping[str, str]) -> None:
        """Run `python -m local.deploy`. environ: of this process. aws: how to reach AWS.

        What it says goes to a log; cancelled, it is ended. Raises DeploymentFailed.
        """
        with self._log.open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "local.deploy", "--stage", STAGE, "--project", str(self._folder),
                cwd=ROOT,
                env=_environ(environ, aws),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=tether.die_with_parent(),
            )  # fmt: skip
        keeper = Keeper()  # chalice and pip are its children, and must not outlive us either
        keeper.watch(process.pid)
        try:
            code = await process.wait()
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
            keeper.release(process.pid)
            keeper.close()
        if code or "Could not install dependencies" in self._said():
            raise DeploymentFailed(f"It could not be deployed:\n{self._tail()}")

    def forget(self, used: set[Path]) -> None:
        """Delete packages that are not `used` any more."""
        for file in self.zips:
            if file not in used:
                file.unlink()

    def _carry(self, name: str, source: Path) -> None:
        """Copy a package or module, and link it where Chalice looks for what belongs to the application."""
        target = self._folder / name
        if target.exists():
            return
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns(*_LEFT_OUT))
        else:
            shutil.copy2(source, target)
        (self._folder / "vendor" / name).symlink_to(Path("..") / name)

    def _configure(self, variables: Mapping[str, str], api_concurrency: int | None) -> None:
        chalice = self._folder / ".chalice"
        chalice.mkdir(exist_ok=True)
        # The AWS that an earlier run was deployed into has gone with it.
        for old in chalice.iterdir():
            if old.name not in ("deployments", "deployed"):
                _delete(old)
        for file in (ROOT / ".chalice").iterdir():
            if file.is_file():
                shutil.copy2(file, chalice)
        config: dict[str, Any] = json.loads((chalice / "config.json").read_text(encoding="utf-8"))
        config["stages"] = {STAGE: config["stages"][STAGE]}
        stage = config["stages"][STAGE]
        functions = stage.setdefault("lambda_functions", {})
        for settings in (config, stage, *functions.values()):
            for name in _IN_AWS:
                settings.pop(name, None)
            settings.pop("environment_variables", None)
        stage["environment_variables"] = dict(variables)
        if api_concurrency is not None:
            functions.setdefault("api_handler", {})["reserved_concurrency"] = api_concurrency
        (chalice / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")

    def forget_deployment(self) -> None:
        """Forget what was deployed: the AWS that it was deployed into is gone."""
        _delete(self._folder / ".chalice" / "deployed")

    def _said(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def _tail(self) -> str:
        return "\n".join(self._said().splitlines()[-_TAIL_LINES:])


def _environ(environ: Mapping[str, str], aws: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in environ.items() if not name.startswith(_NOT_PASSED_ON)}
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(_WHEELS)} if _WHEELS.is_dir() else {}
    return {**kept, **offline, **aws, "NO_PROXY": ports.LOOPBACK, "no_proxy": ports.LOOPBACK}


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
