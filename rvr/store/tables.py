"""The tables, as SQLModel classes for reads and migrations. `statements` fills them.

Times are text as `core.moment.iso` writes them (they sort as they stand); empty means "did not happen". The event
table is the truth; the tables called `..._row`, but for `link_row`, are made from it and can be made again. No column
but those called `sealed` may hold anything that names, locates or quotes a person, except the accounts of staff.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from itertools import pairwise
from typing import Any, TypeVar

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    TypeDecorator,
    UniqueConstraint,
    and_,
    or_,
    true,
)
from sqlmodel import Field, Session, SQLModel, select

from rvr.store.ledger import canonical

METADATA = SQLModel.metadata

NUMBER = Integer().with_variant(BigInteger(), "postgresql")
"""SQLite's INTEGER holds 64 bits; PostgreSQL's 32, and a boot clock counts nanoseconds."""


class _Text(TypeDecorator[Any]):
    """JSON as the text that was written, on every engine: a server's own JSON types would write it another way."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> str:
        return canonical(value).decode()

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        return json.loads(value)


TOLD = JSON().with_variant(_Text(), "postgresql")


class EventRow(SQLModel, table=True):
    """One event of the timing log. `public` holds the whole envelope; the columns beside it serve queries only."""

    __tablename__ = "event"
    __table_args__ = (
        UniqueConstraint("stream", "version", name="event_stream_version"),
        UniqueConstraint("event_id", name="event_event_id"),
        Index("event_type_observed_at", "type", "observed_at"),
        {"sqlite_autoincrement": True},
    )

    position: int | None = Field(default=None, sa_column=Column(NUMBER, primary_key=True))
    """Global feed position: dense, and in the order of the commits."""
    stream: str
    version: int = Field(sa_type=NUMBER)
    event_id: str
    type: str
    observed_at: str
    recorded_at: str
    public: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    salt1: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    salt2: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    previous: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class CheckpointRow(SQLModel, table=True):
    """A signed head of the Merkle tree over the events by position (see `checkpoints`)."""

    __tablename__ = "checkpoint"

    size: int = Field(sa_column=Column(NUMBER, primary_key=True, autoincrement=False))
    """How many events it covers: those up to this position."""
    root: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    at: str
    note: str
    """The whole signed note (C2SP tlog-checkpoint)."""


class AnchorRow(SQLModel, table=True):
    """A head of the log that somebody outside the desk knows of (see `anchors`)."""

    __tablename__ = "anchor"
    __table_args__ = (Index("anchor_kind_size", "kind", "size"),)

    kind: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    subject: str = Field(primary_key=True)
    size: int = Field(sa_type=NUMBER)
    at: str
    proof: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class CommandRow(SQLModel, table=True):
    """A command that was carried out, so that the same one again gives the same answer."""

    __tablename__ = "command"

    person: str = Field(primary_key=True)
    command_id: str = Field(primary_key=True)
    body_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    recorded_at: str
    writes: list[list[Any]] = Field(sa_column=Column(TOLD, nullable=False))
    """[stream, its version afterwards], for each stream that it wrote."""
    result: dict[str, Any] = Field(sa_column=Column(TOLD, nullable=False))


