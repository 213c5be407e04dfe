"""The report: its numbers are those of hand-made cases, every chart has its table, and nothing small is in it."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as Tree
from zoneinfo import ZoneInfo

import pytest

from rvr import cli
from rvr.core import events as e
from rvr.core.moment import iso
from rvr.evaluation import km, milestones, svg
from rvr.evaluation.exhibits import _GRID, WITHHELD, Exhibit, Guard, duration, exhibits
from rvr.evaluation.measures import STAGES, Measures, Month, months, safeguarding
from rvr.evaluation.pseudonyms import CannotExport
from rvr.evaluation.report import html, made
from rvr.evaluation.timings import TIMINGS
from rvr.evaluation.window import window_of
from rvr.store import Store
from tests.evaluation.conftest import Week
from tests.evaluation.recompute import read
from tests.evaluation.test_timings import Happened, a_log, contact
from tests.store.builders import START

CUT = START + timedelta(days=100)
LONDON = ZoneInfo("Europe/London")
SCREENED = e.EligibilityDecided(eligible=True, because=(), way_out="", results={}, concerns=())
OFFERED: list[Happened] = [
    (30, SCREENED),
    (60, e.ConsentGiven(kind="video", wording="1")),
    (90, e.HandoverOffered(note="")),
]
ASSIGNED: list[Happened] = [
    (100, e.HandoverAccepted()),
    (110, e.OfficerAssigned(officer="o")),
    (120, e.LinkSent(link="l", channel="sms", expires_at=iso(START), number="")),
    (140, e.LinkOpened(link="l")),
]


def measured(*logs: list[Happened], cut_days: float = 100) -> Measures:
    measures = Measures(START + timedelta(days=cut_days))
    for happened in logs:
        log = a_log(*happened)
        measures.add(log, milestones.moments(log), LONDON)
    return measures


def by_video(seconds: float) -> list[Happened]:
    return [*OFFERED, *ASSIGNED, (seconds, e.TwoWayVideoStarted(session="s")), (seconds, contact("video"))]


def in_person(seconds: float) -> list[Happened]:
    asked = e.DeploymentRequested(response_grade="other", reason="not_eligible")
    return [
        (30, replace(SCREENED, eligible=False, because=("adult",))),
        (50, asked),
        (seconds, e.OfficerAttended(arrival_source="click")),
    ]


def the(measures: Measures, id_: str, threshold: int = 10) -> Exhibit:
    return next(one for one in exhibits(measures, Guard(threshold)) if one.id == id_)


# --- Gathering ---------------------------------------------------------------------------------------------------


def test_a_case_leaves_the_way_where_it_left_a_stage_out_with_the_reason_that_was_given() -> None:
    measures = measured(
        by_video(300),
        in_person(5000),
        [(30, SCREENED), (60, e.ConsentRefused(kind="video", wording="1"))],
        [*OFFERED, (95, e.HandoverDeclined(reason="no_officer_free"))],
        [*OFFERED, *ASSIGNED, (400, e.ContactLost(reason="call_cut"))],
        [],
    )
    assert [measures.stages[name] for name, _ in STAGES] == [6, 5, 4, 3, 3, 2, 2, 2, 2, 1]
    exits = {stage: dict(counts) for stage, counts in measures.exits.items() if counts}
    assert exits == {
        "contacts": {"still_open": 1},
        "screened": {"adult": 1},
        "eligible": {"refused": 1},
        "offered": {"no_officer_free": 1},
        "link_opened": {"call_cut": 1},
    }


def test_every_contact_is_on_video_or_has_one_reason_why_not() -> None:
    dice = random.Random(3)
    ways = [by_video(200), in_person(900), OFFERED, [*OFFERED, *ASSIGNED], []]
    measures = measured(*(dice.choice(ways) for _ in range(60)))
    left = sum(sum(counts.values()) for counts in measures.exits.values())
    assert left + measures.stages["on_video"] == measures.stages["contacts"] == 60


def test_a_case_that_was_offered_video_is_followed_to_whatever_came_first() -> None:
    late = [*by_video(700), (800, e.OfficerAttended(arrival_source="click"))]
    sooner = [
        *OFFERED,
        *ASSIGNED,
        (500, e.OfficerAttended(arrival_source="click")),
        (700, e.TwoWayVideoStarted(session="s")),
    ]
    closed = [*OFFERED, (900, e.CaseClosed())]
    measures = measured(late, sooner, closed, OFFERED, in_person(4000), cut_days=1)
    assert measures.followed == [(700.0, km.VIDEO), (500.0, km.IN_PERSON), (900.0, ""), (86_400.0, "")]
    assert (measures.sent, measures.in_person) == (1, [4_000_000_000])


def test_an_action_is_in_time_by_its_own_due_time_and_overdue_once_that_has_passed() -> None:
    def planned(action: str, due_s: float) -> Happened:
        return (10, e.SafeguardingPlanned(action=action, kind="k", due_at=iso(START + timedelta(seconds=due_s))))

    done = [(50, e.SafeguardingDone(action="a", result="done")), (70, e.SafeguardingDone(action="b", result="done"))]
    log = a_log(planned("a", 50), planned("b", 60), planned("c", 90), planned("d", 200), planned("e", 40), *done)
    unsafe = e.SafeguardingDone(action="e", result="unsafe")
    log = [*log, *a_log((100, unsafe))[1:]]
    assert list(safeguarding(log, START + timedelta(seconds=100))) == [
        "in_time",
        "late",
        "overdue",
        "not_due",
        "unsafe",
    ]


def test_an_outcome_counts_in_a_time_that_the_case_was_followed_for_and_no_other() -> None:
    def outcome(days: float, code: str) -> Happened:
        return (days * 86_400, e.OutcomeRecorded(outcome_code=code))

    measures = measured([outcome(10, "16")], [outcome(40, "1")], [outcome(5, "0")], [], cut_days=100)
    assert dict(measures.outcomes[30]) == {"outcome_16": 1, "none": 3}
    assert dict(measures.outcomes[90]) == {"outcome_16": 1, "other": 1, "none": 2}
    assert dict(measures.outcomes[180]) == {"not_followed": 4}


def test_voided_cases_stand_in_nothing_but_their_own_count() -> None:
    log = a_log(*by_video(300), (400, e.CaseVoided(reason="test")))
    log[-1] = replace(log[-1], event=replace(log[-1].event, state="voided"))
    measures = Measures(CUT)
    measures.add(log, milestones.moments(log), LONDON)
    assert (measures.cases, measures.voided, measures.followed, measures.stages.total()) == (1, 1, [], 0)


def test_months_without_a_case_are_there_too() -> None:
    measures = Measures(CUT)
    measures.months = {"2027-02": Month(), "2026-11": Month()}
    assert list(months(measures)) == ["2026-11", "2026-12", "2027-01", "2027-02"]


# --- Pictures ----------------------------------------------------------------------------------------------------


@cache
def many(count: int = 400, seed: int = 1) -> Measures:
    dice = random.Random(seed)

    def one() -> list[Happened]:
        if dice.random() < 0.5:
            return in_person(dice.uniform(1800, 200_000))
        return (
            by_video(dice.uniform(150, 1200))
            if dice.random() < 0.8
            else [*OFFERED, (dice.uniform(200, 9000), e.OfficerAttended(arrival_source="click"))]
        )

    return measured(*(one() for _ in range(count)))


def test_the_survival_curve_is_told_at_points_between_which_enough_cases_ended() -> None:
    measures = many()
    shown = the(measures, "survival").rows
    steps = km.kaplan_meier(measures.followed)
    times = {duration(seconds): seconds for seconds in _GRID}
    curve = [(times[by], share, interval) for name, by, share, interval in shown if name == "video, Kaplan-Meier"]
    assert len(curve) > 2
    before = 0
    for at, share, interval in curve:
        step = km.at(steps, at)
        assert step is not None
        assert share == f"{1 - step.survival:.0%}"
        assert interval == f"{1 - step.high:.0%} to {1 - step.low:.0%}"
        by = sum(time <= at and what == km.VIDEO for time, what in measures.followed)
        assert by - before >= 10
        before = by
    assert len(the(many(24), "survival").rows) < len(shown)


def test_what_came_instead_is_a_curve_of_its_own_of_all_cases() -> None:
    measures = many()
    last = [row for row in the(measures, "survival").rows if row[0] == "in person, of all"][-1]
    assert last[2] == f"{km.cumulative_incidence(measures.followed, km.IN_PERSON)[-1][1]:.0%}"


@pytest.mark.parametrize(("most", "ticks"), [(1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (247, [0, 50, 100, 150, 200, 250])])
def test_an_axis_has_round_numbers(most: float, ticks: list[float]) -> None:
    assert svg.round_ticks(most) == pytest.approx(ticks)


def test_the_distribution_has_ten_minutes_and_a_day_and_counts_only_responses() -> None:
    measures = many()
    rows = {(name, by): share for name, by, share in the(measures, "distribution").rows}
    video = [time for time, what in measures.followed if what == km.VIDEO]
    assert rows["video", "10 min"] == f"{sum(time <= 600 for time in video) / len(video):.0%}"
    person = measures.in_person
    assert rows["in person", "24 h"] == f"{sum(us <= 86_400_000_000 for us in person) / len(person):.0%}"


def test_a_reason_of_few_cases_is_withheld_and_cannot_be_had_from_the_stages() -> None:
    refused: list[Happened] = [(30, SCREENED), (60, e.ConsentRefused(kind="video", wording="1"))]
    measures = measured(*[by_video(300)] * 50, *[in_person(900)] * 40, *[refused] * 4)
    rows = the(measures, "funnel").rows
    told = {why: count for _, why, count in rows if why}
    assert "refused" not in told
    assert told["other reasons"] == WITHHELD
    stages = {stage: count for stage, _, count in rows if stage}
    assert WITHHELD in {stages["eligible"], stages["agreed to video"]}


def test_a_month_with_a_few_that_were_late_has_no_share() -> None:
    """Two of fifty would be two people."""
    measures = Measures(CUT)
    measures.months = {"2026-11": Month([], 48, 2), "2026-12": Month([], 38, 12), "2027-01": Month([], 50, 0)}
    rows = {row[0]: row[2] for row in the(measures, "share").rows}
    assert rows == {"2026-11": WITHHELD, "2026-12": "76%", "2027-01": "100%"}


def test_outcomes_of_two_times_that_differ_by_a_few_cases_are_not_both_told() -> None:
    measures = Measures(CUT)
    measures.outcomes[30].update({"none": 100, "outcome_16": 50, "other": 40})
    measures.outcomes[90].update({"none": 97, "outcome_16": 53, "other": 40})
    measures.outcomes[180].update({"none": 60, "outcome_16": 80, "other": 60})
    rows = {row[0]: row[1:] for row in the(measures, "outcomes").rows}
    assert rows["30 days"] == ("190", "53%", "26%", "21%")
    assert set(rows["90 days"]) == {WITHHELD}
    assert rows["180 days"][0] == "200"


def test_of_a_few_actions_not_even_the_noughts_are_told() -> None:
    """That none was late or overdue would tell what became of the few."""
    measures = Measures(CUT)
    measures.safeguarding.update({"unsafe": 3})
    assert {count for _, count in the(measures, "safeguarding").rows} == {WITHHELD}
    measures.safeguarding.clear()
    assert {count for _, count in the(measures, "safeguarding").rows} == {"0"}


def test_every_picture_of_a_few_cases_is_empty() -> None:
    for one in exhibits(measured(by_video(300), in_person(900)), Guard()):
        assert one.svg == "", one.id
        digits = [cell for row in one.rows for cell in row[1:] if cell.strip("0 ").isdigit()]
        assert digits == [], one.id


def test_each_chart_is_svg_with_a_title_a_description_and_a_table_and_lines_that_differ_without_colour() -> None:
    found = exhibits(many(), Guard())
    drawn = [one for one in found if one.svg]
    assert {one.id for one in drawn} >= {"distribution", "survival", "funnel"}
    for one in found:
        assert one.definition
        assert one.n
        assert all(len(row) == len(one.head) for row in one.rows)
    for one in drawn:
        root = Tree.fromstring(one.svg)  # noqa: S314 - our own
        names = {child.tag.rpartition("}")[2]: child for child in root}
        assert root.attrib["role"] == "img"
        labelled = root.attrib["aria-labelledby"].split()
        assert labelled == [names["title"].attrib["id"], names["desc"].attrib["id"]]
        assert names["desc"].text
        assert "style" not in one.svg
        assert "<script" not in one.svg
    assert len(set(svg.DASHES)) == len(svg.DASHES)


def test_text_in_a_chart_is_escaped() -> None:
    text = svg.bars("a", "<b>", "&", [("<i>", 3, '"')])
    assert "<b>" not in text
    assert "<i>" not in text
    Tree.fromstring(text)  # noqa: S314 - our own


# --- The whole ---------------------------------------------------------------------------------------------------


class _Read(HTMLParser):
    """Which elements there are, and whatever would be fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.fetched += [value or "" for name, value in attrs if name in ("src", "href")]


