"""Reads a browser's offer (SDP, RFC 8866 and 9429): what matters of it as plain values, or a refusal.

No other parser stands behind it: aiortc's validates by `assert` and is quadratic in places (171 KB froze it for 21 s).
The gate is linear, raises nothing but `BadSdp`, and does no negotiation; `answer` does. No address leaves it:
candidates are not even read, for the server learns of a browser by its connectivity checks alone.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from rvr.media import Track

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]

MAX_BYTES: Final = 32 * 1024
MAX_LINES: Final = 1_000
MAX_LINE: Final = 1024
MAX_SECTIONS: Final = 6
MAX_PER_SECTION: Final = {"rtpmap": 64, "fmtp": 64, "rtcp-fb": 128, "extmap": 64}
"""Of Chromium 156 a pair of sections has 5,354 bytes, 171 lines, 31 rtpmap and 51 rtcp-fb: twice that has room."""
MAX_OTHER: Final = 8
"""Of any other attribute in one section; browsers write one of each."""

_WORD = r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]{1,64}"
_PT = r"(?:12[0-7]|1[01][0-9]|[1-9]?[0-9])"
_PRINTABLE: Final = re.compile(r"(?:[ -~]|\r?\n)*")
_MEDIA_LINE: Final = re.compile(rf"m=(audio|video) [0-9]{{1,5}} UDP/TLS/RTP/SAVPF((?: {_PT}){{1,64}})")
_SHAPES: Final = {
    name: re.compile(shape)
    for name, shape in {
        "group": r"BUNDLE(?: [A-Za-z0-9._-]{1,32}){1,6}",
        "ice-ufrag": r"[A-Za-z0-9+/]{4,256}",
        "ice-pwd": r"[A-Za-z0-9+/]{22,256}",
        "fingerprint": r"sha-(?:1|224|256|384|512) [0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){19,63}",
        "setup": r"actpass",
        "mid": r"[A-Za-z0-9._-]{1,32}",
        "extmap": r"(?:[1-9][0-9]{0,2})(?:/(?:sendrecv|sendonly|recvonly|inactive))? [^ ]{1,256}(?: .*)?",
        "sendrecv": r"",
        "sendonly": r"",
        "recvonly": r"",
        "inactive": r"",
        "rtcp-mux": r"",
        "rtpmap": rf"{_PT} [A-Za-z0-9._-]{{1,64}}/[1-9][0-9]{{2,5}}(?:/[1-8])?",
        "fmtp": rf"{_PT} [^ ].*",
        "rtcp-fb": rf"(?:{_PT}|\*) [a-z0-9-]{{1,32}}(?: [^ ].*)?",
    }.items()
}
"""Every attribute that is read, with its shape; all others are passed over. `candidate`, because the server would send
packets to whatever it names. `ssrc`, because a stream is known by its payload type. `rid` and `simulcast`, because the
answer has none and a browser would then send only its smallest layer. A browser offers `actpass` (RFC 8842)."""

_SECTION_ONLY: Final = frozenset({"mid", "extmap", "rtcp-mux", "rtpmap", "fmtp", "rtcp-fb", *get_args(Direction)})


class BadSdp(ValueError):
    """The offer is refused; `code` is one of the contract's `sdp-too-large`, `sdp-malformed`, `sdp-datachannel`."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Codec:
    """One payload type as it was offered."""

    payload_type: int
    name: str
    """In lower case."""
    clock_hz: int
    parameters: Mapping[str, str]
    feedback: frozenset[str]
    """`nack`, `nack pli`, `transport-cc`, `goog-remb` ..."""


@dataclass(frozen=True, slots=True)
class Section:
    """One media section."""

    kind: Track
    mid: str
    direction: Direction
    """As seen from the browser."""
    codecs: tuple[Codec, ...]
    """In the browser's order."""
    extensions: Mapping[str, int]
    """Header extensions: URI -> id."""


@dataclass(frozen=True, slots=True)
class Offer:
    """An offer that may be answered: all sections over one transport, the first one's."""

    ufrag: str
    password: str
    fingerprints: tuple[tuple[str, str], ...]
    """(hash, value) of the certificate; every one of them must fit."""
    sections: tuple[Section, ...]


def check_size(offer: str) -> None:
    """The cheap half, for the process that only passes an offer on. Raises BadSdp."""
    if len(offer) > MAX_BYTES:
        raise BadSdp("sdp-too-large", f"more than {MAX_BYTES} bytes")
    if not offer.isascii():
        raise BadSdp("sdp-malformed", "not ASCII")


def admit(offer: str) -> Offer:
    """What the offer says, without addresses, candidates and unknown attributes. Raises BadSdp, and nothing else."""
    head_lines, bodies = _split(offer)
    head = _session(head_lines)
    sections = [_attributes(lines[1:]) for lines in bodies]
    read = tuple(_section(lines[0], named) for lines, named in zip(bodies, sections, strict=True))
    _check_bundle(head, read)
    for named in sections:
        _check_transport(head + named)
    transport = head + sections[0]
    fingerprints = [value.partition(" ") for value in _values(transport, "fingerprint")]
    return Offer(
        _values(transport, "ice-ufrag")[0],
        _values(transport, "ice-pwd")[0],
        tuple((hashed.lower(), value) for hashed, _, value in fingerprints),
        read,
    )


