"""What gives much away or gives rights wants a proof of the last minutes: a sign-in, or a password given anew."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rvr.store.tables import SigninRow, every
from rvr.web import confirming, exports
from rvr.web.app import ROUTES
from tests.serving import PASSWORD
from tests.web.in_process import SHIFT_S, Answer, House, Someone, in_process


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with in_process(tmp_path / "data") as made:
        yield made


def first(answer: Answer) -> str:
    return str(answer.body["reasons"][0]["code"]) if isinstance(answer.body, dict) else ""


async def test_an_export_an_old_sign_in_cannot_make_is_made_after_a_new_proof(house: House) -> None:
    evaluator = await house.sign_in("evaluator")
    assert (await evaluator.call("POST", "/api/v1/exports", {})).status == 200
    house.pass_by(minutes=6)
    refused = await evaluator.call("POST", "/api/v1/exports", {})
    assert (refused.status, first(refused)) == (403, "confirm-first")
    assert (await evaluator.get("/api/v1/timings")).status == 200, "what gives little away goes on"
    for path, sent in (
        ("/api/v1/session/confirm", {"body": {"password": "another"}}),
        ("/confirm", {"data": {"csrf": evaluator.me["csrf"], "password": "another"}}),
    ):
        assert (await evaluator.call("POST", path, **sent)).status == 401
    assert (await evaluator.call("POST", "/api/v1/exports", {})).status == 403
    assert (await evaluator.call("POST", "/api/v1/session/confirm", {"password": PASSWORD})).status == 204
    assert (await evaluator.call("POST", "/api/v1/exports", {})).status == 200


async def test_a_file_for_spss_of_more_than_the_serving_process_has_room_for_is_refused_with_the_way_round(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "MOST_EVENTS", 0)
    handler, evaluator = await house.sign_in("handler"), await house.sign_in("evaluator")
    await handler.open_case()
    refused = await evaluator.call("POST", "/api/v1/exports", {"formats": ["csv", "sav"]})
    assert (refused.status, first(refused)) == (422, "export-too-large")
    assert "run.py export --format" in refused.body["reasons"][0]["text"]
    assert (await evaluator.call("POST", "/api/v1/exports", {"formats": ["csv", "parquet"]})).status == 200


async def test_a_page_asks_and_leads_back_to_where_the_person_was(house: House) -> None:
    evaluator = await house.sign_in("evaluator")
    house.pass_by(minutes=6)
    csrf = evaluator.me["csrf"]
    from_page = {"Referer": f"{house.url}/evaluation?k=10"}
    asked = await evaluator.call("POST", "/evaluation/export", data={"csrf": csrf}, headers=from_page)
    assert asked.status == 403
    assert '<input type="hidden" name="to" value="/evaluation?k=10">' in asked.body
    proof = {"csrf": csrf, "to": "/evaluation?k=10", "password": PASSWORD}
    async with evaluator.session.post("/confirm", data=proof, allow_redirects=False) as done:
        assert (done.status, done.headers["Location"]) == (303, "/evaluation?k=10")
    assert (await evaluator.call("POST", "/evaluation/export", data={"csrf": csrf})).status == 200


async def test_somebody_elses_proof_and_too_many_tries_are_of_no_use(house: House) -> None:
    evaluator = await house.sign_in("evaluator")
    house.pass_by(minutes=6)
    tries = [await evaluator.call("POST", "/api/v1/session/confirm", {"password": "x"}) for _ in range(6)]
    assert [one.status for one in tries] == [401] * 5 + [429]
    stranger = await house.sign_in()
    assert (await stranger.call("POST", "/api/v1/session/confirm", {"password": PASSWORD})).status == 401


async def test_a_role_is_changed_by_an_administrator_who_proved_it_and_holds_at_once(house: House) -> None:
    admin, officer = await house.sign_in("admin"), await house.sign_in("officer2")

    async def changed(**more: str | list[str]) -> Answer:
        sent = {"csrf": admin.me["csrf"], "role": "advocate", "unit": "bswa", **more}
        return await admin.call("POST", f"/admin/people/{officer.id}/role", data=sent)

    house.pass_by(minutes=6)
    assert (await changed()).status == 403
    await proves(admin)
    assert (await changed(role="boss")).status == 400
    assert (await changed(unit="nowhere")).status == 400
    assert (await changed()).status == 303
    assert (await officer.get("/api/v1/session")).body["roles"] == ["advocate"]
    (recorded,) = [
        one for one in await house.desk.store.load(f"person/{officer.id}") if one.event.type == "AccountChanged"
    ]
    assert (recorded.event.by, recorded.event.by_role) == (admin.id, "administrator")
    assert recorded.event.fact.split()[0] == {"what": "roles", "roles": ("advocate",), "units": ("bswa",)}


async def test_nobody_gives_oneself_a_role(house: House) -> None:
    """An administrator sees no case; whoever could become a sergeant by one press would see them all."""
    admin = await house.sign_in("admin")
    asked = {"csrf": admin.me["csrf"], "role": "sergeant"}
    refused = await admin.call("POST", f"/admin/people/{admin.id}/role", data=asked)
    assert (refused.status, "your own account" in refused.body) == (422, True)
    assert (await admin.get("/api/v1/session")).body["roles"] == ["administrator"]
    page = (await admin.get(f"/admin/people/{admin.id}")).body
    assert "your own account" in page
    assert 'name="role"' not in page


async def proves(someone: Someone) -> None:
    assert (await someone.call("POST", "/api/v1/session/confirm", {"password": PASSWORD})).status == 204


def test_everything_that_is_passed_on_wants_it() -> None:
    """A route of its own for disclosures has no other category; moves disclose within the case, by its rules."""
    given = {(route.method, route.path) for route in ROUTES if route.access == ("disclosure",)}
    fresh = {(route.method, route.path) for route in ROUTES if route.fresh}
    assert given <= fresh
    assert ("POST", "/admin/people/{person}/role") in fresh


@pytest.mark.parametrize(
    "told", ["//evil.example", "https://evil.example", "/\\evil.example", "evil", "", "/a b", "/" * 400]
)
def test_nobody_is_led_elsewhere(told: str) -> None:
    assert confirming.place(told) == "/"


async def test_a_sign_in_that_ran_out_is_listed_no_more_and_its_row_goes(house: House) -> None:
    officer = await house.sign_in("officer")
    admin = await house.sign_in("admin")

    async def listed() -> tuple[bool, int]:
        page = (await admin.get(f"/admin/people/{officer.id}")).body
        rows = await house.desk.store.read(lambda session: every(session, SigninRow, SigninRow.person == officer.id))
        return "End every sign-in" in page, len(rows)

    assert await listed() == (True, 1)
    house.pass_by(seconds=SHIFT_S + 1)
    admin = await house.sign_in("admin")
    assert await listed() == (False, 0)
