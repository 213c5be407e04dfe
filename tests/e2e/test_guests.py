"""A third person in the call, in real browsers: asked in by a link, let in by the victim alone, held by one press, and
listed by role on every page all the time. And a waiting room from which nobody is lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.test_screens import assigned, has_no_fault
from tests.e2e.test_story import DESKTOP, MEDIA, Person, frames, picture, until
from tests.e2e.test_victim import AWAY, Meeting
from tests.serving import Served, served

pytestmark = [pytest.mark.e2e, pytest.mark.alone, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("guests") / "data") as running:
        yield running


@pytest.fixture
def meeting(browser: Browser, desk: Served) -> Iterator[Meeting]:
    handler, sergeant, officer = (desk.client(name) for name in ("handler", "sergeant", "officer"))
    victim = Person(browser, desk, phone=True)
    victim.context.route(AWAY, lambda route: route.fulfill(body="The weather"))
    meeting = Meeting(assigned(handler, sergeant, officer), officer, victim)
    meeting.open()
    yield meeting
    victim.context.close()
    officer.move(meeting.case, "lose_contact", {"lost_reason": "no_answer"})
    grade = {"response_grade": "priority", "deployment_reason": "lost_contact"}
    assert officer.move(meeting.case, "request_deployment", grade).status == 200, "the officer is free for the next"
    assert victim.faults == []


def somebody(browser: Browser, desk: Served) -> Person:
    """At a screen whose pictures are all decoded on the test's own machine: what is pressed may take a while."""
    person = Person(browser, desk)
    person.context.set_default_timeout(MEDIA)
    return person


def the_officer(browser: Browser, meeting: Meeting) -> Person:
    officer = somebody(browser, meeting.victim.desk).sign_in("officer")
    officer.page.goto(f"{officer.desk.url}/cases/{meeting.case}")
    officer.press("Join the call")
    meeting.until(lambda: meeting.seen()["state"] == "video", MEDIA)
    return officer


def invited(browser: Browser, officer: Person, whom: str) -> Person:
    """Somebody who was asked in by the officer, and has opened the link."""
    page = officer.page
    page.get_by_text("Invite somebody into the call").first.click()
    page.get_by_label("Whom to ask").select_option(label=whom)
    picture(page, "guest-1-invite")
    page.locator("#form-invite_guest").get_by_role("button", name="Invite somebody into the call").click()
    expect(page.locator("#company")).to_contain_text("Asked, not there yet")
    guest = somebody(browser, officer.desk)
    newest = officer.desk.client("officer").call("GET", "demo/outbox").body["messages"][0]
    assert not any(word in newest["body"] for word in ("Testa", "Testo", "police", "abuse"))
    guest.page.goto(officer.desk.url + re.search(r"/g#[\w-]+", newest["body"])[0])  # type: ignore[index]
    return guest


def comes_in(guest: Person, name: str = "Ina Example, Example Interpreting") -> None:
    guest.page.get_by_label("Your name and organisation").fill(name)
    guest.press("Join")
    expect(guest.page.get_by_role("alert")).to_contain_text("Only somebody who knows nobody")
    guest.page.get_by_label("I know nobody in this call privately").check()
    guest.press("Join")
    expect(guest.page.locator("#state")).to_have_text("Please wait", timeout=MEDIA)


def plays(page: Page, video: str) -> bool:
    first = frames(page, video)
    page.wait_for_timeout(700)
    return frames(page, video) > first


def stands_still(page: Page, video: str) -> bool:
    return not page.locator(video).evaluate("(it) => it.srcObject") or not plays(page, video)


def lines(page: Page) -> list[str]:
    """The list of everybody in the call, without the buttons."""
    told = page.locator("#people li").evaluate_all("(all) => all.map((one) => one.firstChild.textContent)")
    return [str(line) for line in told]


