"""One seeded run: somebody does something, anything may fail, and in the end everything is looked at.

What is drawn depends on the seed alone, so a seed that breaks something breaks it again:
``python -m tests.simulation --seed N``.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import structlog

from ledger.errors import LedgerError, RejectedError, StoreError
from ledger.gateway.offered import Accepted, NotAccepted, OfferedEvent
from ledger.gateway.replay import ReplayRefused, ResendRefused
from ledger.gateway.subscriptions import DuplicateSubscription, Evidence
from ledger.ports import Permit
from ledger.ports.outbox import Leased
from ledger.sequencer.draft import Draft, expect
from tests.simulation.faults import FAULTS, Died
from tests.simulation.network import SimulatedTransport
from tests.simulation.truth import APP_OF, Broken, Granted, Model, Witness
from tests.simulation.world import (
    ACCOUNTS,
    APPS,
    PEOPLE,
    MakeTransport,
    Place,
    Process,
    copy_template,
    open_place,
)

STEPS = 40
TRIES = 12
EVIDENCE = Evidence("oauth1", b"signed", "5" * 64)
SCOPES = (("posts",), ("direct_messages", "posts"), ("all",), ("deletions", "lifecycle", "likes"))


@dataclass(frozen=True, slots=True)
class Deed:
    """Something that is done until it is acknowledged, and what is true from then on."""

    what: str
    do: Callable[[Process], None]
    then: Callable[[], None]


class Player:
    """Plays one seed at one place."""

    def __init__(
        self, directory: Path, seed: int, make_transport: MakeTransport = SimulatedTransport
    ) -> None:
        copy_template(directory)
        self.random = random.Random(seed)
        self.place: Place = open_place(directory, seed, make_transport)
        self.model = Model()
        self.witness = Witness(self.place, self.model)
        self.trace: list[str] = []
        self.accepted: dict[str, int] = {}
        self._leased: list[Leased] = []
        self._events = 0
        self._depth = 0
        self._undone: Deed | None = None
        self._in_flight: list[Permit] = []
        self.place.network.on_byte = self._on_byte
        self.place.network.meanwhile = self._meanwhile
        self.process = Process(self.place)
        self.webhooks = {
            host: webhook.webhook
            for app in APPS
            for webhook in self.process.registry.load_webhooks(app)
            if (host := webhook.url.split("/")[2])
        }

    def run(self, steps: int = STEPS) -> None:
        """Play ``steps`` steps, come to rest, look; raises Broken. The process is closed at the end."""
        with structlog.testing.capture_logs():
            try:
                for _ in range(4):
                    self._perform(self._subscribe())
                for _ in range(steps):
                    self._alive(self._step)
                self._come_to_rest()
                self.witness.check_end(self.process, self.accepted)
            finally:
                self.process.close()

    def say(self, text: str) -> None:
        """Add a line to the trace."""
        self.trace.append(f"{self.place.clock.ms - 1_500_000_000_000:>10} {'  ' * self._depth}{text}")

    def _alive(self, doing: Callable[[], None]) -> None:
        """Do something; whoever dies of it is opened again, and finishes what was asked of it."""
        try:
            doing()
        except Died as death:
            self._reopen(f"died: {death}")
            undone, self._undone = self._undone, None
            if undone is not None:
                self._perform(undone)

    def _reopen(self, why: str) -> None:
        self.say(why)
        self._depth = 0
        self.process.close()
        self.place.faults.clear()
        self.process = Process(self.place)

    def _step(self) -> None:
        draw = self.random.random
        if draw() < 0.3:
            self.place.faults.plan(self.random.randrange(12), self.random.choice(FAULTS))
        for chance, act in (
            (0.24, self._offer),
            (0.40, self._dispatch),
            (0.08, self._deed),
            (0.10, self._wait),
            (0.04, self._replay),
            (0.04, self._rescue),
            (0.03, self._stale),
            (0.03, self._resend),
            (0.02, self._jump),
            (0.02, self._restart),
        ):
            if draw() < chance * 1.6:
                act()
                return

    def _offer(self) -> None:
        offered = [self._event() for _ in range(self.random.choice((1, 1, 2, 4)))]
        if self.random.random() < 0.2:
            offered.append(offered[0])
        results: list[Accepted | NotAccepted] = []

        def do(process: Process) -> None:
            results[:] = process.intake.accept(offered)

        def then() -> None:
            for event, result in zip(offered, results, strict=True):
                told = event.payload.get("user_event")
                if told is not None:
                    self._revoked_by_platform(told["revoke"])
                if isinstance(result, Accepted) and not result.is_duplicate:
                    self.accepted[result.event_id + str(event.payload.get("for_user_id"))] = result.parcels
                self.say(f"  {next(iter(event.payload.keys() - {'for_user_id'}))}: {result}")

        # The platform offers them again until it is told that they are kept.
        self._perform(Deed(f"offered {len(offered)} events", do, then))

    def _event(self) -> OfferedEvent:
        pick = self.random.choice
        self._events += 1
        account, other = pick(ACCOUNTS), pick(PEOPLE)
        number = str(5_000 + self._events)
        user = {"id_str": other, "protected": self.random.random() < 0.3}
        payloads: list[dict[str, Any]] = [
            {"for_user_id": account, "tweet_create_events": [{"id_str": number, "user": user}]},
            {
                "for_user_id": account,
                "direct_message_events": [
                    {
                        "id": number,
                        "message_create": {"sender_id": other, "target": {"recipient_id": account}},
                    }
                ],
            },
            {
                "for_user_id": account,
                "tweet_delete_events": [{"status": {"id": str(5_000 + self._events // 2), "user_id": other}}],
            },
            {"for_user_id": account, "favorite_events": [{"id": number, "favorited_status": {"user": user}}]},
        ]
        payload = pick(payloads)
        if self.random.random() < 0.06:
            revoked = {
                "date_time": number,
                "target": {"app_id": pick(list(APPS))},
                "source": {"user_id": account},
            }
            payload = {"user_event": {"revoke": revoked}}
        body = json.dumps(payload).encode() if self.random.random() < 0.5 else None
        return OfferedEvent(payload, body)

    def _revoked_by_platform(self, told: dict[str, Any]) -> None:
        account, app = told["source"]["user_id"], told["target"]["app_id"]
        for one, host in list(self.model.granted):
            if one == account and APP_OF[host] == app:
                del self.model.granted[one, host]

    def _dispatch(self) -> None:
        with suppress(StoreError):
            leased = self.process.dispatcher.claim()
            self._leased = [*self._leased[-10:], *leased]
            for one in leased:
                self._deliver(one)

    def _deliver(self, leased: Leased) -> None:
        parcel = leased.parcel
        try:
            note = self.process.dispatcher.step(leased)
        except StoreError as error:
            self.say(f"{parcel.delivery}/{parcel.attempt}: {error}")
        else:
            told = "left" if note is None else f"{note.outcome} {note.status or note.reason or ''}"
            self.say(
                f"{parcel.delivery}/{parcel.attempt} of {parcel.account[:6]} to {parcel.webhook}: {told}"
            )

    def _on_byte(self, permit: Permit, host: str, body: bytes, headers: Any) -> None:
        self.say(f"first byte of {permit.delivery}/{permit.attempt} to {host} under {permit.seq}")
        self.witness.on_byte(permit, host, body, headers)

    def _meanwhile(self, permit: Permit) -> None:
        """Something else happens while a body waits to leave."""
        self.witness.on_permit(permit)
        if self._depth or self.random.random() > 0.35:
            return
        self._depth += 1
        against = partial(self._take_back, permit)
        acts = (
            against,
            against,
            self._deed,
            self._deed,
            self._hold_up,
            self._lag,
            self._stale,
            self._rescue,
            self._jump,
        )
        self.random.choice(acts)()
        self._depth -= 1

    def _deed(self) -> None:
        deeds = (
            self._subscribe,
            self._subscribe,
            self._unsubscribe,
            self._unsubscribe,
            self._narrow,
            self._suspend,
            self._reinstate,
        )
        deed = self.random.choice((*deeds, self._transfer, self._judge_webhook))()
        if deed is not None:
            self._perform(deed)

    def _take_back(self, permit: Permit) -> None:
        """Somebody takes back just what ``permit`` rests on."""
        (account,) = self.process.vault.account_of([permit.account]).values()
        host = str(urlsplit(permit.url).hostname)
        self._perform(
            self.random.choice(
                (
                    partial(self._suspend, ("account", account)),
                    partial(self._suspend, ("app", permit.app)),
                    partial(self._suspend, ("developer", permit.developer)),
                    partial(self._transfer, permit.app),
                    partial(self._unsubscribe, (account, host)),
                    partial(self._narrow, (account, host)),
                )
            )()
        )

    def _perform(self, deed: Deed | None) -> None:
        """Do it until it is acknowledged, as whoever wants it done would."""
        if deed is None:
            return
        for attempt in range(TRIES):
            if attempt == TRIES // 2:
                self.place.faults.clear()
            try:
                deed.do(self.process)
            except StoreError as error:
                self.say(f"{deed.what}: {error}")
                continue
            except Died:
                self._undone = deed
                raise
            except RejectedError as error:
                self.say(f"{deed.what}: {error.reason}")
                return
            self.say(deed.what)
            deed.then()
            return
        raise Broken(f"{deed.what} never went through")

    def _subscribe(self) -> Deed:
        account, host = self.random.choice(ACCOUNTS), self.random.choice(list(APP_OF))
        scopes = self.random.choice(SCOPES)
        owner = self.model.owners[APP_OF[host]]

        def do(process: Process) -> None:
            webhook = process.registry.load_webhook(self.webhooks[host])
            app = process.registry.load_app(APP_OF[host])
            with suppress(DuplicateSubscription):
                process.subscriptions.subscribe(
                    app, webhook, process.parties.create_account(account), scopes, EVIDENCE
                )

        def then() -> None:
            self.model.granted.setdefault((account, host), Granted(owner, scopes))

        return Deed(f"{account} grants {scopes} to {host}", do, then)

    def _pick_granted(self) -> tuple[str, str] | None:
        return self.random.choice(sorted(self.model.granted)) if self.model.granted else None

    def _unsubscribe(self, given: tuple[str, str] | None = None) -> Deed | None:
        picked = given if given in self.model.granted else self._pick_granted()
        if picked is None:
            return None
        account, host = picked

        def do(process: Process) -> None:
            row = process.registry.load_subscription(self.webhooks[host], self._tag(account))
            if row is not None:
                process.subscriptions.unsubscribe(row, by=f"account:{row.account}", channel="api")

        def forget() -> None:
            self.model.granted.pop(picked, None)

        return Deed(f"{account} revokes at {host}", do, forget)

    def _narrow(self, given: tuple[str, str] | None = None) -> Deed | None:
        picked = given if given in self.model.granted else self._pick_granted()
        if picked is None:
            return None
        account, host = picked
        kept = self.model.granted[picked].scopes[:1]

        def do(process: Process) -> None:
            row = process.registry.load_subscription(self.webhooks[host], self._tag(account))
            if row is not None:
                process.accesses.narrow(row.grant, process.parties.create_account(account), kept)

        def then() -> None:
            if picked in self.model.granted:
                self.model.granted[picked] = replace(self.model.granted[picked], scopes=kept)

        return Deed(f"{account} narrows {host} to {kept}", do, then)

    def _suspend(self, given: tuple[str, str] | None = None) -> Deed:
        pick = self.random.choice
        party = given or pick(
            (("account", pick(ACCOUNTS)), ("app", pick(list(APPS))), ("developer", pick(list(APPS.values()))))
        )
        return Deed(
            f"{party} is suspended",
            self._standing(party, "suspended"),
            lambda: self.model.suspended.add(party),
        )

    def _reinstate(self) -> Deed | None:
        if not self.model.suspended:
            return None
        party = self.random.choice(sorted(self.model.suspended))
        verb = "reactivated" if party[0] == "account" else "reinstated"
        return Deed(
            f"{party} is {verb}", self._standing(party, verb), lambda: self.model.suspended.discard(party)
        )

    def _standing(self, party: tuple[str, str], verb: str) -> Callable[[Process], None]:
        family, name = party
        self._events += 1
        uid = f"{family}.{verb}/{self._events}"

        def do(process: Process) -> None:
            members: dict[str, Any] = {
                "kind": f"{family}.{verb}",
                "uid": uid,
                "actor": "system:test",
                "via": "api",
            }
            members[family] = self._tag(name) if family == "account" else name
            if family == "app":
                members["developer"] = process.registry.load_app(name).developer
            expect(process.sequencer.append(Draft(members)))

        return do

    def _transfer(self, given: str | None = None) -> Deed:
        app = given or self.random.choice(list(APPS))
        developer = self.random.choice(list(APPS.values()))
        self._events += 1
        uid = f"app.transferred/{self._events}"

        def do(process: Process) -> None:
            row = process.registry.load_app(app)
            change = process.registry.put_app(replace(row, developer=developer))
            members = {"kind": "app.transferred", "uid": uid, "actor": "system:test", "via": "api"}
            expect(
                process.sequencer.append(
                    Draft({**members, "app": app, "developer": developer}, changes=(change,))
                )
            )

        return Deed(f"app {app} goes to {developer}", do, lambda: self.model.owners.update({app: developer}))

    def _judge_webhook(self) -> Deed:
        host = self.random.choice(list(APP_OF))
        is_valid = self.random.random() < 0.7

        def do(process: Process) -> None:
            row = process.registry.load_webhook(self.webhooks[host])
            process.registry.apply([process.registry.put_webhook(replace(row, is_valid=is_valid))])

        return Deed(f"{host} becomes {'valid' if is_valid else 'invalid'}", do, lambda: None)

    def _tag(self, account: str) -> str:
        return self.process.vault.find([account])[account].tag

    def _replay(self) -> None:
        host = self.random.choice(list(APP_OF))
        now_ms = self.place.clock.ms
        process = self.process
        webhook, app = (
            process.registry.load_webhook(self.webhooks[host]),
            process.registry.load_app(APP_OF[host]),
        )
        try:
            if self.random.random() < 0.5:
                job = process.replays.request(app, webhook, now_ms - 3_600_000, now_ms)
                self.say(f"replay {job.job} to {host}")
            self.say(f"replays running: {process.replays.run_once()}")
        except (StoreError, ReplayRefused) as error:
            self.say(f"replay to {host}: {error}")

    def _resend(self) -> None:
        if self._leased:
            parcel = self.random.choice(self._leased).parcel
            app = self.process.registry.load_app(parcel.app)
            try:
                self.process.replays.resend(app, parcel.delivery)
                self.say(f"{parcel.delivery} is sent again")
            except (StoreError, ResendRefused) as error:
                self.say(f"{parcel.delivery} is not sent again: {error}")

    def _stale(self) -> None:
        """Somebody who was slow goes on with a lease of long ago."""
        if self._leased:
            self._deliver(self.random.choice(self._leased))

    def _rescue(self) -> None:
        with suppress(StoreError):
            self.say(f"rescued {self.process.rescuer.run_once()}")

    def _wait(self) -> None:
        self.place.clock.ms += self.random.choice((50, 900, 3_000, 28_000, 90_000, 250_000))

    def _hold_up(self) -> None:
        self.place.clock.ms += self.random.choice((200, 999, 1_000, 5_000))

    def _lag(self) -> None:
        """The clock is set, and time passes."""
        self._jump()
        self._hold_up()

    def _jump(self) -> None:
        jump_ms = self.random.choice((-2_000, -60_000, -7_200_000, 600_000))
        self.say(f"the clock jumps by {jump_ms} ms")
        self.place.clock.jump(jump_ms)

    def _restart(self) -> None:
        self._reopen("restarted")

    def _come_to_rest(self) -> None:
        """Let everything that is under way end: nothing fails any more, and time passes."""
        place, process = self.place, self.process
        place.faults.clear()
        place.network.trouble, place.network.is_deadly = 0.2, False
        place.network.meanwhile = lambda permit: None
        for _ in range(400):
            with suppress(LedgerError):
                process.rescuer.run_once()
            process.replays.run_once()
            for leased in process.dispatcher.claim():
                self._deliver(leased)
            left = self.witness.due_of_waiting()
            if not left and not process.outbox.load_replays():
                place.clock.ms += 90_000
                process.rescuer.run_once()
                return
            place.clock.ms = max(place.clock.ms + 50, min(left, default=0))
        raise Broken("it never came to rest")
