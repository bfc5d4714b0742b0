"""Families of formulas by which solvers are compared, each made by a rule: the same arguments, the same formula.

Whether one is satisfiable is known by a theorem or by how it was made. Uniform random formulas near the threshold are
the exception: of these, the caller has to say it.
"""

from __future__ import annotations

from itertools import combinations
from random import Random
from typing import TYPE_CHECKING

from .formulas import Formula

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

THRESHOLD = 4.26
"""Clauses for each variable where a random 3-SAT formula is as often satisfiable as not (Crawford and Auton 1996)."""


def random_3sat(variables: int, seed: int, *, satisfiable: bool, known: str) -> Formula:
    """Uniform random 3-SAT at the threshold: three different variables for each clause, each sign as likely."""
    random = Random(seed)  # noqa: S311  # formulas, not secrets
    clauses = []
    for _ in range(round(THRESHOLD * variables)):
        chosen: list[int] = []
        while len(chosen) < 3:
            variable = _below(random, variables) + 1
            if variable not in chosen:
                chosen.append(variable)
        clauses.append(tuple(variable if random.random() < 0.5 else -variable for variable in chosen))
    return Formula(
        name=f"random-3sat-{variables}-{seed}.cnf",
        clauses=tuple(clauses),
        satisfiable=satisfiable,
        comment=f"Random 3-SAT: {variables} variables, {THRESHOLD} clauses for each, seed {seed}.",
        known=known,
    )


def pigeonhole(pigeons: int, holes: int) -> Formula:
    """Can so many pigeons have a hole each, no two the same one? Resolution proofs of «no» are exponentially long."""

    def sits(pigeon: int, hole: int) -> int:
        return pigeon * holes + hole + 1

    clauses = [tuple(sits(pigeon, hole) for hole in range(holes)) for pigeon in range(pigeons)]
    clauses += [(-sits(a, hole), -sits(b, hole)) for hole in range(holes) for a, b in combinations(range(pigeons), 2)]
    return Formula(
        name=f"pigeonhole-{pigeons}-{holes}.cnf",
        clauses=tuple(clauses),
        satisfiable=pigeons <= holes,
        comment=f"{pigeons} pigeons in {holes} holes, each alone.",
        known="pigeonhole principle: satisfiable exactly if there are no more pigeons than holes",
    )


_RAMSEY = {(3, 3): 6, (3, 4): 9, (3, 5): 14, (3, 6): 18, (4, 4): 18}
"""Ramsey numbers: the fewest vertices for which there is no such colouring (Radziszowski, «Small Ramsey Numbers»)."""


def ramsey(red: int, blue: int, vertices: int) -> Formula:
    """A complete graph's edges, coloured so that no `red` vertices are joined by red ones alone, nor `blue` by blue."""
    number = {edge: place for place, edge in enumerate(combinations(range(vertices), 2), start=1)}
    clauses = []
    for size, sign in ((red, -1), (blue, 1)):
        clauses += [
            tuple(sign * number[edge] for edge in combinations(chosen, 2))
            for chosen in combinations(range(vertices), size)
        ]
    limit = _RAMSEY[red, blue]
    return Formula(
        name=f"ramsey-{red}-{blue}-{vertices}.cnf",
        clauses=tuple(clauses),
        satisfiable=vertices < limit,
        comment=f"Edges of the complete graph on {vertices} vertices: no red clique of {red}, no blue one of {blue}.",
        known=f"theorem: the Ramsey number R({red},{blue}) is {limit}",
    )


def mycielski_colouring(order: int, colours: int) -> Formula:
    """Can the Mycielski graph of that order be coloured? It has no triangle, and needs `order` colours."""
    vertices, edges = 2, [(0, 1)]
    for _ in range(order - 2):
        apex = 2 * vertices
        edges += [(a + vertices, b) for a, b in edges] + [(a, b + vertices) for a, b in edges]
        edges += [(vertex + vertices, apex) for vertex in range(vertices)]
        vertices = apex + 1
    return _colouring(
        f"mycielski-{order}-{colours}",
        vertices,
        edges,
        colours,
        satisfiable=colours >= order,
        known=f"theorem: the Mycielski graph of order {order} has the chromatic number {order}",
    )


def planted_colouring(vertices: int, edges: int, colours: int, seed: int) -> Formula:
    """Can a random graph be coloured? Its edges are chosen between vertices that a hidden colouring tells apart."""
    random = Random(seed)  # noqa: S311  # formulas, not secrets
    hidden = [vertex % colours for vertex in range(vertices)]
    chosen: dict[tuple[int, int], None] = {}
    while len(chosen) < edges:
        a, b = sorted((_below(random, vertices), _below(random, vertices)))
        if hidden[a] != hidden[b]:
            chosen[a, b] = None
    return _colouring(
        f"colouring-{vertices}-{edges}-{colours}-{seed}",
        vertices,
        chosen,
        colours,
        satisfiable=True,
        known="made around a hidden colouring",
    )


def _colouring(
    name: str, vertices: int, edges: Iterable[Sequence[int]], colours: int, *, satisfiable: bool, known: str
) -> Formula:
    def has(vertex: int, colour: int) -> int:
        return vertex * colours + colour + 1

    clauses = [tuple(has(vertex, colour) for colour in range(colours)) for vertex in range(vertices)]
    clauses += [(-has(a, colour), -has(b, colour)) for a, b in edges for colour in range(colours)]
    return Formula(
        name=f"{name}.cnf",
        clauses=tuple(clauses),
        satisfiable=satisfiable,
        comment=f"Colours for a graph's {vertices} vertices: {colours}, and no edge between two of the same.",
        known=known,
    )


def _below(random: Random, limit: int) -> int:
    """A number from 0 to limit - 1. Of Python's generator, random() alone gives the same numbers in every version."""
    return int(random.random() * limit)
