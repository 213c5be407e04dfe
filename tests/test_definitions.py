"""The shipped definitions have no fault; every kind of fault is found, all at once, with its file and key."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from rvr.core.commands import ROLES
from rvr.core.errors import DefinitionFault
from rvr.core.vocabulary import KNOWN_FACTS
from rvr.definitions import digest, load, load_stored
from tests.builders import WORKFLOWS, da_desk, shipped

Change = Callable[[str, str, str], None]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return Path(shutil.copytree(WORKFLOWS, tmp_path / "workflows"))


@pytest.fixture
def change(root: Path) -> Change:
    """Replaces one place in a file of the workflow's copy."""

    def replace(file: str, old: str, new: str) -> None:
        path = root / file
        text = path.read_text()
        assert old in text, f"{file} has no {old!r} any more"
        path.write_text(text.replace(old, new, 1))

    return replace


def faults(root: Path, force: str = "wmp") -> list[str]:
    with pytest.raises(DefinitionFault) as found:
        load(root, force)
    assert str(found.value).splitlines() == list(found.value.faults)
    return list(found.value.faults)


def test_the_shipped_definitions_have_no_fault() -> None:
    assert set(shipped().workflows) == {"da-desk", "crime-report"}
    assert set(shipped().instruments) == {"dash", "dara"}
    assert len(shipped().instruments["dash"].questions) == 27


MOVES, CLOCKS, GUARDS, STATES, FORMS, CRITERIA, ROUTING, TOP = (
    f"da-desk/{part}.toml"
    for part in ("moves", "clocks", "guards", "states", "forms", "criteria", "routing", "workflow")
)
R_MOVES, R_GUARDS, R_STATES, R_ROUTING, P_FORMS, A_CLOCKS = (
    *(f"parts/review/{part}.toml" for part in ("moves", "guards", "states", "routing")),
    "parts/people/forms.toml",
    "parts/response/clocks.toml",
)
TO_ACCEPTED = '"accepted"\nwho = ["sergeant", "inspector"]'


