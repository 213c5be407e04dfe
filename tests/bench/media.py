"""What a call costs, and how long it holds a packet up: `python3 run.py bench media [MEASURE ...]`.

One load (`_calls`, a process of its own: real ICE and DTLS, VP8 of 640 x 480 at 30 a second and about 1 Mbit/s, Opus,
reports and feedback as a browser sends them) is put on our forwarder, on Janus's VideoRoom and VideoCall, on aiortc's
MediaRelay and on the floor, a C program that does nothing but UDP and SRTP: one after the other, interleaved, on this
machine. CPU is user and system time of the server's processes for each minute of a 1:1 call. A latency is from before a
packet's sending to after its arrival in the load, and so has the load's own queue in it: `late` says how late the load
itself was. Processor time is not much touched by what else runs; latencies are, so measure them on a quiet machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests import janus
from tests.bench import _calls, _first_frame, _path
from tests.bench._clip import clip
from tests.bench._targets import TARGETS

COMPARED = ("ours", "videoroom", "videoroom, event_loops=2", "videocall", "floor", "ours on janus")
AIMS = {"videoroom": "<= 0.5", "videocall": "<= 1.0", "relay": "<= 0.02", "floor": "<= 1.8"}
"""Ours as a share of each."""
MOST_LATE_MS = 20.0


def loaded(given: argparse.Namespace, target: str, calls: int, joins: int = 0) -> dict[str, Any]:
    """One run of the load, in a process of its own. Raises CalledProcessError when the server cannot carry it."""
    how = _calls.How(target, calls, given.seconds, str(given.clip), given.ahead, joins)
    command = [sys.executable, "-m", _calls.__name__, json.dumps(asdict(how))]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=given.log, check=True, text=True)
    return dict(json.loads(done.stdout))


def median(runs: list[dict[str, Any]], name: str) -> float:
    return statistics.median(run[name] for run in runs if run[name] is not None)


# --- The measures ------------------------------------------------------------------------------------------------


def compare(given: argparse.Namespace) -> None:
    """Ours beside the others, interleaved."""
    for calls in given.calls:
        found: dict[str, list[dict[str, Any]]] = {target: [] for target in given.targets}
        for turn in range(given.rounds):
            order = [*given.targets[turn % len(given.targets) :], *given.targets[: turn % len(given.targets)]]
            for target in order:
                found[target].append(loaded(given, target, calls))
        say(f"{calls} calls, median of {given.rounds} interleaved runs of {given.seconds:g} s", load_of_the_machine())
        ours = median(found["ours"], "cpu") if "ours" in found else None
        for target, runs in found.items():
            cpu = median(runs, "cpu")
            share = f"ours is {ours / cpu:.2f} of it" if ours and target != "ours" else ""
            say(f"  {target}: CPU s per call-minute", f"{cpu:.2f}   {share}", AIMS.get(target, ""))
            added = f"p50 {median(runs, 'p50'):.2f}, p99 {median(runs, 'p99'):.1f} ms"
            late = f"{added} (load's own {median(runs, 'late_p99'):.1f})"
            lost = sum(run["lost"] for run in runs), sum(run["came"] for run in runs)
            say(
                "    added latency; lost; memory",
                f"{late}; {lost[0]} of {lost[1]}; {median(runs, 'mib'):.2f} MiB a call",
            )


def path(given: argparse.Namespace) -> None:
    """A packet's way through ours, without loop and kernel."""
    film = clip(given.clip)
    for calls in (1, *given.calls):
        least = min(asyncio.run(_path.cpu_us(film, calls)) for _ in range(given.rounds))
        what = f"CPU of a packet without sockets, calls: {calls}; least of {given.rounds} runs"
        say(what, f"{least:.1f} µs", "<= 5 µs")


def relay(given: argparse.Namespace) -> None:
    """One call, decoded and encoded."""
    transcoded = median([loaded(given, "relay", 1) for _ in range(given.rounds)], "cpu")
    ours = median([loaded(given, "ours", 16) for _ in range(given.rounds)], "cpu")
    say("aiortc's MediaRelay, one call: CPU s per call-minute", f"{transcoded:.1f}")
    say("  ours at 16 calls", f"{ours:.2f}: 1/{transcoded / ours:.0f} of it", "<= 1/50")


