"""A story is played as it is written; what cannot be played is told with its place and what was expected."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from rvr import cli
from rvr.rehearsal import Rehearsal, coverage, scenarios
from rvr.rehearsal.givens import GIVENS
from rvr.rehearsal.scenarios import Played, Player, Unplayable
from rvr.rehearsal.values import CannotRead, clock, read_form, seconds
from tests.builders import WORKFLOWS, shipped

OPENS = "- 0:00 call handler opens the case: lpa solihull"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The workflows without their scenarios."""
    return Path(shutil.copytree(WORKFLOWS, tmp_path / "workflows", ignore=shutil.ignore_patterns("scenarios")))


@pytest.fixture
def tell(root: Path) -> Callable[..., list[Played]]:
    """Plays these lines as the scenario `told.md` of the desk."""

    def play(*lines: str, name: str = "told") -> list[Played]:
        file = root / "da-desk" / "scenarios" / f"{name}.md"
        file.parent.mkdir(exist_ok=True)
        file.write_text("\n".join(("# A story", *lines)) + "\n", encoding="utf-8")
        return scenarios.play_file(root, file, scenarios.loader(root), "wmp")

    return play


def results(played: list[Played]) -> list[str]:
    return [line for story in played for lines in story.results.values() for line in lines]


# --- What a story may say ----------------------------------------------------------------------------------------


def test_the_same_story_gives_the_same_lines(tell: Callable[..., list[Played]]) -> None:
    lines = (OPENS, "- 1:00 call handler answers criteria: answers all met", "- 24:00:00 time passes")
    assert results(tell(*lines)) == results(tell(*lines))


@pytest.mark.parametrize("spelling", ["lose_contact", "lose contact", "loses contact", "Contact lost"])
def test_a_move_may_be_written_as_people_say_it(tell: Callable[..., list[Played]], spelling: str) -> None:
    told = results(tell(OPENS, f"- 1:00 call handler {spelling}: lost reason call cut"))
    assert "Contact lost (reason call_cut)." in told


def test_a_step_may_run_on_over_indented_lines(tell: Callable[..., list[Played]]) -> None:
    told = results(tell(OPENS, "- 1:00 call handler loses contact:", "  lost reason", "  battery"))
    assert "Contact lost (reason battery)." in told


def test_every_clock_that_runs_out_between_two_steps_is_told_at_its_own_time(
    tell: Callable[..., list[Played]],
) -> None:
    told = results(tell(OPENS, "- 11:00 call handler records consent: consent kind video; consent answer refused"))
    rang = [line for line in told if "has run for" in line]
    assert rang
    assert all(line.startswith("10:00 ") for line in rang)


def test_a_clock_that_cannot_do_what_it_is_for_says_why(tell: Callable[..., list[Played]]) -> None:
    told = results(tell(OPENS, "- 1:00 call handler loses contact: lost reason call cut", "- 12:00 time passes"))
    assert any("Not done: No place is known where officers could go." in line for line in told)


def test_a_refusal_tells_every_reason(tell: Callable[..., list[Played]]) -> None:
    told = results(tell(OPENS, "- 1:00 call handler tries to offer handover"))
    assert [line for line in told if line.startswith("Refused: ")] == [
        "Refused: Ask every safety question; each required one must be met.",
        "Refused: Record that the victim agrees to speak by video.",
    ]


def test_a_story_begins_where_another_stands(tell: Callable[..., list[Played]]) -> None:
    tell(
        OPENS,
        "- 1:00 call handler answers criteria: answers all met",
        "- 2:00 sergeant voids: void reason test",
        name="a",
    )
    (story,) = tell(
        "- given a until 1:30",
        "- 2:00 call handler requests deployment: response grade other;",
        "  deployment reason prefers in person",
    )
    assert len(story.results) == 1
    assert story.rehearsal.case.state == "deployment"


def test_what_is_given_surrounds_the_story(tell: Callable[..., list[Played]]) -> None:
    (story,) = tell("- given it is 03:00 on 2026-07-01", "- given officers on duty: none", OPENS)
    universe = story.rehearsal.universe
    assert universe.wall.isoformat() == "2026-07-01T02:00:00+00:00", "03:00 in the force's own time"
    assert (universe.basis().capacity.on_duty, universe.basis().capacity.free) == (0, 0)


