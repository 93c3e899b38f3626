"""Deploys a stage to AWS: `make deploy STAGE=dev`.

`chalice deploy`, with a look beforehand at what it needs and, afterwards, what Chalice does
not set and workers cannot do without (`local/loop.py`). It ends with an error unless all
of it holds. docs/deploying.md says what to have ready.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import boto3  # type: ignore[import-untyped]
from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

from bide.errors import SettingsError
from bide.printable import printable
from bide.settings import Settings
from chalice_app import deployable
from local.children import ROOT
from local.loop import Loop
from local.package import PackageFailed, prepare

_CHALICE: Final = (sys.executable, "-c", "import sys; from chalice.cli import main; sys.exit(main())")


class NotDeployed(Exception):
    """The stage is not deployed, or not as it has to be; the message says what is wrong."""


@dataclass(frozen=True)
class Stage:
    """A stage of .chalice/config.json."""

    project: Path
    app: str
    name: str
    variables: dict[str, str]
    """The environment that its functions get."""

    @classmethod
    def read(cls, project: Path, name: str) -> Stage:
        """Raises NotDeployed when there is no such stage."""
        config = json.loads((project / ".chalice" / "config.json").read_text(encoding="utf-8"))
        if name not in config["stages"]:
            raise NotDeployed(
                f".chalice/config.json has no stage {name}; it has {', '.join(config['stages'])}."
            )
        found = config.get("environment_variables", {}) | config["stages"][name].get(
            "environment_variables", {}
        )
        return cls(project, config["app_name"], name, found)

    @property
    def settings(self) -> Settings:
        """What its variables say. Raises SettingsError."""
        return Settings.from_environ(self.variables)

    def deployed(self) -> dict[str, dict[str, Any]]:
        """What Chalice has created, by its name for it; empty before the first deployment."""
        file = self.project / ".chalice" / "deployed" / f"{self.name}.json"
        if not file.is_file():
            return {}
        resources = json.loads(file.read_text(encoding="utf-8"))["resources"]
        return {resource["name"]: resource for resource in resources}

    def functions(self) -> dict[str, str]:
        """ARN of each function, by Chalice's name for it."""
        return {
            name: found["lambda_arn"]
            for name, found in self.deployed().items()
            if found["resource_type"] == "lambda_function"
        }


def deploy(stage: Stage, *, new_api: bool = False) -> str:
    """Deploy; returns the address of the API. Raises NotDeployed, PackageFailed, BotoCoreError, ClientError.

    new_api: also where an earlier deployment is there that this clone does not know.
    """
    _look_beforehand(stage, new_api)
    prepare(stage.project, stage.name)  # `chalice deploy` takes the package that it finds
    _chalice_deploy(stage)
    functions = stage.functions()
    loop = Loop(
        boto3.client("lambda"), {name: arn for name, arn in functions.items() if name != "api_handler"}
    )
    loop.set()
    problems = loop.problems()
    if problems:
        raise NotDeployed("Deployed, but workers would get lost:\n" + "\n".join(f"  {p}" for p in problems))
    address: str = stage.deployed()["rest_api"]["rest_api_url"]
    return address


def _look_beforehand(stage: Stage, new_api: bool) -> None:
    """Whether what the stage names is there: a first deployment that fails midway leaves things behind."""
    problems = list(deployable.lacking(stage.variables))
    if not problems:
        settings = stage.settings
        if settings.wake_queue and not _exists("sqs", "get_queue_url", QueueName=settings.wake_queue):
            problems.append(f"There is no SQS queue {settings.wake_queue}, which BIDE_WAKE_QUEUE names.")
        if settings.wake_stream and not _exists(
            "kinesis", "describe_stream_summary", StreamName=settings.wake_stream
        ):
            problems.append(
                f"There is no Kinesis stream {settings.wake_stream}, which BIDE_WAKE_STREAM names."
            )
        api = f"{stage.app}-{stage.name}"
        if not new_api and not stage.deployed() and _exists("lambda", "get_function", FunctionName=api):
            problems.append(
                f"{api} is there, but not .chalice/deployed/{stage.name}.json, which says what belongs to "
                "it: it was deployed from another clone, or its first deployment failed. Bring the file, or "
                "get an API with a new address beside the old one: python -m local.deploy --new-api"
            )
    if problems:
        raise NotDeployed("Nothing was changed:\n" + "\n".join(f"  {problem}" for problem in problems))


def _exists(service: str, call: str, **arguments: str) -> bool:
    try:
        getattr(boto3.client(service), call)(**arguments)
    except ClientError as error:
        if error.response["Error"]["Code"].endswith(
            ("NonExistentQueue", "QueueDoesNotExist", "ResourceNotFoundException")
        ):
            return False
        raise
    return True


def _chalice_deploy(stage: Stage) -> None:
    done = subprocess.run(
        [*_CHALICE, "deploy", "--stage", stage.name],
        cwd=stage.project,
        # Bytecode that the import of app.py left in the packages would change the package.
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    if done.returncode:
        raise NotDeployed(f"chalice deploy ended with code {done.returncode}; what it said is above.")


def main() -> int:
    """Exit code 0 when the stage is deployed and everything holds."""
    parser = argparse.ArgumentParser(prog="make deploy", description=__doc__)
    parser.add_argument("--stage", default="dev", help="a stage of .chalice/config.json")
    parser.add_argument("--project", type=Path, default=ROOT, help="where app.py is")
    parser.add_argument(
        "--new-api", action="store_true", help="deploy over what this clone does not know, to a new address"
    )
    arguments = parser.parse_args()
    try:
        stage = Stage.read(arguments.project, arguments.stage)
        address = deploy(stage, new_api=arguments.new_api)
    except (NotDeployed, PackageFailed, SettingsError, BotoCoreError, ClientError) as error:
        print(printable(f"deploy: {error}"), file=sys.stderr)
        return 1
    print(f"{stage.name} is deployed: {address}v1/tasks\nTo see whether it works:  curl {address}healthz")
    return 0


if __name__ == "__main__":
    sys.exit(main())
