"""The settings of one process, read from its environment once.

===============================  ============================================================================
``GRANTLEDGER_DB``               the database: a path, ``sqlite:///PATH`` or ``postgresql://USER@HOST/NAME``; else
                                 ``grantledger.db``
``GRANTLEDGER_KEY``              the operator's key itself (base64 of 32 bytes), instead of a key file
``GRANTLEDGER_KEY_FILE``         the file of the operator's key; else ``<database>.keys/operator.key``
``GRANTLEDGER_LOG_KEY_FILE``     the file of the log's signing key; else ``<database>.keys/log.key``
``GRANTLEDGER_CHECKPOINT_FILE``  the record of the last signed checkpoint; else ``<database>.checkpoint``
``GRANTLEDGER_WITNESS_POLICY``   a policy file: checkpoints without its quorum of cosignatures are not published; else
                                 none is asked for
``GRANTLEDGER_STATE_DIR``        where ``verify`` remembers checkpoints; else the user's state directory
===============================  ============================================================================

An empty variable counts as left out. Keys and the record lie beside the database, never in it: a database
that was put back from a backup then meets a record that is ahead of it. Those of a server's database lie in the
working directory under the database's name. Nothing here touches a file or connects to anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from platformdirs import user_state_path

from ledger.errors import SettingsError

DEFAULT_DATABASE = "grantledger.db"

_DB = "GRANTLEDGER_DB"
_KEY = "GRANTLEDGER_KEY"
_KEY_FILE = "GRANTLEDGER_KEY_FILE"
_LOG_KEY_FILE = "GRANTLEDGER_LOG_KEY_FILE"
_CHECKPOINT_FILE = "GRANTLEDGER_CHECKPOINT_FILE"
_STATE_DIR = "GRANTLEDGER_STATE_DIR"
_WITNESS_POLICY = "GRANTLEDGER_WITNESS_POLICY"

_SQLITE_SCHEMES = ("sqlite", "sqlite+pysqlite")


@dataclass(frozen=True, slots=True)
class Settings:
    """Where one ledger and its secrets are; ``operator_key`` is the key's text where the environment holds it.

    ``database`` names the database to people and holds no password, which ``database_url`` may; ``database_file`` is
    None where the database is a server's.
    """

    database_url: str = field(repr=False)
    database: str
    database_file: Path | None
    operator_key: str | None = field(repr=False)
    operator_key_file: Path
    log_key_file: Path
    checkpoint_file: Path
    state_directory: Path
    witness_policy_file: Path | None = None


def load_settings(environ: Mapping[str, str], database: str | None = None) -> Settings:
    """The settings that ``environ`` holds; ``database`` (a path or a URL) goes before ``GRANTLEDGER_DB``.

    Raises SettingsError, whose text names the setting and the fix.
    """
    place = _parse_database(database or environ.get(_DB) or DEFAULT_DATABASE)
    beside = place.file or Path(place.name)
    keys = beside.with_name(beside.name + ".keys")
    if environ.get(_KEY) and environ.get(_KEY_FILE):
        raise SettingsError(f"{_KEY} and {_KEY_FILE} are both set: unset one of them")
    return Settings(
        database_url=place.url,
        database=place.shown,
        database_file=place.file,
        operator_key=environ.get(_KEY) or None,
        operator_key_file=_path(environ, _KEY_FILE, keys / "operator.key"),
        log_key_file=_path(environ, _LOG_KEY_FILE, keys / "log.key"),
        checkpoint_file=_path(environ, _CHECKPOINT_FILE, beside.with_name(beside.name + ".checkpoint")),
        state_directory=_state_directory(environ),
        witness_policy_file=Path(policy).expanduser() if (policy := environ.get(_WITNESS_POLICY)) else None,
    )


class _Place(NamedTuple):
    """A database: its URL, how it is shown to people, the name of what lies beside it, and its file where it is one."""

    url: str
    shown: str
    name: str
    file: Path | None


def _parse_database(text: str) -> _Place:
    """The database that ``text``, a path or a URL, names."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        return _parse_path(text)
    if scheme not in _SQLITE_SCHEMES:
        return _parse_server(text)
    name, query, _ = rest.removeprefix("/").partition("?")
    if not rest.startswith("/") or name in ("", ":memory:") or name.endswith("/") or name.startswith("file:"):
        raise SettingsError(
            f"{text!r} names no file, and a ledger must outlive this process: write sqlite:///PATH"
        )
    if query:
        raise SettingsError(f"{text!r} has options after a '?', and there are none: leave them out")
    return _Place(text, name, name, Path(name))


def _parse_path(text: str) -> _Place:
    if "?" in text:
        raise SettingsError(
            f"the database path {text!r} holds a '?', which a database URL cannot: rename the file"
        )
    path = Path(text).expanduser()
    if not path.name:
        raise SettingsError(f"{text!r} names a directory: name a file in it, for example {DEFAULT_DATABASE}")
    return _Place(f"sqlite:///{path}", str(path), path.name, path)


def _parse_server(text: str) -> _Place:
    # SQLAlchemy is slow to load, and a command that only says how it is used needs no URL.
    from ledger.store.address import parse_address, show_address

    url = parse_address(text)
    shown = show_address(url)
    if not url.database:
        raise SettingsError(f"{shown} names no database: write postgresql://USER@HOST/NAME")
    if "/" in url.database or url.database in (".", ".."):
        raise SettingsError(
            f"{shown}: keys and record lie in files of the database's name, and {url.database!r} cannot be one: "
            "name the database otherwise"
        )
    return _Place(url.render_as_string(hide_password=False), shown, url.database, None)


def _path(environ: Mapping[str, str], name: str, default: Path) -> Path:
    text = environ.get(name)
    return Path(text).expanduser() if text else default


def _state_directory(environ: Mapping[str, str]) -> Path:
    if text := environ.get(_STATE_DIR):
        return Path(text).expanduser()
    return user_state_path("grantledger", appauthor=False)
