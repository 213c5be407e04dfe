"""A stranger's page whose name was made to lead to this machine asks by that name, and must read nothing."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from rvr.web.app import ROUTES
from tests.serving import Served, ready_for_handover, served

PATHS = [route.path.replace("{id}", "x").replace("{seat}", "x") for route in ROUTES if route.method == "GET"]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder: Path = tmp_path_factory.mktemp("hosts")
    with served(folder / "data") as running:
        handler, sergeant, officer = (running.client(name) for name in ("handler", "sergeant", "officer"))
        case = ready_for_handover(handler)
        handler.move(case, "offer_handover")
        sergeant.move(case, "accept_handover")
        sergeant.move(case, "assign_officer", {"officer": officer.me["id"]})
        assert officer.move(case, "send_link").status == 200
        yield running


def ask(desk: Served, host: str, path: str) -> str:
    with socket.create_connection(("127.0.0.1", int(desk.url.rpartition(":")[2]))) as line:
        line.settimeout(10)
        line.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while part := line.recv(65536):
            answer += part
    return answer.decode()


@pytest.mark.parametrize("path", PATHS)
def test_no_route_answers_under_a_name_that_is_not_ours(desk: Served, path: str) -> None:
    port = desk.url.rpartition(":")[2]
    for host in (f"evil.example:{port}", "evil.example", f"127.0.0.1.evil.example:{port}"):
        status, _, rest = ask(desk, host, path).partition("\r\n")
        assert " 200 " not in status
        assert "900123" not in rest
        assert "/j#" not in rest


def test_the_demo_outbox_does_answer_under_our_own_names(desk: Served) -> None:
    port = desk.url.rpartition(":")[2]
    for host in (f"127.0.0.1:{port}", f"localhost:{port}"):
        answer = ask(desk, host, "/api/v1/demo/outbox")
        assert answer.startswith("HTTP/1.1 200")
        assert "/j#" in answer


def test_a_strangers_page_can_neither_sign_in_nor_open_a_link(desk: Served) -> None:
    for origin in ("http://evil.example", "null", desk.url.replace("http:", "https:") + ".evil.example"):
        for path, body in (("session", {"username": "officer", "password": "x"}), ("join", {"token": "x" * 43})):
            assert desk.client().call("POST", path, body, Origin=origin).status == 403
