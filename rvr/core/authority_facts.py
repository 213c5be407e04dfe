"""The facts of who may look at a case beyond, or short of, what the role gives, for `events`."""

from __future__ import annotations

from rvr.core.fact import Fact, fact, public, sealed


@fact
class GlassBroken(Fact):
    """Somebody looks at a case outside the own ones for a while, and said why. A supervisor was told."""

    until: str = public("When that ends", unit="UTC time")
    reason: str = sealed("Why, in the person's own words")


@fact
class ConflictDeclared(Fact):
    """A member of staff has a conflict of interest, and has nothing to do with the case from then on."""

    note: str = sealed("In the person's own words")


@fact
class ConflictLifted(Fact):
    """A conflict of interest was declared in error: an inspector opened the case again to whoever it was closed to."""

    person: str = public("Person id of whoever is shown the case again")
    reason: str = sealed("Why, in the inspector's own words")


__all__ = ["ConflictDeclared", "ConflictLifted", "GlassBroken"]
