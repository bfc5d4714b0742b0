"""Sending a run's jobs: ten with each call, several calls at a time, each id on the disk as soon as it is known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, as_completed
from concurrent.futures import TimeoutError as NotYetError
from typing import TYPE_CHECKING

from ..aws import aws_time
from ..errors import SatcompError
from ..node.background import background

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import SendMessageBatchResultTypeDef

    from ..aws import Aws
    from ..progress import Wait
    from ..stack import Infrastructure
    from .journal import Run

_BATCH = 10
"""Messages that one call can send (SQS's service model)."""
_BATCH_BYTES = 200_000
"""Of all messages of a call: SQS has taken 256 KiB for long, and takes 1 MiB since 2025."""
_CONCURRENT = 8
_TRIES = 5
_LAST_ANSWERS_SECONDS = 5.0


def send(aws: Aws, infrastructure: Infrastructure, run: Run, places: Sequence[int], wait: Wait) -> None:
    """Send the jobs of the problems in these places.

    That they are about to be sent is noted before, and their ids after: a command that is killed in between leaves few
    of which nobody knows. Raises SatcompError where SQS refuses one for what it is.
    """
    done, batches = 0, list(_batches(run, places))
    for start in range(0, len(batches), _CONCURRENT):
        window = batches[start : start + _CONCURRENT]
        run.sending([place for batch in window for place in batch])
        futures = {
            background(_send_batch, aws, infrastructure.job_queue, bodies, wait): list(bodies) for bodies in window
        }
        noted: set[Future[tuple[dict[int, str], int]]] = set()
        try:
            for future in as_completed(futures):
                noted.add(future)
                done += _note(run, future, futures[future])
                wait.draw(f"Sending jobs: {done} of {len(places)}", done)
        except BaseException:  # also Ctrl-C: what is under way will be sent, so its ids are worth a moment
            _note_the_rest(run, {future: places for future, places in futures.items() if future not in noted})
            raise


def _note(run: Run, future: Future[tuple[dict[int, str], int]], places: list[int]) -> int:
    try:
        ids, second = future.result()
    except SatcompError:
        run.not_sent(places)
        raise
    run.sent(ids, second)
    return len(ids)


def _note_the_rest(run: Run, futures: dict[Future[tuple[dict[int, str], int]], list[int]]) -> None:
    try:
        for future in as_completed(futures, timeout=_LAST_ANSWERS_SECONDS):
            if future.exception() is None:
                _note(run, future, futures[future])
    except NotYetError:
        pass


def _batches(run: Run, places: Sequence[int]) -> Iterator[dict[int, str]]:
    """The messages to send, by place, in groups that fit into a call."""
    batch: dict[int, str] = {}
    size = 0
    for place in places:
        body = run.settings.job(place, run.problems[place]).to_message()
        if batch and (len(batch) == _BATCH or size + len(body.encode()) > _BATCH_BYTES):
            yield batch
            batch, size = {}, 0
        batch[place] = body
        size += len(body.encode())
    if batch:
        yield batch


def _send_batch(aws: Aws, queue: str, bodies: dict[int, str], wait: Wait) -> tuple[dict[int, str], int]:
    """Send the messages of one call; those that SQS fails to take are sent again. Returns their ids, and when."""
    ids: dict[int, str] = {}
    left = dict(bodies)
    for attempt in range(_TRIES):
        if attempt:
            wait.console.sleep(2**attempt / 4)
        answer = aws.sqs.send_message_batch(
            QueueUrl=queue, Entries=[{"Id": str(place), "MessageBody": body} for place, body in left.items()]
        )
        for entry in answer.get("Successful", ()):
            ids[int(entry["Id"])] = entry["MessageId"]
            del left[int(entry["Id"])]
        if not left:
            return ids, int(aws_time(answer).timestamp())
        _check_refusals(answer)
    raise SatcompError(f"SQS failed to take {len(left)} jobs, {_TRIES} times over.", "Go on in a while with --resume.")


def _check_refusals(answer: SendMessageBatchResultTypeDef) -> None:
    for entry in answer.get("Failed", ()):
        if entry["SenderFault"]:
            raise SatcompError(f"SQS refuses a job: {entry.get('Message') or entry['Code']}.")
