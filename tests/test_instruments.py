"""Risk instruments as files: every fault is told with its place, and a force's licensed wording lies over ours."""

from __future__ import annotations

import pytest

from rvr.core.risk import Instrument
from rvr.definitions.instruments import read_instruments
from rvr.definitions.reading import Reading
from tests.builders import WORKFLOWS, shipped

TOOL = """
id = "tool"
name = "Tool"
scale = [["never", "Never", 0], ["daily", "Daily", 3]]
bands = [{ level = "standard", at_least = 0 }, { level = "high", at_least = 4 }]
[[question]]
id = "hit"
topic = "Was the victim hit?"
critical = true
[[question]]
id = "often"
topic = "How often?"
kind = "frequency"
when = { hit = ["yes"] }
[[question]]
id = "feared"
topic = "What is feared?"
kind = "matrix"
rows = [["death", "Death"]]
columns = [["self", "The victim"], ["child", "A child"]]
[[set]]
id = "more"
name = "More"
when = { feared = ["yes"], often = ["daily", "unknown"] }
score = "own"
bands = [{ level = "medium", at_least = 1 }]
[[set.question]]
id = "words"
topic = "In words?"
kind = "text"
optional = true
[[combination]]
id = "both"
suggests = "high"
together = ["hit", "often"]
why = "Both"
"""

WORDING = """
licence = "by the owner, for this force"
version = "2009"
[topics]
hit = "The official words?"
words = "Free text"
[labels]
daily = "Every day"
more = "Section B"
death = "Being killed"
child = "Children"
"""


def read(text: str = TOOL, wording: str = "", name: str = "tool") -> tuple[Instrument | None, list[str]]:
    files = {"risk/tool.toml": text} | ({f"risk/wording/{name}.toml": wording} if wording else {})
    reading = Reading(files)
    return read_instruments(reading, ["tool"]).get("tool"), reading.faults


def test_an_instrument_without_a_fault_is_read_whole() -> None:
    tool, faults = read()
    assert faults == []
    assert tool is not None
    assert [question.id for question in tool.every] == ["hit", "often", "feared", "words"]
    assert tool.every[2].cells == ("death.self", "death.child")
    assert tool.sets[0].when == {"feared": ("yes",), "often": ("daily", "unknown")}


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('id = "tool"', 'id = "tule"', "id: `tule` is not the name of the file"),
        ('name = "Tool"', 'nome = "Tool"', "`name` is missing"),
        ("bands = [{ level", "bands = {} # [{ level", "`bands` must be a list"),
        ('level = "high"', 'level = "dire"', "bands: unknown level `dire`"),
        ("at_least = 4", "at_least = 0", "bands: stand from the lowest to the highest"),
        ('["daily", "Daily", 3]', '["daily", "Daily"]', "scale 2: a step is [id, label, points from 0]"),
        ('["daily", "Daily", 3]', '["refused", "Refused", 3]', "scale 2: `refused` is no id"),
        ("critical = true", "kritical = true", "question hit: unknown key `kritical`"),
        ("critical = true", 'critical = "yes"', "question hit: `critical` must be true or false"),
        ('id = "hit"', 'id = "Hit it"', "question Hit it: `Hit it` is no id"),
        ('id = "often"', 'id = "hit"', "question hit: stands here twice"),
        ('kind = "frequency"', 'kind = "guess"', "question often: unknown kind `guess`"),
        ("scale = [[", "help = '' # [[", "question often: a frequency needs the instrument's `scale`"),
        ('rows = [["death", "Death"]]', "", "question feared: a matrix needs `rows` and `columns`"),
        ('rows = [["death", "Death"]]', 'rows = ["death"]', "question feared: `rows` takes [id, label]"),
        ('kind = "matrix"', "", "question feared: only a matrix has `rows` and `columns`"),
        ("optional = true", "critical = true", "set more: question words: words are never scored"),
        ('hit = ["yes"]', 'hurt = ["yes"]', "question often: `when` asks for `hurt`, which is no earlier question"),
        ('hit = ["yes"]', 'words = ["x"]', "question often: `when` asks for `words`, which is no earlier question"),
        ('hit = ["yes"]', 'hit = ["daily"]', "question often: `when` asks for `daily`, which is no answer of `hit`"),
        ('hit = ["yes"]', 'hit = "yes"', "question often: `when` is { question = [answers] }"),
        ('score = "own"', 'score = "most"', "set more: unknown score `most`"),
        ('score = "own"', "", 'set more: `bands` need `score = "own"`'),
        ('level = "medium"', 'level = "dire"', "set more: bands: unknown level `dire`"),
        ('suggests = "high"', 'suggests = "dire"', "combination both: unknown level `dire`"),
        ('"hit", "often"]', '"hit", "oft"]', "combination both: unknown question `oft`"),
        ('why = "Both"', "", "combination both: `why` is missing"),
    ],
)
def test_a_fault_is_told_with_its_file_and_place(old: str, new: str, fault: str) -> None:
    assert old in TOOL
    faults = read(TOOL.replace(old, new, 1))[1]
    assert any(one.startswith(f"risk/tool.toml: {fault}") for one in faults), faults