@pytest.mark.parametrize(
    ("file", "old", "new", "fault"),
    [
        # keys and shapes
        (MOVES, "tone =", "tune =", f"{MOVES}: correct_details: unknown key `tune`"),
        (STATES, 'owner = "sergeant"\n', "", f"{STATES}: handover: `owner` is missing"),
        (MOVES, 'from = ["handover"]', 'from = "handover"', f"{MOVES}: withdraw_handover: `from` must be a list"),
        (CLOCKS, "target_s = 600", 'target_s = "600"', f"{CLOCKS}: transfer: `target_s` must be a whole number"),
        (P_FORMS, "personal = true", 'personal = "yes"', f"{P_FORMS}: victim_name: `personal` must be true or false"),
        (STATES, "[call_taking]", "limbo = 5\n[call_taking]", f"{STATES}: limbo: must be a table"),
        (TOP, 'name = "Domestic', 'nome = "Domestic', f"{TOP}: `name` is missing"),
        (TOP, "asks = [", "aks = [", f"{TOP}: opens: unknown key `aks`"),
        (CRITERIA, 'met = "yes"', 'met = "certainly"', f"{CRITERIA}: suspect_away: `met` is none of"),
        # names
        (TOP, 'initial = "call_taking"', 'initial = "limbo"', f"{TOP}: initial: unknown state `limbo`"),
        (TOP, '"call_handler"', '"operator"', f"{TOP}: opens: unknown role `operator`"),
        (TOP, '"lpa"]', '"lpa", "shoe_size"]', f"{TOP}: opens: unknown field `shoe_size`"),
        (MOVES, 'to = "handover"', 'to = "limbo"', f"{MOVES}: offer_handover: unknown state `limbo`"),
        (MOVES, 'from = ["handover"]', 'from = ["limbo"]', f"{MOVES}: withdraw_handover: unknown state `limbo`"),
        (MOVES, 'from = ["handover"]', "from = []", f"{MOVES}: withdraw_handover: `from` names no state"),
        (MOVES, '"sergeant", "inspector"', '"partner"', f"{MOVES}: correct_details: unknown role `partner`"),
        (MOVES, 'asks = ["decline_reason"]', 'asks = ["why"]', f"{MOVES}: decline_handover: unknown field `why`"),
        (MOVES, '"eligible", ', '"elegible", ', f"{MOVES}: offer_handover: unknown guard `elegible`"),
        (MOVES, '"HandoverAccepted"', '"HandoverTaken"', f"{MOVES}: accept_handover: unknown event `HandoverTaken`"),
        (STATES, 'owner = "sergeant"', 'owner = "serjeant"', f"{STATES}: handover: unknown role `serjeant`"),
        (GUARDS, 'fact = "eligible"', 'fact = "elegible"', f"{GUARDS}: eligible: unknown fact `elegible`"),
        (GUARDS, "details.safe_to_text", "details.safe", f"{GUARDS}: safe_to_text: unknown fact `details.safe`"),
        (R_GUARDS, ', same_as = "by"', ', same_as = "me"', f"{R_GUARDS}: assigned_officer: unknown fact `me`"),
        (MOVES, '"safety.alone", in', '"safe", in', f"{MOVES}: end_session: unknown fact `safe`"),
        (GUARDS, ", is = true }", ", like = true }", f"{GUARDS}: eligible: a condition is a `fact` with one of"),
        (R_ROUTING, 'fact = "risk_level"', 'fact = "danger"', f"{R_ROUTING}: high_risk_to_ppu: unknown fact `danger`"),
        (R_ROUTING, 'team = "ppu"', 'team = "ppv"', f"{R_ROUTING}: high_risk_to_ppu: unknown team `ppv`"),
        (R_ROUTING, '"lpa-{lpa}"', '"area-{lpa}"', f"{R_ROUTING}: area_team: unknown team `area-birmingham`"),
        (P_FORMS, 'kind = "phone"', 'kind = "telefon"', f"{P_FORMS}: safe_number: unknown kind `telefon`"),
        (FORMS, 'options = [["999", "999"]', 'hint = "x" # ', f"{FORMS}: source: a choice without options"),
        (CRITERIA, '"emergency"', '"taxi"', f"{CRITERIA}: suspect_away: `way_out` is none of"),
        # clocks
        (CLOCKS, 'runs_in = ["handover"]', 'runs_in = ["limbo"]', f"{CLOCKS}: handover: unknown state `limbo`"),
        (CLOCKS, '"CaseOpened"', '"CaseOpend"', f"{CLOCKS}: transfer: unknown event `CaseOpend`"),
        (
            CLOCKS,
            "where = { mode",
            "where = { mood",
            f"{CLOCKS}: transfer: unknown field of OfficerContactStarted `mood`",
        ),
        (A_CLOCKS, 'by = "response_grade"', 'by = "mood"', f"{A_CLOCKS}: attendance: unknown fact `mood`"),
        (CLOCKS, 'starts = [{ event = "CaseOpened" }]', "", f"{CLOCKS}: transfer: nothing starts it"),
        (CLOCKS, 'stops = [{ event = "OfficerContact', "#", f"{CLOCKS}: transfer: nothing stops it"),
        (CLOCKS, "thresholds = [{ after_s = 600, say", "board = true # ", f"{CLOCKS}: transfer: nothing happens when"),
        (CLOCKS, '"nudge_handover"', '"nudge"', f"{CLOCKS}: handover: unknown move `nudge`"),
        (CLOCKS, '"nudge_handover"', '"accept_handover"', f"{CLOCKS}: handover: `accept_handover` is not a move that"),
        (
            CLOCKS,
            '"nudge_handover"',
            '"media_gone_too_long"',
            f"{CLOCKS}: handover: `media_gone_too_long` is not open in",
        ),
        # the move and its event
        (MOVES, 'asks = ["decline_reason"]', "", f"{MOVES}: decline_handover: HandoverDeclined needs `reason`"),
        (
            MOVES,
            'to_role = "sergeant", about = "handover_waits"',
            'to_rule = "sergeant", about = "handover_waits"',
            f"{MOVES}: nudge_handover: AlarmRaised has no field",
        ),
        (
            MOVES,
            'may_ask = ["note"]',
            'may_ask = ["note", "team"]',
            f"{MOVES}: offer_handover: HandoverOffered has no field",
        ),
        (R_MOVES, '"risk_answers", ', "", f"{R_MOVES}: assess_risk: RiskAssessed needs the field `risk_answers`"),
        (R_MOVES, '{ state = "" }]', '{ state = "" }, { state = "review" }]', "hides those after it"),
        # the whole
        (MOVES, "[accept_handover]", "[Accept", f"{MOVES}: is not TOML"),
        (MOVES, 'asks = ["answers"]', 'may_ask = ["answers"]', f"{CRITERIA}: no move asks the criteria"),
        (
            GUARDS,
            "[eligible]",
            '[lonely]\nsay = ""\nwhen = { fact = "state", known = true }\n[eligible]',
            "no move needs it",
        ),
        (FORMS, "[source]", '[lonely]\nlabel = ""\nkind = "text"\n[source]', f"{FORMS}: lonely: no move asks for it"),
        ("forces/wmp.toml", 'opens = "07:00"', 'opens = "7 am"', "forces/wmp.toml: hours: "),
        ("forces/wmp.toml", "link_minutes = 15", 'link_minutes = "15"', "`link_minutes` must be a whole number"),
        (
            "risk/dash.toml",
            'critical_suggests = "medium"',
            'critical_suggests = "dire"',
            "risk/dash.toml: critical_suggests: unknown level",
        ),
        ("risk/dash.toml", "critical = true", "kritical = true", "question separation: unknown key `kritical`"),
        (TOP, '["dash", "dara"]', '["dish"]', "risk/dish.toml: is missing"),
    ],
)
def test_a_fault_is_found_with_its_file_and_key(
    root: Path, change: Change, file: str, old: str, new: str, fault: str
) -> None:
    change(file, old, new)
    found = faults(root)
    assert any(fault in one for one in found), found


