"""The access log is complete: each way in, as each role, on real cases, leaves the rows told here and no others.

`READS` and `DEEDS` hold an expectation for every route that shows or changes a case: a new route without one fails.
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from rvr import cli, exhibits, terminal
from rvr.core import events as e
from rvr.core.commands import THE_MEDIA, Actor, MakeMove
from rvr.core.moment import iso, parse_iso
from rvr.core.processing import CATEGORY, processing
from rvr.media import Still
from rvr.messages import catalogue
from rvr.people import DEMO
from rvr.store import access
from rvr.store.access import CATEGORIES, Signin
from rvr.web import views
from rvr.web.app import APART, ROUTES, STATIC_FOLDERS, build
from tests.serving import OPENING, PASSWORD, ROOT
from tests.web.in_process import Answer, House, Someone, in_process

pytestmark = pytest.mark.timeout(120)

Row = tuple[str, str, str, str]
"""Who, category, case (by its name in the story) and what."""

OFFER = (ROOT / "tests/media/chromium-156-offer.sdp").read_text()
MINE = {"safe_number": "07700 900987"}
"""Not the number that forms show as an example."""

NAMING = ("victim_name", "safe_number", "suspect_name", "address", "code_word", "incident_number")
USERS = {role: username for username, _, role in reversed(DEMO)}


def named_in(answer: Answer) -> list[str]:
    """Which of the things that name or locate the people of the story an answer holds."""
    known = {**OPENING, **MINE}
    return [name for name in NAMING if str(known[name]) in str(answer.body)]


class Story:
    """Two calls about the same people, the later one in video, and everybody whom it concerns."""

    def __init__(self, house: House) -> None:
        self.house, self.seen = house, 0
        self.cases: dict[str, str] = {}
        self.names: dict[str, str] = {}
        self.seat = ""

    async def someone(self, username: str) -> Someone:
        one = await self.house.sign_in(username)
        self.names[one.id] = username
        return one

    async def told(self, someone: Someone | None = None) -> list[Row]:
        """The rows since the last time, those of `someone` where that is given; sorted."""
        rows = await self.house.rows(self.seen)
        self.seen = max((row.seq or 0 for row in rows), default=self.seen)
        by_id = {case: name for name, case in self.cases.items()}
        return sorted(
            (self.names.get(row.person, row.person), row.category, by_id.get(row.case_id or "", ""), row.what)
            for row in rows
            if someone is None or row.person == someone.id
        )


async def tell(house: House) -> Story:
    story = Story(house)
    handler, sergeant, officer = [await story.someone(name) for name in ("handler", "sergeant", "officer")]
    story.cases["earlier"] = await handler.open_case(**MINE)
    story.cases["now"] = case = await handler.open_case(**MINE)
    criteria = (await handler.get("/api/v1/workflows/da-desk")).body["criteria"]
    answers = {"answers": {name: one["met"] for name, one in criteria.items()}}
    for who, move, form in (
        (handler, "answer_criteria", answers),
        (handler, "record_consent", {"consent_kind": "video", "consent_answer": "given"}),
        (handler, "offer_handover", {"note": "calm"}),
        (sergeant, "accept_handover", {}),
        (sergeant, "assign_officer", {"officer": officer.id}),
        (officer, "send_link", {}),
        (officer, "dispatch_emergency", {}),
    ):
        answer = await who.move(case, move, form)
        assert answer.status == 200, (move, answer.body)
    story.seat = answer.body["session"]["officer_seat"]
    referral = {"partner": "bswa", "referral_basis": "consent", "note": "A refuge."}
    answer = await officer.move(case, "make_referral", referral)
    assert answer.status == 200, answer.body
    await story.told()
    return story


@pytest.fixture
async def story(tmp_path: Path) -> AsyncIterator[Story]:
    async with in_process(tmp_path / "data") as house:
        yield await tell(house)


ACCESS = {(route.method, route.path): set(route.access) for route in ROUTES}


# --- What is shown -----------------------------------------------------------------------------------------------

PERSONAL = ("details", "contact", "address", "people")
SHOWN: Mapping[str, tuple[str, ...]] = {
    "handler": PERSONAL,
    **dict.fromkeys(("sergeant", "inspector", "officer"), (*PERSONAL, "safeguarding")),
    "resourcing": ("contact", "address"),
    "specialist": ("screening",),
    "officer2": ("outline",),
    "advocate": ("safe_contact", "risk_level", "children", "referral"),
}
"""User name -> what a page of the later case shows of it; whoever sees its people sees the earlier case from there."""

WHOLE = ("handler", "sergeant", "inspector", "officer")
REFUSED = {"handler2": "no-such-case", "investigator": "no-such-case"} | dict.fromkeys(
    ("evaluator", "auditor", "admin", "interpreter"), "not-allowed-here"
)


def looks(username: str) -> list[Row]:
    if username in REFUSED:
        return [(username, "consultation", "now", f"refused:{REFUSED[username]}")]
    own = [(username, "consultation", "now", what) for what in SHOWN[username]]
    other = [(username, "consultation", "earlier", "elsewhere")] if "people" in SHOWN[username] else []
    return sorted([*own, *other])


def looks_at_the_log(username: str) -> list[Row]:
    if username in WHOLE:
        return [(username, "consultation", "now", "log")]
    code = REFUSED.get(username, "not-allowed-here")
    return [(username, "consultation", "now", f"refused:{code}")]


def everybody() -> list[str]:
    return [*SHOWN, *REFUSED]


async def look(story: Story, path: str, someone: Someone) -> None:
    await someone.get(path.format(id=story.cases["now"]))


async def listen(story: Story, path: str, someone: Someone) -> None:
    """Opens the feed as a program does, without having seen the page, hears one event and goes."""
    async with someone.listening(f"{path}?topics=case/{story.cases['now']}") as events:
        await asyncio.wait_for(anext(events), 5)


def heard_by(username: str) -> list[Row]:
    """The pages' feed; whoever may open no feed at all names no case with it."""
    return [] if REFUSED.get(username) == "not-allowed-here" and username != "admin" else looks_of_feed(username)


