"""The bad line does what it is told: what is lost, how late the rest comes, how much fits, and when nothing passes.

Measured from outside, by sockets in the two namespaces, not by what the link says of itself.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator

import pytest

from tests.media.net.network import GOOD, Line, Network, Place, Wire

A, B = "10.77.1.1", "10.77.1.2"


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    network = Network()
    yield network
    network.close()


@pytest.fixture(scope="module")
def wired(network: Network) -> tuple[Place, Place, Wire]:
    a, b = network.place("a"), network.place("b")
    return a, b, network.wire((a, "wlan0", f"{A}/24"), (b, "wlan0", f"{B}/24"))


SENDER = """
import json, socket, sys, time
host, count, size, every = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
start = time.monotonic()
for n in range(count):
    wait = start + n * every - time.monotonic()
    if wait > 0: time.sleep(wait)
    s.sendto(json.dumps([n, time.monotonic()]).encode().ljust(size), (host, 9))
"""
RECEIVER = """
import json, socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 9))
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
s.settimeout(float(sys.argv[1]))
print("open", flush=True)
got = []
try:
    while True:
        sent = json.loads(s.recv(2048).split(b"]")[0] + b"]")
        got.append([*sent, time.monotonic()])
except TimeoutError:
    print(json.dumps(got))
"""


def sent_over(a: Place, b: Place, count: int, size: int, every_s: float) -> list[tuple[int, float, float]]:
    """What arrives of so many UDP packets of that size: number, when sent, when received (s, one clock)."""
    with b.running(sys.executable, "-c", RECEIVER, "1.0", stdout=-1) as receiver:
        assert receiver.stdout is not None
        assert receiver.stdout.readline() == "open\n"
        a.run(sys.executable, "-c", SENDER, B, str(count), str(size), str(every_s))
        got = json.loads(receiver.stdout.readline())
    return [tuple(one) for one in got]


def pinged(a: Place, count: int, *more: str) -> tuple[float, list[float]]:
    """The share that was lost, and the round trips in ms."""
    said = a.run("ping", "-n", "-c", str(count), "-i", "0.02", "-W", "2", *more, B, check=False).stdout
    lost = re.search(r"([\d.]+)% packet loss", said)
    assert lost, said
    return float(lost[1]) / 100, [float(trip) for trip in re.findall(r"time=([\d.]+) ms", said)]


def test_a_good_line_passes_everything_at_once(wired: tuple[Place, Place, Wire]) -> None:
    a, _, wire = wired
    wire.both(GOOD)
    lost, trips = pinged(a, 100)
    assert lost == 0
    assert sorted(trips)[50] < 5


def test_a_delay_is_added_each_way(wired: tuple[Place, Place, Wire]) -> None:
    a, _, wire = wired
    wire.each(Line(delay_ms=100), Line(delay_ms=50))
    lost, trips = pinged(a, 20)
    assert lost == 0
    assert 150 <= min(trips) < 160


def test_jitter_makes_packets_late_and_keeps_their_order(wired: tuple[Place, Place, Wire]) -> None:
    a, b, wire = wired
    wire.each(Line(delay_ms=20, jitter_ms=40), GOOD)
    got = sent_over(a, b, 300, 100, 0.005)
    assert [number for number, _, _ in got] == list(range(300))
    trips = sorted(1000 * (received - sent) for _, sent, received in got)
    assert trips[0] >= 20
    assert trips[150] > 25, "half of them wait longer than the delay alone"
    assert trips[-1] < 90


@pytest.mark.parametrize("share", [0.05, 0.15])
def test_that_share_is_lost_and_in_one_direction_if_so_told(wired: tuple[Place, Place, Wire], share: float) -> None:
    a, b, wire = wired
    wire.each(Line(loss=share), GOOD)
    wire.count()
    got = sent_over(a, b, 4000, 100, 0.0002)
    assert abs(1 - len(got) / 4000 - share) < 4 * (share * (1 - share) / 4000) ** 0.5  # four standard errors
    counted = wire.count()
    assert counted["a"]["lost"] + len(got) >= 4000
    assert counted["b"]["lost"] == 0


def test_no_more_passes_than_the_rate_and_the_queue_is_bounded(wired: tuple[Place, Place, Wire]) -> None:
    a, b, wire = wired
    wire.each(Line(kbit_s=150, queue_ms=300), GOOD)
    got = sent_over(a, b, 400, 972, 0.01)  # 800 kbit/s with its headers, for four seconds
    seconds = got[-1][2] - got[0][2]
    assert 140 <= (len(got) - 1) * 8 / seconds <= 155, "kbit/s: each packet is 1,000 bytes on the line"
    waits = [received - sent for _, sent, received in got]
    assert 0.25 < max(waits) < 0.45, "the last in a full queue waits for 300 ms of others, and no longer"
    assert wire.count()["a"]["overflowed"] > 250


def test_nothing_passes_while_the_line_is_cut(wired: tuple[Place, Place, Wire]) -> None:
    a, _, wire = wired
    wire.both(Line(delay_ms=20))
    wire.cut()
    assert pinged(a, 10) == (1.0, [])
    wire.mend()
    lost, trips = pinged(a, 10)
    assert lost == 0
    assert min(trips) >= 40