def test_a_personal_field_that_would_be_stored_in_clear_is_a_fault(root: Path, change: Change) -> None:
    file = "parts/investigation/forms.toml"
    change(file, '[outcome_code]\nlabel = "Home Office outcome"', '[outcome_code]\npersonal = true\nlabel = "Outcome"')
    assert any("record_outcome: personal field `outcome_code` would be stored in clear" in f for f in faults(root))


def test_all_faults_of_all_files_are_told_at_once(root: Path, change: Change) -> None:
    change(MOVES, '"HandoverAccepted"', '"HandoverTaken"')
    change(CLOCKS, '"nudge_handover"', '"nudge"')
    change(GUARDS, 'fact = "eligible"', 'fact = "elegible"')
    change(STATES, 'owner = "sergeant"', 'owner = "serjeant"')
    found = faults(root)
    assert {one.split(":")[0] for one in found} >= {MOVES, CLOCKS, GUARDS, STATES}


def test_a_dead_end_is_a_fault(root: Path) -> None:
    """In a workflow of its own: every state of the desk's can be left by the moves that are open everywhere."""
    tiny = root / "tiny"
    tiny.mkdir()
    top = 'id = "tiny"\nname = "Tiny"\ninitial = "review"\n[opens]\nwho = ["sergeant"]\nasks = []\n'
    (tiny / "workflow.toml").write_text(top)
    (tiny / "states.toml").write_text('[review]\nname = "Review"\nowner = "sergeant"\n')
    (tiny / "moves.toml").write_text("")
    (tiny / "clocks.toml").write_text(
        '[review]\nname = "R"\ntarget_s = 1\nruns_in = ["review"]\nthresholds = [{ after_s = 1, say = "x" }]\n'
    )
    (root / "tables" / "outcomes.toml").unlink()
    for other in ("da-desk", "crime-report"):
        shutil.rmtree(root / other)
    assert faults(root) == ["tiny/states.toml: review: dead end: no move leaves it"]


def test_an_owner_who_can_never_act_is_a_fault(root: Path, change: Change) -> None:
    change(STATES, 'owner = "call_handler"', 'owner = "evaluator"')
    assert f"{STATES}: call_taking: the owner `evaluator` can never act: no move is theirs" in faults(root)


