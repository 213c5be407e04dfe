"""The OpenAPI 3.1 description, made from the route list itself, so that it cannot miss a path.

Forms of moves are not repeated here: `GET /workflows/{id}` gives each as JSON Schema.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterable
from typing import Any, Protocol

from aiohttp import web

import rvr
from rvr.evaluation.formats import FORMATS
from rvr.evaluation.leaving_times import WAYS


class Described(Protocol):
    """What this module needs of a route."""

    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def handler(self) -> Any: ...
    @property
    def roles(self) -> frozenset[str]: ...


_text: web.AppKey[str] = web.AppKey("openapi", str)

_COMMAND = {"command_id": {"type": "string", "minLength": 8, "maxLength": 64, "description": "Made by the sender"}}
_FORM = {"type": "object", "description": "As the workflow's schema of this form has it"}

BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/session"): {
        "required": ["username", "password"],
        "properties": {name: {"type": "string"} for name in ("username", "password", "code")},
    },
    ("POST", "/cases"): {
        "required": ["command_id", "form"],
        "properties": {**_COMMAND, "workflow": {"type": "string", "default": "da-desk"}, "form": _FORM},
    },
    ("POST", "/cases/{id}/moves/{move}"): {
        "required": ["command_id"],
        "properties": {**_COMMAND, "expected_version": {"type": "integer", "minimum": 1}, "form": _FORM},
    },
    ("POST", "/cases/{id}/break-glass"): {
        "required": ["command_id", "reason"],
        "properties": {**_COMMAND, "reason": {"type": "string", "minLength": 10, "maxLength": 500}},
    },
    ("POST", "/cases/{id}/conflict"): {
        "required": ["command_id"],
        "properties": {**_COMMAND, "note": {"type": "string", "maxLength": 500}},
    },
    ("POST", "/cases/{id}/conflict/lift"): {
        "required": ["command_id", "person", "reason"],
        "properties": {
            **_COMMAND,
            "person": {"type": "string"},
            "reason": {"type": "string", "minLength": 10, "maxLength": 500},
        },
    },
    ("POST", "/session/passkey"): {"required": ["credential"], "properties": {"credential": {"type": "object"}}},
    ("POST", "/passkeys"): {
        "required": ["credential"],
        "properties": {"name": {"type": "string", "maxLength": 40}, "credential": {"type": "object"}},
    },
    ("POST", "/session/confirm"): {
        "required": ["password"],
        "properties": {name: {"type": "string"} for name in ("password", "code")},
    },
    ("POST", "/duty"): {
        "required": ["command_id", "status"],
        "properties": {
            **_COMMAND,
            "status": {"enum": ["on", "break", "off"]},
            "officer": {"type": "string", "description": "Another officer's id, for a sergeant"},
        },
    },
    ("POST", "/join"): {"properties": {"token": {"type": "string", "maxLength": 200}}},
    ("POST", "/exports"): {
        "properties": {
            **{name: {"type": ["string", "null"], "description": "A time or a day"} for name in ("from", "to")},
            "times": {"enum": list(WAYS)},
            "formats": {"type": "array", "items": {"enum": ["csv", *FORMATS]}},
        }
    },
}

ANSWERS: dict[tuple[str, str], tuple[int, str]] = {
    ("POST", "/session"): (201, "application/json"),
    ("DELETE", "/session"): (204, ""),
    ("POST", "/cases"): (201, "application/json"),
    ("POST", "/duty"): (204, ""),
    ("GET", "/live"): (200, "text/event-stream"),
    ("GET", "/join/live"): (200, "text/event-stream"),
    ("POST", "/join/{action}"): (204, ""),
    ("POST", "/feedback"): (204, ""),
    ("POST", "/media/{seat}"): (201, "application/sdp"),
    ("POST", "/media/{seat}/{what}"): (204, ""),
    ("DELETE", "/media/{seat}"): (204, ""),
    ("POST", "/media/{seat}/receive"): (201, "application/sdp"),
    ("PATCH", "/media/{seat}/receive"): (204, ""),
    ("POST", "/exports"): (200, "application/zip"),
}
"""What a success looks like, where it is not a 200 with JSON."""

REFUSALS = {
    "400": "Cannot be read",
    "401": "Not signed in",
    "403": "Not allowed",
    "404": "Nothing there, or not yours",
    "429": "Too much was asked: `Retry-After` says when to try again",
    "503": "Not written, or not to be read just now; try again",
}
MOVE_REFUSALS = {
    "409": "The case moved on: what changed",
    "422": "Refused: every reason",
}
BODY_REFUSALS = {"408": "The body did not arrive in time", "413": "The body is too large"}

SDP_BODIES = {("POST", "/media/{seat}"), ("PATCH", "/media/{seat}/receive")}

PREFIX = "/api/v1"


def set_up(app: web.Application, routes: Iterable[Described]) -> None:
    app[_text] = json.dumps(describe(routes), ensure_ascii=False)


async def document(request: web.Request) -> web.StreamResponse:
    """This description."""
    return web.Response(text=request.app[_text], content_type="application/json")


def describe(routes: Iterable[Described]) -> dict[str, Any]:
    """The whole document."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        if route.path.startswith(PREFIX):
            path = route.path.removeprefix(PREFIX)
            paths.setdefault(path, {})[route.method.lower()] = _operation(route, path)
    return {
        "openapi": "3.1.0",
        "info": {"title": "RVR", "version": rvr.__version__, "description": "A police Domestic Abuse desk."},
        "servers": [{"url": PREFIX}],
        "paths": paths,
        "components": {
            "schemas": {"Problem": _PROBLEM},
            "securitySchemes": {"session": {"type": "apiKey", "in": "cookie", "name": "rvr_s"}},
        },
    }


def _operation(route: Described, path: str) -> dict[str, Any]:
    status, kind = ANSWERS.get((route.method, path), (200, "application/json"))
    success: dict[str, Any] = {"description": "Done"}
    if kind:
        success["content"] = {kind: {"schema": {"type": "string" if kind != "application/json" else "object"}}}
    refusals = REFUSALS | (MOVE_REFUSALS if route.method == "POST" else {})
    refusals |= BODY_REFUSALS if route.method in ("POST", "PATCH") else {}
    operation: dict[str, Any] = {
        "operationId": route.handler.__name__,
        "summary": (inspect.getdoc(route.handler) or "").partition("\n\n")[0],
        "parameters": [_parameter(name) for name in re.findall(r"{(\w+)}", path)],
        "responses": {str(status): success, **{code: _problem(text) for code, text in refusals.items()}},
        "security": [{"session": []}] if route.roles else [],
        "x-roles": sorted(route.roles),
    }
    if route.method in ("POST", "PATCH"):
        operation["requestBody"] = _body(route.method, path)
    return operation


def _parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _body(method: str, path: str) -> dict[str, Any]:
    if (method, path) in SDP_BODIES:
        return {"required": True, "content": {"application/sdp": {"schema": {"type": "string", "maxLength": 32768}}}}
    schema = {"type": "object", **BODIES.get((method, path), {})}
    return {"content": {"application/json": {"schema": schema}}}


def _problem(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {"application/problem+json": {"schema": schema}}}


_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "code", "reasons"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "reasons": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["code", "text"],
                "properties": {"code": {"type": "string"}, "text": {"type": "string"}, "field": {"type": "string"}},
            },
        },
    },
}
