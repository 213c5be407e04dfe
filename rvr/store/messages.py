"""The outbox's rows: messages that are written in the transaction of the event that wants them, and sent later.

Recipient and text are sealed under the case's key. This module sends nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlmodel import Session, col, select

from rvr.store.engine import Connection
from rvr.store.sealing import Sealer, seal_row, unseal_row
from rvr.store.statements import put
from rvr.store.tables import MessageRow


@dataclass(frozen=True, slots=True)
class Message:
    """A message to somebody outside."""

    id: str
    """A random id; the carrier gets it too, so that a repeat is known as one."""
    case_id: str
    kind: str
    """sms, email or webhook."""
    recipient: str
    body: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message with what became of it. Recipient and body are empty once the case's key is destroyed."""

    message: Message
    status: str
    """queued, sent, failed, or dropped with the case's key."""
    attempts: int
    created_at: str
    next_at: str
    sent_at: str


def put_message(connection: Connection, sealer: Sealer, message: Message, at: str) -> None:
    """Queues the message, to be sent at once."""
    key = sealer.key_for(connection, f"case/{message.case_id}")
    content = {"recipient": message.recipient, "body": message.body}
    put(
        connection,
        MessageRow(
            id=message.id,
            case_id=message.case_id,
            kind=message.kind,
            key_id=key.id,
            sealed=seal_row(key, "message", message.id, "sealed", content),
            created_at=at,
            next_at=at,
        ),
    )


def due(session: Session, now: str) -> bool:
    """Whether there is anything to send, or to ask about."""
    waiting = col(MessageRow.status).in_(("queued", "sent"))
    query = select(MessageRow.id).where(waiting, col(MessageRow.next_at) <= now, MessageRow.next_at != "")
    return session.exec(query.limit(1)).first() is not None


def take(connection: Connection, sealer: Sealer, now: str, until: str, limit: int = 20) -> list[Delivery]:
    """Messages to be sent, or asked about, whose time has come, oldest first, kept from every other sender `until`
    then. For the writer.

    A sender that is killed with a message in its hands leaves it to whoever looks next after that.
    """
    rows = connection.execute(
        "SELECT id FROM message WHERE status IN ('queued', 'sent') AND next_at <> '' AND next_at <= :now"
        " ORDER BY next_at, id LIMIT :limit",
        {"now": now, "limit": limit},
    ).fetchall()
    found = []
    for (message_id,) in rows:
        told = {"id": message_id, "until": until}
        connection.execute("UPDATE message SET next_at = :until WHERE id = :id", told)
        found.append(_read(connection, sealer, message_id))
    return found


def latest(session: Session, sealer: Sealer, limit: int = 50) -> list[Delivery]:
    """The newest messages of any status, newest first: the demo's outbox."""
    return _opened(session, sealer, select(MessageRow).order_by(col(MessageRow.created_at).desc()).limit(limit))


@dataclass(frozen=True, slots=True)
class Fared:
    """How the messages of one kind fared, without what is in them."""

    kind: str
    waiting: int = 0
    sent: int = 0
    failed: int = 0
    dropped: int = 0
    """With the key of a case that was erased."""


class Undelivered(NamedTuple):
    """A message that has not gone out, without what is in it or whom it is about."""

    kind: str
    status: str
    """queued or failed."""
    attempts: int
    created_at: str
    next_at: str


def fared(connection: Connection, since: str) -> list[Fared]:
    """How the messages since this UTC time fared, by kind."""
    counted = "SELECT kind, status, count(*) FROM message WHERE created_at >= :since GROUP BY kind, status"
    told: dict[str, dict[str, int]] = {}
    for kind, status, count in connection.execute(counted, {"since": since}).fetchall():
        told.setdefault(kind, {})["waiting" if status == "queued" else status] = count
    return [Fared(kind, **counts) for kind, counts in sorted(told.items())]


def undelivered(connection: Connection, since: str, limit: int = 100) -> list[Undelivered]:
    """Messages since this UTC time that wait or have failed, the newest first."""
    rows = connection.execute(
        "SELECT kind, status, attempts, created_at, next_at FROM message"
        " WHERE created_at >= :since AND status IN ('queued', 'failed') ORDER BY created_at DESC, id LIMIT :limit",
        {"since": since, "limit": limit},
    )
    return [Undelivered(*row) for row in rows.fetchall()]


def attempted(
    connection: Connection, message_id: str, *, status: str, tried: bool = True, next_at: str = "", sent_at: str = ""
) -> None:
    """Notes what came of one attempt, if it was `tried`, or of one question: sent with its time, queued again with the
    next, or failed for good.
    """
    connection.execute(
        "UPDATE message SET attempts = attempts + :tries, status = :status, next_at = :next_at, sent_at = :sent_at"
        " WHERE id = :id",
        {"id": message_id, "tries": int(tried), "status": status, "next_at": next_at, "sent_at": sent_at},
    )


def drop_messages(connection: Connection, case_id: str) -> None:
    """What still waits for this case is never sent, and what is on its way is asked about no more."""
    connection.execute(
        "UPDATE message SET status = CASE status WHEN 'queued' THEN 'dropped' ELSE status END, next_at = ''"
        " WHERE case_id = :case_id AND next_at <> ''",
        {"case_id": case_id},
    )


def _read(connection: Connection, sealer: Sealer, message_id: str) -> Delivery:
    names = list(MessageRow.model_fields)
    query = f"SELECT {', '.join(names)} FROM message WHERE id = :id"  # noqa: S608 (names of ours)
    row = MessageRow(**dict(zip(names, connection.execute(query, {"id": message_id}).fetchone(), strict=True)))
    key = sealer.keys_of(connection, [row.key_id]).get(row.key_id)
    return _delivery(row, unseal_row(key, "message", row.id, "sealed", row.sealed))


def _opened(session: Session, sealer: Sealer, query: Any) -> list[Delivery]:
    rows: list[MessageRow] = list(session.exec(query))
    keys = sealer.keys_of(driver(session), (row.key_id for row in rows))
    return [_delivery(row, unseal_row(keys.get(row.key_id), "message", row.id, "sealed", row.sealed)) for row in rows]


def _delivery(row: MessageRow, content: dict[str, str] | None) -> Delivery:
    told = content or {"recipient": "", "body": ""}
    message = Message(row.id, row.case_id, row.kind, told["recipient"], told["body"])
    return Delivery(message, row.status, row.attempts, row.created_at, row.next_at, row.sent_at)


def driver(session: Session) -> Connection:
    """The driver's own connection below a session, in the session's snapshot."""
    connection: Any = session.connection().connection.driver_connection
    return connection  # type: ignore[no-any-return]
