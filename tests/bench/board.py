"""What a board of many open cases costs: `python3 run.py bench board [--cases N]`.

A served desk with that many open cases, as a sergeant sees it in Chromium: the first paint of the page, opened anew
each time, and how long it takes from the answer to an officer's break until the open board has shown it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.e2e.test_story import Person, until
from tests.serving import Served, served

TIMES = 15

AREAS = ("birmingham", "coventry", "dudley", "sandwell", "solihull", "walsall", "wolverhampton")

PAINT = """() => {
  const [page, paint] = ["navigation", "paint"].map((kind) => performance.getEntriesByType(kind));
  const first = paint.find((one) => one.name === "first-contentful-paint");
  return first && [page[0].responseEnd - page[0].requestStart, first.startTime];
}"""


def main() -> int:
    """Prints the figures."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--cases", type=int, default=200, help="open cases (200)")
    cases = asked.parse_args().cases
    with (
        tempfile.TemporaryDirectory() as folder,
        served(Path(folder) / "data") as desk,
        sync_playwright() as playwright,
    ):
        handler = desk.client("handler")
        for number in range(cases):
            assert handler.open_case(lpa=AREAS[number % len(AREAS)]).status == 201
        found = os.environ.get("RVR_CHROMIUM") or shutil.which("chromium")
        chromium = playwright.chromium.launch(executable_path=found, args=["--disable-gpu"], chromium_sandbox=False)
        measure(chromium, desk, cases)
        chromium.close()
    return 0


def measure(chromium: Browser, desk: Served, cases: int) -> None:
    sergeant = Person(chromium, desk).sign_in("sergeant")
    page = sergeant.page
    answers, paints = zip(*(painted(page, desk) for _ in range(TIMES)), strict=True)
    assert page.locator("tr[data-case]").count() == cases
    page.evaluate("document.addEventListener('fragment', () => (window.heard = Date.now()))")
    swaps = [swapped(page, desk, "break" if turn % 2 == 0 else "on") for turn in range(TIMES)]
    told("page answered", answers)
    told("first paint", paints)
    told("change until shown", swaps)
    sys.stdout.write(f"{cases} open cases; page of {len(page.content()) / 1000:.0f} kB\n")


def painted(page: Page, desk: Served) -> tuple[float, float]:
    """Milliseconds from the request to the whole answer, and from the start of the navigation to the first paint."""
    page.goto(desk.url)
    answered, first = until(lambda: page.evaluate(PAINT))
    return float(answered), float(first)


def swapped(page: Page, desk: Served, status: str) -> float:
    """Milliseconds from the desk's answer."""
    page.evaluate("window.heard = 0")
    body = {"command_id": str(uuid.uuid4()), "status": status}
    assert desk.client("officer").call("POST", "duty", body).status == 204
    at = time.time()
    return (float(until(lambda: page.evaluate("window.heard"))) / 1000 - at) * 1000


def told(what: str, times_ms: Sequence[float]) -> None:
    median, slowest = statistics.median(times_ms), max(times_ms)
    sys.stdout.write(f"{what}: median {median:.0f} ms, slowest {slowest:.0f} ms of {len(times_ms)}\n")


if __name__ == "__main__":
    sys.exit(main())