def _split(offer: str) -> tuple[list[str], list[list[str]]]:
    check_size(offer)
    # Nothing but CR LF may end a line, nor may any other control character be in one.
    if _PRINTABLE.fullmatch(offer) is None:
        raise BadSdp("sdp-malformed", "a control character")
    lines = offer.replace("\r\n", "\n").split("\n")
    if lines[-1] == "":
        lines.pop()
    if len(lines) > MAX_LINES:
        raise BadSdp("sdp-too-large", f"more than {MAX_LINES} lines")
    if max(map(len, lines), default=0) > MAX_LINE:
        raise BadSdp("sdp-too-large", f"a line of more than {MAX_LINE} characters")
    starts = [n for n, line in enumerate(lines) if line.startswith("m=")]
    if not 1 <= len(starts) <= MAX_SECTIONS:
        raise BadSdp("sdp-malformed", f"{len(starts)} media sections")
    ends = [*starts[1:], len(lines)]
    return lines[: starts[0]], [lines[a:b] for a, b in zip(starts, ends, strict=True)]


_Named = list[tuple[str, str]]


def _session(lines: list[str]) -> _Named:
    if lines[:1] != ["v=0"]:
        raise BadSdp("sdp-malformed", "does not begin with v=0")
    return [(name, value) for name, value in _attributes(lines) if name not in _SECTION_ONLY]


def _section(first: str, named: _Named) -> Section:
    if first.startswith("m=application"):
        raise BadSdp("sdp-datachannel", "m=application")
    media = _MEDIA_LINE.fullmatch(first)
    if media is None:
        raise BadSdp("sdp-malformed", "media line")
    formats = [int(pt) for pt in media[2].split()]
    # 64-95 would be taken for RTCP on the same port (RFC 5761).
    if len(set(formats)) != len(formats) or any(64 <= pt <= 95 for pt in formats):
        raise BadSdp("sdp-malformed", "payload types")
    _check_counts(named)
    kind: Track = "audio" if media[1] == "audio" else "video"
    direction = next(one for one in get_args(Direction) if (one, "") in named)
    extensions = [value.split(" ")[:2] for value in _values(named, "extmap")]
    return Section(
        kind,
        _values(named, "mid")[0],
        direction,
        _codecs(formats, named),
        {uri: int(number.split("/")[0]) for number, uri in extensions},
    )


def _attributes(lines: list[str]) -> _Named:
    """The known attributes among these lines as (name, value); everything else is left out."""
    found = []
    for line in lines:
        if not line.startswith("a="):
            continue
        name, _, value = line[2:].partition(":")
        shape = _SHAPES.get(name)
        if shape is None or (name == "group" and not value.startswith("BUNDLE")):
            continue
        if shape.fullmatch(value) is None or (value == "" and ":" in line):
            raise BadSdp("sdp-malformed", f"a={name}")
        found.append((name, value))
    return found


def _values(named: _Named, wanted: str) -> list[str]:
    return [value for name, value in named if name == wanted]


def _check_counts(named: _Named) -> None:
    counts = Counter(name for name, _ in named)
    for name, count in counts.items():
        if count > MAX_PER_SECTION.get(name, MAX_OTHER):
            raise BadSdp("sdp-too-large", f"{count} x a={name} in one section")
    if counts["mid"] != 1 or not counts["rtcp-mux"]:
        raise BadSdp("sdp-malformed", "needs one mid and rtcp-mux")
    if sum(counts[direction] for direction in get_args(Direction)) != 1:
        raise BadSdp("sdp-malformed", "needs one direction")


def _codecs(formats: list[int], named: _Named) -> tuple[Codec, ...]:
    names: dict[int, tuple[str, int]] = {}
    for value in _values(named, "rtpmap"):
        number, _, spelled = value.partition(" ")
        name, clock = spelled.split("/")[:2]
        if int(number) in names or int(number) not in formats:
            raise BadSdp("sdp-malformed", "rtpmap does not fit the media line")
        names[int(number)] = (name.lower(), int(clock))
    parameters: dict[int, dict[str, str]] = {pt: {} for pt in names}
    for value in _values(named, "fmtp"):
        number, _, spelled = value.partition(" ")
        if int(number) not in names:
            raise BadSdp("sdp-malformed", "a=fmtp")
        for one in spelled.split(";"):
            key, _, told = one.strip().partition("=")
            parameters[int(number)][key] = told
    feedback: dict[int, set[str]] = {pt: set() for pt in names}
    for value in _values(named, "rtcp-fb"):
        number, _, told = value.partition(" ")
        for pt in feedback if number == "*" else filter(feedback.__contains__, [int(number)]):
            feedback[pt].add(told)
    return tuple(Codec(pt, *names[pt], parameters[pt], frozenset(feedback[pt])) for pt in formats if pt in names)


def _check_bundle(head: _Named, sections: tuple[Section, ...]) -> None:
    """All media over one transport, and the first section carries it: what every browser offers, and all we run."""
    mids = [section.mid for section in sections]
    groups = [value.split(" ")[1:] for value in _values(head, "group")]
    if len(set(mids)) != len(mids) or groups != [mids]:
        raise BadSdp("sdp-malformed", "every section must be bundled, in order")


def _check_transport(named: _Named) -> None:
    for name in ("ice-ufrag", "ice-pwd", "setup"):
        if len(_values(named, name)) != 1:
            raise BadSdp("sdp-malformed", f"needs one {name}")
    if not 1 <= len(_values(named, "fingerprint")) <= 3:
        raise BadSdp("sdp-malformed", "needs a fingerprint")
