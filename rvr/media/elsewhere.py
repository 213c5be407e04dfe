"""The media plane of a process that runs none: of several processes on one database, another has the rooms."""

from __future__ import annotations

from collections.abc import Mapping

from rvr.media import IceServer, MediaUnavailable, Room, Still


class Elsewhere:
    """Refuses every call, so that a mistaken route is seen at once; keeps nothing."""

    ice_servers: tuple[IceServer, ...] = ()
    receives_apart = False
    workers = (0, 0)

    async def start(self) -> None:
        return

    async def close(self) -> None:
        return

    async def want(self, rooms: Mapping[str, Room]) -> None:
        return

    async def join(self, room: str, seat: str, offer: str) -> str:
        raise MediaUnavailable

    async def receive(self, room: str, seat: str) -> str:
        raise MediaUnavailable

    async def received(self, room: str, seat: str, answer: str) -> None:
        raise MediaUnavailable

    async def leave(self, room: str, seat: str) -> None:
        return

    async def still(self, room: str, seat: str) -> Still:
        raise MediaUnavailable

    async def acknowledge(self, worker: str, number: int) -> None:
        return
