"""The page of questions afterwards, behind the link of a text message: in two languages, narrow, and left without a
trace.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Route, expect

from tests.e2e.test_screens import has_no_fault
from tests.e2e.test_story import Person, picture, until
from tests.e2e.test_victim import AWAY
from tests.serving import ROOT, Client, Served, served

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

WITHOUT_A_LINE = "Dim cysylltiad. Rhowch gynnig arall arni ymhen ychydig; mae eich atebion yma o hyd."
NARROW = {"width": 320, "height": 640}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A desk that asks a second after the victim has agreed, and not ten days; at night, too."""
    folder: Path = tmp_path_factory.mktemp("feedback")
    shutil.copytree(ROOT / "workflows", folder / "workflows")
    clocks = folder / "workflows" / "da-desk" / "clocks.toml"
    text = clocks.read_text(encoding="utf-8")
    then = "after_s = 864000, daytime = true"
    assert text.count(then) == 1
    clocks.write_text(text.replace(then, "after_s = 1"), encoding="utf-8")
    with served(folder / "data", RVR_WORKFLOWS=str(folder / "workflows")) as running:
        yield running


def link(desk: Served) -> str:
    """What was sent to a victim whom officers have seen."""
    handler, resourcing = desk.client("handler"), desk.client("resourcing")
    case = handler.open_case().body["id"]
    grade = {"response_grade": "priority", "deployment_reason": "prefers_in_person"}
    assert handler.move(case, "request_deployment", grade).status == 200
    assert resourcing.move(case, "record_attendance").status == 200
    assessed(desk.client("sergeant"), desk.client("officer"), case)
    agreed = {"consent_kind": "feedback", "consent_answer": "given"}
    assert desk.client("officer").move(case, "record_consent", agreed).status == 200

    def sent() -> list[str]:
        bodies = [one["body"] for one in handler.call("GET", "demo/outbox").body["messages"]]
        return re.findall(r"/f#[\w-]+", " ".join(bodies))

    return str(until(sent)[0])


def assessed(sergeant: Client, officer: Client, case: str) -> None:
    assert sergeant.move(case, "assign_officer", {"officer": officer.me["id"]}).status == 200


def test_a_few_questions_are_answered_in_welsh_on_the_narrowest_screen_and_the_link_is_dead(
    browser: Browser, desk: Served
) -> None:
    victim, address = Person(browser, desk, phone=True), desk.url + link(desk)
    page = victim.page
    page.goto(address)
    expect(page.get_by_role("heading", level=1)).to_have_text("How was it?")
    assert "#" not in page.url
    seen = page.locator("body").inner_text()
    assert not re.search("police|abuse|RVR|West Midlands|victim|suspect|officer", seen, re.IGNORECASE), seen
    picture(page, "feedback-1")
    has_no_fault(page, "questions")
    page.set_viewport_size(NARROW)
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    victim.press("Send")
    expect(page.get_by_role("alert")).to_have_text("Answer at least one question, or close this page.")
    has_no_fault(page, "nothing answered")
    victim.group("Were you listened to").get_by_role("radio", name="Partly").check()
    page.get_by_role("button", name="Cymraeg").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sut oedd pethau?")
    expect(page.get_by_role("radio", name="Yn rhannol").nth(1)).to_be_checked()
    has_no_fault(page, "questions in Welsh")
    page.get_by_role("button", name="Clirio fy atebion").click()
    expect(page.locator("input:checked")).to_have_count(0)
    page.get_by_role("group", name=re.compile("wrandawyd")).get_by_role("radio", name="Yn rhannol").check()
    page.route("**/api/v1/feedback", disk_full)
    victim.press("Anfon")
    expect(page.get_by_role("alert")).to_have_text(WITHOUT_A_LINE)
    page.unroute("**/api/v1/feedback")
    victim.context.set_offline(True)
    victim.press("Anfon")
    expect(page.get_by_role("alert")).to_contain_text("Dim cysylltiad")
    victim.context.set_offline(False)
    victim.press("Anfon")
    expect(page.get_by_role("heading", level=1)).to_have_text("Diolch. Gallwch gau'r dudalen hon.")
    expect(page.locator("input:checked")).to_have_count(0)
    assert page.evaluate("localStorage.length + sessionStorage.length") == 0
    assert victim.context.cookies() == []
    again = victim.context.new_page()
    again.goto(address)
    again.get_by_role("group", name=re.compile("quickly")).get_by_role("radio", name="Yes").check()
    again.get_by_role("button", name="Send").click()
    expect(again.get_by_role("alert")).to_have_text("These questions are closed. Thank you.")
    assert victim.faults == []
    victim.context.close()


def disk_full(route: Route) -> None:
    """What a desk answers whose disk takes nothing, with two reasons for whoever runs it."""
    reasons = [{"code": code, "text": "The disk of the log is full"} for code in ("disk-full", "not-written")]
    route.fulfill(status=503, content_type="application/problem+json", body=json.dumps({"reasons": reasons}))


def test_back_after_the_exit_shows_no_questions(browser: Browser, desk: Served) -> None:
    victim = Person(browser, desk, phone=True)
    victim.context.route(AWAY, lambda route: route.fulfill(body="The weather"))
    page = victim.page
    page.goto(f"{desk.url}/f#{'x' * 43}")
    page.get_by_role("link", name="Leave this page").click()
    page.wait_for_url(AWAY)
    page.go_back()
    assert page.url == "about:blank"
    victim.context.close()
