"""The composition root: where adapters and services are joined into one ledger.

Nothing else knows which store or vault a service gets. :func:`create_ledger` makes what a ledger needs and
never replaces anything; :func:`open_ledger` opens what is there. A :class:`Ledger` builds its parts when they
are first asked for, so that a command that only reads needs no key and recovers no state.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, cast

from sqlalchemy import Engine

from ledger.audit.identities import IdentityCheck
from ledger.core import canonical
from ledger.core.canonical import JsonValue
from ledger.core.entries import LedgerOpened
from ledger.core.index import MAP_FN
from ledger.core.note import check_name
from ledger.core.tlog_proof import TlogProof
from ledger.core.uids import default_uid
from ledger.core.verdicts import RULE_SET
from ledger.engines.codec import MsgspecCodec
from ledger.errors import ForkError, FormatError, SettingsError, UsageError
from ledger.ports import Clock, Randomness, StoredEntry
from ledger.sequencer.draft import Draft, expect
from ledger.sequencer.seal import Sealer
from ledger.sequencer.sequencer import Sequencer
from ledger.settings import Settings
from ledger.store.engine import begin_read, explain, open_engine
from ledger.store.entries import SqlEntryStore
from ledger.store.migrate import is_current, upgrade
from ledger.store.record import FileCheckpointRecord
from ledger.transparency.inclusion import Published, load_published, prove_entry
from ledger.vault.commitments import SubjectCommitments
from ledger.vault.ed25519 import Ed25519Signer, Ed25519Verifier, generate, verifier_from_vkey
from ledger.vault.log_key import create_log_key, load_log_key
from ledger.vault.operator_key import KEY_VARIABLE, create_key_file, load_operator_key
from ledger.vault.subjects import SqlVault

if TYPE_CHECKING:
    from ledger.ingest.importer import ImportReport, Progress
    from ledger.ingest.sources import Reject, Source

ORIGIN_TOKEN_BYTES = 6

_OPENER = "system:init"


class SystemClock:
    """The host's clock: a :class:`~ledger.ports.Clock`."""

    def now_ms(self) -> int:
        """Milliseconds UTC."""
        return time.time_ns() // 1_000_000


class SystemRandomness:
    """The operating system's randomness: a :class:`~ledger.ports.Randomness`."""

    def token(self, size_bytes: int) -> bytes:
        """``size_bytes`` unpredictable bytes."""
        return secrets.token_bytes(size_bytes)


SYSTEM_CLOCK = SystemClock()
SYSTEM_RANDOMNESS = SystemRandomness()


def _ignore(_told: object) -> None:
    """Tell nobody."""


class Ledger:
    """One ledger, opened: what it says of itself in entry 0, and its parts. Use as a context manager, or close it.

    ``origin`` and ``verifier`` come from entry 0. Asking for ``signer`` reads the log's key, for ``vault``
    the operator's key, for ``sequencer`` makes this process the log's writer.
    """

    def __init__(self, settings: Settings, clock: Clock, randomness: Randomness) -> None:
        """Open the ledger of ``settings``; raises as :func:`open_ledger`."""
        self.settings = settings
        self.clock = clock
        self.randomness = randomness
        self.codec = MsgspecCodec()
        self.engine: Engine = open_engine(settings.database_url)
        self.store = SqlEntryStore(self.engine)
        self.opened = _load_opened(self.store, self.codec, settings.database_file)
        self.origin = self.opened.origin
        self.verifier: Ed25519Verifier = verifier_from_vkey(self.opened.vkey)

    def __enter__(self) -> Self:
        """Return the ledger; the end of the block closes it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Finish what was handed to the sequencer, then close the connections."""
        if "sequencer" in self.__dict__:
            self.sequencer.close()
        self.engine.dispose()

    @property
    def vkey(self) -> str:
        """The log's public key as text."""
        return self.opened.vkey

    @cached_property
    def signer(self) -> Ed25519Signer:
        """The log's private key; raises SettingsError when its file is unusable or another log's."""
        signer = load_log_key(self.settings.log_key_file)
        if signer.vkey() != self.vkey:
            raise SettingsError(
                f"the log's key file {self.settings.log_key_file} holds {signer.vkey()}, but this ledger was "
                f"opened with {self.vkey}: put its own key there, or name it with GRANTLEDGER_LOG_KEY_FILE"
            )
        return signer

    @cached_property
    def vault(self) -> SqlVault:
        """Who is behind a tag; raises SettingsError when the operator's key is unusable."""
        return SqlVault(self.engine, _load_operator_key(self.settings), self.randomness, explain)

    @cached_property
    def record(self) -> FileCheckpointRecord:
        """The record of the last signed checkpoint, outside the database."""
        return FileCheckpointRecord(self.settings.checkpoint_file)

    @cached_property
    def sequencer(self) -> Sequencer:
        """The log's one writer; building it recovers the state, as :class:`~ledger.sequencer.sequencer.Sequencer`."""
        # A codec of its own: it works in the sequencer's thread.
        return Sequencer(self.store, MsgspecCodec(), self.clock)

    @cached_property
    def sealer(self) -> Sealer:
        """The sealer; building it asks for the signer and the sequencer."""
        # NumPy is slow to load, and nothing but sealing and verifying needs it.
        from ledger.engines.key_index import KeyIndex

        return Sealer(
            self.store,
            self.sequencer,
            self.record,
            origin=self.origin,
            signers=[self.signer],
            verifiers=[self.verifier],
            new_index=KeyIndex,
        )

    def import_from(
        self,
        source: Source,
        *,
        strict: bool = False,
        on_progress: Callable[[Progress], None] = _ignore,
        on_reject: Callable[[Reject], None] = _ignore,
    ) -> ImportReport:
        """Import ``source``, all of it or nothing where ``strict``; raises as the Importer's methods."""
        # Reading Parquet takes a library that is slow to load, and nothing but an import needs it.
        from ledger.ingest.importer import Importer
        from ledger.ingest.rehearsal import SECRET_BYTES, ScratchStore, ScratchVault

        importer = Importer(
            self.vault,
            SubjectCommitments(),
            self.sequencer,
            # Another process has a randomness of its own: only the system's never repeats itself there.
            open_vault=partial(_open_vault, self.settings) if self.randomness is SYSTEM_RANDOMNESS else None,
            on_progress=on_progress,
            on_reject=on_reject,
        )
        if not strict:
            return importer.run(source)
        with ScratchStore(self.store) as scratch, Sequencer(scratch, MsgspecCodec(), self.clock) as rehearsal:
            scratch_vault = partial(ScratchVault, secret=self.randomness.token(SECRET_BYTES))
            return importer.run_strictly(source, scratch_vault, rehearsal)

    def check_keys(self) -> None:
        """Raise SettingsError unless both keys are there and this ledger's own."""
        _ = self.signer, self.vault.find(())

    def load_published(self) -> Published | None:
        """The published checkpoint, opened under the log's own key, or None before the first seal.

        Raises SignatureError when it is not one that this log signed.
        """
        return load_published(self.store, self.origin, [self.verifier])

    def prove_entry(self, row: StoredEntry) -> TlogProof | None:
        """The checked proof that the published checkpoint covers ``row``, or None while it does not.

        Raises ForkError or ProofError when the entry is not what was appended and sealed.
        """
        return prove_entry(self.store, row, self.load_published(), [self.verifier])

    def identity_check(self) -> IdentityCheck:
        """What compares tags with the vault during a verification; raises SettingsError without the operator's key."""
        vault, commitments = self.vault, SubjectCommitments()

        def commit_identity(account_id: str, uid: str) -> str | None:
            subject = vault.find([account_id]).get(account_id)
            return None if subject is None else commitments.identity(subject, uid, account_id)

        return IdentityCheck(vault.account_of, commit_identity)

    def count_subjects(self) -> int:
        """How many people and businesses the vault knows; needs no key."""
        with begin_read(self.engine, "counting the vault's rows") as connection:
            return int(connection.exec_driver_sql("SELECT COUNT(*) FROM vault_subjects").scalar_one())


