"""People across cases, screening, suspects and outcomes, as the week was lived; what of a definition stays behind."""

from __future__ import annotations

import hashlib
import json
import shlex
import shutil
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rvr.core import events as e
from rvr.definitions import load
from rvr.evaluation import milestones, rows, stored_text
from rvr.evaluation.desk_clock import DeskClock
from rvr.evaluation.leaving_times import AS_RECORDED, LeavingTimes
from rvr.evaluation.package import export
from rvr.evaluation.pseudonyms import Alias
from tests.evaluation.conftest import Week
from tests.evaluation.days import WORKFLOWS, Days
from tests.evaluation.reading import by_story, everything, table
from tests.store.builders import START, Clock, Place, event

# --- The same people ---------------------------------------------------------------------------------------------


def test_a_victim_who_was_confirmed_to_be_the_same_is_one_victim_and_each_event_keeps_what_it_said(
    week: Week, package: Path
) -> None:
    stories, events = by_story(week, package), table(package, "events")
    first, again, other = (stories[name] for name in ("allocated", "again", "reported"))
    assert [first[name] for name in ("victim", "suspect", "pair")] == [
        again[name] for name in ("victim", "suspect", "pair")
    ]
    assert other["suspect"] == first["suspect"]
    assert other["victim"] != first["victim"]
    assert other["pair"] != first["pair"]
    (opened,) = (row for row in events if (row["case"], row["type"]) == (again["case"], "CaseOpened"))
    assert opened["victim_id"] != first["victim"]
    matched = {row["role"]: row["person"] for row in events if row["type"] == "PersonMatched" and row["role"] in first}
    assert matched == {"victim": first["victim"], "suspect": first["suspect"]}


def test_who_was_never_confirmed_to_be_the_same_is_somebody_else(week: Week, package: Path) -> None:
    stories = by_story(week, package)
    assert len({row["victim"] for row in stories.values()}) == len(stories) - 1
    assert {name: row["prior_reports_12m"] for name, row in stories.items() if row["prior_reports_12m"] != "0"} == {
        "again": "1"
    }


def test_an_earlier_report_outside_the_package_is_not_counted(week: Week, tmp_path: Path) -> None:
    week.exports(tmp_path / "out", from_=week.begins["again"])
    assert by_story(week, tmp_path / "out")["again"]["prior_reports_12m"] == "0"


A_DAY_S = 86_400


@pytest.mark.parametrize(
    ("earlier", "counted"),
    [
        ([(365 * A_DAY_S, "closed")], 1),
        ([(365 * A_DAY_S + 0.000001, "closed")], 0),
        ([(60, "voided")], 0),
        ([(90, "closed"), (60, "review")], 2),
    ],
)
def test_a_prior_report_is_no_older_than_twelve_months_and_was_not_voided(
    earlier: list[tuple[float, str]], counted: int
) -> None:
    told = writing()
    found = [rows.case_row(log, milestones.moments(log), told) for log in (a_case(*one) for one in [*earlier, (0, "")])]
    assert found[-1]["prior_reports_12m"] == counted


def writing() -> rows.Writing:
    alias = Alias("project", bytes(32))
    return rows.Writing(alias, {}, START, DeskClock((), alias), LeavingTimes(AS_RECORDED, alias))


def a_case(ago_s: float, state: str, *more: e.Fact) -> list[e.Recorded]:
    """A case of one victim that was opened so long ago, with these facts, and is in this state."""
    clock = Clock()
    clock.at -= timedelta(seconds=ago_s)
    opened = e.CaseOpened(workflow="da-desk", reference="K7Q", details={}, victim_id="v", suspect_id="s")
    return [
        e.Recorded(event(fact, state, clock), f"case/{ago_s}", version, 1, "event", "command", "wmp", clock.at)
        for version, fact in enumerate((opened, *more), 1)
    ]


def test_the_level_that_came_with_a_report_is_in_force_until_the_desk_grades() -> None:
    log = a_case(0, "review", e.RiskReported(tool="dash", risk_level="high"))
    row = rows.case_row(log, milestones.moments(log), writing())
    told = [row[f"risk_level_{which}"] for which in ("reported", "first", "last")]
    assert (told, row["grade"]) == (["high", "", "high"], "high")


# --- Screening ---------------------------------------------------------------------------------------------------


def screened(week: Week, package: Path, story: str) -> dict[str, str]:
    case = by_story(week, package)[story]["case"]
    (row,) = (row for row in table(package, "screening") if row["case"] == case)
    return row