def test_earlier_cases_of_the_same_people_are_proposed(tell: Callable[..., list[Played]]) -> None:
    (story,) = tell("- given earlier case 30 days ago: same victim, other suspect, risk high", OPENS)
    basis = story.rehearsal.universe.basis()
    assert [(one.role, past.risk_level) for one in basis.candidates for past in basis.history] == [("victim", "high")]


def test_nothing_that_is_drawn_or_personal_is_told(tell: Callable[..., list[Played]]) -> None:
    told = " ".join(
        results(tell("- 0:00 call handler opens the case: address 1 Example Street; victim name Ann Example"))
    )
    assert "Example" not in told
    assert "0000-4000" not in told


# --- What is wrong with it ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("- sergeant accepts", "is no step: expected “- 1:30 sergeant accepts handover”"),
        ("- 5 sergeant accepts handover", "“5” is no time: expected one such as 1:30"),
        ("- 1:00 somebody accepts handover", "begins with nobody: expected one of administrator"),
        ("- 1:00 bot nudges handover", "expected “time passes”"),
        ("- 1:00 call handler loose contact", "“loose contact” is no move: expected one such as lose contact"),
        ("- 1:00 call handler loses contact: why call cut", "begins with no field: expected lost_reason"),
        ("- 1:00 call handler answers criteria: answers all met but sober no", "is no question"),
        ("- 1:00 call handler offers handover", "Record that the victim agrees to speak by video."),
        ("- 1:00 call handler tries to lose contact: lost reason call cut", "is not refused here"),
        ("- 1:00 call handler opens the case", "the case is open already"),
    ],
)
def test_what_cannot_be_played_is_told_with_its_place(tell: Callable[..., list[Played]], line: str, says: str) -> None:
    with pytest.raises(Unplayable) as told:
        tell("", OPENS, line)
    assert str(told.value).startswith("da-desk/scenarios/told.md:4: ")
    assert says in str(told.value)


def test_a_story_does_not_go_back_in_time(tell: Callable[..., list[Played]]) -> None:
    with pytest.raises(Unplayable, match=r"told\.md:3: 0:30 lies before the step above it"):
        tell("- 1:00 call handler opens the case", "- 0:30 time passes")


def test_only_what_is_known_can_be_given(tell: Callable[..., list[Played]]) -> None:
    with pytest.raises(Unplayable, match=r"told\.md:2: “rain” cannot be given: expected one of force"):
        tell("- given rain", OPENS)


# --- Files -------------------------------------------------------------------------------------------------------


def test_an_update_writes_results_and_nothing_else(root: Path, tell: Callable[..., list[Played]]) -> None:
    file = root / "da-desk" / "scenarios" / "told.md"
    lines = (
        "",
        "Prose stays as it is.",
        OPENS,
        "  > Wrong.",
        "  > Wrong, too.",
        "",
        "## Another",
        "",
        OPENS,
        "* Stays.",
    )
    text = scenarios.updated("\n".join(("# A story", *lines)), tell(*lines))
    assert "Wrong" not in text
    assert [line for line in text.splitlines() if not line.startswith("  > ")] == [
        line for line in ("# A story", *lines) if "Wrong" not in line
    ]
    file.write_text(text, encoding="utf-8")
    assert all(story.agrees for story in tell(*text.splitlines()[1:]))


def test_the_command_tells_what_changed_and_writes_it_when_asked(
    root: Path, tell: Callable[..., list[Played]], capsys: pytest.CaptureFixture[str]
) -> None:
    tell(OPENS, "  > Case opened by nobody.")
    assert cli.main(["rehearse", str(root)]) == 1
    assert "-  > Case opened by nobody." in capsys.readouterr().out
    assert cli.main(["rehearse", str(root / "da-desk"), "--update"]) == 0
    assert cli.main(["rehearse", str(root / "da-desk" / "scenarios" / "told.md")]) == 0
    assert "1 scenario files, no faults" in capsys.readouterr().out


