"""Makes an export: one way through the selected entries, every file written as they go by (exports, section 5.5).

What is written first is the directory of a run, which nobody takes for an export; it gets its name when everything in it is
durable and was checked. A run that was killed leaves a directory that the next one for the same export removes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.resources import files
from itertools import islice
from pathlib import Path

from ledger.core import bag
from ledger.core.bag import COMPLETE, COUNTED, committed_fields
from ledger.core.bag_entries import choose_proofs, note_spans
from ledger.core.canonical import JsonValue
from ledger.core.chain import leaf_hash
from ledger.core.checkpoint import Checkpoint
from ledger.core.export_filter import Filter, format_filter, is_narrowed
from ledger.core.flat import COLUMNS, entry_row, finding_line, timeline_line
from ledger.core.index import index_keys
from ledger.core.jcs import encode_file
from ledger.core.openings import format_openings
from ledger.core.verdicts import RULE_SET, RULE_SET_HASH
from ledger.exports.bag_writer import BagWriter, StreamedFile
from ledger.exports.dictionary import code_rows, field_rows
from ledger.exports.proofs import InclusionProofs, index_lines
from ledger.exports.readme import render_readme
from ledger.exports.selecting import Progress, Selected, Selection
from ledger.ports import EntryStore
from ledger.ports.exports import ExtraFile, FieldOpener

BATCH = 1_024

PROFILES = ("tags", "identities", "all")
"""What is opened: nothing, so that people stay tags; who is behind a tag; whatever the ledger knows."""

NOT_ASKED, NOT_KNOWN = "not_asked", "not_known"
"""Why a commitment is withheld: the profile leaves it closed; nobody here knows the value, or no longer."""


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody asks for: ``requester``, ``case`` and ``legal_basis`` are text, ``recipients`` X25519 keys in hex."""

    export: str
    requester: str
    case: str
    legal_basis: str
    wanted: Filter
    profile: str
    recipients: tuple[str, ...]
    created_by: str
    created_at_ms: int
    salt: bytes


@dataclass(frozen=True, slots=True)
class LogState:
    """The published state that an export is made of; ``vkeys`` are the log's key, then its cosigners'."""

    checkpoint: Checkpoint
    note: bytes
    map_size: int
    vkey: str
    cosigners: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MadeBag:
    """A bag that was written: its manifest's bytes, and how many entries it holds."""

    manifest: bytes
    entries: int


