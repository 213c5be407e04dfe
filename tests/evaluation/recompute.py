"""The figures of the package, worked out again from events.csv alone; and from the definitions what only they tell: the
force's hours, where a clock does not count every second, and the named sets of outcomes.

Written from the package's README and codebook, for whoever does not trust the program that made it: it uses the
standard library, and nothing of RVR.
"""

import csv
import json
import tomllib
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

TEN_MINUTES, A_DAY, A_MINUTE = timedelta(minutes=10), timedelta(hours=24), timedelta(minutes=1)
TWELVE_MONTHS = timedelta(days=365)
LIVE = ("video", "audio")


def read(path):
    with Path(path).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def head(path):
    with Path(path).open(newline="", encoding="utf-8") as file:
        return next(csv.reader(file))


def time(text):
    return datetime.fromisoformat(text)


def between(start, end):
    """From one row to another: by the clock that never steps where one machine saw both."""
    if start["machine"] and start["machine"] == end["machine"]:
        return timedelta(microseconds=int(end["boottime_us"]) - int(start["boottime_us"]))
    return time(end["at"]) - time(start["at"])


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
    """{case: {column: text}} for every duration, every within column, and what else takes more than one event."""
    cut = max(time(row["recorded_at"]) for row in rows)
    logs = by_case(rows)
    before = prior_reports(logs)
    return {case: figures(log, cut) | people(log) | {"prior_reports_12m": before[case]} for case, log in logs.items()}


def people(log):
    """The victim and the suspect as somebody last confirmed them."""
    found = {"victim": log[0]["victim_id"], "suspect": log[0]["suspect_id"]}
    for row in log:
        if row["type"] == "PersonMatched" and row["role"] in found:
            found[row["role"]] = row["person"]
    return found


def prior_reports(logs):
    """{case: how many cases of its victim stand before it}, none of them voided or more than twelve months older."""
    found, reports = {}, []
    for case, log in logs.items():
        victim, opened = people(log)["victim"], time(log[0]["at"])
        found[case] = str(sum(who == victim and opened - at <= TWELVE_MONTHS for who, at in reports))
        if log[-1]["state"] != "voided":
            reports.append((victim, opened))
    return found


def figures(log, cut):
    def of(*types):
        return [row for row in log if row["type"] in types]

    def first(found):
        return found[0] if found else None

    def up_to(found, other):
        return [row for row in found if not other or int(row["version"]) < int(other[0]["version"])]

    def since(found, other):
        return [row for row in found if not other or int(row["version"]) > int(other["version"])]

    opened = first(of("CaseOpened"))
    stated = [row for row in of("CallAnswered") if row["stated_at"]]
    answered = {"at": stated[-1]["stated_at"], "machine": ""} if stated else None
    offers, accepted = of("HandoverOffered"), of("HandoverAccepted")
    offer = (up_to(offers, accepted) or [None])[-1]
    contact = [row for row in of("OfficerContactStarted") if row["mode"] in LIVE]
    response = [row for row in log if row in contact or row["type"] == "OfficerAttended"]
    requests = of("DeploymentRequested", "HandoverDiverted")
    two_way = of("TwoWayVideoStarted")
    undone = (of("CaseReopened", "AllocationRejected") or [None])[-1]
    decided = since(of("CaseAllocated", "CaseFiled"), undone)
    ended = since(of("CaseClosed", "CaseVoided"), undone)
    taken = since(of("AllocationAccepted"), undone)

    ends = {
        "handover_s": (offer, first(accepted)),
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
        "decision_s": (opened, decided[-1] if decided else None),
    }
    followed = min(cut, time(ended[-1]["at"])) if ended else cut
    limits = {
        "transfer_within_10_min_from_answer": ("transfer_from_answer_s", TEN_MINUTES),
        "transfer_within_10_min_from_open": ("transfer_s", TEN_MINUTES),
        "within_24_h": ("response_s", A_DAY),
        "handover_within_target": ("handover_s", target_of("handover", offer)),
    }
    told = {name: in_seconds(between(start, end)) if start and end else "" for name, (start, end) in ends.items()}
    told |= {name: within(*ends[interval], limit, followed) for name, (interval, limit) in limits.items()}
    bounds = [int(row["clock_error_us"]) for row in log if row["clock_error_us"]]
    told["clock_error_max_us"] = str(max(bounds)) if bounds else ""
    told["events_without_clock_error"] = str(len(log) - len(bounds))
    told["decided_at"] = decided[-1]["at"] if decided else ""
    told["allocation_accepted_at"] = taken[-1]["at"] if taken else ""
    return told | {"response_kind": response_kind(log, response)}


