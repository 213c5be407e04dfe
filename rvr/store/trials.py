"""Trials as the log has them now: what was registered, and how many places of each stratum are taken."""

from __future__ import annotations

from rvr.core.arms import stream_of
from rvr.core.registering import fold_trial
from rvr.core.trial import TrialNow
from rvr.store import log
from rvr.store.engine import Connection

_TAKEN = "SELECT stream, max(version) FROM event WHERE stream >= :low AND stream < :high GROUP BY stream"


def standing(connection: Connection, trial: str) -> TrialNow:
    """The trial without its secret. The version of a stratum's stream is the number of its places that are taken."""
    stream = stream_of(trial)
    now = fold_trial(trial, log.load(connection, None, stream))
    strata = f"{stream}/"
    rows = connection.execute(_TAKEN, {"low": strata, "high": strata + "\uffff"}).fetchall()
    taken = {told.removeprefix(strata): int(version) for told, version in rows}
    return TrialNow(now.id, now.commitment, now.design, now.stopped, taken)
