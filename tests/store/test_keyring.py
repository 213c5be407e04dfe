"""The operator's keys: never overwritten, rotated without a moment in which something is lost, shared among people."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rvr.core.case import Case, fold
from rvr.store import CannotOpen, Store, access, keyring, keys, shares
from rvr.store.identities import erase
from tests.store.builders import Clock, Place, a_batch, a_note, opened

ROOT = Path(__file__).parents[2]


async def fill(place: Place, clock: Clock, cases: int) -> None:
    store = place.store(clock)
    await store.start()
    for number in range(cases):
        event = opened(clock, f"R{number}", name=f"Ann {number}")
        await store.append(a_batch(f"c{number}", Case(str(number)), event))
    await store.close()


async def names(place: Place, clock: Clock, cases: int) -> list[str]:
    store = place.store(clock)
    await store.start()
    found = [fold(str(number), await store.load(f"case/{number}")).personal["name"] for number in range(cases)]
    assert await store.verify() == []
    await store.close()
    return found


def wrapped_by(place: Place) -> set[str]:
    connection = place.connection()
    found = {row[0] for row in connection.execute("SELECT master_id FROM data_key")}
    connection.close()
    return found


# --- Making and showing ------------------------------------------------------------------------------------------


def test_a_key_file_is_made_once_for_its_owner_alone_and_never_overwritten(place: Place) -> None:
    master = keyring.create(place)
    before = place.key_file.read_bytes()
    assert place.key_file.stat().st_mode & 0o777 == 0o600
    assert [(one.id, one.seals, one.wraps) for one in keyring.show(place)] == [(master, True, 0)]
    assert keyring.show(place)[0].made
    with pytest.raises(CannotOpen, match="nothing was changed"):
        keyring.create(place)
    assert place.key_file.read_bytes() == before


async def test_a_store_never_gets_a_second_key_file(place: Place, clock: Clock) -> None:
    await fill(place, clock, 1)
    place.key_file.unlink()
    with pytest.raises(CannotOpen, match="restore that one"):
        keyring.create(place)
    assert not place.key_file.exists()


async def test_what_is_shown_of_the_keys_holds_no_secret(place: Place, clock: Clock) -> None:
    await fill(place, clock, 2)
    told = json.loads(place.key_file.read_text())
    shown = str(keyring.show(place))
    assert [secret for secret in (told["index"], told["database"], told["masters"][0]["key"]) if secret in shown] == []


# --- Rotating ----------------------------------------------------------------------------------------------------


async def test_after_a_rotation_the_new_key_wraps_all_and_every_name_is_there(
    place: Place, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyring, "AT_A_TIME", 3)
    await fill(place, clock, 10)
    place.key_file.write_text(json.dumps(json.loads(place.key_file.read_text()) | {"later": "kept"}))
    (old,) = wrapped_by(place)
    new, count = keyring.rotate(place, a_note(clock))
    assert (count, wrapped_by(place)) == (10, {new})
    assert new != old
    told = json.loads(place.key_file.read_text())
    assert (told["later"], [one["id"] for one in told["masters"]], keyring.ROTATING in told) == (
        "kept",
        [old, new],
        False,
    )
    assert place.key_file.stat().st_mode & 0o777 == 0o600
    assert await names(place, clock, 10) == [f"Ann {number}" for number in range(10)]
    told["masters"] = told["masters"][1:]  # the old key opens nothing any more
    place.key_file.write_text(json.dumps(told))
    assert await names(place, clock, 10) == [f"Ann {number}" for number in range(10)]


async def test_a_desk_that_runs_meanwhile_goes_on_with_old_and_new_cases(
    store: Store, place: Place, clock: Clock
) -> None:
    await store.append(a_batch("c1", Case("1"), opened(clock, "R1", name="Ann")))
    new, _ = keyring.rotate(place, a_note(clock))
    assert fold("1", await store.load("case/1")).personal == {"name": "Ann"}
    await store.append(a_batch("c2", Case("2"), opened(clock, "R2", name="Eve")))
    assert fold("2", await store.load("case/2")).personal == {"name": "Eve"}
    assert wrapped_by(place) == {new}
    assert await store.verify() == []


async def test_an_erased_case_stays_erased(store: Store, place: Place, clock: Clock) -> None:
    await store.append(a_batch("c1", Case("1"), opened(clock, "R1", name="Ann")))
    await store.write(lambda c: erase(c, "case/1"))
    assert keyring.rotate(place, a_note(clock))[1] == 0
    assert fold("1", await store.load("case/1")).personal == {}


def test_a_rotation_killed_anywhere_loses_nothing_and_is_finished_by_the_next(place: Place, clock: Clock) -> None:
    cases, dice, made = 24, random.Random(5), set[str]()
    asyncio.run(fill(place, clock, cases))
    for turn in itertools.count():
        command = [sys.executable, "-m", "tests.store.operator_child", "rotate", *place.arguments]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            for _ in range(dice.randrange(1, 9)):
                line = child.stdout.readline()
            time.sleep(dice.uniform(0, 0.012))
            child.send_signal(signal.SIGKILL)
        assert asyncio.run(names(place, clock, cases)) == [f"Ann {number}" for number in range(cases)]
        told = json.loads(place.key_file.read_text())
        assert wrapped_by(place) <= {one["id"] for one in told["masters"]}
        made = {one["id"] for one in told["masters"]}
        if turn == 5 or "done" in line:
            break
    before = len(made) - (keyring.ROTATING in told)
    newest, _ = keyring.rotate(place, a_note(clock))
    masters = [one["id"] for one in json.loads(place.key_file.read_text())["masters"]]
    assert len(masters) == before + 1, "one that was cut off is finished, and makes no other key"
    assert wrapped_by(place) == {newest} == {masters[-1]}
    assert asyncio.run(names(place, clock, cases)) == [f"Ann {number}" for number in range(cases)]


def test_two_rotations_at_once_keep_both_their_keys(place: Place, clock: Clock) -> None:
    asyncio.run(fill(place, clock, 20))
    command = [sys.executable, "-m", "tests.store.operator_child", "rotate", *place.arguments]
    both = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [child.wait(60) for child in both] == [0, 0]
    masters = {one["id"] for one in json.loads(place.key_file.read_text())["masters"]}
    assert wrapped_by(place) <= masters
    assert asyncio.run(names(place, clock, 20)) == [f"Ann {number}" for number in range(20)]


async def test_a_rotation_and_a_splitting_stand_in_the_access_log(place: Place, clock: Clock, tmp_path: Path) -> None:
    await fill(place, clock, 1)
    keyring.rotate(place, a_note(clock))
    keyring.split(place, tmp_path / "shares", "wmp", 2, 3, a_note(clock, "keys.split"))
    connection = place.connection()
    assert connection.execute("SELECT person, what FROM access").fetchall() == [
        ("terminal:test", "keys.rotate"),
        ("terminal:test", "keys.split"),
    ]
    assert access.verify(connection) == []
    connection.close()


# --- Sharing -----------------------------------------------------------------------------------------------------


def test_the_arithmetic_meets_the_published_vector() -> None:
    """draft-mcgrew-tss-03, section 9: two of two shares of `test` and a zero byte."""
    secret, first, second = (bytes.fromhex(text) for text in ("7465737400", "b9fa07e185", "f5409b4511"))
    slope = bytes(a ^ b for a, b in zip(secret, first, strict=True))
    assert shares.share_bytes(secret, 2, 2, lambda _: slope) == {1: first, 2: second}
    assert shares.join_bytes({1: first, 2: second}) == secret


def test_every_byte_has_an_inverse_and_products_are_those_of_the_standard() -> None:
    assert shares._times(0x57, 0x83) == 0xC1  # FIPS 197, 4.2
    assert shares._times(0x57, 0x13) == 0xFE
    assert all(shares._times(a, shares._inverse(a)) == 1 for a in range(1, 256))


@pytest.mark.parametrize(("need", "of"), [(2, 2), (2, 3), (3, 5), (16, 16)])
def test_any_so_many_shares_give_the_secret_back_and_one_fewer_does_not(need: int, of: int) -> None:
    made = shares.split(b"what nobody alone may know", "wmp", need, of)
    for some in itertools.islice(itertools.combinations(made, need), 20):
        assert shares.join([shares.read(one.text(), "share") for one in some]) == b"what nobody alone may know"
        with pytest.raises(shares.BadShare, match="different shares are needed"):
            shares.join(some[1:])


def test_one_share_is_as_likely_with_any_secret() -> None:
    """Every value of a share occurs once over the 256 slopes, whatever the secret: a share alone tells nothing."""
    for secret in (0, 1, 0x53, 255):
        values = {
            shares.share_bytes(bytes([secret]), 2, 3, lambda _, slope=slope: bytes([slope]))[3] for slope in range(256)
        }
        assert len(values) == 256


@pytest.mark.parametrize("wrong", [(1, 3), (3, 2), (2, 17), (0, 0)])
def test_numbers_that_protect_nothing_are_refused(wrong: tuple[int, int]) -> None:
    with pytest.raises(shares.BadShare):
        shares.split(b"secret", "wmp", *wrong)


def test_a_slip_of_the_pen_and_a_strange_share_are_found() -> None:
    first, second, _ = shares.split(b"secret", "wmp", 2, 3)
    text = first.text()
    letters = text.index("\n\n", text.index("checksum")) + 2
    for place in range(letters, letters + 20):
        if text[place] != " ":
            other = "A" if text[place] != "A" else "B"
            with pytest.raises(shares.BadShare, match="not as they were written"):
                shares.read(text[:place] + other + text[place + 1 :], "share")
    with pytest.raises(shares.BadShare, match="not as they were written"):
        shares.read(text.replace("share 1 of", "share 2 of"), "share")
    with pytest.raises(shares.BadShare, match="is not a key share"):
        shares.read("something else", "share")
    with pytest.raises(shares.BadShare, match="not of one set"):
        shares.join([second, shares.split(b"secret", "wmp", 2, 3)[0]])
    assert shares.read(text.lower(), "share").data == first.data


async def test_two_of_three_shares_restore_a_key_file_that_opens_the_store(
    place: Place, clock: Clock, tmp_path: Path
) -> None:
    await fill(place, clock, 3)
    told = json.loads(place.key_file.read_text())
    files = keyring.split(place, tmp_path / "shares", "wmp", 2, 3, a_note(clock))
    assert [file.stat().st_mode & 0o777 for file in files] == [0o600] * 3
    assert all("wmp" in file.read_text() for file in files)
    secrets = [told["index"], told["database"], told["masters"][0]["key"]]
    assert not any(secret in file.read_text() for secret in secrets for file in files)
    place.key_file.unlink()
    assert keyring.restore(place, [files[2], files[0]], place.key_file, a_note(clock))
    assert json.loads(place.key_file.read_text()) == told
    assert place.key_file.stat().st_mode & 0o777 == 0o600
    assert await names(place, clock, 3) == ["Ann 0", "Ann 1", "Ann 2"]


async def test_shares_of_before_a_rotation_or_of_another_store_restore_nothing(
    place: Place, clock: Clock, tmp_path: Path
) -> None:
    await fill(place, clock, 2)
    early = keyring.split(place, tmp_path / "early", "wmp", 2, 3, a_note(clock))
    keyring.rotate(place, a_note(clock))
    other = Place(tmp_path / "other", tmp_path / "other.keys")
    await fill(other, clock, 1)
    strange = keyring.split(other, tmp_path / "strange", "wmp", 2, 2, a_note(clock))
    for files, why in ((early[:2], "lacks master key"), (strange, "lacks master key" if place.url else "another key")):
        with pytest.raises(CannotOpen, match=why):
            keyring.restore(place, files, tmp_path / "restored.json", a_note(clock))
        assert not (tmp_path / "restored.json").exists()


async def test_a_key_file_is_never_restored_over_another_or_into_the_data(
    place: Place, clock: Clock, tmp_path: Path
) -> None:
    await fill(place, clock, 1)
    files = keyring.split(place, tmp_path / "shares", "wmp", 2, 2, a_note(clock))
    for out, why in ((place.key_file, "nothing was changed"), (place.data / "k.json", "inside the data folder")):
        with pytest.raises(CannotOpen, match=why):
            keyring.restore(place, files, out, a_note(clock))
    with pytest.raises(CannotOpen, match="not empty"):
        keyring.split(place, tmp_path / "shares", "wmp", 2, 2, a_note(clock))
    with pytest.raises(CannotOpen, match="inside the data folder"):
        keyring.split(place, place.data / "shares", "wmp", 2, 2, a_note(clock))


def test_keys_and_shares_cannot_be_printed() -> None:
    (share, _) = shares.split(b"secret", "wmp", 2, 2)
    assert share.data.hex() not in repr(share)
    assert repr(share.data) not in repr(share)
    assert keys.KEY_BYTES == 32