def test_every_case_has_a_row_whether_it_was_screened_or_not(package: Path) -> None:
    assert [row["case"] for row in table(package, "screening")] == [row["case"] for row in table(package, "cases")]


def test_not_known_refused_and_not_asked_are_three_things(week: Week, package: Path) -> None:
    attended, voided = (screened(week, package, story) for story in ("attended", "voided"))
    results = json.loads(attended["results"])
    asked = ("adult", "speaks_english", "able_to_decide", "is_the_victim")
    assert [results[name] for name in asked] == ["failed", "unknown", "refused", "met"]
    assert (attended["ineligible_because"], attended["concerns"]) == ("adult", "speaks_english;able_to_decide")
    assert json.loads(voided["answers"]) == {"suspect_away": "unknown"}
    results = json.loads(voided["results"])
    assert results.pop("suspect_away") == "unknown"
    assert set(results.values()) == {"not_asked"}


def test_a_contact_that_nobody_asked_anything_has_no_result(week: Week, package: Path) -> None:
    row = screened(week, package, "open")
    told = {name: value for name, value in row.items() if value and name not in ("case", "workflow")}
    assert (row["workflow"], told) == ("da-desk", {})


def test_who_was_free_is_told_at_screening_at_the_offer_and_at_its_acceptance(week: Week, package: Path) -> None:
    row = screened(week, package, "kept")
    told = [
        [row[f"{moment}_{name}"] for name in ("on_duty", "free")] for moment in ("screening", "offer", "acceptance")
    ]
    assert told == [["1", "1"], ["1", "1"], ["0", "0"]]
    assert {row[f"{moment}_desk_open"] for moment in ("screening", "offer", "acceptance")} <= {"true", "false"}
    assert row["screened_at"] < row["handover_offered_at"] < row["handover_accepted_at"] < row["two_way_video_at"]
    unoffered = screened(week, package, "missed")
    assert (unoffered["screening_free"], unoffered["offer_free"], unoffered["way_out"]) == ("1", "", "call_back")


# --- Suspects and outcomes ---------------------------------------------------------------------------------------


def test_each_suspect_has_a_row_with_the_first_time_of_each_status(week: Week, package: Path) -> None:
    case = by_story(week, package)["reported"]
    first, second = (row for row in table(package, "suspects") if row["case"] == case["case"])
    assert first["suspect"] == case["suspect"]
    assert [row["of_opening"] for row in (first, second)] == ["true", "false"]
    assert [row["status"] for row in (first, second)] == ["arrested", "eliminated"]
    assert set(json.loads(second["statuses"])) == {"named", "eliminated"}
    times = {status: datetime.fromisoformat(at) for status, at in json.loads(first["statuses"]).items()}
    assert set(times) == {"outstanding", "arrested"}
    assert 1 < (times["arrested"] - times["outstanding"]).total_seconds() / 86_400 < 7


def test_a_suspect_of_whom_nothing_was_recorded_since_the_opening_has_no_status(week: Week, package: Path) -> None:
    cases = by_story(week, package)
    (row,) = (row for row in table(package, "suspects") if row["case"] == cases["open"]["case"])
    assert (row["suspect"], row["status"], row["statuses"]) == (cases["open"]["suspect"], "", "")


def test_an_outcome_tells_the_sets_that_it_stands_in_and_the_record_that_it_required(week: Week, package: Path) -> None:
    cases = {row["case"]: name for name, row in by_story(week, package).items()}
    told = {cases[row["case"]]: row for row in table(package, "outcomes") if row["case"] in cases}
    assert {name: (row["outcome_code"], row["in_sets"]) for name, row in told.items()} == {
        "allocated": ("16", ""),
        "reported": ("1", "positive_action;sanction_detection"),
    }
    assert (told["allocated"]["support"], told["allocated"]["evidence_led"]) == ("no", "yes")


def test_an_outcome_that_is_not_yet_assigned_has_no_row() -> None:
    log = a_case(0, "allocated", e.OutcomeRecorded(outcome_code="0"), e.OutcomeRecorded(outcome_code="18"))
    assert [row["outcome_code"] for row in rows.outcome_rows(log, writing())] == ["18"]


# --- Questions afterwards ------------------------------------------------------------------------------------------


