"""verify.py, as the reader of a package runs it: Python alone, and a byte changed anywhere is found."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from rvr.evaluation import verify
from rvr.evaluation.pseudonyms import CannotExport
from rvr.store import Store, merkle
from tests.evaluation.conftest import Week
from tests.evaluation.days import CANARY, SECRETS
from tests.evaluation.reading import everything, table

LINES = 150
"""A person must be able to read all of it before trusting it."""


@pytest.fixture(scope="session")
def proven(week: Week, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of the whole week, with proofs."""
    out = tmp_path_factory.mktemp("proven") / "package"
    week.exports(out, proofs=True, internal_ids=True)
    return out


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """In an empty environment, without any installed package."""
    command = [sys.executable, "-I", "-S", *arguments]
    return subprocess.run(command, cwd=folder, env={}, capture_output=True, text=True, timeout=60, check=False)


def says(folder: Path, key: str = "") -> tuple[int, str]:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        code = verify.main(folder, key)
    return code, out.getvalue()


def copied(package: Path, folder: Path) -> Path:
    return Path(shutil.copytree(package, folder / "copy"))


def signed_again(week: Week, package: Path) -> None:
    """The manifest and its signature anew, by whoever has the key."""
    files = {name: content for name, content in everything(package).items() if not name.startswith("MANIFEST")}
    manifest = "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files))
    (package / "MANIFEST.sha256").write_text(manifest)

    async def sign(store: Store) -> str:
        return store.notary.sign(manifest)

    (package / "MANIFEST.sig").write_text(week.on_store(sign))


def cosigned(week: Week, package: Path, lines: Callable[[str], str]) -> tuple[int, str]:
    """With other signature lines under the head, and the manifest signed anew."""
    key, own, note = (package / "checkpoint.txt").read_text().partition("\n\n")
    text, gap, line = note.partition("\n\n")
    (package / "checkpoint.txt").write_text(f"{key}{own}{text}{gap}{lines(line)}")
    signed_again(week, package)
    return says(package)


# --- As the reader runs it ---------------------------------------------------------------------------------------


def test_it_is_one_short_file_that_needs_nothing_installed(package: Path) -> None:
    text = (package / "verify.py").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LINES
    assert {name for name in verify.__dict__ if hasattr(verify, name)} & {"rvr", "cryptography"} == set()
    done = run("verify.py", folder=package)
    assert (done.returncode, done.stderr) == (0, "")
    assert "No fault" in done.stdout
    assert "Not proven: that the rows" in done.stdout
    assert "whose key it is" in done.stdout


def test_it_says_which_of_the_two_it_proved(proven: Path, tmp_path: Path) -> None:
    done = run(str(proven / "verify.py"), folder=tmp_path)
    assert done.returncode == 0
    assert "Proven: each row" in done.stdout
    assert "there are no proofs" not in done.stdout


def test_a_zip_is_checked_as_a_folder_is(week: Week, package: Path, tmp_path: Path) -> None:
    week.exports(tmp_path / "package.zip")
    assert run(str(package / "verify.py"), "package.zip", folder=tmp_path).returncode == 0
    broken = bytearray((tmp_path / "package.zip").read_bytes())
    broken[len(broken) // 2] ^= 1
    (tmp_path / "package.zip").write_bytes(broken)
    assert run(str(package / "verify.py"), "package.zip", folder=tmp_path).returncode == 1


def test_another_key_than_the_forces_own_is_told(week: Week, package: Path) -> None:
    async def key(store: Store) -> str:
        return store.notary.verifier

    own = week.on_store(key)
    assert (package / "checkpoint.txt").read_text().splitlines()[0] == own
    code, told = says(package, own)
    assert (code, "The key is the one you gave." in told) == (0, True)
    assert says(package, own.replace("rvr/", "xvr/"))[0] == 1


@pytest.mark.parametrize("which", ["package", "proven"])
def test_a_byte_changed_anywhere_is_found(which: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    copy, dice = copied(request.getfixturevalue(which), tmp_path), random.Random(5)
    for name, content in everything(copy).items():
        assert content, name
        places = {0, len(content) - 1, *(dice.randrange(len(content)) for _ in range(2))}
        places |= set(range(len(content))) if name == "MANIFEST.sig" else set()
        for place in places:
            changed = bytearray(content)
            changed[place] ^= 1 << dice.randrange(8)
            (copy / name).write_bytes(changed)
            assert says(copy)[0] == 1, (name, place)
        (copy / name).write_bytes(content)
    assert says(copy)[0] == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda copy: (copy / "data" / "cases.csv").unlink(),
        lambda copy: (copy / "data" / "more.csv").write_text("case\n"),
        lambda copy: (copy / "MANIFEST.sha256").unlink(),
        lambda copy: (copy / "checkpoint.txt").write_text("\n\n\n\n\n"),
        lambda copy: (copy / "MANIFEST.sig").write_text("— x AAAA\n"),
    ],
)
def test_a_file_too_few_or_too_many_or_without_sense_is_told(
    package: Path, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    copy = copied(package, tmp_path)
    change(copy)
    assert says(copy)[0] == 1


def test_the_same_inputs_give_the_same_bytes_with_proofs_too(week: Week, proven: Path, tmp_path: Path) -> None:
    week.exports(tmp_path / "again", proofs=True, internal_ids=True)
    assert everything(tmp_path / "again") == everything(proven)


# --- Proofs ------------------------------------------------------------------------------------------------------


def edit(file: Path, change: Callable[[list[str]], None]) -> None:
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    change(lines)
    file.write_text("".join(lines), encoding="utf-8")


def later(lines: list[str]) -> None:
    """The first event's time, moved by whoever made the package."""
    row = next(csv.reader([lines[1]]))
    lines[1] = lines[1].replace(row[3], "2026-01-01T00:00:00.000000Z")


def forged(lines: list[str]) -> None:
    proof = json.loads(lines[0])
    lines[0] = json.dumps(proof | {"public": proof["public"].replace("2026", "2025")}) + "\n"


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("data/events.csv", later, "the event in the log is another"),
        ("data/events.csv", lambda lines: lines.pop(), "proofs for"),
        ("data/events.csv", lambda lines: lines.append(lines[-1]), "proofs for"),
        ("proofs/rows.jsonl", forged, "is not in the signed log"),
        ("proofs/rows.jsonl", lambda lines: lines.pop(), "proofs for"),
        ("proofs/rows.jsonl", lambda lines: lines.__setitem__(1, lines[0]), "the event in the log is another"),
    ],
)
def test_a_package_that_its_maker_changed_and_signed_again_does_not_come_to_the_head(
    week: Week, proven: Path, tmp_path: Path, name: str, change: Callable[[list[str]], None], told: str
) -> None:
    copy = copied(proven, tmp_path)
    edit(copy / name, change)
    signed_again(week, copy)
    code, found = says(copy)
    assert code == 1
    assert told in found
    assert "MANIFEST" not in found


