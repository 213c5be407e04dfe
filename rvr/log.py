"""structlog set-up: JSON lines on standard error, with an allow-list of keys.

A key that is not listed is dropped, so that personal data cannot slip in by a careless keyword. Values are codes, ids,
counts; of an exception its type and the places in the code are written, never its message, which may quote what
somebody typed. What is said while a request is answered has that request's id, which its answer bears, too.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import structlog

ALLOWED = frozenset(
    {
        "event",
        "level",
        "timestamp",
        "logger",
        "case",
        "clock",
        "code",
        "count",
        "error",
        "exception",
        "kind",
        "message_id",
        "method",
        "ms",
        "move",
        "number",
        "person",
        "reasons",
        "request",
        "route",
        "seat",
        "status",
        "worker",
    }
)


def _only_allowed(logger: Any, name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    dropped = sorted(set(event) - ALLOWED)
    kept = {key: value for key, value in event.items() if key in ALLOWED}
    return {**kept, "count": len(dropped), "event": f"{kept.get('event', '')} [keys dropped]"} if dropped else kept


def _places(logger: Any, name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Of an exception: its type, and where in the code it passed."""
    info = event.pop("exc_info", None)
    error = sys.exc_info()[1] if info is True else info[1] if isinstance(info, tuple) else info
    chain = []
    while isinstance(error, BaseException):
        frames = traceback.extract_tb(error.__traceback__)
        passed = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
        chain.append({"type": type(error).__name__, "at": passed})
        error = error.__cause__ or error.__context__
    return {**event, "exception": chain} if chain else event


class _Unquoted(logging.Filter):
    """Libraries put addresses and paths into their messages: of theirs only the fixed text is kept."""

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith("rvr."):
            fixed = isinstance(record.msg, str) and bool(record.args)
            record.msg = record.msg if fixed else f"{Path(record.pathname).name}:{record.lineno} (text withheld)"
            record.args = ()
        return True


def set_up(level: str = "INFO") -> None:
    """Configures logging for the whole process, the standard library's loggers included."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _places,
    ]
    structlog.configure(
        processors=[*shared, _only_allowed, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    formatter = structlog.stdlib.ProcessorFormatter(
        processor=structlog.processors.JSONRenderer(), foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name]
    )
    handler.setFormatter(formatter)
    handler.addFilter(_Unquoted())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    # aiohttp's own access log would write paths; there is none. aioice names addresses at INFO.
    logging.getLogger("aioice").setLevel(logging.ERROR)
    # A lost connection is told by who used it; the driver warns of each pipeline that ended with it as well.
    logging.getLogger("psycopg").setLevel(logging.ERROR)
