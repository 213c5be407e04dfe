"""What is written beside the call, and a button that says to whoever looks on that the connection is bad."""

from __future__ import annotations

import json
from html import unescape
from typing import Any

import pytest

from tests.serving import OPENING
from tests.web.test_guests import WHO, Call, call

__all__ = ["call"]  # a fixture

pytestmark = pytest.mark.timeout(120)


async def told(call: Call) -> dict[str, Any]:
    """What the victim's page is told now."""
    async with call.victim.listening("/api/v1/join/live") as feed:
        data = (await anext(feed)).partition("data: ")[2]
    return dict(json.loads(data))


async def says(call: Call, action: str, **body: str) -> int:
    return (await call.victim.call("POST", f"/api/v1/join/{action}", body)).status


async def session(call: Call) -> dict[str, Any]:
    return dict((await call.officer.get(f"/api/v1/cases/{call.case}")).body["session"])


async def writes(call: Call, text: str) -> int:
    return (await call.officer.move(call.case, "write_to_victim", {"message": text})).status


async def test_both_read_what_the_other_writes_and_the_log_keeps_it_sealed(call: Call) -> None:
    assert await says(call, "message", text="I cannot speak", command_id="press-one") == 204
    assert await says(call, "message", text="I cannot speak", command_id="press-one") == 204, "the same press"
    assert await writes(call, "Then write <b>here</b>") == 200
    wanted = [("victim", "I cannot speak"), ("officer", "Then write <b>here</b>")]
    assert [(one["side"], one["text"]) for one in (await told(call))["messages"]] == wanted
    assert [(one["side"], one["text"]) for one in (await session(call))["messages"]] == wanted
    page = (await call.officer.get(f"/cases/{call.case}")).body
    assert "Then write &lt;b&gt;here&lt;/b&gt;" in page
    events = (await call.officer.get(f"/api/v1/cases/{call.case}/events")).body["events"]
    assert [one["fields"] for one in events if one["type"] == "MessageSent"] == [
        {"side": "victim"},
        {"side": "officer"},
    ]


@pytest.mark.parametrize("body", [{}, {"text": ""}, {"text": 7}, {"text": "x" * 501}])
async def test_what_is_no_message_is_refused(call: Call, body: dict[str, Any]) -> None:
    assert (await call.victim.call("POST", "/api/v1/join/message", body)).status in (400, 422)
    assert (await told(call))["messages"] == []


async def test_nobody_but_the_officer_and_the_victim_writes_or_reads(call: Call) -> None:
    await says(call, "message", text="For the officer alone")
    assert (await call.join(call.guest, call.link, **WHO)).status == 200
    async with call.guest.listening("/api/v1/guest/live") as feed:
        assert "For the officer alone" not in await anext(feed)
    for who in ("handler", "officer2"):
        someone = await call.house.sign_in(who)
        assert (await someone.move(call.case, "write_to_victim", {"message": "Hello"})).status in (403, 404)
        assert "For the officer alone" not in str((await someone.get(f"/api/v1/cases/{call.case}")).body)
        assert "For the officer alone" not in (await someone.get(f"/cases/{call.case}")).body
    assert (await call.guest.call("POST", "/api/v1/join/message", {"text": "Hello"})).status == 401


async def test_a_complaint_about_the_connection_clears_the_screen_until_safety_is_confirmed(call: Call) -> None:
    assert await writes(call, "Can you speak?") == 200
    assert await says(call, "not-alone") == 204
    assert (await told(call))["messages"] == []
    assert await writes(call, "Who is there?") == 422
    assert (await call.officer.move(call.case, "ask_camera")).status == 422
    sergeant = await call.house.sign_in("sergeant")
    for someone in (call.officer, sergeant):
        assert "The victim signals that somebody is there." in (await someone.get(f"/cases/{call.case}")).body
    events = (await sergeant.get(f"/api/v1/cases/{call.case}/events")).body["events"]
    alarms = [one["fields"]["about"] for one in events if one["type"] == "AlarmRaised"]
    assert alarms.count("victim_not_alone") == 1
    assert await says(call, "not-alone") == 204
    assert await says(call, "message", text="He is gone") == 204, "the victim may always write"
    seen = await session(call)
    assert (seen["overlooked"], [one["side"] for one in seen["messages"]]) == (True, ["officer", "victim"])


async def test_the_officer_signals_back_in_sentences_that_may_stand_there_whoever_looks_on(call: Call) -> None:
    """While somebody is there nothing else goes to the screen: no question of consent, no message."""

    async def signals(signal: str) -> int:
        return (await call.officer.move(call.case, "signal_victim", {"signal": signal})).status

    assert await says(call, "clear", answer="given") == 204, "unasked, it changes nothing"
    assert (await session(call))["private"] is None
    assert (await call.officer.move(call.case, "ask_camera")).status == 200
    assert await signals("ask_alone") == 200
    assert (await told(call))["asks"] == ["private", "camera"]
    assert await says(call, "clear", answer="refused") == 204
    seen = await session(call)
    assert (seen["overlooked"], seen["private"]) == (True, "refused")
    assert await signals("heard") == 200
    assert await signals("ask_alone") == 200
    now = await told(call)
    assert (now["asks"], now["messages"], now["signal"]) == (["private"], [], "heard")
    assert await says(call, "clear", answer="perhaps") == 422
    assert await says(call, "clear", answer="given") == 204
    seen = await session(call)
    assert (seen["overlooked"], seen["private"]) == (True, "given"), "a press is no proof of who pressed"
    events = (await call.officer.get(f"/api/v1/cases/{call.case}/events")).body["events"]
    alarms = [one["fields"]["about"] for one in events if one["type"] == "AlarmRaised"]
    assert alarms.count("victim_not_alone") == 1
    page = (await call.officer.get(f"/cases/{call.case}")).body
    assert "Somebody else may have pressed it" in page
    outsider = await call.house.sign_in("officer2")
    assert (await outsider.move(call.case, "signal_victim", {"signal": "heard"})).status in (403, 404)
    form = {"contact_mode": "audio", "picture_reason": "no_camera"}
    for move, told_ in (
        ("continue_without_picture", form),
        ("confirm_safety", {"alone": "yes", "place_verified": "yes"}),
    ):
        assert (await call.officer.move(call.case, move, told_)).status == 200
    assert ((await told(call))["signal"], (await told(call))["asks"]) == ("", ["camera"])


