"""The exceptions of the whole project, and whose fault each one tells of.

"No" is a value with a reason and never an exception; what is raised here is *broken* input, *broken* evidence or a
*failed* operation. An impossible state is an ``AssertionError``. The exception's type says who has to act:

- the caller, who handed over something unusable: :class:`FormatError`, :class:`RejectedError`, :class:`ConflictError`,
  :class:`UsageError`;
- nobody but an investigator, because evidence does not hold: :class:`ProofError`, :class:`SignatureError`,
  :class:`ForkError`;
- the operator of the machine: :class:`StoreError`, :class:`SettingsError`, :class:`QuorumError`.
"""

from __future__ import annotations

import traceback

_FRAMES_TOLD = 6


class LedgerError(Exception):
    """Base of every error that this project raises on purpose; its text is fit for a person to read."""


class FormatError(LedgerError, ValueError):
    """Bytes or text that are not the one canonical form of anything."""


class RejectedError(LedgerError):
    """A well-formed record or event that the ledger refuses; ``reason`` names the rule in a few words."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ConflictError(RejectedError):
    """The ``uid`` is taken by an entry with other content (ledger format, section 1.1)."""


class ProofError(LedgerError):
    """A Merkle, map or completeness proof that does not prove what it claims; ``code`` names the reason for programs."""

    def __init__(self, text: str, code: str = "PROOF_INVALID") -> None:
        super().__init__(text)
        self.code = code


class SignatureError(LedgerError):
    """A signed note that no known key signed, or that a known key did not sign as stated."""


class ForkError(LedgerError):
    """Two signed states of one log that no single history explains; the text says which."""


class QuorumError(LedgerError):
    """Too few witnesses have cosigned a checkpoint, so it is not published; the text names who did not and why."""


class StoreError(LedgerError):
    """The database or a file could not be read or written; nothing was half done when this is raised."""


class DamagedIndexError(StoreError):
    """The stored index is not the one that its state stands for: damaged, or edited; it can be made anew from the log."""


class SettingsError(LedgerError):
    """A setting is missing or unusable; the text names the setting and the fix."""


class UsageError(LedgerError):
    """A command was asked for something it cannot do; the text says what to do instead."""


def places_of(error: BaseException) -> str:
    """Where ``error`` was raised, innermost last: modules, lines and functions, and no values."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES_TOLD:]
    return " > ".join(f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} {frame.name}" for frame in frames)


def describe_fault(error: BaseException) -> str:
    """The type of ``error`` and :func:`places_of` it, for logs.

    The text of an exception that nobody raised on purpose has no place there: databases and parsers repeat in it what they
    were given, and that is personal data.
    """
    return f"{type(error).__name__} at {places_of(error)}"
