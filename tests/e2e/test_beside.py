"""Beside the picture, or without one: a microphone that a telephone call has, what is written, somebody who comes in,
another language, a camera that comes later; and a risk form that is saved while it is filled in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.test_networks import officer
from tests.e2e.test_screens import fits, has_no_fault
from tests.e2e.test_story import DESKTOP, MEDIA, PHONE, Person, picture, until
from tests.e2e.test_victim import Meeting, desk, meeting
from tests.serving import Served

__all__ = ["desk", "meeting", "officer"]  # fixtures

pytestmark = [pytest.mark.e2e, pytest.mark.alone, pytest.mark.timeout(180)]

ON_THE_PHONE = """() => {
  const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  window.onThePhone = true;
  navigator.mediaDevices.getUserMedia = (wanted) =>
    wanted.audio && window.onThePhone
      ? Promise.reject(new DOMException("in use", "NotReadableError"))
      : real(wanted);
}"""
"""A microphone that a telephone call has, as Android's browsers tell it."""

NARROW = {"width": 320, "height": 640}


@pytest.fixture
def narrow(browser: Browser, desk: Served) -> Iterator[Person]:
    somebody = Person(browser, desk, phone=True)
    somebody.page.set_viewport_size(NARROW)
    yield somebody
    assert somebody.faults == []
    somebody.context.close()


def in_reach(page: Page, name: str) -> bool:
    """Whether it can be pressed without scrolling, and lies over no picture."""
    box = page.locator(f"#{name}").bounding_box()
    assert box is not None
    inside = box["y"] >= 0 and box["y"] + box["height"] <= NARROW["height"] and box["width"] >= 24 <= box["height"]
    at = [box["x"] + box["width"] / 2, box["y"] + box["height"] / 2]
    on_top = page.evaluate("([x, y]) => document.elementFromPoint(x, y)?.id", at) == name
    return inside and on_top


def test_who_is_on_the_telephone_is_seen_and_writes_and_a_bystander_reads_nothing(
    meeting: Meeting, officer: Person
) -> None:
    victim, page = meeting.page, officer.page
    victim.evaluate(ON_THE_PHONE)
    meeting.joins()
    expect(victim.locator("#line")).to_contain_text("This page has no microphone")
    officer.press("Join the call")
    meeting.until(lambda: meeting.seen()["state"] == "video", MEDIA)
    expect(page.locator("[data-part='line']")).to_contain_text("The victim's page has no microphone")
    session = meeting.seen()["session"]
    assert (session["camera"], session["microphone"], session["fault"]) == (True, False, "busy")
    expect(victim.locator("#line")).to_contain_text("This page has no microphone")

    victim.locator("#write summary").click()
    victim.get_by_label("Write to the officer").fill("I cannot speak")
    victim.get_by_role("button", name="Send").click()
    expect(page.locator("#written")).to_contain_text("I cannot speak")
    page.get_by_text("Write to the victim").first.click()
    page.get_by_role("textbox", name="Message").fill("Then write here.")
    page.get_by_role("button", name="Send to the victim's screen").click()
    expect(victim.locator("#write li")).to_have_text(["You I cannot speak", "Officer Then write here."])
    picture(victim, "beside-1-victim")
    picture(page, "beside-2-officer")
    has_no_fault(victim, "victim writes")

    victim.get_by_role("button", name="Bad connection").click()
    expect(victim.locator("#note")).to_have_text("Thank you. It is being looked at.")
    expect(victim.get_by_text("I cannot speak")).to_have_count(0)
    expect(page.locator("#not-alone")).to_contain_text("somebody is there")
    expect(page.locator("[data-part='line']")).to_contain_text("somebody is there")
    expect(page.get_by_role("button", name="Send to the victim's screen")).to_have_count(0)
    picture(victim, "beside-3-victim-not-alone")
    page.evaluate("scrollTo(0, 0)")
    picture(page, "beside-4-officer-not-alone", whole=False)
    has_no_fault(page, "officer, not alone")
    officer.press("I know that somebody is there")
    expect(victim.locator("#line")).to_contain_text("The connection is being looked after.")
    officer.press("Are you alone?")
    expect(victim.locator("#consent")).to_contain_text("Is everything on this page clear?")
    picture(victim, "beside-3-victim-asked-covertly")
    read = victim.locator("main").inner_text()
    assert not re.search("alone|police|somebody|safe", read, re.IGNORECASE), read
    victim.get_by_role("button", name="No", exact=True).click()
    expect(page.locator("#signals")).to_contain_text("The page answered: somebody is there.")
    picture(page, "beside-4-officer-signals")
    page.set_viewport_size(PHONE)
    fits(page, "officer in a call", "phone")
    picture(page, "beside-4-officer-phone", whole=False)
    page.set_viewport_size(DESKTOP)
    officer.group("Is the victim alone").get_by_role("radio", name="Yes", exact=True).check()
    officer.group("Was the place verified").get_by_role("radio", name="Yes").check()
    officer.press("Confirm safety")
    expect(page.locator("#not-alone")).to_have_count(0)
    expect(victim.locator("#write li")).to_have_count(2)

    victim.evaluate("() => { document.dispatchEvent(new Event('visibilitychange')); }")
    victim.evaluate("() => { window.onThePhone = false; document.dispatchEvent(new Event('visibilitychange')); }")
    meeting.until(lambda: meeting.seen()["session"]["microphone"], MEDIA)
    expect(victim.locator("#note")).to_have_text("Thank you. It is being looked at.")
    expect(page.locator("[data-part='line']")).not_to_contain_text("no microphone", timeout=MEDIA)
    assert victim.locator("#self").evaluate("(it) => it.srcObject.getTracks().length") == 2


