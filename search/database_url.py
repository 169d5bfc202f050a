"""Addresses of databases: which are taken, and how they are shown and kept without their password."""

from __future__ import annotations

import os

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from ..hardware_profiles.errors import SearchError

VARIABLE = "PAREFRONT_STORAGE"
"""Environment variable with a complete address, for those that are kept without their password."""
_SECRETS = ("password", "passfile", "sslpassword")
_EXAMPLE = "postgresql://USER@HOST/DATABASE"


def parse_url(text: str) -> URL:
    """A PostgreSQL address, to be reached through psycopg.

    Args:
        text: Such as `postgresql://user@host/database`; where it has no password, libpq takes it from `PGPASSWORD` or
            the user's password file.

    Raises:
        SearchError: It is none.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        # The text is not shown: it may hold a password at a place where nobody expects one.
        raise SearchError(f"--storage must be a database's address, but cannot be read: write {_EXAMPLE}") from error
    if url.drivername.partition("+")[0] not in ("postgresql", "postgres") or not url.database:
        raise SearchError(f"--storage must be a PostgreSQL database, got {shown(url)!r}: write {_EXAMPLE}")
    return url.set(drivername="postgresql+psycopg")


def has_secret(url: URL) -> bool:
    """Whether an address holds what may not be written down."""
    return url.password is not None or any(name in url.query for name in _SECRETS)


def shown(url: URL) -> str:
    """The address without anything secret: as it is printed and written down."""
    public = url.difference_update_query(_SECRETS)
    return URL.create(
        "postgresql" if public.drivername.startswith("postgres") else public.drivername,
        username=public.username,
        host=public.host,
        port=public.port,
        database=public.database,
        query=public.query,
    ).render_as_string()


def complete_url(named: str | None, recorded: str | None = None) -> URL | None:
    """The address to use; None where there is none.

    Args:
        named: By the person.
        recorded: By the run, without its password. `PAREFRONT_STORAGE` stands for it, as the same database may have
            another name elsewhere; and for the named one where it differs from that by the password only.

    Raises:
        SearchError: It is not a database's.
    """
    variable = os.environ.get(VARIABLE)
    if named is not None:
        url = parse_url(named)
        full = parse_url(variable) if variable else url
        return full if shown(full) == shown(url) and url.password is None else url
    if recorded is not None:
        return parse_url(variable or recorded)
    return None


def hidden(text: str, url: URL) -> str:
    """A message of a library without the password, should it hold it."""
    secrets = [str(url.password or ""), *(str(url.query.get(name, "")) for name in _SECRETS)]
    for secret in filter(None, secrets):
        text = text.replace(secret, "***")
    return text
