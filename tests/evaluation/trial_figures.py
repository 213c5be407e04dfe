"""What a trial came to, computed from the CSV files of a package with Python alone: python3 trial_figures.py PACKAGE

Shares no code with the product: it imports nothing of it, and tells the figures twice, once from trial.csv and once
from events.csv alone, by definitions of its own. Kent's words: eligible, consented, randomised, delivered, mean wait.
"""

import csv
import json
import sys
from collections import Counter
from datetime import datetime
from pathlib import Path
from statistics import mean


def read(package, name):
    with (Path(package) / "data" / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def minutes(start, end):
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds() / 60


def from_trial(package):
    """From trial.csv, with the openings of cases.csv."""
    rows, opened = read(package, "trial"), {row["case"]: row["received_at"] for row in read(package, "cases")}
    for row in rows:
        if row["delivered"] == "true":
            row["wait"] = minutes(opened[row["case"]], row["delivered_at"])
    arms = {}
    for arm in sorted({row["arm_allocated"] for row in rows} - {""}):
        own = [row for row in rows if row["arm_allocated"] == arm]
        arms[arm] = {
            "randomised": len(own),
            "delivered": sum(row["delivered"] == "true" for row in own),
            "completed": sum(row["completed"] == "true" for row in own),
            "per_protocol": sum(row["per_protocol"] == "true" for row in own),
            "as_treated": sum(row["arm_received"] == arm for row in rows),
            "mean_wait_min": mean(row["wait"] for row in own if "wait" in row),
        }
    return {
        "screened": len(rows),
        "eligible": sum(row["eligible"] == "true" for row in rows),
        "consented": sum(row["eligible"] == "true" and row["agreed"] == "given" for row in rows),
        "randomised": sum(bool(row["arm_allocated"]) for row in rows),
        "exits": dict(Counter(row["exit"] for row in rows if row["exit"])),
        "strata": dict(Counter(row["stratum"] for row in rows if row["stratum"])),
        "arms": arms,
    }


def from_events(package, shows, completes):
    """From events.csv alone. `shows`: arm -> the type of event that shows it was delivered; `completes`: arm -> the
    type and reason that end it, for those that have an end of their own."""
    cases = {}
    for row in read(package, "events"):
        cases.setdefault(row["case"], []).append(row)
    told = {"screened": len(cases), "eligible": 0, "consented": 0, "randomised": 0}
    exits, strata, arms, treated = Counter(), Counter(), {}, Counter()
    for log in cases.values():
        draw = next((row for row in log if row["type"] in ("ArmAllocated", "NotRandomised")), None)
        before = log[: log.index(draw)] if draw else log
        verdicts = [row["eligible"] for row in before if row["type"] == "EligibilityDecided"]
        eligible = verdicts[-1:] == ["true"]
        answers = [row["type"] for row in before if row["type"].startswith("Consent") and row["kind"] == "video"]
        agreed = answers[-1:] == ["ConsentGiven"]
        told["eligible"] += eligible
        told["consented"] += eligible and agreed
        if draw is None or draw["type"] == "NotRandomised":
            why = draw["reason"] if draw else "not_eligible" if not eligible else "declined"
            exits[why] += 1
            continue
        told["randomised"] += 1
        strata[draw["stratum"]] += 1
        after = log[log.index(draw) :]
        firsts = {}
        for arm, kind in shows.items():
            found = [row for row in after if row["type"] == kind]
            if found:
                firsts[arm] = found[0]
        first = min(firsts, key=lambda arm: int(firsts[arm]["version"]), default="")
        treated[first] += 1
        own = arms.setdefault(draw["arm"], Counter(waits=[]))
        own["randomised"] += 1
        overridden = any(row["type"] == "ArmOverridden" for row in log)
        if draw["arm"] in firsts:
            own["delivered"] += 1
            own["waits"].append(minutes(log[0]["at"], firsts[draw["arm"]]["at"]))
            kind, reason = completes.get(draw["arm"], ("", ""))
            ended = not kind or any(row["type"] == kind and row["reason"] == reason for row in after)
            own["completed"] += ended
        own["per_protocol"] += first == draw["arm"] and not overridden
    for arm, own in arms.items():
        own["as_treated"], own["mean_wait_min"] = treated[arm], mean(own.pop("waits"))
    return told | {"exits": dict(exits), "strata": dict(strata), "arms": {arm: dict(arms[arm]) for arm in sorted(arms)}}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(from_trial(sys.argv[1]), indent=1) + "\n")
