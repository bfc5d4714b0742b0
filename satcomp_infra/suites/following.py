"""Following a run: finding the results of thousands of jobs without asking for each.

Announcements on the result queue tell what has ended, ten with each call, and are all that leaders of earlier years
give. Other clients wait at the same queue: what isn't this run's is put back at once. The bucket is the truth: now and
then its results are listed, a thousand with each call, which finds those whose announcement somebody else has taken.
Each result is then fetched once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from .. import earlier_years, job_queue
from ..jobs import Result, Verdict
from ..node.background import all_done, background
from ..units import duration
from .records import Row

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageTypeDef

    from ..aws import Aws
    from ..stack import Infrastructure
    from .journal import Run

_BATCH = 10
"""Messages that one call receives or deletes (SQS's service model)."""
_RECEIVERS = 4
_ROUNDS = 25
"""Of receiving, in a look: then what has come is stored and shown."""
_HIDE_SECONDS = 20
"""How long others don't see a result message that was received here and turned out to be theirs, at most."""
_FETCHERS = 16
_LIST_SECONDS = 15.0
_LIST_SHARE = 20
"""Between two listings of the bucket lies so many times what one takes."""
_FEW = 10
_STRANGERS_SECONDS = 5.0
"""Between looks at a queue on which lie other clients' messages alone: their owners shall get them."""
_BACKLOG_SECONDS = 15.0
_QUIET_SECONDS = 60.0
"""The queue has to be empty for so long before jobs are missed: SQS's numbers are approximate."""
_SILENCE_SECONDS = 300.0
_DEAD_ROUNDS = 50


class Follower:
    """Finds the results of a run. `clock` is in seconds; `again` is called with places whose jobs were never sent."""

    def __init__(self, aws: Aws, infrastructure: Infrastructure, run: Run, clock: Callable[[], float]) -> None:
        self._aws = aws
        self._infrastructure = infrastructure
        self._run = run
        self._clock = clock
        self._next_listing = self._next_receiving = self._next_backlog = clock()
        self._pages = _FEW
        self._found_in_bucket = 0
        self._quiet_since: float | None = None
        self.backlog: job_queue.Backlog | None = None

    def look(self) -> list[Row]:
        """Find new results; they are noted in the run. Raises AWS's errors."""
        rows: list[Row] = []
        if self._clock() >= self._next_receiving:
            rows += self._receive(_ROUNDS)
        if self._clock() >= self._next_listing and self._run.pending:
            started = self._clock()
            rows += self._look_into_bucket()
            self._next_listing = self._clock() + max(_LIST_SECONDS, _LIST_SHARE * (self._clock() - started))
        if self._clock() >= self._next_backlog and self._run.unfinished:
            rows += self._look_at_queue()
            self._next_backlog = self._clock() + _BACKLOG_SECONDS
        return rows

    def clear_announcements(self) -> None:
        """Take this run's announcements off the queue, whose results were found without them."""
        if self._found_in_bucket:
            self._receive(self._found_in_bucket // (_BATCH * _RECEIVERS) + 2, wait_seconds=0)

    @property
    def never_sent(self) -> list[int]:
        """Places of which jobs may have been sent, and of which nothing has come though the queue is empty."""
        return sorted(self._run.unsure) if self._quiet_for() > _QUIET_SECONDS else []

    def _quiet_for(self) -> float:
        return 0.0 if self._quiet_since is None else self._clock() - self._quiet_since

    def _receive(self, rounds: int, wait_seconds: int = 1) -> list[Row]:
        """Take this run's messages off the result queue, and fetch the results that they announce."""
        rows: list[Row] = []
        receivers = 1
        for _ in range(rounds):
            futures = [background(self._receive_once, wait_seconds) for _ in range(receivers)]
            all_done(*futures)
            received = [message for future in futures for message in future.result()]
            own, others = self._sort(received)
            if others:
                all_done(*(background(self._put_back, batch) for batch in _tens(others)))
            rows += self._results(own)
            if own:
                all_done(*(background(self._delete, batch) for batch in _tens([message for message, _ in own])))
            if received and not own:
                self._next_receiving = self._clock() + _STRANGERS_SECONDS
            if not own or len(received) < _BATCH:
                break
            receivers, wait_seconds = _RECEIVERS, 0
        return rows

    def _receive_once(self, wait_seconds: int) -> Sequence[MessageTypeDef]:
        return self._aws.sqs.receive_message(
            QueueUrl=self._infrastructure.result_queue,
            MaxNumberOfMessages=_BATCH,
            WaitTimeSeconds=wait_seconds,
            VisibilityTimeout=_HIDE_SECONDS,
            MessageSystemAttributeNames=["SentTimestamp"],
        ).get("Messages", [])

    def _sort(
        self, messages: Sequence[MessageTypeDef]
    ) -> tuple[list[tuple[MessageTypeDef, dict[str, Any]]], list[MessageTypeDef]]:
        """Messages of this run, each with what it says and its job's id as `task_id`, and the others."""
        own, others = [], []
        by_location: dict[str, list[int]] | None = None
        for message in messages:
            said = job_queue.read_announcement(message["Body"])
            second = int(message["Attributes"]["SentTimestamp"]) // 1000
            job = self._job_of(said, second)
            if not job and "verdict" not in said:  # a leader's of an earlier year
                by_location = self._places_by_location() if by_location is None else by_location
                job = self._job_by_problem(said, second, by_location)
            if job:
                own.append((message, {**said, "task_id": job}))
            else:
                others.append(message)
        return own, others

    def _job_of(self, said: Mapping[str, Any], second: int) -> str:
        """The id of this run's job that an announcement is of; empty where it is of none."""
        job = said.get("task_id")
        if isinstance(job, str) and job in self._run.place_of:
            return job
        place = self._run.settings.place(said.get("tag"))
        if isinstance(job, str) and place in self._run.unsure:  # sent by a command that was killed before it knew
            self._run.sent({place: job}, second)
            return job
        return ""

    def _job_by_problem(self, said: Mapping[str, Any], second: int, by_location: Mapping[str, list[int]]) -> str:
        """The same for an announcement that names no job; the place is taken out: each has one result."""
        places = by_location.get(_problem_of(said), [])
        for place in places:
            job, sent = self._run.jobs[place]
            if sent <= second and earlier_years.is_result_of(said, self._job(place)):
                places.remove(place)
                return job
        return ""

    def _places_by_location(self) -> dict[str, list[int]]:
        """The places of problems that wait for a result, by location."""
        found: dict[str, list[int]] = {}
        for place in self._run.pending.values():
            found.setdefault(self._run.problems[place].location, []).append(place)
        return found

    def _job(self, place: int) -> Any:
        return self._run.settings.job(place, self._run.problems[place])

    def _results(self, own: Sequence[tuple[MessageTypeDef, dict[str, Any]]]) -> list[Row]:
        pending = self._run.pending
        said = {str(what["task_id"]): what for _, what in own if what["task_id"] in pending}
        found = self._fetch(list(said))
        for job, what in said.items():
            if job not in found and "verdict" not in what:
                found[job] = earlier_years.result(job, self._job(pending[job]), what)
        return self._note(found)

    def _look_into_bucket(self) -> list[Row]:
        pending = self._run.pending
        candidates = list(pending)
        if len(pending) > self._pages:
            candidates, self._pages = [], 0
            pages = self._aws.s3.get_paginator("list_objects_v2").paginate(
                Bucket=self._infrastructure.bucket, Prefix="results/", Delimiter="/"
            )
            for page in pages:
                self._pages += 1
                ids = (entry["Prefix"].split("/")[1] for entry in page.get("CommonPrefixes", ()))
                candidates += [job for job in ids if job in pending]
        rows = self._note(self._fetch(candidates))
        self._found_in_bucket += len(rows)
        return rows

    def _fetch(self, jobs: Sequence[str]) -> dict[str, Result]:
        """The results of those jobs that have one."""
        if not jobs:
            return {}
        bucket = self._infrastructure.bucket
        with ThreadPoolExecutor(_FETCHERS) as pool:
            results = pool.map(lambda job: job_queue.stored_result(self._aws, bucket, job), jobs)
            return {job: result for job, result in zip(jobs, results, strict=True) if result}

    def _note(self, results: Mapping[str, Result]) -> list[Row]:
        pending = self._run.pending
        rows = [Row.of(self._run.problems[pending[job]], result) for job, result in results.items()]
        if rows:
            self._run.add(rows)
            self._quiet_since = None
        return rows

    def _look_at_queue(self) -> list[Row]:
        """See whether jobs are missing: given up, or taken off the queue without a result."""
        self.backlog = job_queue.backlog(self._aws, self._infrastructure)
        rows = []
        if self.backlog.given_up:
            rows += self._given_up()
        if self.backlog.waiting or self.backlog.taken:
            self._quiet_since = None
        elif self._quiet_since is None:
            self._quiet_since = self._clock()
        patience = self._run.settings.timeout + _SILENCE_SECONDS
        if self._quiet_for() > patience and self._run.pending:
            rows += self._look_into_bucket()
            why = f"It was taken off the queue more than {duration(patience)} ago, and has no result."
            rows += self._fail(list(self._run.pending), why)
        return rows

    def _given_up(self) -> list[Row]:
        """Results for jobs on the dead-letter queue; its messages stay there."""
        pending, found = self._run.pending, []
        for _ in range(_DEAD_ROUNDS):
            messages = self._aws.sqs.receive_message(
                QueueUrl=self._infrastructure.dead_letter_queue,
                MaxNumberOfMessages=_BATCH,
                VisibilityTimeout=_HIDE_SECONDS,
            ).get("Messages", [])
            found += [message["MessageId"] for message in messages if message["MessageId"] in pending]
            if not messages:
                break
        return self._fail(
            found, "It was given up: leaders took it as often as its queue allows, and none stored a result."
        )

    def _fail(self, jobs: Sequence[str], why: str) -> list[Row]:
        timeout, run = self._run.settings.timeout, self._run
        run.read_new()  # another command may have found their results
        missed = [job for job in dict.fromkeys(jobs) if job in run.pending]
        return self._note({job: Result(job, Verdict.ERROR, "", reason=why, timeout_seconds=timeout) for job in missed})

    def _put_back(self, messages: Sequence[MessageTypeDef]) -> None:
        self._aws.sqs.change_message_visibility_batch(
            QueueUrl=self._infrastructure.result_queue,
            Entries=[
                {"Id": str(index), "ReceiptHandle": message["ReceiptHandle"], "VisibilityTimeout": 0}
                for index, message in enumerate(messages)
            ],
        )

    def _delete(self, messages: Sequence[MessageTypeDef]) -> None:
        self._aws.sqs.delete_message_batch(
            QueueUrl=self._infrastructure.result_queue,
            Entries=[
                {"Id": str(index), "ReceiptHandle": message["ReceiptHandle"]} for index, message in enumerate(messages)
            ],
        )


def _tens(messages: Sequence[MessageTypeDef]) -> list[Sequence[MessageTypeDef]]:
    return [messages[start : start + _BATCH] for start in range(0, len(messages), _BATCH)]


def _problem_of(said: Mapping[str, Any]) -> str:
    driver = said.get("driver")
    return str(driver.get("s3_uri", "")) if isinstance(driver, dict) else ""
