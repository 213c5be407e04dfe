"""Two desks at work on one PostgreSQL, each a real process: what happens at one shows at the other, and of two that do
the same thing at once one does it. Killing either loses nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import psycopg
import pytest
from argon2 import PasswordHasher

from rvr import people
from rvr.config import Settings
from rvr.core.commands import OpenCase
from rvr.core.events import Recorded
from rvr.opening import open_desk
from tests import postgres
from tests.builders import HANDLER, OPENING
from tests.serving import REPORT, ROOT, Client, Served, ready_for_handover, served


@pytest.fixture
def url(server: postgres.Server) -> str:
    return server.database()


@contextlib.contextmanager
def two(tmp_path: Path, url: str, **more: str) -> Iterator[tuple[Served, Served]]:
    """The first has the media; both have the key file of their own machine, as it was copied there."""
    told = {"RVR_DATABASE": url, "RVR_KEY_FILE": str(tmp_path / "keys" / "keys.json"), **more}
    with served(tmp_path / "a", **told) as a, served(tmp_path / "b", RVR_MEDIA="no", **told) as b:
        yield a, b


def asked(url: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(statement.encode()).fetchall()


class Screen:
    """Reads a desk's feed, and notes when which message came."""

    def __init__(self, client: Client) -> None:
        cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        self._line = HTTPConnection(client.url.removeprefix("http://"), timeout=30)
        self._line.request("GET", "/api/v1/live?topics=board", headers={"Cookie": cookies})
        self._response = self._line.getresponse()
        assert self._response.status == 200
        self.heard: dict[str, float] = {}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError, HTTPException):
            for line in self._response:
                if line.startswith(b"data: "):
                    subject = json.loads(line[6:]).get("subject", "")
                    self.heard.setdefault(subject, time.monotonic())

    def waits_for(self, subject: str, within_s: float = 5.0) -> float:
        """When it was heard."""
        deadline = time.monotonic() + within_s
        while subject not in self.heard and time.monotonic() < deadline:
            time.sleep(0.005)
        return self.heard[subject]

    def close(self) -> None:
        self._line.sock.shutdown(socket.SHUT_RDWR)  # to close it would wait for the reader, which waits for a line
        self._reader.join()
        self._response.close()
        self._line.close()


def test_what_is_recorded_at_one_desk_shows_at_the_other_within_a_second(tmp_path: Path, url: str) -> None:
    with two(tmp_path, url) as (a, b):
        handler, sergeant = a.client("handler"), b.client("sergeant")
        screen = Screen(sergeant)
        case = ready_for_handover(handler)
        screen.waits_for(case)
        screen.heard.clear()
        before = time.monotonic()
        assert handler.move(case, "offer_handover", {"note": "Calm"}).status == 200
        took = screen.waits_for(case) - before
        assert took < 1.0
        assert sergeant.move(case, "accept_handover").status == 200, "and it can be worked on there"
        assert handler.call("GET", f"cases/{case}").body["state"] == sergeant.call("GET", f"cases/{case}").body["state"]
        screen.close()


def test_a_sign_in_holds_at_both_and_ends_at_both(tmp_path: Path, url: str) -> None:
    with two(tmp_path, url) as (a, b):
        handler, there = a.client("handler"), b.client()
        there.cookies, there.csrf = handler.cookies, handler.csrf
        assert there.call("GET", "session").status == 200
        assert handler.call("DELETE", "session").status == 204
        assert there.call("GET", "session").status == 401


def test_the_page_of_the_administrator_names_the_database_without_its_password(tmp_path: Path, url: str) -> None:
    secret = url.replace("rvr@", "rvr:zq-secret@")
    told = {"RVR_DATABASE": secret, "RVR_KEY_FILE": str(tmp_path / "keys" / "keys.json")}
    with served(tmp_path / "a", **told) as desk:
        page = desk.client("admin").call("GET", "/admin").body.decode()
        assert "PostgreSQL, rvr_" in page
        assert "zq-secret" not in page
        assert "zq-secret" not in "".join(desk.printed)


