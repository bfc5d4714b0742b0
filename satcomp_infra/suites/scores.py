"""What runs are worth: solved problems, PAR-2, the virtual best solver, and first of all, whether they are right."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..jobs import Verdict
from ..units import count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .records import Finished, Row

PENALTY = 2
"""PAR-2: an unsolved problem counts as so many times its timeout."""
VBS = "virtual best solver"


@dataclass(frozen=True)
class Contradiction:
    """Something that can't be right about a problem, in a sentence. `wrong` are the places of the runs that are wrong.

    `unsure` are those of which one is wrong, and it isn't known which.
    """

    problem: str
    text: str
    wrong: frozenset[int] = frozenset()
    unsure: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Score:
    """A run in numbers. `par2` is in seconds, the mean per problem; `wall` and `cpu` are sums, in seconds.

    `wrong` answers are not among the solved, nor are those that contradict another's where nobody knows who is right.
    """

    name: str
    problems: int
    solved: int
    sat: int
    unsat: int
    par2: float
    wrong: int = 0
    contradicted: int = 0
    errors: int = 0
    timeouts: int = 0
    unknown: int = 0
    missing: int = 0
    unchecked: int = 0
    """SAT without a model that was checked."""
    wall: float = 0.0
    cpu: float = 0.0

    @property
    def disqualified(self) -> bool:
        """Whether a competition would disqualify this solver: for a single wrong answer."""
        return self.wrong > 0


@dataclass(frozen=True)
class Comparison:
    """Runs over the problems that they have in common, in the first one's order. `rows[problem][run]`."""

    names: tuple[str, ...]
    problems: tuple[str, ...]
    rows: tuple[tuple[Row, ...], ...]
    contradictions: tuple[Contradiction, ...]
    notes: tuple[str, ...]
    times: tuple[tuple[float | None, ...], ...]
    """`times[problem][run]`: the wall-clock time in which it was solved; None where it was not, or perhaps wrongly."""

    @property
    def scores(self) -> list[Score]:
        """Of each run and, where there are several, of the virtual best solver."""
        scores = [self._score(run) for run in range(len(self.names))]
        if len(self.names) > 1:
            scores.append(self._best())
        return scores

    @property
    def best(self) -> list[float | None]:
        """The virtual best solver's time for each problem."""
        return [min((time for time in times if time is not None), default=None) for times in self.times]

    def timeout(self, problem: int) -> int:
        """What solvers got for a problem, in seconds."""
        return max(row.timeout for row in self.rows[problem])

    def _score(self, run: int) -> Score:
        rows = [rows[run] for rows in self.rows]
        times = [times[run] for times in self.times]
        solved = Counter(row.verdict for row, time in zip(rows, times, strict=True) if time is not None)
        verdicts = Counter(row.verdict for row in rows)
        return Score(
            name=self.names[run],
            problems=len(rows),
            solved=solved.total(),
            sat=solved[Verdict.SAT],
            unsat=solved[Verdict.UNSAT],
            par2=_par2(times, [row.timeout for row in rows]),
            wrong=len({found.problem for found in self.contradictions if run in found.wrong}),
            contradicted=len({found.problem for found in self.contradictions if run in found.unsure}),
            errors=verdicts[Verdict.ERROR],
            timeouts=verdicts[Verdict.TIMEOUT],
            unknown=verdicts[Verdict.UNKNOWN],
            missing=verdicts[""],
            unchecked=sum(row.verdict == Verdict.SAT and row.model != "right" for row in rows),
            wall=sum(row.wall for row in rows),
            cpu=sum(row.cpu for row in rows),
        )

    def _best(self) -> Score:
        best, solved = self.best, Counter[str]()
        for rows, times, least in zip(self.rows, self.times, best, strict=True):
            if least is not None:
                solved[rows[times.index(least)].verdict] += 1
        timeouts = [self.timeout(problem) for problem in range(len(self.rows))]
        par2 = _par2(best, timeouts)
        return Score(VBS, len(best), solved.total(), solved[Verdict.SAT], solved[Verdict.UNSAT], par2)


