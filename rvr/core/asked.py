"""One move being made: all that its maker may look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rvr.core.case import Case
from rvr.core.commands import Actor, Picture
from rvr.core.moment import Moment
from rvr.core.vocabulary import Basis, Facts
from rvr.core.workflow import Move, Workflow


@dataclass(frozen=True, slots=True)
class Asked:
    """One move being made."""

    workflow: Workflow
    case: Case
    move: Move
    form: Mapping[str, Any]
    by: Actor
    at: Moment
    basis: Basis
    facts: Facts
    picture: Picture | None = None
