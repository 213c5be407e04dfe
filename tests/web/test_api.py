"""The API as a stranger's program uses it: what it gives, and everything that it refuses."""

from __future__ import annotations

import json
import re
import socket
import threading
import tomllib
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.serving import OPENING, ROOT, Client, Served, ready_for_handover


def codes(body: dict[str, Any]) -> list[str]:
    return [reason["code"] for reason in body["reasons"]]


def offered(desk: Served) -> str:
    handler = desk.client("handler")
    case = ready_for_handover(handler)
    assert handler.move(case, "offer_handover", {"note": "calm, speaks quietly"}).status == 200
    return case


# --- The way through ---------------------------------------------------------------------------------------------


def test_a_case_goes_from_the_call_to_allocation(desk: Served) -> None:
    case = offered(desk)
    sergeant, officer = desk.client("sergeant"), desk.client("officer2")
    assert sergeant.move(case, "accept_handover").body["state"] == "accepted"
    assert sergeant.move(case, "assign_officer", {"officer": officer.me["id"]}).status == 200
    assert officer.move(case, "send_link").body["state"] == "waiting_room"
    officer.move(case, "end_session", {"end_reason": "video_failed"})
    assert officer.call("GET", f"cases/{case}").body["state"] == "lost_contact"
    safe = {"alone": "yes", "place_verified": "yes"}
    assert officer.move(case, "contact_regained", safe).body["state"] == "assessment"
    assert officer.move(case, "assess_risk", dash("yes", yes=1, level="medium")).status == 200
    assert officer.move(case, "plan_safeguarding", PLAN).status == 200
    assert officer.move(case, "submit_for_review").body["state"] == "review"
    seen = sergeant.call("GET", f"cases/{case}").body
    assert seen["state"] == "review"
    done = sergeant.move(case, "allocate", {"team": "lpa-birmingham"})
    assert done.body["state"] == "allocated"


PLAN = {"action_kind": "safety_plan", "action_owner": "Olu Officer", "due_at": "2030-01-01T12:00:00Z"}

DASH = tomllib.loads((ROOT / "workflows/risk/dash.toml").read_text())
"""The instrument's own text, read without the product."""


def dash(answer: str, *, yes: int, level: str, **more: str) -> dict[str, Any]:
    """The first questions with this answer, all others no; a set that this opens, too."""
    answers: dict[str, Any] = {}
    for number, question in enumerate(DASH["question"]):
        ticks = question.get("kind") == "matrix" and answer == "yes"
        answers[question["id"]] = (["killed.self"] if ticks else answer) if number < yes else "no"
    for one in DASH["set"]:
        if all(answers[question] in wanted for question, wanted in one["when"].items()):
            answers |= {question["id"]: "no" for question in one["question"]}
    return {"risk_tool": "dash", "risk_answers": answers, "risk_level": level, **more}


def test_two_sergeants_press_accept_at_once_and_one_wins_and_the_other_is_told_who(desk: Served) -> None:
    case = offered(desk)
    sergeants = [desk.client("sergeant"), desk.client("sergeant2")]
    barrier = threading.Barrier(2)

    def press(sergeant: Client) -> Any:
        barrier.wait()
        return sergeant.move(case, "accept_handover")

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(press, sergeants))
    assert sorted(answer.status for answer in answers) == [200, 422]
    (winner,) = [s.me["name"] for s, a in zip(sergeants, answers, strict=True) if a.status == 200]
    (loser,) = [answer.body for answer in answers if answer.status != 200]
    assert any(winner in reason["text"] for reason in loser["reasons"])


def test_the_same_command_again_gives_the_same_answer_and_one_event(desk: Served) -> None:
    handler = desk.client("handler")
    body = {"command_id": str(uuid.uuid4()), "form": OPENING}
    first, again = (handler.call("POST", "cases", body) for _ in range(2))
    assert (first.status, again.status) == (201, 201)
    assert first.body["id"] == again.body["id"]
    assert first.body["version"] == again.body["version"]
    events = handler.call("GET", f"cases/{first.body['id']}/events").body["events"]
    assert [event["type"] for event in events] == ["CaseOpened"]


def test_moves_say_what_is_missing_and_the_door_says_the_same(desk: Served) -> None:
    handler = desk.client("handler")
    case = handler.open_case().body
    (offer,) = [move for move in case["moves"] if move["id"] == "offer_handover"]
    assert not offer["allowed"]
    refused = handler.move(case["id"], "offer_handover")
    assert refused.status == 422
    assert refused.body["reasons"] == offer["reasons"]


