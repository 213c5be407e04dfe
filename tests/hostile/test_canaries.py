"""One case whose every text is a canary goes through the whole desk, with errors forced on the way: who hears it?"""

from __future__ import annotations

import io
import json
import re
import socket
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.serving import Client, Served, served
from tests.web.test_api import PLAN, dash, newest_token

CANARY = re.compile(r"zqcanary\w*|900321|203\.0\.113\.\d+", re.IGNORECASE)
"""Texts, the telephone number, an address of the network that an SDP names."""

OPENED = {
    "victim_name": "Zqcanaryname",
    "safe_number": "07700 900321",
    "suspect_name": "Zqcanarysuspect",
    "address": "77 Zqcanarystreet",
    "code_word": "zqcanaryword",
    "who_sees_phone": "zqcanaryphone",
    "incident_number": "zqcanary-77",
}

RAW = (
    b"GET /zqcanary\xff HTTP/1.1\r\nHost: zqcanary\r\nZqcanaryheader\r\n\r\n",
    b"ZQCANARY zqcanary\r\n\r\n",
    b"GET http://zqcanary:99999999/ HTTP/1.1\r\nHost: zqcanary\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: zqcanary\r\nCookie: rvr_s=zqcanary\x01;;=\r\nX: " + b"zqcanary" * 4000 + b"\r\n\r\n",
    b"POST /api/v1/join HTTP/1.1\r\nHost: zqcanary\r\nContent-Encoding: gzip\r\nContent-Length: 8\r\n\r\nzqcanary",
)
"""Requests that no parser takes."""


@dataclass
class Told:
    """The desk after the story, still running."""

    desk: Served
    case: str
    token: str


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    folder: Path = tmp_path_factory.mktemp("canaries")
    with served(folder / "data") as desk:
        yield the_story(desk)


def the_story(desk: Served) -> Told:
    handler, sergeant, officer = (desk.client(name) for name in ("handler", "sergeant", "officer"))
    case = handler.open_case(**OPENED).body["id"]
    criteria = handler.call("GET", "workflows/da-desk").body["criteria"]
    handler.move(case, "answer_criteria", {"answers": {c: criterion["met"] for c, criterion in criteria.items()}})
    handler.move(case, "record_consent", {"consent_kind": "video", "consent_answer": "given"})
    handler.move(case, "offer_handover", {"note": "zqcanarynote"})
    sergeant.move(case, "accept_handover")
    sergeant.move(case, "assign_officer", {"officer": officer.me["id"]})
    assert officer.move(case, "send_link").status == 200
    token = newest_token(desk)
    victim = desk.client()
    joined = victim.call("POST", "join", {"token": token}).body
    victim.csrf = joined["csrf"]
    sdp = b"v=0\r\no=zqcanary 1 1 IN IP4 203.0.113.77\r\nc=IN IP4 203.0.113.77\r\n"
    assert victim.call("POST", f"media/{joined['seat']}", raw=sdp, Content_Type="application/sdp").status == 400
    assert desk.client().call("POST", "join", {"token": token}).status == 422
    assert victim.call("POST", "join/unsafe", {}).status == 204
    errors(desk, handler)
    officer.move(case, "end_session", {"end_reason": "video_failed"})
    safe = {"alone": "yes", "place_verified": "yes", "suspect_whereabouts": "zqcanarywhere", "next_contact": "zqcanary"}
    assert officer.move(case, "contact_regained", safe).body["state"] == "assessment"
    assert officer.move(case, "assess_risk", dash("yes", yes=1, level="medium", rationale="zqcanarywhy")).status == 200
    plan = {**PLAN, "action_owner": "Zqcanaryowner", "note": "zqcanaryplan"}
    assert officer.move(case, "plan_safeguarding", plan).status == 200
    return Told(desk, case, token)


def errors(desk: Served, handler: Client) -> None:
    """Whatever makes a server stumble, with a canary in it. What it answers is not asked here, only what it writes."""
    desk.client().call("POST", "session", raw=b'{"username": "zqcanary\\ud800", "password": "zqcanary"}')
    desk.client().call("POST", "session", {"username": "zqcanary", "password": "zqcanary"})
    handler.call("POST", "cases", raw=b'{"command_id": "zqcanary\\ud800", "form": {"victim_name": "zqcanary"}}')
    odd = "application/x-www-form-urlencoded; charset=zqcanary"
    handler.call("POST", "/cases", raw=b"victim_name=zqcanary", Content_Type=odd)
    for path in ("/cases/zqcanary", "/static/js/zqcanary" + "x" * 3000, "/?q=zqcanary", "/api/v1/live?topics=zqcanary"):
        handler.call("GET", path)
    for raw in RAW:
        with socket.create_connection(("127.0.0.1", int(desk.url.rpartition(":")[2]))) as line, suppress(OSError):
            line.settimeout(1)
            line.sendall(raw)
            line.recv(1000)


def sings(text: str) -> set[str]:
    return set(CANARY.findall(text))


def test_no_name_number_token_or_address_reaches_the_log_lines_whatever_goes_wrong(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with served(tmp_path / "data") as desk:
        token = the_story(desk).token
    lines = capfd.readouterr().err
    assert "unforeseen" in lines or "Error handling" in lines, "nothing went wrong, so nothing was tried"
    assert sings(lines) == set()
    assert token not in lines
    assert "127.0.0.1" not in lines, "from where everybody came in this test"


def test_no_personal_text_stands_in_the_clear_in_any_file_of_the_data_folder(told: Told) -> None:
    files = [path for path in told.desk.data.rglob("*") if path.is_file()]
    assert any(path.name.endswith("-wal") for path in files)
    for path in files:
        text = path.read_bytes().decode("latin-1")
        assert (path.name, sings(text), told.token in text) == (path.name, set(), False)


def test_no_personal_text_is_in_the_evaluators_package_or_in_the_public_side_of_the_log(told: Told) -> None:
    package = told.desk.client("evaluator").call("POST", "exports", {}).body
    with zipfile.ZipFile(io.BytesIO(package)) as files:
        for name in files.namelist():
            assert (name, sings(files.read(name).decode("utf-8", "replace"))) == (name, set())
    events = told.desk.client("sergeant").call("GET", f"cases/{told.case}/events").body
    assert sings(json.dumps(events)) == set()


@pytest.mark.parametrize(
    "role", ["handler2", "officer2", "advocate", "interpreter", "investigator", "specialist", "auditor", "admin"]
)
def test_whom_the_case_does_not_concern_reads_nothing_of_it_by_page_program_or_feed(told: Told, role: str) -> None:
    client = told.desk.client(role)
    for path in (f"cases/{told.case}", f"cases/{told.case}/events", f"/cases/{told.case}", "board", "/"):
        answer = client.call("GET", path)
        text = answer.body.decode() if isinstance(answer.body, bytes) else json.dumps(answer.body)
        assert (path, sings(text)) == (path, set())
    for path in ("/live", "/api/v1/live"):
        for topic in ("board", f"case/{told.case}"):
            assert (path, topic, sings(heard(client, f"{path}?topics={topic}"))) == (path, topic, set())


def heard(client: Client, path: str) -> str:
    """What a feed sends at first."""
    cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    host = client.url.removeprefix("http://")
    ask = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookies}\r\nX-CSRF-Token: {client.csrf}\r\n\r\n"
    text = b""
    with socket.create_connection(("127.0.0.1", int(host.rpartition(":")[2]))) as line, suppress(TimeoutError):
        line.settimeout(0.3)
        line.sendall(ask.encode())
        while part := line.recv(65536):
            text += part
    return text.decode("utf-8", "replace")
