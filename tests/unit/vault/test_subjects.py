"""The vault on real SQLite: one id has one tag, a stolen database tells nothing, and no row can be swapped."""

from __future__ import annotations

import hashlib
import itertools
import multiprocessing
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlmodel import SQLModel

from ledger.core.strict import is_tag
from ledger.errors import RejectedError, SettingsError, StoreError
from ledger.ports import Subject
from ledger.store.engine import explain, open_engine
from ledger.store.migrate import upgrade
from ledger.vault import tables
from ledger.vault.subjects import SqlVault

OPERATOR_KEY = bytes(range(32))

OpenVault = Callable[..., SqlVault]


class Stream:
    """Bytes that never repeat and can be told apart by ``seed``."""

    def __init__(self, seed: str = "") -> None:
        self._seed = seed
        self._count = itertools.count()

    def token(self, size_bytes: int) -> bytes:
        return hashlib.shake_256(f"{self._seed}/{next(self._count)}".encode()).digest(size_bytes)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    upgrade(f"sqlite:///{tmp_path}/ledger.db")
    return tmp_path / "ledger.db"


@pytest.fixture
def open_vault(path: Path) -> OpenVault:
    def open_one(key: bytes = OPERATOR_KEY, seed: str = "") -> SqlVault:
        return SqlVault(open_engine(f"sqlite:///{path}"), key, Stream(seed), explain)

    return open_one


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(path) as connection:
        return connection.execute(query).fetchall()


def change(path: Path, *statements: str) -> None:
    with sqlite3.connect(path) as connection:
        for statement in statements:
            connection.execute(statement)


def test_a_new_id_gets_a_random_tag_and_a_key_of_32_bytes(open_vault: OpenVault) -> None:
    subjects = open_vault().subjects_of(["783214", "5550001"])
    assert all(is_tag(subject.tag) and len(subject.key) == 32 for subject in subjects.values())
    assert len({subject.tag for subject in subjects.values()} | {s.key for s in subjects.values()}) == 4


def test_the_same_id_has_the_same_subject_for_ever(open_vault: OpenVault) -> None:
    first = open_vault().subjects_of(["783214", "5550001", "783214"])
    assert open_vault(seed="another process").subjects_of(["5550001", "783214"]) == first


def test_what_was_minted_is_remembered_without_reading_its_row(open_vault: OpenVault) -> None:
    vault = open_vault()
    first = vault.subjects_of(["783214"])
    read: list[str] = []
    event.listen(vault._engine, "before_cursor_execute", lambda *given: read.append(given[2]))
    assert vault.subjects_of(["783214"]) == first
    assert not [statement for statement in read if "vault_subjects" in statement]


def test_a_batch_is_read_and_minted_in_few_statements(open_vault: OpenVault) -> None:
    vault = open_vault()
    ran: list[str] = []
    event.listen(vault._engine, "before_cursor_execute", lambda *given: ran.append(given[2]))
    vault.subjects_of([f"{number}" for number in range(1_000)])
    assert len(ran) < 20


def test_finding_mints_nothing(open_vault: OpenVault, path: Path) -> None:
    vault = open_vault()
    assert vault.find(["783214"]) == {}
    assert rows(path, "SELECT * FROM vault_subjects") == []
    minted = vault.subjects_of(["783214"])
    assert vault.find(["783214", "unknown"]) == minted


def test_a_tag_leads_back_to_its_id(open_vault: OpenVault) -> None:
    tag = open_vault().subjects_of(["783214"])["783214"].tag
    assert open_vault().account_of([tag, "a_" + "0" * 32]) == {tag: "783214"}


def test_minting_is_durable_when_the_tag_is_returned(open_vault: OpenVault, path: Path) -> None:
    tag = open_vault().subjects_of(["783214"])["783214"].tag
    assert rows(path, "SELECT tag FROM vault_subjects") == [(tag,)]