def test_a_failed_criterion_says_which_and_why_and_danger_means_emergency_before_anything_else(desk: Served) -> None:
    handler = desk.client("handler")
    case = handler.open_case().body["id"]
    seen = handler.move(case, "answer_criteria", {"answers": {"suspect_away": "no"}}).body
    assert seen["eligibility"]["eligible"] is False
    (why,) = seen["eligibility"]["because"]
    assert (why["id"], why["way_out"]) == ("suspect_away", "emergency")
    assert why["say"]
    assert why["why"]
    assert seen["eligibility"]["way_out"] == "emergency"
    sent = {"response_grade": "other", "deployment_reason": "not_eligible"}
    assert handler.move(case, "request_deployment", sent).status == 422
    assert handler.move(case, "dispatch_emergency").body["emergency"] is True
    assert handler.move(case, "request_deployment", sent).body["state"] == "deployment"


# --- Refusals ----------------------------------------------------------------------------------------------------


def test_nobody_sees_anything_without_signing_in(desk: Served) -> None:
    stranger = desk.client()
    for path in ("cases/x", "board", "session", "workflows", "live"):
        answer = stranger.call("GET", path)
        assert (answer.status, codes(answer.body)) == (401, ["sign-in-first"]), path
        assert answer.headers["Content-Type"].startswith("application/problem+json")


def test_a_wrong_password_and_an_unknown_name_read_alike_and_soon_have_to_wait(desk: Served) -> None:
    stranger = desk.client()
    unknown, wrong = stranger.sign_in("nobody", "x"), stranger.sign_in("auditor", "x")  # one try of five each
    assert unknown.status == wrong.status == 401
    assert unknown.body == wrong.body
    for _ in range(5):
        last = stranger.sign_in("somebody", "guess")
    assert stranger.sign_in("somebody", "guess").status == 429
    assert last.status in (401, 429)
    assert desk.client().sign_in("interpreter").status == 201


def test_a_role_that_may_not_is_told_so_and_other_peoples_cases_do_not_exist(desk: Served) -> None:
    case = offered(desk)
    assert desk.client("sergeant").move(case, "offer_handover").status == 403
    assert desk.client("evaluator").call("GET", f"cases/{case}").status == 403
    assert desk.client("handler2").call("GET", f"cases/{case}").status == 404
    assert desk.client("sergeant").open_case().status == 403
    assert desk.client("handler").call("POST", "exports", {}).status == 403


def test_a_stale_version_is_told_what_changed(desk: Served) -> None:
    case = offered(desk)
    sergeant = desk.client("sergeant")
    before = sergeant.call("GET", f"cases/{case}").body["version"]
    assert desk.client("handler").move(case, "withdraw_handover", {"withdraw_reason": "withdrew_consent"}).status == 200
    stale = sergeant.move(case, "accept_handover", expected_version=before)
    assert stale.status == 409
    assert [change["type"] for change in stale.body["changed"]] == ["HandoverWithdrawn"]
    assert stale.body["version"] == before + 1


def test_an_unknown_move_and_an_unknown_case_are_not_found(desk: Served) -> None:
    handler = desk.client("handler")
    case = handler.open_case().body["id"]
    assert codes(handler.move(case, "fly_away").body) == ["unknown-move"]
    assert handler.move(str(uuid.uuid4()), "offer_handover").status == 404


