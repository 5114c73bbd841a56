"""How the gateway's services say no, so that every edge can tell it in its own words (delivery protocol, 3.2 and 3.3)."""

from __future__ import annotations

from ledger.errors import RejectedError


class GatewayRefusal(RejectedError):  # noqa: N818 - it and its kinds are named for what they say
    """A service does not do what it was asked; nothing was recorded.

    ``code`` says which refusal it is, in the names of section 3.3 where it has one there; ``reason`` is a text for
    developers, that of section 3.2 where it has one.
    """

    code: str
