"""What a wait depends on, read from a workflow: which states hold an officer, and when the workflow moves on by itself.

The short reckoning of `queue` rests on these few numbers. They are looked up in the definition and never written here,
so that a workflow that is changed changes the answer.
"""

from __future__ import annotations

from dataclasses import dataclass

from rvr.core.workflow import ClockDef, Move, Workflow

OFFERS, ACCEPTS, LINKS, MEETS, ENDS, SUBMITS = WAY = (
    "offer_handover",
    "accept_handover",
    "send_link",
    "two_way_video",
    "end_session",
    "submit_for_review",
)
"""The way of a case with video, move by move."""


class NoSuchWay(Exception):
    """A workflow has no way from a call to an officer on video: a sentence."""


@dataclass(frozen=True, slots=True)
class Stages:
    """The numbers of one workflow, in seconds."""

    gives_up_s: int | None
    """After so long in the queue the workflow takes the offer back; None: never."""
    link_lost_s: int | None
    """After so long with a link that nobody opens the officer is let go; None: never."""
    wraps_up: bool
    """Whether the officer stays bound after the call, until the case is submitted."""
    promise_s: int
    """What is promised from the opening of the case to an officer on video."""


def stages_of(workflow: Workflow) -> Stages:
    """Reads them from the definition. Raises NoSuchWay where it has not all of the moves."""
    if missing := [move for move in WAY if move not in workflow.moves]:
        raise NoSuchWay(f"The workflow {workflow.id} has no {', '.join(missing)}: there is nothing to simulate")
    queue, waiting_room = (_leads_to(workflow.moves[move]) for move in (OFFERS, LINKS))
    return Stages(
        gives_up_s=_time_in(workflow, queue, workflow.moves[OFFERS], held=False),
        link_lost_s=_time_in(workflow, waiting_room, workflow.moves[LINKS], held=True),
        wraps_up=workflow.states[_leads_to(workflow.moves[ENDS])].keeps_officer,
        promise_s=workflow.clocks["transfer"].target_s if "transfer" in workflow.clocks else 600,
    )


def _leads_to(move: Move) -> str:
    """The state that it usually leads to: its first branch."""
    return move.to[0].state


def _time_in(workflow: Workflow, state: str, entered_by: Move, *, held: bool) -> int | None:
    """How long a case in which nobody does anything stays there; with `held`, until an officer is no longer bound."""
    total, seen = 0, set[str]()
    while state not in seen:
        seen.add(state)
        soonest = min(_ways_out(workflow, state, entered_by), default=None)
        if soonest is None:
            return None
        after_s, state, move = soonest
        total, entered_by = total + after_s, workflow.moves[move]
        if not (held and workflow.states[state].keeps_officer):
            return total
    return None


def _ways_out(workflow: Workflow, state: str, entered_by: Move) -> list[tuple[int, str, str]]:
    """(after so many seconds, to which state, by which move) of what the workflow does by itself there."""
    found = []
    for clock in workflow.clocks.values():
        if _begins(clock, state, entered_by):
            for threshold in clock.thresholds:
                move = workflow.moves.get(threshold.do)
                if move is not None and state in move.sources and move.to and _leads_to(move) not in ("", state):
                    found.append((threshold.after_s, _leads_to(move), move.id))
    return found


def _begins(clock: ClockDef, state: str, entered_by: Move) -> bool:
    """Whether it starts when the state is entered so. One with targets of its own counts from those, not from here."""
    by_event = any(trigger.event == entered_by.event and not trigger.where for trigger in clock.starts)
    return (state in clock.runs_in or by_event) and not clock.by and not clock.until_fact
