"""The templates with the words, filters and facts that every page has."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from rvr.config import Settings
from rvr.core import wall_clock
from rvr.core.force import Force
from rvr.core.moment import Moment, iso, parse_iso
from rvr.messages import Catalogue, catalogue, offered
from rvr.web.context import DESK, SETTINGS, TEMPLATES, SignedIn

HOMES = (
    *("sergeant", "inspector", "call_handler", "officer", "resourcing", "investigator"),
    *("control_room_specialist", "advocate", "evaluator", "auditor", "administrator"),
)
"""Whose home is served to somebody with several roles: the first that fits."""


def environment(words: Catalogue, settings: Settings, *, asset: Callable[[str], str]) -> Environment:
    """The templates, with the catalogue's sentences. Whatever is missing is an error, not an empty space."""
    env = Environment(
        loader=PackageLoader("rvr.web"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.globals |= {
        "t": words.say,
        "name": words.name,
        "asset": asset,
        "texts": lambda prefix: _texts(words, prefix),
        "demo": settings.demo,
        "exit_url": settings.exit_url,
        "sign_on": settings.oidc_name if settings.oidc_issuer else "",
        "local_accounts": settings.local_accounts,
        "new_id": lambda: str(uuid.uuid4()),
    }
    env.filters |= {"clock": _clock_time, "day": _day_time, "date": _date, "second": _second, "linked": _linked}
    return env


def spoken(words: Catalogue) -> dict[str, Any]:
    """What a template needs to speak another language than English."""
    links = {key.removeprefix("reason."): words.say(key) for key in words if key.startswith("reason.link-")}
    return {
        "t": words.say,
        "texts": lambda prefix: _texts(words, prefix),
        "link_reasons": json.dumps(links),
        "language": words.language,
        "direction": words.say("language.direction"),
        "languages": [(code, catalogue(code).say("language.name")) for code in offered()],
    }


def _texts(words: Catalogue, prefix: str) -> str:
    """A part of the catalogue for a script, as JSON in an attribute."""
    told = {key.removeprefix(f"{prefix}."): words.say(key) for key in words if key.startswith(f"{prefix}.")}
    return json.dumps(told)


def _clock_time(at: str, zone: str) -> str:
    return parse_iso(at).astimezone(ZoneInfo(zone)).strftime("%H:%M:%S") if at else ""


def _day_time(at: str, zone: str) -> str:
    return parse_iso(at).astimezone(ZoneInfo(zone)).strftime("%-d %b %Y, %H:%M") if at else ""


def _second(at: str, zone: str) -> str:
    return parse_iso(at).astimezone(ZoneInfo(zone)).strftime("%-d %b %Y, %H:%M:%S") if at else ""


def _date(at: str, zone: str) -> str:
    return parse_iso(at).astimezone(ZoneInfo(zone)).strftime("%-d %b %Y") if at else ""


def _linked(body: str) -> Markup:
    """The text with its addresses as links."""
    parts = re.split(r"(https?://\S+)", body)
    return Markup("").join(
        Markup('<a class="govuk-link" href="{0}" target="_blank" rel="noopener noreferrer">{0}</a>').format(part)
        if n % 2
        else escape(part)
        for n, part in enumerate(parts)
    )


def force_of(app: web.Application) -> Force:
    """One deployment serves one force: every workflow in force here names the same."""
    return next(iter(app[DESK].definitions.workflows.values())).force


def render(app: web.Application, template: str, signed: SignedIn | None, **context: Any) -> str:
    """The page or fragment, for this person."""
    force, now = force_of(app), app[DESK].observe()
    common = {
        "signed": signed,
        "home": home_of(signed) if signed else "",
        "force": force.name,
        "zone": force.hours.zone,
        "left_s": (parse_iso(signed.ends_at) - now.at) // timedelta(seconds=1) if signed else 0,
        "idle_s": app[SETTINGS].signin_idle_s,
        "now": iso(now.at),
        "unwritable": app[DESK].store.fault,
        "clock_fault": _clock_fault(health_of(app, now), signed),
    }
    return app[TEMPLATES].get_template(template).render(common | context)


def health_of(app: web.Application, now: Moment) -> str:
    """What can be said of this machine's wall clock."""
    return wall_clock.health(now, app[SETTINGS].clock_error_limit_ms)


def _clock_fault(health: str, signed: SignedIn | None) -> str:
    """What is wrong with the wall clock, for those who can do something about it."""
    tell = signed is not None and "administrator" in signed.roles and health != "synchronised"
    return health if tell else ""


def home_of(signed: SignedIn) -> str:
    return next((role for role in HOMES if role in signed.roles), "plain")
