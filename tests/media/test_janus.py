"""What holds for rooms on Janus beyond the engine's contract: several servers, their loss, draining and secrets."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import aiohttp
import pytest

from rvr.media import MediaUnavailable
from rvr.media.janus.listed import BadList, JanusServer, listed
from rvr.media.rooms import OnJanus, Rooms
from tests import janus
from tests.media.conftest import ROOM, SEATS, Client, Notebook, room

Join = Callable[..., Awaitable[Client]]

needs_janus = pytest.mark.skipif(bool(janus.missing()), reason=janus.missing())


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[list[janus.Janus]]:
    """Two servers."""
    both = [janus.Janus(tmp_path / name) for name in ("one", "two")]
    try:
        for server in both:
            server.start()
        yield both
    finally:
        for server in both:
            server.stop(signal.SIGKILL)


@pytest.fixture
async def engine(notebook: Notebook, servers: list[janus.Janus]) -> AsyncIterator[Rooms]:
    rooms = Rooms(notebook, lost_after_s=1.5, janus=OnJanus(tuple(server.listed() for server in servers)))
    await rooms.start()
    await rooms.want({ROOM: room()})
    yield rooms
    await rooms.close()


def server_of(client: Client, servers: list[janus.Janus]) -> janus.Janus:
    """Whose port the answer names."""
    port = next(line.split()[5] for line in client.answer.splitlines() if line.startswith("a=candidate:"))
    [found] = [server for server in servers if server.process is not None and int(port) in server.udp_ports()]
    return found


async def back(client: Join, seat: str, name: str = ROOM) -> Client:
    """Join as a browser does: again and again while the server says 503."""
    end = time.monotonic() + 8
    while True:
        try:
            return await client(seat, name)
        except MediaUnavailable:
            assert time.monotonic() < end
            await asyncio.sleep(0.1)


@needs_janus
async def test_rooms_are_spread_over_the_servers_and_a_call_stays_where_it_is(
    engine: Rooms, notebook: Notebook, client: Join, servers: list[janus.Janus]
) -> None:
    await engine.want({ROOM: room(), "new": room()})
    places = {name: [server_of(await client(seat, name), servers) for seat in SEATS] for name in (ROOM, "new")}
    assert places[ROOM][0] is places[ROOM][1]
    assert places["new"][0] is places["new"][1]
    assert places[ROOM][0] is not places["new"][0]
    await notebook.until("two_way", times=2)


@needs_janus
async def test_a_draining_server_takes_no_new_room_and_keeps_the_calls_that_it_has(
    engine: Rooms, notebook: Notebook, client: Join, servers: list[janus.Janus]
) -> None:
    officer = await client("officer")
    drained = server_of(officer, servers)
    engine.use_servers([server.listed(draining=server is drained) for server in servers])
    assert server_of(await client("victim"), servers) is drained, "the call that was there goes on there"
    await notebook.until("two_way")

    names = [f"new-{n}" for n in range(3)]
    await engine.want({name: room() for name in (ROOM, *names)})
    for name in names:
        assert server_of(await client("victim", name), servers) is not drained

    engine.use_servers([server.listed() for server in servers if server is not drained])
    await officer.receives("video", 5)
    assert not notebook.of("lost")


@needs_janus
async def test_when_a_server_dies_its_calls_are_interrupted_and_go_on_at_another(
    engine: Rooms, notebook: Notebook, client: Join, servers: list[janus.Janus]
) -> None:
    dying = server_of(await client("officer"), servers)
    await client("victim")
    await notebook.until("two_way")
    dying.stop(signal.SIGKILL)
    for seat in SEATS:
        assert (await notebook.until("lost", seat, within_s=4)).detail["cause"] in ("worker_lost", "silent")
    officer = await back(client, "officer")
    victim = await back(client, "victim")
    await notebook.until("resumed")
    assert server_of(officer, servers) is server_of(victim, servers) is not dying
    assert len(notebook.of("two_way")) == 1


@needs_janus
async def test_a_server_that_comes_back_is_used_again(
    notebook: Notebook, client: Join, servers: list[janus.Janus], engine: Rooms
) -> None:
    for server in servers:
        server.stop(signal.SIGKILL)
    await asyncio.sleep(0.5)
    with pytest.raises(MediaUnavailable):
        await client("officer")
    servers[1].start()
    await back(client, "officer")
    await notebook.until("connected", "officer")


@needs_janus
async def test_a_room_left_behind_by_a_killed_desk_does_not_stand_in_the_way(
    engine: Rooms, notebook: Notebook, client: Join
) -> None:
    await client("officer")
    await client("victim")
    await notebook.until("two_way")
    again = Rooms(notebook, lost_after_s=1.5, janus=OnJanus(tuple(map(_told, engine._settings["servers"]))))
    await again.start()
    await again.want({ROOM: room()})
    clients = [Client(again, seat) for seat in SEATS]
    try:
        for one in clients:
            await one.join()
        await notebook.until("two_way", times=2)
    finally:
        await again.close()
        for one in clients:
            await one.close()


def _told(server: dict[str, object]) -> JanusServer:
    return JanusServer(str(server["url"]), str(server["secret"]), bool(server["draining"]))


@needs_janus
async def test_between_machines_the_copy_is_encrypted_and_is_still_understood(
    notebook: Notebook, servers: list[janus.Janus], client: Join
) -> None:
    own = janus.own_address()
    apart = Rooms(notebook, janus=OnJanus((servers[0].listed(),), tap=own))
    await apart.start()
    await apart.want({ROOM: room()})
    clients = [Client(apart, seat) for seat in SEATS]
    try:
        for one in clients:
            await one.join()
        await notebook.until("two_way")
    finally:
        await apart.close()
        for one in clients:
            await one.close()


@needs_janus
async def test_what_a_copy_does_not_show_is_not_told_as_nought(engine: Rooms, notebook: Notebook, client: Join) -> None:
    await client("officer")
    await client("victim")
    await notebook.until("two_way")
    await asyncio.sleep(1.5)
    await engine.leave(ROOM, "victim")
    figures = (await notebook.until("quality", "victim")).detail
    assert int(figures["up_kbps"]) > 0
    assert (figures["width"], figures["height"]) == ("160", "120")
    assert not figures.keys() & {"down_kbps", "down_loss_pct", "rtt_ms", "nacks"}


@needs_janus
async def test_nobody_without_the_secret_is_served_by_janus(janus_server: janus.Janus) -> None:
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(janus_server.url, protocols=("janus-protocol",)) as socket,
    ):
        for token in ({}, {"token": "1999999999,janus,janus.plugin.videoroom:Zm9yZ2Vk"}):
            await socket.send_str(json.dumps({"janus": "create", "transaction": "1", **token}))
            answer = json.loads((await socket.receive(5)).data)
            assert (answer["janus"], answer["error"]["code"]) == ("error", 403)


def test_the_list_of_servers_is_read_or_refused_with_a_reason(tmp_path: Path) -> None:
    file = tmp_path / "janus.toml"
    file.touch(0o600)
    entry = '[[server]]\nurl = "{}"\nsecret = "0123456789abcdef"\n'
    file.write_text(entry.format("wss://a.example:8989") + entry.format("ws://b") + "draining = true\n")
    first, second = listed(file)
    assert (first.url, first.draining, second.draining) == ("wss://a.example:8989", False, True)
    assert "0123" not in repr(first)
    for wrong, reason in (
        ("", "wants one"),
        ("[[server]]\n", "lacks secret, url"),
        (entry.format("https://a"), "begins with"),
        (entry.format("ws://a") * 2, "twice"),
        (entry.format("ws://a") + "drain = true\n", "there is no “drain”"),
        (entry.format("ws://a") + 'draining = "yes"\n', "of the kind bool"),
        ('[[server]]\nurl = "ws://a"\nsecret = "short"\n', "at least 16"),
        ("[[", "cannot be read"),
    ):
        file.write_text(wrong)
        with pytest.raises(BadList, match=reason):
            listed(file)
    file.write_text(entry.format("ws://a"))
    file.chmod(0o644)
    with pytest.raises(BadList, match="chmod 600"):
        listed(file)