def looks_of_feed(username: str) -> list[Row]:
    return [("admin", "consultation", "now", "refused:no-such-case")] if username == "admin" else looks(username)


def heard_of_the_log_by(username: str) -> list[Row]:
    if username in WHOLE:
        return looks_at_the_log(username)
    at_the_door = username in ("advocate", "evaluator", "auditor", "interpreter")
    return [] if at_the_door else [(username, "consultation", "now", "refused:no-such-case")]


READS: Mapping[tuple[str, str], tuple[Callable[..., Awaitable[None]], Callable[[str], list[Row]]]] = {
    ("GET", "/cases/{id}"): (look, looks),
    ("GET", "/api/v1/cases/{id}"): (look, looks),
    ("GET", "/api/v1/cases/{id}/events"): (look, looks_at_the_log),
    ("GET", "/live"): (listen, heard_by),
    ("GET", "/api/v1/live"): (listen, heard_of_the_log_by),
}
"""Route -> how it is read, and the rows that this leaves by user name."""


@pytest.mark.parametrize("way", READS, ids=" ".join)
async def test_a_look_leaves_its_rows_once_and_again_after_fifteen_minutes(story: Story, way: tuple[str, str]) -> None:
    read, expected = READS[way]
    assert {category for name in everybody() for _, category, _, _ in expected(name)} <= ACCESS[way]
    for username in everybody():
        someone = await story.someone(username)
        for again in (False, True):
            await read(story, way[1], someone)
            assert await story.told() == ([] if again else expected(username)), (username, again)
        story.house.pass_by(minutes=15)
        await read(story, way[1], someone)
        assert await story.told() == expected(username), username


async def test_what_one_way_showed_another_shows_without_another_row_and_another_sign_in_is_another_row(
    story: Story,
) -> None:
    first, second = await story.someone("sergeant"), await story.someone("sergeant")
    for someone in (first, second):
        await look(story, "/api/v1/cases/{id}", someone)
        assert await story.told() == looks("sergeant")
        await look(story, "/cases/{id}", someone)
        await listen(story, "/live", someone)
        assert await story.told() == []


