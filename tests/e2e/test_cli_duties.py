"""Notices and obligations from the command line, as processes, beside a service on the same ledger."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli_process import Done, Workplace
from tests.support.duties_world import GRANTING, INCIDENT, DutiesWorld
from tests.support.service_world import ORIGIN
from tests.support.smtp_server import FROM, MailWorld


@dataclass
class Desk:
    """Commands on the ledger of ``world``."""

    world: DutiesWorld
    place: Workplace
    mail: MailWorld

    def run(self, *arguments: str, stdin: bytes = b"") -> Done:
        settings = self.world.world.environment | {
            "GRANTLEDGER_SMTP_URL": self.mail.url,
            "GRANTLEDGER_MAIL_FROM": FROM,
        }
        return self.place.run(*arguments, stdin=stdin, settings=settings)

    def json(self, *arguments: str, stdin: bytes = b"") -> dict[str, Any]:
        done = self.run(*arguments, "--json", stdin=stdin)
        assert done.status == 0, done.err
        return done.json()

    def refused(self, *arguments: str, stdin: bytes = b"") -> str:
        done = self.run(*arguments, stdin=stdin)
        assert done.status == 3, (done.text, done.err)
        return done.err


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with MailWorld(tmp_path) as mail, DutiesWorld(tmp_path) as world:
        yield Desk(world, Workplace(tmp_path), mail)


def test_everybody_is_told_from_the_command_line_and_once(desk: Desk) -> None:
    kept = desk.json("account", "contact", GRANTING, "--email", "ann@a.example")
    assert kept["reached_by"] == ["inbox", "email"]
    assert "no e-mail address" in desk.refused("account", "contact", GRANTING, "--email", "nobody")
    assert desk.json("notice", "queue", INCIDENT)["queued"] == 4
    assert desk.json("notice", "queue", INCIDENT)["queued"] == 0
    assert desk.json("notice", "send")["sent"] == 4
    assert desk.json("notice", "send")["sent"] == 0
    assert len(desk.mail.mailbox.to("ann@a.example")) == 1
    listed = desk.json("notice", "list", INCIDENT, "--each")
    assert {(one["medium"], one["state"], one["notices"]) for one in listed["counts"]} == {
        ("email", "sent", 1),
        ("inbox", "sent", 3),
    }
    assert sorted({one["account"] for one in listed["notices"]}) == desk.world.people
    assert "there is no incident" in desk.refused("notice", "queue", "i-9")
    assert "there is no incident" in desk.refused("notice", "list", "i-9")
    assert desk.json("account", "contact", GRANTING, "--forget")["reached_by"] == ["inbox"]


def test_an_obligation_goes_its_way_from_the_command_line(desk: Desk, tmp_path: Path) -> None:
    (opened,) = desk.json("obligation", "open", INCIDENT)["obligations"]
    name = opened["obligation"]
    assert (opened["developer"], opened["deliveries"], opened["is_new"]) == (desk.world.developer, 4, True)
    assert desk.json("obligation", "ack", name, "--text", "by letter")["state"] == "ACKNOWLEDGED"
    shown = desk.json("obligation", "show", name, "--lines", "list.jsonl", "--prove", "1")
    assert [json.loads(line)["delivery"] for line in (tmp_path / "list.jsonl").read_text().splitlines()] == [
        "d-0",
        "d-1",
        "d-2",
        "d-3",
    ]
    assert shown["proof"]["list_root"] == shown["list_root"]
    assert [one["text"] for one in shown["remarks"]] == ["by letter"]
    signing = ("--log", ORIGIN, "--key", "attest.key", "--officer", "J. Doe", "--outcome")
    told = json.dumps(shown).encode()
    done = desk.run("obligation", "sign", "-", *signing, "deleted", stdin=told)
    assert done.status == 0, done.err
    key = done.err.split()[-1]
    assert "no key to sign attestations" in desk.refused("obligation", "attest", name, "-", stdin=done.out)
    assert desk.json("obligation", "key", desk.world.developer, key)["changed"]
    assert desk.json("obligation", "attest", name, "-", stdin=done.out)["state"] == "ATTESTED"
    assert desk.json("obligation", "show", name)["attested"]["officer"] == "J. Doe"
    assert "closed follows VERIFIED" in desk.refused("obligation", "close", name)
    assert desk.json("obligation", "verify", name, "--text", "report 7")["state"] == "VERIFIED"
    assert desk.json("obligation", "close", name)["state"] == "CLOSED"
    (listed,) = desk.json("obligation", "list", "--incident", INCIDENT)["obligations"]
    assert listed["state"] == "CLOSED"


def test_what_cannot_be_is_refused_with_the_fix(desk: Desk) -> None:
    (opened,) = desk.json("obligation", "open", INCIDENT)["obligations"]
    name = opened["obligation"]
    told = json.dumps(opened).encode()
    signing = ("obligation", "sign", "-", "--log", ORIGIN, "--key", "attest.key", "--officer", "J. Doe")
    assert "claims speak of all places" in desk.refused(*signing, "--outcome", "0-2=deleted", stdin=told)
    assert "is no outcome" in desk.refused(*signing, "--outcome", "burnt", stdin=told)
    assert "holds no obligation" in desk.refused(*signing, "--outcome", "deleted", stdin=b"{}")
    assert "is no JSON" in desk.refused("obligation", "attest", name, "-", stdin=b"{")
    assert "escalated follows" in desk.refused("obligation", "escalate", name)
    assert "is no step" in desk.refused("obligation", "escalate", name, "--step", "shout")
    assert "there is no obligation" in desk.refused("obligation", "show", "o-9")
    second = ("--approved-by", "operator:jane", "--text", "x")
    assert "second person" in desk.refused("obligation", "waive", name, "--by", "jane", *second)
    waived = desk.json("obligation", "waive", name, "--by", "eve", *second)
    assert waived["state"] == "WAIVED"


def test_a_hold_is_placed_and_ended(desk: Desk) -> None:
    (opened,) = desk.json("obligation", "open", INCIDENT)["obligations"]
    name = opened["obligation"]
    assert "no legal hold" in desk.refused("obligation", "hold", name)
    assert "hold place" in desk.refused("obligation", "hold", name, "--hold", "h-1")
    placed = ("hold", "place", "--incident", INCIDENT, "--id", "h-1", "--by", "ada")
    assert desk.json(*placed)["accounts"] == 3
    assert desk.json("obligation", "hold", name, "--hold", "h-1", "--by", "eve")["state"] == "HELD"
    assert desk.json("obligation", "hold", name, "--end")["state"] == "OPENED"
    assert [one.actor for one in desk.world.entries("obligation.held")] == ["operator:eve"]
