"""One deployment for the tests that look at it, and projects to deploy again or in vain."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from deployment import FILLED_IN, Project

from local.aws.running import RunningAws, running_aws


@pytest.fixture(scope="session")
def deployed(aws: RunningAws, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The stage dev, deployed by Chalice once, with a queue and a stream."""
    project = Project.copied(tmp_path_factory.mktemp("deployed") / "project", aws)
    project.set(**FILLED_IN, BIDE_WAKE_STREAM="bide-dev-wake")
    aws.client("sqs").create_queue(QueueName="bide-dev-wake")
    aws.client("kinesis").create_stream(StreamName="bide-dev-wake", ShardCount=1)
    done = project.chalice("deploy", "--stage", "dev")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Could not install dependencies" not in done.stdout + done.stderr
    return project


@pytest.fixture(scope="session")
def second_aws() -> Iterator[RunningAws]:
    """An AWS besides the one that the shared deployment is in."""
    with running_aws() as running:
        yield running


@pytest.fixture
def empty_aws(second_aws: RunningAws) -> RunningAws:
    """An AWS with nothing in it."""
    second_aws.forget()
    return second_aws


@pytest.fixture
def project(deployed: Project, empty_aws: RunningAws, tmp_path: Path) -> Project:
    """A filled-in project that has not been deployed, and an AWS that has its queue.

    Its package is there already: Chalice recognises it by a hash of what goes into it.
    """
    project = Project.copied(tmp_path / "project", empty_aws)
    project.set(**FILLED_IN)
    empty_aws.client("sqs").create_queue(QueueName="bide-dev-wake")
    packages = Path(".chalice") / "deployments"
    shutil.copytree(deployed.folder / packages, project.folder / packages)
    return project