async def test_an_update_of_an_open_screen_adds_no_row(story: Story) -> None:
    sergeant, officer, case = await story.someone("sergeant"), await story.someone("officer"), story.cases["now"]
    async with (
        sergeant.listening(f"/live?topics=case/{case}") as page,
        sergeant.listening(f"/api/v1/live?topics=case/{case}") as feed,
    ):
        await asyncio.wait_for(anext(page), 5)
        await asyncio.wait_for(anext(feed), 5)
        assert await story.told() == sorted([*looks("sergeant"), *looks_at_the_log("sergeant")])
        assert (await officer.move(case, "resend_link")).status == 200
        for events in (page, feed):
            await asyncio.wait_for(anext(events), 5)
        assert await story.told(sergeant) == []


async def test_a_case_that_there_is_not_leaves_no_row(story: Story) -> None:
    sergeant = await story.someone("sergeant")
    for path in (f"/cases/{uuid.uuid4()}", "/cases/Testa%20Victim", f"/api/v1/live?topics=case/{uuid.uuid4()}"):
        assert (await sergeant.get(path)).status == 404
    assert await story.told() == []


# --- What is changed, passed on, joined --------------------------------------------------------------------------


def form(someone: Someone, command: str = "", **more: str) -> dict[str, str]:
    return {"csrf": str(someone.me["csrf"]), "command_id": command or str(uuid.uuid4()), **more}


async def a_case_is_opened(story: Story, path: str) -> list[Row]:
    handler, command = await story.someone("handler"), str(uuid.uuid4())
    for _ in range(2):  # the same command again is the same case
        if path.startswith("/api"):
            body = {"command_id": command, "form": {**OPENING, **MINE}}
            opened = (await handler.call("POST", path, body)).body["id"]
        else:
            page = await handler.session.post(path, data=form(handler, command, **OPENING), allow_redirects=False)
            opened = page.headers["Location"].removeprefix("/cases/")
    story.cases["new"] = opened
    shown = [("handler", "consultation", "new", what) for what in ("address", "contact", "details")]
    others = [("handler", "consultation", "new", "people")]
    others += [("handler", "consultation", name, "elsewhere") for name in ("earlier", "now")]
    return sorted([("handler", "collection", "new", "open_case"), *(shown + others if "api" in path else [])])


async def a_move_is_made(story: Story, path: str) -> list[Row]:
    """By the API it shows the case as well; refused, repeated, or made by a page, it does not."""
    sergeant, case = await story.someone("sergeant"), story.cases["now"]
    candidate = (await sergeant.get(f"/api/v1/cases/{case}")).body["candidates"][0]["candidate"]
    assert await story.told() == looks("sergeant")
    commands = {"correct_details": str(uuid.uuid4()), "match_person": str(uuid.uuid4())}
    asked = {"correct_details": {"code_word": "lantern"}, "match_person": {"candidate": candidate}}
    for move in [*asked, *asked]:
        at, body = path.format(id=case, move=move), asked[move]
        if path.startswith("/api"):
            answer = await sergeant.call("POST", at, {"command_id": commands[move], "form": body})
        else:
            answer = await sergeant.call("POST", at, data=form(sergeant, commands[move], **body))
        assert answer.status in (200, 303), (move, answer.body)
    refused = await sergeant.move(case, "allocate", {})
    assert refused.status == 422, refused.body
    return sorted(
        [("sergeant", "alteration", "now", "correct_details"), ("sergeant", "combination", "now", "match_person")]
    )


async def a_call_is_joined(story: Story, path: str) -> list[Row]:
    officer = await story.someone("officer")
    for _ in range(2):
        sdp = {"Content-Type": "application/sdp"}
        answer = await officer.call("POST", path.format(seat=story.seat), data=OFFER, headers=sdp)
        assert answer.status == 201, answer.body
    colleague = await story.someone("officer2")
    refused = await colleague.call("POST", path.format(seat=story.seat), data=OFFER, headers=sdp)
    assert refused.status == 403
    return [("officer", "consultation", "now", "call")]


async def a_package_is_exported(story: Story, path: str) -> list[Row]:
    evaluator = await story.someone("evaluator")
    sent = {"json": {}} if path.startswith("/api") else {"data": form(evaluator)}
    assert (await evaluator.call("POST", path, **sent)).status == 200
    return [("evaluator", "disclosure", "", "export")]


