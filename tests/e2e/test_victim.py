"""The victim's page when things go wrong: a new link, a lost answer, no network, a reload. Help and exit still work."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.e2e.test_screens import assigned
from tests.e2e.test_story import MEDIA, Person, picture
from tests.serving import Client, Served, served

pytestmark = [pytest.mark.e2e, pytest.mark.alone, pytest.mark.timeout(120)]

AWAY = "https://www.bbc.co.uk/**"
"""Where the exit leads: no test goes there."""

NO_DEVICE = """() => {
  navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("no", "NotAllowedError"));
}"""

QUIET_MS = 1_500
"""After this long without a second one, there is no second one."""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("victim") / "data") as running:
        yield running


@dataclass
class Meeting:
    """A case whose link was sent, its officer, and the victim's phone."""

    case: str
    officer: Client
    victim: Person
    bodies: list[dict[str, Any]] = field(default_factory=list)

    @property
    def page(self) -> Page:
        return self.victim.page

    def link(self) -> str:
        """The newest one that was sent."""
        newest = self.officer.call("GET", "demo/outbox")
        return re.search(r"/j#[\w-]+", newest.body["messages"][0]["body"])[0]  # type: ignore[index]

    def open(self) -> None:
        self.page.goto(self.victim.desk.url + self.link())

    def joins(self) -> None:
        self.victim.press("Join")
        expect(self.page.locator("#state")).to_have_text("Please wait", timeout=MEDIA)
        self.until(lambda: self.log("VictimConnected"), MEDIA)

    def seen(self) -> dict[str, Any]:
        return self.officer.call("GET", f"cases/{self.case}").body  # type: ignore[no-any-return]

    def log(self, kind: str) -> int:
        events = self.officer.call("GET", f"cases/{self.case}/events").body["events"]
        return [event["type"] for event in events].count(kind)

    def until(self, what: Callable[[], Any], within_ms: int = 10_000) -> None:
        """Waits while the browser goes on."""
        for _ in range(within_ms // 50):
            if what():
                return
            self.page.wait_for_timeout(50)
        raise AssertionError("it did not come true")

    def leaves(self) -> None:
        self.page.get_by_role("link", name="Leave this page").click()
        self.until(lambda: self.page.url.startswith("https://www.bbc.co.uk/"))
        self.until(lambda: self.seen()["state"] == "lost_contact")
        assert self.log("VictimExited") == 1

    def asks_for_help(self) -> None:
        """Nothing on the screen tells whoever looks over her shoulder."""
        expect(self.page.get_by_role("button", name="Help")).to_be_visible()
        before = self.page.locator("main").inner_text()
        self.victim.press("Help")
        assert self.page.locator("main").inner_text() == before

    def is_helped_once(self) -> None:
        self.until(lambda: self.seen()["emergency"])
        self.page.wait_for_timeout(QUIET_MS)
        assert self.log("VictimUnsafe") == 1
        assert self.log("EmergencyDispatched") == 1


@pytest.fixture
def meeting(browser: Browser, desk: Served) -> Iterator[Meeting]:
    handler, sergeant, officer = (desk.client(name) for name in ("handler", "sergeant", "officer"))
    victim = Person(browser, desk, phone=True)
    victim.context.route(AWAY, lambda route: route.fulfill(body="The weather"))
    meeting = Meeting(assigned(handler, sergeant, officer), officer, victim)
    meeting.open()
    yield meeting
    victim.context.close()
    officer.move(meeting.case, "lose_contact", {"lost_reason": "no_answer"})
    grade = {"response_grade": "priority", "deployment_reason": "lost_contact"}
    assert officer.move(meeting.case, "request_deployment", grade).status == 200, "the officer is free for the next"
    assert victim.faults == []


def test_who_has_joined_keeps_help_and_exit_when_a_new_link_is_sent(meeting: Meeting) -> None:
    meeting.joins()
    assert meeting.officer.move(meeting.case, "resend_link").status == 200
    meeting.asks_for_help()
    meeting.is_helped_once()
    meeting.leaves()


def test_a_new_link_in_the_same_tab_leads_back_to_the_beginning_and_in_again(meeting: Meeting) -> None:
    meeting.joins()
    assert meeting.officer.move(meeting.case, "resend_link").status == 200
    meeting.open()
    expect(meeting.page.get_by_role("button", name="Join", exact=True)).to_be_focused()
    expect(meeting.page.locator("#call")).to_be_hidden()
    assert meeting.page.locator("#self").evaluate("(it) => it.srcObject") is None
    assert "#" not in meeting.page.url
    meeting.joins()
    assert (meeting.log("LinkOpened"), meeting.log("LinkRefused")) == (2, 0)
    meeting.asks_for_help()
    meeting.is_helped_once()


def test_help_without_a_network_arrives_once_when_the_network_is_back(meeting: Meeting) -> None:
    meeting.joins()
    meeting.victim.context.set_offline(True)
    meeting.asks_for_help()
    meeting.page.wait_for_timeout(3_000)
    assert not meeting.seen()["emergency"]
    meeting.victim.context.set_offline(False)
    meeting.is_helped_once()


def test_help_that_the_server_was_too_busy_for_is_the_same_press_when_it_comes_again(meeting: Meeting) -> None:
    meeting.joins()

    def busy_once(route: Route) -> None:
        meeting.bodies.append(route.request.post_data_json)
        if len(meeting.bodies) == 1:
            route.fulfill(status=409, content_type="application/problem+json", body='{"code": "stale-version"}')
        else:
            route.continue_()

    meeting.page.route("**/api/v1/join/unsafe", busy_once)
    meeting.asks_for_help()
    meeting.is_helped_once()
    assert len(meeting.bodies) == 2
    assert meeting.bodies[0] == meeting.bodies[1]
    assert len(meeting.bodies[0]["command_id"]) >= 8


def test_help_whose_answer_is_lost_is_not_counted_twice(meeting: Meeting) -> None:
    meeting.joins()
    meeting.page.route("**/api/v1/join/unsafe", lambda route: lose_the_answer(route, meeting.bodies))
    meeting.asks_for_help()
    meeting.until(lambda: len(meeting.bodies) == 2)
    meeting.is_helped_once()
    assert len(meeting.bodies) == 2, "after the answer it is not sent again"


def test_help_renews_its_right_when_the_server_does_not_know_it_any_more(meeting: Meeting) -> None:
    meeting.joins()

    def unknown_once(route: Route) -> None:
        meeting.bodies.append(route.request.post_data_json)
        if len(meeting.bodies) == 1:
            route.continue_(headers={**route.request.headers, "x-csrf-token": "from another time"})
        else:
            route.continue_()

    meeting.page.route("**/api/v1/join/unsafe", unknown_once)
    meeting.asks_for_help()
    meeting.is_helped_once()
    assert len(meeting.bodies) == 2


def test_help_works_after_a_reload_before_join_is_tapped(meeting: Meeting) -> None:
    meeting.joins()
    meeting.page.reload()
    meeting.asks_for_help()
    meeting.is_helped_once()


def test_the_exit_works_after_a_reload_before_join_is_tapped(meeting: Meeting) -> None:
    meeting.joins()
    meeting.page.reload()
    meeting.leaves()


def test_the_exit_works_when_the_server_told_this_page_nothing(meeting: Meeting) -> None:
    meeting.joins()
    meeting.page.route("**/api/v1/join", lambda route: route.abort())
    meeting.page.reload()
    meeting.leaves()


def test_a_tap_whose_answer_is_lost_is_tapped_again_with_the_same_link(meeting: Meeting) -> None:
    meeting.page.route("**/api/v1/join", lambda route: lose_the_answer(route, meeting.bodies))
    meeting.victim.press("Join")
    expect(meeting.page.get_by_role("alert")).to_contain_text("No connection")
    meeting.joins()
    assert meeting.bodies[0] == meeting.bodies[1]
    assert (meeting.log("LinkOpened"), meeting.log("LinkRefused")) == (1, 0)


def test_a_desk_that_cannot_take_the_tap_now_is_asked_again_and_its_own_trouble_is_not_told(meeting: Meeting) -> None:
    """A full disk, too much asked at once: whoever waits for help can do nothing about it."""
    answers = [(503, "The disk of the log is full: write it down"), (429, "Too much was asked at once")]

    def busy(route: Route) -> None:
        if not answers:
            route.continue_()
            return
        status, text = answers.pop(0)
        told = json.dumps({"code": "unavailable", "reasons": [{"code": "disk-full", "text": text}]})
        route.fulfill(status=status, content_type="application/problem+json", body=told)

    meeting.page.route("**/api/v1/join", busy)
    meeting.victim.press("Join")
    expect(meeting.page.get_by_role("alert")).to_have_text("No connection. It is tried again by itself.")
    expect(meeting.page.locator("#state")).to_have_text("Please wait", timeout=MEDIA)
    assert answers == []


def test_a_page_without_a_link_says_so_only_when_join_is_tapped(browser: Browser, desk: Served) -> None:
    somebody = Person(browser, desk, phone=True)
    with somebody.page.expect_response("**/api/v1/join") as asked:
        somebody.page.goto(f"{desk.url}/j")
    assert asked.value.status == 401
    expect(somebody.page.get_by_role("alert")).to_be_hidden()
    expect(somebody.page.get_by_role("button", name="Help")).to_be_hidden()
    somebody.press("Join")
    expect(somebody.page.get_by_role("alert")).to_have_text("Open the link from your text message.")
    somebody.context.close()


def test_officers_on_their_way_are_read_where_the_call_cannot_be_set_up(meeting: Meeting) -> None:
    """The officer's screen says that the victim reads it."""
    page = meeting.page
    page.evaluate(NO_DEVICE)
    meeting.victim.press("Join")
    expect(page.locator("#state")).to_have_text("Not connected")
    meeting.victim.press("Help")
    meeting.is_helped_once()
    assert meeting.officer.move(meeting.case, "signal_victim", {"signal": "help_coming"}).status == 200
    expect(page.locator("#line")).to_have_text("The connection will be better in a few minutes.")
    picture(page, "victim-5-failed-signalled")


def lose_the_answer(route: Route, bodies: list[dict[str, Any]]) -> None:
    """The server hears the first one, the browser does not hear the server."""
    bodies.append(route.request.post_data_json)
    if len(bodies) == 1:
        route.fetch()
        route.abort("connectionreset")
    else:
        route.continue_()


def test_the_link_tapped_again_in_a_web_mail_leaves_whoever_has_joined_the_seat_and_the_help(meeting: Meeting) -> None:
    meeting.joins()
    mail = f'<a href="{meeting.victim.desk.url}{meeting.link()}">Here is the link for your call</a>'
    meeting.victim.context.route(
        "https://mail.example/**", lambda route: route.fulfill(body=mail, content_type="text/html")
    )
    again = meeting.victim.context.new_page()
    again.goto("https://mail.example/")
    again.get_by_role("link").click()
    again.get_by_role("button", name="Join", exact=True).click()
    expect(again.locator("#state")).to_be_visible(timeout=MEDIA)
    assert meeting.log("LinkRefused") == 0
    again.close()
    meeting.victim.press("Help")
    meeting.is_helped_once()


def test_an_officer_who_signs_out_in_another_tab_sees_and_hears_nothing_more(
    browser: Browser, meeting: Meeting
) -> None:
    meeting.joins()
    officer = Person(browser, meeting.victim.desk).sign_in("officer")
    officer.page.goto(f"{meeting.victim.desk.url}/cases/{meeting.case}")
    officer.press("Join the call")
    meeting.until(lambda: meeting.seen()["state"] == "video", MEDIA)
    other_tab = officer.context.new_page()
    other_tab.goto(meeting.victim.desk.url)
    other_tab.get_by_role("button", name="Sign out").click()
    meeting.until(lambda: meeting.seen()["state"] == "interrupted", 5_000)
    meeting.page.wait_for_timeout(3 * QUIET_MS)
    assert meeting.seen()["state"] == "interrupted", "the page that was left open may not come back"
    officer.context.close()
