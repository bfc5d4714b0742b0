"""What a node is told from outside: its environment, and how long it waits for what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ..errors import SatcompError


@dataclass(frozen=True)
class Settings:
    """A node's environment. `competition` holds the team's programs, `shared` is the directory that all nodes see.

    `account` is whose the bucket has to be; empty where an older task definition doesn't say.
    """

    region: str
    job_queue: str
    result_queue: str
    bucket: str
    account: str
    competition: Path
    shared: Path

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the variables that the task definition sets. Raises SatcompError, which names all that are missing."""
        required = ("AWS_DEFAULT_REGION", "SQS_QUEUE_NAME", "SQS_OUTPUT_QUEUE_NAME", "SATCOMP_BUCKET_NAME")
        missing = [name for name in required if not environment.get(name)]
        if missing:
            raise SatcompError(
                f"A node can't start without {_listed(missing)} in its environment.",
                "The task definition sets these variables; where a node is started by hand, set them there.",
            )
        region, job_queue, result_queue, bucket = (environment[name] for name in required)
        return cls(
            region,
            job_queue,
            result_queue,
            bucket,
            account=environment.get("SATCOMP_ACCOUNT_ID", ""),
            competition=Path(environment.get("SATCOMP_COMPETITION_DIR") or "/competition").absolute(),
            shared=Path(environment.get("SATCOMP_SHARED_DIR") or "/mount/efs").absolute(),
        )


@dataclass(frozen=True)
class Timing:
    """How long a node waits for what, in seconds. The defaults are right for AWS; tests shorten them."""

    kill_grace: float = 10.0
    """Between SIGTERM at a job's timeout and SIGKILL (the solver contract's ten seconds)."""
    stop_grace: float = 0.5
    """The same, where the node itself is asked to stop: ECS, and whoever pays for the machine, is waiting."""
    killing: float = 5.0
    """For killed processes to be gone. One that hangs in the kernel (a dead file system) can't be killed."""
    workers: float = 600.0
    """For the workers of a job to be ready: a machine that was just asked for boots and pulls its image in less."""
    cleanup: float = 10.0
    """For the team's cleanup program (the solver contract's ten seconds)."""
    leader: float = 60.0
    """That a worker program's start waits for a leader to be there: existing ones read its address first of all."""
    model_check: float = 60.0
    """For the check of a model: 300 million literals and more, even on a machine with one processor."""
    stopped_check: float = 5.0
    """For the same once the node is asked to stop: few checks take longer. ECS gives a leader a minute to end."""
    retry: float = 5.0
    """Until a job that AWS's trouble stopped is offered again; after each further attempt it is twice as long."""
    longest_retry: float = 600.0
    """The longest of these. So a job whose result can't be stored comes to the end of the 20 attempts that its queue
    allows after more than two hours: for so long, S3 may be out of reach without any job being lost."""
    abandoned: float = 300.0
    """That a job's directory shows no sign of use before it is removed as a dead attempt's. Long after the message was
    lost: NFS may show a directory as it was a minute ago (nfs(5), acdirmax)."""
    visibility: int = 30
    """That a job's message is hidden from other leaders (SQS's VisibilityTimeout, whole seconds), counted from its
    receipt and from each extension: so long after its leader was killed, at most, another one gets the job.

    Half a minute, because ECS needs about as long to start the killed leader's task again: a shorter time would seldom
    let anybody start sooner. And because AWS may throttle a leader, or be out of its reach, for so long without the
    job being taken from it: that would cost all that its solver has done, up to a thousand seconds."""
    extension: float = 5.0
    """Between two extensions. Five of them may fail before the message is lost. A leader makes half a million of them
    in a month of solving, for 0.20 USD."""


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