async def figures_are_looked_at(story: Story, path: str) -> list[Row]:
    evaluator = await story.someone("evaluator")
    assert (await evaluator.get("/evaluation")).status == 200, "the form alone shows none"
    assert (await evaluator.get(f"{path}?show=yes&from=2020-01-01")).status == 200
    return [("evaluator", "consultation", "", "figures")]


async def a_report_is_downloaded(story: Story, path: str) -> list[Row]:
    evaluator = await story.someone("evaluator")
    answer = await evaluator.call("POST", path, data=form(evaluator))
    assert answer.status == 200
    assert not named_in(answer)
    return [("evaluator", "disclosure", "", "report")]


async def the_log_is_searched(story: Story, path: str) -> list[Row]:
    auditor = await story.someone("auditor")
    assert (await auditor.get(f"{path}?case={story.cases['now']}&purpose=lawfulness")).status == 200
    assert (await auditor.get(f"{path}?category=erasure")).status == 200
    return [("auditor", "consultation", "", "access-log"), ("auditor", "consultation", "now", "access-log")]


async def the_log_is_downloaded(story: Story, path: str) -> list[Row]:
    auditor = await story.someone("auditor")
    assert (await auditor.call("POST", path, data=form(auditor, case=story.cases["now"]))).status == 200
    return [("auditor", "disclosure", "now", "access-log")]


async def a_still(story: Story) -> None:
    """The officer of the case took one, with the victim's consent."""
    desk, case = story.house.desk, story.cases["now"]
    officer = next(row for row in (await desk.people()).values() if row.username == "officer")
    by = Actor(officer.id, frozenset({"officer"}))
    key = await exhibits.key_of(desk.store, case, "still-1")
    assert key is not None
    path = exhibits.still_file(desk.store.place.data / exhibits.FOLDER, case, "still-1")
    picture = exhibits.keep_still(path, Still(b"jpeg", 640, 480, desk.observe()), key)
    agreed = {"consent_kind": "still", "consent_answer": "given"}
    await desk.handle(MakeMove(desk.new_id(), case, "two_way_video"), THE_MEDIA)
    await desk.handle(MakeMove(desk.new_id(), case, "record_consent", agreed), by)
    form = {"exhibit": "OO/1", "intimate": "yes"}
    await desk.handle(MakeMove(desk.new_id(), case, "take_still", form, picture=picture), by)


async def a_still_is_looked_at(story: Story, path: str) -> list[Row]:
    """Said why first: that is the row. What is fetched then is covered by it for a quarter of an hour."""
    officer, case = await story.someone("officer"), story.cases["now"]
    await a_still(story)
    at = path.format(id=case, exhibit="still-1", side="still")
    look = f"/api/v1/cases/{case}/exhibits/still-1/looks"
    if path.endswith("/looks"):
        assert (await officer.call("POST", at, {})).status == 400
        assert (await officer.call("POST", at, {"reason": "investigation"})).status == 201
    elif path.endswith("}") and "side" not in path:
        assert (await officer.get(at)).status == 403
        assert (await officer.call("POST", at, data=form(officer, reason="investigation"))).status == 303
        assert (await officer.get(at)).status == 200
    else:
        assert (await officer.get(at)).status == 403
        assert (await officer.call("POST", look, {"reason": "investigation"})).status == 201
        assert (await officer.get(at)).body == "jpeg"
    return [("officer", "consultation", "now", "still.intimate:still-1")]


async def a_copy_is_given(story: Story, path: str) -> list[Row]:
    officer = await story.someone("officer")
    await a_still(story)
    at = path.format(id=story.cases["now"], exhibit="still-1")
    assert (await officer.call("POST", at, data=form(officer, reason="charging"))).status == 400
    told = form(officer, reason="charging", recipient="Crown Prosecution Service")
    assert (await officer.call("POST", at, data=told)).status == 200
    return [("officer", "disclosure", "now", "still.intimate:still-1")]


