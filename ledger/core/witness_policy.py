"""Policies: which logs and witnesses count, and how many of them have to agree (C2SP tlog-policy; transparency formats,
section 4.6).

::

    log ledger.example/acme+f1d8e151+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4 https://ledger.example/acme

    witness north witness.example/w1+2032... https://w1.example
    witness south other.example/w2+77aa...   https://w2.example
    witness west  third.example/w3+19fe...   https://w3.example
    group two-of-three 2 north south west
    quorum two-of-three

Lines end in U+000A; words are divided by spaces and tabs; blank lines and those that begin with ``#`` say nothing. Witnesses
and groups share their names, which mean something within the file alone. A group or the quorum names only what stands above
it, so there are no circles, and nothing is a member twice, so that no witness counts twice. ``quorum none`` asks for nobody.
What a cosignature is worth is not judged here: :meth:`WitnessPolicy.is_fulfilled` is told who has cosigned.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from ledger.core.note import ED25519, ED25519_COSIGNATURE, VerifierKey, parse_vkey
from ledger.core.strict import decode_utf8, parse_decimal, parse_lines, shown
from ledger.errors import FormatError

POLICY_BYTES_MAX = 1 << 16
DEFINED_MAX = 64
"""Logs, witnesses and groups, each: a note does not hold many more signatures."""
NOBODY: Final = "none"

_split_words = re.compile("[ \t]+").split
_search_control = re.compile("[\x00-\x08\x0b-\x1f\x7f]").search


@dataclass(frozen=True, slots=True)
class PolicyLog:
    """A log that counts: its key, whose name is the origin, and where it is."""

    key: VerifierKey
    url: str | None = None


@dataclass(frozen=True, slots=True)
class PolicyWitness:
    """A witness: what the file calls it, its key, and where it is asked (its submission prefix)."""

    name: str
    key: VerifierKey
    url: str | None = None


@dataclass(frozen=True, slots=True)
class PolicyGroup:
    """A group: at least ``threshold`` of ``members``, witnesses or groups above it."""

    name: str
    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WitnessPolicy:
    """A policy as its file states it, in its order; ``quorum`` names a witness, a group, or ``none``."""

    logs: tuple[PolicyLog, ...]
    witnesses: tuple[PolicyWitness, ...]
    groups: tuple[PolicyGroup, ...]
    quorum: str

    def find(self, key_name: str, key_id: bytes) -> PolicyWitness | None:
        """The witness whose key goes by this name and id, or None."""
        return next(
            (one for one in self.witnesses if (one.key.name, one.key.key_id) == (key_name, key_id)), None
        )

    def is_fulfilled(self, cosigners: Collection[str]) -> bool:
        """Whether the witnesses of these names (as the file calls them) make up the quorum; others count for nothing."""
        agreed = {witness.name for witness in self.witnesses if witness.name in cosigners}
        for group in self.groups:  # a group's members all stand above it
            if sum(member in agreed for member in group.members) >= group.threshold:
                agreed.add(group.name)
        return self.quorum == NOBODY or self.quorum in agreed


def parse_policy(data: bytes) -> WitnessPolicy:
    """The policy in the file ``data``; FormatError, which names the line, for anything that is none."""
    if len(data) > POLICY_BYTES_MAX:
        raise FormatError(f"the policy has more than {POLICY_BYTES_MAX} bytes")
    parser = _Parser()
    for number, line in enumerate(parse_lines(decode_utf8(data)), 1):
        try:
            parser.take(line)
        except FormatError as error:
            raise FormatError(f"line {number}: {error}") from None
    return parser.finish()


class _Parser:
    """The lines so far."""

    def __init__(self) -> None:
        self._logs: list[PolicyLog] = []
        self._witnesses: list[PolicyWitness] = []
        self._groups: list[PolicyGroup] = []
        self._quorum: str | None = None
        self._free: set[str] = set()
        """Names that nothing has as a member yet."""
        self._named: set[str] = {NOBODY}

    def take(self, line: str) -> None:
        """Take the next line."""
        if _search_control(line):
            raise FormatError("there is a control character other than tab")
        stripped = line.strip(" \t")
        if not stripped or stripped.startswith("#"):
            return
        word, *words = _split_words(stripped)
        takers = {
            "log": self._log,
            "witness": self._witness,
            "group": self._group,
            "quorum": self._take_quorum,
        }
        if word not in takers:
            raise FormatError(f"{shown(word)} is none of {', '.join(takers)}")
        takers[word](words)

    def finish(self) -> WitnessPolicy:
        """The policy; FormatError where it has no quorum."""
        if self._quorum is None:
            raise FormatError("the policy has no quorum line; `quorum none` asks for nobody")
        for log in self._logs:
            # The log's own key under another type would let the log be its own witness.
            if any(one.key.public_key == log.key.public_key for one in self._witnesses):
                raise FormatError(f"the key of the log {shown(log.key.name)} is a witness's, too")
        return WitnessPolicy(tuple(self._logs), tuple(self._witnesses), tuple(self._groups), self._quorum)

    def _log(self, words: list[str]) -> None:
        if len(words) not in (1, 2):
            raise FormatError("write: log VKEY [URL]")
        key = _parse_key(words[0], ED25519, "a log signs with", [log.key for log in self._logs])
        self._logs.append(PolicyLog(key, *words[1:]))

    def _witness(self, words: list[str]) -> None:
        if len(words) not in (2, 3):
            raise FormatError("write: witness NAME VKEY [URL]")
        name = self._define(words[0], len(self._witnesses))
        known = [witness.key for witness in self._witnesses]
        key = _parse_key(words[1], ED25519_COSIGNATURE, "a witness cosigns with", known)
        self._witnesses.append(PolicyWitness(name, key, *words[2:]))

    def _group(self, words: list[str]) -> None:
        if len(words) < 3:
            raise FormatError("write: group NAME all|any|K MEMBER...")
        name, threshold_text, *members = words
        for member in members:
            if member not in self._named or member == NOBODY:
                raise FormatError(f"{shown(member)} is no witness or group defined above")
            if member not in self._free:
                raise FormatError(f"{shown(member)} is a member already; nobody counts twice")
            self._free.remove(member)
        named = {"any": 1, "all": len(members)}
        threshold = named[threshold_text] if threshold_text in named else parse_decimal(threshold_text)
        if not 1 <= threshold <= len(members):
            raise FormatError(f"{threshold} of {len(members)} members cannot agree")
        self._groups.append(PolicyGroup(self._define(name, len(self._groups)), threshold, tuple(members)))

    def _take_quorum(self, words: list[str]) -> None:
        if len(words) != 1:
            raise FormatError("write: quorum NAME, or quorum none")
        if self._quorum is not None:
            raise FormatError("there is a quorum already")
        if words[0] not in self._named:
            raise FormatError(f"{shown(words[0])} is no witness or group defined above")
        self._quorum = words[0]

    def _define(self, name: str, count: int) -> str:
        if name in self._named:
            raise FormatError(f"{shown(name)} is taken")
        if count >= DEFINED_MAX:
            raise FormatError(f"there are more than {DEFINED_MAX} of these")
        self._named.add(name)
        self._free.add(name)
        return name


def _parse_key(text: str, algorithm: int, what: str, known: list[VerifierKey]) -> VerifierKey:
    key = parse_vkey(text)
    if key.algorithm != algorithm:
        raise FormatError(f"{shown(text)} is of type {key.algorithm:#04x}; {what} {algorithm:#04x}")
    if any(one.public_key == key.public_key for one in known):
        raise FormatError(f"the key of {shown(key.name)} is there already")
    if len(known) >= DEFINED_MAX:
        raise FormatError(f"there are more than {DEFINED_MAX} of these")
    return key