def compare(runs: Sequence[Finished]) -> Comparison:
    """Put runs side by side. Several with the same name get numbers."""
    names = [run.name for run in runs]
    names = [f"{name} ({place})" if names.count(name) > 1 else name for place, name in enumerate(names, start=1)]
    tables = [{row.problem: row for row in run.rows} for run in runs]
    common = [row.problem for row in runs[0].rows if all(row.problem in table for table in tables)]
    rows = tuple(tuple(table[problem] for table in tables) for problem in common)
    contradictions = [found for each in rows for found in _contradictions(each, names)]
    not_solved: dict[str, frozenset[int]] = {}
    for found in contradictions:
        not_solved[found.problem] = not_solved.get(found.problem, frozenset()) | found.wrong | found.unsure
    return Comparison(
        names=tuple(names),
        problems=tuple(common),
        rows=rows,
        contradictions=tuple(contradictions),
        notes=tuple(_notes(names, tables, common)),
        times=tuple(
            tuple(
                row.wall if row.answered and place not in not_solved.get(row.problem, ()) else None
                for place, row in enumerate(each)
            )
            for each in rows
        ),
    )


def _contradictions(rows: Sequence[Row], names: Sequence[str]) -> list[Contradiction]:
    """What can't be right about one problem."""
    found, problem = [], rows[0].problem
    expected = {row.expected for row in rows if row.expected}
    proven = [place for place, row in enumerate(rows) if row.verdict == Verdict.SAT and row.model == "right"]
    if len(expected) > 1:
        found.append(Contradiction(problem, "it is expected to be SAT in one run and UNSAT in another."))
    truth = Verdict.SAT if proven else next(iter(expected), "") if len(expected) == 1 else ""
    if proven and Verdict.UNSAT in expected:
        who = names[proven[0]]
        found.append(Contradiction(problem, f"it is expected to be UNSAT, but a checked model of {who} satisfies it."))
    bad_models = frozenset(place for place, row in enumerate(rows) if row.model.startswith("wrong"))
    found += [
        Contradiction(problem, f"{names[place]} gave a model that doesn't satisfy it.", frozenset({place}))
        for place in sorted(bad_models)
    ]
    answered = {place: row.verdict for place, row in enumerate(rows) if row.answered}
    wrong = frozenset(place for place, verdict in answered.items() if truth and verdict != truth)
    if wrong:
        who = " and ".join(names[place] for place in sorted(wrong))
        known = f"a checked model of {names[proven[0]]} satisfies it" if proven else f"it is known to be {truth}"
        verdict = rows[min(wrong)].verdict
        found.append(Contradiction(problem, f"{who} answered {verdict}, but {known}.", wrong))
    elif not truth and len(set(answered.values())) > 1:
        said = ", ".join(f"{names[place]} answered {verdict}" for place, verdict in answered.items())
        found.append(Contradiction(problem, f"{said}: one of them is wrong.", unsure=frozenset(answered)))
    return found


def _notes(names: Sequence[str], tables: Sequence[dict[str, Row]], common: Sequence[str]) -> list[str]:
    """What to know about a comparison before its numbers are believed."""
    notes = []
    if not common:
        notes.append("The runs have no problem in common.")
    elif any(len(table) > len(common) for table in tables):
        notes.append(f"Only the {count(len(common), 'problem')} that all runs have are counted.")
    changed = sum(len({_content(table[problem]) for table in tables} - {""}) > 1 for problem in common)
    if changed:
        notes.append(f"{count(changed, 'problem')} of the same name had another content in another run.")
    timeouts = {table[problem].timeout for table in tables for problem in common}
    if len(timeouts) > 1:
        notes.append(f"Timeouts differ: {', '.join(f'{seconds} s' for seconds in sorted(timeouts))}.")
    for name, table in zip(names, tables, strict=True):
        missing = sum(not table[problem].verdict for problem in common)
        if missing:
            notes.append(f"{name} is not finished: {count(missing, 'problem')} without a result, counted as unsolved.")
    return notes


def _content(row: Row) -> str:
    """What stands for a problem's content, where it was uploaded under its hash; else nothing."""
    from .uploading import content_of

    return content_of(row.location)


def _par2(times: Sequence[float | None], timeouts: Sequence[int]) -> float:
    if not times:
        return 0.0
    paid = (PENALTY * timeout if time is None else time for time, timeout in zip(times, timeouts, strict=True))
    return sum(paid) / len(times)
