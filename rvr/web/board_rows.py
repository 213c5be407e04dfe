"""The rows of boards as HTML, made once for every screen that shows the same.

Most of a board is the same on every desk, and making it was nine tenths of what a change cost. What differs from one
answer to the next (the time, the sign-in's token, the ids of presses) stands as a mark in what is kept.
"""

from __future__ import annotations

import uuid
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

NOW, TOKEN, PRESS = "\ue000", "\ue001", "\ue002"
"""Marks out of Unicode's private use area: nobody's name has them, and they need no escape."""

KEPT = 4096
"""Rows: a night's cases as each role sees them, at about three kilobytes."""


class BoardRows:
    """The rows that were made last. For one thread, that of the loop."""

    def __init__(self, templates: Environment, zone: str) -> None:
        self._template, self._zone = templates.get_template("_row.html"), zone
        self._made: OrderedDict[str, Markup] = OrderedDict()

    def __len__(self) -> int:
        return len(self._made)

    def row(self, row: Mapping[str, Any], **about: Any) -> Markup:
        """One row, with the marks in it; `about`: what is known of it besides, and how it is shown."""
        key = repr((row, about))
        if key in self._made:
            self._made.move_to_end(key)
            return self._made[key]
        told = {"now": NOW, "csrf": TOKEN, "press": PRESS, "zone": self._zone}
        made = Markup(self._template.render(row=row, **about, **told))  # noqa: S704 - made by our own template
        self._made[key] = made
        while len(self._made) > KEPT:
            self._made.popitem(last=False)
        return made


def filled(html: str, *, now: str, token: str) -> str:
    """The page with the marks replaced; each press has an id of its own."""
    parts: Sequence[str] = html.replace(NOW, now).replace(TOKEN, token).split(PRESS)
    return "".join(part + (str(uuid.uuid4()) if n < len(parts) else "") for n, part in enumerate(parts, 1))
