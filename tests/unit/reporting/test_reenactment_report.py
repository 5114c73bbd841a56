"""The page of a reenactment shows the figures of its report and tells its story."""

from __future__ import annotations

from typing import Any

from ledger.reporting.flow_chart import LINKS_MAX
from ledger.reporting.reenactment_report import render_reenactment
from tests.support.html_outline import Element, parse_page
from tests.support.report_samples import (
    aftermath_section,
    calm_reenactment_report,
    reenactment_report,
    service_section,
)


def _page(report: dict[str, Any]) -> Element:
    return parse_page(render_reenactment(report))


def _part(page: Element, name: str) -> Element:
    return next(element for element in page.all() if element.attributes.get("id") == name)


def _rows(page: Element, name: str) -> dict[str, list[str]]:
    """Heading of each row of the table ``name`` -> its other cells."""
    rows = [row.children for row in _part(page, name).all("tbody")[0].all("tr")]
    return {row[0].words: [cell.words for cell in row[1:]] for row in rows}


def test_the_page_begins_with_what_happened_and_who_could_tell() -> None:
    page = _page(reenactment_report())
    assert page.all("h1")[0].words == "23 of 3,214 deliveries reached the wrong developer"
    lede = next(element for element in page.all("p") if element.attributes.get("class") == "lede").words
    assert lede == (
        "An audit of where deliveries were meant to go sees nothing wrong with any of them. The ledger, which also "
        "records where each one really went, names every one of them and raises no false alarms. "
        "It could tell of the first one 2.25 seconds after it was sent."
    )


def test_an_auditor_that_is_less_than_perfect_is_not_praised() -> None:
    report = reenactment_report()
    report["auditors"][1] |= {"true_positives": 20, "false_negatives": 3, "false_positives": 2}
    assert "names 20 of them and raises 2 false alarms" in _page(report).words


def test_every_auditor_has_its_figures_and_its_explanation() -> None:
    report = reenactment_report()
    page = _page(report)
    assert _rows(page, "table-auditors") == {
        "Intended destination only": ["3,214", "0", "0", "0", "23", "–", "0%"],
        "The ledger: observed destination": ["3,214", "23", "23", "0", "0", "100%", "100%"],
        "Circumstances only": ["3,214", "41", "23", "18", "0", "56.1%", "100%"],
    }
    assert all(row["explanation"] in _part(page, "auditors").words for row in report["auditors"])


def test_exposure_is_told_for_accounts_other_people_and_deliveries_as_a_share_of_the_active() -> None:
    assert _rows(_page(reenactment_report()), "table-exposure") == {
        "Ground truth": ["19", "1.7%", "31", "23"],
        "Definite": ["19", "1.7%", "31", "23"],
        "Possible": ["14", "1.3%", "22", "18"],
    }


def test_every_developer_stands_there_with_what_it_received_and_whose_it_was() -> None:
    rows = _rows(_page(reenactment_report()), "table-developers")
    assert rows["Lumen Desk"] == ["6", "5", "9", "Kestrel Works (4), Harbour Metric (2)"]
    assert list(rows) == ["Cedar Relay", "Lumen Desk", "Fjord Signal", "Indigo Voice"]


def test_every_month_code_collision_and_refusal_of_the_report_is_in_a_table() -> None:
    report = reenactment_report()
    page = _page(report)
    months = _rows(page, "table-months")
    assert len(months) == len(report["timeline"])
    assert months["May 2018"] == ["261", "6"]
    codes = {name.split()[-1]: cells[-1] for name, cells in _rows(page, "table-codes").items()}
    assert codes == {code: str(count) for code, count in report["codes"].items()}
    collisions = _rows(page, "table-collisions")
    where = "127.0.0.3:443/webhooks/twitter"
    assert collisions["Cedar Relay and Fjord Signal"] == ["ep-03, ep-11", where, "3 May 2017", "62"]
    assert collisions["Lumen Desk and Kestrel Works"][-1] == "–"
    refusals = {name.split()[-1]: cells[-1] for name, cells in _rows(page, "table-refusals").items()}
    assert refusals == {"DELIVERED_AFTER_REVOCATION": "9", "SCOPE_NARROWED": "3"}


def test_the_cast_and_the_traffic_are_those_of_the_report() -> None:
    report = reenactment_report()
    shown = {cells[0] for cells in _rows(_page(report), "table-world").values()}
    assert shown == {f"{count:,}" for count in (*report["world"].values(), *report["traffic"].values())}


def test_it_tells_when_the_ledger_warned_when_it_happened_and_when_it_was_found() -> None:
    steps = [step.words for step in _part(_page(reenactment_report()), "first").all("li")]
    assert steps[0].startswith("3 May 2017, 10:00:00 UTC The ledger warns before anything goes wrong")
    assert "61 days 23 hours before anything went astray between these two" in steps[0]
    assert steps[1].startswith("4 July 2017, 09:12:44.120 UTC The first delivery reaches the wrong developer")
    assert steps[2].startswith("4 July 2017, 09:12:46.370 UTC The ledger can name it, 2.25 seconds later")
    assert len(steps) == 4


