"""A guest's way in and what a guest is kept from: other links, other seats, the case, and the call while on hold."""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rvr import calls
from rvr.core.commands import Actor
from rvr.media import Room
from tests.serving import OPENING, ROOT
from tests.web.in_process import Answer, House, Someone, in_process
from tests.web.test_access import named_in, tell

pytestmark = pytest.mark.timeout(120)

OFFER = (ROOT / "tests/media/chromium-156-offer.sdp").read_text()
SDP = {"Content-Type": "application/sdp"}
WHO = {"name": "Ina Example", "declared": True}


@dataclass
class Call:
    """A call into which an interpreter was asked."""

    house: House
    case: str
    officer: Someone
    victim: Someone
    guest: Someone
    link: str
    victims_link: str

    async def join(self, someone: Someone, token: str, **who: Any) -> Answer:
        """A tap on a guest's Join; the page was looked at before."""
        await someone.get("/g")
        answer = await someone.call("POST", "/api/v1/guest", {"token": token, **(who or WHO)})
        someone.me = {"csrf": answer.body["csrf"]} if answer.status == 200 else {}
        return answer

    async def room(self) -> Room:
        (room,) = (await calls.wanted_rooms(self.house.desk.store)).values()
        return room

    async def passes(self, seat: str) -> bool | None:
        """Whether anything passes to and from this seat; None: it is none."""
        found = (await self.room()).seat(seat)
        return found.admitted if found else None

    async def guest_id(self) -> str:
        session = (await self.house.desk.case(self.case)).session
        assert session is not None
        return list(session.guests)[-1]

    async def offers(self, someone: Someone, seat: str) -> int:
        answer = await someone.call("POST", f"/api/v1/media/{seat}", data=OFFER, headers=SDP)
        return answer.status


async def links_of(house: House) -> list[str]:
    """The tokens that were sent, the newest first."""
    someone = await house.sign_in()
    sent = (await someone.get("/api/v1/demo/outbox")).body["messages"]
    return [re.search(r"/[gj]#([\w-]+)", one["body"])[1] for one in sent if "#" in one["body"]]  # type: ignore[index]


@pytest.fixture
async def call(tmp_path: Path) -> AsyncIterator[Call]:
    async with in_process(tmp_path / "data") as house:
        story = await tell(house)
        case, officer = story.cases["now"], await house.sign_in("officer")
        (victims,) = await links_of(house)
        victim = await house.sign_in()
        await victim.get("/j")
        victim.me = {"csrf": (await victim.call("POST", "/api/v1/join", {"token": victims})).body["csrf"]}
        answer = await officer.move(case, "invite_guest", {"guest_to": "07700 900111", "guest_role": "interpreter"})
        assert answer.status == 200, answer.body
        link, _ = await links_of(house)
        yield Call(house, case, officer, victim, await house.sign_in(), link, victims)


async def test_the_message_says_nothing_of_the_people_and_the_access_log_to_whom_it_went(call: Call) -> None:
    newest = (await call.officer.get("/api/v1/demo/outbox")).body["messages"][0]
    assert newest["to"] == "+447700900111"
    assert not any(
        name in newest["body"] for name in (OPENING["victim_name"], OPENING["suspect_name"], "police", "abuse")
    )
    row = [r for r in await call.house.rows() if r.what == "invite_guest"][-1]
    assert (row.category, row.recipient, row.case_id) == ("disclosure", "interpreter", call.case)


async def test_a_guest_comes_in_by_the_victims_yes_and_is_held_and_let_back_by_one_press(call: Call) -> None:
    joined = await call.join(call.guest, call.link)
    seat, guest = joined.body["seat"], await call.guest_id()
    assert joined.body["state"] == "asked"
    assert await call.passes(seat) is False
    for action, told in (("hold", False), ("admit", False), ("back", True), ("hold", False), ("back", True)):
        answer = await call.victim.call("POST", f"/api/v1/join/{action}", {"guest": guest})
        assert (answer.status, await call.passes(seat)) == (204, told), action
    assert (await call.officer.move(call.case, "hold_guest", {"guest": guest})).status == 200
    assert await call.passes(seat) is False
    assert (await call.victim.call("POST", "/api/v1/join/back", {"guest": guest})).status == 422


