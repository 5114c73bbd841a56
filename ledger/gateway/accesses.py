"""What apps may receive of an account, and taking it back: all of an app's, one grant, or a part of one (section 3.1).

The log says what an account has granted. Beside each grant that a subscription is stands the registry's row; one that the
platform handed in as a record, or that was imported, has none, and is shown, narrowed and revoked all the same. Whatever
takes something back is durable before it is answered, and the answer waits until no attempt that was permitted before can
start any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from ledger.core.canonical import JsonValue
from ledger.core.destinations import parse_url
from ledger.core.granted import Granted, find_granted, list_granted
from ledger.core.history import History
from ledger.core.scopes import mask_of
from ledger.gateway.drafts import digest_of, live_draft
from ledger.gateway.inflight import InFlight
from ledger.gateway.refusal import GatewayRefusal
from ledger.gateway.revocation import Endings, names_of_app
from ledger.gateway.subscriptions import ScopesRefused, check_scopes
from ledger.gateway.words import scopes_in_words, tell_narrowed
from ledger.ports import Clock, Subject
from ledger.ports.credentials import Credentials
from ledger.ports.registry import Notice, Registry, Subscription
from ledger.sequencer.draft import Draft, Rejection
from ledger.sequencer.sequencer import Sequencer

CLOCKS_APART_MS = 5_000
"""How far behind ours another system's clock may be: what was granted so shortly after a revocation by it ends with it."""


class GrantUnknown(GatewayRefusal):
    """There is no such grant that can be changed, or it is another account's, which is not told apart."""

    code: Literal["GrantNotFound"]

    def __init__(self) -> None:
        super().__init__("There is no such grant.")
        self.code = "GrantNotFound"


@dataclass(frozen=True, slots=True)
class AppRevoked:
    """``account`` took back what it granted ``app``: at ``at_ms`` by another system's clock, or None for now."""

    account: Subject
    app: str
    at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Access:
    """What one app receives of an account, for the account's own page; ``data`` is what ``scopes`` cover, in words.

    ``webhook_host`` is empty where no webhook here rests on the grant: then another system delivers.
    """

    grant: str
    app: str
    app_name: str
    developer_name: str
    environment: str
    scopes: tuple[str, ...]
    data: tuple[str, ...]
    granted_at_ms: int
    webhook_host: str


