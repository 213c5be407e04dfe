"""The scripts of a package: how to read its tables in Python, R, SPSS and Stata, and a survival curve to begin with.

Made from the columns that the package describes, so that types and meanings are those of the codebook.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from rvr.evaluation import km
from rvr.evaluation.codebook import Table
from rvr.evaluation.columns import Column

STATA_NAME, STATA_LABEL, SPSS_LABEL = 32, 80, 255
"""How long these may be there."""


def scripts(tables: tuple[Table, ...]) -> Iterator[tuple[str, str]]:
    """(path, text) of each script."""
    yield "scripts/load.py", _python(tables)
    yield "scripts/load.R", _r(tables)
    yield "scripts/load.sps", _spss(tables)
    yield "scripts/load.do", _stata(tables)
    yield "scripts/km.py", Path(km.__file__).read_text(encoding="utf-8")
    yield "scripts/km.R", _KM_R


# --- Python ------------------------------------------------------------------------------------------------------

_PYTHON = '''\
"""The tables of this package with their types: `load("cases")` gives a list of rows, each a dict. Python 3.11 alone;
for pandas: `pandas.DataFrame(load("cases"))`. An empty cell is None, and so is a withheld one that is no text.
"""

import csv
import json
from datetime import date, datetime
from pathlib import Path

PACKAGE = Path(__file__).parents[1]

READ = {
    "string": str,
    "object": json.loads,
    "integer": int,
    "number": float,
    "boolean": {"true": True, "false": False}.__getitem__,
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
}

TABLES = %s


def load(table):
    """The rows of that table."""
    types = TABLES[table]
    with (PACKAGE / "data" / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        return [{name: _value(types[name], text) for name, text in row.items()} for row in csv.DictReader(file)]


def _value(type_, text):
    if not text or (text == "withheld" and type_ != "string"):
        return None
    return READ[type_](text)


if __name__ == "__main__":
    for name in TABLES:
        print(f"{name}: {len(load(name))} rows, {len(TABLES[name])} columns")
'''


def _python(tables: tuple[Table, ...]) -> str:
    types = {table.name: {column.name: column.type for column in table.columns} for table in tables}
    return _PYTHON % json.dumps(types, indent=4)


# --- R -----------------------------------------------------------------------------------------------------------

_R_TYPES = {"integer": "numeric", "number": "numeric", "date": "Date"}

_R = """\
# The tables of this package with their types and labels: data frames of the tables' names. Base R is enough.
# setwd() to the folder of the package first. Times are POSIXct in UTC.
stamp <- function(x) as.POSIXct(x, format = "%Y-%m-%dT%H:%M:%OSZ", tz = "UTC")
truth <- function(x) ifelse(x == "true", TRUE, ifelse(x == "false", FALSE, NA))
load_table <- function(name, classes, times, flags, labels) {
  d <- read.csv(file.path("data", paste0(name, ".csv")), colClasses = classes, na.strings = c("", "withheld"),
                encoding = "UTF-8", check.names = FALSE)
  for (v in times) d[[v]] <- stamp(d[[v]])
  for (v in flags) d[[v]] <- truth(d[[v]])
  for (v in names(labels)) attr(d[[v]], "label") <- labels[[v]]
  d
}
"""


def _r(tables: tuple[Table, ...]) -> str:
    return _R + "".join(_r_table(table) for table in tables)


def _r_table(table: Table) -> str:
    classes = ", ".join(json.dumps(_R_TYPES.get(column.type, "character")) for column in table.columns)
    times = ", ".join(json.dumps(column.name) for column in table.columns if column.type == "datetime")
    flags = ", ".join(json.dumps(column.name) for column in table.columns if column.type == "boolean")
    labels = ",\n  ".join(f"{column.name} = {json.dumps(label(column))}" for column in table.columns)
    return (
        f"{table.name} <- load_table({json.dumps(table.name)},\n  c({classes}),\n  c({times}), c({flags}),\n"
        f"  list({labels}))\n"
    )


def label(column: Column) -> str:
    """What stands beside the name: meaning and unit."""
    return f"{column.meaning} ({column.unit})" if column.unit else column.meaning


_KM_R = """\
# Time from the opening to two-way video: Kaplan-Meier with log-log intervals, and an officer in person as a competing
# event. Needs the package survival, which comes with R. setwd() to the folder of the package, then source this.
library(survival)
source("scripts/load.R")
d <- subset(cases, workflow == "da-desk" & final_state != "voided")
video <- as.numeric(d$two_way_video_at)
person <- as.numeric(d$attended_at)
stop <- ifelse(is.na(d$ended_at), as.numeric(d$censored_at), as.numeric(d$ended_at))
first <- pmin(video, person, na.rm = TRUE)
time <- ifelse(is.na(first), stop, first) - as.numeric(d$received_at)
what <- factor(ifelse(is.na(first), "censored", ifelse(!is.na(video) & video == first, "video", "in person")),
               levels = c("censored", "video", "in person"))
