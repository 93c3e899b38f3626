"""Who may ask: API keys, and the checks that replace them on one machine."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bide.settings import Settings
from chalice_app.errors import ForbiddenHost, NotConfigured, Unauthenticated

LOCAL_TENANT: Final = "default"

_HOSTS: Final = "localhost, 127.0.0.1 and [::1]"
_HOST: Final = re.compile(r"(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]{1,5})?", re.IGNORECASE)
_BEARER: Final = re.compile(r"bearer +(\S+) *", re.IGNORECASE)

_HOW_TO_SET_A_KEY: Final = (
    "No API key is configured. Make one, and its hash, with: "
    'KEY=$(openssl rand -hex 32); echo "$KEY"; printf %s "$KEY" | openssl dgst -sha256 -r | cut -d" " -f1 '
    "- then set BIDE_OPERATOR_KEY_HASHES to the second line, or BIDE_API_KEY_HASHES if the key shall not "
    "operate the server, and send the first as `Authorization: Bearer <key>`. "
    "On one machine, BIDE_LOCAL=1 needs no key."
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the tenant whose tasks it sees, and whether it may operate the server."""

    tenant: str
    is_operator: bool


NOBODY: Final = Caller("", is_operator=False)
"""Who asks where a route is open to all."""


def is_here(host: str) -> bool:
    """Whether a Host header names this machine. Any port will do: a tunnel may end on another."""
    return _HOST.fullmatch(host) is not None


def is_own(origin: str, host: str) -> bool:
    """Whether a page's Origin is the server's own, which has this Host header."""
    return origin.lower() == f"http://{host.lower()}"


def check_origin(settings: Settings, headers: Mapping[str, str]) -> None:
    """In local mode, refuse requests that a web page of elsewhere may have caused.

    Keyless mode trusts its user's programs. The browser is one of them, and sends what any page
    wants: under a host name that the page's owner pointed at 127.0.0.1, or across origins, of
    which another port of this machine is one. Raises ForbiddenHost.
    """
    if not settings.local:
        return
    host = headers.get("host", "")
    if not is_here(host):
        raise ForbiddenHost(
            f"This server answers requests for {_HOSTS} only: use one of these in the URL, and so as Host."
        )
    origin = headers.get("origin")
    if origin is not None and not is_own(origin, host):
        raise ForbiddenHost(
            f"Of web pages this server answers its own only, of origin http://{host}. "
            "Have the server that your page comes from ask in its place, without an Origin header."
        )


def recognised(settings: Settings, headers: Mapping[str, str]) -> Caller:
    """Whose key a request to a route carries that is open to all: NOBODY without one that is accepted."""
    if "authorization" not in headers:
        return NOBODY
    try:
        return authenticate(settings, headers)
    except (NotConfigured, Unauthenticated):
        return NOBODY


def authenticate(settings: Settings, headers: Mapping[str, str]) -> Caller:
    """Whose key the request carries. Raises NotConfigured, Unauthenticated."""
    if settings.is_keyless:
        return Caller(LOCAL_TENANT, is_operator=True)
    if not settings.api_key_hashes and not settings.operator_key_hashes:
        raise NotConfigured(_HOW_TO_SET_A_KEY)
    sent = headers.get("authorization")
    if sent is None:
        raise Unauthenticated
    bearer = _BEARER.fullmatch(sent)
    if bearer is None:
        raise Unauthenticated("The Authorization header must be `Bearer <key>`.")
    digest = hashlib.sha256(bearer[1].encode("utf-8", "surrogatepass")).hexdigest()
    caller = None
    # All of them, operators last: time must not tell which one matched, and a key in both is an operator's.
    for accepted, is_operator in ((settings.api_key_hashes, False), (settings.operator_key_hashes, True)):
        for tenant, known in accepted:
            if hmac.compare_digest(digest, known):
                caller = Caller(tenant, is_operator)
    if caller is None:
        raise Unauthenticated("The API key is not accepted.")
    return caller
