"""A desk and its witness: what was cosigned can neither be put back nor be written anew without an alarm."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import signal
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from rvr import anchoring
from rvr.anchoring import Anchoring, checking
from rvr.anchoring.witnesses import Asked, configured
from rvr.config import SettingFault, Settings
from rvr.core.case import Case
from rvr.cosigning import Cosigner, cosignature
from rvr.store import Store, anchors
from rvr.store.anchors import Anchor
from rvr.store.notes import Verifier, parted
from rvr.store.sqlite import Connection
from tests.anchors.places import Process, answering
from tests.store.builders import Clock, Place, a_batch, opened
from tests.store.test_checkpoints import cases, heads_file, rechain


@contextlib.asynccontextmanager
async def anchored(store: Store, clock: Clock, *witnesses: str) -> AsyncIterator[Anchoring]:
    """The desk's side, as the desk opens it."""
    async with anchoring.opened(store, Settings(witnesses=" ".join(witnesses)), clock) as looking:
        yield looking


async def rows(store: Store) -> list[Anchor]:
    return [anchor for anchor, _ in await store.look(anchors.every)]


def told(looking: Anchoring) -> list[str]:
    return [one.code for one in looking.troubles]


async def grow(store: Store, clock: Clock, name: str) -> int:
    """One more event, and a head over it; how many there are."""
    await store.append(a_batch(name, Case(name), opened(clock, f"R{name}")))
    await store.checkpoint()
    return await store.position()


def known(at: Process) -> int:
    (held,) = json.loads(at.state.read_text())["heads"].values()
    return int(held["size"])


# --- As it should be ---------------------------------------------------------------------------------------------


async def test_each_new_head_is_cosigned_once_and_also_after_a_restart(store: Store, clock: Clock, at: Process) -> None:
    async with anchored(store, clock, at.setting) as looking:
        await looking.look()
        assert await rows(store) == []  # nothing is signed yet
        for name in "abcdefg":
            size = await grow(store, clock, name)
            await looking.look()
            await looking.look()
            assert known(at) == size
        assert looking.troubles == []
    await grow(store, clock, "h")
    size = await grow(store, clock, "i")
    async with anchored(store, clock, at.setting) as looking:
        await looking.look()
        assert looking.troubles == []
    kept = await rows(store)
    assert [row.size for row in kept] == [1, 2, 3, 4, 5, 6, 7, size]
    for row, note in await store.look(anchors.every):
        assert cosignature(Verifier(at.key), note, [row.proof.decode()]).line == row.proof.decode()


async def test_two_processes_of_one_desk_disturb_neither_each_other_nor_the_witness(
    store: Store, place: Place, clock: Clock, at: Process
) -> None:
    other = place.store(clock)
    await other.start()
    async with anchored(store, clock, at.setting) as ours, anchored(other, clock, at.setting) as theirs:
        await grow(store, clock, "a")
        await ours.look()
        early = await store.head()
        assert early is not None
        await grow(other, clock, "b")
        await theirs.look()
        carrier = ours._carriers[0]
        assert isinstance(carrier, Asked)
        carrier._seen = 0
        await carrier.carry(early, clock.at, last=False)  # it read the head before the other submitted the next
        await ours.look()
        assert (ours.troubles, theirs.troubles) == ([], [])
    assert [row.size for row in await rows(store)] == [1, 2]
    await other.close()


async def test_the_desk_waits_for_no_witness_and_tells_since_when_one_is_away(
    store: Store, clock: Clock, at: Process, capsys: pytest.CaptureFixture[str]
) -> None:
    await grow(store, clock, "a")
    at.stop(signal.SIGKILL)
    async with anchored(store, clock, at.setting) as looking:
        since = clock.at
        await looking.look()
        clock.pass_by(minutes=5)
        await looking.look()
        (trouble,) = looking.troubles
        assert (trouble.code, trouble.alarm, trouble.since) == ("witness-unreachable", False, since)
        assert looking.alarm == ""
        at.start()
        await looking.look()
        assert looking.troubles == []
    out = "".join(capsys.readouterr())
    assert out.count("head_not_anchored") == 1
    assert out.count("anchored_again") == 1
    assert [row.size for row in await rows(store)] == [1]