class DataKeyRow(SQLModel, table=True):
    """A data key, wrapped. An empty `wrapped` is a destroyed one."""

    __tablename__ = "data_key"
    __table_args__ = (Index("data_key_scope", "scope"),)

    key_id: str = Field(primary_key=True)
    scope: str
    master_id: str
    wrapped: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class CaseRow(SQLModel, table=True):
    """A case as boards, the ticker and the media plane look for it."""

    __tablename__ = "case_row"
    __table_args__ = (
        UniqueConstraint("reference", name="case_row_reference"),
        Index("case_row_state_updated", "state", "updated_position"),
        Index("case_row_waiting", "state", "officer", "arm", "id"),
        Index("case_row_session", "session"),
        Index("case_row_session_open", "session_open"),
        Index("case_row_victim_id", "victim_id"),
        Index("case_row_suspect_id", "suspect_id"),
    )

    id: str = Field(primary_key=True)
    reference: str
    workflow: str
    definition: str
    state: str
    version: int = Field(sa_type=NUMBER)
    opened_at: str
    opened_by: str
    arm: str
    """Of a trial: drawn, not set aside, and nothing offered yet; empty otherwise."""
    sergeant: str
    officer: str
    emergency: bool
    session: str
    """Id of the last video session and its room; empty before the first."""
    victim_seat: str
    officer_seat: str
    session_open: bool
    """Whether the media plane is to keep the room."""
    presence: str
    """Where the victim is, in one word (`core.presence`)."""
    seats: list[list[Any]] = Field(sa_column=Column(TOLD, nullable=False))
    """[seat, whether anything passes to and from it] of each in the room, in the room's order."""
    guests: list[dict[str, str]] = Field(sa_column=Column(TOLD, nullable=False))
    """{guest, seat, person, partner} of each guest who has a seat."""
    risk_level: str
    response_grade: str
    decision: str
    team: str
    lpa: str
    channel: str
    updated_position: int = Field(sa_type=NUMBER)
    clocks: list[dict[str, Any]] = Field(sa_column=Column(TOLD, nullable=False))
    """{clock, run, started_at, target_s, due: [[after_s, at], ...], ends_at, paused} of each running clock."""
    victim_id: str
    suspect_id: str
    """Random ids, each case's own until a person confirms that it is somebody of an earlier case."""
    marac: bool
    """Whether it was referred to a MARAC."""
    conflicts: list[str] = Field(sa_column=Column(TOLD, nullable=False))
    """Members of staff with a conflict of interest."""


class GlassRow(SQLModel, table=True):
    """Somebody looks at a case outside the own ones, for a reason that is in its log, until then."""

    __tablename__ = "glass_row"

    person: str = Field(primary_key=True)
    case_id: str = Field(primary_key=True)
    until: str


class ClockRow(SQLModel, table=True):
    """A threshold that has still to fire."""

    __tablename__ = "clock_row"
    __table_args__ = (Index("clock_row_due_at", "due_at"),)

    case_id: str = Field(primary_key=True)
    clock: str = Field(primary_key=True)
    run: int = Field(primary_key=True, sa_type=NUMBER)
    after_s: int = Field(primary_key=True, sa_type=NUMBER)
    due_at: str
    started_at: str
    boot: str
    boottime_ns: int = Field(sa_type=NUMBER)


class OfficerRow(SQLModel, table=True):
    """An officer's duty, and the live case."""

    __tablename__ = "officer_row"

    id: str = Field(primary_key=True)
    version: int = Field(sa_type=NUMBER)
    status: str
    case_id: str


class IdentityRow(SQLModel, table=True):
    """One key by which a victim, a suspect or a case is recognised: its blind index, never its text (`identities`)."""

    __tablename__ = "identity_row"
    __table_args__ = (Index("identity_row_digest", "digest"),)

    stream: str = Field(primary_key=True)
    """case/<id> or order/<id>: where the person is named."""
    role: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    digest: bytes = Field(sa_column=Column(LargeBinary, primary_key=True, nullable=False))
    person_id: str
    """The case's id of the person; empty for an order, and for a key of the case itself."""


class OrderRow(SQLModel, table=True):
    """A civil order, as far as it is no personal data; the rest stays in its stream."""

    __tablename__ = "order_row"

    id: str = Field(primary_key=True)
    version: int = Field(sa_type=NUMBER)
    kind: str
    lpa: str
    neighbourhood: str
    starts: str
    ends: str
    ended_because: str


class LinkRow(SQLModel, table=True):
    """A one-time join link. Its token and its code are nowhere, only their hashes."""

    __tablename__ = "link_row"
    __table_args__ = (UniqueConstraint("token_hash", name="link_row_token_hash"), Index("link_row_case_id", "case_id"))

    id: str = Field(primary_key=True)
    case_id: str
    seat: str
    token_hash: str
    """SHA-256 of the token, in hex."""
    expires_at: str
    code_hash: str = ""
    revoked_at: str = ""
    browser_hash: str = ""
    """Hash of the cookie of the browser that it is bound to."""
    bound_at: str = ""
    guest: str = ""
    """Id of the guest whom it is for; empty for the victim's."""
    purpose: str = ""
    """`feedback`: it leads to a few questions, and into no call."""


class MessageRow(SQLModel, table=True):
    """A message that waits in the outbox, or went out. Recipient and text are sealed under the case's key."""

    __tablename__ = "message"
    __table_args__ = (
        Index("message_status_next_at", "status", "next_at"),
        Index("message_created", "created_at", "kind", "status"),
    )

    id: str = Field(primary_key=True)
    case_id: str
    kind: str
    key_id: str
    sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    created_at: str
    status: str = "queued"
    """queued, sent, failed, or dropped with the case's key; sent with a `next_at`: it is asked then what became of
    it."""
    attempts: int = Field(default=0, sa_type=NUMBER)
    next_at: str = ""
    sent_at: str = ""


