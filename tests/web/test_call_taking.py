"""The call handler's pages over HTTP: what a script is told that sends a form; a verdict while some are left."""

from __future__ import annotations

import html
import re
import uuid
from urllib.parse import urlencode

from tests.serving import OPENING, Answer, Client, Served, ready_for_handover


def sent(client: Client, path: str, form: dict[str, str], *, by_script: bool = True) -> Answer:
    """A page's form, as a browser sends it."""
    body = urlencode({"csrf": client.csrf, "command_id": str(uuid.uuid4()), **form}).encode()
    script = {"X_RVR_Fragment": "1"} if by_script else {}
    return client.call("POST", path, raw=body, Content_Type="application/x-www-form-urlencoded", **script)


def shown(answer: Answer) -> str:
    return html.unescape(answer.body.decode())


def test_a_script_that_opens_a_case_is_told_where_to_go_and_pressing_again_opens_no_second(desk: Served) -> None:
    handler = desk.client("handler")
    opening = {"workflow": "da-desk", "command_id": str(uuid.uuid4()), **OPENING}
    first, again = (sent(handler, "/cases", opening) for _ in range(2))
    assert (first.status, again.status) == (200, 200)
    assert re.fullmatch(r"/cases/[0-9a-f-]{36}", first.headers["X-RVR-Go"])
    assert again.headers["X-RVR-Go"] == first.headers["X-RVR-Go"]
    faulty = sent(handler, "/cases", {**opening, "command_id": str(uuid.uuid4()), "victim_name": ""})
    assert faulty.status == 422
    assert "Fill in: Victim's name" in shown(faulty)
    assert 'value="WM-2026-112233"' in shown(faulty)


def test_each_answer_is_saved_alone_and_the_verdict_follows(desk: Served) -> None:
    handler = desk.client("handler")
    case = handler.open_case().body["id"]
    move = f"/cases/{case}/moves/answer_criteria"
    danger = shown(sent(handler, move, {"answers.suspect_away": "no"}))
    assert "The suspect is, or may be, with the victim" in danger
    assert "emergency response now" in danger
    told = handler.call("GET", f"cases/{case}").body
    assert told["answers"] == {"suspect_away": "no"}
    # Corrected: nothing has failed any more, and questions are left. That is no verdict.
    corrected = sent(handler, move, {"answers.suspect_away": "yes"})
    assert corrected.status == 200
    assert 'id="verdict"' not in shown(corrected)
    assert "data-open" in re.search(r'<details[^>]*id="questions-form"[^>]*>', shown(corrected))[0]  # type: ignore[index]
    criteria = handler.call("GET", "workflows/da-desk").body["criteria"]
    for name, criterion in criteria.items():
        last = sent(handler, move, {f"answers.{name}": criterion["met"]})
    assert "video can be offered" in shown(last)
    assert "data-open" not in re.search(r'<details[^>]*id="questions-form"[^>]*>', shown(last))[0]  # type: ignore[index]


def test_consent_to_evaluation_is_asked_apart_from_consent_to_video(desk: Served) -> None:
    handler = desk.client("handler")
    case = handler.open_case().body["id"]
    move = f"/cases/{case}/moves/record_consent"
    page = shown(handler.call("GET", f"/cases/{case}"))
    assert 'id="form-record_consent-evaluation"' in page
    assert "We study how quickly we respond" in page
    assert 'id="form-record_consent-recording"' in page, "this force records"
    assert 'id="form-record_consent-still"' not in page, "that is asked when there is something to show"
    refused = sent(handler, move, {"consent_kind": "evaluation", "consent_answer": ""})
    assert refused.status == 422
    assert re.search(r'id="consent-evaluation"[^>]* data-open', shown(refused))
    for kind, answer in (("evaluation", "refused"), ("video", "given")):
        assert sent(handler, move, {"consent_kind": kind, "consent_answer": answer}).status == 200
    assert handler.call("GET", f"cases/{case}").body["consents"] == {"evaluation": "refused", "video": "given"}


def test_who_speaks_the_victims_language_is_offered_first_and_says_so(desk: Served) -> None:
    handler, sergeant = desk.client("handler"), desk.client("sergeant")
    asked = {"victim_language": "polish", "officer_wish": "man"}
    case = ready_for_handover(handler, **asked)
    assert handler.move(case, "offer_handover").status == 200
    assert sergeant.move(case, "accept_handover").status == 200
    page = shown(sergeant.call("GET", f"/cases/{case}"))
    select = re.search(r'<select[^>]*name="officer".*?</select>', page, re.DOTALL)[0]  # type: ignore[index]
    options = re.findall(r'<option value="[^"]+">([^<]+)<', select)
    assert [one.partition(" (")[0] for one in options] == ["Orla Officer", "Olu Officer"]
    assert "speaks the victim's language, as the victim asked, honour-based abuse" in options[0]
    assert "does not speak the victim's language, not as the victim asked, stalking" in options[1]
