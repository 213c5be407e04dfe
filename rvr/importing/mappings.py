"""Makes a form of a line: which column fills which field, what another system's values are called here, how it writes
dates. Every key of a mapping file is explained in `docs/imports/reports.toml`.

Without a mapping file a column is called by the field's id or label, and values by theirs. Nothing is guessed: what
has no place here is told, with what there is.
"""

from __future__ import annotations

import tomllib
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from rvr.core import forms
from rvr.core.errors import BadInput, Reason, Refused
from rvr.core.force import Hours
from rvr.core.moment import iso, parse_iso
from rvr.core.workflow import Field, Workflow
from rvr.importing.sheets import Line, Sheet

LOCAL = "%Y-%m-%dT%H:%M"
"""A time as the force's own clocks show it, such as 2026-01-31T07:00."""

_SAMPLE = datetime(1930, 2, 3, 4, 5, tzinfo=UTC)
"""What a format must keep: a year in two figures would make it 2030."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The fields that a kind of file may fill."""

    workflow: Workflow
    """With these fields in place of its own."""
    asks: tuple[str, ...]
    may_ask: tuple[str, ...]
    days: Mapping[str, int] = field(default_factory=dict)
    """Times for which a day may stand, and how many days later its start is meant: 1 for the end of that day."""

    time_format: str = ""
    """How times are written where no mapping says so; empty: with their offset only."""

    @property
    def fields(self) -> dict[str, Field]:
        return {name: self.workflow.fields[name] for name in (*self.asks, *self.may_ask)}

    def options(self, name: str) -> dict[str, str]:
        """What a choice may be called, and its code; empty for what is no choice."""
        options = tuple(forms.options_of(self.workflow, self.workflow.fields[name]))
        return _names((one.value, (one.label,)) for one in options)

    def codes(self, name: str) -> str:
        return ", ".join(dict.fromkeys(self.options(name).values()))


@dataclass(frozen=True, slots=True)
class Translation:
    """A mapping file: texts of the other system, in one spelling, with what they are here."""

    columns: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    date_format: str = ""
    time_format: str = ""
    ignore: frozenset[str] = frozenset()


