"""MODE=lambda, as far as it is decided before anything starts."""

from __future__ import annotations

from collections.abc import Mapping

from local.children import ROOT
from local.deploy import NotDeployed, Stage
from local.failure import StackFailed
from local.lambda_variables import STAGE, Variables


def variables(environ: Mapping[str, str]) -> Variables:
    """The user's environment over the clone's stage. Raises SettingsError, StackFailed without a stage."""
    try:
        return Variables(Stage.read(ROOT, STAGE).variables, environ)
    except NotDeployed as error:
        raise StackFailed(str(error)) from error
