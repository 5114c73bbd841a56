"""The default ``uid`` of an entry: what makes the same statement the same entry (ledger format, sections 1.6 and 1.7).

::

    delivery.imported/d-1/1                          kind, delivery, attempt
    delivery.settled/d-1/1/transport                 and who settled it
    grant.issued/g-1/39ad9c3fc2fbceb442f85a631ef8f37b  kind, id, 128 bits of what was stated
    account.registered/a_.../<32 hex>                a person's tag, never the id
    delivery.receipt/d-1/<32 hex>                    a receipt, see below
    index.sealed/<32 hex>                            kinds of the ledger itself have no id

A receipt names no attempt, and two developers can each make one of the same delivery: it has a digest of all that was
signed. The id is the member named like the family (``processor.declared``: the developer). The digest is SHA-256 over the
canonical bytes of ``kind`` and the stated members, ``at`` among them; lists count as sets. What the record does not
state is no part of it: members that the ledger looks up or adds, who handed it in, and commitments, whose salt
contains the ``uid``.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256

from ledger.core import canonical
from ledger.core.canonical import JsonValue
from ledger.core.entries import LEDGER_MEMBERS

DIGEST_DIGITS = 32

UNSTATED_MEMBERS = frozenset({*LEDGER_MEMBERS, "uid", "actor", "via"})
"""Common members that no record states for itself."""

COMMITMENTS = frozenset({"identity", "payload"})
"""Members that are commitments; inside ``evidence`` it is ``request``."""

_RECEIPT = "delivery.receipt"

_ID_MEMBERS = {"subject": "account", "processor": "developer", "egress": "proxy", "finding": "code"}
"""Families whose id is not the member named like them."""


def id_member(kind: str) -> str:
    """The name of the member that holds the id of an entry of ``kind``; some kinds have no such member."""
    family = kind.partition(".")[0]
    return _ID_MEMBERS.get(family, family)


def default_uid(kind: str, stated: Mapping[str, JsonValue]) -> str:
    """The ``uid`` of an entry of ``kind`` that states ``stated``: people as tags, times in milliseconds.

    Members of ``stated`` that no record states (and commitments) are passed over, so that a whole entry may be given
    as long as nothing in it was looked up. Raises FormatError when a value has no canonical form.
    """
    subject = stated.get(id_member(kind))
    if kind.startswith("delivery.") and kind != _RECEIPT:
        uid = f"{kind}/{subject}/{stated.get('attempt')}"
        return f"{uid}/{stated['by']}" if "by" in stated else uid
    digest = sha256(canonical.encode(_statement(kind, stated))).hexdigest()[:DIGEST_DIGITS]
    return f"{kind}/{digest}" if subject is None else f"{kind}/{subject}/{digest}"


def _statement(kind: str, stated: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    statement: dict[str, JsonValue] = {"kind": kind}
    for name, value in stated.items():
        if name in UNSTATED_MEMBERS or name in COMMITMENTS:
            continue
        if isinstance(value, list):
            value = list[JsonValue](sorted({str(item) for item in value}))
        elif name == "evidence" and isinstance(value, dict):
            value = {inner: item for inner, item in value.items() if inner != "request"}
        statement[name] = value
    return statement
