"""The rules of witnessing: what is submitted, when a witness cosigns, and what it signs then."""

from __future__ import annotations

from base64 import b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rvr.cosigning import (
    UNSEEN,
    Cosigner,
    Refuses,
    Submission,
    cosignature,
    head_of,
    judge,
    number,
    read_submission,
)
from rvr.evaluation import verify as without_us
from rvr.store.checkpoints import Head
from rvr.store.merkle import Frontier, Tree, leaf_hash, verify_consistency
from rvr.store.notes import Notary, Verifier, parted
from tests.anchors.places import Log
from tests.store.test_merkle import CONSISTENCY, INPUTS, frontier, hashed, mth, subproof

LOG = Log()
KEY = Verifier(LOG.key)
WITNESS = Cosigner("witness.example.com/w1", bytes(range(32)))

EXAMPLE = """\
old 20852014
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=
/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=

example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa \
Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— example.com/behind-the-sofa \
opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=
""".encode()
"""The request that the specification (C2SP tlog-witness) gives as its example."""


# --- Proofs without the whole tree -------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", CONSISTENCY)
def test_the_published_proofs_come_of_the_edge_and_the_new_leaves(sizes: tuple[int, int]) -> None:
    old, new = sizes
    path = frontier(hashed(INPUTS[:old])).consistency(new, iter(hashed(INPUTS[old:new])))
    assert [step.hex() for step in path] == CONSISTENCY[sizes]


def test_every_proof_up_to_64_leaves_is_the_rfc_s() -> None:
    data = [bytes([number]) for number in range(64)]
    for new in range(1, 65):
        for old in range(1, new + 1):
            path = frontier(hashed(data[:old])).consistency(new, iter(hashed(data[old:])))
            assert path == ([] if old == new else subproof(old, data[:new], True)), (old, new)
            assert verify_consistency(old, new, mth(data[:old]), mth(data[:new]), path)


@given(st.integers(1, 3000), st.integers(0, 3000))
def test_the_edge_and_the_whole_tree_give_the_same_proof(old: int, more: int) -> None:
    leaves = [leaf_hash(b"%d" % number) for number in range(old + more)]
    assert frontier(leaves[:old]).consistency(old + more, leaves[old:]) == Tree(leaves).consistency(old, old + more)


def test_no_proof_is_made_of_too_few_leaves() -> None:
    leaves = hashed(INPUTS)
    with pytest.raises(ValueError):
        frontier(leaves[:3]).consistency(8, leaves[3:7])
    with pytest.raises(ValueError):
        Frontier().consistency(8, leaves)
    with pytest.raises(ValueError):
        frontier(leaves[:5]).consistency(4, [])


# --- What is submitted -------------------------------------------------------------------------------------------


def test_the_specification_s_own_request_is_read_and_written_as_it_stands() -> None:
    told = read_submission(EXAMPLE)
    assert (told.old, len(told.path)) == (20852014, 4)
    origin, head = head_of(told.note)
    assert (origin, head.size) == ("example.com/behind-the-sofa", 20852163)
    assert len(parted(told.note)[1]) == 2
    assert told.body() == EXAMPLE


@pytest.mark.parametrize(
    ("was", "now"),
    [
        (b"old 2", b"old 02"),
        (b"old 2", b"old -2"),
        (b"old 2", b"new 2"),
        (b"PlRN", b"PlR"),
        (b"kaw=\n", b"kax=\n"),
        (b"j/0=\n\n", b"j/0=\n"),
        (b"\n20852163\n", b"\n020852163\n"),
        (b"\n20852163\n", b"\n9223372036854775808\n"),
        (b"jxq2I=\n\n", b"jxq2I=\n"),
        (b"jxq2I=", b"jxq2I"),
        (b"m9Q=\n", b"m9Q="),
        (b"Az3g", b"Az\x0bg"),
        (b"Az3g", b"Az\xff3g"),
    ],
)
def test_what_is_spelt_in_another_way_is_no_submission(was: bytes, now: bytes) -> None:
    assert was in EXAMPLE
    with pytest.raises(ValueError):
        head_of(read_submission(EXAMPLE.replace(was, now, 1)).note)


def test_a_proof_has_63_steps_at_most() -> None:
    step = EXAMPLE.split(b"\n")[1] + b"\n"
    assert len(read_submission(EXAMPLE.replace(step, step * 60)).path) == 63
    with pytest.raises(ValueError):
        read_submission(EXAMPLE.replace(step, step * 61))


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_no_bytes_do_more_than_be_refused(body: bytes) -> None:
    for told in (body, b"old 0\n\n" + body, EXAMPLE[:60] + body):
        try:
            judge(read_submission(told), {"example.com/log": [KEY]}, {})
        except (ValueError, Refuses):
            continue
        raise AssertionError(told)


def test_sizes_are_spelt_in_one_way() -> None:
    assert [number(text) for text in ("0", "10")] == [0, 10]
    for text in ("", "00", "+1", "1_0", "٣", " 1", "1e3"):
        with pytest.raises(ValueError):
            number(text)


# --- When a witness cosigns --------------------------------------------------------------------------------------


def told(old: int, size: int, log: Log = LOG, path: list[bytes] | None = None) -> Submission:
    return Submission(old, tuple(log.path(old, size) if path is None else path), log.note(size))


