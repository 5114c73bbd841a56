"""Sending notices: e-mail, webhooks and inboxes, with retries, and never twice (incidents and exports, section 5.2).

::

    waiting -> taken (durable: sending, attempt counted, leased) -> handed over -> entry: sent | failed | given up

A notice that leaves is taken before its first byte. Whoever dies between that and the entry leaves it ``sending``; when the
lease is over it is recorded as sent and ``unconfirmed``, and nobody sends it again: of e-mail nobody can know whether the
server had it. Few are taken at a time, so that few are in doubt. What certainly was not sent (nobody was there, or the
server refused it in words) is tried again with growing waits, and given up in the end. An inbox is a table of ours, whose
change goes with the entry: nothing is ever in doubt there.

The log is asked before anything leaves: rows that come out of a backup wait for what was sent since. A mail server that is
away, or will have nothing from us, is left alone for a while by all of them, so that no notice spends its tries on it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import msgspec
import structlog

from ledger.core.canonical import JsonValue
from ledger.core.standard_webhooks import sign_message
from ledger.errors import StoreError
from ledger.gateway.messages import MessageTransport
from ledger.incidents.contacts import Contacts, Reached, WebhookAddress, key_of
from ledger.incidents.notice_words import About, read_summary, subject_of, write_notice
from ledger.incidents.notices import NoticeDesk, append_right, draft_of
from ledger.ports import Change, Clock, EntryStore, Stopwatch, StoredEntry
from ledger.ports.mail import Handed, Mail, MailConnection, MailServer
from ledger.ports.notices import IncidentNotice, Medium, Notices, NoticeState
from ledger.sequencer.draft import Draft, Rejection
from ledger.sequencer.sequencer import Sequencer

SENDER = "system:notices"

LEASE_MS = 300_000
HAND_OVER_S = 120.0
"""How long after taking it a notice may still begin to leave: the answer then comes long before the lease is over."""

TAKEN_AT_ONCE = 16
CONNECTIONS = 4
INBOX_AT_ONCE = 1_000
RETRY_WAITS_MS = (60_000, 300_000, 1_800_000, 7_200_000, 28_800_000)
"""Waits before the tries 2, 3, …; behind the last one a notice is given up."""

UNCONFIRMED = "unconfirmed"

log = structlog.get_logger()


@dataclass(slots=True)
class Sent:
    """What one run did."""

    sent: int = 0
    failed: int = 0
    given_up: int = 0
    unconfirmed: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, **counts: int) -> None:
        """Count, from any thread."""
        with self._lock:
            for name, count in counts.items():
                setattr(self, name, getattr(self, name) + count)


def _no_step(step: str) -> None:
    """Pass by: outside tests nothing happens between two steps."""


class NoticeSender:
    """Sends what is due. One run at a time; several processes may send beside each other."""

    def __init__(
        self,
        *,
        sequencer: Sequencer,
        store: EntryStore,
        notices: Notices,
        desk: NoticeDesk,
        contacts: Contacts,
        mail: MailServer | None,
        webhooks: Callable[[], MessageTransport],
        clock: Clock,
        stopwatch: Stopwatch,
        owner: str,
        connections: int = CONNECTIONS,
        reached: Callable[[str], None] = _no_step,
    ) -> None:
        """Without ``mail`` e-mail waits. ``webhooks`` is asked for when there is something to send there."""
        self._sequencer = sequencer
        self._store = store
        self._notices = notices
        self._desk = desk
        self._contacts = contacts
        self._mail = mail
        self._webhooks = webhooks
        self._clock = clock
        self._stopwatch = stopwatch
        self._owner = owner
        self._connections = connections
        self._reached = reached
        self._stopping = threading.Event()
        self._unrecorded: list[Draft] = []
        self._mail_again_at_ms = 0
        self._lock = threading.Lock()

    def stop(self) -> None:
        """Let the run that is under way end behind what it has taken."""
        self._stopping.set()

    def run_once(self) -> Sent:
        """Send everything that is due; what was done. Raises StoreError where nothing could be recorded or read."""
        done = Sent()
        self._record_late()
        done.add(given_up=self._desk.give_up_erased())
        self._settle_abandoned(done)
        self._fill_inboxes(done)
        media: list[Medium] = ["webhook"] if self._mail is None else ["email", "webhook"]
        for medium in media:
            self._send_all(medium, done)
        return done

    def _record_late(self) -> None:
        """What an earlier run has sent and could not record."""
        with self._lock:
            late, self._unrecorded = self._unrecorded, []
        if not late:
            return
        try:
            self._append(late)
        except StoreError:
            with self._lock:
                self._unrecorded = late + self._unrecorded
            raise

    def _settle_abandoned(self, done: Sent) -> None:
        now_ms = self._clock.now_ms()
        while not self._stopping.is_set() and (found := self._notices.load_abandoned(now_ms, INBOX_AT_ONCE)):
            ended = self._put_right(found)
            new = self._append([self._sent(one, UNCONFIRMED) for one in found if one.notice not in ended])
            log.warning("notices.unconfirmed", notices=new)
            done.add(unconfirmed=new)
            if not new and not ended:
                return

    def _fill_inboxes(self, done: Sent) -> None:
        while not self._stopping.is_set() and (found := self._notices.load_waiting_inbox(INBOX_AT_ONCE)):
            ended = self._put_right(found)
            new = self._append([self._sent(one, None) for one in found if one.notice not in ended])
            done.add(sent=new)
            if not new and not ended:
                return

    def _send_all(self, medium: Medium, done: Sent) -> None:
        if medium == "email" and self._clock.now_ms() < self._mail_again_at_ms:
            return
        first = self._take(medium)
        if not first:
            return
        with ThreadPoolExecutor(self._connections, "notices") as pool:
            runs = [pool.submit(self._run_one, medium, first, done)]
            if len(first) == TAKEN_AT_ONCE:
                runs += [pool.submit(self._run_one, medium, (), done) for _ in range(self._connections - 1)]
            for run in runs:
                run.result()

    def _run_one(self, medium: Medium, taken: Sequence[IncidentNotice], done: Sent) -> None:
        """Send over one connection until nothing is due."""
        way = _EmailWay(self._mail) if medium == "email" and self._mail is not None else None
        shared: dict[str, About] = {}
        try:
            taken = taken or self._take(medium)
            while taken:
                is_going = self._send_some(taken, way, shared, done)
                taken = self._take(medium) if is_going and not self._stopping.is_set() else ()
        finally:
            if way is not None:
                way.close()

    def _take(self, medium: Medium) -> Sequence[IncidentNotice]:
        return self._notices.claim(medium, self._owner, self._clock.now_ms(), LEASE_MS, TAKEN_AT_ONCE)

    def _send_some(
        self, taken: Sequence[IncidentNotice], way: _EmailWay | None, shared: dict[str, About], done: Sent
    ) -> bool:
        """Send what was taken and record what came of it; False where nothing gets through at all now."""
        began_at_s = self._stopwatch()
        self._reached("notices.taken")
        left = {one.notice: one for one in taken}
        drafts: list[Draft] = []

        def may_send() -> bool:
            return self._stopwatch() - began_at_s < HAND_OVER_S

        try:
            for name in self._put_right(taken):
                del left[name]
            taken = list(left.values())
            reached = self._contacts.reach([one.account for one in taken])
            for one in taken:
                if one.incident not in shared:
                    shared[one.incident] = self._desk.about(one.incident)
            for one in taken:
                send = self._prepare(one, reached.get(one.account), shared[one.incident], way, may_send)
                if not may_send():
                    break
                # From here on nobody knows that it was not sent, unless the outcome says so.
                del left[one.notice]
                handed = send()
                if handed.reason == "smtp.too_late":
                    left[one.notice] = one
                    break
                self._reached("notices.handed_over")
                drafts.append(self._outcome(one, handed, done))
                if handed.outcome == "unsent" and not handed.is_final and way is not None:
                    # The server is not there: the others would wait for it one after the other.
                    self._mail_again_at_ms = self._clock.now_ms() + RETRY_WAITS_MS[0]
                    return False
        finally:
            try:
                self._record(drafts)
            finally:
                # Certainly not sent: nobody has begun with these.
                self._notices.release(list(left), self._owner)
        return True

    def _put_right(self, taken: Sequence[IncidentNotice]) -> set[str]:
        """End those of ``taken`` whose end is in the log already, as it has it; their ids."""
        uids = {
            f"{kind}/{one.incident}/{one.account}/{one.medium}": one.notice
            for one in taken
            for kind in ("notice.sent", "notice.given_up")
        }
        found = self._store.fetch_by_uids(list(uids))
        if found:
            log.warning("notices.ended_by_the_log", notices=len(found))
            self._notices.put_right([self._ended(uids[uid], row) for uid, row in found.items()])
        return {uids[uid] for uid in found}

    def _ended(self, notice: str, row: StoredEntry) -> Change:
        entry = msgspec.json.decode(row.data, type=_Ended)
        state: NoticeState = "given_up" if entry.kind == "notice.given_up" else "sent"
        if state == "sent" and entry.reason == UNCONFIRMED:
            state = "unconfirmed"
        return self._notices.settle(notice, state, entry.recorded_at, entry.reason)

    def _prepare(
        self,
        notice: IncidentNotice,
        reached: Reached | None,
        about: About,
        way: _EmailWay | None,
        may_send: Callable[[], bool],
    ) -> Callable[[], Handed]:
        """What hands ``notice`` over, everything written; nothing has left."""
        summary = read_summary(notice.summary)
        if reached is not None and reached.is_unusable:
            return partial(Handed, "refused", "address_unusable")
        if notice.medium == "email" and way is not None and reached is not None and reached.email is not None:
            text = write_notice("email", summary, about)
            return partial(way.send, Mail(notice.notice, reached.email, subject_of(about), text), may_send)
        if notice.medium == "webhook" and reached is not None and reached.webhook is not None:
            told = {
                "notice": notice.notice,
                "incident": notice.incident,
                "title": subject_of(about),
                "text": write_notice("webhook", summary, about),
                "details": summary,
            }
            body = msgspec.json.encode({"incident_notice": told})
            return partial(self._post, notice.notice, reached.webhook, body)
        # Erased, or taken out of the contacts, since it was queued.
        return partial(Handed, "unsent", "no_address", True)

    def _post(self, message: str, address: WebhookAddress, body: bytes) -> Handed:
        signed = sign_message([key_of(address)], message, self._clock.now_ms() // 1_000, body)
        headers = {"Content-Type": "application/json", **signed}
        seen = self._webhooks().tell(message, address.url, headers, body).observed
        if seen.status is not None:
            is_taken = 200 <= seen.status < 300
            return Handed("accepted") if is_taken else Handed("refused", f"http.{seen.status}")
        if seen.disclosure == "none":
            return Handed("unsent", "http.unreached")
        return Handed("unknown", "http.no_answer")

    def _outcome(self, notice: IncidentNotice, handed: Handed, done: Sent) -> Draft:
        if handed.outcome == "accepted":
            done.add(sent=1)
            return self._sent(notice, None)
        if handed.outcome == "unknown":
            done.add(unconfirmed=1)
            return self._sent(notice, UNCONFIRMED)
        reason, now_ms = handed.reason or "unknown", self._clock.now_ms()
        stated: dict[str, JsonValue] = {"attempt": notice.attempt, "reason": reason}
        if handed.is_final or notice.attempt > len(RETRY_WAITS_MS):
            done.add(given_up=1)
            change = self._notices.settle(notice.notice, "given_up", now_ms, reason)
            return draft_of("notice.given_up", notice, SENDER, stated, [change])
        done.add(failed=1)
        due_at_ms = now_ms + RETRY_WAITS_MS[notice.attempt - 1]
        change = self._notices.put_back(notice.notice, due_at_ms, reason)
        return draft_of("notice.failed", notice, SENDER, stated, [change], f"/{notice.attempt}")

    def _sent(self, notice: IncidentNotice, reason: str | None) -> Draft:
        state: Literal["sent", "unconfirmed"] = "sent" if reason is None else "unconfirmed"
        stated: dict[str, JsonValue] = {"attempt": max(1, notice.attempt)}
        if reason is not None:
            stated["reason"] = reason
        change = self._notices.settle(notice.notice, state, self._clock.now_ms(), reason)
        return draft_of("notice.sent", notice, SENDER, stated, [change])

    def _record(self, drafts: list[Draft]) -> None:
        if not drafts:
            return
        try:
            self._append(drafts)
        except StoreError:
            # They have left. Until it is recorded, here or by whoever finds them abandoned, nobody sends them again.
            with self._lock:
                self._unrecorded += drafts
            raise
        self._reached("notices.recorded")

    def _append(self, drafts: Sequence[Draft]) -> int:
        """Append ``drafts``, durably; how many entries are new."""
        new = 0
        for outcome in append_right(self._sequencer, self._notices, drafts):
            if isinstance(outcome, Rejection):
                log.error("notices.refused_by_ledger", reason=outcome.reason, code=outcome.code)
            else:
                new += outcome.created
        return new


class _Ended(msgspec.Struct):
    """As much of an entry that ends a notice as its row keeps."""

    kind: str
    recorded_at: int
    reason: str | None = None


class _EmailWay:
    """The connection of one thread."""

    def __init__(self, server: MailServer) -> None:
        self._connection: MailConnection = server.connect()

    def send(self, mail: Mail, may_send: Callable[[], bool]) -> Handed:
        return self._connection.send(mail, may_send)

    def close(self) -> None:
        self._connection.close()
