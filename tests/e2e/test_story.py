"""The main job, end to end, in real browsers: a call becomes a case, is handed over, seen on video, assessed, decided
and counted. Each person works in a browser context of their own, by the labels on the screen.
"""

from __future__ import annotations

import csv
import io
import os
import re
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, FloatRect, Locator, Page, expect

from tests import janus
from tests.serving import PASSWORD, Client, Served, free_port, served

pytestmark = [pytest.mark.e2e, pytest.mark.alone, pytest.mark.timeout(300)]

PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 900}
SIZES = {"desk": (DESKTOP, 1200), "phone": (PHONE, 1500)}
"""Name -> window, and how much of a long page a picture shows."""

SCREENS = os.environ.get("RVR_SCREENS", "")
"""A folder: every step then leaves its pictures there, one of each size."""

MEDIA = 20_000
"""Milliseconds that a picture may take on a busy machine with two browsers and a transcoding relay."""


def picture(page: Page, name: str, *, whole: bool = True) -> None:
    """As a page stands; `whole`: with what is below the window."""
    if not SCREENS:
        return
    Path(SCREENS).mkdir(parents=True, exist_ok=True)
    before, place = page.viewport_size, page.evaluate("scrollY")
    for size, (window, tallest) in SIZES.items():
        page.set_viewport_size(window)
        if whole:
            page.evaluate("scrollTo(0, 0)")  # what sticks to the top is at the top
        height = min(page.evaluate("document.documentElement.scrollHeight"), tallest)
        cut: FloatRect = {"x": 0, "y": 0, "width": window["width"], "height": max(height, window["height"])}
        path = f"{SCREENS}/{name}-{size}.png"
        page.screenshot(path=path, full_page=whole, clip=cut if whole else None)
    assert before
    page.set_viewport_size(before)
    page.evaluate("(place) => scrollTo(0, place)", place)


class Person:
    """Somebody at a screen."""

    def __init__(self, browser: Browser, desk: Served, *, phone: bool = False) -> None:
        self.context: BrowserContext = browser.new_context(
            viewport=PHONE if phone else DESKTOP, permissions=["camera", "microphone"], locale="en-GB"
        )
        self.desk = desk
        self.context.set_default_timeout(8_000)
        self.page: Page = self.context.new_page()
        self.faults: list[str] = []
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", lambda said: self.faults.append(said.text) if "Content Security" in said.text else None)

    def sign_in(self, username: str) -> Person:
        self.page.goto(self.desk.url)
        self.page.get_by_label("User name").fill(username)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Sign in").click()
        expect(self.page.get_by_role("button", name="Sign out")).to_be_visible()
        return self

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).first.click()

    def group(self, legend: str) -> Locator:
        return self.page.get_by_role("group", name=re.compile(legend))


def until(what: Callable[[], Any], within_s: float = 20) -> Any:
    """Waits for something to be true, and gives it."""
    deadline = time.monotonic() + within_s
    while not (found := what()):
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.05)
    return found


ON_JANUS = pytest.param("janus", marks=pytest.mark.skipif(bool(janus.missing()), reason=janus.missing()))


