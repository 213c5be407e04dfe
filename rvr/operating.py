"""The operator's verbs: keys, backup and restore, migrations, replay, retention and erasure.

Each works on the same data folder as a running desk, and may run beside it. Whatever touches personal data or its keys
is written into the access log under the operating system's user name.
"""

from __future__ import annotations

import argparse
import asyncio
import uuid
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from rvr import definitions, exhibits, people, terminal
from rvr.config import Settings
from rvr.core.case import fold
from rvr.core.commands import Actor, ConfirmErasure, ProposeErasure
from rvr.core.erasure import is_erased, proposal
from rvr.core.retention import Retention
from rvr.desk import Desk
from rvr.opening import Fault, open_desk, open_store, place_of
from rvr.store import backup, checkpoints, keyring, migrations, roles, shares, sqlite
from rvr.store.access import Access
from rvr.store.access import record as note
from rvr.store.checkpoints import Heads, RefusesToSign
from rvr.store.place import Place
from rvr.store.sealing import SealBroken
from rvr.store.store import Store
from rvr.store.tables import CaseRow, every
from rvr.terminal import entry, say
from rvr.timekeeping import observe

VERBS = ("keys", "backup", "restore", "migrate", "replay", "retention", "erase")


def add_verbs(verbs: Any, store: argparse.ArgumentParser) -> None:
    """The verbs with their options. `store`: the options of everything that opens a store."""
    one = verbs.add_parser("keys", parents=[store], help="make, show, rotate, split or restore the key file")
    one.add_argument("action", choices=("create", "show", "rotate", "split", "restore"))
    one.add_argument("shares", nargs="*", type=Path, metavar="SHARE", help="restore: the files of the shares")
    one.add_argument("--of", type=int, default=3, help="split: how many shares")
    one.add_argument("--need", type=int, default=2, help="split: how many of them restore the key file")
    one.add_argument("--out", type=Path, metavar="PATH", help="split: a new folder; restore: the new key file")
    one = verbs.add_parser("backup", parents=[store], help="copy the store while the desk runs, and examine the copy")
    one.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder outside the data folder")
    one = verbs.add_parser("restore", parents=[store], help="put a backup into a new data folder, and examine it there")
    one.add_argument("backup", type=Path, metavar="BACKUP", help="the folder that `backup` made")
    one = verbs.add_parser("migrate", parents=[store], help="bring the schema to this version, as `serve` does, too")
    one.add_argument("--grants", metavar="ROLE", default="", help="only print what a serving role may do, as SQL")
    verbs.add_parser("replay", parents=[store], help="make the read rows again from the log")
    one = verbs.add_parser("retention", parents=[store], help="list the cases that are due for review; erases nothing")
    one.add_argument("--by", type=datetime.fromisoformat, metavar="DATE", help="due by then (default today)")
    one = verbs.add_parser("erase", parents=[store], help="destroy the key of a case: one proposes, another confirms")
    one.add_argument("action", choices=("propose", "confirm"))
    one.add_argument("case", metavar="CASE", help="its reference or id")
    one.add_argument(
        "--user", required=True, metavar="NAME", help="who does it: an account with its password and its second factor"
    )
    one.add_argument("--authority", default="", metavar="CODE", help="propose: what allows it")
    one.add_argument("--reason", default="", metavar="CODE", help="propose: why")


def run(given: argparse.Namespace, settings: Settings) -> int:
    """Runs one of the verbs; the exit code. Raises Fault, CannotOpen, and what the desk refuses."""
    try:
        match given.verb:
            case "keys":
                _KEYS[given.action](given, settings)
            case "backup":
                _backup(given.out, settings)
            case "restore":
                _restore(given.backup, settings)
            case "migrate":
                asyncio.run(_migrate(given.grants, settings))
            case "replay":
                asyncio.run(_replay(settings))
            case "retention":
                asyncio.run(_retention(settings, given.by))
            case "erase":
                asyncio.run(_erase(given, settings))
    except (shares.BadShare, SealBroken) as wrong:
        raise Fault(str(wrong)) from None
    except (sqlite.dbapi.Error, OSError) as broken:
        raise Fault(f"{given.verb}: {broken}. Nothing was put in place.") from None
    return 0


# --- Keys --------------------------------------------------------------------------------------------------------


