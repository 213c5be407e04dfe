"""The media plane's contract: who may sit in which room, and what was seen there.

The desk says which rooms it wants and hands over SDP offers; an engine answers them and reports numbered
observations. A room id and a seat id are opaque here: no case, person or address is known on this side.
Implementations: `rvr.media.rooms.Rooms` (embedded worker processes). Nothing in this module imports a media library.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol, get_args

from rvr.core.moment import Moment

Kind = Literal["connected", "first_frame", "two_way", "lost", "resumed", "gone"]

KINDS: Final[frozenset[str]] = frozenset(get_args(Kind))


@dataclass(frozen=True, slots=True)
class Observation:
    """One thing that a worker saw. Kept until acknowledged, offered again until then.

    | kind          | seat | what was seen |
    |---------------|------|---------------|
    | `connected`   | who  | ICE and DTLS are up; with `again`: heard again after `lost` on the same connection |
    | `first_frame` | who  | the first video frame of this connection was decoded |
    | `two_way`     | None | once a room: video of both principal seats was decoded and handed on to the other |
    | `lost`        | who  | was connected; then nothing was heard for `lost_after_s`, or the connection failed |
    | `resumed`     | who  | two-way again after `lost` or `gone`: fresh video both ways; the seat that came back |
    | `gone`        | who  | the connection was ended from this side, or never came up; see `cause` |

    Per room the order is that of the events: no `resumed` without an earlier `two_way`, nothing about a connection
    before its `connected` (but `gone`, when it never came up). `gone` may follow `lost`: the line broke, then it was
    known that the person had left. "Once a room" holds for one start of the engine: anew, it knows nothing of before.
    """

    worker: str
    """The worker's own random id, new at each start of its process: with `number` it names this for ever."""
    number: int
    """1, 2, 3 ... within the worker."""
    room: str
    seat: str | None
    """None for what concerns the whole room."""
    kind: Kind
    moment: Moment
    """Read in the process that saw it, when it saw it."""
    detail: Mapping[str, str] = field(default_factory=dict)
    """Codes only, never an address. `partner`: the other principal seat. `cause`: for `lost` one of `silent`, `failed`,
    `worker_lost`; for `gone` one of `left`, `replaced` (the same seat joined anew), `closed` (the room is no longer
    wanted), `deadline` (never connected). `again`: `yes`."""


class MediaRefused(Exception):
    """This offer cannot be taken. The web layer makes problem+json of it with `http_status`.

    Codes: `sdp-too-large`, `sdp-malformed`, `sdp-datachannel`, `codec` (400); `room-unknown`, `seat-unknown` (404);
    `seat-unsupported` (409, a seat beyond what this engine can connect); `too-many-offers` (429, `retry_after_s`).
    """

    STATUS: Final[Mapping[str, int]] = {
        "room-unknown": 404,
        "seat-unknown": 404,
        "seat-unsupported": 409,
        "too-many-offers": 429,
    }

    def __init__(self, code: str, detail: str = "", *, retry_after_s: int | None = None) -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail
        """For the log and for developers; no person on the desk reads it, and it quotes nothing of the offer."""
        self.retry_after_s = retry_after_s

    @property
    def http_status(self) -> int:
        return self.STATUS.get(self.code, 400)


class MediaUnavailable(Exception):
    """No worker can answer now: 503. Trying again in a second is right."""


@dataclass(frozen=True, slots=True)
class IceServer:
    """One STUN or TURN server for the BROWSERS. Workers never use any (they have a public address, or loopback)."""

    urls: tuple[str, ...]
    username: str | None = None
    credential: str | None = None

    def for_browser(self) -> dict[str, object]:
        """The RTCIceServer dictionary of the W3C API."""
        server: dict[str, object] = {"urls": list(self.urls)}
        if self.username is not None:
            server |= {"username": self.username, "credential": self.credential or ""}
        return server


OnObservation = Callable[[Observation], Awaitable[None]]
"""Called in the main process, in order, one at a time. Raising means "not recorded": the same observation is offered
again with a growing delay, and nothing later is offered before it."""


class MediaEngine(Protocol):
    """What the desk needs of the media plane; the same tests run against every implementation."""

    @property
    def ice_servers(self) -> tuple[IceServer, ...]:
        """What the web layer hands to the browser together with the seat."""

    async def start(self) -> None:
        """Returns when offers can be answered. Raises MediaUnavailable when no worker comes up."""

    async def close(self) -> None:
        """Ends every connection and process. `lost` is still reported while this runs, so the store must be open yet;
        what is not acknowledged at its end is forgotten."""

    async def want(self, rooms: Mapping[str, Collection[str]]) -> None:
        """Reconcile with the complete wanted state: room id -> its seat ids, at most four, the first two principal.

        Rooms no longer wanted are closed (`gone`, cause `closed`); unknown ones are opened, which costs a table entry.
        Idempotent. Also makes the engine offer again every observation that is not yet acknowledged.
        """

    async def join(self, room: str, seat: str, offer: str) -> str:
        """The SDP answer to a browser's offer. A second join replaces the seat's earlier connection.

        Raises MediaRefused or MediaUnavailable.
        """

    async def leave(self, room: str, seat: str) -> None:
        """End this seat's connection; `gone` is seen also when it was only `lost` by then. Idempotent, never raises."""

    async def acknowledge(self, worker: str, number: int) -> None:
        """Everything up to `number` from `worker` is safely recorded and need not be offered again."""


__all__ = [
    "KINDS",
    "IceServer",
    "Kind",
    "MediaEngine",
    "MediaRefused",
    "MediaUnavailable",
    "Observation",
    "OnObservation",
]
