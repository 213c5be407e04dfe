"""Why a head could not be anchored: what every carrier raises, and the look tells."""

from __future__ import annotations


class CannotAnchor(Exception):
    """`code`: a key of the catalogue's table `anchor`, where its sentence stands."""

    def __init__(self, code: str, *, alarm: bool = False, wait_s: float = 0) -> None:
        super().__init__(code)
        self.code, self.alarm = code, alarm
        """An alarm: somebody outside has seen another log than this one."""
        self.wait_s = wait_s
        """How long it is left alone; nought: until the next look."""
