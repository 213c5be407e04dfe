"""A recording holds what was sent, survives a kill, stops at once, and never lies in clear on the disk."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from rvr.media import Recording, recording
from rvr.media.blocks import AUDIO, CODECS, VIDEO, Examined, Told, examine, packets
from rvr.media.recording import Head, Recorder, Scribe
from rvr.media.tape import Tape
from tests.media import packets as rtp

KEY = bytes(range(32))


class Ends:
    """What a recorder told."""

    def __init__(self) -> None:
        self.blocks: list[Head] = []
        self.ended: list[tuple[Head, str]] = []

    def until_ended(self, within_s: float = 5.0) -> tuple[Head, str]:
        end = time.monotonic() + within_s
        while not self.ended:
            assert time.monotonic() < end, "the recording did not end"
            time.sleep(0.01)
        return self.ended[0]


@pytest.fixture
def scribe() -> Scribe:
    """One of its own, so that no other test's recordings are in it. A daemon: it sleeps for ever afterwards."""
    one = Scribe()
    one.start()
    return one


def a_recorder(folder: Path, scribe: Scribe, ends: Ends, seat: str = "seat") -> Recorder:
    return Recorder(
        folder,
        "recording",
        KEY,
        seat,
        on_block=ends.blocks.append,
        on_end=lambda head, cause: ends.ended.append((head, cause)),
        scribe=scribe,
    )


def read(path: Path, told: list[Told] | None = None) -> Examined:
    return examine(path.read_bytes(), KEY, told or ())


def a_child(folder: Path, limit: int = 0) -> subprocess.Popen[str]:
    """A process that records a call in real time."""
    return subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("recording_child.py")), str(folder), KEY.hex(), str(limit)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )


def test_every_packet_comes_back_as_it_came(tmp_path: Path, scribe: Scribe) -> None:
    ends, call = Ends(), list(rtp.a_call(3, since_ns=time.monotonic_ns()))
    recorder = a_recorder(tmp_path, scribe, ends)
    recorder.codecs(rtp.CODECS)
    for one in call:
        recorder.packet(one.kind, one.rtp, one.at_ns)
    recorder.close()
    recorder.packet("audio", b"too late", 0)
    head, cause = ends.until_ended()
    path = tmp_path / "recording" / "seat.1.rvrrec"
    found = read(path, [Told(head.n, head.bytes, head.sha256)])
    assert (cause, found.faults, found.closed, found.torn) == ("", (), True, 0)
    assert path.stat().st_size == head.bytes
    assert path.stat().st_mode & 0o777 == 0o600
    got = list(packets(path.read_bytes(), found, KEY))
    assert got[0].kind == CODECS
    names = {AUDIO: "audio", VIDEO: "video"}
    assert [(names[one.kind], one.data) for one in got[1:]] == [(one.kind, one.rtp) for one in call]
    assert all(abs(a.at_ns - b.at_ns) < 1000 for a, b in zip(got[1:], call, strict=True))
    assert (head.audio, head.video) == (150, len(call) - 150)


def test_no_packet_is_on_the_disk_in_clear_while_it_is_recorded(tmp_path: Path, scribe: Scribe) -> None:
    """A canary in sound and picture: looked for in every file of the folder, all the time and at the end."""
    ends, canary = Ends(), b"CANARY-of-a-voice-7261"
    recorder = a_recorder(tmp_path, scribe, ends)
    for n in range(200):
        recorder.packet("audio" if n % 2 else "video", b"\x80" + canary * 8, time.monotonic_ns())
        time.sleep(0.01)
        for path in tmp_path.rglob("*.*"):
            assert canary not in path.read_bytes()
    recorder.close()
    ends.until_ended()
    (path,) = tmp_path.rglob("*.*")
    assert canary not in path.read_bytes()
    assert all(canary in one.data for one in packets(path.read_bytes(), read(path), KEY))


def test_a_killed_process_loses_less_than_a_second(tmp_path: Path) -> None:
    """SIGKILL in the middle: the longest sound beginning is there, and ends at most a second before the last packet."""
    child = a_child(tmp_path)
    assert child.stdout is not None
    sent, told = 0, list[Told]()
    end = None
    for line in child.stdout:
        word, *rest = line.split()
        if word == "began":
            end = time.monotonic() + 4.6
        elif word == "told":
            told.append(Told(int(rest[0]), int(rest[1]), rest[2]))
        elif word == "sent":
            sent = int(rest[0])
        if end is not None and time.monotonic() > end:
            break
    child.kill()
    for line in child.stdout:  # what it had said and nobody had read yet
        if line.startswith("sent") and line.endswith("\n"):
            sent = int(line.split()[1])
    child.stdout.close()
    child.wait()
    path = tmp_path / "recording" / "seat.1.rvrrec"
    found = read(path, told)
    assert told
    assert (found.faults, found.closed) == ((), False)
    got = list(packets(path.read_bytes(), found, KEY))
    assert {AUDIO, VIDEO} <= {one.kind for one in got}
    assert (sent - got[-1].at_ns) / 1e9 < 1.0


