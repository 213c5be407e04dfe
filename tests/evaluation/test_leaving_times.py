"""Times that leave otherwise than they were recorded: what an analysis needs stays, what tells a date does not."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from rvr.core.moment import parse_iso
from rvr.evaluation import codebook, leaving_times
from rvr.evaluation.package import CannotExport
from tests.evaluation.conftest import Week
from tests.evaluation.reading import everything, table

NEVER_CHANGED = {"case", "victim", "suspect", "pair", "workflow_version", "final_state", "response_kind"}
YEAR = re.compile(rb"20[0-9]{2}-[01][0-9]")


@pytest.fixture(scope="module")
def relative(week: Week, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("relative") / "package"
    week.exports(out, times="relative")
    return out


@pytest.fixture(scope="module")
def shifted(week: Week, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("shifted") / "package"
    week.exports(out, times="shifted")
    return out


def times(package: Path) -> dict[str, dict[str, str]]:
    """The moments of each case."""
    moments = [column.name for column in codebook.CASES if column.type == "datetime" and column.name != "censored_at"]
    return {
        row["case"]: {name: row[name].replace(codebook.WITHHELD, "") for name in moments}
        for row in table(package, "cases")
    }


def test_a_package_of_relative_times_holds_no_date(relative: Path) -> None:
    """The text of the definitions holds the force's holidays. A wording is named by a month, and is no time."""
    files = {name: text.replace(b"2026-11,", b",") for name, text in everything(relative).items()}
    found = {name for name, text in files.items() if YEAR.search(text)}
    assert {name for name in found if not name.startswith("definitions/")} == set()


def test_relative_times_are_seconds_after_the_opening(package: Path, relative: Path) -> None:
    real, told = times(package), times(relative)
    assert real.keys() == told.keys()
    for case, moments in told.items():
        assert float(moments["received_at"]) == 0
        opened = parse_iso(real[case]["received_at"])
        for name, seconds in moments.items():
            assert bool(seconds) == bool(real[case][name])
            if seconds:
                assert timedelta(seconds=float(seconds)) == parse_iso(real[case][name]) - opened, name


def test_moved_times_keep_all_that_lies_between_those_of_one_victim(package: Path, shifted: Path) -> None:
    real, told = times(package), times(shifted)
    victims = {row["case"]: row["victim"] for row in table(package, "cases")}
    moved: dict[str, set[timedelta]] = {}
    for case, moments in told.items():
        for name, text in moments.items():
            if text:
                moved.setdefault(victims[case], set()).add(parse_iso(real[case][name]) - parse_iso(text))
    assert all(len(one) == 1 for one in moved.values())
    shifts = [next(iter(one)) for one in moved.values()]
    assert all(timedelta(0) < shift <= timedelta(weeks=52) and shift.days % 7 == shift.seconds == 0 for shift in shifts)
    assert len(set(shifts)) > len(shifts) / 2
    assert max(Counter(victims.values()).values()) > 1


@pytest.mark.parametrize("way", ["relative", "shifted"])
def test_durations_verdicts_and_pseudonyms_are_those_of_the_package_with_its_times(
    package: Path, way: str, request: pytest.FixtureRequest
) -> None:
    changed = request.getfixturevalue(way)
    kept = [c.name for c in codebook.CASES if c.type in ("number", "boolean", "integer")] + sorted(NEVER_CHANGED)
    real = {row["case"]: [row[name] for name in kept] for row in table(package, "cases")}
    assert {row["case"]: [row[name] for name in kept] for row in table(changed, "cases")} == real


@pytest.mark.parametrize("way", ["relative", "shifted"])
def test_neither_order_nor_machine_nor_follow_up_tells_the_time_again(
    package: Path, way: str, request: pytest.FixtureRequest
) -> None:
    changed = request.getfixturevalue(way)
    for described in codebook.CASE_TABLES:
        cases = [row["case"] for row in table(changed, described.name)]
        assert cases == sorted(cases), described.name
    assert [row["case"] for row in table(package, "cases")] != sorted(row["case"] for row in table(package, "cases"))
    events = table(changed, "events")
    machines = {(row["machine"], row["case"]) for row in events}
    assert len(machines) == len({machine for machine, _ in machines})
    assert min(int(row["boottime_us"]) for row in events) == 0
    assert table(changed, "desk_clock") == []
    provenance = json.loads((changed / "datapackage.json").read_text())["provenance"]
    assert (provenance["times"], provenance["data_cut"], provenance["from"]) == (way, "", "")


