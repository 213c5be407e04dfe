"""The verb `accounts`: who may sign in, made and changed at the terminal by whoever runs the machine.

Every change is an event in the person's own stream, under the operating system's user name. A password is typed by
whoever it belongs to; the second factor is shown once, as a picture for an authenticator.
"""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import dataclass
from typing import Any

import segno

from rvr import people, second_factor, terminal
from rvr.config import Settings
from rvr.core import events as e
from rvr.core.commands import STAFF
from rvr.desk import Desk
from rvr.opening import Fault, open_desk
from rvr.store.tables import AccountRow, every
from rvr.terminal import say

VERBS = ("accounts",)

SHORTEST = 12
"""Characters of a password beside a second factor; NIST SP 800-63B-4 asks for eight there, and for fifteen alone."""


def add_verbs(verbs: Any, store: argparse.ArgumentParser) -> None:
    one = verbs.add_parser("accounts", parents=[store], help="who may sign in: list, add, change, disable")
    one.add_argument("action", choices=tuple(_ACTIONS))
    one.add_argument("username", nargs="?", default="", metavar="NAME", help="the sign-in name; for all but `list`")
    one.add_argument("--name", default="", help="add: the name as colleagues see it")
    one.add_argument("--role", default="", help="add, role: what the person does")
    one.add_argument("--unit", action="append", default=[], help="add, role: a team or partner organisation's id")


def run(given: argparse.Namespace, settings: Settings) -> int:
    """Runs the verb; the exit code. Raises Fault."""
    if given.action != "list" and not given.username:
        raise Fault(f"accounts {given.action} needs the sign-in NAME")
    asyncio.run(_ACTIONS[given.action](_Asked(given, settings)))
    return 0


@dataclass(frozen=True, slots=True)
class _Asked:
    given: argparse.Namespace
    settings: Settings

    def units(self, desk: Desk) -> tuple[str, ...]:
        """Those that were told. Raises Fault for one that the force does not have."""
        force = next(iter(desk.definitions.workflows.values())).force
        known = {*force.teams, *force.partners}
        if unknown := sorted(set(self.given.unit) - known):
            raise Fault(f"--unit {unknown[0]}: the force has {', '.join(sorted(known))}")
        return tuple(self.given.unit)

    def role(self) -> str:
        if self.given.role not in STAFF:
            raise Fault(f"--role is one of {', '.join(sorted(STAFF))}")
        return str(self.given.role)


async def _list(asked: _Asked) -> None:
    async with open_desk(asked.settings, existing=True) as desk:
        for row in sorted(await _rows(desk), key=lambda row: row.username):
            factor = "second factor" if row.factor else "password only"
            say("  ".join([f"{row.username:<16}", f"{','.join(row.roles):<24}", factor, *_closed(row), *row.units]))


def _closed(row: AccountRow) -> list[str]:
    return ["disabled"] if row.disabled else []


async def _add(asked: _Asked) -> None:
    given, role = asked.given, asked.role()
    if not given.name:
        raise Fault("accounts add needs --name, the name as colleagues see it")
    async with open_desk(asked.settings) as desk:
        if any(row.username == given.username for row in await _rows(desk)):
            raise Fault(f"There is an account {given.username} already.")
        units, hashed = asked.units(desk), _new_password(given.username)
        row = await people.register(
            desk, given.username, given.name, (role,), hashed, units, by=terminal.signin().person
        )
        await _show_factor(desk, row, asked.settings)


async def _password(asked: _Asked) -> None:
    async with open_desk(asked.settings, existing=True) as desk:
        row = await _row(desk, asked.given.username)
        await _change(desk, row, "password", password_hash=_new_password(row.username))
        say(f"{row.username}: the password is another one; whoever was signed in is no more.")


async def _second_factor(asked: _Asked) -> None:
    async with open_desk(asked.settings, existing=True) as desk:
        await _show_factor(desk, await _row(desk, asked.given.username), asked.settings)


async def _role(asked: _Asked) -> None:
    async with open_desk(asked.settings, existing=True) as desk:
        row, role, units = await _row(desk, asked.given.username), asked.role(), asked.units(desk)
        if row.provider_key:
            raise Fault(f"The identity provider says at each sign-in what {row.username} does: change it there.")
        await _change(desk, row, "roles", roles=[role], units=list(units))
        say(f"{row.username}: {role}, from the next sign-in on.")


async def _disable(asked: _Asked) -> None:
    async with open_desk(asked.settings, existing=True) as desk:
        row = await _row(desk, asked.given.username)
        await _change(desk, row, "disabled", disabled=True)
        say(f"{row.username}: disabled; whoever was signed in is no more.")


async def _enable(asked: _Asked) -> None:
    async with open_desk(asked.settings, existing=True) as desk:
        row = await _row(desk, asked.given.username)
        await _change(desk, row, "enabled", disabled=False)
        say(f"{row.username}: enabled.")


_ACTIONS = {
    "list": _list,
    "add": _add,
    "password": _password,
    "second-factor": _second_factor,
    "role": _role,
    "disable": _disable,
    "enable": _enable,
}


async def _show_factor(desk: Desk, row: AccountRow, settings: Settings) -> None:
    """A new secret, shown this once."""
    secret = second_factor.new_secret()
    sealed = await people.sealed_factor(desk, row.id, secret)
    await people.change(desk, row.id, _changed("second_factor"), by=terminal.signin().person, **sealed)
    address = second_factor.address(secret, row.username, f"RVR {settings.force}")
    say(f"{row.username}: scan this with an authenticator now. It is shown this once.")
    segno.make(address).terminal(compact=True)
    say(f"Or type it there: {secret}")


def _changed(what: str, **more: Any) -> e.AccountChanged:
    return e.AccountChanged(what=what, **more)


async def _change(desk: Desk, row: AccountRow, what: str, **values: Any) -> None:
    told = {name: tuple(values[name]) for name in ("roles", "units") if name in values}
    await people.change(desk, row.id, _changed(what, **told), by=terminal.signin().person, **values)


def _new_password(username: str) -> str:
    """Typed twice by whoever it belongs to; its hash. Raises Fault for one that is too short, or not the same."""
    typed, again = terminal.password(username), terminal.password(f"{username}, once more")
    if typed != again:
        raise Fault("The two are not the same. Nothing was changed.")
    if len(typed) < SHORTEST:
        raise Fault(f"A password has {SHORTEST} characters at least: take some words. Nothing was changed.")
    return people.HASHER.hash(typed)


async def _rows(desk: Desk) -> list[AccountRow]:
    return await desk.store.read(lambda session: every(session, AccountRow))


async def _row(desk: Desk, username: str) -> AccountRow:
    found = [row for row in await _rows(desk) if row.username == username]
    if not found:
        raise Fault(f"There is no account {username}: python3 run.py accounts list")
    return found[0]