async def test_the_link_is_the_first_browsers_and_the_log_says_that_another_tried(call: Call) -> None:
    assert (await call.join(call.guest, call.link)).status == 200
    other = await call.house.sign_in()
    refused = await call.join(other, call.link)
    assert (refused.status, refused.body["reasons"][0]["code"]) == (422, "link-second-browser")
    assert (await call.join(call.guest, call.link)).status == 200, "the same browser comes back"
    types = [one.event.type for one in await call.house.desk.log(call.case)]
    assert (types.count("LinkRefused"), types.count("GuestArrived")) == (1, 1)


async def test_who_does_not_declare_or_say_a_name_binds_nothing(call: Call) -> None:
    for who in ({"name": "", "declared": True}, {"name": "Ina Example", "declared": False}, {"name": "\u202e"}):
        answer = await call.join(call.guest, call.link, **who)
        assert answer.status == 422
        assert {reason["field"] for reason in answer.body["reasons"]} <= {"guest_name", "declared"}
    assert (await call.join(await call.house.sign_in(), call.link)).status == 200, "nobody had taken it"


async def test_a_link_of_the_one_kind_is_none_for_the_other(call: Call) -> None:
    stranger = await call.house.sign_in()
    await stranger.get("/j")
    as_victim = await stranger.call("POST", "/api/v1/join", {"token": call.link})
    as_guest = await call.join(call.guest, call.victims_link)
    for answer in (as_victim, as_guest):
        assert (answer.status, answer.body["reasons"][0]["code"]) == (404, "link-unknown")
    types = [one.event.type for one in await call.house.desk.log(call.case)]
    assert "GuestArrived" not in types


async def test_a_guest_sees_nothing_of_the_case_and_does_nothing_there(call: Call) -> None:
    joined = await call.join(call.guest, call.link)
    for answer in (joined, await call.guest.get("/g")):
        assert named_in(answer) == []
    reference = (await call.house.desk.case(call.case)).reference
    assert reference not in str(joined.body)
    for path in (f"/api/v1/cases/{call.case}", f"/api/v1/cases/{call.case}/events", "/api/v1/board", "/live", "/audit"):
        assert (await call.guest.get(path)).status == 401, path
    for move in ("end_session", "admit_guest", "victim_exit"):
        assert (await call.guest.move(call.case, move)).status == 401
    for action in ("exit", "unsafe", "present", "admit", "device"):
        answer = await call.guest.call("POST", f"/api/v1/join/{action}", {"guest": await call.guest_id()})
        assert answer.status == 401, action
    for action in ("exit", "admit", "back", "hold"):
        assert (await call.guest.call("POST", f"/api/v1/guest/{action}", {})).status == 404, action


async def test_a_seat_is_its_own_persons_alone(call: Call) -> None:
    seat = (await call.join(call.guest, call.link)).body["seat"]
    session = (await call.house.desk.case(call.case)).session
    assert session is not None
    assert await call.offers(call.guest, seat) == 201
    for someone in (call.victim, await call.house.sign_in()):
        assert await call.offers(someone, seat) == 404
    assert await call.offers(call.guest, session.victim_seat) == 404
    assert await call.offers(call.guest, session.officer_seat) == 401
    assert await call.offers(call.guest, "free-0") == 404
    await call.officer.move(call.case, "invite_guest", {"guest_to": "ada@example.org", "guest_role": "advocate"})
    other = await call.house.sign_in()
    own = (await call.join(other, (await links_of(call.house))[0])).body["seat"]
    assert [await call.offers(other, one) for one in (own, seat)] == [201, 404]


async def test_who_is_removed_is_out_and_the_link_is_dead(call: Call) -> None:
    seat, guest = (await call.join(call.guest, call.link)).body["seat"], await call.guest_id()
    await call.victim.call("POST", "/api/v1/join/admit", {"guest": guest})
    async with call.guest.listening("/api/v1/guest/live") as told:
        assert '"state": "admitted"' in await anext(told)
        assert (await call.officer.move(call.case, "remove_guest", {"guest": guest})).status == 200
        assert '"ended"' in await anext(told)
    assert await call.passes(seat) is None
    assert await call.offers(call.guest, seat) == 404
    assert (await call.join(call.guest, call.link)).status == 422
    assert (await call.guest.call("POST", "/api/v1/guest", {})).status == 401


async def test_quick_exit_and_the_end_of_the_session_shut_every_guest_out(call: Call) -> None:
    await call.join(call.guest, call.link)
    await call.victim.call("POST", "/api/v1/join/exit", {})
    assert len((await call.room()).seats) == 2
    assert (await call.guest.call("POST", "/api/v1/guest", {})).status == 401


