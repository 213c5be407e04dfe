"""Reads a force's file: `workflows/forces/<force>.toml`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import time
from typing import Any

from rvr.core.commands import STAFF
from rvr.core.force import (
    CivilOrder,
    Contacts,
    Force,
    GuestContact,
    Hours,
    OfficerProfile,
    OnCall,
    Partner,
    ResponseGrade,
)
from rvr.core.session import GUEST_ROLES
from rvr.definitions.reading import Reading

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
CHANNELS = ("sms", "email")
ON_CALL_CHANNELS = (*CHANNELS, "webhook")
"""A webhook's `to` is an https:// address."""


def read_force(reading: Reading) -> Force | None:
    """The force of these files; None when its file cannot be used at all."""
    file = reading.force_file
    optional = "link_minutes changes partner order"
    table = reading.keys(file, "", reading.toml(file), "id name hours areas teams response_grades", optional)
    if table is None:
        return None
    return Force(
        id=table["id"],
        name=table["name"],
        hours=_hours(reading, table["hours"]),
        areas=table["areas"],
        teams=table["teams"],
        response_grades=_grades(reading, table["response_grades"]),
        partners={one.id: one for one in _partners(reading, table.get("partner", {}), table["areas"])},
        orders={one.id: one for one in _orders(reading, table.get("order", {}))},
        link_minutes=table.get("link_minutes", 15),
    )


def _hours(reading: Reading, table: Any) -> Hours:
    checked = reading.keys(reading.force_file, "hours", table, "opens closes zone", "holidays") or {}
    try:
        opens, closes = (time.fromisoformat(checked.get(key, "00:00")) for key in ("opens", "closes"))
    except ValueError as bad:
        reading.fault(reading.force_file, "hours", str(bad))
        opens = closes = time(0)
    return Hours(opens, closes, checked.get("zone", "UTC"), frozenset(checked.get("holidays", ())))


def _grades(reading: Reading, tables: dict[str, Any]) -> dict[str, ResponseGrade]:
    grades = {}
    for key, table in tables.items():
        if reading.keys(reading.force_file, f"response_grades.{key}", table, "name target_s") is not None:
            grades[key] = ResponseGrade(key, table["name"], table["target_s"])
    return grades


def _partners(reading: Reading, tables: Any, areas: Any) -> Iterator[Partner]:
    for key, table in tables.items():
        place = f"partner.{key}"
        if reading.keys(reading.force_file, place, table, "name kind serves", "days") is None:
            continue
        for area in table["serves"]:
            if area not in areas:
                reading.fault(reading.force_file, place, f"unknown area `{area}`")
        if not set(table.get("days", ())) <= set(WEEKDAYS):
            reading.fault(reading.force_file, place, f"`days` are some of {', '.join(WEEKDAYS)}")
            continue
        days = tuple(WEEKDAYS.index(day) + 1 for day in table.get("days", ()))
        yield Partner(key, table["name"], table["kind"], tuple(table["serves"]), days)


def _orders(reading: Reading, tables: Any) -> Iterator[CivilOrder]:
    for key, table in tables.items():
        if reading.keys(reading.force_file, f"order.{key}", table, "name say source", "since until") is not None:
            yield CivilOrder(key, **table)


def read_contacts(
    reading: Reading, file: str, partners: Collection[str], wishes: Mapping[str, Collection[str]]
) -> Contacts:
    """Who is reached how: `contacts/<force>.toml`. A force without the file tells nobody away from the screens."""
    if file not in reading.files:
        return Contacts()
    table = reading.keys(file, "", reading.toml(file), "", "on_call partners guest officer") or {}
    for partner in table.get("partners", {}):
        if partner not in partners:
            reading.fault(file, "partners", f"unknown partner `{partner}`")
    guests = {one.id: one for one in _guests(reading, file, table.get("guest", {}), partners)}
    on_call = tuple(_on_call(reading, file, table.get("on_call", ())))
    officers = dict(_officers(reading, file, table.get("officer", {}), wishes))
    return Contacts(on_call, table.get("partners", {}), guests, officers)


def _on_call(reading: Reading, file: str, tables: Any) -> Iterator[OnCall]:
    for table in tables:
        if reading.keys(file, "on_call", table, "role channel to") is None:
            continue
        if table["role"] not in STAFF:
            reading.fault(file, "on_call", f"unknown role `{table['role']}`")
        if table["channel"] not in ON_CALL_CHANNELS:
            reading.fault(file, "on_call", f"`channel` is one of {', '.join(ON_CALL_CHANNELS)}")
        if table["channel"] == "webhook" and not str(table["to"]).startswith("https://"):
            reading.fault(file, "on_call", "the address of a webhook begins with https://")
        yield OnCall(**table)


def _guests(reading: Reading, file: str, tables: Any, partners: Collection[str]) -> Iterator[GuestContact]:
    for key, table in tables.items():
        place = f"guest.{key}"
        if reading.keys(file, place, table, "name role channel to", "partner") is None:
            continue
        if table["role"] not in GUEST_ROLES:
            reading.fault(file, place, f"`role` is one of {', '.join(GUEST_ROLES)}")
        if table["channel"] not in CHANNELS:
            reading.fault(file, place, f"`channel` is one of {', '.join(CHANNELS)}")
        if table.get("partner", "") not in ("", *partners):
            reading.fault(file, place, f"unknown partner `{table['partner']}`")
        yield GuestContact(id=key, **table)


def _officers(
    reading: Reading, file: str, tables: Any, wishes: Mapping[str, Collection[str]]
) -> Iterator[tuple[str, OfficerProfile]]:
    """`wishes`: the codes of the answers by which a victim asks for an officer; any other would never be met."""
    for username, table in tables.items():
        place = f"officer.{username}"
        if reading.keys(file, place, table, "", "languages skills gender") is None:
            continue
        profile = {name: table.get(name, []) for name in ("languages", "skills")}
        if not all(isinstance(one, list) and all(isinstance(each, str) for each in one) for one in profile.values()):
            reading.fault(file, place, "`languages` and `skills` are lists of texts")
            continue
        gender = table.get("gender", "")
        for name, told in (("victim_language", profile["languages"]), ("officer_wish", [gender] if gender else [])):
            for code in told:
                if wishes[name] and code not in wishes[name]:  # asked nowhere: then it harms nobody
                    reading.fault(file, place, f"`{code}` is no answer to `{name}`")
        yield username, OfficerProfile(tuple(profile["languages"]), tuple(profile["skills"]), gender)