def test_the_database_tells_neither_id_nor_key(open_vault: OpenVault, path: Path) -> None:
    subject = open_vault().subjects_of(["a-very-telling-account-id"])["a-very-telling-account-id"]
    stored = b"".join(file.read_bytes() for file in path.parent.iterdir() if file.name.startswith(path.name))
    assert subject.tag.encode() in stored
    assert b"a-very-telling-account-id" not in stored
    assert subject.key not in stored
    assert OPERATOR_KEY not in stored
    for digest in (hashlib.sha256, hashlib.sha1, hashlib.md5):
        assert digest(b"a-very-telling-account-id").digest() not in stored


def test_another_operators_key_is_noticed_before_a_second_tag_is_made(
    open_vault: OpenVault, path: Path
) -> None:
    open_vault().subjects_of(["783214"])
    other = open_vault(key=bytes(32))
    for ask in (other.subjects_of, other.find, other.account_of, other.erased_among, other.erase):
        with pytest.raises(SettingsError, match="operator's key"):
            ask(["783214"])
    assert len(rows(path, "SELECT * FROM vault_subjects")) == 1


def test_two_people_cannot_be_swapped_in_the_database(open_vault: OpenVault, path: Path) -> None:
    open_vault().subjects_of(["1", "2"])
    one, two = (str(row[0]) for row in rows(path, "SELECT tag FROM vault_subjects ORDER BY lookup"))
    change(
        path,
        f"UPDATE vault_subjects SET tag = 'x' WHERE tag = '{one}'",
        f"UPDATE vault_subjects SET tag = '{one}' WHERE tag = '{two}'",
        f"UPDATE vault_subjects SET tag = '{two}' WHERE tag = 'x'",
    )
    with pytest.raises(StoreError, match="altered"):
        open_vault().find(["1"])


def test_a_row_cannot_be_moved_to_another_id(open_vault: OpenVault, path: Path) -> None:
    open_vault().subjects_of(["1", "2"])
    (one,), (two,) = rows(path, "SELECT hex(lookup) FROM vault_subjects")
    change(
        path,
        f"DELETE FROM vault_subjects WHERE lookup = x'{two}'",
        f"UPDATE vault_subjects SET lookup = x'{two}' WHERE lookup = x'{one}'",
    )
    with pytest.raises(StoreError, match="altered"):
        open_vault().find(["1", "2"])


def test_a_flipped_byte_of_a_sealed_row_is_noticed(open_vault: OpenVault, path: Path) -> None:
    open_vault().subjects_of(["1"])
    ((sealed,),) = rows(path, "SELECT sealed FROM vault_subjects")
    assert isinstance(sealed, bytes)
    flipped = sealed[:-1] + bytes([sealed[-1] ^ 1])
    change(path, f"UPDATE vault_subjects SET sealed = x'{flipped.hex()}'")
    with pytest.raises(StoreError, match="altered"):
        open_vault().find(["1"])


def test_an_erased_person_leaves_no_row_and_gets_no_new_tag(open_vault: OpenVault, path: Path) -> None:
    vault = open_vault()
    subject = vault.subjects_of(["1", "2"])["1"]
    assert vault.erase([subject.tag]) == {subject.tag}
    assert vault.find(["1"]) == {}
    assert vault.account_of([subject.tag]) == {}
    assert vault.erased_among(["1", "2", "3"]) == {"1"}
    with pytest.raises(RejectedError, match="erased"):
        vault.subjects_of(["1"])
    with pytest.raises(RejectedError, match="erased"):
        open_vault(seed="later").subjects_of(["3", "1"])
    assert (subject.tag,) not in rows(path, "SELECT tag FROM vault_subjects")


def test_an_erasure_by_another_process_is_noticed_at_once(open_vault: OpenVault) -> None:
    vault, other = open_vault(), open_vault(seed="other")
    tag = vault.subjects_of(["1"])["1"].tag
    other.erase([tag])
    assert vault.find(["1"]) == {}


def test_erasing_twice_is_erasing_once(open_vault: OpenVault) -> None:
    vault = open_vault()
    tag = vault.subjects_of(["1"])["1"].tag
    vault.erase([tag])
    assert vault.erase([tag]) == set()
    assert vault.erased_among(["1"]) == {"1"}


