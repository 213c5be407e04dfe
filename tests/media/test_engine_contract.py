"""What holds for every media engine, shown on the embedded one with real worker processes and real media."""

from __future__ import annotations

import asyncio
import io
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import pytest

from rvr.core.moment import iso
from rvr.media import KINDS, IceServer, MediaRefused, MediaUnavailable, Recording, Room, Seat
from rvr.media import rooms as rooms_module
from rvr.media.playable import derive
from rvr.media.rooms import Rooms
from tests.media.conftest import ROOM, SEATS, Client, Notebook, room
from tests.serving import free_port

OFFER = (Path(__file__).parent / "chromium-156-offer.sdp").read_bytes().decode("ascii")
REPOSITORY = Path(__file__).parents[2]

Join = Callable[..., Awaitable[Client]]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def gone_dead(pid: int, within_s: float = 6.0) -> bool:
    end = time.monotonic() + within_s
    while alive(pid):
        if time.monotonic() > end:
            return False
        await asyncio.sleep(0.05)
    return True


async def test_a_victim_who_waits_is_shown_as_soon_as_the_officer_joins(
    engine: Rooms, notebook: Notebook, client: Join
) -> None:
    victim = await client("victim")
    await notebook.until("first_frame", "victim")
    if not engine.receives_apart:
        await victim.receives("audio")  # silence, so that her browser knows the line is good
    assert not notebook.of("two_way")

    officer = await client("officer")
    two_way = await notebook.until("two_way")
    for one in (victim, officer):
        await one.receives("video", 10)
        await one.receives("audio", 10)

    assert two_way.seat is None
    kinds = notebook.kinds()
    assert kinds.index(("connected", "victim")) < kinds.index(("first_frame", "victim"))
    assert kinds.index(("first_frame", "officer")) < kinds.index(("two_way", None))
    assert notebook.of("connected", "officer")[0].detail == {"partner": "victim"}


async def test_every_observation_is_numbered_without_a_gap_and_dated_by_its_worker(
    engine: Rooms, notebook: Notebook, client: Join
) -> None:
    await client("victim")
    await client("officer")
    await notebook.until("two_way")
    assert [seen.number for seen in notebook.seen] == list(range(1, len(notebook.seen) + 1))
    assert len({seen.worker for seen in notebook.seen}) == 1
    moments = [seen.moment for seen in notebook.seen]
    assert sorted(moments, key=lambda moment: moment.boottime_ns) == moments
    assert {seen.kind for seen in notebook.seen} <= KINDS
    assert all(moment.at.tzinfo is not None for moment in moments)


async def test_a_line_that_falls_silent_is_lost_in_time_and_resumed_by_a_new_join(
    engine: Rooms, notebook: Notebook, client: Join
) -> None:
    await client("victim")
    officer = await client("officer")
    await notebook.until("two_way")

    before = time.monotonic()
    await officer.fall_silent()
    lost = await notebook.until("lost", "officer")
    # lost_after_s is 1.5 in these tests, looked at five times a second.
    assert 1.2 < time.monotonic() - before < 3.0
    assert lost.detail == {"partner": "victim", "cause": "silent"}

    await client("officer")
    resumed = await notebook.until("resumed")
    assert resumed.seat == "officer"
    kinds = notebook.kinds()
    assert kinds[kinds.index(("lost", "officer")) :][:3] == [
        ("lost", "officer"),
        ("gone", "officer"),
        ("connected", "officer"),
    ]
    assert len(notebook.of("two_way")) == 1
    assert len(notebook.of("lost")) == 1


async def test_a_line_that_comes_back_by_itself_is_connected_again_and_resumed(
    engine: Rooms, notebook: Notebook, client: Join
) -> None:
    await client("officer")
    victim = await client("victim")
    await notebook.until("two_way")
    await victim.fall_silent()
    await notebook.until("lost", "victim")
    await victim.speak_again()
    again = await notebook.until("connected", "victim", times=2)
    assert again.detail == {"partner": "officer", "again": "yes"}
    assert (await notebook.until("resumed")).seat == "victim"
    assert not notebook.of("gone")


