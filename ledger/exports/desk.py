"""Exports from the request to the sealed file: made by one person, approved by another (exports, section 5.5).

::

    create    the bag is made, ``export.requested`` holds the hash of its manifest
    approve   a second person; the bag is checked whole, then ``export.approved``, then custody and signature in the bag
    reject    a second person says no: ``export.rejected``; the bag is removed
    seal      the approved bag, unchanged, encrypted for the recipients that its manifest names: ``export.sealed``
    download  ``export.downloaded``, before a byte is handed out

Each step can be repeated: one that is done answers with what is there, one that was interrupted goes on or begins anew. What
a step wrote is durable and has its name before the entry that tells of it is appended; if the process dies between, files are
there that no entry speaks of, and the same step again replaces them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from ledger.core import bag
from ledger.core.bag_check import KnownBag
from ledger.core.canonical import JsonValue, decode
from ledger.core.dsse import Envelope, format_envelope
from ledger.core.jcs import encode_file
from ledger.durable import sync_directory
from ledger.errors import ProofError, RejectedError, UsageError
from ledger.exports.bag_writer import finish_bag, write_whole
from ledger.exports.checking import hash_file
from ledger.exports.creating import Creation
from ledger.exports.parts import ExportParts, Question
from ledger.exports.sealed_file import SealedHeader, seal_files
from ledger.exports.selecting import Progress, tell_nobody
from ledger.gateway.drafts import live_draft
from ledger.ports import Change
from ledger.ports.exports import (
    Export,
)
from ledger.sequencer.draft import Appended, expect


class ExportDesk:
    """Makes, approves, seals and hands out exports; any number of processes may."""

    def __init__(self, parts: ExportParts) -> None:
        """Nothing is opened yet."""
        self._parts = parts

    def create(self, question: Question, on_progress: Progress = tell_nobody) -> Export:
        """Make the bag and record who asked for it; the same question with the same id again is the export that is there.

        Raises as :meth:`ledger.exports.creating.Creation.create`.
        """
        return Creation(self._parts).create(question, on_progress)

    def approve(self, export: str, actor: str, on_progress: Progress = tell_nobody) -> Export:
        """Check the bag and record that ``actor`` approves exactly it; then it carries custody and signature.

        Raises UsageError where there is no such export or it was rejected, RejectedError where ``actor`` made it,
        ProofError where the bag is not the one that was made.
        """
        parts = self._parts
        with parts.places.turn(export):
            row = self._load(export)
            if row.state == "rejected":
                raise UsageError(f"{export} was rejected: make another export")
            if row.requested_by == actor:
                raise RejectedError("an export is approved by a second person, not by who made it")
            if row.state == "requested":
                root = parts.places.bag(export)
                self._check_undecided(root, row)
                known = KnownBag(parts.vkey, export, bytes.fromhex(row.manifest), is_draft=True)
                parts.checking.whole(root, known, on_progress)
                change = parts.book.decide(export, "approved", actor, parts.clock.now_ms())
                self._append("export.approved", actor, self._decided(row), [change])
            if row.state in ("requested", "approved"):
                # If we die here the entry stands, and the same call again writes what is missing.
                self._finish(self._load(export))
            return self._load(export)

    def reject(self, export: str, actor: str) -> Export:
        """Record that ``actor`` rejects the export, and remove the bag; raises as :meth:`approve`."""
        parts = self._parts
        with parts.places.turn(export):
            row = self._load(export)
            if row.state not in ("requested", "rejected"):
                raise UsageError(f"{export} is {row.state} already")
            if row.requested_by == actor:
                raise RejectedError("an export is rejected by a second person, not by who made it")
            if row.state == "requested":
                change = parts.book.decide(export, "rejected", actor, parts.clock.now_ms())
                self._append("export.rejected", actor, self._decided(row), [change])
            parts.places.discard(parts.places.bag(export))
            return self._load(export)

    def seal(self, export: str, actor: str, on_progress: Progress = tell_nobody) -> Export:
        """Encrypt the approved bag for its recipients; of one that is sealed already, what is there.

        Raises UsageError where nobody has approved it or it names no recipient, ProofError where it is not, to the byte,
        what was approved.
        """
        parts = self._parts
        with parts.places.turn(export):
            row = self._load(export)
            if row.state == "sealed":
                return row
            if row.state != "approved":
                raise UsageError(f"{export} is {row.state}: a second person approves it first")
            recipients = [bytes.fromhex(key) for key in row.recipients.split()]
            if not recipients:
                raise UsageError(
                    f"{export} names no recipient: it was made without --to, and can be handed over as it is"
                )
            root = parts.places.bag(export)
            manifest = bytes.fromhex(row.manifest)
            files = parts.checking.frame(root, KnownBag(parts.vkey, export, manifest))
            hashes = tuple(sorted(hashlib.sha256(key).digest() for key in recipients))
            making, target = parts.places.making(export), parts.places.sealed(export)
            with making.open("xb") as out:
                header = SealedHeader(export, manifest, hashes)
                digest, size = seal_files(
                    root, files.digests, out, header, recipients, parts.sealing, on_progress
                )
                out.flush()
                os.fsync(out.fileno())
            making.replace(target)
            sync_directory(parts.places.directory)
            change = parts.book.seal(export, digest, size, parts.clock.now_ms())
            stated: dict[str, JsonValue] = {
                "export": export,
                "manifest": row.manifest,
                "file_sha256": digest,
                "file_bytes": size,
                "recipients": [one.hex() for one in hashes],
            }
            self._append("export.sealed", actor, stated, [change])
            return self._load(export)

    def download(self, export: str, actor: str) -> Path:
        """The sealed file, which ``actor`` is about to get: that is recorded first.

        Raises UsageError where there is none, ProofError where it is not the file that was sealed.
        """
        row = self._load(export)
        path = self._parts.places.sealed(export)
        if row.state != "sealed" or row.file_sha256 is None:
            raise UsageError(f"{export} is not sealed: there is no file to be handed out")
        if not path.is_file():
            raise UsageError(f"{path} is gone: put it back from a backup, or make another export")
        if hash_file(path) != row.file_sha256:
            raise ProofError(f"{path.name} is not the file that was sealed", "SEALED_CHANGED")
        self._taken("export.downloaded", row, actor)
        return path

    def note_opened(self, export: str, actor: str) -> Appended:
        """Record that ``actor`` says to have opened the sealed file."""
        return self._taken("export.opened", self._load(export), actor)

    def load(self, export: str) -> Export:
        """The export of this id; UsageError where there is none."""
        return self._load(export)

    def load_all(self) -> Sequence[Export]:
        """All of them, by age."""
        return self._parts.book.load_all()

    def bag_of(self, export: str) -> Path:
        """Where the bag lies."""
        return self._parts.places.bag(self._load(export).export)

    def sealed_of(self, export: str) -> Path:
        """Where the sealed file lies, or would."""
        return self._parts.places.sealed(self._load(export).export)

    def _decided(self, row: Export) -> dict[str, JsonValue]:
        return {"export": row.export, "manifest": row.manifest, "requested_by": row.requested_by}

    def _append(
        self,
        kind: str,
        actor: str,
        stated: Mapping[str, JsonValue],
        changes: Sequence[Change] = (),
        name: str = "",
    ) -> Appended:
        uid = f"{kind}/{stated['export']}{name}"
        draft = live_draft(kind, actor, stated, uid=uid, changes=changes)
        return expect(self._parts.sequencer.append(draft))

    def _taken(self, kind: str, row: Export, actor: str) -> Appended:
        if row.file_sha256 is None:
            raise UsageError(f"{row.export} was never sealed")
        stated: dict[str, JsonValue] = {"export": row.export, "file_sha256": row.file_sha256}
        return self._append(kind, actor, stated, name=f"/{self._parts.randomness.token(8).hex()}")

    def _check_undecided(self, root: Path, row: Export) -> None:
        """Raise ProofError where a bag that nobody has approved says that somebody has."""
        for name in (bag.SIGNATURE, bag.CUSTODY):
            if (root / name).exists():
                raise ProofError(f"{name} stands in {row.export}, which nobody has approved", "FILE_UNLISTED")

    def _finish(self, row: Export) -> None:
        """Write custody and signature into the approved bag, and its lists anew; the same again changes nothing."""
        parts, root = self._parts, self._parts.places.bag(row.export)
        uids = [f"export.requested/{row.export}", f"export.approved/{row.export}"]
        found = parts.store.fetch_by_uids(uids)
        custody = b"".join(found[uid].data + b"\n" for uid in uids)
        manifest = (root / bag.MANIFEST).read_bytes()
        if hashlib.sha256(manifest).hexdigest() != row.manifest:
            raise ProofError("export.json is not the one that was approved", "MANIFEST_CHANGED")
        statement: dict[str, JsonValue] = {
            "approved_by": str(decode(found[uids[1]].data)["actor"]),
            "custody": hashlib.sha256(custody).hexdigest(),
            "export": row.export,
            "manifest": row.manifest,
            "requested_by": row.requested_by,
        }
        signer = parts.signer()
        unsigned = Envelope(bag.STATEMENT_TYPE, statement, b"")
        signed = unsigned._replace(signature=signer.sign(unsigned.signed_bytes()))
        envelope = encode_file(format_envelope(signed, signer.key_id.hex()))
        (root / bag.CUSTODY).parent.mkdir(exist_ok=True)
        write_whole(root / bag.CUSTODY, custody)
        write_whole(root / bag.SIGNATURE, envelope)
        told = bag.read_manifest(manifest)
        payload = {f"data/{file['path']}": (file["sha256"], file["bytes"]) for file in told["files"]}
        added = {bag.MANIFEST: manifest, bag.CUSTODY: custody, bag.SIGNATURE: envelope}
        payload |= {name: (hashlib.sha256(data).digest(), len(data)) for name, data in added.items()}
        finish_bag(root, payload, told)

    def _load(self, export: str) -> Export:
        row = self._parts.book.load(export)
        if row is None:
            raise UsageError(f"there is no export {export!r}; see `grantledger export list`")
        return row
