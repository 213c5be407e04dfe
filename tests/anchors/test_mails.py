"""The daily head by e-mail, to a server that speaks the protocol, says no, or is away."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from rvr import anchoring
from rvr.anchoring import Anchoring, checking
from rvr.config import SettingFault, Settings, load
from rvr.evaluation import verify
from rvr.store import Store
from tests.anchors.authority import authority, certify
from tests.anchors.places import free_port
from tests.anchors.test_witnesses import grow, rows, told
from tests.store.builders import Clock


class Server:
    """Keeps what it takes; `says`: its answer to the data of a mail. With `rcpt`: to the recipient."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.tried = 0
        self.says, self.rcpt = "250 OK", ""
        self.users: list[bytes] = []

    async def handle_RCPT(  # noqa: N802 - the library's names
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.tried += 1
        if self.rcpt:
            return self.rcpt
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.says.startswith("250"):
            assert isinstance(envelope.content, bytes)
            self.mails.append(message_from_bytes(envelope.content, policy=default))  # type: ignore[arg-type]
        return self.says

    def authenticate(self, server: SMTP, session: Session, envelope: Envelope, how: str, told: Any) -> AuthResult:
        good = isinstance(told, LoginPassword) and told.password == b"secret"
        self.users += [told.login] if good else []
        return AuthResult(success=good)


@contextlib.contextmanager
def mail_server(server: Server, **more: Any) -> Iterator[int]:
    """In a thread of its own; its port."""
    running = Controller(server, hostname="127.0.0.1", port=free_port(), **more)
    running.start()
    try:
        yield running.port
    finally:
        running.stop()


@pytest.fixture
def server() -> Server:
    return Server()


def settings(port: int, **more: Any) -> Settings:
    plain = {"smtp_host": "127.0.0.1", "smtp_port": port, "smtp_security": "none"}
    addresses = {"head_mail_from": "desk@example.org", "head_mail_to": "heads@example.com"}
    return load({**plain, **addresses, **more}, {})


@contextlib.asynccontextmanager
async def mailing(store: Store, clock: Clock, port: int, **more: Any) -> AsyncIterator[Anchoring]:
    async with anchoring.opened(store, settings(port, **more), clock) as looking:
        yield looking


async def test_the_newest_head_goes_out_once_a_day_whatever_is_restarted(
    store: Store, clock: Clock, server: Server
) -> None:
    with mail_server(server) as port:
        for names in ("ab", "cd"):
            for name in names:
                await grow(store, clock, name)
                async with mailing(store, clock, port) as looking:
                    await looking.look()
                    await looking.look()
                    assert looking.troubles == []
            clock.pass_by(days=1)
        async with mailing(store, clock, port) as looking:
            await looking.look()  # the day's end had "d", which was not mailed yet
            clock.pass_by(days=1)
            await looking.look()  # nothing new
    assert [int(mail["Subject"].split(", ")[1].split(" ")[0]) for mail in server.mails] == [1, 3, 4]
    assert [(row.subject, row.size) for row in await rows(store)] == [
        ("2026-11-22", 1),
        ("2026-11-23", 3),
        ("2026-11-24", 4),
    ]


async def test_what_arrives_is_a_checkpoint_that_can_be_checked_without_us(
    store: Store, clock: Clock, server: Server
) -> None:
    with mail_server(server) as port:
        await grow(store, clock, "a")
        async with mailing(store, clock, port) as looking:
            await looking.look()
    (mail,), head = server.mails, await store.head()
    assert head is not None
    assert (mail["From"], mail["To"]) == ("desk@example.org", "heads@example.com")
    assert (mail["Message-ID"].endswith("@example.org>"), mail["Date"].datetime) == (
        True,
        clock.at.replace(microsecond=0),
    )
    text = mail.get_content().replace("\r\n", "\n")
    assert text.startswith("Keep this mail")
    assert head.note in text
    key = text.rstrip("\n").rpartition("\n")[2]
    body, _, rest = text[text.index(store.notary.name) :].partition("\n\n")
    assert verify.vouched(f"{body}\n", rest.split("\n")[0] + "\n", key)
    assert "Mailed: the head of 1 events" in (await checking.check(store, Settings())).told[0]


@pytest.mark.parametrize(
    ("says", "code", "early", "late"),
    [("451 not now", "mail-unreachable", 59, 1), ("554 no such thing", "mail-refused", 3599, 1)],
)
@pytest.mark.parametrize("step", ["says", "rcpt"])
async def test_a_server_that_says_no_is_told_and_tried_again(
    store: Store, clock: Clock, server: Server, says: str, code: str, early: int, late: int, step: str
) -> None:
    setattr(server, step, says)
    with mail_server(server) as port:
        await grow(store, clock, "a")
        async with mailing(store, clock, port) as looking:
            await looking.look()
            assert (told(looking), looking.alarm) == ([code], "")
            clock.pass_by(seconds=early)
            await looking.look()
            assert server.tried == 1
            setattr(server, step, "250 OK" if step == "says" else "")
            clock.pass_by(seconds=late)
            await looking.look()
            assert (len(server.mails), looking.troubles) == (1, [])
    assert len(await rows(store)) == 1


async def test_a_day_that_was_missed_is_sent_late(store: Store, clock: Clock, server: Server) -> None:
    await grow(store, clock, "a")
    port = free_port()
    async with mailing(store, clock, port) as looking:
        await looking.look()
        assert told(looking) == ["mail-unreachable"]
    clock.pass_by(days=2)
    with mail_server(server) as port:
        async with mailing(store, clock, port) as looking:
            await looking.look()
            assert looking.troubles == []
    assert [row.subject for row in await rows(store)] == ["2026-11-24"]


async def test_a_server_that_never_greets_does_not_hold_the_desk(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(anchoring, "REQUEST_S", 0.3)
    await grow(store, clock, "a")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        async with mailing(store, clock, silent.getsockname()[1]) as looking:
            await asyncio.wait_for(looking.look(), 3)
            assert told(looking) == ["mail-unreachable"]


# --- TLS and passwords -------------------------------------------------------------------------------------------


@pytest.fixture
def password(tmp_path: Path) -> str:
    file = tmp_path / "password"
    file.write_text("secret\n")
    file.chmod(0o600)
    return str(file)


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_over_tls_the_certificate_is_checked_before_the_password_is_told(
    store: Store,
    clock: Clock,
    server: Server,
    password: str,
    security: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tsa = authority(tmp_path / "ca")
    certify(tsa.folder, "mail", "serving")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tsa.folder / "mail.pem", tsa.folder / "mail.key")
    over = {"tls_context": context, "require_starttls": True} if security == "starttls" else {"ssl_context": context}
    auth = {"authenticator": server.authenticate, "auth_require_tls": security == "starttls"}
    user = {"smtp_security": security, "smtp_user": "desk", "smtp_password_file": password}
    await grow(store, clock, "a")
    with mail_server(server, **over, **auth) as port:
        async with mailing(store, clock, port, **user) as looking:
            await looking.look()
            assert (told(looking), server.users, server.mails) == (["mail-unreachable"], [], [])
        monkeypatch.setenv("SSL_CERT_FILE", tsa.ca)
        async with mailing(store, clock, port, **user) as looking:
            await looking.look()
            assert looking.troubles == []
    assert (server.users, len(server.mails)) == ([b"desk"], 1)


async def test_a_server_without_starttls_is_told_nothing(store: Store, clock: Clock, server: Server) -> None:
    await grow(store, clock, "a")
    with mail_server(server) as port:
        async with mailing(store, clock, port, smtp_security="starttls") as looking:
            await looking.look()
            assert told(looking) == ["mail-unreachable"]
    assert server.tried == 0


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"smtp_host": ""}, "smtp_host"),
        ({"head_mail_from": ""}, "head_mail_from"),
        ({"head_mail_to": "a@example.com, b@example.com"}, "one address"),
        ({"head_mail_from": "a@example.com\nBcc: b"}, "one address"),
        ({"smtp_security": "maybe"}, "starttls, tls or none"),
        ({"smtp_host": "mail.example.org"}, "this machine only"),
    ],
)
def test_settings_by_which_no_mail_could_go_out_safely_are_refused(wrong: dict[str, str], said: str) -> None:
    with pytest.raises(SettingFault, match=said):
        settings(25, **wrong)


async def test_a_password_that_others_can_read_is_refused(store: Store, clock: Clock, password: str) -> None:
    (shared := Path(f"{password}.shared")).touch(0o640)
    for file, said in ((shared, "chmod 600"), (f"{password}.none", "cannot be read")):
        with pytest.raises(SettingFault, match=said):
            async with mailing(store, clock, 25, smtp_password_file=str(file)):
                pass
