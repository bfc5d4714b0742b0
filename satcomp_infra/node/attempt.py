"""One attempt at one job: from the message's body to the stored and announced result."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ..jobs import Job, JobFormatError, Result, Verdict
from .aws import AwsError, in_words, is_outage
from .background import background
from .checking import ModelCheck
from .context import Context
from .crew import Crew, CrewLost, Crews
from .directory import JobDirectory
from .earlier_attempts import MOST_FAILURES, EarlierAttempts, Past
from .failure import JobError
from .lease import Lease
from .log import JobLog
from .offspring import Offspring
from .outputs import Outputs
from .problem import fetch
from .results import Results
from .solver import Run, run_solver, write_input
from .stop import Stop
from .verdict import Judgement, judge

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

T = TypeVar("T")

_DOWNLOAD_END_SECONDS = 0.5
_AGAIN_SECONDS = 1.0
_RELEASE_SECONDS = 1.0


@dataclass(frozen=True)
class Message:
    """A received job. `attempt` counts from 1; `received_at` is epoch seconds."""

    job_id: str
    body: str
    attempt: int
    received_at: float


@dataclass(frozen=True)
class Workshop:
    """What a leader has for doing jobs, whichever job it is."""

    context: Context
    s3: S3Client
    results: Results
    crews: Crews
    offspring: Offspring
    earlier_attempts: EarlierAttempts


class Attempt:
    """An attempt at a job. `run` is called once; when `stop` is set, it is broken off, and raises that one's reason."""

    def __init__(self, workshop: Workshop, message: Message, lease: Lease, stop: Stop, log: JobLog) -> None:
        self._shop = workshop
        self._message = message
        self._lease = lease
        self._stop = stop
        self._log = log
        self._context = replace(workshop.context, stop=stop)
        settings, timing = self._context.settings, self._context.timing
        self._directory = JobDirectory(settings.shared, message.job_id, timing.abandoned, log)
        self._job: Job | None = None
        self._crew: Crew | None = None
        self._releasing: Future[None] | None = None
        self._run: Run | None = None

    def run(self) -> None:
        """Do the job. On return its result is stored and announced.

        Raises Stopped where the node was asked to stop before there was a verdict, LeaseLost and CrewLost, and whatever
        keeps it from having a verdict that is no fault of the job's, AWS's errors for example. Then, too, nothing runs
        here any more. Call `end` afterwards, however it was.
        """
        results, directory = self._shop.results, self._directory.path
        if self._message.attempt > 1 and (earlier := results.find(self._message.job_id)):
            # An earlier attempt ended between storing its result and deleting the message. Whether it came as far as
            # announcing it, no one knows: who waits for the job takes one announcement and needs no other.
            self._log.info("is already done: %s", earlier.verdict)
            results.announce(earlier, directory)
            return
        judgement = self._judgement()
        self._lease.check()
        result = self._store_and_announce(self._result(judgement))
        because = f": {result.reason}" if result.reason else ""
        self._log.info("%s after %.2f s%s", result.verdict, result.wall_seconds, because)

    def _store_and_announce(self, result: Result) -> Result:
        """Store the result with its run's files and tell of it, the workers meanwhile; return the job's result."""
        results, directory = self._shop.results, self._directory.path
        run, files = f"{result.attempt}{directory.suffix}", Outputs.read(directory).files()
        location = self._insist(partial(results.store_files, result.job_id, run, files, self._log))
        # From here on, what a worker's cleanup may do to the job's directory does no harm.
        self._releasing = background(self._release_crew)
        result = self._insist(partial(results.store, replace(result, files=location)))
        self._insist(partial(results.announce, result, directory))
        return result

    def _insist(self, call: Callable[[], T]) -> T:
        """Repeat the call while AWS is out of order, for as long as the job is this leader's: its run is done.

        Raises LeaseLost, AWS's other errors, and Stopped: once the node is asked to stop, the call under way is the
        last one.
        """
        failing = False
        while True:
            try:
                return call()
            except AwsError as error:
                if not is_outage(error):
                    raise
                if not failing:
                    self._log.warning("waits for AWS, to store its result: %s", in_words(error))
                failing = True
            self._stop.wait(_AGAIN_SECONDS)
            self._stop.check()
            self._lease.check()

    def end(self) -> None:
        """Tell the workers that the job has ended, and remove its files.

        Call it when the message is deleted or given back: where AWS is out of order, telling takes half a minute. The
        job's next leader waits for these workers until then. Who is asked to stop doesn't wait for it.
        """
        releasing, stop = self._releasing or background(self._release_crew), self._shop.context.stop
        if stop.wait_with(releasing) or wait([releasing], timeout=_RELEASE_SECONDS).done:
            releasing.result()
        self._directory.remove()

    def _judgement(self) -> Judgement:
        try:
            self._job = Job.from_message(self._message.body)
            self._log.info(
                "received: %s, workers: %d, timeout: %d s%s",
                self._job.problem,
                self._job.num_workers,
                self._job.timeout_seconds,
                f" (attempt {self._message.attempt})" if self._message.attempt > 1 else "",
            )
            if why := self._past().why_no_more():
                return Judgement(Verdict.ERROR, why)
            return self._solve(self._job)
        except (JobFormatError, JobError) as error:
            return Judgement(Verdict.ERROR, str(error))
        except CrewLost as lost:
            if (past := self._past(this_one=1)).failures + 1 < MOST_FAILURES:
                raise
            return Judgement(Verdict.ERROR, f"{lost} It was the last of {past.attempts + 1} attempts at this job.")

    def _past(self, this_one: int = 0) -> Past:
        """The job's earlier attempts. They are looked up only if they, and `this_one`, can be too many failures."""
        message = self._message
        if message.attempt - 1 + this_one < MOST_FAILURES:
            return Past(message.attempt - 1)
        return self._shop.earlier_attempts.look(message.job_id, message.attempt, message.received_at, self._stop)

    def _solve(self, job: Job) -> Judgement:
        shop, context, directory = self._shop, self._context, self._directory.path
        self._directory.make()
        self._crew, formula = self._gather(job)
        workers = self._crew.addresses
        write_input(job, formula, workers, context.identity.address)
        model_check = ModelCheck(context, shop.offspring, job, formula)
        self._log.info("starts its solver%s", f" with workers {', '.join(workers)}" if workers else "")
        with self._crew.watched(self._stop, self._log):
            self._run = run_solver(context, shop.offspring, directory, job, self._log)
        if self._run.broken_off:
            raise self._stop.reason
        outputs = Outputs.read(directory)
        if outputs.fault:
            self._log.warning("%s", outputs.fault)
        judgement = judge(self._run, outputs, job.timeout_seconds, context.timing)
        if judgement.verdict in {Verdict.ERROR, Verdict.UNKNOWN}:
            self._crew.confirm(self._stop)
        return model_check.applied_to(judgement, outputs, complete=not self._run.fault, log=self._log)

    def _gather(self, job: Job) -> tuple[Crew, Path]:
        """Wait for the job's workers and download its problem at the same time; return them and the problem's file."""
        given_up = threading.Event()

        def check() -> None:
            if given_up.is_set() or self._stop.is_set():
                raise self._stop.reason

        download = background(fetch, self._shop.s3, job.problem, self._directory.path, check)
        try:
            self._crew = self._shop.crews.gather(job.num_workers, download, self._stop, self._log)
            return self._crew, self._stop.result(download)
        finally:
            # It must not write into a directory that is about to be removed; if it hangs, so be it.
            given_up.set()
            wait([download], timeout=_DOWNLOAD_END_SECONDS)

    def _release_crew(self) -> None:
        if self._crew:
            self._crew.release(self._log)
        elif self._job and self._job.num_workers:  # they may have been reserved before that failed
            self._shop.crews.leave(self._log)

    def _result(self, judgement: Judgement) -> Result:
        job, run = self._job, self._run
        return Result(
            job_id=self._message.job_id,
            verdict=judgement.verdict,
            problem=str(job.problem) if job else "",
            reason=judgement.reason,
            return_code=judgement.return_code,
            wall_seconds=round(run.wall_seconds, 3) if run else 0.0,
            cpu_seconds=round(run.usage.cpu_seconds, 3) if run else 0.0,
            peak_memory_mib=round(run.usage.peak_memory_bytes / 2**20) if run else 0,
            timeout_seconds=job.timeout_seconds if job else 0,
            received_at=self._message.received_at,
            started_at=run.started_at if run else 0.0,
            finished_at=time.time(),
            attempt=self._message.attempt,
            node=self._context.identity.address,
            instance=self._context.identity.instance,
            workers=self._crew.addresses if self._crew else (),
            solver_output=judgement.solver_output,
            model=judgement.model,
            tag=job.tag if job else "",
        )
