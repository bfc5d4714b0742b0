"""Checking a solver's model against the formula; as a program, with its own bounds on memory.

    python -m satcomp_infra.node.check FORMULA STDOUT {complete,incomplete} PROCESSES

prints the Outcome as JSON. It is a process of its own so that it can be ended at any moment, and so that what it needs
is not taken from the node.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import repeat
from pathlib import Path

from .clauses import SHOWN_LITERALS, Unsatisfied, Walk, first_unsatisfied, stretches, walk
from .files import open_file
from .model import Assignment, CheckError, Model

RIGHT, WRONG, MISSING, UNCHECKED = "right", "wrong", "missing", "not checked"
"""The words that a Result's `model` begins with."""
_MEMORY_BYTES = 4 << 30
"""Of addresses, for each process. A model of a hundred million variables needs 2.3 GiB, of which it touches 0.6."""
_STRETCH_BYTES = 16 << 20
"""The least that is worth a process of its own: as much as takes it a third of a second."""


@dataclass(frozen=True)
class Outcome:
    """`model` is what a Result has under that name; `reason` says, of a wrong model, what is wrong with it."""

    model: str
    reason: str = ""


def check(formula: Path, stdout: Path, processes: int = 1, *, complete: bool = True) -> Outcome:
    """Check the model in a solver's output. `complete`: all that the solver has printed is there.

    Never raises: what can't be checked is an outcome that says why.
    """
    try:
        with open_file(stdout) as file:
            model = Model.read(file)
        if model is None:
            return Outcome(MISSING) if complete else unchecked("some of the solver's output was not kept")
        return _check(formula, model, processes, complete and not model.shortened)
    except CheckError as error:
        return unchecked(str(error))
    except MemoryError:
        return unchecked("it takes too much memory")
    except OSError as error:
        return unchecked(error.strerror or str(error))


def unchecked(why: str) -> Outcome:
    """The outcome where a model can't be checked."""
    return Outcome(f"{UNCHECKED}: {why}")


def _check(formula: Path, model: Model, processes: int, complete: bool) -> Outcome:
    assignment = Assignment(model)
    if variable := model.contradiction(assignment):
        return Outcome(WRONG, f"The solver's model contradicts itself: it holds both {variable} and -{variable}.")
    parts = stretches(formula, max(1, min(processes, formula.stat().st_size // _STRETCH_BYTES)))
    with _walks(formula, parts, assignment) as walks:
        unsatisfied, whole = first_unsatisfied(walks)
    if unsatisfied and not complete:
        return unchecked("some of the solver's output was not kept")
    notes = []
    if model.several:
        notes.append("only what stands before the first 0 of its v lines was looked at")
    if not model.ended and complete:
        notes.append("its v lines don't end with a 0")
    if unsatisfied:
        but = f" Note that {' and '.join(notes)}." if notes else ""
        return Outcome(WRONG, f"The solver's {_named(unsatisfied)}.{but}")
    if whole.variables and model.largest > whole.variables:
        notes.append(f"it holds {model.largest}, and the formula has {whole.variables} variables")
    return Outcome(f"{RIGHT}: {', '.join(notes)}" if notes else RIGHT)


@contextmanager
def _walks(formula: Path, parts: list[tuple[int, int]], assignment: Assignment) -> Iterator[Iterable[Walk]]:
    """The walks over the parts of the formula, in their order: each in a process of its own, if there are several.

    They are forks of this one, so that all of them see the same assignment.
    """
    if len(parts) < 2:
        yield (walk(formula, part, assignment) for part in parts)
        return
    from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
    from multiprocessing import get_context

    global _shared  # noqa: PLW0603 - what a fork is to find has to be somewhere
    _shared = assignment
    with ProcessPoolExecutor(len(parts), get_context("fork")) as pool:
        try:
            yield pool.map(_walk_shared, repeat(formula), parts)
        except BrokenExecutor as error:
            raise CheckError("a process of the check was killed") from error
        finally:
            pool.shutdown(cancel_futures=True)


_shared: Assignment | None = None


def _walk_shared(formula: Path, part: tuple[int, int]) -> Walk:
    assert _shared
    return walk(formula, part, _shared)


def _named(clause: Unsatisfied) -> str:
    literals = " ".join(map(str, clause.literals[:SHOWN_LITERALS]))
    end = "..." if len(clause.literals) > SHOWN_LITERALS else "0"
    shown = f": {literals} {end}" if literals else ""
    return f"model does not satisfy clause {clause.number} of the formula{shown}"


def main(formula: str, stdout: str, complete: str, processes: str) -> None:
    """Check, and print the outcome."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    print(json.dumps(asdict(check(Path(formula), Path(stdout), int(processes), complete=complete == "complete"))))


if __name__ == "__main__":
    main(*sys.argv[1:])
