"""The second half of the composition root: what a verification is made of.

Kept apart from :mod:`ledger.wiring` because it opens no ledger: a verifier must be able to read one that is broken, and
takes from it neither key nor state.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ledger.audit.cosigners import WitnessDemand
from ledger.audit.identities import IdentityCheck
from ledger.audit.shown_bundles import ShownBundle
from ledger.audit.signed_state import EarlierCheckpoint
from ledger.audit.verify import Request, Verified, verify
from ledger.core.checkpoint import parse_checkpoint
from ledger.core.completeness import CheckedCompleteness
from ledger.core.entries import LedgerOpened, decode_entry
from ledger.core.note import Verifier, format_note, parse_note, parse_vkey
from ledger.core.proof_files import Known, check_proof_file, code_of
from ledger.engines.codec import MsgspecCodec
from ledger.errors import FormatError, LedgerError, ProofError, SettingsError, SignatureError, UsageError
from ledger.ports import Engine, LogSource
from ledger.settings import Settings
from ledger.store.database_log import DatabaseLog
from ledger.store.remembered import RememberedCheckpoints
from ledger.store.tile_directory import TileDirectory
from ledger.vault.ed25519 import is_signed, verifier_from_vkey, verify_ed25519
from ledger.vault.log_key import load_log_key
from ledger.vault.witness_policies import check_logs, load_policy, witness_verifiers

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody asked to have verified; paths as given, None for what was left out.

    ``tiles`` is the directory or the URL of a published log; ``api_key`` is presented to the latter. ``policy`` is the file
    of a policy whose quorum of witnesses the checkpoint must have. ``bundles`` are completeness bundles to compare.
    """

    tiles: Path | str | None = None
    vkey: Path | None = None
    checkpoint: Path | None = None
    engine: str = "duckdb"
    processes: int | None = None
    with_index: bool = True
    require_tickets: bool = False
    unsettled_max: int | None = None
    remember: bool = True
    api_key: str | None = field(default=None, repr=False)
    policy: Path | None = None
    bundles: tuple[Path, ...] = ()


def open_published(place: Path | str, api_key: str | None = None) -> LogSource:
    """The published log at ``place``, URL or directory; raises StoreError when there is none, UsageError for a bad URL."""
    if isinstance(place, Path) or not place.startswith(("http://", "https://")):
        return TileDirectory.open(Path(place))
    # The HTTP client is slow to load, and nothing that lies on this machine needs it.
    from ledger.transport.remote_log import RemoteLog

    return RemoteLog.open(place, api_key)


def open_source(settings: Settings, asked: Asked) -> LogSource:
    """The published log that was named, else the database of the settings."""
    if asked.tiles is not None:
        return open_published(asked.tiles, asked.api_key)
    if settings.database_file is not None and not settings.database_file.exists():
        raise SettingsError(
            f"there is no ledger at {settings.database_file}: name one with --db, or a published log with --tiles"
        )
    return DatabaseLog(settings.database_url)


def choose_vkey(settings: Settings, asked: Asked, source: LogSource) -> tuple[str, str | None]:
    """The log's public key to trust, and a note where it comes from the log itself.

    Named with ``--vkey``; else, of a database, that of the signing key beside it; else the one that entry 0 states, which
    proves only that the log is consistent with itself.
    """
    if asked.vkey is not None:
        try:
            vkey = asked.vkey.read_text("ascii").strip()
            parse_vkey(vkey)
        except OSError as error:
            raise UsageError(f"{asked.vkey}: {error.strerror}") from error
        except (FormatError, UnicodeDecodeError) as error:
            raise UsageError(f"{asked.vkey} holds no log key: {error}") from error
        return vkey, None
    if asked.tiles is not None:
        raise UsageError(
            "name the log's public key with --vkey FILE; get it from somewhere else than the log itself"
        )
    if settings.log_key_file.exists():
        try:
            return load_log_key(settings.log_key_file).vkey(), None
        except LedgerError:
            pass  # Whoever may not read the private key can still verify.
    return _stated_vkey(source), "the key was taken from the log itself: name a trusted one with --vkey"


def _stated_vkey(source: LogSource) -> str:
    entries = source.read_block(0, 1).entries
    try:
        opened = decode_entry(entries[0]).entry
        if isinstance(opened, LedgerOpened):
            parse_vkey(opened.vkey)
            return opened.vkey
    except (IndexError, FormatError):
        pass
    raise UsageError("entry 0 does not say whose log this is: name its public key with --vkey FILE")


