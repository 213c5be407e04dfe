"""What both screens say when the call does not get through well, and who has the seat when a page is open twice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.test_story import MEDIA, Person, picture
from tests.e2e.test_victim import Meeting, desk, meeting
from tests.serving import Served

__all__ = ["desk", "meeting"]  # fixtures

pytestmark = [pytest.mark.e2e, pytest.mark.alone, pytest.mark.timeout(180)]

SILENT = """() => {
  const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    const stream = await real(wanted);
    if (wanted.audio) {
      stream.getAudioTracks().forEach((track) => { track.stop(); stream.removeTrack(track); });
      const nothing = new AudioContext().createMediaStreamDestination();
      stream.addTrack(nothing.stream.getAudioTracks()[0]);
    }
    return stream;
  };
}"""
"""A microphone that brings nothing but zeros, as one does that a telephone call has taken."""


@pytest.fixture
def officer(browser: Browser, desk: Served, meeting: Meeting) -> Iterator[Person]:
    somebody = Person(browser, desk).sign_in("officer")
    somebody.page.goto(f"{desk.url}/cases/{meeting.case}")
    yield somebody
    somebody.context.close()


def both_there(meeting: Meeting, officer: Person) -> None:
    meeting.joins()
    officer.press("Join the call")
    meeting.until(lambda: meeting.seen()["state"] == "video", MEDIA)
    expect(meeting.page.locator("#state")).to_have_text("You are connected")


def line(page: Page) -> Any:
    return page.locator("#line, [data-part='line']")


def tells(meeting: Meeting, page: Page, seat: str, what: str, body: dict[str, str]) -> None:
    """What this page's own browser would tell the desk, with its cookies and its token."""
    token = page.evaluate("document.body.dataset.csrf") or page.evaluate(
        "fetch('/api/v1/join', {method: 'POST', headers: {'Content-Type': 'application/json'}, body: '{}'})"
        ".then((answer) => answer.json()).then((answer) => answer.csrf)"
    )
    sent = {"command_id": f"test-{what}-{'-'.join(body.values())}", **body}
    status = page.evaluate(
        "([url, csrf, body]) => fetch(url, {method: 'POST', body: JSON.stringify(body), headers: "
        "{'Content-Type': 'application/json', 'X-CSRF-Token': csrf}}).then((answer) => answer.status)",
        [f"/api/v1/media/{seat}/{what}", token, sent],
    )
    assert status == 204


def seat_of(page: Page) -> str:
    return str(
        page.evaluate(
            "fetch('/api/v1/join', {method: 'POST', headers: {'Content-Type': 'application/json'}, body: '{}'})"
            ".then((answer) => answer.json()).then((answer) => answer.seat)"
        )
    )


def test_each_step_is_told_on_the_other_screen_and_in_the_log(meeting: Meeting, officer: Person) -> None:
    both_there(meeting, officer)
    victim_seat = seat_of(meeting.page)
    for step, said in (
        ("video_240", "the picture is smaller"),
        ("stills", "a picture every two seconds"),
        ("audio", "sound only"),
    ):
        tells(meeting, meeting.page, victim_seat, "quality", {"after": step, "reason": "loss"})
        expect(line(officer.page)).to_contain_text(said)
    picture(officer.page, "weak-officer")
    own = officer.page.locator("#case-now").get_attribute("data-seat")
    tells(meeting, officer.page, str(own), "quality", {"after": "audio", "reason": "bandwidth"})
    expect(line(meeting.page)).to_have_text("The other picture pauses for now. The sound goes on.")
    picture(meeting.page, "weak-victim")
    events = meeting.officer.call("GET", f"cases/{meeting.case}/events").body["events"]
    steps = [one["fields"] for one in events if one["type"] == "QualityStepped"]
    assert [(one["side"], one["before"], one["after"], one["reason"]) for one in steps] == [
        ("victim", "video_480", "video_240", "loss"),
        ("victim", "video_240", "stills", "loss"),
        ("victim", "stills", "audio", "loss"),
        ("officer", "video_480", "audio", "bandwidth"),
    ]


