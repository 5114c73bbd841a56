"""Nothing readable about an erased person is left in any file, after a real service has delivered (section 1.2)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from ledger.gateway.tokens import Issuing
from ledger.ports.vault import Subject
from ledger.verifying import Asked, run_verification
from tests.support.postgresql import PostgresqlServer
from tests.support.service_world import ServiceWorld, payload, wait_for

PERSON, OTHER = "3001969357", "8800123"
SECRET_WORDS = "Evelyn Sample asks to be forgotten"
SECRET_TEXT = "a sentence that only Evelyn wrote"
ROWS = {
    "vault_subjects": ("tag", "lookup, sealed"),
    "service_events": ("account", "body_sealed, content"),
    "service_tokens": ("account", "token_hash, secret_sealed"),
    "service_api_keys": ("subject", "secret_hash"),
    "service_notices": ("account", "mark"),
    "privacy_erasures": ("account", "words_sealed"),
}


def needles_of(world: ServiceWorld, person: Subject) -> dict[str, bytes]:
    """What lies in the tables about ``person`` and is in no entry: keyed, sealed and hashed values, and notices' words."""
    found: dict[str, bytes] = {}
    with world.service.ledger.engine.connect() as connection:
        for table, (column, wanted) in ROWS.items():
            rows = connection.execute(
                text(f"SELECT {wanted} FROM {table} WHERE {column} = :tag"), {"tag": person.tag}
            ).fetchall()
            for number, row in enumerate(rows):
                for place, value in enumerate(row):
                    if value is not None:
                        found[f"{table}/{number}/{place}"] = bytes(value)
    assert {name.partition("/")[0] for name in found} == set(ROWS), "every table has something to look for"
    return found


def files_with(needle: bytes, directories: Iterable[Path]) -> list[str]:
    """The files below ``directories`` that hold ``needle``, or its hex digits as PostgreSQL's text has them."""
    hits = []
    for directory in directories:
        for path in directory.rglob("*"):
            if path.is_file() and not path.is_symlink():
                data = path.read_bytes()
                if needle in data or needle.hex().encode() in data:
                    hits.append(str(path))
    return hits


def call(world: ServiceWorld, role: str, subject: str = "") -> httpx.Client:
    service = world.service
    issuing = Issuing(
        credentials=service.credentials,
        sealing=service.sealing,
        clock=service.clock,
        randomness=service.randomness,
    )
    made = issuing.issue_key(role, subject)  # type: ignore[arg-type]
    return world.client(Authorization=f"Bearer {made.text}")


def live(world: ServiceWorld) -> Subject:
    """Deliveries, a dead letter, tokens, a session, an API key and notices of the person, and of somebody else."""
    world.serve(("api", "dispatch", "seal"))
    app = world.new_app(retry_waits_ms=(1_000,))
    webhook = world.new_webhook(app)
    people = [world.new_account(PERSON), world.new_account(OTHER)]
    for person in people:
        world.subscribe(app, webhook, person)
    for account_id, person in zip((PERSON, OTHER), people, strict=True):
        service = world.service
        Issuing(
            credentials=service.credentials,
            sealing=service.sealing,
            clock=service.clock,
            randomness=service.randomness,
        ).issue_access(app.app, account_id, person.tag, ["all"])
    platform = call(world, "platform")
    platform.post("/v1/sessions", json={"account": PERSON}).raise_for_status()
    for number, status in enumerate((200, 500)):
        world.receiver.status = status
        for account_id in (PERSON, OTHER):
            event = payload("direct_message_events")
            event["for_user_id"] = account_id
            message = event["direct_message_events"][0]
            message["id"] = f"{number}{account_id}"
            message["message_create"]["message_data"]["text"] = SECRET_TEXT
            taken = platform.post("/v1/events", json=event)
            assert taken.status_code in (200, 202), taken.text
        wait_for(lambda: world.service.outbox.count_waiting(0)[0] == 0)
    counts = world.service.privacy.book.count(people[0].tag)
    assert counts["notes of attempts"] == 3
    assert counts["bodies that wait or could be replayed"] == 2
    return people[0]


