"""What of a browser's session description reaches Janus, and what of Janus's answer is needed here. Pure."""

from __future__ import annotations

import re
from typing import Final

from rvr.media import MediaRefused, Track
from rvr.media.embedded import answer, rtp, sdp_gate

KEPT: Final = frozenset(
    {
        *("group", "msid-semantic", "extmap-allow-mixed", "ice-ufrag", "ice-pwd", "ice-options", "fingerprint"),
        *("setup", "mid", "extmap", "sendrecv", "sendonly", "recvonly", "inactive", "msid", "rtcp-mux", "rtcp-rsize"),
        *("rtpmap", "fmtp", "rtcp-fb", "ssrc", "ssrc-group"),
    }
)
"""Without candidates, so that Janus sends nothing to an address that a stranger named; without simulcast, for a call
has one picture of each."""
RTPMAP: Final = re.compile(r"^a=rtpmap:(\d+) (VP8|H264|opus)/(\d+)", re.MULTILINE | re.IGNORECASE)


def checked_offer(offer: str, video: answer.VideoCodec) -> str:
    """The offer as Janus gets it. Raises MediaRefused."""
    try:
        answer.lines(sdp_gate.admit(offer), video)
    except sdp_gate.BadSdp as fault:
        raise MediaRefused(fault.code, fault.detail) from None
    return _filtered(offer)


def checked_answer(sdp: str) -> str:
    """A browser's answer as Janus gets it. Raises MediaRefused."""
    try:
        # The gate knows offers: but for who calls first with DTLS, an answer has their shape.
        sdp_gate.admit(sdp.replace("a=setup:active", "a=setup:actpass"))
    except sdp_gate.BadSdp as fault:
        raise MediaRefused(fault.code, fault.detail) from None
    return _filtered(sdp)


def _filtered(sdp: str) -> str:
    lines = ["v=0", "o=- 0 0 IN IP4 0.0.0.0", "s=-", "t=0 0"]
    for line in sdp.splitlines():
        if line.startswith("m="):
            lines += [re.sub(r"^(m=\w+) \d+", r"\1 9", line), "c=IN IP4 0.0.0.0", "a=rtcp:9 IN IP4 0.0.0.0"]
        elif line.startswith("a=") and line[2:].partition(":")[0] in KEPT:
            lines.append(line)
    return "".join(f"{line}\r\n" for line in lines)


def sent_lines(told: str, mids: dict[Track, str]) -> tuple[answer.Line, ...]:
    """What the browser will send, as Janus's answer has it. `mids`: the sections that Janus takes."""
    found = []
    for section in re.split(r"\r?\n(?=m=)", told)[1:]:
        mid = re.search(r"^a=mid:(\S+)", section, re.MULTILINE)
        for track, wanted in mids.items():
            if mid is not None and mid[1] == wanted and (codec := RTPMAP.search(section)) is not None:
                name = "opus" if track == "audio" else codec[2].upper()
                agreed = answer.Codec(name, int(codec[1]), int(codec[3]))
                found.append(answer.Line(track, wanted, 0, "recvonly", agreed, rtp.Ids(0, 0), 1, 2))
    return tuple(found)
