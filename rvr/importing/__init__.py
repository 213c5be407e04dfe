"""Imports a CSV file line by line through the desk's one door: what is refused is told with its line and its reasons.

A line that was imported before is there already, so a file may be imported again, also after a crash. Nothing of what a
line holds is written into the report: it can be kept and passed on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rvr.core.commands import THE_IMPORTER, Command
from rvr.core.errors import Reason, Refused, RvrError, Unavailable
from rvr.desk import Desk
from rvr.importing.kinds import KINDS as KINDS
from rvr.importing.kinds import Door, Kind
from rvr.importing.mappings import Mapper, Translation, load, mapper
from rvr.importing.sheets import Line, read


@dataclass(slots=True)
class Tally:
    """What became of the lines."""

    landed: int = 0
    there_already: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class Import:
    """One file on its way."""

    desk: Desk
    kind: Kind
    mapper: Mapper
    lines: tuple[Line, ...]
    dry_run: bool

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

    @property
    def _door(self) -> Door:
        return self._ask if self.dry_run else self._do

    async def _do(self, command: Command) -> bool:
        return bool((await self.desk.handle(command, THE_IMPORTER)).recorded)

    async def _ask(self, command: Command) -> bool:
        return await self.desk.would_record(command, THE_IMPORTER)


def prepare(desk: Desk, file: Path, kind: str, mapping: Path | None = None, *, dry_run: bool = False) -> Import:
    """Reads the file and its mapping. Raises BadInput with everything that would make the whole of it a mistake."""
    chosen, sheet = KINDS[kind](desk), read(file)
    translation = load(mapping, chosen.wanted) if mapping is not None else Translation()
    return Import(desk, chosen, mapper(file, sheet, chosen.wanted, translation), sheet.lines, dry_run)
