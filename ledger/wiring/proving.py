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
from ledger.core.proof_files import FILE_BYTES_MAX, encode_bundle
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
        """The file of ``bundle``; raises UsageError where it would be larger than anybody reads."""
        data = encode_bundle(bundle, self.vkey, self.cosigners)
        if len(data) > FILE_BYTES_MAX:
            raise UsageError(
                f"the proof would have {len(data):,} bytes, and none of more than {FILE_BYTES_MAX:,} is read: ask for pages"
            )
        return data


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


def record_look(ledger: Ledger, tag: str, *, actor: str, purpose: str | None = None) -> bool:
    """Make durable that ``actor`` looks at what is recorded about the person ``tag``, as a look at its history is.

    False, and nothing is recorded, where no sealed entry is about ``tag``: then there is nobody's history to look at, and a
    tag is used by no entry before its registration. The look is newer than the last seal, so no proof that is made now shows
    it. Raises as :meth:`Histories.record`, and makes this process a writer.
    """
    if not is_recorded(ledger, tag):
        return False
    histories = Histories(sequencer=ledger.sequencer, store=ledger.store, randomness=ledger.randomness)
    histories.record(tag, actor=actor, purpose=purpose)
    return True


def is_recorded(ledger: Ledger, tag: str) -> bool:
    """Whether a sealed entry is about the person ``tag``, as its registration is; raises UsageError before the first seal."""
    with ledger.proofs.snapshot() as snapshot:
        return snapshot.load_row(f"acct:{tag}") is not None


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
        if ledger.vault.erased_among([account]):
            raise UsageError(
                "the person behind this id was erased: nothing here says any more which tag it had; whoever kept the tag "
                "(a_...) can name that"
            )
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
