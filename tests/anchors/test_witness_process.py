"""A witness as it runs: what it answers over HTTP, and that no kill makes it forget."""

from __future__ import annotations

import json
import random
import signal
import socket
import threading
import time
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import pytest

from rvr import cli
from rvr.cosigning import cosignature
from rvr.store.notes import Verifier
from tests.anchors.places import Log, Process, witness

LOG, FORK = Log(), Log(fork=5)


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Process]:
    with witness(tmp_path / "witness", LOG.key, Log(3, "example.com/second").key) as running:
        yield running


def known(at: Process) -> dict[str, int]:
    return {origin: one["size"] for origin, one in json.loads(at.state.read_text())["heads"].items()}


def test_a_growing_log_is_cosigned_and_each_refusal_has_its_number(at: Process) -> None:
    status, _, line = at.submit(LOG.body(0, 5))
    assert status == 200
    assert abs(cosignature(Verifier(at.key), LOG.note(5), [line]).at - time.time()) < 60
    assert at.submit(LOG.body(5, 90))[0] == 200
    assert at.submit(LOG.body(90, 90))[0] == 200
    assert at.submit(LOG.body(0, 7)) == (409, "text/x.tlog.size", "90\n")
    assert at.submit(FORK.body(90, 90)) == (409, "text/x.tlog.size", "90\n")
    for status, body in (
        (422, FORK.body(90, 120)),
        (403, Log(seed=2).body(90, 120)),
        (404, Log(name="example.com/unknown").body(90, 120)),
        (400, LOG.body(90, 80)),
        (400, b"old x\n\n" + LOG.note(90).encode()),
        (400, b""),
        (413, b"x" * 200_000),
    ):
        assert at.submit(body)[0] == status
    assert known(at) == {"example.com/log": 90}


def test_it_keeps_origins_sizes_and_hashes_and_nothing_else(at: Process) -> None:
    second = Log(3, "example.com/second")
    assert at.submit(LOG.body(0, 5))[0] == 200
    assert at.submit(second.body(0, 8))[0] == 200
    told = json.loads(at.state.read_text())
    assert set(told) == {"format", "witness", "heads"}
    assert {frozenset(one) for one in told["heads"].values()} == {frozenset({"size", "root"})}
    assert known(at) == {"example.com/log": 5, "example.com/second": 8}


def test_killed_under_submissions_it_never_takes_a_fork_afterwards(at: Process) -> None:
    """What it answered with 200 holds for ever: after each kill a fork from before it is refused."""
    dice, answered = random.Random(4), 0

    def submit() -> None:
        nonlocal answered
        try:
            for size in range(answered + 1, 200):
                if at.submit(LOG.body(answered, size))[0] != 200:
                    return
                answered = size
        except (OSError, urllib.error.URLError):
            return

    for _ in range(6):
        work = threading.Thread(target=submit)
        work.start()
        time.sleep(dice.uniform(0.02, 0.1))
        at.stop(signal.SIGKILL)
        work.join()
        at.start()
        (held,) = known(at).values() if known(at) else (0,)
        assert answered <= held <= answered + 1  # one may have been kept and not answered
        answered = held
        if held > 6:
            assert at.submit(FORK.body(held, held))[0] == 409
            assert at.submit(FORK.body(held, 199))[0] == 422
            assert at.submit(LOG.body(held, held))[0] == 200
    assert answered > 6


def test_two_processes_never_share_a_book(at: Process, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ["witness", "--state", str(at.state), "--key", str(at.folder / "key.json"), "--log", LOG.key]
    assert cli.main([*arguments, "--listen", "127.0.0.1:0"]) == 1
    assert "another witness has it open" in capfd.readouterr().err


@pytest.mark.parametrize("text", ["", "{", '{"format": 1, "witness": "another", "heads": {}}', '{"format": 2}'])
def test_a_book_that_is_broken_or_another_s_is_not_begun_anew(
    at: Process, text: str, capfd: pytest.CaptureFixture[str]
) -> None:
    at.stop()
    at.state.write_text(text)
    arguments = ["witness", "--state", str(at.state), "--key", str(at.folder / "key.json"), "--log", LOG.key]
    assert cli.main(arguments) == 1
    assert "starts with a new key" in capfd.readouterr().err
    assert at.state.read_text() == text


def test_a_key_is_never_replaced_and_others_cannot_read_it(at: Process, capfd: pytest.CaptureFixture[str]) -> None:
    file = at.folder / "key.json"
    before = file.read_bytes()
    assert cli.main(["witness", "--new-key", str(file)]) == 1
    assert file.read_bytes() == before
    assert file.stat().st_mode & 0o077 == 0
    capfd.readouterr()
    assert cli.main(["witness", "--new-key", str(at.folder / "named.json"), "--name", "example.org/w1"]) == 0
    assert Verifier(capfd.readouterr().out.strip()).name == "example.org/w1"
    assert cli.main(["witness", "--new-key", str(at.folder / "bad.json"), "--name", "a b"]) == 1
    assert not (at.folder / "bad.json").exists()


def test_wrong_use_is_told_in_one_sentence(at: Process, capfd: pytest.CaptureFixture[str]) -> None:
    at.stop()
    state, key = ("--state", str(at.state)), ("--key", str(at.folder / "key.json"))
    (at.folder / "nokey.json").write_text("{}")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        for arguments, said in (
            (("--key", "x"), "needs --state"),
            ((*state, *key, "--log", at.key), "no public key of a log"),
            ((*state, *key, "--log", "x"), "no public key of a log"),
            ((*state, "--key", str(at.folder / "nokey.json"), "--log", LOG.key), "no key file of a witness"),
            ((*state, *key, "--log", LOG.key, "--listen", f"127.0.0.1:{taken.getsockname()[1]}"), "Cannot listen"),
        ):
            assert cli.main(["witness", *arguments]) == 1
            assert said in capfd.readouterr().err