async def test_who_leaves_is_gone_at_once_and_resumes_when_both_see_each_other_again(
    engine: Rooms, notebook: Notebook, client: Join
) -> None:
    await client("officer")
    await client("victim")
    await notebook.until("two_way")

    await engine.leave(ROOM, "victim")
    gone = await notebook.until("gone", "victim", within_s=1)
    assert gone.detail == {"partner": "officer", "cause": "left"}
    await engine.leave(ROOM, "victim")
    await engine.leave(ROOM, "nobody")
    await engine.leave("nowhere", "victim")

    await client("victim")
    assert (await notebook.until("resumed")).seat == "victim"
    assert len(notebook.of("gone")) == 1
    assert not notebook.of("lost")


async def test_a_second_join_replaces_a_connection_that_still_looks_alive(
    engine: Rooms, notebook: Notebook, client: Join
) -> None:
    officer = await client("officer")
    await client("victim")
    await notebook.until("two_way")
    await client("victim")
    assert (await notebook.until("gone", "victim")).detail["cause"] == "replaced"
    await notebook.until("resumed")
    await officer.receives("video", 5)
    await asyncio.sleep(0.5)
    kinds = notebook.kinds()
    assert kinds.count(("gone", "victim")) == 1, "the old connection's end is not reported again"
    assert not notebook.of("lost")


async def test_a_browser_that_closes_its_connection_is_lost_without_waiting(
    engine: Rooms, notebook: Notebook, client: Join
) -> None:
    victim = await client("victim")
    await notebook.until("connected", "victim")
    await victim.close()
    assert (await notebook.until("lost", "victim", within_s=1.2)).detail["cause"] == "failed"
    for _ in range(2):
        await engine.leave(ROOM, "victim")
    assert (await notebook.until("gone", "victim", within_s=1)).detail["cause"] == "left"
    await asyncio.sleep(0.1)
    assert len(notebook.of("gone")) == 1


async def test_an_observation_that_could_not_be_recorded_is_offered_again_before_any_later_one(
    engine: Rooms, notebook: Notebook, client: Join
) -> None:
    notebook.refuse_next = 2
    await client("victim")
    await notebook.until("first_frame", "victim")
    assert notebook.calls == 4
    assert [seen.number for seen in notebook.seen] == [1, 2]


async def test_what_is_not_acknowledged_is_offered_again_at_the_next_reconcile(
    engine: Rooms, notebook: Notebook, client: Join
) -> None:
    await client("victim")
    second = await notebook.until("first_frame", "victim")
    await engine.acknowledge(second.worker, 1)
    await engine.want({ROOM: room()})
    again = await notebook.until("first_frame", "victim", times=2)
    assert again == second
    assert len(notebook.of("connected")) == 1

    await engine.acknowledge(second.worker, 2)
    await engine.want({ROOM: room()})
    await asyncio.sleep(0.3)
    assert len(notebook.seen) == 3


async def test_a_killed_worker_costs_a_moment_and_no_room(engine: Rooms, notebook: Notebook, client: Join) -> None:
    await client("victim")
    await client("officer")
    await notebook.until("two_way")
    [pid] = engine.worker_pids

    os.kill(pid, signal.SIGKILL)
    for seat in SEATS:
        lost = await notebook.until("lost", seat, within_s=2)
        assert lost.detail["cause"] == "worker_lost"
        assert lost.worker != notebook.seen[0].worker

    await back(client, "victim")
    await engine.leave(ROOM, "officer")
    assert (await notebook.until("gone", "officer")).detail["cause"] == "left", "also who was lost can leave"
    await back(client, "officer")
    assert engine.worker_pids != [pid]
    await notebook.until("resumed")
    assert len(notebook.of("two_way")) == 1, "the new process knows that this room had been two-way"


