"""Ordering a replay, the same in all dialects but for how it reads (delivery protocol, sections 3.2, 3.3 and 3.5).

``from_date`` is included, ``to_date`` is not; both are minutes, twelve digits, UTC. What is wrong with them, and everything
else about a replay, is the gateway's; here is only whose webhook it is for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from api.routes.webhook_calls import check_may_write, load_own, match_numeric_id
from api.service import Service
from ledger.gateway.replay import ReplayRefused, parse_dates
from ledger.ports.outbox import Replay
from ledger.ports.registry import App

_match_negative = re.compile(r"-[0-9]{1,19}", re.ASCII).fullmatch


def order_replay(service: Service, app: App, webhook_id: str, parameters: Mapping[str, str]) -> Replay:
    """A replay to the webhook ``webhook_id`` of ``app`` from ``from_date`` to ``to_date`` of ``parameters``.

    Raises ProblemError (261), ReplayRefused (355 to 368, 214) and WebhookUnknown (34).
    """
    check_may_write(app)
    if _match_negative(webhook_id):
        raise ReplayRefused("360", f"webhook_id: [{webhook_id}] is not greater than or equal to 0.")
    if not match_numeric_id(webhook_id):
        raise ReplayRefused("358", "Unable to parse webhook_id parameter.")
    from_ms, to_ms = parse_dates(parameters.get("from_date"), parameters.get("to_date"))
    return service.replays.request(app, load_own(service, app, webhook_id), from_ms, to_ms)
