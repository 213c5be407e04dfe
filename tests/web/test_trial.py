"""The call handler's and the sergeant's page while a trial runs: what is shown, and what each press does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving import PASSWORD, ROOT, Client, Served, served
from tests.trials import switched_on
from tests.web.test_call_taking import sent, shown


def trial(desk: Served, *arguments: str, **environment: str) -> str:
    """The verb, beside the running desk."""
    done = subprocess.run(
        [sys.executable, "-m", "rvr.cli", "trial", *arguments, "--data", str(desk.data)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        input=f"{PASSWORD}\n",
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A desk with a registered trial, served."""
    folder = tmp_path_factory.mktemp("trial")
    secret = folder / "secret"
    secret.write_text(f"{bytes(range(32)).hex()}\n")
    secret.chmod(0o600)
    told = {"RVR_WORKFLOWS": str(switched_on(folder)), "RVR_TRIAL_SECRET_FILE": str(secret)}
    with served(folder / "data", **told) as desk:
        trial(desk, "register", "--secret", str(secret), "--user", "evaluator", **told)
        yield desk


def ready(handler: Client) -> str:
    """An eligible case; nothing is agreed yet."""
    case: str = handler.open_case(victim_sex="female", relationship="partner").body["id"]
    criteria = handler.call("GET", "workflows/da-desk").body["criteria"]
    handler.move(case, "answer_criteria", {"answers": {name: one["met"] for name, one in criteria.items()}})
    return case


def agrees(handler: Client, case: str, *kinds: str) -> str:
    """The page after the victim's answers."""
    for kind in kinds:
        told = {"consent_kind": kind, "consent_answer": "given"}
        page = sent(handler, f"/cases/{case}/moves/record_consent", told)
    return shown(page)


def drawn(handler: Client, arm: str) -> tuple[str, str]:
    """A case whose arm came out so, with its page."""
    for _ in range(12):
        case = ready(handler)
        agrees(handler, case, "video", "evaluation")
        page = shown(sent(handler, f"/cases/{case}/moves/draw_arm", {}))
        if f'data-arm="{arm}"' in page:
            return case, page
        let_go(handler, case)
    raise AssertionError("a block has both arms")


def let_go(handler: Client, case: str) -> None:
    """So that no other draw finds somebody who waits for the last officer: what is drawn for video is offered."""
    if handler.call("GET", f"cases/{case}").body["trial"]["arm"] == "video":
        assert handler.move(case, "offer_handover", {"note": ""}).status == 200
        taken_back(handler, case)


def taken_back(handler: Client, case: str) -> None:
    """The offer, for the same reason."""
    assert handler.move(case, "withdraw_handover", {"withdraw_reason": "opened_in_error"}).status == 200


def test_what_is_missing_before_the_draw_is_told_and_then_one_press_draws(running: Served) -> None:
    handler = running.client("handler")
    case = ready(handler)
    page = agrees(handler, case, "video")
    assert "The trial: draw" in page
    assert "Record first that the victim agrees: Evaluation." in page
    assert "A trial runs: draw first." in page
    assert "decided by lot" in page, "what is read out before the draw"
    assert "data-arm" not in page, "no arm is told before it is drawn"
    page = agrees(handler, case, "evaluation")
    assert re.search(r'<form[^>]*action="/cases/[^"]*/moves/draw_arm"', page)
    assert "draw_arm" not in shown(sent(handler, f"/cases/{case}/moves/draw_arm", {}))
    let_go(handler, case)


def test_the_arm_stands_on_the_page_in_the_desks_words_and_the_offer_goes_with_it(running: Served) -> None:
    handler = running.client("handler")
    case, page = drawn(handler, "video")
    assert "In the trial: Video now" in page
    assert "Offer the handover: an officer speaks with the caller by video." in page
    assert "moves/offer_handover" in page
    assert handler.move(case, "offer_handover", {"note": ""}).body["state"] == "handover"
    told = shown(running.client("sergeant").call("GET", f"/cases/{case}"))
    assert "In the trial: Video now" in told
    taken_back(handler, case)