def test_whoever_was_asked_for_leave_has_a_row_and_the_answers_are_codes() -> None:
    agreed = e.ConsentGiven(kind="feedback", wording="2026-11")
    invited = e.FeedbackInvited(link="x", channel="sms", expires_at="2026-12-01T00:00:00Z", number="+447700900123")
    given = e.FeedbackGiven(quick="yes", heard="", way="partly", needed="no", again="yes")
    (row,) = rows.feedback_rows(a_case(0, "closed", agreed, invited, given), writing())
    assert {name: row[name] for name in ("agreed", "quick", "heard", "way")} == {
        "agreed": "given",
        "quick": "yes",
        "heard": "",
        "way": "partly",
    }
    assert row["invited_at"] <= row["answered_at"]
    assert "900123" not in str(row)
    (row,) = rows.feedback_rows(a_case(0, "closed", agreed, e.FeedbackWithheld(because="not_safe")), writing())
    assert (row["withheld_because"], row.get("invited_at")) == ("not_safe", None)
    assert list(rows.feedback_rows(a_case(0, "closed", e.ConsentGiven(kind="video", wording="x")), writing())) == []


# --- What a stored definition tells, and what of it stays behind ---------------------------------------------------


def test_what_a_force_changes_in_a_part_is_laid_over_it() -> None:
    files = {
        "desk/forms.toml": '[source]\nkind = "text"\nlabel = "Source"\n[lpa]\nkind = "area"\n',
        "parts/people/forms.toml": '[sex]\nkind = "choice"\n',
        "forces/here.toml": '[changes.desk.forms]\nsource.kind = "choice"\nlpa.remove = true\nsex.label = "Sex"\n',
    }
    assert stored_text.coded_fields(e.DefinitionStored(workflow="desk", files=files)) == {"source", "sex"}


@pytest.mark.parametrize("force", ["wmp", "kent-like"])
def test_a_stored_definition_tells_the_same_as_the_workflow_that_is_read_from_it(force: str) -> None:
    for flow in load(WORKFLOWS, force).workflows.values():
        stored = e.DefinitionStored(workflow=flow.id, files=dict(flow.files))
        coded = {f.id for f in flow.fields.values() if f.kind in stored_text.CODED_KINDS and not f.personal}
        assert stored_text.coded_fields(stored) == coded
        assert stored_text.outcome_sets(stored) == {one.id: frozenset(one.codes) for one in flow.outcome_sets}
        told = {row.split("`")[1]: row for row in stored_text.clock_texts(stored)}
        assert set(told) == set(flow.clocks)
        for clock in flow.clocks.values():
            assert f"| {clock.name} |" in told[clock.id]
            assert all(f"{value} {target_s}" in told[clock.id] for value, target_s in clock.targets.items())


WORDING = """\
licence = "Invented, for tests"
version = "1"

[topics]
separation = "Words of a third party"
"""


async def test_licensed_wording_stays_behind_and_the_package_says_that_its_hash_cannot_be_checked(
    tmp_path: Path,
) -> None:
    root = Path(shutil.copytree(WORKFLOWS, tmp_path / "workflows"))
    (root / "risk" / "wording").mkdir()
    (root / "risk" / "wording" / "dash.toml").write_text(WORDING)
    out = await exported(Days(*await started(tmp_path), load(root, "wmp")), tmp_path)
    assert [name for name, text in everything(out).items() if b"third party" in text] == []
    (version,) = (path for path in (out / "definitions").iterdir())
    left = version / "risk" / "wording" / "dash.toml.withheld"
    assert hashlib.sha256(WORDING.encode()).hexdigest() in left.read_text()
    assert checked(out, version) == "not without dash.toml.withheld"
    left.unlink()
    left.with_suffix("").write_text(WORDING)
    assert checked(out, version) == version.name


async def test_a_definition_without_licensed_wording_is_checked_as_the_readme_says(tmp_path: Path) -> None:
    out = await exported(Days(*await started(tmp_path), load(WORKFLOWS, "wmp")), tmp_path)
    (version,) = (out / "definitions").iterdir()
    assert checked(out, version) == version.name


async def started(tmp_path: Path) -> tuple[Any, Clock]:
    clock = Clock()
    store = Place(tmp_path / "data", tmp_path / "keys" / "keys.json").store(clock)
    await store.start()
    return store, clock


async def exported(days: Days, tmp_path: Path) -> Path:
    """A package of one case."""
    try:
        await days.start()
        await days.opens()
        await export(days.store, tmp_path / "out", project_key=tmp_path / "kent.json")
    finally:
        await days.store.close()
    return tmp_path / "out"


def checked(package: Path, version: Path) -> str:
    """What the command of the README prints for this folder."""
    text = (package / "README.md").read_text()
    (_, *arguments) = shlex.split(text[text.index("python3 -c") : text.index("definitions/HASH")])
    done = subprocess.run([sys.executable, *arguments, str(version)], capture_output=True, text=True, check=True)
    return done.stdout.strip()
