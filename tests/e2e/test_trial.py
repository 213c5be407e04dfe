"""A trial in a real browser: the call handler draws, reads the arm, and sets it aside for safety in one press."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.test_screens import fits, has_no_fault
from tests.e2e.test_story import Person, picture
from tests.serving import Served
from tests.web.test_trial import agrees, let_go, ready, running

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

desk = running


@pytest.mark.parametrize("size", ["desk", "phone"])
def test_the_call_handler_draws_and_goes_with_the_arm_or_sets_it_aside(
    browser: Browser, desk: Served, size: str
) -> None:
    handler = desk.client("handler")
    person = Person(browser, desk, phone=size == "phone").sign_in("handler")
    page, seen = person.page, set[str]()
    for _ in range(8):
        case = ready(handler)
        agrees(handler, case, "video")
        page.goto(f"{desk.url}/cases/{case}")
        expect(page.locator("#step-trial")).to_contain_text("Record first that the victim agrees: Evaluation.")
        read_out = page.locator("#consent-evaluation")
        expect(read_out).to_contain_text("decided by lot")
        expect(read_out, "what has to be read out is open").to_have_attribute("open", "")
        read_out.get_by_role("radio", name=re.compile("^Agrees")).check()
        read_out.get_by_role("button").click()
        expect(page.get_by_role("button", name="Draw")).to_be_visible()
        if not seen:
            picture(page, f"{size}-trial-before")
            has_no_fault(page, "before the draw")
            fits(page, "before the draw", size)
        page.get_by_role("button", name="Draw").click()
        now = page.locator("#trial-now")
        expect(now).to_contain_text(re.compile("In the trial: (Video now|Officer in person)"))
        arm = str(now.get_attribute("data-arm"))
        if arm not in seen:
            picture(page, f"{size}-trial-{arm}")
            has_no_fault(page, arm)
            fits(page, arm, size)
        seen.add(arm)
        if arm == "video":
            expect(page.locator("#form-offer_handover")).to_be_visible()
            let_go(handler, case)
            continue
        expect(page.locator("#form-offer_handover")).to_have_count(0)
        expect(page.locator("#form-request_deployment")).to_be_visible()
        expect(page.locator("#form-dispatch_emergency")).to_be_visible()
        now.get_by_text("Set the trial aside, for safety").first.click()
        now.get_by_label("Why the trial is set aside").select_option("cannot_wait")
        now.get_by_role("button", name="Set the trial aside, for safety").click()
        expect(page.locator("#trial-now")).to_contain_text("Every way of helping is open. Why: The victim cannot wait")
        expect(page.locator("#form-offer_handover")).to_be_visible()
        if seen == {"video", "usual"}:
            break
    assert seen == {"video", "usual"}
    assert person.faults == []
    person.context.close()
