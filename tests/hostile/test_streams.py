"""Many open screens that read slowly, or not at all: nobody else waits for them, and they hold up no stop."""

from __future__ import annotations

import contextlib
import socket
import time
from pathlib import Path

from tests.serving import Client, served

STREAMS = 60


def open_stream(client: Client, path: str) -> socket.socket:
    """A screen that asks for its feed, takes the first bytes and then reads no more."""
    cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    host = client.url.removeprefix("http://")
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    line.settimeout(5)
    line.connect(("127.0.0.1", int(host.rpartition(":")[2])))
    ask = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookies}\r\nX-CSRF-Token: {client.csrf}\r\n\r\n"
    line.sendall(ask.encode())
    assert line.recv(15) == b"HTTP/1.1 200 OK"
    return line


def test_sixty_feeds_that_nobody_reads_slow_no_command_and_no_stop(tmp_path: Path) -> None:
    with served(tmp_path / "data") as desk, contextlib.ExitStack() as lines:
        handler, sergeant = desk.client("handler"), desk.client("sergeant")
        for number in range(STREAMS):
            path = "/live?topics=board" if number % 2 else "/api/v1/live?topics=board"
            lines.enter_context(open_stream(sergeant, path))
        took = []
        for _ in range(20):
            started = time.monotonic()
            assert handler.open_case().status == 201
            took.append(time.monotonic() - started)
        assert sorted(took)[10] < 1
        assert max(took) < 4
        started = time.monotonic()
        assert desk.client().call("GET", "/health/ready").status == 200
        assert time.monotonic() - started < 2
        started = time.monotonic()
        assert desk.stop() == 0
        assert time.monotonic() - started < 5
