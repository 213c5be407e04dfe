"""What the processes do that are killed, and what is asked of them: `python -m tests.crash.children WORK PLACE TOLD`.

A process says each thing on standard output as one line of JSON, in one write: what it asks before it asks, and what
was answered after. PLACE says where the store lies; nothing else here knows which engine keeps it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from rvr import log as logs
from rvr import outbox, timekeeping
from rvr.carriers import Word
from rvr.core import events as e
from rvr.core.case import Case, apply
from rvr.core.commands import MakeMove, OpenCase, SetDuty
from rvr.core.errors import RvrError, Stale, Unavailable
from rvr.core.moment import Moment, iso
from rvr.desk import Desk, Outcome
from rvr.outbox import Outbox
from rvr.periodic import Periodic
from rvr.realtime import Hub
from rvr.store import CommandSeen, Store, sqlite
from rvr.store.checkpoints import RefusesToSign
from rvr.store.engine import Connection
from rvr.store.messages import Message
from rvr.store.statements import put
from rvr.store.tables import AccountRow, every
from rvr.ticker import Ticker
from tests.builders import HANDLER, OPENING, SERGEANT, all_met, person, risk, shipped
from tests.crash import disk
from tests.store.builders import Clock, Place, a_batch, event

ROOT = Path(__file__).parents[2]
WITHIN_S = 60
OFFICERS = tuple(person(f"officer-{number}", "officer") for number in range(16))
PEOPLE = {who.id: who for who in (HANDLER, SERGEANT, *OFFICERS)}

# --- Time --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Hurry:
    """This machine's clocks, but a real second is `times` seconds long, counted from one moment of this boot."""

    since_ns: int
    times: int

    def __call__(self) -> Moment:
        now = timekeeping.observe()
        ahead_ns = (now.boottime_ns - self.since_ns) * (self.times - 1)
        return Moment(now.at + timedelta(microseconds=ahead_ns // 1000), now.boot, now.boottime_ns + ahead_ns, None)


# --- A place, and the desk there ---------------------------------------------------------------------------------


def told(place: Place) -> str:
    """The place, as a child is told it."""
    return json.dumps(place.arguments)


def place_of(words: str) -> Place:
    return Place.told(*json.loads(words))


@contextlib.asynccontextmanager
async def at_work(place: Place, observe: Callable[[], Moment] = timekeeping.observe) -> AsyncIterator[Desk]:
    """The desk on the store at this place, with its people."""
    store = Store(place, force="wmp", observe=observe)
    await store.start()
    try:
        ids = (f"{os.getpid():x}-{time.monotonic_ns():x}-{number:x}" for number in itertools.count())
        desk = Desk(
            store, shipped(), Hub(), observe=observe, join_url="https://j.test", link_text="{link}",
            new_id=lambda: next(ids), staff_url="https://rvr.test",
        )  # fmt: skip
        await desk.start()
        if not await store.read(lambda session: every(session, AccountRow)):
            await store.write(hire)
        yield desk
    finally:
        await store.close()


def hire(connection: Connection) -> None:
    """Gives everybody an account."""
    for who in PEOPLE.values():
        row = AccountRow(id=who.id, username=who.id, name=who.name, roles=sorted(who.roles), password_hash="")
        put(connection, row)


# --- What is asked -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """One command as it was sent, so that it can be sent again."""

    id: str
    by: str
    move: str
    """A move, `open`, `on` for duty, or `append` for a batch that went to the store past the desk."""
    case: str = ""
    form: Mapping[str, Any] = field(default_factory=dict)
    expected: int | None = None


async def carry_out(desk: Desk, asked: Asked) -> Outcome:
    who = PEOPLE[asked.by]
    match asked.move:
        case "open":
            return await desk.handle(OpenCase(asked.id, asked.form), who)
        case "on":
            return await desk.handle(SetDuty(asked.id, asked.by, "on"), who)
    return await desk.handle(MakeMove(asked.id, asked.case, asked.move, asked.form, asked.expected), who)


def opens(id_: str, number: int = 0) -> Asked:
    """Opens the case of another caller: cases of one number are looked up together, and cost the more the more there
    are."""
    return Asked(id_, HANDLER.id, "open", form={**OPENING, "safe_number": f"07700 900{number % 1000:03}"})


def say(what: str, *told: Any) -> None:
    os.write(1, json.dumps([what, *told]).encode() + b"\n")


async def ask(desk: Desk, asked: Asked) -> str:
    """Asks, and says so; the id of the case, or "" where the desk refused."""
    say("asked", asdict(asked))
    try:
        outcome = await carry_out(desk, asked)
    except Unavailable as unavailable:
        say("unavailable", asked.id, unavailable.reasons[0].code, repr(unavailable.__cause__)[:150])
        return ""
    except RvrError as refused:
        say("refused", asked.id, refused.code)
        return ""
    say("done", asked.id, outcome.case.id, outcome.case.version)
    return outcome.case.id


def story(officer: str, now: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """One case from the call to the file, in which every kind of row changes: (who, move, form)."""
    yield HANDLER.id, "answer_criteria", all_met()
    yield HANDLER.id, "record_consent", {"consent_kind": "video", "consent_answer": "given"}
    yield HANDLER.id, "offer_handover", {"note": "Left by the back door."}
    yield SERGEANT.id, "accept_handover", {}
    yield SERGEANT.id, "assign_officer", {"officer": officer}
    yield officer, "send_link", {}
    yield officer, "resend_link", {}
    yield officer, "confirm_safety", {"alone": "yes", "place_verified": "yes"}
    yield officer, "end_session", {"end_reason": "completed"}
    yield officer, "assess_risk", risk("standard")
    yield officer, "plan_safeguarding", {"action_kind": "safety_plan", "action_owner": "PC Example", "due_at": now}
    yield officer, "submit_for_review", {}
    yield SERGEANT.id, "allocate", {"team": "lpa-coventry"}


async def officers_at_work(desk: Desk, name: str, officer: str) -> None:
    """One client of the desk: case after case."""
    await ask(desk, Asked(f"{name}/on", officer, "on"))
    for number in itertools.count():
        case = await ask(desk, opens(f"{name}/{number}", len(name) + number))
        steps = story(officer, iso(desk.observe().at + timedelta(days=1))) if case else ()
        for step, (by, move, form) in enumerate(steps):
            await ask(desk, Asked(f"{name}/{number}/{step}", by, move, case, form))


async def writer_at_work(store: Store, name: str) -> None:
    """One client of the store: two commands a case, one with a sealed part and the next with two events."""
    clock = Clock()
    for number in itertools.count():
        case = Case(f"{name}-{number}")
        opened = e.CaseOpened(workflow="da-desk", reference=case.id, details={}, victim_id="v", suspect_id="s")
        offered = event(e.HandoverOffered(note="Ann"), "handover", clock)
        for step, facts in enumerate(((event(opened, "call_taking", clock),), (offered, offered))):
            command = f"{case.id}/{step}"
            say("asked", asdict(Asked(command, "person-1", "append", case.id)))
            try:
                with contextlib.suppress(CommandSeen):  # kept, though the connection was lost before anybody heard it
                    await store.append(a_batch(command, case, *facts))
            except Unavailable as unavailable:
                say("unavailable", command, unavailable.reasons[0].code)
                break
            say("done", command)
            for fact in facts:
                case = apply(case, fact)


# --- The works ---------------------------------------------------------------------------------------------------


async def write(
    place: Place,
    name: str,
    since_ns: int,
    again: list[dict[str, Any]],
    synchronous: int = sqlite._WRITING["synchronous"],  # type: ignore[assignment]
) -> None:
    """Eight clients, the ticker and the signer, until it is killed.

    First it sends again what the process before it got no answer to. `synchronous`: for the control, in which commits
    are not brought to the disk.
    """
    sqlite._WRITING["synchronous"] = synchronous
    async with at_work(place, Hurry(since_ns, 600)) as desk:
        say("started")
        await asyncio.gather(*(ask(desk, Asked(**one)) for one in again))
        Periodic(Ticker(desk).tick, 0.05).start()
        Periodic(desk.store.checkpoint, 0.02).start()
        clients = [
            writer_at_work(desk.store, f"{name}-{number}")
            if number % 2
            else officers_at_work(desk, f"{name}-{number}", OFFICERS[number].id)
            for number in range(8)
        ]
        await asyncio.gather(*clients)


async def steps(place: Place, todo: list[tuple[str, Any]]) -> None:
    """Does one thing after the other: what to `ask`, what `fails` from then on, whether to `sign`."""
    async with at_work(place) as desk:
        say("started")
        for what, told in todo:
            match what:
                case "ask":
                    await ask(desk, Asked(**told))
                case "fails":
                    disk.fails(told)
                case "sign":
                    await desk.store.checkpoint()
        say("all done")
        await asyncio.Event().wait()


async def fail_and_mend(place: Place, which: list[int], code: str) -> None:
    """The nth of writes and syncs fails, for each of these n: it alone, and then with all that come behind it."""
    async with at_work(place) as desk:
        known = (await carry_out(desk, opens("known"))).case.id
        calls = (opens(f"call {number}", number) for number in itertools.count())
        say("started")
        for n, on in itertools.product(which, ("", ":on")):
            before = disk.failed()
            disk.fails(f"act:{n}:{code}{on}")
            while disk.failed() == before:
                await asyncio.gather(*(ask(desk, next(calls)) for _ in range(4)), sign(desk.store))
            fault = desk.store.fault
            assert (await desk.case(known)).id == known, "reading goes on"
            assert await desk.open_cases(), "reading goes on"
            if on:
                with contextlib.suppress(Unavailable):
                    await desk.store.probe()
                    raise AssertionError("written on a disk that fails")
            disk.fails()
            assert await ask(desk, next(calls)), "writing comes back"
            await desk.store.checkpoint()
            assert (desk.store.fault, desk.store.refusal) == ("", None)
            say("failed", n, on, fault)
        say("all done")
        await asyncio.Event().wait()


async def sign(store: Store) -> None:
    with contextlib.suppress(Unavailable, RefusesToSign):
        await store.checkpoint()


async def tick(place: Place, look_s: float) -> None:
    """One process's ticker, until it is killed."""
    async with at_work(place) as desk:
        Periodic(Ticker(desk).tick, look_s).start()
        say("started")
        await asyncio.Event().wait()


async def send(place: Place) -> None:
    """The sender of the outbox, whose carrier says what it has taken, until it is killed."""
    dice = random.Random()

    class Carrier:
        async def send(self, message: Message, *, again: bool) -> Word:
            await asyncio.sleep(dice.uniform(0, 0.004))
            say("sent", message.id, message.recipient, message.body)
            await asyncio.sleep(dice.uniform(0, 0.004))
            return "gone"

        async def word(self, message: Message) -> Word:
            return "gone"

    outbox.HELD_S = 1  # this carrier takes milliseconds
    async with at_work(place) as desk:
        say("started")
        await Outbox(desk, Carrier()).deliver()
        Periodic(Outbox(desk, Carrier()).deliver, 0.01).start()
        await asyncio.Event().wait()


async def together(place: Place, begins: float, asked: list[dict[str, Any]]) -> None:
    """Asks all of it at once, at a moment that other processes too were told."""
    async with at_work(place) as desk:
        await asyncio.sleep(begins - time.monotonic())
        await asyncio.gather(*(ask(desk, Asked(**one)) for one in asked))


async def history(place: Place, begins: float, name: str, cases: list[str], clients: int, times: int) -> None:
    """Clients that look and write at random, and say of each act when it began and ended and what came of it.

    A line: case, what ("looked", "wrote" or "stale"), began, ended, the version, what was expected, the address.
    """

    async def client(number: int) -> None:
        dice, seen = random.Random(f"{name} {number}"), dict.fromkeys(cases, 0)
        for act in range(times):
            case, address = dice.choice(cases), f"{name}/{number}/{act}"
            expected = seen[case] if seen[case] and dice.random() < 0.7 else None
            began = time.monotonic_ns()
            if dice.random() < 0.4:
                found, what, expected = await desk.case(case), "looked", None
                seen[case], address = found.version, found.personal["address"]
            else:
                asked = Asked(address, HANDLER.id, "correct_details", case, {"address": address}, expected)
                try:
                    seen[case], what = (await carry_out(desk, asked)).case.version, "wrote"
                except Stale as stale:
                    seen[case], what, address = stale.extra["version"], "stale", ""
            say("act", case, what, began, time.monotonic_ns(), seen[case], expected, address)

    async with at_work(place) as desk:
        await asyncio.sleep(begins - time.monotonic())
        await asyncio.gather(*(client(number) for number in range(clients)))


WORKS: dict[str, Callable[..., Any]] = {
    "write": write,
    "steps": steps,
    "fail": fail_and_mend,
    "tick": tick,
    "send": send,
}
WORKS |= {"together": together, "history": history}


# --- Starting and killing them -----------------------------------------------------------------------------------


@dataclass
class Child:
    """A process at work, and what it said."""

    process: subprocess.Popen[bytes]
    said: list[list[Any]] = field(default_factory=list)

    def until(self, what: str, times: int = 1) -> None:
        """Listens until it has said this so many times more."""
        assert self.process.stdout is not None
        while times:
            line = self.process.stdout.readline()
            assert line, f"the child ended with {self.process.wait()}"
            self.said.append(json.loads(line))
            times -= self.said[-1][0] == what

    def kill(self) -> list[list[Any]]:
        """Kills it without warning; all that it said, but for a last line that is torn."""
        self.process.send_signal(signal.SIGKILL)
        assert self.ends() == -signal.SIGKILL, "it had ended by itself"
        return self.said

    def ends(self) -> int:
        """Listens to its end; its exit code."""
        assert self.process.stdout is not None
        self.said += [json.loads(line) for line in self.process.stdout.read().split(b"\n")[:-1]]
        return self.process.wait(WITHIN_S)


@contextlib.contextmanager
def at(work: str, place: Place, *, under: Mapping[str, str] | None = None, **told_more: Any) -> Iterator[Child]:
    """A process at this work, which does not outlive the block."""
    command = [sys.executable, "-P", "-m", "tests.crash.children", work, told(place), json.dumps(told_more)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **(under or {})}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE) as process:
        try:
            yield Child(process)
        finally:
            process.kill()


def acknowledged(said: Iterable[list[Any]]) -> set[str]:
    return {line[1] for line in said if line[0] == "done"}


def unanswered(said: Iterable[list[Any]]) -> list[dict[str, Any]]:
    """What was asked of the desk and got no answer."""
    said = list(said)
    answered = {line[1] for line in said if line[0] in ("done", "unavailable", "refused")}
    asked = [line[1] for line in said if line[0] == "asked"]
    return [one for one in asked if one["id"] not in answered and one["move"] != "append"]


if __name__ == "__main__":
    logs.set_up("CRITICAL")  # what goes wrong here on purpose is told by what the proof finds
    asyncio.run(WORKS[sys.argv[1]](place_of(sys.argv[2]), **json.loads(sys.argv[3])))