def test_the_bytes_of_an_erased_row_are_gone_from_the_file(open_vault: OpenVault, path: Path) -> None:
    vault = open_vault()
    tag = vault.subjects_of(["1"])["1"].tag
    ((sealed,),) = rows(path, "SELECT sealed FROM vault_subjects")
    assert isinstance(sealed, bytes)
    vault.erase([tag])
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert sealed not in path.read_bytes()


def test_another_writer_who_was_faster_wins(open_vault: OpenVault) -> None:
    slow, fast = open_vault(seed="slow"), open_vault(seed="fast")
    raced: dict[str, Subject] = {}

    def overtake(*_: object) -> None:
        if not raced:
            raced.update(fast.subjects_of(["1"]))

    # Between the look-up, which found nobody, and the transaction that mints.
    find = slow.find

    def find_and_be_overtaken(ids: list[str]) -> dict[str, Subject]:
        found = find(ids)
        overtake()
        return found

    slow.find = find_and_be_overtaken  # type: ignore[method-assign,assignment]
    assert slow.subjects_of(["1"]) == raced


def mint_in_a_process(path: str, seed: int, results: multiprocessing.Queue[dict[str, str]]) -> None:
    vault = SqlVault(open_engine(f"sqlite:///{path}"), OPERATOR_KEY, Stream(f"process {seed}"), explain)
    tags: dict[str, str] = {}
    for start in range(0, 400, 20):
        tags |= {
            name: s.tag for name, s in vault.subjects_of([str(n) for n in range(start, start + 20)]).items()
        }
    results.put(tags)


def test_two_processes_that_mint_the_same_ids_agree(path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[dict[str, str]] = context.Queue()
    workers = [
        context.Process(target=mint_in_a_process, args=(str(path), seed, results)) for seed in range(2)
    ]
    for worker in workers:
        worker.start()
    minted = [results.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join(timeout=60)
    assert minted[0] == minted[1]
    assert len(set(minted[0].values())) == 400


def test_a_database_without_the_tables_says_what_to_do(tmp_path: Path) -> None:
    vault = SqlVault(open_engine(f"sqlite:///{tmp_path}/empty.db"), OPERATOR_KEY, Stream(), explain)
    with pytest.raises(StoreError, match="grantledger init"):
        vault.subjects_of(["1"])


def test_a_read_only_database_fails_clearly_and_hands_out_no_tag(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    engine = open_engine(f"sqlite:///file:{path}?mode=ro&uri=true")
    with pytest.raises(StoreError, match=r"readonly.*check the permissions"):
        SqlVault(engine, OPERATOR_KEY, Stream(), explain).subjects_of(["a-telling-id"])


def test_no_representation_shows_a_secret(open_vault: OpenVault) -> None:
    assert repr(OPERATOR_KEY) not in repr(open_vault())
    assert OPERATOR_KEY.hex() not in repr(open_vault())


def test_the_migrations_make_the_tables_that_are_defined(path: Path) -> None:
    for row in (tables.VaultKeyRow, tables.SubjectRow, tables.ErasedRow):
        table = SQLModel.metadata.tables[str(row.__tablename__)]
        made = {
            (str(name), bool(key)) for _, name, _, _, _, key in rows(path, f"PRAGMA table_info({table.name})")
        }
        assert made == {(column.name, column.primary_key) for column in table.columns}


def test_a_tag_leads_to_its_key_without_the_id(open_vault: OpenVault) -> None:
    known = open_vault().subjects_of(["783214", "5550001"])
    asked = [known["783214"].tag, "a_" + "0" * 32]
    vault = open_vault(seed="another process")
    assert vault.subjects_behind(asked) == {asked[0]: known["783214"]}
    assert vault.subjects_behind(asked) == {asked[0]: known["783214"]}, "remembered, it is the same"


def test_the_key_behind_an_erased_tag_is_gone_at_once(open_vault: OpenVault) -> None:
    here, there = open_vault(), open_vault(seed="another process")
    tag = here.subjects_of(["783214"])["783214"].tag
    assert set(here.subjects_behind([tag])) == {tag}
    there.erase([tag])
    assert here.subjects_behind([tag]) == {}