async def a_call_is_joined_and_nothing_is_to_be_received_apart(story: Story, path: str) -> list[Row]:
    rows = await a_call_is_joined(story, path.removesuffix("/receive"))
    officer = await story.someone("officer")
    assert (await officer.call("POST", path.format(seat=story.seat))).status == 404, (
        "the embedded engine offers nothing"
    )
    return rows


async def the_glass_is_broken(story: Story, path: str) -> list[Row]:
    other, case = await story.someone("handler2"), story.cases["now"]
    sent = form(other, case=case, reason="The caller rang back.")
    data = {"json": {**sent}} if path.startswith("/api") else {"data": sent}
    assert (await other.call("POST", path.format(id=case), **data)).status in (201, 303)
    return [("handler2", "consultation", "now", "break_glass")]


async def a_conflict_is_declared(story: Story, path: str) -> list[Row]:
    sergeant = await story.someone("sergeant2")
    sent = form(sergeant)
    data = {"json": {**sent}} if path.startswith("/api") else {"data": sent}
    assert (await sergeant.call("POST", path.format(id=story.cases["now"]), **data)).status in (204, 303)
    return [("sergeant2", "alteration", "now", "declare_conflict")]


async def a_conflict_is_lifted(story: Story, path: str) -> list[Row]:
    rows, inspector = await a_conflict_is_declared(story, "/cases/{id}/conflict"), await story.someone("inspector")
    (person,) = (await story.house.desk.case(story.cases["now"])).conflicts
    sent = form(inspector, person=person, reason="Another person of that name.")
    data = {"json": {**sent}} if path.startswith("/api") else {"data": sent}
    assert (await inspector.call("POST", path.format(id=story.cases["now"]), **data)).status in (204, 303)
    return [("inspector", "alteration", "now", "lift_conflict"), *rows]


DEEDS: Mapping[tuple[str, str], Callable[[Story, str], Awaitable[list[Row]]]] = {
    ("POST", "/api/v1/cases"): a_case_is_opened,
    ("POST", "/cases"): a_case_is_opened,
    ("POST", "/api/v1/cases/{id}/moves/{move}"): a_move_is_made,
    ("POST", "/cases/{id}/moves/{move}"): a_move_is_made,
    ("POST", "/api/v1/cases/{id}/exhibits/{exhibit}/looks"): a_still_is_looked_at,
    ("GET", "/api/v1/cases/{id}/exhibits/{exhibit}/{side}"): a_still_is_looked_at,
    ("POST", "/cases/{id}/exhibits/{exhibit}"): a_still_is_looked_at,
    ("GET", "/cases/{id}/exhibits/{exhibit}"): a_still_is_looked_at,
    ("POST", "/api/v1/cases/{id}/exhibits/{exhibit}/copies"): a_copy_is_given,
    ("POST", "/cases/{id}/exhibits/{exhibit}/copies"): a_copy_is_given,
    ("POST", "/api/v1/media/{seat}"): a_call_is_joined,
    ("POST", "/api/v1/media/{seat}/receive"): a_call_is_joined_and_nothing_is_to_be_received_apart,
    ("POST", "/api/v1/exports"): a_package_is_exported,
    ("POST", "/evaluation/export"): a_package_is_exported,
    ("GET", "/api/v1/timings"): figures_are_looked_at,
    ("GET", "/api/v1/measures"): figures_are_looked_at,
    ("GET", "/evaluation"): figures_are_looked_at,
    ("POST", "/evaluation/report"): a_report_is_downloaded,
    ("POST", "/api/v1/cases/{id}/break-glass"): the_glass_is_broken,
    ("POST", "/break-glass"): the_glass_is_broken,
    ("POST", "/api/v1/cases/{id}/conflict"): a_conflict_is_declared,
    ("POST", "/cases/{id}/conflict"): a_conflict_is_declared,
    ("POST", "/api/v1/cases/{id}/conflict/lift"): a_conflict_is_lifted,
    ("POST", "/cases/{id}/conflict/lift"): a_conflict_is_lifted,
    ("GET", "/api/v1/access"): the_log_is_searched,
    ("GET", "/audit"): the_log_is_searched,
    ("POST", "/audit/rows.csv"): the_log_is_downloaded,
}
"""Route -> what is done by it; it gives the rows that this leaves."""


