"""What is known of a case's people from elsewhere: earlier cases, candidates, live civil orders. The read side.

Nothing here decides that two are the same person: a candidate is shown with its reasons, and somebody confirms it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from sqlmodel import Session, col, or_, select

from rvr.core.case import Case
from rvr.core.history import VOIDED, PastCase
from rvr.core.identity import (
    STRENGTH,
    SUSPECT,
    VICTIM,
    Candidate,
    IdentityKey,
    KnownCase,
    by_crime_reference,
    keys_of,
    rank,
)
from rvr.core.orders import Order, fold_order
from rvr.store import log
from rvr.store.messages import driver
from rvr.store.sealing import Sealer
from rvr.store.tables import CaseRow, IdentityRow, OrderRow, every

MOST = 20
"""Candidates, or orders, that are shown: more than anybody looks through while a victim waits."""

MOST_ROWS = 500
"""Rows of the index that one look-up reads: of a name and year that very many share, the strong keys come first."""


@dataclass(frozen=True, slots=True)
class Known:
    """All of it for one case."""

    history: tuple[PastCase, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    orders: tuple[Order, ...] = ()
    would_add: tuple[PastCase, ...] = ()
    """What the history would gain if the candidates were confirmed: the confirmation itself rests on it."""


def known(session: Session, sealer: Sealer, case: Case, at: str) -> Known:
    """What is known of the people of this case at this UTC time."""
    keys = keys_of(case.details, case.personal)
    found = candidates(session, sealer, keys, case)
    victims, suspects = ({one.person_id for one in found if one.role == role} for role in (VICTIM, SUSPECT))
    return Known(
        history(session, {case.victim_id}, {case.suspect_id}, case.opened_at),
        found,
        orders_for(session, sealer, keys, at),
        history(session, victims, suspects, case.opened_at),
    )


def cases_with(session: Session, sealer: Sealer, crime_reference: str) -> list[CaseRow]:
    """The cases that have this crime reference, the oldest first, without those made void."""
    rows = _matches(session, sealer, [by_crime_reference(crime_reference)], "case")
    found = {row.stream.removeprefix("case/") for row in rows}
    cases = every(session, CaseRow, col(CaseRow.id).in_(found), CaseRow.state != VOIDED)
    return sorted(cases, key=lambda row: row.opened_at)


def history(session: Session, victims: Collection[str], suspects: Collection[str], before: str) -> tuple[PastCase, ...]:
    """Every case with one of these victims or suspects that was opened before this UTC time, the oldest first.

    Without those made void.
    """
    return tuple(_past(row) for row in _cases_of(session, victims, suspects, before))


def candidates(session: Session, sealer: Sealer, keys: Iterable[IdentityKey], case: Case) -> tuple[Candidate, ...]:
    """People of earlier cases with a key in common, the likeliest first.

    Only of earlier ones, so that of two open cases the later takes the person of the earlier and never both each
    other's. Without those whom somebody confirmed already, or said to be another person.
    """
    decided = {case.victim_id, case.suspect_id, *case.not_the_same}
    matches = [row for row in _matches(session, sealer, keys, "case") if row.person_id not in decided]
    victims, suspects = ({row.person_id for row in matches if row.role == role} for role in (VICTIM, SUSPECT))
    rows = _cases_of(session, victims, suspects, case.opened_at)
    earlier = {f"case/{row.id}" for row in rows}
    kinds: dict[tuple[str, str], set[str]] = defaultdict(set)
    for match in matches:
        if match.stream in earlier:
            kinds[match.role, match.person_id].add(match.kind)
    found = [
        Candidate(role, person, tuple(sorted(shared, key=rank)), _known(rows, role, person))
        for (role, person), shared in kinds.items()
    ]
    found.sort(key=lambda one: one.cases[0].opened_at, reverse=True)
    return tuple(sorted(found, key=lambda one: _likelihood(one.kinds))[:MOST])


def orders_for(session: Session, sealer: Sealer, keys: Iterable[IdentityKey], at: str) -> tuple[Order, ...]:
    """Orders that are live at this UTC time and name one of these people in the same role, the likeliest first.

    An order whose key was destroyed is not found: its rows in the index went with the key.
    """
    by: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for row in _matches(session, sealer, keys, "order"):
        by[row.stream.removeprefix("order/")].add((row.role, row.kind))
    live = every(session, OrderRow, col(OrderRow.id).in_(by), OrderRow.starts <= at)
    live = [row for row in live if not row.ends or at < row.ends]
    ranked = sorted(live, key=lambda row: (_likelihood(kind for _, kind in by[row.id]), row.id))[:MOST]
    return tuple(_order(session, sealer, row.id, by[row.id]) for row in ranked)


def _matches(session: Session, sealer: Sealer, keys: Iterable[IdentityKey], room: str) -> list[IdentityRow]:
    """Rows of the index that have one of these keys, in streams of cases or of orders."""
    digests = {sealer.digest(key) for key in keys}
    if not digests:
        return []
    strong = [kind for kind, strength in STRENGTH.items() if strength == "strong"]
    wanted = select(IdentityRow).where(
        col(IdentityRow.digest).in_(digests), col(IdentityRow.stream).startswith(f"{room}/")
    )
    return list(session.exec(wanted.order_by(col(IdentityRow.kind).in_(strong).desc()).limit(MOST_ROWS)))


def _cases_of(session: Session, victims: Collection[str], suspects: Collection[str], before: str) -> list[CaseRow]:
    """Cases with one of these people that were opened before, the oldest first, without those made void."""
    victims, suspects = set(victims) - {""}, set(suspects) - {""}
    if not victims and not suspects:
        return []
    named = or_(col(CaseRow.victim_id).in_(victims), col(CaseRow.suspect_id).in_(suspects))
    earlier = select(CaseRow).where(named, CaseRow.opened_at < before, CaseRow.state != VOIDED)
    return list(session.exec(earlier.order_by(col(CaseRow.opened_at))))


def _past(row: CaseRow) -> PastCase:
    return PastCase(
        row.id, row.reference, row.opened_at, row.victim_id, row.suspect_id, row.risk_level, row.state, row.marac
    )


def _known(rows: list[CaseRow], role: str, person: str) -> tuple[KnownCase, ...]:
    theirs = [row for row in rows if person == (row.victim_id if role == VICTIM else row.suspect_id)]
    return tuple(KnownCase(row.id, row.reference, row.opened_at, row.state) for row in reversed(theirs))


def _likelihood(kinds: Iterable[str]) -> list[int]:
    """Sorts the strongest first, and of equals the one with more kinds."""
    return [*sorted(map(rank, kinds)), len(STRENGTH)]


def _order(session: Session, sealer: Sealer, order_id: str, by: set[tuple[str, str]]) -> Order:
    order = fold_order(order_id, log.load(driver(session), sealer, f"order/{order_id}"))
    return replace(order, found_by=tuple(sorted(by, key=lambda found: (rank(found[1]), found[0]))))
