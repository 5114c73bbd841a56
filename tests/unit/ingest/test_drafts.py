"""A record becomes the draft of its entry: tags for people, commitments for what no entry holds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ledger.core.strict import is_event_tag
from ledger.core.uids import default_uid
from ledger.ingest.drafts import Drafter
from ledger.ingest.records import RecordReader
from ledger.ports import Subject
from ledger.sequencer.draft import Draft
from ledger.vault.commitments import SubjectCommitments, commit, event_tag, salt_of
from tests.support.record_samples import DELIVERY, GRANT, SAMPLES

ANN = Subject("a_" + "f" * 32, bytes(range(32)))
BOB = Subject("a_" + "0" * 32, bytes(range(1, 33)))
SUBJECTS = {"783214": ANN, "5550001": BOB}
FILE = Drafter(SubjectCommitments(), actor="operator:import", live=False)
API = Drafter(SubjectCommitments(), actor="operator:web", live=True)


def draft_of(record: dict[str, Any], drafter: Drafter = FILE) -> Draft:
    return drafter.draft(RecordReader(at_required=True).read(record), SUBJECTS)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample["kind"])
def test_no_draft_holds_the_id_of_a_person_or_of_an_event(sample: dict[str, Any]) -> None:
    text = json.dumps(dict(draft_of(sample).members))
    assert not any(secret in text for secret in ("783214", "5550001", '"e-1"'))


def test_people_become_tags_and_lists_of_tags_are_sorted() -> None:
    members = draft_of(DELIVERY | {"subjects": ["783214", "5550001"]}).members
    assert members["account"] == ANN.tag
    assert members["subjects"] == [BOB.tag, ANN.tag]


def test_an_event_is_named_under_the_granting_accounts_key() -> None:
    event = draft_of(DELIVERY).members["event"]
    assert event == event_tag(ANN.key, "e-1")
    assert is_event_tag(str(event))


def test_a_registration_commits_to_the_id_under_its_own_uid() -> None:
    members = draft_of({"kind": "account.registered", "account": "783214", "at": 1}).members
    assert members["identity"] == commit(salt_of(ANN.key, str(members["uid"]), "identity"), b"783214")


def test_a_registration_that_the_import_adds_is_the_same_entry_whoever_adds_it() -> None:
    ours, theirs = FILE.registration("783214", ANN), API.registration("783214", ANN)
    assert ours.members == theirs.members
    assert "at" not in ours.members


def test_a_signed_request_is_committed_to_and_no_part_of_the_uid() -> None:
    evidence = {"method": "oauth1a", "consent_text": "00" * 32}
    plain = draft_of(GRANT | {"evidence": evidence})
    signed = draft_of(GRANT | {"evidence": evidence | {"request": 'OAuth sig="x"'}})
    uid = str(signed.members["uid"])
    assert uid == plain.members["uid"]
    salt = salt_of(ANN.key, uid, "request")
    assert signed.members["evidence"] == evidence | {"request": commit(salt, b'OAuth sig="x"')}


def test_the_uid_is_of_what_was_stated_with_tags_for_people() -> None:
    members = draft_of(GRANT).members
    stated = {name: members[name] for name in GRANT}
    assert members["uid"] == default_uid("grant.issued", stated)
    assert str(members["uid"]).startswith("grant.issued/g-1/")


def test_a_stated_uid_goes_before_the_default() -> None:
    assert draft_of(GRANT | {"uid": "mine"}).members["uid"] == "mine"


def test_the_order_of_a_records_members_and_lists_does_not_matter() -> None:
    turned = dict(reversed(list(GRANT.items()))) | {"scopes": list(reversed(GRANT["scopes"]))}
    assert draft_of(turned).members == draft_of(GRANT).members


@pytest.mark.parametrize(("drafter", "via", "live"), [(FILE, "file", False), (API, "api", True)])
def test_a_draft_says_which_way_it_came(drafter: Drafter, via: str, live: bool) -> None:
    draft = draft_of(GRANT, drafter)
    assert (draft.members["via"], draft.live) == (via, live)


def test_what_is_looked_up_and_who_handed_it_in_is_no_part_of_the_comparison() -> None:
    assert draft_of(DELIVERY).compare_exclude == {"actor", "via", "developer", "received_by"}
    assert "account" in draft_of({"kind": "grant.revoked", "grant": "g-1", "at": 1}).compare_exclude


def test_what_was_stated_is_compared_even_where_it_could_be_looked_up() -> None:
    revoked = {"kind": "grant.revoked", "grant": "g-1", "account": "783214", "at": 1}
    assert "account" not in draft_of(revoked).compare_exclude