@pytest.mark.parametrize("way", DEEDS, ids=" ".join)
async def test_a_deed_leaves_its_row_once(story: Story, way: tuple[str, str]) -> None:
    expected = await DEEDS[way](story, way[1])
    assert await story.told() == expected
    assert {category for _, category, _, _ in expected} <= ACCESS[way]


async def test_a_referral_is_a_disclosure_to_the_organisation_that_it_goes_to(story: Story) -> None:
    rows = await story.house.rows()
    told = [(row.what, row.case_id, row.recipient) for row in rows if row.category == "disclosure"]
    assert told == [("make_referral", story.cases["now"], "bswa")]


async def test_whoever_is_no_member_of_staff_leaves_no_row(story: Story) -> None:
    """The victim's page, the clocks and the media plane: what they do stands in the timing log."""
    victim = await story.house.sign_in()
    messages = (await victim.get("/api/v1/demo/outbox")).body["messages"]
    token = next(one["body"] for one in messages if "/j#" in one["body"]).partition("/j#")[2].split()[0]
    joined = (await victim.call("POST", "/api/v1/join", {"token": token})).body
    victim.me = {"csrf": joined["csrf"]}
    async with victim.listening("/api/v1/join/live") as events:
        await asyncio.wait_for(anext(events), 5)
    assert (await victim.call("POST", "/api/v1/join/unsafe", {})).status == 204
    assert (await victim.call("POST", "/api/v1/join/exit", {})).status == 204
    assert await story.told() == []


# --- Every way in ------------------------------------------------------------------------------------------------

WITH_CASE_DATA = [route for route in ROUTES if route.access[0] not in APART]
WITHOUT = [route for route in ROUTES if route.access[0] in APART]


def test_every_route_has_a_category_or_one_reason_why_not() -> None:
    for route in ROUTES:
        known = set(route.access) <= CATEGORIES or (len(route.access) == 1 and route.access[0] in APART)
        assert route.access, route.path
        assert known, (route.path, route.access)
    assert {code for route in WITHOUT for code in route.access} == set(APART)


def test_every_route_with_case_data_has_an_expectation_here() -> None:
    assert {(route.method, route.path) for route in WITH_CASE_DATA} == {*READS, *DEEDS}


async def test_the_router_has_no_way_in_that_is_not_listed(story: Story) -> None:
    app = build(story.house.desk, object(), cli.Settings(), object())  # type: ignore[arg-type] - no call is made
    listed = {(route.method, route.path) for route in ROUTES}
    listed |= {(verb, f"/static/{folder}") for folder in STATIC_FOLDERS for verb in ("GET", "HEAD")}
    assert set(STATIC_FOLDERS.values()) <= set(APART)
    found = {(route.method, route.resource.canonical) for route in app.router.routes() if route.resource}
    assert found == listed
    assert len(app.router.routes()) == len(listed)


@pytest.mark.parametrize("role", sorted({role for route in WITHOUT for role in route.roles} | {""}))
async def test_a_route_without_a_category_leaves_no_row(story: Story, role: str) -> None:
    """Nor does it show anything by which a person of a case is known."""
    someone = await story.someone(USERS[role]) if role else await story.house.sign_in()
    for route in WITHOUT:
        ends = route.path in ("/sign-out", "/api/v1/session") and route.method != "GET"
        if ends or (route.roles and role not in route.roles) or route.path == "/api/v1/join/live":
            continue
        path = route.path.replace("{id}", "da-desk").replace("{seat}", "none").replace("{action}", "device")
        body = {"command_id": str(uuid.uuid4()), "status": "on"} if route.method == "POST" else None
        answer = await someone.call(route.method, path, body)
        assert answer.status < 500, path
        assert await story.told() == [], path
        if route.access != ("demo",):
            assert not named_in(answer), path


def test_every_verb_of_the_command_line_has_a_category_or_a_reason() -> None:
    (verbs,) = [action.choices for action in cli.parser()._actions if action.dest == "verb"]
    assert set(verbs) == set(terminal.ACCESS)
    assert {code for codes in terminal.ACCESS.values() for code in codes} <= CATEGORIES | set(APART)


