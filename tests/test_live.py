"""A desk in live mode: accounts made at the terminal with a second factor, and a text that a real gateway carries."""

from __future__ import annotations

import asyncio
import contextlib
import http.server
import io
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyotp
import pytest

from rvr import cli, people
from rvr.config import Settings
from rvr.opening import open_desk
from tests.serving import ROOT, Client, free_port, ready_for_handover, served

PASSWORD = "three small words"


class Phones(http.server.ThreadingHTTPServer):
    """A text gateway: keeps what it is given, and says of it what it is told to say."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", free_port()), _Answers)
        self.taken: list[dict[str, Any]] = []
        self.asked = 0
        self.refuses = False
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Answers(http.server.BaseHTTPRequestHandler):
    server: Phones

    def do_POST(self) -> None:
        text = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.refuses:
            self._say({"error": "no such number"}, 400)
            return
        self.server.taken.append(text)
        self._say({"status": "queued"})

    def do_GET(self) -> None:
        self.server.asked += 1
        self._say({"status": "delivered"})

    def _say(self, told: dict[str, str], status: int = 200) -> None:
        body = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def phones() -> Iterator[Phones]:
    server = Phones()
    yield server
    server.shutdown()
    server.server_close()


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


def verb(*told: str, typed: str = "") -> Done:
    """A verb at the terminal, with what is typed there."""
    said, complained = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(complained),
    ):
        patch.setattr(sys, "stdin", io.StringIO(typed))
        code = cli.main(told)
    return Done(code, said.getvalue(), complained.getvalue())


def accounts(data: Path, *told: str, typed: str = "") -> Done:
    return verb("accounts", *told, "--data", str(data), typed=typed)


def added(data: Path, username: str, role: str) -> str:
    """A new account; the secret of its second factor."""
    typed = f"{PASSWORD}\n{PASSWORD}\n"
    done = accounts(data, "add", username, "--name", f"{username} Invented", "--role", role, typed=typed)
    assert done.returncode == 0, done.stderr
    return done.stdout.rpartition("Or type it there: ")[2].strip()


def code(secret: str, later: int = 0) -> str:
    return pyotp.TOTP(secret).at(int(time.time()) + 30 * later)


def signs_in(client: Client, username: str, password: str, digits: str) -> int:
    answer = client.call("POST", "session", {"username": username, "password": password, "code": digits})
    if answer.status == 201:
        client.csrf, client.me = answer.body["csrf"], answer.body
    return answer.status


def live(phones: Phones, folder: Path) -> dict[str, str]:
    """What live mode asks for."""
    texts = f"http://127.0.0.1:{phones.server_port}/texts"
    return {
        "RVR_DEMO": "no",
        "RVR_TURN_URLS": "turns:turn.example.org:443?transport=tcp",
        "RVR_TURN_SECRET_FILE": a_secret(folder, "turn", "0123456789abcdef" * 2),
        "RVR_SMS_URL": texts,
        "RVR_SMS_TOKEN_FILE": a_secret(folder, "token", "a token"),
        "RVR_SMS_STATUS_URL": f"{texts}/{{id}}",
        "RVR_SMTP_HOST": "127.0.0.1",
        "RVR_SMTP_SECURITY": "none",
        "RVR_MAIL_FROM": "desk@example.org",
        "RVR_WEBHOOK_SECRET_FILE": a_secret(folder, "webhook", "whsec_bm90IGEgc2VjcmV0IGF0IGFsbA=="),
    }


def a_secret(folder: Path, name: str, text: str) -> str:
    file = folder / name
    file.write_text(text)
    file.chmod(0o600)
    return str(file)


def test_a_live_desk_lets_in_whoever_has_both_factors_and_the_text_reaches_a_phone(
    tmp_path: Path, phones: Phones
) -> None:
    data = tmp_path / "data"
    secrets = {name: added(data, name, role) for name, role in STAFF.items()}
    with served(data, **live(phones, tmp_path)) as desk:
        people = {name: Client(desk.url) for name in STAFF}
        for name, client in people.items():
            assert signs_in(client, name, PASSWORD, code(secrets[name])) == 201, name
        stranger = Client(desk.url)
        assert signs_in(stranger, "hana", PASSWORD, code(secrets["hana"])) == 401, "each code is good once"
        assert signs_in(stranger, "hana", PASSWORD, "") == 401
        assert signs_in(stranger, "hana", "another password", code(secrets["hana"], 1)) == 401
        assert signs_in(stranger, "hana", PASSWORD, code(secrets["hana"], 1)) == 201, "a clock half a minute ahead"
        assert people["olu"].call("GET", "/demo/outbox").status in (403, 404)

        case = sends_a_link(people)
        until(lambda: phones.taken != [])
        (text,) = phones.taken
        assert text["to"] == "+447700900123"
        assert "/j#" in text["text"]
        until(lambda: "LinkDelivered" in types(people["olu"], case), within_s=20)

        assert accounts(data, "disable", "olu").returncode == 0
        assert people["olu"].call("GET", f"cases/{case}").status == 401, "at once, in a desk that is running"
        assert signs_in(Client(desk.url), "olu", PASSWORD, code(secrets["olu"], 1)) == 401
    assert phones.asked >= 1


def sends_a_link(people: Mapping[str, Client]) -> str:
    """From the call to the text; the case's id."""
    # First: outside the desk's hours an offer asks for somebody on duty, and a test runs at any hour.
    officer = people["olu"].me["id"]
    on_duty = {"command_id": "on-duty-1", "status": "on"}
    assert people["olu"].call("POST", "duty", {**on_duty, "officer": officer}).status == 204
    case = ready_for_handover(people["hana"])
    for name, move, form in (
        ("hana", "offer_handover", {"note": "x"}),
        ("sam", "accept_handover", {}),
        ("sam", "assign_officer", {"officer": officer}),
        ("olu", "send_link", {}),
    ):
        answer = people[name].move(case, move, form)
        assert answer.status == 200, answer.body
    return case


