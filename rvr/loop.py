"""The event loop that the service and its media workers run on, and what may hold it up: the collector of garbage."""

import gc
import sys

if sys.platform == "win32":  # pragma: no cover  uvloop has no build for it
    from asyncio import new_event_loop
else:
    from uvloop import new_event_loop

__all__ = ["new_event_loop", "settle"]

YOUNG = 10_000
"""Objects made since the last look at the young ones. Python's own 700 are made by one command."""


SWITCH_S = 0.0005
"""How long a thread waits for Python's lock before it asks for it. A look at the database gives the lock away and wants
it back some twenty times; with Python's own 5 ms each of them may wait as long for the loop."""


def settle() -> None:
    """Called when all that lasts is made. The collector looks at it no more: modules, workflows and templates are
    150,000 objects, and a look at them stopped the loop, and every screen with it, for 75 to 130 ms each three seconds.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 20, 20)
    sys.setswitchinterval(SWITCH_S)
