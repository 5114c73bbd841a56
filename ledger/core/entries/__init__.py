"""The kinds of entries as frozen dataclasses, and their bytes (ledger format, sections 1.1, 1.5 and 1.7)."""

from __future__ import annotations

from ledger.core.entries.audit import AccessViewed, FindingRecorded
from ledger.core.entries.base import COMMON_MEMBERS, KINDS, LEDGER_MEMBERS, Entry
from ledger.core.entries.codec import Decoded, check_members, decode_entry, encode_entry
from ledger.core.entries.deliveries import (
    DeliveryAttempted,
    DeliveryImported,
    DeliveryRefused,
    DeliverySettled,
    Observed,
    ReceivedBy,
    ReplayRequested,
)
from ledger.core.entries.exports import ExportDecided, ExportRequested, ExportSealed, ExportTaken
from ledger.core.entries.grants import Evidence, GrantAmended, GrantChanged, GrantIssued, SubscriptionChanged
from ledger.core.entries.incidents import (
    IncidentAssessed,
    IncidentAuthorityNotified,
    IncidentDecided,
    IncidentDescribed,
    IncidentMomentClaimed,
    IncidentOpened,
    IncidentStatusSet,
    IncidentUpdatePublished,
    NoticeChanged,
)
from ledger.core.entries.log import IndexSealed, KeyRotated, LedgerOpened
from ledger.core.entries.obligations import (
    ObligationAttested,
    ObligationChanged,
    ObligationEscalated,
    ObligationOpened,
)
from ledger.core.entries.parties import (
    AccountChanged,
    AccountRegistered,
    AppOwned,
    AppStanding,
    DeveloperChanged,
    EndpointChecked,
    EndpointRegistered,
    EndpointTransferred,
    ProcessorDeclared,
)
from ledger.core.entries.privacy import HoldLifted, HoldPlaced, PolicySet, SubjectErased
from ledger.core.entries.second_sources import (
    CanaryPlanted,
    CanarySeen,
    DeliveryReceipt,
    DeveloperKeySet,
    EgressCounted,
    EgressKeySet,
)

__all__ = [
    "COMMON_MEMBERS",
    "KINDS",
    "LEDGER_MEMBERS",
    "AccessViewed",
    "AccountChanged",
    "AccountRegistered",
    "AppOwned",
    "AppStanding",
    "CanaryPlanted",
    "CanarySeen",
    "Decoded",
    "DeliveryAttempted",
    "DeliveryImported",
    "DeliveryReceipt",
    "DeliveryRefused",
    "DeliverySettled",
    "DeveloperChanged",
    "DeveloperKeySet",
    "EgressCounted",
    "EgressKeySet",
    "EndpointChecked",
    "EndpointRegistered",
    "EndpointTransferred",
    "Entry",
    "Evidence",
    "ExportDecided",
    "ExportRequested",
    "ExportSealed",
    "ExportTaken",
    "FindingRecorded",
    "GrantAmended",
    "GrantChanged",
    "GrantIssued",
    "HoldLifted",
    "HoldPlaced",
    "IncidentAssessed",
    "IncidentAuthorityNotified",
    "IncidentDecided",
    "IncidentDescribed",
    "IncidentMomentClaimed",
    "IncidentOpened",
    "IncidentStatusSet",
    "IncidentUpdatePublished",
    "IndexSealed",
    "KeyRotated",
    "LedgerOpened",
    "NoticeChanged",
    "ObligationAttested",
    "ObligationChanged",
    "ObligationEscalated",
    "ObligationOpened",
    "Observed",
    "PolicySet",
    "ProcessorDeclared",
    "ReceivedBy",
    "ReplayRequested",
    "SubjectErased",
    "SubscriptionChanged",
    "check_members",
    "decode_entry",
    "encode_entry",
]
