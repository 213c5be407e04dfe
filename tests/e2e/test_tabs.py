"""Many tabs, one stream: a browser gives a host six connections, and somebody on duty has more tabs open than that.

The browser reaches the desk through a wire that is watched, so that what is counted is what was really opened.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.test_screens import offered, sent_in_person
from tests.e2e.test_story import Person, until
from tests.serving import PASSWORD, Served, free_port, served

pytestmark = [pytest.mark.e2e, pytest.mark.alone, pytest.mark.timeout(120)]

SOON = 2.0
"""Seconds within which every tab shows a change."""

BROWSER = 6
"""Connections that a browser opens to a host."""

OPENED = re.compile(rb"^([A-Z]+) (\S+) HTTP/1\.1\r\n", re.MULTILINE)


class Wire:
    """Passes bytes on to the desk, and knows which connections are open and what was asked on each last."""

    def __init__(self, port: int) -> None:
        self.to, self.asked = port, dict[socket.socket, str]()
        self.door = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.door.getsockname()[1])
        self.most = 0
        threading.Thread(target=self._let_in, daemon=True).start()

    @property
    def streams(self) -> list[set[str]]:
        """The topics of each stream that is open."""
        asked = [unquote(path) for path in self.asked.copy().values() if path.startswith("/live?")]
        return [set(path.partition("topics=")[2].split(",")) for path in asked]

    def _let_in(self) -> None:
        with contextlib.suppress(OSError):  # closed at the end
            while True:
                near, _ = self.door.accept()
                threading.Thread(target=self._join, args=(near,), daemon=True).start()

    def _join(self, near: socket.socket) -> None:
        self.asked[near] = ""
        self.most = max(self.most, len(self.asked))
        try:
            with near, socket.create_connection(("127.0.0.1", self.to)) as far:
                back = threading.Thread(target=self._pass, args=(far, near, None), daemon=True)
                back.start()
                self._pass(near, far, near)
                back.join()
        except OSError:  # the desk is down
            pass
        finally:
            del self.asked[near]

    def _pass(self, source: socket.socket, sink: socket.socket, watched: socket.socket | None) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(65536):
                if watched and (found := OPENED.search(chunk)):
                    self.asked[watched] = found[2].decode()
                sink.sendall(chunk)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


class Place:
    """A desk with cases in it, and the wire to it."""

    def __init__(self, data: Path) -> None:
        self.data, self.port = data, free_port()
        self.wire = Wire(self.port)
        self.url = f"http://127.0.0.1:{self.wire.port}"
        self.people: list[Person] = []
        self.on = True
        self._running = contextlib.ExitStack()
        self.start()

    def start(self) -> None:
        self.desk = self._running.enter_context(served(self.data, self.port, RVR_PUBLIC_URL=self.url))

    def stop(self) -> None:
        self._running.close()

    def change(self) -> None:
        """An officer takes a break, or comes back: every board and every case shows how many are free."""
        self.on = not self.on
        body = {"command_id": str(uuid.uuid4()), "status": "on" if self.on else "break"}
        answer = self.desk.client("officer").call("POST", "duty", body)
        assert answer.status == 204, answer.body

    def person(self, browser: Browser, username: str) -> Person:
        self.wire.most = len(self.wire.asked)
        person = Person(browser, Served(self.url, self.desk.data, self.desk.process))
        self.people.append(person)
        return person.sign_in(username)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = Place(tmp_path_factory.mktemp("tabs") / "data")
    yield place
    place.stop()
    place.wire.door.close()


@pytest.fixture(autouse=True)
def browsers_are_closed(place: Place) -> Iterator[None]:
    yield
    while place.people:
        place.people.pop().context.close()
    until(lambda: place.wire.streams == [])


@pytest.fixture(scope="module")
def cases(place: Place) -> list[str]:
    handler = place.desk.client("handler")
    return [offered(handler, "birmingham") for _ in range(7)]


COUNT = """() => {
  window.heard = 0;
  document.addEventListener("fragment", () => (window.heard = Date.now()));
}"""


def open_tabs(person: Person, paths: list[str]) -> list[Page]:
    """The person's first page and more, each with a note of when it last heard something."""
    pages = [person.page, *(person.context.new_page() for _ in paths[1:])]
    for page, path in zip(pages, paths, strict=True):
        page.goto(person.desk.url + path)
    for page in pages:
        until(lambda page=page: page.locator("main").count())
        page.evaluate(COUNT)
    return pages


def slowest(pages: list[Page], change: Callable[[], object]) -> float:
    """Seconds from the answer to a change until the last tab has shown it."""
    time.sleep(0.3)  # what tabs that have just opened are given is no change
    for page in pages:
        page.evaluate("window.heard = 0")
    change()
    at = time.time()
    return max(float(until(lambda page=page: page.evaluate("window.heard"))) / 1000 - at for page in pages)


def carries(wire: Wire, *topics: str) -> None:
    """There is one stream, of these topics."""
    deadline = time.monotonic() + 8
    while wire.streams != [set(topics)] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert wire.streams == [set(topics)]


