"""Somebody with a TURN credential, honest or not, in a namespace: one request as JSON on standard input, its answer on
standard output. The client is aioice's.

{"server": [host, port], "transport": "udp"|"tcp"|"tls", "username", "password", "peers": [[host, port], ...],
"count": n, "refresh_after_s": n} -> {"allocated": ["" or the error's number, for each of n], "peers": ["" when it
answered, "silent", or the number of the error], "refreshed": "" or the number of the error}
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import sys
from typing import Any

from aioice import stun, turn

ANSWER_S = 1.5


class Listener(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.heard = asyncio.Event()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.heard.set()


async def allocate(told: dict[str, Any]) -> tuple[Any, Any]:
    context = None
    if told["transport"] == "tls":
        context = ssl.create_default_context(cafile=told["ca"])
    return await turn.create_turn_endpoint(
        Listener,
        tuple(told["server"]),
        told["username"],
        told["password"],
        ssl=context,
        transport="udp" if told["transport"] == "udp" else "tcp",
    )


async def main(told: dict[str, Any]) -> dict[str, Any]:
    allocated: list[str] = []
    peers: list[str] = []
    opened = []
    for _ in range(told.get("count", 1)):
        try:
            opened.append(await allocate(told))
            allocated.append("")
        except stun.TransactionFailed as refused:
            allocated.append(str(refused.response.error_code))
    for host, port in told.get("peers", []) if opened else []:
        transport, listener = opened[0]
        listener.heard.clear()
        inner = transport._TurnTransport__inner_protocol
        try:
            await inner.send_data(b"hello", (host, port))
            await asyncio.wait_for(listener.heard.wait(), ANSWER_S)
            peers.append("")
        except stun.TransactionFailed as refused:
            peers.append(str(refused.response.error_code))
        except TimeoutError:
            peers.append("silent")
    refreshed = ""
    if "refresh_after_s" in told:
        await asyncio.sleep(told["refresh_after_s"])
        request = stun.Message(message_method=stun.Method.REFRESH, message_class=stun.Class.REQUEST)
        request.attributes["LIFETIME"] = 600
        try:
            await opened[0][0]._TurnTransport__inner_protocol.request_with_retry(request)
        except stun.TransactionFailed as refused:
            refreshed = str(refused.response.error_code)
    return {"allocated": allocated, "peers": peers, "refreshed": refreshed}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(main(json.load(sys.stdin)))))
    sys.stdout.flush()
    os._exit(0)  # what was allocated need not be given back one by one