def test_a_shared_part_is_read_once_and_a_key_stands_in_one_file(root: Path, change: Change) -> None:
    assert shipped().workflows["da-desk"].moves["allocate"] == shipped().workflows["crime-report"].moves["allocate"]
    with (root / "da-desk" / "moves.toml").open("a") as moves:
        moves.write('\n[allocate]\nname = "x"\nfrom = ["review"]\nwho = ["sergeant"]\nevent = "CaseClosed"\n')
    assert f"{R_MOVES}: allocate: stands in {MOVES}, too" in faults(root)
    change(TOP, '"people", ', '"peeple", ')
    assert f"{TOP}: parts: there is no folder `parts/peeple`" in faults(root)


FORCE = "forces/kent-like.toml"


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (
            "[changes.da-desk.moves.accept_handover]",
            "[changes.da-desk.mooves.x]",
            f"{FORCE}: changes.da-desk: unknown part",
        ),
        (
            'who = ["officer"]',
            'whom = ["officer"]',
            f"{MOVES} (changed by {FORCE}): accept_handover: unknown key `whom`",
        ),
        ('serves = ["north"', 'serves = ["moon"', f"{FORCE}: partner.county: unknown area `moon`"),
        ('team = "vulnerability"', 'team = "vulnerable"', f"{FORCE}: high_risk: unknown team `vulnerable`"),
    ],
)
def test_what_a_force_changes_is_checked_where_it_stands(
    root: Path, change: Change, old: str, new: str, fault: str
) -> None:
    change(FORCE, old, new)
    found = faults(root, "kent-like")
    assert any(fault in one for one in found), found


def test_contacts_are_checked_and_are_no_part_of_a_version(root: Path, change: Change) -> None:
    before = load(root, "wmp")
    change("contacts/wmp.toml", "+447700900999", "+447700900111")
    after = load(root, "wmp")
    assert [one.to for one in after.contacts.on_call] == ["+447700900111", "+447700900997"]
    assert after.workflows["da-desk"].hash == before.workflows["da-desk"].hash
    change("contacts/wmp.toml", "bswa =", "bsva =")
    change("contacts/wmp.toml", 'channel = "sms"', 'channel = "pigeon"')
    change("contacts/wmp.toml", 'role = "inspector"', 'role = "admiral"')
    change("contacts/wmp.toml", '["polish"]', '["polnish"]')
    change("contacts/wmp.toml", 'gender = "man"', 'gender = "gentleman"')
    change("contacts/wmp.toml", 'skills = ["stalking"]', 'skills = "stalking"')
    assert faults(root) == [
        "contacts/wmp.toml: partners: unknown partner `bsva`",
        "contacts/wmp.toml: on_call: unknown role `admiral`",
        "contacts/wmp.toml: on_call: `channel` is one of sms, email, webhook",
        "contacts/wmp.toml: officer.officer: `languages` and `skills` are lists of texts",
        "contacts/wmp.toml: officer.officer2: `polnish` is no answer to `victim_language`",
        "contacts/wmp.toml: officer.officer2: `gentleman` is no answer to `officer_wish`",
    ]


def test_a_force_may_take_a_criterion_out_and_put_another_in(root: Path) -> None:
    with (root / FORCE).open("a") as file:
        file.write("\n[changes.da-desk.criteria.adult]\nremove = true\n")
        file.write('[changes.da-desk.criteria.calm]\nask = "?"\nsay = "!"\nwhy = "w"\nsource = "s"\nmet = "no"\n')
    flow = load(root, "kent-like").workflows["da-desk"]
    assert "adult" not in flow.criteria
    assert flow.criteria["calm"].met == "no"
    assert "adult" in load(root, "wmp").workflows["da-desk"].criteria