def test_a_process_that_comes_back_begins_a_fresh_file(tmp_path: Path, scribe: Scribe) -> None:
    for _ in range(2):
        ends = Ends()
        recorder = a_recorder(tmp_path, scribe, ends)
        recorder.packet("audio", b"sound", 1)
        recorder.close()
        ends.until_ended()
    paths = sorted(path.name for path in (tmp_path / "recording").iterdir())
    assert paths == ["seat.1.rvrrec", "seat.2.rvrrec"]
    assert [read(tmp_path / "recording" / name).facts["part"] for name in paths] == [1, 2]


def test_a_recording_without_a_packet_leaves_no_file(tmp_path: Path, scribe: Scribe) -> None:
    ends = Ends()
    a_recorder(tmp_path, scribe, ends).close()
    assert ends.until_ended()[0].n == 0
    assert list(tmp_path.iterdir()) == []


def test_both_tracks_are_told_to_grow(tmp_path: Path, scribe: Scribe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "SYNC_EVERY_S", 0.0)
    monkeypatch.setattr(recording, "TELL_EVERY_S", 0.0)
    monkeypatch.setattr(recording, "EVERY_S", 0.05)
    ends = Ends()
    recorder = a_recorder(tmp_path, scribe, ends)
    for n in range(30):
        recorder.packet("audio", b"sound", n)
        if n < 15:
            recorder.packet("video", b"picture", n)
        time.sleep(0.02)
    recorder.close()
    ends.until_ended()
    assert len(ends.blocks) >= 3
    assert [one.n for one in ends.blocks] == sorted(one.n for one in ends.blocks)
    assert ends.blocks[0].video > 0
    last = ends.ended[0][0]
    assert (last.audio, last.video) == (30, 15)


@pytest.mark.parametrize(
    ("number", "cause"), [(errno.ENOSPC, "disk-full"), (errno.EDQUOT, "disk-full"), (errno.EIO, "io-error")]
)
def test_a_disk_that_fails_ends_the_recording_and_is_told(
    tmp_path: Path, scribe: Scribe, monkeypatch: pytest.MonkeyPatch, number: int, cause: str
) -> None:
    """What was written until then is sound; the torn beginning of the next block is cut and said so."""
    ends, real, written = Ends(), os.write, 0

    def write(handle: int, data: Any) -> int:
        nonlocal written
        if written > 20_000 and len(data) > 100:
            if written < 10**9:
                written = 10**9
                return real(handle, bytes(data)[:50])
            raise OSError(number, os.strerror(number))
        written += len(data)
        return real(handle, data)

    recorder = a_recorder(tmp_path, scribe, ends)
    monkeypatch.setattr(recording, "EVERY_S", 0.05)
    monkeypatch.setattr(recording.os, "write", write)
    for one in rtp.a_call(3):
        recorder.packet(one.kind, one.rtp, one.at_ns)
        time.sleep(0.001)
    assert ends.until_ended()[1] == cause
    recorder.packet("audio", b"sound", 1)  # the call goes on, and nobody is troubled
    assert recorder.ended
    found = read(tmp_path / "recording" / "seat.1.rvrrec")
    assert (found.faults, found.closed, found.torn) == ((), False, 50)
    assert found.blocks


def test_a_file_that_may_not_grow_ends_the_recording_and_the_process_goes_on(tmp_path: Path) -> None:
    """The kernel's own limit of a file's size, in a process of its own."""
    child = a_child(tmp_path, limit=60_000)
    assert child.stdout is not None
    lines, after = [], 0
    for line in child.stdout:
        lines.append(line.strip())
        after += any(one.startswith("ended") for one in lines)
        if after > 20:
            break
    child.kill()
    child.stdout.close()
    child.wait()
    (ended,) = (line for line in lines if line.startswith("ended"))
    assert ended.endswith("disk-full")
    path = tmp_path / "recording" / "seat.1.rvrrec"
    found = read(path)
    assert path.stat().st_size == 60_000
    assert (found.faults, found.closed) == ((), False)
    assert found.torn
    assert found.blocks


