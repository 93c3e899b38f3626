"""The way into the store: DNS, connection, TLS, password; what is wrong with it, told apart. Pure.

The errors are those of the very connection that the server makes (`bide/connection.py`).
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from typing import Final, NamedTuple

from bide.address import Address
from bide.errors import StoreError
from bide.operate.finding import Finding, fail
from bide.operate.stack import Told

TOPIC: Final = "store"


class _Met(NamedTuple):
    """What was met on the way in."""

    address: Address
    said: str
    cause: BaseException | None

    def is_a(self, *kinds: type[BaseException], word: str = "") -> bool:
        """Whether the error behind it is one of these, and has the word in it."""
        return isinstance(self.cause, kinds) and word in str(self.cause)

    @property
    def user(self) -> str:
        return self.address.user or "default"

    @property
    def distrust(self) -> object:
        """Why a certificate is not trusted."""
        return getattr(self.cause, "verify_message", "") or self.cause


class _Bar(NamedTuple):
    """One thing that keeps a server out."""

    is_met: Callable[[_Met], bool]
    what: str
    """As the finding has it, but for what is to be filled in of what was `met`."""
    remedy: str


_BARS: Final = (
    _Bar(
        lambda met: met.is_a(socket.gaierror),
        "no address is known for the host {met.address.host}: {met.cause.strerror}",
        "Mend the host name in BIDE_REDIS_URL, or the DNS of this machine or its VPC.",
    ),
    _Bar(
        lambda met: met.is_a(ssl.SSLCertVerificationError),
        "the certificate of {met.address.place} is not trusted: {met.distrust}",
        "Use the host name that the certificate is for, add ?ssl_ca_certs=FILE of the authority that "
        "signed it, or ?ssl_cert_reqs=none to trust any.",
    ),
    _Bar(
        lambda met: met.is_a(ssl.SSLError, word="NO_CERTIFICATE"),
        "the file {met.address.ca_file} holds no certificate",
        "Mend ?ssl_ca_certs=FILE in BIDE_REDIS_URL: it names a file of certificates in PEM.",
    ),
    _Bar(
        lambda met: met.is_a(ssl.SSLError) or (met.address.tls and met.is_a(ConnectionResetError)),
        "{met.address.place} listens, and does not speak TLS: {met.cause}",
        "Write redis:// for a store without TLS, or the port on which it has TLS.",
    ),
    _Bar(
        lambda met: met.is_a(ConnectionRefusedError),
        "nothing listens on {met.address.place}",
        "Start the store, or mend host and port in BIDE_REDIS_URL.",
    ),
    _Bar(
        lambda met: met.is_a(TimeoutError, word="handshake"),
        "{met.address.place} listens, and does not answer, at least not to TLS",
        "Write redis:// for a store without TLS, or the port on which it has TLS; else see that the "
        "store is not stuck.",
    ),
    _Bar(
        lambda met: met.is_a(TimeoutError),
        "{met.address.place} does not answer in time",
        "Let this machine through to that port (security group, firewall, route), and see that the "
        "store is not stuck.",
    ),
    _Bar(
        lambda met: met.is_a(FileNotFoundError, PermissionError) and bool(met.address.path),
        "the socket {met.address.path} cannot be used: {met.cause.strerror}",
        "Start the store, mend the path in BIDE_REDIS_URL, or let this user use the socket.",
    ),
    _Bar(
        lambda met: met.is_a(FileNotFoundError, PermissionError),
        "the file of trusted certificates {met.address.ca_file} cannot be read: {met.cause.strerror}",
        "Mend ?ssl_ca_certs=FILE in BIDE_REDIS_URL.",
    ),
    _Bar(
        lambda met: met.is_a(ConnectionResetError, BrokenPipeError),
        "{met.address.place} listens, and closes the connection without an answer",
        "Write rediss:// if the store wants TLS; else see in its log why it turns clients away.",
    ),
    _Bar(
        lambda met: met.is_a(OSError, word="no store that answers"),
        "what answers on {met.address.place} is no store: {met.cause}",
        "Mend host and port in BIDE_REDIS_URL, or write rediss:// if the store wants TLS.",
    ),
    _Bar(
        lambda met: "NOAUTH" in met.said,
        "{met.address.place} wants a password, and BIDE_REDIS_URL has none",
        "Put it into the URL, as redis://:PASSWORD@HOST:PORT.",
    ),
    _Bar(
        lambda met: "refused the password" in met.said,
        "{met.address.place} refuses the user or the password: {met.said}",
        "Mend them in BIDE_REDIS_URL, with odd characters as %XX.",
    ),
    _Bar(
        lambda met: "NOPERM" in met.said,
        "the user {met.user!r} lacks a permission: {met.said}",
        "Give it the commands that docs/operating.md lists, on all keys that begin with BIDE_PREFIX.",
    ),
    _Bar(
        lambda _: True,
        "{met.address.place} cannot be used: {met.said}",
        "See to what the store says, and look again.",
    ),
)
"""The first that is met is the one: of errors that are kinds of one another, the narrower comes first."""


def unnamed(told: Told) -> Finding:
    """Nobody says where the store is."""
    none = "BIDE_REDIS_URL names none"
    if told.others:
        places = " or ".join(f"--url http://127.0.0.1:{port}" for port in told.others)
        return fail(
            TOPIC,
            f"{none}, and no `make up` of this folder serves {told.url}",
            f"Name the one that is meant, by {places}, or set BIDE_REDIS_URL.",
        )
    return fail(
        TOPIC,
        f"{none}, and no `make up` runs in this folder",
        "Start it, run this in the folder where it runs, or set BIDE_REDIS_URL to the URL of the server's "
        "store, as rediss://HOST:6379/0.",
    )


def barred(address: Address, error: StoreError) -> Finding:
    """Why the store at this address cannot be used."""
    met = _Met(address, str(error), error.__cause__)
    bar = next(bar for bar in _BARS if bar.is_met(met))
    return fail(TOPIC, bar.what.format(met=met), bar.remedy)
