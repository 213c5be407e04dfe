"""The figures of cases.csv and clocks.csv, worked out again from events.csv alone.

Written from the package's README and codebook, for whoever does not trust the program that made it: it uses the
standard library's csv and datetime, and nothing of RVR.
"""

import csv
from datetime import datetime, timedelta
from pathlib import Path

TEN_MINUTES, A_DAY = timedelta(minutes=10), timedelta(hours=24)
LIVE = ("video", "audio")


def read(path):
    with Path(path).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def time(text):
    return datetime.fromisoformat(text)


def in_seconds(duration):
    """Seconds with six decimals, from whole microseconds."""
    microseconds = duration // timedelta(microseconds=1)
    whole, part = divmod(abs(microseconds), 1_000_000)
    return f"{'-' if microseconds < 0 else ''}{whole}.{part:06d}"


def by_case(rows):
    cases = {}
    for row in sorted(rows, key=lambda row: int(row["version"])):
        cases.setdefault(row["case"], []).append(row)
    return cases


def cases(rows):
    """{case: {column: text}} for every duration and every within column."""
    cut = max(time(row["recorded_at"]) for row in rows)
    return {case: figures(log, cut) for case, log in by_case(rows).items()}


def figures(log, cut):
    def of(*types):
        return [row for row in log if row["type"] in types]

    def first(found):
        return time(found[0]["at"]) if found else None

    def up_to(found, other):
        return [row for row in found if not other or int(row["version"]) < int(other[0]["version"])]

    def since(found, other):
        return [row for row in found if not other or int(row["version"]) > int(other["version"])]

    opened = first(of("CaseOpened"))
    stated = [row for row in of("CallAnswered") if row["stated_at"]]
    answered = time(stated[-1]["stated_at"]) if stated else None
    offers, accepted = of("HandoverOffered"), of("HandoverAccepted")
    offer = (up_to(offers, accepted) or [None])[-1]
    contact = [row for row in of("OfficerContactStarted") if row["mode"] in LIVE]
    response = [row for row in log if row in contact or row["type"] == "OfficerAttended"]
    requests = of("DeploymentRequested", "HandoverDiverted")
    two_way = of("TwoWayVideoStarted")
    reopened = (of("CaseReopened") or [None])[-1]
    decided = since(of("CaseAllocated", "CaseFiled"), reopened)
    ended = since(of("CaseClosed", "CaseVoided"), reopened)

    ends = {
        "handover_s": (time(offer["at"]) if offer else None, first(accepted)),
        "handover_from_first_offer_s": (first(offers), first(accepted)),
        "transfer_s": (opened, first(contact)),
        "transfer_from_answer_s": (answered, first(contact)),
        "answer_to_open_s": (answered, opened),
        "response_s": (opened, first(response)),
        "link_opened_s": (first(of("LinkSent")), first(of("LinkOpened"))),
        "session_s": (first(two_way), first(since(of("SessionEnded"), two_way[0])) if two_way else None),
        "deployment_s": (
            first(requests),
            first(since(of("OfficerAttended"), requests[0])) if requests else None,
        ),
        "decision_s": (opened, time(decided[-1]["at"]) if decided else None),
    }
    followed = min(cut, time(ended[-1]["at"])) if ended else cut
    limits = {
        "transfer_within_10_min_from_answer": ("transfer_from_answer_s", TEN_MINUTES),
        "transfer_within_10_min_from_open": ("transfer_s", TEN_MINUTES),
        "within_24_h": ("response_s", A_DAY),
        "handover_within_target": ("handover_s", target_of("handover", offer)),
    }
    told = {name: in_seconds(end - start) if start and end else "" for name, (start, end) in ends.items()}
    return told | {name: within(*ends[interval], limit, followed) for name, (interval, limit) in limits.items()}


def target_of(clock, row):
    """The target of the clock that this event started."""
    for started in (row or {}).get("clocks_started", "").split(";"):
        name, _, rest = started.partition(":")
        if name == clock:
            return timedelta(seconds=int(rest.partition(":")[2]))
    return None


def within(start, end, limit, followed):
    if start is None or limit is None:
        return ""
    if end is not None:
        return "true" if end - start <= limit else "false"
    return "false" if followed - start > limit else ""


def clocks(rows):
    """{(case, clock, run): {column: text}} for every run of a clock."""
    runs = {}
    for case, log in by_case(rows).items():
        for row in log:
            for started in filter(None, row["clocks_started"].split(";")):
                clock, run, target_s = started.split(":")
                runs[case, clock, run] = {
                    "started_at": row["at"],
                    "started_by": row["type"],
                    "target_s": target_s,
                    "stopped_at": "",
                    "stopped_by": "",
                    "elapsed_s": "",
                    "verdict": "",
                    "ran_out_due_at": "",
                    "ran_out_at": "",
                    "lateness_s": "",
                    "censored": "true",
                }
            for stopped in filter(None, row["clocks_stopped"].split(";")):
                clock, run, verdict = stopped.split(":")
                found = runs[case, clock, run]
                found |= {"stopped_at": row["at"], "stopped_by": row["type"], "verdict": verdict, "censored": "false"}
                found["elapsed_s"] = in_seconds(time(row["at"]) - time(found["started_at"]))
            if row["type"] == "ClockRanOut":
                found = runs[case, row["clock"], row["run"]]
                if not found["ran_out_at"] and int(row["after_s"]) >= int(found["target_s"]):
                    late = in_seconds(time(row["at"]) - time(row["due_at"]))
                    found |= {"ran_out_due_at": row["due_at"], "ran_out_at": row["at"], "lateness_s": late}
    return runs
