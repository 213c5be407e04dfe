"""What each carrier does against servers that speak its protocol: taken, refused, away, and heard of later."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from rvr.carriers import Away, ByKind, TurnedDown, calls
from rvr.carriers.chosen import carrier, lacks
from rvr.carriers.gateway import Gateway
from rvr.carriers.notify import Notify
from rvr.carriers.webhook import Webhook
from rvr.config import SettingFault, Settings, load
from rvr.store.messages import Message

SERVICE, SECRET = str(uuid.UUID(int=1 << 100)), str(uuid.UUID(int=7 << 90))
KEY = f"the-desk-{SERVICE}-{SECRET}"
TEMPLATE = str(uuid.UUID(int=9))
TEXT = Message(
    "5b0e6c1a-0000-4000-8000-00000000aaaa", "case", "sms", "+447700900123", "Here is the link: https://j.test/j#t"
)


@asynccontextmanager
async def served(app: web.Application) -> AsyncIterator[str]:
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


# --- GOV.UK Notify -----------------------------------------------------------------------------------------------


class NotifyServer:
    """The part of its API, version 2, that we use: tokens, templates, references, statuses, and its errors."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.status, self.fails, self.cuts = "created", 0, False
        self.app = web.Application()
        self.app.add_routes(
            [
                web.post("/v2/notifications/{kind}", self.take),
                web.get("/v2/notifications", self.tell),
            ]
        )

    def refuse(self, request: web.Request) -> web.Response | None:
        """As its authentication does: a token of this service's, signed with the secret, half a minute old at most."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        head, claims, signature = token.split(".")
        signed = hmac.digest(SECRET.encode(), f"{head}.{claims}".encode(), "sha256")
        told = json.loads(_unbase64(claims))
        right = scheme == "Bearer" and json.loads(_unbase64(head)) == {"typ": "JWT", "alg": "HS256"}
        right = right and hmac.compare_digest(_unbase64(signature), signed) and told["iss"] == SERVICE
        if not right or abs(time.time() - told["iat"]) > 30:
            return self.error(403, "AuthError", "Invalid token: signature, api token not found")
        return None

    def error(self, status: int, kind: str, message: str) -> web.Response:
        return web.json_response(
            {"status_code": status, "errors": [{"error": kind, "message": message}]}, status=status
        )

    async def take(self, request: web.Request) -> web.Response:
        if (refused := self.refuse(request)) is not None:
            return refused
        if self.fails:
            return self.error(self.fails, "Exception", "Internal server error")
        told, kind = await request.json(), request.match_info["kind"]
        to = {"sms": "phone_number", "email": "email_address"}[kind]
        if set(told) != {to, "template_id", "personalisation", "reference"}:
            return self.error(400, "ValidationError", "Additional properties are not allowed")
        if told["template_id"] != TEMPLATE or set(told["personalisation"]) != {"body"}:
            return self.error(400, "BadRequestError", "Missing personalisation: body")
        if not told[to].strip("+").isdigit() and kind == "sms":
            return self.error(400, "ValidationError", "phone_number Not a UK mobile number")
        self.taken.append(told)
        if self.cuts:
            self.cuts = False
            assert request.transport is not None
            request.transport.abort()
        return web.json_response({"id": str(uuid.uuid4()), "reference": told["reference"]}, status=201)

    async def tell(self, request: web.Request) -> web.Response:
        if (refused := self.refuse(request)) is not None:
            return refused
        found = [one for one in self.taken if one["reference"] == request.query["reference"]]
        told = [{"id": "x", "reference": one["reference"], "status": self.status} for one in found]
        return web.json_response({"notifications": told, "links": {"current": str(request.url)}})


def _unbase64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@pytest.fixture
async def server() -> NotifyServer:
    return NotifyServer()


@pytest.fixture
async def notify(server: NotifyServer) -> AsyncIterator[Notify]:
    async with served(server.app) as url, calls.session() as http:
        yield Notify(http, url, KEY, {"sms": TEMPLATE, "email": TEMPLATE})


async def test_notify_takes_a_text_and_says_later_what_became_of_it(notify: Notify, server: NotifyServer) -> None:
    assert await notify.send(TEXT, again=False) == "taken"
    (told,) = server.taken
    assert told["phone_number"] == TEXT.recipient
    assert told["personalisation"] == {"body": TEXT.body}
    words = {}
    for status in ("created", "sending", "pending", "delivered", "permanent-failure", "temporary-failure"):
        server.status = status
        words[status] = await notify.word(TEXT)
    on_its_way = dict.fromkeys(("created", "sending", "pending"), "taken")
    assert words == on_its_way | {
        "delivered": "delivered",
        "permanent-failure": "failed",
        "temporary-failure": "failed",
    }


async def test_a_text_whose_answer_was_lost_is_not_sent_twice(notify: Notify, server: NotifyServer) -> None:
    server.cuts = True
    with pytest.raises(Away):
        await notify.send(TEXT, again=False)
    assert await notify.send(TEXT, again=True) == "taken"
    assert len(server.taken) == 1


async def test_a_text_that_never_arrived_there_is_sent_again(notify: Notify, server: NotifyServer) -> None:
    server.fails = 500
    with pytest.raises(Away):
        await notify.send(TEXT, again=False)
    server.fails = 0
    assert await notify.send(TEXT, again=True) == "taken"
    assert len(server.taken) == 1


@pytest.mark.parametrize(("status", "raised"), [(429, Away), (503, Away), (400, TurnedDown), (403, Away)])
async def test_what_notify_refuses_is_tried_again_where_that_may_help(
    notify: Notify, server: NotifyServer, status: int, raised: type[Exception]
) -> None:
    server.fails = status
    with pytest.raises(raised, match=f"http-{status}"):
        await notify.send(TEXT, again=False)


async def test_another_services_key_is_not_let_in(server: NotifyServer) -> None:
    other = KEY[:-1] + ("0" if KEY[-1] != "0" else "1")
    async with served(server.app) as url, calls.session() as http:
        with pytest.raises(Away, match="http-403"):
            await Notify(http, url, other, {"sms": TEMPLATE}).send(TEXT, again=False)
    assert server.taken == []


def test_what_is_no_key_of_notify_is_refused_at_the_start() -> None:
    with pytest.raises(SettingFault, match="notify_key_file"):
        Notify(None, "https://notify.test", "secret", {})  # type: ignore[arg-type]


# --- A gateway ---------------------------------------------------------------------------------------------------

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def gateway(answer: Answer, *, status: bool = True) -> AsyncIterator[Gateway]:
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", answer)
    async with served(app) as url, calls.session() as http:
        yield Gateway(http, f"{url}/texts", "a token", f"{url}/texts/{{id}}" if status else "")


async def test_a_gateway_is_given_the_text_once_with_its_id_and_asked_by_that() -> None:
    seen: list[tuple[str, str, Any, str]] = []

    async def answer(request: web.Request) -> web.Response:
        body = await request.json() if request.can_read_body else None
        seen.append((request.method, request.path, body, request.headers["Authorization"]))
        return web.json_response({"status": "delivered" if request.method == "GET" else "queued"}, status=202)

    async with gateway(answer) as one:
        assert await one.send(TEXT, again=False) == "taken"
        assert await one.word(TEXT) == "delivered"
    told = {"id": TEXT.id, "to": TEXT.recipient, "text": TEXT.body}
    assert seen == [
        ("POST", "/texts", told, "Bearer a token"),
        ("GET", f"/texts/{TEXT.id}", None, "Bearer a token"),
    ]


async def test_of_a_gateway_that_cannot_be_asked_no_more_is_heard() -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=204)

    async with gateway(answer, status=False) as one:
        assert await one.send(TEXT, again=False) == "gone"
        assert await one.word(TEXT) == "gone"


async def test_a_gateway_that_lies_hangs_or_leads_elsewhere_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "WITHIN_S", 0.3)
    led: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        led.append(request.path)
        match len(led):
            case 1:
                raise web.HTTPTemporaryRedirect("/elsewhere")
            case 2:
                await asyncio.sleep(2)
            case 3:
                return web.Response(status=500)
        return web.Response(body=b"\xff" * 200_000, content_type="application/json")

    async with gateway(answer) as one:
        for _ in range(3):
            with pytest.raises(Away):
                await one.send(TEXT, again=False)
        assert await one.send(TEXT, again=True) == "taken", "what it says is no JSON, but it said 200"
    assert "/elsewhere" not in led, "a victim's number goes nowhere else"


async def test_no_gateway_at_all_is_away_and_its_fault_names_no_number() -> None:
    async with calls.session() as http:
        with pytest.raises(Away) as fault:
            await Gateway(http, "http://127.0.0.1:9/", "token", "").send(TEXT, again=False)
    assert TEXT.recipient not in str(fault.value)


# --- Webhooks ----------------------------------------------------------------------------------------------------


async def test_a_webhook_is_signed_so_that_any_library_of_the_standard_can_check_it() -> None:
    key, seen = b"k" * 24, list[tuple[dict[str, str], bytes]]()

    async def answer(request: web.Request) -> web.Response:
        seen.append((dict(request.headers), await request.read()))
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", answer)
    async with served(app) as url, calls.session() as http:
        notice = Message("a-1", "case", "webhook", f"{url}/hook", "RVR ABC-123: nobody has accepted the caller")
        hook = Webhook(http, f"whsec_{base64.b64encode(key).decode()}")
        assert await hook.send(notice, again=False) == "delivered"
    ((headers, body),) = seen
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    version, _, signature = headers["webhook-signature"].partition(",")
    assert version == "v1"
    assert base64.b64decode(signature) == hmac.digest(key, signed, "sha256")
    assert abs(time.time() - int(headers["webhook-timestamp"])) < 30
    assert json.loads(body) == {"type": "notice", "id": "a-1", "text": notice.body}


# --- What the settings choose --------------------------------------------------------------------------------------


def secret(folder: Path, name: str, text: str) -> str:
    file = folder / name
    file.write_text(f"{text}\n")
    file.chmod(0o600)
    return str(file)


async def test_each_kind_goes_to_the_carrier_of_the_settings_and_another_kind_to_nobody(
    tmp_path: Path, server: NotifyServer
) -> None:
    async with served(server.app) as url:
        given = {
            "notify_url": url,
            "notify_key_file": secret(tmp_path, "key", KEY),
            "notify_sms_template": TEMPLATE,
        }
        async with carrier(Settings(demo=False, **given)) as chosen:  # type: ignore[arg-type]
            assert isinstance(chosen, ByKind)
            assert await chosen.send(TEXT, again=False) == "taken"
            with pytest.raises(TurnedDown, match="no-email-carrier"):
                await chosen.send(Message("m", "case", "email", "a@example.org", "words"), again=False)
        async with carrier(Settings(demo=True, **given)) as demo:  # type: ignore[arg-type]
            assert await demo.send(TEXT, again=False) == "delivered"
    assert len(server.taken) == 1, "nothing leaves a demonstration"


def test_live_mode_says_what_it_lacks() -> None:
    nothing = list(lacks(Settings(demo=False), frozenset({"sms", "email", "webhook"})))
    assert len(nothing) == 3
    mail = {"smtp_host": "mail.test", "mail_from": "desk@example.org"}
    given = Settings(demo=False, sms_url="https://sms.test", webhook_secret_file="s", **mail)  # type: ignore[arg-type]
    assert list(lacks(given, frozenset({"sms", "email", "webhook"}))) == []
    assert len(list(lacks(Settings(demo=False, notify_key_file="k"), frozenset()))) == 1, "a key without a template"


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"sms_url": "http://sms.test/texts"}, "sms_url must be an https:// address"),
        ({"sms_url": "sms.test"}, "sms_url must be an https:// address"),
        ({"sms_url": "https://s.test", "sms_status_url": "https://s.test/x"}, "must contain {id}"),
        ({"sms_url": "https://s.test", "notify_key_file": "key"}, "not by both"),
        ({"notify_url": "ftp://notify.test"}, "notify_url must be an https:// address"),
        ({"mail_from": "the desk"}, "mail_from must be one address"),
    ],
)
def test_a_setting_by_which_a_number_could_go_astray_is_refused(told: dict[str, str], says: str) -> None:
    with pytest.raises(SettingFault) as fault:
        load(told, {})
    assert says in str(fault.value)
