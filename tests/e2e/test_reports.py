"""The desk's second job on its screens: a report that turns out to be the third, a referral, a filing at high risk."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.test_screens import assigned
from tests.e2e.test_story import Person, picture
from tests.serving import REPORT, Client, Served, served

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

PLAN = {"action_kind": "safety_plan", "action_owner": "Olu Officer"}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder: Path = tmp_path_factory.mktemp("reports")
    with served(folder / "data") as running:
        yield running


def the_same_people(sergeant: Client, case: str) -> None:
    """Confirms everybody who was found in earlier cases."""
    while found := sergeant.call("GET", f"cases/{case}").body["candidates"]:
        answer = sergeant.move(case, "match_person", {"candidate": found[0]["candidate"]})
        assert answer.status == 200, answer.body


def opened(page: Page, title: str) -> None:
    """Opens a part of the page that is closed."""
    part = page.locator("details", has=page.locator("> summary", has_text=re.compile(f"^\\s*{title}\\s*$"))).last
    if part.get_attribute("open") is None:
        part.locator("> summary").click()


def test_the_third_report_of_a_pair_goes_to_specialists_and_ends_with_outcome_16_and_its_record(
    browser: Browser, desk: Served
) -> None:
    watch = desk.client("sergeant")
    for _ in range(2):
        the_same_people(watch, watch.report().body["id"])
    sergeant = Person(browser, desk).sign_in("sergeant")
    case = report(sergeant)
    same_people(sergeant)
    decide(sergeant)
    investigate(Person(browser, desk).sign_in("investigator"), case)
    kept = watch.call("GET", f"cases/{case}").body
    assert (kept["outcome_code"], kept["team"]) == ("16", "specialist")
    assert kept["suspects"][0]["status"] == "outstanding"
    assert kept["investigation"]["outcomes"][0]["rationale"].startswith("Said to the officer")
    assert {one["rule"] for one in kept["escalations"]} == {"third_occasion", "potential_escalation"}
    assert sergeant.faults == []


def report(sergeant: Person) -> str:
    page = sergeant.page
    page.get_by_role("button", name="New: Domestic abuse crime reports").click()
    sergeant.press("Open the report")
    expect(page.get_by_role("alert").first).to_contain_text("Fill in: Crime reference")
    page.get_by_label("Where the report came from").select_option("response_officer")
    page.get_by_label("Crime reference").fill("20CO/77/26")
    page.get_by_label("Offence").select_option("assault")
    page.get_by_label("Local Policing Area").select_option("birmingham")
    sergeant.group("Risk as it was graded").get_by_role("radio", name="Medium").check()
    page.get_by_label("Victim's name").fill("REPORTED, Rita")
    page.get_by_label("Victim's date of birth").fill(REPORT["victim_dob"])
    page.get_by_text("More about the people").click()
    page.get_by_label("Suspect's name").fill("Rod Reported")
    page.get_by_label("Suspect's date of birth").fill(REPORT["suspect_dob"])
    picture(page, "report-1-opening")
    sergeant.press("Open the report")
    page.wait_for_url(re.compile(r"/cases/[0-9a-f-]{36}"))
    return str(page.url.rpartition("/")[2])


def same_people(sergeant: Person) -> None:
    """Two likely matches, by reference and date and never by name; each is one press."""
    page, found = sergeant.page, sergeant.page.locator("#settle")
    expect(found).to_contain_text("Very likely the victim of an earlier case")
    expect(found).to_contain_text("same name and date of birth")
    expect(found).not_to_contain_text("Rita")
    picture(page, "report-2-people")
    for left in (1, 0):
        found.get_by_role("button", name="Same person").first.click()
        expect(found.get_by_role("button", name="Same person")).to_have_count(left)
    expect(page.locator("#earlier")).to_contain_text("The same victim and the same suspect")
    expect(page.locator("#step-decision")).to_contain_text("for the third time within twelve months (3 cases)")
    expect(page.locator("#step-decision")).to_contain_text("Specialist investigators")


def decide(sergeant: Person) -> None:
    page = sergeant.page
    plan = page.locator("#form-plan_safeguarding")
    plan.get_by_label("Action", exact=True).select_option("safety_plan")
    plan.get_by_label("Who does it").fill("Olu Officer")
    sergeant.press("Plan this action")
    expect(page.locator("main")).to_contain_text("Safeguarding action planned")
    suspects = page.locator("#suspects")
    suspects.get_by_text("Change", exact=True).click()
    suspects.get_by_role("radio", name="Outstanding: to be arrested").check()
    suspects.get_by_role("button").last.click()
    expect(suspects.locator(".govuk-tag").first).to_have_text("Outstanding: to be arrested")
    picture(page, "report-3-decision")
    sergeant.press("Allocate for investigation")
    expect(page.locator("#decision")).to_contain_text("Specialist investigators")


def investigate(investigator: Person, case: str) -> None:
    page = investigator.page
    expect(page.locator("main")).to_contain_text("For your team to accept")
    page.goto(f"{investigator.desk.url}/cases/{case}")
    picture(page, "report-4-allocated")
    investigator.press("Accept the case")
    expect(page.locator("#decision")).to_contain_text("Ivan Investigator")
    opened(page, "Record the outcome")
    form = page.locator("#form-record_outcome")
    form.get_by_label("Home Office outcome").select_option("16")
    investigator.press("Record the outcome")
    expect(form).to_contain_text("Outcome 16 requires: Does the victim support further action?")
    expect(form.locator(".govuk-error-message")).to_have_count(3)
    picture(page, "report-5-outcome")
    investigator.group("Does the victim support further action").get_by_role("radio", name="No", exact=True).check()
    investigator.group("Was a case without").get_by_role("radio", name="Yes").check()
    form.get_by_label("The record that this outcome requires").fill("Said to the officer at the door: no more courts.")
    investigator.press("Record the outcome")
    expect(page.locator("#decision")).to_contain_text("16 Suspect identified, victim does not support")
    picture(page, "report-6-recorded")
    assert investigator.faults == []


def test_an_advocate_sees_a_referral_as_it_is_made_and_of_the_case_only_how_to_make_contact(
    browser: Browser, desk: Served
) -> None:
    handler, olu = desk.client("handler"), desk.client("officer")
    case = assigned(handler, desk.client("sergeant"), olu)
    other = handler.open_case().body["id"]
    advocate = Person(browser, desk, phone=True).sign_in("advocate")
    expect(advocate.page.locator("main")).to_contain_text("No referral has been made to your organisation")
    officer = Person(browser, desk).sign_in("officer")
    page = officer.page
    page.goto(f"{desk.url}/cases/{case}")
    opened(page, "Safeguarding and partners")
    opened(page, "Refer to a partner")
    picture(page, "referral-1-officer")
    form = page.locator("#form-make_referral")
    form.get_by_label("Partner").select_option("bswa")
    officer.group("On what ground").get_by_role("radio", name="The victim agrees").check()
    form.get_by_label("Note").fill("Wants to speak about a refuge.")
    officer.press("Refer to a partner")
    expect(page.locator("#referrals")).to_contain_text("Birmingham and Solihull Women's Aid")

    row = advocate.page.locator("#live li")
    expect(row).to_contain_text("Sent", timeout=2_000)
    picture(advocate.page, "referral-2-advocate-home")
    row.get_by_role("link").click()
    shown = advocate.page.locator("main")
    expect(shown).to_contain_text("Wants to speak about a refuge.")
    expect(shown).to_contain_text("+447700900123")
    for hidden in ("Testo", "Example Street", "umbrella", "WM-2026", "Waiting room", "Hana"):
        expect(shown).not_to_contain_text(hidden)
    advocate.press("The referral is received")
    expect(shown).to_contain_text("Received")
    expect(page.locator("#referrals")).to_contain_text("Received", timeout=2_000)
    picture(advocate.page, "referral-3-advocate-case")
    advocate.group("Result").get_by_role("radio", name="The victim was reached").check()
    advocate.press("The referral is answered")
    expect(shown).to_contain_text("The victim was reached")
    assert advocate.page.goto(f"{desk.url}/cases/{other}").status == 404  # type: ignore[union-attr]
    assert [advocate.faults, officer.faults] == [[], []]
    olu.move(case, "lose_contact", {"lost_reason": "no_answer"})
    olu.move(case, "request_deployment", {"response_grade": "priority", "deployment_reason": "lost_contact"})


def test_a_case_of_high_risk_is_filed_by_two_people_and_only_when_every_point_is_met(
    browser: Browser, desk: Served
) -> None:
    watch = desk.client("sergeant")
    case = watch.report(reported_risk_level="high", victim_name="Fay File", suspect_name="Fred File").body["id"]
    assert watch.move(case, "plan_safeguarding", PLAN).status == 200
    sergeant, inspector = Person(browser, desk).sign_in("sergeant"), Person(browser, desk).sign_in("inspector")
    for person in (sergeant, inspector):
        person.page.goto(f"{desk.url}/cases/{case}")
    page = sergeant.page
    opened(page, "File")
    expect(page.locator("#do-file")).to_contain_text("only when a second person has agreed")
    opened(page, "Consider a case without the victim's account")
    sergeant.group("Can the case be built").get_by_role("radio", name="No", exact=True).check()
    page.get_by_label("What was looked at").fill("No witness, no recording.")
    sergeant.press("Consider a case without the victim's account")
    expect(page.locator("main")).to_contain_text("Case without the victim's account considered")

    opened(inspector.page, "File")
    opened(inspector.page, "Agree to the filing at high risk")
    inspector.page.get_by_label("Why filing is right at this risk").fill("Every line was followed.")
    inspector.press("Agree to the filing at high risk")
    expect(page.locator("#step-decision")).to_contain_text("Isla Inspector agreed to a filing", timeout=2_000)
    form = page.locator("#form-file")
    expect(form).to_be_visible()
    form.get_by_role("radio", name="No reasonable line of enquiry is left").check()
    points = form.locator("fieldset.rvr-question")
    assert points.count() == 6
    for point in points.all():
        point.get_by_role("radio", name="Yes").check()
    points.first.get_by_role("radio", name="No", exact=True).check()
    form.get_by_label("Why, in your words").fill("Nothing else could prove it.")
    sergeant.press("File")
    expect(form).to_contain_text("Not filed while this is open: It is recorded who the suspect is")
    picture(page, "filing-refused")
    points.first.get_by_role("radio", name="Not applicable").check()
    sergeant.press("File")
    expect(page.locator("#decision")).to_contain_text("Filed")
    assert [sergeant.faults, inspector.faults] == [[], []]