@pytest.mark.parametrize(
    ("file", "old", "new", "fault"),
    [
        ("parts/review/rules.toml", 'counts = "pair"', 'counts = "pears"', "third_occasion: unknown count `pears`"),
        ("parts/review/rules.toml", "within_days = 365\n", "", "needs `within_days` and `at_least`"),
        (
            "parts/investigation/forms.toml",
            'kind = "date"\nfills = "stated_at"',
            'kind = "text"\nfills = "stated_at"',
            "outcome_on: what fills `stated_at` is a date or a time, and not personal",
        ),
        ("parts/review/rules.toml", "since = 2023-09-01", 'since = "2023"', "third_occasion: `since` must be a date"),
        ("parts/investigation/suspects.toml", '"eliminated"]', '"vanished"]', "unknown status `vanished`"),
        ("parts/safeguarding/safeguarding.toml", 'owner = "officer"', 'owner = "nanny"', "safety_plan: unknown role"),
        ("tables/outcomes.toml", '"22"]', '"99"]', "set.positive_action: unknown outcome code `99`"),
        ("tables/outcomes.toml", '"victim_supports", "outcome', '"sky", "outcome', "outcome 14: unknown field `sky`"),
        (
            MOVES,
            'event = "EmergencyDispatched", sets = { reason',
            'event = "EmergencyDispatched", sets = { why',
            "also",
        ),
    ],
)
def test_a_fault_in_a_catalogue_is_found(root: Path, change: Change, file: str, old: str, new: str, fault: str) -> None:
    change(file, old, new)
    found = faults(root)
    assert any(fault in one for one in found), found


def test_a_state_that_nothing_reaches_is_a_fault(root: Path) -> None:
    with (root / STATES).open("a") as states:
        states.write('\n[limbo]\nname = "Limbo"\nowner = "sergeant"\n')
    found = faults(root)
    assert f"{STATES}: limbo: cannot be reached" in found
    assert f"{STATES}: limbo: an open state without a running clock" in found


def test_an_open_state_without_an_owner_is_a_fault(root: Path, change: Change) -> None:
    change(R_STATES, 'name = "Review"\nowner = "sergeant"', 'name = "Review"\nowner = ""')
    assert faults(root) == [f"{R_STATES}: review: an open state without an owner"]


def test_a_missing_part_and_a_file_that_is_no_part_are_faults(root: Path) -> None:
    (root / STATES).rename(root / "da-desk" / "stales.toml")
    found = faults(root)
    assert f"{STATES}: is missing" in found
    assert any("da-desk/stales.toml: is no part of a workflow" in one for one in found)


def test_a_force_without_a_file_is_a_fault(root: Path) -> None:
    assert faults(root, "atlantis") == ["forces/atlantis.toml: there is no such force"]


def test_the_version_is_the_hash_of_everything_that_the_workflow_consists_of(root: Path, change: Change) -> None:
    seen = {load(root, "wmp").workflows["da-desk"].hash}
    for file, old, new in [
        (STATES, "Call taking", "Taking the call"),
        ("forces/wmp.toml", "Public Protection Unit", "PPU"),
        ("risk/dash.toml", "very frightened", "frightened"),
    ]:
        change(file, old, new)
        seen.add(load(root, "wmp").workflows["da-desk"].hash)
    assert len(seen) == 4
    assert digest({"a": "1", "b": "2"}) == digest({"b": "2", "a": "1"})


def test_a_stored_text_gives_the_same_workflow_again() -> None:
    flow = da_desk()
    again = load_stored(flow.id, dict(flow.files))
    for part in dataclasses.fields(flow):
        assert getattr(again, part.name) == getattr(flow, part.name), part.name


def test_every_fact_that_a_definition_may_ask_for_is_one_that_cases_have() -> None:
    assert {"eligible", "consent.video", "risk_level", "desk.free", "by"} <= KNOWN_FACTS
    assert {"partner", "she"}.isdisjoint(KNOWN_FACTS | ROLES)


def test_the_diagram_shows_every_state_and_every_way_between_two() -> None:
    lines = da_desk().mermaid().splitlines()
    assert lines[:2] == ["stateDiagram-v2", "    [*] --> call_taking"]
    assert "    handover --> accepted: Accept" in lines
    assert {state for state in da_desk().states if any(state in line for line in lines)} == set(da_desk().states)
