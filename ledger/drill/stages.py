"""Where a drill takes place: on a ledger of its own, or in the ledger that is served here.

*Of its own*: a new database with new keys in a directory of the drill's, and ``grantledger serve`` on it, the same build
with the settings that say how the service works. What says where data, keys and other machines are is left out: a drill's
log asks no witnesses and passes no proxy. *Here*: the service that runs already, found at an address, and asked whether
its log is the one of this database.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx

from ledger.errors import SettingsError, StoreError
from ledger.reenactment.service_process import ServiceProcess
from ledger.service_settings import ServiceSettings, load_service_settings
from ledger.settings import Settings, load_settings
from ledger.wiring import ORIGIN_TOKEN_BYTES, SYSTEM_RANDOMNESS, create_ledger, open_ledger

CA_FILE = "ca.pem"
LOG_FILE = "serve.log"
DATABASE_FILE = "drill.db"

HOW_IT_WORKS = (
    "GRANTLEDGER_FOLLOW_SECONDS",
    "GRANTLEDGER_AUDIT_SECONDS",
    "GRANTLEDGER_SEAL_SECONDS",
    "GRANTLEDGER_DISPATCH_THREADS",
    "GRANTLEDGER_DISPATCH_PER_WEBHOOK",
)
"""Settings that a drill's own service shares with the one that is served elsewhere from this environment."""

_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Stage:
    """A running service and its ledger. ``service_settings`` are those of the drill's own part in it.

    ``metrics_url`` is where the process with the live audit tells its figures. ``is_followed`` is false where that audit is
    known to be off.
    """

    settings: Settings
    service_settings: ServiceSettings
    base_url: str
    metrics_url: str
    is_own: bool
    is_followed: bool


@dataclass(frozen=True, slots=True)
class Here:
    """In the ledger at ``settings``, whose service is at ``base_url``, or where the environment says.

    ``metrics_url`` is where its process with the live audit is, where that is another one.
    """

    settings: Settings
    base_url: str | None = None
    metrics_url: str | None = None


@contextmanager
def own_stage(directory: Path, environ: Mapping[str, str], host_overrides: str) -> Iterator[Stage]:
    """A new ledger in ``directory`` (which has the authority's certificate) and a service on it, ended with the block.

    Raises LedgerError where it does not come about.
    """
    home = directory.absolute()
    environment = {
        "GRANTLEDGER_DB": str(home / DATABASE_FILE),
        "GRANTLEDGER_STATE_DIR": str(home / "state"),
        "GRANTLEDGER_TRUSTED_CA": str(home / CA_FILE),
        **{name: environ[name] for name in HOW_IT_WORKS if environ.get(name)},
    }
    settings = load_settings(environment)
    shared = load_service_settings({**environment, "GRANTLEDGER_HOST_OVERRIDES": host_overrides})
    token = SYSTEM_RANDOMNESS.token(ORIGIN_TOKEN_BYTES).hex()
    create_ledger(settings, f"localhost/grantledger-drill-{token}")
    with ServiceProcess(environment, directory / LOG_FILE) as process:
        process.start(host_overrides)
        yield Stage(
            settings,
            replace(shared, external_urls=(process.base_url,)),
            process.base_url,
            process.base_url,
            is_own=True,
            is_followed=shared.follow_seconds > 0,
        )


@contextmanager
def stage_here(
    here: Here, directory: Path, environ: Mapping[str, str], host_overrides: str
) -> Iterator[Stage]:
    """The service that runs already, as ``here`` has it; nothing of it is started or ended.

    Raises SettingsError where there is none, or it serves another log.
    """
    shared = load_service_settings(environ)
    host = f"[{shared.listen_host}]" if ":" in shared.listen_host else shared.listen_host
    base_url = (here.base_url or f"http://{host}:{shared.listen_port}").rstrip("/")
    with open_ledger(here.settings) as ledger:
        vkey = ledger.vkey
    try:
        served = httpx.get(f"{base_url}/log.vkey", timeout=_TIMEOUT_S, trust_env=False)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise SettingsError(
            f"no service answers at {base_url}: start `grantledger serve`, or name it with --service"
        ) from error
    if served.status_code != httpx.codes.OK:
        raise StoreError(
            f"the service at {base_url} does not say whose log it keeps: status {served.status_code}"
        )
    if served.text.strip() != vkey:
        raise SettingsError(
            f"the service at {base_url} keeps another log than {here.settings.database}: name its database with --db"
        )
    mine = replace(
        shared,
        host_overrides=host_overrides,
        trusted_ca_file=directory / CA_FILE,
        egress_proxy=None,
        external_urls=(base_url,),
    )
    metrics_url = (here.metrics_url or base_url).rstrip("/")
    yield Stage(here.settings, mine, base_url, metrics_url, is_own=False, is_followed=True)
