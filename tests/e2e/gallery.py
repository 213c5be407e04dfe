"""The pictures of docs/screens: `python3 run.py screens`. They are what the browser stories show on their way, at a
desk and on a phone, so that no picture shows what no story has seen.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from html import escape
from itertools import product
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "screens"
PAGE = FOLDER / "README.md"

SIZES = {"desk": 640, "phone": 200}
"""How wide a picture of each size is shown on the page, in CSS pixels."""

MOST_BYTES = 3_000_000
"""Of all pictures together: whoever clones the repository takes them along."""

COLOURS = 40
"""Screens of flat colours lose nothing that is read by it; a face in a video does."""

STORIES = (
    "test_screens.py",
    "test_story.py::test_a_domestic_abuse_call_goes_through_the_whole_desk[sqlite]",
    "test_staff.py",
    "test_guests.py::test_an_interpreter_is_let_in_held_and_comes_back_and_is_listed_all_the_time",
    "test_beside.py",
    "test_recording.py::test_a_recording_is_asked_for_shown_to_both_stopped_by_the_victim_and_played",
    "test_reports.py",
    "test_feedback.py",
    "test_networks.py::test_each_step_is_told_on_the_other_screen_and_in_the_log",
)
"""Which of tests/e2e leave the pictures."""

PARTS: Mapping[str, Mapping[str, str]] = {
    "Signing in": {
        "sign-in": "Sign-in of a demonstration",
        "sign-in-code": "Sign-in with a second factor",
        "error": "A page that is not there",
    },
    "Call handler": {
        "handler-home": "My calls, and how many officers are free",
        "handler-opening": "The opening form",
        "handler-1-faults": "What is missing is told at the top and beside each field",
        "handler-no-line": "Without a line nothing typed is lost",
        "handler-3-danger": "An answer that means danger",
        "handler-answered": "Every answer given: video can be offered",
        "handler-4-offer": "The handover is offered with a note",
        "handler-5-accepted": "Somebody has accepted",
        "handler-order": "A live civil order concerns these people",
        "handler-appointment": "An appointment at a time that the victim named as safe",
    },
    "Sergeant and inspector": {
        "board": "The board",
        "wall": "The same on a wall",
        "sergeant-handover": "A handover to accept",
        "sergeant-3-assign": "Who is free, and what speaks for whom",
        "shift": "The sheet for the next shift",
        "sergeant-4-review": "The decision: proposed by the routing table, with the reason",
        "sergeant-5-allocated": "Allocated",
        "report-repeat": "A report that may be about people who are known",
        "filing-refused": "Filing is refused while a point is open",
        "inspector-board": "The inspector's board",
    },
    "Officer": {
        "officer-1-home": "A case was assigned",
        "officer-3-waiting": "The victim waits",
        "call": "In the call",
        "beside-4-officer-not-alone": "The victim signals that somebody is there",
        "beside-4-officer-signals": "What was signalled back, and what the page answered",
        "beside-10-officer-writes": "By writing alone",
        "guest-5-officer-asked": "A guest waits for the victim's answer",
        "guest-8-three-officer": "Three in the call",
        "recording-3-officer-rec": "The call is recorded",
        "weak-officer": "A weak line, in words",
        "officer-5-interrupted": "The line is lost",
        "officer-7-assessed": "Risk assessed, safeguarding planned",
        "officer-8-assessment": "After the session",
    },
    "Victim": {
        "victim-1-welcome": "The page behind the link",
        "beside-8-welsh": "The same in Welsh",
        "victim-2-waiting": "Waiting",
        "victim-3-video": "In the call",
        "beside-1-victim": "Written beside a call whose microphone the telephone has",
        "beside-3-victim-not-alone": "“Bad connection” was pressed: what was written is gone",
        "beside-3-victim-asked-covertly": "The officer asks covertly whether the victim is alone",
        "guest-3-asked": "Whether a guest may come in",
        "guest-6-three-victim": "An interpreter is in the call",
        "recording-1-victim-asked": "Whether the call may be recorded",
        "recording-4-victim-rec": "The call is recorded, and can be stopped from here",
        "weak-victim": "A weak line, in words",
        "victim-4-ended": "The call is over",
        "feedback-1": "A few questions, ten days later",
    },
    "Guest": {
        "guest-2-welcome": "The page behind a guest's link",
        "guest-4-waits": "Waiting for the victim's answer",
        "guest-7-three-guest": "In the call",
    },
    "Advocate": {
        "advocate-home": "The referrals to the own organisation",
        "referral-3-advocate-case": "One of them: how to make contact safely",
    },
    "Control room specialist": {
        "specialist-board": "The board",
        "specialist-case": "The outline of a case",
    },
    "Resourcing": {
        "resourcing-home": "Whom to send where, and by when",
        "resourcing-case": "One deployment",
    },
    "Investigator": {
        "investigator-home": "The team's cases",
        "investigator-case": "A case that was allocated",
    },
    "Evaluator": {
        "evaluator": "The data package",
        "evaluator-figures": "Figures",
    },
    "Auditor": {
        "auditor": "The access log",
        "auditor-rows": "What was found",
    },
    "Administrator": {
        "admin": "What the desk runs on",
        "workflow": "A workflow with its diagram, drawn from the table that runs it",
    },
    "Demonstration": {
        "outbox": "The messages that would have been sent",
    },
}
"""Every picture by whom it is for, with what it shows."""


def names() -> Iterator[str]:
    """The file of every picture."""
    for part, size in product(PARTS.values(), SIZES):
        yield from (f"{name}-{size}.webp" for name in part)


def page() -> str:
    """The page that shows them all."""
    lines = [
        "# Screens",
        "",
        "Every role's screens in their main states, at a desk (1280 pixels wide) and on a phone (390). Made by"
        " `python3 run.py screens` from what the browser tests see; long pages are cut at the bottom. All people and"
        " cases are invented; the pictures of the calls are Chromium's made-up camera.",
    ]
    for part, shown in PARTS.items():
        lines += ["", f"## {part}"]
        for name, caption in shown.items():
            images = " ".join(
                f'<img src="{name}-{size}.webp" width="{width}" alt="{escape(caption)}, {size}">'
                for size, width in SIZES.items()
            )
            lines += ["", f"**{caption}**", "", f"<p>{images}</p>"]
    return "\n".join(lines) + "\n"


def shrink(taken: Path, kept: Path) -> None:
    """A screen in few colours and without loss: letters stay sharp."""
    with Image.open(taken) as picture:
        flat = picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).convert("RGB")
        flat.save(kept, "WEBP", lossless=True, method=6)


def main() -> int:
    """Plays the stories and keeps their pictures; when a story fails, or leaves one out, what was there stays."""
    with tempfile.TemporaryDirectory() as folder:
        stories = [str(ROOT / "tests" / "e2e" / story) for story in STORIES]
        played = subprocess.run(
            [sys.executable, "-P", "-m", "pytest", "-n0", "-q", "--no-header", "-p", "no:randomly", *stories],
            cwd=ROOT,
            env={**os.environ, "RVR_SCREENS": folder},
            check=False,
        )
        taken = {name: Path(folder) / f"{name.removesuffix('.webp')}.png" for name in names()}
        missing = [name for name, path in taken.items() if not path.exists()]
        if played.returncode or missing:
            sys.stderr.write(
                f"screens: no picture of {', '.join(missing)}\n" if missing else "screens: a story failed\n"
            )
            return 1
        FOLDER.mkdir(exist_ok=True)
        for old in FOLDER.iterdir():
            old.unlink()
        for name, path in taken.items():
            shrink(path, FOLDER / name)
    PAGE.write_text(page(), encoding="utf-8")
    total = sum(path.stat().st_size for path in FOLDER.iterdir())
    sys.stdout.write(f"{len(taken)} pictures in {FOLDER.relative_to(ROOT)}, {total / 1e6:.1f} MB\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
