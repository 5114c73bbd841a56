"""The tables of the Account Activity service, beside those of the log (delivery protocol, sections 3.1 to 3.5).

People stand in them as tags, bodies and secrets sealed, tokens and keys as hashes; nothing of what is sealed or hashed
can be read with the database alone. Times are integer milliseconds. Rows come and go through
:mod:`ledger.store.registry`, :mod:`ledger.store.outbox` and :mod:`ledger.store.credentials`; every index is there for
one of their queries.
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Integer, LargeBinary, Text, text
from sqlmodel import Field, SQLModel

from ledger.store.tables import BIG_INTEGER, exact_text

ID = exact_text(64)
"""An id of the log's: a developer, an app, a webhook, a grant, a delivery, a tag."""
LONG_ID = exact_text(128)
MARK = LargeBinary(32)
"""A SHA-256, where what is hashed is long, a secret, or nobody's business."""


def _some(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    """An index of the rows that ``where`` picks."""
    condition = text(where)
    return Index(name, *columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


class DeveloperRow(SQLModel, table=True):
    """A developer."""

    __tablename__ = "service_developers"

    developer: str = Field(sa_column=Column(ID, primary_key=True))
    name: str = Field(sa_column=Column(Text, nullable=False))
    created_at_ms: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))


class AppRow(SQLModel, table=True):
    """An app; the lists are JSON arrays."""

    __tablename__ = "service_apps"
    __table_args__ = (Index("ix_service_apps_developer", "developer", "created_at_ms", "app"),)

    app: str = Field(sa_column=Column(ID, primary_key=True))
    developer: str = Field(sa_column=Column(ID, nullable=False))
    name: str = Field(sa_column=Column(Text, nullable=False))
    description: str = Field(sa_column=Column(Text, nullable=False))
    website: str = Field(sa_column=Column(Text, nullable=False))
    consumer_key: str = Field(sa_column=Column(LONG_ID, nullable=False, unique=True))
    secret_sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    environments: str = Field(sa_column=Column(Text, nullable=False))
    callbacks: str = Field(sa_column=Column(Text, nullable=False))
    retry_waits_ms: str = Field(sa_column=Column(Text, nullable=False))
    can_write: bool = Field(sa_column=Column(Boolean, nullable=False))
    created_at_ms: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    owner_account: str | None = Field(sa_column=Column(ID))


class WebhookRow(SQLModel, table=True):
    """A webhook; deleted ones stay, so that their ids say what they were."""

    __tablename__ = "service_webhooks"
    __table_args__ = (
        _some("ix_service_webhooks_app", "app", "created_at_ms", "webhook", where="deleted_at_ms IS NULL"),
        _some("ix_service_webhooks_due", "next_check_at_ms", "webhook", where="deleted_at_ms IS NULL"),
    )

    webhook: str = Field(sa_column=Column(ID, primary_key=True))
    app: str = Field(sa_column=Column(ID, nullable=False))
    environment: str = Field(sa_column=Column(ID, nullable=False))
    url: str = Field(sa_column=Column(Text, nullable=False))
    is_valid: bool = Field(sa_column=Column(Boolean, nullable=False))
    created_at_ms: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    validated_at_ms: int | None = Field(sa_column=Column(BIG_INTEGER))
    failing_since_ms: int | None = Field(sa_column=Column(BIG_INTEGER))
    next_check_at_ms: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    reason: str | None = Field(sa_column=Column(Text))
    deleted_at_ms: int | None = Field(sa_column=Column(BIG_INTEGER))


class SubscriptionRow(SQLModel, table=True):
    """A subscription; ended ones stay and count. ``covers_messages`` repeats of the scopes what is counted by."""

    __tablename__ = "service_subscriptions"
    __table_args__ = (
        _some(
            "ux_service_subscriptions_live",
            "webhook",
            "account",
            where="ended_at_ms IS NULL",
            unique=True,
        ),
        Index("ix_service_subscriptions_made", "webhook", "account"),
        _some("ix_service_subscriptions_webhook", "webhook", "subscription", where="ended_at_ms IS NULL"),
        _some(
            "ix_service_subscriptions_account",
            "account",
            "created_at_ms",
            "subscription",
            where="ended_at_ms IS NULL",
        ),
        _some("ix_service_subscriptions_ended", "account", "ended_at_ms", where="ended_at_ms IS NOT NULL"),
        _some("ix_service_subscriptions_grant", "grant_id", where="ended_at_ms IS NULL"),
        _some("ix_service_subscriptions_app", "app", "covers_messages", where="ended_at_ms IS NULL"),
    )

    subscription: str = Field(sa_column=Column(ID, primary_key=True))
    webhook: str = Field(sa_column=Column(ID, nullable=False))
    app: str = Field(sa_column=Column(ID, nullable=False))
    environment: str = Field(sa_column=Column(ID, nullable=False))
    account: str = Field(sa_column=Column(ID, nullable=False))
    grant_id: str = Field(sa_column=Column(ID, nullable=False))
    scopes: str = Field(sa_column=Column(Text, nullable=False))
    covers_messages: bool = Field(sa_column=Column(Boolean, nullable=False))
    created_at_ms: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    ended_at_ms: int | None = Field(sa_column=Column(BIG_INTEGER))


