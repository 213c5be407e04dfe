"""What each column of the files about no case of this desk means: desk_clock.csv and earlier.csv."""

from __future__ import annotations

from dataclasses import fields

from rvr.core import events as e
from rvr.core.wall_clock import HEALTHS
from rvr.evaluation.columns import Column

# --- desk_clock.csv ----------------------------------------------------------------------------------------------

CLOCK_KINDS = {"ClockStepObserved": "step", "ClockHealthNoted": "health"}

MACHINE = Column("machine", "string", "Pseudonym of the machine that saw it, another one after each boot")
BOOTTIME = Column(
    "boottime_us",
    "integer",
    "What the clock that never steps read then: differences of it hold within one machine",
    "microseconds",
)


def _of(kind: type[e.Fact], name: str, type_: str, enum: tuple[str, ...] = ()) -> Column:
    """A fact's own field."""
    (field,) = (field for field in fields(kind) if field.name == name)
    return Column(name, type_, field.metadata["meaning"], field.metadata["unit"], kind.__name__, enum)


DESK_CLOCK = (
    Column("version", "integer", "Place in the stream, from 1: the order of what happened"),
    Column("at", "datetime", "When it was seen, by the clock that it is about", "UTC time"),
    Column("recorded_at", "datetime", "When it was committed to the log", "UTC time"),
    Column(
        "kind",
        "string",
        "step: the wall clock was set; health: whether it is synchronised, at a machine's first look and each change",
        source=" | ".join(CLOCK_KINDS),
        enum=tuple(CLOCK_KINDS.values()),
    ),
    MACHINE,
    BOOTTIME,
    Column("clock_error_us", "integer", "Error bound of the machine's clock then; empty: unknown", "microseconds"),
    _of(e.ClockStepObserved, "moved_ms", "integer"),
    _of(e.ClockStepObserved, "from_at", "datetime"),
    _of(e.ClockStepObserved, "same_boot", "boolean"),
    _of(e.ClockHealthNoted, "health", "string", HEALTHS),
    _of(e.ClockHealthNoted, "limit_ms", "integer"),
)

# --- earlier.csv -------------------------------------------------------------------------------------------------

EARLIER = (
    Column("row", "string", "Pseudonym of the row: that of no case here"),
    Column("imported_at", "datetime", "When it was taken over", "UTC time"),
    *(
        _of(e.EarlierCaseTimed, field.name, "datetime" if field.metadata["unit"] else "string")
        for field in fields(e.EarlierCaseTimed)
    ),
)
