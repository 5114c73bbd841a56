"""The page of a verification shows the figures and findings of its report."""

from __future__ import annotations

from typing import Any

from ledger.reporting.codes_in_words import words_of
from ledger.reporting.verify_report import FINDINGS_MAX, render_verify
from tests.support.html_outline import Element, parse_page
from tests.support.report_samples import broken_report, clean_report, finding, ledger_finding, verify_report


def _page(report: dict[str, Any]) -> Element:
    return parse_page(render_verify(report))


def _section(page: Element, name: str) -> Element:
    return next(section for section in page.all("section") if section.attributes["id"] == name)


def _table(page: Element, caption: str) -> dict[str, list[str]]:
    """Heading of each row -> its other cells."""
    table = next(table for table in page.all("table") if table.children[0].words.startswith(caption))
    rows = [row.children for row in table.all("tbody")[0].all("tr")]
    return {row[0].words: [cell.words for cell in row[1:]] for row in rows}


def _cards(page: Element) -> list[Element]:
    return [
        item
        for cards in page.all("ol")
        if cards.attributes.get("class") == "findings"
        for item in cards.children
    ]


def test_it_says_which_ledger_was_verified_to_which_size_by_which_rules() -> None:
    report = verify_report()
    shown = _table(_page(report), "What was verified")
    assert shown["Tree size"] == ["2,981 entries"]
    assert [shown[name] for name in ("Root", "Origin", "Key")] == [
        [report[name]] for name in ("root", "origin", "vkey")
    ]
    assert shown["Rules"] == [f"{report['rule_set']} {report['rule_set_hash']}"]


def test_the_counts_of_every_verdict_and_code_are_those_of_the_report() -> None:
    report = verify_report(codes={"NO_GRANT": 12_345, "WRONG_DEVELOPER": 2})
    page = _page(report)
    assert {row: cells[-1] for row, cells in _table(page, "Deliveries by verdict").items()} == {
        "Authorized AUTHORIZED": "1,200",
        "Voided later VOIDED_LATER": "0",
        "Covered afterwards COVERED_RETROACTIVELY": "0",
        "Not authorized UNAUTHORIZED": "3",
        "Cannot say INDETERMINATE": "1",
    }
    codes = _table(page, "Findings by main code")
    assert codes["No permission at all NO_GRANT"] == [words_of("NO_GRANT").sentence, "12,345"]
    assert list(codes) == ["Wrong developer WRONG_DEVELOPER", "No permission at all NO_GRANT"]


def test_people_and_developers_affected_are_those_of_the_report() -> None:
    page = _page(verify_report(accounts_affected={"definite": 1_003, "possible": 17}))
    facts = page.all("dl")[0].words
    assert "accounts definitely affected 1,003 and possibly 17 more" in facts
    assert "other people definitely affected 5 and possibly 2 more" in facts
    assert _table(page, "Developers that received")["dev-09"] == ["2", "2", "4"]


def test_a_finding_says_who_was_meant_who_received_why_no_grant_covered_it_and_where_to_look() -> None:
    card = _cards(_page(verify_report()))[1].words
    assert "Delivery d-00002, attempt 1 · 4 July 2017, 09:14:44.120 UTC · Not authorized" in card
    assert "Meant for dev-04 app app-04 environment production endpoint ep-04" in card
    assert "Went to dev-09 app app-09 environment production endpoint ep-09" in card
    assert f"Account a_{2:032x}" in card
    assert "seen at the connection itself (observed)" in card
    assert f"g-0117: {words_of('DELIVERED_AFTER_EXPIRY').sentence} (DELIVERED_AFTER_EXPIRY)" in card
    assert "What became of the data sent and received (confirmed)" in card
    assert "Kind of event direct_message_events" in card
    assert "Also found Went to another address (DESTINATION_MISMATCH)" in card
    assert "Ledger entries 402, 403" in card


def test_a_destination_without_an_owner_is_said_to_be_nobodys() -> None:
    report = verify_report([finding("ENDPOINT_UNKNOWN", "X", actual={"developer": None, "endpoint": None})])
    assert "Went to nobody" in _cards(_page(report))[0].words


def test_a_finding_of_the_ledger_itself_shows_its_text_and_entries() -> None:
    first = _cards(_page(broken_report()))[0].words
    assert first == f"prev is not the leaf hash {'4c' * 32} Ledger entry 812"


def test_findings_stand_under_what_to_do_next_the_gravest_first() -> None:
    findings = [
        ledger_finding("ENDPOINT_COLLISION", "A", "a", [1]),
        finding("ATTEMPT_UNSETTLED", "P"),
        finding("SCOPE_EXCEEDED", "X"),
        finding("WRONG_DEVELOPER", "X"),
        ledger_finding("ROOT_MISMATCH", "I", "r", []),
    ]
    section = _section(_page(verify_report(findings)), "findings")
    order = ["ROOT_MISMATCH", "WRONG_DEVELOPER", "SCOPE_EXCEEDED", "ATTEMPT_UNSETTLED", "ENDPOINT_COLLISION"]
    labels = [heading.words.rsplit(" ", 1)[0] for heading in section.all("h3")]
    assert labels == [words_of(code).label for code in order]
    assert all(f"What to do next. {words_of(code).next_step}" in section.words for code in order)


def test_of_many_findings_the_gravest_are_shown_and_the_page_says_how_many_there_are() -> None:
    minor = [finding("ATTEMPT_UNSETTLED", "P", index) for index in range(FINDINGS_MAX + 700)]
    grave = [finding("NO_GRANT", "X", 9_000 + index) for index in range(3)]
    page = _page(verify_report([*minor, *grave]))
    cards = _cards(page)
    assert len(cards) == FINDINGS_MAX
    assert [card.words[9:16] for card in cards[:4]] == ["d-09000", "d-09001", "d-09002", "d-00000"]
    said = _section(page, "findings").words
    assert "This page shows 500 of 1,203 findings, the gravest first. The JSON report has all 1,203." in said
    assert "1,200 findings, of which 497 shown." in said


def test_a_clean_report_says_that_there_are_no_findings_and_what_to_keep() -> None:
    page = _page(clean_report())
    assert "There are none. Keep the tree size and the root" in _section(page, "findings").words
    assert not _cards(page)


def test_a_broken_ledger_proves_nothing_about_its_counts() -> None:
    proof = _section(_page(broken_report()), "proof").words
    assert "not the unbroken, signed ledger that it should be" in proof
    assert "stands in its place unchanged" not in proof


def test_it_says_how_much_of_the_ledger_is_signed() -> None:
    def proof(size: int | None) -> str:
        return _section(_page(clean_report() | {"checkpoint_size": size}), "proof").words

    assert "Each of the 2,981 entries that the key has signed stands in its place, unchanged. Every" in proof(
        2_981
    )
    assert "The 81 later entries are linked to them in an unbroken chain, but not signed yet." in proof(2_900)
    assert "No signed state of the ledger was there to compare it with." in proof(None)


def test_it_says_what_could_not_be_checked() -> None:
    assert "2 tags have no row in the vault" in _section(_page(verify_report()), "proof").words


def test_findings_that_the_report_only_counts_are_counted_here_too() -> None:
    report = verify_report([ledger_finding("TILE_MISMATCH", "I", "t", [1])], codes={"TILE_MISMATCH": 5_000})
    said = _section(_page(report), "findings").words
    assert "shows 1 of 5,000 findings" in said
    assert "The JSON report has 1: of very many with one code it lists only the first." in said


def test_equal_reports_give_equal_pages() -> None:
    assert render_verify(verify_report()) == render_verify(verify_report())