async def back(client: Join, seat: str, within_s: float = 6.0) -> Client:
    """Join as a browser does: again and again while the server says 503."""
    end = time.monotonic() + within_s
    while True:
        try:
            return await client(seat)
        except MediaUnavailable:
            assert time.monotonic() < end
            await asyncio.sleep(0.1)


async def test_a_worker_that_hangs_is_replaced_and_the_main_loop_never_waits_for_it(
    notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms_module, "PING_EVERY_S", 0.1)
    monkeypatch.setattr(rooms_module, "PING_DEADLINE_S", 0.5)
    engine = Rooms(notebook)
    await engine.start()
    await engine.want({ROOM: room()})
    try:
        [pid] = engine.worker_pids
        os.kill(pid, signal.SIGSTOP)
        assert await gone_dead(pid, within_s=4)
        for _ in range(60):
            if engine.worker_pids not in ([], [pid]):
                break
            await asyncio.sleep(0.05)
        for _ in range(60):
            try:
                assert (await engine.join(ROOM, "victim", OFFER)).startswith("v=0")
                break
            except MediaUnavailable:
                await asyncio.sleep(0.1)
        else:
            pytest.fail("no worker came back")
    finally:
        await engine.close()


async def test_rooms_are_closed_when_they_are_no_longer_wanted_and_undisturbed_when_they_are(
    engine: Rooms, notebook: Notebook, client: Join
) -> None:
    officer = await client("officer")
    await client("victim")
    await notebook.until("two_way")
    await engine.want({ROOM: room("guest"), "room-2": room()})
    await officer.receives("video", 5)
    assert not notebook.of("gone")

    await engine.want({"room-2": room()})
    for seat in SEATS:
        assert (await notebook.until("gone", seat, within_s=2)).detail["cause"] == "closed"
    with pytest.raises(MediaRefused, match="room-unknown"):
        await engine.join(ROOM, "victim", OFFER)


async def test_four_people_see_one_another_each_in_a_slot_of_their_own(
    engine: Rooms, notebook: Notebook, client: Join
) -> None:
    await engine.want({ROOM: room("partner", "interpreter")})
    officer, victim = await client("officer"), await client("victim")
    await notebook.until("two_way")
    await officer.sees(0)
    partner = await client("partner")
    await notebook.until("first_frame", "partner")
    for one in (officer, victim, partner):
        await one.sees(0, 1)
    interpreter = await client("interpreter")
    for one in (officer, victim, partner, interpreter):
        await one.sees(0, 1, 2)
    await engine.leave(ROOM, "partner")
    for one in (officer, victim):
        await one.sees(0, 2)
    assert not notebook.of("lost")


async def test_a_guest_is_held_until_admitted_and_can_be_put_on_hold_again(
    engine: Rooms, notebook: Notebook, client: Join
) -> None:
    def wanted(*, admitted: bool) -> Room:
        return Room((*(Seat(one) for one in SEATS), Seat("partner", admitted=admitted)))

    await engine.want({ROOM: wanted(admitted=False)})
    officer, victim, partner = [await client(one) for one in (*SEATS, "partner")]
    await notebook.until("two_way")
    await notebook.until("first_frame", "partner")
    await victim.sees(0)
    await partner.sees()
    await engine.want({ROOM: wanted(admitted=True)})
    await victim.sees(0, 1)
    await partner.sees(0, 1)
    await engine.want({ROOM: wanted(admitted=False)})
    await victim.sees(0)
    await partner.sees()
    await officer.sees(0)
    assert not notebook.of("gone")


async def test_a_muted_track_stops_and_comes_back(engine: Rooms, notebook: Notebook, client: Join) -> None:
    officer, victim = await client("officer"), await client("victim")
    await notebook.until("two_way")
    await victim.sees(0)
    await engine.want({ROOM: Room((Seat("officer", muted=frozenset({"video"})), Seat("victim")))})
    await victim.sees()
    await officer.sees(0)
    await victim.receives("audio")
    await engine.want({ROOM: room()})
    await victim.sees(0)


