"""A ledger and its witnesses over real HTTP: what is published, what is not, and what a log with two histories meets."""

from __future__ import annotations

import json
import re
import shutil
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from ledger.core.checkpoint import open_checkpoint
from ledger.core.fork_evidence import check_fork_evidence, parse_fork_evidence
from ledger.core.note import parse_note
from ledger.errors import ForkError, QuorumError
from ledger.vault.witness_policies import load_policy, witness_verifiers
from tests.support.service_world import ORIGIN, ServiceWorld, free_port, wait_for
from tests.support.witness_world import ServedWitness, make_witness


@contextmanager
def witnesses(directory: Path, *names: str) -> Iterator[list[ServedWitness]]:
    """Served witnesses of these names, which know no log yet."""
    served = [ServedWitness(make_witness(directory / name, f"witness.example/{name}")) for name in names]
    try:
        yield served
    finally:
        for one in served:
            one.close()


def write_policy(path: Path, served: Sequence[ServedWitness], threshold: str, *more: str) -> Path:
    names = [f"w{number}" for number in range(len(served))]
    lines = [one.line(name) for name, one in zip(names, served, strict=True)]
    members = [*names, *(line.split()[1] for line in more)]
    path.write_text(
        "".join([*lines, *more, f"group all-of-them {threshold} {' '.join(members)}\n"])
        + "quorum all-of-them\n"
    )
    return path


@contextmanager
def world_with(directory: Path, policy: Path, served: Sequence[ServedWitness]) -> Iterator[ServiceWorld]:
    """A ledger under ``policy`` that the witnesses know."""
    environment = {"GRANTLEDGER_WITNESS_POLICY": str(policy)}
    with ServiceWorld(directory, environment=environment) as world:
        for one in served:
            one.opened.book.add_key(world.service.ledger.vkey, 0)
        yield world


@pytest.fixture
def two(tmp_path: Path) -> Iterator[list[ServedWitness]]:
    with witnesses(tmp_path, "north", "south") as served:
        yield served


@pytest.fixture
def world(tmp_path: Path, two: list[ServedWitness]) -> Iterator[ServiceWorld]:
    policy = write_policy(tmp_path / "policy", two, "all")
    with world_with(tmp_path / "ledger", policy, two) as made:
        yield made


def published_size(world: ServiceWorld) -> int:
    published = world.service.ledger.load_published()
    return 0 if published is None else published.checkpoint.size


def size_at(witness: ServedWitness) -> int:
    last = witness.opened.book.load(ORIGIN)
    return 0 if last is None else last.size


def test_a_checkpoint_is_published_with_the_lines_of_its_witnesses(
    world: ServiceWorld, two: list[ServedWitness], tmp_path: Path
) -> None:
    world.serve()
    sealed = world.service.ledger.sealer.seal()
    with world.client() as client:
        note = client.get("/checkpoint").content
    keys = [world.service.ledger.verifier, *witness_verifiers(load_policy(tmp_path / "policy")).values()]
    opened = open_checkpoint(note, ORIGIN, keys)
    assert opened.note.verified == (ORIGIN, "witness.example/north", "witness.example/south")
    assert opened.checkpoint == sealed.checkpoint
    assert [size_at(one) for one in two] == [sealed.checkpoint.size] * 2


def test_each_seal_is_cosigned_and_proven_to_continue_the_last(
    world: ServiceWorld, two: list[ServedWitness]
) -> None:
    for number in range(4):
        world.new_account(str(number))
        sealed = world.service.ledger.sealer.seal()
        assert len(parse_note(sealed.note).signatures) == 3
    assert [size_at(one) for one in two] == [published_size(world)] * 2


def test_without_its_quorum_nothing_is_published_and_the_next_seal_makes_up_for_it(
    world: ServiceWorld, two: list[ServedWitness]
) -> None:
    world.service.ledger.sealer.seal()
    before = published_size(world)
    world.new_account("1")
    port = two[1].port
    two[1].close()
    with pytest.raises(QuorumError, match="w1: it cannot be reached"):
        world.service.ledger.sealer.seal()
    assert published_size(world) == before
    recorded = world.service.ledger.record.load()
    world.new_account("2")
    with pytest.raises(QuorumError):
        world.service.ledger.sealer.seal()
    # One checkpoint is signed ahead and no more: the next one waits until this one is published.
    assert (published_size(world), world.service.ledger.record.load()) == (before, recorded)
    with revived(two[1], port):
        world.service.ledger.sealer.seal()
        assert published_size(world) == world.service.ledger.store.size()
        assert size_at(two[1]) == published_size(world)


