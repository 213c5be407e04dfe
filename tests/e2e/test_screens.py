"""Every screen, at a desk and on a phone: nothing sticks out sideways, and axe finds no fault."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.test_story import DESKTOP, PHONE, SIZES, Person, picture
from tests.serving import ROOT, Client, Served, ready_for_handover, served
from tests.test_live import Phones, code, live, phones

__all__ = ["phones"]  # a fixture

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

AXE = (ROOT / "static/node_modules/axe-core/axe.min.js").read_text
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

SAFE = {"alone": "yes", "place_verified": "yes"}


def a_busy_night(desk: Served) -> dict[str, str]:
    """Cases in many states; their ids by state."""
    handler, sergeant = desk.client("handler"), desk.client("sergeant")
    officers = [desk.client(name) for name in ("officer", "officer2")]
    ids = {"call_taking": handler.open_case(lpa="dudley", source="101").body["id"]}
    handler.move(ids["call_taking"], "answer_criteria", {"answers": {"suspect_away": "no"}})
    ids["deployment"] = sent_in_person(handler)
    for lpa in ("coventry", "walsall"):
        ids["handover"] = offered(handler, lpa)
    ids["lost_contact"] = assigned(handler, sergeant, officers[0])
    officers[0].move(ids["lost_contact"], "end_session", {"end_reason": "video_failed"})
    regained(officers[0], ids["lost_contact"])
    ids["review"] = ids.pop("lost_contact")
    ids["waiting_room"] = assigned(handler, sergeant, officers[0])
    ids["assessment"] = assigned(handler, sergeant, officers[1])
    officers[1].move(ids["assessment"], "end_session", {"end_reason": "victim_asked"})
    officers[1].move(ids["assessment"], "contact_regained", SAFE)
    referred = {"partner": "bswa", "referral_basis": "consent", "note": "Wants to speak about a refuge."}
    officers[1].move(ids["assessment"], "make_referral", referred)
    ids |= {"person": officers[0].me["id"], "own": desk.client("admin").me["id"]}
    return ids | reports(desk.client("inspector")) | {"appointment": put_off(handler), "protected": protected(handler)}


def reports(inspector: Client) -> dict[str, str]:
    """The desk's second queue: a repeat that nobody has looked at, and an allocated one."""
    from tests.web.test_api import PLAN

    ids = {
        name: inspector.report(lpa=lpa).body["id"] for name, lpa in (("allocated", "dudley"), ("repeat", "solihull"))
    }
    for move, form in (
        ("plan_safeguarding", PLAN),
        ("add_suspect", {"another_suspect": "Ron Reported"}),
        ("record_support", {"support": "withdrew", "support_reason": "fear"}),
        ("allocate", {"team": "lpa-dudley"}),
        ("change_suspect", {"suspect_status": "outstanding"}),
    ):
        assert inspector.move(ids["allocated"], move, form).status in (200, 403), move
    return ids


def put_off(handler: Client) -> str:
    case = ready_for_handover(handler, lpa="coventry")
    agreed = {
        "appointment_at": "2030-01-01T10:00:00Z",
        "appointment_reason": "not_private",
        "appointment_how": "Ring twice, then once.",
    }
    answer = handler.move(case, "make_appointment", agreed)
    assert answer.status == 200, answer.body
    return case


def sent_in_person(handler: Client) -> str:
    case = handler.open_case(lpa="sandwell").body["id"]
    handler.move(case, "answer_criteria", {"answers": {"adult": "no"}})
    grade = {"response_grade": "priority", "deployment_reason": "not_eligible"}
    assert handler.move(case, "request_deployment", grade).status == 200
    return str(case)


def offered(handler: Client, lpa: str) -> str:
    case = ready_for_handover(handler, lpa=lpa)
    assert handler.move(case, "offer_handover", {"note": "Calm. The suspect left an hour ago."}).status == 200
    return case


def assigned(handler: Client, sergeant: Client, officer: Client) -> str:
    case = offered(handler, "birmingham")
    sergeant.move(case, "accept_handover")
    assert sergeant.move(case, "assign_officer", {"officer": officer.me["id"]}).status == 200
    assert officer.move(case, "send_link").status == 200
    return case


def regained(officer: Client, case: str) -> None:
    from tests.web.test_api import PLAN, dash

    officer.move(case, "contact_regained", SAFE)
    officer.move(case, "assess_risk", dash("yes", yes=15, level="high"))
    officer.move(case, "plan_safeguarding", PLAN)
    assert officer.move(case, "submit_for_review").body["state"] == "review"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder: Path = tmp_path_factory.mktemp("screens")
    with served(folder / "data"):
        pass
    a_live_order(folder)
    with served(folder / "data") as running:
        yield running


PEOPLE = {"victim_name": "Olive Order", "victim_dob": "1991-01-02", "suspect_name": "Omar Order"}
BOUND = {"suspect_dob": "1990-03-04", "conditions": "Not to go within 100 metres of the home."}


