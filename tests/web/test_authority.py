"""Who may do and see what: every route and every move, as each role, on a case of one's own and on somebody else's,
each asked of a served desk. What was answered stands in docs/AUTHORITY.md, which people read and agree to; a route, a
move or an answer that is not there as it is fails.

    .venv/bin/python -m pytest tests/web/test_authority.py --update-docs
"""

from __future__ import annotations

import asyncio
import difflib
import re
import uuid
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from rvr.core.commands import STAFF
from rvr.messages import catalogue
from rvr.people import DEMO
from rvr.web.app import ROUTES, Route
from tests.serving import OPENING, ROOT
from tests.web.in_process import Answer, House, Someone, in_process
from tests.web.test_api import PLAN, dash

pytestmark = [pytest.mark.timeout(240), pytest.mark.slow]

PAGE = ROOT / "docs/AUTHORITY.md"
ASKED = re.compile(r"<!-- asked: (?P<name>[a-z ]+) -->\n(?P<text>.*?)<!-- end -->", re.DOTALL)
UPDATE = "To write what was answered, and then to read it: pytest tests/web/test_authority.py --update-docs"

ROLES = list(dict.fromkeys(role for _, _, role in DEMO if role in STAFF))
USERS = {role: username for username, _, role in reversed(DEMO)}
HEADS = {
    "call_handler": "handler",
    "control_room_specialist": "specialist",
    "administrator": "admin",
}
"""How a column is called where the role's own word is too long."""

YES, NO, HIDDEN, SIGN_IN = "yes", "–", "hidden", "sign in"
HIDES = {"no-such-case"}
REFUSES = {"not-allowed-here", "not-your-move", "not-your-case", "not-your-duty", "csrf", "conflict-declared"}

CANARIES = {
    "victim's name": "Testa Victim",
    "safe number": "7700 900123",
    "address": "1 Example Street",
    "suspect's name": "Testo Suspect",
    "code word": "umbrella",
    "safeguarding text": "A refuge with a garden.",
    "assessed risk": "DASH",
}
"""What of a case an answer is searched for."""


@dataclass
class Desks:
    """Everybody at the desk, and three cases."""

    house: House
    people: dict[str, Someone] = field(default_factory=dict)
    colleagues: dict[str, Someone] = field(default_factory=dict)
    own: str = ""
    """Opened by the handler, with the officer, referred to the advocate's organisation, and sent to in an emergency."""
    decided: str = ""
    """Allocated: the investigator's."""
    other: str = ""
    """Opened by another handler, with no officer."""
    seat: str = ""

    def mine(self, role: str) -> str:
        return self.decided if role == "investigator" else self.own

    def looks(self, role: str) -> list[tuple[Someone, str]]:
        """Who of the role looks at which case, of the own ones and of others; each case has all that is searched for,
        but for one that was never referred."""
        own = self.own if role == "resourcing" else self.decided
        match role:
            case "call_handler" | "officer":
                return [(self.people[role], own), (self.colleagues[role], own)]
            case "advocate":
                return [(self.people[role], own), (self.people[role], self.other)]
            case "investigator":
                return [(self.people[role], own), (self.people[role], self.own)]
        return [(self.people[role], own), (self.people[role], self.decided)]


async def does(case: str, *moves: tuple[Someone, str, dict[str, object]]) -> Answer:
    for who, move, form in moves:
        answer = await who.move(case, move, form)
        assert answer.status == 200, (move, answer.body)
    return answer


