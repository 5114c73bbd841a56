"""Body lengths tell little."""

from __future__ import annotations

import pytest

from ledger.core.body_bytes import rounded_body_bytes


@pytest.mark.parametrize(
    ("size", "rounded"), [(0, 0), (1, 256), (255, 256), (256, 256), (257, 512), (700, 768)]
)
def test_body_bytes_are_rounded_up_to_256(size: int, rounded: int) -> None:
    assert rounded_body_bytes(size) == rounded
