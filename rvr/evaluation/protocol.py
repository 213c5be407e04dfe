"""The text of a trial for its pre-registration: the design as it is drawn by, in the order of CrimPORT's headings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rvr.core.trial import Design, Stop, TrialNow
from rvr.core.triggers import Trigger
from rvr.core.workflow import Workflow


def protocol(flow: Workflow, design: Design, now: TrialNow) -> str:
    """Markdown. What only people can fill in stands in square brackets."""
    return "\n".join(_lines(flow, design, now)) + "\n"


def _lines(flow: Workflow, design: Design, now: TrialNow) -> Iterator[str]:
    yield from (f"# {design.name}", "", "Text for the pre-registration of a randomised trial, made by RVR.", "")
    yield from ("## Identity", "", f"- Trial: `{design.id}`, at {flow.force.name}, workflow `{flow.id}`")
    yield from (f"- Version of the workflow: `{flow.hash}`", f"- Digest of the design: `{design.digest}`")
    yield f"- Commitment to the secret (SHA-256): `{now.commitment or '[not registered yet]'}`"
    yield from (f"- After: {design.source}" if design.source else "- After: [source]", "")
    yield from ("## Question", "", design.compares, "")
    yield from (
        "## Eligibility",
        "",
        f"Drawn in: {', '.join(flow.states[one].name for one in design.states)}. All of:",
        "",
    )
    yield from (f"- {one.ask} ({one.met})" for one in flow.criteria.values() if one.hard)
    consents = {str(option.value): option.label for option in flow.fields["consent_kind"].options}
    yield from (f"- Consent: {consents.get(kind, kind)}" for kind in design.consents)
    yield f"- At least {design.capacity} officer(s) free beyond the cases that wait already"
    read_out = design.wording or flow.wording.get(design.consents[-1], "")
    yield from ("", "Read out before the last consent:", "", f"> {read_out}", "")
    outside = "may be offered what an arm opens" if design.outside else "get the usual way"
    yield from (f"Callers who are eligible and not in the trial {outside}; each stands in the screening log.", "")
    yield from ("## Arms", "")
    for arm in design.arms.values():
        opens = f" Opens alone: {', '.join(flow.moves[move].name for move in arm.opens)}." if arm.opens else ""
        yield f"- **{arm.name}** (`{arm.id}`, {arm.share} of {design.shares}): {arm.say}{opens}"
        yield f"  Delivered: {_events(arm.delivered)}. Completed: {_events(arm.completed or arm.delivered)}."
    yield from ("", "## Allocation", "")
    yield "Stratified, permuted blocks of mixed size, drawn by HMAC-SHA-256 under the secret (docs/TRIAL.md of RVR)."
    yield from ("", "| stratum | who |", "|---|---|", *(f"| `{one.id}` | {one.name} |" for one in design.strata), "")
    yield "The sizes of the blocks are in the registered design and are not told to whoever enrols."
    yield "The arm is revealed only once eligibility, consent and capacity stand in the log. An override for safety is"
    yield from ("possible at any time, has a coded reason, and leaves the case in its arm.", "")
    yield from ("## Outcomes and analysis", "", f"Primary: {design.primary_outcome}", "")
    yield "By intention to treat, in the arm of the case's place. As treated and per protocol are told beside it:"
    yield "as treated is the arm whose delivery the log shows first after the draw; per protocol are the cases that"
    yield from (
        "received their own arm first and were not overridden.",
        "",
        "- Secondary: [outcomes]",
        "- Analysis: [model]",
        "",
    )
    yield from ("## Stopping", "", *(f"- `{one.id}`: {one.say} ({_rule(one)})" for one in design.stops), "")
    yield from ("## Ethics, funding, registration", "", "[Approval, lawful basis, funder, registry and its number]")


def _events(triggers: Iterable[Trigger]) -> str:
    told = []
    for trigger in triggers:
        where = ", ".join(f"{name} {' or '.join(map(str, values))}" for name, values in trigger.where.items())
        told.append(f"`{trigger.event}`" + (f" ({where})" if where else ""))
    return " or ".join(told)


def _rule(stop: Stop) -> str:
    if stop.randomised:
        return f"{stop.randomised} cases randomised; ends by itself"
    if stop.after:
        return f"after {stop.after.isoformat()}; ends by itself"
    return f"{stop.count} of `{stop.event}` {f'in arm {stop.arm}' if stop.arm else 'in one arm'}; a person decides"
