"""Script in every text that somebody may write, seen by whoever may read it; and a page that outlives a kill."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.e2e.conftest import browser as browser
from tests.serving import Client, Served, free_port, ready_for_handover, served
from tests.web.test_api import PLAN, dash, newest_token

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

EVIL = "\"'><img src=x onerror=hit=1><script>hit=1</script><b id=inj hx-get=/ hx-trigger=load>"
LONGEST = {"incident_number": 40, "code_word": 40}


def evil(name: str) -> str:
    return EVIL[: LONGEST.get(name, 100)]


def signed_in(browser: Browser, person: Client) -> Page:
    """A screen of somebody who has signed in already, with made-up camera and microphone."""
    context = browser.new_context(permissions=["camera", "microphone"])
    context.add_cookies([{"name": name, "value": value, "url": person.url} for name, value in person.cookies.items()])
    return context.new_page()


def looks_harmless(page: Page, url: str, *, shows: bool) -> None:
    """Nothing ran, nothing became an element, and (so that this proves something) the text is on the page."""
    page.goto(url)
    page.wait_for_timeout(400)
    assert page.evaluate("window.hit") is None
    assert page.locator("#inj, img[src=x]").count() == 0
    if shows:
        assert "onerror" in page.content()


def an_evil_case(desk: Served, officer: Client, sergeant: Client) -> str:
    handler = desk.client("handler")
    texts = ("incident_number", "victim_name", "who_sees_phone", "code_word", "address", "suspect_name")
    case = ready_for_handover(handler, **{name: evil(name) for name in texts})
    handler.move(case, "offer_handover", {"note": evil("note")})
    sergeant.move(case, "accept_handover")
    sergeant.move(case, "assign_officer", {"officer": officer.me["id"]})
    assert officer.move(case, "send_link").status == 200
    officer.move(case, "end_session", {"end_reason": "video_failed"})
    officer.move(case, "record_contact_attempt", {"attempt_result": "no_answer", "note": evil("note")})
    safe = {"alone": "yes", "place_verified": "yes", "suspect_whereabouts": evil("w"), "next_contact": evil("n")}
    assert officer.move(case, "contact_regained", safe).status == 200
    assert officer.move(case, "assess_risk", dash("yes", yes=1, level="medium", rationale=evil("r"))).status == 200
    return case


def test_script_in_any_text_stays_text_on_every_screen_of_every_role(browser: Browser, tmp_path: Path) -> None:
    with served(tmp_path / "data") as desk:
        officer, sergeant = desk.client("officer"), desk.client("sergeant")
        case = an_evil_case(desk, officer, sergeant)
        page = f"{desk.url}/cases/{case}"
        for username in ("handler", "sergeant"):
            looks_harmless(signed_in(browser, desk.client(username)), page, shows=True)
        screen = signed_in(browser, officer)
        looks_harmless(screen, page, shows=True)
        plan = {**PLAN, "action_owner": evil("owner"), "note": evil("note")}
        assert officer.move(case, "plan_safeguarding", plan).status == 200  # morphed into the open page
        until(lambda: screen.content().count("onerror") > 3)
        assert screen.evaluate("window.hit") is None
        assert screen.locator("#inj").count() == 0
        assert officer.move(case, "submit_for_review").status == 200
        allocated = sergeant.move(case, "allocate", {"team": "lpa-birmingham", "override": evil("override")})
        assert allocated.status == 200
        looks_harmless(signed_in(browser, desk.client("investigator")), page, shows=True)
        for username in ("resourcing", "officer2"):
            looks_harmless(signed_in(browser, desk.client(username)), desk.url, shows=False)
        stranger = browser.new_context().new_page()
        stranger.goto(desk.url)
        stranger.get_by_label("User name").fill(EVIL)
        stranger.get_by_label("Password").fill("x")
        stranger.get_by_role("button", name="Sign in").click()
        stranger.get_by_role("alert").first.wait_for()
        assert stranger.evaluate("window.hit") is None
        assert stranger.locator("#inj").count() == 0


def until(what: Callable[[], bool], within_s: float = 15) -> None:
    deadline = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.1)


def test_a_victim_who_waits_while_the_desk_is_killed_is_met_on_video_without_pressing_anything_again(
    browser: Browser, tmp_path: Path
) -> None:
    data, port = tmp_path / "data", free_port()

    with served(data, port) as desk:
        handler, sergeant, officer = (desk.client(name) for name in ("handler", "sergeant", "officer"))
        case = ready_for_handover(handler)
        handler.move(case, "offer_handover")
        sergeant.move(case, "accept_handover")
        sergeant.move(case, "assign_officer", {"officer": officer.me["id"]})
        assert officer.move(case, "send_link").status == 200
        victim = signed_in(browser, desk.client())
        victim.goto(f"{desk.url}/j#{newest_token(desk)}")
        victim.get_by_role("button", name="Join", exact=True).click()
        until(lambda: sergeant.call("GET", f"cases/{case}").body["session"]["presence"] == "waiting")
        desk.process.kill()
        desk.process.wait(10)
    with served(data, port) as desk:
        screen = signed_in(browser, officer)
        screen.goto(f"{desk.url}/cases/{case}")
        screen.get_by_role("button", name="Join the call").click()
        until(lambda: sergeant.call("GET", f"cases/{case}").body["state"] == "video", within_s=30)
        types = [event["type"] for event in sergeant.call("GET", f"cases/{case}/events").body["events"]]
        assert types.count("LinkOpened") == 1
        assert types.count("TwoWayVideoStarted") == 1