def test_all_faults_are_told_at_once() -> None:
    text = (
        TOOL.replace("critical", "kritical").replace('"matrix"', '"guess"').replace('score = "own"', 'score = "most"')
    )
    places = {fault.split(": ")[1] for fault in read(text)[1]}
    assert {"question hit", "question feared", "set more"} <= places


# --- The wording -------------------------------------------------------------------------------------------------


def test_a_licensed_wording_changes_what_is_read_and_never_what_is_asked_or_counted() -> None:
    ours, theirs = read()[0], read(wording=WORDING)[0]
    assert ours is not None
    assert theirs is not None
    assert [one.topic for one in theirs.every] == ["The official words?", "How often?", "What is feared?", "Free text"]
    assert theirs.sets[0].name == "Section B"
    assert [step.label for step in theirs.scale] == ["Never", "Every day"]
    assert theirs.every[2].rows[0].label == "Being killed"
    assert [column.label for column in theirs.every[2].columns] == ["The victim", "Children"]
    assert theirs.wording == "2009, by the owner, for this force"
    assert [one.cells for one in theirs.every] == [one.cells for one in ours.every]
    assert (theirs.bands, theirs.combinations) == (ours.bands, ours.combinations)


def test_the_version_of_an_instrument_covers_its_wording() -> None:
    hashes = {
        tool.hash
        for wording in ("", WORDING, WORDING.replace("Every day", "Each day"))
        if (tool := read(wording=wording)[0]) is not None
    }
    assert len(hashes) == 3


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('hit = "The', 'hurt = "The', "topics: the instrument has no `hurt`"),
        ('death = "Being', 'dearth = "Being', "labels: the instrument has no `dearth`"),
        ('hit = "The official words?"', "hit = 5", "topics: `hit` must be text"),
        ('licence = "by the owner, for this force"', "", "`licence` is missing"),
        ("version", "vision", "unknown key `vision`"),
        ("[topics]", "[topics", "is not TOML"),
    ],
)
def test_a_fault_of_the_wording_is_told_with_its_file(old: str, new: str, fault: str) -> None:
    assert old in WORDING
    faults = read(wording=WORDING.replace(old, new, 1))[1]
    assert any(one.startswith(f"risk/wording/tool.toml: {fault}") for one in faults), faults


def test_a_wording_for_no_instrument_is_a_fault() -> None:
    assert read(wording=WORDING, name="tule")[1] == ["risk/wording/tule.toml: there is no instrument `tule`"]


def test_a_wording_is_never_shipped() -> None:
    assert "/workflows/risk/wording/" in (WORKFLOWS.parent / ".gitignore").read_text().splitlines()
    assert all(not tool.wording for tool in shipped().instruments.values())


@pytest.mark.parametrize("name", ["dash", "dara"])
def test_the_help_of_a_shipped_instrument_names_its_sources_and_lowers_nothing(name: str) -> None:
    text = shipped().instruments[name].help
    for said in ("Turner, Medina and Brown 2019", "Turner et al. 2022", "Chalkley 2015, 2017", "45 of 67", "never"):
        assert said in text
