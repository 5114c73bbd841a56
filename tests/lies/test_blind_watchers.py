"""A watcher that does not look lets its lie pass: what the other tests here say would be noticed if it stopped to hold."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.lies.log_lies import forked_on, rewritten, sealed_omission
from tests.lies.place_lies import (
    omission_that_was_shown,
    second_tag,
    suppressed_revocation,
)
from tests.lies.test_every_lie import test_no_lie_is_left_untried as try_lie
from tests.lies.told_lies import never_recorded_and_counted

BLINDED: list[tuple[str, object, Callable[..., object]]] = [
    ("ledger.audit.verify.check_earlier", None, rewritten),
    ("ledger.audit.looking.Looker._is_behind", False, rewritten),
    ("ledger.audit.seals.Seals.check_roots", None, sealed_omission),
    ("ledger.audit.verify.check_bundles", [], omission_that_was_shown),
    ("ledger.witness.witness._check_growth", None, forked_on),
    ("ledger.audit.identities.IdentityCheck.finish", None, second_tag),
    ("tests.lies.watchers.check_published_promise", "kept", suppressed_revocation),
    ("tests.lies.watchers.check_growth", 0, rewritten),
    ("tests.lies.watchers.check_cosigners", [], rewritten),
    ("ledger.audit.egress.find_excess", None, never_recorded_and_counted),
]


@pytest.mark.parametrize(("what", "answer", "lie"), BLINDED)
def test_a_watcher_that_does_not_look_is_noticed(
    monkeypatch: pytest.MonkeyPatch, what: str, answer: object, lie: Callable[..., object]
) -> None:
    monkeypatch.setattr(what, lambda *_, **__: answer)
    with pytest.raises(AssertionError):
        try_lie(lie)
