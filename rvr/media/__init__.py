"""The media plane's contract: who may sit in which room, and what was seen there.

The desk says which rooms it wants, who may be seen and heard there and what is recorded; only offers, leaves and
stills are acts. An engine answers them and reports numbered observations. A room id and a seat id are opaque here: no
case, person or address is known on this side.
Implementations: `rvr.media.rooms.Rooms` (embedded worker processes). Nothing in this module imports a media library.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol, get_args

from rvr.core.moment import Moment

Kind = Literal["connected", "first_frame", "two_way", "lost", "resumed", "gone", "quality", "recording"]

KINDS: Final[frozenset[str]] = frozenset(get_args(Kind))

Track = Literal["audio", "video"]

MAX_SEATS: Final = 4
"""Two principal seats and two guests: what one screen shows and one offer of fixed slots carries."""
RECORDING_KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Seat:
    """One person's place in a room."""

    id: str
    admitted: bool = True
    """False: may connect and is held. Nothing passes to or from it: a guest before the victim agreed, or on hold."""
    muted: frozenset[Track] = frozenset()
    """Not passed on, whatever the browser sends."""


@dataclass(frozen=True, slots=True)
class Recording:
    """What is to be recorded in a room, as long as it is wanted. Raises ValueError for a key of another length."""

    id: str
    """Opaque; names its files."""
    key: bytes = field(repr=False)
    """32 bytes, of this recording alone."""
    seats: frozenset[str] = frozenset()
    """Those who consented: only their packets are written."""

    def __post_init__(self) -> None:
        if len(self.key) != RECORDING_KEY_BYTES:
            raise ValueError(f"a recording's key has {RECORDING_KEY_BYTES} bytes")


@dataclass(frozen=True, slots=True)
class Room:
    """What one room is wanted to be. Raises ValueError for more than four seats, or one twice."""

    seats: tuple[Seat, ...]
    """The first two are principal: `two_way` is theirs. A guest's place in this order stays the guest's."""
    recording: Recording | None = None

    def __post_init__(self) -> None:
        if len(self.seats) > MAX_SEATS:
            raise ValueError(f"a room has {len(self.seats)} seats; {MAX_SEATS} is the most")
        if len({seat.id for seat in self.seats}) != len(self.seats):
            raise ValueError("a seat stands twice in a room")

    def seat(self, name: str) -> Seat | None:
        return next((seat for seat in self.seats if seat.id == name), None)


@dataclass(frozen=True, slots=True)
class Observation:
    """One thing that a worker saw. Kept until acknowledged, offered again until then.

    | kind          | seat | what was seen |
    |---------------|------|---------------|
    | `connected`   | who  | ICE and DTLS are up; with `again`: heard again after `lost` on the same connection |
    | `first_frame` | who  | the first video frame of this connection was decoded |
    | `two_way`     | None | once a room: video of both principal seats was decoded and handed on to the other |
    | `quality`     | who  | every ten seconds of a connection and at its end: how its media fared |
    | `recording`   | None | a recording began, sealed a block, stopped or failed |
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
    wanted), `deadline` and `failed` (it never came up). `again`: `yes`. `picture`, in `first_frame`: `blank` for one
    even tone, as of a covered lens; `picture:<seat>` says the same in `two_way`, where `first:<seat>` is when that
    principal seat's first frame was decoded (ISO 8601). In `quality`: `up_kbps`, `down_kbps`, `up_loss_pct`,
    `down_loss_pct`, `rtt_ms` (when known), `width`, `height`, `fps`, `freezes`, `nacks`, `plis`, `seconds`; up is from
    this seat, `nacks` and `plis` what was asked of it. In `recording`: `recording` (its id), `state` (`started`,
    `block`, `stopped`, `failed`), `seat`, `part`, `n`, `bytes`, `sha256` (head of the chain), `audio`, `video`
    (packets), `cause`."""


class MediaRefused(Exception):
    """This offer cannot be taken. The web layer makes problem+json of it with `http_status`.

    Codes: `sdp-too-large`, `sdp-malformed`, `sdp-datachannel`, `codec` (400); `room-unknown`, `seat-unknown` (404);
    `no-picture` (409, there is no still of a seat that sends no video); `too-many-offers` (429, `retry_after_s`).
    """

    STATUS: Final[Mapping[str, int]] = {
        "room-unknown": 404,
        "seat-unknown": 404,
        "no-picture": 409,
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
class Still:
    """One picture of one seat, as its camera sent it."""

    jpeg: bytes
    width: int
    """In pixels, as `height`."""
    height: int
    moment: Moment
    """When the last packet of its frame arrived."""


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

    @property
    def workers(self) -> tuple[int, int]:
        """How many worker processes answer, and how many are wanted."""

    async def start(self) -> None:
        """Returns when offers can be answered. Raises MediaUnavailable when no worker comes up."""

    async def close(self) -> None:
        """Ends every connection and process. `lost` is still reported while this runs, so the store must be open yet;
        what is not acknowledged at its end is forgotten."""

    async def want(self, rooms: Mapping[str, Room]) -> None:
        """Reconcile with the complete wanted state, by room id: opens and closes, admits, holds, mutes, records.

        Rooms no longer wanted are closed (`gone`, cause `closed`); unknown ones are opened, which costs a table entry.
        Idempotent. Also makes the engine offer again every observation that is not yet acknowledged.
        """

    async def join(self, room: str, seat: str, offer: str) -> str:
        """The SDP answer to a browser's offer. A second join replaces the seat's earlier connection.

        Raises MediaRefused or MediaUnavailable.
        """

    @property
    def receives_apart(self) -> bool:
        """Whether a browser that has joined must ask for what it receives: a second exchange, in which the engine
        makes the offer (`receive`, `received`). False: the answer to `join` carries both ways."""

    async def receive(self, room: str, seat: str) -> str:
        """An SDP offer of what this seat receives; again replaces the earlier. Only where the engine `receives_apart`.

        Raises MediaRefused, or MediaUnavailable when the seat has not joined.
        """

    async def received(self, room: str, seat: str, answer: str) -> None:
        """The browser's answer to `receive`. Raises as `receive` does."""

    async def leave(self, room: str, seat: str) -> None:
        """End this seat's connection; `gone` is seen also when it was only `lost` by then. Idempotent, never raises."""

    async def still(self, room: str, seat: str) -> Still:
        """The seat's picture now: one key frame is asked for and decoded, in full resolution.

        Raises MediaRefused (`no-picture`, `room-unknown`, `seat-unknown`) or MediaUnavailable.
        """

    async def acknowledge(self, worker: str, number: int) -> None:
        """Everything up to `number` from `worker` is safely recorded and need not be offered again."""


__all__ = [
    "KINDS",
    "MAX_SEATS",
    "IceServer",
    "Kind",
    "MediaEngine",
    "MediaRefused",
    "MediaUnavailable",
    "Observation",
    "OnObservation",
    "Recording",
    "Room",
    "Seat",
    "Still",
    "Track",
]