def test_a_warning_that_came_after_the_first_wrong_delivery_is_not_said_to_come_before_it() -> None:
    report = reenactment_report()
    del report["collisions"][0]
    report["collisions"][0]["before_first_misdelivery_days"] = 12.5
    page = _page(report)
    assert "The ledger warns before anything goes wrong" not in _part(page, "first").words
    assert _rows(page, "table-collisions")["Lumen Desk and Kestrel Works"][-1] == "12.5"


def test_the_run_through_the_gate_is_told_with_its_own_figures() -> None:
    report = reenactment_report()
    report["gate"] |= {"attempted": 9_871, "refused": 651, "settled": 9_220, "misdelivered": 0, "findings": 4}
    gate = _part(_page(report), "gate").words
    for words in (
        "attempts asked for 9,871",
        "refused beforehand 651",
        "recorded 9,220",
        "developer 0",
        "4 findings",
    ):
        assert words in gate


def test_what_had_to_follow_is_told_step_by_step_with_who_deleted_and_who_did_not() -> None:
    section = _part(_page(reenactment_report() | {"aftermath": aftermath_section()}), "aftermath")
    steps = [step.words for step in section.all("li")]
    assert steps[1].startswith("Everybody affected gets a notice 11 September 2018, 2 hours after")
    for words in ("frozen as one incident 23", "each once 50", "have to delete 3", "0 missing 37", "holds"):
        assert words in section.words
    drawn = section.words
    for words in ("Cedar Relay", "9, attested", "6, disputed", "5, escalated"):
        assert words in drawn


def test_an_export_that_does_not_hold_is_not_said_to() -> None:
    after = aftermath_section()
    after["export"]["check_exit_status"] = 1
    words = _part(_page(reenactment_report() | {"aftermath": after}), "aftermath").words
    assert "does not hold" in words


def test_it_says_how_to_check_the_ledger_and_how_to_make_the_same_again() -> None:
    report = reenactment_report()
    code = [element.text for element in _part(_page(report), "check").all("pre")]
    ledger = report["ledger"]
    again = "grantledger reenact --seed 7 --scale default --fault ip+path"
    assert code == [ledger["verify_command"], ledger["root"], ledger["checkpoint"], again]


def test_a_run_without_a_fault_says_that_nothing_happened_and_draws_no_flow() -> None:
    page = _page(calm_reenactment_report())
    assert page.all("h1")[0].words == "All 3,214 deliveries reached the developers that they were meant for"
    assert "There was nothing to see" in _part(page, "first").words
    assert "flows-wide-title" not in {element.attributes.get("id") for element in page.all()}
    assert "raised no alarms" in page.words


def test_of_many_flows_the_widest_are_drawn_and_the_rest_is_counted_and_in_the_table() -> None:
    report = reenactment_report()
    many = {f"dev-{index:02d}": 30 - index for index in range(LINKS_MAX + 5)}
    report["developers"] = [
        report["developers"][0] | {"meant_for": many, "received_wrongly": sum(many.values())}
    ]
    page = _page(report)
    drawn = [path for path in page.all("path") if path.attributes.get("class") == "ribbon"]
    assert len(drawn) == 2 * LINKS_MAX
    assert "The 5 smallest bands are left out of the drawing" in page.words
    assert all(f"{name} ({count})" in _part(page, "table-developers").words for name, count in many.items())


def test_what_a_chart_shows_is_also_said_in_its_description() -> None:
    page = _page(reenactment_report())
    assert "9 meant for Fjord Signal received by Cedar Relay" in _part(page, "flows-wide-text").words
    assert "May 2018: 261 deliveries, 6 wrong" in _part(page, "months-narrow-text").words
    assert (
        "wrong deliveries found: 0 of 23 (0%), alarms that were right: no alarm"
        in _part(page, "found-wide-text").words
    )
    assert (
        "Definitely exposed: 19 (1.7%); Possibly exposed: 14 (1.3%)" in _part(page, "exposed-wide-text").words
    )


def test_bars_have_lengths_in_proportion_to_their_numbers() -> None:
    drawing = next(
        image for image in _page(reenactment_report()).all("svg") if "receivers-wide" in str(image.attributes)
    )
    widths = [
        float(bar.attributes["width"]) for bar in drawing.all("rect") if bar.attributes["class"] == "wrong"
    ]
    assert [round(9 * width / widths[0], 1) for width in widths] == [9, 6, 5, 3]


def test_equal_reports_give_equal_pages() -> None:
    assert render_reenactment(reenactment_report()) == render_reenactment(reenactment_report())


def test_a_play_through_the_service_stands_beside_the_fault_with_its_own_figures() -> None:
    page = _page(reenactment_report() | {"service": service_section()})
    rows = _rows(page, "table-service")
    assert list(rows.values()) == [
        ["3,214", "23", "–"],
        ["3,214", "0", "12"],
        ["2,897", "0", "327"],
    ]
    assert "2,864 deliveries arrived 2,864" in _part(page, "service").words
    assert "grantledger verify --db reenactment-out/service.db" in _part(page, "service").words
    assert "#service" in {link.attributes.get("href") for link in page.all("a")}


def test_without_a_service_the_page_says_nothing_of_one() -> None:
    page = _page(reenactment_report())
    assert "service" not in {element.attributes.get("id") for element in page.all()}
    assert "#service" not in {link.attributes.get("href") for link in page.all("a")}
