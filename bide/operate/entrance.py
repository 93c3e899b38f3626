"""The way into the store: DNS, connection, TLS, password; what is wrong with it, told apart. Pure.

The errors are those of the very connection that the server makes (`bide/connection.py`).
"""

from __future__ import annotations

import socket
import ssl
from typing import Final

from bide.address import Address
from bide.errors import StoreError
from bide.operate.finding import Finding, fail

TOPIC: Final = "store"


def barred(address: Address, error: StoreError) -> Finding:
    """Why the store at this address cannot be used."""
    place, said, cause = address.place, str(error), error.__cause__
    if isinstance(cause, socket.gaierror):
        return fail(
            TOPIC,
            f"no address is known for the host {address.host}: {cause.strerror}",
            "Mend the host name in BIDE_REDIS_URL, or the DNS of this machine or its VPC.",
        )
    if isinstance(cause, ssl.SSLCertVerificationError):
        why = getattr(cause, "verify_message", "") or cause
        return fail(
            TOPIC,
            f"the certificate of {place} is not trusted: {why}",
            "Use the host name that the certificate is for, add ?ssl_ca_certs=FILE of the authority that "
            "signed it, or ?ssl_cert_reqs=none to trust any.",
        )
    if isinstance(cause, ssl.SSLError) and "NO_CERTIFICATE" in str(cause):
        return fail(
            TOPIC,
            f"the file {address.ca_file} holds no certificate",
            "Mend ?ssl_ca_certs=FILE in BIDE_REDIS_URL: it names a file of certificates in PEM.",
        )
    if isinstance(cause, ssl.SSLError) or (address.tls and isinstance(cause, ConnectionResetError)):
        return fail(
            TOPIC,
            f"{place} listens, and does not speak TLS: {cause}",
            "Write redis:// for a store without TLS, or the port on which it has TLS.",
        )
    if isinstance(cause, ConnectionRefusedError):
        return fail(
            TOPIC,
            f"nothing listens on {place}",
            "Start the store, or mend host and port in BIDE_REDIS_URL.",
        )
    if isinstance(cause, TimeoutError) and "handshake" in str(cause):
        return fail(
            TOPIC,
            f"{place} listens, and does not answer, at least not to TLS",
            "Write redis:// for a store without TLS, or the port on which it has TLS; else see that the "
            "store is not stuck.",
        )
    if isinstance(cause, TimeoutError):
        return fail(
            TOPIC,
            f"{place} does not answer in time",
            "Let this machine through to that port (security group, firewall, route), and see that the "
            "store is not stuck.",
        )
    if isinstance(cause, FileNotFoundError | PermissionError):
        return _unusable_path(address, cause)
    if isinstance(cause, ConnectionResetError | BrokenPipeError):
        return fail(
            TOPIC,
            f"{place} listens, and closes the connection without an answer",
            "Write rediss:// if the store wants TLS; else see in its log why it turns clients away.",
        )
    if isinstance(cause, OSError) and "no store that answers" in str(cause):
        return fail(
            TOPIC,
            f"what answers on {place} is no store: {cause}",
            "Mend host and port in BIDE_REDIS_URL, or write rediss:// if the store wants TLS.",
        )
    if "NOAUTH" in said:
        return fail(
            TOPIC,
            f"{place} wants a password, and BIDE_REDIS_URL has none",
            "Put it into the URL, as redis://:PASSWORD@HOST:PORT.",
        )
    if "refused the password" in said:
        return fail(
            TOPIC,
            f"{place} refuses the user or the password: {said}",
            "Mend them in BIDE_REDIS_URL, with odd characters as %XX.",
        )
    if "NOPERM" in said:
        return fail(
            TOPIC,
            f"the user {address.user or 'default'!r} lacks a permission: {said}",
            "Give it the commands that docs/operating.md lists, on all keys that begin with BIDE_PREFIX.",
        )
    return fail(TOPIC, f"{place} cannot be used: {said}", "See to what the store says, and look again.")


def _unusable_path(address: Address, cause: OSError) -> Finding:
    if address.path:
        return fail(
            TOPIC,
            f"the socket {address.path} cannot be used: {cause.strerror}",
            "Start the store, mend the path in BIDE_REDIS_URL, or let this user use the socket.",
        )
    return fail(
        TOPIC,
        f"the file of trusted certificates {address.ca_file} cannot be read: {cause.strerror}",
        "Mend ?ssl_ca_certs=FILE in BIDE_REDIS_URL.",
    )
