"""Whole cases, each lived from its opening on, and the week that they make."""

from __future__ import annotations

from datetime import timedelta

from rvr.core.moment import iso
from tests.evaluation.days import CANARY, Days


async def allocated(days: Days) -> str:
    """The whole way to allocation and an outcome, with one interruption."""
    case = await days.opens(answered_s_ago=75.5)
    await days.screens(case)
    await days.does(case, "handler", "correct_details", children="no", victim_name=f"{CANARY} Again")
    await days.agrees(case)
    await days.offered(case)
    await days.waits(case)
    await days.media(case, "two_way")
    await days.is_safe(case)
    await days.with_guests(case)
    for up_kbps, fps in ((900, 29.7), (140, 4.2), (610, 14.9), (0, 0), (880, 30), (905, 30)):
        await days.measures(case, "victim", up_kbps=up_kbps, fps=fps)
        await days.measures(case, "officer", up_kbps=1000)
    await days.media(case, "lost", "victim", 60, "silent")
    await days.media(case, "resumed", None, 40)
    await days.does(case, "officer", "end_session", 900.000001, end_reason="completed")
    await days.assessed(case)
    await days.does(case, "officer", "submit_for_review")
    await days.does(case, "sergeant", "return_to_officer", return_reason="risk_unclear", note=f"{CANARY} return")
    await days.does(case, "officer", "submit_for_review")
    await days.does(case, "sergeant", "allocate", 120, team="lpa-coventry", override=f"{CANARY} override")
    record = {"victim_supports": "no", "evidence_led_done": "yes", "outcome_rationale": f"{CANARY} said"}
    await days.does(case, "investigator", "record_outcome", 86_400, outcome_code="16", **record)
    return case


async def attended(days: Days) -> str:
    """Not eligible: an officer comes in person; filed, reopened, and closed."""
    case = await days.opens(source="101", lpa="walsall")
    await days.screens(case, adult="no", speaks_english="unknown", able_to_decide="refused")
    await days.does(case, "handler", "request_deployment", response_grade="other", deployment_reason="not_eligible")
    await days.does(case, "resourcing", "record_no_reply", 4000)
    await days.runs_out(case, "service_level", 86_400)
    await days.does(case, "resourcing", "record_attendance", 500)
    await days.assigned(case)
    await days.assessed(case)
    considered = {"evidence_led": "not_viable", "evidence_led_reason": f"{CANARY} no witness"}
    await days.does(case, "officer", "consider_evidence_led", **considered)
    await days.does(case, "officer", "submit_for_review")
    await days.filed(case)
    await days.does(case, "investigator", "reopen", 5000, reopen_reason="new_information")
    await days.filed(case)
    await days.does(case, "investigator", "close", 5000)
    return case


async def again(days: Days) -> str:
    """The same victim and suspect as in the first case; without a camera, so that an officer comes in person."""
    case = await days.opens(lpa="dudley")
    await days.is_the_same(case, "victim", days.told["allocated"])
    await days.is_the_same(case, "suspect", days.told["allocated"])
    await days.screens(case, can_use_video="no")
    await days.does(case, "handler", "request_deployment", response_grade="priority", deployment_reason="device")
    await days.does(case, "resourcing", "record_attendance", 1800)
    return case


async def reported(days: Days) -> str:
    """A crime report of another victim of the first case's suspect: sent back by one team, taken by the next."""
    case = await days.reports()
    await days.is_the_same(case, "suspect", days.told["allocated"])
    await days.assigned(case)
    await days.assessed(case)
    asked = {"partner": "black_country", "referral_basis": "consent", "note": f"{CANARY} asked"}
    (referral,) = (await days.does(case, "officer", "make_referral", **asked)).referrals
    await days.does(case, "officer", "receive_referral", 3600, referral=referral)
    await days.does(case, "officer", "close_referral", 3600, referral=referral, referral_result="contacted")
    await days.does(case, "officer", "submit_for_review")
    await days.does(case, "sergeant", "allocate", 120, team="specialist")
    await days.does(case, "investigator", "reject_allocation", 3000, reject_reason="wrong_team")
    await days.does(case, "sergeant", "allocate", 600, team="ppu", override=f"{CANARY} override")
    await days.does(case, "investigator", "accept_allocation", 1200)
    await days.does(case, "investigator", "record_contact_attempt", 2400, attempt_result="reached")
    await investigated(days, case)
    await days.does(case, "investigator", "close", 5000)
    return case


