"""When a case is proposed for more than the usual route: specialist investigators, or the MARAC.

The rules are the workflow's, dated and local. Each proposal names the cases that it rests on; a person decides.
"""

from __future__ import annotations

from collections.abc import Sequence

from rvr.core import history as past
from rvr.core.case import Case
from rvr.core.conditions import Facts
from rvr.core.events import EscalationProposed
from rvr.core.history import PastCase
from rvr.core.moment import Moment
from rvr.core.vocabulary import Basis
from rvr.core.workflow import Rule, Workflow

COUNTS = ("pair", "victim", "suspect_victims", "marac_pair")
"""What a rule may count."""


def proposals(workflow: Workflow, case: Case, basis: Basis, facts: Facts, at: Moment) -> list[EscalationProposed]:
    """Every rule that holds now and was not proposed for this case before."""
    history, found = basis.history, []
    for rule in workflow.rules.values():
        if rule.id in case.escalations or (rule.counts and not history):  # a first case repeats nothing
            continue
        if rule.counts == "suspect_victims" and _victim_in_doubt(case, basis):
            continue
        if rule.when is not None and not rule.when.holds(facts):
            continue
        count, cases = _counted(rule, case, history)
        if not rule.counts or count >= rule.at_least:
            found.append((rule, count, cases))
    if not found:
        return []
    today = workflow.force.hours.local(at.at).date()
    return [
        EscalationProposed(
            rule=rule.id, proposes=rule.proposes, count=count, cases=", ".join(one.reference for one in cases)
        )
        for rule, count, cases in found
        if rule.since <= today <= rule.until
    ]


def _victim_in_doubt(case: Case, basis: Basis) -> bool:
    """Somebody has still to say whether the victim is one of an earlier case: until then nobody counts as another."""
    proposed = {one.person_id for one in basis.candidates if one.role == "victim"}
    return case.victim_id not in proposed and not proposed <= case.not_the_same


def _counted(rule: Rule, case: Case, history: Sequence[PastCase]) -> tuple[int, tuple[PastCase, ...]]:
    """What the rule counts, this case included, and the earlier cases that it rests on; a rule of risk: its points."""
    match rule.counts:
        case "pair":
            cases = past.of_pair(history, case.victim_id, case.suspect_id, case.opened_at, rule.within_days)
            return len(cases) + 1, cases
        case "victim":
            cases = past.of_victim(history, case.victim_id, case.opened_at, rule.within_days)
            return len(cases) + 1, cases
        case "suspect_victims":
            cases = past.of_suspect(history, case.suspect_id, case.opened_at, rule.within_days)
            return len({case.victim_id, *(one.victim_id for one in cases)}), cases
        case "marac_pair":
            cases = past.of_pair(history, case.victim_id, case.suspect_id, case.opened_at, rule.within_days)
            heard = tuple(one for one in cases if one.marac)
            return len(heard), heard
    return case.risk.score if case.risk else 0, ()
