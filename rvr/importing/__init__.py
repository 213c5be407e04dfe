"""Imports a CSV file or a calendar through the desk's one door: what is refused is told with its line and its reasons.

Line by line, but for a kind that only makes sense as a whole (`WholeImport`). A line that was imported before is there
already, so a file may be imported again, also after a crash. Nothing of what a line holds is written into the report:
it can be kept and passed on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rvr.core.commands import THE_IMPORTER, Actor, Command
from rvr.core.errors import Reason, Refused, RvrError, Unavailable
from rvr.desk import Desk
from rvr.importing.kinds import KINDS as KINDS
from rvr.importing.kinds import WHOLE as WHOLE
from rvr.importing.kinds import Door, Kind, WholeKind
from rvr.importing.mappings import Mapper, Wanted, load, mapper, plain
from rvr.importing.sheets import Line, read


@dataclass(slots=True)
class Tally:
    """What became of the lines."""

    landed: int = 0
    there_already: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class _OneFile:
    """One file, read, and not yet on its way."""

    desk: Desk
    mapper: Mapper
    lines: tuple[Line, ...]
    dry_run: bool
    by: Actor

    @property
    def _door(self) -> Door:
        return self._ask if self.dry_run else self._do

    async def _do(self, command: Command) -> bool:
        return bool((await self.desk.handle(command, self.by)).recorded)

    async def _ask(self, command: Command) -> bool:
        return await self.desk.would_record(command, self.by)


@dataclass(frozen=True, slots=True)
class Import(_OneFile):
    """One file on its way, line by line."""

    kind: Kind

    async def run(self, refused: Callable[[int, tuple[Reason, ...]], None], progress: Callable[[int], None]) -> Tally:
        """Every line in turn. Tells `refused` the number of a line with its reasons, and `progress` how many are done.

        Raises Unavailable when the log cannot be written: what landed stays, and the same file finishes the rest.
        """
        tally, taken = Tally(), dict[tuple[str, ...], tuple[int, Mapping[str, Any]]]()
        for done, line in enumerate(self.lines, 1):
            try:
                if await self._land(line, taken):
                    tally.landed += 1
                else:
                    tally.there_already += 1
            except Unavailable:
                raise
            except RvrError as error:
                tally.refused += 1
                refused(line.number, error.reasons)
            progress(done)
        return tally

    async def _land(self, line: Line, taken: dict[tuple[str, ...], tuple[int, Mapping[str, Any]]]) -> bool:
        form = self.mapper.form(line)
        key = self.kind.key(form)
        if key in taken:
            earlier, told = taken[key]
            if told != form:
                raise Refused(Reason("import-same-key", {"line": earlier}))
            return False
        landed = await self.kind.land(form, self._door)
        taken[key] = line.number, form
        return landed


@dataclass(frozen=True, slots=True)
class WholeImport(_OneFile):
    """One file on its way of which every line lands, in one transaction, or none."""

    kind: WholeKind

    async def run(self, refused: Callable[[int, tuple[Reason, ...]], None], progress: Callable[[int], None]) -> Tally:
        """As `Import.run`. Of a file in which a line is refused nothing has landed."""
        tally, taken, new = Tally(), dict[tuple[str, ...], tuple[int, Mapping[str, Any]]](), list[Mapping[str, Any]]()
        await self.kind.begin()
        for done, line in enumerate(self.lines, 1):
            try:
                form = self.mapper.form(line)
                if _again(self.kind.key(form), form, line, taken) or not self.kind.is_new(form):
                    tally.there_already += 1
                else:
                    new.append(form)
            except RvrError as error:
                tally.refused += 1
                refused(line.number, error.reasons)
            progress(done)
        if new and not tally.refused:
            await self.kind.land(new, self._door)
            tally.landed = len(new)
        return tally


def _again(
    key: tuple[str, ...],
    form: Mapping[str, Any],
    line: Line,
    taken: dict[tuple[str, ...], tuple[int, Mapping[str, Any]]],
) -> bool:
    """Whether the same line stood in this file before; notes it. Raises Refused where it said something else."""
    earlier, told = taken.setdefault(key, (line.number, form))
    if told != form:
        raise Refused(Reason("import-same-key", {"line": earlier}))
    return earlier != line.number


def prepare(
    desk: Desk,
    file: Path,
    kind: str,
    mapping: Path | None = None,
    *,
    raw: bytes | None = None,
    by: Actor = THE_IMPORTER,
    dry_run: bool = False,
) -> Import | WholeImport:
    """Reads the file and its mapping; `raw`: what is in the file, where it does not lie on a disk. Raises BadInput with
    everything that would make the whole of it a mistake."""
    if file.suffix.lower() == ".ics":
        from rvr.importing import calendars  # a tenth of a second that every start would wait for

        sheet = calendars.read(file, raw, desk.observe().at)
    else:
        sheet = read(file, raw)

    def made(wanted: Wanted) -> Mapper:
        return mapper(file, sheet, wanted, load(mapping, wanted) if mapping is not None else plain(wanted))

    if kind in WHOLE:
        whole = WHOLE[kind](desk)
        return WholeImport(desk, made(whole.wanted), sheet.lines, dry_run, by, whole)
    chosen = KINDS[kind](desk)
    return Import(desk, made(chosen.wanted), sheet.lines, dry_run, by, chosen)
