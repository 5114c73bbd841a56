"""The settings of one process, read from its environment once.

===============================  ============================================================================
``GRANTLEDGER_DB``               the database, a path or ``sqlite:///PATH``; else ``grantledger.db``
``GRANTLEDGER_KEY``              the operator's key itself (base64 of 32 bytes), instead of a key file
``GRANTLEDGER_KEY_FILE``         the file of the operator's key; else ``<database>.keys/operator.key``
``GRANTLEDGER_LOG_KEY_FILE``     the file of the log's signing key; else ``<database>.keys/log.key``
``GRANTLEDGER_CHECKPOINT_FILE``  the record of the last signed checkpoint; else ``<database>.checkpoint``
``GRANTLEDGER_STATE_DIR``        where ``verify`` remembers checkpoints; else the user's state directory
===============================  ============================================================================

An empty variable counts as left out. Keys and the record lie beside the database, never in it: a database
that was put back from a backup then meets a record that is ahead of it. Nothing here touches a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from platformdirs import user_state_path

from ledger.errors import SettingsError

DEFAULT_DATABASE = "grantledger.db"

_DB = "GRANTLEDGER_DB"
_KEY = "GRANTLEDGER_KEY"
_KEY_FILE = "GRANTLEDGER_KEY_FILE"
_LOG_KEY_FILE = "GRANTLEDGER_LOG_KEY_FILE"
_CHECKPOINT_FILE = "GRANTLEDGER_CHECKPOINT_FILE"
_STATE_DIR = "GRANTLEDGER_STATE_DIR"

_SCHEMES = ("sqlite", "sqlite+pysqlite")


@dataclass(frozen=True, slots=True)
class Settings:
    """Where one ledger and its secrets are; ``operator_key`` is the key's text where the environment holds it."""

    database_url: str
    database_file: Path
    operator_key: str | None = field(repr=False)
    operator_key_file: Path
    log_key_file: Path
    checkpoint_file: Path
    state_directory: Path


def load_settings(environ: Mapping[str, str], database: str | None = None) -> Settings:
    """The settings that ``environ`` holds; ``database`` (a path or a URL) goes before ``GRANTLEDGER_DB``.

    Raises SettingsError, whose text names the setting and the fix.
    """
    url, path = _parse_database(database or environ.get(_DB) or DEFAULT_DATABASE)
    keys = path.with_name(path.name + ".keys")
    if environ.get(_KEY) and environ.get(_KEY_FILE):
        raise SettingsError(f"{_KEY} and {_KEY_FILE} are both set: unset one of them")
    return Settings(
        database_url=url,
        database_file=path,
        operator_key=environ.get(_KEY) or None,
        operator_key_file=_path(environ, _KEY_FILE, keys / "operator.key"),
        log_key_file=_path(environ, _LOG_KEY_FILE, keys / "log.key"),
        checkpoint_file=_path(environ, _CHECKPOINT_FILE, path.with_name(path.name + ".checkpoint")),
        state_directory=_state_directory(environ),
    )


def _parse_database(text: str) -> tuple[str, Path]:
    """The URL and the file of ``text``, which is a path or a URL."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        if "?" in text:
            raise SettingsError(
                f"the database path {text!r} holds a '?', which a database URL cannot: rename the file"
            )
        path = Path(text).expanduser()
        if not path.name:
            raise SettingsError(
                f"{text!r} names a directory: name a file in it, for example {DEFAULT_DATABASE}"
            )
        return f"sqlite:///{path}", path
    if scheme not in _SCHEMES:
        # Not shown whole: a server's URL may hold a password.
        raise SettingsError(
            f"{scheme} databases are not supported: name a file, for example --db {DEFAULT_DATABASE}"
        )
    name, query, _ = rest.removeprefix("/").partition("?")
    if not rest.startswith("/") or name in ("", ":memory:") or name.endswith("/") or name.startswith("file:"):
        raise SettingsError(
            f"{text!r} names no file, and a ledger must outlive this process: write sqlite:///PATH"
        )
    if query:
        raise SettingsError(f"{text!r} has options after a '?', and there are none: leave them out")
    return text, Path(name)


def _path(environ: Mapping[str, str], name: str, default: Path) -> Path:
    text = environ.get(name)
    return Path(text).expanduser() if text else default


def _state_directory(environ: Mapping[str, str]) -> Path:
    if text := environ.get(_STATE_DIR):
        return Path(text).expanduser()
    return user_state_path("grantledger", appauthor=False)
