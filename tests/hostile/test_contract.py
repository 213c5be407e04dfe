"""The served API holds to its own description, whoever asks: no fault of the server, nothing undocumented, nothing
accepted that the description refuses. `run.py bench contract` does the same a thousand times."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hostile.contract import examined
from tests.serving import Client, Served, served

WHO = ("", "handler", "sergeant", "officer", "resourcing", "evaluator", "auditor", "admin", "advocate")
EXAMPLES = 3


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("contract") / "data") as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def evaluator(desk: Served) -> Client:
    """Signed in before the examples, among which are more wrong passwords than anybody may try in a minute."""
    return desk.client("evaluator")


@pytest.mark.parametrize("username", WHO)
def test_the_api_is_what_it_says_it_is(username: str, desk: Served) -> None:
    found = examined(desk, username, EXAMPLES)
    assert found.faults == []
    assert found.requests > 100
    assert not [status for status in found.statuses if status >= 500]
    assert {200, 404} <= set(found.statuses) or not username


@pytest.mark.parametrize("body", [{"times": ""}, {"times": None}, {"formats": {}}, {"formats": None}, {"formats": ""}])
def test_an_export_takes_no_empty_word_for_none(body: dict[str, object], evaluator: Client) -> None:
    """Found by the description's own examples: a program that meant something would have been given something else."""
    assert evaluator.call("POST", "exports", body).status == 400
