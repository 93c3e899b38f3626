"""Where the server is, and with which key it is asked."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase

from bide_client.errors import UsageError


@dataclass(frozen=True)
class Address:
    """A server's URL without a slash at its end. `loopback`: it is on this very machine."""

    url: str
    loopback: bool
    has_path: bool
    """Whether more than the host is named, such as a stage."""

    @classmethod
    def of(cls, url: str) -> Address:
        """Check the URL; UsageError says what one looks like."""
        try:
            parts = urlsplit(url)
            usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            usable = False
        if not usable or parts.query or parts.fragment or parts.username is not None:
            raise UsageError(f"The server's URL must look like http://127.0.0.1:8000, not {url!r}")
        return cls(url.rstrip("/"), _is_loopback(parts.hostname or ""), bool(parts.path.strip("/")))


class Bearer(AuthBase):
    """Sends the key. Used without a key too: requests would otherwise send a password found in ~/.netrc."""

    def __init__(self, key: str | None) -> None:
        """UsageError for a key that no header can carry."""
        if key and not all("!" <= character <= "~" for character in key):
            raise UsageError("The API key must be visible ASCII characters, without spaces or line ends")
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._key:
            request.headers["Authorization"] = f"Bearer {self._key}"
        return request


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
