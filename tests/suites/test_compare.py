"""Two runs against each other: the tests' numbers, and that noise is not called progress."""

from __future__ import annotations

import math
from itertools import product
from random import Random

import pytest

from satcomp_infra.suites.compare import mcnemar, paired, signed_rank
from satcomp_infra.suites.scores import compare

from .rows import row, run


@pytest.mark.parametrize(
    ("gained", "lost", "p"),
    [(0, 0, 1.0), (5, 5, 1.0), (5, 0, 2 / 2**5), (1, 7, 2 * (1 + 8) / 2**8), (10, 2, 2 * (1 + 12 + 66) / 2**12)],
)
def test_mcnemar_is_exact(gained: int, lost: int, p: float) -> None:
    assert mcnemar(gained, lost) == pytest.approx(p)
    assert mcnemar(lost, gained) == pytest.approx(p)


def by_all_signs(values: list[float]) -> float:
    """The signed-rank test by its definition: all ways to put signs, on mean ranks."""
    values = [value for value in values if value]
    magnitudes = sorted(map(abs, values))
    ranks = [sum(i for i, m in enumerate(magnitudes, 1) if m == abs(v)) / magnitudes.count(abs(v)) for v in values]
    total = sum(ranks)
    positive = sum(rank for rank, value in zip(ranks, values, strict=True) if value > 0)
    seen = abs(positive - total / 2)
    sums = [sum(r for r, s in zip(ranks, signs, strict=True) if s) for signs in product((0, 1), repeat=len(ranks))]
    return sum(abs(amount - total / 2) >= seen - 1e-9 for amount in sums) / len(sums)


@pytest.mark.parametrize("seed", range(8))
def test_signed_rank_is_exact_also_with_ties_and_zeros(seed: int) -> None:
    random = Random(seed)
    values = [float(random.randint(-4, 5)) for _ in range(10)]
    assert signed_rank(values) == pytest.approx(by_all_signs(values))


def test_signed_rank_as_in_tables() -> None:
    assert signed_rank([1, 2, 3, 4, 5, -0.5]) == pytest.approx(4 / 64)  # W = 1, n = 6: 2 x P(W <= 1)
    assert signed_rank([]) == 1.0


def test_for_many_pairs_the_normal_distribution_is_near_the_exact_one() -> None:
    random = Random(1)
    values = [random.gauss(0.25, 1) for _ in range(60)]
    more = [*values, 1e-9]  # the 61st has the lowest rank: hardly anything changes but the method
    assert signed_rank(more) == pytest.approx(signed_rank(values), rel=0.1)
    assert signed_rank(values) < 0.2


def test_what_was_gained_and_lost_is_said_per_problem() -> None:
    comparison = compare(
        [
            run("old", row("p", "SAT", 10), row("q", "TIMEOUT", 100), row("r", "UNSAT", 4), row("s", "TIMEOUT", 100)),
            run("new", row("p", "SAT", 5), row("q", "SAT", 20), row("r", "ERROR", 1), row("s", "TIMEOUT", 100)),
        ]
    )
    found = paired(comparison)
    assert [comparison.problems[place] for place in found.gained] == ["q"]
    assert [comparison.problems[place] for place in found.lost] == ["r"]
    assert found.pairs == 3
    assert found.factor == pytest.approx((5 / 10 * 20 / 100 * 100 / 4) ** (1 / 3))


def noisy(scale: float, seed: int) -> list[float]:
    """The second of two runs' times over the first's, with the noise that machines have."""
    random = Random(seed)
    return [scale * math.exp(random.gauss(0, 0.1)) for _ in range(40)]


def of_factors(factors: list[float]) -> tuple[float, float]:
    times = [0.5 * 1.15**place for place in range(len(factors))]
    old = run("old", *(row(str(place), "SAT", time) for place, time in enumerate(times)))
    new = run("new", *(row(str(p), "SAT", time * f) for p, (time, f) in enumerate(zip(times, factors, strict=True))))
    found = paired(compare([old, new]))
    return found.p_time, found.factor


def test_noise_is_not_called_progress() -> None:
    called = sum(of_factors(noisy(1.0, seed))[0] < 0.05 for seed in range(40))
    assert called <= 4


def test_a_solver_that_is_a_tenth_faster_throughout_is_found() -> None:
    p, factor = of_factors(noisy(0.9, 1))
    assert p < 0.01
    assert factor == pytest.approx(0.9, abs=0.05)


def test_times_of_starting_a_process_say_nothing() -> None:
    p, factor = (
        (found := paired(compare([run("a", row("p", wall=0.01)), run("b", row("p", wall=0.05))]))).p_time,
        found.factor,
    )
    assert (p, factor) == (1.0, 1.0)


def test_it_says_what_it_can_t_say() -> None:
    few = paired(compare([run("a", row("p", "TIMEOUT")), run("b", row("p", "SAT"))]))
    assert "b solved 1 problem that a did not" in few.sentences("a", "b")[0]
    assert "this shows no difference" in few.sentences("a", "b")[0]
    nothing = paired(compare([run("a", row("p", "TIMEOUT")), run("b", row("p", "TIMEOUT"))]))
    assert nothing.sentences("a", "b") == ["Neither run has solved any of these problems: there is nothing to compare."]
