"""The key by which the AWS stand-ins of this machine know their own clients.

Loopback is open to every user of the machine, and to every web page in the developer's browser; and
whoever may deploy a function may run code. So each stand-in has an access key of its own, made at its
start, and a `Gate` that admits requests signed with it alone, as AWS does (Signature Version 4).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from botocore.auth import SigV4Auth  # type: ignore[import-untyped]
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
from botocore.credentials import Credentials as Signer  # type: ignore[import-untyped]

from local.proxy_event import Headers

_ID, _SECRET = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"

_AUTHORIZATION: Final = re.compile(
    r"AWS4-HMAC-SHA256 +Credential=(?P<id>[^/, ]+)/(?P<day>\d{8})/(?P<region>[^/, ]+)/(?P<service>[^/, ]+)"
    r"/aws4_request, *SignedHeaders=(?P<names>[^, ]+), *Signature=(?P<signature>[0-9a-f]{64})"
)
_DATE, _CONTENT = "x-amz-date", "x-amz-content-sha256"
_OF_A_SIGNATURE: Final = ("authorization", _DATE, "date", "x-amz-security-token", "host", "content-length")
"""Headers that a new signature replaces, or that the connection makes."""


class Scope(NamedTuple):
    """What a request is signed for."""

    service: str
    region: str


@dataclass(frozen=True)
class AccessKey:
    """An access key: its id, which requests name, and its secret, which they are signed with."""

    id: str
    secret: str = field(repr=False)

    @classmethod
    def new(cls) -> AccessKey:
        """A random one."""
        return cls(f"AKIA{secrets.token_hex(8).upper()}", secrets.token_urlsafe(30))

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> AccessKey:
        """The one that an environment has; see `environ`. Raises KeyError."""
        return cls(environ[_ID], environ[_SECRET])

    @property
    def environ(self) -> dict[str, str]:
        """The variables by which AWS's clients know it; only its user may read a process's environment."""
        return {_ID: self.id, _SECRET: self.secret}

    def signed(
        self, scope: Scope, method: str, url: str, headers: Headers = (), body: bytes = b""
    ) -> list[tuple[str, str]]:
        """The headers of a request with its signature, Host among them, in place of an earlier signature."""
        kept = [(name, value) for name, value in headers if name.lower() not in _OF_A_SIGNATURE]
        host = url.split("/", 3)[2]
        request = _request(method, url, [("Host", host), *kept], body)
        self._signer(scope).add_auth(request)
        return list(request.headers.items())

    def signature(self, scope: Scope, date: str, method: str, url: str, headers: Headers, body: bytes) -> str:
        """The signature of a request over these headers alone; `date` as X-Amz-Date has it."""
        request = _request(method, url, headers, body)
        request.context["timestamp"] = date
        signer = self._signer(scope)
        text = signer.string_to_sign(request, signer.canonical_request(request))
        return str(signer.signature(text, request))

    def _signer(self, scope: Scope) -> Any:
        return SigV4Auth(Signer(self.id, self.secret), scope.service, scope.region)


def _request(method: str, url: str, headers: Headers, body: bytes) -> Any:
    request = AWSRequest(method=method, url=url, data=body)
    for name, value in headers:
        request.headers.add_header(name, value)
    return request


class Forbidden(Exception):
    """A request is not let in; the message says why, and gives no secret away."""


@dataclass(frozen=True)
class Gate:
    """Lets in requests to `port` on loopback that are signed with `key`, for one of `services`.

    Checked: one Host header, of loopback and this port, as a page under a name that its owner pointed at
    127.0.0.1 has another; no Origin header, as no page has business here; the access key's id; the service;
    and the signature over method, path, query, body, Host and every X-Amz header. Not checked: how old a
    signature is. Whoever could repeat a request has read this user's traffic, and can do worse.
    """

    key: AccessKey
    services: Collection[str]
    port: int

    def admit(self, method: str, target: str, headers: Headers, body: bytes) -> Scope:
        """What a request is for; `target` is its path and query as they came. Raises Forbidden."""
        hosts = [value.strip() for name, value in headers if name.lower() == "host"]
        if len(hosts) != 1 or not self._is_ours(hosts[0]):
            raise Forbidden(f"This server answers as 127.0.0.1:{self.port} only; see the Host header.")
        if any(name.lower() == "origin" for name, _ in headers):
            raise Forbidden("This server answers no web pages; see the Origin header.")
        given = [value for name, value in headers if name.lower() == "authorization"]
        claim = _AUTHORIZATION.fullmatch(given[0].strip()) if len(given) == 1 else None
        url = f"http://{hosts[0]}{target}"
        if (
            claim is None
            or not target.startswith("/")
            or not self._is_signed(claim, method, url, headers, body)
        ):
            raise Forbidden("Requests have to be signed with the access key of this run.")
        scope = Scope(claim["service"], claim["region"])
        if scope.service not in self.services:
            raise Forbidden(f"{scope.service} is not served here; {', '.join(sorted(self.services))} are.")
        return scope

    def _is_ours(self, host: str) -> bool:
        name, _, port = host.lower().rpartition(":")
        return name in ("127.0.0.1", "localhost") and port == str(self.port)

    def _is_signed(self, claim: re.Match[str], method: str, url: str, headers: Headers, body: bytes) -> bool:
        names = claim["names"].split(";")
        must = {"host", _DATE, *(name.lower() for name, _ in headers if name.lower().startswith("x-amz-"))}
        signed = [(name, value) for name, value in headers if name.lower() in names]
        values = {name.lower(): value.strip() for name, value in signed}
        if not must <= values.keys() or not values[_DATE].startswith(claim["day"]):
            return False
        # The signer takes this header's word for what the body is.
        if _CONTENT in values and values[_CONTENT] != hashlib.sha256(body).hexdigest():
            return False
        scope = Scope(claim["service"], claim["region"])
        expected = self.key.signature(scope, values[_DATE], method, url, signed, body)
        same_id = hmac.compare_digest(claim["id"].encode(), self.key.id.encode())
        return hmac.compare_digest(claim["signature"], expected) and same_id
