"""Options that no definition holds: they are of this case, this person and this moment.

An option is shown with words that help to choose it; whether it may be chosen is for the desk to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby

from rvr.core.case import Case, Suspect
from rvr.core.commands import Actor
from rvr.core.force import GuestContact
from rvr.core.forms import options_of
from rvr.core.identity import STRENGTH, Candidate
from rvr.core.moment import Moment, parse_iso
from rvr.core.orders import Order
from rvr.core.session import GUEST_ROLES
from rvr.core.workflow import Criterion, Field, Workflow
from rvr.messages import Catalogue
from rvr.store.history import Known

NOTHING_KNOWN = Known()


@dataclass(frozen=True, slots=True)
class Choice:
    """One option as it is shown."""

    value: str
    label: str
    group: str = ""
    """Options of one group stand together, under its name."""
    say: str = ""
    """One line that explains it."""
    disabled: bool = False
    """Shown so that nobody looks for it elsewhere; it would be refused."""


def grouped(options: Iterable[Choice]) -> tuple[tuple[str, tuple[Choice, ...]], ...]:
    """The options under the names of their groups, in their order."""
    return tuple((name, tuple(rest)) for name, rest in groupby(options, key=lambda option: option.group))


@dataclass(frozen=True, slots=True)
class Choices:
    """Where the options come from."""

    workflow: Workflow
    words: Catalogue
    at: Moment
    case: Case | None = None
    by: Actor | None = None
    known: Known = NOTHING_KNOWN
    officers: tuple[Choice, ...] = ()
    contacts: Mapping[str, GuestContact] = field(default_factory=dict)

    @property
    def criteria(self) -> tuple[Criterion, ...]:
        """The safety questions that are in force today."""
        return tuple(self.workflow.criteria_on(self._now.date()).values())

    def of(self, field: Field) -> tuple[Choice, ...]:
        """The options of a field; none for a field without."""
        match field.kind:
            case "officer":
                return self.officers
            case "guest_contact":
                return self._contacts()
            case "safeguard":
                return self._safeguards()
            case "partner":
                return self._partners()
            case "civil_order":
                orders = self.workflow.force.orders_on(self._now.date())
                return tuple(Choice(order.id, order.name, say=order.say) for order in orders)
            case "outcome":
                today = self._now.date()
                outcomes = [one for one in self.workflow.outcomes.values() if one.since <= today <= one.until]
                return tuple(Choice(one.code, f"{one.code}  {one.name}") for one in outcomes)
        return self._of_case(field) if self.case else self._stated(field)

    def _of_case(self, field: Field) -> tuple[Choice, ...]:
        case = self.case
        assert case is not None  # noqa: S101 - `of` asks first
        match field.kind:
            case "action":
                names = self.workflow.safeguarding
                still = [one for one in case.actions.values() if not one.result]
                return tuple(Choice(one.id, names[one.kind].name if one.kind in names else one.kind) for one in still)
            case "referral":
                return self._referrals(case)
            case "guest":
                live = case.session.live_guests if case.session else []
                return tuple(Choice(one.id, self.words.name("seat", one.role)) for one in live)
            case "suspect":
                return tuple(Choice(one.id, suspect_line(one, self.workflow, self.words)) for one in suspects(case))
            case "suspect_status":
                return self._next_steps(suspects(case))
            case "candidate":
                lines = ((candidate_id(one), self._candidate(one)) for one in self.known.candidates)
                return tuple(Choice(value, line) for value, line in lines)
            case "live_order":
                return tuple(Choice(one.id, order_name(one, self.workflow, self.words)) for one in self.known.orders)
        return self._stated(field)

    @property
    def _now(self) -> datetime:
        return self.workflow.force.hours.local(self.at.at)

    def _stated(self, field: Field) -> tuple[Choice, ...]:
        return tuple(Choice(str(one.value), str(one.label)) for one in options_of(self.workflow, field))

    def _safeguards(self) -> tuple[Choice, ...]:
        """Each with its usual owner and when it is due unless somebody says otherwise."""
        return tuple(
            Choice(
                one.id,
                self.words.say(
                    "page.safeguard_option",
                    name=one.name,
                    owner=self.words.name("role", one.owner),
                    due=span(one.due_s, self.words),
                ),
                one.group,
            )
            for one in self.workflow.safeguarding.values()
        )

    def _contacts(self) -> tuple[Choice, ...]:
        """By what each is there for: the role is all that the victim is told."""
        known = sorted(self.contacts.values(), key=lambda one: GUEST_ROLES.index(one.role))
        return tuple(Choice(one.id, one.name, self.words.name("seat", one.role)) for one in known)

    def _partners(self) -> tuple[Choice, ...]:
        """Those that take referrals from the case's area, each with how it is reached today; then the others."""
        force, case = self.workflow.force, self.case
        here = force.partners_for(str(case.details.get("lpa", "")) if case else "")
        live = bool(case and case.session and case.session.flowing)
        shown = []
        for one in here:
            how = self.words.name("referral_how", one.how(self._now.isoweekday(), session_live=live))
            shown.append(Choice(one.id, f"{one.name} ({how})", self.words.say("page.partners_here")))
        away = [one for one in force.partners.values() if one not in here]
        elsewhere = self.words.say("page.partners_elsewhere")
        return (*shown, *(Choice(one.id, one.name, elsewhere, disabled=True) for one in away))

    def _referrals(self, case: Case) -> tuple[Choice, ...]:
        theirs = self.by.units if self.by and "advocate" in self.by.roles else None
        still = [r for r in case.referrals.values() if not r.result and (theirs is None or r.partner in theirs)]
        return tuple(Choice(one.id, partner_name(one.partner, self.workflow)) for one in still)

    def _candidate(self, one: Candidate) -> str:
        """By reference, date and by what was the same; never by name."""
        newest, words = one.cases[0], self.words
        day = self.workflow.force.hours.local(parse_iso(newest.opened_at)).strftime("%-d %b %Y")
        return f"{words.name('person_role', one.role)}: {newest.reference}, {day} ({same_keys(one.kinds, words)})"

    def _next_steps(self, known: tuple[Suspect, ...]) -> tuple[Choice, ...]:
        """With one suspect the steps that are open from where that person stands; with several, all there are."""
        states = self.workflow.suspect_states
        only = states.get(known[0].status) if len(known) == 1 else None
        return tuple(Choice(one.id, one.name) for one in states.values() if only is None or one.id in only.to)