def a_live_order(folder: Path) -> None:
    """A civil order, imported as a force would."""
    order = {"reference": "NMO-1", "kind": "non_molestation", "starts": "2026-01-01", **PEOPLE, **BOUND}
    file = folder / "orders.csv"
    file.write_text(f"{','.join(order)}\n{','.join(order.values())}\n", encoding="utf-8")
    command = ["-m", "rvr.cli", "import", str(file), "--kind", "orders", "--data", str(folder / "data")]
    subprocess.run([sys.executable, *command], cwd=ROOT, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})


def protected(handler: Client) -> str:
    """A call about people whom a live order concerns."""
    return str(handler.open_case(**PEOPLE, suspect_dob=BOUND["suspect_dob"]).body["id"])


@pytest.fixture(scope="module")
def ids(desk: Served) -> dict[str, str]:
    return a_busy_night(desk)


SCREENS = (
    ("", "/", "sign-in"),
    ("", "/demo/outbox", "outbox"),
    ("", "/j", "join"),
    ("", "/nowhere", "error"),
    ("handler", "/", "handler-home"),
    ("handler", "/cases/new", "handler-opening"),
    ("handler", "/cases/{call_taking}", "handler-case"),
    ("handler", "/cases/{handover}", "handler-waits"),
    ("sergeant", "/", "board"),
    ("sergeant", "/shift", "shift"),
    ("sergeant", "/cases/{handover}", "sergeant-handover"),
    ("sergeant", "/cases/{review}", "sergeant-review"),
    ("officer", "/", "officer-home"),
    ("officer", "/cases/{waiting_room}", "officer-waiting"),
    ("officer2", "/cases/{assessment}", "officer-assessment"),
    ("officer2", "/cases/{waiting_room}", "officer-colleague"),
    ("resourcing", "/", "resourcing-home"),
    ("resourcing", "/cases/{deployment}", "resourcing-case"),
    ("investigator", "/", "investigator-home"),
    ("evaluator", "/", "evaluator"),
    ("evaluator", "/evaluation?show=yes", "evaluator-figures"),
    ("auditor", "/", "auditor"),
    ("auditor", "/audit?category=&from=&to=", "auditor-rows"),
    ("auditor", "/audit?category=disclosure", "auditor-disclosures"),
    ("auditor", "/audit?case=NONE-SUCH&from=x", "auditor-errors"),
    ("auditor", "/audit?category=erasure", "auditor-nothing"),
    ("admin", "/admin", "admin"),
    ("admin", "/workflows", "workflows"),
    ("admin", "/workflows/da-desk", "workflow"),
    ("admin", "/workflows/crime-report", "workflow-reports"),
    ("handler", "/cases/{appointment}", "handler-appointment"),
    ("handler", "/cases/{protected}", "handler-order"),
    ("sergeant", "/cases/new?workflow=crime-report", "report-opening"),
    ("sergeant", "/cases/{repeat}", "report-repeat"),
    ("sergeant", "/cases/{allocated}", "report-allocated"),
    ("inspector", "/", "inspector-board"),
    ("investigator", "/cases/{allocated}", "investigator-case"),
    ("advocate", "/", "advocate-home"),
    ("advocate", "/cases/{assessment}", "advocate-case"),
    ("specialist", "/", "specialist-board"),
    ("specialist", "/cases/{call_taking}", "specialist-case"),
    ("officer", "/account", "account"),
    ("officer", "/confirm", "confirm"),
    ("officer", "/break-glass", "break-glass"),
    ("admin", "/admin/duty", "duty"),
    ("admin", "/admin/deliveries", "deliveries"),
    ("admin", "/admin/people/{person}", "person"),
    ("admin", "/admin/people/{own}", "person-own"),
)

ELSEWHERE = {
    "/cases/{id}/exhibits/{exhibit}": "test_a_recording_is_asked_for_shown_to_both_stopped_by_the_victim_and_played",
    "/f": "test_a_few_questions_are_answered_in_welsh_on_the_narrowest_screen_and_the_link_is_dead",
    "/g": "test_a_supervisor_takes_a_seat_from_the_case_and_four_are_in_the_call",
    "/sign-in/back": "test_whoever_comes_back_from_a_provider_is_led_on_and_can_go_on_by_hand",
}
"""Pages that need more than an address, and the test in which axe looks at each."""


@pytest.mark.parametrize("who", sorted({who for who, _, _ in SCREENS}))
@pytest.mark.parametrize("size", ["desk", "phone"])
def test_every_screen_fits_and_has_no_fault_that_axe_can_see(
    browser: Browser, desk: Served, ids: dict[str, str], who: str, size: str
) -> None:
    person = Person(browser, desk, phone=size == "phone")
    if who:
        person.sign_in(who)
    for name, path, title in SCREENS:
        if name == who:
            person.page.goto(desk.url + path.format(**ids))
            person.page.wait_for_load_state()
            if size == "desk":
                picture(person.page, title, whole=title != "board")
            fits(person.page, title, size)
            has_no_fault(person.page, title)
    assert person.faults == []
    person.context.close()


