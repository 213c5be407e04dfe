"""The risk tools in a real browser, with scripts and without: sets open, a matrix is ticked, either tool is chosen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.e2e.test_screens import SAFE, assigned, fits, has_no_fault
from tests.e2e.test_story import DESKTOP, Person, picture
from tests.serving import PASSWORD, Client, Served, served

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


@pytest.fixture
def desk(tmp_path: Path) -> Any:
    with served(tmp_path / "data") as running:
        yield running


def to_assess(desk: Served, name: str) -> tuple[Client, str]:
    officer = desk.client(name)
    case = assigned(desk.client("handler"), desk.client("sergeant"), officer)
    officer.move(case, "end_session", {"end_reason": "victim_asked"})
    officer.move(case, "contact_regained", SAFE)
    return officer, case


def open_questions(page: Page) -> Locator:
    return page.locator("#form-assess_risk fieldset.rvr-question:visible")


def answer_all(page: Page, wanted: tuple[str, ...]) -> None:
    """The first of these answers that each open question has."""
    for question in open_questions(page).all():
        labels = question.get_by_role("radio")
        names = [labels.nth(n).get_attribute("value") or "" for n in range(labels.count())]
        question.locator(f'input[type=radio][value="{next(one for one in wanted if one in names)}"]').check()


def test_sets_open_and_close_with_the_answer_above_them_and_their_answers_are_saved(
    browser: Browser, desk: Served
) -> None:
    officer, case = to_assess(desk, "officer")
    person = Person(browser, desk).sign_in("officer")
    page = person.page
    page.goto(f"{desk.url}/cases/{case}")
    assert open_questions(page).count() == 27
    expect(page.locator("#form-assess_risk")).to_contain_text("Chalkley 2015, 2017")
    answer_all(page, ("no",))
    left = page.locator("[data-progress]")
    expect(left).to_have_text("Questions without an answer: 0")
    person.group(r"^8\. ").get_by_role("radio", name="Yes").check()
    assert open_questions(page).count() == 38
    expect(left).to_have_text("Questions without an answer: 11")
    person.group(r"^8\.1\. ").get_by_role("radio", name="Yes").check()
    person.group("Risk level").get_by_role("radio", name="High").check()
    person.press("Save the assessment")
    expect(page.locator("main")).to_contain_text("Questions without an answer: 10.")
    assert open_questions(page).count() == 38, "what was open is open still"
    for number in range(1, 12):
        person.group(rf"^8\.{number}\. ").get_by_role("radio", name="No", exact=True).check()
    expect(page.get_by_role("table")).to_have_count(0)
    person.group(r"^3\. ").get_by_role("radio", name="Yes").check()
    page.get_by_role("checkbox", name="Being killed: The victim").check()
    page.get_by_role("checkbox", name="Further injury: Children").check()
    picture(page, "risk-desk-dash")
    has_no_fault(page, "dash")
    person.press("Save the assessment")
    expect(page.locator("main")).to_contain_text("Risk assessed")
    kept = officer.call("GET", f"cases/{case}").body["risk"]
    assert kept["answers"]["fears_what"] == ["injury.children", "killed.self"]
    assert (kept["score"], kept["subscores"]) == (2, {"stalking_set": 0})
    assert person.faults == []
    person.context.close()


def test_the_other_tool_is_chosen_on_a_phone_and_nothing_sticks_out(browser: Browser, desk: Served) -> None:
    officer, case = to_assess(desk, "officer2")
    person = Person(browser, desk, phone=True).sign_in("officer2")
    page = person.page
    page.goto(f"{desk.url}/cases/{case}")
    picture(page, "risk-phone-dash")
    fits(page, "dash", "phone")
    person.group("Risk tool").get_by_role("radio", name="DARA").check()
    expect(page.locator("#form-assess_risk")).to_contain_text("There are no official bands")
    answer_all(page, ("often", "no", "unknown"))
    person.group("Has the relationship ended").get_by_role("radio", name="Yes").check()
    answer_all(page, ("often", "yes", "unknown"))
    answer_all(page, ("often", "yes", "unknown"))
    page.get_by_role("textbox", name="What is the victim most afraid of").fill("Being found.")
    person.group("Risk level").get_by_role("radio", name="High").check()
    picture(page, "risk-phone-dara")
    fits(page, "dara", "phone")
    has_no_fault(page, "dara")
    person.press("Save the assessment")
    expect(page.locator("main")).to_contain_text("Risk assessed")
    kept = officer.call("GET", f"cases/{case}").body["risk"]
    assert (kept["tool"], kept["suggested"], kept["answers"]["worst_fear"]) == ("dara", "high", "Being found.")
    assert (kept["answers"]["after_separation"], kept["answers"]["children_hurt"]) == ("yes", "often")
    person.context.close()


def test_without_scripts_every_set_is_shown_with_its_condition_and_what_is_not_asked_is_left_out(
    browser: Browser, desk: Served
) -> None:
    officer, case = to_assess(desk, "officer")
    context = browser.new_context(viewport=DESKTOP, java_script_enabled=False)
    page = context.new_page()
    page.goto(desk.url)
    page.get_by_label("User name").fill("officer")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.goto(f"{desk.url}/cases/{case}")
    form = page.locator("#form-assess_risk")
    expect(form).to_contain_text("Only if question 8 is answered: Yes")
    expect(form).to_contain_text("Only if DARA is the risk tool above")
    picture(page, "risk-noscript")
    for box in form.locator('input[name^="risk_answers.dash."][value="no"]').all():
        box.check()
    form.get_by_role("group", name="Risk level").get_by_role("radio", name="Standard").check()
    form.get_by_role("button", name="Save the assessment").click()
    expect(page.locator("main")).to_contain_text("Risk assessed")
    kept = officer.call("GET", f"cases/{case}").body["risk"]
    assert len(kept["answers"]) == 27
    context.close()