async def investigated(days: Days, case: str) -> None:
    """Two suspects: one is sought, arrested and charged, the other eliminated."""
    await days.does(case, "investigator", "record_support", support="supports", support_reason="none_given")
    added = await days.does(case, "investigator", "add_suspect", another_suspect=f"{CANARY} Second")
    second = next(suspect for suspect in added.suspects if suspect != added.suspect_id)
    sought = {"suspect_status": "outstanding", "grounds": f"{CANARY} grounds"}
    await days.does(case, "investigator", "change_suspect", **sought)
    for status in ("eliminated", "named", "eliminated"):
        await days.does(case, "investigator", "change_suspect", suspect=second, suspect_status=status)
    await days.does(case, "investigator", "record_arrest", 90_000)
    charged = {"charged_on": "2026-11-30", "first_hearing_on": "2026-12-14"}
    await days.does(case, "investigator", "record_charge", 3600, **charged)
    await days.does(case, "investigator", "record_support", support="withdrew", support_reason="fear")
    await days.does(case, "investigator", "record_outcome", outcome_code="1")


async def kept(days: Days) -> str:
    """Accepted while the officer is on a break; the victim names a safe time, and the officer makes contact then."""
    case = await days.opens(answered_s_ago=30)
    await days.screens(case)
    await days.agrees(case)
    await days.offered(case)
    await days.duty("break")
    await days.does(case, "sergeant", "accept_handover", 20)
    await days.duty("on")
    await days.does(case, "sergeant", "make_appointment", **an_appointment(days))
    await days.assigned(case)
    await days.runs_down(case, "appointment", -900)
    days.later(800)
    await days.joins(case)
    await days.media(case, "two_way")
    await days.is_safe(case)
    await days.does(case, "officer", "end_session", 600, end_reason="completed")
    await days.assessed(case)
    await days.does(case, "officer", "submit_for_review")
    return case


async def missed(days: Days) -> str:
    """The victim names a safe time, and nobody makes contact."""
    case = await days.opens()
    await days.screens(case, private_place="no")
    await days.does(case, "handler", "make_appointment", **an_appointment(days))
    await days.runs_down(case, "appointment", 900)
    return case


def an_appointment(days: Days) -> dict[str, str]:
    """In two hours."""
    at = iso(days.clock.at + timedelta(hours=2))
    return {"appointment_at": at, "appointment_reason": "not_private", "appointment_how": f"{CANARY} ring twice"}


async def declined_then_accepted(days: Days) -> str:
    """A refusal, then consent; the first offer is declined, the second accepted so late that officers went out."""
    case = await days.opens()
    await days.screens(case)
    await days.agrees(case, "refused")
    await days.agrees(case)
    await days.offered(case)
    await days.does(case, "sergeant", "decline_handover", 30, decline_reason="no_officer_free", note=f"{CANARY} no")
    await days.offered(case)
    for after_s in (300, 480, 600, 900):
        await days.runs_out(case, "handover", after_s)
    await days.waits(case)
    await days.media(case, "two_way")
    await days.does(case, "resourcing", "record_attendance", 33)
    await days.does(case, "sergeant", "dispatch_emergency", 33)
    return case


async def lost(days: Days) -> str:
    """Contact breaks twice; the workflow itself sends officers, who have not arrived yet."""
    case = await days.opens(answered_s_ago=20)
    await days.screens(case)
    await days.agrees(case)
    await days.offered(case)
    await days.waits(case)
    await days.media(case, "two_way")
    await days.media(case, "lost", "victim", 60, "failed")
    await days.runs_out(case, "reconnect", 120)
    tried = {"attempt_result": "no_answer", "note": f"{CANARY} attempt"}
    await days.does(case, "officer", "record_contact_attempt", **tried)
    await days.runs_out(case, "safe_contact", 600, 1.5)
    return case


async def voided(days: Days) -> str:
    """Made void with one safety question asked."""
    case = await days.opens()
    await days.does(case, "handler", "answer_criteria", answers={"suspect_away": "unknown"})
    await days.does(case, "sergeant", "void", 45, void_reason="duplicate")
    return case


async def still_open(days: Days) -> str:
    """Opened a moment ago."""
    return await days.opens(answered_s_ago=3)


STORIES = {  # the desk has one officer: each story but the last of those who need one lets the officer go
    "allocated": allocated,
    "attended": attended,
    "lost": lost,
    "again": again,
    "reported": reported,
    "kept": kept,
    "missed": missed,
    "declined": declined_then_accepted,
    "voided": voided,
    "open": still_open,
}


async def a_week(days: Days) -> dict[str, str]:
    """Every story once, some time apart; gives the cases' ids."""
    for name, story in STORIES.items():
        days.later(3600)
        days.told[name] = await story(days)
    return days.told
