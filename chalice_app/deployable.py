"""Whether a stage can be deployed: `chalice deploy` is refused while settings lack that it cannot do without.

A server without a store or a key would answer 503 or 403 to everything. It is better told
here than found out there.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from bide.errors import SettingsError
from bide.settings import Settings


def check() -> None:
    """End the process with a message if it is a `chalice deploy` of a stage that lacks settings.

    The command line of Chalice imports app.py with the stage's variables in the environment.
    Everywhere else, other commands of Chalice included, this does nothing.
    """
    if _command() == "deploy":
        problems = lacking(os.environ)
        if problems:
            listed = "\n".join(f"  {problem}" for problem in problems)
            # Chalice would show any other exception with its traceback.
            raise SystemExit(
                "Not deployed. In .chalice/config.json, environment_variables of the stage:\n"
                f"{listed}\n"
                "docs/deploying.md says what each is for."
            )


def lacking(environ: Mapping[str, str]) -> tuple[str, ...]:
    """What keeps these variables from being a deployment's, each as a sentence."""
    try:
        settings = Settings.from_environ(environ)
    except SettingsError as error:
        return error.problems
    problems = []
    if not settings.redis_url:
        problems.append("BIDE_REDIS_URL is not set: say where the store is, as rediss://host:6379/0")
    if not settings.api_key_hashes and not settings.operator_key_hashes:
        problems.append(
            "BIDE_API_KEY_HASHES is not set: say who may call, as the SHA-256 hex digest of each API key; "
            "operators' keys go into BIDE_OPERATOR_KEY_HASHES"
        )
    if settings.local:
        problems.append("BIDE_LOCAL is set: without keys it is for loopback alone")
    return tuple(problems)


def _command() -> str:
    """The command of Chalice that this process runs, such as `deploy`; empty in Lambda and elsewhere."""
    click = sys.modules.get("click")
    context = click.get_current_context(silent=True) if click else None
    return context.info_name or "" if context else ""
