"""The disk refuses one write or sync, or all from one on: the command waits, nothing acknowledged is lost, reading goes
on, and with room or the next write all is as before.

A process whose files may not grow is in `tests/hostile/test_disk.py`; here the nth act fails, whichever that is.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.crash import children, disk
from tests.crash.soundness import is_sound
from tests.store.builders import Place

pytestmark = pytest.mark.files


def fail_each(library: Path, place: Place, which: Iterable[int], code: str) -> dict[str, Any]:
    under = disk.environment(library, below=place.data.parent)
    with children.at("fail", place, under=under, which=list(which), code=code) as child:
        child.until("all done")
        said = child.kill()
    unavailable = {line[1] for line in said if line[0] == "unavailable"}
    again = [line[1] for line in said if line[0] == "asked" and line[1]["id"] in unavailable]
    acknowledged = children.acknowledged(said)
    asyncio.run(is_sound(place, acknowledged, again))
    return {
        "code": code,
        "failures": sum(line[0] == "failed" for line in said),
        "acknowledged": len(acknowledged),
        "unavailable, by what was told": dict(Counter(line[2] for line in said if line[0] == "unavailable")),
        "refused otherwise": [line for line in said if line[0] == "refused"],
        "lost": 0,
    }


@pytest.mark.slow
@pytest.mark.parametrize(("code", "told"), [("ENOSPC", "disk-full"), ("EIO", "disk-error")])
def test_whichever_write_fails_nothing_acknowledged_is_lost_and_the_desk_carries_on(
    library: Path, place: Place, code: str, told: str
) -> None:
    counts = fail_each(library, place, range(1, 200, 11), code)
    assert (counts["failures"], counts["refused otherwise"]) == (38, [])
    codes = counts["unavailable, by what was told"].keys()
    # A sync that finds no room is an error of the disk to the engine.
    assert {told} <= codes <= {told, "disk-error"}
