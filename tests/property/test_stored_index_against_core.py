"""The stored index against the naive one: whatever the log, wherever it is sealed, each seal in another process."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from tests.support.stored_index import MemoryRows, Naive, check_key, check_pages, grow, some_pages


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[list[str]], list[int]]:
    """The keys of each entry, and after how many entries there is a seal."""
    keys = [f"acct:{number}" for number in range(draw(st.integers(1, 80)))]
    # Some keys are in most entries, so that their trees are high.
    common = st.sampled_from(keys[:2])
    entry = st.lists(st.one_of(common, st.sampled_from(keys)), max_size=5, unique=True)
    log = draw(st.lists(entry, min_size=1, max_size=150))
    ends = sorted(draw(st.sets(st.integers(1, len(log)), max_size=8)) | {len(log)})
    return log, ends


@given(histories())
def test_every_root_row_and_proof_is_that_of_the_naive_index(
    history: tuple[list[list[str]], list[int]],
) -> None:
    log, ends = history
    rows, naive, start = MemoryRows(), Naive(), 0
    for end in ends:
        assert grow(rows, log, start, end).map_root == naive.take(log, start, end)
        for key in {key for keys in log for key in keys} | {"acct:absent", "acct:-1"}:
            check_key(rows, naive, key)
        start = end


@given(st.lists(st.integers(0, 3), min_size=1, max_size=4), st.integers(0, 2**32))
def test_pages_of_a_key_are_proven_whatever_number_of_entries_came_at_once(
    steps: list[int], seed: int
) -> None:
    random_ = random.Random(seed)
    sizes = [random_.choice([1, 2, 31, 32, 33, 63, 64, 65, 127, 128, 129, 300]) for _ in steps]
    log = [["dev:a"] if random_.random() < 0.9 else ["dev:b"] for _ in range(sum(sizes))]
    rows, naive, start = MemoryRows(), Naive(), 0
    for size in sizes:
        grow(rows, log, start, start + size)
        naive.take(log, start, start + size)
        start += size
    for key, seqs in naive.seqs.items():
        check_key(rows, naive, key)
        check_pages(rows, naive, key, some_pages(len(seqs), random_))


def test_tiles_of_tiles_are_made_however_the_entries_come() -> None:
    ends = [1, 64, 4_095, 4_096, 4_097, 8_191, 8_256, 12_300, 12_301]
    log = [["dev:a"] + (["dev:b"] if seq % 3 else []) for seq in range(ends[-1])]
    rows, naive, start, random_ = MemoryRows(), Naive(), 0, random.Random(7)
    for end in ends:
        assert grow(rows, log, start, end).map_root == naive.take(log, start, end)
        for key, seqs in naive.seqs.items():
            check_pages(rows, naive, key, some_pages(len(seqs), random_))
        start = end
    assert {name[1] for name in rows.tiles} == {0, 1}


def test_a_tile_of_the_third_level_is_proven_from() -> None:
    size = 64**3 + 70
    log = [["dev:a"]] * size
    rows, naive, start = MemoryRows(), Naive(), 0
    for end in (200_000, 64**3 - 1, size):
        assert grow(rows, log, start, end).map_root == naive.take(log, start, end)
        start = end
    assert {name[1] for name in rows.tiles} == {0, 1, 2}
    check_pages(
        rows, naive, "dev:a", [*some_pages(size, random.Random(3))[:2], (131_050, 50), (size - 72, 50)]
    )


def test_a_page_in_the_middle_is_proven_without_reading_the_history() -> None:
    size = 100_000
    log = [["dev:a"]] * size
    rows, naive = MemoryRows(), Naive()
    grow(rows, log, 0, size)
    naive.take(log, 0, size)
    rows.read = 0
    check_pages(rows, naive, "dev:a", [(50_000, 50)])
    assert rows.read < 200
