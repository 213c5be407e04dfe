"""The figures of a case, on logs of a few events written by hand."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest

from rvr.core import events as e
from rvr.core.moment import iso
from rvr.evaluation import milestones, timings
from tests.store.builders import START, Clock, event

Happened = tuple[float, e.Fact]


def a_log(*happened: Happened, stated: dict[str, float] | None = None) -> list[e.Recorded]:
    """These facts, each with its seconds after the opening, in order of version."""
    clock = Clock()
    log: list[e.Recorded] = []
    for version, (after_s, fact) in enumerate(((0, opened()), *happened), 1):
        clock.at = START + timedelta(seconds=after_s)
        said = (stated or {}).get(type(fact).__name__)
        more = {} if said is None else {"stated_at": iso(START + timedelta(seconds=said)), "stated_source": "telephony"}
        one = event(fact, "", clock, **more)
        log.append(e.Recorded(one, "case/1", version, version, f"event-{version}", "command", "wmp", clock.at))
    return log


def opened() -> e.CaseOpened:
    return e.CaseOpened(workflow="da-desk", reference="K7Q", details={}, victim_id="v", suspect_id="s")


def contact(mode: str) -> e.OfficerContactStarted:
    return e.OfficerContactStarted(mode=mode)


def judged(*happened: Happened, cut_s: float = 90_000, stated: dict[str, float] | None = None) -> dict[str, bool]:
    found = milestones.moments(a_log(*happened, stated=stated))
    return timings.verdicts(found, timings.durations(found), START + timedelta(seconds=cut_s))


@pytest.mark.parametrize(
    ("happened", "kind", "response_s"),
    [
        ([], "none", None),
        ([(60, contact("phone"))], "none", None),
        ([(60, contact("audio"))], "audio", 60),
        ([(60, contact("phone")), (90, contact("video"))], "video", 90),
        ([(60, contact("phone")), (900, e.OfficerAttended(arrival_source="click"))], "deployment", 900),
        ([(50, e.OfficerAttended(arrival_source="click")), (90, contact("video"))], "deployment", 50),
    ],
)
def test_the_response_is_what_came_first_and_a_telephone_call_alone_is_none(
    happened: list[Happened], kind: str, response_s: float | None
) -> None:
    found = milestones.moments(a_log(*happened))
    assert timings.response_kind(found) == kind
    assert timings.durations(found).get("response_s") == (None if response_s is None else response_s * 1_000_000)


AGREED, LOST = e.AppointmentMade(starts_at=iso(START), reason="work"), e.ContactLost(reason="appointment_missed")


@pytest.mark.parametrize(
    ("happened", "kind"),
    [
        ([(10, AGREED), (60, contact("video"))], "appointment"),
        ([(10, AGREED), (50, contact("phone")), (60, contact("video"))], "appointment"),
        ([(10, AGREED), (50, LOST), (60, contact("video"))], "video"),
        ([(10, AGREED), (50, LOST), (55, AGREED), (60, contact("audio"))], "appointment"),
        ([(60, contact("video")), (70, AGREED)], "video"),
        ([(10, AGREED), (60, e.OfficerAttended(arrival_source="click"))], "deployment"),
        ([(10, AGREED)], "none"),
    ],
)
def test_contact_by_an_appointment_is_one_that_was_agreed_and_not_lost_meanwhile(
    happened: list[Happened], kind: str
) -> None:
    assert timings.response_kind(milestones.moments(a_log(*happened))) == kind


def test_an_allocation_that_was_sent_back_is_no_decision_and_the_next_one_is() -> None:
    allocated = e.CaseAllocated(team="ppu", proposed="", because="")
    taken, back = e.AllocationAccepted(team="ppu"), e.AllocationRejected(team="ppu", reason="wrong_team")
    assert "decided_at" not in milestones.moments(a_log((10, allocated), (20, back)))
    found = milestones.moments(a_log((10, allocated), (20, back), (30, allocated), (40, taken)))
    assert [found[name].version for name in ("decided_at", "allocation_accepted_at")] == [4, 5]
    reopened = e.CaseReopened(reason="new_information")
    assert "allocation_accepted_at" not in milestones.moments(a_log((10, allocated), (20, taken), (30, reopened)))


def test_which_event_counts_is_decided_by_version_and_not_by_time() -> None:
    found = milestones.moments(a_log((60, contact("video")), (40, contact("audio"))))
    assert timings.durations(found)["transfer_s"] == 60_000_000


def test_the_last_statement_of_when_the_call_was_answered_holds() -> None:
    log = a_log((1, e.CallAnswered()), (300, contact("video")), stated={"CallAnswered": -45.5})
    assert timings.durations(milestones.moments(log))["transfer_from_answer_s"] == 345_500_000
    assert milestones.times(milestones.moments(log))["call_answered_at"] == iso(START - timedelta(seconds=45.5))


def test_a_limit_is_kept_to_the_microsecond() -> None:
    assert judged((600, contact("video")))["transfer_within_10_min_from_open"]
    assert not judged((600.000001, contact("video")))["transfer_within_10_min_from_open"]


def test_an_open_limit_is_overrun_only_once_it_has_passed() -> None:
    assert "transfer_within_10_min_from_open" not in judged(cut_s=600)
    assert judged(cut_s=600.000001)["transfer_within_10_min_from_open"] is False


def test_a_case_that_was_voided_in_time_is_neither_within_its_limit_nor_beyond_it() -> None:
    void = e.CaseVoided(reason="duplicate")
    assert "transfer_within_10_min_from_open" not in judged((30, void))
    assert judged((700, void))["transfer_within_10_min_from_open"] is False


def test_a_decision_that_was_undone_is_no_decision() -> None:
    decided = e.CaseFiled(reason="no_crime")
    reopened = e.CaseReopened(reason="new_information")
    assert "decided_at" not in milestones.moments(a_log((10, decided), (20, reopened)))
    assert milestones.moments(a_log((10, decided), (20, reopened), (30, decided)))["decided_at"].version == 4


def test_only_video_that_flowed_can_be_interrupted() -> None:
    lost = e.MediaLost(side="victim", cause="silent")
    started, resumed = e.TwoWayVideoStarted(session="s"), e.MediaResumed()
    facts: list[e.Fact] = [lost, started, lost, lost, resumed, lost, e.SessionEnded(reason="completed"), lost]
    assert timings.interruptions(a_log(*zip(itertools.count(1), facts, strict=False))) == 2


def test_a_session_ends_with_its_own_end_and_not_with_an_earlier_ones() -> None:
    ended, started = e.SessionEnded(reason="video_failed"), e.TwoWayVideoStarted(session="b")
    assert (
        timings.durations(milestones.moments(a_log((10, ended), (20, started), (50, ended))))["session_s"] == 30_000_000
    )
    assert "session_s" not in timings.durations(milestones.moments(a_log((10, ended))))
    assert "session_s" not in timings.durations(milestones.moments(a_log((10, ended), (20, started))))


@pytest.mark.parametrize(
    ("microseconds", "text"), [(0, "0.000000"), (1, "0.000001"), (-1, "-0.000001"), (86_400_000_000, "86400.000000")]
)
def test_seconds_are_written_with_six_decimals(microseconds: int, text: str) -> None:
    assert timings.seconds(microseconds) == text


def test_each_milestone_names_only_milestones_before_it_and_facts_that_exist() -> None:
    known: set[str] = {""}
    for milestone in milestones.MILESTONES:
        assert {milestone.before, milestone.after} <= known
        assert set(milestone.events) <= set(e.FACTS)
        known.add(milestone.name)
    assert {end for interval in timings.INTERVALS for end in (interval.start, interval.end)} <= known
    assert {limit.interval for limit in timings.LIMITS} <= {interval.name for interval in timings.INTERVALS}