class AccountRow(SQLModel, table=True):
    """A member of staff who may sign in."""

    __tablename__ = "account"
    __table_args__ = (
        UniqueConstraint("username", name="account_username"),
        Index("account_provider_key", "provider_key"),
    )

    id: str = Field(primary_key=True)
    username: str
    name: str
    roles: list[str] = Field(sa_column=Column(TOLD, nullable=False))
    password_hash: str
    disabled: bool = False
    units: list[str] = Field(default_factory=list, sa_column=Column(TOLD, nullable=False))
    """Ids of the teams and partner organisations that the person belongs to."""
    factor_key: str = ""
    """The data key of the scope `account/<id>` that seals what follows."""
    factor: bytes = Field(default=b"", sa_column=Column(LargeBinary, nullable=False))
    """The secret of the second factor, sealed; empty: there is none."""
    factor_step: int = Field(default=0, sa_type=NUMBER)
    """The last step of it that was used: none is good twice."""
    provider_key: str = ""
    """By what an identity provider knows the person: issuer and key within it; empty for a local account."""


class SigninRow(SQLModel, table=True):
    """A sign-in that has not ended. Its token is nowhere, only its hash."""

    __tablename__ = "signin"

    token_hash: str = Field(primary_key=True)
    person: str = Field(sa_column=Column(String, ForeignKey("account.id", name="signin_person"), nullable=False))
    csrf: str
    created_at: str
    seen_at: str
    expires_at: str
    proved_at: str = ""
    """When the person last proved who it is: at sign-in, or when asked again."""
    how: str = ""
    """password, passkey or provider."""


class TryRow(SQLModel, table=True):
    """One try to sign in of the last minute."""

    __tablename__ = "sign_in_try"
    __table_args__ = (
        Index("sign_in_try_pair", "pair", "at"),
        Index("sign_in_try_address", "address", "at"),
        Index("sign_in_try_at", "at"),
    )

    id: str = Field(primary_key=True)
    pair: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    """Keyed hash of address and user name."""
    address: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    """Keyed hash of the address; empty: of this machine."""
    at: str


class PasskeyRow(SQLModel, table=True):
    """A passkey of a local account: its public half."""

    __tablename__ = "passkey"

    id: str = Field(primary_key=True)
    """The credential's id, base64url."""
    person: str = Field(sa_column=Column(String, ForeignKey("account.id", name="passkey_person"), nullable=False))
    name: str
    """What its owner calls it."""
    public_key: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    uses: int = Field(default=0, sa_type=NUMBER)
    """What the authenticator counts; many count nothing."""
    challenge: int = Field(default=0, sa_type=NUMBER)
    """When the last challenge that it answered was made, in microseconds: none is good twice."""
    created_at: str
    used_at: str = ""


class AccessRow(SQLModel, table=True):
    """One row of the access log (see `access`)."""

    __tablename__ = "access"
    __table_args__ = (
        Index("access_signin", "signin", "case_id", "what", "at"),
        Index("access_at", "at", "seq"),
        *(Index(f"access_{name}_at", name, "at", "seq") for name in ("person", "case_id", "category")),
        {"sqlite_autoincrement": True},
    )

    seq: int | None = Field(default=None, sa_column=Column(NUMBER, primary_key=True))
    at: str
    person: str
    role: str
    category: str
    case_id: str | None = None
    what: str
    reason: str
    recipient: str
    signin: str
    salt: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    previous: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class SettingRow(SQLModel, table=True):
    """A fact about the store itself."""

    __tablename__ = "setting"

    key: str = Field(primary_key=True)
    value: str


R = TypeVar("R", bound=SQLModel)


def every(session: Session, kind: type[R], *where: Any) -> list[R]:
    """The rows that meet the conditions."""
    return list(session.exec(select(kind).where(*where)))


def none_of(column: Any, values: Collection[str]) -> Any:
    """That the column is none of these, as the ranges between them: an index finds those, and for NOT IN every row is
    read, also those of a million closed cases.
    """
    ends = sorted(values)
    between = [and_(column > low, column < high) for low, high in pairwise(ends)]
    return or_(column < ends[0], *between, column > ends[-1]) if ends else true()
