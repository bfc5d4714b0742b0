"""What can go wrong with a job, and when: each kind of fault at each step, and problems for the jobs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from satcomp_infra.jobs import Verdict
from satcomp_infra.local.faults import Action, Failure, StepFault, When

SOLVER = """#!/bin/bash
# Solves formulas of unit clauses. Where two solvers work in one directory, the second one fails.
mkdir "$1/running" || exit 7
formula=$(sed -n 's/.*"formula_file": "\\(.*\\)",.*/\\1/p' "$1/input.json")
read -r _ number seconds does < "$formula"
echo "c number $number"
echo "c at $SATCOMP_NODE_IP"
[ "$does" = kills ] && kill -KILL $PPID
if [ "$does" = tells ]; then
  address=${AWS_ENDPOINT_URL#http://}
  exec 3<> "/dev/tcp/${address%:*}/${address#*:}"
  credential="Credential=$AWS_ACCESS_KEY_ID/20230704/us-east-1/s3/aws4_request"
  printf 'GET /%s/solving HTTP/1.1\r\nHost: %s\r\nAuthorization: AWS4-HMAC-SHA256 %s, Signature=0\r\n\r\n' \
    "$SATCOMP_BUCKET_NAME" "$address" "$credential" >&3
  read -r -t 10 <&3
  exec 3>&-
fi
sleep "$seconds"
awk '
  /^p/ { variables = $3 }
  /^[-0-9]/ {
    if (NF > 3) endless = 1
    if (NF > 2) hard = 1
    if ($1 > variables || -$1 > variables) broken = 1
    if (-$1 in units) contradiction = 1
    units[$1]
  }
  END { exit broken ? 3 : endless ? 9 : hard ? 0 : contradiction ? 20 : 10 }
' "$formula"
answer=$?
rmdir "$1/running"
case $answer in
  0) echo "s UNKNOWN" ;;
  9) exec sleep 1000 ;;
  10) echo "s SATISFIABLE" ;;
  20) echo "s UNSATISFIABLE" ;;
esac
exit $answer
"""
"""The number comes back with the answer, and the node: so it is seen which formula was solved, and whose output it is.

Where the formula says so, the solver makes a call to AWS in its node's name, at which a fault can happen to the node;
or it kills its leader.
"""

WORKER = """#!/bin/sh
while :; do
  printf '{"status": "READY", "timestamp": %s}' "$(date +%s)" > status
  mv status worker_node_status.json
  sleep 1
done
"""

_CLAUSES = {
    Verdict.SAT: "{0} 0",
    Verdict.UNSAT: "{0} 0\n-{0} 0",
    Verdict.UNKNOWN: "{0} 1 0",
    Verdict.ERROR: "{0}0 0",
    Verdict.TIMEOUT: "{0} 1 2 0",
}
_VERDICTS = (Verdict.SAT, Verdict.UNSAT, Verdict.UNKNOWN, Verdict.ERROR) * 3 + (Verdict.TIMEOUT,)


class Does(StrEnum):
    """What a solver does with a problem."""

    SOLVE = "solves"
    TELL = "tells"
    """Makes a call first."""
    KILL = "kills"
    """Kills its leader."""


@dataclass(frozen=True)
class Problem:
    """A formula, the only right verdict, and how long it takes to be found. `number` is 3 or more."""

    number: int
    verdict: Verdict
    seconds: float
    does: Does = Does.SOLVE

    @property
    def key(self) -> str:
        return f"problems/{self.number:05}.cnf"

    @property
    def content(self) -> bytes:
        clauses = _CLAUSES[self.verdict].format(self.number)
        head = f"c {self.number} {self.seconds:g} {self.does}"
        return f"{head}\np cnf {self.number} {clauses.count(' 0')}\n{clauses}\n".encode()


@dataclass(frozen=True)
class Case:
    """A job, and what goes wrong with it: `kind` and `step` name that; no `faults` where it concerns all jobs.

    `attempt` is the first that can have a result, `latest` the last one that may: what is over soon costs no run.
    """

    kind: str
    step: str
    problem: Problem
    faults: tuple[StepFault, ...] = ()
    workers: int = 0
    attempt: int = 1
    latest: int = 99


NOTICED_SECONDS = 10.0
"""In which a leader notices that a worker of its job is dead."""
STEPS = {
    "received": StepFault("sqs.ReceiveMessage", When.AFTER),
    "download": StepFault("s3.GetObject", target="*/problems/*"),
    "half downloaded": StepFault("s3.GetObject", When.DURING, target="*/problems/*"),
    "solve": StepFault("sqs.ChangeMessageVisibility"),
    "store files": StepFault("s3.PutObject", target="*/stdout"),
    "store result": StepFault("s3.PutObject", target="*/result.json"),
    "result stored": StepFault("s3.PutObject", When.AFTER, target="*/result.json"),
    "announce": StepFault("sqs.SendMessage"),
    "announced": StepFault("sqs.SendMessage", When.AFTER),
    "delete": StepFault("sqs.DeleteMessage"),
    "deleted": StepFault("sqs.DeleteMessage", When.AFTER),
}
"""The steps of a job, each by a call that is made then. A message is extended while its solver runs."""
STORING = ("store files", "store result", "announce")
"""With a run's outcome, which is not given away."""
SOLVING = StepFault("s3.GetObject", target="*/solving")
"""The solver's own call: the extension may also be one while the job waits for its workers."""
LASTING_ERROR = "lasting server error"
"""A call fails more often than botocore tries it."""
CREW_STEPS = {
    "wait for workers": StepFault("dynamodb.Scan"),
    "end the job": StepFault("dynamodb.PutItem", target="TaskEndNotification"),
}
"""Further ones, of a job with workers."""


