"""A call that is recorded, with a still, in real browsers: asked, agreed, shown, stopped, played, given away."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256
from pathlib import Path

import av
import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.test_screens import assigned, has_no_fault
from tests.e2e.test_story import MEDIA, Person, picture
from tests.e2e.test_victim import QUIET_MS, Meeting
from tests.serving import Client, Served, served

pytestmark = [pytest.mark.e2e, pytest.mark.alone, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recorded") / "data"


@pytest.fixture(scope="module")
def desk(data: Path) -> Iterator[Served]:
    with served(data) as running:
        yield running


def on_video(browser: Browser, desk: Served) -> tuple[Meeting, Person]:
    """A victim and an officer who see each other."""
    client: Client = desk.client("officer")
    case = assigned(desk.client("handler"), desk.client("sergeant"), client)
    meeting = Meeting(case, client, Person(browser, desk, phone=True))
    meeting.open()
    meeting.joins()
    officer = Person(browser, desk).sign_in("officer")
    officer.page.goto(f"{desk.url}/cases/{case}")
    officer.press("Join the call")
    expect(meeting.page.locator("#state")).to_have_text("You are connected", timeout=MEDIA)
    expect(officer.page.locator("main")).to_contain_text("On video", timeout=MEDIA)
    return meeting, officer


def asks(officer: Person, what: str) -> None:
    """The officer's question goes to the victim's screen."""
    page, form = officer.page, officer.page.locator("#form-ask_consent")
    if not form.is_visible():
        page.locator("#recording summary", has_text="Ask the victim on the screen").click()
    form.get_by_role("radio", name=what).check()
    form.get_by_role("button", name="Ask the victim on the screen").click()


def test_a_recording_is_asked_for_shown_to_both_stopped_by_the_victim_and_played(
    browser: Browser, desk: Served, data: Path
) -> None:
    meeting, officer = on_video(browser, desk)
    victim, page = meeting.victim, officer.page
    section = page.locator("#recording")
    expect(section).to_contain_text("The call is not being recorded")
    expect(page.get_by_role("button", name=re.compile("^Record the call"))).to_have_count(0)

    asks(officer, "Recording the call")
    question = victim.page.locator("#consent")
    expect(question).to_contain_text("Do you agree to a recording?")
    picture(victim.page, "recording-1-victim-asked")
    picture(page, "recording-2-officer-waits")
    assert meeting.officer.move(meeting.case, "signal_victim", {"signal": "ask_alone"}).status == 200
    victim.page.wait_for_timeout(QUIET_MS)
    expect(question).to_contain_text("Do you agree to a recording?")
    victim.press("Yes")
    expect(question).to_contain_text("Is everything on this page clear?")
    victim.press("Yes")
    expect(question).to_be_hidden()
    assert meeting.log("PrivateCheckAnswered") == 1

    start = page.locator("#recording summary", has_text="Record the call: I agree to be recorded")
    start.click()
    page.get_by_role("button", name="Record the call: I agree to be recorded").click()
    expect(page.locator("#rec")).to_be_visible()
    expect(page.locator(".rvr-call__rec")).to_be_visible()
    expect(victim.page.locator("#rec")).to_contain_text("This call is being recorded")
    picture(page, "recording-3-officer-rec")
    picture(victim.page, "recording-4-victim-rec")
    victim.page.wait_for_timeout(4_000)

    asks(officer, "A still picture")
    expect(question).to_contain_text("one picture")
    victim.press("Yes")
    still = page.locator("#form-take_still")
    still.get_by_label("Exhibit reference").fill("OO/1")
    still.get_by_role("radio", name=re.compile("^Yes")).check()
    still.get_by_role("button").click()
    expect(page.locator("#exhibits")).to_contain_text("Still OO/1")
    expect(page.locator("#exhibits")).to_contain_text("Intimate")

    victim.press("Stop the recording")
    expect(victim.page.locator("#rec")).to_be_hidden()
    expect(page.locator("#rec")).to_have_count(0)
    expect(section).to_contain_text("the victim agreed no more")
    expect(victim.page.locator("#state")).to_have_text("You are connected")
    picture(page, "recording-5-officer-stopped")
    picture(victim.page, "recording-6-victim-stopped")
    assert [meeting.log(kind) for kind in ("RecordingStarted", "RecordingStopped", "StillTaken")] == [1, 1, 1]
    assert [victim.faults, officer.faults] == [[], []]

    it_was_written_no_longer(meeting, data)
    kept = meeting.seen()["exhibits"]
    it_plays_after_a_reason(officer, meeting, kept)
    nothing_is_in_clear(data)
    a_copy_is_a_disclosure(meeting, kept["recordings"][0]["id"])
    officer.context.close()
    victim.context.close()


def it_was_written_no_longer(meeting: Meeting, data: Path) -> None:
    """The last byte of either side came within a second of the moment at which the victim agreed no more."""
    events = meeting.officer.call("GET", f"cases/{meeting.case}/events").body["events"]
    (at,) = (datetime.fromisoformat(one["at"]).timestamp() for one in events if one["type"] == "ConsentWithdrawn")
    meeting.page.wait_for_timeout(1_500)
    written = [path.stat().st_mtime for path in (data / "recordings").rglob("*.rvrrec")]
    assert len(written) == 2
    assert max(written) - at < 1.0


def it_plays_after_a_reason(officer: Person, meeting: Meeting, kept: dict[str, list[dict[str, str]]]) -> None:
    """Nothing is shown before somebody has said why; then both sides play in the browser."""
    recording, still = kept["recordings"][0]["id"], kept["stills"][0]["id"]
    client, base = meeting.officer, f"cases/{meeting.case}/exhibits"
    assert client.call("GET", f"{base}/{recording}/victim").status == 403
    assert client.call("GET", f"{base}/{still}/still").status == 403
    assert client.call("POST", f"{base}/{recording}/looks", {"reason": "curiosity"}).status == 400
    card = officer.page.locator(f"#exhibit-{recording}")
    card.get_by_text("Play", exact=True).click()
    card.get_by_label("Why do you look at this?").select_option(label="Investigation")
    with officer.context.expect_page() as opened:
        card.get_by_role("button", name="Play the recording").click()
    player = opened.value
    for video in player.locator("video").all():
        video.evaluate("(it) => it.play()")
    expect(player.locator("video")).to_have_count(2)
    for video in player.locator("video").all():
        video.evaluate("(it) => new Promise((done) => (it.ontimeupdate = () => it.currentTime > 0.5 && done()))")
        assert video.evaluate("(it) => it.videoWidth") == 640
    picture(player, "recording-7-player")
    has_no_fault(player, "recording")
    player.set_viewport_size({"width": 390, "height": 844})
    picture(player, "recording-8-player-phone")
    card = officer.page.locator(f"#exhibit-{still}")
    card.get_by_text("Show the picture").first.click()
    card.get_by_label("Why do you look at this?").select_option(label="Investigation")
    with officer.context.expect_page() as opened:
        card.get_by_role("button", name="Show the picture").click()
    expect(opened.value.locator("img")).to_be_visible()
    assert opened.value.locator("img").evaluate("(it) => it.decode().then(() => it.naturalWidth)") == 640
    picture(opened.value, "recording-9-still")
    has_no_fault(opened.value, "still")
    opened.value.set_viewport_size({"width": 390, "height": 844})
    picture(opened.value, "recording-10-still-phone")
    assert opened.value.evaluate("document.documentElement.scrollWidth") <= 390


def nothing_is_in_clear(data: Path) -> None:
    """Not one file of the data folder has a start of a WebM, Matroska, Ogg or JPEG file, or an Opus header, in it. A
    mark has five bytes at least: four stand in some megabytes of cipher by chance once in a few hundred runs."""
    files = [path for path in data.rglob("*") if path.is_file()]
    assert sorted({path.suffix for path in files if "recordings" in path.parts}) == [".rvrrec", ".rvrstill"]
    for path in files:
        content = path.read_bytes()
        for mark in (b"\x1aE\xdf\xa3\x01", b"OpusHead", b"OggS\x00\x02", b"\xff\xe0\x00\x10JFIF", b"matroska"):
            assert mark not in content, (path.name, mark)


def a_copy_is_a_disclosure(meeting: Meeting, recording: str) -> None:
    """With its recipient in the access log; its hash is told, and is what was recorded of it."""
    base = f"cases/{meeting.case}/exhibits/{recording}"
    asked = {"reason": "charging", "side": "victim", "recipient": "Crown Prosecution Service"}
    assert meeting.officer.call("POST", f"{base}/copies", {**asked, "recipient": ""}).status == 400
    copies = [meeting.officer.call("POST", f"{base}/copies", asked) for _ in range(2)]
    assert [copy.status for copy in copies] == [200, 200]
    assert len({sha256(copy.body).hexdigest() for copy in copies}) == 1
    with av.open(io.BytesIO(copies[0].body)) as container:
        assert sum(1 for _ in container.decode(video=0)) > 30
    auditor = meeting.victim.desk.client("auditor")
    rows = auditor.call("GET", f"access?case={meeting.case}&purpose=lawfulness").body["rows"]
    found = [(row["category"]["id"], row["reason"] and row["reason"]["id"], row["recipient"]) for row in rows]
    assert found.count(("disclosure", "charging", "Crown Prosecution Service")) == 2
    assert ("consultation", "investigation", None) in found


def test_verify_names_the_block_that_was_changed(browser: Browser, tmp_path: Path) -> None:
    """Through the verb: sound at first, then with one bit changed, then with a file gone."""
    data = tmp_path / "data"
    with served(data) as desk:
        meeting, officer = on_video(browser, desk)
        client = meeting.officer
        assert (
            client.move(meeting.case, "record_consent", {"consent_kind": "recording", "consent_answer": "given"}).status
            == 200
        )
        assert client.move(meeting.case, "start_recording").status == 200
        officer.page.wait_for_timeout(4_000)
        assert client.move(meeting.case, "stop_recording").status == 200
        officer.page.wait_for_timeout(1_500)
        officer.context.close()
        meeting.victim.context.close()

    def verify() -> tuple[int, str]:
        verb = [sys.executable, "-m", "rvr.cli", "verify", "--data", str(data)]
        done = subprocess.run(verb, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    code, told = verify()
    assert (code, "Sealed files of recordings and stills: 2" in told) == (0, True), told
    path = sorted((data / "recordings").rglob("*.rvrrec"))[0]
    file = bytearray(path.read_bytes())
    second = file.index(b"RVRB" + (2).to_bytes(4, "big"))
    file[second + 100] ^= 1
    path.write_bytes(file)
    code, told = verify()
    assert (code, f"{path.name}: block 2 altered" in told) == (1, True), told
    path.unlink()
    code, told = verify()
    assert (code, f"{path.name}: is missing" in told) == (1, True), told
