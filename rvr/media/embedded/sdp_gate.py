"""Stands before the SDP parser: takes a browser's offer, gives back a small, address-free one, or refuses it.

The parser behind it validates by `assert` and is quadratic in places (171 KB froze it for 21 s), so nothing reaches it
but lines whose shape is known here. The gate is linear, raises nothing but `BadSdp`, and does no negotiation.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Final

MAX_BYTES: Final = 32 * 1024
MAX_LINES: Final = 600
MAX_LINE: Final = 1024
MAX_SECTIONS: Final = 6
MAX_PER_SECTION: Final = {"rtpmap": 64, "fmtp": 64, "rtcp-fb": 128, "extmap": 64, "ssrc": 64, "ssrc-group": 16}
"""A Chromium 156 offer has 5,354 bytes, 171 lines, 31 rtpmap and 51 rtcp-fb: twice that has room."""
MAX_OTHER: Final = 8
"""Of any other attribute in one section; browsers write one of each."""

_WORD = r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]{1,64}"
_PT = r"(?:12[0-7]|1[01][0-9]|[1-9]?[0-9])"
_PRINTABLE: Final = re.compile(r"[ -~]*")
_MEDIA_LINE: Final = re.compile(rf"m=(audio|video) [0-9]{{1,5}} UDP/TLS/RTP/SAVPF((?: {_PT}){{1,64}})")
_INTEGERS: Final = frozenset({"apt", "max-fr", "max-fs", "maxplaybackrate", "minptime", "stereo", "useinbandfec"})
"""fmtp parameters that the parser turns into numbers without asking."""

_SHAPES: Final = {
    name: re.compile(shape)
    for name, shape in {
        "group": r"BUNDLE(?: [A-Za-z0-9._-]{1,32}){1,6}",
        "msid-semantic": r" ?WMS(?: [^ ]{1,128}){0,8}",
        "extmap-allow-mixed": r"",
        "ice-ufrag": r"[A-Za-z0-9+/]{4,256}",
        "ice-pwd": r"[A-Za-z0-9+/]{22,256}",
        "ice-options": rf"{_WORD}(?: {_WORD}){{0,7}}",
        "fingerprint": r"sha-(?:1|224|256|384|512) [0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){19,63}",
        "setup": r"actpass|active|passive",
        "mid": r"[A-Za-z0-9._-]{1,32}",
        "extmap": r"(?:[1-9][0-9]{0,2})(?:/(?:sendrecv|sendonly|recvonly|inactive))? [^ ]{1,256}(?: .*)?",
        "sendrecv": r"",
        "sendonly": r"",
        "recvonly": r"",
        "inactive": r"",
        "msid": r"[^ ]{1,128}(?: [^ ]{1,128})?",
        "rtcp": r".*",
        "rtcp-mux": r"",
        "rtcp-rsize": r"",
        "rtpmap": rf"{_PT} [A-Za-z0-9._-]{{1,64}}/[1-9][0-9]{{2,5}}(?:/[1-8])?",
        "fmtp": rf"{_PT} [^ ].*",
        "rtcp-fb": rf"(?:{_PT}|\*) [a-z0-9-]{{1,32}}(?: [^ ].*)?",
        "ssrc": r"[0-9]{1,10} [a-z-]{1,32}:.*",
        "ssrc-group": r"(?:FID|FEC-FR|SIM)(?: [0-9]{1,10}){1,8}",
    }.items()
}
"""Every attribute that is let through, with its shape. All others vanish: `candidate` and `remote-candidates` because
the server would send packets to whatever they name, `end-of-candidates` because then a browser known only by its
connectivity checks is never awaited, `ice-lite` because it changes the roles, `rid` and `simulcast` because the answer
has none and a browser would then send only its smallest layer."""

_SECTION_ONLY: Final = frozenset({"mid", "extmap", "msid", "rtcp", "rtcp-mux", "rtcp-rsize"}) | (
    frozenset(MAX_PER_SECTION) | {"sendrecv", "sendonly", "recvonly", "inactive"}
)
_DIRECTIONS: Final = ("sendrecv", "sendonly", "recvonly", "inactive")


class BadSdp(ValueError):
    """The offer is refused; `code` is one of the contract's `sdp-too-large`, `sdp-malformed`, `sdp-datachannel`."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Admitted:
    """An offer that may reach the parser."""

    text: str
    kinds: tuple[str, ...]
    """The media sections in their order: "audio" or "video"."""


def check_size(offer: str) -> None:
    """The cheap half, for the process that only passes an offer on. Raises BadSdp."""
    if len(offer) > MAX_BYTES:
        raise BadSdp("sdp-too-large", f"more than {MAX_BYTES} bytes")
    if not offer.isascii():
        raise BadSdp("sdp-malformed", "not ASCII")


def admit(offer: str) -> Admitted:
    """The offer without addresses, candidates and unknown attributes. Raises BadSdp, and nothing else."""
    session, sections = _split(offer)
    head = _session(session)
    bodies = [_section(lines) for lines in sections]
    _check_bundle(head, bodies)
    _check_transport(head, bodies)
    text = "".join(f"{line}\r\n" for block in (head, *bodies) for line in block)
    return Admitted(text, tuple(body[0].removeprefix("m=").split(" ")[0] for body in bodies))


