"""A case is taken through a workflow at the terminal, and the walk can be taken back, told and saved."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from rvr import cli
from rvr.rehearsal import scenarios
from rvr.walk import Walk
from tests.builders import da_desk, shipped

OPENS = ("1", ".")
SCREENED = (*OPENS, "answer criteria", "all met", "record consent", "1", "1")


def walk(*lines: str) -> tuple[Walk, str]:
    """A walk by these lines, and what the terminal shows."""
    out = io.StringIO()
    taken = Walk(da_desk(), shipped(), 0, io.StringIO("\n".join((*lines, "quit")) + "\n"), out)
    taken.run()
    return taken, out.getvalue()


def test_the_state_the_owner_the_clocks_and_the_moves_are_shown() -> None:
    _, shown = walk(*OPENS)
    assert "Call taking." in shown
    assert "Call handler has to act." in shown
    assert "  Call taking: 10:00 left" in shown
    assert "  1. Answer the safety questions" in shown
    assert "       not now: Record that the victim agrees to speak by video." in shown


def test_each_field_is_asked_with_its_label_hint_and_options() -> None:
    _, shown = walk("1", "!")
    assert "  How the call came in (left empty: invented)\n    1. 999" in shown
    assert "Given up; nothing has happened." in shown
    assert "There is no case yet." in shown


def test_moves_are_made_by_number_and_by_name_and_in_any_role() -> None:
    taken, shown = walk(*SCREENED, "offer handover", "Left by the back door", "as sergeant", "1")
    assert taken.player.rehearsal.case.state == "accepted"
    assert "DA Desk Sergeant has to act (as sergeant). Accept the handover" in shown


def test_time_passes_until_a_clock_runs_out_or_for_as_long_as_is_said() -> None:
    taken, shown = walk(*OPENS, "wait", "wait 5m")
    assert taken.now == "15:00"
    assert "10:00 Call taking has run for 10:00: No decision yet." in shown
    assert "  Call taking: late by 5:00" in shown


def test_a_step_is_taken_back_by_playing_the_others_again() -> None:
    taken, _ = walk(*OPENS, "lose contact", "1", "back")
    assert taken.player.rehearsal.case.state == "call_taking"
    assert [what for _, what, _ in taken.steps] == ["call handler opens the case"]


def test_what_is_refused_is_told_and_kept_as_such() -> None:
    taken, shown = walk(*OPENS, "offer handover")
    assert "Refused: Ask every safety question; each required one must be met." in shown
    assert taken.steps[-1][1] == "call handler tries to offer handover"


def test_what_means_nothing_is_told_and_nothing_happens() -> None:
    taken, shown = walk(*OPENS, "dance", "wait long", "as nobody", "as sergeant major", "save")
    assert len(taken.steps) == 1
    for told in ("is no move or command", "is no time", "begins with nobody", "is nobody", "expected a file"):
        assert told in shown


def test_a_wrong_answer_leaves_everything_as_it_was() -> None:
    taken, shown = walk(*OPENS, "record consent", "1", "3")
    assert "Refused: There is no consent to withdraw." in shown
    assert len(taken.steps) == 1


def test_a_saved_walk_is_a_scenario(tmp_path: Path) -> None:
    file = tmp_path / "da-desk" / "scenarios" / "a-walk.md"
    file.parent.mkdir(parents=True)
    taken, shown = walk(*SCREENED, "3", ".", "wait 3m", "log", f"save {file}")
    assert "- 0:00 call handler offer handover" in shown
    played = scenarios.play_file(tmp_path, file, lambda force: shipped(), "wmp")
    assert all(story.agrees for story in played)
    assert played[0].rehearsal.case.state == taken.player.rehearsal.case.state


def test_the_end_of_the_input_ends_the_walk() -> None:
    out = io.StringIO()
    Walk(da_desk(), shipped(), 0, io.StringIO("1\n"), out).run()
    assert "Given up" in out.getvalue()


def test_the_command_walks_by_what_is_piped_to_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("1\n.\nquit\n"))
    assert cli.main(["walk", "da-desk", "--seed", "7"]) == 0
    assert "Case opened" in capsys.readouterr().out
    assert cli.main(["walk", "no-such-workflow"]) == 1