async def told(house: House) -> Desks:
    made = Desks(house)
    made.people = {role: await house.sign_in(USERS[role]) for role in ROLES} | {"": await house.sign_in()}
    handler, sergeant, officer = (made.people[role] for role in ("call_handler", "sergeant", "officer"))
    criteria = (await handler.get("/api/v1/workflows/da-desk")).body["criteria"]
    answers = {"answers": {name: one["met"] for name, one in criteria.items()}}
    for case in ("decided", "own"):
        setattr(made, case, await handler.open_case())
        answer = await does(
            getattr(made, case),
            (handler, "answer_criteria", answers),
            (handler, "record_consent", {"consent_kind": "video", "consent_answer": "given"}),
            (handler, "offer_handover", {"note": "calm"}),
            (sergeant, "accept_handover", {}),
            (sergeant, "assign_officer", {"officer": officer.id}),
            (officer, "send_link", {}),
            (
                officer,
                "make_referral",
                {"partner": "bswa", "referral_basis": "consent", "note": CANARIES["safeguarding text"]},
            ),
        )
        if case == "decided":
            safe = {"alone": "yes", "place_verified": "yes"}
            await does(
                made.decided,
                (officer, "end_session", {"end_reason": "video_failed"}),
                (officer, "contact_regained", safe),
                (officer, "assess_risk", dash("yes", yes=1, level="medium")),
                (officer, "plan_safeguarding", PLAN),
                (officer, "submit_for_review", {}),
                (sergeant, "allocate", {"team": "lpa-birmingham"}),
            )
    made.seat = answer.body["session"]["officer_seat"]
    await does(made.own, (officer, "dispatch_emergency", {}))
    made.colleagues = {role: await house.sign_in(f"{USERS[role]}2") for role in ("call_handler", "officer")}
    made.other = await made.colleagues["call_handler"].open_case()
    return made


@pytest.fixture
async def desks(tmp_path: Path) -> AsyncIterator[Desks]:
    async with in_process(tmp_path / "data") as house:
        yield await told(house)


# --- What an answer means ----------------------------------------------------------------------------------------

_SAID = {catalogue().say(f"reason.{code}"): code for code in HIDES | REFUSES | {"sign-in-first"}}


def codes(answer: Answer) -> set[str]:
    """The reasons that a program is told, or the sentences of them that stand on a page."""
    if isinstance(answer.body, dict):
        return {reason["code"] for reason in answer.body.get("reasons", ())}
    return {code for said, code in _SAID.items() if said in str(answer.body)} if answer.status >= 400 else set()


def outcome(answer: Answer) -> str:
    assert answer.status < 500, answer.body
    found = codes(answer)
    if "sign-in-first" in found:
        return SIGN_IN
    if found & HIDES:
        return HIDDEN
    if found & REFUSES or answer.status == 403:
        return NO
    return YES


async def listened(someone: Someone, path: str) -> str:
    async with someone.listening(path) as events:
        first = await asyncio.wait_for(anext(events), 5)
    if first.startswith("refused"):
        return {"401": SIGN_IN, "404": HIDDEN}.get(first.split()[1], NO)
    return HIDDEN if "event: gone" in first else YES


# --- The tables --------------------------------------------------------------------------------------------------


