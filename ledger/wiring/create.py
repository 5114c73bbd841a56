"""Making what a ledger needs: database, keys and entry 0, as far as they are missing; nothing is ever replaced."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ledger.core import canonical
from ledger.core.canonical import JsonValue
from ledger.core.index import MAP_FN
from ledger.core.note import check_name
from ledger.core.uids import default_uid
from ledger.core.verdicts import RULE_SET
from ledger.engines.codec import MsgspecCodec
from ledger.errors import ForkError, FormatError, SettingsError, UsageError
from ledger.ports import Clock, Randomness
from ledger.sequencer.draft import Draft, expect
from ledger.sequencer.sequencer import Sequencer
from ledger.settings import Settings
from ledger.store.engine import open_engine
from ledger.store.entries import SqlEntryStore
from ledger.store.migrate import upgrade
from ledger.vault.ed25519 import Ed25519Signer, generate
from ledger.vault.log_key import create_log_key, load_log_key
from ledger.vault.operator_key import create_key_file
from ledger.wiring.ledger import Ledger, check_file, operator_key_of
from ledger.wiring.surroundings import SYSTEM_CLOCK, SYSTEM_RANDOMNESS

ORIGIN_TOKEN_BYTES = 6

_OPENER = "system:init"


@dataclass(frozen=True, slots=True)
class Created:
    """What lies there after :func:`create_ledger`; ``made`` names the files that it made."""

    origin: str
    vkey: str
    is_new: bool
    made: tuple[Path, ...]


def create_ledger(
    settings: Settings,
    origin: str | None = None,
    *,
    service_role: str | None = None,
    clock: Clock = SYSTEM_CLOCK,
    randomness: Randomness = SYSTEM_RANDOMNESS,
) -> Created:
    """Make the database, the keys and entry 0 of the log ``origin``, as far as they are missing; replaces nothing.

    Without ``origin`` the log gets a random name under ``localhost``, because ``verify`` remembers logs by
    their origin. On a ledger that is there its tables are brought up to this version and its keys are
    checked. A run that was killed goes on where it stopped. Raises ForkError when a log was signed here whose
    database is gone, UsageError when the ledger there has another origin, SettingsError when a key of an
    existing ledger is missing, unusable or another's, StoreError when something cannot be written.

    ``service_role`` is a role of the PostgreSQL server that is to append and never to change the past; it gets the
    rights for that, and no others (:func:`ledger.store.migrate.upgrade`).
    """
    if origin is not None:
        _check_origin(origin)
    path = settings.database_file
    made: list[Path] = []
    if path is not None:
        check_file(path)
        if not path.parent.is_dir():
            raise SettingsError(
                f"the directory {path.parent} is not there: make it first, or name another database"
            )
        if not path.exists():
            made.append(path)
    upgrade(settings.database_url, service_role)
    engine = open_engine(settings.database_url)
    store = SqlEntryStore(engine)
    try:
        is_new = store.size() == 0
        if is_new:
            if settings.checkpoint_file.exists():
                raise ForkError(
                    f"{settings.checkpoint_file} says that a log was signed here, but {settings.database} is empty: "
                    "a new log of that name would be a fork. Put the database back, or name another one with --db"
                )
            signer, files = _provide_keys(settings, origin, randomness)
            made += files
            # Dying here leaves keys that nothing depends on yet; the next run opens the log with them.
            _append_opened(store, signer, clock)
    finally:
        engine.dispose()
    with Ledger(settings, clock, randomness) as ledger:
        if origin is not None and origin != ledger.origin:
            raise UsageError(
                f"{settings.database} holds the log {ledger.origin} already, and an origin never changes: "
                f"leave --origin out, or make {origin} in another database"
            )
        # An existing ledger gets no new keys: with others nothing that it holds could be continued or read.
        ledger.check_keys()
        return Created(ledger.origin, ledger.vkey, is_new, tuple(made))


def _provide_keys(
    settings: Settings, origin: str | None, randomness: Randomness
) -> tuple[Ed25519Signer, Iterable[Path]]:
    """The log's key, and the files that were made; keys that lie there already are taken."""
    made = []
    log_key, operator_key = settings.log_key_file, settings.operator_key_file
    if not log_key.exists():
        _make_directory(log_key.parent)
        name = origin or f"localhost/grantledger-{randomness.token(ORIGIN_TOKEN_BYTES).hex()}"
        create_log_key(log_key, generate(name, randomness))
        made.append(log_key)
    signer = load_log_key(log_key)
    if origin is not None and origin != signer.name:
        raise UsageError(
            f"the log's key file {log_key} is of the log {signer.name}: "
            "leave --origin out, or move that file away"
        )
    if settings.operator_key is None and not operator_key.exists():
        _make_directory(operator_key.parent)
        create_key_file(operator_key, randomness)
        made.append(operator_key)
    operator_key_of(settings)
    return signer, made


def _check_origin(origin: str) -> None:
    try:
        check_name(origin)
        canonical.encode({"origin": origin})
    except FormatError:
        raise UsageError(
            f"{origin!r} cannot name a log: write a URL without scheme, such as ledger.example/prod"
        ) from None


def _make_directory(path: Path) -> None:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"the directory {path} for keys cannot be made: {error.strerror}") from error


def _append_opened(store: SqlEntryStore, signer: Ed25519Signer, clock: Clock) -> None:
    stated: dict[str, JsonValue] = {
        "kind": "ledger.opened",
        "origin": signer.name,
        "vkey": signer.vkey(),
        "rule_set": RULE_SET,
        "map_fn": MAP_FN,
    }
    members: dict[str, JsonValue] = {
        **stated,
        "uid": default_uid("ledger.opened", stated),
        "actor": _OPENER,
        "via": "system",
    }
    with Sequencer(store, MsgspecCodec(), clock) as sequencer:
        expect(sequencer.append(Draft(members)))
