"""The access log: each look once per sign-in, case and class of field, and again after fifteen minutes."""

from __future__ import annotations

import pytest

from rvr.store import Store, access
from rvr.store.access import Access, Signin
from rvr.store.tables import AccessRow, every
from tests.store.builders import Clock, Place

OFFICER = Signin("0123456789abcdef", "person-2", "officer")


async def test_a_look_is_one_row_and_again_after_fifteen_minutes(store: Store, clock: Clock) -> None:
    async def look(case_id: str = "1", field_class: str = "details", signin: Signin = OFFICER) -> bool:
        return await store.write(lambda c: access.looked(c, signin, case_id, field_class, clock.at))

    assert await look()
    assert not await look()
    clock.pass_by(minutes=14, seconds=59)
    assert not await look()
    clock.pass_by(seconds=1)
    assert await look()
    assert not await look()
    assert await look(field_class="risk")
    assert await look(case_id="2")
    assert await look(signin=Signin("another", "person-2", "officer"))
    rows = await store.read(lambda s: every(s, AccessRow))
    assert [(row.seq, row.case_id, row.what) for row in rows] == [
        (1, "1", "details"),
        (2, "1", "details"),
        (3, "1", "risk"),
        (4, "2", "details"),
        (5, "1", "details"),
    ]
    assert {(row.category, row.person, row.role) for row in rows} == {("consultation", "person-2", "officer")}


async def test_only_the_six_categories_of_the_act_can_be_recorded(store: Store, clock: Clock) -> None:
    with pytest.raises(ValueError):
        await store.write(lambda c: access.record(c, Access(OFFICER, "peek", "details", clock.at)))
    for category in access.CATEGORIES:
        entry = Access(OFFICER, category, "export", clock.at, None, "inspection", "evaluator")
        await store.write(lambda c, entry=entry: access.record(c, entry))
    assert len(await store.read(lambda s: every(s, AccessRow))) == 6


TAMPERS = {
    "an edited row": "UPDATE access SET person = 'somebody else' WHERE seq = 2",
    "a row taken out": "DELETE FROM access WHERE seq = 2",
    "a cut tail": "DELETE FROM access WHERE seq = 3",
    "a back-dated row": "UPDATE access SET at = '2026-01-01T00:00:00.000000Z' WHERE seq = 1",
}


@pytest.mark.parametrize("tamper", TAMPERS)
async def test_a_changed_access_log_is_found(store: Store, place: Place, clock: Clock, tamper: str) -> None:
    for field_class in ("details", "risk", "children"):
        await store.write(lambda c, what=field_class: access.looked(c, OFFICER, "1", what, clock.at))
    assert await store.write(access.verify) == []
    place.tamper(TAMPERS[tamper])
    assert await store.write(access.verify) != []