def test_an_interpreter_is_let_in_held_and_comes_back_and_is_listed_all_the_time(
    browser: Browser, meeting: Meeting
) -> None:
    meeting.joins()
    officer = the_officer(browser, meeting)
    victim, tile = meeting.page, ".rvr-tile video"
    guest = invited(browser, officer, "Interpreter service, round the clock")
    picture(guest.page, "guest-2-welcome")
    comes_in(guest)
    assert "#" not in guest.page.url
    expect(victim.locator("#ask")).to_contain_text("An interpreter would like to join this call")
    expect(officer.page.locator("#company")).to_contain_text("Waits for the victim's answer")
    expect(officer.page.locator("#company")).to_contain_text("Ina Example")
    assert lines(victim) == ["You", "Officer", "Interpreter, waits to be let in"]
    assert lines(guest.page) == ["Caller", "Officer", "You"]
    picture(victim, "guest-3-asked")
    picture(guest.page, "guest-4-waits")
    picture(officer.page, "guest-5-officer-asked")
    meeting.until(lambda: meeting.log("GuestConnected"), MEDIA)
    assert stands_still(guest.page, "#remote"), "nothing passes before the victim has agreed"
    assert not victim.locator(tile).evaluate("(it) => it.srcObject && it.videoWidth"), "nor to the victim"

    victim.get_by_role("button", name="Yes, let them in").click()
    expect(guest.page.locator("#state")).to_have_text("You are in the call", timeout=MEDIA)
    expect(victim.locator("#ask")).to_be_hidden()
    for page, video in ((guest.page, "#remote"), (guest.page, tile), (victim, tile), (officer.page, tile)):
        until(lambda page=page, video=video: plays(page, video))
    assert lines(victim) == ["You", "Officer", "Interpreter"]
    expect(officer.page.locator(".rvr-tile figcaption")).to_have_text("Interpreter")
    picture(victim, "guest-6-three-victim")
    picture(guest.page, "guest-7-three-guest")
    officer.page.evaluate("scrollTo(0, 0)")
    picture(officer.page, "guest-8-three-officer", whole=False)

    officer.page.locator("#company").get_by_role("button", name="Put on hold").click()
    expect(guest.page.locator("#state")).to_have_text("You are on hold")
    expect(victim.locator("#people")).to_contain_text("Interpreter, on hold")
    until(lambda: stands_still(victim, tile))
    assert stands_still(guest.page, "#remote")
    until(lambda: plays(victim, "#remote"))  # the call itself goes on
    picture(victim, "guest-9-held-victim")
    picture(officer.page, "guest-10-held-officer")
    officer.page.locator("#company").get_by_role("button", name="Let back").click()
    until(lambda: plays(victim, tile))
    victim.get_by_role("button", name="Put on hold").click()
    expect(guest.page.locator("#state")).to_have_text("You are on hold")
    expect(officer.page.locator("#company")).to_contain_text("by the victim")
    victim.get_by_role("button", name="Let back").click()
    until(lambda: plays(guest.page, "#remote"))

    guest.page.reload()
    expect(officer.page.locator("#company")).to_contain_text("Not there")
    guest.press("Join again")
    until(lambda: plays(guest.page, "#remote"))
    assert (meeting.log("GuestArrived"), meeting.log("GuestAdmitted")) == (1, 1), "the same seat, no second consent"

    officer.page.locator("#company").get_by_role("button", name="Remove").click()
    expect(guest.page.locator("#ended")).to_contain_text("You are not needed in this call any more")
    expect(victim.locator(".rvr-tile")).to_have_count(0)
    assert lines(victim) == ["You", "Officer"]
    assert guest.faults == officer.faults == []
    for person in (guest, officer):
        person.context.close()


def test_a_victim_who_says_no_is_not_asked_why_and_the_guest_sees_nobody(browser: Browser, meeting: Meeting) -> None:
    meeting.joins()
    officer = the_officer(browser, meeting)
    guest = invited(browser, officer, "Birmingham and Solihull Women's Aid, on call")
    comes_in(guest, "Ada Example")
    expect(meeting.page.locator("#ask")).to_contain_text("An independent advocate")
    meeting.page.get_by_role("button", name="No", exact=True).click()
    expect(guest.page.locator("#ended")).to_contain_text("You are not needed")
    expect(officer.page.locator(".rvr-company__list")).not_to_contain_text("advocate")
    assert (meeting.log("GuestRefused"), meeting.log("GuestAdmitted")) == (1, 0)
    for person in (guest, officer):
        person.context.close()