def make_engine(asked: Asked) -> Engine:
    """The engine of that name; raises UsageError for an unknown one."""
    if asked.engine == "scalar":
        from ledger.engines.scalar import ScalarEngine

        return ScalarEngine()
    if asked.engine == "duckdb":
        from ledger.engines.duck import DuckEngine

        return DuckEngine(asked.processes)
    raise UsageError(f"there is no engine {asked.engine!r}: use scalar or duckdb")


def find_earlier(settings: Settings, asked: Asked, vkey: str) -> list[EarlierCheckpoint]:
    """Every checkpoint of the log that was kept outside of it: named, remembered, and the record of the last signature."""
    earlier: list[EarlierCheckpoint] = []
    if asked.checkpoint is not None:
        try:
            earlier.append(EarlierCheckpoint(str(asked.checkpoint), asked.checkpoint.read_bytes()))
        except OSError as error:
            raise UsageError(f"{asked.checkpoint}: {error.strerror}") from error
    if asked.remember:
        note = RememberedCheckpoints(settings.state_directory).load(vkey)
        if note is not None:
            earlier.append(EarlierCheckpoint("the checkpoint remembered from the last verification", note))
    if asked.tiles is None and settings.checkpoint_file.exists():
        note = settings.checkpoint_file.read_bytes()
        earlier.append(EarlierCheckpoint("the record of the last signed checkpoint", note))
    return earlier


def find_witnesses(asked: Asked, log: Verifier) -> WitnessDemand | None:
    """What the policy that was named demands of the log, or None; raises SettingsError, UsageError for an unusable one."""
    if asked.policy is None:
        return None
    policy = load_policy(asked.policy)
    check_logs(policy, log)
    return WitnessDemand(policy, witness_verifiers(policy))


def load_bundles(asked: Asked, vkey: str) -> list[ShownBundle]:
    """The completeness bundles that were named, checked under the log's key; raises UsageError for any that proves nothing.

    One that the log did not sign, or that does not hold in itself, is no evidence against it.
    """
    shown = []
    for path in asked.bundles:
        try:
            proven = check_proof_file(path.read_bytes(), Known(vkey), verify_ed25519).proven
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}") from error
        except (FormatError, ProofError, SignatureError) as error:
            raise UsageError(f"{path} proves nothing of this log: {code_of(error)}: {error}") from error
        if not isinstance(proven, CheckedCompleteness):
            raise UsageError(f"{path} is no completeness bundle, as `grantledger prove account` makes them")
        note = proven.checkpoint.note
        shown.append(ShownBundle(str(path), format_note(note.text, note.verified_signatures), proven))
    return shown


def run_verification(
    settings: Settings,
    asked: Asked,
    on_progress: Progress,
    identities: IdentityCheck | None = None,
    source: LogSource | None = None,
) -> Verified:
    """Verify what was asked for; remembers the checkpoint of a log that is not broken, unless told not to."""
    source = source or open_source(settings, asked)
    vkey, note = choose_vkey(settings, asked, source)
    verifier = verifier_from_vkey(vkey)
    request = Request(
        source=source,
        verifier=verifier,
        vkey=vkey,
        earlier=find_earlier(settings, asked, vkey),
        with_index=asked.with_index,
        require_tickets=asked.require_tickets,
        unsettled_max=asked.unsettled_max,
        hashes_are_tiles=asked.tiles is not None,
        identities=identities,
        check_signature=is_signed,
        witnesses=find_witnesses(asked, verifier),
        bundles=load_bundles(asked, vkey),
    )
    verified = verify(request, make_engine(asked), MsgspecCodec(), on_progress)
    if note is not None:
        verified.report.notes.insert(0, note)
    if asked.remember and verified.note is not None and verified.checkpoint is not None:
        _remember(
            RememberedCheckpoints(settings.state_directory), vkey, verified.note, verified.checkpoint.size
        )
    return verified


def _remember(remembered: RememberedCheckpoints, vkey: str, note: bytes, size: int) -> None:
    """Remember an accepted checkpoint, unless a larger one is: a database may still publish an older one."""
    known = remembered.load(vkey)
    try:
        if known is not None and parse_checkpoint(parse_note(known).text).size > size:
            return
    except FormatError:
        pass  # What is no checkpoint is worth nothing.
    remembered.save(vkey, note)
