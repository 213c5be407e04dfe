"""The questions afterwards: who is sent them, that the link is good for one answer and for nothing else."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from rvr.store import messages
from rvr.ticker import Ticker
from tests.web.in_process import House, Someone, in_process

ANSWERS = {"quick": "yes", "heard": "partly"}
PRESS = "one-press"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with in_process(tmp_path / "data") as house:
        yield house


async def seen_in_person(house: House, agreed: str = "given") -> tuple[str, Someone]:
    """A case that officers were sent to, whose victim was asked for leave; its id and the handler."""
    handler, resourcing = await house.sign_in("handler"), await house.sign_in("resourcing")
    case = await handler.open_case()
    form = {"consent_kind": "feedback", "consent_answer": agreed}
    assert (await handler.move(case, "record_consent", form)).status == 200
    grade = {"response_grade": "priority", "deployment_reason": "prefers_in_person"}
    assert (await handler.move(case, "request_deployment", grade)).status == 200
    assert (await resourcing.move(case, "record_attendance")).status == 200
    return case, handler


async def after_ten_days(house: House) -> list[str]:
    """The tokens that went out: after ten days and, where the test runs at night, until the morning."""
    house.pass_by(days=11)
    await Ticker(house.desk).tick()
    store = house.desk.store
    sent = await store.read(lambda session: messages.latest(session, store.sealer))
    found = [re.search(r"/f#([\w-]+)", one.message.body) for one in sent]
    return [one[1] for one in found if one]


async def answer(someone: Someone, token: str, press: str = PRESS, answers: Any = ANSWERS) -> int:
    body = {"token": token, "answers": answers, "command_id": press}
    return (await someone.call("POST", "/api/v1/feedback", body)).status


async def types(house: House, case: str) -> list[str]:
    return [one.event.type for one in await house.desk.log(case)]


async def test_whoever_was_seen_in_person_is_asked_once_and_answers_once(house: House) -> None:
    case, _ = await seen_in_person(house)
    assert await Ticker(house.desk).tick() == 0
    (token,) = await after_ten_days(house)
    phone = await house.sign_in()
    page = await phone.get("/f")
    assert page.status == 200
    assert not re.search("police|abuse|victim|suspect|officer", page.body, re.IGNORECASE)
    assert not phone.session.cookie_jar.filter_cookies(house.url), "it leaves nothing in the browser"
    assert await answer(phone, token, answers={}) == 422
    assert await answer(phone, token, answers={"quick": "perhaps"}) == 400
    assert await answer(phone, token) == 204
    assert await answer(phone, token) == 204, "the same press, whose answer was lost"
    assert await answer(phone, token, "another press") == 422
    told = [one.event.fact for one in await house.desk.log(case) if one.event.type == "FeedbackGiven"]
    assert [(one.quick, one.heard, one.way) for one in told] == [("yes", "partly", "")]
    assert await after_ten_days(house) == [token], "nobody is asked twice"


async def test_nobody_at_the_desk_is_shown_what_was_answered(house: House) -> None:
    """The page of the questions promises it."""
    case, _ = await seen_in_person(house)
    (token,) = await after_ten_days(house)
    assert await answer(await house.sign_in(), token) == 204
    for name in ("handler", "sergeant", "inspector"):
        told = (await (await house.sign_in(name)).get(f"/api/v1/cases/{case}/events")).body["events"]
        assert [one["fields"] for one in told if one["type"] == "FeedbackGiven"] == [{}]


@pytest.mark.parametrize("agreed", ["refused", "withdrawn"])
async def test_whoever_has_not_agreed_is_sent_nothing(house: House, agreed: str) -> None:
    if agreed == "withdrawn":
        case, handler = await seen_in_person(house)
        officer = await house.sign_in("sergeant")
        assert (await officer.move(case, "withhold_feedback", {"withheld_because": "not_wanted"})).status == 200
        assert (await handler.get(f"/api/v1/cases/{case}")).status == 200
    else:
        case, _ = await seen_in_person(house, agreed)
    assert await after_ten_days(house) == []
    assert "FeedbackInvited" not in await types(house, case)


async def test_a_link_that_somebody_withheld_is_dead(house: House) -> None:
    case, _ = await seen_in_person(house)
    (token,) = await after_ten_days(house)
    sergeant, phone = await house.sign_in("sergeant"), await house.sign_in()
    assert (await sergeant.move(case, "withhold_feedback", {"withheld_because": "not_safe"})).status == 200
    assert await answer(phone, token) == 422
    assert "FeedbackGiven" not in await types(house, case)


async def test_a_link_to_questions_leads_into_no_call_and_a_made_up_one_to_no_questions(house: House) -> None:
    await seen_in_person(house)
    (token,) = await after_ten_days(house)
    phone = await house.sign_in()
    for path in ("join", "guest"):
        answered = await phone.call("POST", f"/api/v1/{path}", {"token": token, "name": "Ina", "declared": True})
        assert answered.status == 404, path
    assert await answer(phone, "x" * 43) == 404
    assert await answer(phone, token) == 204
    house.pass_by(days=15)


async def test_a_link_runs_out(house: House) -> None:
    await seen_in_person(house)
    (token,) = await after_ten_days(house)
    house.pass_by(days=15)
    assert await answer(await house.sign_in(), token) == 422
