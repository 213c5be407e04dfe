"""What is counted and timed of the desk at work, for whoever runs it: one registry a process, read at `/metrics`.

No label holds what names or finds anybody: codes of this program and of its workflows alone, so that their number is
bounded. What a court may ask is in the timing log; these figures begin anew with each start.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, disable_created_metrics

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second line for each, which the start of the process tells as well

REGISTRY: Final = CollectorRegistry()

FAST: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds. What a person waits for is judged at 0.1 and 1 (Nielsen 1993); with a server that is away it may take 5."""

COMMANDS: Final = Counter(
    "rvr_commands",
    "Commands that came to the desk's door, by their kind and by what came of it: done, repeated, or a refusal's code",
    ("command", "outcome"),
    registry=REGISTRY,
)
COMMAND_SECONDS: Final = Histogram(
    "rvr_command_seconds",
    "Time from a command's coming to its answer, the wait for its case's turn included",
    ("command",),
    buckets=FAST,
    registry=REGISTRY,
)
EVENTS: Final = Counter("rvr_events", "Events that this process recorded, by type", ("type",), registry=REGISTRY)
COMMIT_SECONDS: Final = Histogram(
    "rvr_commit_seconds", "Time of a group commit, until it is on the disk", buckets=FAST, registry=REGISTRY
)
COMMIT_JOBS: Final = Histogram(
    "rvr_commit_jobs", "Jobs that shared a commit", buckets=(1, 2, 4, 8, 16, 32, 64), registry=REGISTRY
)
REQUESTS: Final = Counter(
    "rvr_http_requests",
    "Requests that were answered, by method, route and status; the route of an address that there is not is none",
    ("method", "route", "status"),
    registry=REGISTRY,
)
REQUEST_SECONDS: Final = Histogram(
    "rvr_http_seconds",
    "Time of an answer, streams apart: those last as long as somebody listens",
    ("route",),
    buckets=FAST,
    registry=REGISTRY,
)
SIGN_INS: Final = Counter(
    "rvr_sign_ins", "Tries to sign in: done, or the reason why not as its code", ("outcome",), registry=REGISTRY
)
CLOCK_LATE_SECONDS: Final = Histogram(
    "rvr_clock_late_seconds",
    "How long after its due time a threshold of a clock was recorded",
    ("clock",),
    buckets=(0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0, 3600.0),
    registry=REGISTRY,
)
DELIVERIES: Final = Counter(
    "rvr_deliveries",
    "What became of a try to send a message, or of a question about one: taken, delivered, failed, or not-now",
    ("kind", "word"),
    registry=REGISTRY,
)
MEDIA_SEEN: Final = Counter(
    "rvr_media_seen", "What the media plane saw, by kind and cause", ("kind", "cause"), registry=REGISTRY
)
LINE_LOSS: Final = Histogram(
    "rvr_line_loss_ratio",
    "Share of packets lost in ten seconds of a line, by side and way; up is from that side to the server",
    ("side", "way"),
    buckets=(0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
    registry=REGISTRY,
)
LINE_ROUND_TRIP: Final = Histogram(
    "rvr_line_round_trip_seconds",
    "Round trip of a line, by side",
    ("side",),
    buckets=(0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0),
    registry=REGISTRY,
)
FREEZES: Final = Counter("rvr_line_freezes", "Times that a side's picture stood still", ("side",), registry=REGISTRY)
LOOKS_FAILED: Final = Counter(
    "rvr_looks_failed", "Looks of what looks by itself (clocks, outbox, feed, signing) that failed", registry=REGISTRY
)
LOOP_LATE_SECONDS: Final = Histogram(
    "rvr_loop_late_seconds",
    "How much later than asked the event loop ran something: what held it up held everybody up",
    buckets=FAST,
    registry=REGISTRY,
)
ProcessCollector(registry=REGISTRY)  # memory, time of the processor, open files


@contextmanager
def timed(histogram: Histogram) -> Iterator[None]:
    """Observes how long the block took, whatever came of it."""
    started = time.perf_counter()
    try:
        yield
    finally:
        histogram.observe(time.perf_counter() - started)


NOW: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "rvr_build_info": ("1; the version that runs is its label", ("version",)),
    "rvr_log_writable": ("1 while the log can be written", ()),
    "rvr_log_fault": ("1 for the reason why it cannot, as its code", ("code",)),
    "rvr_log_position": ("Events in the log", ()),
    "rvr_log_unsigned_seconds": ("Age of the oldest event under no signed head; 0: there is none", ()),
    "rvr_log_refused": (
        "1 while no head is signed, for the log is not what was signed before; why, as its code",
        ("code",),
    ),
    "rvr_anchor_troubles": ("Carriers of heads to the outside that cannot do it just now", ()),
    "rvr_anchor_alarm": ("1 while a witness has seen another log than this one", ()),
    "rvr_writer_waiting": ("Jobs that wait for the writer", ()),
    "rvr_looks_held": ("Notes of looks that wait in memory for room on the disk", ()),
    "rvr_clocks_overdue": ("Thresholds of clocks that are due and not recorded", ()),
    "rvr_clock_overdue_seconds": ("How long the oldest of them has been due", ()),
    "rvr_cases_open": ("Open cases, by workflow and state", ("workflow", "state")),
    "rvr_officers": ("Officers on duty: busy or free", ("status",)),
    "rvr_sign_ins_open": ("Sign-ins that have not run out", ()),
    "rvr_calls_open": ("Open video sessions, by where the victim is", ("presence",)),
    "rvr_media_workers": ("Media workers of this process that answer", ()),
    "rvr_media_workers_wanted": ("How many it is to have; none where another process has them", ()),
    "rvr_streams_open": ("Open feeds of screens, of programs and of those who came by a link", ()),
    "rvr_outbox_waiting": ("Messages that wait to be sent", ("kind",)),
    "rvr_outbox_oldest_seconds": ("Age of the oldest of them; 0: none waits", ()),
    "rvr_wall_clock": ("1 for what can be said of this machine's wall clock", ("health",)),
    "rvr_wall_clock_error_seconds": ("The kernel's bound of its error", ()),
    "rvr_disk_free_bytes": ("Room on the disk of the data folder", ()),
    "rvr_disk_bytes": ("Size of that disk", ()),
}
"""What is not counted but looked up when it is asked for: name -> what it says, and its labels."""


def names() -> dict[str, tuple[str, str, tuple[str, ...]]]:
    """Every metric of ours as Prometheus stores it: name -> its kind, what it says, its labels."""
    found = {name: ("gauge", told, labels) for name, (told, labels) in NOW.items()}
    for one in (value for value in globals().values() if isinstance(value, Counter | Histogram)):
        kind = "counter" if isinstance(one, Counter) else "histogram"
        stored = f"{one._name}_total" if kind == "counter" else one._name
        found[stored] = (kind, one._documentation, tuple(one._labelnames))
    return found
