"""The settings of ``grantledger serve``, read from the environment once, beside :mod:`ledger.settings`.

=====================================  ==========================================================================
``GRANTLEDGER_LISTEN``                 where HTTP is served; else ``127.0.0.1:8400``
``GRANTLEDGER_EXTERNAL_URLS``          the base URLs that clients call, comma-separated: what an OAuth 1.0a client
                                       signs is the name it was told; else that of ``GRANTLEDGER_LISTEN``
``GRANTLEDGER_HOST_OVERRIDES``         development only: hosts that are on this machine, as
                                       ``a.example=127.0.0.1:8443,b.example=127.0.0.1:8444``, or a file of such lines
``GRANTLEDGER_TRUSTED_CA``             development only: a file of certificates to trust instead of the system's
``GRANTLEDGER_EGRESS_PROXY``           ``HOST:PORT`` of the egress proxy that everything sent passes through
``GRANTLEDGER_SMTP_URL``               the mail server that notices to people are handed over to, as
                                       ``smtps://USER:PASSWORD@HOST:465`` or ``smtp://…:587`` (STARTTLS); else e-mail waits
``GRANTLEDGER_MAIL_FROM``              the address that these notices come from
``GRANTLEDGER_DISPATCH_THREADS``       deliveries at the same time in all; else 96
``GRANTLEDGER_DISPATCH_PER_WEBHOOK``   deliveries at the same time to one webhook; else 8
``GRANTLEDGER_SEAL_SECONDS``           seconds between two seals; else 5
``GRANTLEDGER_AUDIT_SECONDS``          seconds between two verifications of the whole log; 0: none; else 300
``GRANTLEDGER_FOLLOW_SECONDS``         seconds between two looks at what is new in the log; 0: none; else 0.5
``GRANTLEDGER_RETENTION_DAYS``         how long events are kept for retries and replays, 1 to 30; else 5
``GRANTLEDGER_PREMIUM_WEBHOOKS``       webhooks of one environment of a premium app; else 1
``GRANTLEDGER_WEBHOOKS``               webhooks of an app in enterprise and v2 calls; else 5
``GRANTLEDGER_SUBSCRIPTIONS``          subscriptions of one app; else 100000
``GRANTLEDGER_PUBLIC_ENTRIES``         1: entry bundles of the published log are shown to everybody, and not to
                                       auditors alone; else 0
``GRANTLEDGER_RATE_LIMITS``            calls in 15 minutes by family, ``webhooks=15,subscriptions=500,list=50,
                                       count=15,replay=5``; families left out keep these
=====================================  ==========================================================================

An empty variable counts as left out. Nothing here touches a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from ledger.errors import SettingsError

DEFAULT_LISTEN = "127.0.0.1:8400"

RATE_LIMITS: Mapping[str, int] = MappingProxyType(
    {"webhooks": 15, "subscriptions": 500, "list": 50, "count": 15, "replay": 5}
)
"""Calls in 15 minutes by family (delivery protocol, section 3.2)."""

_PREFIX = "GRANTLEDGER_"


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """How one process of the service runs. ``host_overrides`` is the text or the path that the operator gave."""

    listen_host: str
    listen_port: int
    external_urls: tuple[str, ...]
    host_overrides: str | None = None
    trusted_ca_file: Path | None = None
    egress_proxy: tuple[str, int] | None = None
    smtp_url: str | None = field(default=None, repr=False)
    mail_from: str | None = None
    dispatch_threads: int = 96
    dispatch_per_webhook: int = 8
    seal_seconds: float = 5.0
    audit_seconds: float = 300.0
    follow_seconds: float = 0.5
    retention_days: int = 5
    premium_webhooks_max: int = 1
    webhooks_max: int = 5
    subscriptions_max: int = 100_000
    public_entries: bool = False
    rate_limits: Mapping[str, int] = field(default_factory=lambda: RATE_LIMITS)


def load_service_settings(environ: Mapping[str, str], listen: str | None = None) -> ServiceSettings:
    """The settings that ``environ`` holds; ``listen`` (``HOST:PORT``) goes before ``GRANTLEDGER_LISTEN``.

    Raises SettingsError, whose text names the setting and the fix.
    """
    host, port = parse_listen(listen or environ.get(f"{_PREFIX}LISTEN") or DEFAULT_LISTEN)
    ca_file = environ.get(f"{_PREFIX}TRUSTED_CA")
    return ServiceSettings(
        listen_host=host,
        listen_port=port,
        external_urls=_external_urls(environ, host, port),
        host_overrides=environ.get(f"{_PREFIX}HOST_OVERRIDES") or None,
        trusted_ca_file=Path(ca_file).expanduser() if ca_file else None,
        egress_proxy=_parse_proxy(environ.get(f"{_PREFIX}EGRESS_PROXY")),
        smtp_url=environ.get(f"{_PREFIX}SMTP_URL") or None,
        mail_from=environ.get(f"{_PREFIX}MAIL_FROM") or None,
        dispatch_threads=_integer(environ, "DISPATCH_THREADS", 96, 1, 256),
        dispatch_per_webhook=_integer(environ, "DISPATCH_PER_WEBHOOK", 8, 1, 64),
        seal_seconds=_seconds(environ, "SEAL_SECONDS", 5.0, least=0.2),
        audit_seconds=_seconds(environ, "AUDIT_SECONDS", 300.0, least=0.0),
        follow_seconds=_seconds(environ, "FOLLOW_SECONDS", 0.5, least=0.0),
        retention_days=_integer(environ, "RETENTION_DAYS", 5, 1, 30),
        premium_webhooks_max=_integer(environ, "PREMIUM_WEBHOOKS", 1, 1, 1_000),
        webhooks_max=_integer(environ, "WEBHOOKS", 5, 1, 1_000),
        subscriptions_max=_integer(environ, "SUBSCRIPTIONS", 100_000, 1, 100_000_000),
        public_entries=bool(_integer(environ, "PUBLIC_ENTRIES", 0, 0, 1)),
        rate_limits=_rate_limits(environ),
    )


def parse_listen(text: str) -> tuple[str, int]:
    """Host and port of ``HOST:PORT``; raises SettingsError for any other text."""
    host, separator, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not separator or not host or not port.isdecimal() or int(port) > 65_535:
        raise SettingsError(f"{_PREFIX}LISTEN {text!r} is not HOST:PORT, for example {DEFAULT_LISTEN}")
    return host, int(port)


def _parse_proxy(text: str | None) -> tuple[str, int] | None:
    if not text:
        return None
    host, separator, port = text.rpartition(":")
    if not separator or not host or not port.isdecimal() or not 0 < int(port) <= 65_535:
        raise SettingsError(f"{_PREFIX}EGRESS_PROXY {text!r} is not HOST:PORT, for example 127.0.0.1:8500")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _external_urls(environ: Mapping[str, str], host: str, port: int) -> tuple[str, ...]:
    text = environ.get(f"{_PREFIX}EXTERNAL_URLS")
    if not text:
        shown = f"[{host}]" if ":" in host else host
        names = [shown, *(("localhost",) if host in ("127.0.0.1", "::1") else ())]
        return tuple(f"http://{name}:{port}" for name in names)
    urls = tuple(url.strip().rstrip("/") for url in text.split(",") if url.strip())
    for url in urls:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise SettingsError(
                f"{_PREFIX}EXTERNAL_URLS has {url!r}, which is no base URL: write for example https://api.example"
            )
    return urls


def _integer(environ: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = environ.get(_PREFIX + name)
    if not text:
        return default
    if not text.isdecimal() or not least <= int(text) <= most:
        raise SettingsError(f"{_PREFIX}{name} {text!r} is not a number from {least} to {most}")
    return int(text)


def _seconds(environ: Mapping[str, str], name: str, default: float, least: float) -> float:
    text = environ.get(_PREFIX + name)
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not least <= value <= 86_400:
        raise SettingsError(f"{_PREFIX}{name} {text!r} is not a number of seconds from {least} to 86400")
    return value


def _rate_limits(environ: Mapping[str, str]) -> Mapping[str, int]:
    limits = dict(RATE_LIMITS)
    for part in (environ.get(f"{_PREFIX}RATE_LIMITS") or "").split(","):
        name, _, number = part.strip().partition("=")
        if not part.strip():
            continue
        if name not in limits or not number.isdecimal() or not 0 < int(number) <= 1_000_000_000:
            raise SettingsError(
                f"{_PREFIX}RATE_LIMITS has {part.strip()!r}: write FAMILY=CALLS, families are {', '.join(limits)}"
            )
        limits[name] = int(number)
    return MappingProxyType(limits)
