"""The recommended proxy before a real desk: a real nginx on docs/operations/nginx.conf, with ports of its own. What is
for staff, what for victims, what ends at the proxy, and what it writes down."""

from __future__ import annotations

import contextlib
import http.server
import json
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from rvr.web.app import ROUTES
from tests.serving import PASSWORD, ROOT, Served, free_port, served

OPERATIONS = ROOT / "docs" / "operations"
NGINX, CADDY = shutil.which("nginx"), shutil.which("caddy")
STAFF, VICTIMS = "desk.example.police.uk", "j.example.org"

FOR_VICTIMS = [route for route in ROUTES if "own_data" in route.access or route.path.startswith("/api/v1/media/")]
"""What a victim, a guest and whoever is asked afterwards need."""

pytestmark = pytest.mark.skipif(NGINX is None, reason="no nginx on this machine: apt-get install nginx")


def certificate(name: str, folder: Path) -> None:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    named = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(named)
        .issuer_name(named)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    kind, none = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    stem = name.partition(".")[0]
    (folder / f"{stem}.pem").write_bytes(made.public_bytes(pem))
    (folder / f"{stem}.key").write_bytes(key.private_bytes(pem, kind, none))


@dataclass
class Proxy:
    folder: Path
    tls: dict[str, int]
    """Name -> its port, where the file has an address."""
    plain: int

    def context(self, name: str) -> ssl.SSLContext:
        trusting = ssl.create_default_context(cafile=str(self.folder / f"{name.partition('.')[0]}.pem"))
        trusting.minimum_version = ssl.TLSVersion.TLSv1_2
        return trusting

    @contextlib.contextmanager
    def line(self, name: str, context: ssl.SSLContext | None = None, *, at: str = "") -> Iterator[ssl.SSLSocket]:
        with socket.create_connection(("127.0.0.1", self.tls[at or name]), 10) as raw:
            context = context or self.context(name)
            with context.wrap_socket(raw, server_hostname=name) as secured:
                yield secured

    def ask(
        self, name: str, path: str, method: str = "GET", body: Any = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        connection = HTTPSConnection(name, self.tls[name], context=self.context(name), timeout=20)
        connection._create_connection = lambda address, *more: socket.create_connection(("127.0.0.1", address[1]), 10)
        sent = {key.replace("_", "-"): value for key, value in headers.items()}
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        if isinstance(body, dict):
            sent["Content-Type"] = "application/json"
        try:
            connection.request(method, path, data, sent)
            got = connection.getresponse()
            return got.status, {key.lower(): value for key, value in got.getheaders()}, got.read()
        finally:
            connection.close()

    def logs(self) -> str:
        return "".join(file.read_text(errors="replace") for file in self.folder.glob("*.log"))


@contextlib.contextmanager
def proxied(folder: Path, upstream: int, **more: str) -> Iterator[Proxy]:
    """nginx on the recommended file, its names as they are."""
    proxy = Proxy(folder, {STAFF: free_port(), VICTIMS: free_port()}, free_port())
    for name in (STAFF, VICTIMS):
        certificate(name, folder)
    text = (OPERATIONS / "nginx.conf").read_text(encoding="utf-8")
    text = text.replace("127.0.0.1:8080", f"127.0.0.1:{upstream}")
    for address, name in (("192.0.2.10:443", STAFF), ("192.0.2.11:443", VICTIMS)):
        text = text.replace(address, f"127.0.0.1:{proxy.tls[name]}")
    text = text.replace("listen 80", f"listen 127.0.0.1:{proxy.plain}")
    text = text.replace("/etc/rvr/tls/", f"{folder}/").replace("/var/log/nginx/", f"{folder}/")
    for old, new in more.items():
        text = text.replace(old, new)
    (folder / "rvr.conf").write_text(text)
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/main.log crit; worker_processes 1;\n"
        f"events {{ worker_connections 512; }}\n"
        f"http {{ client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;"
        f" uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s; include {folder}/rvr.conf; }}\n"
    )
    assert NGINX is not None
    with subprocess.Popen([NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf")], stderr=subprocess.PIPE) as run:
        try:
            deadline = time.monotonic() + 10
            while True:
                assert run.poll() is None, run.stderr.read().decode() if run.stderr else ""
                assert time.monotonic() < deadline
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", proxy.tls[STAFF]), 1):
                    break
                time.sleep(0.05)
            yield proxy
        finally:
            run.terminate()
            run.wait(10)


@dataclass
class House:
    desk: Served
    proxy: Proxy


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder, port = tmp_path_factory.mktemp("proxy"), free_port()
    with proxied(folder, port) as proxy:
        settings = {
            "RVR_PUBLIC_URL": f"https://{STAFF}:{proxy.tls[STAFF]}",
            "RVR_JOIN_URL": f"https://{VICTIMS}:{proxy.tls[VICTIMS]}",
            "RVR_TRUSTED_PROXIES": "127.0.0.1",
        }
        with served(folder / "data", port, **settings) as desk:
            yield House(desk, proxy)


def signed_in(proxy: Proxy) -> dict[str, str]:
    """Headers of somebody who has signed in through the proxy."""
    told = {"username": "sergeant", "password": PASSWORD}
    status, headers, body = proxy.ask(STAFF, "/api/v1/session", "POST", told)
    assert status == 201, body
    assert headers["set-cookie"].startswith("__Host-rvr_s=")
    assert "; Secure" in headers["set-cookie"]
    return {"Cookie": headers["set-cookie"].partition(";")[0], "X-CSRF-Token": json.loads(body)["csrf"]}


def test_staff_work_through_it_and_a_change_is_on_the_screen_at_once(house: House) -> None:
    sergeant = signed_in(house.proxy)
    assert house.proxy.ask(STAFF, "/api/v1/board", **sergeant)[0] == 200
    with house.proxy.line(STAFF) as line:
        asked = "".join(f"{key}: {value}\r\n" for key, value in sergeant.items())
        host = f"{STAFF}:{house.proxy.tls[STAFF]}"
        line.sendall(f"GET /api/v1/live?topics=board HTTP/1.1\r\nHost: {host}\r\n{asked}\r\n".encode())
        line.settimeout(5)
        heard = b""
        while b"event: snapshot" not in heard:
            heard += line.recv(65536)
        started = time.monotonic()
        assert house.desk.client("handler").open_case().status == 201
        while b'"changed"' not in heard:
            heard += line.recv(65536)
        assert time.monotonic() - started < 2, "it is not held back"


SECURED = ("strict-transport-security", "content-security-policy", "x-content-type-options", "referrer-policy")


@pytest.mark.parametrize(
    "path", ["/", "/cases/1", "/api/v1/session", "/api/v1/board", "/metrics", "/health/ready", "/live"]
)
def test_under_the_victims_name_there_is_nothing_but_the_victims_page(house: House, path: str) -> None:
    status, headers, body = house.proxy.ask(VICTIMS, path)
    assert status == 404
    assert b"RVR" not in body
    assert all(headers[name] for name in SECURED), headers
    assert headers["server"] == "nginx"


def test_all_that_a_victim_needs_is_there_under_the_victims_name(house: House) -> None:
    for route in FOR_VICTIMS:
        _, headers, _ = house.proxy.ask(VICTIMS, re.sub(r"{\w+}", "none", route.path), route.method)
        assert headers["x-request-id"], f"{route.method} {route.path} does not reach the desk"


@pytest.mark.parametrize("name", [STAFF, VICTIMS])
def test_every_answer_has_the_headers_once_whoever_gave_it(house: House, name: str) -> None:
    for path in ("/j", "/static/js/join.js", "/nowhere", "/metrics"):
        status, headers, _ = house.proxy.ask(name, path)
        assert status in (200, 404)
        for header in SECURED:
            assert headers[header], (path, header)
            assert "," not in headers[header] or header == "content-security-policy"
    large = house.proxy.ask(name, "/api/v1/join", "POST", b"x" * 70_000)
    assert large[0] == 413
    assert large[1]["cache-control"] == "no-store"


def test_the_figures_are_not_to_be_had_through_it(house: House) -> None:
    assert house.desk.client().call("GET", "/metrics").status == 200
    assert house.proxy.ask(STAFF, "/metrics")[0] == 404


def test_the_victims_page_is_served_and_no_line_of_a_log_says_that_anybody_was_there(house: House) -> None:
    assert house.proxy.ask(VICTIMS, "/j?zqcanary")[0] == 200
    assert house.proxy.ask(VICTIMS, "/api/v1/join/zqcanary", "POST", {"zqcanary": 1})[0] == 401
    assert house.proxy.ask(VICTIMS, "/zqcanary")[0] == 404
    house.proxy.ask(STAFF, "/cases/zqcanary?zqcanary")
    deadline = time.monotonic() + 5
    line = re.compile(rf"{STAFF} GET 401 [\d.]+ [0-9a-f]{{16}}$", re.MULTILINE)
    while not line.search(written := house.proxy.logs()):
        assert time.monotonic() < deadline, "no line with the desk's own id"
        time.sleep(0.1)
    assert "zqcanary" not in written
    assert VICTIMS not in written
    assert "127.0.0.1" not in written, "from where everybody came in this test"


def offers(house: House, name: str, version: ssl.TLSVersion, ciphers: str = "") -> bool:
    context = house.proxy.context(name)
    context.minimum_version = context.maximum_version = version
    if ciphers:
        context.set_ciphers(ciphers)
    try:
        with house.proxy.line(name, context):
            return True
    except (ssl.SSLError, ConnectionError):
        return False


def test_tls_is_of_today_for_staff_and_never_weak_for_old_telephones(house: House) -> None:
    assert offers(house, STAFF, ssl.TLSVersion.TLSv1_3)
    assert not offers(house, STAFF, ssl.TLSVersion.TLSv1_2)
    assert offers(house, VICTIMS, ssl.TLSVersion.TLSv1_3)
    assert offers(house, VICTIMS, ssl.TLSVersion.TLSv1_2, "ECDHE+AESGCM")
    for weak in ("ECDHE+AES:!AESGCM:!AESCCM", "kRSA+AESGCM", "DHE+AESGCM:@SECLEVEL=0"):
        with contextlib.suppress(ssl.SSLError):  # this machine's own library may know none such
            assert not offers(house, VICTIMS, ssl.TLSVersion.TLSv1_2, weak), weak
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        assert not offers(house, VICTIMS, ssl.TLSVersion.TLSv1_1, "ALL:@SECLEVEL=0")


@pytest.mark.parametrize(("name", "at"), [("evil.example", STAFF), (VICTIMS, STAFF), (STAFF, VICTIMS)])
def test_under_any_other_name_no_certificate_is_shown(house: House, name: str, at: str) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with pytest.raises((ssl.SSLError, ConnectionError)), house.proxy.line(name, context, at=at):
        pass


@pytest.mark.parametrize(("name", "leads"), [(STAFF, STAFF), (VICTIMS, VICTIMS), ("evil.example", "")])
def test_without_tls_each_name_is_led_to_itself_and_no_other_is_told(house: House, name: str, leads: str) -> None:
    with socket.create_connection(("127.0.0.1", house.proxy.plain), 5) as line:
        line.sendall(f"GET /j HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        with contextlib.suppress(ConnectionError):
            while part := line.recv(4000):
                answer += part
    if leads:
        assert f"Location: https://{leads}/".encode() in answer
        assert ({STAFF, VICTIMS} - {leads}).pop().encode() not in answer
    else:
        assert answer == b""


def test_guessing_of_passwords_ends_at_the_proxy(tmp_path: Path) -> None:
    told = {"username": "nobody", "password": "guess"}
    with proxied(tmp_path, free_port()) as proxy:  # before no desk at all: what gets through is 502
        answers = [proxy.ask(STAFF, "/api/v1/session", "POST", told) for _ in range(25)]
    assert [status for status, _, _ in answers].count(429) >= 3
    assert all(headers[name] for _, headers, _ in answers for name in SECURED)


# --- Two desks, another proxy ------------------------------------------------------------------------------------


class Named(http.server.BaseHTTPRequestHandler):
    def _answer(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(str(self.server.server_address[1]).encode())

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - as the standard library calls them

    def log_message(self, *told: object) -> None:
        return


def test_of_two_desks_whatever_concerns_a_call_goes_to_the_one_with_the_media(tmp_path: Path) -> None:
    with contextlib.ExitStack() as running:
        ports = []
        for _ in range(2):
            server = http.server.ThreadingHTTPServer(("127.0.0.1", free_port()), Named)
            running.callback(server.server_close)
            running.callback(server.shutdown)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            ports.append(server.server_address[1])
        media, other = ports
        two = (OPERATIONS / "two-nodes.conf").read_text(encoding="utf-8")
        two = two.replace("10.0.0.11:8080", f"127.0.0.1:{media}").replace("10.0.0.12:8080", f"127.0.0.1:{other}")
        one = (OPERATIONS / "nginx.conf").read_text(encoding="utf-8")
        upstream = one[one.index("upstream rvr {") : one.index("}", one.index("upstream rvr {")) + 1]
        here = upstream.replace("127.0.0.1:8080", "127.0.0.1:1")
        change = {here: two, "http://rvr;": "http://$rvr_to;"}
        proxy = running.enter_context(proxied(tmp_path, 1, **change))

        def to(name: str, method: str, path: str) -> int:
            return int(proxy.ask(name, path, method)[2])

        for path in ("/j", "/g", "/api/v1/join", "/api/v1/join/live", "/api/v1/guest", "/api/v1/media/seat"):
            assert {to(VICTIMS, "GET", path) for _ in range(4)} == {media}, path
        for method, path in (("POST", "/api/v1/media/s"), ("DELETE", "/api/v1/session"), ("POST", "/sign-out")):
            assert {to(STAFF, method, path) for _ in range(4)} == {media}, path
        for method, path in (("GET", "/"), ("GET", "/api/v1/session"), ("POST", "/api/v1/cases"), ("GET", "/live")):
            assert {to(STAFF, method, path) for _ in range(6)} == {media, other}, path


@pytest.mark.skipif(CADDY is None, reason="no Caddy on this machine: apt-get install caddy")
def test_caddy_takes_its_file_and_leads_the_victims_name_to_nothing_else() -> None:
    assert CADDY is not None
    file = OPERATIONS / "Caddyfile"
    done = subprocess.run([CADDY, "adapt", "--adapter", "caddyfile", "--config", file], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    [server] = told["apps"]["http"]["servers"].values()
    assert server["read_timeout"] == server["read_header_timeout"] == 10_000_000_000
    [victims] = [route for route in server["routes"] if route["match"] == [{"host": [VICTIMS]}]]
    known, rest = victims["handle"][0]["routes"]
    allowed = {path.removesuffix("/*").rstrip("/") for path in known["match"][0]["path"]}
    assert allowed == {route.path.partition("/{")[0].removesuffix("/live") for route in FOR_VICTIMS} | {"/static"}
    assert "reverse_proxy" not in json.dumps(rest)