def test_every_event_is_of_a_category_and_a_match_is_a_combination() -> None:
    assert set(CATEGORY.values()) <= CATEGORIES
    matched = e.PersonMatched(role="victim", person="p", by_keys=("phone",))
    assert processing([e.CaseClosed(), matched]).category == "combination"
    assert processing([e.CaseClosed()]).category == "alteration"


def test_everything_that_is_written_has_words() -> None:
    words = catalogue()
    codes = {*views.ALL_CLASSES, *views.SHOWN_TO_PARTNERS, "log", "call", "elsewhere", "outline", "screening"}
    codes |= {"open_case", "export", "access-log", "erase.propose", "erase.confirm", "replay", "retention", "backup"}
    codes |= {"restore", "keys.rotate", "keys.split", "keys.restore"} | {f"refused:{code}" for code in REFUSED.values()}
    codes |= {"refused:conflict-declared", "refused:break-glass", "lift_conflict"}
    codes |= {
        "break_glass",
        "declare_conflict",
        "lift_conflict",
        "recording",
        "still",
        "still.intimate",
        "figures",
        "report",
        "timings",
    }
    codes |= {f"trial.{action}" for action in ("register", "status", "stop", "verify")}
    codes |= {f"import.{kind}" for kind in ("reports", "orders", "outcomes")}
    assert [code for code in sorted(codes) if f"access_what.{code}" not in words] == []
    assert {key.removeprefix("access_what.") for key in words if key.startswith("access_what.")} == codes


# --- Written before it is shown ----------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def a_log_that_cannot_be_written(house: House) -> AsyncIterator[None]:
    """Its writer takes nothing more, and no fault of the disk is the reason."""
    await asyncio.to_thread(house.desk.store._writer.stop)
    yield
    assert not house.desk.store.fault


async def test_without_its_row_nothing_is_shown(story: Story) -> None:
    people = {name: await story.someone(name) for name in ("sergeant", "officer", "evaluator", "auditor")}
    async with a_log_that_cannot_be_written(story.house):
        for (method, path), (read, _) in READS.items():
            at = path.format(id=story.cases["now"]) + ("" if read is look else f"?topics=case/{story.cases['now']}")
            shown = await asyncio.wait_for(people["sergeant"].call(method, at), 5)
            assert shown.status == 503 or shown.body.strip(": ping\n") == "", path
            assert not named_in(shown), path
        sdp = {"Content-Type": "application/sdp"}
        joined = await people["officer"].call("POST", f"/api/v1/media/{story.seat}", data=OFFER, headers=sdp)
        exported = await people["evaluator"].call("POST", "/api/v1/exports", {})
        searched = await people["auditor"].get("/api/v1/access")
        downloaded = await people["auditor"].call("POST", "/audit/rows.csv", data=form(people["auditor"]))
        assert [one.status for one in (joined, exported, searched, downloaded)] == [503] * 4


async def test_the_row_of_a_command_is_written_with_its_events_or_neither_is(story: Story) -> None:
    sergeant, case = await story.someone("sergeant"), story.cases["now"]
    version = (await sergeant.get(f"/api/v1/cases/{case}")).body["version"]
    await story.told()
    by = Actor(sergeant.id, frozenset({"sergeant"}))
    command = MakeMove(str(uuid.uuid4()), case, "correct_details", {"code_word": "lantern"})
    wrong = Signin("x", sergeant.id, None)  # type: ignore[arg-type] - a row that the table refuses
    with pytest.raises(Exception, match="role"):
        await story.house.desk.handle(command, by, signin=wrong)
    assert (await story.house.desk.case(case)).version == version
    assert await story.told() == []


# --- Signing in --------------------------------------------------------------------------------------------------


