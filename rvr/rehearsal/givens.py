"""What surrounds a story, as it is written: who acts, who is on duty, when it is, what happened before."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from rvr.core.commands import BOT, ROLES, Actor
from rvr.core.history import PastCase
from rvr.core.moment import iso
from rvr.core.orders import Order
from rvr.rehearsal.universe import EARLIER, START, Universe
from rvr.rehearsal.values import CannotRead, seconds

_WHEN = re.compile(r"it is (\d\d:\d\d)(?: on (\d{4}-\d\d-\d\d))?")
_BEFORE = re.compile(
    r"earlier case (?P<ago>.+) ago: (?P<victim>same|other) victim, (?P<suspect>same|other) suspect"
    r"(?:, risk (?P<risk>\w+))?(?P<marac>, MARAC)?"
)


def read_actor(text: str, universe: Universe) -> tuple[Actor, str]:
    """Who acts, and the rest: `officer 2 sends link`. Raises CannotRead."""
    for role in sorted(ROLES, key=len, reverse=True):
        name = role.replace("_", " ")
        if found := re.match(rf"{name}(?: (\d+))?(?:$| )", text, re.IGNORECASE):
            if role == BOT:
                raise CannotRead("the workflow acts by itself when its clocks run out: expected “time passes”")
            return universe.person(role, int(found[1] or 1)), text[found.end() :]
    known = ", ".join(sorted(role.replace("_", " ") for role in ROLES - {BOT}))
    raise CannotRead(f"“{text}” begins with nobody: expected one of {known}")


def give(universe: Universe, text: str) -> None:
    """Makes one of `GIVENS` so. Raises CannotRead."""
    set_up = next((do for start, do in GIVENS.items() if text.startswith(start)), None)
    if set_up is None:
        raise CannotRead(f"“{text}” cannot be given: expected one of {', '.join(GIVENS)}")
    set_up(universe, text)


def _starts(universe: Universe, text: str) -> None:
    """`it is 03:00 on 2026-11-23`, in the force's own time; without a day, on the usual one."""
    found = _WHEN.fullmatch(text)
    if not found:
        raise CannotRead(f"“{text}” is no start: expected “it is 03:00 on 2026-11-23”")
    zone = universe.force.hours.zone if universe.force else "UTC"
    at = datetime.fromisoformat(f"{found[2] or START.date().isoformat()}T{found[1]}")
    universe.wall = at.replace(tzinfo=ZoneInfo(zone)).astimezone(START.tzinfo)


def _on_duty(universe: Universe, text: str) -> None:
    """`officers on duty: officer, officer 2`, or `none`."""
    named = [name.strip() for name in text.partition(":")[2].split(",")]
    universe.on_duty(*([] if named == ["none"] else [read_actor(name, universe)[0].id for name in named]))


def _earlier_case(universe: Universe, text: str) -> None:
    """`earlier case 30 days ago: same victim, other suspect, risk high, MARAC`: the same are proposed as matches."""
    found = _BEFORE.fullmatch(text)
    if not found:
        raise CannotRead(f"“{text}” is none: expected “earlier case 30 days ago: same victim, other suspect”")
    opened_at = iso(universe.wall - timedelta(seconds=seconds(found["ago"])))
    name = f"earlier-{len(universe.history) + 1}"
    victim, suspect = (EARLIER[role] if found[role] == "same" else universe.new_id() for role in EARLIER)
    past = PastCase(name, name, opened_at, victim, suspect, found["risk"] or "", "closed", bool(found["marac"]))
    universe.history = (*universe.history, past)


def _live_order(universe: Universe, text: str) -> None:
    """`live order restraining order`: a civil order that holds since yesterday, and may concern these people."""
    kind = text.removeprefix("live order ").strip().replace(" ", "_")
    order = Order(universe.new_id(), 1, kind, starts=iso(universe.wall - timedelta(days=1)))
    universe.orders = (*universe.orders, order)


def _registered_trial(universe: Universe, text: str) -> None:
    """`registered trial`: of a workflow in which one is on."""
    universe.trial = True


GIVENS: dict[str, Callable[[Universe, str], object]] = {
    "force ": lambda universe, text: None,  # read before all else: it says which definitions there are
    "it is ": _starts,
    "officers on duty:": _on_duty,
    "earlier case ": _earlier_case,
    "live order ": _live_order,
    "registered trial": _registered_trial,
}
"""What may be given before a story's first step, by how it begins."""
