"""A randomised trial inside normal operation: the list of places, and what an arm means for a case."""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter
from dataclasses import replace
from datetime import date
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rvr.core import arms
from rvr.core import events as e
from rvr.core.errors import DefinitionFault
from rvr.core.trial import Arm, Design, Stop, arm_at, commitment, labels, places
from rvr.core.vocabulary import Facts
from rvr.core.workflow import Workflow
from rvr.definitions import load, load_stored
from tests.builders import HANDLER, OFFICER, OFFICER_2, SERGEANT, all_met, da_desk, then
from tests.trials import SECRET, TrialStory, TrialUniverse, in_trial, registered, switched_on, trial_desk

SECRETS = st.binary(min_size=32, max_size=32)
FEW = settings(max_examples=30, deadline=None)
SHARES = st.lists(st.integers(1, 3), min_size=2, max_size=4)


def a_design(shares: list[int], multiples: tuple[int, ...] = (2, 3)) -> Design:
    shipped = trial_desk().trial
    assert shipped is not None
    arms = {f"arm{n}": Arm(f"arm{n}", f"Arm {n}", "", (), share) for n, share in enumerate(shares)}
    return replace(shipped, arms=arms, blocks=tuple(sum(shares) * n for n in multiples))


def shipped() -> Design:
    design = trial_desk().trial
    assert design is not None
    return design


# --- The list of places ------------------------------------------------------------------------------------------


@FEW
@given(secret=SECRETS, shares=SHARES)
def test_the_same_secret_gives_the_same_list_and_another_gives_another(secret: bytes, shares: list[int]) -> None:
    design = a_design(shares)
    first = list(islice(places(design, secret, "female-ipv"), 80))
    assert [first[place - 1] for place in (1, 7, 80)] == [arm_at(design, secret, "female-ipv", n) for n in (1, 7, 80)]
    other = bytes([secret[0] ^ 1]) + secret[1:]
    assert first != list(islice(places(design, other, "female-ipv"), 80))
    assert first != list(islice(places(design, secret, "male-ipv"), 80))


@FEW
@given(secret=SECRETS, shares=SHARES)
def test_no_arm_is_ever_ahead_of_its_share_by_more_than_a_block(secret: bytes, shares: list[int]) -> None:
    design = a_design(shares)
    seen: Counter[str] = Counter()
    for number, arm in enumerate(islice(places(design, secret, "s"), 150), 1):
        seen[arm] += 1
        for one in design.arms.values():
            fair = number * one.share / design.shares
            assert abs(seen[one.id] - fair) <= max(design.blocks) * one.share / design.shares


@FEW
@given(secret=SECRETS)
def test_over_a_thousand_places_both_arms_and_both_sizes_of_block_come_out_even(secret: bytes) -> None:
    design = shipped()
    seen = Counter(islice(places(design, secret, "female-ipv"), 1000))
    assert abs(seen["video"] - seen["usual"]) <= max(design.blocks)


