"""Two runs over the same problems: what was gained and lost, and whether that is more than chance.

Both tests are paired, because problems differ from each other a thousand times more than versions of a solver do.

Solved or not: McNemar's test, exact. Only problems that one run solved and the other did not say anything; were the
versions equally good, each of these would be as likely a gain as a loss. So their number is binomial with 1/2.

Time: Wilcoxon's signed-rank test on the logarithms. Running times span five powers of ten, and a solver that became
faster did so by a factor: the mean of the seconds would be that of the few slowest problems, and no t-test's assumption
holds. An unsolved problem counts as its timeout, which is the least that it would have taken; one that neither run
solved says nothing. Times below 0.1 s count as 0.1 s: they are those of starting a process.

As two tests have two chances to err, their p-values are corrected (Holm): what is called significant at 5 % is so for
both together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..units import count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .scores import Comparison

LEVEL = 0.05
_LEAST_SECONDS = 0.1
_EXACT_PAIRS = 60
"""Up to so many pairs the signed-rank distribution is counted out; beyond, the normal one is near enough."""


@dataclass(frozen=True)
class Paired:
    """The second of two runs against the first. Indices are places in the comparison; p-values are corrected.

    `factor` is the geometric mean of (second time / first time) over problems that at least one run solved: below 1 the
    second is faster. An unsolved one counts as its timeout.
    """

    gained: tuple[int, ...]
    lost: tuple[int, ...]
    pairs: int
    factor: float
    p_solved: float
    p_time: float

    def sentences(self, first: str, second: str) -> list[str]:
        """What can be said, and what can't."""
        if not self.pairs:
            return ["Neither run has solved any of these problems: there is nothing to compare."]
        if not self.gained and not self.lost:
            solved = f"Both solved the same {count(self.pairs, 'problem')}."
        else:
            solved = (
                f"{second} solved {count(len(self.gained), 'problem')} that {first} did not, and did not solve "
                f"{len(self.lost)} that {first} did (McNemar's exact test, p = {_p(self.p_solved)}): "
                f"{_judged(self.p_solved)}."
            )
        times = (
            f"On the {count(self.pairs, 'problem')} that at least one of them solved, {second} took {self.factor:.2f} "
            f"times as long as {first}, in the geometric mean (Wilcoxon's signed-rank test on the logarithms, "
            f"p = {_p(self.p_time)}): {_judged(self.p_time)}."
        )
        return [solved, times]


def paired(comparison: Comparison, first: int = 0, second: int = 1) -> Paired:
    """Compare two of the runs."""
    gained, lost, logs = [], [], []
    for place, times in enumerate(comparison.times):
        before, after = times[first], times[second]
        if before is None and after is None:
            continue
        if before is None:
            gained.append(place)
        elif after is None:
            lost.append(place)
        timeout = comparison.timeout(place)
        logs.append(_log(after, timeout) - _log(before, timeout))
    p_solved, p_time = _holm(mcnemar(len(gained), len(lost)), signed_rank(logs))
    factor = math.exp(math.fsum(logs) / len(logs)) if logs else 1.0
    return Paired(tuple(gained), tuple(lost), len(logs), factor, p_solved, p_time)


def mcnemar(gained: int, lost: int) -> float:
    """The exact two-sided p-value: how likely so uneven a split is where each side has the same chance."""
    n, tail = gained + lost, min(gained, lost)
    return float(min(1.0, 2 * sum(math.comb(n, k) for k in range(tail + 1)) / 2**n))


def signed_rank(differences: Sequence[float]) -> float:
    """The two-sided p-value of Wilcoxon's signed-rank test. Zeros are left out, equal differences share ranks."""
    values = sorted((value for value in differences if abs(value) > 1e-12), key=abs)
    if not values:
        return 1.0
    ranks = _doubled_ranks([abs(value) for value in values])
    total = sum(ranks)
    positive = sum(rank for rank, value in zip(ranks, values, strict=True) if value > 0)
    least = min(positive, total - positive)
    if len(values) <= _EXACT_PAIRS:
        ways = [1] + [0] * total  # ways[s]: of all 2**n choices of signs, those whose positive ranks have the sum s
        for rank in ranks:
            for amount in range(total, rank - 1, -1):
                ways[amount] += ways[amount - rank]
        return float(min(1.0, 2 * sum(ways[: least + 1]) / 2 ** len(values)))
    # Doubled ranks have doubled deviations; one is the correction for continuity (half a rank).
    deviation = math.sqrt(sum(rank * rank for rank in ranks)) / 2
    z = max(total / 2 - least - 1, 0) / deviation
    return math.erfc(z / math.sqrt(2))


def _doubled_ranks(magnitudes: Sequence[float]) -> list[int]:
    """Twice the ranks of sorted values, so that the mean ranks of equal ones are whole numbers."""
    ranks: list[int] = []
    while len(ranks) < len(magnitudes):
        start = end = len(ranks)
        while end < len(magnitudes) and magnitudes[end] - magnitudes[start] <= 1e-12:
            end += 1
        ranks += [start + end + 1] * (end - start)
    return ranks


def _holm(first: float, second: float) -> tuple[float, float]:
    """Two p-values, corrected for being two."""
    low = min(1.0, 2 * min(first, second))
    high = max(low, first, second)
    return (low, high) if first <= second else (high, low)


def _log(seconds: float | None, timeout: int) -> float:
    return math.log(max(timeout if seconds is None else seconds, _LEAST_SECONDS))


def _p(value: float) -> str:
    return "less than 0.001" if value < 0.001 else f"{value:.3f}"


def _judged(p: float) -> str:
    if p < LEVEL:
        return "this is unlikely to be chance"
    return "chance alone would often do as much, so this shows no difference"