def test_whoever_has_a_second_factor_signs_in_with_its_code(browser: Browser, tmp_path: Path, phones: Phones) -> None:
    """In live mode, where every account has one."""
    data, passphrase = tmp_path / "data", "three small words"
    account = ["-m", "rvr.cli", "accounts", "add", "ada", "--name", "Ada Auditor", "--role", "auditor"]
    made = subprocess.run(
        [sys.executable, *account, "--data", str(data)],
        input=f"{passphrase}\n{passphrase}\n",
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    secret = made.stdout.rpartition("Or type it there: ")[2].strip()
    with served(data, **live(phones, tmp_path)) as desk:
        person = Person(browser, desk)
        page = person.page
        page.goto(desk.url)
        page.get_by_label("User name").fill("ada")
        page.get_by_label("Password").fill(passphrase)
        person.press("Sign in")
        expect(page.get_by_role("alert").filter(has_text="There is a problem")).to_be_visible()
        expect(page.get_by_label("User name")).to_have_value("ada")
        page.get_by_label("Password").fill(passphrase)
        page.get_by_label("Code").fill(code(secret))
        picture(page, "sign-in-code")
        for size, (window, _) in SIZES.items():
            page.set_viewport_size(window)
            fits(page, "sign-in with a code", size)
        has_no_fault(page, "sign-in with a code")
        person.press("Sign in")
        expect(page.get_by_role("heading", level=1)).to_have_text("Access log")
        assert person.faults == []
        person.context.close()


def test_what_is_wrong_on_a_page_about_oneself_is_told_without_a_fault_that_axe_can_see(
    browser: Browser, desk: Served, ids: dict[str, str]
) -> None:
    person = Person(browser, desk).sign_in("officer")
    page = person.page
    page.goto(f"{desk.url}/break-glass")
    person.press("Tell the sergeant and open the case")
    expect(page.get_by_role("alert").filter(has_text="There is a problem")).to_be_visible()
    has_no_fault(page, "break-glass, nothing said")
    page.goto(f"{desk.url}/confirm")
    page.get_by_label("Password").fill("another")
    person.press("Confirm")
    expect(page.get_by_role("alert").filter(has_text="There is a problem")).to_be_visible()
    has_no_fault(page, "confirm, wrong password")
    assert person.faults == []
    person.context.close()


def test_whoever_comes_back_from_a_provider_is_led_on_and_can_go_on_by_hand(browser: Browser, desk: Served) -> None:
    """The page stands for a moment only: here what it leads to gives nothing."""
    person = Person(browser, desk)
    page = person.page
    with page.expect_request("**/sign-in/finish?*"):
        page.route("**/sign-in/finish?*", lambda route: route.fulfill(status=204))
        page.goto(f"{desk.url}/sign-in/back?code=a&state=b", wait_until="commit")
    expect(page.get_by_role("link", name="Go on")).to_be_visible()
    fits(page, "back from a provider", "desk")
    has_no_fault(page, "back from a provider")
    assert person.faults == []
    person.context.close()


def fits(page: Page, title: str, size: str) -> None:
    width = (PHONE if size == "phone" else DESKTOP)["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width, title


def has_no_fault(page: Page, title: str) -> None:
    page.evaluate(AXE())
    found = page.evaluate("(rules) => axe.run({ runOnly: rules })", RULES)["violations"]
    assert [(fault["id"], fault["nodes"][0]["html"][:200]) for fault in found] == [], title


def test_the_victims_page_names_nobody_and_leaves_nothing_behind(browser: Browser, desk: Served) -> None:
    victim = Person(browser, desk, phone=True)
    victim.page.goto(f"{desk.url}/j#{'x' * 43}")
    assert victim.page.title() == "Join"
    seen = victim.page.locator("body").inner_text()
    assert not re.search("police|abuse|RVR|West Midlands|victim|suspect", seen, re.IGNORECASE), seen
    victim.press("Join")
    victim.page.get_by_text("This link does not work").wait_for()
    assert "#" not in victim.page.url
    assert victim.page.evaluate("localStorage.length + sessionStorage.length") == 0
    victim.context.close()


def test_a_live_order_stands_at_the_top_and_a_breach_is_one_answer_away(
    browser: Browser, desk: Served, ids: dict[str, str]
) -> None:
    handler = Person(browser, desk).sign_in("handler")
    page = handler.page
    page.goto(f"{desk.url}/cases/{ids['protected']}")
    expect(page.locator(".rvr-alert")).to_contain_text("Live civil orders that may concern these people: 1")
    found = page.locator("#settle")
    expect(found).to_contain_text("Non-molestation order, until further notice")
    expect(found).to_contain_text("Not to go within 100 metres of the home.")
    found.get_by_role("radio", name="Yes").check()
    found.get_by_role("button", name="Record this").click()
    expect(page.locator(".rvr-alert")).to_contain_text("A live civil order was breached")
    expect(page.locator("#earlier")).to_contain_text("Breached")
    picture(page, "order-breached")
    assert handler.faults == []
    handler.context.close()
