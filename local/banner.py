"""What a stack that has started says of itself: where it is, and lines to try it with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from bide.settings import Settings
from bide_client.client import DEFAULT_URL
from local.children import shown


class Started(Protocol):
    """A running stack."""

    @property
    def url(self) -> str: ...
    @property
    def key(self) -> str: ...
    def parts(self) -> str: ...
    def addresses(self) -> str: ...


def banner(stack: Started, settings: Settings, environ: Mapping[str, str], data: Path) -> str:
    """Several lines. What needs an address or a key has it."""
    where = "the store at BIDE_REDIS_URL" if settings.redis_url else f"data in {shown(data)}"
    address = "" if stack.url == DEFAULT_URL and not environ.get("BIDE_URL") else f" --url {stack.url}"
    key = f"BIDE_KEY={stack.key} " if stack.key else ""
    authorization = f" -H 'Authorization: Bearer {stack.key}'" if stack.key else ""
    addresses = stack.addresses()
    told = [f"BIDE_URL={stack.url}"] if address else []
    told += [f"BIDE_KEY={stack.key}"] if stack.key else []
    # Else the next command, typed as the docs have it, goes to whoever has the first port.
    export = f"  export {' '.join(told)}  # so that every bide command goes here\n" if told else ""
    return f"""
Bide is up: {stack.url}
({stack.parts()}, {where}; Ctrl-C stops it)

  curl {stack.url}/v1/tasks{authorization} -H 'Content-Type: application/json' -H 'Prefer: wait=5' \\
    -d '{{"name": "echo", "args": {{"value": "hello"}}}}'

  {key}.venv/bin/bide{address} submit echo value=hello --wait
{export}{f"{chr(10)}{addresses}" if addresses else ""}"""