def table(head: str, lines: Iterable[tuple[str, list[str]]], columns: list[str]) -> str:
    rows = [f"| {head} | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    rows += [f"| {name} | {' | '.join(cells)} |" for name, cells in lines]
    return "\n".join(rows) + "\n"


def cell(mine: str, others: str) -> str:
    return mine if mine == others else f"{mine} / {others}"


def columns(*more: str) -> list[str]:
    return [HEADS.get(role, role) for role in ROLES] + list(more)


def agreed(request: pytest.FixtureRequest, name: str, answered: str) -> None:
    """Holds what was answered against the page."""
    page = PAGE.read_text(encoding="utf-8")
    assert name in {one["name"] for one in ASKED.finditer(page)}, f"{PAGE} has no table {name}"
    if request.config.getoption("--update-docs"):
        anew = f"<!-- asked: {name} -->\n{answered}<!-- end -->"
        PAGE.write_text(ASKED.sub(lambda one: anew if one["name"] == name else one[0], page), encoding="utf-8")
        return
    stands = next(one["text"] for one in ASKED.finditer(page) if one["name"] == name)
    lines = (text.splitlines() for text in (stands, answered))
    difference = list(difflib.unified_diff(*lines, "as agreed", "as answered", lineterm="", n=0))
    if difference:
        pytest.fail("\n".join([*difference, "", UPDATE]), pytrace=False)


GUARDED = [route for route in ROUTES if route.roles or "/media/{seat}" in route.path]
"""The others are open on purpose, each for its reason (tests/web/test_routes.py)."""

TOO_LONG = "x" * 600
"""So that nobody declares a conflict of interest by being asked."""

ENDS = {("POST", "/sign-out"), ("DELETE", "/api/v1/session")}
FEEDS = {"/live", "/api/v1/live"}


async def answered(desks: Desks, route: Route, role: str, case: str) -> str:
    someone = desks.people[role]
    if route.path in FEEDS:
        return await listened(someone, f"{route.path}?topics=case/{case}")
    if (route.method, route.path) in ENDS and role:
        someone = await desks.house.sign_in(USERS[role])
    filled = {"id": case, "move": "correct_details", "seat": desks.seat, "what": "quality"}
    path = re.sub(r"{(\w+)}", lambda found: filled.get(found[1], str(uuid.uuid4())), route.path)
    sent: dict[str, object] = {}
    if route.method in ("POST", "PATCH"):
        sent = {"json": {"command_id": str(uuid.uuid4()), "form": {"no": "such"}, "note": TOO_LONG}}
        if not path.startswith("/api"):
            sent = {"data": {"csrf": someone.me.get("csrf", ""), "command_id": str(uuid.uuid4()), "note": TOO_LONG}}
        if "/media/" in path:
            sent = {"data": b"v=0", "headers": {"Content-Type": "application/sdp"}}
    return outcome(await someone.call(route.method, path, **sent))


async def test_every_route_answers_every_role_as_agreed(desks: Desks, request: pytest.FixtureRequest) -> None:
    lines = []
    for route in GUARDED:
        of_a_case = "{id}" in route.path or route.path in FEEDS
        cells = []
        for role in (*ROLES, ""):
            mine = await answered(desks, route, role, desks.mine(role))
            others = await answered(desks, route, role, desks.other) if of_a_case else mine
            cells.append(cell(mine, others))
        lines.append((f"`{route.method} {route.path}`", cells))
    agreed(request, "routes", table("route", lines, columns("nobody")))


async def test_every_move_is_open_to_whom_it_was_agreed(desks: Desks, request: pytest.FixtureRequest) -> None:
    """A form with a field that no move has: whoever may make the move is told so, and nothing happens."""
    flow = desks.house.desk.definitions.workflows["da-desk"]
    lines = []
    for move in sorted(flow.moves.values(), key=lambda one: one.id):
        if STAFF.isdisjoint(move.who):
            continue
        cells = []
        for role in ROLES:
            made = [
                outcome(await desks.people[role].move(case, move.id, {"no": "such"}))
                for case in (desks.mine(role), desks.other)
            ]
            cells.append(cell(*made))
        lines.append((f"`{move.id}`", cells))
    agreed(request, "moves", table("move", lines, columns()))


async def test_each_role_is_shown_what_was_agreed_of_a_case(desks: Desks, request: pytest.FixtureRequest) -> None:
    found: dict[str, list[str]] = {name: [] for name in CANARIES}
    for role in ROLES:
        for name in CANARIES:
            shown = []
            for someone, case in desks.looks(role):
                page = await someone.get(f"/cases/{case}")
                told = await someone.get(f"/api/v1/cases/{case}")
                both = f"{page.body} {told.body!r}".replace(" ", "") if told.status == 200 else ""
                shown.append(YES if CANARIES[name].replace(" ", "") in both else NO)
            found[name].append(cell(*shown))
    agreed(request, "fields", table("of a case", list(found.items()), columns()))


def test_the_names_that_are_searched_for_are_those_of_the_cases() -> None:
    names = ("victim's name", "suspect's name", "code word")
    assert {CANARIES[name] for name in names} <= set(OPENING.values())
    assert all(
        CANARIES[name] in OPENING[field] for name, field in (("address", "address"), ("safe number", "safe_number"))
    )


def test_the_page_has_the_tables_that_are_asked_for() -> None:
    found = [one["name"] for one in ASKED.finditer(PAGE.read_text(encoding="utf-8"))]
    assert found == ["routes", "moves", "fields"]