def test_the_list_is_made_as_the_page_for_evaluators_says() -> None:
    """By hand, from the words of docs/TRIAL.md: whoever holds the secret needs nothing of this program."""

    def number(*parts: object) -> int:
        told = hmac.new(SECRET, "|".join(map(str, parts)).encode(), hashlib.sha256).digest()
        return int.from_bytes(told, "big")

    by_hand: list[str] = []
    for block in range(40):
        size = (4, 6)[number("rapid-video", "male-other", block, "size") % 2]
        slots = ["video"] * (size // 2) + ["usual"] * (size // 2)
        by_hand += [slots[i] for i in sorted(range(size), key=lambda i: number("rapid-video", "male-other", block, i))]
    assert by_hand == list(islice(places(shipped(), SECRET, "male-other"), len(by_hand)))
    assert commitment(SECRET) == hashlib.sha256(SECRET).hexdigest()


@FEW
@given(secret=SECRETS)
def test_a_letter_stands_for_each_arm_and_tells_not_which(secret: bytes) -> None:
    told = labels(shipped(), secret)
    assert sorted(told) == ["usual", "video"]
    assert sorted(told.values()) == ["A", "B"]


def test_of_many_secrets_half_call_video_a() -> None:
    first = sum(labels(shipped(), number.to_bytes(32, "big"))["video"] == "A" for number in range(400))
    assert 150 < first < 250


# --- The draw ----------------------------------------------------------------------------------------------------


def eligible(universe: TrialUniverse) -> TrialStory:
    """An eligible case in which nothing was agreed yet."""
    story = TrialStory(universe, trial_desk()).opens(victim_sex="female", relationship="partner")
    story.does(HANDLER, "answer_criteria", **all_met())
    return story


def drawn(arm: str, **opening: str) -> TrialStory:
    """A case whose arm came out so."""
    universe = TrialUniverse(standing=registered(trial_desk()))
    for _ in range(20):
        story = in_trial(universe, **opening).does(HANDLER, "draw_arm")
        if isinstance(story.case.draw, e.ArmAllocated) and story.case.draw.arm == arm:
            return story
    raise AssertionError("a block has both arms")


def test_the_arm_is_known_only_after_eligibility_consent_and_capacity_stand_in_the_log() -> None:
    story = in_trial().does(HANDLER, "draw_arm")
    types = [event.type for event in story.log]
    assert types[-2:] == ["CapacityNoted", "ArmAllocated"]
    assert types.index("EligibilityDecided") < types.index("ConsentGiven") < types.index("ArmAllocated")
    noted, allocated = (event.fact for event in story.last)
    assert noted == e.CapacityNoted(moment="allocation", on_duty=2, free=2, desk_open=True, queue=0)
    assert isinstance(allocated, e.ArmAllocated)
    assert (allocated.stratum, allocated.place) == ("female-ipv", 1)
    assert allocated.arm == arm_at(shipped(), SECRET, "female-ipv", 1)
    assert allocated.labels == labels(shipped(), SECRET)


def test_nobody_is_drawn_who_is_not_eligible_or_has_not_agreed() -> None:
    flow = trial_desk()
    story = TrialStory(TrialUniverse(standing=registered(flow)), flow).opens(
        victim_sex="female", relationship="partner"
    )
    assert story.refuses(HANDLER, "draw_arm") == {"trial-not-eligible", "trial-no-consent"}
    story.does(HANDLER, "answer_criteria", **all_met())
    story.does(HANDLER, "record_consent", consent_kind="video", consent_answer="given")
    assert story.refuses(HANDLER, "draw_arm") == {"trial-no-consent"}
    story.does(HANDLER, "record_consent", consent_kind="evaluation", consent_answer="given")
    assert "draw_arm" in story.may(HANDLER)


PLAIN = "2026-11"


def read_out(story: TrialStory) -> str:
    """What is read out for the consent to evaluation now."""
    return arms.read_out(story.workflow, Facts(story.case, HANDLER, story.universe.basis()))["evaluation"]


def answers(story: TrialStory, answer: str) -> e.Fact:
    """What is recorded of it."""
    story.does(HANDLER, "record_consent", consent_kind="evaluation", consent_answer=answer)
    (event,) = story.last
    return event.fact


def test_the_lot_is_read_out_while_it_may_decide_for_this_caller_and_the_answer_is_recorded_so() -> None:
    design, story = shipped(), eligible(TrialUniverse(standing=registered(trial_desk())))
    told = f"rapid-video/{design.digest[:12]}"
    assert read_out(story) == design.wording
    assert answers(story, "refused") == e.ConsentRefused(kind="evaluation", wording=told)
    assert answers(story, "given") == e.ConsentGiven(kind="evaluation", wording=told)
    video = story.does(HANDLER, "record_consent", consent_kind="video", consent_answer="given").last[0].fact
    assert video == e.ConsentGiven(kind="video", wording=PLAIN)
    assert read_out(story.does(HANDLER, "draw_arm")) == trial_desk().wording["evaluation"] != design.wording


@pytest.mark.parametrize("why", ["trial-not-registered", "trial-changed", "trial-no-secret", "trial-over"])
def test_where_no_arm_can_be_drawn_no_lot_is_read_out(why: str) -> None:
    story = eligible(standing_still()[why])
    assert "lot" not in read_out(story)
    assert answers(story, "given") == e.ConsentGiven(kind="evaluation", wording=PLAIN)


def test_no_lot_is_read_out_to_whom_it_cannot_decide_for() -> None:
    universe = TrialUniverse(standing=registered(trial_desk()))
    aside = eligible(universe).does(HANDLER, "override_arm", override_reason="danger")
    unfit = eligible(universe).does(HANDLER, "answer_criteria", answers={"not_injured": "no"})
    offered = eligible(universe)
    offered.does(HANDLER, "record_consent", consent_kind="video", consent_answer="given")
    answers(offered, "refused")
    offered.does(HANDLER, "offer_handover")
    for story in (aside, unfit, offered):
        assert "lot" not in read_out(story)
        assert answers(story, "given") == e.ConsentGiven(kind="evaluation", wording=PLAIN)


def test_nobody_is_drawn_who_agreed_before_the_lot_was_read_out() -> None:
    universe = TrialUniverse(standing=None)
    story = in_trial(universe)
    universe.standing = registered(trial_desk())
    assert story.refuses(HANDLER, "draw_arm") == {"trial-not-read"}
    told = f"rapid-video/{shipped().digest[:12]}"
    assert answers(story, "given") == e.ConsentGiven(kind="evaluation", wording=told)
    assert isinstance(story.does(HANDLER, "draw_arm").case.draw, e.ArmAllocated)


def test_the_same_answer_to_the_same_words_is_recorded_once() -> None:
    story = in_trial()
    before = story.case.version
    story.does(HANDLER, "record_consent", consent_kind="evaluation", consent_answer="given")
    assert story.case.version == before


def test_what_the_stratum_rests_on_is_filled_in_first() -> None:
    story = in_trial(victim_sex="")
    assert story.refuses(HANDLER, "draw_arm") == {"trial-unknown"}
    story.does(HANDLER, "correct_details", victim_sex="male").does(HANDLER, "draw_arm")
    assert isinstance(story.case.draw, e.ArmAllocated)
    assert story.case.draw.stratum == "male-ipv"


def test_a_case_is_drawn_once() -> None:
    assert in_trial().does(HANDLER, "draw_arm").refuses(HANDLER, "draw_arm") == {"trial-drawn"}


def test_each_stratum_counts_its_own_places() -> None:
    universe = TrialUniverse(standing=registered(trial_desk()))
    got = []
    for sex, relationship in (("female", "partner"), ("male", "partner"), ("female", "ex_partner")):
        story = in_trial(universe, victim_sex=sex, relationship=relationship).does(HANDLER, "draw_arm")
        assert isinstance(story.case.draw, e.ArmAllocated)
        got.append((story.case.draw.stratum, story.case.draw.place))
    assert got == [("female-ipv", 1), ("male-ipv", 1), ("female-ipv", 2)]


@pytest.mark.parametrize("queue", [0, 2])
def test_without_an_officer_to_spare_the_case_is_outside_the_trial_and_no_place_is_used(queue: int) -> None:
    """Two officers are free, and two other cases wait for them; or nobody is on duty at all."""
    universe = TrialUniverse(standing=registered(trial_desk()), queue=queue)
    if not queue:
        universe.officers.clear()
    story = in_trial(universe).does(HANDLER, "draw_arm")
    assert story.case.draw == e.NotRandomised(trial="rapid-video", reason="no_capacity")
    assert universe.taken == {}
    universe.queue = 0
    universe.on_duty(OFFICER.id, OFFICER_2.id)
    assert story.refuses(HANDLER, "draw_arm") == {"trial-drawn"}


def test_a_case_that_fits_no_stratum_is_outside_the_trial() -> None:
    story = in_trial(victim_sex="other").does(HANDLER, "draw_arm")
    assert story.case.draw == e.NotRandomised(trial="rapid-video", reason="no_stratum")


# --- What an arm holds back --------------------------------------------------------------------------------------


def test_before_the_draw_nothing_is_offered() -> None:
    assert in_trial().refuses(HANDLER, "offer_handover") == {"trial-draw-first"}


def test_the_arm_of_video_opens_the_offer_and_the_other_does_not() -> None:
    then(drawn("video").does(HANDLER, "offer_handover")).is_in("handover")
    usual = drawn("usual")
    assert usual.refuses(HANDLER, "offer_handover") == {"trial-other-arm"}
    told = {"response_grade": "priority", "deployment_reason": "prefers_in_person"}
    then(usual.does(HANDLER, "request_deployment", **told)).is_in("deployment")
    assert usual.refuses(HANDLER, "offer_handover") == {"trial-other-arm"}


def test_help_is_open_in_every_arm_and_before_any() -> None:
    for story in (in_trial(), drawn("video"), drawn("usual")):
        may = story.may(HANDLER)
        assert {"dispatch_emergency", "request_deployment", "lose_contact", "override_arm"} <= may


def test_an_override_for_safety_opens_the_offer_and_leaves_the_case_in_its_arm() -> None:
    story = drawn("usual")
    before = story.case.draw
    story.does(HANDLER, "override_arm", override_reason="cannot_wait", note="Said so twice.")
    assert story.said("ArmOverridden")[0].fact == e.ArmOverridden(reason="cannot_wait", note="Said so twice.")
    then(story.does(HANDLER, "offer_handover")).is_in("handover")
    assert story.case.draw == before
    assert story.refuses(SERGEANT, "override_arm") == {"trial-overridden"}


def test_an_override_before_the_draw_keeps_the_case_out_of_the_trial() -> None:
    story = in_trial().does(HANDLER, "override_arm", override_reason="danger")
    assert story.refuses(HANDLER, "draw_arm") == {"trial-drawn"}
    assert "offer_handover" in story.may(HANDLER)


@pytest.mark.parametrize("outside", ["true", "false"])
def test_whoever_declines_gets_what_the_design_says(outside: str) -> None:
    flow = trial_desk(changes=f"outside = {outside}")
    story = TrialStory(TrialUniverse(standing=registered(flow)), flow).opens(
        victim_sex="female", relationship="partner"
    )
    story.does(HANDLER, "answer_criteria", **all_met())
    story.does(HANDLER, "record_consent", consent_kind="video", consent_answer="given")
    story.does(HANDLER, "record_consent", consent_kind="evaluation", consent_answer="refused")
    if outside == "true":
        then(story.does(HANDLER, "offer_handover")).is_in("handover")
    else:
        assert story.refuses(HANDLER, "offer_handover") == {"trial-outside"}


# --- When nothing is drawn ---------------------------------------------------------------------------------------


def standing_still() -> dict[str, TrialUniverse]:
    now = registered(trial_desk())
    return {
        "trial-not-registered": TrialUniverse(standing=None),
        "trial-changed": TrialUniverse(standing=replace(now, design="0" * 64)),
        "trial-no-secret": TrialUniverse(standing=replace(now, secret=bytes(32))),
        "trial-over": TrialUniverse(standing=replace(now, stopped="safety")),
    }


@pytest.mark.parametrize("why", ["trial-not-registered", "trial-changed", "trial-no-secret", "trial-over"])
def test_where_no_arm_can_be_drawn_the_desk_works_as_it_does_without_a_trial(why: str) -> None:
    story = in_trial(standing_still()[why])
    assert story.refuses(HANDLER, "draw_arm") == {why}
    then(story.does(HANDLER, "offer_handover")).is_in("handover")


@pytest.mark.parametrize("why", ["trial-not-registered", "trial-changed", "trial-no-secret", "trial-over"])
def test_whoever_declines_while_no_arm_can_be_drawn_is_offered_video_as_without_a_trial(why: str) -> None:
    story = in_trial(standing_still()[why])
    story.does(HANDLER, "record_consent", consent_kind="evaluation", consent_answer="withdrawn")
    then(story.does(HANDLER, "offer_handover")).is_in("handover")


def test_a_stop_frees_whoever_has_an_arm_already_and_a_full_number_does_not() -> None:
    story = drawn("usual")
    assert isinstance(story.universe, TrialUniverse)
    now = story.universe.standing
    assert now is not None
    story.universe.taken["male-ipv"] = 520
    assert story.refuses(HANDLER, "offer_handover") == {"trial-other-arm"}
    story.universe.standing = replace(now, stopped="harm")
    then(story.does(HANDLER, "offer_handover")).is_in("handover")


def test_the_planned_number_and_the_last_day_end_the_draw_by_themselves() -> None:
    flow = trial_desk()
    full = TrialUniverse(standing=registered(flow), taken={"female-ipv": 400, "male-ipv": 120})
    assert in_trial(full).refuses(HANDLER, "draw_arm") == {"trial-over"}
    ends = 'stop = [{ id = "end", say = "The last day.", after = 2026-11-21 }]'
    late = trial_desk(changes=ends)
    assert in_trial(TrialUniverse(standing=registered(late)), late).refuses(HANDLER, "draw_arm") == {"trial-over"}
    on_the_day = trial_desk(changes=ends.replace("21", "22"))
    in_trial(TrialUniverse(standing=registered(on_the_day)), on_the_day).does(HANDLER, "draw_arm")


def test_without_a_trial_there_is_nothing_of_it() -> None:
    flow = da_desk()
    assert flow.trial is None
    assert not [move.id for move in flow.moves.values() if move.event in ("ArmAllocated", "ArmOverridden")]
    assert not [file for file in flow.files if "trial" in file]
    assert "override_reason" not in flow.fields


# --- The design as data ------------------------------------------------------------------------------------------


def faults(tmp_path: Path, changes: str) -> str:
    with pytest.raises(DefinitionFault) as found:
        load(switched_on(tmp_path, "wmp", changes), "wmp")
    return str(found.value)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ("blocks = [4, 5]", "blocks: 5 is no multiple of the arms' shares together (2)"),
        ("blocks = [4]", "blocks: needs two sizes or more"),
        ('states = ["nowhere"]', "states: unknown state `nowhere`"),
        ('consents = ["tea"]', "consents: unknown consent `tea`"),
        ("consents = []", "consents: nobody is randomised without having agreed"),
        ('id = "Rapid Video"', "`Rapid Video` is no id"),
        ("surprise = 1", "unknown key `surprise`"),
        ('stop = [{ id = "x", say = "x" }]', "stop x: is one of `randomised`, `after`, or `event` with `count`"),
        (
            'stratum = [{ id = "a", name = "A", when = { fact = "details.victim_name", known = true } }]',
            "`details.victim_name` is personal",
        ),
        (
            '[changes.da-desk.trial.arm.a]\nname = "A"\nsay = "A"\nopens = ["request_deployment"]\n'
            'delivered = [{ event = "OfficerAttended" }]\n[changes.da-desk.trial.arm.b]\nname = "B"\nsay = "B"\n'
            'delivered = [{ event = "Surprise" }]',
            "`request_deployment` may not be kept from the other arms",
        ),
        (
            '[changes.da-desk.trial.arm.a]\nname = "A"\nsay = "A"\ndelivered = [{ event = "Surprise" }]\n',
            "unknown event `Surprise`",
        ),
    ],
)
def test_each_fault_of_a_design_is_told_with_its_key(tmp_path: Path, changes: str, fault: str) -> None:
    told = faults(tmp_path, changes)
    assert fault in told
    assert "da-desk/trial.toml" in told


def test_a_design_is_checked_whether_it_is_on_or_not(tmp_path: Path) -> None:
    root = switched_on(tmp_path, "wmp", "blocks = [5, 7]")
    force = root / "forces" / "wmp.toml"
    force.write_text(force.read_text().replace("trial = true\n", ""))
    with pytest.raises(DefinitionFault, match="blocks: 5 is no multiple"):
        load(root, "wmp")


def test_the_stored_text_of_a_workflow_gives_its_trial_again() -> None:
    flow = trial_desk()
    again = load_stored(flow.id, flow.files)
    assert isinstance(again, Workflow)
    assert again.trial == flow.trial
    assert load_stored(flow.id, da_desk().files).trial is None


def test_another_design_has_another_digest() -> None:
    assert shipped().digest != getattr(trial_desk(changes="blocks = [2, 4]").trial, "digest", "")


def test_a_stop_by_a_day_is_a_stop_by_itself() -> None:
    assert Stop("end", "", after=date(2026, 1, 1)).by_itself
    assert not Stop("harm", "", event="EmergencyDispatched", count=3).by_itself
