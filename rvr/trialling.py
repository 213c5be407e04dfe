"""The verb `trial`: what an evaluator does with a trial at the terminal, from the secret to the check at its end."""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import uuid
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

from rvr import people, terminal
from rvr.config import Settings
from rvr.core.commands import Actor, RegisterTrial, StopTrial
from rvr.core.moment import iso
from rvr.core.trial import SECRET_BYTES, Design, TrialNow, commitment
from rvr.core.workflow import Workflow
from rvr.definitions import load_stored
from rvr.desk import Desk
from rvr.evaluation import consort, stopping, trial_check
from rvr.evaluation.protocol import protocol
from rvr.evaluation.trial_columns import WHY
from rvr.evaluation.trial_runs import registered_design, runs
from rvr.evaluation.window import window_of
from rvr.opening import Fault, open_desk, read_trial_secret
from rvr.store import trials
from rvr.store.access import record as note
from rvr.terminal import entry, say

VERBS = ("trial",)


def told(design: Design) -> str:
    """The design in one line."""
    sizes = " and ".join(map(str, design.blocks))
    return f"trial {design.id}: {len(design.arms)} arms, {len(design.strata)} strata, blocks of {sizes}"


def add_verb(verbs: Any, store: argparse.ArgumentParser) -> None:
    """The verb with its options. `store`: the options of everything that opens a store."""
    one = verbs.add_parser("trial", parents=[store], help="a randomised trial: from its secret to the check at its end")
    one.add_argument("action", choices=("secret", *_ACTIONS))
    one.add_argument("--out", type=Path, metavar="FILE", help="secret: the new file; protocol: where the text goes")
    one.add_argument("--secret", type=Path, metavar="FILE", help="register, verify: the evaluator's secret")
    one.add_argument("--user", default="", metavar="NAME", help="register, stop: who does it, an account with password")
    one.add_argument(
        "--trial", default="", metavar="ID", help="an earlier one (default: the one that is on, or the last)"
    )
    one.add_argument("--reason", default="", metavar="CODE", help="stop: a stopping rule, or safety, funder, other")


def run(given: argparse.Namespace, settings: Settings) -> int:
    """Runs the verb; the exit code. Raises Fault, SettingFault, CannotOpen, and what the desk refuses."""
    if given.action == "secret":
        _make_secret(given.out)
        return 0
    return asyncio.run(_at_desk(given, settings))


def _make_secret(out: Path | None) -> None:
    if out is None:
        raise Fault("trial secret needs --out FILE, a new file")
    secret = secrets.token_bytes(SECRET_BYTES)
    try:
        with os.fdopen(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"{secret.hex()}\n")
    except OSError as error:
        raise Fault(f"{out} cannot be made: {error.strerror}") from None
    say(f"{out}: made. Keep a copy that the desk's machine cannot lose, and show it to nobody who enrols.")
    say(f"commitment (SHA-256): {commitment(secret)}")


async def _at_desk(given: argparse.Namespace, settings: Settings) -> int:
    async with open_desk(settings, existing=True) as desk:
        flow = await _flow_of(given, desk)
        if flow is None or flow.trial is None:
            raise Fault(f"No trial {given.trial or 'is on'} for {settings.force}: see docs/TRIAL.md.")
        return await _ACTIONS[given.action](given, desk, flow, flow.trial)


async def _flow_of(given: argparse.Namespace, desk: Desk) -> Workflow | None:
    """With the trial that is on; to look at one long after its end, as it was when it was registered."""
    flows = (flow for flow in desk.definitions.workflows.values() if flow.trial is not None)
    now = next((flow for flow in flows if flow.trial and given.trial in ("", flow.trial.id)), None)
    if now is not None or given.action not in _LOOKS:
        return now
    window = await window_of(desk.store)
    stored, found = await asyncio.to_thread(lambda: (window.definitions(desk.store), runs(desk.store, window.until)))
    told = registered_design(stored, found, given.trial)
    return load_stored(told.workflow, told.files) if told else None


async def _now(desk: Desk, design: Design) -> TrialNow:
    return await desk.store.look(lambda connection: trials.standing(connection, design.id))


