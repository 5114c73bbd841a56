"""Witnesses and policies on inputs that nobody thought of."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ledger.core.add_checkpoint import (
    HASHES_MAX,
    AddCheckpoint,
    format_add_checkpoint,
    parse_add_checkpoint,
    parse_cosignatures,
    parse_size,
)
from ledger.core.cosignature import (
    COSIGNATURE_BYTES,
    TIME_S_MAX,
    Cosignature,
    decode_cosignature,
    encode_cosignature,
)
from ledger.core.note import (
    ED25519_COSIGNATURE,
    format_note,
    format_vkey,
    make_verifier_key,
    open_note,
    parse_note,
)
from ledger.core.strict import INTEGER_MAX
from ledger.core.witness_policy import WitnessPolicy, parse_policy
from ledger.errors import FormatError
from ledger.vault.ed25519 import from_seed
from tests.support.histories import History
from tests.support.witness_world import make_witness

LOG = from_seed("ledger.example/acme", bytes(32))
HISTORY = History("a", LOG)
SIZES = st.integers(0, 40)


@given(
    st.integers(0, INTEGER_MAX),
    st.lists(st.binary(min_size=32, max_size=32), max_size=HASHES_MAX),
    st.binary(),
)
def test_a_request_is_read_as_it_was_written(old_size: int, proof: list[bytes], note: bytes) -> None:
    request = AddCheckpoint(old_size, tuple(proof), note)
    assert parse_add_checkpoint(format_add_checkpoint(request)) == request


@given(st.binary(max_size=200) | st.builds(b"old 3\n".__add__, st.binary(max_size=200)))
@example(HISTORY.request(5, 9))
def test_bytes_are_no_request_or_the_only_ones_of_theirs(data: bytes) -> None:
    try:
        request = parse_add_checkpoint(data)
    except FormatError:
        return
    assert format_add_checkpoint(request) == data


@given(st.integers(0, TIME_S_MAX), st.binary(min_size=64, max_size=64))
def test_a_cosignature_is_read_as_it_was_written(time_s: int, signature: bytes) -> None:
    blob = encode_cosignature(Cosignature(time_s, signature))
    assert len(blob) == COSIGNATURE_BYTES
    assert decode_cosignature(blob) == (time_s, signature)


def key(number: int) -> str:
    return format_vkey(make_verifier_key(f"w.example/{number}", ED25519_COSIGNATURE, bytes([number] * 32)))


@st.composite
def policies(draw: st.DrawFn) -> WitnessPolicy:
    """Any policy of up to six witnesses in groups of groups."""
    count = draw(st.integers(1, 6))
    lines = [f"witness w{number} {key(number)}\n" for number in range(count)]
    free = [f"w{number}" for number in range(count)]
    for number in range(draw(st.integers(0, 4))):
        if not free:
            break
        members = draw(st.lists(st.sampled_from(free), min_size=1, unique=True))
        threshold = draw(st.sampled_from(["any", "all", str(draw(st.integers(1, len(members))))]))
        lines.append(f"group g{number} {threshold} {' '.join(members)}\n")
        free = [name for name in free if name not in members] + [f"g{number}"]
    lines.append(f"quorum {draw(st.sampled_from([*free, 'none']))}\n")
    return parse_policy("".join(lines).encode())


def naive(policy: WitnessPolicy, name: str, cosigners: frozenset[str]) -> bool:
    """Whether ``name`` has cosigned, by the words of the format."""
    group = next((one for one in policy.groups if one.name == name), None)
    if group is None:
        return name == "none" or name in cosigners
    return sum(naive(policy, member, cosigners) for member in group.members) >= group.threshold


@given(policies())
@settings(suppress_health_check=list(HealthCheck))
def test_a_policy_is_fulfilled_by_exactly_those_sets_that_its_words_say(policy: WitnessPolicy) -> None:
    names = [witness.name for witness in policy.witnesses]
    for count in range(len(names) + 1):
        for chosen in itertools.combinations(names, count):
            cosigners = frozenset(chosen)
            assert policy.is_fulfilled(cosigners) == naive(policy, policy.quorum, cosigners)


@given(policies(), st.data())
@settings(suppress_health_check=list(HealthCheck))
def test_another_cosigner_never_takes_a_quorum_away(policy: WitnessPolicy, data: st.DataObject) -> None:
    names = [witness.name for witness in policy.witnesses]
    some = set(data.draw(st.lists(st.sampled_from(names))))
    more = some | set(data.draw(st.lists(st.sampled_from(names))))
    assert policy.is_fulfilled(more) or not policy.is_fulfilled(some)


@given(st.binary(max_size=300) | st.text("lw 12gq#\n\tab", max_size=80).map(str.encode))
def test_any_bytes_are_a_policy_or_refused_in_words(data: bytes) -> None:
    try:
        policy = parse_policy(data)
    except FormatError:
        return
    assert policy.is_fulfilled({witness.name for witness in policy.witnesses})


@given(
    st.lists(
        st.tuples(SIZES, SIZES, st.sampled_from([None, 0, 3, 10, 25]), st.booleans()), min_size=1, max_size=12
    )
)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_a_log_shows_what_is_cosigned_is_one_history(
    requests: list[tuple[int, int, int | None, bool]],
) -> None:
    """Any order of requests, with forks and stale sizes: every two cosigned checkpoints are of one tree that grew."""
    cosigned: list[tuple[int, bytes]] = []
    with tempfile.TemporaryDirectory() as directory:
        opened = make_witness(Path(directory) / "w")
        opened.book.add_key(LOG.vkey(), 0)
        last_size = 0
        for stated_old, size, forks_at, is_told in requests:
            history = HISTORY if forks_at is None else HISTORY.fork(forks_at)
            old_size = last_size if is_told else stated_old
            answer = opened.witness.add_checkpoint(history.request(old_size, size))
            if answer.status == 409:
                last_size = parse_size(answer.body)
            elif answer.status == 200:
                last_size = size
                text = parse_note(history.note(size)).text
                note = format_note(text, parse_cosignatures(answer.body))
                assert open_note(note, [opened.signer.verifier()]).verified == (opened.signer.name,)
                cosigned.append((size, history.root(size)))
        opened.engine.dispose()
    assert [size for size, _ in cosigned] == sorted(size for size, _ in cosigned)
    # Each is the beginning of the last: of one of the histories that there are.
    if cosigned:
        last = cosigned[-1]
        stories = [HISTORY, *map(HISTORY.fork, (0, 3, 10, 25))]
        assert any(
            story.root(last[0]) == last[1] and all(story.root(size) == root for size, root in cosigned)
            for story in stories
        )
