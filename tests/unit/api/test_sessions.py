"""When cookies may go without TLS: only where nobody but this machine can reach the service."""

from __future__ import annotations

import pytest

from api.pages import policy_of
from api.sessions import is_local


@pytest.mark.parametrize(
    ("urls", "expected"),
    [
        (["http://127.0.0.1:8400"], True),
        (["http://127.0.0.1:8400", "http://localhost:8400"], True),
        (["http://[::1]:8400"], True),
        (["http://api.localhost"], True),
        (["https://127.0.0.1"], False),
        (["http://127.0.0.1:8400", "https://api.example"], False),
        (["http://api.example"], False),
        (["http://127.0.0.1.example"], False),
        (["http://notlocalhost"], False),
    ],
)
def test_only_this_machine_is_local(urls: list[str], expected: bool) -> None:
    assert is_local(urls) is expected


@pytest.mark.parametrize(
    ("url", "sources"),
    [
        (None, "'self'"),
        ("https://a.example/cb?x=1", "'self' https://a.example"),
        ("https://a.example:8443/cb", "'self' https://a.example:8443"),
        ("http://[::1]:8080/cb", "'self' http://[::1]:8080"),
        ("inbox-app://done", "'self' inbox-app:"),
        ("https://a.example;script-src/x", "'self' https:"),
        ("https://a.example'unsafe-inline'/x", "'self' https:"),
        ("oob", "'self'"),
    ],
)
def test_a_policy_names_where_a_form_may_end_and_nothing_can_be_smuggled_into_it(
    url: str | None, sources: str
) -> None:
    directives = policy_of(url).split("; ")
    assert [one for one in directives if one.startswith("form-action")] == [f"form-action {sources}"]
    assert len(directives) == 6