async def test_a_supervisor_has_a_seat_of_the_own_and_nobody_elses(call: Call) -> None:
    sergeant, other = [await call.house.sign_in(name) for name in ("sergeant", "sergeant2")]
    seat = (await sergeant.move(call.case, "supervise_call")).body["session"]["seat"]
    assert await call.passes(seat) is False
    assert [await call.offers(one, seat) for one in (sergeant, other)] == [201, 403]
    looks = [row for row in await call.house.rows() if row.person == sergeant.id and row.what == "call"]
    assert len(looks) == 1
    assert (await other.move(call.case, "leave_seat")).status == 422
    assert (await sergeant.move(call.case, "leave_seat")).status == 200
    assert await call.passes(seat) is None


async def test_a_conflict_of_interest_ends_the_seat_with_the_case(call: Call) -> None:
    """Whoever declares one in another tab, or gives the case away for one, hears and sees the victim no more."""
    sergeant, other, third = [await call.house.sign_in(name) for name in ("sergeant", "sergeant2", "inspector")]
    seats = []
    for who in (sergeant, other):
        seats.append((await who.move(call.case, "supervise_call")).body["session"]["seat"])
        assert await call.offers(who, seats[-1]) == 201
        if who is sergeant:
            told = {"command_id": str(uuid.uuid4())}
            assert (await who.call("POST", f"/api/v1/cases/{call.case}/conflict", told)).status == 204
        else:
            assert (await who.move(call.case, "take_over", {"take_over_reason": "end_of_shift"})).status == 200
            given = {"take_over_reason": "conflict_of_interest"}
            assert (await third.move(call.case, "take_over", given)).status == 200
        assert await call.passes(seats[-1]) is None
        assert await call.offers(who, seats[-1]) == 404
    removed = [one.event.by for one in await call.house.desk.log(call.case) if one.event.type == "GuestRemoved"]
    assert removed == [sergeant.id, third.id]
    assert len((await call.room()).seats) == 2


@pytest.mark.parametrize(("role", "status"), [("inspector", 201), ("officer", 403), ("investigator", 403)])
async def test_a_seat_is_for_the_role_that_it_was_taken_in(call: Call, role: str, status: int) -> None:
    sergeant, admin = [await call.house.sign_in(name) for name in ("sergeant", "admin")]
    seat = (await sergeant.move(call.case, "supervise_call")).body["session"]["seat"]
    await becomes(admin, sergeant, role)
    assert await call.offers(sergeant, seat) == status


async def test_the_officers_seat_is_an_officers(call: Call) -> None:
    session = (await call.house.desk.case(call.case)).session
    assert session is not None
    await becomes(await call.house.sign_in("admin"), call.officer, "advocate")
    assert await call.offers(call.officer, session.officer_seat) == 403


@pytest.mark.parametrize(
    ("roles", "units", "suits"),
    [
        ({"advocate"}, {"bswa"}, True),
        ({"advocate"}, {"black_country"}, False),
        ({"sergeant"}, {"bswa"}, False),
        (set(), {"bswa"}, False),
    ],
)
def test_the_seat_of_an_organisation_is_for_whoever_belongs_to_it(
    roles: set[str], units: set[str], *, suits: bool
) -> None:
    seat = calls.Held("room", "seat", "ada", calls.ADVOCATES, "bswa")
    assert seat.suits(Actor("ada", frozenset(roles), units=frozenset(units))) is suits
    assert not seat.suits(Actor("ann", frozenset(roles), units=frozenset(units)))


async def becomes(admin: Someone, someone: Someone, role: str, *units: str) -> None:
    told = [("csrf", admin.me["csrf"]), ("role", role), *(("unit", unit) for unit in units)]
    assert (await admin.call("POST", f"/admin/people/{someone.id}/role", data=told)).status == 303


async def test_a_guests_name_is_for_the_desk_alone(call: Call) -> None:
    await call.join(call.guest, call.link)
    people = (await call.officer.get(f"/api/v1/cases/{call.case}")).body["session"]["people"]
    assert [one["name"] for one in people if one["role"] == "interpreter"] == ["Ina Example"]
    events = (await call.officer.get(f"/api/v1/cases/{call.case}/events")).body
    told = (await call.victim.call("POST", "/api/v1/join", {})).body
    assert "Ina" not in str(events)
    assert "Ina" not in str(told)