async def test_signing_in_and_out_stands_in_the_operators_log_without_what_was_typed(story: Story) -> None:
    stranger = await story.house.sign_in()
    with capture_logs() as logs:
        officer = await story.someone("officer")
        for name, password in (("officer", "wrong"), ("hunter2-typed-here", PASSWORD)):
            refused = await stranger.call("POST", "/api/v1/session", {"username": name, "password": password})
            assert refused.status == 401
        assert (await officer.call("DELETE", "/api/v1/session")).status == 204
    told = [{name: value for name, value in one.items() if name != "log_level"} for one in logs]
    assert told == [
        {"event": "signed_in", "person": officer.id},
        {"event": "sign_in_failed", "person": officer.id, "code": "wrong-password"},
        {"event": "sign_in_failed", "person": "", "code": "wrong-password"},
        {"event": "signed_out", "person": officer.id},
    ]
    assert await story.told() == []


# --- The auditor -------------------------------------------------------------------------------------------------


async def test_an_auditor_pages_through_what_was_found_and_reads_no_name_of_a_victim(story: Story) -> None:
    auditor, sergeant = await story.someone("auditor"), await story.someone("sergeant")
    for _ in range(15):
        await look(story, "/cases/{id}", sergeant)
        story.house.pass_by(minutes=15)
    rows = [row for row in await story.house.rows() if row.person == sergeant.id and row.category == "consultation"]
    path, found = f"/api/v1/access?person={sergeant.id}&category=consultation", []
    while path:
        answer = await auditor.get(path)
        assert len(answer.body["rows"]) <= 50
        assert not named_in(answer)
        found += [row["number"] for row in answer.body["rows"]]
        path = answer.body["next"]
    assert found == [row.seq for row in sorted(rows, key=lambda row: (row.at, row.seq), reverse=True)]
    assert len(found) > 50


async def test_a_day_is_the_forces_own_and_its_last_one_is_included(story: Story) -> None:
    """In July the day of this force begins at 23:00 UTC."""
    auditor = await story.someone("auditor")
    sergeant = Signin("s", "p", "sergeant")
    at = [f"2025-07-0{day}T{hour}:00.000000Z" for day, hour in ((1, "22:59"), (1, "23:00"), (2, "22:59"), (2, "23:00"))]
    for one in at:
        entry = access.Access(sergeant, "erasure", "erase.confirm", parse_iso(one))
        await story.house.desk.store.write(lambda connection, entry=entry: access.record(connection, entry))
    answer = await auditor.get("/api/v1/access?from=2025-07-02&to=2025-07-02")
    assert [row["at"] for row in answer.body["rows"]] == [at[2], at[1]]
    page = (await auditor.get("/audit?from=2025-07-02&to=2025-07-02&category=erasure")).body
    assert f'<time datetime="{at[2]}" title="{at[2]}">2 Jul 2025, 23:59:00</time>' in page
    assert "Erasure confirmed" in page


async def test_a_question_that_cannot_be_read_is_told_beside_its_field_and_shows_no_row(story: Story) -> None:
    auditor = await story.someone("auditor")
    asked = "case=NONE-SUCH&from=yesterday&person=nobody&category=peek&purpose=curiosity&before=x"
    wrong = ["body-field"] * 4 + ["no-case-of-that-name", "not-a-date"]
    answer = await auditor.get(f"/api/v1/access?{asked}")
    assert (answer.status, sorted(one["code"] for one in answer.body["reasons"])) == (400, wrong)
    page = await auditor.get(f"/audit?{asked}")
    assert page.status == 400
    assert page.body.count("govuk-form-group--error") == 5
    assert "<table" not in page.body
    assert await story.told() == []


async def test_a_download_holds_every_row_found_and_nothing_that_a_spreadsheet_would_run(story: Story) -> None:
    auditor = await story.someone("auditor")
    entry = terminal.entry("disclosure", "export", recipient="=HYPERLINK(1)")
    await story.house.desk.store.write(lambda connection: access.record(connection, entry))
    answer = await auditor.call("POST", "/audit/rows.csv", data=form(auditor, category="disclosure"))
    rows = list(csv.DictReader(io.StringIO(answer.body)))
    assert [row["recipient"] for row in rows] == ["auditor", "'=HYPERLINK(1)", "Birmingham and Solihull Women's Aid"]
    assert rows[1]["at"] == iso(entry.at)
    assert rows[1]["person"] == entry.signin.person
    assert {row["category"] for row in rows} == {"disclosure"}
    assert not named_in(answer)
