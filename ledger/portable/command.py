"""The command of the portable checker: what it is given, what it prints, how it ends.

Its text is the end of the portable file, which :mod:`ledger.portable.build` makes; so it uses nothing but the core, the
verification of signatures beside it, and the standard library.
"""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module

from ledger.core.proof_files import FILE_BYTES_MAX, Known, check_proof_file, code_of
from ledger.core.proof_words import tell_limits, tell_shown
from ledger.errors import LedgerError, UsageError
from ledger.portable.ed25519 import verify_ed25519

STATUSES = "Exit status: 0 proven, 1 not proven (the message begins with a code), 2 bad usage."


def main() -> int:
    """Check the file that the arguments name; the exit status."""
    parser = argparse.ArgumentParser(
        prog="verify.py", description="Check a proof of a grantledger log.", epilog=STATUSES
    )
    parser.add_argument(
        "file",
        metavar="FILE",
        help="a .tlog-proof, a bundle, or the directory of an export; - is standard input",
    )
    parser.add_argument(
        "--vkey", help="the log's key, or a file with it; get it from somewhere else than the proof"
    )
    parser.add_argument("--key", help="the index key that the bundle has to be about, such as acct:a_...")
    parser.add_argument(
        "--entry", metavar="FILE", help="the bytes of the entry that a .tlog-proof has to be about"
    )
    parser.add_argument(
        "--cosigner",
        metavar="KEY",
        action="append",
        help="the key of a witness that must have cosigned, or its file",
    )
    asked = parser.parse_args()
    try:
        entry = read_file(asked.entry) if asked.entry else None
        vkey = read_vkey(asked.vkey) if asked.vkey else None
        if os.path.isdir(asked.file):  # noqa: PTH112 - the same on every Python
            return check_export(asked.file, vkey)
        known = Known(vkey, asked.key, entry, tuple(map(read_vkey, asked.cosigner or ())))
        checked = check_proof_file(read_file(asked.file), known, verify_ed25519)
    except (UsageError, OSError) as error:
        sys.stderr.write(escape(f"error: {error}\n"))
        return 2
    except LedgerError as error:
        sys.stdout.write(escape(f"NOT PROVEN: {code_of(error)}: {error}\n"))
        return 1
    verdict = "PROVEN" if checked.is_trusted else "NOT CHECKED AGAINST A TRUSTED KEY, only self-consistent"
    lines = [verdict, "This shows:", *tell_shown(checked), "It does not show:", *tell_limits(checked)]
    sys.stdout.write(escape("\n".join(lines) + "\n"))
    return 0


def check_export(name: str, vkey: str | None) -> int:
    """Check the export in the directory ``name`` by verify_bag.py, which lies beside this file; the exit status."""
    # What is checked may be the directory that this lies in, and nothing is written to that.
    sys.dont_write_bytecode = True
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 - as above
    try:
        return int(import_module("verify_bag").check_directory(name, vkey))
    except ImportError:
        raise UsageError("exports are checked by verify_bag.py, which has to lie beside this file") from None


def read_file(name: str) -> bytes:
    """The bytes of the file ``name``, one too many of a file that is too long; ``-`` is standard input."""
    if name == "-":
        return sys.stdin.buffer.read(FILE_BYTES_MAX + 1)
    with open(name, "rb") as opened:  # noqa: PTH123 - the same on every Python
        return opened.read(FILE_BYTES_MAX + 1)


def read_vkey(text: str) -> str:
    """The key that ``text`` is, or that stands in the file which it names."""
    is_file = os.path.exists(text)  # noqa: PTH110 - the same on every Python
    return read_file(text).decode("utf-8", "replace").strip() if is_file else text


def escape(text: str) -> str:
    """``text`` with whatever could drive a terminal, and all beyond ASCII, written as its escape."""
    return "".join(char if " " <= char <= "~" or char == "\n" else ascii(char)[1:-1] for char in text)
