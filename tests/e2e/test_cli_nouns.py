"""Developers, apps, accounts, keys and tickets from the command line, as processes, also while the service runs."""

from __future__ import annotations

import json
import shutil
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from ledger.core.ticket import format_ticket
from ledger.gateway.asked import Permitted
from ledger.service_settings import load_service_settings
from ledger.settings import load_settings
from ledger.wiring.service import Service, open_service
from tests.support.cli_process import Workplace
from tests.support.delivering_world import asked

ORIGIN = "ledger.example/nouns"
ACCOUNT = "783214"


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    """A directory with a new ledger."""
    made = Workplace(tmp_path)
    made.good("init", "--origin", ORIGIN)
    return made


@contextmanager
def opened(place: Workplace) -> Iterator[Service]:
    """The service on the ledger of ``place``, in this process."""
    environment = {"GRANTLEDGER_DB": str(place.directory / "grantledger.db")}
    with open_service(load_settings(environment), load_service_settings(environment)) as service:
        yield service


def entries(place: Workplace) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(place.directory / "grantledger.db")) as connection:
        return [json.loads(row[0]) for row in connection.execute("SELECT data FROM entries ORDER BY seq")]


def make_app(place: Workplace) -> dict[str, Any]:
    place.good("developer", "create", "Acme Ltd", "--id", "dev-acme")
    return place.good(
        "app", "create", "--developer", "dev-acme", "--name", "DeskLine", "--id", "4711", "--json"
    ).json()


def permit(place: Workplace) -> Permitted:
    """An authorization of a post, asked for with parties of its own."""
    records: list[dict[str, Any]] = [
        {"kind": "developer.registered", "developer": "dev-a"},
        {"kind": "app.registered", "app": "app-a", "developer": "dev-a"},
        {
            "kind": "endpoint.registered",
            "endpoint": "wh-a",
            "app": "app-a",
            "environment": "prod",
            "url": "https://a.example/hook",
        },
        {
            "kind": "grant.issued",
            "grant": "g-1",
            "account": ACCOUNT,
            "developer": "dev-a",
            "app": "app-a",
            "environment": "prod",
            "scopes": ["posts"],
        },
    ]
    with opened(place) as service:
        lines = [json.dumps({**record, "at": "2020-01-01T00:00:00Z"}).encode() for record in records]
        service.reports.append(lines, "platform:k1")
        (answer,) = service.authorizer.authorize([("platform:k1", asked())])
    assert isinstance(answer, Permitted)
    return answer


def test_a_developer_and_an_app_are_in_the_log_and_in_the_service(place: Workplace) -> None:
    made = make_app(place)
    assert [entry["kind"] for entry in entries(place)[1:]] == ["developer.registered", "app.registered"]
    (listed,) = place.good("app", "list", "--json").json()["apps"]
    assert (listed["app"], listed["consumer_key"]) == ("4711", made["consumer_key"])
    assert "consumer_secret" not in listed
    (developer,) = place.good("developer", "list", "--json").json()["developers"]
    assert developer == {"developer": "dev-acme", "name": "Acme Ltd", "apps": ["4711"]}


def test_an_app_made_again_keeps_its_secret_and_gets_another_owners_token(place: Workplace) -> None:
    first, again = make_app(place), make_app(place)
    for name in ("consumer_key", "consumer_secret", "bearer_token"):
        assert first[name] == again[name]
    assert first["access_token"] != again["access_token"]
    assert len(entries(place)) == 3


def test_what_the_app_was_given_is_what_the_service_knows(place: Workplace) -> None:
    made = make_app(place)
    from ledger.gateway.tokens import hash_of, secret_context

    with opened(place) as service:
        bearer = service.credentials.load_token(hash_of(made["bearer_token"]))
        owner = service.credentials.load_token(hash_of(made["access_token"]))
        assert bearer is not None
        assert (bearer.kind, bearer.app) == ("bearer", "4711")
        assert owner is not None
        assert (owner.kind, owner.account) == ("access", None)
        assert owner.secret_sealed is not None
        opened_secret = service.sealing.open_secret(secret_context(owner.token_hash), owner.secret_sealed)
        assert opened_secret == made["access_token_secret"]


