"""Calls over bad networks: `python3 run.py bench network [--transport tcp ...] [--only NAME ...]`.

Two real Chromium, the victim's behind a line of our own making (`tests/media/net/`), the officer's beside the media
plane; with a transport, both through a real coturn alone. For each weather: what the victim's browser sends after a
while of it, what arrives, and how long the whole picture takes to come back when the network is good again. For each
break: how long after its end both hear and see each other.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.media.net.conftest import browsers
from tests.media.net.meeting import Meeting, meeting
from tests.media.net.network import Line

GOOD = Line(delay_ms=20)
"""Mobile at its best: 40 ms there and back."""

WEATHER = {
    "5 % loss": Line(loss=0.05, delay_ms=20),
    "15 % loss": Line(loss=0.15, delay_ms=20),
    "300 ms more there and back": Line(delay_ms=170),
    "150 kbit/s": Line(kbit_s=150, delay_ms=20),
    "60 kbit/s": Line(kbit_s=60, delay_ms=20),
}
BREAKS = (5, 25, 84)

LASTS_S = 40
CALM_S = 10
BACK_WITHIN_S = 60


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def weather(call: Meeting, name: str, line: Line) -> str:
    began = time.time()
    call.wire.both(line)
    await asyncio.sleep(LASTS_S)
    ended = time.time()
    steps = [f"{one['after']} after {one['at'] - began:.0f} s ({one['reason']})" for one in await call.steps(began)]
    settled = ended - CALM_S
    frames = [at for at in await call.officer.evaluate("window.frames") if settled <= at / 1000 < ended]
    sound = {int(at / 1000 * 2) for at in await call.officer.evaluate("window.sound") if settled <= at / 1000 < ended}
    call.wire.both(GOOD)
    back = f"more than {BACK_WITHIN_S} s"
    while time.time() - ended < BACK_WITHIN_S:
        if await call.victim.evaluate("`${call.step} ${call.state}`") == "video_480 connected":
            back = f"{max(0.0, time.time() - ended):.0f} s"
            break
        await asyncio.sleep(0.2)
    heard = min(1.0, len(sound) / (2 * CALM_S))
    sent = "; ".join(steps) or "video_480 throughout"
    return f"| {name} | {sent} | {len(frames) / CALM_S:.1f} | {heard:.0%} | {back} |"


async def broken(call: Meeting, seconds: float) -> str:
    before = await call.joins()
    await asyncio.sleep(CALM_S)
    call.wire.cut()
    await asyncio.sleep(seconds)
    call.wire.mend()
    took = await call.flows_again(time.time(), within_s=60)
    sound = max(back for what, back in call.back.items() if what.startswith("sound"))
    way = "a new connection" if await call.joins() > before else "the old line"
    return f"| {seconds:.0f} s | {sound:.2f} s | {took:.2f} s | {way} |"


async def measure(transport: str, only: list[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="rvr-network-") as folder:
        async with browsers(Path(folder)) as visit, meeting(Path(folder), visit, transport) as call:
            call.wire.both(GOOD)
            took = await call.begins()
            say(f"\n{f'TURN over {transport.upper()}' if transport else 'Straight, UDP'}: joined after {took:.1f} s\n")
            say("| line | step, and why | pictures a second at the officer | sound | whole again after |")
            say("|---|---|---|---|---|")
            for name, line in WEATHER.items():
                if not only or name in only:
                    say(await weather(call, name, line))
            say("\n| break | sound back after | picture and sound after | by |\n|---|---|---|---|")
            for seconds in BREAKS:
                if not only or str(seconds) in only:
                    say(await broken(call, seconds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transport", action="append", choices=["", "udp", "tcp", "tls"])
    parser.add_argument("--only", action="append", default=[], metavar="NAME")
    given = parser.parse_args()
    try:
        for transport in given.transport or ["", "tcp"]:
            asyncio.run(measure(transport, given.only))
    except pytest.skip.Exception as lacks:
        sys.exit(str(lacks))


if __name__ == "__main__":
    main()
