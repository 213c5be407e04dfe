"""What is known of a case's people from elsewhere: earlier cases, candidates, live civil orders. The read side.

Nothing here decides that two are the same person: a candidate is shown with its reasons, and somebody confirms it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from rvr.core.case import Case
from rvr.core.history import VOIDED, PastCase
from rvr.core.identity import (
    STRENGTH,
    SUSPECT,
    VICTIM,
    Candidate,
    KnownCase,
    by_crime_reference,
    keys_of,
    rank,
)
from rvr.core.orders import Order, fold_order
from rvr.store import log
from rvr.store.engine import Connection, within
from rvr.store.sealing import Sealer

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


class _Match(NamedTuple):
    """A row of the index that has one of the keys."""

    role: str
    person_id: str
    kind: str
    stream: str


def known(connection: Connection, sealer: Sealer, case: Case, at: str) -> Known:
    """What is known of the people of this case at this UTC time."""
    digests = [sealer.digest(key) for key in keys_of(case.details, case.personal)]
    found, earlier = candidates(connection, digests, case)
    victims, suspects = ({one.person_id for one in found if one.role == role} for role in (VICTIM, SUSPECT))
    return Known(
        history(connection, {case.victim_id}, {case.suspect_id}, case.opened_at),
        found,
        orders_for(connection, sealer, digests, at),
        tuple(one for one in earlier if one.victim_id in victims or one.suspect_id in suspects),
    )


def cases_with(connection: Connection, sealer: Sealer, crime_reference: str) -> tuple[PastCase, ...]:
    """The cases that have this crime reference, the oldest first, without those made void."""
    rows = _matches(connection, [sealer.digest(by_crime_reference(crime_reference))], "case")
    return _past(connection, *within("id", {row.stream.removeprefix("case/") for row in rows}))


def history(
    connection: Connection, victims: Collection[str], suspects: Collection[str], before: str
) -> tuple[PastCase, ...]:
    """Every case with one of these victims or suspects that was opened before this UTC time, the oldest first.

    Without those made void.
    """
    victims, suspects = set(victims) - {""}, set(suspects) - {""}
    if not victims and not suspects:
        return ()
    a_victim, of_victims = within("victim_id", victims)
    a_suspect, of_suspects = within("suspect_id", suspects)
    earlier = f"({a_victim} OR {a_suspect}) AND opened_at < :before"
    return _past(connection, earlier, {**of_victims, **of_suspects, "before": before})


def _past(connection: Connection, where: str, values: Mapping[str, Any]) -> tuple[PastCase, ...]:
    wanted = (
        "SELECT id, reference, opened_at, victim_id, suspect_id, risk_level, state, marac FROM case_row"  # noqa: S608
        f" WHERE {where} AND state <> :voided ORDER BY opened_at, id"
    )
    rows = connection.execute(wanted, {**values, "voided": VOIDED})
    return tuple(PastCase(*told) for told in ((*row[:-1], bool(row[-1])) for row in rows))


def candidates(
    connection: Connection, digests: Collection[bytes], case: Case
) -> tuple[tuple[Candidate, ...], tuple[PastCase, ...]]:
    """People of earlier cases with a key in common, the likeliest first; and those cases, the oldest first.

    Only of earlier ones, so that of two open cases the later takes the person of the earlier and never both each
    other's. Without those whom somebody confirmed already, or said to be another person.
    """
    decided = {case.victim_id, case.suspect_id, *case.not_the_same}
    matches = [row for row in _matches(connection, digests, "case") if row.person_id not in decided]
    victims, suspects = ({row.person_id for row in matches if row.role == role} for role in (VICTIM, SUSPECT))
    past = history(connection, victims, suspects, case.opened_at)
    earlier = {f"case/{one.case}" for one in past}
    kinds: dict[tuple[str, str], set[str]] = defaultdict(set)
    for match in matches:
        if match.stream in earlier:
            kinds[match.role, match.person_id].add(match.kind)
    found = [
        Candidate(role, person, tuple(sorted(shared, key=rank)), _known(past, role, person))
        for (role, person), shared in kinds.items()
    ]
    found.sort(key=lambda one: one.cases[0].opened_at, reverse=True)
    return tuple(sorted(found, key=lambda one: _likelihood(one.kinds))[:MOST]), past


def orders_for(connection: Connection, sealer: Sealer, digests: Collection[bytes], at: str) -> tuple[Order, ...]:
    """Orders that are live at this UTC time and name one of these people in the same role, the likeliest first.

    An order whose key was destroyed is not found: its rows in the index went with the key.
    """
    by: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for row in _matches(connection, digests, "order"):
        by[row.stream.removeprefix("order/")].add((row.role, row.kind))
    where, values = within("id", by)
    live = f"SELECT id FROM order_row WHERE {where} AND starts <= :at AND (ends = '' OR :at < ends)"  # noqa: S608
    found = [order_id for (order_id,) in connection.execute(live, {**values, "at": at})] if by else []
    found.sort(key=lambda order_id: (_likelihood(kind for _, kind in by[order_id]), order_id))
    return tuple(_order(connection, sealer, order_id, by[order_id]) for order_id in found[:MOST])


_STRONG_FIRST = ", ".join(f"'{kind}'" for kind, strength in STRENGTH.items() if strength == "strong")


def _matches(connection: Connection, digests: Collection[bytes], room: str) -> list[_Match]:
    """Rows of the index that have one of these keys, in streams of cases or of orders."""
    if not digests:
        return []
    where, values = within("digest", set(digests))
    wanted = (
        f"SELECT role, person_id, kind, stream FROM identity_row WHERE {where}"  # noqa: S608 (names of ours)
        f" AND stream >= :low AND stream < :high ORDER BY kind IN ({_STRONG_FIRST}) DESC LIMIT :most"
    )
    values |= {"low": f"{room}/", "high": f"{room}/\uffff", "most": MOST_ROWS}
    return [_Match(*row) for row in connection.execute(wanted, values)]


def _known(past: Iterable[PastCase], role: str, person: str) -> tuple[KnownCase, ...]:
    """This person's cases, the newest first."""
    theirs = [one for one in past if person == (one.victim_id if role == VICTIM else one.suspect_id)]
    return tuple(KnownCase(one.case, one.reference, one.opened_at, one.state) for one in reversed(theirs))


def _likelihood(kinds: Iterable[str]) -> list[int]:
    """Sorts the strongest first, and of equals the one with more kinds."""
    return [*sorted(map(rank, kinds)), len(STRENGTH)]


def _order(connection: Connection, sealer: Sealer, order_id: str, by: set[tuple[str, str]]) -> Order:
    order = fold_order(order_id, log.load(connection, sealer, f"order/{order_id}"))
    return replace(order, found_by=tuple(sorted(by, key=lambda found: (rank(found[1]), found[0]))))