@pytest.mark.parametrize("engine", ["sqlite", "postgres", ON_JANUS])
def test_a_domestic_abuse_call_goes_through_the_whole_desk(
    browser: Browser, tmp_path: Path, engine: str, request: pytest.FixtureRequest
) -> None:
    data, port = tmp_path / "data", free_port()
    where: dict[str, str] = {}
    if engine == "postgres":
        where = {"RVR_DATABASE": request.getfixturevalue("server").database()}
    if engine == "janus":
        listed = request.getfixturevalue("janus_server").list_in(tmp_path / "janus.toml")
        where = {"RVR_MEDIA_ENGINE": "janus", "RVR_JANUS_FILE": str(listed)}
    with served(data, port, **where) as desk:
        handler = Person(browser, desk).sign_in("handler")
        sergeants = [Person(browser, desk).sign_in(name) for name in ("sergeant", "sergeant2")]
        officer = Person(browser, desk).sign_in("officer")
        reference = take_the_call(handler)
        sergeant = two_sergeants_accept_at_once(handler, sergeants, reference)
        assign(sergeant, officer, reference)
        victim = meet_on_video(browser, desk, officer, reference)
        she_closes_her_tab_and_comes_back(victim, officer)
        assess_and_submit(officer)
        expect(victim.page.locator("#ended")).to_be_visible()
        picture(victim.page, "victim-4-ended")
        allocate(sergeant, reference)
        watch = desk.client("sergeant")
        case = sergeant.page.url.rpartition("/")[2].partition("#")[0]
        events = watch.call("GET", f"cases/{case}/events").body["events"]
        the_log_reads_as_it_happened(events)
        package = download(Person(browser, desk).sign_in("evaluator"))
        the_figures_follow_from_the_events(package, events)
        state_before = watch.call("GET", f"cases/{case}").body
        people = [handler, *sergeants, officer, victim]
    with served(data, port, **where) as desk:
        watch.url = desk.url
        everything_is_as_it_was(sergeant, watch, case, state_before)
        assert [person.faults for person in people] == [[]] * len(people)


# --- 1. The call -------------------------------------------------------------------------------------------------


def take_the_call(handler: Person) -> str:
    page = handler.page
    page.get_by_role("button", name="Open a case").click()
    page.get_by_role("radio", name="999", exact=True).check()
    handler.press("Open the case and ask the safety questions")
    expect(page.get_by_role("alert").first).to_contain_text("There is a problem")
    expect(page.get_by_text("Fill in: Victim's name").first).to_be_visible()
    picture(page, "handler-1-faults")
    page.get_by_label("Incident number").fill("WM-2026-112233")
    page.get_by_label("Victim's name").fill("Testa Victim")
    page.get_by_label("Safe number").fill("07700 900123")
    handler.group("Is it safe to send a text").get_by_role("radio", name="Yes").check()
    page.get_by_label("Distress word").fill("umbrella")
    page.get_by_label("Where the victim is now").fill("1 Example Street, Birmingham B1 1AA")
    page.get_by_label("Local Policing Area").select_option(label="Birmingham")
    page.get_by_text("More about the people").click()
    page.get_by_label("Suspect's name").fill("Testo Suspect")
    picture(page, "handler-2-opening")
    handler.press("Open the case and ask the safety questions")
    page.wait_for_url(re.compile(r"/cases/[0-9a-f-]{36}"))
    reference = re.search(r"[A-Z0-9]{3}-[A-Z0-9]{3}", page.title())[0]  # type: ignore[index]

    danger = handler.group("Has the suspect left")
    danger.get_by_role("radio", name="No", exact=True).check()
    verdict = page.locator("#verdict")
    expect(verdict).to_contain_text("The suspect is, or may be, with the victim")
    expect(verdict).to_contain_text("emergency response now")
    picture(page, "handler-3-danger")
    for question in page.locator("fieldset.rvr-question").all():
        question.get_by_role("radio", name="Yes").check()
    expect(verdict).to_contain_text("video can be offered")
    handler.group("The victim's answer").get_by_role("radio", name="Agrees", exact=True).check()
    handler.press("Record the answer")
    page.locator("#form-offer_handover").get_by_label("Note").fill(
        "Calm, speaks quietly. The suspect left an hour ago."
    )
    picture(page, "handler-4-offer")
    handler.press("Offer the handover")
    return reference


# --- 2. The sergeants --------------------------------------------------------------------------------------------