@contextmanager
def revived(witness: ServedWitness, port: int) -> Iterator[None]:
    from ledger.witness.app import WitnessApp
    from tests.support.service_world import Running

    running = Running(WitnessApp(witness.opened).application(), port)
    try:
        yield
    finally:
        running.close()


def test_a_quorum_of_two_of_three_does_without_the_third(tmp_path: Path) -> None:
    with witnesses(tmp_path, "north", "south", "west") as served:
        policy = write_policy(tmp_path / "policy", served, "2")
        with world_with(tmp_path / "ledger", policy, served) as world:
            served[0].close()
            sealed = world.service.ledger.sealer.seal()
    assert {one.name for one in parse_note(sealed.note).signatures} == {
        ORIGIN,
        "witness.example/south",
        "witness.example/west",
    }


def test_a_log_that_a_witness_does_not_know_is_not_published(
    tmp_path: Path, two: list[ServedWitness]
) -> None:
    policy = write_policy(tmp_path / "policy", two, "all")
    with world_with(tmp_path / "ledger", policy, two[:1]) as world:
        with pytest.raises(QuorumError, match="w1: it does not know the log"):
            world.service.ledger.sealer.seal()
        assert published_size(world) == 0


# A log with two histories: its operator keeps a copy of everything, keys and record too, and goes on with both.


@contextmanager
def fork_of(world: ServiceWorld, directory: Path, policy: Path) -> Iterator[ServiceWorld]:
    """A copy of the whole ledger as it is now, to go on by itself under ``policy``."""
    shutil.copytree(world.directory, directory, ignore=shutil.ignore_patterns("*.lock", "*.evidence"))
    environment = {"GRANTLEDGER_WITNESS_POLICY": str(policy)}
    with ServiceWorld(directory, environment=environment) as forked:
        yield forked


@pytest.fixture
def forking(tmp_path: Path, two: list[ServedWitness]) -> Iterator[tuple[ServiceWorld, ServiceWorld]]:
    """Two ledgers of one name and key with a common beginning; the second one asks the same witnesses."""
    policy = write_policy(tmp_path / "policy", two, "all")
    with world_with(tmp_path / "ledger", policy, two) as world:
        world.service.ledger.sealer.seal()
        world.service.ledger.engine.dispose()
        with fork_of(world, tmp_path / "fork", policy) as other:
            yield world, other


def evidence_files(world: ServiceWorld) -> list[Path]:
    return sorted((world.directory / "checkpoint.evidence").glob("*.json"))


def test_a_fork_of_equal_size_is_refused_by_both_witnesses_and_kept(
    forking: tuple[ServiceWorld, ServiceWorld], two: list[ServedWitness]
) -> None:
    world, other = forking
    # Both run already: one that begins now would find that the witnesses know more than it does.
    other.service.ledger.sealer.seal()
    world.new_account("1")
    other.new_account("2")
    honest = world.service.ledger.sealer.seal().checkpoint
    with pytest.raises(ForkError, match="contradicts the log"):
        other.service.ledger.sealer.seal()
    assert published_size(other) < honest.size
    (file,) = evidence_files(other)
    checked = check_fork_evidence(parse_fork_evidence(file.read_bytes()), [world.service.ledger.verifier])
    assert (checked.fork, checked.known) == ("fork", honest)
    assert [len(one.opened.book.evidence()) for one in two] == [1, 1]
    assert [size_at(one) for one in two] == [honest.size] * 2


def test_a_fork_of_another_size_is_refused_and_kept(
    forking: tuple[ServiceWorld, ServiceWorld], two: list[ServedWitness]
) -> None:
    world, other = forking
    # Both run already: one that begins now would find that the witnesses know more than it does.
    other.service.ledger.sealer.seal()
    world.new_account("1")
    honest = world.service.ledger.sealer.seal().checkpoint
    for number in range(2, 6):
        other.new_account(str(number))
    with pytest.raises(ForkError, match="does not accept that the tree continues"):
        other.service.ledger.sealer.seal()
    (kept,) = two[0].opened.book.evidence()
    checked = check_fork_evidence(parse_fork_evidence(kept.data), [world.service.ledger.verifier])
    assert (checked.fork, checked.known.size) == ("unexplained", honest.size)
    with pytest.raises(ForkError):
        other.service.ledger.sealer.seal()


