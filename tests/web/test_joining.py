"""A seat that another desk on the database opened this moment is joined at the first knock."""

from __future__ import annotations

import uuid
from pathlib import Path

from rvr.core.commands import Actor, MakeMove
from rvr.desk import Desk
from rvr.realtime import Hub
from tests.serving import ROOT
from tests.web.in_process import House, Someone, in_process

OFFER = (ROOT / "tests/media/chromium-156-offer.sdp").read_text()


async def an_assigned_case(house: House, officer: Someone) -> str:
    handler, sergeant = await house.sign_in("handler"), await house.sign_in("sergeant")
    case = await handler.open_case()
    criteria = (await handler.get("/api/v1/workflows/da-desk")).body["criteria"]
    for who, move, form in (
        (handler, "answer_criteria", {"answers": {id_: one["met"] for id_, one in criteria.items()}}),
        (handler, "record_consent", {"consent_kind": "video", "consent_answer": "given"}),
        (handler, "offer_handover", {"note": "x"}),
        (sergeant, "accept_handover", {}),
        (sergeant, "assign_officer", {"officer": officer.id}),
    ):
        made = await who.move(case, move, form)
        assert made.status == 200, made.body
    return case


async def test_a_seat_that_another_desk_opened_this_moment_is_joined_at_the_first_knock(tmp_path: Path) -> None:
    async with in_process(tmp_path / "data") as house:
        officer, here = await house.sign_in("officer"), house.desk
        case = await an_assigned_case(house, officer)
        there = Desk(
            here.store,
            here.definitions,
            Hub(),
            observe=here.observe,
            join_url="https://j.test/j",
            link_text="",
            new_id=lambda: str(uuid.uuid4()),
        )
        await there.start()
        by = Actor(officer.id, frozenset({"officer"}), "")
        sent = await there.handle(MakeMove(str(uuid.uuid4()), case, "send_link", {}), by)
        assert sent.case.session is not None
        seat = sent.case.session.officer_seat
        sdp = {"Content-Type": "application/sdp"}
        answer = await officer.call("POST", f"/api/v1/media/{seat}", data=OFFER, headers=sdp)
        assert answer.status == 201, answer.body
