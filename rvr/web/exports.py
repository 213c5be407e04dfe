"""The data package, over HTTP."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web

from rvr.core.errors import BadInput, Reason, Unavailable
from rvr.core.moment import parse_iso
from rvr.evaluation import package
from rvr.evaluation.formats import FORMATS
from rvr.evaluation.leaving_times import AS_RECORDED, WAYS
from rvr.evaluation.pseudonyms import CannotExport
from rvr.web import api, auth
from rvr.web.context import DESK, SETTINGS, SIGNED_IN

MOST_EVENTS = 100_000
"""So many of them take 150 MiB as a file for SPSS or Stata (docs/MEASURED.md), in the process that holds the calls:
three weeks of a large force. More is the terminal's, in a process of its own."""

log = structlog.get_logger()


async def make_export(request: web.Request) -> web.StreamResponse:
    """The evaluator's data package as a zip. A disclosure: written into the access log before it leaves."""
    given: Mapping[str, Any] = (
        await api.body_of(request) if request.content_type == "application/json" else dict(await auth.form_of(request))
    )
    start, end = (time_of(given, name) for name in ("from", "to"))
    times, also = _way(given), _formats(given)
    signed = request[SIGNED_IN]
    with tempfile.TemporaryDirectory(prefix="rvr-export-") as folder:
        out = Path(folder) / "rvr-export.zip"
        key = request.app[SETTINGS].project_key_path
        try:
            store = request.app[DESK].store
            most = MOST_EVENTS
            await package.export(store, out, project_key=key, from_=start, to=end, times=times, also=also, most=most)
        except CannotExport as fault:
            raise _not_exported(fault) from None
        await auth.note(request, "disclosure", "export", to=signed.username)
        response = web.StreamResponse()
        response.content_type = "application/zip"
        response.headers["Content-Disposition"] = 'attachment; filename="rvr-export.zip"'
        response.content_length = (await asyncio.to_thread(out.stat)).st_size
        await response.prepare(request)
        with out.open("rb") as file:
            while chunk := await asyncio.to_thread(file.read, 1 << 18):
                await response.write(chunk)
        await response.write_eof()
        return response


def _not_exported(fault: CannotExport) -> Unavailable:
    """The message names files of the machine: that is for its operator, the code for whoever asked."""
    log.error("export_refused", code=fault.code or "package", error=str(fault))
    reason = Reason("export-unsigned", {"code": f"log-{fault.code}"}) if fault.code else Reason("export-not-made")
    return Unavailable(reason)


def _way(given: Mapping[str, Any]) -> str:
    way = given.get("times", AS_RECORDED)
    if way not in WAYS:
        raise BadInput(Reason("body-field", {"name": "times"}, "times"))
    return str(way)


def _formats(given: Mapping[str, Any]) -> list[str]:
    """As a list in JSON, as a field each (`format_xes`) in a form."""
    listed = given.get("formats", [name for name in FORMATS if given.get(f"format_{name}")])
    if not isinstance(listed, list) or not set(map(str, listed)) <= {"csv", *FORMATS}:
        raise BadInput(Reason("body-field", {"name": "formats"}, "formats"))
    return [name for name in listed if name != "csv"]


def time_of(given: Mapping[str, Any], name: str) -> datetime | None:
    """A time or a day that was sent, if one was. Raises BadInput for what is neither."""
    raw = given.get(name)
    if raw in (None, ""):
        return None
    try:
        return parse_iso(str(raw) if "T" in str(raw) else f"{raw}T00:00:00Z")
    except ValueError:
        raise BadInput(Reason("not-a-time", {"label": name}, name)) from None
