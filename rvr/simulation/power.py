"""A dry run of a trial: how many cases two arms need, how often such a trial would tell the difference, and how long it
takes until so many have come.

The trial is played: cases arrive at random, are allotted in permuted blocks within strata, some are not given what they
were allotted, and the two shares are compared as allotted (intention to treat) by the z-test. Nothing here reads a log.
Sources: Fleiss, Levin and Paik 2003, ch. 4 (numbers by formula); Rothwell et al. 2022 (the funnel and the design).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from statistics import NormalDist, quantiles

from rvr.simulation.estimates import Estimate, of_count

STRATA = (357, 57, 83, 21)
"""How often each of four strata occurs: victim's sex by relationship (Rothwell et al. 2022)."""

BLOCKS = (4, 6)
"""Sizes of the blocks, by chance."""

MONTH_DAYS = 365.25 / 12


@dataclass(frozen=True, slots=True)
class Design:
    """What a trial rests on. Shares lie between 0 and 1."""

    a_month: float
    """Contacts while the desk is open."""
    eligible: float
    consents: float
    available: float
    """Share of those who agree for whom an officer is there."""
    usual: float
    """Share with the outcome under business as usual."""
    video: float
    """Share with it among those who were given video."""
    delivered: float = 1.0
    """Share of those allotted to video who are given it; the others fare as usual."""
    observed: float = 1.0
    """Share of whom the outcome is learnt at all."""
    alpha: float = 0.05
    """Two-sided."""

    @property
    def allotted_a_month(self) -> float:
        return self.a_month * self.eligible * self.consents * self.available

    @property
    def as_allotted(self) -> float:
        """Share with the outcome among all who are allotted to video."""
        return self.delivered * self.video + (1 - self.delivered) * self.usual


def needed(usual: float, video: float, power: float, alpha: float = 0.05) -> int:
    """Cases in each arm for a two-sided z-test of two shares, without a correction. ValueError: equal ones."""
    if usual == video:
        raise ValueError("two equal shares are told apart by no number of cases")
    z_alpha, z_power = NormalDist().inv_cdf(1 - alpha / 2), NormalDist().inv_cdf(power)
    middle = (usual + video) / 2
    root = z_alpha * math.sqrt(2 * middle * (1 - middle)) + z_power * math.sqrt(
        usual * (1 - usual) + video * (1 - video)
    )
    return math.ceil((root / (video - usual)) ** 2)


def cases_for(design: Design, power: float) -> int:
    """Cases to be allotted in both arms together, so that enough outcomes are learnt."""
    each = needed(design.usual, design.as_allotted, power, design.alpha)
    return math.ceil(2 * each / design.observed)


@dataclass(frozen=True, slots=True)
class DryRun:
    """What so many played trials came to."""

    cases: int
    trials: int
    power: Estimate
    """Share of the trials that told the difference, in the right direction."""
    months: tuple[float, float, float]
    """Until the last case was allotted: median, fifth and ninety-fifth of a hundred."""
    imbalance: int
    """The largest difference between the arms of any trial."""


def dry_run(design: Design, cases: int, trials: int, seed: int) -> DryRun:
    """Plays the trial. Raises ValueError where nobody would ever be allotted."""
    if design.allotted_a_month <= 0 or cases < 2:
        raise ValueError("nobody would be allotted: the trial has no end")
    told, months, imbalance = 0, list[float](), 0
    for number in range(trials):
        dice = Random(f"{seed}:trial:{number}")
        months.append(dice.gammavariate(cases, 1 / design.allotted_a_month))
        arms = allotted(cases, dice)
        imbalance = max(imbalance, abs(2 * sum(arms) - cases))
        told += _tells(design, arms, dice)
    cut = quantiles(months, n=20) if trials > 1 else [months[0]] * 19
    return DryRun(cases, trials, of_count(told, trials), (sorted(months)[trials // 2], cut[0], cut[18]), imbalance)


def allotted(cases: int, dice: Random) -> list[bool]:
    """Whether each case is allotted to video: permuted blocks, a sequence of its own for each stratum."""
    waiting: list[list[bool]] = [[] for _ in STRATA]
    found = []
    for stratum in dice.choices(range(len(STRATA)), STRATA, k=cases):
        if not waiting[stratum]:
            block = [True, False] * (dice.choice(BLOCKS) // 2)
            dice.shuffle(block)
            waiting[stratum] = block
        found.append(waiting[stratum].pop())
    return found


def _tells(design: Design, arms: Sequence[bool], dice: Random) -> bool:
    of, with_outcome = [0, 0], [0, 0]
    for video in arms:
        if dice.random() >= design.observed:
            continue
        given = video and dice.random() < design.delivered
        of[video] += 1
        with_outcome[video] += dice.random() < (design.video if given else design.usual)
    z = z_of(with_outcome[1], of[1], with_outcome[0], of[0])
    return abs(z) > NormalDist().inv_cdf(1 - design.alpha / 2) and (z > 0) == (design.video > design.usual)


def z_of(one: int, of_one: int, other: int, of_other: int) -> float:
    """The pooled z-statistic of two shares; nought where it has no meaning."""
    if not of_one or not of_other:
        return 0.0
    pooled = (one + other) / (of_one + of_other)
    spread = pooled * (1 - pooled) * (1 / of_one + 1 / of_other)
    return (one / of_one - other / of_other) / math.sqrt(spread) if spread else 0.0