class Accesses:
    """Shows, narrows and revokes what accounts have granted. Safe from any thread, and beside other processes."""

    def __init__(
        self,
        *,
        sequencer: Sequencer,
        registry: Registry,
        credentials: Credentials,
        inflight: InFlight,
        clock: Clock,
    ) -> None:
        self._sequencer = sequencer
        self._registry = registry
        self._credentials = credentials
        self._inflight = inflight
        self._clock = clock
        self._endings = Endings(sequencer=sequencer, registry=registry, clock=clock)

    def list_access(self, account: Subject) -> Sequence[Access]:
        """What apps may receive of ``account`` now, by age. Raises StoreError or ForkError.

        Rows whose grants are dead end.
        """
        rows = self._registry.load_subscriptions_of(account.tag)
        # Read behind the rows: whatever has one is in the log by now, and what the log does not list is dead.
        granted = self.list_granted(account.tag)
        standing = {one.grant for one in granted}
        self._endings.end_dead([row for row in rows if row.grant not in standing])
        subscribed = {row.grant: row for row in rows}
        return [self._access(one, subscribed.get(one.grant)) for one in granted]

    def find(self, grant: str) -> Granted | None:
        """The grant as the log has it now, dead or not; None where it was never issued. Raises StoreError, ForkError."""
        return self._sequencer.look(lambda history, now_ms: find_granted(history, grant, now_ms))

    def list_granted(self, account: str) -> Sequence[Granted]:
        """The grants of ``account`` (a tag) that the log has, and that are not dead, by age. Raises StoreError, ForkError."""
        return self._sequencer.look(lambda history, now_ms: list_granted(history, account, now_ms))

    def revoke_app(self, account: Subject, app: str, *, channel: str) -> int:
        """Take back everything that ``account`` granted to ``app``: its tokens, then each grant; how many grants.

        Durable when this returns, and no attempt that was permitted before starts any more. Raises StoreError or
        ForkError where nothing is known: made again, the call revokes what is left.
        """
        return self.revoke_apps([AppRevoked(account, app)], channel=channel)

    def revoke_apps(self, revoked: Sequence[AppRevoked], *, channel: str) -> int:
        """The same for several at once, which are waited for together; how many grants in all.

        One that was ``at_ms`` (the account's word on another system, and its clock) takes effect then and reaches what was
        granted by then, so that hearing of it again does not end what was granted since.
        """
        count = sum(self._revoke_app(one, channel) for one in revoked)
        self._inflight.wait_for_all({("account", one.account.tag) for one in revoked})
        return count

    def _revoke_app(self, revoked: AppRevoked, channel: str) -> int:
        account, app, at_ms = revoked.account, revoked.app, revoked.at_ms
        until_ms = None if at_ms is None else at_ms + CLOCKS_APART_MS
        # Tokens first: what is subscribed with one that was live a moment ago is found below, or finds itself revoked.
        # Dying here leaves grants that the account still sees, and an app that can make no new ones.
        self._credentials.revoke_tokens(app, account.tag, self._clock.now_ms(), until_ms)
        actor = f"account:{account.tag}"
        rows = self._registry.load_subscriptions_of(account.tag, app)
        # Read behind the rows, so that each row's grant is among them, or dead.
        newer = {one.grant for one in self.list_granted(account.tag) if _is_newer(one, until_ms)}
        ended = self._endings.end(
            [row for row in rows if row.grant not in newer], actor=actor, channel=channel, at_ms=at_ms
        )
        # What still stands has no row, or the row is of another account's grant: the log decides.
        standing = [one for one in self.list_granted(account.tag) if one.app == app]
        left = [one for one in standing if not _is_newer(one, until_ms)]
        revoked_too = self._endings.revoke(left, actor=actor, channel=channel, at_ms=at_ms)
        return ended.grants + revoked_too.grants

    def revoke_grant(self, grant: str, *, account: str | None, actor: str, channel: str) -> Granted:
        """Revoke ``grant`` of ``account`` (a tag; None: of whomever); ``actor`` does it (``role:id``), ``channel`` where.

        The grant as it stands then, dead. Durable when this returns, and no attempt that was permitted before starts any
        more; one that is dead already stays as it is. Raises GrantUnknown; RejectedError where the log refuses; StoreError
        or ForkError where nothing is known: the same call made again finds out.
        """
        found = self.find(grant)
        if found is None or account not in (None, found.account):
            raise GrantUnknown
        # A row whose grant is dead is what a process that died has left, and ends now.
        rows = self._registry.load_subscriptions_of_grant(grant)
        ended = self._endings.end(rows, actor=actor, channel=channel)
        if not rows and not found.is_dead:
            ended = self._endings.revoke([found], actor=actor, channel=channel)
        self._inflight.wait_until_clear(grant=grant)
        if ended.refused:
            raise ended.refused[0].error()
        return self.find(grant) or found

    def narrow(self, grant: str, account: Subject, scopes: Sequence[str]) -> None:
        """Leave ``grant`` of ``account`` no more than ``scopes``, a part of what it covers; the rest ends at once.

        Durable, and in force for attempts permitted before, when this returns; the same scopes again change nothing.
        Raises ScopesRefused, GrantUnknown, RejectedError where the log refuses, StoreError or ForkError where nothing is
        known.
        """
        wanted = check_scopes(scopes)
        before: tuple[str, ...] = ()
        turn = 0
        while True:
            found = self._narrowable(grant, account)
            # What was taken by the same step before is a narrowing that the grant was widened after, and counts on.
            turn = turn + 1 if found.scopes == before else 0
            before = found.scopes
            if mask_of(wanted) & ~mask_of(before):
                raise ScopesRefused(
                    "a grant can only be narrowed: the account has to authorize anything more"
                )
            if mask_of(wanted) == mask_of(before):
                # It may have been another process that narrowed it: asking the log has told of that here as well.
                break
            outcome = self._sequencer.append(self._amendment(found, wanted, turn))
            if isinstance(outcome, Rejection):
                if outcome.code == "conflict":
                    continue  # somebody else was faster: what is left now may be no more what was wanted
                raise outcome.error()
            if outcome.created:
                break
        self._inflight.wait_until_clear(grant=grant)

    def _narrowable(self, grant: str, account: Subject) -> Granted:
        """The grant as the log has it now, where it stands and is the account's; raises GrantUnknown."""
        found = self.find(grant)
        if found is None or found.account != account.tag or found.is_dead:
            raise GrantUnknown
        return found

    def _access(self, granted: Granted, row: Subscription | None) -> Access:
        webhook = None if row is None else self._registry.load_webhook(row.webhook)
        app_name, developer_name = names_of_app(self._registry, granted.app, granted.developer)
        scopes = granted.scopes
        if row is not None and mask_of(row.scopes) == mask_of(scopes):
            scopes = row.scopes  # the same in the account's own words, where ``all`` is one
        return Access(
            grant=granted.grant,
            app=granted.app,
            app_name=app_name,
            developer_name=developer_name,
            environment=granted.environment,
            scopes=scopes,
            data=scopes_in_words(scopes),
            granted_at_ms=granted.began_at_ms,
            webhook_host="" if webhook is None else parse_url(webhook.url).host,
        )

    def _amendment(self, found: Granted, scopes: Sequence[str], turn: int) -> Draft:
        grant, account, before = found.grant, found.account, found.scopes
        now_ms = self._clock.now_ms()
        names = names_of_app(self._registry, found.app, found.developer)
        text = tell_narrowed(*names, before, scopes, now_ms)
        changes = (
            self._registry.narrow_subscriptions(grant, scopes),
            self._registry.add_notice(Notice(account, now_ms, "grant.amended", text, grant)),
        )
        stated: dict[str, JsonValue] = {"grant": grant, "account": account, "scopes": list[JsonValue](scopes)}
        # Named by what it is a step from, so that of two calls that take one at once the log takes one: the same step is
        # taken once, and another is a conflict, because it would give back what the first took away.
        uid = f"grant.amended/{grant}/{digest_of(*before, turn)}"
        draft = live_draft("grant.amended", f"account:{account}", stated, uid=uid, changes=changes)
        return replace(draft, overtaken=partial(_would_widen, grant, mask_of(scopes)))


def _is_newer(granted: Granted, until_ms: int | None) -> bool:
    return until_ms is not None and granted.made_ms > until_ms


def _would_widen(grant: str, wanted: int, history: History, now_ms: int) -> str | None:
    """Why the scopes of the mask ``wanted`` are no part of ``grant`` any more, however it was narrowed meanwhile."""
    found = find_granted(history, grant, now_ms)
    if found is not None and wanted & ~mask_of(found.scopes):
        return "the grant was narrowed at the same time"
    return None
