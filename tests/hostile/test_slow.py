"""Connections that ask nothing, ask slowly, send slowly or take nothing: each ends by itself, tells why where it can be
told, and leaves no file handle; meanwhile everybody else is answered."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator

import pytest

from rvr.web import door
from tests.hostile.test_streams import open_stream
from tests.serving import Served, served
from tests.test_operations import figures

pytestmark = [pytest.mark.slow, pytest.mark.alone]

EACH = 30


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("slow") / "data") as running:
        yield running


def connected(desk: Served, first: bytes, *, takes: int = 0) -> socket.socket:
    line = socket.socket()
    if takes:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, takes)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1400)  # as on a line, not a loopback's 64 KiB
    line.settimeout(5)
    line.connect(("127.0.0.1", int(desk.url.rpartition(":")[2])))
    line.sendall(first.replace(b"HOST", desk.url.removeprefix("http://").encode()))
    return line


def post(path: str) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/json\r\nContent-Length: 9000\r\n\r\n".encode()
    )


def handles(desk: Served) -> float:
    return figures(desk)["process_open_fds"]


def at_rest(desk: Served) -> float:
    """The handles of a desk that nobody asks: the connections of whoever asked before are closed."""
    time.sleep(door.KEPT_S + 1)
    return handles(desk)


def is_open(line: socket.socket) -> bool:
    """As this end sees it; what was answered is read away."""
    line.setblocking(False)
    try:
        while line.recv(65536):
            pass
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def drip(lines: list[socket.socket], what: bytes) -> None:
    for line in lines:
        with contextlib.suppress(OSError):
            line.setblocking(True)
            line.sendall(what)


def test_slow_askers_and_slow_senders_are_gone_within_fifteen_seconds_and_nobody_waits_for_them(desk: Served) -> None:
    before, started = at_rest(desk), time.monotonic()
    silent = [connected(desk, b"") for _ in range(EACH)]
    asking = [connected(desk, b"GET / HTTP/1.1\r\nHost: HOST\r\n") for _ in range(EACH)]
    sending = [connected(desk, post(f"/api/v1/{path}")) for path in ("session", "join", "cases") for _ in range(EACH)]
    assert handles(desk) >= before + 5 * EACH, "they are connected"
    waited = []
    while any(map(is_open, [*silent, *asking, *sending])):
        assert time.monotonic() - started < 16, "somebody is still there"
        drip(asking, b"X-Slow: 1\r\n")
        drip(sending, b"x")
        asked = time.monotonic()
        assert desk.client().call("GET", "/health/ready").status == 200
        waited.append(time.monotonic() - asked)
        time.sleep(0.7)
    assert max(waited) < 1
    for line in (*silent, *asking, *sending):
        line.close()
    time.sleep(0.5)
    assert handles(desk) <= before + 3


def test_a_slow_sender_is_told_so(desk: Served) -> None:
    with contextlib.closing(connected(desk, post("/api/v1/session"))) as line:
        line.settimeout(door.BODY_S + 5)
        answer = line.recv(4000).decode()
    assert answer.startswith("HTTP/1.1 408")
    assert '"too-slow"' in answer


def test_a_reader_that_stands_still_is_cut_off_and_one_that_goes_on_is_not(desk: Served) -> None:
    """Answers that fill the way, and a feed; beside them somebody who takes a little now and then."""
    before = at_rest(desk)
    ask = b"GET /static/vendor/govuk-frontend.css HTTP/1.1\r\nHost: HOST\r\n\r\n"
    still = [connected(desk, ask * 60, takes=16_384) for _ in range(5)]
    slow = connected(desk, ask * 60, takes=65_536)
    cut, started = before + 2, time.monotonic()
    while handles(desk) > cut:
        assert time.monotonic() - started < door.TAKES_S + 20, "they are still there"
        assert slow.recv(8_000)
        time.sleep(0.5)
    assert time.monotonic() - started > door.TAKES_S - 5
    for _ in range(40):  # more than its own buffer had
        assert slow.recv(8_000)
    for line in (*still, slow):
        line.close()
    sergeant = desk.client("sergeant")
    with contextlib.closing(open_stream(sergeant, "/live?topics=board")):
        time.sleep(door.TAKES_S + 3)  # a screen on which nothing changes is no reader that stands still
        assert figures(desk)["rvr_streams_open"] == 1
