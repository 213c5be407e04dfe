"""The data package: what is in it, what never is, and that every figure follows from its own events."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import stat
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from rvr.core import events as e
from rvr.core.errors import Refused
from rvr.core.moment import iso
from rvr.evaluation import codebook
from rvr.evaluation.package import export
from rvr.evaluation.pseudonyms import CannotExport
from rvr.store import Store
from tests.evaluation import recompute
from tests.evaluation.conftest import Week
from tests.evaluation.days import CANARY, SECRETS, STAFF, Days, definitions
from tests.evaluation.reading import by_story, disagreements, everything, table
from tests.store.builders import START, Clock, Place

# --- Figures -----------------------------------------------------------------------------------------------------


def test_every_duration_can_be_recomputed_from_the_events_and_the_hours_of_the_force(package: Path) -> None:
    assert disagreements(package, table(package, "events")) == []


def test_every_duration_and_every_verdict_is_among_the_recomputed_columns(package: Path) -> None:
    durations = {c.name for c in codebook.CASES if c.name.endswith("_s") or "within" in c.name}
    again = set(next(iter(recompute.cases(table(package, "events")).values())))
    assert again > durations
    assert again - durations == {
        *("victim", "suspect", "prior_reports_12m", "response_kind", "decided_at", "allocation_accepted_at"),
        *("clock_error_max_us", "events_without_clock_error"),
    }


def test_every_column_of_the_smaller_tables_is_recomputed_but_for_names_of_the_case(package: Path) -> None:
    events = table(package, "events")
    again = {"screening": recompute.screening(events), "suspects": recompute.suspects(events)}
    again |= {"outcomes": recompute.outcomes(events, package)}
    again |= {"sessions": recompute.sessions(events, table(package, "quality"))}
    smaller = (codebook.SCREENING_TABLE, codebook.SUSPECTS_TABLE, codebook.OUTCOMES_TABLE, codebook.SESSIONS_TABLE)
    for described in smaller:
        computed = set(next(iter(again[described.name].values())))
        assert set(described.names) - computed <= {*described.key, "workflow"}


def test_the_recomputation_notices_one_event_moved_by_a_microsecond(package: Path) -> None:
    events = table(package, "events")
    accepted = next(row for row in events if row["type"] == "HandoverAccepted" and row["clocks_stopped"])
    accepted["boottime_us"] = str(int(accepted["boottime_us"]) + 1)
    wrong = {column for *_, column, _, _ in disagreements(package, events)}
    assert {"handover_s", "handover_from_first_offer_s", "elapsed_s"} <= wrong


def test_the_stories_have_the_figures_that_were_lived(week: Week, package: Path) -> None:
    stories = by_story(week, package)
    told = {
        "allocated": {
            "response_kind": "video",
            "transfer_within_10_min_from_answer": "true",
            "interruptions": "1",
            "decision": "allocated",
            "allocated_to": "lpa-coventry",
            "outcome_code": "16",
            "final_state": "allocated",
            "handover_s": "44.999999",
            "grade": "high",
            "risk_level_first": "medium",
            "children": "no",
            "channel": "999",
            "desk_capacity_at_offer": "1",
            "answer_to_open_s": "75.500000",
            "call_answered_source": "call_handler",
            "workflow": "da-desk",
            "force": "wmp",
            "first_contact_mode": "video",
        },
        "attended": {
            "response_kind": "deployment",
            "eligible": "false",
            "ineligible_because": "adult",
            "within_24_h": "false",
            "transfer_within_10_min_from_open": "false",
            "transfer_within_10_min_from_answer": "",
            "handover_within_target": "",
            "response_grade_first": "other",
            "arrival_source": "click",
            "decision": "filed",
            "final_state": "closed",
            "censored_at": "",
            "consented": "",
        },
        "declined": {
            "consented": "true",
            "handover_offers": "2",
            "handover_within_target": "false",
            "response_grade_first": "priority",
            "response_kind": "video",
            "session_s": "",
        },
        "lost": {"response_kind": "video", "response_grade_last": "immediate", "final_state": "deployment"},
        "again": {"prior_reports_12m": "1", "escalations": "", "response_kind": "deployment"},
        "reported": {
            "workflow": "crime-report",
            "channel": "online",
            "prior_reports_12m": "0",
            "escalations": "second_victim",
            "referrals": "1",
            "risk_level_reported": "standard",
            "risk_level_first": "medium",
            "allocated_to": "ppu",
            "support_last": "withdrew",
            "charged_on": "2026-11-30",
            "first_hearing_on": "2026-12-14",
            "outcome_code": "1",
            "final_state": "closed",
        },
        "kept": {
            "response_kind": "appointment",
            "first_contact_mode": "video",
            "transfer_within_10_min_from_answer": "false",
            "within_24_h": "true",
        },
        "missed": {"response_kind": "none", "final_state": "lost_contact"},
        "voided": {
            "final_state": "voided",
            "response_s": "",
            "transfer_within_10_min_from_open": "",
            "censored_at": "",
        },
        "open": {
            "response_kind": "none",
            "response_s": "",
            "eligible": "",
            "within_24_h": "",
            "final_state": "call_taking",
        },
    }
    assert {name: {column: stories[name][column] for column in wanted} for name, wanted in told.items()} == told
    assert stories["open"]["censored_at"] == max(row["recorded_at"] for row in table(package, "events"))


def test_a_clock_that_ran_out_tells_how_late_that_was_noticed(week: Week, package: Path) -> None:
    case = by_story(week, package)["lost"]["case"]
    (run,) = (row for row in table(package, "clocks") if (row["case"], row["clock"]) == (case, "safe_contact"))
    assert (run["verdict"], run["lateness_s"], run["stopped_by"]) == ("breached", "1.500000", "DeploymentRequested")
    running = {row["clock"] for row in table(package, "clocks") if row["case"] == case and row["censored"] == "true"}
    assert "attendance" in running


def test_a_review_that_went_back_to_the_officer_is_one_run_that_tells_its_pause(week: Week, package: Path) -> None:
    case = by_story(week, package)["allocated"]["case"]
    runs = [row for row in table(package, "clocks") if row["case"] == case]
    (review,) = (row for row in runs if row["clock"] == "review")
    told = [review[name] for name in ("run", "counts", "paused_s", "stopped_by")]
    assert told == ["1", "desk_hours", "7.000003", "CaseAllocated"]
    others = {(row["counts"], row["paused_s"]) for row in runs if row["clock"] != "review"}
    assert others == {("always", ""), ("working_days", "")}


# --- Same inputs, same bytes -------------------------------------------------------------------------------------


def test_the_same_log_gives_the_same_bytes_twice(week: Week, package: Path, tmp_path: Path) -> None:
    week.exports(tmp_path / "again")
    assert everything(tmp_path / "again") == everything(package)


def test_the_same_log_gives_the_same_zip_and_the_zip_holds_the_same_files(
    week: Week, package: Path, tmp_path: Path
) -> None:
    for name in ("one.zip", "two.zip"):
        week.exports(tmp_path / name)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == everything(package)
    assert stat.S_IMODE((tmp_path / "one.zip").stat().st_mode) == 0o600
    assert sorted(p.name for p in tmp_path.iterdir()) == ["one.zip", "two.zip"]


def test_the_manifest_names_every_file_with_its_checksum(package: Path) -> None:
    lines = (package / "MANIFEST.sha256").read_text().splitlines()
    files = everything(package)
    del files["MANIFEST.sha256"], files["MANIFEST.sig"]
    assert lines == [f"{hashlib.sha256(files[name]).hexdigest()}  {name}" for name in sorted(files)]


def test_the_text_of_the_workflow_lies_under_the_hash_that_its_cases_name(package: Path) -> None:
    versions = {row["workflow_version"] for row in table(package, "events")} - {"d" * 64}
    assert {path.name for path in (package / "definitions").iterdir()} == versions
    for folder in (package / "definitions").iterdir():
        texts = {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*.toml")}
        canonical = json.dumps(texts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        assert hashlib.sha256(canonical.encode()).hexdigest() == folder.name


# --- What never leaves -------------------------------------------------------------------------------------------


def test_no_sealed_field_and_no_free_text_leaves(week: Week, package: Path) -> None:
    files = everything(package)
    assert [name for name, text in files.items() for word in SECRETS if word.encode() in text] == []
    withheld = sum(row.count("withheld") for row in files["data/events.csv"].decode().splitlines())
    assert withheld > 20  # the control: texts stood where codes should be, and were found


def test_the_canaries_were_in_every_sealed_field_of_the_log(week: Week) -> None:
    async def sealed(store: Any) -> set[tuple[str, str]]:
        streams = {one.stream for one in await store.events_after(0, 10_000)}
        events = [one for stream in sorted(streams) for one in await store.load(stream)]
        return {
            (r.event.type, name)
            for r in events
            for name in type(r.event.fact).sealed_fields()
            if CANARY in str(getattr(r.event.fact, name))
        }

    every = {(kind, name) for kind in codebook.EVENT_TYPES for name in e.FACTS[kind].sealed_fields()}
    assert week.on_store(sealed) >= every
    assert len(every) > 15


def test_no_id_and_no_spoken_reference_leaves(week: Week, package: Path) -> None:
    async def ids(store: Any) -> set[str]:
        found: set[str] = {actor.id for actor in STAFF.values()}
        for case in week.cases.values():
            for recorded in await store.load(f"case/{case}"):
                fact = recorded.event.fact
                names = [f.name for f in codebook.public_fields(type(fact)) if codebook.id_in(type(fact), f.name)]
                found |= {case, recorded.event_id, *(getattr(fact, name, "") for name in (*names, "reference"))}
        return found - {""}

    text = b"".join(everything(package).values())
    assert [one for one in week.on_store(ids) if one.encode() in text] == []


def test_every_field_that_holds_an_id_of_a_person_or_thing_leaves_as_a_pseudonym() -> None:
    def holds_an_id(field: Any) -> bool:
        of = "link|session|action|case|referral|suspect|order|person|recording|guest|member of staff"
        return bool(re.search(rf"Random id|Person id|person id|Id of the ({of})\b", field.metadata["meaning"]))

    fields = [(e.FACTS[kind], f) for kind in codebook.EVENT_TYPES for f in codebook.public_fields(e.FACTS[kind])]
    assert {(k.__name__, f.name) for k, f in fields if bool(codebook.id_in(k, f.name)) != holds_an_id(f)} == set()
    assert {f.name for _, f in fields} | {f"{k.__name__}.{f.name}" for k, f in fields} >= set(codebook.ID_FIELDS)


BY_ROLE = ("bot", "media", "victim", "guest")


def test_staff_leave_as_pseudonyms_and_the_others_as_their_role(package: Path) -> None:
    by = {row["by"] for row in table(package, "events")}
    assert set(BY_ROLE) <= by
    assert all(len(name) == 20 for name in by - set(BY_ROLE))
    officers = {row["officer"] for row in table(package, "cases")} - {""}
    assert officers & by


def test_two_projects_share_no_pseudonym(week: Week, package: Path, tmp_path: Path) -> None:
    week.exports(tmp_path / "other", project="other")
    columns = ("case", "victim", "suspect", "pair", "officer")

    def pseudonyms(folder: Path) -> set[str]:
        cases = {row[column] for row in table(folder, "cases") for column in columns}
        rows = table(folder, "events")
        events = {row[name] for row in rows for name in row if codebook.id_in(e.FACTS[row["type"]], name)}
        events |= {row["by"] for row in rows}
        return (cases | events) - {"", *BY_ROLE}

    assert pseudonyms(package) & pseudonyms(tmp_path / "other") == set()
    assert len(pseudonyms(package)) == len(pseudonyms(tmp_path / "other")) > 20


def test_the_projects_key_is_made_for_its_owner_only_and_is_never_in_the_package(week: Week, package: Path) -> None:
    file = week.keys / "kent.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    key = json.loads(file.read_text())["key"].encode()
    assert [name for name, text in everything(package).items() if key in text] == []


# --- The description ---------------------------------------------------------------------------------------------

_PACKAGE = {
    "type": "object",
    "required": ["$schema", "name", "resources", "provenance"],
    "properties": {
        "$schema": {"const": "https://datapackage.org/profiles/2.0/datapackage.json"},
        "resources": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["$schema", "name", "path", "type", "format", "encoding", "bytes", "hash", "schema"],
                "properties": {
                    "$schema": {"const": "https://datapackage.org/profiles/2.0/dataresource.json"},
                    "name": {"type": "string", "pattern": "^[a-z_]+$"},
                    "hash": {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"},
                    "schema": {
                        "type": "object",
                        "required": ["fields", "fieldsMatch", "primaryKey", "missingValues"],
                        "properties": {"fieldsMatch": {"type": "string"}, "primaryKey": {"type": "array"}},
                    },
                },
            },
        },
    },
}

_READ: dict[str, Any] = {
    "string": str,
    "integer": int,
    "number": lambda text: float(text) if text[-7] == "." else int("no six decimals"),
    "boolean": {"true": True, "false": False}.__getitem__,
    "datetime": lambda text: datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ"),  # noqa: DTZ007 - Z is UTC
    "date": date.fromisoformat,
    "object": json.loads,
}


def faults(package: Path) -> Iterator[str]:
    """What a Frictionless reader would complain of."""
    described = json.loads((package / "datapackage.json").read_text())
    Draft202012Validator(_PACKAGE).validate(described)
    read = {resource["name"]: recompute.read(package / resource["path"]) for resource in described["resources"]}
    for resource in described["resources"]:
        schema, rows, content = resource["schema"], read[resource["name"]], (package / resource["path"]).read_bytes()
        if resource["bytes"] != len(content) or resource["hash"] != "sha256:" + hashlib.sha256(content).hexdigest():
            yield f"{resource['path']} is not what was described"
        if content.split(b"\n")[0].decode().split(",") != [field["name"] for field in schema["fields"]]:
            yield f"{resource['path']}: other columns"
        keys = [tuple(row[name] for name in schema["primaryKey"]) for row in rows]
        if len(set(keys)) != len(keys):
            yield f"{resource['path']}: a primary key twice"
        for foreign in schema.get("foreignKeys", ()):
            target = foreign["reference"]
            known = {row[target["fields"][0]] for row in read[target["resource"]]}
            yield from (f"{foreign} {row}" for row in rows if row[foreign["fields"][0]] not in known)
        for field in schema["fields"]:
            missing = schema["missingValues"]
            told = (row[field["name"]] for row in rows if row[field["name"]] not in missing)
            yield from (f"{resource['path']} {fault}" for value in told for fault in _cell_faults(field, value))


def _cell_faults(field: dict[str, Any], value: str) -> Iterator[str]:
    try:
        _READ[field["type"]](value)
    except (ValueError, KeyError, IndexError):
        yield f"{field['name']}: {value!r} is no {field['type']}"
    if value not in field.get("constraints", {}).get("enum", [value]):
        yield f"{field['name']}: {value!r} is none of its values"


def test_the_package_is_as_its_description_says(package: Path) -> None:
    assert list(faults(package)) == []


def test_a_changed_cell_is_noticed(week: Week, tmp_path: Path) -> None:
    out = tmp_path / "lived"
    week.exports(out, to=week.begins["open"])
    cases = out / "data" / "cases.csv"
    cases.write_text(cases.read_text().replace("high", "hihg"))
    assert {"data/cases.csv is not what was described", "data/cases.csv grade: 'hihg' is none of its values"} <= set(
        faults(out)
    )


def test_every_column_is_in_the_codebook_and_nothing_else_is(package: Path) -> None:
    files = [p for p in everything(package) if p.endswith(".csv")]
    columns = {(name, column) for name in files for column in recompute.head(package / name)}
    rows = recompute.read(package / "codebook.csv")
    assert {(row["file"], row["column"]) for row in rows} == columns
    assert all(row["meaning"] and row["type"] for row in rows)


def test_the_contracts_columns_keep_their_names_and_places() -> None:
    contract = """case, force, lpa, victim, suspect, pair, officer, workflow, workflow_version, arm_allocated,
        arm_received, call_answered_at, call_answered_source, received_at, eligible, ineligible_because, consented,
        desk_capacity_at_offer, handover_offered_at, handover_accepted_at, officer_assigned_at, link_sent_at,
        link_opened_at, two_way_video_at, session_ended_at, deployment_requested_at, attended_at, risk_assessed_at,
        risk_tool, grade, decided_at, decision, allocated_to, outcome_code, handover_s, transfer_s, response_s,
        response_kind, transfer_within_10_min_from_answer, transfer_within_10_min_from_open, handover_within_target,
        within_24_h, session_s, interruptions, final_state, censored_at"""
    names = [name.strip() for name in contract.split(",")]
    assert list(codebook.CASES_TABLE.names[: len(names)]) == names
    envelope = ["case", "version", "type", "at", "recorded_at", "stated_at", "stated_source", "by_role", "by"]
    assert list(codebook.EVENTS_TABLE.names[:11]) == [*envelope, "workflow_version", "state"]


def test_no_column_of_a_fact_takes_the_name_of_the_envelopes() -> None:
    assert len(set(codebook.EVENTS_TABLE.names)) == len(codebook.EVENTS_TABLE.names)
    assert len(set(codebook.CASES_TABLE.names)) == len(codebook.CASES_TABLE.names)


def test_facts_of_other_streams_are_those_that_say_so() -> None:
    said = {name for name, kind in e.FACTS.items() if (kind.__doc__ or "").startswith("Stream ")}
    assert set(codebook.OTHER_STREAMS) == said


# --- Windows and places ------------------------------------------------------------------------------------------


def test_a_window_that_ends_before_it_begins_is_refused(week: Week, tmp_path: Path) -> None:
    begin = week.begins["allocated"]
    for end in (begin, begin - timedelta(days=1)):
        with pytest.raises(Refused) as refused:
            week.exports(tmp_path / "out", from_=begin, to=end)
        assert [reason.code for reason in refused.value.reasons] == ["export-window"]
    assert list(tmp_path.iterdir()) == []


def test_a_window_takes_the_cases_opened_in_it_with_what_was_recorded_before_its_end(
    week: Week, tmp_path: Path
) -> None:
    begin, end = week.begins["attended"], week.begins["lost"] + timedelta(seconds=45)
    summary = week.exports(tmp_path / "out", from_=begin, to=end)
    assert set(by_story(week, tmp_path / "out")) == {"attended", "lost"}
    assert by_story(week, tmp_path / "out")["lost"]["final_state"] == "call_taking"
    assert disagreements(tmp_path / "out", table(tmp_path / "out", "events")) == []
    assert summary.data_cut is not None
    assert summary.data_cut < end


def test_the_cases_of_a_window_can_be_followed_beyond_its_end(week: Week, tmp_path: Path) -> None:
    begin, end = week.begins["attended"], week.begins["lost"] + timedelta(seconds=45)
    later = week.begins["open"]
    week.exports(tmp_path / "out", from_=begin, to=end, followed=later)
    assert set(by_story(week, tmp_path / "out")) == {"attended", "lost"}
    assert by_story(week, tmp_path / "out")["lost"]["final_state"] != "call_taking"
    recorded = [row["recorded_at"] for row in table(tmp_path / "out", "events")]
    assert iso(end) < max(recorded) < iso(later)
    told = json.loads((tmp_path / "out" / "datapackage.json").read_text())["provenance"]
    assert (told["to"], told["data_cut"]) == (iso(end), max(recorded))


async def test_an_export_up_to_a_past_moment_stays_the_same_while_the_log_grows(tmp_path: Path) -> None:
    place, clock, key = Place(tmp_path / "data", tmp_path / "keys" / "keys.json"), Clock(), tmp_path / "kent.json"
    store = place.store(clock)
    await store.start()
    try:
        days = Days(store, clock, definitions())
        await days.start()
        case = await days.opens()
        days.later(60)
        past = clock.at
        await export(store, tmp_path / "before", project_key=key, to=past)
        await days.opens()
        await days.screens(case)
        await export(store, tmp_path / "after", project_key=key, to=past)
    finally:
        await store.close()
    assert everything(tmp_path / "before") == everything(tmp_path / "after")
    assert len(table(tmp_path / "after", "cases")) == 1


def test_a_window_without_a_case_gives_a_package_without_rows(week: Week, tmp_path: Path) -> None:
    summary = week.exports(tmp_path / "out", to=START)
    assert (summary.cases, summary.events, summary.data_cut) == (0, 0, None)
    assert list(faults(tmp_path / "out")) == []


def test_a_folder_with_something_else_in_it_is_left_alone(week: Week, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(CannotExport, match=r"thesis\.txt"):
        week.exports(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_an_earlier_export_is_replaced_but_not_with_a_file_of_somebody_elses_in_it(week: Week, tmp_path: Path) -> None:
    out = tmp_path / "out"
    week.exports(out)
    week.exports(out, to=week.begins["lost"])
    assert set(by_story(week, out)) == {"allocated", "attended"}
    (out / "data" / "thesis.csv").write_text("years of work")
    with pytest.raises(CannotExport, match="thesis"):
        week.exports(out)


def test_a_zip_replaces_an_earlier_export_or_an_empty_file_only(week: Week, tmp_path: Path) -> None:
    out = tmp_path / "out.zip"
    out.touch()
    for _ in range(2):
        week.exports(out, to=week.begins["attended"])
    out.write_text("years of work")
    with pytest.raises(CannotExport, match="no earlier export"):
        week.exports(out)
    assert out.read_text() == "years of work"


@pytest.mark.parametrize("content", ["", "{}", '{"id": "a", "key": "00"}', '{"id": "a b", "key": "zz"}'])
def test_a_project_key_that_is_none_is_refused_with_its_name(week: Week, tmp_path: Path, content: str) -> None:
    file = week.keys / "broken.json"
    file.write_text(content)
    file.chmod(0o600)
    with pytest.raises(CannotExport, match=r"broken\.json is not a project key"):
        week.exports(tmp_path / "out", project="broken")


def test_two_exports_at_once_agree_on_a_new_projects_key(week: Week, tmp_path: Path) -> None:
    async def both(store: Store) -> None:
        key = week.keys / "joint.json"
        await asyncio.gather(*(export(store, tmp_path / name, project_key=key) for name in ("one", "two")))

    week.on_store(both)
    assert everything(tmp_path / "one") == everything(tmp_path / "two")


def test_a_project_key_that_others_can_read_is_refused(week: Week, tmp_path: Path) -> None:
    file = week.keys / "open.json"
    file.write_text(json.dumps({"id": "open", "key": "00" * 32}))
    file.chmod(0o644)
    with pytest.raises(CannotExport, match="chmod 600"):
        week.exports(tmp_path / "out", project="open")


def test_the_project_key_may_not_lie_inside_the_export(week: Week) -> None:
    with pytest.raises(CannotExport, match="inside the export"):
        week.exports(week.keys)
