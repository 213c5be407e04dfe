"""A register of what was released, so that two releases do not tell by their difference what neither tells.

A file beside the project's key, for its owner only: it holds the counts that stood behind the figures, unrounded. One
line a release. Whoever releases figures by hand, or under another project, is not in it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Hashable, Mapping
from datetime import datetime
from pathlib import Path

from rvr.core.moment import iso
from rvr.evaluation.summary import ALL


class Releases:
    """What was released before under this project, and what is being released now."""

    def __init__(self, project_key: Path, threshold: int) -> None:
        self._file, self._threshold = project_key.with_suffix(".releases.jsonl"), threshold
        self._earlier: dict[str, set[int]] = {}
        if self._file.exists():
            for line in self._file.read_text(encoding="utf-8").splitlines():
                for cell, count in json.loads(line)["counts"].items():
                    self._earlier.setdefault(cell, set()).add(count)

    def too_close(self, by: str, timing: str, cell: Hashable, count: int) -> bool:
        """Whether an earlier release showed this count with a difference below the threshold, which would tell of those
        few cases between them."""
        earlier = self._earlier.get(_name(by, timing, cell), ())
        return any(0 < abs(count - one) < self._threshold for one in earlier)

    def add(self, by: str, counts: Mapping[tuple[str, Hashable], int], at: datetime) -> None:
        """Writes down what is released, before it leaves."""
        told = {_name(by, timing, cell): count for (timing, cell), count in counts.items()}
        line = json.dumps({"at": iso(at), "counts": told}, sort_keys=True, separators=(",", ":"))
        descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "a", encoding="utf-8") as out:
            out.write(f"{line}\n")
            out.flush()
            os.fsync(out.fileno())


def _name(by: str, timing: str, cell: Hashable) -> str:
    """What is told of all cases is the same count, whatever else they are grouped by."""
    of_all = isinstance(cell, tuple) and cell[0] == ALL
    return json.dumps(["" if of_all else by, timing, cell])
