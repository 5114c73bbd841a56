"""A small sealed ledger with an export desk on it, and bags to be tampered with."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from nacl.public import PrivateKey

from ledger.core import bag
from ledger.core.bag import format_hashes, parse_hashes
from ledger.core.bag_check import CheckedBag, KnownBag
from ledger.core.export_filter import Filter
from ledger.exports.checking import BagChecking
from ledger.exports.desk import ExportDesk
from ledger.exports.parts import Question
from ledger.ingest.sources import open_source
from ledger.ports.exports import ExtraFiles
from ledger.settings import load_settings
from ledger.vault.ed25519 import verify_ed25519
from ledger.wiring import Ledger, create_ledger, open_ledger
from ledger.wiring.exports import make_export_desk
from tests.support.proof_samples import ACCOUNT_ID, ORIGIN, RECORDS

ONE, TWO = "operator:one", "operator:two"
PRIVATE_KEY = bytes(range(32))
PUBLIC_KEY = bytes(PrivateKey(PRIVATE_KEY).public_key)
CHECKING = BagChecking(verify_ed25519)


class ExportWorld:
    """The ledger of docs/examples, sealed, with a desk."""

    def __init__(self, ledger: Ledger, extra: ExtraFiles | None = None) -> None:
        self.ledger = ledger
        self.desk: ExportDesk = make_export_desk(ledger, extra)
        self.tag = ledger.vault.find([ACCOUNT_ID])[ACCOUNT_ID].tag

    def question(self, wanted: Filter | None = None, **others: object) -> Question:
        """What a regulator asks for: everything, unless ``wanted`` narrows it."""
        asked = Question("A regulator", "case-1", "Art. 58", wanted or Filter(), ONE, (PUBLIC_KEY,))
        return replace(asked, **others)  # type: ignore[arg-type]

    def approved(self, wanted: Filter | None = None, **others: object) -> Path:
        """The bag of an approved export."""
        made = self.desk.create(self.question(wanted, **others))
        self.desk.approve(made.export, TWO)
        return self.desk.bag_of(made.export)

    def check(self, root: Path, **known: object) -> CheckedBag:
        """Everything about a bag, under this log's key."""
        return CHECKING.whole(root, KnownBag(**{"vkey": self.ledger.vkey, **known}))  # type: ignore[arg-type]

    def kinds_of_exports(self) -> list[str]:
        """The kinds of the entries about exports, in order."""
        rows = self.ledger.store.fetch_range(0, self.ledger.store.size())
        kinds = [str(self.ledger.codec.decode(row.data).kind) for row in rows]
        return [kind for kind in kinds if kind.startswith("export.")]


@contextmanager
def export_world(directory: Path, extra: ExtraFiles | None = None) -> Iterator[ExportWorld]:
    """A new world in ``directory``."""
    settings = load_settings({}, str(directory / "ledger.db"))
    create_ledger(settings, ORIGIN)
    with open_ledger(settings) as ledger:
        ledger.import_from(open_source(str(RECORDS), io.BytesIO()))
        ledger.sealer.seal()
        yield ExportWorld(ledger, extra)


def lose_entry(world: ExportWorld, seq: int) -> None:
    """Take an entry out of the database, past what forbids it."""
    with world.ledger.engine.begin() as connection:
        names = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type='trigger'").fetchall()
        for (name,) in names:
            connection.exec_driver_sql(f'DROP TRIGGER "{name}"')
        connection.exec_driver_sql(f"DELETE FROM entries WHERE seq = {seq}")


def change(root: Path, path: str, edit: Callable[[bytes], bytes], *, hide: bool = True) -> None:
    """Edit a file of a bag; ``hide`` makes the bag's own lists right again, as whoever edits a bag can."""
    target = root / path
    target.write_bytes(edit(target.read_bytes()))
    if hide:
        relist(root)


def relist(root: Path, keep: str = "") -> None:
    """Make the lists of a bag fit what lies in it; the tag file ``keep`` stays as it is."""
    files = sorted(path for path in (root / "data").rglob("*") if path.is_file())
    hashes = {str(path.relative_to(root)): _hash(path) for path in files}
    (root / "manifest-sha256.txt").write_bytes(format_hashes(hashes))
    info = (root / "bag-info.txt").read_bytes().decode("latin-1").splitlines()
    size = sum(path.stat().st_size for path in files)
    kept = [line for line in info if not line.startswith("Payload-Oxum")]
    if keep != "bag-info.txt":
        (root / "bag-info.txt").write_text("\n".join([*kept, f"Payload-Oxum: {size}.{len(files)}"]) + "\n")
    tags = parse_hashes((root / bag.TAG_MANIFEST).read_bytes())
    (root / bag.TAG_MANIFEST).write_bytes(format_hashes({name: _hash(root / name) for name in tags}))


def _hash(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()
