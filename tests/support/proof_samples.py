"""Proofs of each kind about the sample ledger of docs/examples, the same bytes in every run.

The ledger is sealed twice, so that there is an older state; the clock stands still and the randomness is counted.
"""

from __future__ import annotations

import hashlib
import io
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ledger.core.completeness import CompletenessBundle
from ledger.core.consistency import ConsistencyBundle
from ledger.core.proof_files import encode_bundle
from ledger.core.tlog_proof import TlogProof, format_tlog_proof
from ledger.ingest.sources import open_source
from ledger.settings import load_settings
from ledger.transparency.proving import Page, Prover
from ledger.wiring import create_ledger, open_ledger
from ledger.wiring.proving import opener_of
from tests.support.naive_index import NaiveIndex

RECORDS = Path(__file__).resolve().parents[2] / "docs" / "examples" / "records.jsonl"
ORIGIN = "ledger.example/demo"
ACCOUNT_ID = "1001"
ENTRY_SEQ = 14
NOW_MS = 1_536_537_600_000
LATER = b'{"kind":"account.suspended","account":"1001","at":"2018-09-09T00:00:00Z"}\n'


class StandingClock:
    """A clock that stands still."""

    def now_ms(self) -> int:
        """2018-09-10T00:00:00Z."""
        return NOW_MS


class CountedRandomness:
    """Bytes that are the same in every run."""

    def __init__(self) -> None:
        self._calls = 0

    def token(self, size_bytes: int) -> bytes:
        """The next ones."""
        self._calls += 1
        return hashlib.shake_256(b"docs %d" % self._calls).digest(size_bytes)


@dataclass(frozen=True)
class Samples:
    """The files by name, the log's key, what was published first, and the bundles before they were files."""

    files: dict[str, bytes]
    vkey: str
    tag: str
    older_note: bytes
    bundles: dict[str, CompletenessBundle | ConsistencyBundle]
    entries: tuple[bytes, ...]

    def encode(self, bundle: CompletenessBundle | ConsistencyBundle) -> bytes:
        """The file of ``bundle``."""
        return encode_bundle(bundle, self.vkey, {})


@cache
def samples() -> Samples:
    """The sample proofs, made once."""
    with tempfile.TemporaryDirectory() as directory:
        return _make(Path(directory))


def _make(directory: Path) -> Samples:
    settings = load_settings({}, str(directory / "docs.db"))
    clock, randomness = StandingClock(), CountedRandomness()
    create_ledger(settings, ORIGIN, clock=clock, randomness=randomness)
    with open_ledger(settings, clock=clock, randomness=randomness) as ledger:
        prover = Prover(ledger.store, NaiveIndex(ledger.store), ledger.origin, [ledger.verifier])
        ledger.import_from(open_source(str(RECORDS), io.BytesIO()))
        older = ledger.sealer.seal().note
        tag = ledger.vault.find([ACCOUNT_ID])[ACCOUNT_ID].tag
        bundles: dict[str, CompletenessBundle | ConsistencyBundle] = {
            "older": prover.prove_key(f"acct:{tag}")
        }
        later = directory / "later.jsonl"
        later.write_bytes(LATER)
        ledger.import_from(open_source(str(later), io.BytesIO()))
        ledger.sealer.seal()
        opener = opener_of(ledger, tag)
        bundles |= {
            "account": prover.prove_key(f"acct:{tag}"),
            "opened": prover.prove_key(f"acct:{tag}", None, opener),
            "page": prover.prove_key(f"acct:{tag}", Page(2, 3)),
            "news": prover.prove_key(f"acct:{tag}", Page(len(_entries(bundles["older"])))),
            "pair": prover.prove_key(f"pair:{tag}:dev-b"),
            "absent": prover.prove_key(f"pair:{tag}:dev-other"),
            "grown": prover.prove_growth(older),
            "grown-unsigned": prover.prove_growth(5),
        }
        files = {name: encode_bundle(bundle, ledger.vkey, {}) for name, bundle in bundles.items()}
        row = next(iter(ledger.store.fetch_range(ENTRY_SEQ, ENTRY_SEQ + 1)))
        proof = ledger.prove_entry(row)
        assert proof is not None, "everything is sealed"
        files["entry"] = format_tlog_proof(TlogProof(proof.index, proof.hashes, proof.checkpoint, row.data))
        files["entry-bare"] = format_tlog_proof(proof)
        entries = tuple(row.data for row in ledger.store.fetch_range(0, ledger.store.size()))
        return Samples(files, ledger.vkey, tag, older, bundles, entries)


def _entries(bundle: CompletenessBundle | ConsistencyBundle) -> tuple[object, ...]:
    assert isinstance(bundle, CompletenessBundle), "the bundle of an account"
    return bundle.entries


def log_entries() -> tuple[bytes, ...]:
    """Every entry of the sample ledger, its last seal the last one."""
    return samples().entries
