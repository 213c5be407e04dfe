"""Does one of the operator's works slowly, telling each step on standard output, until it is killed.

Arguments: the work, the place, and for a backup its folder.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rvr.store import backup, keyring
from tests.store.builders import Clock, Place, a_note


def told(work: Callable[..., Any], name: str, pause_s: float = 0.01) -> Callable[..., Any]:
    """The same, with a word and a pause before it."""

    def done(*arguments: Any) -> Any:
        os.write(1, f"{name}\n".encode())
        time.sleep(pause_s)
        return work(*arguments)

    return done


def main(work: str, data: str, key_file: str, url: str, out: str = "") -> None:
    place = Place.told(data, key_file, url)
    note = a_note(Clock())
    if work == "rotate":
        keyring.AT_A_TIME = 2
        keyring._rewrap_some = told(keyring._rewrap_some, "batch")  # type: ignore[assignment]
        keyring.keys.replace = told(keyring.keys.replace, "file")  # type: ignore[attr-defined]
        keyring.rotate(place, note)
    else:
        for step in ("_sync", "_examined", "_digest"):
            setattr(backup, step, told(getattr(backup, step), step, 0.03))
        backup.make(place, Path(out), "wmp", note)
    os.write(1, b"done\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
