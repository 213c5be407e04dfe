"""The served API held against its own description: `python3 run.py bench contract [--examples N] [--only NAME ...]`.

So many examples for each operation and each way of being right or wrong, as nobody and as each role, by Schemathesis
(tests/hostile/contract.py). Tells how many requests that were, how they were answered, and each fault.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.hostile.contract import examined
from tests.hostile.test_contract import WHO
from tests.serving import served


def main() -> int:
    """Prints what was found; 1 where that was a fault."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--examples", type=int, default=1000, help="for each operation and way (1000)")
    asked.add_argument("--only", nargs="*", default=WHO, metavar="NAME", help="demo accounts; an empty name is nobody")
    given = asked.parse_args()
    faults = 0
    for username in given.only:
        with tempfile.TemporaryDirectory() as folder, served(Path(folder) / "data") as desk:
            started = time.monotonic()
            found = examined(desk, username, given.examples)
            took = time.monotonic() - started
        statuses = ", ".join(f"{count} × {status}" for status, count in sorted(found.statuses.items()))
        sys.stdout.write(f"{username or 'nobody'}: {found.requests} requests in {took:.0f} s: {statuses}\n")
        for fault in found.faults:
            sys.stdout.write(f"  {fault}\n")
        faults += len(found.faults)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