def _split(offer: str) -> tuple[list[str], list[list[str]]]:
    check_size(offer)
    lines = [line.removesuffix("\r") for line in offer.split("\n")]
    if lines[-1] == "":
        lines.pop()
    if len(lines) > MAX_LINES:
        raise BadSdp("sdp-too-large", f"more than {MAX_LINES} lines")
    if any(len(line) > MAX_LINE for line in lines):
        raise BadSdp("sdp-too-large", f"a line of more than {MAX_LINE} characters")
    # The parser cuts lines at every character that Unicode calls a break; only CR LF may be one.
    if not all(_PRINTABLE.fullmatch(line) for line in lines):
        raise BadSdp("sdp-malformed", "a control character")
    starts = [n for n, line in enumerate(lines) if line.startswith("m=")]
    if not 1 <= len(starts) <= MAX_SECTIONS:
        raise BadSdp("sdp-malformed", f"{len(starts)} media sections")
    ends = [*starts[1:], len(lines)]
    return lines[: starts[0]], [lines[a:b] for a, b in zip(starts, ends, strict=True)]


def _session(lines: list[str]) -> list[str]:
    if lines[:1] != ["v=0"]:
        raise BadSdp("sdp-malformed", "does not begin with v=0")
    # The origin line holds an address in some browsers; nothing downstream reads it.
    head = ["v=0", "o=- 0 0 IN IP4 0.0.0.0", "s=-", "t=0 0"]
    return head + [line for name, line in _attributes(lines) if name not in _SECTION_ONLY]


def _section(lines: list[str]) -> list[str]:
    if lines[0].startswith("m=application"):
        raise BadSdp("sdp-datachannel", "m=application")
    media = _MEDIA_LINE.fullmatch(lines[0])
    if media is None:
        raise BadSdp("sdp-malformed", "media line")
    formats = media[2].split()
    # 72-76 would be taken for RTCP on the same port (RFC 5761).
    if len(set(formats)) != len(formats) or any(72 <= int(pt) <= 76 for pt in formats):
        raise BadSdp("sdp-malformed", "payload types")
    named = _attributes(lines[1:])
    _check_counts(named)
    _check_codecs(formats, named)
    body = [f"m={media[1]} 9 UDP/TLS/RTP/SAVPF{media[2]}", "c=IN IP4 0.0.0.0"]
    return body + ["a=rtcp:9 IN IP4 0.0.0.0" if name == "rtcp" else line for name, line in named]


def _attributes(lines: list[str]) -> list[tuple[str, str]]:
    """The known attributes among these lines as (name, line); everything else is left out."""
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
        found.append((name, _without_extension_attributes(line) if name == "extmap" else line))
    return found


def _without_extension_attributes(line: str) -> str:
    return " ".join(line.split(" ")[:2])


def _check_counts(named: list[tuple[str, str]]) -> None:
    for name, count in Counter(name for name, _ in named).items():
        if count > MAX_PER_SECTION.get(name, MAX_OTHER):
            raise BadSdp("sdp-too-large", f"{count} x a={name} in one section")
    names = [name for name, _ in named]
    if names.count("mid") != 1 or "rtcp-mux" not in names:
        raise BadSdp("sdp-malformed", "needs one mid and rtcp-mux")
    if sum(names.count(direction) for direction in _DIRECTIONS) != 1:
        raise BadSdp("sdp-malformed", "needs one direction")


def _check_codecs(formats: list[str], named: list[tuple[str, str]]) -> None:
    mapped = [line[9:].split(" ", 1)[0] for name, line in named if name == "rtpmap"]
    if len(set(mapped)) != len(mapped) or not set(mapped) <= set(formats):
        raise BadSdp("sdp-malformed", "rtpmap does not fit the media line")
    for name, line in named:
        if name == "fmtp":
            pt, _, parameters = line[7:].partition(" ")
            if pt not in mapped or not all(map(_is_sane, parameters.split(";"))):
                raise BadSdp("sdp-malformed", "a=fmtp")


def _is_sane(parameter: str) -> bool:
    key, equals, value = parameter.partition("=")
    return key not in _INTEGERS or (bool(equals) and value.isdigit() and len(value) <= 9)


def _check_bundle(head: list[str], bodies: list[list[str]]) -> None:
    """All media over one transport, and the first section carries it: what every browser offers, and all we run."""
    mids = [line[6:] for body in bodies for line in body if line.startswith("a=mid:")]
    groups = [line.split(" ")[1:] for line in head if line.startswith("a=group:BUNDLE")]
    if len(set(mids)) != len(mids) or groups != [mids]:
        raise BadSdp("sdp-malformed", "every section must be bundled, in order")


def _check_transport(head: list[str], bodies: list[list[str]]) -> None:
    for body in bodies:
        lines = head + body
        for name in ("ice-ufrag", "ice-pwd", "setup"):
            if sum(line.startswith(f"a={name}:") for line in lines) != 1:
                raise BadSdp("sdp-malformed", f"needs one {name}")
        if not 1 <= sum(line.startswith("a=fingerprint:") for line in lines) <= 3:
            raise BadSdp("sdp-malformed", "needs a fingerprint")
