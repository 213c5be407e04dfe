"""The evaluator's figures over HTTP: what is asked for, what is refused, and a desk with enough cases to show some."""

from __future__ import annotations

import io
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rvr.evaluation import timings
from rvr.evaluation.disclosure import THRESHOLD
from tests.web.in_process import House, in_process


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with in_process(tmp_path / "data") as house:
        handler = await house.sign_in("handler")
        for _ in range(THRESHOLD + 2):
            await handler.open_case()
        yield house


async def test_timings_and_measures_are_told_to_programs_after_disclosure_control(house: House) -> None:
    evaluator = await house.sign_in("evaluator")
    told = (await evaluator.get("/api/v1/timings?by=lpa")).body
    rows = {(row["timing"], row["group"]): row for row in told["timings"]}
    assert {timing for timing, _ in rows} == {timing.name for timing in timings.TIMINGS}
    assert rows["response_s", "all"]["cases"] == 10
    assert rows["kent_video", "all"]["cases"] == 0
    assert rows["T1_T2", "all"]["missing"] == 0
    assert told["disclosure_k"] == THRESHOLD
    measures = {one["id"]: one for one in (await evaluator.get("/api/v1/measures")).body["measures"]}
    assert measures["funnel"]["rows"][0] == {"stage": "contacts", "left for": "", "cases": "10"}
    assert all(one["definition"] and one["n"] for one in measures.values())


async def test_a_pair_of_points_can_be_asked_for_and_what_is_none_is_refused_by_name(house: House) -> None:
    evaluator = await house.sign_in("evaluator")
    told = (await evaluator.get("/api/v1/timings?interval=T5-T11&interval=t0-t1")).body
    assert [row["timing"] for row in told["timings"]] == ["T5_T11", "T0_T1"]
    for query, field in (
        ("interval=T5-B1", "interval"),
        ("by=officer", "by"),
        ("under=nothing", "under"),
        ("from=yesterday", "from"),
    ):
        refused = await evaluator.get(f"/api/v1/timings?{query}")
        assert (refused.status, refused.body["reasons"][0]["field"]) == (400, field), query


async def test_the_page_shows_figures_when_asked_and_draws_what_there_is_enough_of(house: House) -> None:
    evaluator = await house.sign_in("evaluator")
    assert "<svg" not in str((await evaluator.get("/evaluation")).body)
    shown = str((await evaluator.get("/evaluation?show=yes")).body)
    assert 'id="funnel-title"' in shown
    assert 'id="survival-title"' not in shown
    assert "style=" not in shown.partition("<main")[2]


async def test_figures_are_the_evaluators_alone(house: House) -> None:
    handler = await house.sign_in("handler")
    for path in ("/api/v1/timings", "/api/v1/measures", "/evaluation?show=yes"):
        assert (await handler.get(path)).status == 403


async def test_a_package_is_made_with_the_times_and_formats_that_are_asked_for(house: House) -> None:
    evaluator = await house.sign_in("evaluator")
    wanted = {"times": "relative", "formats": ["csv", "xes"]}
    csrf = {"X-CSRF-Token": evaluator.me["csrf"]}
    async with evaluator.session.post("/api/v1/exports", json=wanted, headers=csrf) as answer:
        content = await answer.read()
    with zipfile.ZipFile(io.BytesIO(content)) as package:
        assert "eventlog/log.xes" in package.namelist()
        assert "eventlog/ocel2.json" not in package.namelist()
        assert "not the real ones" not in package.read("README.md").decode()
        assert "seconds after `received_at`" in package.read("README.md").decode()
    for body in ({"times": "lunar"}, {"formats": ["docx"]}, {"formats": "xes"}):
        refused = await evaluator.call("POST", "/api/v1/exports", body)
        assert (refused.status, refused.body["reasons"][0]["field"]) == (400, *body)
