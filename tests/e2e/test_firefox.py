"""The staff's main story in Debian's Firefox: a call is taken, accepted, assigned and sent its link; a board that is
open hears of the next call, and a note outlives a reload.
"""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.media.firefox import FIREFOX, Page, a_firefox
from tests.serving import OPENING, PASSWORD, Client, Served, served

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(240),
    pytest.mark.skipif(FIREFOX is None, reason="Firefox is missing: apt-get install firefox-esr"),
]

WITHIN_S = 30.0


class Staff:
    """Somebody at a Firefox, who works by what the page shows."""

    def __init__(self, page: Page, desk: Served) -> None:
        self.page, self.desk = page, desk

    async def until(self, expression: str) -> Any:
        """Waits for the expression to be true, over whatever page comes."""
        end = time.monotonic() + WITHIN_S
        while True:
            try:
                if found := await self.page.evaluate(expression):
                    return found
            except AssertionError:  # between two pages
                pass
            assert time.monotonic() < end, expression
            await asyncio.sleep(0.1)

    async def shows(self, text: str) -> None:
        await self.until(f"document.body?.innerText.includes({json.dumps(text)})")

    async def press(self, name: str) -> None:
        """The button of this name that can be seen."""
        button = (
            "[...document.querySelectorAll('button, a[role=button]')].find((it) => it.checkVisibility()"
            f" && it.textContent.trim().startsWith({json.dumps(name)}))"
        )
        await self.until(f"Boolean({button})")
        await self.page.evaluate(f"({button}.click(), true)")

    async def fill(self, name: str, value: str, within: str = "main") -> None:
        """The box of this name, as by typing."""
        box = f"document.querySelector({json.dumps(f'{within} [name={name}]')})"
        await self.until(f"Boolean({box})")
        await self.page.evaluate(
            f"(({box}).value = {json.dumps(value)}, {box}.dispatchEvent(new Event('input', {{bubbles: true}})), true)"
        )

    async def choose(self, name: str, value: str, within: str = "main") -> None:
        """A radio button."""
        selector = f'{within} [name="{name}"][value="{value}"]'
        one = f"document.querySelector({json.dumps(selector)})"
        await self.until(f"Boolean({one})")
        await self.page.evaluate(f"({one}.click(), true)")

    async def sign_in(self, username: str) -> None:
        await self.page.goto(self.desk.url)
        if await self.page.evaluate("Boolean(document.querySelector('form[action=\"/sign-out\"]'))"):
            await self.press("Sign out")
            await self.until("Boolean(document.querySelector('form[action=\"/sign-in\"]'))")
        await self.fill("username", username)
        await self.fill("password", PASSWORD)
        await self.press("Sign in")
        await self.until("Boolean(document.querySelector('form[action=\"/sign-out\"]'))")

    async def case(self) -> str:
        path = await self.until("/^\\/cases\\/[0-9a-f-]{36}/.test(location.pathname) && location.pathname")
        return str(path).rpartition("/")[2]


async def test_a_call_is_taken_accepted_and_sent_its_link_in_firefox(tmp_path: Path) -> None:
    with served(tmp_path / "data") as desk:
        async with a_firefox() as page:
            staff = Staff(page, desk)
            case = await takes_the_call(staff)
            await accepts_and_assigns(staff, case, await asyncio.to_thread(desk.client, "handler2"))
            await sends_the_link(staff, case)
        seen = desk.client("sergeant").call("GET", f"cases/{case}").body
        assert (seen["state"], seen["handover_note"]) == ("waiting_room", "Calm, speaks quietly.")


async def takes_the_call(handler: Staff) -> str:
    await handler.sign_in("handler")
    await handler.press("Open a case")
    for name in ("incident_number", "victim_name", "safe_number", "lpa", "code_word", "address"):
        await handler.fill(name, OPENING[name])
    await handler.choose("source", "999")
    await handler.choose("safe_to_text", "yes")
    await handler.press("Open the case and ask the safety questions")
    case = await handler.case()
    questions = "[...document.querySelectorAll('rvr-answers fieldset.rvr-question')]"
    await handler.until(f"{questions}.length === 12")
    for number in range(12):
        await handler.page.evaluate(f"({questions}[{number}].querySelector('input[value=yes]').click(), true)")
    await handler.until("Boolean(document.querySelector('#verdict.rvr-verdict--yes'))")
    await handler.choose("consent_answer", "given", "#form-record_consent")
    await handler.press("Record the answer")
    await handler.until("Boolean(document.querySelector('#form-offer_handover'))")
    await handler.fill("note", "Calm, speaks quietly.", "#form-offer_handover")
    await handler.until("Object.keys(sessionStorage).some((name) => name.startsWith('rvr-draft'))")
    await handler.page.goto(f"{handler.desk.url}/cases/{case}")
    await handler.until("document.querySelector('#form-offer_handover [name=note]')?.value === 'Calm, speaks quietly.'")
    await handler.press("Offer the handover")
    await handler.shows("The sergeant sees your offer now")
    return case


async def accepts_and_assigns(sergeant: Staff, case: str, another: Client) -> None:
    await sergeant.sign_in("sergeant")
    rows = "document.querySelectorAll('tr[data-case]').length"
    await sergeant.until(f"{rows} === 1")
    assert await asyncio.to_thread(another.open_case) is not None
    await sergeant.until(f"{rows} === 2")
    await sergeant.page.evaluate(f"(document.querySelector('#accept-{case} button').click(), true)")
    assert await sergeant.case() == case
    chosen = "document.querySelector('#form-assign_officer [name=officer]')"
    await sergeant.until(f"Boolean({chosen}?.options.length > 1)")
    await sergeant.page.evaluate(
        f"({chosen}.value = [...{chosen}.options].find((it) => it.text.startsWith('Olu')).value, true)"
    )
    await sergeant.press("Assign an officer")
    await sergeant.shows("officer: Olu Officer")


async def sends_the_link(officer: Staff, case: str) -> None:
    await officer.sign_in("officer")
    await officer.page.goto(f"{officer.desk.url}/cases/{case}")
    await officer.press("Send the link")
    await officer.press("Join the call")
    assert await officer.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
