"""A look at a case outside one's own: a typed reason, half an hour, a supervisor told at once; and a conflict of
interest, which closes a case."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from rvr.core import events as e
from tests.web.in_process import Answer, House, Someone, in_process
from tests.web.test_access import form

REASON = "She rang back, and my colleague cannot be reached."


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with in_process(tmp_path / "data") as made:
        yield made


async def breaks(someone: Someone, case: str, reason: str = REASON) -> Answer:
    body = {"command_id": str(uuid.uuid4()), "reason": reason}
    return await someone.call("POST", f"/api/v1/cases/{case}/break-glass", body)


async def declares(someone: Someone, case: str, **more: Any) -> Answer:
    return await someone.call("POST", f"/api/v1/cases/{case}/conflict", {"command_id": str(uuid.uuid4()), **more})


TO_ACT = {
    "lose_contact": {"lost_reason": "call_cut"},
    "record_contact_attempt": {"attempt_result": "no_answer"},
}
"""Moves that each of them has on cases of the own."""


async def offered(someone: Someone, case: str) -> list[str]:
    return [move["id"] for move in (await someone.get(f"/api/v1/cases/{case}")).body["moves"]]


async def shown(someone: Someone, case: str) -> bool:
    """Whether the page of the case names the victim."""
    return "Testa Victim" in (await someone.get(f"/cases/{case}")).body


@pytest.mark.parametrize("username", ["handler2", "officer", "investigator"])
async def test_a_case_opens_for_half_an_hour_and_a_sergeant_hears_of_it_at_once(house: House, username: str) -> None:
    case = await (await house.sign_in("handler")).open_case()
    someone, sergeant = await house.sign_in(username), await house.sign_in("sergeant")
    assert not await shown(someone, case)
    before = len(await house.rows())
    async with sergeant.listening("/live?topics=board") as events:
        assert "glass" not in await anext(events)
        assert (await breaks(someone, case)).status == 201
        board = await asyncio.wait_for(anext(events), 5)
    assert "Somebody looks at a case outside the own ones" in board
    assert await shown(someone, case)
    row = (await house.rows(before))[0]
    assert (row.person, row.category, row.what, row.case_id) == (someone.id, "consultation", "break_glass", case)
    page = (await sergeant.get(f"/cases/{case}")).body
    assert REASON in page
    assert REASON not in (await someone.get(f"/cases/{case}")).body
    for move, given in TO_ACT.items():
        refused = await someone.move(case, move, given)
        codes = [reason["code"] for reason in refused.body["reasons"]]
        assert (refused.status, codes) == (403, ["not-your-case"]), "to look, not to act"
    assert set(await offered(someone, case)) <= {"dispatch_emergency"}
    house.pass_by(minutes=29)
    assert await shown(someone, case)
    house.pass_by(minutes=2)
    assert not await shown(someone, case)


async def test_the_reason_is_sealed_and_the_rows_come_again_from_the_log(house: House) -> None:
    case = await (await house.sign_in("handler")).open_case()
    someone = await house.sign_in("handler2")
    assert (await breaks(someone, case)).status == 201
    stored = await house.desk.store.look(
        lambda connection: connection.execute("SELECT public FROM event WHERE type = 'GlassBroken'").fetchall()
    )
    assert [REASON.encode() in bytes(public) for (public,) in stored] == [False]
    assert await house.desk.store.replay() == []
    assert await shown(someone, case)


async def test_without_a_reason_a_fresh_proof_or_the_role_nothing_opens(house: House) -> None:
    case = await (await house.sign_in("handler")).open_case()
    someone = await house.sign_in("handler2")
    for reason in ("", "because", "  x  " * 3, "a\u202eb" * 10, "long " * 101):
        refused = await breaks(someone, case, reason)
        assert (refused.status, refused.body["reasons"][0]["field"]) == (422, "reason"), reason
    for username in ("sergeant", "advocate", "evaluator", "auditor", "admin", "specialist", "interpreter"):
        assert (await breaks(await house.sign_in(username), case)).status == 403
    house.pass_by(minutes=6)
    assert (await breaks(someone, case)).body["reasons"][0]["code"] == "confirm-first"
    assert not await shown(someone, case)


async def test_the_page_finds_the_case_by_its_reference(house: House) -> None:
    handler, someone = await house.sign_in("handler"), await house.sign_in("handler2")
    case = await handler.open_case()
    reference = (await handler.get(f"/api/v1/cases/{case}")).body["reference"]
    refused = await someone.call("POST", "/break-glass", data=form(someone, case="ZZZ-ZZZ", reason=REASON))
    assert (refused.status, "There is no case with this reference" in refused.body) == (404, True)
    assert REASON in refused.body, "what was typed stays"
    told = form(someone, case=reference.lower(), reason=REASON)
    assert (await someone.call("POST", "/break-glass", data=told)).status == 303
    assert await shown(someone, case)


@pytest.mark.parametrize("way", ["page", "reference", "id"])
async def test_a_refused_try_is_in_the_access_log_by_whichever_way_it_came(house: House, way: str) -> None:
    handler, officer = await house.sign_in("handler"), await house.sign_in("officer")
    case = await handler.open_case()
    reference = (await handler.get(f"/api/v1/cases/{case}")).body["reference"]

    async def tries(reason: str) -> list[tuple[str | None, str]]:
        """The rows of one try, by a sign-in that has made none."""
        someone, before = await house.sign_in("officer"), len(await house.rows())
        if way == "page":
            await someone.call("POST", "/break-glass", data=form(someone, case=reference, reason=reason))
        else:
            await breaks(someone, reference if way == "reference" else case, reason)
        return [(row.case_id, row.what) for row in await house.rows(before)]

    assert await tries("short") == [(case, "refused:break-glass")]
    assert await tries(REASON) == [(case, "break_glass")]
    assert (await declares(officer, case)).status == 204
    assert await tries(REASON) == [(case, "refused:conflict-declared")]


async def test_a_declared_conflict_closes_the_case_and_no_reason_opens_it(house: House) -> None:
    handler, sergeant, other = [await house.sign_in(one) for one in ("handler", "sergeant", "sergeant2")]
    officer = await house.sign_in("officer")
    case = await handler.open_case()
    assert (await declares(handler, case)).status == 422, "nobody is left alone on the line"
    assert (await breaks(officer, case)).status == 201
    for someone in (sergeant, officer):
        assert await shown(someone, case)
        assert (await declares(someone, case, note="A neighbour.")).status == 204
        assert (await someone.get(f"/cases/{case}")).status == 404
        assert (await someone.move(case, "correct_details", {"code_word": "lantern"})).status in (403, 404)
        assert (await declares(someone, case)).status == 404
    assert (await breaks(officer, case)).status == 403
    assert await shown(other, case)
    facts = [one.event.fact for one in await house.desk.log(case)]
    assert [one.to_role for one in facts if isinstance(one, e.AlarmRaised)] == ["sergeant", "inspector", "sergeant"]
    await answered(handler, case)
    assert (await sergeant.move(case, "accept_handover")).status == 404
    assert (await other.move(case, "accept_handover")).status == 200
    refused = await other.move(case, "assign_officer", {"officer": officer.id})
    assert refused.body["reasons"][0]["code"] == "officer-has-conflict"


async def test_an_inspector_opens_a_case_again_that_was_closed_in_error(house: House) -> None:
    handler, sergeant, other = [await house.sign_in(one) for one in ("handler", "sergeant", "sergeant2")]
    inspector = await house.sign_in("inspector")
    case = await handler.open_case()
    assert (await declares(sergeant, case)).status == 204

    async def lifts(someone: Someone, reason: str = "Another family of that name.") -> Answer:
        told = {"command_id": str(uuid.uuid4()), "person": sergeant.id, "reason": reason}
        return await someone.call("POST", f"/api/v1/cases/{case}/conflict/lift", told)

    assert [(await lifts(one)).status for one in (sergeant, other, handler)] == [403, 403, 403]
    assert (await lifts(inspector, "error")).body["reasons"][0]["field"] == "reason"
    page = (await inspector.get(f"/cases/{case}")).body
    assert f'value="{sergeant.id}"' in page
    assert "/conflict/lift" not in (await other.get(f"/cases/{case}")).body
    assert (await lifts(inspector)).status == 204
    assert (await lifts(inspector)).body["reasons"][0]["code"] == "no-conflict"
    assert await shown(sergeant, case)
    page = (await inspector.get(f"/cases/{case}")).body
    assert "Another family of that name." in page
    assert "/conflict/lift" not in page
    assert [one.event.type for one in await house.desk.log(case)][-1] == "ConflictLifted"
    assert await house.desk.store.replay() == []
    house.pass_by(minutes=6)
    assert (await declares(other, case)).status == 204
    assert (await lifts(inspector)).body["reasons"][0]["code"] == "confirm-first"


async def test_no_inspector_lifts_the_own_conflict(house: House) -> None:
    handler, inspector = await house.sign_in("handler"), await house.sign_in("inspector")
    case = await handler.open_case()
    assert (await declares(inspector, case)).status == 204
    told = {"command_id": str(uuid.uuid4()), "person": inspector.id, "reason": "I do not know them after all."}
    assert (await inspector.call("POST", f"/api/v1/cases/{case}/conflict/lift", told)).status == 404
    assert not await shown(inspector, case)


@pytest.mark.parametrize(("username", "accepts"), [("sergeant", True), ("resourcing", False)])
async def test_a_board_offers_nobody_a_case_that_is_closed_to_them(
    house: House, username: str, *, accepts: bool
) -> None:
    """A press there would be refused, and stand in the access log as if somebody had pried."""
    handler, someone = await house.sign_in("handler"), await house.sign_in(username)
    case = await handler.open_case()
    await answered(handler, case)
    assert (await handler.move(case, "dispatch_emergency")).status == 200
    reference = (await handler.get(f"/api/v1/cases/{case}")).body["reference"]

    async def board() -> tuple[bool, bool, bool]:
        page = (await someone.get("/")).body
        return reference in page, f'href="/cases/{case}"' in page, f"/cases/{case}/moves/accept_handover" in page

    assert await board() == (True, True, accepts)
    assert (await declares(someone, case)).status == 204
    assert await board() == (True, False, False)


async def answered(handler: Someone, case: str) -> None:
    criteria = (await handler.get("/api/v1/workflows/da-desk")).body["criteria"]
    for move, given in (
        ("answer_criteria", {"answers": {name: one["met"] for name, one in criteria.items()}}),
        ("record_consent", {"consent_kind": "video", "consent_answer": "given"}),
        ("offer_handover", {"note": "calm"}),
    ):
        assert (await handler.move(case, move, given)).status == 200


async def test_a_sergeant_who_declined_for_a_conflict_does_not_accept_later(house: House) -> None:
    handler, sergeant, other = [await house.sign_in(one) for one in ("handler", "sergeant", "sergeant2")]
    case = await handler.open_case()
    await answered(handler, case)
    declined = await sergeant.move(case, "decline_handover", {"decline_reason": "conflict_of_interest"})
    assert declined.status == 200
    assert (await handler.move(case, "offer_handover", {"note": "again"})).status == 200
    assert (await sergeant.move(case, "accept_handover")).status == 404
    assert not await shown(sergeant, case)
    assert (await other.move(case, "accept_handover")).status == 200
