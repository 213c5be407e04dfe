"""The desk's part of TURN: who gets a credential, what it is worth, and the configuration that the server runs by.

What a real server makes of it is shown in tests/media/net/.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rvr import cli, turn
from rvr.config import SettingFault, Settings, load
from rvr.turn import Turn
from tests.serving import served
from tests.web.test_api import waiting

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
URLS = "turn:turn.example.org?transport=udp turn:turn.example.org?transport=tcp turns:turn.example.org:443"
SECRET = "a-secret-that-is-long-enough-for-all-of-it"


def made(urls: str = URLS, **more: object) -> str:
    given = {"media": "203.0.113.9", "listen": "203.0.113.7", "cert": "/etc/c.pem", "pkey": "/etc/k.pem", **more}
    return turn.configuration(Turn(tuple(urls.split()), SECRET, 600), **given)  # type: ignore[arg-type]


def test_a_credential_says_when_it_ends_and_proves_it_by_the_shared_secret() -> None:
    server = Turn(("turn:a",), SECRET, 600).server(AT, "x7")
    ends, _, name = (server.username or "").partition(":")
    assert (int(ends), name) == (AT.timestamp() + 600, "x7")
    proof = hmac.new(SECRET.encode(), (server.username or "").encode(), hashlib.sha1).digest()
    assert server.for_browser() == {
        "urls": ["turn:a"],
        "username": server.username,
        "credential": base64.b64encode(proof).decode(),
    }


def test_no_representation_of_the_server_holds_the_secret() -> None:
    assert SECRET not in repr(Turn(("turn:a",), SECRET, 600))


def test_staff_go_through_the_relay_alone_and_victims_where_it_is_so_set() -> None:
    for relay_victims in (False, True):
        server = Turn(("turn:a",), SECRET, 600, relay_victims)
        assert server.policy(victim=False) == "relay"
        assert server.policy(victim=True) == ("relay" if relay_victims else "all")


def test_the_configuration_follows_the_addresses_that_browsers_are_told() -> None:
    text = made(public="198.51.100.4", ports="50000-50999")
    for line in (
        *("listening-ip=203.0.113.7", "external-ip=198.51.100.4/203.0.113.7", "listening-port=3478"),
        *("tls-listening-port=443", "min-port=50000", "max-port=50999", "realm=turn.example.org"),
        *(f"static-auth-secret={SECRET}", "allowed-peer-ip=203.0.113.9", "cert=/etc/c.pem", "pkey=/etc/k.pem"),
        *("no-cli", "no-tcp-relay", "fingerprint", "denied-peer-ip=0.0.0.0-255.255.255.255"),
    ):
        assert re.search(f"^{re.escape(line)}$", text, re.MULTILINE), line
    assert text.count("allowed-peer-ip=") == 1


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"media": "127.0.0.1"}, "refuses to pass anything on to its own machine"),
        ({"listen": "0.0.0.0"}, "addresses that others can reach"),  # noqa: S104
        ({"public": "turn.example.org"}, "is no IP address"),
        ({"urls": "turn:a?transport=udp turn:a:443?transport=tcp"}, "the same port"),
        ({"cert": ""}, "name its certificate and key"),
    ],
)
def test_a_configuration_with_which_no_call_could_be_made_is_refused(given: dict[str, str], fault: str) -> None:
    with pytest.raises(SettingFault, match=fault):
        made(**given)


@pytest.mark.parametrize("url", ["turn.example.org", "stun:turn.example.org", "turn:a?transport=sctp", "turn:a:x"])
def test_what_is_no_turn_address_is_refused_at_start(url: str) -> None:
    with pytest.raises(SettingFault, match="turn_urls"):
        load({}, {"RVR_TURN_URLS": f"turn:b {url}"})


def test_the_verb_makes_the_secret_once_and_writes_what_only_this_user_can_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RVR_TURN_URLS", "turn:turn.example.org")
    monkeypatch.setenv("RVR_MEDIA_PUBLIC_ADDRESS", "203.0.113.9")
    data, out = tmp_path / "data", tmp_path / "turnserver.conf"
    command = ["turn", "--data", str(data), "--listen", "203.0.113.7", "--out"]
    assert cli.main([*command, str(out)]) == 0
    secret = Settings(data=str(data)).turn_secret_path
    assert [stat.S_IMODE(file.stat().st_mode) for file in (secret, out)] == [0o600, 0o600]
    made_first = secret.read_text().strip()
    assert f"static-auth-secret={made_first}\n" in out.read_text()
    assert made_first not in capsys.readouterr().out
    assert cli.main([*command, str(tmp_path / "second.conf")]) == 0
    assert secret.read_text().strip() == made_first
    assert cli.main([*command, str(out)]) == 1, "a file that is there is not written over"
    assert "is there already" in capsys.readouterr().err


def test_a_secret_that_others_can_read_or_that_is_missing_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    settings = load({"turn_urls": "turn:a", "turn_secret_file": str(file)}, {})
    with pytest.raises(SettingFault, match="cannot be read"):
        turn.of(settings)
    file.write_text(SECRET)
    file.chmod(0o644)
    with pytest.raises(SettingFault, match="read by others"):
        turn.of(settings)
    file.chmod(0o600)
    found = turn.of(settings)
    assert found is not None
    assert found.secret == SECRET
    file.write_text("short")
    with pytest.raises(SettingFault, match="too short"):
        turn.of(settings)


def test_each_person_gets_a_credential_of_the_own_seat_and_nobody_elses(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET)
    file.chmod(0o600)
    with served(tmp_path / "data", RVR_TURN_URLS="turn:turn.example.org", RVR_TURN_SECRET_FILE=str(file)) as desk:
        case, token, officer = waiting(desk)
        victim = desk.client()
        joined = victim.call("POST", "join", {"token": token}).body
        seats = {
            "victim": joined["seat"],
            "officer": officer.call("GET", f"cases/{case}").body["session"]["officer_seat"],
        }
        again = victim.call("GET", f"media/{seats['victim']}").body
        assert (again["ice_policy"], again["ice_lifetime_s"]) == ("all", 600)
        assert joined["ice_servers"][0]["username"] != again["ice_servers"][0]["username"]
        told = officer.call("GET", f"media/{seats['officer']}").body
        assert told["ice_policy"] == "relay"
        assert told["ice_servers"][0]["urls"] == ["turn:turn.example.org"]
        for somebody, seat in (
            (victim, seats["officer"]),
            (officer, seats["victim"]),
            (desk.client("officer2"), seats["officer"]),
            (desk.client(), seats["victim"]),
        ):
            assert somebody.call("GET", f"media/{seat}").status in (401, 403, 404)


def test_live_mode_asks_for_a_turn_server_and_for_what_else_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["serve", "--no-demo", "--data", str(tmp_path / "data")]) == 1
    told = capsys.readouterr().err
    assert "a TURN server (turn_urls" in told
    assert "a carrier of texts (notify_key_file" in told