async def test_a_witness_that_lost_its_state_is_told_and_begins_again(
    store: Store, clock: Clock, at: Process, capsys: pytest.CaptureFixture[str]
) -> None:
    await cases(store, clock, "ab")
    async with anchored(store, clock, at.setting) as looking:
        await looking.look()
        at.stop()
        at.state.unlink()
        at.start()
        size = await grow(store, clock, "c")
        await looking.look()
        assert looking.troubles == []
    assert known(at) == size
    assert "witness_forgot" in "".join(capsys.readouterr())


# --- What it is for ----------------------------------------------------------------------------------------------


async def test_a_database_put_back_with_its_heads_file_is_refused_by_the_witness(
    store: Store, place: Place, clock: Clock, at: Process, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever owns the machine puts everything back: nothing on it can tell. The witness can."""
    await cases(store, clock, "ab")
    async with anchored(store, clock, at.setting) as looking:
        await looking.look()
    await store.close()
    yesterday = place.data.with_name("yesterday")
    shutil.copytree(place.data, yesterday / "data")
    shutil.copytree(place.key_file.parent, yesterday / "keys")
    again = place.store(clock)
    await again.start()
    await cases(again, clock, "cd")
    async with anchored(again, clock, at.setting) as looking:
        await looking.look()
        assert looking.troubles == []
    seen = known(at)
    await again.close()
    for folder, kept in ((place.data, "data"), (place.key_file.parent, "keys")):
        shutil.rmtree(folder)
        shutil.copytree(yesterday / kept, folder)
    back = place.store(clock)
    await back.start()
    assert await back.verify() == []
    async with anchored(back, clock, at.setting) as looking:
        await looking.look()
        assert looking.alarm == "witness-ahead"
        await cases(back, clock, "efghij")  # it grows past what the witness has seen
        assert await back.checkpoint() is None
        assert back.refusal is None
        assert await back.position() > seen
        await looking.look()
        assert looking.alarm == "witness-ahead"  # the first alarm stands
    async with anchored(back, clock, at.setting) as looking:
        await looking.look()
        assert looking.alarm == "witness-fork"
        at.stop()
        await looking.look()
        assert looking.alarm == "witness-fork"  # out of reach is no all-clear
    out = "".join(capsys.readouterr())
    assert [out.count(code) for code in ("witness-ahead", "witness-fork")] == [1, 1]
    assert max(row.size for row in await rows(back)) < seen
    await back.close()


async def test_a_log_that_is_written_anew_with_every_key_is_refused_by_the_witness(
    store: Store, place: Place, clock: Clock, at: Process
) -> None:
    """Edited, hashed again, its checkpoints and heads signed anew: to this machine it is whole."""
    await cases(store, clock, "abc")
    async with anchored(store, clock, at.setting) as looking:
        await looking.look()
    await store.close()

    def rewrite(connection: Connection) -> None:
        connection.execute("UPDATE event SET salt1 = zeroblob(16) WHERE stream = 'case/b' AND version = 2")
        rechain(connection, "case/b")
        connection.execute("DELETE FROM checkpoint")

    place.tamper(rewrite)
    heads_file(place).unlink()
    again = place.store(clock)
    await again.start()
    assert await again.checkpoint() is not None
    assert await again.verify() == []
    async with anchored(again, clock, at.setting) as looking:
        await looking.look()
        assert looking.alarm == "witness-fork"
        await grow(again, clock, "d")
        await looking.look()
        assert looking.alarm == "witness-fork"
    assert known(at) == 9
    await again.close()


# --- Witnesses that are none -------------------------------------------------------------------------------------

LIAR = Cosigner("liar", bytes(32))


@pytest.mark.parametrize(
    ("status", "text", "kind", "code"),
    [
        (200, "", "text/plain", "witness-rejects"),
        (200, "— liar AAAA\n", "text/plain", "witness-rejects"),
        (200, LIAR.cosign("a\n1\nb\n\n— x y\n", 5).line, "text/plain", "witness-rejects"),
        (200, "x" * 100_000, "text/plain", "witness-rejects"),
        (409, "5\n", "text/plain", "witness-rejects"),
        (409, "05\n", "text/x.tlog.size", "witness-rejects"),
        (409, "1000\n", "text/x.tlog.size", "witness-ahead"),
        (409, "0\n", "text/x.tlog.size", "witness-fork"),
        (422, "", "text/plain", "witness-fork"),
        (404, "", "text/plain", "witness-rejects"),
        (403, "", "text/plain", "witness-rejects"),
        (302, "", "text/plain", "witness-rejects"),
        (500, "", "text/plain", "witness-rejects"),
    ],
)
async def test_nothing_is_kept_without_a_cosignature_that_fits(
    store: Store, clock: Clock, status: int, text: str, kind: str, code: str
) -> None:
    async def answer(request: web.Request) -> web.Response:
        headers = {"Content-Type": kind, "Location": "http://127.0.0.1:1/"}
        return web.Response(status=status, body=text.encode(), headers=headers)

    await grow(store, clock, "a")
    async with answering("/add-checkpoint", answer) as url, anchored(store, clock, url, LIAR.verifier) as looking:
        await looking.look()
        assert told(looking) == [code]
        assert bool(looking.alarm) == (code in ("witness-fork", "witness-ahead"))
    assert await rows(store) == []


async def test_one_that_moves_its_size_for_ever_is_left(store: Store, clock: Clock) -> None:
    asked = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(await request.read())
        size = b"%d\n" % (1 + len(asked) % 2)
        return web.Response(status=409, body=size, headers={"Content-Type": "text/x.tlog.size"})

    await cases(store, clock, "ab")
    async with answering("/add-checkpoint", answer) as url, anchored(store, clock, url, LIAR.verifier) as looking:
        await looking.look()
        assert told(looking) == ["witness-rejects"]
    assert len(asked) == 4


async def test_one_that_does_not_answer_holds_up_no_other(
    store: Store, clock: Clock, at: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answer(request: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    monkeypatch.setattr(anchoring, "REQUEST_S", 0.5)
    await grow(store, clock, "a")
    dead = answering("/add-checkpoint", answer)
    async with dead as url, anchored(store, clock, url, LIAR.verifier, at.setting) as looking:
        await looking.look()
        assert told(looking) == ["witness-unreachable"]
    assert [row.name for row in await rows(store)] == [Verifier(at.key).name]


@pytest.mark.parametrize(
    "setting",
    [
        "http://127.0.0.1:1",
        "http://127.0.0.1:1 nonsense",
        f"ftp://127.0.0.1:1 {LIAR.verifier}",
        "http://127.0.0.1:1 PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    ],
)
def test_a_setting_that_names_no_witness_is_refused_at_the_start(setting: str) -> None:
    with pytest.raises(SettingFault, match="witnesses"):
        configured(Settings(witnesses=setting))


# --- What is kept, and what leaves -------------------------------------------------------------------------------


async def test_verify_checks_each_cosignature_and_says_which_it_cannot(
    store: Store, place: Place, clock: Clock, at: Process
) -> None:
    await cases(store, clock, "a")
    async with anchored(store, clock, at.setting) as looking:
        await looking.look()
        await grow(store, clock, "b")
        await looking.look()
    found = await checking.check(store, Settings(witnesses=at.setting))
    name = Verifier(at.key).name
    assert found.faults == []
    assert len(found.told) == 1
    assert f"Cosigned by {name}: 4 events" in found.told[0]
    assert found.told[0].endswith("in all: 2")
    assert "Not checked" in (await checking.check(store, Settings())).told[0]
    place.tamper("UPDATE anchor SET proof = (SELECT proof FROM anchor WHERE size = 3) WHERE size = 4")
    found = await checking.check(store, Settings(witnesses=at.setting))
    assert len(found.faults) == 1
    assert "head of 4 events" in found.faults[0]
    assert "3 events" in found.told[0]


async def test_an_export_s_head_is_the_earliest_that_was_cosigned(store: Store, clock: Clock, at: Process) -> None:
    """However long the log grows: the same inputs give the same bytes, as soon as the witness has cosigned."""
    await cases(store, clock, "a")
    before = await store.head_over(1)
    async with anchored(store, clock, at.setting) as looking:
        await looking.look()
        await cases(store, clock, "b")
        assert (await store.head_over(5)).size == 5  # nothing over it is cosigned
        await looking.look()
    await grow(store, clock, "later")
    assert (before.size, before.note.count("— ")) == (1, 1)
    for position, size, lines in ((1, 3, 2), (3, 3, 2), (4, 6, 2), (7, 7, 1)):
        found = await store.head_over(position)
        assert (found.size, found.note.count("— ")) == (size, lines)
        assert Verifier(store.notary.verifier).signed(found.note)
    found = await store.head_over(4)
    assert cosignature(Verifier(at.key), found.note, parted(found.note)[1]).at