def erase(world: ServiceWorld, person: Subject) -> dict[str, Any]:
    asked = call(world, "person", person.tag).post("/v1/account/erasure", json={"words": SECRET_WORDS})
    assert asked.status_code == 202, asked.text
    return {"erasure": asked.json()["erasure"]}


def check_after(world: ServiceWorld, person: Subject) -> None:
    """The ledger verifies by both engines, and counts the tag as not checkable; the person cannot come back."""
    world.service.ledger.sealer.seal()
    for engine in ("scalar", "duckdb"):
        asked = Asked(engine=engine, remember=False)
        identities = world.service.ledger.identity_check()
        report = run_verification(world.settings, asked, lambda *_: None, identities).report
        assert report.exit_status == 0, report.findings
        assert any(note.startswith("1 tags have no vault row (erased") for note in report.notes)
    event = payload("direct_message_events")
    event["for_user_id"] = PERSON
    refused = call(world, "platform").post("/v1/events", json=event)
    assert refused.status_code == 422
    assert not world.service.vault.find([PERSON])


def approve(world: ServiceWorld, erasure: str) -> None:
    done = call(world, "operator").post(f"/v1/erasures/{erasure}/approve")
    assert done.status_code == 200, done.text
    # The service's own loop, at once.
    world.service.privacy.destroyer.run_once()
    assert world.service.privacy.erasures.load(erasure).state == "clean"


def test_no_file_of_a_ledger_on_sqlite_holds_anything_of_an_erased_person(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with ServiceWorld(tmp_path) as world:
        person = live(world)
        erasure = erase(world, person)["erasure"]
        needles = needles_of(world, person)
        # Everything is there before, in the database or its write-ahead file: so it is looked for in the right way.
        assert [name for name, needle in needles.items() if not files_with(needle, [tmp_path])] == []
        approve(world, erasure)
        assert {name: files_with(needle, [tmp_path]) for name, needle in needles.items()} == {
            key: [] for key in needles
        }
        check_after(world, person)
        said = "".join(capfd.readouterr())
    spoken = {"id": PERSON, "words": SECRET_WORDS, "text": SECRET_TEXT}
    for what, value in spoken.items():
        assert files_with(value.encode(), [tmp_path]) == [], what
        assert value not in said, what
    assert person.tag not in said


def test_no_table_of_a_ledger_on_postgresql_and_no_heap_file_holds_anything_of_an_erased_person(
    tmp_path: Path, postgresql_server: PostgresqlServer
) -> None:
    with (
        postgresql_server.database(with_tables=False) as name,
        ServiceWorld(tmp_path, database=postgresql_server.url(name)) as world,
    ):
        person = live(world)
        erasure = erase(world, person)["erasure"]
        needles = needles_of(world, person)
        ((data,),) = postgresql_server.execute("SHOW data_directory")
        ((oid,),) = postgresql_server.execute(f"SELECT oid FROM pg_database WHERE datname = '{name}'")
        heap = Path(str(data)) / "base" / str(oid)
        postgresql_server.execute("CHECKPOINT")
        assert [one for one, needle in needles.items() if not files_with(needle, [heap])] == []
        approve(world, erasure)
        postgresql_server.execute("CHECKPOINT")
        assert {one: files_with(needle, [heap]) for one, needle in needles.items()} == {
            key: [] for key in needles
        }
        assert set(world.service.privacy.book.count(person.tag).values()) == {0}
        check_after(world, person)


def test_a_plain_delete_would_have_left_it_in_the_file(tmp_path: Path) -> None:
    with ServiceWorld(tmp_path) as world:
        person = world.new_account(PERSON)
        with world.service.ledger.engine.connect() as connection:
            row = connection.execute(
                text("SELECT sealed FROM vault_subjects WHERE tag = :tag"), {"tag": person.tag}
            ).one()
    with sqlite3.connect(tmp_path / "ledger.db") as database:
        database.execute("PRAGMA secure_delete = OFF")
        database.execute("DELETE FROM vault_subjects")
    database.close()
    assert files_with(bytes(row[0]), [tmp_path])
