"""structlog set-up: JSON lines on standard error, with an allow-list of keys.

A key that is not listed is dropped, so that personal data cannot slip into a log by a careless keyword. Values are
codes, ids, counts; a traceback is written without local variables.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
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
        "reasons",
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


def set_up(level: str = "INFO") -> None:
    """Configures logging for the whole process, the standard library's loggers included."""
    shared: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
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
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    # aiohttp's own access log would write paths; there is none. aioice names addresses at INFO.
    logging.getLogger("aioice").setLevel(logging.ERROR)
