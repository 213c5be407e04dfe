"""The video sessions of a case as rows of sessions.csv.

A row is what the session's own events add up to: the link, the victim's page and device, the picture, the guests; and
what the session's own stream says of how each line fared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from rvr.core import events as e
from rvr.core.case import fold
from rvr.core.moment import iso
from rvr.core.quality import FIGURES, Line, lines
from rvr.core.session import Session
from rvr.evaluation.rows import Writing, case_of

LogOf = Callable[[str], Iterable[e.Recorded]]
"""The events of the stream of a session."""
Row = dict[str, Any]


def session_rows(log: Sequence[e.Recorded], writing: Writing, measured: LogOf) -> Iterator[tuple[Row, list[Row]]]:
    """The rows of sessions.csv, the oldest session first, each with its rows of quality.csv."""
    begins = [n for n, recorded in enumerate(log) if isinstance(recorded.event.fact, e.SessionPrepared)]
    for begin, end in zip(begins, [*begins[1:], len(log)], strict=False):
        session = fold("", log[:end]).session
        if session is not None:
            told = _row(session, log[begin:end], writing)
            keys = {"case": case_of(writing.alias, log[0]), "session": told["session"]}
            facts = [one.event.fact for one in measured(session.id)]
            figures = [fact for fact in facts if isinstance(fact, e.QualityMeasured)]
            stretches = [{**keys, **row} for fact in figures for row in _stretches(fact, writing)]
            yield {**keys, **told, **_figures(lines(figures))}, stretches


def _stretches(fact: e.QualityMeasured, writing: Writing) -> Iterator[Row]:
    who = {"side": fact.side, "seat": writing.alias("seat", fact.seat)}
    for n, ended_at in enumerate(fact.ended):
        yield {**who, "ended_at": ended_at, **{name: getattr(fact, name)[n] for name in ("lasted_ms", *FIGURES)}}


def _figures(found: Mapping[str, Line]) -> dict[str, Any]:
    return {
        f"{side}_{one.name}": getattr(found[side], one.name)
        for side in ("victim", "officer")
        if side in found
        for one in fields(Line)
    }


def _row(session: Session, log: Sequence[e.Recorded], writing: Writing) -> dict[str, Any]:
    facts = [recorded.event.fact for recorded in log]
    agreed = [one.role for one in session.guests.values() if one.admitted_at]
    return {
        "session": writing.alias("session", session.id),
        "prepared_at": iso(log[0].event.at.at),
        "links_sent": sum(isinstance(fact, e.LinkSent) for fact in facts),
        "link_delivered": writing.code(session.link_delivered),
        "link_opened_at": session.link_opened_at,
        "camera": session.camera,
        "microphone": session.microphone,
        "network": writing.code(session.network),
        "aways": session.aways,
        "two_way_video_at": session.two_way_at,
        "interruptions": session.interruptions,
        "guests_invited": len(session.guests),
        "guests_admitted": len(agreed),
        "guests_refused": sum(isinstance(fact, e.GuestRefused) for fact in facts),
        "guest_roles": writing.listed(sorted(agreed)),
        "holds": sum(isinstance(fact, e.GuestHeld) for fact in facts),
        "exited": any(isinstance(fact, e.VictimExited) for fact in facts),
        "ended_at": session.ended_at,
        "ended_because": next((writing.code(f.reason) for f in facts if isinstance(f, e.SessionEnded)), ""),
    }