def test_a_supervisor_takes_a_seat_from_the_case_and_four_are_in_the_call(browser: Browser, meeting: Meeting) -> None:
    meeting.joins()
    officer = the_officer(browser, meeting)
    sergeant = somebody(browser, officer.desk).sign_in("sergeant")
    sergeant.page.goto(f"{sergeant.desk.url}/cases/{meeting.case}")
    sergeant.press("Join the call as supervisor")
    expect(meeting.page.locator("#ask")).to_contain_text("A supervising officer")
    sergeant.press("Join the call")
    expect(sergeant.page.locator("rvr-call")).to_contain_text("The victim is asked whether you may join")
    meeting.page.get_by_role("button", name="Yes, let them in").click()
    until(lambda: plays(sergeant.page, ".rvr-call__remote"))
    guest = invited(browser, officer, "Sign language interpreters")
    comes_in(guest)
    meeting.page.get_by_role("button", name="Yes, let them in").click()
    until(lambda: plays(guest.page, "#remote"))
    until(lambda: lines(meeting.page) == ["You", "Officer", "Supervising officer", "Interpreter"])
    expect(meeting.page.locator(".rvr-tile")).to_have_count(2)
    for page in (meeting.page, officer.page, sergeant.page, guest.page):
        until(lambda page=page: all(plays(page, f".rvr-tile:nth-child({n}) video") for n in (1, 2)))
    picture(meeting.page, "guest-11-four-victim")
    for person in (meeting.victim, officer, guest):
        has_no_fault(person.page, "four in the call")
    meeting.page.get_by_role("button", name="Larger: Interpreter").click()
    expect(meeting.page.locator("#shown")).to_have_text("Interpreter")
    expect(meeting.page.locator(".rvr-tile figcaption")).to_have_text(["Supervising officer", "Officer"])
    until(lambda: plays(meeting.page, "#remote"))
    meeting.page.get_by_role("button", name="Larger: Officer").click()
    expect(meeting.page.locator("#shown")).to_have_text("Officer")
    meeting.page.set_viewport_size(DESKTOP)
    picture(meeting.page, "guest-12-four-victim-desktop")
    officer.page.evaluate("scrollTo(0, 0)")
    picture(officer.page, "guest-13-four-officer", whole=False)
    guest.page.set_viewport_size({"width": 390, "height": 844})
    picture(guest.page, "guest-14-four-guest-phone")
    for person in (guest, sergeant, officer):
        assert person.faults == []
        person.context.close()


def test_whoever_leaves_the_page_is_away_at_once_and_back_in_the_same_seat(browser: Browser, meeting: Meeting) -> None:
    meeting.joins()
    sergeant = somebody(browser, meeting.victim.desk).sign_in("sergeant")
    sergeant.page.goto(f"{sergeant.desk.url}/cases/{meeting.case}")
    expect(sergeant.page.locator("#case-now")).to_have_attribute("data-presence", "waiting")
    assert meeting.seen()["session"]["network"] == "" or meeting.seen()["session"]["camera"] is True
    meeting.until(lambda: meeting.seen()["session"]["network"] == "good")
    page = meeting.page
    page.evaluate(
        "() => { Object.defineProperty(document, 'hidden', { value: true, configurable: true });"
        " document.dispatchEvent(new Event('visibilitychange')); }"
    )
    expect(sergeant.page.locator("main")).to_contain_text("Away from the page", timeout=10_000)
    picture(sergeant.page, "guest-15-away")
    page.evaluate("() => { delete document.hidden; document.dispatchEvent(new Event('visibilitychange')); }")
    expect(sergeant.page.locator("#case-now")).to_have_attribute("data-presence", "waiting")
    assert (meeting.log("VictimAway"), meeting.log("VictimReturned")) == (1, 1)
    page.close(run_before_unload=True)
    meeting.victim.page = meeting.victim.context.new_page()
    meeting.victim.page.goto(f"{meeting.victim.desk.url}/j")
    meeting.joins()
    assert meeting.log("LinkOpened") == 1, "the same browser, the same seat"
    assert meeting.log("LinkDelivered") == 1
    sergeant.context.close()
