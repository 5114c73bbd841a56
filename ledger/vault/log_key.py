"""The log's signing key in a file (ledger format, section 1.3).

One line, as golang.org/x/mod's ``sumdb/note`` tools write a private key, which names the log it signs for, so
a key file put beside the wrong database is noticed before anything is signed. Whoever reads it can sign forks
of the log; losing it ends the log, because nobody else can sign its next checkpoint.
"""

from __future__ import annotations

from pathlib import Path

from ledger.errors import FormatError, SettingsError
from ledger.vault.ed25519 import Ed25519Signer, signer_from_skey
from ledger.vault.private_files import create_private_file, read_private_file

_NAME = "the log's key file"


def load_log_key(path: Path) -> Ed25519Signer:
    """The signer in the key file ``path``.

    Raises SettingsError when it is missing, not this user's alone (mode 0600 or 0400), or holds no key.
    """
    text = read_private_file(path, _NAME).decode("utf-8", errors="replace")
    try:
        return signer_from_skey(text.removesuffix("\n"))
    except FormatError:
        raise SettingsError(
            f"{_NAME} {path} does not hold a private key on one line: put back the one it held"
        ) from None


def create_log_key(path: Path, signer: Ed25519Signer) -> None:
    """Write ``signer`` durably to the new file ``path`` (mode 0600); raises SettingsError when there is one already."""
    create_private_file(path, f"{signer.skey()}\n".encode(), _NAME)