class ChallengeRow(SQLModel, table=True):
    """What came of one challenge; ``cause`` is its trigger."""

    __tablename__ = "service_challenges"

    webhook: str = Field(sa_column=Column(ID, primary_key=True))
    at_ms: int = Field(sa_column=Column(BIG_INTEGER, primary_key=True, autoincrement=False))
    cause: str = Field(sa_column=Column(exact_text(16), primary_key=True))
    is_passed: bool = Field(sa_column=Column(Boolean, nullable=False))
    status: int | None = Field(sa_column=Column(Integer))
    latency_ms: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    reason: str | None = Field(sa_column=Column(Text))


class NoticeRow(SQLModel, table=True):
    """What an account is told; ``mark`` is a hash of all of it, which is there once."""

    __tablename__ = "service_notices"
    __table_args__ = (
        Index("ix_service_notices_account", "account", "number"),
        {"sqlite_autoincrement": True},
    )

    number: int = Field(sa_column=Column(BIG_INTEGER, primary_key=True, autoincrement=True))
    mark: bytes = Field(sa_column=Column(MARK, nullable=False, unique=True))
    account: str = Field(sa_column=Column(ID, nullable=False))
    at_ms: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    kind: str = Field(sa_column=Column(ID, nullable=False))
    text: str = Field(sa_column=Column(Text, nullable=False))
    grant_id: str | None = Field(sa_column=Column(ID))


class EventRow(SQLModel, table=True):
    """An event until it is too old: ``body_sealed`` under the account's key, ``content`` a keyed digest of the body."""

    __tablename__ = "service_events"
    __table_args__ = (
        Index("ix_service_events_account", "account", "received_at_ms", "event"),
        Index("ix_service_events_received", "received_at_ms"),
    )

    event: str = Field(sa_column=Column(ID, primary_key=True))
    account: str = Field(sa_column=Column(ID, primary_key=True))
    subjects: str = Field(sa_column=Column(Text, nullable=False))
    event_type: str = Field(sa_column=Column(ID, nullable=False))
    is_private: bool = Field(sa_column=Column(Boolean, nullable=False))
    received_at_ms: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    body_sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    body_bytes: int = Field(sa_column=Column(Integer, nullable=False))
    content: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class ParcelRow(SQLModel, table=True):
    """One event on its way to one webhook; ``number`` is the order of coming in.

    ``ix_service_parcels_waiting`` is a queue for each webhook. A lease is in no index, so that leasing moves nothing in
    the queues.
    """

    __tablename__ = "service_parcels"
    __table_args__ = (
        _some("ix_service_parcels_waiting", "webhook", "due_at_ms", "number", where="state = 'waiting'"),
        Index("ix_service_parcels_event", "event", "account"),
        _some("ix_service_parcels_sent", "webhook", "created_at_ms", "delivery", where="replay IS NULL"),
        _some("ix_service_parcels_replay", "replay", "state", where="replay IS NOT NULL"),
        _some("ix_service_parcels_expired", "created_at_ms", where="state = 'expired'"),
        {"sqlite_autoincrement": True},
    )

    number: int = Field(sa_column=Column(BIG_INTEGER, primary_key=True, autoincrement=True))
    delivery: str = Field(sa_column=Column(ID, nullable=False, unique=True))
    event: str = Field(sa_column=Column(ID, nullable=False))
    account: str = Field(sa_column=Column(ID, nullable=False))
    subscription: str | None = Field(sa_column=Column(ID))
    webhook: str = Field(sa_column=Column(ID, nullable=False))
    app: str = Field(sa_column=Column(ID, nullable=False))
    developer: str = Field(sa_column=Column(ID, nullable=False))
    environment: str = Field(sa_column=Column(ID, nullable=False))
    attempt: int = Field(sa_column=Column(Integer, nullable=False))
    due_at_ms: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    created_at_ms: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    replay: str | None = Field(sa_column=Column(ID))
    state: str = Field(sa_column=Column(exact_text(16), nullable=False))
    lease_owner: str = Field(sa_column=Column(LONG_ID, nullable=False))
    lease_until_ms: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))


class SigningKeyRow(SQLModel, table=True):
    """A key of a webhook's Standard Webhooks signatures, sealed."""

    __tablename__ = "service_signing_keys"

    webhook: str = Field(sa_column=Column(ID, primary_key=True))
    number: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    secret_sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    created_at_ms: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    ends_at_ms: int | None = Field(sa_column=Column(BIG_INTEGER))