def _create_keys(given: argparse.Namespace, settings: Settings) -> None:
    master = keyring.create(place_of(settings))
    say(f"{settings.key_path}: made, master key {master}")
    say("Without this file nothing can be read. Split it now, and keep the shares apart: python3 run.py keys split")


def _show_keys(given: argparse.Namespace, settings: Settings) -> None:
    for one in keyring.show(place_of(settings)):
        made = one.made or "before this was noted"
        say(f"master key {one.id}  made {made}  wraps {one.wraps}{'  seals new keys' if one.seals else ''}")


def _rotate_keys(given: argparse.Namespace, settings: Settings) -> None:
    master, count = keyring.rotate(place_of(settings, existing=True), entry("alteration", "keys.rotate"))
    say(f"master key {master} wraps every data key now: {count} were wrapped anew")
    say("Split the key file again: the shares that there are restore the file of before.")


def _split_keys(given: argparse.Namespace, settings: Settings) -> None:
    if given.out is None:
        raise Fault("keys split needs --out DIR, a new folder for the shares")
    told = entry("disclosure", "keys.split", recipient=f"{given.need} of {given.of}")
    files = keyring.split(place_of(settings), given.out, settings.force, given.need, given.of, told)
    say("\n".join(map(str, files)))
    say(f"Any {given.need} of these {given.of} restore the key file: each goes to another person, and none stays here.")


def _restore_keys(given: argparse.Namespace, settings: Settings) -> None:
    if given.out is None or not given.shares:
        raise Fault("keys restore needs the files of the shares and --out FILE")
    tried = keyring.restore(place_of(settings), given.shares, given.out, entry("alteration", "keys.restore"))
    opens = f"it opens {place_of(settings).where}" if tried else "there is no database here to try it on"
    say(f"{given.out}: the key file, restored; {opens}")


_KEYS = {
    "create": _create_keys,
    "show": _show_keys,
    "rotate": _rotate_keys,
    "split": _split_keys,
    "restore": _restore_keys,
}


# --- Backup, restore, replay -------------------------------------------------------------------------------------


def _backup(out: Path, settings: Settings) -> None:
    told = entry("disclosure", "backup", recipient=str(out.resolve()))
    made = backup.make(place_of(settings, existing=True), out.resolve(), settings.force, told)
    beside = f", {len(made.beside)} sealed files of recordings and stills" if made.beside else ""
    say(f"{out}: up to position {made.position}, {made.size} bytes{beside}, examined: no fault")
    say(f"The keys are not in it. It opens with {settings.key_path}.")


def _restore(source: Path, settings: Settings) -> None:
    told = entry("alteration", "restore", reason=source.resolve().name)
    found = backup.restore(source, place_of(settings), told)
    say(f"{settings.data_path}: restored as of {found.made_at}, position {found.position}, examined: no fault")
    for line in _signing(place_of(settings), found):
        say(line)


def _signing(place: Place, restored: backup.Manifest) -> Iterator[str]:
    """What the operator has to know: whether heads of the restored log will be signed, and if not, what has to be done
    about it."""
    with place.opened() as connection:
        (origin,) = connection.execute("SELECT value FROM setting WHERE key = 'log'").fetchone()
        heads = Heads(place.heads_file, origin)
        try:
            newest, signed = checkpoints.ahead(connection, heads), checkpoints.last(connection) is not None
        except RefusesToSign as broken:
            yield f"No head will be signed until this is mended ({broken.code}): {broken}"
            return
    if newest:
        yield (
            f"The log is behind its signed heads: {heads.file} has one of {newest.head.size} events, signed at"
            f" {newest.at}. The {newest.head.size - restored.position} events since {restored.made_at} are lost, unless"
            " a newer copy of the data is found."
        )
    elif signed and not heads.file.exists():
        yield f"{heads.file} is missing: put its newest copy there, for it tells what is lost since {restored.made_at}."
    else:
        yield "No signed head is known that the log is behind: signing goes on."
        return
    code = "behind" if newest else "heads-missing"
    yield f"The desk works, but signs no head ({code}, also on /health/ready) until the loss is accepted:"
    moved = f"keep {heads.file} as evidence under another name, and " if newest else ""
    yield f"  {moved}put an empty {heads.file.name} in its place; write down who did so, when and why."
    yield "  Where witnesses cosign, whoever runs each of them takes this log out of its state file, on paper, too."
    yield "  docs/LOG.md tells it in sections 14 and 16."