def two_sergeants_accept_at_once(handler: Person, sergeants: list[Person], reference: str) -> Person:
    """The row is there within a second and without a reload; of two who press at once one wins."""
    for sergeant in sergeants:
        row = sergeant.page.get_by_role("row", name=re.compile(reference))
        expect(row).to_be_visible(timeout=1_000)
        expect(row.locator("rvr-timer").first).to_be_visible()
        expect(row).not_to_contain_text("Testa")
    picture(sergeants[0].page, "sergeant-1-board")
    left = countdown(sergeants[0].page)
    until(lambda: countdown(sergeants[0].page) != left, within_s=5)
    presses = [s.page.get_by_role("button", name=f"Accept {reference}") for s in sergeants]
    # At the same instant by the clock, so that neither board has heard of the other's press.
    instant = time.time() * 1000 + 500
    for button in presses:
        button.evaluate("(it, instant) => { setTimeout(() => it.click(), instant - Date.now()); }", instant)
    for sergeant in sergeants:
        sergeant.page.wait_for_url(re.compile("/cases/"))
    told = [s.page.get_by_text(re.compile("was quicker|has moved on")).count() > 0 for s in sergeants]
    assert sorted(told) == [False, True]
    winner, loser = sergeants[told.index(False)], sergeants[told.index(True)]
    name = winner.page.locator(".rvr-header__who").inner_text().partition("\n")[0].split("  ")[0]
    expect(loser.page.locator("main")).to_contain_text(name.split(" ")[0])
    picture(loser.page, "sergeant-2-too-late")
    expect(handler.page.locator("#accepted-now")).to_contain_text(f"Accepted by {name.split(' ')[0]}", timeout=2_000)
    expect(handler.page).to_have_title(re.compile("^Accepted by the desk – "))
    picture(handler.page, "handler-5-accepted")
    return winner


def countdown(page: Page) -> str:
    return str(page.locator("rvr-timer").first.evaluate("(it) => it.shadowRoot.textContent"))


def assign(sergeant: Person, officer: Person, reference: str) -> None:
    sergeant.page.get_by_role("combobox", name="Officer").select_option(label="Olu Officer (Free, stalking)")
    picture(sergeant.page, "sergeant-3-assign")
    sergeant.press("Assign an officer")
    row = officer.page.get_by_role("row", name=re.compile(reference))
    expect(row).to_contain_text("Olu Officer", timeout=2_000)
    picture(officer.page, "officer-1-home")
    row.get_by_role("link", name=re.compile(reference)).first.click()
    expect(officer.page.get_by_role("heading", level=1)).to_contain_text(reference)


# --- 3. Video ----------------------------------------------------------------------------------------------------


def meet_on_video(browser: Browser, desk: Served, officer: Person, reference: str) -> Person:
    picture(officer.page, "officer-2-accepted")
    officer.press("Send the link")
    expect(officer.page.get_by_role("button", name="Join the call")).to_be_visible()
    victim = Person(browser, desk, phone=True)
    victim.page.goto(f"{desk.url}/demo/outbox")
    picture(victim.page, "outbox")
    with victim.context.expect_page() as opened:
        victim.page.locator('a[href*="/j#"]').first.click()
    victim.page = opened.value
    victim.page.on("pageerror", lambda error: victim.faults.append(str(error)))
    expect(victim.page).to_have_title("Join")
    picture(victim.page, "victim-1-welcome")
    victim.press("Join")
    expect(victim.page.locator("#self")).to_be_visible(timeout=MEDIA)
    assert "#" not in victim.page.url
    assert until(lambda: frames(victim.page, "#self")) > 0
    expect(officer.page.locator("main")).to_contain_text(re.compile("Waiting|Victim connected"), timeout=MEDIA)
    picture(victim.page, "victim-2-waiting")
    picture(officer.page, "officer-3-waiting")
    officer.press("Join the call")
    both_see_and_hear(officer.page, ".rvr-call__remote", victim.page, "#remote")
    expect(officer.page.locator("main")).to_contain_text("On video")
    picture(officer.page, "officer-4-video")
    officer.page.evaluate("scrollTo(0, 0)")
    picture(officer.page, "call", whole=False)
    picture(victim.page, "victim-3-video")
    return victim


def frames(page: Page, video: str) -> int:
    return int(page.locator(video).evaluate("(it) => it.getVideoPlaybackQuality().totalVideoFrames"))