def test_a_microphone_that_brings_nothing_is_told_on_both_screens_and_the_voice_moves_to_the_phone(
    meeting: Meeting, officer: Person
) -> None:
    meeting.page.evaluate(SILENT)
    both_there(meeting, officer)
    expect(line(officer.page)).to_contain_text("No sound comes from the victim's microphone.", timeout=15_000)
    expect(line(meeting.page)).to_contain_text("No sound comes from your microphone.")
    officer.press("Picture here, voice on the phone")
    expect(line(officer.page)).to_contain_text("the sound of this page is off, both ways")
    expect(line(meeting.page)).to_contain_text("The picture is here, the voice is on the phone. This page is silent.")
    picture(officer.page, "phone-officer")
    picture(meeting.page, "phone-victim")
    for page, remote in ((meeting.page, "#remote"), (officer.page, ".rvr-call__remote")):
        assert page.locator(remote).evaluate("(video) => video.muted")
    assert meeting.page.locator("#self").evaluate("(video) => video.srcObject.getAudioTracks()[0].enabled") is False
    officer.press("Talk in the call again")
    expect(line(meeting.page)).not_to_contain_text("on the phone")
    assert meeting.page.locator("#remote").evaluate("(video) => video.muted") is False
    assert (meeting.log("MicrophoneStopped"), meeting.log("VoiceMoved")) == (1, 2)


def test_after_a_quarter_of_a_minute_without_the_victim_the_officer_reads_whom_to_ring(
    meeting: Meeting, officer: Person
) -> None:
    both_there(meeting, officer)
    meeting.page.goto("about:blank")
    ring = officer.page.locator("[data-part='ring']")
    meeting.until(lambda: meeting.seen()["state"] == "interrupted", 10_000)
    expect(ring).to_be_hidden()
    expect(ring).to_contain_text("Ring the victim on +447700900123", timeout=25_000)
    picture(officer.page, "ring-officer")
    assert meeting.seen()["state"] == "interrupted", "the session goes on"
    meeting.open()
    meeting.victim.press("Join")
    meeting.until(lambda: meeting.seen()["state"] == "video", MEDIA)
    expect(ring).to_be_hidden()


def test_a_page_that_is_opened_twice_has_one_call_and_the_newer_keeps_it(meeting: Meeting, officer: Person) -> None:
    both_there(meeting, officer)
    second = meeting.victim.context.new_page()
    second.goto(f"{meeting.victim.desk.url}/j")
    second.get_by_role("button", name="Join", exact=True).click()
    expect(second.locator("#state")).to_have_text("You are connected", timeout=MEDIA)
    expect(meeting.page.locator("#note")).to_contain_text("open a second time", timeout=15_000)
    expect(meeting.page.locator("#state")).to_have_text("Not connected")
    assert meeting.page.locator("#self").evaluate("(video) => video.srcObject") is None, "the camera is released"
    picture(meeting.page, "twice-victim")
    joined = meeting.log("VictimConnected")
    second.wait_for_timeout(6_000)
    assert meeting.log("VictimConnected") == joined, "they do not throw each other out"
    meeting.page.goto("about:blank")
    second.wait_for_timeout(2_000)
    assert meeting.seen()["state"] == "video", "to close the older one ends nothing"
    expect(second.locator("#state")).to_have_text("You are connected")
    second.close()


def test_two_taps_at_once_are_one(meeting: Meeting) -> None:
    offers: list[str] = []
    meeting.page.on("request", lambda sent: offers.append(sent.url) if _is_offer(sent) else None)
    meeting.page.get_by_role("button", name="Join", exact=True).evaluate(
        "(button) => { button.click(); button.click(); }"
    )
    meeting.until(lambda: meeting.log("VictimConnected"), MEDIA)
    assert len(offers) == 1
    assert (meeting.log("LinkOpened"), meeting.log("LinkRefused")) == (1, 0)


def _is_offer(sent: Any) -> bool:
    return sent.method == "POST" and re.search(r"/media/[\w-]+$", sent.url) is not None
