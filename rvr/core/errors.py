"""What can be refused, by whom the rule was broken, and what HTTP says about it.

    RvrError
    ├── BadInput        400   the request cannot be read at all
    ├── NotSignedIn     401
    ├── Forbidden       403   this person may not do or see this
    ├── NotFound        404
    ├── TooSlow         408   the request did not come to its end in time
    ├── Stale           409   the case moved on since the sender looked
    ├── TakenOver       409   another page of this person has the seat now
    ├── TooLarge        413
    ├── Refused         422   the desk's rules say no; carries every reason
    │   └── Reused      422   the command id was used before, with another body
    ├── TooMany         429
    └── Unavailable     503   the log cannot be written, or media cannot be reached, just now

A reason is a code with parameters; its sentence stands in the message catalogue (rvr/locale/), so that it can be
translated and so that no rule is written twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something is refused, and what would make it possible."""

    code: str
    """The key of the sentence in the catalogue, `reason.<code>`."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """What the sentence names: labels of fields, people, states."""
    field: str | None = None
    """The form field that the reason belongs beside, if any."""


class RvrError(Exception):
    """The root: everything that this program refuses on purpose."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "error"

    def __init__(self, *reasons: Reason, **extra: Any) -> None:
        super().__init__("; ".join(reason.code for reason in reasons) or self.code)
        self.reasons: tuple[Reason, ...] = reasons
        self.extra: dict[str, Any] = extra
        """Machine-readable members of the problem document, such as the case's present version."""


class BadInput(RvrError):
    status, code = 400, "bad-input"


class NotSignedIn(RvrError):
    status, code = 401, "not-signed-in"


class Forbidden(RvrError):
    status, code = 403, "forbidden"


class NotFound(RvrError):
    status, code = 404, "not-found"


class TooSlow(RvrError):
    status, code = 408, "too-slow"


class Stale(RvrError):
    status, code = 409, "stale"


class TakenOver(RvrError):
    status, code = 409, "taken-over"


class TooLarge(RvrError):
    status, code = 413, "too-large"


class Refused(RvrError):
    status, code = 422, "refused"


class Reused(Refused):
    code = "command-reused"


class TooMany(RvrError):
    status, code = 429, "too-many"


class Unavailable(RvrError):
    status, code = 503, "unavailable"


class DefinitionFault(RvrError):
    """A workflow definition has faults: all of them, each with its file and key."""

    code = "definition-fault"

    def __init__(self, faults: Iterable[str]) -> None:
        super().__init__()
        self.faults = tuple(faults)

    def __str__(self) -> str:
        return "\n".join(self.faults)
