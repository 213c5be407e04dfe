"""Recording on a real store: wanted only while everybody agrees, told in the log, verified, backed up, erased."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from rvr import exhibits
from rvr.calls import wanted_rooms
from rvr.core import events as e
from rvr.core import recording as recording_rules
from rvr.core.commands import MakeMove, Picture
from rvr.core.errors import Forbidden, Refused
from rvr.core.moment import parse_iso
from rvr.core.retention import later
from rvr.media import Observation, Recording, Still
from rvr.media.recording import Scribe
from rvr.media.tape import Tape
from rvr.recordings import BEGINS_S, SILENT_S, Recordings
from rvr.store import CannotOpen, backup
from tests.builders import da_desk
from tests.evaluation.days import STAFF, Days, a_desk
from tests.store.builders import Place, a_note
from tests.test_erasure import SIX, erase

CANARY = b"CANARY-of-a-voice-5512"


@pytest.fixture
async def days(tmp_path: Path) -> AsyncIterator[Days]:
    async with a_desk(tmp_path) as told:
        yield told


class Call:
    """A case on video, and the media plane's part of its recording, played by the real recorder."""

    def __init__(self, days: Days, case: str) -> None:
        self.days, self.case = days, case
        self.recordings = Recordings(days.desk)
        self.folder = days.store.place.data / exhibits.FOLDER
        self.told: list[Mapping[str, str]] = []
        self.scribe = Scribe()
        self.scribe.start()
        self.tape = Tape(self.folder, self.told.append, self.scribe)
        self._numbers = 0

    async def does(self, move: str, **form: Any) -> None:
        await self.days.does(self.case, "officer", move, **form)

    async def answers(self, kind: str, answer: str) -> None:
        await self.days.victim(self.case, "answer_consent", consent_kind=kind, consent_answer=answer)

    async def wanted(self) -> Recording | None:
        rooms = await self.recordings.onto(await wanted_rooms(self.days.store))
        session = (await self.days.desk.case(self.case)).session
        assert session is not None
        return rooms[session.id].recording if session.id in rooms else None

    async def reconciles(self) -> None:
        """What the media plane does when it is told what is wanted; then what it saw is told to the desk."""
        self.tape.want(await self.wanted())
        await asyncio.sleep(0.05)

    async def tells(self) -> None:
        session = (await self.days.desk.case(self.case)).session
        assert session is not None
        told, self.told[:] = list(self.told), []
        for detail in told:
            await self.saw(detail, session.id)

    async def saw(self, detail: Mapping[str, str], room: str = "") -> None:
        self._numbers += 1
        at = self.days.clock()
        await self.recordings.observed(Observation("w", self._numbers, room, None, "recording", at, detail))

    async def heard(self, recording: str, seat: str, n: int, *, audio: int, video: int) -> None:
        """The media plane says how far the file of `victim_seat` or `officer_seat` has come."""
        session = (await self.days.desk.case(self.case)).session
        told = {"recording": recording, "state": "block", "seat": getattr(session, seat), "part": "1"}
        counts = {"n": str(n), "bytes": str(n * 100), "audio": str(audio), "video": str(video)}
        await self.saw({**told, **counts, "sha256": "a" * 64}, session.id if session else "")

    async def looks(self, after_s: float = 0.0) -> None:
        """The desk reads what is wanted, and looks whether it comes."""
        self.days.later(after_s)
        await self.wanted()
        await self.recordings.look()

    async def lacks(self) -> list[str]:
        """What stopped reaching the recording (-), and what came back (+), in order, without its first word."""
        facts = [one.event.fact for one in await self.days.desk.log(self.case)]
        signs = {e.RecordingFaltered: "-", e.RecordingRecovered: "+"}
        return [f"{signs[type(fact)]} {fact.side} {fact.track}" for fact in facts if type(fact) in signs]  # type: ignore[attr-defined]

    async def is_recorded(self, *, ends: bool = True) -> str:
        """Both sides for a while; the id of the recording."""
        await self.answers("recording", "given")
        await self.does("start_recording")
        await self.reconciles()
        wanted = await self.wanted()
        assert wanted is not None
        for n in range(50):
            for seat in wanted.seats:
                self.tape.packet(seat, "audio" if n % 2 else "video", CANARY * 4, n * 1_000_000)
        if ends:
            await self.does("stop_recording")
            await self.tape.close(5)
            await self.tells()
        return wanted.id

    async def types(self) -> list[str]:
        return [one.event.type for one in await self.days.desk.log(self.case)]


