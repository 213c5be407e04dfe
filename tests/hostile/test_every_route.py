"""Every way in, from the one list: its headers at every status, and requests that another site makes a browser send."""

from __future__ import annotations

import re
import socket
import uuid
from collections.abc import Iterator

import pytest

from rvr.people import DEMO
from rvr.web.app import ROUTES, STATIC, STATIC_FOLDERS, Route
from rvr.web.door import HEADERS
from tests.serving import Answer, Client, Served, ready_for_handover, served
from tests.web.test_api import newest_token

UNSAFE = [route for route in ROUTES if route.method not in ("GET", "HEAD")]
ENDLESS = ("/live", "/api/v1/live", "/api/v1/join/live", "/api/v1/guest/live")
USERS = {role: username for username, _, role in reversed(DEMO)}


def named(route: Route) -> str:
    return f"{route.method} {route.path}"


def filled(path: str) -> str:
    return re.sub(r"{\w+}", str(uuid.uuid4()), path)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("routes") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def everybody(desk: Served) -> dict[str, Client]:
    return {"": desk.client(), **{role: desk.client(username) for role, username in USERS.items()}}


# --- Headers -----------------------------------------------------------------------------------------------------


def looks_secured(answer: Answer, what: str) -> None:
    told = {name.lower(): value for name, value in answer.headers.items()}
    for name, value in HEADERS.items():
        assert told.get(name.lower()) == value, (what, answer.status, name)
    assert told["permissions-policy"].endswith("geolocation=(), display-capture=()"), what
    assert re.fullmatch(r"[0-9a-f]{16}", told["x-request-id"]), what
    assert told["cache-control"] in ("no-store", "no-cache", "public, max-age=31536000, immutable"), what
    if answer.body and answer.status != 304:
        assert "charset" in told["content-type"] or not told["content-type"].startswith("text/"), what


@pytest.mark.parametrize("route", ROUTES, ids=named)
def test_every_answer_of_a_route_has_every_header_whatever_its_status(
    route: Route, desk: Served, everybody: dict[str, Client]
) -> None:
    path, allowed = filled(route.path), sorted(route.roles)
    asked: list[tuple[Client, str, dict[str, str]]] = [(everybody[""], route.method, {"Host": "evil.example"})]
    asked += [(everybody[""], method, {}) for method in (route.method, "PUT", "TRACE")]
    if allowed and path not in ENDLESS:
        asked.append((everybody[allowed[0]], route.method, {"Origin": "http://evil.example"}))
    others = sorted(set(USERS) - set(allowed))
    asked += [(everybody[role], route.method, {}) for role in others[:1] if allowed]
    seen = set()
    for client, method, headers in asked:
        if (path in ENDLESS or path == "/sign-out") and client is not everybody[""]:
            continue
        body = None if method in ("GET", "TRACE") else {"zq": 1}
        answer = client.call(method, path, body, **headers)
        assert answer.status < 500, (method, path)
        looks_secured(answer, f"{method} {path}")
        seen.add(answer.status)
    assert seen & {404, 405}


@pytest.mark.parametrize("folder", STATIC_FOLDERS)
def test_a_file_and_one_that_is_not_there_have_them_too(folder: str, desk: Served) -> None:
    file = next(one.name for one in (STATIC / folder).iterdir() if one.is_file())
    for name, wanted in ((file, 200), (f"{file}?v=1", 200), ("nothing", 404), ("../../run.py", 404), ("%2e%2e/x", 404)):
        answer = desk.client().call("GET", f"/static/{folder}/{name}")
        assert answer.status == wanted, name
        looks_secured(answer, name)


GARBAGE = (
    b"NONSENSE\r\n\r\n",
    b"GET / HTTP/9.9\r\nHost: HOST\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: HOST\r\nContent-Length: zq\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: HOST\r\nZq: " + b"z" * 20_000 + b"\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\nzqzq",
    b"GET / HTTP/1.1\r\nHost: HOST\r\n" + b"".join(b"Zq%d: 1\r\n" % n for n in range(200)) + b"\r\n",
)


@pytest.mark.parametrize("asked", GARBAGE, ids=lambda asked: asked[:24].decode())
def test_what_is_no_http_is_refused_without_a_word_of_it_or_of_what_runs_here(asked: bytes, desk: Served) -> None:
    host = desk.url.removeprefix("http://")
    with socket.create_connection(("127.0.0.1", int(host.rpartition(":")[2])), 10) as line:
        line.sendall(asked.replace(b"HOST", host.encode()))
        answer = line.recv(65536).decode()
    assert re.match(r"HTTP/1\.[01] 4\d\d ", answer), answer
    for told in ("zq", "NONSENSE", "Python", "aiohttp", "Traceback"):
        assert told.lower() not in answer.lower(), answer


# --- Other sites -------------------------------------------------------------------------------------------------

FOREIGN = (
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
)


@pytest.fixture(scope="module")
def victim(desk: Served) -> Client:
    """Somebody who has joined, with the cookie of the browser and the page's token."""
    handler, sergeant, officer = (desk.client(name) for name in ("handler", "sergeant", "officer"))
    case = ready_for_handover(handler)
    handler.move(case, "offer_handover")
    sergeant.move(case, "accept_handover")
    sergeant.move(case, "assign_officer", {"officer": officer.me["id"]})
    assert officer.move(case, "send_link").status == 200
    client = desk.client()
    joined = client.call("POST", "join", {"token": newest_token(desk)})
    assert joined.status == 200
    client.csrf, client.me = joined.body["csrf"], joined.body
    return client


GUARDED = [route for route in UNSAFE if route.roles]


@pytest.mark.parametrize("route", GUARDED, ids=named)
def test_no_unsafe_route_of_staff_is_to_be_used_from_another_site_or_without_the_page_s_token(
    route: Route, everybody: dict[str, Client]
) -> None:
    client = everybody[sorted(route.roles)[0]]
    path = filled(route.path)
    for headers in (*FOREIGN, {"X-CSRF-Token": "0" * 32}, {"X-CSRF-Token": everybody["auditor"].csrf + "x"}):
        answer = client.call(route.method, path, {}, **headers)
        assert answer.status == 403, (headers, answer.status)
    client.csrf, kept = "", client.csrf
    try:
        assert client.call(route.method, path, {}).status == 403
        form = {"Content_Type": "application/x-www-form-urlencoded"}
        assert client.call(route.method, path, raw=b"csrf=guess&x=1", **form).status == 403
    finally:
        client.csrf = kept
    assert client.call("GET", "session").status == 200, "nobody was signed out by it"


OPEN = [route for route in UNSAFE if not route.roles]


@pytest.mark.parametrize("route", OPEN, ids=named)
def test_nor_is_one_that_needs_no_sign_in(route: Route, desk: Served, victim: Client) -> None:
    path = route.path.replace("{seat}", victim.me["seat"]).replace("{what}", "quality")
    bodies = {"/api/v1/session": {"username": "sergeant", "password": "x"}, "/api/v1/join": {"token": "x"}}
    for action in ("unsafe", "exit", "message") if "{action}" in path else ("",):
        for headers in FOREIGN:
            sent = {"command_id": str(uuid.uuid4()), "text": "x", **bodies.get(route.path, {})}
            answer = victim.call(route.method, path.replace("{action}", action), sent, **headers)
            wanted = (403, 401) if "/guest" in path else (403,)  # nobody has joined as a guest
            assert answer.status in wanted, (path, action, headers, answer.status)
    assert victim.call("POST", "join", {}).status == 200, "still in the seat"