def most(given: argparse.Namespace) -> None:
    """How many calls one process carries."""
    for target in ("ours", "videoroom, event_loops=2"):
        good = 0
        for calls in given.most:
            run = loaded(given, target, calls)
            held = run["lost"] == 0 and run["p99"] < MOST_LATE_MS
            share = run["cpu"] * calls / 60
            told = f"p50 {run['p50']:.2f}, p99 {run['p99']:.1f} ms, {run['lost']} lost, {share:.2f} of a core"
            say(f"  {target}, {calls} calls", f"{told} (load: {run['load_core']:.2f}, {run['late_p99']:.1f} ms late)")
            if not held:
                break
            good = calls
        say(f"{target}: most calls with p99 under {MOST_LATE_MS:g} ms and no loss", str(good))


def joins(given: argparse.Namespace) -> None:
    """How long others wait while somebody joins."""
    run = loaded(given, "ours", 16, joins=given.joins)
    stalls = sorted(run["stalls"])
    half, late = _calls.quantile(stalls, 0.5), _calls.quantile(stalls, 0.99)
    say(f"16 calls, {given.joins} joins of two: longest that a probe's packet took", load_of_the_machine())
    say("  p50, p99, most", f"{half:.1f}, {late:.1f}, {stalls[-1]:.1f} ms", "p99 < 5 ms")
    say("  one such join of two people takes", f"{run['call_ms']:.0f} ms")


def browser(given: argparse.Namespace) -> None:
    """From the tap to the first frame of either side, and the picture after it, in two Chromium."""

    async def told() -> None:
        with tempfile.TemporaryDirectory(prefix="rvr-bench-") as folder:
            async for line in _first_frame.measured(Path(folder), given.times, given.ways):
                say(*line)

    asyncio.run(told())


MEASURES: dict[str, Callable[[argparse.Namespace], None]] = {
    "compare": compare,
    "path": path,
    "relay": relay,
    "most": most,
    "joins": joins,
    "browser": browser,
}


def say(what: str, figure: str, aim: str = "") -> None:
    sys.stdout.write(f"{what:<70} {figure}   {aim}\n")
    sys.stdout.flush()


def load_of_the_machine() -> str:
    return f"(load of the machine {os.getloadavg()[0]:.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(prog="run.py bench media", description=__doc__)
    parser.add_argument("measures", nargs="*", metavar="MEASURE", help=", ".join(MEASURES))
    parser.add_argument("--calls", type=int, nargs="*", default=[16, 32, 48])
    parser.add_argument("--targets", nargs="*", default=list(COMPARED), help=", ".join(TARGETS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10, help="for so long does each run talk")
    parser.add_argument("--ahead", action="store_true", help="ahead of all else on the machine (SCHED_RR; for root)")
    parser.add_argument("--joins", type=int, default=100)
    parser.add_argument("--most", type=int, nargs="*", default=[32, 48, 64, 80, 96, 112, 128])
    parser.add_argument("--times", type=int, default=30, help="how often a browser joins in each way")
    parser.add_argument("--ways", nargs="*", default=list(_first_frame.WAYS), help=", ".join(_first_frame.WAYS))
    parser.add_argument("--clip", type=Path, help="file in which the encoded clip is kept")
    parser.add_argument("--log", type=Path, help="file of what the servers say; default: none")
    given = parser.parse_args()
    if unknown := set(given.measures) - MEASURES.keys():
        parser.error(f"no such measure: {', '.join(sorted(unknown))}")
    if unknown := set(given.targets) - TARGETS.keys():
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    if missing := janus.missing():
        parser.error(missing)
    with tempfile.TemporaryDirectory(prefix="rvr-bench-") as folder, (given.log or Path(os.devnull)).open("w") as log:
        given.clip, given.log = given.clip or Path(folder) / "clip", log
        clip(given.clip)
        for name in given.measures or MEASURES:
            MEASURES[name](given)


if __name__ == "__main__":
    main()
