"""The API key of a stack that needs one: the user's own, or one that is made once and kept with the data."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path


def given_key(environ: Mapping[str, str]) -> str:
    """The key that the client uses too; empty if none is set."""
    return environ.get("BIDE_KEY", "").strip()


def api_key(environ: Mapping[str, str], data: Path) -> str:
    """The key that the client uses too, if it is set, else the one of the `data` folder, made if missing."""
    given = given_key(environ)
    if given:
        return given
    file = data / "api-key"
    if not file.exists():
        draft = file.with_suffix(".draft")
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(24), encoding="ascii")
        draft.replace(file)
    return file.read_text(encoding="ascii").strip()
