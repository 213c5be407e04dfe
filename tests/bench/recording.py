"""What a recording costs, beside the call: `python3 run.py bench recording [--calls N] [--seconds N]`.

The packets of both sides as docs of the media plane count them (324 a second and 2 Mbit/s a call) are handed to the
recorders of one process in real time; the same loop without them runs in turn with it, and is taken off. Then: how
long the playable file takes, and the check of a sealed one.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

from rvr.media import blocks
from rvr.media.playable import derive
from rvr.media.recording import Head, Recorder
from tests.media import packets as rtp

SOUND_PER_S, SOUND_BYTES = 50, 90
PICTURE_PER_S, PICTURE_BYTES = 112, 1_110
"""One side: Opus at 31 kbit/s with its headers, VP8 at 0.99 Mbit/s."""
TICK_S = 0.01


class Call:
    """One side's packets, a tick at a time."""

    def __init__(self) -> None:
        dice = random.Random(1)
        self.sound, self.picture = dice.randbytes(SOUND_BYTES), dice.randbytes(PICTURE_BYTES)
        self.owed = {"audio": 0.0, "video": 0.0}

    def tick(self, recorder: Recorder | None, now: int) -> None:
        for kind, per_s, data in (("audio", SOUND_PER_S, self.sound), ("video", PICTURE_PER_S, self.picture)):
            self.owed[kind] += per_s * TICK_S
            while self.owed[kind] >= 1:
                self.owed[kind] -= 1
                packet = bytes(memoryview(data))  # a fresh one, as it leaves the forwarder
                if recorder is not None:
                    recorder.packet(kind, packet, now)


def cpu_s(folder: Path | None, calls: int, seconds: float) -> float:
    """CPU seconds of this process for so many calls over so many seconds."""
    sides = [Call() for _ in range(calls * 2)]
    ended: list[str] = []

    def on_end(head: Head, cause: str) -> None:
        ended.append(cause)

    recorders = [
        Recorder(folder, "bench", bytes(32), f"seat-{n}", on_block=lambda head: None, on_end=on_end) if folder else None
        for n in range(calls * 2)
    ]
    began, until = time.process_time(), time.monotonic() + seconds
    due = time.monotonic()
    while time.monotonic() < until:
        now = time.monotonic_ns()
        for side, recorder in zip(sides, recorders, strict=True):
            side.tick(recorder, now)
        due += TICK_S
        time.sleep(max(0.0, due - time.monotonic()))
    for recorder in recorders:
        if recorder is not None:
            recorder.close()
    while folder and len(ended) < len(recorders):
        time.sleep(0.01)
    if any(ended):
        raise SystemExit(f"recordings failed: {set(ended)}")
    return time.process_time() - began


def the_cost(calls: int, seconds: float, runs: int) -> None:
    costs = []
    for _ in range(runs):
        without = cpu_s(None, calls, seconds)
        with tempfile.TemporaryDirectory() as folder:
            took = cpu_s(Path(folder), calls, seconds)
            size = sum(path.stat().st_size for path in Path(folder).rglob("*.rvrrec"))
        costs.append((took - without) / (calls * seconds / 60))
        say(f"  with {took:.2f} s, without {without:.2f} s: {costs[-1]:.3f} CPU s a call-minute, {size >> 20} MiB")
    say(f"{calls} calls, both sides recorded: {statistics.median(costs):.3f} CPU s a call-minute (aim 0.15)")


def afterwards(minutes: float) -> None:
    """Of one side: the playable file, and the check of the sealed one."""
    with tempfile.TemporaryDirectory() as folder:
        path, key = Path(folder) / "one.rvrrec", bytes(32)
        sealing = blocks.Sealing(key, os.urandom(32), {"seat": "s", "part": 1})
        made = [sealing.header]
        told = [blocks.Packet(blocks.CODECS, 0, rtp.codecs_json())]
        for n in range(int(minutes)):
            minute = rtp.a_call(60, since_ns=n * 60_000_000_000, ssrc=n)
            told += [blocks.Packet(blocks.KINDS[one.kind], one.at_ns, one.rtp) for one in minute]
            made += [sealing.block(told[i : i + 120]) for i in range(0, len(told), 120)]
            told = []
        path.write_bytes(b"".join(made))
        size = path.stat().st_size
        began = time.process_time()
        found = blocks.examine(path.read_bytes(), key)
        say(f"{minutes:.0f} min of one side ({size >> 20} MiB): checked in {time.process_time() - began:.2f} CPU s")
        if found.faults:
            raise SystemExit("the file of the benchmark is not sound")
        began = time.process_time()
        with Path(os.devnull).open("wb") as out:
            report = derive([path], key, out)
        say(f"  its playable file, {report.frames} frames: {time.process_time() - began:.2f} CPU s")


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    asked = argparse.ArgumentParser(prog="run.py bench recording")
    asked.add_argument("--calls", type=int, default=16)
    asked.add_argument("--seconds", type=float, default=15)
    asked.add_argument("--runs", type=int, default=3)
    asked.add_argument("--minutes", type=float, default=10)
    given = asked.parse_args()
    the_cost(given.calls, given.seconds, given.runs)
    afterwards(given.minutes)


if __name__ == "__main__":
    main()
