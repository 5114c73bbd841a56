"""Making an export: from the question to the bag and the entry that holds its manifest's hash (exports, section 5.5).

What a run wrote is durable and has its name, marked as unrecorded, before the entry is appended; if the process dies between,
the next run, whatever it makes, removes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from itertools import chain, islice

from ledger.core import bag
from ledger.core.canonical import JsonValue, decode
from ledger.core.checkpoint import open_checkpoint
from ledger.core.export_filter import Filter, format_filter
from ledger.errors import ConflictError, UsageError
from ledger.exports.making import BagMaker, LogState, Request
from ledger.exports.parts import ExportParts, Question, check_question, format_query
from ledger.exports.proofs import known_lines
from ledger.exports.selecting import Progress, Selection
from ledger.gateway.drafts import append_whole, live_draft
from ledger.ports.exports import Export, ExtraFile

SALT_BYTES = 32
EXPORT_ID_BYTES = 8


class Creation:
    """Makes exports with ``parts``; any number of processes may."""

    def __init__(self, parts: ExportParts) -> None:
        """Nothing is opened yet."""
        self._parts = parts

    def create(self, question: Question, on_progress: Progress) -> Export:
        """Make the bag and record who asked for it; the same question with the same id again is the export that is there.

        Raises UsageError where the question cannot be answered or nothing is sealed yet, ConflictError where the id is of
        another export, ForkError where the database does not hold what was sealed.
        """
        parts = self._parts
        export = check_question(question) or f"x-{parts.randomness.token(EXPORT_ID_BYTES).hex()}"
        query = format_query(question.wanted)
        request = Request(
            export,
            question.requester,
            question.case,
            question.legal_basis,
            question.wanted,
            question.profile,
            tuple(sorted({key.hex() for key in question.recipients})),
            question.created_by,
            parts.clock.now_ms(),
            parts.randomness.token(SALT_BYTES),
        )
        parts.places.sweep(lambda name: parts.book.load(name) is not None)
        with parts.places.turn(export):
            there = parts.book.load(export)
            if there is not None:
                if not self._is_same(there, request, query):
                    raise ConflictError(
                        f"{export} is the id of another export, or of one with other words, recipients or openings: choose "
                        "another id, or none"
                    )
                return there
            parts.places.settle(export, is_known=False)
            if parts.places.bag(export).exists():
                raise UsageError(
                    f"{parts.places.bag(export)} is there, and no export of this ledger: choose another id"
                )
            try:
                return self._make(request, query, on_progress)
            except BaseException:
                # It may hold what was opened, and with a drawn id no later run has the same name.
                parts.places.discard(parts.places.making(export))
                raise

    def _is_same(self, there: Export, request: Request, query: str) -> bool:
        """Whether ``there`` is what ``request`` asks for."""
        if (there.query, there.requested_by, there.recipients) != (
            query,
            request.created_by,
            " ".join(request.recipients),
        ):
            return False
        path = self._parts.places.bag(there.export) / bag.MANIFEST
        if not path.is_file():
            return True
        told = bag.read_manifest(path.read_bytes())
        asked = (request.requester, request.case, request.legal_basis, request.profile)
        return asked == (told["requester"], told["case"], told["legal_basis"], told["redaction"])

    def _make(self, request: Request, query: str, on_progress: Progress) -> Export:
        parts, wanted = self._parts, request.wanted
        linked: Iterable[int] = ()
        extra: Iterable[ExtraFile] = ()
        if parts.extra is not None and wanted.incident is not None:
            # That there is no such incident is told before the log is gone through.
            extra = _begin(parts.extra.files(wanted.incident))
            linked = parts.extra.seqs(wanted.incident)
        with parts.index.snapshot() as snapshot:
            note, cosigners = known_lines(snapshot.note, parts.keys)
            checkpoint = open_checkpoint(note, _origin_of(parts.vkey), parts.verifiers).checkpoint
            others = tuple(vkey for vkey in cosigners if vkey != parts.vkey)
            state = LogState(checkpoint, note, snapshot.map_size, parts.vkey, others)
            selection = Selection(parts.store, wanted, checkpoint.size, snapshot, linked)
        self._check_sealed(wanted, checkpoint.size)
        making = parts.places.making(request.export)
        making.mkdir(mode=0o700)
        # The document of an incident holds its words anyway; opened they can be checked.
        asked = {request.profile, "all" if request.profile == "all" else "words" if wanted.incident else ""}
        openers = [opener for name, opener in sorted(parts.openers.items()) if asked & {"all", name}]
        maker = BagMaker(making, request, state, parts.store, selection, openers, extra)
        made = maker.make(on_progress)
        parts.places.publish(request.export)
        digest = hashlib.sha256(made.manifest).hexdigest()
        export = Export(
            export=request.export,
            state="requested",
            manifest=digest,
            query=query,
            tree_size=checkpoint.size,
            entries=made.entries,
            recipients=" ".join(request.recipients),
            incident=wanted.incident,
            requested_by=request.created_by,
            decided_by=None,
            created_at_ms=request.created_at_ms,
            decided_at_ms=None,
            sealed_at_ms=None,
            file_sha256=None,
            file_bytes=None,
        )
        stated: dict[str, JsonValue] = {
            "export": request.export,
            "tree_size": checkpoint.size,
            "query": bag.hash_query(format_filter(wanted)).hex(),
            "manifest": digest,
            "request": bag.commit_request(request.salt, request.requester, request.case, request.legal_basis),
        }
        if wanted.incident is not None:
            stated["incident"] = wanted.incident
        uid = f"export.requested/{request.export}"
        requested = live_draft(
            "export.requested", request.created_by, stated, uid=uid, changes=[parts.book.put(export)]
        )
        # Whoever makes an export by account or developer looks at its history, and what for is the export.
        looks = parts.looks.drafts(wanted, request.created_by, request.export)
        append_whole(parts.sequencer, [requested, *looks])
        parts.places.record(request.export)
        return export

    def _check_sealed(self, wanted: Filter, tree_size: int) -> None:
        """Raise UsageError where the incident's files would tell what the published state of the log does not."""
        if wanted.incident is None:
            return
        store = self._parts.store
        for row in store.fetch_range(tree_size, store.size()):
            members = decode(row.data)
            kind = str(members.get("kind"))
            is_told = kind.startswith("incident.") or kind == "obligation.opened"
            if is_told and members.get("incident") == wanted.incident:
                raise UsageError(
                    f"the last checkpoint does not cover what is recorded about {wanted.incident} since: run `grantledger "
                    "seal` first"
                )


def _begin(files: Iterable[ExtraFile]) -> Iterable[ExtraFile]:
    """``files``, of which the first was made already."""
    iterator = iter(files)
    first = list(islice(iterator, 1))
    return chain(first, iterator)


def _origin_of(vkey: str) -> str:
    return vkey.split("+", 1)[0]
