"""The served API examined by its own description: `examined(desk, username, examples)`. With Schemathesis, which makes
requests from the OpenAPI document, right and wrong ones, and holds each answer against it.

Every check but one: that the API takes what the document allows. A move's form is the workflow's schema, not the
document's, so most made-up commands are refused, each with its reason.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from tests.serving import Served

LEFT_OUT = ("positive_data_acceptance", "missing_required_header", "unsupported_method")
OF_THE_TOOL = ("parameter `rvr_s` in cookie", ": 413: Schema-violating request accepted")
"""Faults that are none: a wrong cookie, where every request of somebody is sent with the right one; and 413 for what is
too long, which is the refusal that the document names."""

ENDLESS = ("/live", "/join/live", "/guest/live")
ENDS = ("DELETE", "/session")


@schemathesis.serializer("application/sdp")
def _sdp(context: Any, value: object) -> bytes:
    return value.encode("utf-8", "replace") if isinstance(value, str) else str(value).encode()


@dataclass
class Examined:
    """What came of it."""

    requests: int = 0
    statuses: dict[int, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def examined(desk: Served, username: str, examples: int) -> Examined:
    """So many examples for each operation that ends by itself, as this person, or as nobody."""
    client = desk.client(username)
    cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    headers = {"X-CSRF-Token": client.csrf, "Cookie": cookies} if username else {}
    document = client.call("GET", "openapi.json").body
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=f"{desk.url}/api/v1")
    load_all_checks()
    checks = [CHECKS.get_one(name) for name in CHECKS.get_all_names() if name not in LEFT_OUT]
    found = Examined()
    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.path in ENDLESS or (operation.method.upper(), operation.path) == ENDS:
            continue
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            _examine(operation, mode, examples, headers, checks, found)
    return found


def _examine(
    operation: Any,
    mode: GenerationMode,
    examples: int,
    headers: dict[str, str],
    checks: list[Any],
    found: Examined,
) -> None:
    @seed(1)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def one(case: Any) -> None:
        response = case.call(headers=headers)
        found.requests += 1
        found.statuses[response.status_code] = found.statuses.get(response.status_code, 0) + 1
        try:
            case.validate_response(response, checks=checks)
        except BaseExceptionGroup as faults:
            for fault in faults.exceptions:
                told = f"{operation.method.upper()} {operation.path}: {response.status_code}: {str(fault)[:300]}"
                if not any(one in told for one in OF_THE_TOOL) and told not in found.faults and len(found.faults) < 40:
                    found.faults.append(told)

    with contextlib.suppress(Unsatisfiable):  # an operation without anything that could be wrong
        one()
