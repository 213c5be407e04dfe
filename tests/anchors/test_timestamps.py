"""Time-stamp tokens, from a real authority: asked for once an hour, checked before they are kept and by `verify`."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

from rvr import anchoring
from rvr.anchoring import Anchoring, checking
from rvr.anchoring.timestamps import existed, trusted
from rvr.config import SettingFault, Settings, load
from rvr.store import Store
from tests.anchors.authority import Authority, authority
from tests.anchors.places import answering
from tests.anchors.test_witnesses import grow, rows, told
from tests.store.builders import Clock, Place


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("authority") / "tsa")


@pytest.fixture
def tsa(made: Authority) -> Authority:
    return Authority(made.folder)


@contextlib.asynccontextmanager
async def stamped(store: Store, clock: Clock, url: str, tsa: Authority) -> AsyncIterator[Anchoring]:
    settings = Settings(timestamp_url=f"{url}/tsr", timestamp_ca=tsa.ca)
    async with anchoring.opened(store, settings, clock) as looking:
        yield looking


async def test_a_token_is_asked_for_once_an_hour_when_there_is_a_new_head_and_at_the_stop(
    store: Store, clock: Clock, tsa: Authority
) -> None:
    async with answering("/tsr", tsa.answer) as url, stamped(store, clock, url, tsa) as looking:
        await grow(store, clock, "a")
        await looking.look()
        clock.pass_by(hours=2)
        await looking.look()
        assert tsa.asked == 1  # the same head needs no second
        await grow(store, clock, "b")
        await looking.look()
        clock.pass_by(minutes=30)
        await grow(store, clock, "c")
        await looking.look()
        assert tsa.asked == 2
        clock.pass_by(minutes=31)
        await looking.look()
        await grow(store, clock, "d")
        await looking.look()
        assert tsa.asked == 3
        await looking.last_look()
        await looking.last_look()
        assert (tsa.asked, looking.troubles) == (4, [])
    assert [row.size for row in await rows(store)] == [1, 2, 3, 4]


async def test_verify_says_by_when_a_head_existed_and_according_to_whom(
    store: Store, place: Place, clock: Clock, tsa: Authority
) -> None:
    async with answering("/tsr", tsa.answer) as url, stamped(store, clock, url, tsa) as looking:
        await grow(store, clock, "a")
        await looking.look()
        settings = Settings(timestamp_url=f"{url}/tsr", timestamp_ca=tsa.ca)
    head = await store.head()
    (row,) = await rows(store)
    assert head is not None
    at, by = existed(head.note, row.proof, trusted(settings))
    assert abs(at - datetime.now(UTC)) < timedelta(minutes=5)
    assert by == "CN=stamps,O=Example"
    found = await checking.check(store, settings)
    assert found.faults == []
    assert f"the head of 1 events existed by {at:%Y-%m-%dT%H:%M}" in found.told[0]
    assert "according to CN=stamps,O=Example" in found.told[0]
    assert by_openssl(tsa, head.note, row.proof)
    assert not by_openssl(tsa, head.note + "x", row.proof)
    other = {"proof": row.proof[:-1] + bytes([row.proof[-1] ^ 1])}
    place.tamper(lambda connection: connection.execute("UPDATE anchor SET proof = :proof", other))
    found = await checking.check(store, settings)
    assert (len(found.faults), found.told) == (1, [])


def by_openssl(tsa: Authority, note: str, token: bytes) -> bool:
    """As docs/LOG.md tells an expert to check it."""
    (tsa.folder / "note").write_text(note)
    (tsa.folder / "proof").write_bytes(token)
    command = ["openssl", "ts", "-verify", "-data", "note", "-in", "proof", "-CAfile", tsa.ca]
    return subprocess.run(command, cwd=tsa.folder, capture_output=True, check=False).returncode == 0


async def test_no_byte_of_a_token_can_be_changed(store: Store, clock: Clock, tsa: Authority) -> None:
    """But for bits of the envelope that say nothing: then it is the same token still."""
    async with answering("/tsr", tsa.answer) as url, stamped(store, clock, url, tsa) as looking:
        await grow(store, clock, "a")
        await looking.look()
    head, (row,), roots = await store.head(), await rows(store), trusted(Settings(timestamp_ca=tsa.ca))
    assert head is not None
    said = existed(head.note, row.proof, roots)
    with pytest.raises(ValueError):
        existed(head.note + "x", row.proof, roots)
    refused = 0
    for place in range(0, len(row.proof), 7):
        changed = row.proof[:place] + bytes([row.proof[place] ^ 4]) + row.proof[place + 1 :]
        try:
            assert existed(head.note, changed, roots) == said
        except ValueError:
            refused += 1
    assert refused > len(row.proof) // 7 * 0.9


async def test_what_an_authority_answers_is_checked_before_it_is_kept(
    store: Store, clock: Clock, tsa: Authority, tmp_path: Path
) -> None:
    """Another's certificate, an old answer, no answer at all."""
    await grow(store, clock, "a")
    head, earlier = await store.head(), list[bytes]()
    assert head is not None

    async def replayed(request: web.Request) -> web.Response:
        token = tsa.stamp(await request.read())
        earlier.append(token)
        return tsa.reply(earlier[0])

    async def older(request: web.Request) -> web.Response:
        """Of the same head, but of another question: its time could be any."""
        asked = TimestampRequestBuilder().data(head.note.encode()).hash_algorithm(HashAlgorithm.SHA256).build()
        return tsa.reply(tsa.stamp(asked.as_bytes()))

    async def nothing(request: web.Request) -> web.Response:
        return web.Response(status=503)

    async def nonsense(request: web.Request) -> web.Response:
        return tsa.reply(b"\x30\x03\x02\x01\x00")

    stranger = authority(tmp_path / "stranger")
    answers = ((stranger.answer, "rejects"), (older, "rejects"), (nonsense, "rejects"), (nothing, "unreachable"))
    for handler, code in answers:
        async with answering("/tsr", handler) as url, stamped(store, clock, url, tsa) as looking:
            await looking.look()
            assert told(looking) == [f"timestamp-{code}"]
            assert looking.alarm == ""
    assert await rows(store) == []
    async with answering("/tsr", replayed) as url, stamped(store, clock, url, tsa) as looking:
        await looking.look()
        assert told(looking) == []
        await grow(store, clock, "b")
        clock.pass_by(hours=1)
        await looking.look()
        assert told(looking) == ["timestamp-rejects"]
    assert len(await rows(store)) == 1


async def test_one_that_is_away_is_asked_again_a_minute_later(store: Store, clock: Clock, tsa: Authority) -> None:
    away = True

    async def sometimes(request: web.Request) -> web.Response:
        answer = await tsa.answer(request)
        return web.Response(status=500) if away else answer

    await grow(store, clock, "a")
    async with answering("/tsr", sometimes) as url, stamped(store, clock, url, tsa) as looking:
        await looking.look()
        clock.pass_by(seconds=59)
        await looking.look()
        assert tsa.asked == 1
        away = False
        clock.pass_by(seconds=1)
        await looking.look()
        assert (tsa.asked, looking.troubles) == (2, [])


def test_an_authority_without_certificates_to_trust_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingFault, match="timestamp_ca"):
        load({"timestamp_url": "http://127.0.0.1:1/"}, {})
    (tmp_path / "empty.pem").touch()
    for file in (tmp_path / "empty.pem", tmp_path / "none.pem"):
        with pytest.raises(SettingFault, match="no PEM file"):
            trusted(Settings(timestamp_ca=str(file)))
