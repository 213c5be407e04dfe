"""Passkeys in a real browser, with the authenticator that it plays itself (WebDriver's virtual one, over CDP)."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import BrowserContext, CDPSession, Page, async_playwright, expect

from rvr.core import events as e
from rvr.store.tables import PasskeyRow, every
from tests.serving import PASSWORD, free_port
from tests.web.in_process import House, in_process

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(180)]


FOUND = os.environ.get("RVR_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")


@dataclass
class Browser:
    house: House
    page: Page
    device: CDPSession
    key: str


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    """At a host with a name: passkeys belong to none of numbers."""
    port = free_port()
    url = f"http://localhost:{port}"
    async with in_process(tmp_path / "data", port=port, public_url=url) as house, async_playwright() as player:
        started = await player.chromium.launch(executable_path=FOUND, args=["--headless=new", "--no-sandbox"])
        context: BrowserContext = await started.new_context(base_url=url)
        page = await context.new_page()
        device = await context.new_cdp_session(page)
        await device.send("WebAuthn.enable")
        options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True}
        options |= {"hasUserVerification": True, "isUserVerified": True, "automaticPresenceSimulation": True}
        made = await device.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        yield Browser(house, page, device, made["authenticatorId"])
        await started.close()


async def signs_in(page: Page) -> None:
    await page.goto("/")
    await page.fill("#username", "officer")
    await page.fill("#password", PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await page.get_by_role("button", name="Sign out").wait_for()


async def test_a_passkey_is_added_signs_in_proves_anew_and_is_good_once(browser: Browser) -> None:
    page, house = browser.page, browser.house
    await signs_in(page)
    await page.goto("/account")
    await page.get_by_label("What you call it").fill("Front desk token")
    await page.get_by_role("button", name="Add a passkey").click()
    await page.get_by_role("term").wait_for()
    await page.get_by_role("button", name="Sign out").click()

    sent: list[Any] = []
    page.on("request", lambda one: sent.append(one.post_data_json) if one.url.endswith("/session/passkey") else None)
    await page.get_by_role("button", name="Use a passkey").click()
    await page.get_by_role("button", name="Sign out").wait_for()
    how = await house.desk.store.look(
        lambda connection: connection.execute("SELECT how FROM signin ORDER BY created_at DESC").fetchone()
    )
    assert how == ("passkey",)
    stranger = await house.sign_in()
    origin = {"Origin": f"http://localhost:{house.url.rpartition(':')[2]}"}
    again = await stranger.call("POST", "/api/v1/session/passkey", sent[0], headers=origin)
    assert (again.status, again.body["reasons"][0]["code"]) == (401, "passkey-refused"), "each challenge is good once"

    house.pass_by(minutes=6)
    await page.goto("/break-glass")
    await page.get_by_role("heading", name="Confirm that it is you").wait_for()
    await page.get_by_role("button", name="Use a passkey").click()
    await page.get_by_label("Why you need to see it").wait_for()

    await page.goto("/account")
    await page.get_by_role("button", name="Remove").click()
    await page.get_by_role("term").wait_for(state="detached")
    await page.get_by_role("button", name="Sign out").click()
    await page.get_by_role("button", name="Use a passkey").click()
    await page.get_by_text("does not open an account here").wait_for()


async def adds(page: Page) -> None:
    await signs_in(page)
    await page.goto("/account")
    await page.get_by_role("button", name="Add a passkey").click()
    await page.get_by_role("term").wait_for()


async def changes(house: House, person: str) -> list[tuple[str, str]]:
    """What was changed of the account, and in which role."""
    log = await house.desk.store.load(f"person/{person}")
    return [(one.event.fact.what, one.event.by_role) for one in log if isinstance(one.event.fact, e.AccountChanged)]


async def test_passkeys_are_in_the_persons_log_and_an_administrator_takes_them_away(browser: Browser) -> None:
    page, house = browser.page, browser.house
    await adds(page)
    admin, officer = await house.sign_in("admin"), await house.sign_in("officer")
    assert await changes(house, officer.id) == [("passkey_added", "officer")]
    place, csrf = f"/admin/people/{officer.id}", {"csrf": admin.me["csrf"]}
    assert "Passkeys that open this account: 1" in (await admin.get(place)).body
    assert (await admin.call("POST", f"{place}/passkeys", data=csrf)).status == 303
    assert "Passkeys that open" not in (await admin.get(place)).body
    await page.get_by_role("button", name="Sign out").click()
    await page.get_by_role("button", name="Use a passkey").click()
    await page.get_by_text("does not open an account here").wait_for()
    assert await changes(house, officer.id) == [("passkey_added", "officer"), ("passkeys_removed", "administrator")]


async def test_one_that_its_owner_removes_is_in_the_log_and_nobody_removes_anothers(browser: Browser) -> None:
    page, house = browser.page, browser.house
    await adds(page)
    stranger, officer = await house.sign_in("officer2"), await house.sign_in("officer")
    (row,) = await house.desk.store.read(lambda session: every(session, PasskeyRow))
    for who, kept in ((stranger, 1), (officer, 0)):
        told = {"csrf": who.me["csrf"], "id": row.id}
        assert (await who.call("POST", "/account/passkeys/remove", data=told)).status == 303
        assert len(await house.desk.store.read(lambda session: every(session, PasskeyRow))) == kept
    assert [what for what, _ in await changes(house, officer.id)] == ["passkey_added", "passkey_removed"]
    assert await changes(house, stranger.id) == []


async def test_an_account_of_the_providers_is_opened_by_no_passkey(browser: Browser) -> None:
    """The force closes it there, and a key of ours would go on opening it."""
    page, house = browser.page, browser.house
    await adds(page)
    officer = await house.sign_in("officer")
    told = {"id": officer.id, "key": "https://idp.example t-1/o-olu"}
    await house.desk.store.write(
        lambda connection: connection.execute("UPDATE account SET provider_key = :key WHERE id = :id", told).rowcount
    )
    for path, body in (("/api/v1/passkeys/options", {}), ("/api/v1/passkeys", {"credential": {}})):
        refused = await officer.call("POST", path, body)
        assert (refused.status, refused.body["reasons"][0]["code"]) == (403, "provider-proves")
    await page.goto("/account")
    await page.get_by_text("the desk keeps no passkey for you").wait_for()
    assert await page.get_by_role("button", name="Add a passkey").count() == 0
    await page.get_by_role("button", name="Sign out").click()
    await page.get_by_role("button", name="Use a passkey").click()
    await page.get_by_text("does not open an account here").wait_for()


async def test_what_is_not_unlocked_opens_nothing_and_the_password_stays(browser: Browser) -> None:
    page = browser.page
    await signs_in(page)
    await page.goto("/account")
    told = {"authenticatorId": browser.key, "isUserVerified": False}
    await browser.device.send("WebAuthn.setUserVerified", told)
    await page.get_by_role("button", name="Add a passkey").click()
    await page.get_by_text("No passkey was used").wait_for()
    someone = await browser.house.sign_in("officer")
    forged = {
        "name": "x",
        "credential": {"id": "x", "response": {"clientDataJSON": "e30"}},
        "command_id": str(uuid.uuid4()),
    }
    assert (await someone.call("POST", "/api/v1/passkeys", forged)).status == 401


async def test_what_was_typed_stands_there_again_after_the_proof_and_not_after_it_was_sent(browser: Browser) -> None:
    """The form was opened in time, and sent when the proof was too old: somebody's safety needs it now."""
    page, house = browser.page, browser.house
    handler = await house.sign_in("handler")
    seen = await handler.get(f"/api/v1/cases/{await handler.open_case()}")
    reference, why = seen.body["reference"], "The sister rang: the suspect is at her door"
    reason = page.get_by_label("Why you need to see it")
    await signs_in(page)
    await page.goto("/break-glass")
    await page.get_by_label("Reference of the case").fill(reference)
    await reason.fill(why)
    house.pass_by(minutes=6)
    await page.get_by_role("button", name="Tell the sergeant and open the case").click()
    await page.get_by_role("heading", name="Confirm that it is you").wait_for()
    assert why not in await page.evaluate("Object.values(sessionStorage).join()")
    await page.get_by_label("Password").fill("another")
    await page.get_by_role("button", name="Confirm", exact=True).click()
    await page.get_by_role("alert").first.wait_for()
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Confirm", exact=True).click()
    await reason.wait_for()
    assert page.url.endswith("/break-glass")
    await expect(reason).to_have_value(why)
    await expect(page.locator("#case")).to_have_value(reference)
    await page.get_by_role("button", name="Tell the sergeant and open the case").click()
    await page.wait_for_url("**/cases/*")
    await page.goto("/break-glass")
    await page.wait_for_timeout(500)
    assert await reason.input_value() == "", "what was sent is no draft"
