"""The one door on a real store: races with one winner, repeats with one effect, links, media, clocks and restarts."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.event import listen

from rvr import calls, joining, links, metrics
from rvr.carriers import TurnedDown, Word
from rvr.core import events as e
from rvr.core.case import fold
from rvr.core.commands import Actor, Command, MakeMove, OpenCase, SetDuty
from rvr.core.errors import Forbidden, NotFound, Refused, Reused, RvrError, Stale
from rvr.core.moment import Moment, iso
from rvr.definitions import Definitions, load
from rvr.desk import BOARD, Desk, Outcome
from rvr.media import Room, Seat
from rvr.outbox import ASK_MOST_S, ASK_UNTIL_S, HELD_S, RETRY_S, Outbox
from rvr.realtime import Hub
from rvr.store import Store
from rvr.store.messages import Message, latest
from rvr.store.statements import put
from rvr.store.tables import AccountRow, CaseRow, every
from rvr.ticker import Ticker
from rvr.web import boards
from tests.builders import (
    HANDLER,
    OFFICER,
    OFFICER_2,
    OPENING,
    SERGEANT,
    SERGEANT_2,
    STAFF,
    START,
    THE_VICTIM,
    WORKFLOWS,
    Universe,
    all_met,
    shipped,
)
from tests.store.builders import Clock, Place, an_order


@dataclass
class AtWork:
    """A desk with its people, on a store that can be closed and opened again."""

    place: Place
    universe: Universe
    store: Store
    desk: Desk

    async def reopen(self, defined: Definitions | None = None) -> None:
        await self.store.close()
        self.store, self.desk = await _open(self.place, self.universe, defined or shipped())

    async def does(self, who: Actor, case: str, move: str, **form: Any) -> Outcome:
        return await self.desk.handle(MakeMove(self.universe.new_id(), case, move, form), who)

    async def a_case(self, in_: str = "handover", **form: Any) -> str:
        """A case in call_taking, handover, accepted or waiting_room, driven through the door."""
        opening = OpenCase(self.universe.new_id(), dict(OPENING) | form)
        case = (await self.desk.handle(opening, HANDLER)).case.id
        for state, moves in _WAY:
            if in_ == state:
                break
            for who, move, told in moves:
                await self.does(who, case, move, **told)
        return case

    async def a_token(self, case: str) -> str:
        """The token of the newest link, read from the text that the victim would get."""
        found = await self.store.read(lambda session: latest(session, self.store.sealer))
        session = (await self.desk.case(case)).session
        assert session is not None
        body = next(one.message.body for one in found if one.message.id == session.link)
        return body.partition("#")[2]

    async def types(self, case: str) -> list[str]:
        return [recorded.event.type for recorded in await self.desk.log(case)]


_WAY: tuple[tuple[str, tuple[tuple[Actor, str, Mapping[str, Any]], ...]], ...] = (
    (
        "call_taking",
        (
            (HANDLER, "answer_criteria", all_met()),
            (HANDLER, "record_consent", {"consent_kind": "video", "consent_answer": "given"}),
            (HANDLER, "offer_handover", {}),
        ),
    ),
    ("handover", ((SERGEANT, "accept_handover", {}),)),
    ("accepted", ((SERGEANT, "assign_officer", {"officer": OFFICER.id}), (OFFICER, "send_link", {}))),
    ("waiting_room", ()),
)


async def _open(place: Place, universe: Universe, defined: Definitions) -> tuple[Store, Desk]:
    store = Store(place, force="wmp", observe=universe)
    await store.start()
    text = "Here is the link {for you}: {link}"
    desk = Desk(
        store,
        defined,
        Hub(),
        observe=universe,
        join_url="https://j.test",
        link_text=text,
        new_id=universe.new_id,
        staff_url="https://rvr.test",
    )
    await desk.start()
    return store, desk


@pytest.fixture
async def at(tmp_path: Path) -> AsyncIterator[AtWork]:
    place, universe = Place(tmp_path / "data", tmp_path / "keys" / "keys.json"), Universe()
    store, desk = await _open(place, universe, shipped())
    for who in (*STAFF, SERGEANT_2, OFFICER_2):
        row = AccountRow(id=who.id, username=who.id, name=who.name, roles=sorted(who.roles), password_hash="")
        await store.write(lambda connection, row=row: put(connection, row))
    for who in (OFFICER, OFFICER_2):
        await desk.handle(SetDuty(universe.new_id(), who.id, "on"), who)
    working = AtWork(place, universe, store, desk)
    yield working
    await working.store.close()


async def at_once(*commands: Any) -> tuple[list[Any], list[Exception]]:
    """All of them started together: what succeeded, and what was refused."""
    done = await asyncio.gather(*commands, return_exceptions=True)
    assert all(isinstance(one, RvrError) for one in done if isinstance(one, BaseException)), done
    return [one for one in done if not isinstance(one, Exception)], [one for one in done if isinstance(one, Exception)]


# --- Races and repeats -------------------------------------------------------------------------------------------


async def test_of_two_sergeants_who_accept_at_once_one_wins_and_the_other_is_told_who(at: AtWork) -> None:
    case = await at.a_case("handover")
    won, lost = await at_once(*(at.does(who, case, "accept_handover") for who in (SERGEANT, SERGEANT_2)))
    assert (len(won), len(lost)) == (1, 1)
    winner = {SERGEANT.id: SERGEANT, SERGEANT_2.id: SERGEANT_2}[won[0].case.sergeant]
    (refused,) = lost
    assert isinstance(refused, Refused)
    told = {reason.code: reason.params for reason in refused.reasons}
    assert set(told) == {"not-from-here", "somebody-else-did"}
    assert told["somebody-else-did"]["who"] == winner.name
    assert (await at.types(case)).count("HandoverAccepted") == 1


async def test_a_sergeant_who_saw_an_earlier_version_is_told_what_changed_and_by_whom(at: AtWork) -> None:
    case = await at.a_case("handover")
    version = (await at.desk.case(case)).version
    await at.does(SERGEANT, case, "accept_handover")
    late = MakeMove(at.universe.new_id(), case, "accept_handover", {}, expected_version=version)
    with pytest.raises(Stale) as stale:
        await at.desk.handle(late, SERGEANT_2)
    assert stale.value.reasons[0].params == {"what": "HandoverAccepted", "who": SERGEANT.name}
    assert stale.value.extra["version"] == version + 2
    assert [one["type"] for one in stale.value.extra["changed"]] == ["CapacityNoted", "HandoverAccepted"]


async def test_what_the_workflow_did_by_itself_is_named_too_when_it_overtook_somebody(at: AtWork) -> None:
    case = await at.a_case("handover")
    version = (await at.desk.case(case)).version
    at.universe.pass_(300)
    await Ticker(at.desk).tick()
    with pytest.raises(Stale) as stale:
        await at.desk.handle(MakeMove("late", case, "accept_handover", {}, expected_version=version), SERGEANT)
    assert stale.value.reasons[0].params["who"] == "bot"


async def test_the_last_free_officer_goes_to_one_of_two_sergeants(at: AtWork) -> None:
    await at.desk.handle(SetDuty("away", OFFICER_2.id, "off"), OFFICER_2)
    one, other = await at.a_case("accepted"), await at.a_case("accepted")
    given, refused = await at_once(
        at.does(SERGEANT, one, "assign_officer", officer=OFFICER.id),
        at.does(SERGEANT_2, other, "assign_officer", officer=OFFICER.id),
    )
    assert (len(given), len(refused)) == (1, 1)
    assert [reason.code for reason in refused[0].reasons] == ["officer-not-free"]
    assert (await at.desk.roster())[OFFICER.id].case == given[0].case.id
    assert (await at.desk.capacity()).free == 0


async def test_a_decision_that_was_overtaken_is_made_again_and_none_is_lost(at: AtWork) -> None:
    case = await at.a_case("call_taking")
    details = [f"{number} Example Street" for number in range(12)]
    done, refused = await at_once(*(at.does(HANDLER, case, "correct_details", address=one) for one in details))
    assert (len(done), refused) == (12, [])
    written = [recorded.event.fact for recorded in await at.desk.log(case)]
    assert {fact.personal["address"] for fact in written if isinstance(fact, e.DetailsRecorded)} == set(details)
    assert await at.store.verify() == []


@pytest.mark.parametrize(
    "command",
    [
        OpenCase("again", OPENING),
        MakeMove("again", "CASE", "accept_handover"),
        SetDuty("again", OFFICER.id, "break"),
    ],
)
async def test_the_same_command_again_gives_the_same_answer_and_is_written_once(at: AtWork, command: Command) -> None:
    case = await at.a_case("handover")
    who = {OpenCase: HANDLER, MakeMove: SERGEANT, SetDuty: OFFICER}[type(command)]
    if isinstance(command, MakeMove):
        command = MakeMove("again", case, "accept_handover")
    first = await at.desk.handle(command, who)
    position = await at.store.position()
    second = await at.desk.handle(command, who)
    assert (first.repeated, second.repeated) == (False, True)
    assert (second.case, second.recorded) == (first.case, ())
    assert await at.store.position() == position


async def test_twenty_times_the_same_command_at_once_is_written_once(at: AtWork) -> None:
    case = await at.a_case("handover")
    command = MakeMove("same", case, "accept_handover")
    done, refused = await at_once(*(at.desk.handle(command, SERGEANT) for _ in range(20)))
    assert (len(done), refused) == (20, [])
    assert len({(one.case.version, one.case.state) for one in done}) == 1
    assert (await at.types(case)).count("HandoverAccepted") == 1


async def test_the_answer_of_a_repeated_command_is_the_case_as_it_was_then(at: AtWork) -> None:
    case = await at.a_case("handover")
    command = MakeMove("then", case, "accept_handover")
    first = await at.desk.handle(command, SERGEANT)
    await at.does(SERGEANT, case, "hand_back", hand_back_reason="victim_asked")
    assert (await at.desk.handle(command, SERGEANT)).case == first.case


async def test_a_command_id_used_for_another_request_is_refused_and_may_be_another_persons(at: AtWork) -> None:
    case = await at.a_case("call_taking")
    await at.desk.handle(MakeMove("mine", case, "correct_details", {"address": "1 Road"}), HANDLER)
    with pytest.raises(Reused):
        await at.desk.handle(MakeMove("mine", case, "correct_details", {"address": "2 Road"}), HANDLER)
    await at.desk.handle(MakeMove("mine", case, "correct_details", {"address": "2 Road"}), SERGEANT)


async def test_what_is_not_there_is_not_found(at: AtWork) -> None:
    case = await at.a_case("call_taking")
    for command in (
        MakeMove("a", "no-case", "accept_handover"),
        MakeMove("b", case, "fly"),
        OpenCase("c", OPENING, "no-workflow"),
        SetDuty("d", HANDLER.id, "on"),
    ):
        with pytest.raises(NotFound):
            await at.desk.handle(command, SERGEANT if isinstance(command, SetDuty) else HANDLER)
    with pytest.raises(Forbidden):
        await at.desk.handle(MakeMove("e", case, "accept_handover"), HANDLER)


async def test_a_refused_command_leaves_nothing_behind(at: AtWork) -> None:
    case, position = await at.a_case("call_taking"), await at.store.position()
    with pytest.raises(Refused):
        await at.does(HANDLER, case, "offer_handover")
    assert await at.store.position() == position


async def test_every_screen_that_listens_hears_of_it_in_order_after_it_is_written(at: AtWork) -> None:
    case = await at.a_case("handover")
    board, other = at.desk.hub.listen([BOARD]), at.desk.hub.listen(["case/other"])
    await at.does(SERGEANT, case, "accept_handover")
    heard = [board.queue.get_nowait() for _ in range(board.queue.qsize())]
    assert [(message.type, message.subject) for message in heard] == [
        ("CapacityNoted", case),
        ("HandoverAccepted", case),
    ]
    assert heard[-1].position == await at.store.position()
    assert other.queue.empty()


async def test_a_media_plane_that_fails_does_not_undo_what_was_recorded(at: AtWork) -> None:
    case = await at.a_case("handover")

    async def broken(_: object) -> None:
        raise OSError("no worker")

    at.desk.on_recorded = broken
    assert (await at.does(SERGEANT, case, "accept_handover")).case.state == "accepted"


# --- Links -------------------------------------------------------------------------------------------------------


async def test_a_links_token_is_nowhere_in_the_database(at: AtWork) -> None:
    case = await at.a_case("waiting_room")
    token = await at.a_token(case)
    assert len(token) >= 43
    await joining.redeem(at.desk, token, "browser")
    connection = at.place.connection()
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    text = "".join(repr(row) for table in tables for row in connection.execute(f'SELECT * FROM "{table}"'))  # noqa: S608
    connection.close()
    assert links.hash_of(token) in text, "the search looks where links are"
    assert token not in text
    assert all(token.encode() not in file.read_bytes() for file in at.place.data.iterdir())


async def test_the_first_browser_opens_the_link_and_comes_back_silently(at: AtWork) -> None:
    case = await at.a_case("waiting_room")
    token = await at.a_token(case)
    first, again = await joining.redeem(at.desk, token, "browser"), await joining.redeem(at.desk, token, "browser")
    assert first.id == again.id
    assert first.seat == (await at.desk.case(case)).session.victim_seat  # type: ignore[union-attr]
    assert (await at.types(case)).count("LinkOpened") == 1
    found = await joining.seat_of(at.desk.store, "browser")
    assert found is not None
    assert (found.case_id, await joining.seat_of(at.desk.store, "other")) == (case, None)


async def test_a_second_browser_is_refused_and_written_down(at: AtWork) -> None:
    case = await at.a_case("waiting_room")
    token = await at.a_token(case)
    await joining.redeem(at.desk, token, "browser")
    with pytest.raises(Refused, match="link-second-browser"):
        await joining.redeem(at.desk, token, "other")
    last = (await at.desk.log(case))[-1].event
    assert isinstance(last.fact, e.LinkRefused)
    assert (last.fact.because, last.by_role) == ("second_browser", "unknown_browser")
    assert await joining.redeem(at.desk, token, "browser")


async def test_an_unopened_link_dies_after_its_minutes_and_an_opened_one_does_not(at: AtWork) -> None:
    case, other = await at.a_case("waiting_room"), await at.a_case("accepted")
    token = await at.a_token(case)
    at.universe.pass_(15 * 60)
    await at.does(SERGEANT, other, "assign_officer", officer=OFFICER_2.id)
    await at.does(OFFICER_2, other, "send_link")
    young = await at.a_token(other)
    await joining.redeem(at.desk, young, "young")
    at.universe.pass_(1)
    with pytest.raises(Refused, match="link-expired"):
        await joining.redeem(at.desk, token, "browser")
    at.universe.pass_(3600)
    assert await joining.redeem(at.desk, young, "young")


async def test_a_new_link_ends_one_that_nobody_opened_and_leaves_whoever_has_joined(at: AtWork) -> None:
    case = await at.a_case("waiting_room")
    unopened = await at.a_token(case)
    await at.does(OFFICER, case, "resend_link")
    with pytest.raises(Refused, match="link-revoked"):
        await joining.redeem(at.desk, unopened, "browser")
    joined = await at.a_token(case)
    first = await joining.redeem(at.desk, joined, "browser")
    await at.does(OFFICER, case, "resend_link")
    assert (await joining.redeem(at.desk, joined, "browser")).id == first.id
    assert await joining.seat_of(at.desk.store, "browser") is not None, "help and exit still reach the desk"
    assert (await joining.redeem(at.desk, await at.a_token(case), "browser")).id != first.id


async def test_a_tap_that_races_with_a_new_link_is_settled_once_and_for_all(at: AtWork) -> None:
    for _ in range(8):
        case = await at.a_case("waiting_room")
        token = await at.a_token(case)
        opened, refused = await at_once(
            joining.redeem(at.desk, token, "browser"), at.does(OFFICER, case, "resend_link")
        )
        if refused:
            with pytest.raises(Refused, match="link-revoked"):
                await joining.redeem(at.desk, token, "browser")
        else:
            assert await joining.redeem(at.desk, token, "browser")
        assert (await at.types(case)).count("LinkOpened") == len(opened) - 1
        await at.does(OFFICER, case, "request_deployment", response_grade="other", deployment_reason="video_failed")


async def test_of_fifty_browsers_at_once_one_opens_the_link(at: AtWork) -> None:
    case = await at.a_case("waiting_room")
    token = await at.a_token(case)
    opened, refused = await at_once(*(joining.redeem(at.desk, token, f"browser {number}") for number in range(50)))
    assert (len(opened), len(refused)) == (1, 49)
    types = await at.types(case)
    assert types.count("LinkOpened") == 1
    assert all(isinstance(one, (Refused, Stale)) for one in refused)


async def test_a_double_tap_in_one_browser_opens_the_link_for_both(at: AtWork) -> None:
    case = await at.a_case("waiting_room")
    token = await at.a_token(case)
    opened, refused = await at_once(*(joining.redeem(at.desk, token, "browser") for _ in range(5)))
    assert (len({one.id for one in opened}), len(opened), refused) == (1, 5, [])
    assert (await at.types(case)).count("LinkOpened") == 1


async def test_quick_exit_kills_the_link_at_once(at: AtWork) -> None:
    case = await at.a_case("waiting_room")
    token = await at.a_token(case)
    await joining.redeem(at.desk, token, "browser")
    await at.does(THE_VICTIM, case, "victim_exit")
    assert await joining.seat_of(at.desk.store, "browser") is None
    with pytest.raises(Refused, match="link-revoked"):
        await joining.redeem(at.desk, token, "browser")


async def test_the_end_of_a_session_kills_its_link_whatever_ended_it(at: AtWork) -> None:
    case = await at.a_case("waiting_room")
    token = await at.a_token(case)
    await at.does(OFFICER, case, "request_deployment", response_grade="priority", deployment_reason="video_failed")
    with pytest.raises(Refused, match="link-revoked"):
        await joining.redeem(at.desk, token, "browser")


async def test_a_token_that_nobody_was_given_is_not_found(at: AtWork) -> None:
    with pytest.raises(NotFound):
        await joining.redeem(at.desk, links.new_token(), "browser")


# --- The media plane ---------------------------------------------------------------------------------------------


async def test_media_observations_start_the_video_at_the_moment_at_which_they_were_seen(at: AtWork) -> None:
    case = await at.a_case("waiting_room")
    session = (await at.desk.case(case)).session
    assert session is not None
    seen = at.universe.at
    at.universe.pass_(2)
    await calls.observed(at.desk, session.id, session.victim_seat, "connected", "", seen, "w:1")
    await calls.observed(at.desk, session.id, session.officer_seat, "connected", "", seen, "w:2")
    await calls.observed(at.desk, session.id, None, "two_way", "", seen, "w:3")
    found = await at.desk.case(case)
    assert (found.state, found.contacts) == ("video", ("video",))
    last = (await at.desk.log(case))[-1]
    assert (last.event.at, last.recorded_at) == (seen, at.universe.wall)


async def test_an_observation_that_comes_again_is_dropped(at: AtWork) -> None:
    case = await at.a_case("waiting_room")
    session = (await at.desk.case(case)).session
    assert session is not None
    for _ in range(3):
        for name, seat, kind in [
            ("w:1", None, "two_way"),
            ("w:2", session.victim_seat, "lost"),
            ("w:3", None, "resumed"),
        ]:
            await calls.observed(at.desk, session.id, seat, kind, "silent", at.universe.at, name)
    types = await at.types(case)
    assert [types.count(one) for one in ("TwoWayVideoStarted", "MediaLost", "MediaResumed")] == [1, 1, 1]
    assert (await at.desk.case(case)).state == "video"


async def test_two_way_video_keeps_when_each_side_was_first_seen(at: AtWork) -> None:
    case = await at.a_case("waiting_room")
    session = (await at.desk.case(case)).session
    assert session is not None
    victim, officer = "2026-11-22T21:00:01.000001Z", "2026-11-22T21:00:02.000002Z"
    firsts = {session.victim_seat: victim, session.officer_seat: officer, "another": officer}
    await calls.observed(at.desk, session.id, None, "two_way", "", at.universe.at, "w:1", firsts=firsts)
    [fact] = [one.event.fact for one in await at.desk.log(case) if isinstance(one.event.fact, e.TwoWayVideoStarted)]
    assert (fact.victim_first_frame_at, fact.officer_first_frame_at) == (victim, officer)


async def test_an_observation_of_an_unknown_room_or_of_an_ended_session_changes_nothing(at: AtWork) -> None:
    case = await at.a_case("waiting_room")
    session = (await at.desk.case(case)).session
    assert session is not None
    assert await calls.wanted_rooms(at.desk.store) == {
        session.id: Room((Seat(session.victim_seat), Seat(session.officer_seat)))
    }
    await at.does(OFFICER, case, "request_deployment", response_grade="priority", deployment_reason="video_failed")
    assert await calls.wanted_rooms(at.desk.store) == {}
    position = await at.store.position()
    await calls.observed(at.desk, session.id, session.victim_seat, "connected", "", at.universe.at, "w:9")
    await calls.observed(at.desk, "no room", None, "two_way", "", at.universe.at, "w:10")
    assert await at.store.position() == position


# --- Definitions, clocks, restarts -------------------------------------------------------------------------------


async def test_a_case_goes_on_under_the_workflow_that_it_began_with(at: AtWork, tmp_path: Path) -> None:
    old = await at.a_case("call_taking", safe_to_text="no")
    root = Path(shutil.copytree(WORKFLOWS, tmp_path / "changed"))
    moves = root / "da-desk" / "moves.toml"
    stricter = moves.read_text().replace('["eligible", "consent', '["safe_to_text", "eligible", "consent')
    moves.write_text(stricter)
    await at.reopen(load(root, "wmp"))
    new = await at.a_case("call_taking", safe_to_text="no")
    for case in (old, new):
        await at.does(HANDLER, case, "answer_criteria", **all_met())
        await at.does(HANDLER, case, "record_consent", consent_kind="video", consent_answer="given")
    assert (await at.does(HANDLER, old, "offer_handover")).case.state == "handover"
    with pytest.raises(Refused) as refused:
        await at.does(HANDLER, new, "offer_handover")
    assert [reason.params["guard"] for reason in refused.value.reasons] == ["safe_to_text"]
    assert (await at.desk.case(old)).definition != (await at.desk.case(new)).definition
    at.universe.pass_(300)
    assert await Ticker(at.desk).tick() >= 1


async def test_a_call_that_was_cut_off_by_a_kill_is_an_interruption_in_the_log(at: AtWork) -> None:
    case = await at.a_case("waiting_room")
    room = (await at.desk.case(case)).session
    assert room is not None
    await calls.observed(at.desk, room.id, None, "two_way", "", at.universe.at, "w1:1")
    await at.store.close()
    at.universe.pass_(20)
    at.store, at.desk = await _open(at.place, at.universe, shipped())
    await calls.note_restart(at.desk)
    found = await at.desk.case(case)
    assert found.state == "interrupted"
    assert "reconnect" in found.clocks
    session = found.session
    assert session is not None
    assert (session.flowing, session.victim, session.officer, session.interruptions) == (False, "lost", "lost", 1)
    assert (await at.types(case))[-2:] == ["MediaLost", "MediaLost"]
    await calls.note_restart(at.desk)
    assert (await at.types(case)).count("MediaLost") == 2, "who is lost already is not lost again"
    await calls.observed(at.desk, session.id, None, "two_way", "", at.universe.at, "w2:1")
    assert (await at.desk.case(case)).state == "video"
    assert (await at.types(case))[-1] == "MediaResumed"


async def test_a_clock_that_fell_due_while_the_desk_was_down_fires_at_once_and_says_how_late(at: AtWork) -> None:
    case = await at.a_case("handover")
    before = await at.desk.case(case)
    await at.store.close()
    at.universe.pass_(100)
    at.universe.restart()
    at.universe.pass_(500)
    at.store, at.desk = await _open(at.place, at.universe, shipped())
    assert await at.desk.case(case) == before
    assert await Ticker(at.desk).tick() == 5
    fired = [r.event.fact for r in await at.desk.log(case) if isinstance(r.event.fact, e.ClockRanOut)]
    late = {(fact.clock, fact.after_s): fact.late_us for fact in fired}
    assert late[("handover", 300)] == 300_000_000
    assert late[("handover", 480)] == 120_000_000
    assert late[("handover", 600)] == 0
    assert await Ticker(at.desk).tick() == 0


async def test_two_tickers_fire_a_threshold_once(at: AtWork) -> None:
    case = await at.a_case("handover")
    at.universe.pass_(300)
    await asyncio.gather(*(Ticker(at.desk).tick() for _ in range(5)))
    assert (await at.types(case)).count("ClockRanOut") == 2, "at three minutes and at five, each once"
    assert (await at.types(case)).count("AlarmRaised") == 1


async def test_what_a_restart_finds_is_what_was_there_also_in_the_rows_made_again(at: AtWork) -> None:
    case = await at.a_case("waiting_room")
    before = await at.desk.case(case)
    rows = [row.model_dump() for row in await at.desk.open_cases()]
    await at.reopen()
    await at.store.rebuild()
    assert await at.desk.case(case) == before == fold(case, await at.desk.log(case))
    assert [row.model_dump() for row in await at.desk.open_cases()] == rows
    assert (await at.desk.roster())[OFFICER.id].case == case


async def test_a_definition_is_stored_once_however_often_the_desk_starts(at: AtWork) -> None:
    await asyncio.gather(at.desk.start(), at.desk.start())
    flow = shipped().workflows["da-desk"]
    assert len(await at.store.load(f"definition/{flow.hash}")) == 1


# --- The same people in other cases ------------------------------------------------------------------------------


async def test_a_second_case_with_the_same_number_has_the_first_as_a_candidate(at: AtWork) -> None:
    first = await at.desk.case(await at.a_case("call_taking", victim_name="Ann Example"))
    at.universe.pass_(60)
    second = await at.desk.case(await at.a_case("handover", victim_name="Anne Unlike"))
    known = (await at.desk.gather(second.id)).known
    (candidate,) = known.candidates
    assert (candidate.role, candidate.person_id, candidate.kinds) == ("victim", first.victim_id, ("phone",))
    assert [(case.id, case.reference) for case in candidate.cases] == [(first.id, first.reference)]
    assert known.history == (), "nobody has confirmed that they are one person"
    assert (await at.desk.gather(first.id)).known.candidates == (), "the later case takes the earlier one's person"


async def test_once_somebody_confirmed_it_both_cases_are_of_one_person(at: AtWork) -> None:
    first = await at.desk.case(await at.a_case("call_taking"))
    at.universe.pass_(60)
    second = await at.a_case("call_taking")
    await at.does(HANDLER, second, "match_person", candidate=f"victim:{first.victim_id}")
    case = await at.desk.case(second)
    assert case.victim_id == first.victim_id
    known = (await at.desk.gather(case.id)).known
    assert (known.candidates, [past.case for past in known.history]) == ((), [first.id])
    at.universe.pass_(60)
    third = await at.desk.case(await at.a_case("call_taking"))
    (candidate,) = (await at.desk.gather(third.id)).known.candidates
    assert [one.id for one in candidate.cases] == [second, first.id], "one person, in two cases"


async def test_a_decision_rests_on_the_candidates_the_history_and_the_live_orders(at: AtWork) -> None:
    """One snapshot, read when a move is viewed or decided."""
    born = {"victim_dob": "1991-04-30", "suspect_name": "Bob Example", "suspect_dob": "1988-02-01"}
    first = await at.desk.case(await at.a_case("call_taking", **born))
    await at.store.append(an_order("o1", Clock()))
    at.universe.pass_(60)
    second = await at.desk.case(await at.a_case("call_taking", **born))
    await at.does(HANDLER, second.id, "match_person", candidate=f"suspect:{first.suspect_id}")
    flow = await at.desk.definition_of(second)
    basis = at.desk._basis(flow, await at.desk.gather(second.id), {}, HANDLER)
    assert [one.person_id for one in basis.candidates] == [first.victim_id]
    assert [one.case for one in basis.history] == [first.id]
    assert [one.id for one in basis.orders] == ["o1"]
    assert basis.capacity == await at.desk.capacity()


async def test_the_confirmation_of_a_third_occasion_proposes_the_specialists_in_the_same_command(at: AtWork) -> None:
    """The history that it rests on is that of the person who is being confirmed, not of nobody."""
    born = {"victim_dob": "1991-04-30", "suspect_name": "Bob Example", "suspect_dob": "1988-02-01"}
    first = await at.desk.case(await at.a_case("call_taking", **born))
    people = (f"victim:{first.victim_id}", f"suspect:{first.suspect_id}")
    for _ in range(2):
        at.universe.pass_(86_400)
        latest_case = await at.a_case("call_taking", **born)
        for person in people:
            outcome = await at.does(HANDLER, latest_case, "match_person", candidate=person)
    types = [one.event.type for one in outcome.recorded]
    assert types == ["PersonMatched", "EscalationProposed"]
    assert outcome.case.escalations == {"potential_escalation": "marac", "third_occasion": "specialist"}
    proposed = outcome.recorded[-1].event.fact
    assert isinstance(proposed, e.EscalationProposed)
    assert first.reference in proposed.cases


# --- Another force ------------------------------------------------------------------------------------------------


async def test_where_no_sergeant_stands_between_the_officer_who_takes_the_caller_is_bound_and_no_other_can(
    at: AtWork,
) -> None:
    await at.reopen(load(WORKFLOWS, "kent-like"))
    opening = OpenCase(at.universe.new_id(), dict(OPENING) | {"lpa": "north"})
    case = (await at.desk.handle(opening, HANDLER)).case.id
    await at.does(HANDLER, case, "answer_criteria", **all_met())
    await at.does(HANDLER, case, "record_consent", consent_kind="video", consent_answer="given")
    await at.does(HANDLER, case, "offer_handover")
    won, lost = await at_once(*(at.does(who, case, "accept_handover") for who in (OFFICER, OFFICER_2)))
    assert (len(won), len(lost)) == (1, 1)
    taken = await at.desk.case(case)
    assert taken.engaged
    assert {one.id for one in (await at.desk.roster()).values() if one.case == case} == {taken.officer}
    winner = OFFICER if taken.officer == OFFICER.id else OFFICER_2
    assert (await at.does(winner, case, "send_link")).case.state == "waiting_room"


# --- Who hears of it away from the screens ------------------------------------------------------------------------


async def test_an_alarm_for_a_role_goes_to_whoever_is_on_call_for_it_and_names_nobody(at: AtWork) -> None:
    case = await at.a_case("accepted", victim_name="Ann Canary", address="1 Canary Street")
    at.universe.pass_(300)
    await Ticker(at.desk).tick()
    found = await at.store.read(lambda session: latest(session, at.store.sealer))
    (told,) = [one.message for one in found if one.message.recipient == "+447700900999"]
    assert told.kind == "sms"
    assert (await at.desk.case(case)).reference in told.body
    assert "Canary" not in told.body
    assert "http" not in told.body


async def test_a_referral_goes_by_e_mail_as_a_link_without_details(at: AtWork) -> None:
    case = await at.a_case("waiting_room", lpa="solihull", victim_name="Ann Canary")
    refer = {"partner": "bswa", "referral_basis": "consent", "note": "Canary"}
    await at.does(OFFICER, case, "make_referral", **refer)  # a Sunday: nobody of theirs is at the desk
    found = await at.store.read(lambda session: latest(session, at.store.sealer))
    (mail,) = [one.message for one in found if one.message.kind == "email"]
    assert mail.recipient == "referrals@bswa.example"
    assert mail.body.endswith(f"https://rvr.test/cases/{case}")
    assert "Canary" not in mail.body


# --- The outbox --------------------------------------------------------------------------------------------------


class Carrier:
    """A carrier that fails as often as it is told, keeps what it took, and says of it what it is told to say."""

    def __init__(self, failures: int, word: Word = "gone", *, fault: Exception | None = None) -> None:
        self.failures, self.tried, self.took = failures, 0, list[Message]()
        self.says, self.asked = word, 0
        self.fault = fault or OSError("no line")

    async def send(self, message: Message, *, again: bool) -> Word:
        assert again == (self.tried > 0), "whether it may have been taken before"
        self.tried += 1
        if self.tried <= self.failures:
            raise self.fault
        self.took.append(message)
        return self.says

    async def word(self, message: Message) -> Word:
        self.asked += 1
        return self.says


async def test_a_message_is_delivered_once_to_the_safe_number_with_its_link(at: AtWork) -> None:
    case, carrier = await at.a_case("waiting_room"), Carrier(0)
    outbox = Outbox(at.desk, carrier)
    assert [await outbox.deliver(), await outbox.deliver()] == [1, 0]
    (taken,) = carrier.took
    assert taken.recipient == "+447700900123"
    assert taken.body == f"Here is the link {{for you}}: https://j.test/j#{await at.a_token(case)}"
    await at.reopen()
    assert await Outbox(at.desk, carrier).deliver() == 0


async def test_a_message_that_the_carrier_does_not_take_is_tried_again_later_and_later_and_then_given_up(
    at: AtWork,
) -> None:
    await at.a_case("waiting_room")
    carrier = Carrier(99)
    outbox = Outbox(at.desk, carrier)
    for wait in RETRY_S:
        assert await outbox.deliver() == 1
        at.universe.pass_(wait - 0.001)
        assert await outbox.deliver() == 0, "not before its time"
        at.universe.pass_(0.001)
    assert [await outbox.deliver(), await outbox.deliver()] == [1, 0]
    (message,) = await at.store.read(lambda session: latest(session, at.store.sealer))
    assert (message.status, message.attempts, carrier.tried) == ("failed", 1 + len(RETRY_S), 1 + len(RETRY_S))


async def test_a_message_that_failed_once_arrives_once(at: AtWork) -> None:
    await at.a_case("waiting_room")
    carrier = Carrier(1)
    outbox = Outbox(at.desk, carrier)
    await outbox.deliver()
    at.universe.pass_(RETRY_S[0])
    await outbox.deliver()
    at.universe.pass_(3600)
    await outbox.deliver()
    assert len(carrier.took) == 1
    (message,) = await at.store.read(lambda session: latest(session, at.store.sealer))
    assert (message.status, message.sent_at) == ("sent", iso(START + timedelta(seconds=RETRY_S[0])))


async def test_what_the_carrier_says_last_of_a_link_stands_in_the_log_and_nothing_before(at: AtWork) -> None:
    said = {}
    carriers = {"on its way": Carrier(0, "taken"), "there": Carrier(0, "delivered"), "lost": Carrier(99)}
    carriers |= {"handed on": Carrier(0), "turned down": Carrier(1, fault=TurnedDown("http-400"))}
    for name, carrier in carriers.items():
        case, outbox = await at.a_case("waiting_room"), Outbox(at.desk, carrier)
        for wait in (*RETRY_S, 1):
            await outbox.deliver()
            at.universe.pass_(wait)
        log = await at.desk.log(case)
        said[name] = [one.event.fact.status for one in log if isinstance(one.event.fact, e.LinkDelivered)]
        await at.does(OFFICER, case, "request_deployment", response_grade="priority", deployment_reason="video_failed")
    assert said == {
        "on its way": [],
        "there": ["delivered"],
        "lost": ["failed"],
        "handed on": [],
        "turned down": ["failed"],
    }
    assert carriers["turned down"].tried == 1, "another try would come to the same"


@pytest.mark.parametrize("last", ["delivered", "failed"])
async def test_a_carrier_is_asked_what_became_of_a_text_until_it_says_its_last_word(at: AtWork, last: Word) -> None:
    case, carrier = await at.a_case("waiting_room"), Carrier(0, "taken")
    outbox = Outbox(at.desk, carrier)
    for _ in range(4):
        await outbox.deliver()
        at.universe.pass_(ASK_MOST_S)
    assert (carrier.tried, carrier.asked) == (1, 3)
    carrier.says = last
    assert [await outbox.deliver(), await outbox.deliver()] == [1, 0]
    log = await at.desk.log(case)
    assert [one.event.fact.status for one in log if isinstance(one.event.fact, e.LinkDelivered)] == [last]
    at.universe.pass_(ASK_MOST_S)
    assert await outbox.deliver() == 0
    (message,) = await at.store.read(lambda session: latest(session, at.store.sealer))
    assert (message.status, message.attempts) == ("sent" if last == "delivered" else "failed", 1)


async def test_of_a_text_of_which_nobody_hears_anything_nobody_asks_for_ever(at: AtWork) -> None:
    await at.a_case("waiting_room")
    carrier = Carrier(0, "taken")
    outbox = Outbox(at.desk, carrier)
    for _ in range(100):
        await outbox.deliver()
        at.universe.pass_(60)
    assert ASK_UNTIL_S / ASK_MOST_S <= carrier.asked < 25
    assert await outbox.deliver() == 0


async def test_a_carrier_that_takes_its_time_holds_no_other_message_up(at: AtWork) -> None:
    class Slow(Carrier):
        async def send(self, message: Message, *, again: bool) -> Word:
            self.took.append(message)
            if len(self.took) == 1:
                await answers.wait()
            return "gone"

    answers, carrier = asyncio.Event(), Slow(0)
    outbox = Outbox(at.desk, carrier)
    first = await at.a_case("waiting_room")
    assert await outbox.deliver() == 1
    await at.does(OFFICER, first, "request_deployment", response_grade="priority", deployment_reason="video_failed")
    second = await at.a_case("waiting_room")
    assert await outbox.deliver() == 1
    assert [message.case_id for message in carrier.took] == [first, second]
    assert await outbox.deliver() == 0, "the slow one is under way, and not sent again"
    answers.set()
    await asyncio.sleep(0.05)
    told = await at.store.read(lambda session: latest(session, at.store.sealer))
    assert [one.status for one in told] == ["sent", "sent"]


async def test_what_a_slow_one_raises_is_told_and_the_end_of_the_desk_waits_for_it(at: AtWork) -> None:
    class Slow(Carrier):
        async def send(self, message: Message, *, again: bool) -> Word:
            await answers.wait()
            return self.says

    answers, carrier = asyncio.Event(), Slow(0)
    outbox = Outbox(at.desk, carrier)
    first = await at.a_case("waiting_room")
    await outbox.deliver()
    asyncio.get_running_loop().call_later(0.1, answers.set)
    await outbox.close()
    (told,) = await at.store.read(lambda session: latest(session, at.store.sealer))
    assert told.status == "sent", "a text that was taken is noted before the desk ends"

    answers.clear()
    await at.does(OFFICER, first, "request_deployment", response_grade="priority", deployment_reason="video_failed")
    await at.a_case("waiting_room")
    await outbox.deliver()
    before, carrier.says, at.desk.observe = failed_looks(), "delivered", a_clock_that_fails
    answers.set()
    await outbox.close()
    assert failed_looks() == before + 1


def failed_looks() -> float:
    (family,) = metrics.LOOKS_FAILED.collect()
    return float(family.samples[0].value)


def a_clock_that_fails() -> Moment:
    raise OSError("adjtimex")


async def test_a_message_that_waited_may_have_been_in_the_hands_of_a_sender_that_was_killed(at: AtWork) -> None:
    class Told(Carrier):
        async def send(self, message: Message, *, again: bool) -> Word:
            asked.append(again)
            return "gone"

    asked = list[bool]()
    outbox = Outbox(at.desk, Told(0))
    first = await at.a_case("waiting_room")
    await outbox.deliver()
    await at.does(OFFICER, first, "request_deployment", response_grade="priority", deployment_reason="video_failed")
    await at.a_case("waiting_room")
    at.universe.pass_(HELD_S + 1)
    await outbox.deliver()
    assert asked == [False, True]


async def test_a_refused_link_sends_no_message(at: AtWork) -> None:
    case = await at.a_case("accepted", safe_to_text="no")
    await at.does(SERGEANT, case, "assign_officer", officer=OFFICER.id)
    with pytest.raises(Refused):
        await at.does(OFFICER, case, "send_link")
    assert await Outbox(at.desk, Carrier(0)).deliver() == 0


# --- However many cases are closed -------------------------------------------------------------------------------

GROW = frozenset({"access", "case_row", "command", "data_key", "event", "identity_row", "link_row", "message"})
"""Tables that are as long as the desk's past."""


