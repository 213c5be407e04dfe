"""XES (IEEE 1849): eventlog/log.xes, one trace a case, for tools that know one kind of case only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from xml.sax.saxutils import quoteattr

from rvr.evaluation.formats import Written
from rvr.evaluation.formats.ocel import time_of
from rvr.evaluation.table_files import new_file

_HEAD = """\
<?xml version="1.0" encoding="UTF-8"?>
<log xes.version="1849-2023" xes.features="" xmlns="http://www.xes-standard.org/">
<extension name="Concept" prefix="concept" uri="http://www.xes-standard.org/concept.xesext"/>
<extension name="Time" prefix="time" uri="http://www.xes-standard.org/time.xesext"/>
<extension name="Organizational" prefix="org" uri="http://www.xes-standard.org/org.xesext"/>
<classifier name="Activity" keys="concept:name"/>
"""


def write(written: Written) -> None:
    """Writes a trace for each case, in the order of events.csv."""
    path = written.folder / "eventlog" / "log.xes"
    path.parent.mkdir(exist_ok=True)
    with new_file(path) as out:
        out.write(_HEAD)
        for case, rows in groupby(written.rows(written.table("events")), key=lambda row: row["case"]):
            out.write(f"<trace>{_string('concept:name', case)}\n")
            for row in rows:
                out.write(f"<event>{''.join(_event(row, relative=written.relative))}</event>\n")
            out.write("</trace>\n")
        out.write("</log>\n")


def _event(row: Mapping[str, str], *, relative: bool) -> Iterator[str]:
    at = time_of(row["at"], relative=relative)
    yield _string("concept:name", row["type"])
    yield f'<date key="time:timestamp" value={quoteattr(at)}/>'
    yield f'<int key="version" value={quoteattr(row["version"])}/>'
    for key, value in (("org:resource", row["by"]), ("org:role", row["by_role"]), ("state", row["state"])):
        if value:
            yield _string(key, value)


def _string(key: str, value: str) -> str:
    return f"<string key={quoteattr(key)} value={quoteattr(value)}/>"
