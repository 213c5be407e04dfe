"""The planner's verbs at the terminal: how many officers a shift needs, and how long a trial would take."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from rvr.config import Settings
from rvr.core.workflow import Workflow
from rvr.opening import Fault
from rvr.simulating import a_day, a_shift, people_of, shifts_of, workflow_of
from rvr.simulation import power, staffing
from rvr.simulation.callers import DROPS_OF, Rate
from rvr.simulation.estimates import Estimate
from rvr.simulation.population import Population
from rvr.simulation.queue import Shift
from rvr.simulation.stages import NoSuchWay, stages_of
from rvr.terminal import say

VERBS = ("staffing", "power")

CHRISTMAS, CHRISTMAS_DAYS = (12, 24), 5


def add_verbs(verbs: Any, people: argparse.ArgumentParser) -> None:
    """The verbs with their options. `people`: those of every verb about an invented population."""
    one = verbs.add_parser("staffing", parents=[people], help="how many officers each shift needs")
    one.add_argument("--share", type=_share, default=0.95, help="of the handovers; default 0.95")
    one.add_argument("--within", type=_seconds, default=600.0, metavar="SECONDS", help="an officer is found (600)")
    told = "in place of the desk's hours in two halves; without =N the number is looked for"
    one.add_argument("--shift", type=a_shift, action="append", default=[], metavar="HH:MM-HH:MM[=N]", help=told)
    one.add_argument("--hours", type=a_shift, metavar="HH:MM-HH:MM", help="what if the desk were open so")
    one.add_argument("--session-minutes", type=_seconds, metavar="N", help="what if half of the calls were longer")
    one.add_argument("--wrap-up-minutes", type=_seconds, metavar="N", help="the same of the writing afterwards")
    one.add_argument("--growth", type=_growth, default=0.05, help="of demand in a year, with --years; 0.05")
    one.add_argument("--years", type=float, default=0.0, metavar="N", help="what if demand had grown for so long")
    one.add_argument("--christmas", action="store_true", help="24 to 28 December alone")
    one.add_argument("--start", type=a_day, default="2026-11-23", metavar="DAY", help="the first day that counts")
    one.add_argument("--days", type=float, default=28.0, metavar="N", help="of one run (28)")
    one.add_argument("--runs", type=int, default=20, metavar="N", help="independent ones (20)")
    one.add_argument("--json", action="store_true", help="for programs")
    one = verbs.add_parser("power", parents=[people], help="play a trial: its power, and how long it takes")
    one.add_argument("--usual", type=_share, help="share with the outcome, business as usual (an arrest in 30 days)")
    one.add_argument("--video", type=_share, help="the same among those who were given video")
    one.add_argument("--delivered", type=_share, help="share of those allotted to video who are given it")
    one.add_argument("--observed", type=_share, default=1.0, help="share of whom the outcome is learnt")
    one.add_argument("--available", type=_share, default=0.92, help="share with an officer free (0.92: Kent)")
    one.add_argument("--power", type=_share, default=0.8, help="how surely the difference shall be told (0.8)")
    one.add_argument("--alpha", type=_share, default=0.05, help="two-sided (0.05)")
    one.add_argument("--cases", type=int, metavar="N", help="in both arms; default: what the formula says")
    one.add_argument("--trials", type=int, default=2_000, metavar="N", help="played (2000)")
    one.add_argument("--json", action="store_true", help="for programs")


def run(given: argparse.Namespace, settings: Settings) -> int:
    """Runs one of the verbs; the exit code. Raises Fault, and what the definitions raise."""
    people, workflow = people_of(given), workflow_of(settings, given.force)
    if given.verb == "power":
        return _power(given, people, workflow)
    return _staffing(given, people, workflow)


# --- staffing ------------------------------------------------------------------------------------------------------


def _staffing(given: argparse.Namespace, people: Population, workflow: Workflow) -> int:
    if given.runs < 2 or not 1 <= given.days <= 3_660:
        raise Fault("An interval needs two runs (--runs) of a day or more (--days).")
    asked = staffing.Asked(given.share, given.within)
    desk, shifts = _desk(given, people, workflow), _shifts(given, workflow)

    def progress(answer: staffing.Answer) -> None:
        if sys.stderr.isatty():
            tried = ", ".join(f"{shift} {shift.officers}" for shift in answer.shifts)
            sys.stderr.write(f"tried {tried}\x1b[K\r")

    try:
        if all(shift.officers for shift in shifts):
            found = staffing.figures(desk, shifts, asked)
        else:
            found = staffing.with_one_fewer(desk, staffing.fewest(desk, shifts, asked, progress), asked)
    except staffing.NotEnough as none:
        raise Fault(str(none)) from None
    if given.json:
        say(json.dumps(document(found, desk, asked), indent=1))
    else:
        for line in lines(found, desk, asked):
            say(line)
    return 0 if found.enough(asked) else 1


def _desk(given: argparse.Namespace, people: Population, workflow: Workflow) -> staffing.Desk:
    """The desk of the what-ifs."""
    if given.years:
        contacts = people.number("contacts_per_day") * math.exp(given.years * math.log1p(given.growth))
        people = people.changed(contacts_per_day=contacts)
    for name, minutes in (("session", given.session_minutes), ("wrap_up", given.wrap_up_minutes)):
        if minutes:
            people = people.changed(**{name: {**people.table(name), "median_s": 60 * minutes}})
    start, days, hours = given.start, given.days, workflow.force.hours
    if given.christmas:
        start, days = start.replace(month=CHRISTMAS[0], day=CHRISTMAS[1]), CHRISTMAS_DAYS
    try:
        stages = stages_of(workflow)
    except NoSuchWay as none:
        raise Fault(str(none)) from None
    return staffing.Desk(stages, hours, people, hours.start_of(start), days, given.runs, given.seed)


def _shifts(given: argparse.Namespace, workflow: Workflow) -> tuple[Shift, ...]:
    if given.shift and given.hours:
        raise Fault("Shifts (--shift) are hours (--hours): give one of them.")
    hours = workflow.force.hours
    if given.hours:
        hours = replace(hours, opens=given.hours.begins, closes=given.hours.ends)
    return tuple(given.shift) or shifts_of(hours, 0)


def lines(answer: staffing.Answer, desk: staffing.Desk, asked: staffing.Asked) -> Iterator[str]:
    """The answer as a table, with what it rests on."""
    yield (
        f"An officer is to be found within {asked.limit_s:g} s for {asked.share:.0%} of the handovers: "
        f"{desk.runs} runs of {desk.days:g} days from {desk.start:%Y-%m-%d}, seed {desk.seed}, invented callers"
    )
    yield ""
    head = ("shift", "officers", "offers/h", "found in time", "one fewer", "mean wait s", "lost", "busy", "on video")
    table: list[tuple[str, ...]] = [(*head, "Erlang C", "with these", "Erlang A")]
    table += [_row(*row, desk, asked) for row in _rows(answer)]
    widths = [max(len(row[place]) for row in table) for place in range(len(table[0]))]
    for row in table:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    yield ""
    officer_hours = 7 * sum(shift.officers * staffing.lasts_h(shift) for shift in answer.shifts)
    yield f"{officer_hours:g} officer-hours a week; leave, sickness and training come on top"
    best = staffing.at_most(desk, answer.shifts, asked)
    yield (
        f"on video: within {desk.stages.promise_s} s of the opening, of those who came to video; with an officer "
        f"always free {_part(best) or NOBODY}"
    )
    yield "Erlang C: its own answer, then its share in time with the row's officers; Erlang A: with callers' patience"
    if not all(one.alone for one in answer.by_shift):
        yield "no formula for shifts that share hours: each offer there is for the officers of both"
    assumed = [name for name, one in desk.population.parameters.items() if "assumed" in one.tag]
    yield f"assumed, not measured: {', '.join(assumed)} (rvr/simulation/population.toml)"
    if not answer.whole.offers:
        yield "no offers: nobody was offered a handover, which shows nothing"
    elif not answer.enough(asked):
        yield "not enough: the lower end of an interval stays below what is asked"


def _rows(answer: staffing.Answer) -> Iterator[tuple[str, staffing.Figures, Estimate | None]]:
    fewer = answer.fewer or (None,) * len(answer.shifts)
    for shift, figure, other in zip(answer.shifts, answer.by_shift, fewer, strict=True):
        yield str(shift), figure, other
    yield "all", answer.whole, None


def _row(
    name: str, one: staffing.Figures, fewer: Estimate | None, desk: staffing.Desk, asked: staffing.Asked
) -> tuple[str, ...]:
    formulas = staffing.beside(one, desk, asked) if name != "all" else None
    formula = (
        (str(formulas.officers), f"{formulas.patient.within:.1%}", f"{formulas.impatient.within:.1%}")
        if formulas
        else ("", "", "")
    )
    return (
        name,
        str(one.officers) if name != "all" else "",
        f"{one.an_hour.value:.2f}",
        _percent(one.within) if one.within else NOBODY,
        _percent(fewer) if fewer else "",
        _waited(one.waited_s) if one.waited_s else "",
        _part(one.lost.value if one.lost else None),
        f"{one.busy.value:.0%}",
        _part(one.transfer.value if one.transfer else None),
        *formula,
    )


NOBODY = "no offers"


def _part(one: float | None) -> str:
    return "" if one is None else f"{one:.1%}"


def _waited(one: Estimate) -> str:
    if math.isinf(one.high):  # one run alone had callers
        return f"{one.value:.0f}"
    return f"{one.value:.0f} ({max(0.0, one.low):.0f} to {one.high:.0f})"


def _percent(one: Estimate) -> str:
    return f"{one.value:.1%} ({one.low:.1%} to {min(one.high, 1.0):.1%})"


def document(answer: staffing.Answer, desk: staffing.Desk, asked: staffing.Asked) -> Mapping[str, Any]:
    """What a program is told. Shares lie between 0 and 1; each estimate has its 95 % interval. null: there is none, as
    of a share of nobody."""
    return {
        "asked": {"share": asked.share, "within_s": asked.limit_s},
        "runs": desk.runs,
        "days": desk.days,
        "start": f"{desk.start:%Y-%m-%d}",
        "seed": desk.seed,
        "enough": answer.enough(asked),
        "shifts": [
            {"shift": name, **_told(one, staffing.beside(one, desk, asked)), "one_fewer": _interval(fewer)}
            for name, one, fewer in _rows(answer)
            if name != "all"
        ],
        "all": _told(answer.whole, None),
        "on_video_with_an_officer_always_free": staffing.at_most(desk, answer.shifts, asked),
        "population": {name: {"value": one.value, "tag": one.tag} for name, one in desk.population.parameters.items()},
    }


def _told(one: staffing.Figures, formulas: staffing.Beside | None) -> Mapping[str, Any]:
    names = ("an_hour", "within", "waited_s", "lost", "busy", "transfer")
    told = {name: _interval(getattr(one, name)) for name in names}
    beside = None
    if formulas:
        beside = {
            "erlang_c_officers": formulas.officers,
            "erlang_c_within": formulas.patient.within,
            "erlang_a_within": formulas.impatient.within,
            "erlang_a_leaves": formulas.impatient.leaves,
        }
    return {"officers": one.officers, "offers": one.offers, "held_s": one.held_s, **told, "formulas": beside}


def _interval(one: Estimate | None) -> Mapping[str, float | None] | None:
    if one is None:
        return None
    known = not math.isinf(one.high)
    return {"value": one.value, "low": one.low if known else None, "high": one.high if known else None}


# --- power ---------------------------------------------------------------------------------------------------------


def _power(given: argparse.Namespace, people: Population, workflow: Workflow) -> int:
    design = power.Design(
        a_month=while_open(people, workflow) * power.MONTH_DAYS,
        eligible=people.number("eligible"),
        consents=people.number("consents"),
        available=given.available,
        usual=people.number("arrest_after_usual") if given.usual is None else given.usual,
        video=people.number("arrest_after_video") if given.video is None else given.video,
        delivered=_delivered(people) if given.delivered is None else given.delivered,
        observed=given.observed,
        alpha=given.alpha,
    )
    try:
        cases = power.cases_for(design, given.power) if given.cases is None else given.cases
        played = power.dry_run(design, cases, max(1, given.trials), given.seed)
    except (ValueError, ZeroDivisionError) as none:
        raise Fault(f"No such trial: {none}.") from None
    if given.json:
        median, low, high = played.months
        told = {
            "cases": cases,
            "trials": played.trials,
            "power": _interval(played.power),
            "imbalance": played.imbalance,
        }
        months = {"median": median, "p05": low, "p95": high}
        say(json.dumps({**told, "months": months, "allotted_a_month": design.allotted_a_month}, indent=1))
        return 0
    for line in power_lines(design, played):
        say(line)
    return 0


def power_lines(design: power.Design, played: power.DryRun) -> Iterator[str]:
    """What the played trials came to, in a few lines."""
    yield (
        f"{design.a_month:.0f} contacts a month while the desk is open, {design.eligible:.0%} eligible, "
        f"{design.consents:.0%} agree, {design.available:.0%} with an officer: {design.allotted_a_month:.0f} allotted"
    )
    yield (
        f"outcome {design.usual:.1%} as usual, {design.video:.1%} with video, given to {design.delivered:.0%}: "
        f"{design.as_allotted:.1%} as allotted; learnt of {design.observed:.0%}"
    )
    median, low, high = played.months
    yield f"{played.cases} cases in both arms: allotted within {median:.1f} months ({low:.1f} to {high:.1f} in 9 of 10)"
    one = played.power
    yield f"power {one.value:.1%} ({one.low:.1%} to {one.high:.1%}) in {played.trials} played trials, as allotted"
    yield f"the arms never differed by more than {played.imbalance}; the time until the outcome is known comes on top"


def while_open(people: Population, workflow: Workflow) -> float:
    """Contacts on an average day while the desk is open, by the weights of the hours of a common week."""
    hours = workflow.force.hours
    start = hours.start_of(a_day("2026-03-02"))  # a Monday; no change of the clocks and no Christmas in that week
    rate, shift = Rate(people, start, hours.local(start).tzinfo), Shift(hours.opens, hours.closes, 1)
    moments = [start + timedelta(minutes=15 * quarter) for quarter in range(7 * 96)]
    return sum(rate.at(at) for at in moments if shift.holds(at, hours)) * 900 / 7


def _delivered(people: Population) -> float:
    return max(0.0, 1 - math.fsum(people.table("drops").values()) / DROPS_OF)


# --- Options -------------------------------------------------------------------------------------------------------


def _share(text: str) -> float:
    value = float(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is no share between 0 and 1")
    return value


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is no time")
    return value


def _growth(text: str) -> float:
    value = float(text)
    if not -0.9 <= value <= 10:
        raise argparse.ArgumentTypeError(f"{text} is no growth such as 0.05")
    return value