def scans(connection: Any, statements: Collection[str]) -> list[tuple[str, str]]:
    """Which of these statements read the whole of such a table, each with the step of its plan."""
    plans = [(sql, row[3]) for sql in statements for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}")]
    return [(sql, step) for sql, step in plans if step.startswith("SCAN") and GROW & set(step.split())]


async def test_nothing_that_the_desk_asks_or_writes_in_a_case_reads_a_whole_table(at: AtWork) -> None:
    told: set[str] = set()
    at.store._engine.dispose()
    listen(at.store._engine, "connect", lambda connection, _: connection.set_trace_callback(told.add))
    await at.store.write(lambda connection: connection.set_trace_callback(told.add))  # type: ignore[attr-defined]
    case = await at.a_case("waiting_room")
    await at.a_case("accepted")  # the first case's people again
    session = (await at.desk.case(case)).session
    assert session is not None
    await calls.observed(at.desk, session.id, session.victim_seat, "connected", "", at.universe(), "seen")
    assert await calls.wanted_rooms(at.desk.store)
    assert len(await at.desk.open_cases()) == 2
    assert await boards.decided(at.desk) == []
    await Ticker(at.desk).tick()
    verbs = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")
    asked = [sql for sql in told if sql.startswith(verbs)]
    assert len(asked) > 30
    connection = at.place.connection()
    assert scans(connection, asked) == []
    newest = [sql for sql in asked if "ORDER BY case_row.updated_position DESC" in sql]
    assert newest
    assert [sql for sql in newest if sorts(connection, sql)] == []
    assert scans(connection, ["SELECT * FROM case_row WHERE state NOT IN ('closed')"])
    connection.close()


def sorts(connection: Any, sql: str) -> bool:
    """Whether all that fits is put in order before the first of it is told."""
    return any("TEMP B-TREE" in row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}"))


async def test_of_very_many_decided_cases_a_board_shows_the_latest_and_each_that_somebody_waits_for(
    at: AtWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boards, "NEWEST", 2)
    opened = [await at.a_case("call_taking") for _ in range(8)]
    rows = {row.id: row for row in await at.store.read(lambda session: every(session, CaseRow))}
    for position, case in enumerate(opened):
        state = "allocated" if position % 2 else "closed"
        decided = CaseRow(**rows[case].model_dump() | {"state": state, "updated_position": 1000 - position})
        await at.store.write(lambda connection, row=decided: put(connection, row))
    assert [row.id for row in await boards.decided(at.desk)] == [*opened[1::2], opened[0], opened[2]]