def head(size: int, log: Log = LOG) -> Head:
    return head_of(log.note(size))[1]


def answer(told: Submission, last: Head = UNSEEN) -> int:
    try:
        judge(told, {"example.com/log": [KEY]}, {"example.com/log": last})
    except Refuses as refused:
        return refused.status
    return 200


FORK = Log(fork=5)
OTHER = Log(name="example.com/other")
ANOTHER_KEY = Log(seed=2)


@pytest.mark.parametrize(
    ("status", "submitted", "last"),
    [
        (200, told(0, 7), UNSEEN),
        (200, told(7, 100), head(7)),
        (200, told(7, 7), head(7)),
        (200, told(0, 0), UNSEEN),
        (404, told(0, 7, OTHER), UNSEEN),
        (403, told(0, 7, ANOTHER_KEY), UNSEEN),
        (400, told(8, 7, path=[]), head(8)),
        (409, told(0, 7), head(3)),
        (409, told(3, 7), head(7)),
        (409, told(3, 7), UNSEEN),
        (409, told(7, 7, FORK), head(7)),
        (422, told(7, 100, FORK), head(7)),
        (422, told(7, 100, path=[]), head(7)),
        (422, told(0, 7, path=[bytes(32)]), UNSEEN),
        (422, told(7, 7, path=[bytes(32)]), head(7)),
    ],
)
def test_a_witness_answers_each_submission_as_the_specification_says(
    status: int, submitted: Submission, last: Head
) -> None:
    assert answer(submitted, last) == status


def test_a_refusal_tells_the_size_that_is_known() -> None:
    with pytest.raises(Refuses) as refused:
        judge(told(3, 7), {"example.com/log": [KEY]}, {"example.com/log": head(5)})
    assert (refused.value.status, refused.value.size) == (409, 5)


@given(st.integers(0, 120), st.integers(0, 120), st.integers(0, 120), st.integers(0, 120))
def test_nothing_that_is_cosigned_loses_what_was_cosigned_before(last: int, old: int, size: int, fork: int) -> None:
    forked = Log(fork=fork)
    path = forked.path(min(old, size), size)
    if answer(told(old, size, forked, path), head(last)) == 200:
        assert size >= last
        assert forked.note(last) == LOG.note(last)


def test_a_false_signature_of_the_log_s_key_is_not_made_good_by_another() -> None:
    note = LOG.note(7)
    text, lines = parted(note)
    false = parted(LOG.note(8))[1][0]
    stranger = parted(ANOTHER_KEY.note(7))[1][0]
    assert KEY.signed(f"{text}\n{stranger}{lines[0]}")
    assert not KEY.signed(f"{text}\n{false}{lines[0]}")
    assert not KEY.signed(f"{text}\n{stranger}")


@pytest.mark.parametrize("changed", ["x", "example.com/log+00000000+", "", "a+b", "+"])
def test_what_is_no_public_key_is_refused(changed: str) -> None:
    with pytest.raises(ValueError):
        Verifier(changed + KEY.told.rpartition("+")[2] if changed.endswith("+") else changed)


# --- What it signs -----------------------------------------------------------------------------------------------


def test_a_cosignature_is_what_the_specification_says_by_another_s_ed25519() -> None:
    """Checked with the code of the export's verifier, which shares none with the desk."""
    note, at = LOG.note(7), 1679315147
    made = WITNESS.cosign(note, at)
    dash, name, encoded = made.line.removesuffix("\n").split(" ")
    blob = b64decode(encoded)
    public = b64decode(WITNESS.verifier.split("+", 2)[2])
    assert (dash, name, public[:1], len(blob)) == ("—", "witness.example.com/w1", b"\x04", 4 + 8 + 64)
    assert blob[:4] == without_us.sha256(name.encode(), b"\n", public)[:4]
    assert blob[:4].hex() == WITNESS.verifier.split("+")[1]
    assert int.from_bytes(blob[4:12], "big") == at
    body = note.partition("\n\n")[0] + "\n"
    assert without_us.signed(public[1:], f"cosignature/v1\ntime {at}\n{body}".encode(), blob[12:])


def test_a_cosignature_is_found_among_others_and_only_if_it_is_of_this_checkpoint() -> None:
    key, note = Verifier(WITNESS.verifier), LOG.note(7)
    made = WITNESS.cosign(note, 5)
    stranger = Cosigner("witness.example.com/w1", bytes(32)).cosign(note, 5)
    assert cosignature(key, note, [stranger.line, "nonsense\n", made.line]) == made
    for lines in (
        [stranger.line],
        [],
        [WITNESS.cosign(LOG.note(8), 5).line],
        [made.line, WITNESS.cosign(LOG.note(8), 5).line],
    ):
        with pytest.raises(ValueError):
            cosignature(key, note, lines)
    with pytest.raises(ValueError):
        cosignature(key, LOG.note(8), [made.line])


def test_a_plain_signature_is_no_cosignature() -> None:
    """Under the same seed and name: the kind's number parts them."""
    notary = Notary("witness.example.com/w1", bytes(range(32)))
    note = LOG.note(7)
    with pytest.raises(ValueError):
        cosignature(Verifier(notary.verifier), note, [notary.sign(parted(note)[0])])