def test_of_two_sergeants_at_two_desks_one_accepts(tmp_path: Path, url: str) -> None:
    with two(tmp_path, url) as (a, b):
        handler, sergeants = a.client("handler"), (a.client("sergeant"), b.client("sergeant2"))
        for _ in range(3):
            case = ready_for_handover(handler)
            handler.move(case, "offer_handover", {"note": "Calm"})
            with ThreadPoolExecutor() as both:
                answers = [
                    one.status for one in both.map(lambda by, of=case: by.move(of, "accept_handover"), sergeants)
                ]
            assert sorted(answers) == [200, 422]
        assert asked(url, "SELECT count(*) FROM event WHERE type = 'HandoverAccepted'") == [(3,)]


def test_the_same_command_sent_to_both_at_once_has_one_effect_and_one_answer(tmp_path: Path, url: str) -> None:
    """A browser whose answer is lost repeats it at whichever desk it gets."""
    with two(tmp_path, url) as (a, b):
        at_a, at_b = a.client("handler"), b.client("handler")
        for _ in range(5):
            case = ready_for_handover(at_a)
            told = {"command_id": str(uuid.uuid4()), "form": {"note": "Calm"}}
            with ThreadPoolExecutor() as both:
                path = f"cases/{case}/moves/offer_handover"
                answers = list(both.map(lambda by, path=path, told=told: by.call("POST", path, told), (at_a, at_b)))
            assert [answer.status for answer in answers] == [200, 200]
            assert answers[0].body["version"] == answers[1].body["version"]


async def test_the_media_hear_what_another_desk_recorded_also_together_with_a_command_here(
    tmp_path: Path, url: str
) -> None:
    heard: list[Recorded] = []

    async def hear(recorded: Sequence[Recorded]) -> None:
        heard.extend(recorded)

    told = {"database": url, "key_file": str(tmp_path / "keys" / "keys.json")}
    async with (
        open_desk(Settings(data=str(tmp_path / "a"), **told)) as here,
        open_desk(Settings(data=str(tmp_path / "b"), **told)) as there,
    ):
        here.on_recorded = hear
        elsewhere = (await there.handle(OpenCase("c1", OPENING, "da-desk"), HANDLER)).case.id
        await here.handle(OpenCase("c2", OPENING, "da-desk"), HANDLER)
        await here.catch_up()
    assert f"case/{elsewhere}" in {one.stream for one in heard}


@pytest.mark.slow
def test_a_desk_that_loses_its_database_says_so_at_once_and_goes_on_by_itself(tmp_path: Path) -> None:
    with postgres.running() as own, two(tmp_path, own.database()) as (a, b):
        handler, there = a.client("handler"), b.client("handler2")
        case = handler.open_case().body["id"]
        own.kill()
        answers = [handler.call("GET", f"cases/{case}"), handler.open_case(), handler.call("GET", "/health/ready")]
        began = time.monotonic()
        for _ in range(5):
            answers += [handler.call("GET", f"cases/{case}"), handler.open_case(), handler.call("GET", "/health/ready")]
        assert time.monotonic() - began < 3, "who asks while it is known does not wait"
        assert {(one.status, one.body["reasons"][0]["code"]) for one in answers} == {(503, "database-down")}
        page = handler.call("GET", "/")
        assert (page.status, b"The database does not answer" in page.body) == (503, True)
        assert handler.call("GET", "/health/live").status == 200
        own.start()
        assert handler.call("GET", f"cases/{case}").status == 200
        assert handler.open_case().status == 201
        screen = Screen(handler)
        screen.waits_for(ready_for_handover(there), 3)
        screen.close()
        deadline = time.monotonic() + 5
        while handler.call("GET", "/health/ready").status != 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        own.kill()
        began = time.monotonic()
        assert a.stop() == 0
        assert time.monotonic() - began < 12, "systemd kills it after fifteen"


