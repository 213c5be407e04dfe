"""Somebody in the control room looks over the verdicts, without personal data, and the sergeant hears of it."""

from __future__ import annotations

import re

from tests.serving import Client, Served, ready_for_handover

NOTE = "Two answers contradict each other"


def table(page: str, caption: str) -> str:
    """The table of this caption."""
    found = re.search(rf"<caption[^>]*>{caption}.*?</table>", page, re.DOTALL)
    return found[0] if found else ""


def board(someone: Client) -> str:
    return str(someone.call("GET", "/").body.decode())


def test_a_verdict_is_looked_over_once_and_the_sergeant_reads_what_was_found(desk: Served) -> None:
    handler, specialist, sergeant = (desk.client(name) for name in ("handler", "specialist", "sergeant"))
    case = ready_for_handover(handler)
    reference = specialist.call("GET", f"cases/{case}").body["reference"]
    assert reference in table(board(specialist), "Triage of the last 24 hours")
    page = specialist.call("GET", f"/cases/{case}").body.decode()
    assert "form-check_triage" in page
    assert not any(name in page for name in ("Testa", "Example Street", "900123", "umbrella"))
    assert specialist.move(case, "check_triage", {"triage_finding": "perhaps"}).status == 422
    found = {"triage_finding": "answers_do_not_fit", "triage_note": NOTE}
    assert specialist.move(case, "check_triage", found).status == 200
    shown = board(specialist)
    assert reference not in table(shown, "Triage of the last 24 hours")
    assert reference in table(shown, "Looked over in the last 24 hours")
    assert "The answers do not fit together" in table(shown, "Looked over in the last 24 hours")

    page = sergeant.call("GET", f"/cases/{case}").body.decode()
    assert NOTE in page
    assert "The answers do not fit together" in page
    assert "Somebody looked over the triage" in board(sergeant)
    (told,) = sergeant.call("GET", f"cases/{case}").body["triage_checks"]
    assert (told["finding"], told["note"], told["by"]["name"]) == ("answers_do_not_fit", NOTE, "Cass Specialist")
    assert specialist.call("GET", f"cases/{case}").body["triage_checks"][0]["note"] == ""
    assert "triage_checks" not in handler.call("GET", f"cases/{case}").body
    assert NOTE not in handler.call("GET", f"/cases/{case}").body.decode()


def test_a_new_verdict_is_to_be_looked_over_again(desk: Served) -> None:
    handler, specialist = desk.client("handler"), desk.client("specialist")
    case = ready_for_handover(handler)
    reference = specialist.call("GET", f"cases/{case}").body["reference"]
    assert specialist.move(case, "check_triage", {"triage_finding": "right"}).status == 200
    assert reference not in table(board(specialist), "Triage of the last 24 hours")
    assert handler.move(case, "answer_criteria", {"answers": {"adult": "no"}}).status == 200
    assert reference in table(board(specialist), "Triage of the last 24 hours")


def test_nobody_else_records_a_look_and_a_case_without_a_verdict_has_none(desk: Served) -> None:
    handler, specialist, sergeant = (desk.client(name) for name in ("handler", "specialist", "sergeant"))
    case = handler.open_case().body["id"]
    assert specialist.move(case, "check_triage", {"triage_finding": "right"}).status == 422
    case = ready_for_handover(handler)
    for someone in (handler, sergeant):
        assert someone.move(case, "check_triage", {"triage_finding": "right"}).status == 403