def response_kind(log, response):
    """What came first, and whether it had been agreed for that time and was not lost meanwhile."""
    if not response:
        return "none"
    if response[0]["type"] == "OfficerAttended":
        return "deployment"
    agreed = False
    for row in log[: log.index(response[0])]:
        if row["type"] in ("AppointmentMade", "ContactLost", "DeploymentRequested"):
            agreed = row["type"] == "AppointmentMade"
    return "appointment" if agreed else response[0]["mode"]


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
        return "true" if between(start, end) <= limit else "false"
    return "false" if followed - time(start["at"]) > limit else ""


def told_by(package, files, key):
    """{workflow version: this table of that file of its definition}."""
    found = Path(package).glob(f"definitions/*/{files}")
    return {file.parts[-3]: tomllib.loads(file.read_text(encoding="utf-8"))[key] for file in found}


def hours(package):
    """{workflow version: the [hours] of its force}."""
    return told_by(package, "forces/*.toml", "hours")


def counted(start, end, counts, hours):
    """What counts of this time, looked at a minute at a time."""
    if counts == "always":
        return end - start
    total, minute = timedelta(0), start.replace(second=0, microsecond=0)
    if end < start:
        return -counted(end, start, counts, hours)
    while minute < end:
        local = minute.astimezone(ZoneInfo(hours["zone"]))
        if counts == "working_days":
            does = local.isoweekday() <= 5 and local.date() not in hours.get("holidays", ())
        else:
            now, opens, closes = local.strftime("%H:%M"), hours["opens"], hours["closes"]
            does = opens <= now < closes if opens < closes else now >= opens or now < closes
        if does:
            total += min(end, minute + A_MINUTE) - max(start, minute)
        minute += A_MINUTE
    return total


def clocks(rows, hours):
    """{(case, clock, run): {column: text}} for every run of a clock. `hours`: as above."""
    runs = {}
    for case, log in by_case(rows).items():
        for row in log:
            for change in ("started", "paused", "resumed", "stopped"):
                for told in filter(None, row[f"clocks_{change}"].split(";")):
                    clock, run, *more = told.split(":")
                    runs.setdefault((case, clock, run), []).append((change, row, more))
            if row["type"] == "ClockRanOut":
                runs[case, row["clock"], row["run"]].append(("ran_out", row, []))
    return {key: a_run(changes, hours) for key, changes in runs.items()}


def a_run(changes, hours):
    """The row of clocks.csv that these changes come to."""
    (_, first, (target_s, *counts)), *rest = changes
    found = {"started_at": first["at"], "started_by": first["type"], "target_s": target_s, "censored": "true"}
    found |= {"counts": "".join(counts) or "always"}
    found |= dict.fromkeys(("paused_s", "stopped_at", "stopped_by", "elapsed_s", "verdict"), "")
    found |= dict.fromkeys(("ran_out_due_at", "ran_out_at", "lateness_s"), "")
    elapsed, paused, since, began, runs = timedelta(0), timedelta(0), first, first, True
    for change, row, more in rest:
        if change == "ran_out":
            if not found["ran_out_at"] and int(row["after_s"]) >= int(target_s):
                found |= {"ran_out_due_at": row["due_at"], "ran_out_at": row["at"]}
                late = time(began["at"]) + between(began, row) - time(row["due_at"])
                found["lateness_s"] = in_seconds(max(timedelta(0), late))
            continue
        if runs:
            start = time(since["at"])
            until = start + between(since, row)
            elapsed += counted(start, until, found["counts"], hours.get(first["workflow_version"]))
        else:
            paused += between(since, row)
            found["paused_s"] = in_seconds(paused)
        since, runs = row, change == "resumed"
        began = row if runs else began
        if change == "stopped":
            found |= {"stopped_at": row["at"], "stopped_by": row["type"], "verdict": more[0], "censored": "false"}
            found["elapsed_s"] = in_seconds(elapsed)
    return found