async def test_the_other_camera_is_asked_for_on_the_screen_and_answered_there(call: Call) -> None:
    assert (await call.officer.move(call.case, "ask_camera")).status == 200
    assert (await told(call))["asks"] == ["camera"]
    assert await says(call, "camera", answer="perhaps") == 422
    assert await says(call, "camera", answer="given") == 204
    assert (await told(call))["asks"] == []


async def test_an_officer_goes_on_by_sound_with_the_reason_and_the_victims_page_says_connected(call: Call) -> None:
    form = {"contact_mode": "text", "picture_reason": "not_safe"}
    assert (
        await call.officer.move(call.case, "continue_without_picture", {**form, "picture_reason": ""})
    ).status == 422
    answer = await call.officer.move(call.case, "continue_without_picture", form)
    assert (answer.status, answer.body["state"], answer.body["contacts"]) == (200, "video", ["text"])
    assert (await told(call))["state"] == "connected"
    assert "transfer" in {clock["id"] for clock in answer.body["clocks"]}, "writing alone meets no promise"
    page = (await call.officer.get(f"/cases/{call.case}")).body
    assert OPENING["code_word"] in page
    assert "press “Bad connection”" in page


async def test_the_risk_form_is_saved_while_it_is_filled_in_and_stands_there_again(call: Call) -> None:
    async def note(**answers: str) -> tuple[int, int]:
        form = {"risk_tool": "dash", "risk_answers": answers}
        answer = await call.officer.move(call.case, "note_risk", form)
        return answer.status, answer.body.get("version", 0)

    first = await note(injury_now="yes", frightened="no")
    assert await note(injury_now="yes", frightened="no") == first, "what is known is not noted again"
    assert (await note(injury_now="yes", frightened="yes"))[0] == 200
    assert (await note(injury_now="perhaps"))[0] == 422
    page = unescape((await call.officer.get(f"/cases/{call.case}")).body)
    assert "data-boxes" not in page, "before the call there is no such form"
    form = {"contact_mode": "audio", "picture_reason": "no_camera"}
    assert (await call.officer.move(call.case, "continue_without_picture", form)).status == 200
    page = unescape((await call.officer.get(f"/cases/{call.case}")).body)
    assert '"risk_answers.dash.frightened": "yes"' in page
    assert '"risk_answers.dash.injury_now": "yes"' in page
    assert (
        "risk_answers.dash.frightened"
        not in (await (await call.house.sign_in("officer2")).get(f"/cases/{call.case}")).body
    )
    case = await call.house.desk.case(call.case)
    assert (case.risk, case.risk_level) == (None, ""), "nobody is graded by it"


async def test_what_comes_many_times_in_a_call_makes_no_form_stale(call: Call) -> None:
    seen = (await call.officer.get(f"/api/v1/cases/{call.case}")).body["version"]
    assert await says(call, "message", text="One moment") == 204
    answer = await call.officer.move(call.case, "ask_camera", expected_version=seen)
    assert answer.status == 200
    answer = await call.officer.move(call.case, "correct_details", {"source": "101"}, expected_version=seen)
    assert (answer.status, answer.body["code"]) == (409, "stale")


async def test_an_account_is_kept_as_it_was_told_and_a_better_one_stands_beside_it(call: Call) -> None:
    for text, read_back in (("Pushed <hard>", "no"), ("Pushed, and fell", "yes")):
        answer = await call.officer.move(call.case, "take_account", {"account": text, "read_back": read_back})
        assert answer.status == 200
    kept = (await call.officer.get(f"/api/v1/cases/{call.case}")).body["accounts"]
    assert [(one["text"], one["read_back"]) for one in kept] == [("Pushed, and fell", True), ("Pushed <hard>", False)]
    page = (await call.officer.get(f"/cases/{call.case}")).body
    assert "Pushed &lt;hard&gt;" in page
    handler = await call.house.sign_in("handler")
    assert "Pushed" not in (await handler.get(f"/cases/{call.case}")).body


async def test_what_was_written_can_be_read_when_the_call_is_over(call: Call) -> None:
    await says(call, "message", text="The blue door")
    form = {"contact_mode": "text", "picture_reason": "not_safe"}
    for move, told in (
        ("continue_without_picture", form),
        ("confirm_safety", {"alone": "yes", "place_verified": "yes"}),
        ("end_session", {"end_reason": "completed"}),
    ):
        assert (await call.officer.move(call.case, move, told)).status == 200
    page = (await call.officer.get(f"/cases/{call.case}")).body
    assert "The blue door" in page
    assert "form-write_to_victim" not in page
    assert await says(call, "message", text="Too late") == 401