def test_proofs_are_refused_until_somebody_says_that_they_may_show_the_desks_ids(week: Week, tmp_path: Path) -> None:
    with pytest.raises(CannotExport, match="--with-internal-ids"):
        week.exports(tmp_path / "out", proofs=True)
    assert list(tmp_path.iterdir()) == []


def test_proofs_show_ids_of_the_desk_and_nothing_that_is_sealed(week: Week, package: Path, proven: Path) -> None:
    proofs = (proven / "proofs" / "rows.jsonl").read_text(encoding="utf-8")
    assert [case for case in week.cases.values() if case in proofs] != []
    sealed = (*SECRETS[1:], *(f"{CANARY} {word}" for word in ("Name", "Street", "Suspect", "note", "pub", "why")))
    assert [word for word in sealed if word in proofs] == []
    assert f"{CANARY} in clear" in proofs  # the control: what a row withholds, for it is no code, a proof shows
    assert proofs.count("\n") == len(table(proven, "events"))
    assert "Two packages\nwith proofs can be joined" in (proven / "README.md").read_text()
    assert "--with-internal-ids" in (package / "README.md").read_text()
    data = {name: content for name, content in everything(package).items() if name.startswith("data/")}
    assert data == {name: content for name, content in everything(proven).items() if name.startswith("data/")}


@given(st.integers(1, 40), st.data())
def test_a_path_leads_to_the_root_from_its_own_place_only(size: int, draw: st.DataObject) -> None:
    leaves = [merkle.leaf_hash(bytes([n])) for n in range(size)]
    index = draw.draw(st.integers(0, size - 1))
    tree = merkle.Tree(leaves)
    path = tree.inclusion(index, size)
    assert verify.root_over(leaves[index], index, size, path) == tree.root()
    for other in set(range(size)) - {index}:
        assert verify.root_over(leaves[index], other, size, path) != tree.root()
    assert verify.root_over(leaves[index], index, size, [*path, leaves[0]]) != tree.root()
    assert not path or verify.root_over(leaves[index], index, size, path[1:]) != tree.root()


# --- Ed25519 -----------------------------------------------------------------------------------------------------

RFC_8032 = [  # section 7.1: public key, message, signature
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
]


@pytest.mark.parametrize(("public", "message", "signature"), RFC_8032)
def test_the_signatures_of_the_rfc(public: str, message: str, signature: str) -> None:
    told = [bytes.fromhex(text) for text in (public, message, signature)]
    assert verify.signed(*told)
    order = int.from_bytes(told[2][32:], "little") + verify.L
    assert not verify.signed(told[0], told[1], told[2][:32] + order.to_bytes(32, "little"))
    assert not verify.signed(told[0], told[1] + b"x", told[2])
    assert not verify.signed(told[0], told[1], told[2][:-1])


@settings(max_examples=25, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=100), st.integers(0, 511))
def test_it_takes_what_the_library_signs_and_no_bit_of_it_otherwise(seed: bytes, message: bytes, bit: int) -> None:
    key = Ed25519PrivateKey.from_private_bytes(seed)
    public, signature = key.public_key().public_bytes_raw(), key.sign(message)
    assert verify.signed(public, message, signature)
    changed = bytearray(signature)
    changed[bit // 8] ^= 1 << bit % 8
    with contextlib.suppress(ValueError):  # no point of the curve: `vouched` takes it for no signature
        assert not verify.signed(public, message, bytes(changed))


# --- Under a head that others have signed, too -------------------------------------------------------------------

STRANGER = "— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZ\n"


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (lambda own: own + STRANGER, 0),
        (lambda own: STRANGER + "— nobody !\n" + own + STRANGER, 0),
        (lambda own: STRANGER, 1),
        (lambda own: "", 1),
        (lambda own: own.removesuffix("\n") + "x\n" + STRANGER, 1),
    ],
)
def test_signatures_of_others_under_the_head_are_passed_over(
    week: Week, proven: Path, tmp_path: Path, lines: Callable[[str], str], code: int
) -> None:
    found, told = cosigned(week, copied(proven, tmp_path), lines)
    assert found == code, told
    assert ("the head of the log is not signed" in told) == bool(code)
