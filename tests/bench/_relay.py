"""What aiortc's own `MediaRelay` makes of a call, as a server of its own for `run.py bench media`: every frame is
decoded and encoded anew. Over stdin and stdout, a JSON object a line: {"room", "seat", "offer"} -> {"answer"}.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaRelay

relay = MediaRelay()
rooms: dict[str, dict[str, dict[str, Any]]] = {}


async def join(room: str, seat: str, offer: str) -> str:
    """The seat's answer; as soon as both are there, each is sent the other's tracks."""
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    there = rooms.setdefault(room, {})
    here = there[seat] = {"pc": pc, "tracks": {}}
    pc.on("track", lambda track: here["tracks"].__setitem__(track.kind, track))
    await pc.setRemoteDescription(RTCSessionDescription(offer, "offer"))
    for transceiver in pc.getTransceivers():
        transceiver.direction = "sendrecv"
    if len(there) == 2:
        for one, other in (list(there.values()), list(there.values())[::-1]):
            for transceiver in one["pc"].getTransceivers():
                transceiver.sender.replaceTrack(relay.subscribe(other["tracks"][transceiver.kind]))
    await pc.setLocalDescription(await pc.createAnswer())
    return str(pc.localDescription.sdp)


async def main() -> None:
    lines = asyncio.StreamReader(limit=1 << 20)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        told = json.loads(line)
        sys.stdout.write(json.dumps({"answer": await join(told["room"], told["seat"], told["offer"])}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