def test_an_app_that_an_account_owns_gets_that_accounts_token(place: Workplace) -> None:
    make_app(place)
    from ledger.gateway.tokens import hash_of

    create = ("app", "create", "--developer", "dev-acme", "--name", "DeskLine", "--id", "4711", "--json")
    made = place.good(*create, "--owner-account", "783214").json()
    assert made["access_token"].startswith("783214-")
    with opened(place) as service:
        tag = service.parties.create_account("783214").tag
        token = service.credentials.load_token(hash_of(made["access_token"]))
        app = service.registry.load_app("4711")
    assert token is not None
    assert app is not None
    assert (token.account, token.scopes, app.owner_account) == (tag, ("all",), tag)
    refused = place.run(*create, "--owner-account", "5550001")
    assert (refused.status, refused.out) == (3, b"")


def test_an_account_is_registered_once_and_gives_an_app_a_token_for_its_scopes(place: Workplace) -> None:
    make_app(place)
    arguments = (
        "account",
        "create",
        ACCOUNT,
        "--app",
        "4711",
        "--scope",
        "posts",
        "--scope",
        "likes",
        "--json",
    )
    first, again = place.good(*arguments).json(), place.good(*arguments).json()
    assert first["tag"] == again["tag"]
    assert [entry["kind"] for entry in entries(place)].count("account.registered") == 1
    assert ACCOUNT not in json.dumps(entries(place))
    from ledger.gateway.tokens import hash_of

    with opened(place) as service:
        token = service.credentials.load_token(hash_of(first["access_token"]))
    assert token is not None
    assert (token.account, token.scopes) == (first["tag"], ("likes", "posts"))


def test_keys_are_given_out_listed_without_their_secret_and_taken_back(place: Workplace) -> None:
    made = place.good("apikey", "create", "platform", "--name", "event bus", "--json").json()
    person = place.good("account", "key", ACCOUNT, "--json").json()
    assert made["api_key"].startswith(f"glk_{made['key']}_")
    listed = place.good("apikey", "list", "--json")
    assert made["api_key"].rpartition("_")[2] not in listed.text
    assert [(key["key"], key["role"], key["subject"]) for key in listed.json()["keys"]] == [
        (made["key"], "platform", ""),
        (person["key"], "person", person["subject"]),
    ]
    place.good("apikey", "revoke", made["key"])
    assert place.good("apikey", "list", "--json").json()["keys"][0]["revoked_at"] is not None
    assert place.run("apikey", "revoke", made["key"]).status == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("app", "create", "--developer", "dev-none", "--name", "X"), "unknown"),
        (("developer", "create", " "), "empty"),
        (("account", "create", "a b"), "an account's id"),
        (("account", "create", "1", "--app", "none"), "app list"),
        (("account", "create", "1", "--scope", "posts"), "--app"),
        (("apikey", "create", "wizard"), "no role"),
        (("apikey", "create", "developer"), "speaks for somebody"),
        (("apikey", "create", "developer", "--for", "dev-none"), "developer list"),
        (("apikey", "create", "platform", "--for", "1"), "speaks for nobody"),
        (("check-ticket", "x", "--vkey", "none"), "none"),
        (("check-ticket", "x"), "not a ticket"),
        (("check-ticket", "x", "--tiles", "."), "--vkey"),
    ],
)
def test_a_mistake_ends_in_one_line_that_says_what_to_do(
    tmp_path_factory: pytest.TempPathFactory, arguments: tuple[str, ...], said: str
) -> None:
    directory = tmp_path_factory.getbasetemp() / "mistakes"
    place = Workplace(directory)
    if not directory.exists():
        directory.mkdir()
        place.good("init", "--origin", ORIGIN)
    done = place.run(*arguments)
    assert (done.status, done.out) == (3, b"")
    assert said in done.err
    assert done.err.count("\n") == 1