def open_ledger(
    settings: Settings, *, clock: Clock = SYSTEM_CLOCK, randomness: Randomness = SYSTEM_RANDOMNESS
) -> Ledger:
    """The ledger at ``settings``.

    Raises SettingsError when there is none, StoreError when the database cannot be read, ForkError when its
    entry 0 is not the beginning of a ledger.
    """
    path = settings.database_file
    if not path.exists():
        raise SettingsError(
            f"there is no ledger at {path}: make one with `grantledger init`, "
            "or name yours with --db or GRANTLEDGER_DB"
        )
    _check_file(path)
    if not is_current(settings.database_url):
        raise SettingsError(
            f"the tables of {path} are missing or of another version: run `grantledger init` on it"
        )
    return Ledger(settings, clock, randomness)


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
    clock: Clock = SYSTEM_CLOCK,
    randomness: Randomness = SYSTEM_RANDOMNESS,
) -> Created:
    """Make the database, the keys and entry 0 of the log ``origin``, as far as they are missing; replaces nothing.

    Without ``origin`` the log gets a random name under ``localhost``, because ``verify`` remembers logs by
    their origin. On a ledger that is there its tables are brought up to this version and its keys are
    checked. A run that was killed goes on where it stopped. Raises ForkError when a log was signed here whose
    database is gone, UsageError when the ledger there has another origin, SettingsError when a key of an
    existing ledger is missing, unusable or another's, StoreError when something cannot be written.
    """
    path = settings.database_file
    if origin is not None:
        _check_origin(origin)
    _check_file(path)
    if not path.parent.is_dir():
        raise SettingsError(
            f"the directory {path.parent} is not there: make it first, or name another database"
        )
    had_database = path.exists()
    upgrade(settings.database_url)
    made = [] if had_database else [path]
    engine = open_engine(settings.database_url)
    store = SqlEntryStore(engine)
    try:
        is_new = store.size() == 0
        if is_new:
            if settings.checkpoint_file.exists():
                raise ForkError(
                    f"{settings.checkpoint_file} says that a log was signed here, but {path} is empty: a new log of "
                    "that name would be a fork. Put the database back, or name another one with --db"
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
                f"{path} holds the log {ledger.origin} already, and an origin never changes: "
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
    _load_operator_key(settings)
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


def _open_vault(settings: Settings) -> SqlVault:
    return open_ledger(settings).vault


def _load_operator_key(settings: Settings) -> bytes:
    environment = {} if settings.operator_key is None else {KEY_VARIABLE: settings.operator_key}
    return load_operator_key(environment, settings.operator_key_file)


def _load_opened(store: SqlEntryStore, codec: MsgspecCodec, path: Path) -> LedgerOpened:
    first = next(iter(store.fetch_range(0, 1)), None)
    if first is None:
        raise SettingsError(f"the ledger at {path} was never opened: run `grantledger init` on it")
    try:
        entry = codec.decode(first.data)
    except FormatError as error:
        raise ForkError(f"entry 0 of {path} is not what was appended: {error}") from error
    if entry.kind != "ledger.opened":
        raise ForkError(
            f"entry 0 of {path} is {entry.kind}, not ledger.opened: this is not the beginning of a ledger"
        )
    return cast(LedgerOpened, entry)


def _check_file(path: Path) -> None:
    if path.exists() and not path.is_file():
        raise SettingsError(
            f"{path} is not a file: name the database file itself, for example {path}/grantledger.db"
        )
