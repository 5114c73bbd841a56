"""From an exchange and its connection to what services and the ledger are told (ledger format, section 1.5)."""

from __future__ import annotations

from ledger.ports.sending import Answer, Disclosure, ObservedDelivery
from ledger.transport.connection import Exchange, Seen


def observe(
    host: str,
    port: int,
    path: str,
    exchange: Exchange,
    seen: Seen | None,
    began_at_ms: int,
    ended_at_ms: int,
    vetted: tuple[str, ...] = (),
) -> Answer:
    """What became of the request for ``path`` that was typed for ``host`` and ``port``.

    ``seen`` is the connection that carried it, or was to carry it; ``began_at_ms`` stands in as the start where nothing
    left.
    """
    observed = ObservedDelivery(
        started_at_ms=began_at_ms if exchange.started_at_ms is None else exchange.started_at_ms,
        ended_at_ms=ended_at_ms,
        host=host,
        port=port,
        path=path,
        sni=seen.sni if seen else None,
        peer_ip=seen.peer_ip if seen else None,
        spki_sha256=seen.spki_sha256 if seen else None,
        status=exchange.status,
        disclosure=_disclosure(exchange),
        error=exchange.error,
        is_timeout=exchange.is_timeout,
        is_refused_egress=exchange.is_refused_egress,
        is_called_off=exchange.is_called_off,
        is_unreached=exchange.is_unreached,
        vetted_addresses=vetted,
    )
    return Answer(observed, bytes(exchange.body))


def _disclosure(exchange: Exchange) -> Disclosure:
    if exchange.status is not None:
        return "confirmed"
    return "none" if exchange.started_at_ms is None else "possible"