def test_check_names_every_rule_that_no_scenario_shows(
    root: Path, tell: Callable[..., list[Played]], capsys: pytest.CaptureFixture[str]
) -> None:
    tell(OPENS, "- 1:00 call handler answers criteria: answers suspect_away no", "- 10:00 time passes")
    assert cli.main(["check", str(root)]) == 1
    said = capsys.readouterr().out
    assert "da-desk/moves.toml: move offer_handover: no scenario shows it" in said
    assert "da-desk/criteria.toml: failed criterion adult: no scenario shows it" in said
    assert "da-desk/clocks.toml: threshold call_taking 1800: no scenario shows it" in said
    assert "reason decline_reason desk_closing: no scenario shows it" in said
    for shown in ("move answer_criteria:", "failed criterion suspect_away:", "threshold call_taking 600:"):
        assert shown not in said


def test_the_page_on_scenarios_shows_one_as_it_is_written(tell: Callable[..., list[Played]]) -> None:
    page = (WORKFLOWS / "SCENARIOS.md").read_text(encoding="utf-8")
    story = page.split("```")[1].strip().splitlines()
    (played,) = tell(*story)
    assert played.story.title == "The call is cut before the place is known"
    told = [line for step, lines in list(played.results.items())[:2] for line in lines]
    assert told == [line.removeprefix(scenarios.RESULT) for line in story if line.startswith(scenarios.RESULT)]


def test_the_page_on_scenarios_names_everything_that_can_be_given() -> None:
    page = (WORKFLOWS / "SCENARIOS.md").read_text(encoding="utf-8")
    assert [start for start in GIVENS if f"- given {start}" not in page] == []


# --- Values ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "total_s"),
    [("1:30", 90), ("24:00:00", 86_400), ("5m", 300), ("5 min", 300), ("2 days", 172_800), ("1h", 3600)],
)
def test_times_are_read_as_people_write_them(text: str, total_s: int) -> None:
    assert seconds(text) == total_s
    assert seconds(clock(total_s)) == total_s


@pytest.mark.parametrize("text", ["", "5", "1:75", "soon", "2 fortnights"])
def test_what_is_no_time_is_none(text: str) -> None:
    with pytest.raises(CannotRead):
        seconds(text)


@pytest.fixture
def rehearsal() -> Rehearsal:
    return scenarios.rehearsal_of(shipped().workflows["da-desk"], shipped())


def test_answers_are_read_by_the_kind_of_their_field(rehearsal: Rehearsal) -> None:
    flow = rehearsal.workflow
    fields = ("answers", "lost_reason", "officer", "camera", "due_at", "team", "note")
    text = (
        "answers all met but adult no; lost reason The call was cut off; officer 2; camera no;"
        "due at in 1 day; team Public Protection Unit; note: as it is"
    )
    assert read_form(rehearsal, fields, text) == {
        "answers": {one.id: one.met for one in flow.criteria.values()} | {"adult": "no"},
        "lost_reason": "call_cut",
        "officer": "officer 2",
        "camera": False,
        "due_at": "2026-11-24T12:00:00.000000Z",
        "team": "ppu",
        "note": "as it is",
    }


def test_a_risk_tool_is_answered_in_a_line(rehearsal: Rehearsal) -> None:
    form = read_form(rehearsal, ("risk_tool", "risk_answers"), "risk tool dash; risk answers all no but stalking yes")
    assert {one.id for one in rehearsal.workflow.instruments["dash"].questions} <= set(form["risk_answers"])
    assert [name for name, answer in form["risk_answers"].items() if answer == "yes"] == ["stalking"]


def test_a_rehearsal_covers_what_happened_in_it_and_no_more(rehearsal: Rehearsal) -> None:
    player = Player(rehearsal)
    player.play("0:00", "call handler opens the case")
    player.play("1:00", "call handler tries to offer handover")
    player.play("2:00", "call handler loses contact: lost reason call cut")
    shown = {rule.name for rule in coverage.shown_in(rehearsal)}
    assert "lose_contact" in shown
    assert "offer_handover" not in shown