def test_each_due_threshold_fires_once_and_each_text_goes_out_once(tmp_path: Path, url: str) -> None:
    """Both look at the same due clocks and the same outbox twice a second; the handover's thresholds come at once."""
    flows = shutil.copytree(ROOT / "workflows", tmp_path / "workflows")
    clocks = flows / "da-desk" / "clocks.toml"
    quick = clocks.read_text()
    for was, now in (("300", "1"), ("480", "2"), ("600", "3"), ("900", "4")):
        quick = quick.replace(f"{{ after_s = {was}, do", f"{{ after_s = {now}, do")
    clocks.write_text(quick)
    with two(tmp_path, url, RVR_WORKFLOWS=str(flows)) as (a, b):
        handlers = [desk.client("handler") for desk in (a, b)]
        offered = [ready_for_handover(one) for one in handlers * 3]
        for case in offered:
            assert handlers[0].move(case, "offer_handover", {"note": "Calm"}).status == 200
        deadline = time.monotonic() + 30
        while len(ran_out(url, "handover")) < 4 * len(offered) and time.monotonic() < deadline:
            time.sleep(0.2)
        time.sleep(1.5)  # the slower desk has looked, too
        told = ran_out(url, "handover")
        assert len(told) == len(set(told)) == 4 * len(offered)
        assert min(late for *_, late in told) >= 0
        sent = asked(url, "SELECT status, attempts FROM message")
        assert set(sent) == {("sent", 1)}, "whoever is on call hears of it once"


def ran_out(url: str, clock: str) -> list[tuple[str, int, int]]:
    """Case, threshold and lateness of each time that the clock ran out."""
    rows = asked(url, "SELECT stream, convert_from(public, 'UTF8') FROM event WHERE type = 'ClockRanOut'")
    told = [(stream, json.loads(public)["data"]) for stream, public in rows]
    return [(stream, data["after_s"], data["late_us"]) for stream, data in told if data["clock"] == clock]


def test_a_desk_that_is_killed_loses_nothing_and_the_other_goes_on(tmp_path: Path, url: str) -> None:
    with two(tmp_path, url) as (a, b):
        handler = a.client("handler")
        acknowledged = [handler.open_case().body["id"] for _ in range(5)]
        stop = threading.Event()

        def work() -> None:
            with contextlib.suppress(OSError):
                while not stop.is_set():
                    answer = handler.open_case()
                    if answer.status == 201:
                        acknowledged.append(answer.body["id"])

        thread = threading.Thread(target=work)
        thread.start()
        time.sleep(0.7)
        a.process.send_signal(signal.SIGKILL)
        a.process.wait()
        stop.set()
        thread.join()
        other = b.client("handler2")
        assert other.open_case().status == 201
        assert {row[0] for row in asked(url, "SELECT id FROM case_row")} >= set(acknowledged)
        assert b.client("sergeant").call("GET", "/health/ready").body["status"] == "ready"


async def test_desks_that_start_at_once_on_an_empty_database_make_each_account_once(tmp_path: Path, url: str) -> None:
    keys = str(tmp_path / "keys" / "keys.json")

    async def start(name: str) -> None:
        async with open_desk(Settings(data=str(tmp_path / name), database=url, key_file=keys)) as desk:
            await people.seed_demo(desk, "correct horse battery", PasswordHasher(1, 8, 1))

    await asyncio.gather(*(start(name) for name in "abcd"))
    once = [(len(people.DEMO),)]
    assert asked(url, "SELECT count(*) FROM account") == once
    assert asked(url, "SELECT count(*) FROM event WHERE type = 'PersonRegistered'") == once


def test_what_a_verb_records_beside_a_running_desk_shows_on_its_screens(tmp_path: Path) -> None:
    """On a file nobody rings: the desk reads the log once a second."""
    file = tmp_path / "reports.csv"
    file.write_text(",".join(REPORT) + "\n" + ",".join(f'"{value}"' for value in REPORT.values()) + "\n")
    with served(tmp_path / "data") as desk:
        screen = Screen(desk.client("sergeant"))
        known = set(screen.heard)
        verb = [sys.executable, "-m", "rvr.cli", "import", str(file), "--data", str(desk.data)]
        done = subprocess.run(
            verb, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        deadline = time.monotonic() + 5
        while set(screen.heard) == known and time.monotonic() < deadline:
            time.sleep(0.05)
        assert set(screen.heard) > known
        screen.close()
