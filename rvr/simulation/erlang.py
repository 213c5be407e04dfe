"""The formulas of queues that planners know: Erlang B, Erlang C, and Erlang A for callers who do not wait for ever.

Arrivals are Poisson, services exponential, nobody's hours end. None of that is quite so at a desk: that is what the
simulation beside them is for. Load is in erlangs: arrivals in the time that one service takes.
Sources: Erlang 1917; Palm 1946; Mandelbaum and Zeltyn 2007, "Service Engineering in Action: the Palm/Erlang-A Queue".
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

_NEGLIGIBLE = 1e-15
"""Of a state of the queue: its share of the time, against the likeliest so far."""

MOST = 10_000
"""Officers up to which a number is looked for."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """How callers fare in the long run."""

    waits: float
    """Share that has to wait at all."""
    mean_s: float
    """Mean wait, those who do not wait included; infinite where the queue grows without end."""
    within: float
    """Share that is served within the limit, of all who came."""
    leaves: float = 0.0
    """Share that gives up."""


def erlang_b(servers: int, load: float) -> float:
    """The share of arrivals that finds everybody busy, where those are lost."""
    _check(servers, load)
    blocked = 1.0
    for n in range(1, servers + 1):
        blocked = load * blocked / (n + load * blocked)
    return blocked


def erlang_c(servers: int, load: float) -> float:
    """The share of arrivals that has to wait, where everybody waits; 1 where the load is too much."""
    if load >= servers:
        _check(servers, load)
        return 1.0
    blocked = erlang_b(servers, load)
    return servers * blocked / (servers - load * (1 - blocked))


def waiting_c(servers: int, load: float, service_s: float, limit_s: float) -> Waiting:
    """Erlang C: everybody waits for as long as it takes."""
    waits = erlang_c(servers, load)
    if load >= servers:
        return Waiting(1.0, math.inf, 0.0)
    spare = (servers - load) / service_s
    return Waiting(waits, waits / spare, 1 - waits * math.exp(-spare * limit_s))


def waiting_a(servers: int, load: float, service_s: float, patience_s: float, limit_s: float) -> Waiting:
    """Erlang A: each caller waits for an exponential time of this mean, then gives up."""
    _check(servers, load)
    ratio = servers * patience_s / service_s
    waits = leaves = late = 0.0
    for ahead, share in _with_all_busy(servers, load, ratio):
        served = ratio / (ratio + ahead + 1)
        waits += share
        leaves += share * (1 - served)
        late += share * served * _beta(math.exp(-limit_s / patience_s), ratio + 1, ahead + 1)
    return Waiting(waits, leaves * patience_s, 1 - leaves - late, leaves)


def servers_for(load: float, service_s: float, limit_s: float, share: float) -> int:
    """The fewest servers with which Erlang C serves this share within the limit. Raises ValueError for none."""
    for servers in range(max(1, math.ceil(load)), MOST):
        if waiting_c(servers, load, service_s, limit_s).within >= share:
            return servers
    raise ValueError(f"no number of officers below {MOST} serves {share:.0%} in time")


def _check(servers: int, load: float) -> None:
    if servers < 0 or load < 0 or not math.isfinite(load):
        raise ValueError(f"{servers} servers and a load of {load} are no queue")


def _with_all_busy(servers: int, load: float, ratio: float) -> Iterator[tuple[int, float]]:
    """(how many wait already, share of the time), while all servers are busy.

    `ratio`: how fast the servers together serve, against how fast one who waits gives up.
    """
    if load == 0 or servers == 0:
        return
    idle, weight = 0.0, 1.0  # relative to the state in which all are busy and nobody waits
    for busy in range(servers, 0, -1):
        weight *= busy / load
        idle += weight
    waiting, weight = [1.0], 1.0
    while weight > _NEGLIGIBLE * waiting[0] or len(waiting) < load * ratio / servers - ratio:
        weight *= load / servers * ratio / (ratio + len(waiting))
        waiting.append(weight)
    total = idle + math.fsum(waiting)
    yield from ((ahead, one / total) for ahead, one in enumerate(waiting))


def _beta(x: float, a: float, b: int) -> float:
    """The regularised incomplete beta function I_x(a, b) for a whole b: I_x(a, 1) = x^a, and one term for each more."""
    if x <= 0:
        return 0.0
    term = total = 1.0
    for j in range(1, b):
        term *= (a + j - 1) / j * (1 - x)
        total += term
    return min(1.0, math.exp(a * math.log(x)) * total)
