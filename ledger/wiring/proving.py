"""What makes proofs about an opened ledger, and what opens commitments for whom they are about.

Apart from :mod:`ledger.wiring.ledger` because most commands prove nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ledger.core.canonical import decode
from ledger.core.completeness import CompletenessBundle, KeyEntry
from ledger.core.consistency import ConsistencyBundle
from ledger.core.note import Verifier, format_vkey
from ledger.core.openings import Opening
from ledger.core.proof_files import encode_bundle
from ledger.core.strict import check_id, is_tag
from ledger.core.tlog_proof import TlogProof, format_tlog_proof
from ledger.engines.codec import MsgspecCodec
from ledger.errors import FormatError, UsageError
from ledger.gateway.account_history import AccountHistories
from ledger.gateway.histories import Histories
from ledger.ports import StoredEntry
from ledger.transparency.proving import Opener, Prover, open_nothing
from ledger.vault.commitments import salt_of
from ledger.wiring.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Proving:
    """The prover of one ledger, and how its bundles become files."""

    prover: Prover
    vkey: str
    cosigners: Mapping[tuple[str, bytes], str]

    def encode(self, bundle: CompletenessBundle | ConsistencyBundle) -> bytes:
        """The file of ``bundle``."""
        return encode_bundle(bundle, self.vkey, self.cosigners)


def make_proving(ledger: Ledger) -> Proving:
    """What proves things about ``ledger``; raises SettingsError where its witness policy is unusable."""
    verifiers: list[Verifier] = [ledger.verifier]
    cosigners: dict[tuple[str, bytes], str] = {}
    if ledger.settings.witness_policy_file is not None:
        # Only a ledger with witnesses needs what reads their policy.
        from ledger.vault.witness_policies import load_policy, witness_verifiers

        policy = load_policy(ledger.settings.witness_policy_file)
        verifiers += witness_verifiers(policy).values()
        cosigners = {(one.key.name, one.key.key_id): format_vkey(one.key) for one in policy.witnesses}
    prover = Prover(ledger.store, ledger.proofs, ledger.origin, verifiers)
    return Proving(prover, ledger.vkey, cosigners)


def make_histories(ledger: Ledger, proving: Proving | None = None) -> AccountHistories:
    """What reads the histories of accounts of ``ledger``; each look is recorded, which makes this process a writer."""
    recording = Histories(sequencer=ledger.sequencer, store=ledger.store, randomness=ledger.randomness)
    return AccountHistories(
        sequencer=ledger.sequencer,
        codec=MsgspecCodec,
        prover=(proving or make_proving(ledger)).prover,
        record=recording.record,
    )


def encode_entry_proof(ledger: Ledger, row: StoredEntry) -> bytes:
    """The ``.tlog-proof`` of ``row``, which holds the entry itself; raises as :meth:`Ledger.prove_entry`, and UsageError."""
    proof = ledger.prove_entry(row)
    if proof is None:
        raise UsageError(f"no checkpoint covers entry {row.seq} yet: run `grantledger seal` first")
    return format_tlog_proof(TlogProof(proof.index, proof.hashes, proof.checkpoint, row.data))


def find_tag(ledger: Ledger, account: str) -> str:
    """The tag of ``account``, the platform's id or the tag itself; raises UsageError where nobody here is called so."""
    if is_tag(account):
        return account
    try:
        check_id(account, "the account")
    except FormatError as error:
        raise UsageError(str(error)) from error
    subject = ledger.vault.find([account]).get(account)
    if subject is None:
        raise UsageError(
            "nobody here has this id: no tag stands for it, so nothing can be recorded under one; by a tag (a_...) absence "
            "can be proven"
        )
    return subject.tag


def opener_of(ledger: Ledger, tag: str) -> Opener:
    """What opens the commitment to the id behind ``tag`` in its registrations; nothing where the vault's row is gone."""
    account = ledger.vault.account_of([tag]).get(tag)
    subject = None if account is None else ledger.vault.find([account]).get(account)
    if account is None or subject is None:
        return open_nothing

    def open_identities(entries: Sequence[KeyEntry]) -> Sequence[Opening]:
        openings = []
        for item in entries:
            members = decode(item.entry)
            if members["kind"] == "account.registered" and members["account"] == tag:
                salt = salt_of(subject.key, str(members["uid"]), "identity")
                openings.append(Opening(item.seq, "identity", salt, account))
        return openings

    return open_identities
