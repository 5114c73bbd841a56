"""What every Registry must do, whatever database it lies on: subclass and give ``url``."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine

from ledger.errors import RejectedError, StoreError
from ledger.ports import Change, NewEntry
from ledger.ports.registry import Registry
from ledger.store import registry as queries
from ledger.store.entries import SqlEntryStore
from ledger.store.registry import SqlRegistry
from tests.conformance.database_suite import DatabaseSuite
from tests.conformance.service_samples import (
    DAY_MS,
    KINDS,
    NOW_MS,
    WORDS,
    Kind,
    app,
    at_once,
    challenge,
    developer,
    failing_commit,
    is_sorted_by_index,
    notice,
    scanned,
    subscription,
    tag,
    webhook,
)


def entry(seq: int) -> NewEntry:
    data = f'{{"seq":{seq}}}'.encode()
    return NewEntry(seq, f"kind/{seq}", hashlib.sha256(b"\0" + data).digest(), data, False)


class RegistrySuite(DatabaseSuite):
    """The properties of the port, on the database at ``url``, whose tables are made."""

    @pytest.fixture
    def registry(self, engine: Engine) -> Registry:
        return SqlRegistry(engine)

    def test_a_new_registry_is_empty(self, registry: Registry) -> None:
        assert registry.load_developer("dev-a") is None
        assert registry.load_app("100") is None
        assert registry.load_app_of_key("key-100") is None
        assert registry.load_apps() == []
        assert registry.load_webhook("1") is None
        assert registry.load_subscription("1", tag("ann")) is None
        assert registry.count_subscriptions("100") == (0, 0)

    def test_a_developer_is_read_back_and_may_change_its_name(self, registry: Registry) -> None:
        registry.apply([registry.put_developer(developer(name=WORDS))])
        assert registry.load_developer("dev-a") == developer(name=WORDS)
        registry.apply([registry.put_developer(developer(name="B", created_at_ms=1))])
        assert registry.load_developer("dev-a") == developer(name="B")

    def test_an_app_is_read_back_whole(self, registry: Registry) -> None:
        whole = app(
            name=WORDS,
            description=WORDS * 100,
            callbacks=(WORDS, ""),
            can_write=False,
            owner_account=tag("ann"),
        )
        bare = app("200", consumer_key="k", retry_waits_ms=(), callbacks=(), secret_sealed=b"")
        registry.apply([registry.put_app(whole), registry.put_app(bare)])
        assert registry.load_app("100") == whole
        assert registry.load_app("200") == bare
        assert registry.load_app_of_key("key-100") == whole

    def test_an_app_keeps_its_key_and_its_creation_and_may_change_all_else(self, registry: Registry) -> None:
        changed = app(
            developer="dev-b",
            name="Other",
            description="",
            website="",
            secret_sealed=b"another",
            environments=("staging",),
            callbacks=(),
            retry_waits_ms=(1,),
            can_write=False,
            owner_account=tag("ann"),
        )
        registry.apply([registry.put_app(app())])
        registry.apply([registry.put_app(replace(changed, consumer_key="stolen", created_at_ms=5))])
        assert registry.load_app("100") == changed
        assert registry.load_app_of_key("stolen") is None

    def test_an_app_with_anothers_key_changes_nothing_and_fails_nobody(self, registry: Registry) -> None:
        registry.apply([registry.put_app(app())])
        twin = app("200", consumer_key="key-100")
        registry.apply([registry.put_app(twin), registry.put_developer(developer())])
        assert registry.load_app("200") is None
        assert registry.load_app_of_key("key-100") == app()
        assert registry.load_developer("dev-a") is not None

    def test_apps_come_by_age_all_or_a_developers(self, registry: Registry) -> None:
        made = [
            app(str(number), consumer_key=f"k{number}", created_at_ms=NOW_MS - number % 3, developer=owner)
            for number, owner in enumerate(["dev-a", "dev-b", "dev-a", "dev-b"], 1)
        ]
        registry.apply([registry.put_app(one) for one in made])
        assert [one.app for one in registry.load_apps()] == ["2", "1", "4", "3"]
        assert [one.app for one in registry.load_apps("dev-a")] == ["1", "3"]
        assert registry.load_apps("dev-c") == []

    def test_many_apps_come_in_one_look(self, registry: Registry) -> None:
        registry.apply([registry.put_app(app(str(n), consumer_key=f"k{n}")) for n in range(5)])
        found = registry.fetch_apps(["1", "3", "9", "1", "\0", "\ud800"])
        assert {name: one.app for name, one in found.items()} == {"1": "1", "3": "3"}

    def test_a_webhook_is_read_back_whole(self, registry: Registry) -> None:
        failing = webhook(
            "2", url=f"https://é.example/{'p' * 2_000}", is_valid=False, validated_at_ms=None,
            failing_since_ms=NOW_MS + 5, reason=WORDS,
        )  # fmt: skip
        registry.apply([registry.put_webhook(webhook()), registry.put_webhook(failing)])
        assert registry.load_webhook("1") == webhook()
        assert registry.load_webhook("2") == failing

    def test_a_webhook_changes_its_validity_and_schedule_and_nothing_else(self, registry: Registry) -> None:
        registry.apply([registry.put_webhook(webhook())])
        changed = webhook(
            is_valid=False, failing_since_ms=NOW_MS + 9, next_check_at_ms=NOW_MS + 99, reason="High latency",
            validated_at_ms=None,
        )  # fmt: skip
        moved = replace(changed, url="https://b.example/", app="200", environment="other", created_at_ms=1)
        registry.apply([registry.put_webhook(moved)])
        assert registry.load_webhook("1") == changed

    def test_a_deleted_webhook_stays_deleted_whatever_comes_late(self, registry: Registry) -> None:
        gone = webhook(deleted_at_ms=NOW_MS + 10)
        registry.apply([registry.put_webhook(webhook())])
        registry.apply([registry.put_webhook(gone)])
        registry.apply([registry.put_webhook(webhook(next_check_at_ms=NOW_MS + 5))])
        registry.apply([registry.put_webhook(webhook(deleted_at_ms=NOW_MS + 20))])
        found = registry.load_webhook("1")
        assert found is not None
        assert found.deleted_at_ms == NOW_MS + 10
        assert registry.load_webhooks("100") == []

    def test_live_webhooks_of_an_app_come_by_age_all_or_an_environments(self, registry: Registry) -> None:
        made = [
            webhook("1", created_at_ms=NOW_MS + 2),
            webhook("2", created_at_ms=NOW_MS + 1, environment="Prod"),
            webhook("3", created_at_ms=NOW_MS, deleted_at_ms=NOW_MS),
            webhook("4", app="200"),
        ]
        registry.apply([registry.put_webhook(one) for one in made])
        assert [one.webhook for one in registry.load_webhooks("100")] == ["2", "1"]
        assert [one.webhook for one in registry.load_webhooks("100", "prod")] == ["1"]
        assert registry.load_webhooks("100", "PROD") == []

    def test_webhooks_are_due_when_their_time_has_come_the_longest_due_first(
        self, registry: Registry
    ) -> None:
        made = [
            webhook("1", next_check_at_ms=NOW_MS),
            webhook("2", next_check_at_ms=NOW_MS - 5),
            webhook("3", next_check_at_ms=NOW_MS + 1),
            webhook("4", next_check_at_ms=NOW_MS - 9, deleted_at_ms=NOW_MS),
        ]
        registry.apply([registry.put_webhook(one) for one in made])
        assert [one.webhook for one in registry.load_webhooks_due(NOW_MS, 10)] == ["2", "1"]
        assert [one.webhook for one in registry.load_webhooks_due(NOW_MS, 1)] == ["2"]

    def test_a_subscription_is_read_back_whole(self, registry: Registry) -> None:
        registry.apply([registry.put_subscription(subscription())])
        assert registry.load_subscription("1", tag("ann")) == subscription()
        assert registry.load_subscription("2", tag("ann")) is None
        assert registry.load_subscription("1", tag("bob")) is None

    def test_an_account_has_one_live_subscription_at_a_webhook_the_first(self, registry: Registry) -> None:
        registry.apply([registry.put_subscription(subscription())])
        registry.apply([registry.put_subscription(subscription("s-2")), registry.put_developer(developer())])
        registry.apply([registry.put_subscription(subscription(scopes=("likes",)))])
        assert registry.load_subscriptions("1") == [subscription()]
        assert registry.load_developer("dev-a") is not None

    def test_an_ended_subscription_makes_room_for_another_and_counts(self, registry: Registry) -> None:
        registry.apply([registry.put_subscription(subscription())])
        assert registry.count_grants_made("1", tag("ann")) == 1
        registry.apply([registry.end_subscription("s-1", NOW_MS + 5)])
        assert registry.load_subscription("1", tag("ann")) is None
        registry.apply([registry.put_subscription(subscription("s-2"))])
        assert registry.load_subscription("1", tag("ann")) == subscription("s-2")
        assert registry.count_grants_made("1", tag("ann")) == 2

    def test_the_last_subscription_is_the_live_one_or_else_the_one_made_last(
        self, registry: Registry
    ) -> None:
        assert registry.load_last_subscription("1", tag("ann")) is None
        for number in (1, 2):
            made = subscription(f"s-{number}", created_at_ms=NOW_MS + number)
            registry.apply([registry.put_subscription(made)])
            assert registry.load_last_subscription("1", tag("ann")) == made
            registry.apply([registry.end_subscription(made.subscription, NOW_MS + 5)])
            assert registry.load_last_subscription("1", tag("ann")) == replace(made, ended_at_ms=NOW_MS + 5)
        # A clock that went back does not make an older one of what lives.
        live = subscription("s-3", created_at_ms=NOW_MS)
        registry.apply([registry.put_subscription(live)])
        assert registry.load_last_subscription("1", tag("ann")) == live
        assert registry.load_last_subscription("1", tag("bob")) is None
        assert registry.load_last_subscription("2", tag("ann")) is None

    def test_a_subscription_ends_once(self, registry: Registry, engine: Engine) -> None:
        registry.apply([registry.put_subscription(subscription())])
        registry.apply([registry.end_subscription("s-1", NOW_MS + 5)])
        registry.apply([registry.end_subscription("s-1", NOW_MS + 9)])
        registry.apply([registry.end_subscriptions_of_webhook("1", NOW_MS + 9)])
        with engine.connect() as connection:
            row = connection.exec_driver_sql("SELECT ended_at_ms FROM service_subscriptions").one()
        assert row[0] == NOW_MS + 5

    def test_subscriptions_of_a_webhook_come_in_pages(self, registry: Registry) -> None:
        made = [subscription(f"s-{n:03d}", account=tag(str(n))) for n in range(25)]
        elsewhere = subscription("s-005x", webhook="2")
        registry.apply([registry.put_subscription(one) for one in [*reversed(made), elsewhere]])
        first = registry.load_subscriptions("1", count_max=10)
        second = registry.load_subscriptions("1", after=first[-1].subscription, count_max=100)
        assert [*first, *second] == made

    def test_ids_come_in_the_order_of_their_characters(self, registry: Registry) -> None:
        names = ["A", "B", "_", "a", "b", "s-1", "s.1", "s1"]
        made = [subscription(name, account=tag(name)) for name in names]
        registry.apply([registry.put_subscription(one) for one in made])
        assert [one.subscription for one in registry.load_subscriptions("1")] == sorted(names)

    def test_subscriptions_of_an_account_come_by_age_all_or_an_apps(self, registry: Registry) -> None:
        made = [
            subscription("s-1", created_at_ms=NOW_MS + 2),
            subscription("s-2", webhook="2", app="200", created_at_ms=NOW_MS + 1),
            subscription("s-3", webhook="3", created_at_ms=NOW_MS),
            subscription("s-4", account=tag("bob")),
        ]
        registry.apply([registry.put_subscription(one) for one in made])
        registry.apply([registry.end_subscription("s-3", NOW_MS)])
        assert [one.subscription for one in registry.load_subscriptions_of(tag("ann"))] == ["s-2", "s-1"]
        assert [one.subscription for one in registry.load_subscriptions_of(tag("ann"), "100")] == ["s-1"]
        many = registry.fetch_subscriptions([tag("ann"), tag("bob"), tag("cy"), tag("ann")])
        assert {account: [one.subscription for one in found] for account, found in many.items()} == {
            tag("ann"): ["s-2", "s-1"],
            tag("bob"): ["s-4"],
        }

    def test_subscriptions_are_found_by_their_grant_while_they_live(self, registry: Registry) -> None:
        made = [subscription("s-1", grant="g"), subscription("s-2", grant="g", webhook="2")]
        registry.apply([registry.put_subscription(one) for one in made])
        registry.apply([registry.end_subscription("s-1", NOW_MS)])
        assert registry.load_subscriptions_of_grant("g") == [made[1]]

    def test_narrowing_a_grant_narrows_its_live_subscriptions_and_what_is_counted(
        self, registry: Registry
    ) -> None:
        made = [
            subscription("s-1", grant="g"),
            subscription("s-2", grant="g", webhook="2", scopes=("all",)),
            subscription("s-3", webhook="3"),
            subscription("s-4", webhook="4", scopes=("likes",)),
        ]
        registry.apply([registry.put_subscription(one) for one in made])
        assert registry.count_subscriptions("100") == (4, 3)
        registry.apply([registry.narrow_subscriptions("g", ("posts",))])
        assert registry.count_subscriptions("100") == (4, 1)
        narrowed = [one.scopes for one in registry.load_subscriptions_of_grant("g")]
        assert narrowed == [("posts",), ("posts",)]
        registry.apply([registry.end_subscriptions_of_webhook("3", NOW_MS)])
        assert registry.count_subscriptions("100") == (3, 0)
        assert registry.count_subscriptions("200") == (0, 0)

    def test_challenges_come_newest_first_each_once(self, registry: Registry) -> None:
        made = [challenge(NOW_MS + n) for n in range(5)]
        passed = challenge(NOW_MS + 5, is_passed=True, status=None, reason=None, trigger="request")
        registry.apply([registry.add_challenge(one) for one in [*made, passed, made[0]]])
        registry.apply([registry.add_challenge(made[1]), registry.add_challenge(challenge(webhook="2"))])
        assert registry.load_challenges("1") == [passed, *reversed(made)]
        assert registry.load_challenges("1", count_max=2) == [passed, made[4]]

    def test_notices_come_oldest_first_each_once_behind_a_number(self, registry: Registry) -> None:
        made = [notice(f"{WORDS} {n}", at_ms=NOW_MS - n) for n in range(5)]
        registry.apply([registry.add_notice(one) for one in made])
        registry.apply([registry.add_notice(one) for one in [*made, notice(account=tag("bob"))]])
        found = registry.load_notices(tag("ann"))
        assert [replace(one, number=0) for one in found] == made
        assert [one.number for one in found] == sorted({one.number for one in found})
        assert registry.load_notices(tag("ann"), after=found[2].number) == found[3:]
        assert registry.load_notices(tag("ann"), count_max=2) == found[:2]

    def test_notices_that_differ_in_anything_are_two(self, registry: Registry) -> None:
        made = [notice(), notice(grant=None), notice(kind="grant.revoked"), notice("x"), notice(at_ms=1)]
        registry.apply([registry.add_notice(one) for one in made])
        assert len(registry.load_notices(tag("ann"))) == 5

    @pytest.mark.parametrize("stranger", ["", "\0", "1\0", "\ud800", "1 ", "' OR 1=1 --", "é" * 5_000])
    def test_what_a_stranger_sends_is_looked_for_and_not_found(
        self, registry: Registry, stranger: str
    ) -> None:
        registry.apply([registry.put_app(app()), registry.put_webhook(webhook())])
        assert registry.load_app(stranger) is None
        assert registry.load_app_of_key(stranger) is None
        assert registry.load_webhook(stranger) is None
        assert registry.load_subscription(stranger, stranger) is None
        assert registry.fetch_subscriptions([stranger]) == {}

    @pytest.mark.parametrize("number", [2**62, 2**63, 2**200, -(2**200)])
    def test_a_number_beyond_every_table_is_looked_for(self, registry: Registry, number: int) -> None:
        registry.apply([registry.put_webhook(webhook()), registry.add_notice(notice())])
        assert len(registry.load_webhooks_due(number, 10)) == (number > 0)
        assert len(registry.load_notices(tag("ann"), after=number)) == (number < 0)

    @pytest.mark.parametrize("text", ["\0", "ab\0c", "\ud800", "\udfff!"])
    def test_a_text_that_no_table_keeps_is_refused_when_the_change_is_made(
        self, registry: Registry, text: str
    ) -> None:
        makes: list[Callable[[], Change]] = [
            lambda: registry.put_developer(developer(name=text)),
            lambda: registry.put_app(app(website=text)),
            lambda: registry.put_webhook(webhook(url=text)),
            lambda: registry.put_subscription(subscription(account=text)),
            lambda: registry.add_challenge(challenge(reason=text)),
            lambda: registry.add_notice(notice(text)),
            lambda: registry.end_subscription(text, NOW_MS),
        ]
        for make in makes:
            with pytest.raises(RejectedError, match="NUL or half a character"):
                make()

    @pytest.mark.parametrize(
        "changed",
        [{"webhook": "1" * 65}, {"created_at_ms": 2**63}, {"next_check_at_ms": -1}, {"reason": "r" * 70_000}],
    )
    def test_what_is_too_long_or_too_large_is_refused_when_the_change_is_made(
        self, registry: Registry, changed: dict[str, Any]
    ) -> None:
        with pytest.raises(RejectedError, match=next(iter(changed))):
            registry.put_webhook(webhook(**changed))

    def test_changes_become_durable_with_an_entry(self, registry: Registry, engine: Engine) -> None:
        changes = [
            registry.put_developer(developer()),
            registry.put_app(app()),
            registry.add_notice(notice()),
        ]
        store = SqlEntryStore(engine)
        size = store.size()
        store.append(size, [entry(size)], changes)
        assert registry.load_app("100") == app()
        assert len(registry.load_notices(tag("ann"))) == 1

    def test_changes_are_not_made_where_the_entry_is_not_appended(
        self, registry: Registry, engine: Engine
    ) -> None:
        store = SqlEntryStore(engine)
        size = store.size()
        with failing_commit(engine, "before"), pytest.raises(StoreError):
            store.append(size, [entry(size)], [registry.put_developer(developer())])
        assert registry.load_developer("dev-a") is None

    def test_no_change_fails_for_what_is_there_or_has_gone(self, registry: Registry) -> None:
        changes = self.one_of_each(registry)
        registry.apply([registry.end_subscription("s-9", 1), registry.narrow_subscriptions("g-9", ())])
        registry.apply(changes)
        registry.apply([*changes, *changes])
        registry.apply([registry.put_webhook(webhook(deleted_at_ms=1)), registry.end_subscription("s-1", 1)])
        registry.apply(changes)
        assert registry.load_webhooks("100") == []
        assert registry.count_grants_made("1", tag("ann")) == 1

    def one_of_each(self, registry: Registry) -> list[Change]:
        return [
            registry.put_developer(developer()),
            registry.put_app(app()),
            registry.put_webhook(webhook()),
            registry.put_subscription(subscription()),
            registry.narrow_subscriptions("g-s-1", ("posts",)),
            registry.add_challenge(challenge()),
            registry.add_notice(notice()),
        ]

    @pytest.mark.parametrize("kind", KINDS)
    def test_changes_whose_write_failed_can_be_made_again(
        self, registry: Registry, engine: Engine, kind: Kind
    ) -> None:
        changes = self.one_of_each(registry)
        with failing_commit(engine, kind), pytest.raises(StoreError):
            registry.apply(changes)
        assert (registry.load_app("100") is not None) == (kind == "after")
        registry.apply(changes)
        assert registry.load_app("100") == app()
        assert registry.load_subscriptions("1") == [subscription(scopes=("posts",))]
        assert len(registry.load_challenges("1")) == 1
        assert len(registry.load_notices(tag("ann"))) == 1

    def test_of_subscriptions_that_race_exactly_one_lives(self, registry: Registry) -> None:
        made = [subscription(f"s-{n}") for n in range(12)]
        outcomes = at_once(
            *[lambda one=one: registry.apply([registry.put_subscription(one)]) for one in made]
        )
        assert outcomes == [None] * 12
        assert registry.count_grants_made("1", tag("ann")) == 1

    def test_changes_that_cross_do_not_lock_each_other_out(self, registry: Registry) -> None:
        made = [subscription(f"s-{n:02d}", webhook=str(n)) for n in range(40)]
        registry.apply([registry.put_subscription(one) for one in made])
        forth = [registry.narrow_subscriptions(one.grant, ("posts",)) for one in made]
        back = [registry.narrow_subscriptions(one.grant, ("likes",)) for one in reversed(made)]
        outcomes = at_once(*[lambda some=some: registry.apply(some) for some in [forth, back] * 6])
        assert outcomes == [None] * 12

    def test_what_is_asked_for_is_found_by_an_index(self, filled: Engine) -> None:
        account = tag("ann")
        for statement, values in (
            (queries.LOAD_DEVELOPER, {"developer": "dev-a"}),
            (queries.LOAD_APP, {"app": "100"}),
            (queries.LOAD_APP_OF_KEY, {"consumer_key": "k"}),
            (queries.LOAD_WEBHOOK, {"webhook": "1"}),
            (queries.LOAD_SUBSCRIPTION, {"webhook": "1", "account": account}),
            (queries.LOAD_SUBSCRIPTIONS_OF_GRANT, {"grant": "g-1"}),
            (queries.COUNT_GRANTS_MADE, {"webhook": "1", "account": account}),
            (queries.LOAD_LAST_SUBSCRIPTION, {"webhook": "1", "account": account}),
            (queries.COUNT_SUBSCRIPTIONS, {"app": "100"}),
        ):
            assert scanned(filled, statement, **values) == [], statement.text

    def test_a_page_of_what_is_asked_for_comes_out_of_an_index_in_order(self, filled: Engine) -> None:
        account, page = tag("ann"), {"count_max": 10}
        for statement, values in (
            (queries.LOAD_APPS_OF, {"developer": "dev-a"}),
            (queries.LOAD_WEBHOOKS, {"app": "100"}),
            (queries.LOAD_WEBHOOKS_DUE, {"now_ms": NOW_MS + DAY_MS, **page}),
            (queries.LOAD_SUBSCRIPTIONS, {"webhook": "1", "after": "", **page}),
            (queries.LOAD_SUBSCRIPTIONS_OF, {"account": account}),
            (queries.LOAD_CHALLENGES, {"webhook": "1", **page}),
            (queries.LOAD_NOTICES, {"account": account, "after": 0, **page}),
        ):
            assert scanned(filled, statement, **values) == [], statement.text
            assert is_sorted_by_index(filled, statement, **values), statement.text
