"""The vault on a PostgreSQL server, where several write at once: one id still has one tag, and who is erased stays so."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import event, text

from ledger.errors import RejectedError, SettingsError, StoreError
from ledger.store.engine import explain, open_engine
from ledger.vault.subjects import SqlVault
from tests.support.postgresql import PostgresqlServer, database_of
from tests.unit.vault.test_subjects import OPERATOR_KEY, Stream

OpenVault = Callable[..., SqlVault]
SOON_SECONDS = 0.3


@pytest.fixture
def open_vault(service_postgresql_url: str) -> Iterator[OpenVault]:
    """Opens vaults as the role that a service connects as."""
    opened = []

    def open_one(key: bytes = OPERATOR_KEY, seed: str = "") -> SqlVault:
        engine = open_engine(service_postgresql_url)
        opened.append(engine)
        return SqlVault(engine, key, Stream(seed), explain)

    yield open_one
    for engine in opened:
        engine.dispose()


def test_the_same_id_has_the_same_subject_for_ever(open_vault: OpenVault) -> None:
    first = open_vault().subjects_of(["783214", "5550001", "783214"])
    assert open_vault(seed="another process").subjects_of(["5550001", "783214"]) == first


def test_a_tag_leads_back_to_its_id(open_vault: OpenVault) -> None:
    tag = open_vault().subjects_of(["783214"])["783214"].tag
    assert open_vault().account_of([tag, "a_" + "0" * 32]) == {tag: "783214"}


def test_thousands_are_minted_and_found(open_vault: OpenVault) -> None:
    ids = [str(number) for number in range(2_500)]
    assert open_vault().subjects_of(ids) == open_vault().find(ids)


def test_an_erased_person_is_gone_for_every_vault_and_gets_no_new_tag(open_vault: OpenVault) -> None:
    vault, other = open_vault(), open_vault(seed="other")
    subjects = vault.subjects_of(["1", "2"])
    assert other.find(["1", "2"]) == subjects
    assert vault.erase([subjects["1"].tag]) == {subjects["1"].tag}
    assert other.find(["1", "2"]) == {"2": subjects["2"]}
    assert other.erased_among(["1", "2"]) == {"1"}
    with pytest.raises(RejectedError, match="erased"):
        other.subjects_of(["1", "3"])


def test_another_operators_key_is_noticed(open_vault: OpenVault) -> None:
    open_vault().subjects_of(["1"])
    with pytest.raises(SettingsError, match="not the one"):
        open_vault(key=bytes(32)).subjects_of(["2"])


def test_many_that_mint_the_same_people_at_once_agree(open_vault: OpenVault) -> None:
    ids = [str(number) for number in range(300)]
    minted: list[dict[str, str]] = []
    start = threading.Barrier(6)

    def mint(number: int) -> None:
        vault = open_vault(seed=f"writer {number}")
        # In an order of its own: whoever waits for another's row must not be waited for.
        order = ids[number * 50 :] + ids[: number * 50]
        start.wait()
        for at in range(0, len(order), 60):
            vault.subjects_of(order[at : at + 60])
        minted.append({name: subject.tag for name, subject in vault.find(ids).items()})

    threads = [threading.Thread(target=mint, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(minted) == 6
    assert all(tags == minted[0] for tags in minted)
    assert len(set(minted[0].values())) == len(ids)


def hold_before_commit(vault: SqlVault) -> tuple[threading.Event, threading.Event]:
    """Make the next commit of ``vault`` say that it has come so far, and wait to be let go."""
    reached, go = threading.Event(), threading.Event()

    def wait(_connection: object) -> None:
        reached.set()
        go.wait(30)

    event.listen(vault._engine, "commit", wait)
    return reached, go


def test_whoever_is_being_erased_is_not_minted_meanwhile(open_vault: OpenVault) -> None:
    eraser, minter = open_vault(), open_vault(seed="minter")
    tag = eraser.subjects_of(["1"])["1"].tag
    reached, go = hold_before_commit(eraser)
    erasing = threading.Thread(target=eraser.erase, args=([tag],))
    erasing.start()
    assert reached.wait(30)
    outcome: list[str] = []

    def mint() -> None:
        try:
            # Past the look-up, which still finds the row.
            minter._mint(["1"])
            outcome.append("minted")
        except RejectedError:
            outcome.append("refused")

    minting = threading.Thread(target=mint)
    minting.start()
    minting.join(SOON_SECONDS)
    assert outcome == []
    go.set()
    minting.join(30)
    erasing.join(30)
    assert outcome == ["refused"]
    assert minter.find(["1"]) == {}


def test_erasures_become_visible_in_the_order_of_their_numbers(open_vault: OpenVault) -> None:
    first, second, watcher = open_vault(), open_vault(), open_vault()
    tags = {name: subject.tag for name, subject in first.subjects_of(["1", "2"]).items()}
    assert len(watcher.find(["1", "2"])) == 2
    reached, go = hold_before_commit(first)
    one = threading.Thread(target=first.erase, args=([tags["1"]],))
    one.start()
    assert reached.wait(30)
    two = threading.Thread(target=second.erase, args=([tags["2"]],))
    two.start()
    time.sleep(SOON_SECONDS)
    assert len(watcher.find(["1", "2"])) == 2
    go.set()
    one.join(30)
    two.join(30)
    assert watcher.find(["1", "2"]) == {}


def test_a_row_that_was_altered_is_noticed(
    open_vault: OpenVault, postgresql_server: PostgresqlServer, migrated_postgresql_url: str
) -> None:
    open_vault().subjects_of(["1"])
    postgresql_server.execute(
        "UPDATE vault_subjects SET sealed = lookup", database_of(migrated_postgresql_url)
    )
    with pytest.raises(StoreError, match="altered"):
        open_vault().find(["1"])


def test_a_database_without_the_tables_says_what_to_do(postgresql_url: str) -> None:
    vault = SqlVault(open_engine(postgresql_url), OPERATOR_KEY, Stream(), explain)
    with pytest.raises(StoreError, match="grantledger init"):
        vault.subjects_of(["1"])


def test_neither_an_error_nor_a_representation_shows_the_password() -> None:
    vault = SqlVault(open_engine("postgresql://x:hidden@127.0.0.1:1/l"), OPERATOR_KEY, Stream(), explain)
    with pytest.raises(StoreError) as failed:
        vault.find(["1"])
    assert "hidden" not in f"{failed.value} {vault!r}"


def test_the_columns_are_those_of_sqlite(open_vault: OpenVault) -> None:
    vault = open_vault()
    vault.subjects_of(["1"])
    with vault._engine.connect() as connection:
        lookup, tag, sealed = connection.execute(text("SELECT lookup, tag, sealed FROM vault_subjects")).one()
    assert [type(value) for value in (lookup, tag, sealed)] == [bytes, str, bytes]