@pytest.fixture
async def call(days: Days) -> Call:
    case = await days.opens()
    await days.screens(case)
    await days.agrees(case)
    await days.offered(case)
    await days.waits(case)
    await days.media(case, "two_way")
    return Call(days, case)


async def test_nothing_is_wanted_before_both_have_agreed_and_nothing_after_the_victim_agrees_no_more(
    call: Call,
) -> None:
    assert await call.wanted() is None
    with pytest.raises(Refused):
        await call.does("start_recording")
    await call.answers("recording", "given")
    assert await call.wanted() is None
    await call.does("start_recording")
    wanted, session = await call.wanted(), (await call.days.desk.case(call.case)).session
    assert wanted is not None
    assert session is not None
    assert wanted.seats == {session.victim_seat, session.officer_seat}
    await call.answers("recording", "withdrawn")
    assert await call.wanted() is None
    assert (await call.types())[-2:] == ["ConsentWithdrawn", "RecordingStopped"]


@pytest.mark.parametrize("end", ["exit", "session"])
async def test_a_recording_ends_with_the_call(call: Call, end: str) -> None:
    await call.answers("recording", "given")
    await call.does("start_recording")
    if end == "exit":
        await call.days.victim(call.case, "victim_exit")
    else:
        await call.does("end_session", end_reason="completed")
    case = await call.days.desk.case(call.case)
    (tape,) = case.exhibits.tapes.values()
    assert tape.because == {"exit": "exited", "session": "session_ended"}[end]
    assert await call.wanted() is None


async def test_without_the_officer_who_agreed_it_ends(call: Call) -> None:
    """Whoever takes the case over has not agreed to be recorded."""
    await call.answers("recording", "given")
    await call.does("start_recording")
    case = await call.days.desk.case(call.case)
    released = e.OfficerReleased(officer=case.officer, because="reassigned")
    (stopped,) = recording_rules.stops(case, [released, e.OfficerAssigned(officer="another")])
    assert isinstance(stopped, e.RecordingStopped)
    assert stopped.because == "officer_changed"


async def test_each_recording_has_a_key_of_its_own_that_no_row_and_no_event_holds(call: Call) -> None:
    first, keys = await call.is_recorded(), set[bytes]()
    for what in (first, "another"):
        key = await exhibits.key_of(call.days.store, call.case, what)
        assert key is not None
        keys.add(key)
    assert len(keys) == 2
    log = str(await call.days.desk.log(call.case)) + str(await call.days.store.load(f"recording/{first}"))
    assert all(key.hex() not in log and repr(key) not in log for key in keys)


async def test_how_far_the_files_have_come_stands_in_a_stream_of_the_recordings_own(call: Call) -> None:
    recording = await call.is_recorded()
    events = [one.event for one in await call.days.store.load(f"recording/{recording}")]
    sealed = [one.fact for one in events if isinstance(one.fact, e.RecordingSealed)]
    assert {fact.side for fact in sealed} == {"victim", "officer"}
    assert all((fact.audio, fact.video, fact.cause) == (25, 25, "") for fact in sealed)
    assert "RecordingSealed" not in await call.types()
    checked = await asyncio.to_thread(exhibits.check, call.days.store, call.folder)
    assert (checked.faults, checked.files, checked.told) == ((), 2, ())
    assert await call.days.store.verify() == []


async def test_what_the_media_plane_says_twice_is_noted_once_and_no_file_shrinks(call: Call) -> None:
    recording = await call.is_recorded(ends=False)
    session = (await call.days.desk.case(call.case)).session
    assert session is not None
    base = {"recording": recording, "state": "block", "seat": session.victim_seat, "part": "1", "sha256": "a" * 64}
    for n, audio in ((2, 10), (2, 10), (1, 5), (3, 20)):
        told = {**base, "n": str(n), "bytes": str(n * 100), "audio": str(audio), "video": str(audio)}
        await call.saw(told, session.id)
    noted = [one.event.fact for one in await call.days.store.load(f"recording/{recording}")]
    assert [fact.blocks for fact in noted if isinstance(fact, e.RecordingGrew)] == [2, 2, 3]


async def test_a_track_that_does_not_grow_is_told_once_and_once_more_when_it_grows_again(call: Call) -> None:
    recording = await call.is_recorded(ends=False)
    for n, video in ((1, 7), (2, 7), (3, 7), (4, 9), (5, 9)):
        await call.heard(recording, "victim_seat", n, audio=n * 50, video=video)
    assert await call.lacks() == ["- victim video", "+ victim video", "- victim video"]