def test_every_missing_and_wrong_answer_is_told_at_once_beside_its_field(desk: Served) -> None:
    refused = desk.client("handler").open_case(safe_number="12", lpa="atlantis", incident_number="", planet="mars")
    assert refused.status == 422
    assert {reason["field"]: reason["code"] for reason in refused.body["reasons"]} == {
        "safe_number": "not-a-phone-number",
        "lpa": "not-an-option",
        "incident_number": "missing",
        "planet": "unknown-field",
    }


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"{", "not-json"),
        (b"\xff\xfe", "not-json"),
        (b"[]", "not-an-object"),
        (b'{"command_id": NaN}', "not-json"),
        (b'{"a":' * 20 + b"1" + b"}" * 20, "too-deep"),
        (b'{"command_id": 7, "form": {}}', "body-field"),
        (b'{"command_id": "12345678"}', "body-field"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_with_its_reason(desk: Served, raw: bytes, code: str) -> None:
    answer = desk.client("handler").call("POST", "cases", raw=raw)
    assert (answer.status, codes(answer.body)) == (400, [code])


def test_a_body_that_is_too_large_is_refused(desk: Served) -> None:
    raw = json.dumps({"command_id": "x" * 70_000, "form": {}}).encode()
    answer = desk.client("handler").call("POST", "cases", raw=raw)
    assert (answer.status, codes(answer.body)) == (413, ["too-large"])


def test_a_request_without_the_token_or_from_another_site_changes_nothing(desk: Served) -> None:
    handler = desk.client("handler")
    body = {"command_id": str(uuid.uuid4()), "form": OPENING}
    for headers in (
        {"X_CSRF_Token": "wrong"},
        {"Origin": "https://elsewhere.example"},
        {"Sec_Fetch_Site": "cross-site"},
    ):
        refused = handler.call("POST", "cases", body, **headers)
        assert (refused.status, codes(refused.body)) == (403, ["csrf"]), headers
    assert handler.call("POST", "cases", body).status == 201


def test_a_request_for_another_host_reads_nothing(desk: Served) -> None:
    port = desk.url.rpartition(":")[2]
    for host, status in (("rebound.example", 404), (f"rebound.example:{port}", 404), (f"localhost:{port}", 200)):
        for path in ("/demo/outbox", "demo/outbox", "/j"):
            assert desk.client().call("GET", path, Host=host).status == status, (host, path)


def test_the_same_command_id_for_another_request_is_refused(desk: Served) -> None:
    handler = desk.client("handler")
    command = str(uuid.uuid4())
    assert handler.call("POST", "cases", {"command_id": command, "form": OPENING}).status == 201
    again = handler.call("POST", "cases", {"command_id": command, "form": {**OPENING, "lpa": "dudley"}})
    assert (again.status, again.body["code"]) == (422, "command-reused")


# --- The victim's link -------------------------------------------------------------------------------------------


def waiting(desk: Served) -> tuple[str, str, Client]:
    """A case whose link was sent: its id, the token, the officer."""
    case = offered(desk)
    sergeant, officer = desk.client("sergeant"), desk.client("officer")
    sergeant.move(case, "accept_handover")
    assert sergeant.move(case, "assign_officer", {"officer": officer.me["id"]}).status == 200
    assert officer.move(case, "send_link").status == 200
    return case, newest_token(desk), officer


def newest_token(desk: Served) -> str:
    newest = desk.client().call("GET", "demo/outbox").body["messages"][0]
    return re.search(r"/j#([\w-]+)", newest["body"])[1]  # type: ignore[index]


def release(case: str, officer: Client) -> None:
    """The officer is free again for the next test."""
    officer.move(case, "lose_contact", {"lost_reason": "no_answer"})
    grade = {"response_grade": "priority", "deployment_reason": "lost_contact"}
    assert officer.move(case, "request_deployment", grade).status == 200


def test_a_link_lets_one_browser_in_and_lets_it_in_again(desk: Served) -> None:
    case, token, officer = waiting(desk)
    phone = desk.client()
    for _ in range(3):
        assert phone.call("GET", "/j").status == 200
    first = phone.call("POST", "join", {"token": token})
    assert first.status == 200, first.body
    assert phone.call("POST", "join", {"token": token}).body["seat"] == first.body["seat"]
    assert phone.call("POST", "join", {}).body["seat"] == first.body["seat"]
    second = desk.client().call("POST", "join", {"token": token})
    assert (second.status, codes(second.body)) == (422, ["link-second-browser"])
    events = officer.call("GET", f"cases/{case}/events").body["events"]
    assert [e["type"] for e in events].count("LinkOpened") == 1
    assert [e["type"] for e in events].count("LinkRefused") == 1
    release(case, officer)


def test_an_unknown_link_and_a_replaced_link_are_refused_with_what_to_do(desk: Served) -> None:
    unknown = desk.client().call("POST", "join", {"token": "x" * 43})
    assert (unknown.status, codes(unknown.body)) == (404, ["link-unknown"])
    assert (desk.client().call("POST", "join", {})).status == 401
    case, token, officer = waiting(desk)
    assert officer.move(case, "resend_link").status == 200
    replaced = desk.client().call("POST", "join", {"token": token})
    assert (replaced.status, codes(replaced.body)) == (422, ["link-revoked"])
    release(case, officer)


def test_quick_exit_revokes_the_link_and_the_case_is_lost_contact_at_once(desk: Served) -> None:
    case, token, officer = waiting(desk)
    phone = desk.client()
    phone.csrf = phone.call("POST", "join", {"token": token}).body["csrf"]
    left = phone.call("POST", "join/exit", {})
    assert left.status == 204
    assert officer.call("GET", f"cases/{case}").body["state"] == "lost_contact"
    assert phone.call("POST", "join", {"token": token}).status == 422
    release(case, officer)


def test_asking_for_help_dispatches_emergency_and_leaves_the_session_as_it_is(desk: Served) -> None:
    case, token, officer = waiting(desk)
    phone = desk.client()
    phone.csrf = phone.call("POST", "join", {"token": token}).body["csrf"]
    assert phone.call("POST", "join/unsafe", {}).status == 204
    seen = officer.call("GET", f"cases/{case}").body
    assert (seen["emergency"], seen["state"]) == (True, "waiting_room")
    assert phone.call("POST", "join/unsafe", {}, X_CSRF_Token="wrong").status == 403
    release(case, officer)


def test_a_seat_is_its_own_persons_and_an_offer_that_is_no_sdp_is_refused(desk: Served) -> None:
    case, token, officer = waiting(desk)
    phone = desk.client()
    joined = phone.call("POST", "join", {"token": token}).body
    phone.csrf = joined["csrf"]
    seat = f"media/{joined['seat']}"
    sdp = {"Content_Type": "application/sdp"}
    assert desk.client().call("POST", seat, raw=b"v=0", **sdp).status == 404
    assert officer.call("POST", seat, raw=b"v=0", **sdp).status == 404
    assert phone.call("POST", seat, raw=b"v=0").status == 400
    refused = phone.call("POST", seat, raw=b"v=0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n", **sdp)
    assert (refused.status, codes(refused.body)) == (400, ["media-refused"])
    assert phone.call("POST", f"media/{uuid.uuid4()}", raw=b"v=0", **sdp).status == 404
    release(case, officer)


def test_a_flood_on_one_case_does_not_keep_an_emergency_out(desk: Served) -> None:
    case, _, officer = waiting(desk)
    sergeant = desk.client("sergeant")
    attempt = {"attempt_result": "no_answer"}
    with ThreadPoolExecutor(41) as pool:
        flood = [pool.submit(officer.move, case, "record_contact_attempt", attempt) for _ in range(40)]
        emergency = pool.submit(sergeant.move, case, "dispatch_emergency").result()
        answers = [one.result().status for one in flood]
    assert emergency.status == 200
    assert answers == [200] * 40
    release(case, officer)


def test_an_officer_who_has_handed_over_reads_nothing_more_by_an_old_command_id(desk: Served) -> None:
    case, _, officer = waiting(desk)
    body = {"command_id": str(uuid.uuid4()), "form": {"attempt_result": "no_answer"}}
    path = f"cases/{case}/moves/record_contact_attempt"
    assert officer.call("POST", path, body).body["personal"]["victim_name"] == OPENING["victim_name"]
    sergeant, other = desk.client("sergeant"), desk.client("officer2")
    assert sergeant.move(case, "assign_officer", {"officer": other.me["id"]}).status == 200
    again = officer.call("POST", path, body)
    assert again.status == 200
    assert "personal" not in again.body
    release(case, other)


# --- Every path and every answer ---------------------------------------------------------------------------------


def test_the_description_is_true_every_path_answers_as_it_says(desk: Served) -> None:
    document = desk.client().call("GET", "openapi.json").body
    staff = {name: desk.client(name) for name in ("handler", "sergeant", "evaluator", "officer")}
    case = staff["handler"].open_case().body["id"]
    fills = {"{id}": case, "{move}": "record_consent", "{seat}": str(uuid.uuid4())}
    fills |= {"{action}": "device", "{what}": "quality"}
    called = 0
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if operation["operationId"] in ("sign_out", "feed", "victim"):  # ends the sign-in; streams have tests
                continue
            real = path.replace("{id}", "da-desk" if path.startswith("/workflows") else case)
            for name, value in fills.items():
                real = real.replace(name, value)
            roles = set(operation["x-roles"])
            client = next((c for c in staff.values() if roles & set(c.me["roles"])), desk.client())
            answer = client.call(method.upper(), real.lstrip("/"), {} if method == "post" else None)
            assert str(answer.status) in operation["responses"], (method, path, answer.status, answer.body)
            called += 1
    assert called >= 17


def test_every_answer_carries_the_headers_that_keep_it_safe(desk: Served) -> None:
    handler = desk.client("handler")
    for method, path in (("GET", "/"), ("GET", "/j"), ("GET", "board"), ("GET", "/nowhere"), ("POST", "cases")):
        headers = handler.call(method, path, {} if method == "POST" else None).headers
        assert "default-src 'none'" in headers["Content-Security-Policy"], path
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cache-Control"] == "no-store", path
        assert "geolocation=()" in headers["Permissions-Policy"]
        assert headers["Server"] == "RVR"


def test_signing_out_ends_the_sign_in_on_the_server(desk: Served) -> None:
    handler = desk.client("handler")
    kept = dict(handler.cookies)
    assert handler.call("DELETE", "session").status == 204
    handler.cookies = kept
    assert handler.call("GET", "session").status == 401


def test_the_feed_says_what_changed_and_resumes_from_the_last_id(desk: Served) -> None:
    sergeant = desk.client("sergeant")
    position = sergeant.call("GET", "board").body["position"]
    case = offered(desk)
    path = f"/api/v1/live?topics=board,case/{case}"
    lines = read_stream(desk, sergeant, path, last_id=position, until="HandoverOffered")
    data = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
    assert {"topic": "board", "type": "changed", "subject": case} in data
    assert {"topic": f"case/{case}", "type": "CaseOpened", "subject": case} in data
    assert desk.client("officer").call("GET", f"live?topics=case/{case}").status == 404


@pytest.mark.parametrize(
    ("path", "content_type", "raw"),
    [
        ("session", "application/json; charset=bogus", b"{}"),
        ("session", "application/json", b'{"username": "\\ud800", "password": "x"}'),
        ("/sign-in", "application/x-www-form-urlencoded; charset=bogus", b"username=x"),
        ("/sign-in", "multipart/form-data", b"username=x"),
        ("/sign-in", "multipart/form-data; boundary=b", b"--b\r\nbroken"),
    ],
)
def test_what_cannot_be_read_is_no_fault_of_ours(desk: Served, path: str, content_type: str, raw: bytes) -> None:
    answer = desk.client().call("POST", path, raw=raw, Content_Type=content_type)
    assert answer.status in (400, 401, 413), answer.body


def test_forty_guesses_at_once_are_counted_as_forty(desk: Served) -> None:
    with ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda _: desk.client().sign_in("nobody-else", "guess").status, range(40)))
    assert (answers.count(401), answers.count(429)) == (5, 35)