async def _migrate(role: str, settings: Settings) -> None:
    if role:
        say("\n".join(roles.grants(role)))
        return
    async with open_store(settings) as store:
        say(f"{store.place.where}: step {migrations.newest()}")


async def _replay(settings: Settings) -> None:
    async with open_store(settings, existing=True) as store:
        await _note(store, entry("alteration", "replay"))
        changed = await store.replay()
    for table in changed:
        say(f"{table}: was not what the log says")
    say("The read rows were made again from the log" + ("." if changed else ": all were as it says."))


# --- Retention, erasure ------------------------------------------------------------------------------------------


async def _retention(settings: Settings, by: datetime | None) -> None:
    rules = definitions.load(Path(settings.workflows), settings.force).retention
    until = by.astimezone() if by else observe().at
    count = 0
    async with open_store(settings, existing=True) as store:
        await _note(store, entry("consultation", "retention"))
        for line in await asyncio.to_thread(lambda: sorted(_due(store, rules, until))):
            say("  ".join(line))
            count += 1
    say(f"{count} cases are due for review. Nothing was erased.")
    classes = [*rules.classes, *([rules.recordings] if rules.recordings else [])]
    unconfirmed = [one.id for one in classes if not one.confirmed]
    if unconfirmed:
        say(f"Practice, to be confirmed by the force (tables/retention.toml): {', '.join(unconfirmed)}")


def _due(store: Store, rules: Retention, until: datetime) -> Iterator[tuple[str, ...]]:
    """Due date, reference, class and whether an erasure was proposed, of each case."""
    for stream, events in groupby(store.iterate(), key=lambda one: one.stream):
        log = list(events)
        case = fold(stream.removeprefix("case/"), log)
        keeping = rules.keeping(case, log)
        if keeping is not None and keeping.review_at <= until and not is_erased(case):
            proposed = "erasure proposed" if proposal(log) else ""
            yield keeping.review_at.date().isoformat(), case.reference, keeping.record_class.id, proposed
        looked_at = rules.review_of_recordings(case)
        if looked_at is not None and looked_at <= until and not is_erased(case):
            yield looked_at.date().isoformat(), case.reference, "recordings", ""


async def _erase(given: argparse.Namespace, settings: Settings) -> None:
    async with open_desk(settings, existing=True) as desk:
        typed = terminal.password(given.user)
        by = await people.authenticate(desk, given.user, typed, partial(terminal.code, given.user))
        if by is None:
            raise Fault("There is no such account, or the password or the code is another one. Nothing was done.")
        row = await _case_row(desk, given.case)
        if given.action == "propose":
            await _propose(desk, row, by, given)
        else:
            await desk.handle(ConfirmErasure(str(uuid.uuid4()), row.id), by, signin=terminal.signin())
            await exhibits.forget(settings.recordings_path, await desk.case(row.id))
            say(f"{row.reference}: erased. Backups that were made before still hold it while a key for them is kept.")


async def _propose(desk: Desk, row: CaseRow, by: Actor, given: argparse.Namespace) -> None:
    rules = desk.definitions.retention
    for name, code, known in (
        ("authority", given.authority, rules.authorities),
        ("reason", given.reason, rules.reasons),
    ):
        if code not in known:
            told = "\n".join(f"  {code:<24} {meaning}" for code, meaning in known.items())
            raise Fault(f"--{name} is one of:\n{told}")
    command = ProposeErasure(str(uuid.uuid4()), row.id, given.authority, given.reason)
    await desk.handle(command, by, signin=terminal.signin())
    say(f"{row.reference}: proposed, nothing is erased yet. An inspector or another administrator confirms:")
    say(f"python3 run.py erase confirm {row.reference} --user NAME")


async def _note(store: Store, told: Access) -> None:
    await store.write(lambda connection: note(connection, told))


async def _case_row(desk: Desk, told: str) -> CaseRow:
    rows = await desk.store.read(
        lambda session: every(session, CaseRow, (CaseRow.id == told) | (CaseRow.reference == told))
    )
    if not rows:
        raise Fault(f"There is no case {told}.")
    return rows[0]