def test_how_far_an_open_case_was_followed_is_one_of_few_lengths_or_its_last_event(relative: Path) -> None:
    last: dict[str, float] = {}
    for row in table(relative, "events"):
        last[row["case"]] = max(last.get(row["case"], 0.0), float(row["at"]))
    followed = {row["case"]: float(row["censored_at"]) for row in table(relative, "cases") if row["censored_at"]}
    lengths = {days * 86_400.0 for days in (0, *leaving_times.FOLLOWED_DAYS)}
    assert followed
    assert [case for case, seconds in followed.items() if seconds not in lengths | {last[case]}] == []


def test_the_description_says_what_kind_of_times_these_are(relative: Path, shifted: Path) -> None:
    fields = {
        package: {field["name"]: field for field in resource["schema"]["fields"]}
        for package in (relative, shifted)
        for resource in json.loads((package / "datapackage.json").read_text())["resources"]
        if resource["name"] == "cases"
    }
    assert [fields[package]["received_at"]["type"] for package in (relative, shifted)] == ["number", "datetime"]
    assert [fields[package]["charged_on"]["type"] for package in (relative, shifted)] == ["integer", "date"]
    assert "not the real ones" in (shifted / "README.md").read_text()
    assert "seconds after `received_at`" in (relative / "README.md").read_text()


def test_changed_times_are_the_same_twice_and_go_with_no_proofs(week: Week, shifted: Path, tmp_path: Path) -> None:
    week.exports(tmp_path / "again", times="shifted")
    assert everything(tmp_path / "again") == everything(shifted)
    with pytest.raises(CannotExport, match="leave out --times or --proofs"):
        week.exports(tmp_path / "proofs", times="shifted", proofs=True, internal_ids=True)


def test_a_time_inside_an_answer_is_changed_too(package: Path, shifted: Path) -> None:
    """Statuses of suspects are a map of codes with their times in it."""

    def years(folder: Path) -> list[datetime]:
        maps = [json.loads(row["statuses"]) for row in table(folder, "suspects") if row["statuses"]]
        return sorted(parse_iso(at) for statuses in maps for at in statuses.values())

    assert len(years(package)) == len(years(shifted)) > 0
    assert not set(years(package)) & set(years(shifted))


# --- Why a cell is empty -----------------------------------------------------------------------------------------


def test_every_empty_cell_of_a_case_has_one_reason_and_no_other_cell_has_one(package: Path) -> None:
    reasons = {row.pop("case"): row for row in table(package, "missing")}
    for row in table(package, "cases"):
        empty = sorted(name for name, value in row.items() if value in ("", codebook.WITHHELD))
        assert sorted(name for names in reasons[row["case"]].values() for name in names.split(";") if name) == empty


def test_what_may_still_happen_is_told_apart_from_what_never_did(week: Week, package: Path) -> None:
    def of(story: str, column: str) -> str:
        (row,) = (one for one in table(package, "cases") if parse_iso(one["received_at"]) == week.begins[story])
        (told,) = (one for one in table(package, "missing") if one["case"] == row["case"])
        return next((reason for reason, names in told.items() if column in names.split(";")), row[column])

    assert of("lost", "attended_at") == "not_yet"
    assert of("voided", "attended_at") == of("attended", "two_way_video_at") == "never"
    assert of("open", "consented") == of("open", "eligible") == "not_asked"
    assert of("attended", "call_answered_at") == "not_recorded"
    assert of("attended", "handover_s") == "no_start"
    assert of("open", "within_24_h") == "undecided"
    assert of("open", "arm_allocated") == "no_trial"