def test_a_ticket_is_checked_offline_with_the_public_key_alone(place: Workplace, tmp_path: Path) -> None:
    answer = permit(place)
    ticket = answer.ticket
    elsewhere = Workplace(tmp_path / "elsewhere")
    elsewhere.directory.mkdir()
    (elsewhere.directory / "log.vkey").write_bytes(place.good("log", "vkey").out)
    checked = elsewhere.good("check-ticket", ticket, "--vkey", "log.vkey", "--json").json()
    assert (checked["origin"], checked["promise"]) == (ORIGIN, None)
    headers = f"HTTP/1.1 200 OK\r\nX-Ledger-Entry: {ticket}\r\nfoo: bar\r\n".encode()
    assert elsewhere.run("check-ticket", "--vkey", "log.vkey", stdin=headers).status == 0
    bent = ticket.replace(answer.leaf_hash, answer.leaf_hash[::-1])
    done = elsewhere.run("check-ticket", bent, "--vkey", "log.vkey")
    assert (done.status, done.out) == (2, b"")


def test_a_ticket_is_held_against_the_database_and_the_published_log(place: Workplace) -> None:
    answer = permit(place)
    done = place.good("check-ticket", answer.ticket, "--json").json()
    assert (done["seq"], done["leaf_hash"], done["promise"]) == (answer.seq, answer.leaf_hash, "kept")
    place.good("seal")
    place.good("log", "publish", "public")
    against = ("--tiles", "public", "--vkey", "public/log.vkey", "--json")
    assert place.good("check-ticket", answer.ticket, *against).json()["promise"] == "kept"
    with opened(place) as service:
        (later,) = service.authorizer.authorize([("platform:k1", asked(delivery="d-2"))])
    assert isinstance(later, Permitted)
    assert place.good("check-ticket", later.ticket, *against).json()["promise"] == "not there yet"


def test_a_promise_that_the_log_does_not_keep_is_evidence(place: Workplace) -> None:
    permit(place)
    with opened(place) as service:
        forged = format_ticket(ORIGIN, 1, bytes(32), service.ledger.signer)
    place.good("seal")
    place.good("log", "publish", "public")
    for against in ((), ("--tiles", "public", "--vkey", "public/log.vkey")):
        done = place.run("check-ticket", forged, *against, "--json")
        assert (done.status, done.json()["promise"]) == (2, "broken")
        assert "keep the ticket" in done.err


def test_a_published_log_that_contradicts_itself_proves_nothing(place: Workplace) -> None:
    ticket = permit(place).ticket
    place.good("seal")
    place.good("log", "publish", "public")
    bundle = next((place.directory / "public" / "tile" / "entries").rglob("*.p/*"))
    data = bundle.read_bytes()
    bundle.write_bytes(data.replace(b'"delivery":"d-1"', b'"delivery":"d-9"'))
    done = place.run("check-ticket", ticket, "--tiles", "public", "--vkey", "public/log.vkey")
    assert (done.status, done.out) == (2, b"")
    shutil.rmtree(place.directory / "public")
    assert place.run("check-ticket", ticket, "--tiles", "public", "--vkey", "log.vkey").status == 3


def test_commands_work_while_the_service_runs(place: Workplace) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    serving = place.start("serve", "--listen", f"127.0.0.1:{port}", "--quiet")
    try:
        wait_until_served(url)
        made = make_app(place)
        key = place.good("apikey", "create", "platform", "--json").json()
        headers = {"authorization": f"Bearer {key['api_key']}"}
        # The running service knows the key and the app at once, and appends behind what the commands appended.
        record = {"kind": "app.suspended", "app": made["app"], "at": "2020-01-01T00:00:00Z"}
        answer = httpx.post(f"{url}/v1/records", json=[record], headers=headers, timeout=30)
        assert answer.json()["results"][0]["status"] == "appended", answer.text
        place.good("developer", "create", "Other Ltd")
        place.good("apikey", "revoke", key["key"])
        answer = httpx.post(f"{url}/v1/records", json=[record], headers=headers, timeout=30)
        assert answer.status_code == 401
    finally:
        serving.terminate()
        assert serving.wait(60) == 0
    assert [entry["kind"] for entry in entries(place) if entry["kind"] != "index.sealed"] == [
        "ledger.opened",
        "developer.registered",
        "app.registered",
        "app.suspended",
        "developer.registered",
    ]
    place.good("seal")
    assert place.run("verify", "--engine", "scalar").status == 0


def wait_until_served(url: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            if httpx.get(f"{url}/healthz", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            assert time.monotonic() < deadline, "the service did not start"
            time.sleep(0.1)
