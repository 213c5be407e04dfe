"""Who may run beside whom, when several processes run tests: what measures time must not be measured on a busy machine.

Each test takes its turn. Most run beside each other; one that is marked `alone` waits until the others are done, and
they wait until it is: two locks on files, which a killed process leaves.
"""

from __future__ import annotations

import fcntl
from contextlib import ExitStack
from pathlib import Path
from typing import IO


class Turns:
    """One process's, in the order in which all of them asked."""

    def __init__(self, folder: Path) -> None:
        self._gate, self._room = (folder / name for name in ("gate.lock", "room.lock"))
        self._held: ExitStack | None = None
        self._alone = False

    def take(self, *, alone: bool) -> None:
        """Waits for the turn of the next test; what is held from the last one goes on where both run alone."""
        if self._held is not None and self._alone and alone:
            return
        self.give_back()
        with ExitStack() as stack:
            room = stack.enter_context(self._room.open("a"))
            with self._gate.open("a") as gate:  # whoever waits in it lets nobody past
                _lock(gate, fcntl.LOCK_EX)
                _lock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
            self._held, self._alone = stack.pop_all(), alone

    def give_back(self) -> None:
        """Lets the others go on."""
        if self._held is not None:
            self._held.close()
        self._held = None


def _lock(file: IO[str], how: int) -> None:
    fcntl.flock(file, how)
