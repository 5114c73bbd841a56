"""For developers: sign what became of the deliveries on an obligation's list (incidents and exports, section 5.3).

The key is one of those that :mod:`ledger.receiver.receipts` makes and loads; it has to be registered for attestations, or for
everything. What is signed says which list it is about by the list's root, so that it counts for no other.
"""

from __future__ import annotations

from ledger.core.canonical import JsonValue
from ledger.core.dsse import Envelope, format_envelope
from ledger.incidents.attestations import ATTESTATION_TYPE, Statement
from ledger.receiver.receipts import public_key_of
from ledger.vault.ed25519 import Ed25519Signer

_UNSIGNED = bytes(64)


def sign_attestation(statement: Statement, key: Ed25519Signer) -> dict[str, JsonValue]:
    """The envelope with ``statement`` signed by ``key``; FormatError where a text has characters that cannot be signed."""
    unsigned = Envelope(ATTESTATION_TYPE, statement.members(), _UNSIGNED)
    return format_envelope(unsigned._replace(signature=key.sign(unsigned.signed_bytes())), public_key_of(key))
