"""Tries to sign in are counted by name and address, and by address alone; the counts outlive a restart."""

from __future__ import annotations

from pathlib import Path

from tests.serving import Client, served

BEHIND_A_PROXY = {"RVR_TRUSTED_PROXIES": "127.0.0.1"}


def tried(client: Client, username: str, at: str = "") -> int:
    body = {"username": username, "password": "guess"}
    return client.call("POST", "session", body, X_Forwarded_For=at).status


def test_a_restart_begins_no_new_count_and_a_right_password_ends_it(tmp_path: Path) -> None:
    with served(tmp_path / "data") as desk:
        stranger = desk.client()
        assert [tried(stranger, "sergeant") for _ in range(3)] == [401] * 3
        assert desk.client("sergeant").me["username"] == "sergeant"
        assert [tried(stranger, "sergeant") for _ in range(5)] == [401] * 5
    with served(tmp_path / "data") as desk:
        refused = desk.client().sign_in("sergeant")
        assert refused.status == 429
        assert 0 < int(refused.headers["Retry-After"]) <= 61
        assert desk.client("officer").me, "nobody else is kept out"
    for file in (tmp_path / "data").iterdir():
        assert not (file.is_file() and b"sergeant" in file.read_bytes())


def test_who_guesses_for_many_names_waits_and_keeps_nobody_elsewhere_out(tmp_path: Path) -> None:
    with served(tmp_path / "data", **BEHIND_A_PROXY) as desk:
        client = desk.client()
        told = [tried(client, f"name-{number}", at="192.0.2.7") for number in range(33)]
        assert told == [401] * 30 + [429] * 3
        assert tried(client, "officer", at="192.0.2.7") == 429
        assert tried(client, "officer", at="192.0.2.8") == 401
        assert tried(client, "officer", at="192.0.2.7, 192.0.2.8") == 401, "the proxy wrote the last one"
