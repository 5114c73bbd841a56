"""The parts of the service that make exports, tables and streams, put together (exports, section 5.5)."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ledger.core.note import Verifier, format_vkey
from ledger.exports.checking import BagChecking
from ledger.exports.desk import ExportDesk
from ledger.exports.parts import ExportParts
from ledger.exports.places import Places
from ledger.exports.views import Looks, Views
from ledger.incidents.export_files import delivery_seqs
from ledger.incidents.word_opening import WordOpener
from ledger.ports.exports import ExtraFiles
from ledger.store.exports import SqlExports
from ledger.store.incidents import SqlIncidents
from ledger.vault.ed25519 import verify_ed25519
from ledger.vault.identity_opening import IdentityOpener
from ledger.vault.recipients import NaclSealing
from ledger.wiring.proving import is_recorded

if TYPE_CHECKING:
    from ledger.settings import Settings
    from ledger.wiring.ledger import Ledger
    from ledger.wiring.service import Service

DIRECTORY_VARIABLE = "GRANTLEDGER_EXPORTS"


def exports_directory(settings: Settings) -> Path:
    """Where exports lie: what ``GRANTLEDGER_EXPORTS`` names, else beside the record of the last signed checkpoint."""
    named = os.environ.get(DIRECTORY_VARIABLE)
    if named:
        return Path(named).expanduser()
    beside = settings.checkpoint_file
    return beside.with_name(beside.name.removesuffix(".checkpoint") + ".exports")


def make_exports(service: Service, extra: ExtraFiles | None = None) -> ExportDesk:
    """What makes exports; ``extra`` adds the files of incidents and obligations."""
    return make_export_desk(service.ledger, extra)


def make_export_desk(ledger: Ledger, extra: ExtraFiles | None = None) -> ExportDesk:
    """:func:`make_exports` on a ledger alone; asks for the operator's key, and for the log's when something is approved."""
    key = (ledger.verifier.name, ledger.verifier.key_id)
    keys = {key: ledger.vkey}
    verifiers: list[Verifier] = [ledger.verifier]
    if ledger.settings.witness_policy_file is not None:
        from ledger.vault.witness_policies import load_policy, witness_verifiers

        policy = load_policy(ledger.settings.witness_policy_file)
        verifiers += witness_verifiers(policy).values()
        keys |= {(one.key.name, one.key.key_id): format_vkey(one.key) for one in policy.witnesses}
    return ExportDesk(
        ExportParts(
            sequencer=ledger.sequencer,
            store=ledger.store,
            index=ledger.proofs,
            book=SqlExports(ledger.engine),
            places=Places(exports_directory(ledger.settings)),
            sealing=NaclSealing(ledger.randomness),
            checking=BagChecking(verify_ed25519),
            signer=lambda: ledger.signer,
            vkey=ledger.vkey,
            keys=keys,
            verifiers=verifiers,
            clock=ledger.clock,
            randomness=ledger.randomness,
            openers={
                "identities": IdentityOpener(ledger.vault),
                "words": WordOpener(SqlIncidents(ledger.engine)),
            },
            looks=_make_looks(ledger),
            extra=extra,
        )
    )


def make_views(ledger: Ledger) -> Views:
    """What opens tables of the entries of ``ledger``."""
    return Views(
        sequencer=ledger.sequencer,
        store=ledger.store,
        index=ledger.proofs,
        looks=_make_looks(ledger),
        linked=partial(delivery_seqs, SqlIncidents(ledger.engine)),
    )


def _make_looks(ledger: Ledger) -> Looks:
    def is_registered(tag: str) -> bool:
        if ledger.vault.account_of([tag]):
            return True
        # Somebody who was erased has no row any more, and entries all the same.
        return ledger.store.load_checkpoint() is not None and is_recorded(ledger, tag)

    return Looks(ledger.randomness, is_registered)
