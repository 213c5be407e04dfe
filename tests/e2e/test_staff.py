"""The call handler's and the sergeant's screens in a real browser: by keyboard, without a line, in another window, on a
narrow screen, in the dark, on paper. What axe cannot see of them is looked at here.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.e2e.test_screens import a_busy_night, has_no_fault, offered
from tests.e2e.test_story import Person, picture, until
from tests.serving import OPENING, Client, Served, ready_for_handover, served

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

NARROW = {"width": 320, "height": 640}
"""WCAG 2.2, 1.4.10: at this width nothing may need scrolling in two directions."""

TARGET = 24
"""CSS pixels of each side of what is pressed: WCAG 2.2, 2.5.8."""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with served(tmp_path_factory.mktemp("staff") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def ids(desk: Served) -> dict[str, str]:
    return a_busy_night(desk)


def tab_to(page: Page, what: Locator) -> None:
    """By the Tab key alone, as far as a page is long."""
    for _ in range(60):
        if what.evaluate("(it) => it === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not reach {what}")


def narrow(page: Page, title: str) -> None:
    size = page.viewport_size
    page.set_viewport_size(NARROW)
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"], title
    picture(page, f"narrow-{title}")
    assert size
    page.set_viewport_size(size)


# --- The call handler --------------------------------------------------------------------------------------------


def test_a_call_is_taken_by_keyboard_alone_and_a_lost_line_loses_nothing(browser: Browser, desk: Served) -> None:
    handler = Person(browser, desk).sign_in("handler")
    page = handler.page
    page.goto(f"{desk.url}/cases/new")
    narrow(page, "opening")
    type_what_the_caller_says(page)
    handler.context.set_offline(True)
    page.keyboard.press("Enter")
    expect(page.locator("#connection")).to_contain_text("What you typed is still here")
    expect(page.get_by_label("Victim's name")).to_have_value("Testa Victim")
    picture(page, "handler-no-line")
    handler.context.set_offline(False)
    page.wait_for_url(re.compile(r"/cases/[0-9a-f-]{36}"))
    case = page.url.rpartition("/")[2]
    answer_with_number_keys(handler, desk.client("handler"), case)
    consent_and_offer(page)
    assert handler.faults == []
    handler.context.close()


def type_what_the_caller_says(page: Page) -> None:
    expect(page.get_by_role("radio", name="999", exact=True)).to_be_focused()
    page.keyboard.press("Space")
    tab_to(page, page.get_by_label("Safe number"))
    page.keyboard.type(OPENING["safe_number"])
    tab_to(page, page.get_by_role("group", name=re.compile("Is it safe to send")).get_by_role("radio").first)
    page.keyboard.press("Space")
    tab_to(page, page.get_by_label("Distress word"))
    page.keyboard.type(OPENING["code_word"])
    tab_to(page, page.get_by_label("Victim's name"))
    page.keyboard.type(OPENING["victim_name"])
    tab_to(page, page.get_by_label("Local Policing Area"))
    page.keyboard.type("Birm")
    tab_to(page, page.get_by_label("Incident number"))
    page.keyboard.type(OPENING["incident_number"])


def answer_with_number_keys(handler: Person, client: Client, case: str) -> None:
    page, verdict = handler.page, handler.page.locator("#verdict")
    saving = page.locator("rvr-answers").get_by_role("status")
    asked = page.locator("rvr-answers fieldset.rvr-question")
    expect(page.locator("#seats")).to_contain_text("officers on duty are free")
    expect(asked.nth(0).get_by_role("radio").first).to_be_focused()
    page.keyboard.press("1")
    expect(asked.nth(1).get_by_role("radio").first).to_be_focused()
    page.keyboard.press("2")
    expect(verdict).to_contain_text("There is a threat now")
    expect(verdict).to_contain_text("emergency response now")
    expect(page.locator("#verdict-now")).to_be_in_viewport(ratio=1)
    expect(page.get_by_role("button", name="Emergency", exact=True)).to_be_in_viewport(ratio=1)
    expect(page.locator("#announcer")).to_contain_text("Not eligible: There is a threat now")
    in_full_sight(page)
    has_no_fault(page, "danger")
    narrow(page, "danger")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("1")
    expect(verdict).to_have_count(0)
    expect(saving).to_have_text("Every answer so far is saved.")
    assert client.call("GET", f"cases/{case}").body["answers"] == {"suspect_away": "yes", "no_threat_now": "yes"}

    handler.context.set_offline(True)
    page.keyboard.press("1")
    expect(saving).to_contain_text("Not saved yet: 1")
    expect(page.locator("#connection")).to_contain_text("Not saved yet: 1")
    expect(page.locator("#connection")).to_be_in_viewport(ratio=1)
    page.keyboard.press("1")
    picture(page, "handler-unsaved")
    handler.context.set_offline(False)
    expect(saving).to_have_text("Every answer so far is saved.", timeout=15_000)
    expect(page.locator("#connection")).to_be_hidden()
    assert len(client.call("GET", f"cases/{case}").body["answers"]) == 4
    for _ in range(asked.count() - 4):
        page.keyboard.press("1")
    expect(verdict).to_contain_text("video can be offered")
    picture(page, "handler-answered")


def in_full_sight(page: Page) -> None:
    """What has the focus is under nothing: WCAG 2.2, 2.4.11."""
    page.evaluate("document.activeElement.scrollIntoView({ block: 'start' })")
    assert page.evaluate(
        """() => {
          const [it, box] = [document.activeElement, document.activeElement.getBoundingClientRect()];
          const there = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
          return it === there || it.contains(there) || it.labels?.[0].contains(there);
        }"""
    )


def consent_and_offer(page: Page) -> None:
    tab_to(page, page.get_by_role("group", name="The victim's answer").get_by_role("radio").first)
    page.keyboard.press("Space")
    tab_to(page, page.get_by_role("button", name="Record the answer"))
    page.keyboard.press("Enter")
    note = page.locator("#form-offer_handover").get_by_label("Note")
    expect(note).to_be_visible()
    tab_to(page, note)
    page.keyboard.type("Calm. The suspect left an hour ago.")
    tab_to(page, page.get_by_role("button", name="Offer the handover"))
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_contain_text("The sergeant sees your offer now")
    picture(page, "handler-offered")


def test_what_is_typed_after_the_press_is_not_lost_in_silence(browser: Browser, desk: Served) -> None:
    """Under one id the desk takes one form: what comes later stays on the screen, and a second case is never opened."""
    handler = Person(browser, desk).sign_in("handler2")
    page, client = handler.page, desk.client("handler2")
    before = {row["id"] for row in client.call("GET", "board").body["cases"]}
    page.goto(f"{desk.url}/cases/new")
    type_what_the_caller_says(page)
    handler.context.set_offline(True)
    page.keyboard.press("Enter")
    expect(page.locator("#connection")).to_contain_text("What you typed is still here")
    page.get_by_label("Where the victim is now").fill("2 Example Street")
    handler.context.set_offline(False)
    expect(page.locator("#connection")).to_contain_text("The case is open", timeout=15_000)
    expect(page.get_by_label("Where the victim is now")).to_have_value("2 Example Street")
    link = page.get_by_role("link", name="To the case, in a new tab")
    expect(link).to_be_focused()
    opened = {row["id"] for row in client.call("GET", "board").body["cases"]} - before
    assert [link.get_attribute("href")] == [f"/cases/{one}" for one in opened]
    assert handler.faults == []
    handler.context.close()


def test_a_note_that_was_not_sent_stands_after_a_reload_and_for_nobody_else(browser: Browser, desk: Served) -> None:
    case, typed = ready_for_handover(desk.client("handler")), "Back at ten, as was said."
    handler = Person(browser, desk).sign_in("handler")
    page, note = handler.page, handler.page.locator("#form-offer_handover").get_by_label("Note")

    def kept() -> str:
        return str(page.evaluate("Object.entries(sessionStorage).filter(([name]) => /draft/.test(name)).join()"))

    page.goto(f"{desk.url}/cases/{case}")
    note.fill(typed)
    sealed = until(kept)
    assert "Back at" not in sealed
    page.reload()
    expect(note).to_have_value(typed)
    handler.press("Sign out")
    until(lambda: kept() == "")
    page.evaluate("(kept) => sessionStorage.setItem(...kept)", sealed.split(",", 1))
    handler.sign_in("handler")
    page.goto(f"{desk.url}/cases/{case}")
    expect(note).to_have_value("")
    page.wait_for_timeout(500)
    expect(note).to_have_value("")
    page.evaluate("() => { Storage.prototype.real = Storage.prototype.setItem; Storage.prototype.setItem = null; }")
    with page.expect_event("pageerror"):
        note.fill("The store of this tab is full")
    page.evaluate("() => { Storage.prototype.setItem = Storage.prototype.real; }")
    note.fill(typed)
    until(lambda: kept() not in ("", sealed))
    away = {"X-RVR-Go": f"/cases/{case}?made"}
    page.route("**/offer_handover", lambda route: route.fulfill(headers=away), times=1)
    handler.press("Offer the handover")
    page.wait_for_url("**/cases/*?made")
    assert kept() == "", "what was sent and led elsewhere is no draft"
    note.fill(typed)
    until(lambda: kept() not in ("", sealed))
    handler.press("Offer the handover")
    expect(page.locator("main")).to_contain_text("The sergeant sees your offer now")
    until(lambda: kept() == "")
    assert len(handler.faults) == 1
    handler.context.close()


# --- The sergeant ------------------------------------------------------------------------------------------------

HEARD = """() => {
  window.told = [];
  document.hasFocus = () => false;
  window.Notification = class {
    static permission = "granted";
    static requestPermission = async () => "granted";
    constructor(title, { body }) { window.told.push(`${title} ${body}`); }
  };
}"""
"""A desktop that keeps its notices: a browser without a screen shows none. Somebody looks at another window."""


def test_whoever_reads_a_case_hears_of_the_next_one(browser: Browser, desk: Served, ids: dict[str, str]) -> None:
    sergeant = Person(browser, desk)
    sergeant.context.add_init_script(f"({HEARD})()")
    sergeant.sign_in("sergeant")
    page = sergeant.page
    page.goto(f"{desk.url}/cases/{ids['review']}")
    button = page.locator("#alerts")
    expect(button).to_have_text("Turn on alerts")
    button.click()
    expect(button).to_have_text("Alerts are on")
    waits = page.locator("#waiting").get_by_role("link")
    expect(waits).to_contain_text("Handovers to accept: ")
    before = int(re.findall(r"\d+", waits.inner_text())[0])
    expect(page).to_have_title(re.compile(rf"^\({before}\) Review – "))
    case = offered(desk.client("handler"), "dudley")
    reference = desk.client("sergeant").call("GET", f"cases/{case}").body["reference"]
    expect(waits).to_contain_text(f"Handovers to accept: {before + 1}")
    assert until(lambda: page.evaluate("window.told")) == [f"RVR: somebody is needed New handover: {reference}"]
    expect(page.locator("#announcer")).to_have_text(f"New handover: {reference}")
    has_no_fault(page, "alerts")
    page.goto(desk.url)
    expect(button).to_have_text("Alerts are on")
    assert page.evaluate("window.told") == [], "what was told once is not told on the next page"
    page.goto("about:blank")
    between = offered(desk.client("handler"), "solihull")
    page.goto(desk.url)
    reference = desk.client("sergeant").call("GET", f"cases/{between}").body["reference"]
    assert until(lambda: page.evaluate("window.told")) == [f"RVR: somebody is needed New handover: {reference}"]
    for one in (case, between):
        answer = desk.client("sergeant").move(one, "decline_handover", {"decline_reason": "more_information"})
        assert answer.status == 200
    assert sergeant.faults == []
    sergeant.context.close()


def test_a_board_under_somebodys_hands_keeps_focus_text_and_place(
    browser: Browser, desk: Served, ids: dict[str, str]
) -> None:
    sergeant = Person(browser, desk).sign_in("sergeant")
    page = sergeant.page
    handovers = page.locator("table", has=page.get_by_text("Handovers to accept")).locator("tbody tr")
    waiting = handovers.count()
    find = page.get_by_role("searchbox", name="Find in the open cases")
    find.fill("walsall")
    expect(page.locator("#found")).to_contain_text(" shown")
    expect(page.locator("tr[data-find]:visible")).to_have_count(0)
    expect(handovers.filter(visible=True)).to_have_count(waiting)
    find.fill("officer")
    shown = page.locator("tr[data-find]:visible").count()
    assert 0 < shown < page.locator("tr[data-find]").count()
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    place = page.evaluate("scrollY")
    swapped(page, desk)
    expect(find).to_be_focused()
    expect(find).to_have_value("officer")
    expect(page.locator("tr[data-find]:visible")).to_have_count(shown)
    assert abs(page.evaluate("scrollY") - place) <= 2, "rows that come in below move nothing"
    page.keyboard.press("Escape")
    link = page.locator(f"#row-{ids['assessment']}").get_by_role("link").first
    link.focus()
    swapped(page, desk)
    expect(link).to_be_focused()
    page.get_by_role("link", name="Oldest", exact=True).click()
    expect(page.get_by_role("link", name="Oldest", exact=True)).to_have_attribute("aria-current", "true")
    swapped(page, desk)
    assert sergeant.faults == []
    sergeant.context.close()


def swapped(page: Page, desk: Served) -> None:
    """Another call comes in: the board is shown anew."""
    page.evaluate("document.addEventListener('fragment', () => (window.swaps = (window.swaps ?? 0) + 1))")
    before = page.evaluate("window.swaps ?? 0")
    assert desk.client("handler2").open_case(lpa="solihull").status == 201
    until(lambda: page.evaluate("window.swaps ?? 0") > before)


SMALL = """(least) => [...document.querySelectorAll(".rvr-header a, .rvr-header button, .rvr-tools a, "
  + ".rvr-tools input, .govuk-button, summary, .rvr-board__do a, .govuk-radios__input")]
  .filter((it) => it.checkVisibility())
  .map((it) => [it.textContent.trim() || it.id, it.getBoundingClientRect()])
  .filter(([, box]) => box.width < least || box.height < least)
  .map(([name, box]) => `${name}: ${box.width} x ${box.height}`)"""

LIVE_TIMERS = """() => [...document.querySelectorAll("rvr-timer")]
  .filter((it) => it.closest("[aria-live], [role=status], [role=alert], [role=log], [role=marquee]")).length"""


def test_what_axe_does_not_see(browser: Browser, desk: Served, ids: dict[str, str]) -> None:
    for who, path, title in (
        ("sergeant", "/", "board"),
        ("sergeant", "/shift", "shift"),
        ("sergeant", f"/cases/{ids['review']}", "review"),
        ("handler", f"/cases/{ids['call_taking']}", "call-taking"),
    ):
        person = Person(browser, desk).sign_in(who)
        page = person.page
        page.goto(desk.url + path)
        page.wait_for_load_state()
        narrow(page, title)
        has_no_fault(page, title)
        assert page.evaluate(SMALL, TARGET) == [], title
        assert page.evaluate(LIVE_TIMERS) == 0, title
        page.emulate_media(forced_colors="active")
        picture(page, f"forced-{title}")
        assert person.faults == []
        person.context.close()


def test_the_wall_is_dark_and_paper_has_no_buttons(browser: Browser, desk: Served, ids: dict[str, str]) -> None:
    sergeant = Person(browser, desk).sign_in("sergeant")
    page = sergeant.page
    page.get_by_role("link", name="Dark wall board").click()
    expect(page.locator("html")).to_have_class(re.compile("rvr-wall"))
    has_no_fault(page, "wall")
    picture(page, "wall", whole=False)
    page.goto(f"{desk.url}/cases/{ids['handover']}")
    page.emulate_media(media="print")
    expect(page.get_by_text("Calm. The suspect left an hour ago.")).to_be_visible()
    expect(page.get_by_role("button").filter(visible=True)).to_have_count(0)
    picture(page, "print-handover")
    page.goto(f"{desk.url}/shift")
    expect(page.get_by_role("row", name=re.compile("Assessment")).first).to_be_visible()
    picture(page, "print-shift")
    assert sergeant.faults == []
    sergeant.context.close()


# --- The administrator -------------------------------------------------------------------------------------------


def test_a_duty_plan_is_filled_in_from_a_file_and_a_wrong_one_stays_to_be_mended(
    browser: Browser, desk: Served, tmp_path: Path
) -> None:
    file, tomorrow = tmp_path / "plan.csv", f"{datetime.now(UTC).date() + timedelta(days=1)}"
    page = Person(browser, desk).sign_in("admin").page
    page.goto(f"{desk.url}/admin")
    page.get_by_role("link", name="Duty plan").click()
    for name in ("nobody", "officer2"):
        file.write_text(f"officer,begins_at,ends_at\n{name},{tomorrow}T07:00,{tomorrow}T17:00\n", encoding="utf-8")
        chooser = page.get_by_label("Fill it from a file")
        expect(chooser).to_be_visible()
        chooser.set_input_files(str(file))
        text = page.get_by_label("Text of the plan")
        expect(text).to_have_value(re.compile(name))
        page.get_by_role("button", name="Take it over").click()
        if name == "nobody":
            expect(page.get_by_role("alert").filter(has_text="Line 2: No officer has this")).to_be_visible()
            expect(text).to_have_value(re.compile(name))
            has_no_fault(page, "duty-wrong")
    expect(page.get_by_text("07:00 to 17:00 Orla Officer")).to_be_visible()
    expect(text).to_have_value("")
    narrow(page, "duty")


# --- Whoever is here ---------------------------------------------------------------------------------------------


def test_who_types_stays_signed_in_and_who_does_nothing_is_told_before_the_end(
    browser: Browser, tmp_path: Path
) -> None:
    """A desk where the warning, two minutes before the end, comes after six seconds."""
    with served(tmp_path / "data", RVR_SIGNIN_IDLE_S="126") as short:
        officer = Person(browser, short).sign_in("officer")
        page, warning = officer.page, officer.page.locator("#here")
        expect(warning).to_be_hidden()
        expect(warning).to_contain_text("You will be signed out in about a minute", timeout=15_000)
        expect(warning).to_be_visible()
        picture(page, "officer-signed-out-soon")
        has_no_fault(page, "signed out soon")
        with page.expect_response("**/api/v1/session") as renewed:
            page.keyboard.press("Shift")
        assert renewed.value.status == 200
        expect(warning).to_be_hidden()
        expect(warning).to_be_visible(timeout=15_000)
        officer.press("I am still here")
        expect(warning).to_be_hidden()
        assert officer.faults == []
        officer.context.close()