class NoteRow(SQLModel, table=True):
    """One attempt, as its developer may see it."""

    __tablename__ = "service_notes"
    __table_args__ = (
        Index("ix_service_notes_app", "app", "at_ms", "delivery", "attempt"),
        _some(
            "ix_service_notes_trouble",
            "app",
            "outcome",
            "at_ms",
            "delivery",
            "attempt",
            where="outcome <> 'delivered'",
        ),
        Index("ix_service_notes_at", "at_ms"),
    )

    delivery: str = Field(sa_column=Column(ID, primary_key=True))
    attempt: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    webhook: str = Field(sa_column=Column(ID, nullable=False))
    app: str = Field(sa_column=Column(ID, nullable=False))
    event_type: str = Field(sa_column=Column(ID, nullable=False))
    at_ms: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    outcome: str = Field(sa_column=Column(exact_text(16), nullable=False))
    status: int | None = Field(sa_column=Column(Integer))
    duration_ms: int | None = Field(sa_column=Column(BIG_INTEGER))
    reason: str | None = Field(sa_column=Column(Text))
    seq: int | None = Field(sa_column=Column(BIG_INTEGER))
    replay: str | None = Field(sa_column=Column(ID))


class ReplayRow(SQLModel, table=True):
    """A replay job, of which a webhook has one running at most."""

    __tablename__ = "service_replays"
    __table_args__ = (
        _some("ux_service_replays_running", "webhook", where="state = 'running'", unique=True),
        Index("ix_service_replays_webhook", "webhook", "created_at_ms", "job"),
    )

    job: str = Field(sa_column=Column(ID, primary_key=True))
    webhook: str = Field(sa_column=Column(ID, nullable=False))
    app: str = Field(sa_column=Column(ID, nullable=False))
    from_ms: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    to_ms: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    created_at_ms: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    state: str = Field(sa_column=Column(exact_text(16), nullable=False))
    through: str = Field(sa_column=Column(LONG_ID, nullable=False))
    sent: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    ended_at_ms: int | None = Field(sa_column=Column(BIG_INTEGER))


class ApiKeyRow(SQLModel, table=True):
    """A key of the ledger's own API; its secret is there as a hash."""

    __tablename__ = "service_api_keys"

    key: str = Field(sa_column=Column(ID, primary_key=True))
    secret_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    role: str = Field(sa_column=Column(exact_text(16), nullable=False))
    subject: str = Field(sa_column=Column(ID, nullable=False))
    name: str = Field(sa_column=Column(Text, nullable=False))
    created_at_ms: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    revoked_at_ms: int | None = Field(sa_column=Column(BIG_INTEGER))


class TokenRow(SQLModel, table=True):
    """An OAuth token by the hash of its text; what a signature is checked with is sealed."""

    __tablename__ = "service_tokens"
    __table_args__ = (
        _some("ix_service_tokens_account", "account", "app", where="revoked_at_ms IS NULL"),
        _some("ix_service_tokens_expiry", "expires_at_ms", where="expires_at_ms IS NOT NULL"),
        _some("ix_service_tokens_revoked", "revoked_at_ms", where="revoked_at_ms IS NOT NULL"),
    )

    token_hash: bytes = Field(sa_column=Column(MARK, primary_key=True))
    kind: str = Field(sa_column=Column(exact_text(16), nullable=False))
    app: str = Field(sa_column=Column(ID, nullable=False))
    account: str | None = Field(sa_column=Column(ID))
    secret_sealed: bytes | None = Field(sa_column=Column(LargeBinary))
    scopes: str = Field(sa_column=Column(Text, nullable=False))
    created_at_ms: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    expires_at_ms: int | None = Field(sa_column=Column(BIG_INTEGER))
    revoked_at_ms: int | None = Field(sa_column=Column(BIG_INTEGER))
    callback: str | None = Field(sa_column=Column(Text))
    verifier_hash: bytes | None = Field(sa_column=Column(LargeBinary))
    consent_text: bytes | None = Field(sa_column=Column(LargeBinary))


class NonceRow(SQLModel, table=True):
    """A nonce that was used: a hash of consumer key, timestamp and nonce."""

    __tablename__ = "service_nonces"
    __table_args__ = (Index("ix_service_nonces_timestamp", "timestamp_s"),)

    mark: bytes = Field(sa_column=Column(MARK, primary_key=True))
    timestamp_s: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))


class RateWindowRow(SQLModel, table=True):
    """Calls of the window that a bucket is in by now; a bucket is there by its hash."""

    __tablename__ = "service_rate_windows"
    __table_args__ = (Index("ix_service_rate_windows_start", "window_start_ms"),)

    mark: bytes = Field(sa_column=Column(MARK, primary_key=True))
    window_start_ms: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    calls: int = Field(sa_column=Column(Integer, nullable=False))


class CanaryRow(SQLModel, table=True):
    """A canary; what opens its commitment is sealed."""

    __tablename__ = "service_canaries"

    canary: str = Field(sa_column=Column(ID, primary_key=True))
    account: str = Field(sa_column=Column(ID, nullable=False, unique=True))
    developer: str = Field(sa_column=Column(ID, nullable=False))
    app: str = Field(sa_column=Column(ID, nullable=False))
    marker_hash: bytes = Field(sa_column=Column(MARK, nullable=False, unique=True))
    sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    created_at_ms: int = Field(sa_column=Column(BIG_INTEGER, nullable=False))
    released_at_ms: int | None = Field(sa_column=Column(BIG_INTEGER))
    fetched_at_ms: int | None = Field(sa_column=Column(BIG_INTEGER))
    fetches: int = Field(sa_column=Column(Integer, nullable=False))
