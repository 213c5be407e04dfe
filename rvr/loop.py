"""The event loop that the service and its media workers run on."""

import sys

if sys.platform == "win32":  # pragma: no cover  uvloop has no build for it
    from asyncio import new_event_loop
else:
    from uvloop import new_event_loop

__all__ = ["new_event_loop"]