async def test_a_side_of_which_nothing_reaches_its_file_is_told(call: Call) -> None:
    """Nobody should believe that a call is recorded while nothing is: an engine that hears nothing says nothing."""
    await call.answers("recording", "given")
    await call.does("start_recording")
    wanted = await call.wanted()
    assert wanted is not None
    await call.looks()
    await call.heard(wanted.id, "officer_seat", 1, audio=5, video=5)
    await call.looks(BEGINS_S - 1)
    assert await call.lacks() == []
    for _ in range(2):
        await call.looks(after_s=1)
    assert await call.lacks() == ["- victim audio", "- victim video"]
    await call.heard(wanted.id, "victim_seat", 1, audio=5, video=0)
    assert await call.lacks() == ["- victim audio", "- victim video", "+ victim audio"]
    await call.looks(SILENT_S)
    assert (await call.lacks())[3:] == ["- victim audio", "- officer audio", "- officer video"]


async def test_a_full_disk_stops_the_recording_and_not_the_call(call: Call) -> None:
    recording = await call.is_recorded(ends=False)
    case = await call.days.desk.case(call.case)
    assert case.session is not None
    failed = {
        "recording": recording,
        "state": "failed",
        "seat": case.session.victim_seat,
        "part": "1",
        "n": "3",
        "bytes": "900",
        "sha256": "b" * 64,
        "audio": "9",
        "video": "9",
        "cause": "disk-full",
    }
    await call.saw(failed, case.session.id)
    after = await call.days.desk.case(call.case)
    assert after.state == "video"
    assert after.exhibits.tapes[recording].because == "disk_full"
    assert await call.wanted() is None


async def test_nobody_types_what_the_media_plane_says(call: Call) -> None:
    """Neither an officer nor the victim can make a recording grow, fail or falter, nor a still out of nothing."""
    await call.is_recorded(ends=False)
    for who, move, form in (
        ("officer", "recording_failed", {"stopped_because": "disk_full"}),
        ("officer", "answer_consent", {"consent_kind": "recording", "consent_answer": "given"}),
        ("officer", "recording_falters", {"side": "victim", "track": "audio"}),
    ):
        with pytest.raises(Forbidden):
            await call.days.does(call.case, who, move, **form)
    await call.answers("still", "given")
    with pytest.raises(Refused) as refused:
        await call.does("take_still", exhibit="OO/1", intimate="no")
    assert [reason.code for reason in refused.value.reasons] == ["no-picture"]


# --- Files -------------------------------------------------------------------------------------------------------


async def a_still(call: Call) -> Path:
    await call.answers("still", "given")
    path = exhibits.still_file(call.folder, call.case, "still-1")
    key = await exhibits.key_of(call.days.store, call.case, "still-1")
    assert key is not None
    picture = exhibits.keep_still(path, Still(b"\xff\xd8 CANARY jpeg", 640, 480, call.days.clock()), key)
    form = {"exhibit": "OO/1", "intimate": "yes"}
    await call.days.desk.handle(MakeMove("still", call.case, "take_still", form, picture=picture), STAFF["officer"])
    return path


async def test_a_still_opens_with_the_cases_key_alone_and_each_needs_a_consent_of_its_own(call: Call) -> None:
    path = await a_still(call)
    assert b"CANARY" not in path.read_bytes()
    case = await call.days.desk.case(call.case)
    (still,) = case.exhibits.stills.values()
    assert (still.exhibit, still.intimate, still.width) == ("OO/1", True, 640)
    key = await exhibits.key_of(call.days.store, call.case, "still-1")
    assert key is not None
    assert exhibits.open_still(path, key, still.sha256) == b"\xff\xd8 CANARY jpeg"
    with pytest.raises(ValueError, match="changed"):
        exhibits.open_still(path, bytes(32), still.sha256)
    again = MakeMove(
        "again", call.case, "take_still", {"exhibit": "OO/2", "intimate": "no"}, picture=Picture("x", "", 1, 1)
    )
    with pytest.raises(Refused):
        await call.days.desk.handle(again, STAFF["officer"])


async def test_verification_names_the_block_the_missing_file_and_the_changed_still(call: Call) -> None:
    recording, still = await call.is_recorded(), await a_still(call)
    store = call.days.store
    assert (await asyncio.to_thread(exhibits.check, store, call.folder)).faults == ()
    victim, officer = sorted((call.folder / recording).iterdir())
    file = bytearray(victim.read_bytes())
    file[file.index(b"RVRB") + 40] ^= 8
    victim.write_bytes(file)
    officer.unlink()
    sealed = bytearray(still.read_bytes())
    sealed[-1] ^= 1
    still.write_bytes(sealed)
    (call.folder / recording / "stray.txt").write_bytes(b"?")
    checked = await asyncio.to_thread(exhibits.check, store, call.folder)
    assert sorted(fault.partition(": ")[2] for fault in checked.faults) == [
        "block 1 altered",
        "is missing",
        "was changed",
    ]
    assert any("stray.txt" in line for line in checked.told)