def test_the_report_fetches_nothing_and_has_a_table_for_every_picture(week: Week) -> None:
    async def read(store: Store) -> str:
        return html(made(store, await window_of(store)))

    page = _Read()
    text = week.on_store(read)
    page.feed(text)
    assert page.fetched == []
    assert "script" not in page.tags
    assert "url(" not in text
    assert page.tags.count("h1") == 1
    assert page.tags.count("section") == 9
    for source in ("Rothwell", "College of Policing", "West Midlands Police"):
        assert source in text


def test_the_verb_writes_it_and_the_same_log_gives_the_same_bytes(
    week: Week, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = ["--data", str(week.place.data), "--key-file", str(week.keys / "keys.json")]
    project = ["--project", str(tmp_path / "project.json"), "--rebase", "2026-12"]
    for name in ("one", "two"):
        assert (
            cli.main(["report", *store, *project, "--out", str(tmp_path / f"{name}.html"), "--recipient", "Uni"]) == 0
        )
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()
    assert "from 2026-12 on" in (tmp_path / "one.html").read_text()
    assert len((tmp_path / "project.releases.jsonl").read_text().splitlines()) == 2
    connection = week.place.connection()
    try:
        rows = connection.execute("SELECT category, recipient FROM access WHERE what = 'report'").fetchall()
    finally:
        connection.close()
    assert rows == [("disclosure", "Uni")] * 2
    assert cli.main(["report", *store, "--out", str(tmp_path / "no" / "folder.html")]) == 1
    assert "cannot be used" in capsys.readouterr().err


def test_no_count_below_the_threshold_is_anywhere_in_a_register(week: Week, tmp_path: Path) -> None:
    """What is released is written down as it is: it must be what may be told."""
    guard = Guard()
    exhibits(many(), guard)
    assert [key for key, count in guard.released.items() if 0 < count < guard.threshold] == []


def test_a_package_has_the_tables_that_may_be_published_when_they_are_asked_for(
    week: Week, package: Path, tmp_path: Path
) -> None:
    assert not (package / "tables").exists()
    for name, k in (("guarded", 10), ("exact", 1)):
        week.exports(tmp_path / name, disclosure_k=k)
    exact, hidden = (read(tmp_path / name / "tables" / "timings.csv") for name in ("exact", "guarded"))
    assert [row["timing"] for row in exact if row["group"] == "all"] == [one.name for one in TIMINGS]
    assert "2026-11" in {row["group"] for row in exact}
    assert {int(row["cases"] or 0) % 5 for row in hidden} == {int(row["n"] or 0) % 5 for row in hidden} == {0}
    assert {int(row["n"]) % 5 for row in exact} != {0}
    assert sum(row["median_s"] != "" for row in hidden) < sum(row["median_s"] != "" for row in exact)
    assert {path.stem for path in (tmp_path / "exact" / "tables").iterdir()} == {
        "timings",
        *(one.id for one in exhibits(measured(), Guard())),
    }
    assert "tables/funnel.csv" in (tmp_path / "exact" / "MANIFEST.sha256").read_text()
    with pytest.raises(CannotExport, match="tell months"):
        week.exports(tmp_path / "relative", disclosure_k=10, times="relative")
