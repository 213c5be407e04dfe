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


__all__ = ["ConflictDeclared", "GlassBroken"]