class BagMaker:
    """Makes one export in the empty directory ``root``."""

    def __init__(
        self,
        root: Path,
        request: Request,
        state: LogState,
        store: EntryStore,
        selection: Selection,
        openers: Sequence[FieldOpener],
        extra: Iterable[ExtraFile],
    ) -> None:
        self._writer = BagWriter(root)
        self._request = request
        self._state = state
        self._store = store
        self._selection = selection
        self._openers = openers
        self._extra = extra
        self._form = choose_proofs(selection.count_max)
        self._kinds: dict[str, int] = {}
        self._spans: dict[str, dict[str, int]] = {}
        self._shown = {fact.key: 0 for fact in selection.facts}
        self._count = 0

    def make(self, on_progress: Progress) -> MadeBag:
        """Write everything; ``on_progress(done, of at most)`` is called now and then.

        Raises ForkError where the database does not hold what was sealed, OSError where nothing can be written.
        """
        self._write_entries(on_progress)
        with self._writer.open("proofs/index.jsonl") as opened:
            for line in index_lines(self._store, self._state.checkpoint, self._selection.facts):
                opened.row(line)
        self._writer.add("proofs/checkpoint", [self._state.note])
        self._add_extra()
        self._add_help()
        told = self._manifest()
        manifest = encode_file(told)
        self._writer.add("export.json", [manifest])
        self._writer.finish(told)
        return MadeBag(manifest, self._count)

    def _write_entries(self, on_progress: Progress) -> None:
        proofs = InclusionProofs(self._store, self._state.checkpoint, self._state.note, self._form)
        names = (
            bag.ENTRIES,
            bag.TABLE,
            bag.FINDINGS,
            bag.TIMELINE,
            bag.INCLUSION,
            bag.OPENINGS,
            bag.REDACTIONS,
        )
        with ExitStack() as stack:
            out = {name: stack.enter_context(self._writer.open(name.removeprefix("data/"))) for name in names}
            out[bag.TABLE].write(",".join(COLUMNS).encode() + b"\n")
            entries = self._selection.entries(on_progress)
            while batch := list(islice(entries, BATCH)):
                for one in batch:
                    self._write_entry(one, out, proofs)
                self._write_openings(batch, out[bag.OPENINGS], out[bag.REDACTIONS])
            for line in proofs.finish():
                out[bag.INCLUSION].row(line)

    def _write_entry(self, one: Selected, out: Mapping[str, StreamedFile], proofs: InclusionProofs) -> None:
        row, members = one
        self._count += 1
        kind = str(members.get("kind"))
        self._kinds[kind] = self._kinds.get(kind, 0) + 1
        note_spans(self._spans, members)
        if self._shown and row.seq < self._state.map_size:
            for key in index_keys(members):
                if key in self._shown:
                    self._shown[key] += 1
        out[bag.ENTRIES].row(row.data)
        out[bag.TABLE].row(entry_row(members, leaf_hash(row.data).hex()).encode())
        for line in proofs.add(row):
            out[bag.INCLUSION].row(line)
        finding, change = finding_line(members), timeline_line(members)
        if finding is not None:
            out[bag.FINDINGS].row(finding.encode())
        if change is not None:
            out[bag.TIMELINE].row(change.encode())

    def _write_openings(
        self, batch: Sequence[Selected], opened: StreamedFile, withheld: StreamedFile
    ) -> None:
        """Each commitment of ``batch`` is opened or listed as withheld: a row is never dropped."""
        with_any = [one.members for one in batch if committed_fields(one.members)]
        known = {(each.seq, each.field): each for opener in self._openers for each in opener.open(with_any)}
        for members in with_any:
            for field in committed_fields(members):
                opening = known.get((members["seq"], field))
                if opening is not None:
                    (line,) = format_openings([opening])
                    assert isinstance(line, dict), "an opening is an object"
                    opened.row(encode_file(line))
                else:
                    is_asked = any(opener.may_know(members, field) for opener in self._openers)
                    reason = NOT_KNOWN if is_asked else NOT_ASKED
                    withheld.row(encode_file({"seq": members["seq"], "field": field, "reason": reason}))

    def _add_extra(self) -> None:
        for file in self._extra:
            self._writer.add(file.path, file.parts, file.rows)

    def _add_help(self) -> None:
        self._writer.add("dictionary/fields.csv", _lines(field_rows()))
        self._writer.add("dictionary/codes.csv", _lines(code_rows()))
        trusted: dict[str, JsonValue] = {"origin": self._state.checkpoint.origin, "vkey": self._state.vkey}
        trusted["cosigners"] = list(self._state.cosigners)
        self._writer.add("keys/trusted.json", [encode_file(trusted)])
        for script in ("verify.py", "verify_bag.py"):
            self._writer.add(f"verify/{script}", [files("ledger.portable").joinpath(script).read_bytes()])
        self._writer.add("README.html", [render_readme(self._manifest(), dict(self._writer.files)).encode()])

    def _manifest(self) -> dict[str, JsonValue]:
        request, state = self._request, self._state
        listed: list[JsonValue] = []
        for file in sorted(self._writer.files.values(), key=lambda file: file.path):
            line: dict[str, JsonValue] = {
                "path": file.path,
                "bytes": file.size_bytes,
                "sha256": file.sha256.hex(),
            }
            if file.rows is not None:
                line["rows"] = file.rows
            listed.append(line)
        made: dict[str, JsonValue] = {
            "v": 1,
            "export": request.export,
            "origin": state.checkpoint.origin,
            "vkey": state.vkey,
            "cosigners": list(state.cosigners),
            "rule_set": RULE_SET,
            "rule_set_sha256": RULE_SET_HASH,
            "requester": request.requester,
            "case": request.case,
            "legal_basis": request.legal_basis,
            "salt": request.salt.hex(),
            "created_by": request.created_by,
            "created_at": request.created_at_ms,
            "filter": format_filter(request.wanted),
            "redaction": request.profile,
            "recipients": list(request.recipients),
            "tree_size": state.checkpoint.size,
            "root": state.checkpoint.root.hex(),
            "checkpoint": state.note.decode(),
            "entries": self._count,
            "proofs": self._form,
            "kinds": [{"kind": kind, "count": count} for kind, count in sorted(self._kinds.items())],
            "keys": [self._claim(key, shown) for key, shown in self._shown.items()],
            "files": listed,
        }
        made.update((name, dict(span)) for name, span in self._spans.items())
        return made

    def _claim(self, key: str, shown: int) -> dict[str, JsonValue]:
        row = next(fact.row for fact in self._selection.facts if fact.key == key)
        claim = COUNTED if is_narrowed(self._request.wanted) else COMPLETE
        return {"key": key, "claim": claim, "recorded": 0 if row is None else row.count, "shown": shown}


def _lines(rows: Iterable[str]) -> Iterator[bytes]:
    for row in rows:
        yield row.encode() + b"\n"