def test_the_other_arm_sends_officers_and_one_press_with_a_reason_opens_every_way(running: Served) -> None:
    handler = running.client("handler")
    case, page = drawn(handler, "usual")
    assert "In the trial: Officer in person" in page
    assert "moves/offer_handover" not in page
    assert re.search(r'id="step-send".*?moves/request_deployment', page, re.DOTALL), "that is the next step"
    assert "moves/dispatch_emergency" in page
    refused = handler.move(case, "offer_handover", {"note": ""})
    assert refused.status == 422
    assert "In the trial this case has: Officer in person." in refused.body["reasons"][0]["text"]
    faulty = sent(handler, f"/cases/{case}/moves/override_arm", {})
    assert faulty.status == 422
    assert "Fill in: Why the trial is set aside" in shown(faulty)
    page = shown(sent(handler, f"/cases/{case}/moves/override_arm", {"override_reason": "cannot_wait"}))
    assert "Set aside for safety" in page
    assert "Why: The victim cannot wait that long." in page
    assert "moves/offer_handover" in page
    assert handler.move(case, "offer_handover", {"note": ""}).body["state"] == "handover"
    assert handler.call("GET", f"cases/{case}").body["trial"]["arm"] == "usual", "and it stays in its arm"
    taken_back(handler, case)


def test_the_evaluator_sees_the_flow_of_the_trial_and_no_arm_by_its_name(running: Served) -> None:
    drawn(running.client("handler"), "usual")
    page = shown(running.client("evaluator").call("GET", "/evaluation?show=yes"))
    assert re.search(r"Who took part in the trial [a-z0-9-]+ \(CONSORT\)", page)
    assert "Officer in person</" not in page
    assert "Video now" not in page


def test_the_lot_is_read_out_from_the_registration_to_the_stop_and_never_else(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(f"{bytes(range(32)).hex()}\n")
    secret.chmod(0o600)
    told = {"RVR_WORKFLOWS": str(switched_on(tmp_path)), "RVR_TRIAL_SECRET_FILE": str(secret)}
    with served(tmp_path / "data", **told) as desk:
        handler = desk.client("handler")
        case = ready(handler)

        def read_out() -> bool:
            page = shown(handler.call("GET", f"/cases/{case}"))
            lot, plain = "decided by lot" in page, "May your case be counted?" in page
            assert lot != plain
            return lot

        assert not read_out()
        trial(desk, "register", "--secret", str(secret), "--user", "evaluator", **told)
        assert read_out()
        trial(desk, "stop", "--reason", "harm", "--user", "evaluator", **told)
        assert not read_out()


def test_without_a_trial_nothing_of_it_is_on_the_page_or_in_the_case(desk: Served) -> None:
    handler = desk.client("handler")
    case = ready(handler)
    page = agrees(handler, case, "video", "evaluation")
    assert "trial" not in page.lower()
    assert "moves/offer_handover" in page
    told = handler.call("GET", f"cases/{case}").body
    assert told["trial"] is None
    assert not {"draw_arm", "override_arm"} & {move["id"] for move in told["moves"]}
    assert "draw_arm" not in handler.call("GET", "workflows/da-desk").body["moves"]
    assert "CONSORT" not in shown(desk.client("evaluator").call("GET", "/evaluation?show=yes"))


def test_the_check_at_the_end_finds_every_draw_of_these_tests_in_order(running: Served, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(f"{bytes(range(32)).hex()}\n")
    secret.chmod(0o600)
    handler = running.client("handler")
    let_go(handler, drawn(handler, "video")[0])
    workflows = str(next(running.data.parent.glob("workflows")))
    assert "each as the secret has it" in trial(running, "verify", "--secret", str(secret), RVR_WORKFLOWS=workflows)