async def test_a_still_is_the_picture_as_it_is_sent(engine: Rooms, notebook: Notebook, client: Join) -> None:
    with pytest.raises(MediaRefused, match="no-picture"):
        await engine.still(ROOM, "victim")
    with pytest.raises(MediaRefused, match="seat-unknown"):
        await engine.still(ROOM, "stranger")
    await client("victim")
    first = await notebook.until("first_frame", "victim")
    still = await engine.still(ROOM, "victim")
    assert (still.width, still.height) == (160, 120)
    with av.open(io.BytesIO(still.jpeg), format="mjpeg") as file:
        frame = next(file.decode(video=0))
    assert (frame.width, frame.height) == (160, 120)
    assert still.moment.boottime_ns > first.moment.boottime_ns


async def test_a_call_is_measured_when_it_ends(engine: Rooms, notebook: Notebook, client: Join) -> None:
    await client("victim")
    officer = await client("officer")
    await notebook.until("two_way")
    await officer.receives("video", 30)
    await engine.leave(ROOM, "victim")
    told = (await notebook.until("quality", "victim")).detail
    assert (told["width"], told["height"], told["up_loss_pct"]) == ("160", "120", "0.0")
    assert float(told["fps"]) > 5
    assert int(told["up_kbps"]) > 10
    if not engine.receives_apart:  # Janus has the way down's figures to itself
        assert int(told["down_kbps"]) > 10
    kinds = [seen.kind for seen in notebook.seen if seen.seat == "victim"]
    assert kinds[-2:] == ["quality", "gone"]


async def test_two_way_says_when_each_side_was_first_decoded(engine: Rooms, notebook: Notebook, client: Join) -> None:
    await client("victim")
    await client("officer")
    two_way = await notebook.until("two_way")
    for seat in SEATS:
        [first] = notebook.of("first_frame", seat)
        assert two_way.detail[f"first:{seat}"] == iso(first.moment.at)
        # These clients send a picture of one even tone, as a covered camera does.
        assert (first.detail["picture"], two_way.detail[f"picture:{seat}"]) == ("blank", "blank")


async def test_only_who_consented_is_recorded_and_only_as_long_as_it_is_wanted(
    engine: Rooms, notebook: Notebook, client: Join, tmp_path: Path
) -> None:
    def told() -> list[str]:  # what is not acknowledged is offered again at each reconcile
        return list({seen.number: seen.detail["state"] for seen in notebook.of("recording")}.values())

    key = bytes(range(32))
    officer, _ = await client("officer"), await client("victim")
    await notebook.until("two_way")
    await engine.want({ROOM: replace(room(), recording=Recording("rec-1", key, frozenset({"victim"})))})
    await officer.receives("video", 20)
    await asyncio.sleep(1.0)
    await engine.want({ROOM: room()})
    while "stopped" not in told():
        await notebook.until("recording", times=len(notebook.of("recording")) + 1)
    stopped = notebook.of("recording")[-1]
    assert told() == ["started", "stopped"]
    assert (stopped.seat, stopped.detail["recording"], stopped.detail["seat"]) == (None, "rec-1", "victim")
    [file] = (tmp_path / "recordings").rglob("*.rvrrec")
    assert file.parent.name == "rec-1"
    size = file.stat().st_size
    assert int(stopped.detail["bytes"]) == size
    await officer.receives("video", 20)
    assert file.stat().st_size == size, "nothing is written after it was withdrawn"
    made = derive([file], key, io.BytesIO())
    assert made.frames > 5
    assert made.sounds > 20
    assert made.faults == []


async def test_a_recording_for_which_there_is_no_place_is_told_as_failed(notebook: Notebook) -> None:
    engine = Rooms(notebook)
    await engine.start()
    try:
        wanted = {ROOM: replace(room(), recording=Recording("rec-1", bytes(32), frozenset({"victim"})))}
        for _ in range(2):
            await engine.want(wanted)
        failed = await notebook.until("recording")
        assert failed.detail == {"recording": "rec-1", "state": "failed", "cause": "no-folder"}
        await asyncio.sleep(0.2)
        assert len({seen.number for seen in notebook.of("recording")}) == 1
    finally:
        await engine.close()


