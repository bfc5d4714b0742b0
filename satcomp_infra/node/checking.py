"""Having a solver's model checked before its answer counts: at once where that is quick, or else by a process."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from concurrent.futures import wait
from dataclasses import replace
from pathlib import Path

from ..jobs import Job, Verdict
from . import check
from .check import Outcome, unchecked
from .children import signal_name
from .context import Context
from .log import Log
from .offspring import Offspring
from .outputs import Outputs
from .problem import formula_language
from .verdict import Judgement

_AT_ONCE_BYTES = 512 * 1024
"""Of formula and output together: no more than takes as long as the start of a process, some hundredths of a second."""
_MOST_PROCESSES = 32
_SOURCES = Path(__file__).parents[2]


class ModelCheck:
    """The check of a job's model. Make it before the solver runs: what is checked is the formula as it is then."""

    def __init__(self, context: Context, offspring: Offspring, job: Job, formula: Path) -> None:
        self._context = context
        self._offspring = offspring
        self._job = job
        self._formula = formula
        self._identity = _identity(formula)

    def applied_to(self, judgement: Judgement, outputs: Outputs, *, complete: bool, log: Log) -> Judgement:
        """The judgement with what the check says of its model; an ERROR where the model is wrong.

        `complete`: all that the solver has printed is there. Takes `Timing.model_check` seconds at most, and no more
        than `Timing.stopped_check` once the node is asked to stop. Where that is too little, the answer stands
        unchecked.
        """
        if judgement.verdict is not Verdict.SAT:
            return judgement
        outcome = self._why_not() or self._outcome(outputs.stdout, complete=complete, log=log)
        if outcome.reason:
            return replace(judgement, verdict=Verdict.ERROR, reason=outcome.reason, model=outcome.model)
        return replace(judgement, model=outcome.model)

    def _why_not(self) -> Outcome | None:
        language = self._job.language or formula_language(self._job.problem)
        if not self._job.check_models:
            return unchecked("--check-models off")
        if language.upper() not in {"DIMACS", "CNF", "DIMACS CNF"}:
            return unchecked("the formula is not DIMACS CNF")
        if _identity(self._formula) != self._identity:
            return unchecked("the formula's file has been changed")
        return None

    def _outcome(self, stdout: Path, *, complete: bool, log: Log) -> Outcome:
        try:
            size = self._formula.stat().st_size + stdout.stat().st_size
            if size <= _AT_ONCE_BYTES:
                return check.check(self._formula, stdout, complete=complete)
            started = time.monotonic()
            outcome = self._by_a_process(stdout, complete=complete, log=log)
        except OSError as error:
            return unchecked(error.strerror or str(error))
        log.info("its model is %s (the check took %.2f s)", outcome.model, time.monotonic() - started)
        return outcome

    def _by_a_process(self, stdout: Path, *, complete: bool, log: Log) -> Outcome:
        stop, timing = self._context.stop, self._context.timing
        processes = min(os.cpu_count() or 1, _MOST_PROCESSES)
        with tempfile.TemporaryFile() as answer:
            child = self._offspring.start(
                Path(sys.executable),
                *("-S", "-m", check.__name__),  # what is installed isn't needed, and takes time to find
                *(str(self._formula), str(stdout), "complete" if complete else "incomplete", str(processes)),
                directory=_SOURCES,  # which is where it finds its modules; in the job's, a solver may have left others
                environment={},
                stdout=answer.fileno(),
            )
            try:
                ended = stop.wait_with(child.ended, timing.model_check)
                if not ended and stop.is_set():
                    ended = bool(wait([child.ended], timeout=timing.stopped_check).done)
            finally:
                child.end()
                self._offspring.kill(log)
                self._offspring.take_usage()  # which is none of the next solver's
            if not ended:
                late = f"that takes more than {timing.model_check:g} s"
                return unchecked("the node was stopped" if stop.is_set() else late)
            answer.seek(0)
            text = answer.read()
        if child.returncode < 0:
            return unchecked(f"the check was killed by {signal_name(-child.returncode)}")
        try:
            return Outcome(**json.loads(text))
        except (ValueError, TypeError):
            return unchecked(f"the check ended with exit code {child.returncode}")


def _identity(file: Path) -> tuple[int, int, int] | None:
    """What changes when a file is written again."""
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns
