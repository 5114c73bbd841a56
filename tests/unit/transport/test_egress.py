"""Which hosts may be connected to, and where: every address public, or the name is refused."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

import pytest

from ledger.transport.egress import ADDRESSES_MAX, Egress, NotVetted, Vetted
from ledger.transport.lookup import TimedLookup
from ledger.transport.overrides import HostOverrides

PUBLIC = "93.184.215.14"
PUBLIC_V6 = "2606:2800:21f:cb07:6820:80da:af6b:8b2c"


def egress(*answers: Iterable[str] | OSError, overrides: str = "") -> Egress:
    """An egress whose resolver gives ``answers``, one a question."""
    left = iter(answers)

    def lookup(host: str) -> tuple[str, ...]:
        answer = next(left)
        if isinstance(answer, OSError):
            raise answer
        return tuple(answer)

    return Egress(TimedLookup(lookup), HostOverrides.parse(overrides))


def test_a_host_with_public_addresses_is_reached_there_at_443() -> None:
    assert egress([PUBLIC_V6, PUBLIC]).vet("a.example", 1.0) == Vetted((PUBLIC_V6, PUBLIC), 443)


@pytest.mark.parametrize(
    "inside",
    [
        "127.0.0.1",
        "10.1.2.3",
        "169.254.169.254",
        "::1",
        "fd00:ec2::254",
        "::ffff:93.184.215.14",
        "fe80::1%eth0",
    ],
)
@pytest.mark.parametrize("order", [list, lambda addresses: list(reversed(addresses))])
def test_one_address_that_is_not_public_refuses_the_whole_host(
    inside: str, order: Callable[[list[str]], list[str]]
) -> None:
    found = egress(order([PUBLIC, inside])).vet("a.example", 1.0)
    assert isinstance(found, NotVetted)
    assert (found.is_refused, found.is_timeout) == (True, False)


def test_a_refusal_does_not_tell_what_the_operators_resolver_knows() -> None:
    found = egress(["10.1.2.3"]).vet("a.example", 1.0)
    assert isinstance(found, NotVetted)
    assert "10.1.2.3" not in found.reason


def test_every_attempt_asks_anew() -> None:
    changing = egress([PUBLIC], ["10.0.0.1"], [PUBLIC])
    outcomes = [isinstance(changing.vet("a.example", 1.0), Vetted) for _ in range(3)]
    assert outcomes == [True, False, True]


@pytest.mark.parametrize("host", [PUBLIC, PUBLIC_V6])
def test_an_address_in_a_url_is_vetted_without_a_question(host: str) -> None:
    assert egress().vet(host, 1.0) == Vetted((host,), 443)


def test_an_address_in_a_url_is_vetted_in_the_form_in_which_peers_are_observed() -> None:
    assert egress().vet("2606:2800:021F:0::1", 1.0) == Vetted(("2606:2800:21f::1",), 443)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "169.254.169.254", "::ffff:7f00:1", "192.168.1.1"])
def test_an_address_in_a_url_that_is_not_public_is_refused(host: str) -> None:
    found = egress().vet(host, 1.0)
    assert isinstance(found, NotVetted)
    assert found.is_refused


@pytest.mark.parametrize("host", ["localhost", "127.1", "0x7f000001", "2130706433", "017700000001"])
def test_loopback_by_any_other_name_is_not_reached(host: str) -> None:
    assert isinstance(Egress().vet(host, 5.0), NotVetted)


def test_a_name_that_does_not_exist_is_no_refusal() -> None:
    found = egress(OSError("Name or service not known")).vet("a.example", 1.0)
    assert found == NotVetted("the name was not resolved: Name or service not known", is_refused=False)


def test_a_name_without_addresses_is_no_refusal() -> None:
    found = egress([]).vet("a.example", 1.0)
    assert isinstance(found, NotVetted)
    assert not found.is_refused


def test_a_name_with_very_many_addresses_is_refused() -> None:
    many = [f"8.8.8.{number}" for number in range(1, ADDRESSES_MAX + 2)]
    assert isinstance(egress(many[:-1]).vet("a.example", 1.0), Vetted)
    assert isinstance(egress(many).vet("a.example", 1.0), NotVetted)


def test_a_late_answer_is_a_timeout() -> None:
    stuck = threading.Event()

    def lookup(host: str) -> tuple[str, ...]:
        stuck.wait(10.0)
        return (PUBLIC,)

    found = Egress(TimedLookup(lookup)).vet("a.example", 0.05)
    stuck.set()
    assert isinstance(found, NotVetted)
    assert (found.is_refused, found.is_timeout) == (False, True)


def test_only_hosts_that_the_operator_named_lie_on_loopback() -> None:
    made = egress(["127.0.0.1"], overrides="a.example=127.0.0.1:8443")
    assert made.vet("a.example", 1.0) == Vetted(("127.0.0.1",), 8443)
    assert isinstance(made.vet("b.example", 1.0), NotVetted)


def test_an_override_does_not_cover_the_names_below() -> None:
    made = egress(["127.0.0.1"], overrides="a.example=127.0.0.1:8443")
    assert isinstance(made.vet("x.a.example", 1.0), NotVetted)
