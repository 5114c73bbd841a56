"""One ledger, opened: where adapters and services are joined.

Nothing else knows which store or vault a service gets. A :class:`Ledger` builds its parts when they are first asked
for, so that a command that only reads needs no key and recovers no state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, cast

from sqlalchemy import Engine

from ledger.audit.identities import IdentityCheck
from ledger.core.entries import Entry, LedgerOpened
from ledger.core.tlog_proof import TlogProof
from ledger.engines.codec import MsgspecCodec
from ledger.errors import ForkError, FormatError, SettingsError
from ledger.ports import Announce, Clock, Randomness, StoredEntry
from ledger.sequencer.seal import Sealer
from ledger.sequencer.sequencer import Sequencer
from ledger.settings import Settings
from ledger.store.engine import begin_read, explain, open_engine
from ledger.store.entries import SqlEntryStore
from ledger.store.index_proofs import SqlIndexProofs
from ledger.store.migrate import is_current
from ledger.store.record import FileCheckpointRecord
from ledger.transparency.inclusion import Published, load_published, prove_entry
from ledger.vault.commitments import SubjectCommitments
from ledger.vault.ed25519 import Ed25519Signer, Ed25519Verifier, verifier_from_vkey
from ledger.vault.log_key import load_log_key
from ledger.vault.operator_key import KEY_VARIABLE, load_operator_key
from ledger.vault.subjects import SqlVault
from ledger.wiring.surroundings import SYSTEM_CLOCK, SYSTEM_RANDOMNESS

if TYPE_CHECKING:
    from ledger.ingest.importer import ImportReport, Progress
    from ledger.ingest.sources import Reject, Source
    from ledger.transparency.cosigning import WitnessCosigning, WitnessStanding


def _ignore(_told: object) -> None:
    """Tell nobody."""


def _ignore_progress(_done: int, _total: int) -> None:
    """Tell nobody."""


SEALER_WAIT_S = 30.0
"""How long `seal` waits while the service seals, or the other way round, before it is an error."""


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
        self.on_durable: Callable[[Sequence[Entry]], None] = _ignore
        """Whom the sequencer tells of entries that bear state; to be set before the sequencer is asked for."""
        self.reached: Callable[[str], None] = _ignore
        """What is called at each named step of the parts that are asked for from now on; only tests set it."""
        self.announce: Announce | None = None
        """Whom it tells of restrictions before they are recorded; as above."""
        self.on_index_progress: Callable[[int, int], None] = _ignore_progress
        """Whom the sealer tells over how many of how many entries an index with far to go is; as above."""
        self.codec = MsgspecCodec()
        self.engine: Engine = open_engine(settings.database_url)
        self.store = SqlEntryStore(self.engine)
        self.opened = _load_opened(self.store, self.codec, settings.database)
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
        if "proofs" in self.__dict__:
            self.proofs.close()
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
        return SqlVault(self.engine, operator_key_of(self.settings), self.randomness, explain)

    @cached_property
    def record(self) -> FileCheckpointRecord:
        """The record of the last signed checkpoint, outside the database."""
        return FileCheckpointRecord(self.settings.checkpoint_file, lock_wait_s=SEALER_WAIT_S)

    @cached_property
    def sequencer(self) -> Sequencer:
        """The log's one writer; building it recovers the state, as :class:`~ledger.sequencer.sequencer.Sequencer`."""
        # A codec of its own: it works in the sequencer's thread.
        return Sequencer(
            self.store,
            MsgspecCodec(),
            self.clock,
            on_durable=self.on_durable,
            announce=self.announce,
            reached=self.reached,
        )

    @cached_property
    def cosigning(self) -> WitnessCosigning | None:
        """The witnesses of the policy, None without one; raises SettingsError when its file is unusable."""
        if self.settings.witness_policy_file is None:
            return None
        # The HTTP client is slow to load, and nothing but sealing under a policy needs it.
        from ledger.wiring.cosigning import make_cosigning

        return make_cosigning(
            self.settings.witness_policy_file,
            self.verifier,
            self.clock,
            evidence_directory=self.settings.checkpoint_file.with_name(
                self.settings.checkpoint_file.name + ".evidence"
            ),
        )

    def witness_standings(self) -> Sequence[WitnessStanding]:
        """What came of asking each witness last; none where this process does not seal, or no policy asks for any."""
        cosigning = self.__dict__.get("cosigning")
        return () if cosigning is None else cast("WitnessCosigning", cosigning).standings()

    @cached_property
    def proofs(self) -> SqlIndexProofs:
        """The index of the last published checkpoint, to make proofs from; needs no key."""
        return SqlIndexProofs(self.engine)

    @cached_property
    def sealer(self) -> Sealer:
        """The sealer; building it asks for the signer and the sequencer."""
        # NumPy is slow to load, and nothing but sealing and verifying needs it.
        from ledger.wiring.index import open_index

        return Sealer(
            self.store,
            self.sequencer,
            self.record,
            origin=self.origin,
            signers=[self.signer],
            verifiers=[self.verifier],
            index=open_index(self.engine),
            on_progress=self.on_index_progress,
            cosigning=self.cosigning,
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
    if path is not None:
        if not path.exists():
            raise SettingsError(
                f"there is no ledger at {path}: make one with `grantledger init`, "
                "or name yours with --db or GRANTLEDGER_DB"
            )
        check_file(path)
    if not is_current(settings.database_url):
        raise SettingsError(
            f"the tables of {settings.database} are missing or of another version: run `grantledger init` on it"
        )
    return Ledger(settings, clock, randomness)


def _open_vault(settings: Settings) -> SqlVault:
    return open_ledger(settings).vault


def operator_key_of(settings: Settings) -> bytes:
    """The operator's key of ``settings``, 32 bytes; raises SettingsError when it is missing or unusable."""
    environment = {} if settings.operator_key is None else {KEY_VARIABLE: settings.operator_key}
    return load_operator_key(environment, settings.operator_key_file)


def _load_opened(store: SqlEntryStore, codec: MsgspecCodec, database: str) -> LedgerOpened:
    first = next(iter(store.fetch_range(0, 1)), None)
    if first is None:
        raise SettingsError(f"the ledger at {database} was never opened: run `grantledger init` on it")
    try:
        entry = codec.decode(first.data)
    except FormatError as error:
        raise ForkError(f"entry 0 of {database} is not what was appended: {error}") from error
    if entry.kind != "ledger.opened":
        raise ForkError(
            f"entry 0 of {database} is {entry.kind}, not ledger.opened: this is not the beginning of a ledger"
        )
    return cast(LedgerOpened, entry)


def check_file(path: Path) -> None:
    """Raise SettingsError where ``path`` is there and no file."""
    if path.exists() and not path.is_file():
        raise SettingsError(
            f"{path} is not a file: name the database file itself, for example {path}/grantledger.db"
        )
