"""Who may use which way in: every route times every role, from the one list."""

from __future__ import annotations

import uuid

import pytest

from rvr.core.commands import ROLES
from rvr.people import DEMO
from rvr.web.app import ANYBODY, ROUTES, Route
from tests.serving import Client, Served

OPEN_ON_PURPOSE = {
    ("POST", "/api/v1/session"): "signing in",
    ("GET", "/api/v1/openapi.json"): "the description holds no data",
    ("POST", "/api/v1/join"): "the link's token decides",
    ("GET", "/api/v1/join/live"): "the join cookie decides",
    ("POST", "/api/v1/join/{action}"): "the join cookie decides",
    ("POST", "/api/v1/guest"): "the link's token decides",
    ("POST", "/api/v1/feedback"): "the link's token decides",
    ("GET", "/f"): "the page of questions, the same for everybody",
    ("GET", "/api/v1/guest/live"): "the guest's cookie decides",
    ("POST", "/api/v1/guest/{action}"): "the guest's cookie decides",
    ("GET", "/g"): "a guest's page, the same for everybody",
    ("GET", "/api/v1/media/{seat}"): "the seat's own person",
    ("POST", "/api/v1/media/{seat}"): "the seat's own person",
    ("POST", "/api/v1/media/{seat}/{what}"): "the seat's own person",
    ("DELETE", "/api/v1/media/{seat}"): "the seat's own person",
    ("POST", "/api/v1/media/{seat}/receive"): "the seat's own person",
    ("PATCH", "/api/v1/media/{seat}/receive"): "the seat's own person",
    ("GET", "/api/v1/demo/outbox"): "demo mode, on this machine only",
    ("GET", "/health/live"): "operations",
    ("GET", "/health/ready"): "operations",
    ("GET", "/metrics"): "this machine or the token decides",
    ("GET", "/"): "the sign-in page",
    ("POST", "/sign-in"): "signing in",
    ("POST", "/api/v1/session/passkey/options"): "a challenge is no secret",
    ("POST", "/api/v1/session/passkey"): "signing in",
    ("GET", "/sign-in/provider"): "to the identity provider",
    ("GET", "/sign-in/back"): "from the identity provider; the next step checks",
    ("GET", "/sign-in/finish"): "the secret in the browser's cookie and the provider decide",
    ("GET", "/j"): "the victim's page, the same for everybody",
    ("GET", "/demo/outbox"): "demo mode, on this machine only",
}
"""Each route without roles, with its reason."""


def test_every_route_has_roles_or_is_open_for_a_reason_that_is_written_down() -> None:
    assert {(route.method, route.path) for route in ROUTES if route.roles is ANYBODY} == set(OPEN_ON_PURPOSE)


def test_every_route_names_roles_that_exist() -> None:
    assert {role for route in ROUTES for role in route.roles} <= ROLES


def test_no_route_stands_twice() -> None:
    ways = [(route.method, route.path) for route in ROUTES]
    assert len(ways) == len(set(ways))


@pytest.fixture(scope="module")
def everybody(desk: Served) -> dict[str, Client]:
    """One client for each role, and one without any."""
    clients = {role: desk.client(username) for username, _, role in DEMO}
    return {**clients, "": desk.client()}


GUARDED = [route for route in ROUTES if route.roles]


@pytest.mark.parametrize("route", GUARDED, ids=[f"{route.method} {route.path}" for route in GUARDED])
def test_only_the_named_roles_get_past_the_door(route: Route, everybody: dict[str, Client]) -> None:
    if route.path in ("/api/v1/live", "/live"):  # streams do not end; their refusals are checked below
        allowed: frozenset[str] = frozenset()
    else:
        allowed = route.roles
    path = route.path
    for name in ("{id}", "{person}", "{move}", "{seat}", "{action}", "{exhibit}", "{side}"):
        path = path.replace(name, str(uuid.uuid4()))
    for role, client in everybody.items():
        ends_the_sign_in = path in ("/sign-out", "/api/v1/session") and route.method != "GET"
        asks_for_a_password = path == "/confirm" and route.method == "POST"  # told as 401, too
        if role in allowed and (ends_the_sign_in or asks_for_a_password):
            continue
        if role in route.roles and role not in allowed:
            continue
        answer = client.call(route.method, path, {} if route.method == "POST" else None)
        if not role:
            assert answer.status == 401, path
        elif role in allowed:
            assert answer.status not in (401, 403, 500), (role, path, answer.status)
        else:
            assert answer.status == 403, (role, path, answer.status)
