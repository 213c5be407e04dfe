"""What each role's home shows: both queues, alarms, referrals, and whom the workflow lets accept."""

from __future__ import annotations

import html
import re
from typing import Any

from rvr.store.projections import case_row
from rvr.web import boards, views
from tests.builders import HANDLER, INSPECTOR, OFFICER, SERGEANT, a_case, da_desk
from tests.serving import Client, Served, ready_for_handover


def home(client: Client) -> str:
    answer = client.call("GET", "/")
    assert answer.status == 200
    return html.unescape(answer.body.decode())


def table(page: str, caption: str) -> list[str]:
    """References in the table with this caption."""
    found = re.search(rf"<caption[^>]*>{caption} .*?</table>", page, re.DOTALL)
    return re.findall(r'data-reference="([^"]+)"', found[0]) if found else []


def offered(desk: Served) -> str:
    handler = desk.client("handler")
    case = ready_for_handover(handler)
    assert handler.move(case, "offer_handover").status == 200
    return str(handler.call("GET", f"cases/{case}").body["reference"])


def test_sergeants_and_inspectors_see_both_queues_each_case_with_its_workflow(desk: Served) -> None:
    handover, report = offered(desk), desk.client("inspector").report().body
    for name in ("sergeant", "inspector"):
        page = home(desk.client(name))
        assert handover in table(page, "Handovers to accept")
        assert report["reference"] in table(page, "To triage and decide")
        assert "Domestic abuse crime reports" in page
        assert "/moves/accept_handover" in page
    assert {row["workflow"] for row in desk.client("sergeant").call("GET", "board").body["cases"]} == {
        "da-desk",
        "crime-report",
    }


def test_the_open_button_leads_to_each_workflow_that_the_person_may_open(desk: Served) -> None:
    for name, workflow in (("handler", "da-desk"), ("sergeant", "crime-report"), ("officer", "crime-report")):
        client = desk.client(name)
        assert re.findall(r"/cases/new\?workflow=([\w-]+)", home(client)) == [workflow]
        assert f'name="workflow" value="{workflow}"' in client.call("GET", "/cases/new").body.decode()
    assert desk.client("sergeant").call("GET", "/cases/new?workflow=nothing").status == 404


def test_an_alarm_for_the_inspector_marks_the_row_on_the_inspectors_board_alone(desk: Served) -> None:
    handler = desk.client("handler")
    case = handler.open_case().body
    sent = {"response_grade": "priority", "deployment_reason": "prefers_in_person"}
    assert handler.move(case["id"], "request_deployment", sent).status == 200
    assert desk.client("resourcing").move(case["id"], "record_no_reply").status == 200
    row = re.compile(rf'data-reference="{case["reference"]}".*?</tr>', re.DOTALL)
    marked = {
        name: "nobody answered the door" in row.findall(home(desk.client(name)))[0]
        for name in ("inspector", "sergeant")
    }
    assert marked == {"inspector": True, "sergeant": False}


def test_an_advocates_home_lists_the_own_organisations_referrals_by_reference(desk: Served) -> None:
    sergeant, advocate = desk.client("sergeant"), desk.client("advocate")
    mine, others = (sergeant.report(victim_name="Nora Name").body for _ in range(2))
    for case, partner in ((mine, "bswa"), (others, "victim_support")):
        form = {"partner": partner, "referral_basis": "consent", "note": "Soon."}
        assert sergeant.move(case["id"], "make_referral", form).status == 200
    page = home(advocate)
    assert mine["reference"] in page
    assert others["reference"] not in page
    assert "Nora" not in page
    assert advocate.call("GET", f"cases/{mine['id']}").body["referrals"][0]["note"] == "Soon."
    assert advocate.call("GET", f"cases/{others['id']}").status == 404
    assert advocate.call("GET", f"cases/{mine['id']}/events").status == 403


def test_a_specialist_opens_any_case_in_outline_and_may_send_help(desk: Served) -> None:
    case = desk.client("handler").open_case().body
    specialist = desk.client("specialist")
    assert case["reference"] in home(specialist)
    page = specialist.call("GET", f"/cases/{case['id']}").body.decode()
    assert "Testa" not in page
    assert specialist.move(case["id"], "dispatch_emergency").body["emergency"] is True
    assert specialist.move(case["id"], "void", {"void_reason": "test"}).status == 403


def test_whoever_the_workflow_names_may_accept_on_the_board() -> None:
    row = case_row(a_case("handover").case, 1)
    here = {who.id for who in (SERGEANT, INSPECTOR, OFFICER, HANDLER) if boards._accept(row, da_desk(), who)}
    assert here == {SERGEANT.id, INSPECTOR.id}
    assert boards._accept(row, da_desk("kent-like"), OFFICER) == "accept_handover"


def test_a_row_leads_to_the_case_only_for_whoever_reads_more_than_its_outline() -> None:
    row = case_row(a_case("accepted").case, 1)
    may: dict[str, Any] = {who.id: views.may_read(row, who) for who in (SERGEANT, OFFICER, HANDLER)}
    assert may == {SERGEANT.id: True, OFFICER.id: False, HANDLER.id: True}


def test_a_board_in_another_order_is_the_same_board(desk: Served) -> None:
    sergeant = desk.client("sergeant")
    references = [desk.client("handler").open_case(lpa=lpa).body["reference"] for lpa in ("walsall", "coventry")]
    pages = {order: home_in(sergeant, order) for order in boards.ORDERS}
    in_order = {
        order: [one for one in re.findall(r'data-reference="([^"]+)"', page) if one in references]
        for order, page in pages.items()
    }
    assert in_order["oldest"] == references
    assert in_order["area"] == references[::-1]
    assert 'data-live="board/area"' in pages["area"]
    assert 'data-live="board"' in home_in(sergeant, "nonsense")


def home_in(client: Client, order: str) -> str:
    return html.unescape(client.call("GET", f"/?order={order}").body.decode())


def test_the_sheet_for_the_next_shift_names_every_open_case_and_no_victim(desk: Served) -> None:
    sergeant = desk.client("sergeant")
    case = desk.client("handler").open_case(victim_name="Nora Name").body
    sheet = html.unescape(sergeant.call("GET", "/shift").body.decode())
    every = {row["reference"] for row in sergeant.call("GET", "board").body["cases"]}
    assert case["reference"] in every
    assert set(re.findall(r'data-reference="([^"]+)"', sheet)) == every
    assert "Ask the safety questions, record consent" in sheet
    assert "Nora" not in sheet
    assert desk.client("officer").call("GET", "/shift").status == 403


def test_what_waits_is_told_beside_other_pages_and_to_the_leads_alone(desk: Served) -> None:
    case = ready_for_handover(desk.client("handler"))
    for name, has_place in (("sergeant", True), ("officer", False)):
        page = desk.client(name).call("GET", f"/cases/{case}").body.decode()
        assert ('id="waiting"' in page) is has_place
