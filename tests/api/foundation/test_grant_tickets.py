"""What an account holds against an operator that would rather not have been told: the ticket of each entry of its own."""

from __future__ import annotations

from ledger.core.ticket import TICKET_HEADER, Ticket, check_ticket
from ledger.transparency.promises import check_recorded_promise
from tests.api.foundation.browser import Browser, text_of
from tests.api.foundation.test_account import revocation_of, subscribe, with_key
from tests.api.foundation.test_grants import delete, record, revocations, subscribed
from tests.api.foundation.world import ALICE, BOB, WebWorld


def checked(world: WebWorld, text: str) -> Ticket:
    """A ticket that this log signed."""
    return check_ticket(text, [world.service.ledger.verifier])


def entry(world: WebWorld, seq: int) -> bytes:
    return next(iter(world.service.ledger.store.fetch_range(seq, seq + 1))).data


def test_whoever_revokes_is_given_the_ticket_of_its_revocation(world: WebWorld) -> None:
    made = subscribed(world)
    answer = delete(world, world.key("person", made.account), made.grant)
    ticket = checked(world, answer.headers[TICKET_HEADER])
    assert [entry(world, ticket.seq)] == revocations(world)
    assert check_recorded_promise(ticket, world.service.ledger.store) == "kept"


def test_a_revocation_that_is_repeated_is_given_the_ticket_of_the_first(world: WebWorld) -> None:
    made = subscribed(world)
    key = world.key("person", made.account)
    first, again = (delete(world, key, made.grant).headers[TICKET_HEADER] for _ in range(2))
    assert first == again


def test_a_revocation_that_is_not_in_the_log_breaks_its_promise(world: WebWorld) -> None:
    made = subscribed(world)
    answer = delete(world, world.key("person", made.account), made.grant)
    ticket = checked(world, answer.headers[TICKET_HEADER])

    class Suppressing:
        """The log without what was revoked: the entry at its place is the one before it."""

        def fetch_range(self, start: int, end: int) -> object:
            return world.service.ledger.store.fetch_range(start - 1, end - 1)

    assert check_recorded_promise(ticket, Suppressing()) == "broken"  # type: ignore[arg-type]


def test_an_account_ends_an_app_and_is_given_a_ticket(world: WebWorld) -> None:
    subscribe(world)
    key = world.key("person", world.account(ALICE).tag)
    answer = with_key(world, "DELETE", "/v1/account/apps/app-a", key)
    assert entry(world, checked(world, answer.headers[TICKET_HEADER]).seq) == revocations(world)[0]
    assert TICKET_HEADER not in with_key(world, "DELETE", "/v1/account/apps/nothing", key).headers


def test_an_account_lists_the_tickets_of_all_that_was_done_in_its_name_and_of_nobody_else(
    world: WebWorld,
) -> None:
    record(world)
    record(world, "g-bob", BOB)
    key = world.key("person", world.account(ALICE).tag)
    delete(world, key, "g-recorded")
    rows = with_key(world, "GET", "/v1/account/tickets", key).json()["tickets"]
    assert [(one["grant"], one["app"], one["kind"]) for one in rows] == [
        ("g-recorded", "app-a", "grant.issued"),
        ("g-recorded", "app-a", "grant.revoked"),
    ]
    for one in rows:
        ticket = checked(world, one["ticket"])
        assert ticket.seq == one["seq"]
        assert f'"kind":"{one["kind"]}"'.encode() in entry(world, ticket.seq)


def test_the_page_gives_the_ticket_as_a_file_to_the_account_alone(world: WebWorld) -> None:
    subscribe(world)
    browser, stranger = Browser(world), Browser(world)
    browser.sign_in()
    stranger.sign_in(BOB)
    page = browser.send(revocation_of(browser), "/account")
    if page.status_code == 303:
        page = browser.http.get("/account?ended=app-a")
    (seq,) = {seq for seq in range(60) if f"entry-{seq}.ticket" in text_of(page)}
    file = browser.http.get(f"/account/tickets/{seq}")
    assert file.headers["content-disposition"] == f'attachment; filename="entry-{seq}.ticket"'
    text = file.text.removeprefix(f"{TICKET_HEADER}: ").strip()
    assert entry(world, checked(world, text).seq) == revocations(world)[0]
    assert stranger.http.get(f"/account/tickets/{seq}").status_code == 404
    assert "ticket" not in Browser(world).http.get(f"/account/tickets/{seq}").text


def test_no_account_is_given_tickets_of_entries_that_are_not_about_its_grants(world: WebWorld) -> None:
    subscribe(world)
    browser = Browser(world)
    browser.sign_in()
    assert browser.http.get("/account/tickets/0").status_code == 404