def test_the_risk_form_stands_as_it_was_left_when_the_browser_is_opened_again(
    meeting: Meeting, officer: Person
) -> None:
    meeting.joins()
    page = officer.page
    officer.press("Join the call")
    meeting.until(lambda: meeting.seen()["state"] == "video", MEDIA)
    for question, answer in (("1", "Yes"), ("2", "No"), ("8", "Yes")):
        officer.group(rf"^{question}\. ").get_by_role("radio", name=answer, exact=True).check()
    meeting.until(lambda: meeting.log("RiskNoted"))
    officer.group(r"^2\. ").get_by_role("radio", name="Yes", exact=True).check()
    meeting.until(lambda: meeting.log("RiskNoted") == 2)
    page.on("dialog", lambda asked: asked.accept())
    page.reload()
    for question in ("1", "2", "8"):
        expect(officer.group(rf"^{question}\. ").get_by_role("radio", name="Yes", exact=True)).to_be_checked()
    expect(officer.group(r"^8\.1\. ")).to_be_visible()
    assert meeting.log("RiskNoted") == 2, "to show what was saved saves nothing"
    picture(page, "beside-5-risk-again")


def test_help_and_the_exit_are_in_reach_on_the_narrowest_screen_and_the_camera_comes_later(
    meeting: Meeting,
) -> None:
    page = meeting.page
    page.set_viewport_size(NARROW)
    has_no_fault(page, "welcome")
    picture(page, "beside-6-welcome-narrow")
    page.get_by_role("button", name="Join without the camera").click()
    expect(page.locator("#state")).to_have_text("Please wait", timeout=MEDIA)
    meeting.until(lambda: meeting.log("VictimConnected"), MEDIA)
    kinds = "(it) => it.srcObject.getTracks().map(({ kind }) => kind).sort().join()"
    assert page.locator("#self").evaluate(kinds) == "audio"
    until(lambda: page.locator("#level").evaluate("(it) => it.value") > 0)
    for top in (0, 10_000):
        page.evaluate("(top) => scrollTo(0, top)", top)
        assert in_reach(page, "help")
        assert in_reach(page, "exit")
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    picture(page, "beside-7-waiting-narrow")
    has_no_fault(page, "waiting")
    page.locator("#write summary").click()
    page.get_by_label("Write to the officer").focus()
    for _ in range(3):
        page.keyboard.press("Shift")
    expect(page.locator("#state")).to_have_text("Please wait")
    page.get_by_role("button", name="Camera on").click()
    until(lambda: page.locator("#self").evaluate(kinds) == "audio,video")
    meeting.until(lambda: meeting.seen()["session"]["camera"], MEDIA)
    meeting.until(lambda: meeting.seen()["session"]["victim"] == "connected", MEDIA)
    meeting.leaves()
    page.go_back()
    assert page.url == "about:blank", "nothing of ours stands behind Back"


def test_the_welcome_speaks_welsh_at_a_press_and_tells_the_way_out_of_another_app(
    browser: Browser, desk: Served, narrow: Person
) -> None:
    page = narrow.page
    page.goto(f"{desk.url}/j#{'x' * 43}")
    expect(page.locator("#elsewhere")).to_be_hidden()
    page.get_by_role("button", name="Cymraeg").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Eich galwad fideo")
    expect(page.get_by_role("link", name="Gadael y dudalen hon")).to_be_visible()
    assert page.evaluate("document.documentElement.lang") == "cy"
    picture(page, "beside-8-welsh")
    has_no_fault(page, "welsh")
    page.get_by_role("button", name="Ymuno", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("Nid yw'r ddolen hon yn gweithio")
    context = browser.new_context(user_agent="Mozilla/5.0 (Linux; Android 14; wv) Chrome/131.0 Mobile Safari/537.36")
    inside = context.new_page()
    inside.goto(f"{desk.url}/j")
    expect(inside.locator("#elsewhere")).to_contain_text("inside another app")
    inside.get_by_role("button", name="Copy the link").click()
    expect(inside.locator("#copied")).to_contain_text("Open the link in your message")
    context.close()


def test_who_only_writes_is_asked_for_no_device_and_is_there_for_the_officer(meeting: Meeting, officer: Person) -> None:
    page = meeting.page
    page.evaluate("() => { navigator.mediaDevices.getUserMedia = () => { window.asked = true; }; }")
    page.get_by_role("button", name="Only write").click()
    expect(page.get_by_label("Write to the officer")).to_be_visible()
    page.get_by_label("Write to the officer").fill("Somebody sleeps next door")
    page.get_by_role("button", name="Send").click()
    expect(officer.page.locator("#written")).to_contain_text("Somebody sleeps next door")
    officer.page.get_by_text("Continue without a picture").first.click()
    officer.group("How you go on").get_by_role("radio", name="By writing alone").check()
    officer.group("Why without a picture").get_by_role("radio", name="To be seen or heard is not safe").check()
    officer.page.locator("#form-continue_without_picture").get_by_role("button").click()
    expect(page.locator("#state")).to_have_text("You are connected")
    expect(page.locator("#people li")).to_have_text(["You", "Officer"])
    expect(officer.page.locator("#form-assess_risk")).to_be_visible()
    assert page.evaluate("window.asked") is None
    expect(page.locator("#screen")).to_be_hidden()
    expect(page.locator("#mute")).to_be_hidden()
    picture(page, "beside-9-writes")
    picture(officer.page, "beside-10-officer-writes")
    until(lambda: meeting.seen()["session"]["presence"] == "in_contact")
