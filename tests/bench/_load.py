"""Works at a served desk through its API, by the clock: `python -m tests.bench._load HOW`.

Commands arrive at their times, whatever became of those before; only the next command of a case waits for the answer
to the last. How long each took is counted from when it was to arrive. The process says when everybody is at work, and
at its end what it counted, as one line of JSON each.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from time import perf_counter
from typing import Any

import aiohttp

from rvr import people
from rvr.config import Settings
from rvr.opening import open_desk
from tests.bench import _past
from tests.builders import all_met, risk
from tests.serving import PASSWORD

HANDLERS, SERGEANTS, RESOURCING = 8, 8, 2
SLOW_S = 0.05
LATE_S = 10
"""For so long are answers waited for after the last command."""

END = None

STAGES = 15
"""Commands of a case, its opening among them."""

SETTLES_S = 3.0
"""Between going ahead and the first command that counts."""


@dataclass
class How:
    """What is sent."""

    url: str
    rate: float
    """Commands a second."""
    seconds: float
    cases: int = 100
    """Cases at work at once, each with an officer of its own."""


def staff(officers: int) -> Iterator[tuple[str, str]]:
    """User name and role of everybody who works."""
    for role, count in (("call_handler", HANDLERS), ("sergeant", SERGEANTS), ("resourcing", RESOURCING)):
        yield from ((f"{role}-{number}", role) for number in range(count))
    yield from ((f"officer-{number}", "officer") for number in range(officers))


async def hire(settings: Settings, officers: int) -> None:
    """Their accounts, in a store that nobody serves yet."""
    hashed = people.HASHER.hash(PASSWORD)
    async with open_desk(settings) as desk:
        for username, role in staff(officers):
            await people.register(desk, username, username.replace("_", " ").title(), (role,), hashed)


# --- What a case is sent -----------------------------------------------------------------------------------------

Step = tuple[str, str, dict[str, Any]]
"""Who, move, form."""


def steps(lane: int, officer: str) -> Iterator[Step]:
    """From the call to the allocation: offered for video, and answered in person when the link is not opened."""
    handler, sergeant = f"call_handler-{lane % HANDLERS}", f"sergeant-{lane % SERGEANTS}"
    me = f"officer-{lane}"
    yield handler, "answer_criteria", all_met()
    yield handler, "record_consent", {"consent_kind": "video", "consent_answer": "given"}
    yield handler, "offer_handover", {"note": "Left by the back door."}
    yield sergeant, "accept_handover", {}
    yield sergeant, "assign_officer", {"officer": officer}
    yield me, "send_link", {}
    yield me, "resend_link", {}
    yield me, "request_deployment", {"response_grade": "priority", "deployment_reason": "prefers_in_person"}
    yield f"resourcing-{lane % RESOURCING}", "record_attendance", {}
    yield sergeant, "assign_officer", {"officer": officer}
    yield me, "assess_risk", risk("standard")
    yield me, "plan_safeguarding", {"action_kind": "safety_plan", "action_owner": "PC Example"}
    yield me, "submit_for_review", {}
    yield sergeant, "allocate", {"team": "lpa-coventry"}


def opening(number: int) -> dict[str, Any]:
    """A call from somebody who has not called before, from one of a thousand telephones."""
    told = _past.people(Random(f"call {number}"))
    phone = f"07700 900{number % 1000:03}"
    return {"source": "999", "incident_number": f"WM-{number}", "safe_number": phone, "safe_to_text": "yes", **told} | {
        "lpa": "coventry",
        "code_word": "umbrella",
    }


# --- Sending it --------------------------------------------------------------------------------------------------


@dataclass
class Signed:
    """Somebody signed in."""

    id: str
    headers: dict[str, str]


@dataclass
class Load:
    """All that is sent, and what came back."""

    how: How
    web: aiohttp.ClientSession
    staff: dict[str, Signed] = field(default_factory=dict)
    took: list[float] = field(default_factory=list)
    slowest: Counter[str] = field(default_factory=Counter)
    """Moves that took longer than 50 ms."""
    errors: Counter[str] = field(default_factory=Counter)
    calls: Iterator[int] = field(default_factory=itertools.count)

    async def sign_in(self) -> None:
        for username, role in staff(self.how.cases):
            body = {"username": username, "password": PASSWORD}
            async with self.web.post(f"{self.how.url}/api/v1/session", json=body) as response:
                told = await response.json()
                cookies = "; ".join(f"{name}={morsel.value}" for name, morsel in response.cookies.items())
            self.staff[username] = Signed(told["id"], {"Cookie": cookies, "X-CSRF-Token": told["csrf"]})
            if role == "officer":
                await self._post(username, "duty", {"status": "on"})

    async def _post(self, username: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        told = {"command_id": str(uuid.uuid4()), **body}
        headers = self.staff[username].headers
        async with self.web.post(f"{self.how.url}/api/v1/{path}", json=told, headers=headers) as response:
            return response.status, await response.json() if response.content_type.endswith("json") else None

    async def lane(self, lane: Lane, arrivals: asyncio.Queue[float | None]) -> None:
        """Case after case, each command when it is due."""
        while (due := await arrivals.get()) is not END:
            what = await lane.next()
            took = perf_counter() - due
            self.took.append(took)
            if took > SLOW_S:
                self.slowest[what] += 1

    async def send(self, what: str, who: str, path: str, body: dict[str, Any]) -> Any:
        """What was answered; None, and an error counted, where it was refused."""
        try:
            status, told = await self._post(who, path, body)
        except (aiohttp.ClientError, TimeoutError) as error:
            status, told = 0, repr(error)
        if status in (200, 201):
            return told
        self.errors[f"{what}: {status} {str(told)[:300]}"] += 1
        return None

    async def spread(self) -> list[Lane]:
        """Every officer has a case, and not all at the same stage."""
        lanes = [Lane(self, number) for number in range(self.how.cases)]
        await asyncio.gather(*(lane.reach(lane.number % STAGES) for lane in lanes))
        await asyncio.sleep(SETTLES_S)
        return lanes

    async def run(self, at_work: list[Lane]) -> dict[str, Any]:
        queues: list[asyncio.Queue[float | None]] = [asyncio.Queue() for _ in range(self.how.cases)]
        lanes = [asyncio.create_task(self.lane(lane, queue)) for lane, queue in zip(at_work, queues, strict=True)]
        began, wanted = perf_counter(), int(self.how.rate * self.how.seconds)
        for number in range(wanted):
            due = began + number / self.how.rate
            if due > perf_counter():
                await asyncio.sleep(due - perf_counter())
            queues[number % len(queues)].put_nowait(due)
        for queue in queues:
            queue.put_nowait(END)
        await asyncio.wait(lanes, timeout=began + self.how.seconds + LATE_S - perf_counter())
        passed = perf_counter() - began
        for lane in lanes:
            lane.cancel()
        took = sorted(self.took)
        shares = {f"p{share}": took[len(took) * share // 100] * 1000 for share in (50, 99)}
        return {
            "answered": len(took),
            "of": wanted,
            "per_s": len(took) / passed,
            **shares,
            "most": took[-1] * 1000,
            "slow": dict(self.slowest.most_common(4)),
            "errors": dict(self.errors),
        }


@dataclass
class Lane:
    """One officer's cases, one after the other. A command that fails ends its case."""

    load: Load
    number: int
    case: str = ""
    left: Iterator[Step] = field(default_factory=lambda: iter(()))

    async def reach(self, stage: int) -> None:
        """Goes so many commands ahead: the cases of a desk are not all at the same one."""
        for _ in range(stage):
            await self.next()

    async def next(self) -> str:
        """Sends the next command; which it was."""
        step = next(self.left, None) if self.case else None
        if step is None:
            what, form = "open", opening(next(self.load.calls))
            told = await self.load.send(what, f"call_handler-{self.number % HANDLERS}", "cases", {"form": form})
            self.left = steps(self.number, self.load.staff[f"officer-{self.number}"].id)
        else:
            who, what, form = step
            told = await self.load.send(what, who, f"cases/{self.case}/moves/{what}", {"form": form})
        self.case = told["id"] if told else ""
        return what


def say(told: Any) -> None:
    print(json.dumps(told), flush=True)  # noqa: T201 (the parent reads it)


async def main(how: How) -> None:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as web:
        load = Load(how, web)
        await load.sign_in()
        at_work = await load.spread()
        say("at work")
        say(await load.run(at_work))


if __name__ == "__main__":
    asyncio.run(main(How(**json.loads(sys.argv[1]))))
