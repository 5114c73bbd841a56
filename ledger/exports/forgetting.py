"""Bags that say who somebody is, removed when the person is erased (ledger format, section 1.2; exports, section 5.5).

An export made with ``--open`` holds, in clear, who is behind tags and the salts that show it. Its sealed file stays: only its
recipients can open it, and what they were handed they have. The bag that it was made from is this machine's own copy, in
clear, and goes. No line can be taken out of it instead: the approved manifest holds the hash of every file.

A bag that is being made or worked on is left, and told of as busy: whoever asks comes again. One that is begun later cannot
open the person any more, because the vault does not know it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path

from ledger.core import bag
from ledger.durable import sync_directory
from ledger.errors import StoreError
from ledger.exports.places import Places, is_name
from ledger.ports.privacy import Forgotten

_find_tags = re.compile(rb"a_[0-9a-f]{32}").findall


class ExportCopies:
    """Implements :class:`ledger.ports.privacy.OpenCopies` by the bags in ``places``."""

    def __init__(self, places: Places) -> None:
        """Nothing is touched yet."""
        self._places = places

    def count(self, account: str) -> int:
        """How many bags say in clear who ``account`` (a tag) is; StoreError where one cannot be read."""
        return sum(_opens(self._places.bag(export), {account}) for export in self._exports())

    def forget(self, accounts: Collection[str]) -> Forgotten:
        """Remove the bags that say so of one of ``accounts`` (tags), durably; StoreError where one cannot be read or removed.

        Dying on the way leaves some.
        """
        sought = frozenset(accounts)
        copies, is_busy = 0, False
        for export in self._exports():
            root = self._places.bag(export)
            is_made = self._places.making(export).exists()
            if not is_made and not _opens(root, sought):
                continue
            try:
                # Removes what a run left that was killed, too, and is refused while one is under way.
                with self._places.turn(export):
                    if _opens(root, sought):
                        self._places.discard(root)
                        sync_directory(self._places.directory)
                        copies += 1
            except StoreError:
                is_busy = True
            except OSError as error:
                raise StoreError(
                    f"the bag {root} opens who somebody is that was erased, and cannot be removed: "
                    f"{error.strerror or error}; fix the permissions, then run `grantledger erase clean`"
                ) from error
        return Forgotten(copies, is_busy)

    def _exports(self) -> Iterator[str]:
        """The exports that have a bag, or a run under way."""
        if not self._places.directory.is_dir():
            return
        found = set()
        for path in self._places.directory.iterdir():
            name = path.name
            if name.startswith(".") and name.endswith(".making"):
                name = name[1:].removesuffix(".making")
            if path.is_dir() and not path.is_symlink() and is_name(name):
                found.add(name)
        yield from sorted(found)


def _opens(root: Path, accounts: AbstractSet[str]) -> bool:
    """Whether the bag ``root`` opens a commitment of an entry that names one of ``accounts``."""
    try:
        with (root / bag.OPENINGS).open("rb") as opened:
            if not opened.read(1):
                return False
        seqs = _seqs_naming(root / bag.ENTRIES, {account.encode() for account in accounts})
        with (root / bag.OPENINGS).open("rb") as opened:
            return any(json.loads(line)["seq"] in seqs for line in opened)
    except FileNotFoundError:
        return False
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"the bag {root} cannot be read ({error}): whether it says who somebody is that was erased is not known; remove "
            "it, or mend it, then run `grantledger erase clean`"
        ) from error


def _seqs_naming(entries: Path, tags: AbstractSet[bytes]) -> set[int]:
    # A tag is made of letters and digits, and stands in an entry's bytes as it is.
    with entries.open("rb") as opened:
        return {int(json.loads(line)["seq"]) for line in opened if not tags.isdisjoint(_find_tags(line))}
