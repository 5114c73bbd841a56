"""Where a witness lives: a directory with its key and its database, and nothing of any log's operator.

::

    DIR/witness.key    the private key, a line; readable by its owner alone
    DIR/witness.vkey   the public key, a line: what goes into policies
    DIR/witness.db     what it has cosigned, and evidence
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import Engine

from ledger.errors import FormatError, SettingsError, UsageError
from ledger.ports import Clock, Randomness
from ledger.store.engine import open_engine
from ledger.vault.cosignatures import CosignatureSigner, cosigner_from_skey, generate_cosigner
from ledger.vault.ed25519 import verifier_from_vkey
from ledger.vault.private_files import create_private_file, read_private_file
from ledger.witness.book import WitnessBook
from ledger.witness.witness import Witness

KEY_FILE = "witness.key"
VKEY_FILE = "witness.vkey"
DATABASE_FILE = "witness.db"

_KEY_NAME = "the witness's key file"


@dataclass(slots=True)
class OpenedWitness:
    """A witness, opened: its key, its book, and what answers. Use as a context manager, or close it."""

    signer: CosignatureSigner
    book: WitnessBook
    witness: Witness
    engine: Engine

    def __enter__(self) -> Self:
        """Return the witness; the end of the block closes it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close."""
        self.engine.dispose()


def create_witness(directory: Path, name: str, randomness: Randomness) -> tuple[CosignatureSigner, bool]:
    """Make key and database of the witness ``name`` as far as they are missing; its key, and whether that is new.

    Raises UsageError where a witness of another name lives there or the name cannot be one, SettingsError where
    something cannot be written or the key is unusable, StoreError where the database cannot be made.
    """
    try:
        signer = generate_cosigner(name, randomness)
    except FormatError as error:
        raise UsageError(f"{error}: write a URL without scheme, such as witness.example/north") from error
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"the directory {directory} cannot be made: {error.strerror}") from error
    is_new = not (directory / KEY_FILE).exists()
    if is_new:
        if (directory / DATABASE_FILE).exists():
            raise SettingsError(
                f"{directory / KEY_FILE} is gone, and {DATABASE_FILE} says that a witness lived here: put the key back"
            )
        create_private_file(directory / KEY_FILE, f"{signer.skey()}\n".encode(), _KEY_NAME)
    _check_memory(directory)
    # Dying here leaves a key that nobody has seen; the next run goes on with it.
    signer = _load_key(directory)
    if signer.name != name:
        raise UsageError(f"in {directory} lives the witness {signer.name}, and a witness keeps its name")
    engine = _engine(directory)
    try:
        WitnessBook(engine).make()
    finally:
        engine.dispose()
    # Last of all: where it is, there was a database, and one that is gone later is not taken for one that never was.
    (directory / VKEY_FILE).write_text(f"{signer.vkey()}\n", "utf-8")
    return signer, is_new


def open_witness(directory: Path, clock: Clock) -> OpenedWitness:
    """The witness that lives in ``directory``; raises SettingsError where none does, or its key is unusable."""
    _check_memory(directory)
    if not (directory / DATABASE_FILE).exists():
        raise SettingsError(
            f"no witness lives in {directory}: run `grantledger witness init {directory} --name NAME`"
        )
    signer = _load_key(directory)
    engine = _engine(directory)
    book = WitnessBook(engine)
    return OpenedWitness(signer, book, Witness(book, signer, clock), engine)


def parse_log_key(text: str) -> str:
    """The vkey of a log that ``text`` is, or that the file of that name holds; raises UsageError for anything else."""
    try:
        vkey = text if "+" in text else Path(text).read_text("utf-8").strip()
        return verifier_from_vkey(vkey).vkey()
    except OSError as error:
        raise UsageError(f"{text}: {error.strerror}") from error
    except (FormatError, UnicodeDecodeError) as error:
        raise UsageError(f"{text!r} is no log's public key: {error}") from error


def _check_memory(directory: Path) -> None:
    """Raise SettingsError where a witness lived whose database is gone: it would cosign a fork of what it has forgotten."""
    if (directory / VKEY_FILE).exists() and not (directory / DATABASE_FILE).exists():
        raise SettingsError(
            f"{directory / DATABASE_FILE} is gone, and {VKEY_FILE} says that a witness lived here: put the newest back. A "
            "witness that has forgotten what it cosigned would cosign a fork of it; it begins as another one, in another "
            "directory"
        )


def _load_key(directory: Path) -> CosignatureSigner:
    text = read_private_file(directory / KEY_FILE, _KEY_NAME).decode("utf-8", errors="replace")
    try:
        return cosigner_from_skey(text.removesuffix("\n"))
    except FormatError:
        raise SettingsError(
            f"{_KEY_NAME} {directory / KEY_FILE} does not hold a witness's private key on one line: put back the one it held"
        ) from None


def _engine(directory: Path) -> Engine:
    return open_engine(f"sqlite:///{directory / DATABASE_FILE}")
