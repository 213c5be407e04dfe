"""Reads a calendar (iCalendar, RFC 5545) as a table: a line for each occurrence of each of its events. It knows no
fields but who, from when and until when.

Whom an event is about says its one attendee, else its summary. An event that recurs is read for the time around today:
most rules of a duty system have no end.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from dateutil.rrule import rrulestr
from icalendar import Calendar, Event

from rvr.core.errors import BadInput, Reason
from rvr.importing.mappings import LOCAL
from rvr.importing.sheets import Line, Sheet

COLUMNS = ("officer", "begins_at", "ends_at")

BACK, AHEAD = timedelta(days=31), timedelta(days=92)
"""How much of what recurs is read: as much as anybody plans."""

MOST = 10_000
"""Occurrences of one file: a desk of a hundred officers for a quarter of a year."""


def read(file: Path, raw: bytes | None, now: datetime) -> Sheet:
    """The file's events. Raises BadInput for one that is no calendar."""
    try:
        raw = file.read_bytes() if raw is None else raw
        calendar = Calendar.from_ical(raw)
        events = [one for one in calendar.walk("VEVENT") if isinstance(one, Event)]
    except (OSError, ValueError, IndexError, KeyError) as error:
        raise BadInput(Reason("import-unreadable", {"file": file, "why": type(error).__name__})) from None
    begins = (number for number, line in enumerate(raw.splitlines(), 1) if line.strip().upper() == b"BEGIN:VEVENT")
    moved = {(one.uid, one.RECURRENCE_ID) for one in events if one.RECURRENCE_ID is not None}
    lines = list[Line]()
    for number, event in zip(begins, events, strict=False):
        if event.status == "CANCELLED":
            continue
        lines += _lines(number, event, moved, now)
        if len(lines) > MOST:
            raise BadInput(Reason("import-too-many-events", {"file": file, "most": MOST}))
    if not lines:
        raise BadInput(Reason("import-empty", {"file": file}))
    return Sheet(COLUMNS, tuple(lines))


def _lines(number: int, event: Event, moved: set[tuple[str, Any]], now: datetime) -> Iterator[Line]:
    try:
        begin, end = event.start, event.end
        starts = list(_starts(event, begin, now)) if isinstance(begin, datetime) else []
    except (ValueError, TypeError, KeyError, AttributeError):
        yield Line(number, fault=Reason("import-event-unread"))
        return
    if not isinstance(begin, datetime) or not isinstance(end, datetime):
        yield Line(number, fault=Reason("import-whole-day"))
        return
    lasts = _wall(end) - _wall(begin)
    for start in starts:
        if event.RECURRENCE_ID is None and (event.uid, start) in moved:
            continue
        yield Line(number, (_who(event), _cell(start), _cell(start + lasts)))


def _starts(event: Event, begin: datetime, now: datetime) -> Iterator[datetime]:
    """When it begins, by the clock on the wall: a shift at seven is at seven in summer, too. Raises ValueError."""
    if event.rdates or len(event.rrules) > 1:
        raise ValueError("RDATE")
    if not event.rrules:
        yield begin
        return
    told = rrulestr(event.rrules[0].to_ical().decode(), dtstart=begin)
    since, until = (moment if begin.tzinfo else moment.replace(tzinfo=None) for moment in (now - BACK, now + AHEAD))
    yield from (start for start in told.between(since, until, inc=True) if start not in event.exdates)


def _wall(at: datetime) -> datetime:
    return at.replace(tzinfo=None)


def _who(event: Event) -> str:
    asked = event.attendees
    if len(asked) == 1:
        return str(asked[0].email)
    return str(event.summary or "").strip()


def _cell(at: datetime) -> str:
    """Of a calendar that names no zone the time is one of the force's."""
    return at.astimezone(UTC).isoformat() if at.tzinfo else at.strftime(LOCAL)