def test_a_name_that_is_taken_is_left_alone(tmp_path: Path, scribe: Scribe) -> None:
    """A link that somebody laid there leads nowhere."""
    folder = tmp_path / "recording"
    folder.mkdir()
    (folder / "seat.1.rvrrec").symlink_to(tmp_path / "elsewhere")
    ends = Ends()
    recorder = a_recorder(tmp_path, scribe, ends)
    recorder.packet("audio", b"sound", 1)
    recorder.close()
    assert ends.until_ended()[0].part == 2
    assert not (tmp_path / "elsewhere").exists()


def test_a_disk_that_hangs_ends_the_recording_before_the_memory_is_full(
    tmp_path: Path, scribe: Scribe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "QUEUE_PACKETS", 100)
    monkeypatch.setattr(recording.os, "write", lambda handle, data: time.sleep(1.5) or len(data))
    ends = Ends()
    recorder = a_recorder(tmp_path, scribe, ends)
    for n in range(500):
        recorder.packet("audio", b"sound", n)
    assert ends.until_ended()[1] == "too-slow"


@pytest.mark.parametrize("name", ["../outside", "a/b", "", "x" * 65])
def test_an_id_that_makes_no_file_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="ids"):
        Recorder(tmp_path, name, KEY, "seat", on_block=print, on_end=print)


# --- The tape of a room ------------------------------------------------------------------------------------------


async def until(told: list[dict[str, str]], state: str, seat: str, within_s: float = 5.0) -> dict[str, str]:
    async with asyncio.timeout(within_s):
        while True:
            for one in told:
                if (one["state"], one["seat"]) == (state, seat):
                    return one
            await asyncio.sleep(0.01)


async def test_only_those_who_consented_are_on_the_tape(tmp_path: Path, scribe: Scribe) -> None:
    told: list[dict[str, str]] = []
    tape = Tape(tmp_path, lambda detail: told.append(dict(detail)), scribe)
    for seat in ("victim", "officer", "guest"):
        tape.codecs(seat, rtp.CODECS)
    tape.packet("victim", "audio", b"before", 1)
    tape.want(Recording("r1", KEY, frozenset({"victim", "officer"})))
    for seat in ("victim", "officer", "guest"):
        tape.packet(seat, "audio", seat.encode(), 2)
    await tape.close(5.0)
    files = {path.name: path.read_bytes() for path in (tmp_path / "r1").iterdir()}
    assert sorted(files) == ["officer.1.rvrrec", "victim.1.rvrrec"]
    for seat in ("victim", "officer"):
        file = files[f"{seat}.1.rvrrec"]
        assert [one.data for one in packets(file, examine(file, KEY), KEY)][1:] == [seat.encode()]
        assert (await until(told, "stopped", seat))["audio"] == "1"


async def test_withdrawal_stops_the_tape_at_once(tmp_path: Path, scribe: Scribe) -> None:
    told: list[dict[str, str]] = []
    tape = Tape(tmp_path, lambda detail: told.append(dict(detail)), scribe)
    tape.want(Recording("r1", KEY, frozenset({"victim", "officer"})))
    for n in range(20):
        tape.packet("victim", "audio", b"agreed", n)
    withdrawn = time.monotonic()
    tape.want(None)
    tape.packet("victim", "audio", b"not any more", 21)
    head = await until(told, "stopped", "victim")
    assert time.monotonic() - withdrawn < 1.0
    file = (tmp_path / "r1" / "victim.1.rvrrec").read_bytes()
    found = examine(file, KEY)
    assert (found.closed, found.blocks[-1].head.hex()) == (True, head["sha256"])
    assert {one.data for one in packets(file, found, KEY)} == {b"agreed"}


async def test_wanting_the_same_again_changes_nothing_and_a_failed_one_is_not_begun_again(
    tmp_path: Path, scribe: Scribe, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[dict[str, str]] = []
    tape = Tape(tmp_path, lambda detail: told.append(dict(detail)), scribe)
    wanted = Recording("r1", KEY, frozenset({"victim"}))
    tape.want(wanted)
    tape.packet("victim", "audio", b"one", 1)
    tape.want(wanted)
    tape.packet("victim", "audio", b"two", 2)
    assert (await until(told, "started", "victim"))["part"] == "1"

    def full(handle: int, data: Any) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(recording.os, "write", full)
    tape.packet("victim", "audio", b"three", 3)
    assert (await until(told, "failed", "victim"))["cause"] == "disk-full"
    monkeypatch.undo()
    tape.want(wanted)
    tape.packet("victim", "audio", b"four", 4)
    await tape.close(1.0)
    assert [path.name for path in (tmp_path / "r1").iterdir()] == ["victim.1.rvrrec"]