print(survfit(Surv(time, what == "video") ~ 1, conf.type = "log-log"))
print(summary(survfit(Surv(time, what) ~ 1), times = c(180, 600, 3600, 86400), extend = TRUE))
"""

# --- SPSS and Stata ----------------------------------------------------------------------------------------------


_SPSS_WORDS = frozenset(["all", "and", "by", "eq", "ge", "gt", "le", "lt", "ne", "not", "or", "to", "with"])
"""What no variable may be called there."""


def spss_name(column: Column) -> str:
    """What the column is called there."""
    return f"{column.name}_" if column.name in _SPSS_WORDS else column.name


def _spss(tables: tuple[Table, ...]) -> str:
    return "* The tables of this package, each saved as .sav. CD to its folder first.\n" + "".join(
        _spss_table(table) for table in tables
    )


def _spss_table(table: Table) -> str:
    formats = "\n  ".join(f"{spss_name(column)} {_spss_format(column)}" for column in table.columns)
    labels = "\n  /".join(f"{spss_name(column)} {_quoted(label(column), SPSS_LABEL)}" for column in table.columns)
    return (
        f"GET DATA /TYPE=TXT /FILE='{table.path}' /ENCODING='UTF8' /ARRANGEMENT=DELIMITED /DELIMITERS=','\n"
        f"  /QUALIFIER='\"' /FIRSTCASE=2 /VARIABLES=\n  {formats}.\n"
        f"VARIABLE LABELS\n  {labels}.\nSAVE OUTFILE='{table.name}.sav'.\n"
    )


def _spss_format(column: Column) -> str:
    """Times stay text: SPSS reads no ISO 8601 with a Z. DATETIME or the durations beside them are for calculation."""
    numbers = {"integer": "F20.0", "number": "F20.6", "date": "SDATE10"}
    return numbers.get(column.type, "A2000" if column.type == "object" else "A255")


def _quoted(text: str, length: int) -> str:
    return "'" + text[:length].replace("'", "''") + "'"


def _stata(tables: tuple[Table, ...]) -> str:
    lines = ["* The tables of this package, each saved as .dta. cd to its folder first.", "version 14", "clear all"]
    for table in tables:
        lines.append(f'import delimited using "{table.path}", varnames(1) case(preserve) stringcols(_all) clear')
        for column in table.columns:
            name = column.name[:STATA_NAME]
            if column.type in ("integer", "number"):
                lines.append(f'destring {name}, replace ignore("withheld")')
            if column.type == "datetime":
                lines += [f'generate double {name[: STATA_NAME - 2]}_t = clock({name}, "YMD#hms#")']
                lines += [f"format {name[: STATA_NAME - 2]}_t %tcCCYY-NN-DD_HH:MM:SS"]
            lines.append(f'label variable {name} "{_plain(label(column))}"')
        lines.append(f'save "{table.name}.dta", replace')
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    return text.replace('"', "'").replace("`", "'")[:STATA_LABEL]
