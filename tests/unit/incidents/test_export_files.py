"""What an export of an incident holds beside its entries (section 5.5)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.core.dsse import parse_envelope
from ledger.core.merkle import hash_leaf, root_of
from ledger.incidents.export_files import IncidentFiles
from ledger.vault.ed25519 import is_signed
from tests.support.duties_world import INCIDENT, OPERATOR, DutiesWorld
from tests.support.incident_world import BY, IncidentWorld, delivery, grant, parties
from tests.unit.incidents.attesting import register, signed


@pytest.fixture
def world(tmp_path: Path) -> Iterator[IncidentWorld]:
    records = [*parties("a", "b"), grant(1, "1001"), *(delivery(n, "1001", host="b") for n in range(3))]
    with IncidentWorld(tmp_path, records) as made:
        made.parts.policies.set("authority_notice", "gdpr", 3_600_000, BY)
        made.desk.open_from_findings(made.evidence(), BY)
        yield made


def read(files: IncidentFiles, incident: str) -> dict[str, bytes]:
    return {one.path: b"".join(one.parts) for one in files.files(incident)}


def test_the_lines_make_the_root_that_the_entry_states(world: IncidentWorld) -> None:
    name = world.book.load_all()[0].incident
    found = read(world.parts.export_files, name)
    lines = found["incident/findings.jsonl"].splitlines()
    (entry,) = world.entries("incident.assessed")
    assert root_of(map(hash_leaf, lines)).hex() == entry["findings_root"]
    assert len(found["incident/people.jsonl"].splitlines()) == entry["people"]


def test_document_and_draft_are_those_of_the_commands(world: IncidentWorld) -> None:
    name = world.book.load_all()[0].incident
    found = read(world.parts.export_files, name)
    assert json.loads(found["incident/incident.json"]) == world.parts.document(name)
    draft = json.loads(found["incident/art33.json"])
    assert (draft["notification"], draft["jurisdiction"]) == ("first", "gdpr")


def test_the_draft_is_of_what_is_due(world: IncidentWorld) -> None:
    name = world.book.load_all()[0].incident

    def drafted() -> str:
        found = read(world.parts.export_files, name)
        return str(json.loads(found["incident/art33.json"])["notification"])

    assert drafted() == "first"
    world.desk.note_authority_told(name, "gdpr", "first", "ref", BY)
    assert drafted() == "follow_up"
    world.desk.set_status(name, "concluded", BY)
    assert drafted() == "final"


def test_what_a_developer_owes_is_listed_to_the_byte(tmp_path: Path) -> None:
    with DutiesWorld(tmp_path) as duties:
        (opened,) = duties.duties.obligations.open(INCIDENT, actor=OPERATOR)
        owed = opened.obligation
        found = read(duties.service.incidents.export_files, INCIDENT)
        lines = found[f"obligations/{owed.obligation}.list.jsonl"].splitlines()
        assert root_of(map(hash_leaf, lines)).hex() == owed.list_root
        (row,) = map(json.loads, found["obligations/obligations.jsonl"].splitlines())
        assert (row["developer"], row["state"], row["list_root"]) == (
            duties.developer,
            "OPENED",
            owed.list_root,
        )


def test_what_a_developer_has_signed_goes_along_as_it_was_signed(tmp_path: Path) -> None:
    with DutiesWorld(tmp_path) as duties:
        register(duties)
        (opened,) = duties.duties.obligations.open(INCIDENT, actor=OPERATOR)
        item = signed(opened.obligation)
        duties.duties.attestations.take(opened.obligation, item, "developer:key")
        found = read(duties.service.incidents.export_files, INCIDENT)
        envelope = parse_envelope(
            json.loads(found[f"obligations/{opened.obligation.obligation}.attestation.json"])
        )
        (entry,) = duties.entries("obligation.attested")
        assert hashlib.sha256(envelope.signed_bytes()).hexdigest() == entry.attestation
        assert is_signed(bytes.fromhex(entry.key), envelope.signed_bytes(), envelope.signature)


def test_its_entries_are_those_of_the_exposures(world: IncidentWorld) -> None:
    name = world.book.load_all()[0].incident
    told = [entry["seq"] for entry in world.entries("delivery.imported")]
    assert sorted(world.parts.export_files.seqs(name)) == told


def test_an_incident_that_is_not_there_has_no_entries(world: IncidentWorld) -> None:
    assert list(world.parts.export_files.seqs("i-none")) == []


def test_an_incident_that_was_never_assessed_has_its_document_alone(world: IncidentWorld) -> None:
    world.desk.open("reported", None, BY)
    name = world.book.load_of_cause("reported", None)[0].incident
    found = sorted(read(world.parts.export_files, name))
    assert found == ["incident/art33.json", "incident/incident.json", "obligations/obligations.jsonl"]
