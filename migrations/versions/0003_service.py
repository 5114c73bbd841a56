"""The service: apps, webhooks and subscriptions, events on their way, and who may call."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BIG_INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# Told apart by their bytes and found by them, in the order that every database gives them, whatever its language.
ID = sa.String(64).with_variant(sa.String(64, collation="C"), "postgresql")
LONG_ID = sa.String(128).with_variant(sa.String(128, collation="C"), "postgresql")
WORD = sa.String(16).with_variant(sa.String(16, collation="C"), "postgresql")


def upgrade() -> None:
    """Create the tables, all empty."""
    create_registry()
    create_outbox()
    create_credentials()


def create_registry() -> None:
    """Developers, apps, webhooks, subscriptions, challenges and notices."""
    op.create_table(
        "service_developers",
        sa.Column("developer", ID, primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at_ms", BIG_INTEGER, nullable=False),
    )
    op.create_table(
        "service_apps",
        sa.Column("app", ID, primary_key=True),
        sa.Column("developer", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("website", sa.Text(), nullable=False),
        sa.Column("consumer_key", LONG_ID, nullable=False),
        sa.Column("secret_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("environments", sa.Text(), nullable=False),
        sa.Column("callbacks", sa.Text(), nullable=False),
        sa.Column("retry_waits_ms", sa.Text(), nullable=False),
        sa.Column("can_write", sa.Boolean(), nullable=False),
        sa.Column("created_at_ms", BIG_INTEGER, nullable=False),
        sa.UniqueConstraint("consumer_key"),
    )
    _index("ix_service_apps_developer", "service_apps", ["developer", "created_at_ms", "app"])
    op.create_table(
        "service_webhooks",
        sa.Column("webhook", ID, primary_key=True),
        sa.Column("app", ID, nullable=False),
        sa.Column("environment", ID, nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("is_valid", sa.Boolean(), nullable=False),
        sa.Column("created_at_ms", BIG_INTEGER, nullable=False),
        sa.Column("validated_at_ms", BIG_INTEGER),
        sa.Column("failing_since_ms", BIG_INTEGER),
        sa.Column("next_check_at_ms", BIG_INTEGER, nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("deleted_at_ms", BIG_INTEGER),
    )
    _index(
        "ix_service_webhooks_app",
        "service_webhooks",
        ["app", "created_at_ms", "webhook"],
        where="deleted_at_ms IS NULL",
    )
    _index(
        "ix_service_webhooks_due",
        "service_webhooks",
        ["next_check_at_ms", "webhook"],
        where="deleted_at_ms IS NULL",
    )
    op.create_table(
        "service_subscriptions",
        sa.Column("subscription", ID, primary_key=True),
        sa.Column("webhook", ID, nullable=False),
        sa.Column("app", ID, nullable=False),
        sa.Column("environment", ID, nullable=False),
        sa.Column("account", ID, nullable=False),
        sa.Column("grant_id", ID, nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("covers_messages", sa.Boolean(), nullable=False),
        sa.Column("created_at_ms", BIG_INTEGER, nullable=False),
        sa.Column("ended_at_ms", BIG_INTEGER),
    )
    _index(
        "ix_service_subscriptions_account",
        "service_subscriptions",
        ["account", "created_at_ms", "subscription"],
        where="ended_at_ms IS NULL",
    )
    _index(
        "ix_service_subscriptions_ended",
        "service_subscriptions",
        ["account", "ended_at_ms"],
        where="ended_at_ms IS NOT NULL",
    )
    _index(
        "ix_service_subscriptions_app",
        "service_subscriptions",
        ["app", "covers_messages"],
        where="ended_at_ms IS NULL",
    )
    _index(
        "ix_service_subscriptions_grant", "service_subscriptions", ["grant_id"], where="ended_at_ms IS NULL"
    )
    _index("ix_service_subscriptions_made", "service_subscriptions", ["webhook", "account"])
    _index(
        "ix_service_subscriptions_webhook",
        "service_subscriptions",
        ["webhook", "subscription"],
        where="ended_at_ms IS NULL",
    )
    _index(
        "ux_service_subscriptions_live",
        "service_subscriptions",
        ["webhook", "account"],
        where="ended_at_ms IS NULL",
        unique=True,
    )
    op.create_table(
        "service_challenges",
        sa.Column("webhook", ID, primary_key=True),
        sa.Column("at_ms", BIG_INTEGER, primary_key=True, autoincrement=False),
        sa.Column("cause", WORD, primary_key=True),
        sa.Column("is_passed", sa.Boolean(), nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("latency_ms", BIG_INTEGER, nullable=False),
        sa.Column("reason", sa.Text()),
    )
    op.create_table(
        "service_notices",
        sa.Column("number", BIG_INTEGER, primary_key=True, autoincrement=True),
        sa.Column("mark", sa.LargeBinary(32), nullable=False),
        sa.Column("account", ID, nullable=False),
        sa.Column("at_ms", BIG_INTEGER, nullable=False),
        sa.Column("kind", ID, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("grant_id", ID),
        sa.UniqueConstraint("mark"),
        sqlite_autoincrement=True,
    )
    _index("ix_service_notices_account", "service_notices", ["account", "number"])


def create_outbox() -> None:
    """Events, parcels, notes of attempts, replays and the keys that sign."""
    op.create_table(
        "service_events",
        sa.Column("event", ID, primary_key=True),
        sa.Column("account", ID, primary_key=True),
        sa.Column("subjects", sa.Text(), nullable=False),
        sa.Column("event_type", ID, nullable=False),
        sa.Column("is_private", sa.Boolean(), nullable=False),
        sa.Column("received_at_ms", BIG_INTEGER, nullable=False),
        sa.Column("body_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("body_bytes", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
    )
    _index("ix_service_events_account", "service_events", ["account", "received_at_ms", "event"])
    _index("ix_service_events_received", "service_events", ["received_at_ms"])
    op.create_table(
        "service_parcels",
        sa.Column("number", BIG_INTEGER, primary_key=True, autoincrement=True),
        sa.Column("delivery", ID, nullable=False),
        sa.Column("event", ID, nullable=False),
        sa.Column("account", ID, nullable=False),
        sa.Column("subscription", ID),
        sa.Column("webhook", ID, nullable=False),
        sa.Column("app", ID, nullable=False),
        sa.Column("developer", ID, nullable=False),
        sa.Column("environment", ID, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("due_at_ms", BIG_INTEGER, nullable=False),
        sa.Column("created_at_ms", BIG_INTEGER, nullable=False),
        sa.Column("replay", ID),
        sa.Column("state", WORD, nullable=False),
        sa.Column("lease_owner", LONG_ID, nullable=False),
        sa.Column("lease_until_ms", BIG_INTEGER, nullable=False),
        sa.UniqueConstraint("delivery"),
        sqlite_autoincrement=True,
    )
    _index("ix_service_parcels_event", "service_parcels", ["event", "account"])
    _index("ix_service_parcels_expired", "service_parcels", ["created_at_ms"], where="state = 'expired'")
    _index("ix_service_parcels_replay", "service_parcels", ["replay", "state"], where="replay IS NOT NULL")
    _index(
        "ix_service_parcels_sent",
        "service_parcels",
        ["webhook", "created_at_ms", "delivery"],
        where="replay IS NULL",
    )
    _index(
        "ix_service_parcels_waiting",
        "service_parcels",
        ["webhook", "due_at_ms", "number"],
        where="state = 'waiting'",
    )
    op.create_table(
        "service_signing_keys",
        sa.Column("webhook", ID, primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("secret_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at_ms", BIG_INTEGER, nullable=False),
        sa.Column("ends_at_ms", BIG_INTEGER),
    )
    op.create_table(
        "service_notes",
        sa.Column("delivery", ID, primary_key=True),
        sa.Column("attempt", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("webhook", ID, nullable=False),
        sa.Column("app", ID, nullable=False),
        sa.Column("event_type", ID, nullable=False),
        sa.Column("at_ms", BIG_INTEGER, nullable=False),
        sa.Column("outcome", WORD, nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("duration_ms", BIG_INTEGER),
        sa.Column("reason", sa.Text()),
        sa.Column("seq", BIG_INTEGER),
        sa.Column("replay", ID),
    )
    _index("ix_service_notes_app", "service_notes", ["app", "at_ms", "delivery", "attempt"])
    _index("ix_service_notes_at", "service_notes", ["at_ms"])
    _index(
        "ix_service_notes_trouble",
        "service_notes",
        ["app", "outcome", "at_ms", "delivery", "attempt"],
        where="outcome <> 'delivered'",
    )
    op.create_table(
        "service_replays",
        sa.Column("job", ID, primary_key=True),
        sa.Column("webhook", ID, nullable=False),
        sa.Column("app", ID, nullable=False),
        sa.Column("from_ms", BIG_INTEGER, nullable=False),
        sa.Column("to_ms", BIG_INTEGER, nullable=False),
        sa.Column("created_at_ms", BIG_INTEGER, nullable=False),
        sa.Column("state", WORD, nullable=False),
        sa.Column("through", LONG_ID, nullable=False),
        sa.Column("sent", BIG_INTEGER, nullable=False),
        sa.Column("ended_at_ms", BIG_INTEGER),
    )
    _index("ix_service_replays_webhook", "service_replays", ["webhook", "created_at_ms", "job"])
    _index(
        "ux_service_replays_running", "service_replays", ["webhook"], where="state = 'running'", unique=True
    )


def create_credentials() -> None:
    """Keys, tokens, nonces and rate windows."""
    op.create_table(
        "service_api_keys",
        sa.Column("key", ID, primary_key=True),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("role", WORD, nullable=False),
        sa.Column("subject", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at_ms", BIG_INTEGER, nullable=False),
        sa.Column("revoked_at_ms", BIG_INTEGER),
    )
    op.create_table(
        "service_tokens",
        sa.Column("token_hash", sa.LargeBinary(32), primary_key=True),
        sa.Column("kind", WORD, nullable=False),
        sa.Column("app", ID, nullable=False),
        sa.Column("account", ID),
        sa.Column("secret_sealed", sa.LargeBinary()),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("created_at_ms", BIG_INTEGER, nullable=False),
        sa.Column("expires_at_ms", BIG_INTEGER),
        sa.Column("revoked_at_ms", BIG_INTEGER),
        sa.Column("callback", sa.Text()),
        sa.Column("verifier_hash", sa.LargeBinary()),
        sa.Column("consent_text", sa.LargeBinary()),
    )
    _index("ix_service_tokens_account", "service_tokens", ["account", "app"], where="revoked_at_ms IS NULL")
    _index("ix_service_tokens_expiry", "service_tokens", ["expires_at_ms"], where="expires_at_ms IS NOT NULL")
    _index(
        "ix_service_tokens_revoked", "service_tokens", ["revoked_at_ms"], where="revoked_at_ms IS NOT NULL"
    )
    op.create_table(
        "service_nonces",
        sa.Column("mark", sa.LargeBinary(32), primary_key=True),
        sa.Column("timestamp_s", BIG_INTEGER, nullable=False),
    )
    _index("ix_service_nonces_timestamp", "service_nonces", ["timestamp_s"])
    op.create_table(
        "service_rate_windows",
        sa.Column("mark", sa.LargeBinary(32), primary_key=True),
        sa.Column("window_start_ms", BIG_INTEGER, nullable=False),
        sa.Column("calls", sa.Integer(), nullable=False),
    )
    _index("ix_service_rate_windows_start", "service_rate_windows", ["window_start_ms"])


def downgrade() -> None:
    """Refuse: subscriptions are what grants rest on, and parcels what is owed to developers."""
    raise NotImplementedError("the service cannot be migrated away; delete its tables by hand if you mean it")


def _index(
    name: str, table: str, columns: Sequence[str], *, where: str | None = None, unique: bool = False
) -> None:
    condition = None if where is None else sa.text(where)
    op.create_index(name, table, columns, unique=unique, sqlite_where=condition, postgresql_where=condition)