async def test_whoever_has_another_certificate_than_the_offer_named_is_never_connected(
    engine: Rooms, notebook: Notebook
) -> None:
    victim = Client(engine, "victim")
    real = engine.join

    async def forged(name: str, seat: str, offer: str) -> str:
        return await real(
            name, seat, re.sub(r"(?m)^(a=fingerprint:\S+ ).*$", r"\1" + ":".join(["A1"] * 32) + "\r", offer)
        )

    engine.join = forged  # type: ignore[method-assign]
    await victim.join()
    gone = await notebook.until("gone", "victim", within_s=20)
    assert gone.detail["cause"] in ("failed", "deadline"), "an engine may see the fault, or only that nobody connects"
    assert not notebook.of("connected")
    await victim.close()


async def test_a_flood_of_forged_packets_costs_the_call_nothing(
    engine: Rooms, notebook: Notebook, client: Join
) -> None:
    officer, victim = await client("officer"), await client("victim")
    await notebook.until("two_way")
    [(host, port)] = set(re.findall(r"a=candidate:\S+ 1 udp \d+ ([\d.]+) (\d+) ", victim.answer))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for n in range(10_000):
            stranger.sendto(bytes([(0x80, 0x16, 0x00)[n % 3]]) * 100, (host, int(port)))
    for sender in victim.sockets():
        for _ in range(200):
            sender.sendto(b"\x80\x61" + os.urandom(100), (host, int(port)))
    await officer.sees(0)
    await victim.sees(0)
    assert not notebook.of("lost")


async def refusal(engine: Rooms, seat: str, offer: str, name: str = ROOM) -> tuple[str, int]:
    with pytest.raises(MediaRefused) as refused:
        await engine.join(name, seat, offer)
    return refused.value.code, refused.value.http_status


async def test_an_offer_is_refused_with_a_code_that_says_why(engine: Rooms) -> None:
    await engine.want({ROOM: room("guest"), "room-2": room(), "room-3": room()})
    assert await refusal(engine, "victim", OFFER, "nowhere") == ("room-unknown", 404)
    assert await refusal(engine, "stranger", OFFER) == ("seat-unknown", 404)
    assert await refusal(engine, "victim", "v=0\r\n" * 10_000) == ("sdp-too-large", 400)
    assert await refusal(engine, "victim", "v=0\r\nm=audio\r\n") == ("sdp-malformed", 400)
    data = OFFER.replace("BUNDLE 0 1", "BUNDLE 0 1 2") + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n"
    assert await refusal(engine, "victim", data) == ("sdp-datachannel", 400)
    no_vp8 = OFFER.replace("VP8/90000", "VP7/90000")
    assert await refusal(engine, "officer", no_vp8) == ("codec", 400)


async def test_an_offer_that_meets_no_worker_is_not_counted_against_the_seat(engine: Rooms) -> None:
    os.kill(engine.worker_pids[0], signal.SIGKILL)
    await asyncio.sleep(0.05)
    for _ in range(6):
        with pytest.raises(MediaUnavailable):
            await engine.join(ROOM, "victim", OFFER)


async def test_a_seat_may_not_offer_without_end(engine: Rooms) -> None:
    for _ in range(4):
        assert await refusal(engine, "victim", "v=0\r\n") == ("sdp-malformed", 400)
    with pytest.raises(MediaRefused) as refused:
        await engine.join(ROOM, "victim", OFFER)
    assert (refused.value.code, refused.value.http_status) == ("too-many-offers", 429)
    assert refused.value.retry_after_s is not None
    assert 1 <= refused.value.retry_after_s <= 5
    assert (await engine.join(ROOM, "officer", OFFER)).startswith("v=0"), "another seat is not made to wait"


