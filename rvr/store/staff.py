"""Who works at the desk, as the screens and the decisions ask for it: the read side of accounts and duty."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

from rvr.core.roster import Officer
from rvr.store.engine import Connection, within


@dataclass(frozen=True, slots=True)
class Person:
    """A member of staff. What a password is checked against is not part of it."""

    id: str
    username: str
    name: str
    roles: tuple[str, ...]
    units: frozenset[str] = frozenset()
    """Ids of the teams and partner organisations that the person belongs to."""
    disabled: bool = False
    glass: frozenset[str] = frozenset()
    """Ids of cases that the person looks at outside the own ones. Told for a sign-in only."""


class Open(NamedTuple):
    """A sign-in that nobody has ended."""

    token_hash: str
    csrf: str
    seen_at: str
    expires_at: str
    created_at: str = ""
    proved_at: str = ""
    """When the person last proved who it is."""
    how: str = ""
    """password, passkey or provider."""


_OPEN = ", ".join(f"signin.{name}" for name in Open._fields)
_PERSON = "account.id, account.username, account.name, account.roles, account.units, account.disabled"


def people(connection: Connection) -> Mapping[str, Person]:
    """Everybody who has an account, by person id."""
    found = connection.execute(f"SELECT {_PERSON} FROM account ORDER BY id")  # noqa: S608 (names of ours)
    return _people(tuple(found.fetchall()))


@lru_cache(4)
def _people(rows: tuple[tuple[Any, ...], ...]) -> Mapping[str, Person]:
    """Asked with every command, and changed once in a day: rows that were read before are not read into objects again
    (a tenth of a command's time with two hundred members of staff, measured)."""
    return MappingProxyType({row[0]: _person(*row) for row in rows})


def signed_in(connection: Connection, token_hash: str, now: str) -> tuple[Open, Person] | None:
    """The sign-in with this hash, and whose it is."""
    rows = connection.execute(
        f"SELECT {_OPEN}, {_PERSON}, glass_row.case_id FROM signin"  # noqa: S608
        " JOIN account ON account.id = signin.person"
        " LEFT JOIN glass_row ON glass_row.person = signin.person AND glass_row.until > :now"
        " WHERE signin.token_hash = :hash",
        {"hash": token_hash, "now": now},
    ).fetchall()
    if not rows:
        return None
    end = len(Open._fields)
    looks_at = frozenset(row[-1] for row in rows if row[-1])
    return Open(*rows[0][:end]), replace(_person(*rows[0][end:-1]), glass=looks_at)


_LIVE = "expires_at > :now AND seen_at > :idle_since"


def sign_ins(connection: Connection, person: str, now: str, idle_since: str) -> list[Open]:
    """The live sign-ins of this person, the oldest first."""
    found = f"SELECT {_OPEN} FROM signin WHERE person = :person AND {_LIVE} ORDER BY created_at"  # noqa: S608
    told = {"person": person, "now": now, "idle_since": idle_since}
    return [Open(*row) for row in connection.execute(found, told).fetchall()]


def live_sign_ins(connection: Connection, now: str, idle_since: str) -> int:
    """How many there are, of everybody."""
    found = f"SELECT COUNT(*) FROM signin WHERE {_LIVE}"  # noqa: S608
    return int(connection.execute(found, {"now": now, "idle_since": idle_since}).fetchone()[0])


def forget_sign_ins(connection: Connection, now: str) -> None:
    """Deletes those that ran out by themselves. For the writing connection."""
    connection.execute("DELETE FROM signin WHERE expires_at <= :now", {"now": now})


def seen(connection: Connection, token_hash: str, at: str) -> None:
    """Notes that the sign-in is in use. For the writing connection."""
    connection.execute("UPDATE signin SET seen_at = :at WHERE token_hash = :hash", {"hash": token_hash, "at": at})


def proved(connection: Connection, token_hash: str, at: str) -> None:
    """Notes that the person proved anew who it is. For the writing connection."""
    told = {"hash": token_hash, "at": at}
    connection.execute("UPDATE signin SET seen_at = :at, proved_at = :at WHERE token_hash = :hash", told)


def officers(connection: Connection) -> Mapping[str, Officer]:
    """Every officer who was ever on duty, by person id."""
    found = connection.execute(
        "SELECT officer_row.id, version, status, case_id, account.disabled"
        " FROM officer_row LEFT JOIN account ON account.id = officer_row.id ORDER BY officer_row.id"
    )
    return {row[0]: _officer(*row) for row in found.fetchall()}


@lru_cache(2048)
def _officer(person: str, version: int, status: str, case: str, disabled: int | None) -> Officer:
    return Officer(person, version, status, case, closed=bool(disabled))


def waiting(connection: Connection, states: Collection[str], but: str) -> int:
    """How many cases wait in these states for an officer, that one apart."""
    where, named = within("state", states)
    row = connection.execute(
        f"SELECT count(*) FROM case_row WHERE {where} AND officer = '' AND id <> :but",  # noqa: S608 (names of ours)
        {**named, "but": but},
    ).fetchone()
    return int(row[0])


def drawn(connection: Connection, states: Collection[str], arms: Collection[str], but: str) -> int:
    """How many cases in these states had one of these arms drawn and were offered nothing yet, that one apart."""
    (here, at), (which, arm) = within("state", states), within("arm", arms)
    row = connection.execute(
        f"SELECT count(*) FROM case_row WHERE {here} AND {which} AND id <> :but",  # noqa: S608 (names of ours)
        {**at, **arm, "but": but},
    ).fetchone()
    return int(row[0])


def _person(person: str, username: str, name: str, roles: str, units: str, disabled: bool) -> Person:
    return Person(person, username, name, _ids(roles), frozenset(_ids(units)), bool(disabled))


@lru_cache(256)
def _ids(told: str) -> tuple[str, ...]:
    """A list as it stands in a row: the same few, over and over."""
    return tuple(json.loads(told))
