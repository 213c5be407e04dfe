"""A workflow as policy officers read it: the diagram, the versions in use, and the same for programs."""

from __future__ import annotations

import html
import re
import shutil
from pathlib import Path

import pytest

from rvr.core.workflow import Workflow
from rvr.web.diagram import draw
from rvr.web.workflow_views import workflow_json
from tests.builders import WORKFLOWS, crime_report, da_desk
from tests.serving import Served, served

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


def test_a_version_that_is_not_in_force_any_more_is_shown_as_it_was(tmp_path: Path) -> None:
    """The force asks another question on another day; the case that began before goes on by the old one."""
    folder = tmp_path / "workflows"
    shutil.copytree(WORKFLOWS, folder)
    data, told = tmp_path / "data", {"RVR_WORKFLOWS": str(folder)}
    with served(data, **told) as desk:
        desk.client("handler").open_case()
        old = desk.client("evaluator").call("GET", "workflows/da-desk").body["version"]
    states = folder / "da-desk" / "states.toml"
    text = states.read_text(encoding="utf-8")
    assert 'name = "Call taking"' in text
    states.write_text(text.replace('name = "Call taking"', 'name = "Called otherwise now"'), encoding="utf-8")
    with served(data, **told) as desk:
        client = desk.client("evaluator")
        new = client.call("GET", "workflows/da-desk").body["version"]
        assert new != old

        def page(query: str = "") -> str:
            return html.unescape(client.call("GET", f"/workflows/da-desk{query}").body.decode())

        assert "Called otherwise now" in page()
        assert "not in force" not in page()
        assert f'href="/workflows/da-desk?version={old}"' in page()
        was = page(f"?version={old}")
        assert "Called otherwise now" not in was
        assert "Call taking" in was
        assert "This version is not in force" in was
        assert "format=mermaid" not in was, "that gives what is in force"
        rows = {row[:12]: row for row in re.findall(r"<code>(.+?</tr>)", was, re.DOTALL)}
        assert '<td class="govuk-table__cell">1</td>' in rows[old[:12]], "the open case"
        assert '<td class="govuk-table__cell">0</td>' in rows[new[:12]]
        other = client.call("GET", "workflows/crime-report").body["version"]
        for nothing in (other, "nothing", ""):
            assert client.call("GET", f"/workflows/da-desk?version={nothing}").status == 404


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
