"""What an operator's programs read: the figures of a served desk, who may read them, and the files that are made of
them in docs/operations/."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from rvr import metrics
from tests.hostile.test_streams import open_stream
from tests.serving import Served, free_port, ready_for_handover, served
from tests.test_docs import anchors

OPERATIONS = Path(__file__).parents[1] / "docs" / "operations"
NAMES = re.compile(r"\b(?:rvr|process)_[a-z_]+\b")
OF_A_HISTOGRAM = re.compile(r"_(bucket|count|sum)$")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("operations") / "data") as running:
        yield running


def figures(desk: Served) -> dict[str, float]:
    """Each sample by its name with its labels."""
    answer = desk.client().call("GET", "/metrics")
    assert answer.status == 200
    families = text_string_to_metric_families(answer.body.decode())
    return {_named(one.name, one.labels): one.value for family in families for one in family.samples}


def _named(name: str, labels: dict[str, str]) -> str:
    return name + "".join(f" {key}={value}" for key, value in sorted(labels.items()))


def until(desk: Served, name: str, least: float) -> None:
    deadline = time.monotonic() + 10
    while figures(desk).get(name, 0) < least:
        assert time.monotonic() < deadline, f"{name} stayed below {least}"
        time.sleep(0.2)


def test_what_happens_at_the_desk_is_counted_once_and_told_without_a_name(desk: Served) -> None:
    handler, sergeant, officer = (desk.client(name) for name in ("handler", "sergeant", "officer"))
    before = figures(desk)
    case = ready_for_handover(handler, victim_name="Zqcanary Name")
    handler.move(case, "offer_handover")
    assert sergeant.move(case, "accept_handover").status == 200
    assert sergeant.move(case, "accept_handover").status == 422
    sergeant.move(case, "assign_officer", {"officer": officer.me["id"]})
    assert officer.move(case, "send_link").status == 200
    desk.client().sign_in("handler", "wrong")
    until(desk, "rvr_deliveries_total kind=sms word=delivered", 1)
    after = figures(desk)

    def more(name: str) -> float:
        return after.get(name, 0) - before.get(name, 0)

    assert more("rvr_commands_total command=OpenCase outcome=done") == 1
    assert more("rvr_commands_total command=MakeMove outcome=refused") == 1
    assert more("rvr_events_total type=CaseOpened") == more("rvr_events_total type=HandoverAccepted") == 1
    assert more("rvr_command_seconds_count command=OpenCase") == 1
    assert more("rvr_commit_seconds_count") > 5
    assert more("rvr_sign_ins_total outcome=wrong-password") == 1
    route = "/api/v1/cases/{id}/moves/{move}"
    assert more(f"rvr_http_requests_total method=POST route={route} status=422") == 1
    assert after["rvr_log_writable"] == after["rvr_cases_open state=waiting_room workflow=da-desk"] == 1
    assert after["rvr_log_position"] >= before["rvr_log_position"] + 6
    assert after["rvr_media_workers"] == after["rvr_media_workers_wanted"] > 0
    assert after["rvr_calls_open presence=delivered"] == 1
    assert after["rvr_clocks_overdue"] == after["rvr_writer_waiting"] == 0
    assert after["rvr_disk_free_bytes"] > 1e6
    assert after["process_open_fds"] > 10
    text = desk.client().call("GET", "/metrics").body.decode()
    personal = ("zqcanary", "900123", case, officer.me["id"], "olu", "birmingham")
    assert [word for word in personal if word in text.lower()] == []


def test_every_metric_that_is_told_is_described_and_the_other_way_round(desk: Served) -> None:
    text = desk.client().call("GET", "/metrics").body.decode()
    told = {family.name for family in text_string_to_metric_families(text) if family.name.startswith("rvr_")}
    known = {name.removesuffix("_total") for name in metrics.names()}
    assert told <= known
    where_there_is_one = ("log_fault", "log_refused", "outbox_waiting", "wall_clock_error_seconds", "calls_open")
    assert known - told <= {f"rvr_{name}" for name in (*where_there_is_one, "cases_open")}


def test_an_open_feed_and_a_clock_that_fires_are_seen(desk: Served) -> None:
    sergeant = desk.client("sergeant")
    before = figures(desk)["rvr_streams_open"]
    with contextlib.closing(open_stream(sergeant, "/live?topics=board")):
        until(desk, "rvr_streams_open", before + 1)


def ask(desk: Served, **headers: str) -> int:
    return desk.client().call("GET", "/metrics", **headers).status


def test_only_a_program_of_this_machine_that_asks_by_itself_reads_the_figures(desk: Served) -> None:
    assert ask(desk) == 200
    for name in ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"):
        assert ask(desk, **{name: "192.0.2.7"}) == 404
    assert ask(desk, Host="evil.example") == 404


def test_with_a_token_only_who_has_it_reads_the_figures_and_nobody_under_the_victims_address(tmp_path: Path) -> None:
    port, token = free_port(), tmp_path / "token"
    token.write_text("a token of thirty-two characters")
    token.chmod(0o600)
    settings = {
        "RVR_METRICS_TOKEN_FILE": str(token),
        "RVR_PUBLIC_URL": "https://desk.example",
        "RVR_JOIN_URL": "https://j.example",
    }
    right = {"Authorization": "Bearer a token of thirty-two characters"}
    with served(tmp_path / "data", port, **settings) as desk:
        assert ask(desk) == 401
        assert ask(desk, Authorization="Bearer another") == 401
        assert ask(desk, **right) == ask(desk, Host="desk.example", X_Forwarded_For="192.0.2.7", **right) == 200
        assert ask(desk, Host="j.example", **right) == 404


def test_a_token_that_others_can_read_keeps_the_desk_from_starting(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("x")
    token.chmod(0o644)
    env = {**os.environ, "RVR_METRICS_TOKEN_FILE": str(token), "PYTHONPATH": str(OPERATIONS.parents[1])}
    command = ["serve", "--port", str(free_port()), "--data", str(tmp_path / "data")]
    done = _cli(command, env)
    assert done.returncode == 1
    assert "metrics_token_file" in done.stderr


def _cli(command: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rvr.cli", *command], env=env, capture_output=True, text=True, timeout=60
    )


# --- The files of docs/operations/ -------------------------------------------------------------------------------


def rules() -> list[dict[str, Any]]:
    told = yaml.safe_load((OPERATIONS / "alerts.yml").read_text(encoding="utf-8"))
    return [rule for group in told["groups"] for rule in group["rules"]]


def expressions() -> Iterator[str]:
    yield from (rule["expr"] for rule in rules())
    board = json.loads((OPERATIONS / "dashboard.json").read_text(encoding="utf-8"))
    yield from (target["expr"] for panel in board["panels"] for target in panel.get("targets", ()))


def test_alerts_and_dashboard_name_only_metrics_and_labels_that_there_are(desk: Served) -> None:
    text = desk.client().call("GET", "/metrics").body.decode()
    of_the_process = set(re.findall(r"^# TYPE (process_\w+)", text, re.MULTILINE))
    known = metrics.names()
    found = 0
    for expression in expressions():
        for name in NAMES.findall(expression):
            found += 1
            base = name if name in known else OF_A_HISTOGRAM.sub("", name)
            assert base in known or name in of_the_process, expression
            labels = re.search(re.escape(name) + r"\{([^}]*)\}", expression)
            for label in re.findall(r"(\w+)\s*(?:=|!)", labels[1]) if labels else ():
                assert base not in known or label in {*known[base][2], "job"}, expression
    assert found > 40


def test_an_alert_tells_how_urgent_it_is_and_where_it_is_written_what_to_do() -> None:
    root = OPERATIONS.parents[1]
    for rule in rules():
        assert rule["labels"]["severity"] in ("page", "ticket"), rule["alert"]
        page, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert anchor in anchors(root / page), rule["alert"]


def test_prometheus_itself_takes_the_alert_rules(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool on this machine: apt-get install prometheus")
    done = subprocess.run([promtool, "check", "rules", OPERATIONS / "alerts.yml"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    done = subprocess.run([promtool, "check", "config", OPERATIONS / "prometheus.yml"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    desk_down = {
        "rule_files": [str(OPERATIONS / "alerts.yml")],
        "evaluation_interval": "15s",
        "tests": [
            {
                "interval": "15s",
                "input_series": [
                    {"series": 'rvr_clock_overdue_seconds{instance="a"}', "values": "0 0 12 27 42 57"},
                    {"series": 'up{job="rvr",instance="a"}', "values": "1 1 1 1 1 1"},
                    {"series": 'rvr_log_position{instance="a"}', "values": "5 5 _ _ _ _ _"},
                ],
                "alert_rule_test": [
                    {"eval_time": "15s", "alertname": "ClocksLate", "exp_alerts": []},
                    {
                        "eval_time": "75s",
                        "alertname": "ClocksLate",
                        "exp_alerts": [
                            {
                                "exp_labels": {"severity": "page", "instance": "a"},
                                "exp_annotations": next(
                                    rule["annotations"] for rule in rules() if rule["alert"] == "ClocksLate"
                                ),
                            }
                        ],
                    },
                ],
            }
        ],
    }
    file = tmp_path / "test.yml"
    file.write_text(yaml.safe_dump(desk_down))
    done = subprocess.run([promtool, "test", "rules", str(file)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
