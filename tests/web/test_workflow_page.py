"""A workflow as policy officers read it: the diagram, the versions in use, and the same for programs."""

from __future__ import annotations

import html

import pytest

from rvr.core.workflow import Workflow
from rvr.web.diagram import draw
from rvr.web.workflow_views import workflow_json
from tests.builders import crime_report, da_desk
from tests.serving import Served

FLOWS = [da_desk(), crime_report(), da_desk("kent-like")]


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: f"{flow.id} {flow.force.id}")
def test_every_state_is_drawn_once_no_two_overlap_and_all_lie_inside(flow: Workflow) -> None:
    diagram = draw(flow, {"review": 3})
    assert sorted(box.state for box in diagram.boxes) == sorted(flow.states)
    places = [(box.x, box.y) for box in diagram.boxes]
    assert len(set(places)) == len(places)
    assert all(0 <= x <= diagram.width - diagram.box_width and 0 <= y < diagram.height for x, y in places)
    assert {box.state: box.count for box in diagram.boxes}["review"] == 3


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: f"{flow.id} {flow.force.id}")
def test_every_move_that_leads_somewhere_is_a_line_or_is_told_at_the_state_that_it_leads_to(flow: Workflow) -> None:
    diagram = draw(flow, {})
    drawn = {(move.name, line.target) for line in diagram.lines for move in line.moves}
    told = {(name, box.state) for box in diagram.boxes for name in box.anywhere}
    wanted = {
        (move.name, branch.state)
        for move in flow.moves.values()
        for branch in move.to
        if branch.state and set(move.sources) - {branch.state}
    }
    assert drawn | told == wanted
    assert [line.number for line in diagram.lines] == list(range(1, len(diagram.lines) + 1))


def test_programs_are_told_the_whole_definition() -> None:
    told = workflow_json(da_desk())
    assert told["clocks"]["review"]["counts"] == "desk_hours"
    assert told["clocks"]["review"]["paused_in"] == ("assessment",)
    assert told["moves"]["request_deployment"]["checks"]["breach_is_urgent"].startswith("A breach of a live order")
    assert told["rules"]["third_occasion"]["since"] == "2023-09-01"
    assert told["routing"][0]["team"] == "specialist"
    assert told["suspects"]["outstanding"]["outstanding"] is True
    assert told["outcomes"]["16"]["needs"] == ("victim_supports", "evidence_led_done", "outcome_rationale")


def test_the_page_tells_the_open_cases_of_each_state_and_under_which_version_they_run(desk: Served) -> None:
    desk.client("sergeant").report()
    client = desk.client("evaluator")
    version = client.call("GET", "workflows/crime-report").body["version"]
    page = html.unescape(client.call("GET", "/workflows/crime-report").body.decode())
    assert version[:12] in page
    assert "In force now" in page
    for told in (
        "DA Desk Sergeant · ",
        "The same suspect against the same victim for the third time",
        "WMP report to the SPCB",
        "Birmingham and Solihull Women's Aid",
        "Suspect identified, victim does not support",
        "This workflow asks none.",
    ):
        assert told in page, told
    assert "style=" not in page.replace("font-style=", "")
    listed = client.call("GET", "/workflows").body.decode()
    assert "/workflows/da-desk" in listed
    assert client.call("GET", "/workflows/nothing").status == 404
    assert client.call("GET", "workflows/da-desk?format=mermaid").body.startswith(b"stateDiagram-v2")
