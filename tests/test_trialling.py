"""The verb `trial` as an evaluator types it, from the secret to the check at the end."""

from __future__ import annotations

import asyncio
import io
import re
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher

from rvr import cli, people
from rvr.config import Settings
from rvr.core.commands import MakeMove, OpenCase, SetDuty
from rvr.desk import Desk
from rvr.opening import open_desk, read_trial_secret
from rvr.store import Store
from rvr.store.statements import put
from rvr.store.tables import AccountRow
from tests.builders import HANDLER, INSPECTOR, OPENING, WORKFLOWS, all_met, person
from tests.store.builders import Place
from tests.trials import switched_on

EVALUATOR = person("eve", "evaluator")
OFFICERS = [person(f"olu{number}", "officer") for number in range(12)]
"""One for each case that is drawn: whom an arm may offer is not free for the next."""
PASSWORD = "a long password"
HASHED = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Of a desk whose force has the trial on, with an evaluator and an inspector."""
    root = switched_on(tmp_path)
    secret = tmp_path / "secret"
    monkeypatch.setenv("RVR_WORKFLOWS", str(root))
    settings = Settings(data=str(tmp_path / "data"), workflows=str(root), trial_secret_file=str(secret))

    async def set_up() -> None:
        async with open_desk(Settings(data=settings.data, workflows=settings.workflows)) as desk:
            await _accounts(desk.store)

    asyncio.run(set_up())
    return settings


async def _accounts(store: Store) -> None:
    for who in (EVALUATOR, INSPECTOR, *OFFICERS):
        row = AccountRow(id=who.id, username=who.id, name=who.name, roles=sorted(who.roles), password_hash=HASHED)
        await store.write(lambda connection, row=row: put(connection, row))


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def done(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(f"{PASSWORD}\n"))
        capsys.readouterr()
        code = cli.main(["trial", *arguments, "--data", settings.data])
        told = capsys.readouterr()
        return code, told.out + told.err

    return done


async def _draws(desk: Desk, how_many: int) -> None:
    for officer in OFFICERS:
        await desk.handle(SetDuty(str(uuid.uuid4()), officer.id, "on"), officer)
    form = dict(OPENING) | {"victim_sex": "female", "relationship": "partner"}
    for _ in range(how_many):
        case = (await desk.handle(OpenCase(str(uuid.uuid4()), form), HANDLER)).case.id
        agreed = [{"consent_kind": kind, "consent_answer": "given"} for kind in ("video", "evaluation")]
        told = [("answer_criteria", all_met()), *(("record_consent", one) for one in agreed), ("draw_arm", {})]
        for move, answers in told:
            await desk.handle(MakeMove(str(uuid.uuid4()), case, move, answers), HANDLER)


def drawn(settings: Settings, how_many: int = 5) -> None:
    async def on_desk() -> None:
        async with open_desk(settings) as desk:
            await _draws(desk, how_many)

    asyncio.run(on_desk())


def test_from_the_secret_to_the_check_at_the_end(run: Run, settings: Settings, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    code, said = run("secret", "--out", str(secret))
    assert code == 0
    assert secret.stat().st_mode & 0o777 == 0o600
    (known,) = re.findall(r"\b[0-9a-f]{64}\b", said)
    assert run("secret", "--out", str(secret))[0] == 1, "no secret is ever written over"
    code, said = run("register", "--secret", str(secret), "--user", EVALUATOR.id)
    assert (code, known in said) == (0, True)
    assert "registered already" in run("register", "--secret", str(secret), "--user", EVALUATOR.id)[1]
    drawn(settings)
    assert run("verify", "--secret", str(secret)) == (0, "5 cases were randomised; each as the secret has it\n")
    code, said = run("status")
    assert code == 0
    assert "contacts 5, randomised 5" in said
    assert re.search(r"female-ipv +A +[23]  B +[23]\n", said), "no arm by its name"
    assert "stopping rule sample: 5 of 520 randomised\n" in said
    assert "stopping rule harm: EmergencyDispatched, cases by arm: A 0, B 0" in said
    code, said = run("stop", "--reason", "harm", "--user", INSPECTOR.id)
    assert (code, "stopped" in said) == (0, True)
    assert "stopped: harm" in run("status")[1]


def test_the_text_for_the_pre_registration_holds_the_design_and_the_commitment(run: Run, tmp_path: Path) -> None:
    secret, out = tmp_path / "secret", tmp_path / "protocol.md"
    assert "not registered yet" in run("protocol")[1]
    known = re.findall(r"\b[0-9a-f]{64}\b", run("secret", "--out", str(secret))[1])[0]
    run("register", "--secret", str(secret), "--user", EVALUATOR.id)
    assert run("protocol", "--out", str(out))[0] == 0
    text = out.read_text()
    for wanted in (known, "Video now", "Officer in person", "female-ipv", "male-other", "harm", "TwoWayVideoStarted"):
        assert wanted in text
    assert read_trial_secret(secret).hex() not in text
    assert "4" not in re.findall(r"## Allocation(.*?)## Outcomes", text, re.DOTALL)[0], (
        "the sizes of blocks are not told"
    )


def test_another_secret_and_a_changed_allocation_are_found(run: Run, settings: Settings, tmp_path: Path) -> None:
    secret, other = tmp_path / "secret", tmp_path / "other"
    for file in (secret, other):
        run("secret", "--out", str(file))
    run("register", "--secret", str(secret), "--user", EVALUATOR.id)
    drawn(settings, 12)
    code, said = run("verify", "--secret", str(other))
    assert code == 1
    assert "not the one that was committed to" in said
    place = Place(Path(settings.data), Settings(data=settings.data).key_path)

    place.tamper(another_arm)
    code, said = run("verify", "--secret", str(secret))
    assert code == 1
    assert "female-ipv, place 1: the arm is not the one of the list" in said


def another_arm(connection: Any) -> None:
    """An insider turns the first case's arm round."""
    position, public = connection.execute(
        "SELECT position, public FROM event WHERE type = 'ArmAllocated' ORDER BY position LIMIT 1"
    ).fetchone()
    turned = re.sub(
        rb'"arm":"(\w+)"', lambda one: b'"arm":"%s"' % (b"usual" if one[1] == b"video" else b"video"), public
    )
    assert turned != public
    connection.execute("UPDATE event SET public = :v WHERE position = :p", {"v": turned, "p": position})


