"""What happens to one invented caller at the desk, from the answer of the call to the closing of the case.

Each press is made by whoever makes it at a desk, and each wait is the caller's own. What the workflow does by itself,
its clocks do: a link that nobody opens, an offer that nobody takes.
"""

from __future__ import annotations

from datetime import timedelta

from rvr.core.commands import THE_MEDIA, Actor
from rvr.joining import the_victim
from rvr.simulation import invented
from rvr.simulation.agenda import PARKED, Steps
from rvr.simulation.callers import Caller
from rvr.simulation.play import Play
from rvr.simulation.queue import DROPS_AFTER

SAFETY_AFTER, LOST_AFTER, RISK_AFTER, PLAN_AFTER = 0.1, 0.15, 0.6, 0.8
"""What part of a session is over when safety is confirmed, video is lost, risk is assessed, actions are planned."""

URGENT, SLOW = "immediate", "other"
"""Response grades: the first that a force has stands in where it has not these."""


async def contact(play: Play, caller: Caller) -> Steps:
    """The whole story. Begins when the call is answered."""
    yield caller.stages["answer_to_open"]
    case = await play.opens(caller, invented.opening(caller, play.workflow))
    if case is None:
        return
    story, id_ = Told(play, caller, case.id), case.id
    play.stories[id_] = play.agenda.current
    yield caller.stages["screening"]
    case = await play.does("call_handler", id_, "answer_criteria", answers=invented.answers(caller, play.workflow))
    if caller.duplicate:
        await play.does("sergeant", id_, "void", void_reason="duplicate")
    elif case is not None and case.eligibility is not None and case.eligibility.way_out == "emergency":
        await play.does("call_handler", id_, "dispatch_emergency")
        async for step in story.attended(caller.urgent_wait_s):
            yield step
    elif caller.fails:
        async for step in story.in_person("not_eligible"):
            yield step
    elif caller.arm == "usual" or not play.staffed:
        async for step in story.in_person("desk_closed"):
            yield step
    else:
        async for step in story.asked():
            yield step