def kinds(visibility: float) -> dict[str, tuple[StepFault, ...]]:
    """What can happen at a step, by name; of these faults, `action` and what belongs to it count."""
    long = visibility + 1.0  # somebody else has got the job meanwhile
    again = StepFault("", action=Action.DELIVER_AGAIN)
    return {
        "leader SIGKILL": (StepFault("", action=Action.KILL),),
        "leader SIGTERM": (StepFault("", action=Action.TERMINATE),),
        "leader SIGSTOP": (StepFault("", action=Action.FREEZE, seconds=long),),
        "node gone": (StepFault("", action=Action.CUT_POWER),),
        "node stands still": (StepFault("", action=Action.FREEZE_ALL, seconds=long),),
        "connection lost": (StepFault("", action=Action.DISCONNECT),),
        "call hangs": (StepFault("", action=Action.HANG, seconds=long),),
        "throttled": (StepFault("", action=Action.FAIL, times=2),),
        "server error": (StepFault("", action=Action.FAIL, times=2, failure=Failure.INTERNAL_ERROR),),
        LASTING_ERROR: (StepFault("", action=Action.FAIL, times=12, failure=Failure.INTERNAL_ERROR),),
        "delivered again": (again,),
        # The call is done when another leader has done the job.
        "overtaken": (again, StepFault("", action=Action.HANG, seconds=1.5)),
    }


def worker_kinds(visibility: float) -> dict[str, tuple[StepFault, ...]]:
    """What can happen to a worker at a step of its leader's."""
    return {
        "worker SIGKILL": (StepFault("", action=Action.KILL, victim="worker"),),
        "worker SIGTERM": (StepFault("", action=Action.TERMINATE, victim="worker"),),
        "worker SIGSTOP": (StepFault("", action=Action.FREEZE, victim="worker", seconds=visibility + 1.0),),
        "worker's node gone": (StepFault("", action=Action.CUT_POWER, victim="worker"),),
    }


def table(visibility: float, workers: int = 0, runs: int = 1, first: int = 3) -> Iterator[Case]:
    """Each kind of fault at each step at which it can happen, so many times. Problems are numbered from `first`."""
    steps = STEPS | CREW_STEPS if workers else STEPS
    all_kinds = kinds(visibility) | worker_kinds(visibility) if workers else kinds(visibility)
    number = first
    for _ in range(runs):
        for step, place in steps.items():
            for kind, faults in all_kinds.items():
                if faults[0].action is Action.FAIL and place.when is not When.BEFORE:
                    continue
                if kind == LASTING_ERROR and step not in STORING:
                    continue
                at, seconds, does = place, 0.05, Does.SOLVE
                if step == "solve" and faults[0].victim:  # until a dead worker must have been noticed
                    at, seconds, does = SOLVING, NOTICED_SECONDS + 1, Does.TELL
                elif step == "solve":  # until there has been an extension
                    seconds = 3 * visibility / 4
                problem = Problem(number, _VERDICTS[number % len(_VERDICTS)], seconds, does)
                number += 1
                job = f"*/{problem.key}*"
                met = (replace(f, call=at.call, when=at.when, target=at.target, job=job) for f in faults)
                over_soon = faults[0].action is Action.FAIL
                yield Case(kind, step, problem, tuple(met), workers, latest=1 if over_soon else Case.latest)


def again_and_again(first: int, workers: int = 0) -> list[Case]:
    """A job that kills each of its leaders, and one whose leaders are stopped. Problems are numbered from `first`."""
    poison = Problem(first, Verdict.ERROR, 0, Does.KILL)
    problem = Problem(first + 1, Verdict.SAT, 1, Does.TELL)  # else it could be solved before its leader is stopped
    stops = replace(SOLVING, action=Action.TERMINATE, times=4, job=f"*/{problem.key}*")
    return [
        Case("poison", "solve", poison, workers=workers, attempt=4),
        Case("leader SIGTERM x 4", "solve", problem, (stops,), workers, attempt=5),
    ]


def plain(kind: str, step: str, count: int, first: int, workers: int = 0) -> list[Case]:
    """Jobs without faults of their own, whose problems are numbered from `first` and take up to a second and a half."""
    return [
        Case(kind, step, Problem(number, _VERDICTS[number % len(_VERDICTS)], 0.1 + 0.2 * (number % 8)), workers=workers)
        for number in range(first, first + count)
    ]
