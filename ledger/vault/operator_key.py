"""The operator's key, which wraps everything in the vault (ledger format, section 1.2).

It comes from the environment (``GRANTLEDGER_KEY``, base64 of 32 bytes) or from a key file, and never lies in the
database: a stolen database alone tells neither who is behind a tag nor what was committed to. Losing it loses the
vault: the log stays checkable, tags stay nameless for ever.

No error text repeats a key or a part of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ledger.core.strict import decode_base64, encode_base64
from ledger.errors import FormatError, SettingsError
from ledger.ports import Randomness
from ledger.vault.private_files import create_private_file, read_private_file

KEY_VARIABLE = "GRANTLEDGER_KEY"
KEY_BYTES = 32

_NAME = "the operator's key file"


def load_operator_key(environment: Mapping[str, str], path: Path) -> bytes:
    """The 32 bytes from ``environment`` where ``GRANTLEDGER_KEY`` is set there, else from the key file ``path``.

    Raises SettingsError when neither is there, or when the one that counts is unusable.
    """
    text = environment.get(KEY_VARIABLE)
    if text is None:
        return read_key_file(path)
    return _parse_key(text, KEY_VARIABLE)


def read_key_file(path: Path) -> bytes:
    """The 32 bytes in the key file ``path``.

    Raises SettingsError when it is missing, not this user's alone (mode 0600 or 0400), or holds no key.
    """
    text = read_private_file(path, _NAME).decode("utf-8", errors="replace")
    return _parse_key(text.removesuffix("\n"), f"{_NAME} {path}")


def create_key_file(path: Path, randomness: Randomness) -> bytes:
    """Draw a key, write it durably to the new file ``path`` (mode 0600) and return it.

    Raises SettingsError when there is a file already, whatever it holds, or when it cannot be written.
    """
    key = randomness.token(KEY_BYTES)
    assert len(key) == KEY_BYTES, "the source of randomness gives as many bytes as asked for"
    create_private_file(path, f"{encode_base64(key)}\n".encode(), _NAME)
    return key


def _parse_key(text: str, source: str) -> bytes:
    try:
        key = decode_base64(text)
    except FormatError:
        key = b""
    if len(key) != KEY_BYTES:
        raise SettingsError(f"{source} does not hold base64 of {KEY_BYTES} bytes on one line")
    return key