class Told:
    """One caller's case on its way."""

    def __init__(self, play: Play, caller: Caller, id_: str) -> None:
        self.play, self.caller, self.id = play, caller, id_
        self.officer: Actor

    @property
    def state(self) -> str:
        """Where the case is; empty once it is ended."""
        case = self.play.cases.get(self.id)
        return case.state if case is not None else ""

    # --- In person ----------------------------------------------------------------------------------------------------

    async def in_person(self, reason: str, *, urgent: bool = False) -> Steps:
        """Officers are asked for."""
        grades = list(self.play.workflow.force.response_grades)
        wanted = URGENT if urgent else SLOW
        grade = wanted if wanted in grades else grades[0 if urgent else -1]
        form = {"response_grade": grade, "deployment_reason": reason}
        who = "sergeant" if urgent else "call_handler"
        await self.play.does(who, self.id, "request_deployment", **form)
        if urgent or self.caller.usual_attended:
            async for step in self.attended(self.caller.urgent_wait_s if urgent else self.caller.usual_wait_s):
                yield step

    async def attended(self, after_s: float) -> Steps:
        """Officers come, and perhaps arrest somebody; what else they find they report on their own way."""
        yield after_s
        await self.play.does("resourcing", self.id, "record_attendance")
        after_call_s = self.caller.arrested_after_s.get("usual")
        if after_call_s is not None:
            yield max(0.0, after_call_s - self._since_call_s)
            await self.play.does("sergeant", self.id, "record_arrest")

    @property
    def _since_call_s(self) -> float:
        return (self.play.clock.now - self.caller.at).total_seconds()

    # --- The desk -----------------------------------------------------------------------------------------------------

    async def asked(self) -> Steps:
        """The caller could have video, and says whether."""
        play, caller = self.play, self.caller
        yield caller.stages["consent"]
        answer = "given" if caller.consents else "refused"
        await play.does("call_handler", self.id, "record_consent", consent_kind="video", consent_answer=answer)
        if not caller.consents:
            async for step in self.in_person("prefers_in_person"):
                yield step
            return
        yield caller.stages["offer"]
        if not play.staffed:
            async for step in self.in_person("desk_closed"):
                yield step
            return
        await play.does("call_handler", self.id, "offer_handover")
        offered = play.clock.now
        yield caller.stages["accept"]
        ready = play.clock.now
        if play.staffed:
            play.waits.append((caller, play.agenda.current))
            play.agenda.wake_me(max(ready, offered + timedelta(seconds=caller.patience_s)))
            play.serve()
            if caller.number not in play.found:
                yield PARKED
        play.tally.waited_s[caller.number] = (play.clock.now - ready).total_seconds()
        async for step in self.taken() if caller.number in play.found else self.not_taken():
            yield step

    async def not_taken(self) -> Steps:
        """Nobody was free in time: the workflow took the offer back, the caller gave up, or the desk closed."""
        play = self.play
        play.waits = type(play.waits)(one for one in play.waits if one[0] is not self.caller)
        if self.state != "handover":
            play.tally.ended["timed_out"] += 1
            async for step in self.attended(self.caller.urgent_wait_s):
                yield step
            return
        if play.staffed:
            play.tally.ended["left"] += 1
            await play.does("call_handler", self.id, "withdraw_handover", withdraw_reason="prefers_in_person")
            reason = "officer_unavailable"
        else:
            play.tally.ended["closed"] += 1
            await play.does("sergeant", self.id, "decline_handover", decline_reason="desk_closing")
            reason = "desk_closed"
        async for step in self.in_person(reason):
            yield step

    async def taken(self) -> Steps:
        """An officer was found: accepted, assigned, and the link sent."""
        play, caller = self.play, self.caller
        self.officer = play.found[caller.number].actor
        play.tally.ended["drop" if caller.drop else "video"] += 1
        themselves = "sergeant" not in play.workflow.moves["accept_handover"].who
        await play.does(self.officer if themselves else "sergeant", self.id, "accept_handover")
        yield caller.stages["assign"]
        if not themselves:  # in a force without a sergeant's step the officer who takes the caller has the case
            await play.does("sergeant", self.id, "assign_officer", officer=self.officer.id)
        del play.found[caller.number]
        if self.play.cases[self.id].response_grade:
            await play.does("sergeant", self.id, "call_off_deployment", call_off_reason="officer_live")
        yield caller.stages["send_link"]
        await play.does(self.officer, self.id, "send_link")
        if caller.drop == "link_fails":
            while self.state in ("waiting_room", "lost_contact"):
                yield PARKED
            async for step in self.attended(caller.urgent_wait_s):
                yield step
            return
        yield caller.stages["open_link"]
        session = play.cases[self.id].session
        await play.does(the_victim(self.id), self.id, "open_link", link=session.link if session else "")
        if caller.drop == "rings_off":
            async for step in self.lost("battery"):
                yield step
            return
        yield caller.stages["connect"]
        for move in ("victim_connected", "officer_connected", "two_way_video"):
            await play.does(THE_MEDIA, self.id, move)
        async for step in self.on_video():
            yield step

    async def lost(self, reason: str) -> Steps:
        """The caller is gone: officers go there."""
        await self.play.does(self.officer, self.id, "lose_contact", lost_reason=reason)
        async for step in self.in_person("lost_contact", urgent=True):
            yield step

    # --- The call -----------------------------------------------------------------------------------------------------

    async def on_video(self) -> Steps:
        """The session to its end, or to where the caller drops out."""
        play, caller, whole = self.play, self.caller, self.caller.session_s
        yield whole * SAFETY_AFTER
        await play.does(self.officer, self.id, "confirm_safety", alone="yes", place_verified="yes")
        yield whole * (LOST_AFTER - SAFETY_AFTER)
        lost_s = min(caller.lost_for_s, whole * (DROPS_AFTER - LOST_AFTER) / 2)
        if lost_s:
            await play.does(THE_MEDIA, self.id, "interrupt_video", side="victim", cause="silent")
            yield lost_s
            await play.does(THE_MEDIA, self.id, "resume_video")
        yield whole * (DROPS_AFTER - LOST_AFTER) - lost_s
        if caller.drop == "suspect_returns":
            await play.does(the_victim(self.id), self.id, "victim_unsafe")
            async for step in self.lost("suspect_returned"):
                yield step
            return
        if caller.drop == "withdraws":
            await play.does(self.officer, self.id, "end_session", end_reason="victim_asked")
            async for step in self.in_person("withdrew_consent"):
                yield step
            return
        yield whole * (RISK_AFTER - DROPS_AFTER)
        await play.does(self.officer, self.id, "assess_risk", **invented.risk(caller, play.workflow))
        yield whole * (PLAN_AFTER - RISK_AFTER)
        form = {"action_kind": next(iter(play.workflow.safeguarding)), "action_owner": "Invented Officer"}
        await play.does(self.officer, self.id, "plan_safeguarding", **form)
        yield whole * (1 - PLAN_AFTER)
        await play.does(self.officer, self.id, "end_session", end_reason="completed")
        yield caller.wrap_up_s
        await play.does(self.officer, self.id, "submit_for_review")
        async for step in self.decided():
            yield step

    async def decided(self) -> Steps:
        """The sergeant's decision, the investigator, and what came of it."""
        play, caller = self.play, self.caller
        yield caller.review_s
        lpa = str(play.cases[self.id].details.get("lpa", ""))
        told = {"team": invented.team(play.workflow, lpa), "override": "The area's own team, in this simulation."}
        await play.does("sergeant", self.id, "allocate", **told)
        yield caller.review_s
        await play.does("investigator", self.id, "accept_allocation")
        arrested_s = caller.arrested_after_s.get("video")
        if arrested_s is not None:
            yield max(0.0, arrested_s - self._since_call_s)
            await play.does("investigator", self.id, "record_arrest")
        yield max(0.0, caller.outcome_after_s - self._since_call_s)
        await play.does("investigator", self.id, "record_outcome", **OUTCOME_FORM, outcome_code=caller.outcome)
        await play.does("investigator", self.id, "close")


OUTCOME_FORM = {
    "victim_supports": "unknown",
    "evidence_led_done": "yes",
    "outcome_rationale": "Invented for a simulation.",
}
"""What the outcomes that need a record ask for."""