def as_json(values):
    return json.dumps(values, sort_keys=True, separators=(",", ":")) if values else ""


def screening(rows):
    """{case: {column: text}} of screening.csv."""
    return {case: screened(log) for case, log in by_case(rows).items()}


def screened(log):
    def last(kind, before=None, **where):
        stop = log.index(before) if before else len(log)
        fits = [row for row in log[:stop] if row["type"] == kind and where.items() <= row.items()]
        return fits[-1] if fits else None

    verdict, asked = last("EligibilityDecided"), [row for row in log if row["type"] == "CriterionAnswered"]
    accepted = next((row for row in log if row["type"] == "HandoverAccepted"), None)
    offered = last("HandoverOffered", accepted)
    two_way = next((row for row in log if row["type"] == "TwoWayVideoStarted"), None)
    told = {row["kind"] for row in log if row["type"] == "ConsentGiven"}
    refused = {row["kind"] for row in log if row["type"] == "ConsentRefused"}
    moments = {"screened_at": verdict, "handover_offered_at": offered, "handover_accepted_at": accepted}
    found = {name: row["at"] if row else "" for name, row in (moments | {"two_way_video_at": two_way}).items()}
    told_of = {"eligible": "eligible", "ineligible_because": "because", "way_out": "way_out", "concerns": "concerns"}
    found |= {name: verdict[column] if verdict else "" for name, column in (told_of | {"results": "results"}).items()}
    found["answers"] = as_json({row["criterion"]: row["answer"] for row in asked})
    found["consented"] = "true" if "video" in told else "false" if "video" in refused else ""
    looked = last("TriageChecked")
    found |= {
        "triage_checked_at": looked["at"] if looked else "",
        "triage_finding": looked["finding"] if looked else "",
    }
    for moment, row in (("screening", verdict), ("offer", offered), ("acceptance", accepted)):
        noted = last("CapacityNoted", row, moment=moment) if row else None
        found |= {f"{moment}_{name}": noted[name] if noted else "" for name in ("on_duty", "free", "desk_open")}
    return found


def suspects(rows):
    """{(case, suspect): {column: text}} of suspects.csv."""
    found = {}
    for case, log in by_case(rows).items():
        ids = {log[0]["suspect_id"]: people(log)["suspect"]}
        for row in log:
            if row["type"] == "PersonMatched" and row["role"] == "suspect":
                ids[row["person"]] = people(log)["suspect"]
        told = {people(log)["suspect"]: []}
        for row in log:
            if row["type"] in ("SuspectAdded", "SuspectStatusChanged"):
                status = row["status"] if row["type"] == "SuspectAdded" else row["after"]
                told.setdefault(ids.get(row["suspect"], row["suspect"]), []).append((status, row["at"]))
        for suspect, history in told.items():
            status, since = history[-1] if history else ("", "")
            first = as_json(dict(reversed(history)))
            found[case, suspect] = {"status": status, "status_at": since, "statuses": first}
            found[case, suspect]["of_opening"] = "true" if suspect == people(log)["suspect"] else "false"
    return found


def outcomes(rows, package):
    """{(case, version): {column: text}} of outcomes.csv."""
    sets = told_by(package, "tables/outcomes.toml", "set")
    found = {}
    for row in rows:
        if row["type"] == "OutcomeRecorded" and row["outcome_code"] != "0":
            known = sets.get(row["workflow_version"], {}).items()
            own = {name: row[name] for name in ("at", "outcome_code", "support", "evidence_led", "workflow_version")}
            within = ";".join(name for name, one in known if row["outcome_code"] in one["codes"])
            found[row["case"], row["version"]] = own | {"in_sets": within}
    return found