LEVEL = """async (it) => {
  const stream = it.srcObject;
  if (!stream || !stream.getAudioTracks().length) return 0;
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  context.createMediaStreamSource(stream).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  let loudest = 0;
  for (let i = 0; i < 60; i++) {
    await new Promise((done) => setTimeout(done, 50));
    analyser.getFloatTimeDomainData(samples);
    loudest = Math.max(loudest, ...samples.map(Math.abs));
  }
  await context.close();
  return loudest;
}"""
"""The loudest sample within three seconds: Chromium's made-up microphone beeps once a second."""


def both_see_and_hear(*pages_and_videos: Any) -> None:
    sides = list(zip(pages_and_videos[::2], pages_and_videos[1::2], strict=True))
    for page, video in sides:
        until(lambda page=page, video=video: page.locator(video).evaluate("(it) => it.videoWidth") > 0)
        first = frames(page, video)
        until(lambda page=page, video=video, first=first: frames(page, video) >= first + 10)
    for page, video in sides:
        assert page.locator(video).evaluate(LEVEL) > 0.01


# --- 4. The line breaks ------------------------------------------------------------------------------------------


def she_closes_her_tab_and_comes_back(victim: Person, officer: Person) -> None:
    victim.page.close(run_before_unload=True)
    expect(officer.page.locator("main")).to_contain_text("Interrupted", timeout=5_000)
    picture(officer.page, "officer-5-interrupted")
    victim.page = victim.context.new_page()
    victim.page.goto(f"{victim.desk.url}/j")
    victim.press("Join")
    both_see_and_hear(officer.page, ".rvr-call__remote", victim.page, "#remote")
    expect(officer.page.locator("main")).to_contain_text("On video")


# --- 5. Risk, safeguarding, decision -----------------------------------------------------------------------------


def assess_and_submit(officer: Person) -> None:
    page = officer.page
    seen = frames(page, ".rvr-call__remote")
    officer.group("Is the victim alone").get_by_role("radio", name="Yes").check()
    officer.group("Was the place verified").get_by_role("radio", name="Yes").check()
    officer.press("Confirm safety")
    expect(page.locator("main")).to_contain_text("Safety confirmed")
    questions = page.locator("#form-assess_risk fieldset.rvr-question:visible")
    assert questions.count() == 27
    for number, question in enumerate(questions.all()):
        question.get_by_role("radio", name="Yes" if number in (1, 5, 12) else "No", exact=True).check()
    officer.group("Risk level").get_by_role("radio", name="Standard").check()
    officer.press("Save the assessment")
    expect(page.locator("main")).to_contain_text("Say why you grade lower")
    picture(page, "officer-6-refused")
    assert questions.nth(1).get_by_role("radio", name="Yes").is_checked(), "what was typed is still there"
    officer.group("Risk level").get_by_role("radio", name="Medium").check()
    officer.press("Save the assessment")
    expect(page.locator("main")).to_contain_text("Risk assessed")
    page.locator("#form-plan_safeguarding").get_by_label("Action", exact=True).select_option("safety_plan")
    page.locator("#form-plan_safeguarding").get_by_label("Who does it").fill("Olu Officer")
    page.locator("#form-plan_safeguarding").get_by_label("Due").fill("2030-01-01T12:00")
    officer.press("Plan this action")
    expect(page.locator("main")).to_contain_text("Safeguarding action planned")
    assert frames(page, ".rvr-call__remote") > seen, "the call went on beside the forms"
    picture(page, "officer-7-assessed")
    officer.group("Reason").last.get_by_role("radio", name="Completed").check()
    officer.press("End the session")
    expect(page.get_by_role("button", name="Submit for review")).to_be_visible()
    picture(page, "officer-8-assessment")
    officer.press("Submit for review")
    expect(page.locator("main")).to_contain_text("Review")


