"""A real TURN server, run by the configuration that the desk writes: whom it lets in, and to whom it passes on."""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rvr.turn import ALLOCATIONS_OF_ONE, Turn
from tests.media.net import turnserver
from tests.media.net.network import Network, Place
from tests.media.net.turnserver import TurnServer

SERVER, MEDIA, OTHER, CALLER = "10.77.1.1", "10.77.1.10", "10.77.1.11", "10.77.1.2"
"""The server, the media plane and another service of ours stand on one machine, the caller elsewhere."""

ECHO = """
import socket, sys
s = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in sys.argv[1:]]
for one, host in zip(s, sys.argv[1:]): one.bind((host, 7000))
print("open", flush=True)
import selectors
watch = selectors.DefaultSelector()
for one in s: watch.register(one, selectors.EVENT_READ)
while True:
    for key, _ in watch.select():
        data, sender = key.fileobj.recvfrom(2048)
        print(key.fileobj.getsockname()[0], flush=True)
        key.fileobj.sendto(data, sender)
"""


@dataclass(frozen=True)
class Site:
    caller: Place
    server: TurnServer

    def asks(self, transport: str = "udp", *, at: datetime | None = None, **more: Any) -> dict[str, Any]:
        """What comes of a credential made at that moment, good for ten minutes."""
        turn = Turn((self.server.url(transport),), self.server.secret, 600)
        ice = turn.server(at or datetime.now(UTC), secrets.token_urlsafe(9))
        told = {
            "server": [SERVER, self.server.port(transport)],
            "transport": transport,
            "ca": str(self.server.cert),
            "username": ice.username,
            "password": ice.credential,
            **more,
        }
        script = str(Path(__file__).with_name("turn_caller.py"))
        answer = self.caller.run(sys.executable, script, input=json.dumps(told), env=dict(os.environ))
        return json.loads(answer.stdout)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    turnserver.program()
    network, folder = Network(), tmp_path_factory.mktemp("turn")
    try:
        here, caller = network.place("here"), network.place("caller")
        network.wire((here, "wlan0", f"{SERVER}/24"), (caller, "wlan0", f"{CALLER}/24"))
        for address in (MEDIA, OTHER):
            here.run("ip", "address", "add", f"{address}/24", "dev", "wlan0")
        server = turnserver.written(folder, SERVER, MEDIA)
        with (
            turnserver.running(here, server, folder),
            here.running(sys.executable, "-c", ECHO, MEDIA, OTHER, SERVER, "127.0.0.1", stdout=-1) as echo,
        ):
            assert echo.stdout is not None
            assert echo.stdout.readline() == "open\n"
            yield Site(caller, server)
    finally:
        network.close()


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_the_media_plane_is_reached_over_every_transport(site: Site, transport: str) -> None:
    assert site.asks(transport, peers=[[MEDIA, 7000]]) == {"allocated": [""], "peers": [""], "refreshed": ""}


REFUSED = [
    *(OTHER, SERVER, CALLER, "10.0.0.1", "192.168.1.1", "172.16.0.1", "100.64.0.1"),
    *("127.0.0.1", "0.0.0.0", "169.254.169.254", "224.0.0.1", "255.255.255.255", "8.8.8.8"),  # noqa: S104
]
"""Our own other services, the networks behind us, this machine, where clouds hand out keys, and everybody else."""


def test_nobody_else_is(site: Site) -> None:
    answer = site.asks(peers=[[host, 7000] for host in REFUSED])
    assert dict(zip(REFUSED, answer["peers"], strict=True)) == dict.fromkeys(REFUSED, "403")


@pytest.mark.parametrize("host", ["::1", "fc00::7", "fe80::1", "::ffff:127.0.0.1", "2001:db8::1"])
def test_nor_is_anything_by_the_newer_protocol(site: Site, host: str) -> None:
    answer = site.asks(peers=[[host, 7000]])
    assert answer["peers"] in (["403"], ["443"]), "forbidden, or not of the allocation's family"


def test_a_credential_ends(site: Site) -> None:
    assert site.asks(at=datetime.now(UTC) - timedelta(seconds=590))["allocated"] == [""]
    assert site.asks(at=datetime.now(UTC) - timedelta(seconds=610))["allocated"] == ["401"]


def test_an_allocation_goes_on_after_the_credential_that_made_it_has_ended(site: Site) -> None:
    answer = site.asks(at=datetime.now(UTC) - timedelta(seconds=598), refresh_after_s=4)
    assert (answer["allocated"], answer["refreshed"]) == ([""], "")


def test_nobody_is_let_in_without_one_or_with_a_later_end_than_was_given(site: Site) -> None:
    ends = int(datetime.now(UTC).timestamp()) + 600
    assert site.asks(password="guessed")["allocated"] == ["401"]
    assert site.asks(username=f"{ends + 86_400}:somebody")["allocated"] == ["401"]
    assert site.asks(username="", password="")["allocated"] == ["401"]


def test_one_credential_makes_so_many_allocations_and_no_more(site: Site) -> None:
    answer = site.asks(count=ALLOCATIONS_OF_ONE + 2)
    assert answer["allocated"] == [""] * ALLOCATIONS_OF_ONE + ["486"] * 2