def spelt(text: str) -> str:
    """Without regard to case and spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _names(entries: Iterable[tuple[str, tuple[str, ...]]]) -> dict[str, str]:
    """What things may be called: their other names, unless two share one, and first of all their ids."""
    entries = tuple(entries)
    shared = Counter(name for _, names in entries for name in {spelt(name) for name in names})
    others = {spelt(name): id_ for id_, names in entries for name in names if shared[spelt(name)] == 1}
    return others | {spelt(id_): id_ for id_, _ in entries}


# --- The mapping file --------------------------------------------------------------------------------------------


def load(file: Path, wanted: Wanted) -> Translation:
    """Reads a mapping file. Raises BadInput with every fault of it."""
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadInput(Reason("import-unreadable", {"file": file, "why": error})) from None
    reading = _Reading(table, wanted)
    translation = reading.translation()
    if reading.faults:
        raise BadInput(*reading.faults)
    return translation


class _Reading:
    """One mapping file being read, with what is wrong with it."""

    def __init__(self, table: dict[str, Any], wanted: Wanted) -> None:
        self.table, self.wanted, self.faults = table, wanted, list[Reason]()

    def translation(self) -> Translation:
        self._known("", self.table, ("columns", "values", "constants", "dates", "ignore"))
        columns, constants, dates = (self._texts(name, self._part(name)) for name in ("columns", "constants", "dates"))
        values = {name: self._texts(f"values.{name}", told) for name, told in self._part("values").items()}
        self._known("dates.", dates, ("format", "time_format"))
        ignore = self.table.get("ignore", [])
        if not isinstance(ignore, list) or not all(isinstance(name, str) for name in ignore):
            self._fault("ignore", "a list of texts")
            ignore = []
        for place, names in (("columns", columns.values()), ("values", values), ("constants", constants)):
            self._fields(place, names)
        self._codes({name: told.values() for name, told in values.items()})
        self._codes({name: [code] for name, code in constants.items()})
        for key, example in (("format", "%d/%m/%Y"), ("time_format", "%d/%m/%Y %H:%M")):
            if key in dates and not _keeps(dates[key], timed=key == "time_format"):
                self.faults.append(Reason("import-format", {"place": f"dates.{key}", "example": example}))
        return Translation(
            {spelt(column): name for column, name in columns.items()},
            {name: {spelt(told): code for told, code in codes.items()} for name, codes in values.items()},
            constants,
            dates.get("format", ""),
            dates.get("time_format", ""),
            frozenset(map(spelt, ignore)),
        )

    def _fault(self, place: str, kind: str) -> None:
        self.faults.append(Reason("import-must-be", {"place": place, "kind": kind}))

    def _known(self, place: str, names: Iterable[str], known: Iterable[str]) -> None:
        for name in names:
            if name not in known:
                params = {"place": f"{place}{name}", "allowed": ", ".join(known)}
                self.faults.append(Reason("import-unknown-key", params))

    def _part(self, name: str) -> dict[str, Any]:
        part = self.table.get(name, {})
        if not isinstance(part, dict):
            self._fault(name, "a table")
            return {}
        return part

    def _texts(self, place: str, part: Any) -> dict[str, str]:
        if not isinstance(part, dict) or not all(isinstance(value, str) for value in part.values()):
            self._fault(place, "a table of texts")
            return {}
        return part

    def _fields(self, place: str, names: Iterable[str]) -> None:
        for name in names:
            if name not in self.wanted.fields:
                params = {"place": place, "field": name, "allowed": ", ".join(self.wanted.fields)}
                self.faults.append(Reason("import-unknown-field", params))

    def _codes(self, told: Mapping[str, Iterable[str]]) -> None:
        for name, codes in told.items():
            known = set(self.wanted.options(name).values()) if name in self.wanted.fields else set()
            for code in codes:
                if known and code not in known:
                    params = {"field": name, "value": code, "allowed": self.wanted.codes(name)}
                    self.faults.append(Reason("import-unknown-code", params))


def _keeps(format_: str, *, timed: bool) -> bool:
    """Whether nothing of a day, or of a minute, is lost in this format."""
    wanted = _SAMPLE if timed else _SAMPLE.replace(hour=0, minute=0)
    try:
        return datetime.strptime(wanted.strftime(format_), format_).replace(tzinfo=UTC) == wanted
    except ValueError:
        return False


# --- One line ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Mapper:
    """Makes forms of the lines of one file."""

    wanted: Wanted
    translation: Translation
    of_column: tuple[str, ...]
    """The field of each column; empty for one that is ignored."""

    def form(self, line: Line) -> dict[str, Any]:
        """The line as a form, each value as the forms store it. Raises Refused with every reason."""
        if line.fault is not None:
            raise Refused(line.fault)
        told = {name: cell for name, cell in zip(self.of_column, line.cells, strict=True) if name}
        values, faults = {**self.translation.constants}, dict[str, Reason]()
        for name, cell in told.items():
            try:
                values[name] = self._value(name, cell)
            except Refused as refused:
                (faults[name],) = refused.reasons
        try:
            form = forms.clean(self.wanted.workflow, self.wanted.asks, self.wanted.may_ask, values)
        except Refused as refused:
            others = [reason for reason in refused.reasons if reason.field not in faults]
            raise Refused(*faults.values(), *others) from None
        if faults:
            raise Refused(*faults.values())
        return form

    def _value(self, name: str, cell: str) -> str:
        told = self.wanted.workflow.fields[name]
        cell = self.translation.values.get(name, {}).get(spelt(cell), cell)
        if not cell:
            return cell
        if options := self.wanted.options(name):
            if (code := options.get(spelt(cell))) is None:
                raise _refusal("import-not-one-of", told, allowed=self.wanted.codes(name))
            return code
        match told.kind:
            case "date":
                return self._day(told, cell).isoformat() if self.translation.date_format else cell
            case "datetime":
                return self._time(told, cell)
        return cell

    def _day(self, told: Field, cell: str) -> date:
        """Raises Refused for a day that is written otherwise."""
        format_ = self.translation.date_format
        try:
            if not format_:
                return date.fromisoformat(cell)
            return datetime.strptime(cell, format_).replace(tzinfo=UTC).date()
        except ValueError:
            raise _refusal("import-not-in-format", told, format=format_ or "2026-01-31") from None

    def _time(self, told: Field, cell: str) -> str:
        """With its offset, or else as the force's own clocks showed it."""
        if told.id in self.wanted.days:
            try:
                day = self._day(told, cell) + timedelta(days=self.wanted.days[told.id])
                return iso(self._hours.start_of(day))
            except (Refused, OverflowError):
                pass  # then it is a time
        format_ = self.translation.time_format
        try:
            local = datetime.strptime(cell, format_)  # noqa: DTZ007 - what it is in UTC is asked below
        except ValueError:
            return self._with_offset(told, cell)
        if local.tzinfo is not None:
            return iso(local)
        readings = self._hours.readings(local)
        if not readings:
            raise _refusal("import-hour-skipped", told)
        if len(readings) > 1:
            raise _refusal("import-hour-twice", told)
        return iso(readings[0])

    def _with_offset(self, told: Field, cell: str) -> str:
        try:
            return iso(parse_iso(cell))
        except (ValueError, OverflowError):
            if wanted := self.translation.time_format:
                shown = "2026-01-31T07:00" if wanted == LOCAL else wanted
                raise _refusal("import-not-in-format", told, format=shown) from None
            return cell

    @property
    def _hours(self) -> Hours:
        return self.wanted.workflow.force.hours


def _refusal(code: str, told: Field, **params: str) -> Refused:
    return Refused(Reason(code, {"label": told.label, **params}, told.id))


def plain(wanted: Wanted) -> Translation:
    """What holds for a file without a mapping: its columns are called as the fields are."""
    return Translation(time_format=wanted.time_format)


def mapper(file: Path, sheet: Sheet, wanted: Wanted, translation: Translation) -> Mapper:
    """Finds a field for each column. Raises BadInput with every column and field that has no place."""
    names = {**_names((one.id, (one.label, one.fact_field)) for one in wanted.fields.values()), **translation.columns}
    columns = {told: spelt(told) for told in sheet.columns}
    unknown = [told for told, name in columns.items() if name not in names and name not in translation.ignore]
    of_column = tuple(
        "" if columns[told] in translation.ignore else names.get(columns[told], "") for told in sheet.columns
    )
    given = Counter(name for name in (*of_column, *translation.constants) if name)
    absent = sorted(set(translation.columns) - set(columns.values()))
    params = {"columns": ", ".join(f"“{told}”" for told in unknown), "allowed": ", ".join(wanted.fields)}
    faults = [Reason("import-unknown-columns", {"file": file, **params})] if unknown else []
    faults += [Reason("import-no-such-column", {"file": file, "column": column}) for column in absent]
    faults += [Reason("import-given-twice", {"field": name}) for name, count in given.items() if count > 1]
    faults += [
        Reason("import-not-given", {"file": file, "label": wanted.fields[name].label, "field": name})
        for name in wanted.asks
        if name not in given
    ]
    if faults:
        raise BadInput(*faults)
    return Mapper(wanted, translation, of_column)
