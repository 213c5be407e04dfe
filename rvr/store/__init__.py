"""The log and the rows beside it: one writer, long reads in threads, personal data sealed.

This is all that the rest of the program may use of it, with `tables` for queries and `access`, `messages` for their
rows.
"""

from rvr.store.engine import CannotOpen
from rvr.store.log import Append, Batch, CommandSeen, Conflict, Passkeys, PasskeyTaken, ReferenceTaken
from rvr.store.messages import Delivery, Message
from rvr.store.store import Store
from rvr.store.tables import LinkRow

__all__ = [
    "Append",
    "Batch",
    "CannotOpen",
    "CommandSeen",
    "Conflict",
    "Delivery",
    "LinkRow",
    "Message",
    "PasskeyTaken",
    "Passkeys",
    "ReferenceTaken",
    "Store",
]
