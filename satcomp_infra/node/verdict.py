"""What a run means: the verdict, and the reason where there is no answer."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..jobs import RETURN_CODES, Verdict
from .children import signal_name
from .outputs import Outputs
from .settings import Timing
from .solver import Run

_SHELL_SIGNAL = 128
"""A shell's exit code for a program that a signal killed is this plus the signal's number."""


@dataclass(frozen=True)
class Judgement:
    """A verdict as the result has it, and what it says of the model."""

    verdict: Verdict
    reason: str = ""
    return_code: int | None = None
    solver_output: Mapping[str, Any] = field(default_factory=dict)
    model: str = ""


def judge(run: Run, outputs: Outputs, timeout_seconds: int, timing: Timing) -> Judgement:
    """The verdict on a run, from how it ended and what it left.

    An answer counts when the solver has ended by itself and in time: one that has written its answer and then goes on
    running is a TIMEOUT, whose reason says so. A solver whose process is killed by a signal is an ERROR, whatever it
    has written. Otherwise solver_out.json decides; where it is missing or can't be used, the exit code and the `s`
    line do. Any two of them that contradict each other make it an ERROR. Where there is no answer and the kernel has
    killed something to get memory, the reason begins with that.
    """
    judgement = _judge(run, outputs, timeout_seconds, timing)
    memory = ""
    if run.oom_kills and judgement.verdict not in {Verdict.SAT, Verdict.UNSAT}:
        processes = "a process" if run.oom_kills == 1 else f"{run.oom_kills} processes"
        peak = f"{run.usage.peak_memory_bytes / 2**20:.0f} MiB"
        memory = f"Out of memory: the kernel killed {processes} of the solver's, which had used up to {peak}."
    return replace(judgement, reason=" ".join(filter(None, (memory, judgement.reason, run.fault))))


def _judge(run: Run, outputs: Outputs, timeout_seconds: int, timing: Timing) -> Judgement:
    said = outputs.statements()
    if run.timed_out:
        return _timeout(run, outputs, said, timeout_seconds, timing)
    if run.returncode < 0:
        return _error(f"The solver was killed by {_killer(-run.returncode, run)}.", outputs)
    if len(said) > 1:
        return _error(f"The solver contradicts itself: its stdout says {_lines(said)}.", outputs)
    statement = next(iter(said), None)
    if outputs.return_code is not None:
        return _by_report(outputs.return_code, run.returncode, statement, outputs)
    return _by_process(run, statement, outputs)


def _by_report(code: int, exit_code: int, statement: Verdict | None, outputs: Outputs) -> Judgement:
    verdict = RETURN_CODES.get(code)
    if verdict is None:
        return _error(f"The solver reports return code {code} in solver_out.json: none of 10, 20 and 0.", outputs)
    against = ""
    if statement and statement != verdict:
        against = f"its stdout says {_lines({statement})}"
    elif exit_code in {10, 20} and exit_code != code:
        against = f"it ended with exit code {exit_code}"
    if against:
        return _error(
            f"The solver contradicts itself: return code {code} in solver_out.json is {verdict}, {against}.", outputs
        )
    return Judgement(verdict, "", code, outputs.reported)


def _by_process(run: Run, statement: Verdict | None, outputs: Outputs) -> Judgement:
    code = run.returncode
    verdict = RETURN_CODES.get(code)
    if verdict is None:
        killer = _killer(code - _SHELL_SIGNAL, run) if code > _SHELL_SIGNAL else ""
        signalled = f", as after a program killed by {killer}" if killer else ""
        return _error(f"The solver ended with exit code {code}{signalled}.", outputs, code)
    # Exit code 0 is also what any program that has done its work ends with, a start script for example: there, the
    # `s` line says more.
    if code == 0 and statement:
        return Judgement(
            statement, outputs.fault, next(key for key, value in RETURN_CODES.items() if value == statement)
        )
    if statement and statement != verdict:
        return _error(
            f"The solver contradicts itself: exit code {code} is {verdict}, its stdout says {_lines({statement})}.",
            outputs,
            code,
        )
    reason = outputs.fault
    if not reason and verdict == Verdict.UNKNOWN and not statement:
        reason = "The solver ended with exit code 0, without solver_out.json and without an 's' line."
    return Judgement(verdict, reason, code)


def _timeout(run: Run, outputs: Outputs, said: set[Verdict], timeout_seconds: int, timing: Timing) -> Judgement:
    reasons = []
    if outputs.return_code in {10, 20}:
        reasons.append(f"return code {outputs.return_code} in solver_out.json")
    if said - {Verdict.UNKNOWN}:
        reasons.append(_lines(said))
    reason = ""
    if reasons:
        reason = (
            f"The solver wrote {' and '.join(reasons)}, but had not ended after {timeout_seconds} s: "
            "an answer counts when the solver ends in time."
        )
    if not run.obeyed:
        reason += f" It was still running {timing.kill_grace:g} s after SIGTERM, and was killed."
    return Judgement(Verdict.TIMEOUT, reason.strip(), None, outputs.reported)


def _error(reason: str, outputs: Outputs, code: int | None = None) -> Judgement:
    parts = [reason]
    if outputs.fault:
        parts.append(outputs.fault)
    if words := outputs.last_words():
        parts.append(f"The end of its stderr: {words}")
    code = outputs.return_code if outputs.return_code is not None else code
    return Judgement(Verdict.ERROR, " ".join(parts), code, outputs.reported)


def _lines(said: set[Verdict]) -> str:
    words = {Verdict.SAT: "SATISFIABLE", Verdict.UNSAT: "UNSATISFIABLE", Verdict.UNKNOWN: "UNKNOWN"}
    return " and ".join(f"'s {words[verdict]}'" for verdict in sorted(said))


def _killer(number: int, run: Run) -> str:
    """The signal's name, and where the kernel doesn't count what it kills, that it may have been the kernel."""
    unknown = number == signal.SIGKILL and run.oom_kills is None
    return f"{signal_name(number)}{' (which is also how the kernel ends what uses too much memory)' if unknown else ''}"
