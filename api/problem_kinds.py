"""The kinds of problems: status, title, and the code and words that v1.1 has for them (delivery protocol, section 3.2).

A kind's name is the end of its ``type`` (RFC 9457) and, like codes, never reused. What a gateway refuses has a code of its
own (``RejectedError.code``): :data:`GATEWAY` says which kind, which words and which name of v2 (section 3.3) it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple


class Kind(NamedTuple):
    """One kind: HTTP status, title, v1.1 code, and its words where nothing better is known."""

    status: int
    title: str
    code: int
    message: str


KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "malformed": Kind(400, "Malformed request", 44, "The request is malformed."),
        "invalid-request": Kind(
            400, "Invalid Request", 44, "One or more parameters to your request was invalid."
        ),
        "authentication-malformed": Kind(
            400, "Malformed authentication data", 215, "Bad Authentication data."
        ),
        "not-authenticated": Kind(401, "Not authenticated", 32, "Could not authenticate you."),
        "token-invalid": Kind(401, "Invalid token", 89, "Invalid or expired token."),
        "forbidden": Kind(403, "Not allowed", 200, "Forbidden."),
        "role-needed": Kind(403, "Another role is needed", 200, "Forbidden."),
        "credentials-refused": Kind(403, "Credentials refused", 99, "Unable to verify your credentials."),
        "callback-refused": Kind(
            403, "Callback not registered", 415, "Callback URL not approved for this client application."
        ),
        "webhook-refused": Kind(403, "Webhook refused", 214, "Webhook URL does not meet the requirements."),
        "refused-v2": Kind(400, "Refused", 214, "The request was refused."),
        "write-refused": Kind(403, "The app may only read", 261, "Application cannot perform write actions."),
        "subscription-refused": Kind(
            403,
            "Not permitted for this account",
            348,
            "Client application is not permitted to access this user's webhook subscriptions.",
        ),
        "form-expired": Kind(403, "The form has expired", 200, "The form has expired."),
        "not-found": Kind(404, "Not found", 34, "Sorry, that page does not exist."),
        "method-not-allowed": Kind(
            405, "Method not allowed", 86, "This method is not available for this resource."
        ),
        "timeout": Kind(408, "Request timed out", 44, "The request took too long to arrive."),
        "conflict": Kind(409, "Conflict", 355, "Something else of that name is there."),
        "too-large": Kind(413, "Body too large", 44, "The body is too large."),
        "uri-too-long": Kind(414, "URI too long", 44, "The address of the request is too long."),
        "unsupported-media-type": Kind(
            415, "Unsupported media type", 44, "The body is of a type that this call does not take."
        ),
        "rejected": Kind(422, "Rejected", 44, "The ledger refuses this."),
        "invalid-parameters": Kind(422, "Invalid parameters", 44, "A parameter is missing or invalid."),
        "rate-limited": Kind(429, "Too many requests", 88, "Rate limit exceeded."),
        "headers-too-large": Kind(431, "Headers too large", 44, "The headers are too many or too large."),
        "internal": Kind(500, "Internal error", 131, "Internal error."),
        "unavailable": Kind(503, "Temporarily unavailable", 130, "Over capacity. Please try again."),
    }
)

KIND_OF_STATUS: Final[Mapping[int, str]] = MappingProxyType(
    {
        400: "malformed",
        401: "not-authenticated",
        403: "forbidden",
        404: "not-found",
        405: "method-not-allowed",
        408: "timeout",
        409: "conflict",
        413: "too-large",
        414: "uri-too-long",
        415: "unsupported-media-type",
        422: "invalid-parameters",
        429: "rate-limited",
        431: "headers-too-large",
        500: "internal",
        503: "unavailable",
    }
)
"""What the framework's own errors are, which know their status only."""


class GatewayRow(NamedTuple):
    """What a gateway's refusal is: its kind; kind and name in v2 where they are others; v1.1 code where it is another."""

    kind: str
    kind_v2: str | None = None
    reason: str | None = None
    code: int | None = None


_REFUSED = GatewayRow("webhook-refused", "refused-v2")

GATEWAY: Final[Mapping[str, GatewayRow]] = MappingProxyType(
    {
        "UrlValidationFailed": _REFUSED,
        "CrcValidationFailed": _REFUSED,
        "DuplicateUrlFailed": _REFUSED,
        "WebhookLimitExceeded": _REFUSED,
        "WebhookIdInvalid": GatewayRow("not-found"),
        "EnvironmentUnknown": GatewayRow("forbidden"),
        "DuplicateSubscriptionFailed": GatewayRow("conflict", "refused-v2"),
        "SubscriptionLimitExceeded": GatewayRow("forbidden", "refused-v2"),
        "SubscriptionNotFound": GatewayRow("not-found"),
        "GrantNotFound": GatewayRow("not-found"),
        "ScopesRefused": GatewayRow("rejected"),
        "TokenRevoked": GatewayRow("token-invalid"),
        "214": GatewayRow("malformed", "refused-v2", "CrcValidationFailed", 214),
        "355": GatewayRow("conflict", reason="ReplayConflictError"),
        **{
            str(code): GatewayRow("malformed", reason="QueryParamInvalid", code=code)
            for code in (356, 357, 358, 360, 368)
        },
        "unknown": GatewayRow("not-found"),
        "under_way": GatewayRow("conflict"),
        "gone": GatewayRow("conflict"),
    }
)
"""``code`` of a gateway's refusal -> what it is told as, in the refusal's own words.

Codes are v2's names for it, for replays the numbers of v1.1, and for a delivery that is to be sent again why it is not.
"""