def test_a_draw_after_the_stop_and_one_for_which_nobody_was_free_are_found(
    run: Run, settings: Settings, tmp_path: Path
) -> None:
    secret, place = tmp_path / "secret", Place(Path(settings.data), Settings(data=settings.data).key_path)
    run("secret", "--out", str(secret))
    run("register", "--secret", str(secret), "--user", EVALUATOR.id)
    drawn(settings, 2)
    run("stop", "--reason", "harm", "--user", INSPECTOR.id)
    assert run("verify", "--secret", str(secret))[0] == 0
    place.tamper(stopped_before_and_one_waits)
    code, said = run("verify", "--secret", str(secret))
    assert (code, "2 cases were randomised after the trial was stopped" in said) == (1, True)
    assert "1 cases were randomised before eligibility, consent and capacity stood in their logs" in said


def stopped_before_and_one_waits(connection: Any) -> None:
    """The stop stands before all else, and at the first draw every officer who was free was waited for already."""
    connection.execute("UPDATE event SET position = 0 WHERE type = 'TrialStopped'")
    position, public = connection.execute(
        "SELECT position, public FROM event WHERE type = 'CapacityNoted' AND public LIKE '%allocation%' LIMIT 1"
    ).fetchone()
    turned = re.sub(rb'"queue":0', b'"queue":%d' % len(OFFICERS), public)
    assert turned != public
    connection.execute("UPDATE event SET public = :v WHERE position = :p", {"v": turned, "p": position})


def test_a_trial_that_was_switched_off_is_looked_at_as_it_was_registered(
    run: Run, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret"
    run("secret", "--out", str(secret))
    run("register", "--secret", str(secret), "--user", EVALUATOR.id)
    drawn(settings)
    monkeypatch.setenv("RVR_WORKFLOWS", str(WORKFLOWS))
    assert run("verify", "--secret", str(secret)) == (0, "5 cases were randomised; each as the secret has it\n")
    assert "contacts 5, randomised 5" in run("status", "--trial", "rapid-video")[1]
    assert "Digest of the design" in run("protocol")[1]
    assert "No trial pilot for wmp" in run("status", "--trial", "pilot")[1]
    for action in ("register", "stop"):
        assert "No trial is on for wmp" in run(action, "--secret", str(secret), "--user", EVALUATOR.id)[1]


def test_who_asks_for_what_is_not_there_is_told(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "needs --out" in run("secret")[1]
    assert "needs --secret" in run("register", "--user", EVALUATOR.id)[1]
    bad = tmp_path / "bad"
    bad.write_text("no secret\n")
    bad.chmod(0o600)
    assert "holds no secret of a trial" in run("register", "--secret", str(bad), "--user", EVALUATOR.id)[1]
    bad.chmod(0o644)
    assert "can be read by others" in run("verify", "--secret", str(bad))[1]
    monkeypatch.setenv("RVR_WORKFLOWS", str(people.__file__).replace("rvr/people.py", "workflows"))
    assert "No trial is on for wmp" in run("protocol")[1]


STORY = """\
# A case in a trial

- given registered trial
- 0:00 call handler opens the case: victim sex female; relationship partner
- 1:00 call handler answers criteria: answers all met
- 1:10 call handler records consent: consent kind video; consent answer given
- 1:20 call handler records consent: consent kind evaluation; consent answer given
- 1:25 call handler tries to offer handover
- 1:30 call handler draws arm
- 1:40 call handler overrides arm: override reason cannot wait
"""


def test_check_lists_the_trial_and_asks_for_a_story_that_shows_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = switched_on(tmp_path)
    assert cli.main(["check", str(root), "--force", "wmp"]) == 1
    said = capsys.readouterr().out
    assert "da-desk for wmp: trial rapid-video: 2 arms, 4 strata, blocks of 4 and 6\n" in said
    unshown = [line for line in said.splitlines() if "no scenario shows it" in line]
    assert [re.findall(r"move (\w+)", line) for line in unshown] == [["draw_arm"], ["override_arm"]]
    file = root / "da-desk" / "scenarios" / "a-trial.md"
    file.write_text(STORY)
    assert cli.main(["rehearse", str(file), "--update"]) == 0
    told = file.read_text()
    assert "> Refused: A trial runs: draw first." in told
    assert "> Randomised (trial rapid-video; stratum female-ipv; place 1; arm " in told
    assert "> Trial set aside, for safety (reason cannot_wait)." in told
    capsys.readouterr()
    assert cli.main(["check", str(root), "--force", "wmp"]) == 0
    assert capsys.readouterr().out.endswith("no faults\n")