def test_the_administrator_sees_that_a_text_was_refused_and_nothing_of_what_it_says(
    tmp_path: Path, phones: Phones
) -> None:
    data = tmp_path / "data"
    staff = {**STAFF, "ada": "administrator"}
    secrets = {name: added(data, name, role) for name, role in staff.items()}
    with served(data, **live(phones, tmp_path)) as desk:
        people = {name: Client(desk.url) for name in staff}
        for name, client in people.items():
            assert signs_in(client, name, PASSWORD, code(secrets[name])) == 201, name

        def deliveries() -> str:
            return str(people["ada"].call("GET", "/admin/deliveries").body.decode())

        assert "There was nothing to send." in deliveries()
        phones.refuses = True
        case = sends_a_link(people)
        until(lambda: "It is not tried again." in deliveries())
        page = deliveries()
        counts = re.search(r'Text message</th>(?:<td class="[^"]+">(\d)</td>)(?:<td class="[^"]+">(\d)</td>){2}', page)
        assert counts is not None
        assert counts.groups() == ("1", "0"), "failed, sent"
        reference = people["olu"].call("GET", f"cases/{case}").body["reference"]
        for secret in (reference, case, "7700", "/j#"):
            assert secret not in page
        assert people["olu"].call("GET", "/admin/deliveries").status == 403
        phones.refuses = False
        assert people["olu"].move(case, "resend_link").status == 200
        until(lambda: re.search(r'Text message</th>(<td class="[^"]+">[10]</td>){2}<td class="[^"]+">1<', deliveries()))


STAFF = {"hana": "call_handler", "sam": "sergeant", "olu": "officer"}


def types(client: Client, case: str) -> list[str]:
    return [one["type"] for one in client.call("GET", f"cases/{case}/events").body["events"]]