async def test_the_answer_names_the_public_address_and_a_port_of_the_range_and_no_other_of_this_host(
    notebook: Notebook,
) -> None:
    first = free_port()
    engine = Rooms(notebook, media_public_address="203.0.113.5", media_ports=(first, first + 1))
    await engine.start()
    try:
        await engine.want({ROOM: room(), "room-2": room()})
        used = set()
        for seat in SEATS:
            answer = await engine.join(ROOM, seat, OFFER)
            assert set(re.findall(r"\d+\.\d+\.\d+\.\d+", answer)) == {"203.0.113.5", "0.0.0.0"}  # noqa: S104  what "no address" looks like
            used |= set(re.findall(r"203\.0\.113\.5 (\d+) typ host", answer))
        assert used == {str(first), str(first + 1)}
        with pytest.raises(MediaUnavailable):
            await engine.join("room-2", "victim", OFFER)
    finally:
        await engine.close()


async def test_rooms_are_spread_over_the_workers_and_each_stays_where_it_is(notebook: Notebook) -> None:
    engine = Rooms(notebook, workers=2)
    await engine.start()
    try:
        await engine.want({f"room-{n}": room() for n in range(4)})
        held = [sorted(engine.wanted_of(slot)) for slot in engine._slots]
        assert [len(names) for names in held] == [2, 2]
        await engine.want({f"room-{n}": room() for n in range(6)})
        assert all(set(before) <= set(engine.wanted_of(slot)) for before, slot in zip(held, engine._slots, strict=True))
        assert len(set(engine.worker_pids)) == 2
    finally:
        await engine.close()


PARENT = """
import asyncio
from rvr.media.rooms import Rooms
async def main():
    async def nothing(_): pass
    engine = Rooms(nothing, workers=2)
    await engine.start()
    print(*engine.worker_pids, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


async def test_no_worker_outlives_a_killed_parent() -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, cwd=REPOSITORY, stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    pids = [int(pid) for pid in (await asyncio.wait_for(parent.stdout.readline(), 20)).split()]
    assert len(pids) == 2
    parent.kill()
    await parent.wait()
    for pid in pids:
        assert await gone_dead(pid)


async def test_closing_the_engine_ends_its_workers_and_still_reports_the_calls_that_this_cut(
    notebook: Notebook,
) -> None:
    engine = Rooms(notebook)
    await engine.start()
    await engine.want({ROOM: room()})
    victim = await Client(engine, "victim").join()
    await notebook.until("connected", "victim")
    [pid] = engine.worker_pids
    await engine.close()
    assert notebook.of("lost", "victim")[0].detail["cause"] == "worker_lost"
    await victim.close()
    assert await gone_dead(pid, within_s=1)
    assert engine.worker_pids == []


def test_the_main_process_never_imports_a_media_library() -> None:
    code = "import sys, rvr.media.rooms; print([m for m in ('aiortc', 'aioice', 'av') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_worker_is_given_none_of_our_settings_and_no_optimisation(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = {"RVR_MASTER_KEY", "DATABASE_URL", "PYTHONOPTIMIZE"}
    for name in ours:
        monkeypatch.setenv(name, "1")
    assert not ours & rooms_module._environment().keys()


@pytest.mark.parametrize(
    "settings",
    [
        {"workers": 0},
        {"media_bind": "0.0.0.0"},  # noqa: S104  refused, that is the point
        {"media_public_address": "media.example"},
        {"media_ports": (50_000, 40_000)},
    ],
)
def test_settings_with_which_no_browser_could_connect_are_refused(notebook: Notebook, settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Rooms(notebook, **settings)


def test_a_turn_server_is_handed_to_browsers_in_their_own_words(notebook: Notebook) -> None:
    server = IceServer(("turns:turn.example:5349?transport=tcp",), "1700000000:seat", "secret")
    engine = Rooms(notebook, ice_servers=[server])
    assert [one.for_browser() for one in engine.ice_servers] == [
        {"urls": ["turns:turn.example:5349?transport=tcp"], "username": "1700000000:seat", "credential": "secret"}
    ]
