"""Why the gate refused, in a sentence for whoever asked: nothing was sent (verdict rules, section 2.3)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

REFUSAL_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "WRONG_DEVELOPER": "The account has granted this to another developer, not to this one.",
        "NO_GRANT": "The account has never granted this developer anything.",
        "WRONG_APP": "The account has granted this to another app of the developer.",
        "WRONG_ENVIRONMENT": "The endpoint, or the account's grant, is of another environment of the app.",
        "ENDPOINT_NOT_OWNED": "The endpoint belongs to another app.",
        "ENDPOINT_UNKNOWN": "The endpoint was never registered, or is retired, or its app is unknown.",
        "DEVELOPER_CHANGED_BY_TRANSFER": "The app has another developer now, and the account has not accepted that.",
        "DELIVERED_BEFORE_GRANT": "The account's grant begins later.",
        "DELIVERED_AFTER_REVOCATION": "The account has withdrawn its grant.",
        "DELIVERED_AFTER_EXPIRY": "The account's grant has expired.",
        "GRANT_SUSPENDED": "The account's grant is suspended.",
        "GRANT_INVALIDATED": "The grant was declared void from its start.",
        "ACCOUNT_NOT_ACTIVE": "The account is suspended or deleted.",
        "APP_OR_DEVELOPER_SUSPENDED": "The app or its developer is suspended.",
        "SCOPE_EXCEEDED": "The account's grant does not cover events of this type.",
        "SCOPE_NARROWED": "The account's grant no longer covers events of this type.",
        "EVENT_TYPE_UNMAPPED": "No scope covers events of this type.",
    }
)
"""Every code that the gate can refuse with -> what it means."""