def test_a_pages_feed_carries_many_topics_and_leaves_out_what_may_not_be_seen(desk: Served) -> None:
    mine, others = offered(desk), desk.client("handler2").open_case().body["id"]
    topics = f"/live?topics=board,case/{others},case/{mine}"
    lines = read_stream(desk, desk.client("handler"), topics, last_id=0, until=f"event: case/{mine}")
    events = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    assert events == ["board", "gone", f"case/{mine}"]
    assert f"data: case/{others}" in lines


def test_a_pages_feed_is_refused_to_a_page_of_another_sign_in(desk: Served) -> None:
    before, after = desk.client("sergeant"), desk.client("sergeant")
    after.csrf = before.csrf
    assert after.call("GET", "/live?topics=board").status == 403


@pytest.mark.parametrize("topics", ["", "people", "case/", "case/a%0Aevent:%20board", ",".join(["case/x"] * 2 + ["b"])])
def test_a_feed_of_topics_that_there_are_not_is_refused(desk: Served, topics: str) -> None:
    topics = topics or ",".join(f"case/{n}" for n in range(21))
    sergeant = desk.client("sergeant")
    assert sergeant.call("GET", f"/live?topics={topics}").status == 400
    assert sergeant.call("GET", f"/api/v1/live?topics={topics}").status == 400


def read_stream(desk: Served, client: Client, path: str, *, last_id: int, until: str) -> list[str]:
    """Reads an event stream over a bare socket until a line holds a word."""
    host, port = desk.url.removeprefix("http://").split(":")
    cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    head = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nCookie: {cookies}\r\n"
    head += f"X-CSRF-Token: {client.csrf}\r\nLast-Event-ID: {last_id}\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=10) as wire:
        wire.sendall(head.encode())
        text = ""
        while until not in text:
            chunk = wire.recv(65536)
            assert chunk, text
            text += chunk.decode()
    return text.splitlines()
