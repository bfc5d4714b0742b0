"""Formulas whose answer is known beforehand, and that take a real solver: factoring as a circuit.

A number is multiplied by another in binary, bit by bit with full adders, and the product is fixed. Where the product is
composite the formula is satisfiable, and a model holds two factors; where it is prime, it is unsatisfiable.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product as combinations

from ..jobs import Verdict


@dataclass(frozen=True)
class Formula:
    """A formula in conjunctive normal form, with the answer that it must get, and how that is known."""

    name: str
    clauses: tuple[tuple[int, ...], ...]
    satisfiable: bool
    comment: str
    known: str

    @property
    def verdict(self) -> Verdict:
        """The only right answer."""
        return Verdict.SAT if self.satisfiable else Verdict.UNSAT

    def dimacs(self) -> str:
        """The text of a .cnf file."""
        variables = max(abs(literal) for clause in self.clauses for literal in clause)
        lines = [f"c {self.comment}", f"p cnf {variables} {len(self.clauses)}"]
        lines += [f"{' '.join(map(str, clause))} 0" for clause in self.clauses]
        return "\n".join(lines) + "\n"


def factoring(number: int) -> Formula:
    """Has `number` (odd, at least 9) two factors greater than 1? By trial division it is known here beforehand."""
    if number < 9 or number % 2 == 0:
        raise ValueError(f"{number} is even or too small to be hard to factor.")
    composite = any(number % divisor == 0 for divisor in range(3, int(number**0.5) + 1, 2))
    circuit = _Circuit()
    bits = number.bit_length()
    # The smaller factor has at most half the number's bits, and both are odd: so the other lacks one bit at least.
    small = [circuit.new() for _ in range((bits + 1) // 2)]
    large = [circuit.new() for _ in range(bits - 1)]
    for position, bit in enumerate(circuit.multiply(small, large)):
        circuit.clauses.append((bit if number >> position & 1 else -bit,))
    circuit.clauses.append(tuple(small[1:]))  # both odd, so this makes the smaller one at least 3 ...
    circuit.clauses.append(tuple(large[1:]))  # ... and this the other one
    kind = "composite: satisfiable" if composite else "prime: unsatisfiable"
    return Formula(
        name=f"factoring-{number}.cnf",
        clauses=tuple(circuit.clauses),
        satisfiable=composite,
        comment=f"Two factors of {number}, which is {kind}.",
        known="trial division",
    )


class _Circuit:
    """Clauses that say how bits depend on each other (Tseitin's encoding); a bit is a variable's number."""

    def __init__(self) -> None:
        self.clauses: list[tuple[int, ...]] = []
        self._variables = 0
        self._zero = self.new()
        self.clauses.append((-self._zero,))

    def new(self) -> int:
        self._variables += 1
        return self._variables

    def multiply(self, left: list[int], right: list[int]) -> list[int]:
        """The product's bits, lowest first: the sum of `right`, shifted, for each bit of `left`."""
        total = [self._zero] * (len(left) + len(right))
        for shift, bit in enumerate(left):
            carry = self._zero
            for position, other in enumerate(right):
                place = shift + position
                total[place], carry = self._add(total[place], self._and(bit, other), carry)
            total[shift + len(right)] = carry
        return total

    def _and(self, left: int, right: int) -> int:
        out = self.new()
        self.clauses += [(-out, left), (-out, right), (out, -left, -right)]
        return out

    def _add(self, *bits: int) -> tuple[int, int]:
        """Sum and carry of three bits: for each of their eight values, what follows from it."""
        total, carry = self.new(), self.new()
        for values in combinations((0, 1), repeat=3):
            unless = tuple(-bit if value else bit for bit, value in zip(bits, values, strict=True))
            self.clauses.append((*unless, total if sum(values) % 2 else -total))
            self.clauses.append((*unless, carry if sum(values) > 1 else -carry))
        return total, carry
