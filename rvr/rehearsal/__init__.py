"""A case taken through a workflow without a desk: no store, no event loop, no clock but the one that is moved.

What the desk would decide is decided here by the same core, with invented ids, officers and capacity. The scenarios
beside each workflow, the verb `walk` and the tests are told in it. Nothing here is kept, and nobody is told anything.
"""

from __future__ import annotations

from rvr.rehearsal.case import Happening, Rehearsal
from rvr.rehearsal.universe import Universe

__all__ = ["Happening", "Rehearsal", "Universe"]