async def test_a_file_that_was_cut_after_its_head_was_told_lacks_blocks(call: Call) -> None:
    recording = await call.is_recorded()
    path = sorted((call.folder / recording).iterdir())[0]
    file = path.read_bytes()
    path.write_bytes(file[: file.rindex(b"RVRB")])
    checked = await asyncio.to_thread(exhibits.check, call.days.store, call.folder)
    assert any(fault.endswith("missing") and path.name in fault for fault in checked.faults)


async def test_a_backup_holds_the_sealed_files_and_a_changed_one_is_not_restored(call: Call, tmp_path: Path) -> None:
    recording, still = await call.is_recorded(), await a_still(call)
    place, clock = call.days.store.place, call.days.clock
    made = await asyncio.to_thread(backup.make, place, tmp_path / "b", "wmp", a_note(clock, "backup"))
    assert len(made.beside) == 3
    there = Place(tmp_path / "there", place.key_file)
    await asyncio.to_thread(backup.restore, tmp_path / "b", there, a_note(clock, "restore"))
    for path in (*sorted((call.folder / recording).iterdir()), still):
        assert (there.data / path.relative_to(place.data)).read_bytes() == path.read_bytes()
    assert CANARY not in b"".join(path.read_bytes() for path in (tmp_path / "b").rglob("*") if path.is_file())
    copy = next((tmp_path / "b" / exhibits.FOLDER / recording).iterdir())
    copy.write_bytes(copy.read_bytes()[:-1])
    with pytest.raises(CannotOpen, match="not what its manifest says"):
        await asyncio.to_thread(
            backup.restore, tmp_path / "b", Place(tmp_path / "again", place.key_file), a_note(clock, "restore")
        )
    assert not (tmp_path / "again").exists()


async def test_erasing_the_case_erases_its_recordings_and_removes_the_files(call: Call) -> None:
    recording, still = await call.is_recorded(), await a_still(call)
    await call.days.is_safe(call.case)
    await call.does("end_session", end_reason="completed")
    await call.days.does(call.case, "sergeant", "void", void_reason="test")
    call.days.clock.at += SIX
    await erase(call.days, call.case)
    store = call.days.store
    for what in (recording, "still-1"):
        assert await exhibits.key_of(store, call.case, what) is None
    left = await asyncio.to_thread(exhibits.check, store, call.folder)
    assert len(left.faults) == 3
    assert all("erased" in fault for fault in left.faults)
    await exhibits.forget_erased(store, call.folder)
    assert not still.exists()
    assert not (call.folder / recording).exists()
    assert (await asyncio.to_thread(exhibits.check, store, call.folder)).faults == ()
    case = await call.days.desk.case(call.case)
    assert [one.exhibit for one in case.exhibits.stills.values()] == [""]
    assert await store.verify() == []


async def test_no_packet_is_in_clear_anywhere_in_the_data_folder(call: Call) -> None:
    await call.is_recorded()
    files = [path for path in call.days.store.place.data.rglob("*") if path.is_file()]
    assert any(path.suffix == ".rvrrec" for path in files)
    assert [path.name for path in files if CANARY in path.read_bytes()] == []


def test_a_workflow_without_the_key_has_no_move_by_which_anything_could_be_recorded() -> None:
    made = {move.event for move in da_desk("kent-like").moves.values()}
    assert made.isdisjoint({"RecordingStarted", "StillTaken", "ConsentAsked"})
    assert {"RecordingStarted", "StillTaken"} <= {move.event for move in da_desk("wmp").moves.values()}


async def test_recordings_are_looked_at_sooner_than_their_case(call: Call) -> None:
    rules = call.days.desk.definitions.retention
    assert rules.review_of_recordings(await call.days.desk.case(call.case)) is None
    await call.is_recorded()
    case = await call.days.desk.case(call.case)
    due, keeping = rules.review_of_recordings(case), rules.keeping(case, await call.days.desk.log(call.case))
    assert due is not None
    assert keeping is not None
    (tape,) = case.exhibits.tapes.values()
    assert due == later(parse_iso(tape.stopped_at), 1) < keeping.review_at
