"""A real desk, served by the command that people use, in a process of its own; and a client for its API."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import queue
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PASSWORD = "correct horse battery"
READY_S = 60
"""A start takes two; on a machine that does much else, ten times that."""

MOST_WORKERS = 4
"""Processes that run tests at once: with more the longest file is what the others wait for."""

_PORTS = 3000
_FIRST = 20_000 + _PORTS * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_ports = itertools.cycle(random.sample(range(_FIRST, _FIRST + _PORTS), _PORTS))


def free_port() -> int:
    """A port that nobody listens on, and that nothing takes before it is used: each process that runs tests has ports
    of its own, below those that the system gives to connections (32768 and up on Linux, 49152 elsewhere)."""
    for port in _ports:
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no end of ports")


@dataclass
class Served:
    """A desk that answers at `url`."""

    url: str
    data: Path
    process: subprocess.Popen[str]
    printed: list[str] = field(default_factory=list)

    def client(self, username: str = "") -> Client:
        client = Client(self.url)
        if username:
            client.sign_in(username)
        return client

    def stop(self, how: int = signal.SIGINT, within_s: float = 15) -> int:
        """Ctrl-C by default; the exit code."""
        self.process.send_signal(how)
        return self.process.wait(within_s)


@contextlib.contextmanager
def served(data: Path, port: int = 0, **environment: str) -> Iterator[Served]:
    """Starts the desk on this data folder and stops it at the end."""
    port = port or free_port()
    command = [sys.executable, "-m", "rvr.cli", "serve", "--port", str(port), "--data", str(data)]
    env = {**os.environ, "RVR_DEMO_PASSWORD": PASSWORD, "PYTHONPATH": str(ROOT), **environment}
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True)
    desk = Served(f"http://127.0.0.1:{port}", data, process)
    try:
        _wait_until_ready(desk)
        yield desk
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        assert process.stdout is not None
        process.stdout.close()


def _wait_until_ready(desk: Served) -> None:
    lines: queue.Queue[str] = queue.Queue()

    def read() -> None:
        assert desk.process.stdout is not None
        with contextlib.suppress(ValueError):  # closed at the end of the test
            for line in desk.process.stdout:
                lines.put(line)

    threading.Thread(target=read, daemon=True).start()
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        with contextlib.suppress(queue.Empty):
            line = lines.get(timeout=0.1)
            desk.printed.append(line)
            if line.startswith("Stop with"):
                return
        if desk.process.poll() is not None:
            raise AssertionError(f"the desk ended with {desk.process.returncode}")
    raise AssertionError(f"the desk was not ready within {READY_S} s")


@dataclass
class Answer:
    status: int
    body: Any
    headers: dict[str, str]


class Client:
    """Somebody's program: cookies, the CSRF token, JSON. Standard library only, so that it shares nothing with RVR."""

    def __init__(self, url: str) -> None:
        self.url, self.cookies, self.csrf, self.me = url, {}, "", {}
        self.cookies: dict[str, str]
        self.me: dict[str, Any]

    def call(self, method: str, path: str, body: Any = None, *, raw: bytes | None = None, **headers: str) -> Answer:
        data = raw if raw is not None else json.dumps(body).encode() if body is not None else None
        sent = {"Content-Type": "application/json"} if data is not None else {}
        if self.csrf:
            sent["X-CSRF-Token"] = self.csrf
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {name: value for name, value in sent.items() if value}
        prefix = "" if path.startswith("/") else "/api/v1/"
        request = urllib.request.Request(f"{self.url}{prefix}{path}", data, sent, method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=20) as response:  # noqa: S310 - always the loopback desk
                return self._answer(response.status, response)
        except urllib.error.HTTPError as refused:
            with refused:
                return self._answer(refused.code, refused)

    def _answer(self, status: int, response: Any) -> Answer:
        for cookie in response.headers.get_all("Set-Cookie") or []:
            for name, morsel in SimpleCookie(cookie).items():
                self.cookies[name] = morsel.value
        payload = response.read()
        if "json" in (response.headers.get_content_type() or ""):
            payload = json.loads(payload)
        return Answer(status, payload, dict(response.headers))

    def sign_in(self, username: str, password: str = PASSWORD) -> Answer:
        answer = self.call("POST", "session", {"username": username, "password": password})
        if answer.status == 201:
            self.csrf, self.me = answer.body["csrf"], answer.body
        return answer

    def move(self, case: str, move: str, form: dict[str, Any] | None = None, **more: Any) -> Answer:
        body = {"command_id": str(uuid.uuid4()), "form": form or {}, **more}
        return self.call("POST", f"cases/{case}/moves/{move}", body)

    def open_case(self, **form: Any) -> Answer:
        body = {"command_id": str(uuid.uuid4()), "form": {**OPENING, **form}}
        return self.call("POST", "cases", body)

    def report(self, **form: Any) -> Answer:
        """A crime report."""
        body = {"command_id": str(uuid.uuid4()), "workflow": "crime-report", "form": {**REPORT, **form}}
        return self.call("POST", "cases", body)


OPENING: dict[str, Any] = {
    "source": "999",
    "incident_number": "WM-2026-112233",
    "victim_name": "Testa Victim",
    "safe_number": "07700 900123",
    "safe_to_text": "yes",
    "suspect_name": "Testo Suspect",
    "address": "1 Example Street, Birmingham B1 1AA",
    "lpa": "birmingham",
    "code_word": "umbrella",
}
"""Invented, with a telephone number from Ofcom's range for drama."""

REPORT: dict[str, Any] = {
    "report_source": "response_officer",
    "crime_reference": "20CO/1234/26",
    "offence": "assault",
    "reported_risk_level": "medium",
    "victim_name": "Rita Reported",
    "victim_dob": "1990-02-03",
    "safe_number": "07700 900456",
    "safe_to_text": "yes",
    "who_sees_phone": "Nobody",
    "suspect_name": "Rod Reported",
    "suspect_dob": "1988-05-06",
    "lpa": "birmingham",
    "children": "yes",
    "summary": "Pushed against a wall in the kitchen.",
}
"""A report, as invented."""


def ready_for_handover(handler: Client, **form: Any) -> str:
    """A case that may be offered: opened, every criterion met, consent given. Its id."""
    case = handler.open_case(**form).body["id"]
    criteria = handler.call("GET", "workflows/da-desk").body["criteria"]
    for move, form in (
        ("answer_criteria", {"answers": {c: criterion["met"] for c, criterion in criteria.items()}}),
        ("record_consent", {"consent_kind": "video", "consent_answer": "given"}),
    ):
        answer = handler.move(case, move, form)
        assert answer.status == 200, answer.body
    return str(case)