def test_a_log_that_shows_each_witness_another_history_publishes_neither(
    tmp_path: Path, two: list[ServedWitness]
) -> None:
    policies = [write_policy(tmp_path / f"only-{number}", [two[number]], "all") for number in range(2)]
    both = write_policy(tmp_path / "both", two, "all")
    with world_with(tmp_path / "ledger", both, two) as world:
        world.service.ledger.sealer.seal()
        common = published_size(world)
        world.service.ledger.engine.dispose()
        # Fork A is shown to north alone, fork B to south alone.
        with (
            fork_of(world, tmp_path / "a", policies[0]) as a,
            fork_of(world, tmp_path / "b", policies[1]) as b,
        ):
            a.new_account("1")
            b.new_account("2")
            a.service.ledger.sealer.seal()
            b.service.ledger.sealer.seal()
            notes = {fork: fork.service.ledger.store.load_checkpoint() for fork in (a, b)}
        assert [size_at(one) for one in two] == [common + 2, common + 2]
        # Whoever asks for both has a quorum for neither, and a log that asks for both is told by the other one.
        policy = load_policy(both)
        for note in notes.values():
            assert note is not None
            names = {line.name for line in parse_note(note).signatures}
            cosigned = {one.name for one in policy.witnesses if one.key.name in names}
            assert len(cosigned) == 1
            assert not policy.is_fulfilled(cosigned)
        with (
            fork_of(a, tmp_path / "c", both) as c,
            pytest.raises(ForkError, match=r"w1 .*contradicts the log"),
        ):
            c.service.ledger.sealer.seal()
        assert len(two[1].opened.book.evidence()) == 1


def test_a_ledger_put_back_with_its_record_is_stopped_before_it_signs(
    forking: tuple[ServiceWorld, ServiceWorld], two: list[ServedWitness]
) -> None:
    world, other = forking
    for number in range(3):
        world.new_account(str(number))
        world.service.ledger.sealer.seal()
    other.new_account("late")
    recorded = other.service.ledger.record.load()
    with pytest.raises(ForkError, match=r"it has cosigned \d+ entries, more than"):
        other.service.ledger.sealer.seal()
    assert other.service.ledger.record.load() == recorded
    (file,) = evidence_files(other)
    refusal = json.loads(file.read_text("utf-8"))
    assert (refusal["status"], refusal["said"]) == (409, f"{published_size(world)}\n")
    assert all(one.opened.book.evidence() == [] for one in two)


def test_a_log_that_goes_on_honestly_is_not_stopped_by_a_restart(
    forking: tuple[ServiceWorld, ServiceWorld], two: list[ServedWitness]
) -> None:
    _, other = forking
    other.new_account("1")
    other.service.ledger.sealer.seal()
    assert published_size(other) == other.service.ledger.store.size()


# Witnesses that hang, and lie.


@contextmanager
def server(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that does with each connection what ``answer`` does; its URL."""
    port = free_port()
    listening = socket.create_server(("127.0.0.1", port))
    closing = threading.Event()

    def accept() -> None:
        while not closing.is_set():
            try:
                opened, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(opened,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        closing.set()
        listening.close()


def test_a_witness_that_hangs_stops_publication_and_nothing_else(
    tmp_path: Path, two: list[ServedWitness]
) -> None:
    held: list[socket.socket] = []
    with server(held.append) as url:
        hanging = re.sub(r"http://\S+", url, two[1].line("hanging"))
        policy = write_policy(tmp_path / "policy", two[:1], "all", hanging)
        with world_with(tmp_path / "ledger", policy, two[:1]) as world:
            base = world.serve(("api", "seal"))
            wait_for(lambda: held)
            for number in range(20):
                world.new_account(str(number))
            with httpx.Client(base_url=base, timeout=10) as client:
                assert client.get("/healthz").status_code == 200
                assert client.get("/checkpoint").status_code == 404
                wait_for(
                    lambda: 'grantledger_witness_ok{witness="hanging"} 0.0' in client.get("/metrics").text
                )
                wait_for(lambda: 'loop_failures_total{loop="seal"} ' in client.get("/metrics").text)
                assert "grantledger_sealed_size 0.0" in client.get("/metrics").text
            assert world.service.ledger.store.size() >= 20
    for opened in held:
        opened.close()


def test_a_witness_that_hangs_does_not_hold_up_a_quorum_that_is_there_without_it(
    tmp_path: Path, two: list[ServedWitness]
) -> None:
    held: list[socket.socket] = []
    with server(held.append) as url:
        hanging = re.sub(r"http://\S+", url, two[1].line("hanging"))
        policy = write_policy(tmp_path / "policy", two[:1], "1", hanging)
        with world_with(tmp_path / "ledger", policy, two[:1]) as world:
            world.service.ledger.sealer.seal()
            world.new_account("1")
            world.service.ledger.sealer.seal()
            assert published_size(world) == world.service.ledger.store.size()
            # It is not asked again while it has not answered.
            assert len(held) == 1
    for opened in held:
        opened.close()