# --- Names and lines that are said of people and organisations ---------------------------------------------------


def suspects(case: Case) -> tuple[Suspect, ...]:
    return tuple(case.suspects.values())


def suspect_line(one: Suspect, workflow: Workflow, words: Catalogue) -> str:
    """Name and status."""
    return f"{one.name or words.say('page.suspect_unnamed')} ({suspect_status(one, workflow)})"


def suspect_status(one: Suspect, workflow: Workflow) -> str:
    state = workflow.suspect_states.get(one.status)
    return state.name if state else one.status


def partner_name(partner: str, workflow: Workflow) -> str:
    known = workflow.force.partners.get(partner)
    return known.name if known else partner


def order_name(order: Order, workflow: Workflow, words: Catalogue) -> str:
    """An order of a kind that the force does not apply for is told by its conditions."""
    known = workflow.force.orders.get(order.kind)
    return known.name if known else words.say("page.other_order")


def candidate_id(one: Candidate) -> str:
    """How the form names a candidate."""
    return f"{one.role}:{one.person_id}"


def same_keys(kinds: Iterable[str], words: Catalogue) -> str:
    """By what somebody was recognised, in words: the strongest kinds, which say what the weaker ones would."""
    told = list(kinds)
    return ", ".join(words.name("key_kind", kind) for kind in told if STRENGTH[kind] == STRENGTH[told[0]])


def span(seconds: int, words: Catalogue) -> str:
    """A length of time as people say it: in the largest unit that it is a whole number of."""
    for unit, size in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if abs(seconds) >= size and seconds % size == 0:
            count = seconds // size
            return words.say(f"span.{unit}" if abs(count) == 1 else f"span.{unit}s", count=count)
    return words.say("span.seconds", count=seconds)
