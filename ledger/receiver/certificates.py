"""A private authority and a certificate for receivers on this machine, in a directory.

Keys are random and made once; the authority's key is thrown away when the certificate is signed, so that nobody can make
another one that a development setup would trust.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ledger.errors import SettingsError
from ledger.ports import Randomness
from ledger.reenactment.pki import Authority

CA_FILE = "ca.pem"
CERTIFICATE_FILE = "certificate.pem"
KEY_FILE = "key.pem"

_SEED_BYTES = 32


def make_certificate(directory: Path, hosts: Sequence[str], randomness: Randomness) -> bool:
    """Write an authority's certificate, and a key with a certificate for ``hosts``, to ``directory``.

    False, and nothing changes, where they are there already. Raises SettingsError when they cannot be written.
    """
    if all((directory / name).exists() for name in (CA_FILE, CERTIFICATE_FILE, KEY_FILE)):
        return False
    authority = Authority(randomness.token(_SEED_BYTES).hex())
    leaf = authority.issue(hosts[0], hosts)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / CA_FILE).write_text(authority.certificate_pem, "ascii")
        (directory / CERTIFICATE_FILE).write_bytes(leaf.certificate_pem)
        descriptor = os.open(directory / KEY_FILE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(leaf.key_pem)
    except OSError as error:
        raise SettingsError(f"{directory}: the certificate cannot be written: {error.strerror}") from error
    return True
