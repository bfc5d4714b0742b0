"""The acceptance test of a solver's images: what the competition checks, tried in containers on this machine."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .. import solver_images
from ..engine import Engine
from ..errors import SatcompError
from ..jobs import Result, Verdict, result_key
from ..project import NODE_MANIFEST_TABLE, TEST_PROBLEM
from .remains import PATIENCE, Look
from .walkthrough import Problem, StepFailedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..progress import Console
    from ..tracks import Track
    from .cloud import LocalCloud
    from .exercises import Exercise
    from .remains import Remains
    from .walkthrough import Walkthrough

TIMEOUT_SECONDS = 60
"""What a solver gets for the exercises that it should solve."""
SHORT_SECONDS = 3
"""And for the one that it shouldn't."""
_START_SECONDS = 60
_ENDING_SECONDS = 90
"""Beyond its timeout, until a job without a result is given up."""
_PAUSE = 0.2
_LOOKS = 8


@dataclass(frozen=True)
class Check:
    """Something that was checked. `reason` says what is wrong, or what is worth knowing."""

    name: str
    outcome: str
    good: bool
    reason: str = ""


def check_images(images: Mapping[str, str]) -> list[Check]:
    """Whether they could be pushed: what push-ecr would refuse. Raises SatcompError where there is no engine."""
    checks = []
    with Engine() as engine:
        engine.ping()
        for role, name in images.items():
            try:
                solver_images.check(engine, engine.image(name), role)
            except SatcompError as error:
                checks.append(Check(f"image of the {role}", "refused", good=False, reason=str(error)))
            else:
                checks.append(Check(f"image of the {role}", "could be pushed", good=True))
    return checks


class Acceptance:
    """Runs the exercises through the walkthrough's commands, and judges what comes back."""

    def __init__(
        self,
        local: LocalCloud,
        walkthrough: Walkthrough,
        workers: int,
        exercises: Sequence[Exercise],
        patience: float = PATIENCE,
    ) -> None:
        """`patience`: seconds that nodes may take to clean up after a job."""
        self._local = local
        self._walkthrough = walkthrough
        self._workers = workers
        self._exercises = exercises
        self._patience = patience
        self._bucket = walkthrough.bucket
        self.checks: list[Check] = []

    def run(self, track: Track) -> None:
        """Try everything; what comes after a step that makes the rest impossible isn't tried."""
        look = Look(self._local, self._patience)
        try:
            self._run(track, look)
        except StepFailedError as error:
            self.checks.append(Check("the walkthrough", "stopped", good=False, reason=str(error)))
        finally:
            look.close()

    def _run(self, track: Track, look: Look) -> None:
        self._walkthrough.create(track)
        self._walkthrough.upload([exercise.problem for exercise in self._exercises])
        self._walkthrough.set_up(track, self._workers, timeout=_START_SECONDS)
        fault = self._start_fault(look)
        self._add("nodes start", fault or "all are ready", good=not fault)
        if fault:
            return
        before = look.now()
        for exercise in self._exercises:
            self._try(exercise, before, look)
        self._walkthrough.shut_down()
        self._walkthrough.delete()

    def _try(self, exercise: Exercise, before: Remains, look: Look) -> None:
        seconds = SHORT_SECONDS if exercise.hard else TIMEOUT_SECONDS
        result = self._solve(exercise.problem, exercise.title, seconds)
        outcome, fault = self._judge(exercise, result)
        remark = result.reason if result and result.verdict is Verdict.ERROR else ""
        self.checks.append(Check(f"{exercise.title}: verdict", outcome, not fault, fault or remark))
        left = look.left_since(before)
        self._add(f"{exercise.title}: leaves", left or "nothing", good=not left, reason="It has to end with its job.")
        again = self._solve(Problem(TEST_PROBLEM, b"", "SAT"), f"A job after it ({exercise.title})", TIMEOUT_SECONDS)
        works = result_of(again) == Verdict.SAT
        self._add(
            f"{exercise.title}: next job", result_of(again), good=works, reason=again.reason if again else _NO_RESULT
        )

    def _add(self, name: str, outcome: str, *, good: bool, reason: str = "") -> None:
        self.checks.append(Check(name, outcome, good, "" if good else reason))

    def _solve(self, problem: Problem, why: str, seconds: int) -> Result | None:
        """Send a job, and wait for its result; None where there is none in time."""
        job = self._walkthrough.send(problem, f"{why}.", self._workers, seconds, seconds + _ENDING_SECONDS)
        if not job:
            return None
        s3 = self._local.client("s3")
        try:
            return Result.from_json(s3.get_object(Bucket=self._bucket, Key=result_key(job))["Body"].read())
        except s3.exceptions.NoSuchKey:
            return None

    def _judge(self, exercise: Exercise, result: Result | None) -> tuple[str, str]:
        """The verdict to show, and what is wrong with it; empty where nothing is."""
        if result is None:
            return _NOTHING, _NO_RESULT
        verdict, shown = str(result.verdict), f"{result.verdict} in {result.wall_seconds:.1f} s"
        if verdict in ("SAT", "UNSAT") and verdict != exercise.answer:
            return shown, f"A wrong answer: {exercise.wrong(verdict)}"
        if verdict not in exercise.expected:
            why = f" {result.reason}" if result.reason else ""
            return shown, f"It should be {' or '.join(exercise.expected)}.{why}"
        if verdict == "SAT" and exercise.clauses:
            return shown, exercise.model_fault(self._output(result))
        return shown, ""

    def _output(self, result: Result) -> str:
        stdout = result.file("stdout")
        if stdout is None:
            return ""
        s3 = self._local.client("s3")
        text: str = s3.get_object(Bucket=stdout.bucket, Key=stdout.key)["Body"].read().decode(errors="replace")
        return text

    def _start_fault(self, look: Look) -> str:
        """Why not all nodes are ready; empty once they are."""
        dynamodb = self._local.client("dynamodb")
        deadline = time.monotonic() + _START_SECONDS
        wanted, seen = 1 + self._workers, 0
        while seen < _LOOKS:  # a program that ends at once may have been ready for a moment
            time.sleep(_PAUSE)
            items = dynamodb.scan(TableName=NODE_MANIFEST_TABLE)["Items"]
            kinds = [item["nodeType"]["S"] for item in items if item["status"]["S"] == "READY"]
            leaders, workers = min(kinds.count("LEADER"), 1), min(kinds.count("WORKER"), self._workers)
            ready = leaders + workers
            seen = seen + 1 if ready == wanted else 0
            if time.monotonic() > deadline:
                said = "; ".join(look.last_words()) or "nodes printed nothing"
                return f"{ready} of {wanted} are ready after {_START_SECONDS} s: {said}"
        return ""


_NOTHING = "no result"
_NO_RESULT = "The job has no result: what the nodes printed may say why."


def result_of(result: Result | None) -> str:
    """A result's verdict as it is shown."""
    return str(result.verdict) if result else _NOTHING


def table(checks: list[Check], console: Console) -> None:
    """What was checked, and of what failed the reason."""
    width = max(len(check.name) for check in checks)
    console.result(f"\n{'check':<{width}}  result")
    for check in checks:
        console.result(f"{check.name:<{width}}  {'pass' if check.good else 'FAIL'}  {check.outcome}")
        if check.reason:
            console.result(f"{'':<{width}}        {check.reason}")