def test_eight_tabs_hear_over_one_stream_and_the_eighth_still_posts(
    browser: Browser, place: Place, cases: list[str]
) -> None:
    sergeant = place.person(browser, "sergeant")
    topics = ["board", "waiting", *(f"case/{case}" for case in cases)]
    pages = open_tabs(sergeant, ["/", *(f"/cases/{case}" for case in cases)])
    carries(place.wire, *topics)
    took = [slowest(pages, place.change) for _ in range(3)]
    assert max(took) < SOON, took
    started = time.monotonic()
    pages[-1].get_by_role("button", name="Accept").first.click()
    expect(pages[-1].locator("main")).to_contain_text("Accepted by", timeout=4_000)
    assert time.monotonic() - started < 2 * SOON
    row = pages[0].locator(f"#row-{cases[-1]}")
    expect(row).to_have_attribute("data-state", "accepted", timeout=2_000)
    assert place.wire.most <= BROWSER

    for page in pages[2:]:
        page.close()
    carries(place.wire, *topics[:3])
    pages[1].goto(f"{place.url}/cases/{cases[3]}")
    carries(place.wire, "board", "waiting", f"case/{cases[3]}")
    second = sergeant.context.new_page()
    second.goto(f"{place.url}/cases/{cases[3]}")
    both = [pages[1], second]
    for page in both:
        page.evaluate(COUNT)
    assert slowest(both, place.change) < SOON
    carries(place.wire, "board", "waiting", f"case/{cases[3]}")
    assert sergeant.faults == []


def test_a_restart_is_told_in_every_tab_and_mended_in_every_tab(
    browser: Browser, place: Place, cases: list[str]
) -> None:
    sergeant = place.person(browser, "sergeant2")
    pages = open_tabs(sergeant, ["/", *(f"/cases/{case}" for case in cases[:3])])
    carries(place.wire, "board", "waiting", *(f"case/{case}" for case in cases[:3]))
    place.stop()
    for page in pages:
        expect(page.locator("#connection")).to_contain_text("Not live since", timeout=8_000)
    late = sergeant.context.new_page()
    place.start()
    for page in pages:
        expect(page.locator("#connection")).to_be_hidden(timeout=10_000)
    late.goto(place.url)
    assert slowest(pages, place.change) < SOON


def test_who_signs_in_next_is_shown_nothing_of_the_last(browser: Browser, place: Place, cases: list[str]) -> None:
    person = place.person(browser, "sergeant")
    first, old = open_tabs(person, ["/", f"/cases/{cases[0]}"])
    carries(place.wire, "board", "waiting", f"case/{cases[0]}")
    expect(first.locator(f"#row-{cases[0]}")).to_be_visible()
    person.press("Sign out")
    first.get_by_label("User name").fill("handler2")
    first.get_by_label("Password").fill(PASSWORD)
    person.press("Sign in")
    expect(first.get_by_role("button", name="Sign out")).to_be_visible()
    first.evaluate(COUNT)
    old.evaluate("window.heard = 0")
    assert slowest([first], place.change) < SOON
    expect(old.locator("#connection")).to_contain_text("You are signed out", timeout=4_000)
    carries(place.wire, "board")
    assert slowest([first], place.change) < SOON
    assert old.evaluate("window.heard") == 0
    expect(first.locator("tr[data-case]")).to_have_count(0)
    again = person.context.new_page()
    again.goto(f"{place.url}/cases/{cases[0]}")
    expect(again.locator("main")).to_contain_text("There is no such case")
    assert person.faults == []


def test_a_case_that_may_no_longer_be_seen_goes_alone(browser: Browser, place: Place) -> None:
    handler, resourcing = place.desk.client("handler"), place.desk.client("resourcing")
    sent = [sent_in_person(handler) for _ in range(2)]
    person = place.person(browser, "resourcing")
    pages = open_tabs(person, ["/", *(f"/cases/{case}" for case in sent)])
    carries(place.wire, "board", *(f"case/{case}" for case in sent))
    answer = resourcing.move(sent[0], "record_attendance")
    assert answer.status == 200, answer.body
    expect(pages[1].locator("main")).to_contain_text("There is no such case", timeout=4_000)
    assert slowest([pages[0], pages[2]], place.change) < SOON
    assert len(place.wire.streams) == 1
    pages[2].goto(place.url)
    carries(place.wire, "board")
    assert person.faults == []


def test_a_browser_without_shared_workers_has_a_stream_for_each_tab(
    browser: Browser, place: Place, cases: list[str]
) -> None:
    person = place.person(browser, "sergeant")
    person.context.add_init_script("delete window.SharedWorker")
    pages = open_tabs(person, ["/", f"/cases/{cases[0]}"])
    until(lambda: sorted(map(sorted, place.wire.streams)) == [["board"], [f"case/{cases[0]}"]])
    assert slowest(pages, place.change) < SOON
