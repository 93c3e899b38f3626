"""Where the store is, and how it is entered: a URL, read.

redis://[user:password@]host[:port][/database]
rediss://...     TLS; `?ssl_cert_reqs=none` trusts any certificate, `?ssl_ca_certs=FILE` those of a file
unix://[user:password@]/path/of/socket[?db=database]
"""

from __future__ import annotations

from typing import Final, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

PORT: Final = 6379

_TLS_OPTIONS: Final = frozenset({"ssl_cert_reqs", "ssl_ca_certs"})
"""Spelt as redis-py has them."""


class Address(NamedTuple):
    """A URL's parts. `path` is set for a Unix socket, `host` and `port` otherwise."""

    host: str = ""
    port: int = PORT
    path: str = ""
    user: str = ""
    password: str = ""
    database: int = 0
    tls: bool = False
    verified: bool = True
    """Whether the server's certificate must be good."""
    ca_file: str = ""

    @property
    def place(self) -> str:
        """Where it leads, without the password."""
        return self.path or f"{self.host}:{self.port}"

    @classmethod
    def of(cls, url: str) -> Address:
        """Read a URL. Raises ValueError, without the password, for one that leads nowhere."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            # Python's own message would quote the password as far as its first odd character.
            raise ValueError("cannot be read; write odd characters of the password as %XX") from None
        if parts.scheme not in ("redis", "rediss", "unix") or not (parts.netloc or parts.path):
            raise ValueError("must be a redis://, rediss:// or unix:// URL")
        tls, is_path = parts.scheme == "rediss", parts.scheme == "unix"
        options = dict(parse_qsl(parts.query))
        unknown = set(options) - {"db"} - (_TLS_OPTIONS if tls else set())
        if unknown:
            raise ValueError(f"has an option {min(unknown)!r}, which is not known")
        verify = options.get("ssl_cert_reqs", "required")
        if verify not in ("required", "none"):
            raise ValueError("ssl_cert_reqs must be required or none")
        database = options.get("db") or ("" if is_path else parts.path.strip("/"))
        if database and not (database.isascii() and database.isdigit()):
            raise ValueError("must name the database by its number")
        if is_path and not parts.path.strip("/"):
            raise ValueError("must name a socket")
        return cls(
            host="" if is_path else parts.hostname or "localhost",
            port=(not is_path and port) or PORT,
            path=unquote(parts.path) if is_path else "",
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            database=int(database or 0),
            tls=tls,
            verified=verify == "required",
            ca_file=options.get("ssl_ca_certs", ""),
        )