def until(true: Any, within_s: float = 10) -> None:
    end = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_an_account_without_a_second_factor_is_for_demonstrations(tmp_path: Path, phones: Phones) -> None:
    data = tmp_path / "data"
    with served(data) as demo:
        assert demo.client().sign_in("sergeant").status == 201
    refused = subprocess.run(
        [sys.executable, "-m", "rvr.cli", "serve", "--no-demo", "--data", str(data)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **live(phones, tmp_path)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert refused.returncode == 1
    assert "demo accounts must be disabled" in refused.stderr


@pytest.mark.parametrize(
    ("told", "typed", "says"),
    [
        (("add", "ann", "--role", "sergeant"), "", "--name"),
        (("add", "ann", "--name", "Ann", "--role", "boss"), "", "--role is one of"),
        (("add", "ann", "--name", "Ann", "--role", "officer"), "short\nshort\n", "12 characters"),
        (("add", "ann", "--name", "Ann", "--role", "officer"), f"{PASSWORD}\n{PASSWORD}s\n", "not the same"),
        (("add", "ann", "--name", "Ann", "--role", "advocate", "--unit", "x"), "", "--unit x: the force has"),
        (("disable", "nobody"), "", "There is no"),
        (("password",), "", "needs the sign-in NAME"),
    ],
)
def test_what_makes_no_account_is_told_and_changes_nothing(
    tmp_path: Path, told: tuple[str, ...], typed: str, says: str
) -> None:
    done = accounts(tmp_path / "data", *told, typed=typed)
    assert (done.returncode, says in done.stderr) == (1, True), done.stderr
    assert "ann" not in accounts(tmp_path / "data", "list").stdout


def test_a_role_a_password_and_a_factor_can_be_changed_and_each_change_is_in_the_persons_log(tmp_path: Path) -> None:
    data = tmp_path / "data"
    first = added(data, "ann", "officer")
    second = accounts(data, "second-factor", "ann").stdout.rpartition("there: ")[2].strip()
    assert second not in ("", first)
    assert accounts(data, "role", "ann", "--role", "advocate", "--unit", "bswa").returncode == 0
    assert accounts(data, "password", "ann", typed="another few words\n" * 2).returncode == 0
    assert accounts(data, "disable", "ann").returncode == 0
    (line,) = accounts(data, "list").stdout.splitlines()
    assert line.split() == ["ann", "advocate", "second", "factor", "disabled", "bswa"]
    assert accounts(data, "enable", "ann").returncode == 0
    assert "disabled" not in accounts(data, "list").stdout
    verified = verb("verify", "--data", str(data))
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_a_role_that_the_provider_gives_is_not_changed_at_the_terminal(tmp_path: Path) -> None:
    data = tmp_path / "data"

    async def signs_on() -> None:
        async with open_desk(Settings(data=str(data))) as desk:
            known = "https://idp.example t-1/o-ann"
            await people.register(desk, "ann", "Ann Invented", ("officer",), "", provider_key=known)

    asyncio.run(signs_on())
    refused = accounts(data, "role", "ann", "--role", "sergeant")
    assert (refused.returncode, "change it there" in refused.stderr) == (1, True)
    assert "officer" in accounts(data, "list").stdout


def test_an_erasure_at_the_terminal_wants_the_second_factor_as_well(tmp_path: Path) -> None:
    data = tmp_path / "data"
    secret = added(data, "ada", "administrator")

    def proposed(*typed: str) -> str:
        told = ("erase", "propose", "K7Q-X2M", "--user", "ada", "--data", str(data))
        return verb(*told, typed="".join(f"{one}\n" for one in typed)).stderr

    digits = code(secret)
    for wrong in ((PASSWORD,), (PASSWORD, "000000"), ("another password", digits)):
        assert "password or the code is another one" in proposed(*wrong)
    assert "There is no case K7Q-X2M" in proposed(PASSWORD, digits)
    assert "password or the code is another one" in proposed(PASSWORD, digits), "each code is good once"