def allocate(sergeant: Person, reference: str) -> None:
    page = sergeant.page
    page.goto(sergeant.desk.url)
    page.get_by_role("row", name=re.compile(reference)).get_by_role("link", name=re.compile(reference)).first.click()
    expect(page.locator("main")).to_contain_text("Standard and medium risk is investigated by the victim's Local")
    picture(page, "sergeant-4-review")
    page.get_by_text("File", exact=True).first.click()
    expect(page.locator("#do-file")).to_contain_text("Consider first whether the case can be built")
    sergeant.press("Allocate for investigation")
    expect(page.locator("main")).to_contain_text("Allocated")
    expect(page.locator("main")).to_contain_text("Birmingham Local Policing Area")
    picture(page, "sergeant-5-allocated")


# --- 6. The log and the figures ----------------------------------------------------------------------------------

IN_ORDER = (
    "CaseOpened",
    "CriterionAnswered",
    "EligibilityDecided",
    "ConsentGiven",
    "CapacityNoted",
    "HandoverOffered",
    "HandoverAccepted",
    "OfficerAssigned",
    "SessionPrepared",
    "LinkSent",
    "LinkOpened",
    "VictimConnected",
    "OfficerConnected",
    "TwoWayVideoStarted",
    "OfficerContactStarted",
    "MediaLost",
    "MediaResumed",
    "SafetyConfirmed",
    "RiskAssessed",
    "SafeguardingPlanned",
    "SessionEnded",
    "SubmittedForReview",
    "OfficerReleased",
    "CaseAllocated",
)


def the_log_reads_as_it_happened(events: list[dict[str, Any]]) -> None:
    types = [event["type"] for event in events]
    place = -1
    for wanted in IN_ORDER:
        place = types.index(wanted, place + 1)
    assert [event["version"] for event in events] == list(range(1, len(events) + 1))
    by_type = {event["type"]: event for event in events}
    assert by_type["TwoWayVideoStarted"]["by_role"] == "media", "the server recorded it, not a click"
    assert types.count("TwoWayVideoStarted") == types.count("OfficerContactStarted") == 1


def download(evaluator: Person) -> dict[str, str]:
    with evaluator.page.expect_download() as waiting:
        evaluator.press("Download the data package")
    picture(evaluator.page, "evaluator")
    path = waiting.value.path()
    with zipfile.ZipFile(path) as package:
        return {name: package.read(name).decode() for name in package.namelist()}


def rows(package: dict[str, str], name: str) -> list[dict[str, str]]:
    (path,) = [path for path in package if path.endswith(name)]
    return list(csv.DictReader(io.StringIO(package[path])))


def the_figures_follow_from_the_events(package: dict[str, str], events: list[dict[str, Any]]) -> None:
    for name in ("cases.csv", "events.csv", "clocks.csv", "codebook.csv", "datapackage.json"):
        assert any(path.endswith(name) for path in package), name
    (case,) = rows(package, "cases.csv")
    log = {row["type"]: row["at"] for row in reversed(rows(package, "events.csv"))}
    assert len(rows(package, "events.csv")) == len(events)
    assert case["two_way_video_at"] == log["TwoWayVideoStarted"]
    assert case["final_state"] == "allocated"
    assert case["interruptions"] == "1"
    (transfer,) = [row for row in rows(package, "clocks.csv") if row["clock"] == "transfer"]
    assert transfer["stopped_at"] == log["OfficerContactStarted"]
    assert transfer["verdict"] == "met"
    everything = "".join(package.values())
    for secret in ("Testa", "Testo", "900123", "Example Street", "umbrella", "speaks quietly"):
        assert secret not in everything, secret


# --- 7. Stopped and started --------------------------------------------------------------------------------------


def everything_is_as_it_was(sergeant: Person, watch: Client, case: str, before: dict[str, Any]) -> None:
    after = watch.call("GET", f"cases/{case}").body
    moving = ("clocks", "now")
    assert {k: v for k, v in after.items() if k not in moving} == {k: v for k, v in before.items() if k not in moving}
    sergeant.page.reload()
    expect(sergeant.page.locator("main")).to_contain_text("Birmingham Local Policing Area")
