"""Values for the suites of notices and obligations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import Engine

from ledger.ports import Subject
from ledger.ports.notices import Contact, IncidentNotice
from ledger.ports.obligations import Attestation, ListedDelivery, Obligation, Remark
from ledger.store.notices import SqlNotices
from ledger.store.obligations import SqlObligations
from ledger.store.registry import SqlRegistry
from ledger.vault.sealing import VaultSealing
from tests.conformance.service_samples import DAY_MS, NOW_MS, tag

HASH = "5" * 64


def incident_notice(name: str = "n-1", /, **changed: Any) -> IncidentNotice:
    made = IncidentNotice(
        notice=name,
        incident="i-1",
        account=tag("ann"),
        medium="email",
        template=HASH,
        revision=1,
        summary='{"deliveries":3}',
        state="waiting",
        attempt=0,
        due_at_ms=NOW_MS,
        queued_at_ms=NOW_MS,
    )
    return replace(made, **changed)


def obligation(name: str = "o-1", /, **changed: Any) -> Obligation:
    made = Obligation(
        obligation=name,
        incident="i-1",
        developer="dev-a",
        revision=1,
        tree_size=100,
        deliveries=2,
        list_root=HASH,
        opened_at_ms=NOW_MS,
        acknowledge_by_ms=NOW_MS + DAY_MS,
        delete_by_ms=NOW_MS + 7 * DAY_MS,
        attest_by_ms=NOW_MS + 10 * DAY_MS,
    )
    return replace(made, **changed)


def listed(place: int = 0, delivery: str | None = None, account: str = "ann") -> ListedDelivery:
    name = delivery or f"d-{place}"
    return ListedDelivery(place, name, 1, tag(account), f'{{"attempt":1,"delivery":"{name}"}}')


def attestation(name: str = HASH, /, **changed: Any) -> Attestation:
    made = Attestation(name, "o-1", "6" * 64, NOW_MS, '[[0,1,"deleted"]]', b"\x01sealed\x00")
    return replace(made, **changed)


def fill_notices(engine: Engine, sealing: VaultSealing, subject: Subject, address: str, words: str) -> None:
    """Put every kind of row in, made as the service makes it."""
    notices, obligations, registry = SqlNotices(engine), SqlObligations(engine), SqlRegistry(engine)
    sealed = sealing.seal_for(subject, f"contact/{subject.tag}/email", address.encode())
    notices.put_contact(Contact(subject.tag, "email", sealed, NOW_MS))
    secret = sealing.seal_secret("remark/o-1/1", words)
    registry.apply(
        [
            notices.put(incident_notice(account=subject.tag)),
            obligations.put(obligation()),
            obligations.put_attestation(attestation(sealed=secret)),
            obligations.put_remark(Remark("o-1", 1, secret)),
        ]
    )
    obligations.put_lines("o-1", [listed()])
    obligations.move_cursor("second-sources", 7)
