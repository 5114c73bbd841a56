"""What a drill does to a ledger, kind by kind, and what really arrived where."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ledger.drill.astray import Astray, send_astray
from ledger.drill.kinds import DETECTORS, EXPECTED, KINDS, Kind
from ledger.drill.parties import Cast, make_cast
from ledger.drill.receiving import DrillReceiver
from ledger.errors import StoreError
from ledger.receiver.app import Arrival
from ledger.reenactment.pki import Authority
from tests.support.service_world import ServiceWorld


@dataclass
class Play:
    """A ledger with a drill's cast, and what arrived at whom."""

    world: ServiceWorld
    cast: Cast
    ca_pem: str
    at_meant: list[Arrival]
    at_wrong: list[Arrival]
    undo: ExitStack

    def send(self, kind: Kind) -> Astray:
        link = f"http://ledger.example/c/{self.cast.opened.marker}"
        return send_astray(self.world.service, self.cast, kind, self.ca_pem, link)

    def entries(self, kind: str) -> list[dict[str, Any]]:
        store = self.world.service.ledger.store
        found = [json.loads(row.data) for row in store.fetch_range(0, store.size())]
        return [entry for entry in found if entry["kind"].startswith(kind)]


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    authority = Authority("drill")
    (tmp_path / "ca.pem").write_text(authority.certificate_pem)
    at_meant: list[Arrival] = []
    at_wrong: list[Arrival] = []
    with ExitStack() as stack:
        meant = stack.enter_context(DrillReceiver(authority, "drill-a.example", tmp_path, at_meant.append))
        wrong = stack.enter_context(DrillReceiver(authority, "drill-b.example", tmp_path, at_wrong.append))
        settings = {
            "host_overrides": f"{meant.override},{wrong.override}",
            "trusted_ca_file": tmp_path / "ca.pem",
        }
        world = stack.enter_context(ServiceWorld(tmp_path / "world", settings=settings))
        undo = stack.enter_context(ExitStack())
        cast = make_cast(world.service, meant, wrong, undo)
        yield Play(world, cast, authority.certificate_pem, at_meant, at_wrong, undo)


@pytest.mark.parametrize("kind", KINDS)
def test_the_body_really_arrives_at_the_wrong_developer_alone(play: Play, kind: Kind) -> None:
    sent = play.send(kind)
    (arrived,) = play.at_wrong
    assert play.at_meant == []
    assert (arrived.delivery, arrived.is_signed) == (sent.delivery, True)
    assert sent.seen.spki_sha256 == play.cast.wrong.receiver.spki_sha256


def test_observed_the_log_says_where_it_went(play: Play) -> None:
    play.send("observed")
    (settled,) = play.entries("delivery.settled")
    assert settled["observed"]["sni"] == "drill-b.example"
    assert settled["received_by"]["developer"] == "drill-developer-b"


def test_lying_the_log_says_where_it_was_meant_to_go_with_the_key_that_was_not_there(play: Play) -> None:
    play.send("lie")
    (settled,) = play.entries("delivery.settled")
    assert settled["observed"]["sni"] == "drill-a.example"
    assert settled["observed"]["spki_sha256"] == play.cast.meant.receiver.spki_sha256
    assert settled["received_by"]["developer"] == "drill-developer-a"


def test_unrecorded_the_log_has_nothing_of_it(play: Play) -> None:
    size = play.world.service.ledger.store.size()
    assert play.send("unrecorded").seqs == ()
    assert play.world.service.ledger.store.size() == size


def test_whoever_reads_the_entries_sees_that_it_was_a_drill(play: Play) -> None:
    sent = play.send("observed")
    attempted, settled = play.entries("delivery.")
    assert (attempted["actor"], settled["actor"]) == ("system:drill", "system:drill")
    assert (attempted["worker"], settled["worker"]) == ("drill", "drill")
    assert attempted["delivery"] == settled["delivery"] == sent.delivery
    assert sent.delivery.startswith("drill-")
    assert b"no real data" in play.at_wrong[0].body


def test_the_account_was_committed_to_before_it_was_there(play: Play) -> None:
    kinds = [entry["kind"] for entry in play.entries("")]
    assert kinds.index("canary.planted") < kinds.index("account.registered")
    assert play.cast.opened.account_id.startswith("9000")


def test_what_delivers_for_the_log_never_sees_the_event(play: Play) -> None:
    play.send("observed")
    service = play.world.service
    assert service.outbox.count_waiting(service.clock.now_ms())[0] == 0


def test_the_gate_is_asked_and_may_refuse(play: Play) -> None:
    subscriptions = play.world.service.subscriptions
    subscriptions.unsubscribe(play.cast.subscription, by="system:test", channel="dashboard")
    with pytest.raises(StoreError, match=r"did not permit .*: DELIVERED_AFTER_REVOCATION"):
        play.send("observed")
    assert play.at_wrong == []
    assert play.entries("delivery.attempted") == []


def test_a_drill_expects_of_each_detector_what_it_can_see_or_says_why_not() -> None:
    for kind in KINDS:
        assert set(EXPECTED[kind]) == set(DETECTORS)
        assert all((rule.code is None) == bool(rule.why) for rule in EXPECTED[kind].values())
        assert EXPECTED[kind]["verify"].code is not None


def test_what_a_drill_leaves_is_taken_away_and_the_log_says_so(play: Play) -> None:
    play.undo.close()
    service = play.world.service
    assert [
        one for app in ("drill-app-a", "drill-app-b") for one in service.registry.load_webhooks(app)
    ] == []
    assert all(key.revoked_at_ms is not None for key in service.credentials.load_keys())
    assert service.registry.fetch_subscriptions({play.cast.account.tag}).get(play.cast.account.tag, ()) == ()
    assert [entry["actor"] for entry in play.entries("account.deleted")] == ["system:drill"]
    assert len(play.entries("endpoint.retired")) == 2


def test_drills_again_and_again_have_the_same_developers_and_another_account(play: Play) -> None:
    play.undo.close()
    cast = make_cast(play.world.service, play.cast.meant.receiver, play.cast.wrong.receiver, play.undo)
    assert cast.account.tag != play.cast.account.tag
    assert (cast.meant.app, cast.wrong.app) == (play.cast.meant.app, play.cast.wrong.app)
    assert len(play.entries("developer.registered")) == len(play.entries("app.registered")) == 2