async def _by(given: argparse.Namespace, desk: Desk) -> Actor:
    if not given.user:
        raise Fault(f"trial {given.action} needs --user NAME: an account whose password is asked for")
    typed = terminal.password(given.user)
    by = await people.authenticate(desk, given.user, typed, partial(terminal.code, given.user))
    if by is None:
        raise Fault("There is no such account, or the password or the code is another one.")
    return by


async def _register(given: argparse.Namespace, desk: Desk, flow: Workflow, design: Design) -> int:
    if given.secret is None:
        raise Fault("trial register needs --secret FILE: its commitment is written, and nothing else of it")
    known = commitment(read_trial_secret(given.secret))
    command = RegisterTrial(str(uuid.uuid4()), design.id, known)
    await desk.handle(command, await _by(given, desk), signin=terminal.signin())
    say(f"{told(design)}: registered")
    say(f"commitment (SHA-256): {known}")
    say(f"design: {design.digest}")
    return 0


async def _protocol(given: argparse.Namespace, desk: Desk, flow: Workflow, design: Design) -> int:
    text = protocol(flow, design, await _now(desk, design))
    if given.out is None:
        say(text.rstrip())
        return 0
    try:
        given.out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Fault(f"{given.out} cannot be written: {error.strerror}") from None
    say(f"{given.out}: written")
    return 0


async def _status(given: argparse.Namespace, desk: Desk, flow: Workflow, design: Design) -> int:
    now, window = await _now(desk, design), await window_of(desk.store)
    await desk.store.write(lambda connection: note(connection, entry("consultation", "trial.status")))
    found = await asyncio.to_thread(stopping.standing, desk.store, window, design)
    state = "not registered" if not now.commitment else f"stopped: {now.stopped}" if now.stopped else "registered"
    changed = now.commitment and now.design != design.digest
    say(f"{told(design)}: {state}{'; the design was changed since: nothing is drawn' if changed else ''}")
    say(f"contacts {found.flow.contacts}, randomised {found.flow.randomised}")
    for why, count in found.flow.exits.most_common():
        say(f"  not randomised: {count:>5}  {WHY[why]}")
    for stratum, arms in consort.balance(found.flow):
        say(f"  {stratum:<24} " + "  ".join(f"{letter} {count:>5}" for letter, count in arms.items()))
    for letter in sorted(found.flow.arms):
        got = {what: found.flow.received(letter, what) for what in ("own", "other", "none")}
        say(
            f"  {letter}: received it first {got['own']}, another arm first {got['other']}, none so far {got['none']}; "
            f"set aside {found.flow.overridden[letter]}"
        )
    for stop, far, reached in stopping.told(found, design, now, iso(desk.observe().at), flow.force.hours):
        say(f"  stopping rule {stop.id}: {far}{'  REACHED: ' + stop.say if reached else ''}")
    return 0


async def _stop(given: argparse.Namespace, desk: Desk, flow: Workflow, design: Design) -> int:
    command = StopTrial(str(uuid.uuid4()), design.id, given.reason)
    await desk.handle(command, await _by(given, desk), signin=terminal.signin())
    say(f"trial {design.id}: stopped. No case is randomised any more, and the desk goes on.")
    return 0


async def _verify(given: argparse.Namespace, desk: Desk, flow: Workflow, design: Design) -> int:
    if given.secret is None:
        raise Fault("trial verify needs --secret FILE")
    secret = read_trial_secret(given.secret)
    await desk.store.write(lambda connection: note(connection, entry("consultation", "trial.verify")))
    count, faults = await asyncio.to_thread(trial_check.faults, desk.store, design, secret)
    for fault in faults:
        say(fault)
    say(f"{count} cases were randomised; " + (f"{len(faults)} faults" if faults else "each as the secret has it"))
    return 1 if faults else 0


_LOOKS = ("protocol", "status", "verify")

_Action = Callable[[argparse.Namespace, Desk, Workflow, Design], Awaitable[int]]

_ACTIONS: dict[str, _Action] = {
    "register": _register,
    "protocol": _protocol,
    "status": _status,
    "stop": _stop,
    "verify": _verify,
}