def feedback(rows):
    """{(case,): {column: text}} of feedback.csv."""
    answers = {"ConsentGiven": "given", "ConsentRefused": "refused", "ConsentWithdrawn": "withdrawn"}
    found = {}
    for row in rows:
        if row["type"] in answers and row["kind"] == "feedback":
            found.setdefault((row["case"],), {})["agreed"] = answers[row["type"]]
        if row["type"] == "FeedbackInvited":
            found.setdefault((row["case"],), {})["invited_at"] = row["at"]
        if row["type"] == "FeedbackWithheld":
            found.setdefault((row["case"],), {})["withheld_because"] = row["because"]
        if row["type"] == "FeedbackGiven":
            given = {name: row[name] for name in ("quick", "heard", "way", "needed", "again")}
            found.setdefault((row["case"],), {}).update({"answered_at": row["at"], **given})
    return found


def sessions(rows, stretches):
    """{(case, session): {column: text}} of sessions.csv."""
    found = {}
    for case, log in by_case(rows).items():
        begins = [n for n, row in enumerate(log) if row["type"] == "SessionPrepared"]
        for begin, end in zip(begins, [*begins[1:], len(log)], strict=False):
            name = log[begin]["session"]
            found[case, name] = a_session(log[begin:end])
            for side in ("victim", "officer"):
                of_side = [row for row in stretches if (row["session"], row["side"]) == (name, side)]
                found[case, name] |= {f"{side}_{column}": told for column, told in a_line(of_side).items()}
    return found


def a_line(stretches):
    """One side's columns of how its line fared. The median of an even number is the lower of the two in the middle."""

    def median(figures):
        return str(sorted(figures)[(len(figures) - 1) // 2]) if figures else ""

    def told(column):
        return [int(row[column]) for row in stretches if row[column]]

    rates = [round(1000 * int(row["frames"]) / int(row["lasted_ms"])) for row in stretches if row["frames"]]
    return {
        "measured_s": str(round(sum(told("lasted_ms")) / 1000)) if stretches else "",
        "up_kbps": median(told("up_kbps")),
        "up_lost_permille": median(told("up_lost_permille")),
        "rtt_ms": median(told("rtt_ms")),
        "height": median([height for height in told("height") if height]),
        "fps": median(rates),
        "freezes": str(sum(told("freezes"))) if stretches else "",
    }


def a_session(log):
    def all_of(kind):
        return [row for row in log if row["type"] == kind]

    def last(kind, column, since=0):
        return next((row[column] for row in reversed(log[since:]) if row["type"] == kind), "")

    newest = max((n for n, row in enumerate(log) if row["type"] == "LinkSent"), default=0)
    delivered = [row for row in all_of("LinkDelivered") if row["link"] == log[newest]["link"]]
    flowing, interruptions = False, 0
    for row in log:
        interruptions += flowing and row["type"] == "MediaLost"
        if row["type"] in ("TwoWayVideoStarted", "MediaResumed"):
            flowing = True
        if row["type"] in ("MediaLost", "VictimExited", "SessionEnded"):
            flowing = False
    roles = {row["guest"]: row["guest_role"] for row in all_of("GuestInvited")}
    agreed = sorted(roles[row["guest"]] for row in all_of("GuestAdmitted"))
    return {
        "prepared_at": log[0]["at"],
        "links_sent": str(len(all_of("LinkSent"))),
        "link_delivered": delivered[-1]["status"] if delivered else "",
        "link_opened_at": last("LinkOpened", "at", newest),
        **{name: last("DeviceChecked", name) for name in ("camera", "microphone", "network")},
        "aways": str(len(all_of("VictimAway"))),
        "two_way_video_at": last("TwoWayVideoStarted", "at"),
        "interruptions": str(interruptions),
        "guests_invited": str(len(roles)),
        "guests_admitted": str(len(agreed)),
        "guests_refused": str(len(all_of("GuestRefused"))),
        "guest_roles": ";".join(agreed),
        "holds": str(len(all_of("GuestHeld"))),
        "exited": "true" if all_of("VictimExited") else "false",
        "ended_at": last("SessionEnded", "at"),
        "ended_because": last("SessionEnded", "reason"),
    }
